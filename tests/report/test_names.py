"""Names are data: thirty nasty ones through notebook pages, HTML, PDF, DOCX, CSV and the terminal."""

import csv
import io
import re
import subprocess
import unicodedata

import numpy as np
import pandas as pd
import pypandoc
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_output
from page_reader import Tags, fetched
from PIL import Image
from tiny_notebooks import tiny_notebook, write

from lib.__main__ import main
from lib.config.names import csv_bytes, markdown, printable, read_csv
from lib.report import notebooks
from lib.report.results import display, open_results
from lib.report.written import documents

MARKUP = [
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "</td></table><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "![x](http:x)",
    "![x][r]",
    "[click](javascript:alert(1))",
    "<javascript:alert(1)>",
    "http://evil.example www.evil.example a@evil.example",
    "*bold*",
    "__bold__ ~~gone~~ ^up^ ~down~",
    "`code`",
    "$x^2$ and $$y$$",
    r"\(x\) \[y\] \begin{x}z\end{x}",
    r"\input{/etc/passwd}",
    "#let x = 1",
    '#image("/etc/passwd")',
    "&lt;b&gt; &#60;",
    "a | b",
    "[[wiki]] {.class #id onclick=x}",
    "::: warning",
    "# heading",
    "{{ value }} {% if %} {x}",
]
FORMULAS = ['=HYPERLINK("http://evil.example","x")', "+1", "-2+3", "@ref", "'=1+1", "'quoted", "\uff1d1+1"]
MOVING = ["red \x1b[31mon\x1b[0m", "back\r\x08space\x07", "two\nlines\tapart", "\u202eright to left", "bell \x9b2J"]
NAMES = [*MARKUP, *FORMULAS, *MOVING]


def words(text):
    """The text without the difference between kinds of white space and of quotation marks."""
    text = unicodedata.normalize("NFC", text).replace("\u00a0", " ")
    return re.sub("[“”]", '"', re.sub("[‘’]", "'", " ".join(text.split())))


def page_text(html):
    """What a reader sees of the body of a page."""
    import html as entities

    body = re.sub(r"(?s)<(style|script|head)\b.*?</\1>", " ", html)
    return words(entities.unescape(re.sub(r"<[^>]*>", "", body)))


def missing(text):
    """Names that are not in a text, letter by letter."""
    return [name for name in NAMES if words(printable(name)) not in text]


def harmless(html):
    """Nothing on the page acts, or is fetched, by a name."""
    tags = Tags(html)
    kinds = {name for name, _ in tags.found}
    acting = [key for _, attributes in tags.found for key in attributes if key.startswith("on")]
    assert acting == [] and not kinds & {"svg", "script", "iframe", "object"}
    assert fetched(html) == [] and all(tag["href"][0] == "#" for tag in tags.all("a"))


@pytest.fixture
def results(own_folders):
    return open_results("demo", notebook="01_tiny", profile="smoke")


def test_there_are_thirty(results):
    assert len(NAMES) >= 30 and len(set(NAMES)) == len(NAMES)


def test_a_notebook_page_shows_every_name_and_runs_none(results, monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(display, "publish", lambda text, **kinds: shown.append({"text/plain": text} | kinds))
    for number, name in enumerate(NAMES):
        results.save_value(f"name{number}", name)
        results.say(f"The hardest is *{{name{number}}}*, then {{name{number}}}.")
        assert shown[-1]["text/plain"] == f"The hardest is *{printable(name)}*, then {printable(name)}."
    said = list(shown)
    for number, part in enumerate((NAMES[:20], NAMES[20:])):
        frame = pd.DataFrame({"class_name": part, "<b>n</b>": 1.5})
        results.save_table(f"names{number}", frame, caption="Names <b> of `x`.")
    results.save_figure("x", Figure(figsize=(1, 1)), caption=NAMES[0], alt=NAMES[3])
    kinds = {"html": "text/html", "markdown": "text/markdown"}
    outputs = [
        new_output("display_data", data={kinds.get(kind, kind): text for kind, text in one.items()}) for one in shown
    ]
    write(tiny_notebook(new_code_cell("1", outputs=outputs)), tmp_path)
    notebooks.export_page(tmp_path / "01_tiny.ipynb", tmp_path / "page.html", subtitle="<b>x</b>")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    said_part, table_part = html.split("<table>", 1)
    harmless(re.sub(r'<(header|footer)\b.*?</\1>|<a class="skip".*?</a>', "", html, flags=re.DOTALL))
    assert len(said) == len(NAMES) and missing(page_text(said_part)) == [] and missing(page_text(table_part)) == []
    assert "<em>*bold*</em>, then *bold*." in html and "Names &lt;b&gt; of <code>x</code>." in html


def test_every_format_of_a_written_report_shows_every_name(tmp_path):
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "figures" / "a.png")
    rows = "\n".join(f"| {markdown(name)} | 1 |" for name in NAMES)
    text = "\n\n".join(f"So {markdown(name)} and *{markdown(name)}*." for name in NAMES)
    text += f'\n\n![Fig](figures/a.png){{#figure-a alt="{markdown(NAMES[3])}" width=50%}}'
    text += f"\n\n| n | m |\n|:--|--:|\n{rows}\n"
    tree = documents.parse(text)
    about = dict.fromkeys(("title", "brief", "question", "student", "made", "note"), NAMES[0]) | {"timestamp": "0"}
    files = {file.suffix: file for file in documents.export(tree, tmp_path / "report", about=about)}
    html = files[".html"].read_text(encoding="utf-8")
    harmless(html)
    assert Tags(html).all("img")[0]["alt"] == NAMES[3]
    assert missing(page_text(html)) == []
    typst = documents._written(tree, tmp_path, "typst")
    typst = re.sub(rb"(?s)#figure\(image.*?<figure-a>", b"", typst)
    for form, source in (("docx", files[".docx"].read_bytes()), ("typst", typst)):
        command = [pypandoc.get_pandoc_path(), f"--from={form}", "--to=plain", "--wrap=none", "--columns=10000"]
        read = subprocess.run(command, input=source, capture_output=True, check=True).stdout.decode()
        assert [name for name in missing(words(read)) if name not in MOVING] == [], form
    assert files[".pdf"].read_bytes().startswith(b"%PDF-")


def test_a_table_holds_no_formula_and_gives_the_names_again(results):
    frame = pd.DataFrame({"class_name": NAMES, "gain": -1.5, "=1+1": [*NAMES[1:], "-1.5"]})
    results.save_table("names", frame, caption="Names.")
    file = results.folder / "tables" / "names.csv"
    cells = [cell for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline="")) for cell in row]
    numbers = [cell for cell in cells if re.fullmatch(r"-?\d+\.\d+", cell)]
    assert numbers == ["-1.5"] * (len(NAMES) + 1)
    assert [cell for cell in cells if cell[0] in "=+-@\t\r\n\uff1d" and cell not in numbers] == []
    assert "'+1" in cells and "''=1+1" in cells and "'quoted" in cells
    again = read_csv(file, dtype={"=1+1": str})
    assert again["gain"].tolist() == [-1.5] * len(NAMES)
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)
    plain = pd.DataFrame({"a": ["x", "1.5", None, ""], "b": [1, 2, 3, 4], "c": [True, False, True, False]})
    assert csv_bytes(plain) == plain.to_csv(index=False, lineterminator="\n").encode()


def test_a_name_never_moves_the_cursor_of_a_terminal(own_folders, capsys):
    raw = own_folders / "images"
    for label, name in enumerate(name.replace("/", "_") for name in NAMES[-15:]):
        (raw / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng(100 * label + number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(raw / name / f"{number}.png")
        (raw / name / f"{name}.png").write_bytes(b"no image")
    assert main(["data", "BRIEF=folder", f"DATA={raw}"]) == 0
    printed = capsys.readouterr().out
    assert not re.search("[^\n\x20-\x7e\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\U0010ffff]", printed)
    assert "left out" in printed and r"back\r\x08space\x07" in printed
    assert main(["data", "BRIEF=folder", f"DATA={raw}/\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err
