"""One zip to hand in: the code, the notebooks and one brief's report; no image data, no weights, no caches.

The same files give the same bytes.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from lib import briefs
from lib.config import paths
from lib.config.files import write_bytes
from lib.config.names import counted, csv_bytes
from lib.datasets import splits
from lib.report import pages, results, written
from lib.report.notebooks import freshness, table
from lib.training import device
from lib.training.runs import Run

MANIFEST = "MANIFEST.json"
FORMAT = 1
LONGEST_NAME = 60  # characters: file systems end at 255 bytes
# Files of the project, also those that git does not have yet, but none that it ignores.
FILES = ("Makefile", "README.md", "LICENSE", "environment.yml", "pyproject.toml", "requirements*.in")
FILES += ("requirements*.txt", "data/*.md", "data/*.csv", "reports/README.md")
FOLDERS = ("lib", "notebooks", "reports/templates")
# Kinds of text. Anything else in those folders, such as images or weights, is left out.
KINDS = tuple(".py .ipynb .md .jinja .css .js .html .typ .json .csv .toml .yml .lua .xml".split())
REPORT_FILES, WRITTEN = ("index.html", "values.json", "manifest.json"), "written.json"
# What decides whether numbers repeat exactly.
MACHINE = ("cpu", "cores", "threads", "onednn", "device", "precision", "python", *device.PACKAGES)


def write_submission(brief: str, student: str) -> Path:
    """Pack a finished report with the code that made it; returns the zip, `reports/<student>_<brief>.zip`.

    Raises:
        ValueError: if the student's name cannot be part of a file name, or the report is not finished, or was made with
            other code than there is now.
    """
    student, folder = file_name_of(student), paths.report(brief)
    lacks = lacking(brief, folder)
    if lacks:
        raise ValueError(
            f"The report of {brief} is not finished: run `make report BRIEF={brief}` first. It lacks {', '.join(lacks)}"
        )
    values = results.read_values(folder)
    records = [freshness.read_record(name, folder) for name in {entry["notebook"] for entry in values.values()}]
    code = freshness.code()
    if any(record and record["made_from"].get("the code in lib") != code for record in records):
        raise ValueError(  # it could not be made again from the zip
            f"The report of {brief} was made with other code than is in lib now: run `make report BRIEF={brief}` "
            "again, which keeps what still holds."
        )
    listed = project_files() | report_files(brief, folder)
    files = {name: file.read_bytes() for name, file in listed.items()}
    files["reports/index.html"] = pages.overview([folder / "index.html"]).encode()  # with this report alone
    if promises_predictions(brief):
        files[f"{student}_test_preds.csv"] = test_predictions(folder)
    manifest = {
        "format": FORMAT,
        "student": student,
        "brief": brief,
        "profile": next((entry["profile"] for entry in values.values()), None),
        **device.git_state(),
        "machine": machine_facts(folder),
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    target = paths.reports() / f"{student}_{brief}.zip"
    write_bytes(target, zip_bytes(files))
    return target


def doubts(brief: str) -> list[str]:
    """What a student should know before handing a report in, one sentence each; empty if all is well."""
    folder, said = paths.report(brief), []
    if any(entry["profile"] == "smoke" for entry in results.read_values(folder).values()):
        said.append(
            f"This is a smoke run, which says nothing about the method: make report BRIEF={brief} PROFILE=quick"
        )
    faults = written.check_reports(briefs.load(brief))
    if faults:
        said.append(f"The written reports have {counted(len(faults), 'fault')}, the first: {faults[0]}")
    code = sorted(file.name for file in paths.NOTEBOOKS.glob("*.py"))
    if code:
        said.append(f"Not handed in, as code belongs in lib: {', '.join(f'notebooks/{name}' for name in code)}")
    return said


def lacking(brief: str, folder: Path) -> list[str]:
    """Names of files and values that a finished report of a brief holds, and this report folder does not."""
    missing = [name for name in must_hold(brief) if not (folder / name).is_file()]
    missing += [name for notebook in briefs.load(brief).notebooks for name in table.missing(notebook, folder)]
    return list(dict.fromkeys(missing))


def must_hold(brief: str) -> list[str]:
    """Names of the files that every finished report of a brief holds; figures and tables depend on what was found."""
    loaded = briefs.load(brief)
    names = [*REPORT_FILES, *([WRITTEN] if loaded.reports else [])]
    names += [f"{report}.{suffix}" for report in loaded.reports for suffix in written.FORMATS]
    for notebook in loaded.notebooks:
        names += [f"{notebook}.html", f"notebooks/{notebook}.ipynb", f"notebooks/{notebook}.json"]
        names += table.entry(notebook).files
    return list(dict.fromkeys(names))


def promises_predictions(brief: str) -> bool:
    """Whether a brief states a test accuracy, so that its hand-in must hold the predictions that give it."""
    return any("best.test_accuracy" in table.entry(name).values for name in briefs.load(brief).notebooks)


def file_name_of(student: str) -> str:
    """A student's name or number as part of a file name: spaces become underscores, apostrophes are left out.

    Anything but letters and digits of any script, with . - _ or spaces between them, is refused with a ValueError.
    """
    name = re.sub(r"\s+", "_", re.sub("['\u2019]", "", unicodedata.normalize("NFC", student)).strip())
    parts = re.split(r"[-_.]+", name)
    plain = all(part and all(unicodedata.category(letter)[0] in "LMN" for letter in part) for part in parts)
    if not plain or len(name) > LONGEST_NAME:
        raise ValueError(
            f"STUDENT must be a name or number of at most {LONGEST_NAME} letters and digits, with - _ . or spaces only "
            f"between them. Received: {student!r}"
        )
    return name


def project_files() -> dict[str, Path]:
    """The project's own files that are needed to make the report again: name in the zip -> file.

    Files in `FOLDERS` go in unless git ignores them; without git, all but hidden files and caches.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *FOLDERS]
    try:
        answer = subprocess.run(command, cwd=paths.ROOT, capture_output=True, check=True).stdout
        names = [os.fsdecode(name) for name in answer.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [file for folder in FOLDERS for file in (paths.ROOT / folder).rglob("*")]
        names = [file.relative_to(paths.ROOT).as_posix() for file in files]
    names += [file.relative_to(paths.ROOT).as_posix() for pattern in FILES for file in paths.ROOT.glob(pattern)]
    return {name: paths.ROOT / name for name in names if belongs(name) and (paths.ROOT / name).is_file()}


def belongs(name: str) -> bool:
    """Whether a file of that name can be one of the project's own: Python code only in `lib`, nothing compiled."""
    path = PurePosixPath(name)
    if not any(name.startswith(f"{folder}/") for folder in FOLDERS):
        same_depth = [pattern for pattern in FILES if pattern.count("/") == name.count("/")]
        return any(path.match(pattern) for pattern in same_depth)
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return not hidden and path.suffix in KINDS and (path.suffix != ".py" or path.parts[0] == "lib")


def report_files(brief: str, folder: Path) -> dict[str, Path]:
    """What a brief's report says and shows, and its runs as text, without their weights: name in the zip -> file."""
    manifest = results.read_manifest(folder)
    names = [*must_hold(brief), *(entry["file"] for entry in manifest)]
    runs = {run for entry in [*results.read_values(folder).values(), *manifest] for run in entry["runs"]}
    names += [f"runs/{run}/{name}" for run in sorted(runs) for name in pages.RUN_FILES]
    return {f"reports/{brief}/{name}": folder / name for name in names if (folder / name).is_file()}


def test_predictions(folder: Path) -> bytes:
    """The best model's predictions on test in a finished report folder, as CSV, one row per image.

    Columns: image (path in the data set), true_class, predicted_class, confidence (highest probability).
    """
    run = Run(folder / "runs" / best_run(folder))
    rows, labels, probabilities = run.predictions("test")
    names, classes = splits.read_split(folder / "split.csv").table["path"].to_numpy(), run.config()["classes"]
    table = predicted(names[rows], classes, probabilities)
    table.insert(1, "true_class", np.array(classes, dtype=object)[labels])
    return csv_bytes(table)


def predicted(images: Sequence[str], class_names: Sequence[str], probabilities: np.ndarray) -> pd.DataFrame:
    """The columns image, predicted_class and confidence of some images and their probabilities (N, C)."""
    classes = np.array(class_names, dtype=object)[probabilities.argmax(axis=1)]
    confidence = probabilities.max(axis=1).round(6)
    return pd.DataFrame({"image": images, "predicted_class": classes, "confidence": confidence})


def best_run(folder: Path) -> str | None:
    """Id of the run behind the test accuracy that a report folder states, else of any run that a value names."""
    values = results.read_values(folder)
    best_first = sorted(values, key=lambda name: name != "best.test_accuracy")
    return next((run for name in best_first for run in values[name]["runs"]), None)


def machine_facts(folder: Path) -> dict:
    """The machine and the versions behind a report folder, of its `best_run`; None where unknown."""
    run = best_run(folder)
    facts = Run(folder / "runs" / run).environment() if run else {}
    return {name: facts.get(name) for name in MACHINE}


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """Files as a zip that does not depend on the time, the order or the system it is made on."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in sorted(files):
            info = zipfile.ZipInfo(name)  # of 1980: no time of making
            info.create_system, info.external_attr = 3, 0o100644 << 16  # as on Unix, whatever this is
            packed.writestr(info, files[name], compress_type=zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()
