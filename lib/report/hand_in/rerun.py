"""Making a handed-in report again, in a fresh folder and from the code in the zip."""

import os
import subprocess
import sys
from pathlib import Path

from lib.config import paths


def make_again(root: Path, folder: Path, *, brief: str, profile: str, data: str = "") -> Path:
    """Run `python -m lib report` of an unpacked hand-in, with this Python and this machine's raw data.

    Args:
        root: the unpacked hand-in; its own reports are not touched.
        folder: where the new report and its caches go.
        brief: name of the brief.
        profile: smoke, quick or full.
        data: folder of images, for the brief `folder`.

    Returns:
        The new report folder.

    Raises:
        ValueError: if it cannot be made; the last lines say why.
    """
    raw = [str(path) for path in paths.raw_folders() if path.is_dir()]
    settings = os.environ | {
        "VENV": "none",
        "PYTHONPATH": str(root),
        "COURSEWORK_REPORTS": str(folder / "reports"),
        "COURSEWORK_CACHE": str(folder / "cache"),
        "COURSEWORK_DATA": os.pathsep.join(raw),
    }
    command = [sys.executable, "-m", "lib", "report", "--brief", brief, "--profile", profile]
    command += ["--data", data] if data else []
    print(f"== making {brief} again, profile {profile}", flush=True)
    status = subprocess.call(command, cwd=root, env=settings)
    made = folder / "reports" / brief
    # 1: the report is there, but its own check found something, which was printed.
    if status not in (0, 1) or not (made / "values.json").is_file():
        raise ValueError(f"The report of {brief} could not be made again: see the lines above. Exit status {status}")
    return made
