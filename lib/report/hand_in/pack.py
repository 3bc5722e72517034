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
from pathlib import Path

import numpy as np
import pandas as pd

from lib import briefs
from lib.config import paths
from lib.config.files import write_bytes
from lib.config.names import csv_bytes
from lib.datasets import splits
from lib.report import pages, results, written
from lib.report.notebooks import freshness
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
REPORT_FILES = ("index.html", "values.json", "manifest.json", "written.json")
# What decides whether numbers repeat exactly.
MACHINE = ("cpu", "cores", "threads", "onednn", "device", "precision", "python", *device.PACKAGES)


def write_submission(brief: str, student: str) -> Path:
    """Pack a finished report with the code that made it; returns the zip, `reports/<student>_<brief>.zip`.

    Raises:
        ValueError: if the student's name cannot be part of a file name, or the report is not finished, or was made with
            other code than there is now.
    """
    student, folder = file_name_of(student), paths.report(brief)
    if not (folder / "index.html").is_file():
        raise ValueError(f"The report of {brief} is not finished: run `make report BRIEF={brief}` first.")
    values = results.read_values(folder)
    records = [freshness.read_record(entry["notebook"], folder) for entry in values.values()]
    if any(record and record["made_from"].get("the code in lib") != freshness.code() for record in records):
        raise ValueError(  # it could not be made again from the zip
            f"The report of {brief} was made with other code than is in lib now: run `make report BRIEF={brief}` "
            "again, which keeps what still holds."
        )
    listed = project_files() | report_files(brief)
    files = {name: file.read_bytes() for name, file in listed.items()}
    files["reports/index.html"] = pages.overview([folder / "index.html"]).encode()  # with this report alone
    predictions = test_predictions(brief)
    if predictions is not None:
        files[f"{student}_test_preds.csv"] = predictions
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
        said.append(f"The written reports have {len(faults)} fault(s), the first: {faults[0]}")
    if test_predictions(brief) is None:
        said.append("The report holds no predictions on test.")
    return said


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
        files = [file.relative_to(paths.ROOT) for folder in FOLDERS for file in (paths.ROOT / folder).rglob("*")]
        hidden = [file for file in files if any(part[0] == "." or part == "__pycache__" for part in file.parts)]
        names = [file.as_posix() for file in files if file not in hidden]
    found = [paths.ROOT / name for name in names if Path(name).suffix in KINDS]
    found += [file for pattern in FILES for file in paths.ROOT.glob(pattern)]
    return {file.relative_to(paths.ROOT).as_posix(): file for file in found if file.is_file()}


def report_files(brief: str) -> dict[str, Path]:
    """What a brief's report says and shows, and its runs as text, without their weights: name in the zip -> file."""
    folder = paths.report(brief)
    manifest = results.read_manifest(folder)
    names = [*REPORT_FILES, *(entry["file"] for entry in manifest)]
    for notebook in briefs.load(brief).notebooks:
        names += [f"{notebook}.html", f"notebooks/{notebook}.ipynb", f"notebooks/{notebook}.json"]
        left = freshness.read_record(notebook, folder).get("files", {})  # such as split.csv
        names += [name for name in left if "/" not in name and name.endswith(".csv")]
    names += [f"{report}.{suffix}" for report in written.titles(folder) for suffix in written.FORMATS]
    runs = {run for entry in [*results.read_values(folder).values(), *manifest] for run in entry["runs"]}
    names += [f"runs/{run}/{name}" for run in sorted(runs) for name in pages.RUN_FILES]
    return {f"reports/{brief}/{name}": folder / name for name in names if (folder / name).is_file()}


def test_predictions(brief: str) -> bytes | None:
    """The best model's predictions on test as CSV, one row per image; None where the report has none.

    Columns: image (path in the data set), true_class, predicted_class, confidence (highest probability).
    """
    folder = paths.report(brief)
    entry = results.read_values(folder).get("best.test_accuracy")
    if entry is None or not entry["runs"] or not (folder / "split.csv").is_file():
        return None
    run = Run(paths.runs(brief) / entry["runs"][0])
    rows, labels, probabilities = run.predictions("test")
    classes = np.array(run.config()["classes"], dtype=object)
    table = {
        "image": splits.read_split(folder / "split.csv").table["path"].to_numpy()[rows],
        "true_class": classes[labels],
        "predicted_class": classes[probabilities.argmax(axis=1)],
        "confidence": probabilities.max(axis=1).round(6),
    }
    return csv_bytes(pd.DataFrame(table))


def machine_facts(report: Path) -> dict:
    """The machine and the versions behind a report folder: of the run whose test result it states; None if unknown."""
    runs = results.read_values(report).get("best.test_accuracy", {}).get("runs", [])
    facts = Run(report / "runs" / runs[0]).environment() if runs else {}
    return {name: facts.get(name) for name in MACHINE}


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """Files as a zip that does not depend on the time, the order or the system it is made on."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16  # as on Unix, whatever this is
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, files[name], compresslevel=6)
    return buffer.getvalue()
