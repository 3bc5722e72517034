"""What a report may show: figures, tables and numbers, each with the notebook and the runs it comes from.

A notebook opens its results once, `results = open_results(BRIEF, notebook="01_explore", profile=PROFILE)`, and
everything it shows goes through them. Opening drops what the same notebook left earlier, so that no figure, table
or number outlives the code that made it. A name, text, value or run id that is not as asked is refused with a
ValueError, and so is a damaged `values.json` or `manifest.json`.
"""

import difflib
import hashlib
import io
import math
import re
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from IPython import get_ipython
from matplotlib import pyplot

from lib.config import PROFILES, paths
from lib.config.files import read_json, write_bytes, write_json
from lib.config.names import csv_bytes, markdown, printable, read_csv, write_csv
from lib.figures.fonts import NUMBER, fit_fonts
from lib.figures.style import below_title
from lib.report.results import display
from lib.training.runs import Run

DPI = 150
NUMBERED = "numbered_names"  # begins the names of tables with numbers for names
NAME = re.compile(r"[a-z][a-z0-9_]*")
VALUE_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
NOTEBOOK_NAME = re.compile(r"\d\d_[a-z0-9_]+")


class Results:
    """The results of one notebook; made by `open_results`."""

    def __init__(self, folder: Path, *, notebook: str, profile: str):
        self.folder = folder
        self.notebook = notebook
        self.profile = profile
        self._saved_in_cell = {}

    def save_figure(self, name: str, figure, *, caption: str, alt: str, runs: Sequence[str] = ()) -> None:
        """Write a figure to `figures/<name>.png`, show it and close it. The caption takes the place of its title.

        Args:
            name: snake_case, used once in a brief.
            figure: matplotlib Figure.
            caption: what the reader should see in it, one or two sentences.
            alt: what is drawn, for readers who cannot see it.
            runs: ids of the runs it was drawn from.
        """
        if not hasattr(figure, "savefig"):
            raise ValueError(f"A figure must be a matplotlib Figure. Received: {type(figure).__name__}")
        if not alt.strip():
            raise ValueError(f"The figure {name!r} needs an alt text that says what is drawn. Received: {alt!r}")
        caption = f"{caption}{self._number_names(figure)}"
        buffer = io.BytesIO()
        # Without the name of the writing software, equal pixels are equal files.
        figure.set_dpi(DPI)
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None}, bbox_inches=below_title(figure))
        width = round(100 * figure.get_figwidth())
        pyplot.close(figure)
        image = buffer.getvalue()
        file = self._save_file("figure", name, content=image, caption=caption, alt=alt, runs=runs)
        display.publish(f"{caption} ({file})", html=display.figure_html(image, caption, alt=alt, width=width))

    def save_table(self, name: str, frame: pd.DataFrame, *, caption: str, runs: Sequence[str] = ()) -> None:
        """Write a table to `tables/<name>.csv`, every row in full precision, and show its first rows.

        Args:
            name: snake_case, used once in a brief.
            frame: the table; an index that is not just row numbers becomes its first columns.
            caption: what the reader should see in it.
            runs: ids of the runs it was made from.
        """
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"A table must be a pandas DataFrame. Received: {type(frame).__name__}")
        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
        file = self._save_file("table", name, content=csv_bytes(frame), caption=caption, runs=runs)
        display.publish(f"{caption} ({file})", html=display.table_html(frame, caption, file=file))

    def save_value(self, name: str, value, *, runs: Sequence[str] = ()) -> None:
        """Keep one number or word for the prose, the report and the other notebooks.

        Args:
            name: dotted snake_case, e.g. `dataset.images`, used once in a brief.
            value: finite number, text or truth value (NumPy scalars too), kept in full precision.
            runs: ids of the runs it was computed from.
        """
        stored, entry = read_values(self.folder), {"value": _plain_value(name, value), **self._origin(runs)}
        self._claim(name, VALUE_NAME, kind="value", owner=stored.get(name, {}).get("notebook"))
        write_json(self.folder / "values.json", stored | {name: entry})

    def value(self, name: str):
        """The number or word kept under a name, by this notebook or another one of the brief."""
        return find("value", name, read_values(self.folder))["value"]

    def say(self, text: str) -> None:
        """Show a sentence in Markdown whose numbers come from `values.json`.

        Args:
            text: e.g. `"{dataset.images:,} images in {dataset.classes} classes."`; a fraction without a format is
                shown with four significant digits.
        """
        values, plain, marked = read_values(self.folder), "", ""
        for literal, name, form, _ in string.Formatter().parse(text):
            filled = ""
            if name is not None:
                value = find("value", name, values)["value"]
                try:
                    filled = format(value, form or (".4g" if isinstance(value, float) else ""))
                except ValueError as error:
                    raise ValueError(f"A format must fit its value. Received: {form!r} for {value!r}") from error
            plain += literal + printable(filled)
            marked += literal + (markdown(filled) if name is not None and isinstance(value, str) else filled)
        display.publish(plain, markdown=marked)

    def _save_file(
        self, kind: str, name: str, *, content: bytes, caption: str, alt: str = "", runs: Sequence[str]
    ) -> str:
        """Write the file of a figure or table and its entry in `manifest.json`; returns the file's name."""
        if not caption.strip():
            raise ValueError(f"The {kind} {name!r} needs a caption. Received: {caption!r}")
        file = f"{kind}s/{name}.{'png' if kind == 'figure' else 'csv'}"
        manifest = {entry["file"]: entry for entry in read_manifest(self.folder)}
        if not name.startswith(NUMBERED):  # that table grows with its figures
            self._claim(name, NAME, kind=kind, owner=manifest.get(file, {}).get("notebook"))
        entry = {"kind": kind, "name": name, "file": file, "caption": caption, "alt": alt, **self._origin(runs)}
        manifest[file] = entry | {"sha256": hashlib.sha256(content).hexdigest()}
        write_bytes(self.folder / file, content)
        _write_manifest(self.folder, list(manifest.values()))
        return file

    def _number_names(self, figure) -> str:
        """Numbers in a figure in place of names that no installed font can draw; returns the key, for the caption.

        A table of the notebook keeps the numbers, so that a name has the same one in every figure of a report.
        """
        numbers = {}
        for entry in read_manifest(self.folder):
            if entry["name"].startswith(NUMBERED):
                table = read_csv(self.folder / entry["file"], dtype={"name": str}, keep_default_na=False)
                numbers |= dict(zip(table["name"], table["number"], strict=True))
        known = len(numbers)
        shown = fit_fonts(figure, numbers)
        if len(numbers) > known:
            table = pd.DataFrame({"number": list(numbers.values()), "name": list(numbers)})
            caption = "Names that no installed font can draw, and the numbers that figures show in their place."
            name = f"{NUMBERED}_{self.notebook}"
            file = self._save_file("table", name, content=csv_bytes(table), caption=caption, runs=())
            if not known:
                print(f"No installed font can draw some names: figures show numbers in their place, as in {file}.")
                print("Fonts of these scripts would show them, such as Noto Sans CJK for Chinese and Japanese.")
        key = "; ".join(f"{NUMBER.format(number)} {name}" for name, number in shown.items())
        return f" {key}." if key else ""

    def _origin(self, runs: Sequence[str]) -> dict:
        if isinstance(runs, str) or not all(isinstance(run, str) and run for run in runs):
            raise ValueError(f"runs must be a list of run ids. Received: {runs!r}")
        return {"runs": list(dict.fromkeys(runs)), "notebook": self.notebook, "profile": self.profile}

    def _claim(self, name: str, pattern: re.Pattern, *, kind: str, owner: str | None) -> None:
        """Check that a name is well formed and free; a cell run again in JupyterLab may save it again."""
        if not pattern.fullmatch(str(name)):
            raise ValueError(f"The name of a {kind} must be snake_case. Received: {name!r}")
        if owner not in (None, self.notebook):
            raise ValueError(
                f"The {kind} {name!r} belongs to {owner}. Choose another name, or run {owner} again if it no longer "
                f"saves it. Received: {name!r} in {self.notebook}"
            )
        shell = get_ipython()
        cell = shell.execution_count if shell else 0
        if self._saved_in_cell.get((kind, name)) == cell:
            raise ValueError(f"Each {kind} of a notebook needs a name of its own. Received twice: {name!r}")
        self._saved_in_cell[kind, name] = cell


def open_results(brief_name: str, *, notebook: str, profile: str) -> Results:
    """Open the results of one notebook, dropping what it left earlier and everything of other profiles.

    Args:
        brief_name: whose report folder is written.
        notebook: the notebook's own name, e.g. `01_explore`.
        profile: smoke, quick or full.
    """
    if not NAME.fullmatch(str(brief_name)):
        raise ValueError(f"The name of a brief must be snake_case. Received: {brief_name!r}")
    if not NOTEBOOK_NAME.fullmatch(str(notebook)):
        raise ValueError(f"The name of a notebook must be numbered, like 01_explore. Received: {notebook!r}")
    if profile not in PROFILES:
        raise ValueError(f"Unknown profile {profile!r}. Profiles: {', '.join(PROFILES)}")
    folder = paths.report(brief_name)
    folder.mkdir(parents=True, exist_ok=True)
    stored = {entry["profile"] for entry in [*read_values(folder).values(), *read_manifest(folder)]}
    if stored - {profile}:
        others = " and ".join(sorted(stored - {profile}))
        print(f"Dropping the {others} results of {brief_name}: a report holds one profile, and this is {profile}.")
        (folder / "index.html").unlink(missing_ok=True)  # it leads to what is dropped
    drop(folder, lambda entry: entry["notebook"] == notebook or entry["profile"] != profile)
    return Results(folder, notebook=notebook, profile=profile)


def read_values(folder: Path) -> dict:
    """`values.json` of a report folder: name -> value, runs, notebook, profile; empty where there is none."""
    return _read(folder / "values.json", {})


def read_manifest(folder: Path) -> list:
    """`manifest.json` of a report folder: one dict per figure and table, in reading order; empty if there is none."""
    return _read(folder / "manifest.json", [])


def _read(file: Path, empty: dict | list) -> dict | list:
    try:
        content = read_json(file) if file.exists() else empty
    except ValueError as error:  # no JSON, or no UTF-8
        raise ValueError(f"{file} is damaged ({error}): delete it and run the notebooks again") from error
    if not isinstance(content, type(empty)):
        kind = type(content).__name__
        raise ValueError(f"{file} is damaged: delete it and run the notebooks again. Received: {kind}")
    return content


def _write_manifest(folder: Path, entries: list) -> None:
    """By notebook, and within each in the order of saving."""
    write_json(folder / "manifest.json", sorted(entries, key=lambda entry: entry["notebook"]))


def drop(folder: Path, condition: Callable[[dict], bool]) -> None:
    """Forget the entries of `values.json` and `manifest.json` that meet a condition, and remove their files."""
    values, manifest = read_values(folder), read_manifest(folder)
    kept_values = {name: entry for name, entry in values.items() if not condition(entry)}
    if len(kept_values) < len(values):
        write_json(folder / "values.json", kept_values)
    dropped = [entry for entry in manifest if condition(entry)]
    if dropped:
        _write_manifest(folder, [entry for entry in manifest if entry not in dropped])
    for entry in dropped:
        (folder / entry["file"]).unlink(missing_ok=True)


def find(kind: str, name: str, saved: dict[str, dict]) -> dict:
    """The entry of a value, figure or table among the saved ones; a ValueError lists similar names if there is none."""
    if name not in saved:
        similar = difflib.get_close_matches(str(name), saved, n=5, cutoff=0.4)
        known = f"Similar: {', '.join(similar)}" if similar else f"Known: {', '.join(saved) or 'none yet'}"
        raise ValueError(f"No notebook has saved the {kind} {name!r}. {known}")
    return saved[name]


def _plain_value(name: str, value) -> bool | int | float | str:
    if isinstance(value, np.floating):
        value = float(str(value.item() if isinstance(value, np.float64) else value))  # float32 0.1 stays 0.1
    elif isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"The value {name!r} must be a number, text or truth value. Received: {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"The value {name!r} must be finite. Received: {value}")
    return value


def write_evidence(brief: str) -> Path:
    """Copy a report's results table to `reports/results/<brief>.csv`, with what the rows rest on.

    Each row of `tables/experiments.csv` gets its profile, commit and processor; the row of the best model also its
    test results. A ValueError says that the report of the brief is not made. Returns the file.
    """
    folder = paths.report(brief)
    table, values = folder / "tables" / "experiments.csv", read_values(folder)
    if not table.exists() or "best.test_accuracy" not in values:
        raise ValueError(f"The report of {brief} is not made: run `make report BRIEF={brief}` first")
    frame = read_csv(table)
    frame["profile"] = values["best.test_accuracy"]["profile"]
    environments = [Run(paths.runs(brief) / run).environment() for run in frame["run"]]
    for name in ("commit", "dirty", "cpu", "cores", "peak_memory_mb"):
        frame[name] = [environment[name] for environment in environments]
    best = frame["run"].isin(values["best.test_accuracy"]["runs"])
    for name in ("test_accuracy", "test_balanced_accuracy", "test_top5_accuracy", "test_cross_entropy"):
        frame.loc[best, name] = values[f"best.{name}"]["value"]
    target = paths.ROOT / "reports" / "results" / f"{brief}.csv"
    write_csv(target, frame.round(6))
    return target
