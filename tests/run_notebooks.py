"""Runs the code of some notebooks in this process, one after another: a small report without kernels and pages.

python tests/run_notebooks.py BRIEF PROFILE DATA NOTEBOOK...
"""

import sys
import warnings
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import briefs  # noqa: E402
from lib.report import notebooks  # noqa: E402

EXPERIMENTS = {"baseline", "augment", "best"}  # of the brief; more would only take longer


def main(brief, profile, data, *names):
    """Run each cell with the given parameters in place of the notebook's own."""
    warnings.simplefilter("ignore")
    experiments = briefs.load(brief).experiments
    for experiment in set(experiments) - EXPERIMENTS:
        del experiments[experiment]
    for name in names:
        space = {"__name__": "__main__"}
        for cell in nbformat.read(notebooks.locate(name), as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, f"{name}.ipynb", "exec"), space)
            if "parameters" in cell.metadata.get("tags", []):
                space |= {"BRIEF": brief, "PROFILE": profile, "DATA": data}


if __name__ == "__main__":
    main(*sys.argv[1:])
