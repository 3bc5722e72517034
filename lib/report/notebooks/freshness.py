"""Whether what a notebook made earlier still stands: what it was made from and what it left, by checksum.

The record of a notebook lies beside its executed copy. It decides by content; run folders, which are large, are looked
into only where the names, sizes or times of their files have changed, as in a copy.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat

from lib.config import paths
from lib.config.files import checksum, read_json, write_json
from lib.config.names import counted
from lib.report import notebooks, results
from lib.report.notebooks import table
from lib.training.open_brief import OpenBrief

CODE = (".py", ".jinja", ".css")
VARIABLES = ("TF_", "XLA_", "KERAS_", "OMP_", "MPL", "CUDA_VISIBLE_DEVICES")  # of the environment, by how they start
EVIDENCE = ("config.json", "history.csv", "metrics.json", "predictions.npz")  # what figures and numbers are made from
RECORD = {"made_from": dict, "files": dict, "entries": dict, "runs": dict, "evidence": dict, "seconds": (int, float)}


def shared_facts(*opened_briefs: OpenBrief) -> dict[str, str]:
    """What every notebook of a report is made from: code, the brief's data on each of its data sets, environment."""
    data = [
        [opened.dataset.checksum, opened.split.checksum, sorted(opened.dataset.left_out["path"])]
        for opened in opened_briefs
    ]
    installed = sorted({f"{item.name} {item.version}" for item in importlib.metadata.distributions()})
    variables = sorted([name, value] for name, value in os.environ.items() if name.startswith(VARIABLES))
    environment = [platform.python_version(), platform.machine(), installed, variables]
    return {"the code in lib": code(), "the data": digest(data), "the environment": digest(environment)}


def code() -> str:
    """Checksum over the code and the templates in `lib`."""
    files = sorted(file for file in paths.LIB.rglob("*") if file.suffix in CODE)
    return digest([[file.relative_to(paths.LIB).as_posix(), checksum(file)] for file in files])


def notebook_facts(name: str, parameters: dict) -> dict[str, str]:
    """What one notebook is made from: its cells and its parameters."""
    notebook = nbformat.read(notebooks.locate(name), as_version=4)
    cells = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in notebook.cells]
    return {"its cells": digest(cells), "its parameters": digest(parameters)}


def reason_to_run(name: str, folder: Path, *, made_from: dict[str, str], waiting: list[str]) -> str | None:
    """Why a notebook must run, or None if its results stand.

    `made_from` is what it would be made from now, `waiting` are the ids of runs that are still to be trained.
    """
    record = read_record(name, folder)
    if not record:
        return "not made yet"
    changed = [fact for fact, now in made_from.items() if record["made_from"].get(fact) != now]
    if changed:
        return f"changed: {', '.join(changed)}"
    if products := edited(name, folder):
        return products[0]
    if record["runs"] and waiting:
        return f"{counted(len(waiting), 'planned run')} to be trained"
    changed = [run for run, before in record["runs"].items() if before != _look(folder / "runs" / run, before)]
    return f"run {changed[0]} changed" if changed else None


def edited(name: str, folder: Path) -> list[str]:
    """What a notebook left and is no longer as its record says, one sentence each."""
    record = read_record(name, folder)
    found = [
        f"{product} is missing or was edited"
        for product, before in record["files"].items()
        if checksum(folder / product) != before
    ]
    if record["entries"] != {key: digest(entry) for key, entry in _entries(name, folder).items()}:
        found.append("its entries in values.json or manifest.json were edited")
    return found


@contextlib.contextmanager
def recording(name: str, folder: Path, *, made_from: dict[str, str]) -> Iterator[None]:
    """Write down what a notebook was made from and what it left, once the block has ended well.

    Until then there is no record: a notebook that fails or is interrupted has to run.
    """
    _record_file(name, folder).unlink(missing_ok=True)
    started = time.perf_counter()
    yield
    entries = _entries(name, folder)
    runs = sorted({run for entry in entries.values() for run in entry["runs"]})
    saved = [entry["file"] for entry in entries.values() if "file" in entry]
    files = [f"notebooks/{name}.ipynb", f"{name}.html", *table.entry(name).files, *saved]
    content = {
        "made_from": made_from,
        "files": {file: checksum(folder / file) for file in files},
        "entries": {key: digest(entry) for key, entry in entries.items()},
        "runs": {run: _look(folder / "runs" / run) for run in runs},
        "evidence": {run: evidence(folder / "runs" / run) for run in runs},
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(_record_file(name, folder), content)


def refresh_runs(folder: Path, names: tuple[str, ...]) -> None:
    """Look at the run folders again, for all notebooks, after the last one has run."""
    for name in names:
        content = read_record(name, folder)
        content["runs"] = {run: _look(folder / "runs" / run, before) for run, before in content["runs"].items()}
        write_json(_record_file(name, folder), content)


def read_record(name: str, folder: Path) -> dict:
    """The record of a notebook; empty if there is none or it is damaged."""
    try:
        content = read_json(_record_file(name, folder))
    except (FileNotFoundError, ValueError):
        return {}
    whole = isinstance(content, dict) and all(isinstance(content.get(key), kind) for key, kind in RECORD.items())
    return content if whole else {}


def evidence(run: Path) -> str:
    """Checksum over what a run found, by content: copying a run folder does not change it."""
    return digest([checksum(run / name) for name in EVIDENCE])


def digest(content) -> str:
    """SHA-256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _record_file(name: str, folder: Path) -> Path:
    return folder / "notebooks" / f"{name}.json"


def _entries(name: str, folder: Path) -> dict[str, dict]:
    """A notebook's entries in values.json and manifest.json, each under its kind and name, e.g. `value best.epochs`."""
    found = {f"value {key}": entry for key, entry in results.read_values(folder).items()}
    found |= {f"{entry['kind']} {entry['name']}": entry for entry in results.read_manifest(folder)}
    return {key: entry for key, entry in found.items() if entry["notebook"] == name}


def _look(run: Path, before: list[str] = ()) -> list[str]:
    """Two checksums of a run folder: of its files' names, sizes and times, and of their names and contents.

    Where the first is as before, the second is taken as it was; where the second is, the first is too.
    """
    files = {file.relative_to(run).as_posix(): file for file in run.rglob("*") if file.is_file()}
    facts = {name: file.stat() for name, file in files.items()}
    listing = digest({name: [fact.st_size, fact.st_mtime_ns] for name, fact in facts.items()})
    if before and before[0] == listing:
        return before
    content = digest({name: checksum(file) for name, file in files.items()})
    return before if before and before[1] == content else [listing, content]
