"""HTML, PDF and DOCX: everything inside, whatever signs the words hold, and a title block from the settings."""

import io
import json
import re
import shutil
import subprocess
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import pypandoc
import pytest
import typst
from page_reader import Tags, fetched
from PIL import Image

from lib import briefs
from lib.config import paths
from lib.config.names import markdown as escape
from lib.report.written import documents, tree
from lib.training import device

NASTY = [
    "<b>ant</b> & co",
    "#let *b*_c",
    "$x$ @d [e](f) | `g`",
    '"h" \\i {j} ~k^ //l',
    "= m",
    "- n",
    "1. o",
    "Ünï 漢字",
]
BLOCK = {
    "title": "A report",
    "brief": "Drawn <objects> #1",
    "question": "Which $one?",
    "student": "Ada & Co (7)",
    "made": "1 May 2026, commit x",
    "note": "",
    "timestamp": "1780000000",
}
PANDOC = pypandoc.get_pandoc_path()


def document(words):
    rows = "\n".join(f"| {escape(word)} | 1 |" for word in words)
    text = "\n\n".join(f"So {escape(word)} and *{escape(word)}*." for word in words)
    return (
        f"## A *heading*\n\n{text}\n\n"
        '[93.8 %]{.value title="best.x, run"} of [Figure 1](#figure-a), <u>raw</u> \\pi @x\n\n'
        '![**Figure 1.** Caption.](figures/a.png){#figure-a alt="It \\"shows\\" \\<x\\>\\." width=50%}\n\n'
        f"| Name | n |\n| :--- | ---: |\n{rows}\n\n: **Table 1.** Words. {{#table-a}}\n\n$$ \\sqrt{{x}} = \\alpha $$\n"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("home with spaces")
    (home / "figures").mkdir()
    Image.new("RGB", (300, 200), "teal").save(home / "figures" / "a.png")
    return home


@pytest.fixture(scope="module")
def files(folder):
    written = documents.export(documents.parse(document(NASTY)), folder / "report", about=BLOCK)
    return {file.suffix[1:]: file for file in written}


def as_text(file, form):
    done = subprocess.run(
        [PANDOC, f"--from={form}", "--to=plain", "--wrap=none", str(file)], capture_output=True, check=True, text=True
    )
    return done.stdout.replace("\u00a0", " ")


def straight(text):
    """Without the difference between typographic and plain quotation marks."""
    return re.sub("[“”]", '"', re.sub("[‘’]", "'", text))


def test_html_stands_alone_and_shows_every_sign(files):
    html = files["html"].read_text(encoding="utf-8")
    tags = Tags(html)
    assert fetched(html) == [] and "<script" not in html
    assert tags.all("html") == [{"lang": "en-GB"}]
    assert [(tag["alt"], tag["src"][:22]) for tag in tags.all("img")] == [('It "shows" <x>.', "data:image/png;base64,")]
    assert {"title": "best.x, run", "class": "value"} in tags.all("span")
    assert (
        "Drawn &lt;objects&gt; #1" in html and "Ada &amp; Co (7)" in html and "&lt;u&gt;raw&lt;/u&gt; \\pi @x" in html
    )
    text = straight(as_text(files["html"], "html"))
    assert all(straight(f"So {word} and ") in text for word in NASTY)


def test_docx_holds_the_same_words_pictures_and_page(files):
    text = straight(as_text(files["docx"], "docx"))
    assert all(straight(f"So {word} and ") in text for word in NASTY)
    with zipfile.ZipFile(files["docx"]) as archive:
        assert archive.testzip() is None
        parts = {name: archive.read(name) for name in archive.namelist()}
    body = parts["word/document.xml"].decode()
    assert 'descr="It &quot;shows&quot; &lt;x&gt;."' in body
    assert 'w:w="11906"' in body and 'w:h="16838"' in body and "footerReference" in body
    assert "PAGE" in parts["word/footer1.xml"].decode()
    assert "tblBorders" in parts["word/styles.xml"].decode()
    assert 'typeface="Cambria"' in parts["word/theme/theme1.xml"].decode()
    assert "Ada &amp; Co (7)" in parts["docProps/core.xml"].decode()
    assert not any(str(files["docx"].parent) in content.decode(errors="replace") for content in parts.values())


def test_columns_of_a_word_table_are_as_wide_as_their_longest_word(tmp_path):
    rows = [
        ["Layer", "Type", "Output shape", "Note"],
        ["Block_64__block_1__shortcut", "GlobalAveragePooling2D", "4 × 4 × 256", "some words " * 8],
        ["x", "Add", "4 × 4 × 256", "no difference within noise"],
    ]
    for columns in (4, 2):
        table = documents._table([tuple(row[-columns:]) for row in rows], (False,) * columns, "T. {#table-a}")
        new = tree.for_word(documents.parse(table))
        widths = [width["c"] for _, width in new["blocks"][0]["c"][2]]
        assert sum(widths) == pytest.approx(1)
        for width, cells in zip(widths, zip(*(row[-columns:] for row in rows), strict=True), strict=True):
            words = [word for cell in cells for word in cell.replace(" × ", "_×_").split()]
            assert width * tree.LINE >= max(map(len, words)) + 2, (cells[0], width)
    code = tree.for_word(documents.parse("`a_1`\n\n| a |\n|---|\n| `b_2` |\n"))
    kinds = [part["t"] for part in tree.parts(code["blocks"]) if isinstance(part, dict) and "_" in str(part.get("c"))]
    assert kinds.count("Code") == 1  # in the paragraph; in a table its letters would be larger than the others
    narrow = tree.for_word(documents.parse(documents._table([("a", "b"), ("cat", "1")], (False, True), "T.")))
    assert sum(width["c"] for _, width in narrow["blocks"][0]["c"][2]) < 0.2
    (file,) = [
        file for file in documents.export(documents.parse(table), tmp_path / "t", about=BLOCK) if file.suffix == ".docx"
    ]
    with zipfile.ZipFile(file) as archive:
        assert archive.read("word/document.xml").decode().count('w:val="TableText"') == 6
        assert 'w:styleId="TableText"' in archive.read("word/styles.xml").decode()


def test_pdf_embeds_its_fonts_and_describes_its_pictures(files, folder):
    content = files["pdf"].read_bytes()
    assert content.startswith(b"%PDF-")
    streams = [content]
    for match in re.finditer(rb"stream\r?\n", content):
        try:
            streams.append(zlib.decompressobj().decompress(content[match.end() :]))
        except zlib.error:
            continue
    inside = b"".join(streams)
    fonts = set(re.findall(rb"/FontName ?/([^\s/]+)", inside))
    assert {font.split(b"+")[1] for font in fonts} >= {b"LibertinusSerif-Regular", b"LibertinusSerif-Bold"}
    assert len(re.findall(rb"/FontFile[23]? ", inside)) == len(fonts)
    assert b"/StructTreeRoot" in inside and b"/Alt" in inside


def test_what_typst_sets_shows_every_sign(folder):
    parsed = documents.parse(document(NASTY))
    body = documents._written(parsed, folder, "typst").decode()
    assert 'image("/figures/a.png", alt: "It \\"shows\\" <x>."' in documents._with_alt_texts(body, parsed)
    (folder / "body.typ").write_text(
        re.sub(r"#figure\(image.*?<figure-a>", "", body, flags=re.DOTALL), encoding="utf-8"
    )
    text = straight(as_text(folder / "body.typ", "typst"))
    assert [word for word in NASTY if straight(f"So {word} and ") not in text] == []


@pytest.mark.parametrize("heights", [(700,) * 6, (700, 150, 900, 120, 500, 100), (900, 120, 900, 120, 900, 120)])
def test_no_page_of_a_pdf_has_a_gap_and_figures_stay_in_order(folder, heights):
    greys = [20 + 20 * number for number in range(6)]
    for number, (height, grey) in enumerate(zip(heights, greys, strict=True)):
        Image.new("L", (900, height), grey).save(folder / "figures" / f"f{number}.png")
    words = "Some words that fill a line or two of the page, as a report does. " * 16
    figures = [f'![**Figure.** C.](figures/f{n}.png){{#figure-f{n} alt="x" width=100%}}' for n in range(6)]
    text = (
        "## One\n\n"
        + f"\n\n{words}\n\n".join(figures)
        + f"\n\n{words}\n\n## End\n\n### Caption\n\n### Places\n\n{words}\n\n{words}\n"
    )
    given = {"root": str(folder), "ignore_system_fonts": True, "sys_inputs": {"about": json.dumps(BLOCK)}}
    text += "\n| a | b |\n|---|---|\n| c | d |\n"  # a table of one's own, without a label
    parsed, gaps = documents.parse(text), {}
    for kind, source in (("floats", documents._typeset(parsed, folder, given)), ("stays", _inline(parsed, folder))):
        pages = [Image.open(io.BytesIO(page)) for page in typst.compile(source.encode(), format="png", ppi=30, **given)]
        pages = [np.asarray(page.convert("L")) for page in pages]
        feet = [np.flatnonzero((page < 200).any(axis=1)[: int(0.92 * len(page))]).max() / len(page) for page in pages]
        gaps[kind] = 0.92 - min(feet[:-1])
        rows = np.concatenate([np.median(page, axis=1) for page in pages])
        assert [grey for grey in dict.fromkeys(rows) if grey in greys] == greys
    assert gaps["floats"] < 0.2 < gaps["stays"]


def _inline(parsed, folder):
    """The same with every figure in its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "MOST_GAP", 10_000)
        return documents._typeset(parsed, folder, {"root": str(folder), "sys_inputs": {"about": json.dumps(BLOCK)}})


def test_equal_input_gives_equal_bytes(files, folder):
    before = {name: file.read_bytes() for name, file in files.items()}
    assert documents.export(documents.parse(document(NASTY)), folder / "report", about=BLOCK) == list(files.values())
    assert {name: file.read_bytes() for name, file in files.items()} == before


def test_a_missing_picture_is_an_error_with_its_name(folder):
    with pytest.raises(documents.ExportError, match="figures/none.png"):
        documents.export(documents.parse("![x](figures/none.png)"), folder / "other", about=BLOCK)


# The title block


@pytest.fixture
def settings(monkeypatch):
    for name in ("STUDENT", "STUDENT_ID", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    state = SimpleNamespace(commit="0123456789abcdef", dirty=False)
    monkeypatch.setattr(device, "git_state", lambda: vars(state))
    return monkeypatch, state


def block(profile="quick", runs=(), **notices):
    used = {("value", "x"): {"runs": list(runs)}}
    facts = {"folder": paths.report("demo"), "used": used}
    facts["saved"] = {"value": {f"{name}.notice": {"value": text} for name, text in notices.items()}}
    calls = SimpleNamespace(brief=briefs.load("demo"), profile=profile, **facts)
    return documents.about(SimpleNamespace(title="Title", calls=calls))


def test_name_and_number_come_from_the_environment(settings):
    for name, number, line in [
        ("", "", "Name and student number not given"),
        ("Ada Lovelace", "", "Ada Lovelace"),
        ("", "s123", "s123"),
        (" Ada ", "s123", "Ada (s123)"),
    ]:
        settings[0].setenv("STUDENT", name)
        settings[0].setenv("STUDENT_ID", number)
        assert block()["student"] == line


def test_the_date_is_that_of_the_newest_run_and_not_of_today(settings, tmp_path):
    patch, state = settings
    patch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert block()["made"] == "2 January 1970, commit 0123456789, brief demo, profile quick"
    state.dirty = True
    assert "commit 0123456789 with uncommitted changes" in block()["made"]
    patch.delenv("SOURCE_DATE_EPOCH")
    state.commit = None
    assert block()["made"].startswith("1 January 1970, no commit known")
    patch.setenv("COURSEWORK_REPORTS", str(tmp_path))
    run = tmp_path / "demo" / "runs" / "best-seed0-1"
    run.mkdir(parents=True)
    (run / "metrics.json").touch()
    assert block(runs=[run.name])["timestamp"] == str(int((run / "metrics.json").stat().st_mtime))
    (run / "environment.json").write_text('{"wall_seconds": 1, "finished": 1780000000}')
    older = shutil.copytree(run, run.with_name("older-seed0-1"))
    (older / "environment.json").write_text('{"wall_seconds": 1, "finished": 1770000000}')
    assert block(runs=[run.name, older.name])["made"].startswith("28 May 2026, no commit known")


def test_a_smoke_run_is_said_to_be_one(settings):
    assert block("smoke")["note"].startswith("A smoke run") and block()["note"] == ""


def test_what_stands_in_is_said_below_the_title(settings):
    assert block(transfer="Another network.", dataset="Drawn images.")["note"] == "Drawn images. Another network."
    assert block(transfer="", dataset="")["note"] == ""
