"""Checking a zip that was handed in: the marker's tool.

Nothing is run at first: the files must be those of the manifest, and the predictions must give the accuracy. If asked,
everything is then made again from the code and the notebooks in the zip, and compared number by number.
"""

import math
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import pandas as pd

from lib.config import PROFILES, paths
from lib.config.files import checksum, read_json
from lib.datasets.fetch import archives
from lib.report.hand_in import compare
from lib.report.hand_in.pack import FORMAT, MANIFEST, file_name_of, machine_facts, project_files
from lib.report.results import NAME, read_values

SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what an unpacking and packing again adds


def verify_submission(archive: Path, *, rerun: bool = False, data: str = "") -> bool:
    """Check a zip made by `write_submission`, print what was found, and return whether everything holds.

    Args:
        archive: the zip; one of another kind, or one that is not safe to open, is refused with a ValueError.
        rerun: whether to make the report again with the code in the zip, and to compare. That runs the code of whoever
            handed it in, as this user and on this machine.
        data: folder of images, for the brief `folder`.
    """
    if not archive.is_file():
        raise ValueError(f"ZIP must be a file. Received: {str(archive)!r}")
    with tempfile.TemporaryDirectory(prefix="hand-in-") as folder:
        folder = Path(folder)
        root, manifest = _unpack(archive, folder / "opened")
        commit = f"{manifest['commit'] or 'unknown'}{' with uncommitted changes' if manifest['dirty'] else ''}"
        print(f"{archive.name}: {manifest['student']}, brief {manifest['brief']}, profile {manifest['profile']}")
        print(f"made from commit {commit}")
        faults = check_files(root, manifest) + check_claims(root, manifest)
        for fault in faults:
            print(f"  {fault}")
        print(f"== files: {len(manifest['files'])} listed, {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")
        print(f"== code: {changed_code(root)}")
        if not rerun or faults:
            if rerun:
                print("== not made again: first the files must be those of the manifest")
            return not faults
        return _compare_again(root, manifest, folder / "again", data)


def _unpack(archive: Path, folder: Path) -> tuple[Path, dict]:
    """The folder of the manifest, and the manifest; it may lie one folder down, as after unpacking and packing again.

    `extract` refuses links, devices, names twice, paths that lead out of the folder and what grows beyond reason.
    """
    if not zipfile.is_zipfile(archive):
        raise ValueError(f"{archive} is not a zip")
    archives.extract(archive, folder)
    found = [file for file in (folder / MANIFEST, *folder.glob(f"*/{MANIFEST}")) if file.is_file()]
    if not found:
        raise ValueError(f"{archive} holds no {MANIFEST}: it was not made by `make submission`")
    try:
        manifest = read_json(found[0])
        complete = {"student", "brief", "profile", "commit", "dirty", "machine", "files"} <= set(manifest)
        complete &= bool(NAME.fullmatch(manifest["brief"])) and manifest["profile"] in PROFILES
        complete &= file_name_of(manifest["student"]) == manifest["student"] and manifest["format"] == FORMAT
        complete &= all(isinstance(entry["sha256"], str) for entry in manifest["files"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        complete = False
    if not complete:
        raise ValueError(f"{MANIFEST} is damaged, or of another version of this project")
    return found[0].parent, manifest


def check_files(root: Path, manifest: dict) -> list[str]:
    """What is changed, missing or not listed, one sentence per file."""
    present = {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()} - {MANIFEST}
    listed = manifest["files"]
    faults = [f"missing: {name}" for name in sorted(set(listed) - present)]
    for name in sorted(present):
        if name in listed and checksum(root / name) != listed[name]["sha256"]:
            faults.append(f"changed: {name}")
        elif name not in listed and PurePosixPath(name).name not in SYSTEM_FILES:
            faults.append(f"not listed: {name}")
    return faults


def check_claims(root: Path, manifest: dict) -> list[str]:
    """Whether the predictions on test give the accuracy that the report states; one sentence if not."""
    predictions = root / f"{manifest['student']}_test_preds.csv"
    stated = read_values(root / "reports" / manifest["brief"]).get("best.test_accuracy", {}).get("value")
    if stated is None or not predictions.is_file():
        return []
    table = pd.read_csv(predictions, dtype=str, keep_default_na=False)
    if not {"true_class", "predicted_class"} <= set(table.columns):
        return [f"{predictions.name} lacks the column true_class or predicted_class"]
    found = float((table["true_class"] == table["predicted_class"]).mean())
    if math.isclose(found, stated, abs_tol=1e-9):
        return []
    return [f"{predictions.name} gives a test accuracy of {found:.4f}, the report states {stated:.4f}"]


def changed_code(root: Path) -> str:
    """Which files of `lib` and `notebooks` differ from this copy of the project, in one line."""
    names = {file.relative_to(root).as_posix() for file in root.rglob("*")} | set(project_files())
    names = {name for name in names if re.fullmatch(r"(lib|notebooks)/.*\.(py|ipynb)", name)}
    changed = sorted(name for name in names if checksum(root / name) != checksum(paths.ROOT / name))
    if not changed:
        return "that of this copy"
    more = f" and {len(changed) - 8} more" if len(changed) > 8 else ""
    return f"differs from this copy in {', '.join(changed[:8])}{more}"


def _compare_again(root: Path, manifest: dict, folder: Path, data: str) -> bool:
    made = _make_again(root, folder, brief=manifest["brief"], profile=manifest["profile"], data=data)
    facts = {name: fact for name, fact in machine_facts(made).items() if fact is not None}
    differing = [name for name, fact in facts.items() if manifest["machine"].get(name) != fact]
    where = f"another machine: {', '.join(differing)} differ" if differing else "the same machine and versions"
    lines = compare.compare_reports(root / "reports" / manifest["brief"], made, same_machine=not differing)
    print(f"== made again on {where}\n{compare.as_text(lines)}")
    faults = sum(line.verdict == compare.DIFFERS for line in lines)
    print(f"== {'nothing differs that must not' if not faults else f'{faults} differ that must not'}")
    return not faults


def _make_again(root: Path, folder: Path, *, brief: str, profile: str, data: str) -> Path:
    """The report of an unpacked hand-in, made anew in `folder` by its own code, with this Python and this raw data."""
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
