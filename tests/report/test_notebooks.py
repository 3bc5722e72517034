"""Notebooks run with checked parameters, and become pages that need no network."""

import hashlib
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from page_reader import Tags, fetched
from tiny_notebooks import METADATA, tagged, tiny_notebook, write

from lib.config import paths
from lib.report import notebooks
from lib.report.results import open_results, read_manifest, read_values

GIVEN = {"BRIEF": "demo", "PROFILE": "smoke"}


@pytest.fixture
def home(own_folders, monkeypatch):
    """A folder of notebooks of this test's own."""
    folder = own_folders / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    return folder


# Names and parameters


def test_only_numbered_notebooks_are_offered(home):
    for name in ("02_b", "01_a", "scratch"):
        write(tiny_notebook(), home, name)
    assert notebooks.names() == ["01_a", "02_b"]
    with pytest.raises(ValueError, match="Unknown notebook '1_a'. Notebooks: 01_a, 02_b"):
        notebooks.execute("1_a", GIVEN)


def test_unknown_parameters_are_refused_before_anything_runs(home):
    write(tiny_notebook(), home)
    with pytest.raises(ValueError, match="01_tiny has no parameter EPOCS. Parameters: BRIEF, PROFILE, DATA"):
        notebooks.execute("01_tiny", GIVEN | {"EPOCS": 3})
    assert not paths.report("demo").exists()


def test_a_notebook_without_parameters_is_refused(home):
    write(new_notebook(cells=[new_code_cell("x = 1")], metadata=METADATA), home)
    with pytest.raises(ValueError, match="01_tiny.ipynb has no parameters: one cell must be tagged"):
        notebooks.execute("01_tiny", GIVEN)


# Pages


def page_of(folder, *cells):
    executed = write(tiny_notebook(*cells), folder)
    page = folder / "01_tiny.html"
    notebooks.export_page(executed, page, subtitle="demo, profile smoke")
    return page.read_text(encoding="utf-8")


def output(**data):
    return new_output("display_data", data={key.replace("_", "/"): value for key, value in data.items()})


def test_a_page_fetches_nothing_and_says_what_it_is(tmp_path):
    figure = '<figure><img alt="Bars" src="data:image/png;base64,AAAA"></figure>'
    html = page_of(
        tmp_path,
        new_markdown_cell("## How many?\n\nSee [the paper](https://example.org/paper). $x^2$"),
        new_code_cell("shown = 1", outputs=[output(text_html=figure), output(text_markdown="**3** images")]),
        new_markdown_cell("## And then?"),
    )
    assert fetched(html) == []
    assert "script" not in {tag for tag, _ in Tags(html).found}
    assert re.findall(r"https?://[^\"<\s]+", html) == ["https://example.org/paper"]
    assert Tags(html).all("html") == [{"lang": "en"}]
    assert "<title>What is in the data?</title>" in html
    assert "demo, profile smoke" in html
    assert [tag["href"] for tag in Tags(html).all("a")].count("index.html") == 2
    assert [tag["alt"] for tag in Tags(html).all("img")] == ["Bars"]
    assert "<strong>3</strong> images" in html
    links = [tag["href"] for tag in Tags(html).all("a") if tag["href"].startswith("#How")]
    assert set(links) == {"#How-many?"}


def test_the_fetch_test_finds_what_the_stock_page_fetches(tmp_path):
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_notebook_node(tiny_notebook())
    assert any("require" in address for address in fetched(html))


def test_hidden_inputs_and_warnings_are_not_on_the_page(tmp_path):
    html = page_of(
        tmp_path,
        tagged("secret = 1", "injected-parameters"),
        tagged("hidden = 2", "remove-input"),
        new_code_cell("visible = 3", outputs=[new_output("stream", name="stderr", text="a warning")]),
    )
    text = re.sub(r"<style.*?</style>|<[^>]+>", "", html, flags=re.DOTALL)
    assert "visible = 3" in text
    for hidden in ("PROFILE", "secret", "hidden", "a warning"):
        assert hidden not in text


def test_long_prints_are_folded_and_plain_outputs_are_shown(tmp_path):
    html = page_of(
        tmp_path,
        new_code_cell("x", outputs=[new_output("stream", name="stdout", text="line\n" * 30)]),
        new_code_cell("y", outputs=[new_output("stream", name="stdout", text="short\n")]),
        new_code_cell("z", outputs=[new_output("execute_result", data={"text/plain": "42 < 43"})]),
        new_code_cell("w", outputs=[output(image_png="AAAA", text_plain="<Figure>")]),
    )
    assert "Printed text, 30 lines" in html
    assert html.count("<details>") == 1
    assert "42 &lt; 43" in html
    assert Tags(html).all("img") == [{"alt": "<Figure>", "src": "data:image/png;base64,AAAA"}]


def test_title_is_the_first_heading_as_plain_text():
    assert notebooks.title(tiny_notebook()) == "What is in the data?"
    assert notebooks.title(new_notebook(cells=[new_markdown_cell("## Smaller")])) == ""


# Execution


SHOWN = """\
import os
import sys
import pandas as pd
from matplotlib import pyplot

os.write(2, b"noise of a C++ library\\n")
print("a warning", file=sys.stderr)
print("10 %\\r20 %\\rdone")
figure, axes = pyplot.subplots()
results.save_figure("bars", figure, caption="Bars.", alt="No bars")
results.save_table("sizes", pd.DataFrame({"n": [1]}), caption="Sizes.")
results.save_value("dataset.images", 3)
results.say("{dataset.images} images of " + BRIEF)
"""

TWICE = """\
results.save_value("twice", 1)
try:
    results.save_value("twice", 2)
except ValueError as error:
    print(error)
"""


@pytest.mark.notebook
def test_execution_writes_results_page_and_the_same_copy_every_time(home, capfd, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv("COURSEWORK_REPORTS", "../reports")  # relative: another folder for the kernel
    monkeypatch.setenv("HOME", str(home))
    facts = "print(BRIEF, PROFILE, DATA, os.getcwd())"
    write(tiny_notebook(new_code_cell(SHOWN), new_code_cell(facts), new_code_cell(TWICE)), home)
    given = {"BRIEF": "folder", "PROFILE": "quick", "DATA": "/home/ada/photos"}
    page = notebooks.execute("01_tiny", given)
    folder = paths.report("folder")
    copy = folder / "notebooks" / "01_tiny.ipynb"
    first = copy.read_bytes()
    assert page == folder / "01_tiny.html"
    assert notebooks.execute("01_tiny", given) == page
    assert copy.read_bytes() == first
    assert b"papermill" not in first and b"iopub" not in first
    assert not copy.with_suffix(".log").exists()
    assert [entry["file"] for entry in read_manifest(folder)] == ["figures/bars.png", "tables/sizes.csv"]
    assert read_values(folder)["dataset.images"]["profile"] == "quick"
    executed = nbformat.read(copy, as_version=4)
    shown = executed.cells[4].outputs
    assert [out.get("name", "".join(out.get("data", {}).keys())) for out in shown] == [
        "stdout",
        "stderr",
        "text/htmltext/plain",
        "text/htmltext/plain",
        "text/markdowntext/plain",
    ]
    assert [out.text for out in shown[:2]] == ["done\n", "a warning\n"]  # nothing of C++, no overwritten progress
    assert executed.cells[5].outputs[0].text == "folder quick photos ~\n"  # and not whose they are
    assert 'DATA = "photos"' in executed.cells[2].source and b"/ada" not in first and str(home).encode() not in first
    assert "Received twice: 'twice'" in executed.cells[6].outputs[0].text
    html = page.read_text(encoding="utf-8")
    assert "3 images of folder" in html and 'alt="No bars"' in html
    assert fetched(html) == []
    screen = capfd.readouterr()
    assert f"folder quick /home/ada/photos {home}\n" in screen.out  # what it prints can be followed
    assert re.search(r"^01_tiny: done in \d+ s$", screen.out, re.MULTILINE)
    assert "noise" not in screen.out + screen.err and "Executing" not in screen.err


def test_folders_of_this_machine_are_left_out_and_pictures_stay():
    home, root = Path.home(), paths.ROOT
    text = f"{root}/lib/x.py:3, {home}/y, {home}_not, file://{root}, {sys.prefix}/lib, /photos/cat base64,/photos/AA="
    said = f"./lib/x.py:3, ~/y, {home}_not, file://., python/lib, photos/cat base64,/photos/AA="
    assert notebooks.without_folders(text, "/photos") == said


@pytest.mark.notebook
def test_a_failing_cell_is_named_and_its_notebook_kept(home):
    write(tiny_notebook(new_code_cell("x = 1"), new_code_cell('print("before")\nraise OSError("no\\nspace")')), home)
    page = paths.report("demo") / "01_tiny.html"
    page.parent.mkdir(parents=True)
    page.write_text("of an earlier run")
    message = r'01_tiny, cell \[5\] `print\("before"\)`: OSError: no space\nRead .*01_tiny.ipynb'
    with pytest.raises(notebooks.NotebookError, match=message) as caught:
        notebooks.execute("01_tiny", GIVEN)
    assert caught.value.__suppress_context__
    assert "OSError" in (paths.report("demo") / "notebooks" / "01_tiny.ipynb").read_text()
    assert not page.exists()


@pytest.mark.notebook
def test_a_kernel_that_dies_is_reported_with_its_last_words(home):
    write(tiny_notebook(new_code_cell('import os\nos.write(2, b"out of memory")\nos._exit(1)')), home)
    with pytest.raises(notebooks.NotebookError, match="its Python process died.*01_tiny.log"):
        notebooks.execute("01_tiny", GIVEN)
    log = paths.report("demo") / "notebooks" / "01_tiny.log"
    assert "out of memory" in log.read_text()


# Opened by hand


def checksums(folder):
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and "draft" not in file.relative_to(folder).parts
    }


def outputs(cell):
    """The text of each output of an executed cell; of an error what is shown."""
    return ["\n".join(one.get("traceback", [])) or one.get("text") or one.data["text/plain"] for one in cell.outputs]


@pytest.mark.notebook
def test_a_notebook_opened_by_hand_leaves_the_report_as_it_is(home, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))
    other = open_results("demo", notebook="02_experiments", profile="quick")
    other.save_value("best.epochs", 7)
    write(tiny_notebook(new_code_cell('results.save_value("dataset.images", 3)')), home)
    notebooks.execute("01_tiny", {"BRIEF": "demo", "PROFILE": "quick"})
    folder = paths.report("demo")
    before = checksums(folder)
    assert {"01_tiny.html", "values.json", "notebooks/01_tiny.ipynb"} == set(before)
    cells = [
        'open_results("demo", notebook="01_tiny", profile="full").profile',
        'results.save_value("dataset.images", 4)\nresults.say("{dataset.images} images, {best.epochs} epochs")',
        'open_results("dmo", notebook="01_tiny", profile=PROFILE)',
        'int("three")',
    ]
    opened = tiny_notebook(*map(new_code_cell, cells))
    NotebookClient(opened, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": home}}).execute()
    shown = [outputs(cell) for cell in opened.cells[2:]]
    assert shown[0] == [
        f"Draft at profile *quick*: results go to `{folder / 'draft'}`. "
        "`make report BRIEF=demo PROFILE=quick` alone writes the report."
    ]
    assert "profile *full*" in shown[1][0] and shown[1][1] == "'full'"  # what is asked for goes before
    assert shown[2] == ["4 images, 7 epochs"]  # its own number, and one that another notebook left in the report
    sentence = re.sub(r"\x1b\[[\d;]*m", "", shown[3][0])
    assert re.fullmatch(r"An exception .* %tb .*\s+ValueError: Unknown brief 'dmo'\. Briefs: .*\n?", sentence)
    assert "Traceback" in shown[4][0]  # a fault, and no wrong input that lib refuses
    assert checksums(folder) == before
    assert read_values(folder / "draft")["dataset.images"]["value"] == 4
