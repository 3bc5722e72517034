"""A filled report as Pandoc's Markdown, and from there as HTML, PDF and DOCX.

Pandoc and Typst come as Python wheels: there is nothing to install on the system.
"""

import datetime
import html
import io
import json
import os
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pypandoc
import typst
from PIL import Image

from lib.config.names import markdown as escape
from lib.report.results import DPI
from lib.report.results.display import SPACE, WORDS
from lib.report.written import tree as written_tree
from lib.report.written.calls import Block
from lib.report.written.numbers import BLOCK, MARK, VALUE, VERBATIM
from lib.report.written.template import Report, place
from lib.training import device
from lib.training.runs import Run

FORMATS = ("html", "pdf", "docx")
PAGES = Path(__file__).parent / "pages"
TEXT_WIDTH, MOST_HEIGHT = 6.3, 6.2  # inches on the page; so high a figure has letters that can be read
MOST_GAP = 85  # points at the foot of a page
# Pandoc's Markdown, but what looks like HTML, LaTeX or a citation is text.
READER = (
    "markdown-citations-raw_html-raw_tex-raw_attribute-latex_macros-example_lists-native_divs-native_spans"
    "-yaml_metadata_block-pandoc_title_block"
)
OTHER_SCRIPTS = re.compile("[\u0590-\u1dff\u2e80-\udfff\uf900-\ufdff\U00010000-\U0010ffff]")

# The look of Word documents (A4, a serif face, page numbers, ruled tables), as changes of Pandoc's reference document.
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
FOOTER = (
    f'<w:ftr xmlns:w="{WORD}"><w:p><w:pPr><w:jc w:val="center"/></w:pPr><w:fldSimple w:instr="PAGE"><w:r><w:t>1</w:t>'
    "</w:r></w:fldSimple></w:p></w:ftr>"
)
PAGE = (  # margins of 2.5 cm; all in twentieths of a point
    f'<w:sectPr><w:footerReference xmlns:r="{RELATIONS}" w:type="default" r:id="rIdFooter"/>'
    '<w:footnotePr><w:numRestart w:val="eachSect"/></w:footnotePr><w:pgSz w:w="11906" w:h="16838"/>'
    '<w:pgMar w:top="1418" w:right="1418" w:bottom="1418" w:left="1418" w:header="709" w:footer="709" w:gutter="0"/>'
    "</w:sectPr>"
)
RULES = '<w:tblBorders><w:top w:val="single" w:sz="8"/><w:bottom w:val="single" w:sz="8"/></w:tblBorders>'
TABLE_TEXT = (  # half points, and twentieths of a point
    '<w:style w:type="paragraph" w:customStyle="1" w:styleId="TableText"><w:name w:val="Table Text"/>'
    '<w:pPr><w:spacing w:before="20" w:after="20"/></w:pPr><w:rPr><w:sz w:val="17"/></w:rPr></w:style>'
)
RELATION = f'<Relationship Id="rIdFooter" Type="{RELATIONS}/footer" Target="footer1.xml"/>'
KIND = (
    '<Override PartName="/word/footer1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.footer+xml"/>'
)
SIZES = {24: 22, 28: 24, 32: 24, 40: 28, 56: 36}  # half points: text, subtitle, headings, title
CHANGES = [  # part, pattern, what takes its place
    ("word/theme/theme1.xml", '(<a:latin typeface=")Aptos[^"]*', r"\1Cambria"),
    ("word/styles.xml", '<w:color w:val="(?!4F81BD)[^>]*>', ""),  # headings in black; links keep their colour
    *(("word/styles.xml", f'(<w:sz(?:Cs)? w:val=")({old})"', rf'\g<1>{new}"') for old, new in SIZES.items()),
    ("word/styles.xml", 'w:val="en-US"', 'w:val="en-GB"'),
    ("word/styles.xml", "<w:tblCellMar>", f"{RULES}<w:tblCellMar>"),
    ("word/styles.xml", "</w:styles>", f"{TABLE_TEXT}</w:styles>"),
    ("word/document.xml", "(?s)<w:sectPr>.*?</w:sectPr>", PAGE),
    ("word/_rels/document.xml.rels", "</Relationships>", f"{RELATION}</Relationships>"),
    ("[Content_Types].xml", "</Types>", f"{KIND}</Types>"),
]


class ExportError(ValueError):
    """A report that could not be turned into one of its formats."""


def about(report: Report) -> dict[str, str]:
    """The title block of a report: who wrote it, what about, and which state of the code and the runs it shows.

    The date is that of the newest run (or of `SOURCE_DATE_EPOCH`): the same code and runs give the same pages, whenever
    they are made. `timestamp` is in seconds since 1970.
    """
    calls, state = report.calls, device.git_state()
    runs = sorted({run for entry in calls.used.values() for run in entry["runs"]})
    timestamp = _timestamp([Run(calls.folder / "runs" / run) for run in runs])
    day = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    commit = f"commit {state['commit'][:10]}" if state["commit"] else "no commit known"
    changed = " with uncommitted changes" if state["dirty"] else ""
    size = f"brief {calls.brief.name}, profile {calls.profile or 'unknown'}"
    name, number = (os.environ.get(variable, "").strip() for variable in ("STUDENT", "STUDENT_ID"))
    values = calls.saved["value"]
    notices = [values[name]["value"] for name in ("dataset.notice", "transfer.notice") if name in values]
    smoke = "A smoke run: its numbers show that every step works, and nothing about the method."
    return {
        "title": report.title,
        "brief": calls.brief.title,
        "question": calls.brief.question,
        "student": f"{name} ({number})" if name and number else name or number or "Name and student number not given",
        "made": f"{day.day} {day:%B %Y}, {commit}{changed}, {size}",
        "note": " ".join(filter(None, [smoke if calls.profile == "smoke" else "", *notices])),
        "timestamp": str(timestamp),
    }


def _timestamp(runs: list[Run]) -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(given) if given.isdecimal() else max((_finished(run) for run in runs if run.finished), default=0)


def _finished(run: Run) -> int:
    """When a run ended, in seconds since 1970; one that does not say so by the time of its last file."""
    try:
        return int(run.environment()["finished"])
    except (OSError, KeyError, TypeError, ValueError):
        return int((run.folder / "metrics.json").stat().st_mtime)


# As Markdown


def to_markdown(report: Report) -> str:
    """The report as Markdown for Pandoc, figures relative to its folder, with an appendix that names the runs."""

    def show(match: re.Match) -> str:
        kind, number, text = match[1], int(match[2]), match[3]
        if kind == BLOCK:  # its caption may hold references and values of its own
            return filled(block_markdown(calls.blocks[number], calls.folder))
        if kind != VALUE:
            return f"[{report.links[number].label}](#{report.links[number].anchor})"
        if not re.search(r"\d", text) and text not in WORDS:
            return escape(text)
        title = re.sub(r'["\\]', "", str(calls.origins[number]))
        return f'[{escape(text)}]{{.value title="{title}"}}'

    def filled(text: str) -> str:
        # A value in code or in a formula is only its text.
        return MARK.sub(show, VERBATIM.sub(lambda part: MARK.sub(bare, part[0]), text))

    def bare(match: re.Match) -> str:
        return re.sub("[`$]", "", match[3]) if match[1] == VALUE else match[0]  # it must not end the code or formula

    calls = report.calls
    return f"{filled(report.text).strip()}\n\n{_appendix(report)}"


def block_markdown(block: Block, folder: Path) -> str:
    """A figure or table with its number, caption and label."""
    # Names in backticks stay in a notebook's caption; everything else is shown letter by letter.
    parts = re.split(r"(`[^`]+`)", block.entry["caption"])
    notebooks = "".join(part if number % 2 else escape(part) for number, part in enumerate(parts))
    caption = f"**{block.label}.** {' '.join((block.caption or notebooks).split())}"
    if block.kind == "figure":
        width = block.width or f"{_width(folder / block.entry['file'])}%"
        alt = escape(" ".join(block.entry["alt"].split()))
        return f'![{caption}]({block.entry["file"]}){{#{block.anchor} alt="{alt}" width={width}}}'
    if block.left_out:
        caption += f" The first {len(block.rows)} of {len(block.rows) + block.left_out} rows."
    return _table([block.header, *block.rows], block.numeric, f"{caption} {{#{block.anchor}}}")


def _width(file: Path) -> int:
    """Share of the text's width, in per cent: the figure's own size where that fits."""
    with Image.open(file) as image:
        width, height = image.width / DPI, image.height / DPI
    return max(20, min(100, round(100 * width * min(1, MOST_HEIGHT / height) / TEXT_WIDTH)))


def _table(rows: list[tuple[str, ...]], numeric: tuple[bool, ...], caption: str) -> str:
    cells = [[escape(" ".join(str(cell).split())) for cell in row] for row in rows]
    cells = [
        [re.sub(" ([×±]) ", rf"{SPACE}\1{SPACE}", cell) for cell in row] for row in cells
    ]  # 32 × 32 stays on a line
    cells.insert(1, ["---:" if number else ":---" for number in numeric])
    return "\n".join([*(f"| {' | '.join(row)} |" for row in cells), "", f": {caption}"])


def _appendix(report: Report) -> str:
    """Every run that a value, figure or table of the report rests on, and where it is shown."""
    blocks, used = report.calls.blocks, report.calls.used
    header = ("Run", "Experiment", "Seed", "Epochs", "Commit", "Figures", "Tables")
    rows = []
    for name in sorted({run for entry in used.values() for run in entry["runs"]}):
        on_it = [block for block in blocks if name in used[block.kind, block.name]["runs"]]
        places = [[str(block.number) for block in on_it if block.kind == kind] for kind in ("figure", "table")]
        facts = _run_facts(Run(report.calls.folder / "runs" / name))
        rows.append((name, *facts, *(", ".join(numbers) or "–" for numbers in places)))
    if not rows:
        return ""
    number = 1 + sum(block.kind == "table" for block in blocks)
    caption = f"**Table{SPACE}{number}.** The trained networks that numbers, figures and tables come from."
    numeric = tuple(name in ("Seed", "Epochs") for name in header)
    table = _table([header, *rows], numeric, f"{caption} {{#table-runs}}")
    return f"## Appendix: runs behind this report\n\n{table}\n"


def _run_facts(run: Run) -> tuple[str, ...]:
    """Experiment, seed, epochs and commit; dashes for a run that is gone, which the check reports."""
    if not all((run.folder / f"{name}.json").exists() for name in ("metrics", "config", "environment")):
        return ("–",) * 4
    config, commit = run.config(), run.environment().get("commit") or "–"
    return config.get("experiment", "–"), config.get("seed", "–"), run.metrics().get("epochs", "–"), commit[:7]


# As HTML, PDF and DOCX


def parse(markdown: str) -> dict:
    """The tree of a report as Pandoc reads it; nothing but the text is read. An ExportError says what Pandoc says."""
    # In so long a line tables keep the widths that their cells need.
    return json.loads(_pandoc(markdown.encode(), f"--from={READER}", "--to=json", "--sandbox", "--columns=10000"))


def foreign(tree: dict, report: Report) -> list[str]:
    """What a report must not hold, each with the file and line of its template that says it."""
    pictures = [block.entry["file"] for block in report.calls.blocks if block.kind == "figure"]
    found = []
    for fault, words in written_tree.foreign(tree, pictures):
        source = next((source for source in report.sources if words in source.text), report.sources[-1])
        line = source.text.count("\n", 0, source.text.find(words)) + 1 if words in source.text else 0
        found.append(f"{place(source.file, line)}: {fault}")
    return found


def export(tree: dict, target: Path, *, about: dict[str, str]) -> list[Path]:
    """Write a report in every format, to `target` with its suffix; figures lie relative to the folder of `target`.

    Equal input gives equal bytes. An ExportError says what Pandoc or Typst says.
    """
    files = [target.with_suffix(f".{name}") for name in FORMATS]
    for file in files:
        file.write_bytes(content(tree, target.parent, file.suffix, about=about))
    return files


def content(tree: dict, folder: Path, suffix: str, *, about: dict[str, str]) -> bytes:
    """A report in the format of a suffix, e.g. ".pdf"; figures lie relative to `folder`."""
    return {".html": _html, ".pdf": _pdf, ".docx": _docx}[suffix](tree, folder, about)


def _html(tree: dict, folder: Path, about: dict[str, str]) -> bytes:
    style = (PAGES / "report.css").read_text(encoding="utf-8")
    options = ["--standalone", "--embed-resources", "--mathml", f"--template={PAGES / 'report.html'}"]
    options += [f"--metadata=pagetitle={about['title']}", f"--variable=style={style}", "--shift-heading-level-by=0"]
    options += [f"--variable={name}={html.escape(value)}" for name, value in about.items() if value]
    page = _written(tree, folder, "html5", *options).decode()
    # Wide tables scroll by themselves, with the keyboard too.
    scroll = r'<div class="scroll" tabindex="0" role="group" aria-label="Table">\g<0>'
    return re.sub("</table>", r"\g<0></div>", re.sub("<table", scroll, page)).encode()


def _pdf(tree: dict, folder: Path, about: dict[str, str]) -> bytes:
    texts = json.dumps(about, ensure_ascii=False)
    # The fonts that come with Typst give the same pages on every machine; the system's only help out with scripts that
    # those lack.
    own = not OTHER_SCRIPTS.search(json.dumps(tree, ensure_ascii=False) + texts)
    given = {"root": str(folder), "ignore_system_fonts": own, "sys_inputs": {"about": texts}}
    try:
        source = _typeset(tree, folder, given).encode()
        return typst.compile(source, timestamp=int(about["timestamp"]), format="pdf", **given)
    except typst.TypstError as error:
        raise ExportError(f"Typst could not set {about['title']!r}: {error.diagnostic or error}") from error


def _typeset(tree: dict, folder: Path, given: dict) -> str:
    """The report in Typst; a figure that would leave a gap at the foot of a page floats to the top of the next one."""
    body = _with_alt_texts(_written(tree, folder, "typst").decode(), tree)
    heading = r"(?:=+ .*\n(?:<\S+>\n)?\n*)?"
    body = re.sub(rf"^({heading}#figure\()", r"#end\n\n\1", body, flags=re.MULTILINE)
    # Of a figure that floats, Typst knows the place in the text; its caption tells where it stands. Pandoc labels no
    # heading in capitals.
    start, *figures = re.split(r"^(?=#figure\()", body, flags=re.MULTILINE)
    mark = "caption: [#metadata({})<CAPTION>"
    body = start + "".join(one.replace("caption: [", mark.format(number), 1) for number, one in enumerate(figures))
    body = re.sub(r"^=+ References\n", r"#place.flush()\n\g<0>", body, flags=re.MULTILINE)  # no figure is left for them
    page, floating = (PAGES / "report.typ").read_text(encoding="utf-8"), []
    while True:
        rules = [f"#show <{name}>: set figure(placement: top)" for name in floating]
        source = "\n".join([page, *rules, body, "#places"])
        places = json.loads(typst.query(source.encode(), "<PLACES>", field="value", one=True, **given))
        late = _late(places, floating)
        if not late:
            return source
        floating.append(late)


def _late(places: dict, floating: list[str]) -> str:
    """The first figure or table that leaves a gap before it, or stands out of turn among its kind; "" if none does."""
    captions, before = {number: place for number, *place in places["captions"]}, {}
    for number, ((name, *top), (page, bottom)) in enumerate(zip(places["figures"], places["ends"], strict=True)):
        gap, stands, kind = (top[0] - page) * places["foot"] - bottom, captions.get(number, top), name.partition("-")[0]
        last, earlier = before.get(kind, ([0, 0], ""))
        wrong = ([name] if gap > MOST_GAP else []) + ([name, earlier] if stands < last else [])
        for one in wrong:
            if one and one not in floating:
                return one
        before[kind] = max((last, earlier), (stands, name))
    return ""


def _with_alt_texts(body: str, tree: dict) -> str:
    """Pandoc leaves the alt texts out of Typst."""
    texts = {file: json.dumps(text, ensure_ascii=False) for file, text in written_tree.alt_texts(tree).items()}
    return re.sub(r'image\("([^"]+)"', lambda found: f'image("/{found[1]}", alt: {texts[found[1]]}', body)


def _docx(tree: dict, folder: Path, about: dict[str, str]) -> bytes:
    facts = {
        "title": about["title"],
        "subtitle": f"{about['brief']}: {about['question']}",
        "author": about["student"],
        "date": f"{about['made']}. {about['note']}" if about["note"] else about["made"],
        "lang": "en-GB",
    }
    options = [f"--metadata={name}={value}" for name, value in facts.items()]
    with tempfile.TemporaryDirectory() as home:
        look, result = Path(home) / "reference.docx", Path(home) / "report.docx"
        look.write_bytes(_word_look(_pandoc(b"", "--print-default-data-file=reference.docx")))
        options += [f"--reference-doc={look}", f"--output={result}"]
        _written(written_tree.for_word(tree), folder, "docx", *options, timestamp=about["timestamp"])
        return result.read_bytes()


def _word_look(default: bytes) -> bytes:
    """Pandoc's reference document with `CHANGES`."""
    with zipfile.ZipFile(io.BytesIO(default)) as source:
        parts = {name: source.read(name).decode() for name in source.namelist()}
    for part, pattern, new in CHANGES:
        parts[part] = re.sub(pattern, new, parts[part])
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in (parts | {"word/footer1.xml": FOOTER}).items():
            target.writestr(zipfile.ZipInfo(name), content)  # of 1980: no time of making
    return result.getvalue()


def _written(tree: dict, folder: Path, to: str, *options: str, timestamp: str = "0") -> bytes:
    given = ("--from=json", f"--to={to}", "--shift-heading-level-by=-1", *options)
    return _pandoc(json.dumps(tree).encode(), *given, folder=folder, timestamp=timestamp)


def _pandoc(text: bytes, *options: str, folder: Path | None = None, timestamp: str = "0") -> bytes:
    command = [pypandoc.get_pandoc_path(), "--fail-if-warnings", *options]
    environment = os.environ | {"SOURCE_DATE_EPOCH": timestamp}
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, env=environment)
    if done.returncode:
        raise ExportError(f"Pandoc could not write the report: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
