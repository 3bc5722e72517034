"""Templates: a brief's own sections, what they can call, and errors that name file and line."""

import dataclasses

import pandas as pd
import pytest
from written_report import make_report_folder

from lib import briefs
from lib.config import paths
from lib.config.files import write_json
from lib.report import written
from lib.report.results import read_values
from lib.report.written import documents, numbers, template
from lib.report.written.calls import Calls
from lib.report.written.documents import to_markdown
from lib.report.written.template import TemplateError, render
from lib.report.written.tree import parts

BRIEF = briefs.load("demo")
HEAD = "---\ntitle: Note\nwords: 1 to 100\nsections: One; Two\n---\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_REPORTS", str(tmp_path_factory.mktemp("reports")))
        yield make_report_folder(BRIEF, seeds=2, classes=["<b>ant</b>", "#let *b*_c", "$x$ @d [e](f) | `g`"])


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(template, "TEMPLATES", tmp_path)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def fill(home, folder):
    """A function from the text of a template to the filled report as plain Markdown."""

    def filled(text, *, head=HEAD):
        (home / "note.md").write_text(head + text, encoding="utf-8")
        return render("note", Calls(BRIEF, folder))

    return filled


def plain(report):
    return numbers.MARK.sub(r"\3", report.text).replace("\u00a0", " ").strip()


# A brief's own words

SHIPPED = "{% set x = 'kept' %}\n{% block one %}\n## One\nshipped\n{% endblock %}\n\n{% block two %}\n## Two\n"
SHIPPED += "gone{% endblock %}\n\n## Three\nstays"
EXTENDS = '{% extends "note.md" %}\n'


@pytest.fixture
def own(home):
    """A function that writes the brief's own template."""

    def write(text):
        (home / "demo").mkdir(exist_ok=True)
        (home / "demo" / "note.md").write_text(text, encoding="utf-8")

    return write


def test_a_brief_fills_blocks_and_the_lines_are_those_of_its_file(fill, own):
    own(EXTENDS + "{% block two %}\n## Two\nMine: {{ x }}.\n\n{{ super() }}\n\n## End\nend\n{% endblock %}\n")
    report = fill(SHIPPED)
    assert plain(report) == (
        "## One\nshipped\n\n## Two\nMine: kept.\n\n## Two\ngone\n\n## End\nend\n\n\n## Three\nstays"
    )
    assert (report.title, report.sections) == ("Note", ("One", "Two"))
    own(
        f"---\ntitle: 'My note'\n---\n{EXTENDS}{{% block two %}}\n\n## Two\nThe 7 of {{{{ 3 + 5 }}}}.\n{{% endblock %}}"
    )
    report = fill(SHIPPED)
    assert report.title == "My note"
    assert [fault.split(": take")[0] for fault in report.faults] == [
        "demo/note.md:8: typed number '7'",
        "demo/note.md:8: typed number '8'",
    ]
    own(f"{EXTENDS}{{% block two %}}\n\nMine: {{{{ y }}}}.{{% endblock %}}")
    with pytest.raises(TemplateError, match=r"^demo/note\.md:4: 'y' is undefined"):
        fill(SHIPPED)


def test_own_words_that_would_be_left_out_without_a_word_are_refused(fill, own):
    block = "{% block two %}mine{% endblock %}"
    for text, message in {
        f"{EXTENDS}\n{block.replace('two', 'tow')}": "3: no section 'tow' to replace. Did you mean 'two'?.*: one, two$",
        f"{EXTENDS}{block.replace('two', 'ending')}": "2: no section 'ending' to replace. To add .*: one, two$",
        f"{EXTENDS}\n{block}\n\n## Two\nmine": "5: text outside of a block is shown nowhere. Sections: one, two",
        f"{EXTENDS}{{{{ value('best.epochs') }}}}{block}": "2: text outside of a block is shown nowhere",
        "## Two\nmine": "1: a brief's own template begins with {% extends 'note.md' %}.* Sections: one, two",
        block: "1: a brief's own template begins with",
        f'{{% extends "other.md" %}}{block}': "1: a brief's own template begins with",
        f"---\nwords: 1 to 2\n---\n{EXTENDS}": "1: a brief's own template begins with .* a head with its title",
        f"{EXTENDS}{{% block two %}}": "2: Unexpected end of template",
        f"{EXTENDS}{block}{block}": "2: block 'two' defined twice",
    }.items():
        own(text)
        with pytest.raises(TemplateError, match=f"^demo/note\\.md:{message}"):
            fill(SHIPPED)


def test_references_may_be_extended_and_numbers_in_them_are_no_typed_ones(fill, own):
    own(f"{EXTENDS}{{% block references %}}{{{{ super() }}}}\n\nHe, K. (2016). Nets, 770.{{% endblock %}}")
    report = fill(SHIPPED + "\n\n{% block references %}\n## References\nNg (2015), 31.\n{% endblock %}\n\n## End\n")
    assert "He, K. (2016)" in report.text and not report.faults


def test_class_names_made_of_digits_are_names(own_folders):
    names = ["0.5", "1.0", "007"]
    calls = Calls(BRIEF, make_report_folder(BRIEF, seeds=1, classes=names))
    assert [row["class_name"] for row in calls.rows("per_class")] == names
    calls.table("per_class", ["class_name"])
    assert [cell for (cell,) in calls.blocks[0].rows] == names and calls.blocks[0].numeric == (False,)


def test_what_could_not_be_computed_is_said(own_folders):
    folder = make_report_folder(BRIEF, seeds=1, classes=["cat", "dog", "eel"], profile="smoke")
    table = pd.read_csv(folder / "tables" / "per_class.csv")
    table.loc[1:, ["recall", "f1"]] = float("nan")
    table.to_csv(folder / "tables" / "per_class.csv", index=False)
    values = {name: entry for name, entry in read_values(folder).items() if not name.startswith("difficulty.")}
    write_json(folder / "values.json", values)
    report = render("experimentation", Calls(BRIEF, folder))
    text = plain(report)
    assert not report.faults and "How hard is the task" not in text
    assert "The only one with test images is cat: of ten test images of *cat*" in text
    assert "Two classes without test images cannot be judged." in text


def test_a_template_that_breaks_a_rule_is_refused(home, folder):
    for head in (
        "no head",
        "---\ntitle: x\nwords: 1 to 2\n---\n",
        "---\ntitle: x\n",
        "---\ntitel: x\n---\n",
        "---\ntitle: x\nwords: many\nsections: a\n---\n",
        "---\ntitle: x\nwords: 9 to 8\nsections: a\n---\n",
    ):
        (home / "note.md").write_text(head, encoding="utf-8")
        with pytest.raises(TemplateError, match=r"note\.md:1: a template begins with ---, the lines"):
            render("note", Calls(BRIEF, folder))
    (home / "note.md").write_bytes(b"---\ntitle: \xff\n---\n")
    with pytest.raises(TemplateError, match=r"note\.md: a template must be UTF-8 text"):
        render("note", Calls(BRIEF, folder))
    with pytest.raises(TemplateError, match="Unknown report 'nota'. Templates in .*: note"):
        render("nota", Calls(BRIEF, folder))


# The shipped ones


def test_every_report_of_a_brief_has_a_template_and_no_shipped_template_holds_a_typed_number():
    named = {name for brief in briefs.names() for name in briefs.load(brief).reports}
    files = sorted(template.TEMPLATES.rglob("*.md"))
    assert named <= {file.stem for file in files if file.parent == template.TEMPLATES}
    assert [fault for file in files for fault in template._typed(template._read(file))] == []


# Filling


def test_lines_that_hold_only_tags_leave_nothing_and_others_keep_their_end(fill):
    text = "## One\n{% if true %}\n  {# why #}\na{% if true %} b{% endif %}\n\nc\n{% endif -%}\n\n## Two\n"
    text += "{% set x =\n 1 %}\nd"
    assert plain(fill(text)) == "## One\na b\n\nc\n## Two\nd"


def test_what_a_template_can_call(fill):
    for call, expected in [
        ('value("best.epochs")', "12"),
        ('value("best.val_accuracy", "%")', "90.0 %"),
        ('value("best.leaning")', "too modest"),
        ('value("explain.masks")', "True"),
        ('has("best.epochs") and has("samples") and has("trust") and not has("nothing")', "True"),
        ('difference("best.train_accuracy", "best.val_accuracy", "+points")', "+10.0 points"),
        ('share("split.test", "dataset.images", "0%")', "27 %"),
        ('count("best.epochs", "epoch")', "twelve epochs"),
        ('count(experiment("augment").n, "seed")', "two seeds"),
        ('count(experiment("best").n, "seed")', "one seed"),
        ('count("best.perfect_classes", "class", "classes")', "no classes"),
        (
            'count([], "gain") ~ count(rows("trust"), "row") ~ count(experiments("better"), "gain")',
            "no gainsthree rowsone gain",
        ),
        ('capital(count("best.epochs", "epoch"))', "Twelve epochs"),
        ('capital("`x` and *y*")', "`X` and *y*"),
        ('join(["a", "b", "c"]) ~ join(["a"]) ~ join(["a", "b"], "or") ~ join([])', "a, b and caa or b"),
        ("join(experiments('better', sort='-mean'))", "`augment`"),
        ("join(experiments(sort='mean')[:2])", "`softmax` and `dropout`"),
        ('compare("augment").verdict ~ compare("softmax", "augment").verdict', "betterworse"),
        ('compare("naive").verdict ~ compare("best").verdict', "levelunclear"),
        ('differences(experiments("worse", sort="mean")[1:])', "`dropout` (−20.0 points, −26.1 to −13.9)"),
        (
            'differences(experiments("better", against="best_short"), against="best_short")',
            "`adamw` (+10.0 points, +3.9 to +16.1)",
        ),
        ('holds(mean("augment") > mean("baseline")) ~ "so it is"', "so it is"),
        ('show(compare("dropout").low, "+pts") ~ " to " ~ show(compare("dropout").high, "+pts")', "−26.1 to −13.9"),
        ('show(experiment("augment").mean, "%") ~ " " ~ show(experiment("augment").spread, "pts")', "76.0 % 1.4"),
        ('show(experiment("augment").gap, "points")', "20.0 points"),
        ('show(rows("trust")[1].hit, "0%") ~ rows("trust")[1].method', "60 %Grad-CAM"),
        ('rows("trust", sort="-hit")[0]["rank"]', "1"),
        ('quote("at least 40 %")', "“at least 40 %”"),
        ("brief.title ~ brief.asked_accuracy", "Drawn objectsNone"),
    ]:
        report = fill(f"## One\n{{{{ {call} }}}}\n## Two\nx")
        assert plain(report) == f"## One\n{expected}\n## Two\nx", call
        assert not report.faults


def test_a_claim_that_the_runs_do_not_bear_out_is_a_fault_of_its_line(fill, home, tmp_path, monkeypatch):
    text = "## One\nChanges help.{{ holds(mean('augment') > mean('%s')) }}\n## Two\nx"
    assert not fill(text % "baseline").faults
    (fault,) = fill(text % "best").faults
    assert fault.startswith("note.md:7: the runs do not bear out the claim in this line: Changes help.{{ holds(")
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "smoke"))
    smoke = make_report_folder(BRIEF, seeds=1, profile="smoke")
    assert not render("note", Calls(BRIEF, smoke)).faults  # one epoch on a few images decides nothing


def test_errors_name_file_and_line(fill):
    for text, message in [
        ("{% if %}", "Expected an expression, got 'end of statement block'"),
        ("{{ 1 }", "unexpected '}'"),
        ("{% endif %}", "Encountered unknown tag 'endif'"),
        ("{{ acuracy }}", "'acuracy' is undefined"),
        (
            '{{ value("best.acuracy") }}',
            "No notebook has saved the value 'best.acuracy'. Similar: .*best.test_accuracy",
        ),
        ('{{ value("best.epochs", "persent") }}', "known format. Received: 'persent'"),
        ('{{ value("best.leaning", "%") }}', "Words take no format. Received: '%' for 'too modest'"),
        ('{{ figure("confusion") }}', "No notebook has saved the figure 'confusion'. Similar: confusion_test"),
        ('{{ figure("samples", width="2cm") }}', "A width must be a share of the text's, like 80%. Received: '2cm'"),
        ('{{ figure("samples") }}{{ figure("samples") }}', "The figure 'samples' is shown twice"),
        ('{{ table("experimnts") }}', "No notebook has saved the table 'experimnts'. Similar: experiments"),
        ('{{ table("trust", columns=["hits"]) }}', "The table 'trust' has no column hits. Columns: rank, method"),
        ('{{ table("trust", sorted="hit") }}', "unexpected keyword argument 'sorted'"),
        ('{{ ref("samples") }}', r"ref\('samples'\) needs a figure or table that the report shows. Shown: nothing"),
        ('{{ rows("trust")[0].hits }}', "The table 'trust' has no column 'hits'. Columns: rank"),
        ('{{ experiment("augment").size }}', "The experiment 'augment' has no column 'size'. Columns: name, n, mean"),
        ('{{ rows("trust", sort="hits") }}', "has no column hits"),
        ('{{ rows("trust")[9] }}', "list object has no element 9"),
        ('{{ experiment("augmnt").mean }}', "The experiment 'augmnt' has no finished run. Experiments: softmax"),
        ('{{ experiments("good") }}', r"takes a verdict \(better, worse, level, unclear\)"),
        ('{{ experiments(sort="size") }}', "experiment '[a-z]+' has no column 'size'. Columns: name, n, mean"),
        ("{{ show(0.5) }}", r"show\(\) takes what value\(\), rows\(\), experiment\(\) or compare\(\) gave"),
        ("{{ count(3, 'seed') }}", "takes the name of a value, a bound number or a list of what.* Received: 3"),
        ("{{ count([1, 2], 'seed') }}", r"takes the name of .* Received: \[1, 2\]"),
        ('{{ share("best.epochs", "best.perfect_classes") }}', "A share needs a whole that is not 0"),
        ('{{ difference("best.epochs", "best.leaning") }}', "Both values must be numbers"),
        ("{{ brief.asked_accuracy }}", "There is nothing to print here"),
        ("{{ compare('best').low }}", "There is nothing to print here"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{% include 'x' %}", "A template can extend note.md only. Received: 'x'"),
        ("{{ range(10000000) | list }}", "Range too big"),
        ("{{ 1 / 0 }}", "division by zero"),
    ]:
        with pytest.raises(TemplateError, match=f"note\\.md:9: .*{message}"):
            fill(f"## One\n{{% set x = 1 %}}\n\n{text}\n## Two\nx")


def test_a_figure_and_a_table_of_one_name_are_told_apart(fill):
    text = '## One\n{{ ref("feature_maps", "table") }}{{ figure("feature_maps") }}{{ table("feature_maps") }}\n## Two\n'
    assert [block.kind for block in fill(text).links] == ["table"]
    with pytest.raises(TemplateError, match="note.md:7: both a figure and a table 'feature_maps' are shown: write ref"):
        fill(text.replace(', "table"', ""))


def test_what_is_cited_must_be_in_the_references(fill):
    text = '## One\nRate {{ cited("0.9", by="Kingma and Ba, 2015") }}, $\\beta = {{ cited("0.9", by="Ba, 2015") }}$\n'
    text += "## Two\n"
    (fault, _) = fill(text).faults
    assert fault == "note.md:7: 'Kingma and Ba, 2015' is not in the section References"
    report = fill(f"{text}## References\nKingma, D. and Ba, J. (2015). Adam, 12–15.")
    assert not report.faults
    assert "$\\beta = 0.9$" in to_markdown(report)


def test_typed_numbers_are_listed_with_their_lines(fill):
    text = '## One\nOf 7, {{ "8" }}\n{{ value("best.epochs") * 2 }} {{ figure("samples", caption="All 9") }}\n## Two\n'
    found = [fault.split(": ")[:2] for fault in fill(text).faults]
    assert found == [
        ["note.md:7", "typed number '7'"],
        ["note.md:7", "typed number '8'"],
        ["note.md:8", "typed number '24.0'"],
        ["note.md:8", "typed number '9'"],
    ]


def test_a_number_between_typed_marks_is_a_typed_one(fill):
    (fault,) = fill(f"## One\n{numbers.mark(numbers.VALUE, 0, '99')}\n## Two\n").faults
    assert fault.startswith("note.md:7: typed number '099'")


def test_a_picture_put_in_by_hand_is_listed(fill):
    report = fill("## One\n![Mine](own.png)\n\n`![as code](x.png)` {{ figure('samples') }}\n## Two\n")
    assert report.faults == ("note.md:7: a picture without figure(): no run stands behind it",)


FOREIGN = {  # in a template -> what is said of it
    "![x][r]\n\n[r]: /etc/passwd": (9, "a picture without figure(): no run stands behind it. Received: '/etc/passwd'"),
    "![x]\n\n[x]: http://127.0.0.1:9/x.png": (9, "a picture without figure()"),
    "![x]\n\n[x]: figures/samples.png": (9, "a picture without figure()"),  # a second time, by hand
    "[a](javascript:alert(1))": (
        7,
        "a link must begin with https://, http:// or, inside the report, #",
    ),
    "[a]\n\n[a]: data:text/html,x": (9, "a link must begin with"),
    "[a](JaVaScRiPt:x) [b](//evil.example) [c](/etc/passwd) [d](../x.html)": (7, "a link must begin with"),
    "<mailto:a@evil.example>": (7, "a link must begin with"),
    "[a](#three) [b](#two) [c](#figure-samples)": (7, "no heading, figure or table is called so. Received: '#three'"),
    "[a](https://a.example){onclick=x}": (
        7,
        "an attribute must be one of alt, lang, title, width. Received: 'onclick'",
    ),
    "[a]{style='background:url(http://a.example)'}": (7, "an attribute must be one of"),
    "[a]{typst:text:fill='red'}": (7, "an attribute must be one of"),
    "::: {onmouseover=x}\na\n:::": (7, "an attribute must be one of"),
    "### Head {.a onclick=x}": (7, "an attribute must be one of"),
    "`a`{onclick=x}": (7, "an attribute must be one of"),
}


def test_a_template_holds_no_picture_link_or_attribute_that_acts(fill):
    for text, (line, said) in FOREIGN.items():
        report = fill(f"## One\n{text}\n\n{{{{ figure('samples') }}}}\n\n## Two\n")
        found = documents.foreign(documents.parse(to_markdown(report)), report)
        assert len(found) == (4 if "JaVa" in text else 1), text
        assert found[0].startswith(f"note.md:{line}: {said}"), (text, found)


def test_what_looks_like_code_of_another_language_is_text(fill):
    text = "<img src=http://a.example onerror=x>\n\n---\ncss: http://a.example/x.css\n---\n\n"
    text += "\\includegraphics{/etc/passwd}\n\n`<img>`{=html} [w](https://a.example) [one](#one)"
    report = fill(f"## One\n{text}\n\n{{{{ figure('samples') }}}}\n\n## Two\n")
    tree = documents.parse(to_markdown(report))
    assert documents.foreign(tree, report) == [] and tree["meta"] == {}
    assert not {"RawInline", "RawBlock"} & {part.get("t") for part in parts(tree["blocks"]) if isinstance(part, dict)}


def test_nothing_of_the_kind_is_written_and_the_check_names_it(home, folder, monkeypatch):
    brief = dataclasses.replace(BRIEF, reports=("note",))
    (home / "note.md").write_text(HEAD + "## One\n![x]\n\n## Two\nx\n\n[x]: /etc/passwd\n", encoding="utf-8")
    said = "note.md:12: a picture without figure(): no run stands behind it. Received: '/etc/passwd'"
    assert said in written.write_reports(brief) and said in written.check_reports(brief)
    assert not (folder / "note.html").exists() and not (folder / "note.docx").exists()


def test_a_label_that_jinja_takes_for_a_comment_is_an_error_with_its_line(fill):
    with pytest.raises(TemplateError, match=r"^note\.md:6: Missing end of comment tag"):
        fill("## One {#one}\n## Two\n")


# As Markdown for Pandoc


def test_captions_may_hold_references_and_values(fill):
    text = (
        '## One\n{% set words %}As {{ ref("trust") }}, in {{ value("best.epochs") }}{% endset %}\n'
        '{{ figure("samples", caption=words) }}{{ table("trust", caption="See " ~ ref("samples")) }}\n## Two\n'
    )
    found = to_markdown(fill(text)).replace("\u00a0", " ")
    assert "**Figure 1.** As [Table 1](#table-trust), in [12]{.value" in found
    assert ": **Table 1.** See [Figure 1](#figure-samples) {#table-trust}" in found


def test_figures_and_tables_are_numbered_linked_and_described(fill):
    text = (
        '## One\nSee {{ ref("trust") }} and {{ ref("model_graph") }}.\n{{ figure("samples") }}'
        '{{ figure("model_graph", width="50%", caption="My *own* words") }}\n## Two\n'
        '{{ table("trust", columns={"method": "Which", "hit": "Hits"}, formats={"hit": "0%"}, sort="hit", rows=2) }}'
    )
    found = to_markdown(fill(text)).replace("\u00a0", " ")
    assert "See [Table 1](#table-trust) and [Figure 2](#figure-model-graph)." in found
    assert r"![**Figure 1.** It \<shows\> samples\.](figures/samples.png){#figure-samples" in found
    assert r'alt="A \"samples\"\." width=32%}' in found
    assert "![**Figure 2.** My *own* words](figures/model_graph.png)" in found and "width=50%}" in found
    assert r"| Which | Hits |" in found and r"| Grad\-CAM | 60 \% |" in found
    assert "The first 2 of 3 rows. {#table-trust}" in found


def test_bound_numbers_say_where_they_come_from_and_words_are_shown_letter_by_letter(fill):
    report = fill(
        '## One\n{{ value("best.epochs") }} of {{ rows("per_class")[0].class_name }}\n\n'
        "`{{ rows('per_class')[0].class_name }}` $x = {{ value('best.epochs') }}$\n## Two\n"
    )
    found = to_markdown(report)
    assert '[12]{.value title="best.epochs, 03_best_model, best-seed0-0123456789"} of \\<b\\>ant\\<\\/b\\>' in found
    assert "`<b>ant</b>`" in found
    assert "$x = 12$" in found


def test_the_appendix_names_every_run_and_where_it_is_shown(fill):
    report = fill('## One\n{{ figure("model_graph") }}{{ table("trust") }}\n{{ experiment("augment").mean }}\n## Two\n')
    found = to_markdown(report)
    appendix = found[found.index("## Appendix: runs behind this report") :]
    assert r"| best\-seed0\-0123456789 | best | 0 | 12 | 0123456 | 1 | 1 |" in appendix
    assert r"| augment\-seed1\-0123456789 | augment | 1 | 12 | 0123456 | – | – |" in appendix
    assert "{#table-runs}" in appendix and "**Table\u00a02.**" in appendix
