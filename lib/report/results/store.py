"""The two files that say what a report holds: `values.json` and `manifest.json`. Written whole or not at all."""

import difflib
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lib.config.files import read_json, write_json


def read_values(folder: Path) -> dict:
    """`values.json` of a report folder: name -> value, runs, notebook, profile; empty where there is none.

    Raises:
        ValueError: if the file is damaged.
    """
    return _read(folder / "values.json", {})


def read_manifest(folder: Path) -> list:
    """`manifest.json` of a report folder: a dict for each figure and table, in reading order; empty if none.

    Raises:
        ValueError: if the file is damaged.
    """
    return _read(folder / "manifest.json", [])


def write_values(folder: Path, values: dict) -> None:
    """Write `values.json`, sorted by name."""
    write_json(folder / "values.json", values)


def write_manifest(folder: Path, entries: list) -> None:
    """Write `manifest.json`, by notebook and within each in the order of saving."""
    write_json(folder / "manifest.json", sorted(entries, key=lambda entry: entry["notebook"]))


def drop(folder: Path, condition: Callable[[dict], bool]) -> None:
    """Forget the results of a report folder that meet a condition, and remove their files.

    Args:
        folder: report folder of a brief.
        condition: asked for every entry of `values.json` and `manifest.json`; each has a notebook and a profile.
    """
    values, manifest = read_values(folder), read_manifest(folder)
    kept_values = {name: entry for name, entry in values.items() if not condition(entry)}
    if len(kept_values) < len(values):
        write_values(folder, kept_values)
    kept = [entry for entry in manifest if not condition(entry)]
    if len(kept) < len(manifest):
        write_manifest(folder, kept)
    for entry in manifest:
        if entry not in kept:
            (folder / entry["file"]).unlink(missing_ok=True)


def find_value(name: str, values: dict):
    """The value kept under a name.

    Raises:
        ValueError: if there is none; the message lists similar names.
    """
    if name not in values:
        similar = difflib.get_close_matches(str(name), values, n=5, cutoff=0.4)
        known = f"Similar: {', '.join(similar)}" if similar else f"Known: {', '.join(values) or 'none yet'}"
        raise ValueError(f"No notebook has saved the value {name!r}. {known}")
    return values[name]["value"]


def plain_value(name: str, value) -> bool | int | float | str:
    """A value as JSON keeps it.

    Raises:
        ValueError: if it is not finite, or not a number, text or truth value.
    """
    if isinstance(value, np.floating):
        value = float(str(value.item() if isinstance(value, np.float64) else value))  # float32 0.1 stays 0.1
    elif isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"The value {name!r} must be a number, text or truth value. Received: {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"The value {name!r} must be finite. Received: {value}")
    return value


def _read(file: Path, empty: dict | list) -> dict | list:
    if not file.exists():
        return empty
    try:
        content = read_json(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is damaged ({error}): delete it and run the notebooks again") from error
    if not isinstance(content, type(empty)):
        raise ValueError(
            f"{file} is damaged: delete it and run the notebooks again. Received: {type(content).__name__}"
        )
    return content
