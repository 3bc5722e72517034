"""Whether a hand-in holds what it must, nothing else, and results that agree with each other.

Nothing of it is run; results that were made up in every file alike are found only by computing them again.
"""

import math
import re
import sys
from pathlib import Path, PurePosixPath

from lib import briefs
from lib.config import PROFILES
from lib.config.files import checksum
from lib.config.names import read_csv
from lib.datasets import splits
from lib.report import results
from lib.report.hand_in import pack
from lib.report.notebooks import freshness
from lib.training.runs import Run

SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what an unpacking and packing again adds
RUN_NAME = re.compile(r"\w[\w.-]*")
FILE_NAME = re.compile(r"figures/[a-z][a-z0-9_]*\.png|tables/[a-z][a-z0-9_]*\.csv")
COMPILED = {".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib"}
AT_START = {"sitecustomize", "usercustomize"}  # modules that Python imports by itself
FROM_METRICS = ("parameters", "epochs", "val_accuracy")  # values of the best model, as its run holds them


def check_results(root: Path, manifest: dict) -> list[str]:
    """What is wrong with the files and the results of a hand-in that was unpacked into `root`, one sentence per fault.

    Results of another shape than those of this project are a ValueError.
    """
    brief, folder = manifest["brief"], root / "reports" / manifest["brief"]
    _check_shapes(folder)
    if brief not in briefs.names():
        unknown = f"brief {brief} is not one of this copy: add its file first, which says what its hand-in must hold"
        return [unknown, *_strangers(root, manifest)]
    faults = [f"the report lacks {name}" for name in pack.lacking(brief, folder)]
    faults += _strangers(root, manifest) + _values(folder, manifest["profile"]) + _records(brief, folder)
    if pack.promises_predictions(brief):
        faults += _predictions(root / f"{manifest['student']}_test_preds.csv", folder)
    claimed, found = manifest["machine"], pack.machine_facts(folder)
    differing = [name for name, fact in found.items() if claimed.get(name) != fact]
    if differing:
        faults.append(f"{pack.MANIFEST} claims another machine than the run of the best model: {', '.join(differing)}")
    return faults


# Files


def _strangers(root: Path, manifest: dict) -> list[str]:
    """Files that no hand-in holds, each with what it could do."""
    brief = manifest["brief"]
    names = {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()}
    known = {pack.MANIFEST, f"{manifest['student']}_test_preds.csv", "reports/index.html"}
    known |= set(pack.report_files(brief, root / "reports" / brief)) if brief in briefs.names() else set()
    odd = {name for name in names - known if not pack.belongs(name) and PurePosixPath(name).name not in SYSTEM_FILES}
    faults = [f"no part of a hand-in: {name}{_danger(PurePosixPath(name))}" for name in sorted(odd)]
    modules = {name for name in {*names, *pack.project_files()} if name.endswith(".py")}
    hidden = {f"{name.removesuffix('/__init__.py')}.py" for name in names if name.endswith("/__init__.py")}
    return faults + [f"hides a module behind a folder of its name: {name}" for name in sorted(hidden & modules)]


def _danger(path: PurePosixPath) -> str:
    first = path.parts[0].split(".")[0]
    if path.suffix in COMPILED:
        return " (compiled code)"
    if path.suffix == ".pth" or path.stem in AT_START:
        return " (Python would run it at its start)"
    if path.suffix in (".py", ".pyw"):
        hides = first in sys.stdlib_module_names
        return f" (it would hide Python's own {first})" if hides else " (Python could import it)"
    return ""


# Results


def _check_shapes(folder: Path) -> None:
    values, manifest = results.read_values(folder), results.read_manifest(folder)
    if odd := [name for name in values if not results.VALUE_NAME.fullmatch(name)]:
        raise ValueError(f"values.json holds a name that is none of this project: {odd[0]!r}")
    for entry in [*values.values(), *manifest]:
        named = all(isinstance(run, str) and RUN_NAME.fullmatch(run) for run in entry["runs"])
        if not named or entry["profile"] not in PROFILES:
            raise ValueError(f"values.json or manifest.json is of another shape than that of this project: {entry}")
    for entry in manifest:
        if not FILE_NAME.fullmatch(entry["file"]) or PurePosixPath(entry["file"]).stem != entry["name"]:
            raise ValueError(f"manifest.json lists a file that is no figure or table: {entry['file']!r}")


def _values(folder: Path, profile: str) -> list[str]:
    faults, values, listed = [], results.read_values(folder), results.read_manifest(folder)
    for name, entry in values.items():
        value = entry["value"]
        if not isinstance(value, (bool, int, float, str)) or isinstance(value, float) and not math.isfinite(value):
            faults.append(f"values.json: {name} must be a number, text or truth value. Received: {value!r:.60}")
    if {entry["profile"] for entry in [*values.values(), *listed]} - {profile}:
        faults.append(f"values.json or manifest.json are not of profile {profile}, as {pack.MANIFEST} says")
    for entry in listed:
        if checksum(folder / entry["file"]) != entry["sha256"]:
            faults.append(f"{entry['file']} is missing, or not the file that {entry['notebook']} saved")
    return faults


def _records(brief: str, folder: Path) -> list[str]:
    """What was edited after its notebook left it, by the notebooks' own records."""
    names = [name for name in briefs.load(brief).notebooks if (folder / "notebooks" / f"{name}.json").is_file()]
    damaged = [f"notebooks/{name}.json is no record of a notebook" for name in names if not _is_record(name, folder)]
    if damaged:
        return damaged
    return [f"{name}: {fault}" for name in names for fault in freshness.edited(name, folder)]


def _is_record(name: str, folder: Path) -> bool:
    """Whether a notebook has left a record, and one that names no file outside of the report folder."""
    record, home = freshness.read_record(name, folder), folder.resolve()
    return bool(record) and all((home / file).resolve().is_relative_to(home) for file in record["files"])


def _predictions(file: Path, folder: Path) -> list[str]:
    """Whether the predictions on test are those of the split, and give the accuracies that the report states."""
    if not file.is_file():
        return [f"lacks: {file.name}, so no stated accuracy can be computed again"]
    table = read_csv(file, dtype=str, keep_default_na=False)
    missing = [name for name in ("image", "true_class", "predicted_class") if name not in table]
    if missing:
        return [f"{file.name} lacks the column {', '.join(missing)}, so no stated accuracy can be computed again"]
    faults, run = [], Run(folder / "runs" / str(pack.best_run(folder)))
    if (folder / "split.csv").is_file():
        held_out = splits.read_split(folder / "split.csv").table.query("role == 'test'")
        classes = run.config()["classes"]
        truth = sorted((path, classes[label]) for path, label in zip(held_out["path"], held_out["label"], strict=True))
        if sorted(zip(table["image"], table["true_class"], strict=True)) != truth:
            faults.append(f"{file.name} does not hold the test images of split.csv with their classes, each once")
    right = table["true_class"] == table["predicted_class"]
    gives = {"accuracy": right.mean(), "balanced_accuracy": right.groupby(table["true_class"]).mean().mean()}
    values = results.read_values(folder)
    for name, found in gives.items():
        stated = values.get(f"best.test_{name}", {}).get("value")
        if not isinstance(stated, float) or not math.isclose(found, stated, abs_tol=1e-9):
            faults.append(f"{file.name} gives best.test_{name} {found:.4f}, the report states {stated!r:.60}")
    metrics = run.metrics()
    for name in (name for name in FROM_METRICS if f"best.{name}" in values and name in metrics):
        if values[f"best.{name}"]["value"] != metrics[name]:
            faults.append(f"values.json: best.{name} is not what runs/{run.id}/metrics.json holds")
    return faults
