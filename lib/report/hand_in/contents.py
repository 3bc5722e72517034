"""What a hand-in holds: the code, the notebooks and one brief's report; no image data, no weights, no caches."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from lib import briefs
from lib.config import paths
from lib.datasets import splits
from lib.report import pages, results, written
from lib.report.notebooks import freshness
from lib.training import device
from lib.training.runs import Run

# Of the project, whether or not git has them yet; what git ignores never.
FILES = ("Makefile", "README.md", "environment.yml", "pyproject.toml", "requirements*.in", "requirements*.txt")
FOLDERS = ("lib", "notebooks", "reports/templates")
FURTHER = ("LICENSE", "data/*.md", "data/*.csv", "reports/README.md")
# Kinds of text. Anything else in those folders, such as images or weights, is left out.
KINDS = {
    ".py",
    ".ipynb",
    ".md",
    ".jinja",
    ".css",
    ".js",
    ".html",
    ".typ",
    ".json",
    ".csv",
    ".toml",
    ".yml",
    ".lua",
    ".xml",
}
RUN_FILES = ("config.json", "metrics.json", "history.csv", "environment.json")
REPORT_FILES = ("index.html", "values.json", "manifest.json", "written.json")
# What decides whether numbers repeat exactly.
MACHINE = ("cpu", "cores", "threads", "onednn", "device", "precision", "python", *device.PACKAGES)
PREDICTIONS = "tables/test_predictions.csv"  # a notebook's own, where labels of test are not given


def project_files() -> dict[str, Path]:
    """The project's own files that are needed to make the report again: name in the zip -> file."""
    found = [file for pattern in (*FILES, *FURTHER) for file in paths.ROOT.glob(pattern)]
    found += [file for folder in FOLDERS for file in _listed(paths.ROOT / folder) if file.suffix in KINDS]
    return {file.relative_to(paths.ROOT).as_posix(): file for file in found if file.is_file()}


def report_files(brief: str) -> dict[str, Path]:
    """What a brief's report says and shows: name in the zip -> file.

    Of the runs it quotes, their settings and results as text; not their weights.
    """
    folder, spec = paths.report(brief), briefs.load(brief)
    values, manifest = results.read_values(folder), results.read_manifest(folder)
    names = [*REPORT_FILES, *(entry["file"] for entry in manifest)]
    for notebook in spec.notebooks:
        names += [f"{notebook}.html", f"notebooks/{notebook}.ipynb", f"notebooks/{notebook}.json"]
        left = freshness.read_record(notebook, folder).get("files", {})  # such as split.csv
        names += [name for name in left if "/" not in name and name.endswith(".csv")]
    for report in written.titles(folder):
        names += [f"{report}.{suffix}" for suffix in written.FORMATS]
    runs = {run for entry in [*values.values(), *manifest] for run in entry["runs"]}
    names += [f"runs/{run}/{name}" for run in sorted(runs) for name in RUN_FILES]
    return {f"reports/{brief}/{name}": folder / name for name in names if (folder / name).is_file()}


def made_files(brief: str, student: str) -> dict[str, bytes]:
    """What is made for the zip: the list of reports, with this one alone, and the predictions on test."""
    made = {"reports/index.html": pages.overview([paths.report(brief) / "index.html"]).encode()}
    predictions = test_predictions(brief)
    if predictions is not None:
        made[f"{student}_test_preds.csv"] = predictions
    return made


def test_predictions(brief: str) -> bytes | None:
    """The best model's predictions on test as CSV, one row an image; None where the report has none.

    Columns: image (path in the data set), true_class, predicted_class, confidence (highest probability).
    """
    folder = paths.report(brief)
    if (folder / PREDICTIONS).is_file():
        return (folder / PREDICTIONS).read_bytes()
    entry = results.read_values(folder).get("best.test_accuracy")
    if entry is None or not entry["runs"] or not (folder / "split.csv").is_file():
        return None
    run = Run(paths.runs(brief) / entry["runs"][0])
    rows, labels, probabilities = run.predictions("test")
    classes = np.array(run.config()["classes"], dtype=object)
    table = pd.DataFrame(
        {
            "image": splits.read_split(folder / "split.csv").table["path"].to_numpy()[rows],
            "true_class": classes[labels],
            "predicted_class": classes[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1).round(6),
        }
    )
    return table.to_csv(index=False, lineterminator="\n").encode()


def machine_facts(report: Path) -> dict:
    """The machine and the versions behind a report folder: of the run whose test result it states; None if unknown."""
    runs = results.read_values(report).get("best.test_accuracy", {}).get("runs", [])
    facts = Run(report / "runs" / runs[0]).environment() if runs else {}
    return {name: facts.get(name) for name in MACHINE}


def _listed(folder: Path) -> list[Path]:
    """Files of a folder that git does not ignore; without git, all but hidden ones and caches."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", str(folder)]
    try:
        answer = subprocess.run(command, cwd=paths.ROOT, capture_output=True, check=True).stdout
        return [paths.ROOT / os.fsdecode(name) for name in answer.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [file for file in folder.rglob("*") if file.is_file()]
        return [file for file in files if not _is_hidden(file.relative_to(paths.ROOT))]


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in file.parts)
