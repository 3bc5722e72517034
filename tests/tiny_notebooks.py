"""Small notebooks that keep to the rules, for tests that need some."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
TITLE = "# What is in the *data*?\n\n- how many\n- how large\n- how hard"
PARAMETERS = 'BRIEF = "demo"\nPROFILE = "smoke"\nDATA = ""'
OPENING = 'from lib.report.results import open_results\n\nresults = open_results(BRIEF, notebook="{}", profile=PROFILE)'


def tagged(source, *tags):
    """A code cell with tags."""
    return new_code_cell(source, metadata={"tags": list(tags)})


def tiny_notebook(*cells, name="01_tiny"):
    """A notebook with some cells between its opening and its last one."""
    opening = tagged(OPENING.format(name), "remove-input")
    first = [new_markdown_cell(TITLE), tagged(PARAMETERS, "parameters"), opening]
    return new_notebook(cells=[*first, *cells, new_code_cell("assert BRIEF")], metadata=METADATA)


def write(notebook, folder, name="01_tiny"):
    """Write a notebook to a folder."""
    file = Path(folder) / f"{name}.ipynb"
    nbformat.write(notebook, file)
    return file
