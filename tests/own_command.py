"""`python -m lib` where the brief `folder` has one notebook of a test's own.

python tests/own_command.py FOLDER_OF_NOTEBOOKS -m lib COMMAND ...
"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.briefs import folder  # noqa: E402
from lib.config import paths  # noqa: E402

OWN = "05_own"


def own_brief():
    """The brief `folder` with that notebook and no written report."""
    return folder.BRIEF.replace(notebooks=(OWN,), reports=())


if __name__ == "__main__":
    paths.NOTEBOOKS, folder.BRIEF = Path(sys.argv[1]), own_brief()
    sys.argv = ["lib", *sys.argv[4:]]
    runpy.run_module("lib", run_name="__main__")
