"""The report of a hand-in made again in a fresh folder, by the code of this copy wherever the hand-in has the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lib.config import paths
from lib.config.files import checksum
from lib.report.hand_in import pack

# `-I` keeps the folder it is started in, PYTHONPATH and the user's own packages away; so the one folder is named here.
START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('lib', run_name='__main__', alter_sys=True)"
)
SHOWN = (
    "import json, pathlib, sys; _, project, root, brief, profile, answer = sys.argv; sys.path.insert(0, project); "
    "from lib.report.hand_in import shown; asked = pathlib.Path(root), brief, profile; "
    "faults = shown.check_notebooks(*asked) + shown.check_reports(*asked); "
    "pathlib.Path(answer).write_text(json.dumps(faults))"
)
# What of the caller's environment would reach the new one: other modules, start-up files, names on the title page.
DISTURBING = tuple("PYTHON IPYTHON JUPYTER COURSEWORK_ STUDENT SOURCE_DATE_EPOCH VENV VIRTUAL_ENV MAKE".split())
KEPT = ("COURSEWORK_CHROMIUM",)


def differing_code(root: Path) -> list[str]:
    """Files that decide the numbers and the words, and are not the same in an unpacked hand-in and in this copy."""
    names = {file.relative_to(root).as_posix() for file in root.rglob("*")} | set(pack.project_files())
    names = {name for name in names if name.startswith((*pack.FOLDERS, "data/")) and pack.belongs(name)}
    return sorted(name for name in names if checksum(root / name) != checksum(paths.ROOT / name))


def build_project(root: Path, target: Path) -> None:
    """The project of a hand-in in a new folder: its own files by name, and each that is the same from this copy."""
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if file.is_file() and pack.belongs(name):
            same = checksum(file) == checksum(paths.ROOT / name)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.ROOT / name if same else file, target / name)


def make_again(root: Path, folder: Path, *, brief: str, profile: str, data: str) -> Path:
    """The report of an unpacked hand-in, made anew in `folder`, with this Python and this raw data.

    Nothing of the hand-in can be imported but files of `lib`, and its results are not in reach by any name it is given.
    """
    project, made = folder / "project", folder / "reports" / brief
    build_project(root, project)
    words = ["report", "--brief", brief, "--profile", profile, *(["--data", data] if data else [])]
    print(f"== making {brief} again, profile {profile}", flush=True)
    status = _isolated(START, str(project), *words, folder=folder)
    # 1: the report is there, but its own check found something, which was printed.
    if status not in (0, 1) or not (made / "values.json").is_file():
        raise ValueError(f"The report of {brief} could not be made again: see the lines above. Exit status {status}")
    return made


def check_shown_again(root: Path, folder: Path, *, brief: str, profile: str) -> list[str]:
    """What `shown` finds, by the code of the hand-in, which `make_again` has put into `folder`."""
    answer = folder / "shown.json"
    words = [str(folder / "project"), str(root), brief, profile, str(answer)]
    if _isolated(SHOWN, *words, folder=folder):
        raise ValueError("The pages of the hand-in could not be compared with its results by its own code: see above")
    return json.loads(answer.read_text(encoding="utf-8"))


def _isolated(code: str, *words: str, folder: Path) -> int:
    """Run code in an isolated Python in `folder / "project"`; returns its exit status."""
    kept = {name: text for name, text in os.environ.items() if name in KEPT or not name.startswith(DISTURBING)}
    settings = kept | {
        "VENV": "none",
        "PYTHONSAFEPATH": "1",  # for the processes that the report starts: kernels, TensorBoard
        "PYTHONNOUSERSITE": "1",
        "GIT_CEILING_DIRECTORIES": str(folder),
        "COURSEWORK_REPORTS": str(folder / "reports"),
        "COURSEWORK_CACHE": str(folder / "cache"),
        "COURSEWORK_DATA": os.pathsep.join(str(path) for path in paths.raw_folders() if path.is_dir()),
    }
    return subprocess.call([sys.executable, "-I", "-c", code, *words], cwd=folder / "project", env=settings)
