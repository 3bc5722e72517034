"""The notebooks keep to their shape; the rules find what breaks it."""

import re
from itertools import combinations

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from notebook_rules import faults, saved_names
from tiny_notebooks import PARAMETERS, tagged, tiny_notebook, write

from lib import briefs
from lib.config import paths
from lib.report import notebooks
from lib.report.make import PLANS
from lib.report.notebooks.table import NOTEBOOKS

# The notebooks of this repository


def test_the_notebooks_keep_to_the_rules():
    files = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
    assert {file.stem: found for file in files if (found := faults(file))} == {}


def test_every_notebook_has_a_number_of_its_own():
    numbers = [name[:2] for name in notebooks.names()]
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) == len(list(paths.NOTEBOOKS.glob("*.ipynb")))


def test_no_two_notebooks_of_a_brief_save_under_one_name():
    """Some names are saved only with real data or at a larger profile, where no quick test would meet the clash."""
    for brief in briefs.names():
        names = [name for name in briefs.load(brief).notebooks if (paths.NOTEBOOKS / f"{name}.ipynb").exists()]
        saved = {name: saved_names(paths.NOTEBOOKS / f"{name}.ipynb") for name in names}
        assert all(saved.values())
        pairs = combinations(names, 2)
        assert not [(one, other, both) for one, other in pairs if (both := saved[one] & saved[other])], brief


def test_what_the_reports_show_names_its_runs():
    """Some reports are made by no quick test; `check-report` would find this only at the end of a long one."""
    pages = "".join(file.read_text() for file in sorted((paths.ROOT / "reports" / "templates").rglob("*.md")))
    shown = {(f"save_{kind}", name) for kind, name in re.findall(r'\b(figure|table)\("(\w+)"', pages)}
    files = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
    reading = [file for file in files if NOTEBOOKS[file.stem].jobs]
    assert {file.stem: found for file in reading if (found := shown & saved_names(file, without="runs"))} == {}


def test_every_notebook_has_an_entry_in_the_table():
    assert set(notebooks.names()) == set(NOTEBOOKS)
    assert {kind for entry in NOTEBOOKS.values() for kind in entry.jobs} == set(PLANS)


# The rules find what is planted


def test_a_good_notebook_has_no_faults(tmp_path):
    cells = [
        new_markdown_cell("## How many?"),
        new_code_cell(
            'results.save_value("dataset.images", 3)\nresults.say("{dataset.images} images/class, and/or more.")'
        ),
        new_code_cell('import sys\n\nsys.path.insert(0, "..")'),
        new_code_cell("# a comment\n" * 20 + "x = 1\n" * 15),
    ]
    assert faults(write(tiny_notebook(*cells), tmp_path)) == []


MANY = 'x = {"c": 1}\nx |= {"b": 2}\nresults.save_values(x | {"d": 1}, prefix="a.")\nresults.save_value("a.b", 1)'
PLANTED_CODE = [
    ("def double(x):\n    return 2 * x", "it defines a function or class"),
    ("class Box:\n    pass", "it defines a function or class"),
    ("%pip install pandas", "it runs a command or magic"),
    ("!pip install pandas", "it runs a command or magic"),
    ("files = !ls", "it runs a command or magic"),
    ("%load_ext tensorboard", "it runs a command or magic"),
    ("plt.show()", "it calls show()"),
    ("import os.path", "it imports os.path"),
    ("from pathlib import Path", "it imports pathlib"),
    ('open("/home/me/x.csv")', "it holds the path '/home/me/x.csv'"),
    ('x = "../data/raw"', "it holds the path '../data/raw'"),
    ('x = "~/images"', "it holds the path '~/images'"),
    ('x = r"C:\\images"', "it holds the path"),
    ('x = "reports/demo/values.json"', "it holds the path 'reports/demo/values.json'"),
    ('x = ".."', "it holds the path '..'"),
    ("x = 1\n" * 16, "a cell has 16 lines of code"),
    ("x = (", "a code cell is not Python"),
    ('results.save_value("a", 1)\nresults.save_value("a", 2)', "save_value is called twice with 'a'"),
    (MANY, "save_value is called twice with 'a.b'"),
    ('open_results(BRIEF, notebook="02_other", profile="quick")', "it opens the results of 02_other"),
    ("open_brief(BRIEF, PROFILE, DATA)", "it uses PROFILE: results.profile is the one that it runs at"),
]


def test_planted_code_is_found(tmp_path):
    for source, fault in PLANTED_CODE:
        found = faults(write(tiny_notebook(new_code_cell(source)), tmp_path))
        assert len(found) == 1 and found[0].startswith(fault), source


def test_long_cells_on_average_are_found(tmp_path):
    assert faults(write(tiny_notebook(*[new_code_cell("x = 1\n" * 12) for _ in range(3)]), tmp_path)) == [
        "cells have 7.0 lines of code on average"
    ]


PLANTED_CELLS = [
    (0, new_code_cell("x = 1"), "the first cell is not Markdown with a title"),
    (0, new_markdown_cell("# Title\n\n- a\n- b\n- c"), "the first cell asks no question"),
    (0, new_markdown_cell("# Why?\n\n- a\n- b"), "the first cell has not 3 to 5 bullets"),
    (1, new_code_cell(PARAMETERS), "0 cells are tagged parameters, not one"),
    (2, tagged("x = 1", "parameters"), "2 cells are tagged parameters, not one"),
    (1, tagged('BRIEF = "demo"\nPROFILE = "smoke"', "parameters"), "the parameters do not begin as"),
    (1, tagged(PARAMETERS.replace("smoke", "full"), "parameters"), "the parameters do not begin as"),
    (1, tagged(PARAMETERS + "\nX = len(DATA)", "parameters"), "the parameters cell holds more than plain values"),
    (1, tagged(PARAMETERS + "\nimport re", "parameters"), "the parameters cell holds more than plain values"),
    (1, tagged(PARAMETERS + "\nA = 1\nB = 2\nC = 3", "parameters"), "there are more than 5 parameters"),
    (-1, new_code_cell("x = 1"), "the last code cell asserts nothing"),
    (-1, new_code_cell("assert BRIEF", execution_count=3), "outputs or execution counts are not stripped"),
    (-1, new_code_cell("assert BRIEF", outputs=[new_output("stream", text="x")]), "outputs or execution counts"),
]


def test_planted_cells_are_found(tmp_path):
    for index, cell, fault in PLANTED_CELLS:
        notebook = tiny_notebook()
        notebook.cells[index] = cell
        assert any(found.startswith(fault) for found in faults(write(notebook, tmp_path))), fault


def test_planted_names_and_metadata_are_found(tmp_path):
    assert faults(write(tiny_notebook(), tmp_path, name="tiny"))[0] == "its name is not numbered like 01_explore.ipynb"
    notebook = tiny_notebook()
    notebook.metadata = {"widgets": {}}
    assert faults(write(notebook, tmp_path)) == [
        "its kernel is not python3",
        "its language_info is not python",
        "it holds state of widgets",
    ]
