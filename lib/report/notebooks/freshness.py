"""Whether what a notebook made earlier still stands: what it was made from and what it left, by checksum.

The record of a notebook lies beside its executed copy. It decides by content; only run folders, which are large, are
compared by the names, sizes and times of their files.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path

import nbformat

from lib.config import paths
from lib.config.files import read_json, write_json
from lib.report import notebooks, results
from lib.training.open_brief import OpenBrief

CODE = (".py", ".jinja", ".css")
STEERING = ("TF_", "XLA_", "KERAS_", "OMP_", "MPL", "CUDA_VISIBLE_DEVICES")  # environment variables
OWN_FILES = ("values.json", "manifest.json")  # their entries are compared one by one

EVIDENCE = ("config.json", "history.csv", "metrics.json", "predictions.npz")  # what figures and numbers are made from

RECORD = {"made_from", "files", "results", "entries", "runs", "evidence", "seconds"}


def shared_facts(*opened_briefs: OpenBrief) -> dict[str, str]:
    """What every notebook of a report is made from: code, data, environment.

    Args:
        opened_briefs: the brief on each of its data sets.
    """
    return {
        "the code in lib": code(),
        "the data": digest([_data(opened) for opened in opened_briefs]),
        "the environment": _environment(),
    }


def _data(opened: OpenBrief) -> list:
    return [opened.dataset.checksum, opened.split.checksum, sorted(opened.dataset.left_out["path"])]


def notebook_facts(name: str, parameters: dict) -> dict[str, str]:
    """What one notebook is made from: its cells and its parameters."""
    notebook = nbformat.read(notebooks.locate(name), as_version=4)
    cells = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in notebook.cells]
    return {"its cells": digest(cells), "its parameters": digest(parameters)}


def reason_to_run(name: str, folder: Path, *, made_from: dict[str, str], waiting: list[str]) -> str | None:
    """Why a notebook must run, or None if its results stand.

    Args:
        name: of the notebook.
        folder: report folder of the brief.
        made_from: what it would be made from now.
        waiting: ids of runs that are still to be trained.
    """
    record = read_record(name, folder)
    if not record:
        return "not made yet"
    changed = [fact for fact, checksum in made_from.items() if record["made_from"].get(fact) != checksum]
    if changed:
        return f"changed: {', '.join(changed)}"
    for product, checksum in record["files"].items():
        if _file(folder / product) != checksum:
            return f"{product} is missing or was edited"
    if record["results"] != digest(_entries(name, folder)):
        return "its entries in values.json or manifest.json were edited"
    if record["runs"] and waiting:
        return f"{len(waiting)} planned run{'s' * (len(waiting) > 1)} to be trained"
    edited = [run for run, checksum in record["runs"].items() if checksum != _listing(folder / "runs" / run)]
    return f"run {edited[0]} changed" if edited else None


def loose_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Files directly in a report folder, such as split.csv: name -> time and size."""
    entries = [entry for entry in folder.iterdir() if entry.is_file() and entry.name not in OWN_FILES]
    return {entry.name: (entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries}


def record(name: str, folder: Path, *, made_from: dict[str, str], before: dict, seconds: float) -> None:
    """Write down what a notebook was made from and what it left.

    Args:
        name: of the notebook.
        folder: report folder of the brief.
        made_from: as for `reason_to_run`.
        before: `loose_files` before it ran.
        seconds: how long it took.
    """
    entries = _entries(name, folder)
    loose = [file for file, facts in loose_files(folder).items() if before.get(file) != facts]
    files = [f"notebooks/{name}.ipynb", f"{name}.html", *loose, *(entry["file"] for entry in entries["manifest"])]
    content = {
        "made_from": made_from,
        "files": {file: _file(folder / file) for file in files},
        "results": digest(entries),
        "entries": {key: digest(entry) for key, entry in _by_name(entries).items()},
        "runs": {run: _listing(folder / "runs" / run) for run in _runs(entries)},
        "evidence": {run: evidence(folder / "runs" / run) for run in _runs(entries)},
        "seconds": round(seconds, 1),
    }
    write_json(_record_file(name, folder), content)


def refresh_runs(folder: Path, names: tuple[str, ...]) -> None:
    """Look at the run folders again, for all notebooks, when the last one is through."""
    for name in names:
        content = read_record(name, folder)
        content["runs"] = {run: _listing(folder / "runs" / run) for run in content["runs"]}
        write_json(_record_file(name, folder), content)


def seconds(name: str, folder: Path) -> float:
    """How long a notebook took when it last ran."""
    return read_record(name, folder)["seconds"]


def read_record(name: str, folder: Path) -> dict:
    """The record of a notebook; empty if there is none or it is damaged."""
    file = _record_file(name, folder)
    try:
        content = read_json(file) if file.exists() else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) and RECORD <= set(content) else {}


def evidence(run: Path) -> str:
    """Checksum over what a run found, by content: copying a run folder does not change it."""
    return digest([_file(run / name) for name in EVIDENCE])


def digest(content) -> str:
    """SHA-256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def forget(name: str, folder: Path) -> None:
    """Remove the record of a notebook: until it is written again, the notebook has to run."""
    _record_file(name, folder).unlink(missing_ok=True)


def _record_file(name: str, folder: Path) -> Path:
    return folder / "notebooks" / f"{name}.json"


def _entries(name: str, folder: Path) -> dict:
    """A notebook's entries in values.json and manifest.json."""
    values, manifest = results.read_values(folder), results.read_manifest(folder)
    return {
        "values": {key: entry for key, entry in values.items() if entry["notebook"] == name},
        "manifest": [entry for entry in manifest if entry["notebook"] == name],
    }


def _by_name(entries: dict) -> dict[str, dict]:
    """Each entry under its kind and name, e.g. `value best.epochs`."""
    values = {f"value {name}": entry for name, entry in entries["values"].items()}
    return values | {f"{entry['kind']} {entry['name']}": entry for entry in entries["manifest"]}


def _runs(entries: dict) -> list[str]:
    return sorted({run for entry in [*entries["values"].values(), *entries["manifest"]] for run in entry["runs"]})


def code() -> str:
    """Checksum over the code and the templates in `lib`."""
    files = sorted(file for file in paths.LIB.rglob("*") if file.suffix in CODE)
    return digest([[file.relative_to(paths.LIB).as_posix(), _file(file)] for file in files])


def _environment() -> str:
    installed = sorted({f"{item.name} {item.version}" for item in importlib.metadata.distributions()})
    steering = sorted([name, value] for name, value in os.environ.items() if name.startswith(STEERING))
    return digest([platform.python_version(), platform.machine(), installed, steering])


def _listing(folder: Path) -> str:
    """Checksum over the names, sizes and times of the files of a folder; of none if it is gone."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    facts = [(file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return digest(facts)


def _file(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
