"""What a report may show: figures, tables and numbers, each with the notebook and the runs it comes from.

A notebook opens its results once, `results = open_results(BRIEF, notebook="01_explore", profile=PROFILE)`, and
everything it shows goes through them. Opening drops what the same notebook left earlier, so that no figure, table
or number outlives the code that made it. A name, text, value or run id that is not as asked is refused with a
ValueError, and so is a damaged `values.json` or `manifest.json`.

`make report` alone writes the report: it tells the notebooks that it runs so, by `WRITES_REPORT` in their environment.
A notebook that somebody opens writes a draft beside it, into a folder of its own.
"""

import difflib
import hashlib
import io
import math
import os
import re
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from IPython import get_ipython
from matplotlib import pyplot

from lib import briefs, evaluation
from lib.config import PROFILES, paths
from lib.config.files import read_json, write_bytes, write_json
from lib.config.names import counted, csv_bytes, markdown, printable, read_csv, write_csv
from lib.figures.fonts import NUMBER, fit_fonts
from lib.figures.style import below_title
from lib.report.results import display
from lib.training.runs import Run

FURTHER_TABLES = ("transfers", "searches", "draws")  # beside that of the experiments; a row per run each
DPI = 150
NUMBERED = "numbered_names"  # begins the names of tables with numbers for names
NAME = re.compile(r"[a-z][a-z0-9_]*")
VALUE_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
NOTEBOOK_NAME = re.compile(r"\d\d_[a-z0-9_]+")
ORIGIN = {"runs": list, "notebook": str, "profile": str}  # what every entry of the two files says
ENTRIES = {
    "values.json": (dict, {"value": object, **ORIGIN}),
    "manifest.json": (list, dict.fromkeys(("kind", "name", "file", "caption", "alt", "sha256"), str) | ORIGIN),
}
WRITES_REPORT = "COURSEWORK_WRITES_REPORT"  # set in the environment of a notebook that is run as a part of a report
DRAFT = "draft"  # folder in a report folder: what notebooks leave that somebody opened


class Results:
    """The results of one notebook; made by `open_results`.

    Attributes:
        folder: where they are written.
        profile: at which the notebook runs.
    """

    def __init__(self, folder: Path, *, notebook: str, profile: str, report: Mapping[str, dict] | None = None):
        self.folder = folder
        self.notebook = notebook
        self.profile = profile
        self._report = report or {}  # values that other notebooks left in the finished report, where this is a draft
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
            numbers = frame.index.name is None and pd.api.types.is_integer_dtype(frame.index.dtype)
            frame = frame.reset_index(drop=numbers)  # a sorted table has its row numbers in another order
        file = self._save_file("table", name, content=csv_bytes(frame), caption=caption, runs=runs)
        display.publish(f"{caption} ({file})", html=display.table_html(frame, caption, file=file))

    def save_values(self, values: Mapping[str, object], *, prefix: str = "", runs: Sequence[str] = ()) -> None:
        """Keep numbers and words for the prose, the report and the other notebooks.

        Args:
            values: name -> finite number, text or truth value (NumPy scalars too), kept in full precision.
            prefix: what each name begins with: `best.test_` makes `best.test_accuracy` of `accuracy`. The whole name is
                dotted snake_case, used once in a brief.
            runs: ids of the runs that they were computed from.
        """
        stored = read_values(self.folder)
        for end, value in values.items():
            name, entry = f"{prefix}{end}", {"value": _plain_value(f"{prefix}{end}", value), **self._origin(runs)}
            self._claim(name, VALUE_NAME, kind="value", owner=stored.get(name, {}).get("notebook"))
            stored[name] = entry
        write_json(self.folder / "values.json", stored)

    def save_value(self, name: str, value, *, runs: Sequence[str] = ()) -> None:
        """Keep one number or word, as `save_values` does."""
        self.save_values({name: value}, runs=runs)

    def value(self, name: str):
        """The number or word kept under a name, by this notebook or another one of the brief."""
        return find("value", name, self._values())["value"]

    def say(self, text: str) -> None:
        """Show a sentence in Markdown whose numbers come from `values.json`.

        Args:
            text: e.g. `"{best.parameters:,} parameters, {best.epochs:count epoch}."`, where `count` shows the word too,
                in the plural where the number is not 1; a fraction without a format has four significant digits.
        """
        plain, marked = fill(text, self._values())
        display.publish(plain, markdown=marked)

    def _values(self) -> dict:
        """What can be quoted; where this is a draft, also what the other notebooks left in the report."""
        return read_values(self.folder) | self._report

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

    A notebook that somebody opens leaves the report as it is: its results go to the folder `draft` in the report
    folder, and it says so. Where it asks for smoke, the least, and there is a report, it runs at the report's profile.

    Args:
        brief_name: whose report folder is written.
        notebook: the notebook's own name, e.g. `01_explore`.
        profile: smoke, quick or full.
    """
    shell = get_ipython()
    if shell:
        shell.set_custom_exc((ValueError,), display.show_error)
    if not NAME.fullmatch(str(brief_name)):
        raise ValueError(f"The name of a brief must be snake_case. Received: {brief_name!r}")
    if not NOTEBOOK_NAME.fullmatch(str(notebook)):
        raise ValueError(f"The name of a notebook must be numbered, like 01_explore. Received: {notebook!r}")
    if profile not in PROFILES:
        raise ValueError(f"Unknown profile {profile!r}. Profiles: {', '.join(PROFILES)}")
    folder = paths.report(brief_name)
    if shell and not os.environ.get(WRITES_REPORT):
        return _open_draft(folder, notebook=notebook, profile=profile)
    if others := _open_folder(folder, notebook=notebook, profile=profile):
        print(f"Dropped the {others} results of {brief_name}: a report holds one profile, and this is {profile}.")
        (folder / "index.html").unlink(missing_ok=True)  # it leads to what was dropped
    return Results(folder, notebook=notebook, profile=profile)


def _open_draft(report: Path, *, notebook: str, profile: str) -> Results:
    briefs.load(report.name)  # one that does not exist is refused before it has a folder
    values = read_values(report)
    made = next((entry["profile"] for entry in values.values()), profile)
    profile = made if profile == PROFILES[0] else profile
    values = {name: entry for name, entry in values.items() if entry["notebook"] != notebook and made == profile}
    drop_damaged(report / DRAFT)
    _open_folder(report / DRAFT, notebook=notebook, profile=profile)
    shown = os.path.relpath(report / DRAFT, paths.ROOT) if paths.ROOT in report.parents else str(report / DRAFT)
    text = (
        f"Draft at profile *{profile}*: results go to `{shown}`. `make report BRIEF={report.name} PROFILE={profile}` "
        "alone writes the report."
    )
    display.publish(text, markdown=text)
    return Results(report / DRAFT, notebook=notebook, profile=profile, report=values)


def _open_folder(folder: Path, *, notebook: str, profile: str) -> str:
    """Make a folder ready for the results of a notebook at a profile; returns the other profiles it held."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {entry["profile"] for entry in [*read_values(folder).values(), *read_manifest(folder)]}
    drop(folder, lambda entry: entry["notebook"] == notebook or entry["profile"] != profile)
    return " and ".join(sorted(stored - {profile}))


def read_values(folder: Path) -> dict:
    """`values.json` of a report folder: name -> value, runs, notebook, profile; empty where there is none."""
    return _read(folder / "values.json")


def read_manifest(folder: Path) -> list:
    """`manifest.json` of a report folder: one dict per figure and table, in reading order; empty if there is none."""
    return _read(folder / "manifest.json")


def _read(file: Path) -> dict | list:
    kind, facts = ENTRIES[file.name]
    try:
        content = read_json(file) if file.exists() else kind()
        entries = content.values() if isinstance(content, dict) else content
        if not isinstance(content, kind) or not all(_holds(one, facts) for one in entries):
            raise ValueError(f"its entries must hold {', '.join(sorted(facts))}")
    except ValueError as error:  # no JSON, no UTF-8, or of another shape
        raise ValueError(
            f"{file.parent.name}/{file.name} is damaged ({error}): `make report` makes it again"
        ) from error
    return content


def _holds(entry, facts: dict[str, type]) -> bool:
    return isinstance(entry, dict) and all(name in entry and isinstance(entry[name], facts[name]) for name in facts)


def drop_damaged(folder: Path) -> None:
    """Remove a `values.json` or `manifest.json` that cannot be read, and say so: the notebooks make it again."""
    for name in ENTRIES:
        try:
            _read(folder / name)
        except ValueError:
            print(f"{folder.name}/{name} is damaged: the notebooks that fill it run again", flush=True)
            (folder / name).unlink()


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
        value = float(str(value))  # float32 0.1 stays 0.1
    elif isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"The value {name!r} must be a number, text or truth value. Received: {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"The value {name!r} must be finite. Received: {value}")
    return value


def fill(text: str, values: dict[str, dict]) -> tuple[str, str]:
    """A sentence with saved values in place of their names, as plain text and as Markdown; see `Results.say`."""
    plain, marked = "", ""
    for literal, name, form, _ in string.Formatter().parse(text):
        filled, word = "", False
        if name is not None:
            value = find("value", name, values)["value"]
            word = isinstance(value, str)
            try:
                if form.startswith("count "):
                    filled = counted(value, form.removeprefix("count "))
                else:
                    filled = format(value, form or (".4g" if isinstance(value, float) else ""))
                    filled = filled.replace("%", f"{display.SPACE}%") if form.endswith("%") else filled
            except ValueError as error:
                raise ValueError(f"A format must fit its value. Received: {form!r} for {value!r}") from error
        plain += literal + printable(filled)
        marked += literal + (markdown(filled) if word else filled)
    return plain, marked


def write_evidence(brief: str) -> list[Path]:
    """Copy a report's results tables to `reports/results`, with what their rows rest on.

    Each row of `tables/experiments.csv`, and of the tables of transfers, searches and draws where there are some, gets
    its profile, commit and processor; the row of the best model also its test results, and each row of these tables
    whose test images were predicted the accuracy on them. A ValueError says that the report of the brief is not made.

    Returns:
        `<brief>.csv`, `<brief>_transfers.csv` and so on.
    """
    tables, values = paths.report(brief) / "tables", read_values(paths.report(brief))
    if not (tables / "experiments.csv").exists() or "best.test_accuracy" not in values:
        raise ValueError(f"The report of {brief} is not made: run `make report BRIEF={brief}` first")
    kept = {f"{brief}.csv": "experiments.csv"} | {f"{brief}_{kind}.csv": f"{kind}.csv" for kind in FURTHER_TABLES}
    frames = {file: read_csv(tables / table) for file, table in kept.items() if (tables / table).exists()}
    for frame in frames.values():
        frame["profile"] = values["best.test_accuracy"]["profile"]
        environments = [Run(paths.runs(brief) / run).environment() for run in frame["run"]]
        for fact in ("commit", "dirty", "cpu", "cores", "peak_memory_mb"):
            frame[fact] = [environment[fact] for environment in environments]
    experiments = frames[f"{brief}.csv"]
    best = experiments["run"].isin(values["best.test_accuracy"]["runs"])
    for name in ("test_accuracy", "test_balanced_accuracy", "test_top5_accuracy", "test_cross_entropy"):
        experiments.loc[best, name] = values[f"best.{name}"]["value"]
    for frame in (frame for frame in frames.values() if frame is not experiments):
        frame[["test_accuracy", "test_low", "test_high"]] = [_on_test(brief, run) for run in frame["run"]]
    folder = paths.ROOT / "reports" / "results"
    for file, frame in frames.items():
        write_csv(folder / file, frame.round(6))
    return [folder / file for file in frames]


def _on_test(brief: str, name: str) -> tuple[float, float, float]:
    """Accuracy on test and the ends of its interval; no numbers where a run's test images were not predicted."""
    run = Run(paths.runs(brief) / name)
    if not run.predictions_file("test").exists():
        return (math.nan,) * 3
    _, labels, probabilities = run.predictions("test")
    return evaluation.accuracy(labels, probabilities), *evaluation.bootstrap_interval(labels, probabilities)
