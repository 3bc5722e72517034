"""Runs the code of a brief's notebooks in this process, one after another: a report without kernels and without pages.

    python tests/run_notebooks.py BRIEF PROFILE DATA
"""

import os
import sys
import warnings

import nbformat

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import briefs, notebooks  # noqa: E402


def main(brief, profile, data):
    warnings.simplefilter("ignore")
    for name in briefs.load(brief).notebooks:
        space = {"__name__": "__main__"}
        for cell in nbformat.read(notebooks.locate(name), as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, f"{name}.ipynb", "exec"), space)
            if "parameters" in cell.metadata.get("tags", []):
                space |= {"BRIEF": brief, "PROFILE": profile, "DATA": data}


if __name__ == "__main__":
    main(*sys.argv[1:])
