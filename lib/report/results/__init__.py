"""What a report may show: figures, tables and numbers, each with the notebook and the runs it comes from.

A notebook opens its results once, `results = open_results(BRIEF, notebook="01_explore", profile=PROFILE)`, and
everything it shows goes through them. Opening drops what the same notebook left earlier, so that no figure, table
or number outlives the code that made it.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from IPython import get_ipython
from matplotlib import pyplot

from lib.config import PROFILES, files, paths
from lib.report.results import display, store
from lib.report.results.store import drop, find_value, read_manifest, read_values

__all__ = ["DPI", "Results", "drop", "find_value", "open_results", "read_manifest", "read_values"]

DPI = 150
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

    def save_figure(self, name: str, figure, *, caption: str, alt: str, runs: Sequence[str] = ()) -> display.Shown:
        """Write a figure to `figures/<name>.png`, show it and close it.

        Args:
            name: snake_case, used once in a brief.
            figure: matplotlib Figure.
            caption: what the reader should see in it, one or two sentences.
            alt: what is drawn, for readers who cannot see it.
            runs: ids of the runs it was drawn from.

        Raises:
            ValueError: if a name, text or run id is not as asked.
        """
        if not hasattr(figure, "savefig"):
            raise ValueError(f"A figure must be a matplotlib Figure. Received: {type(figure).__name__}")
        if not alt.strip():
            raise ValueError(f"The figure {name!r} needs an alt text that says what is drawn. Received: {alt!r}")
        buffer = io.BytesIO()
        # Without the name of the writing software, equal pixels are equal files.
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        width = round(100 * figure.get_figwidth())
        pyplot.close(figure)
        image = buffer.getvalue()
        file = self._save_file("figure", name, content=image, caption=caption, alt=alt, runs=runs)
        return display.publish(f"{caption} ({file})", html=display.figure_html(image, caption, alt=alt, width=width))

    def save_table(self, name: str, frame: pd.DataFrame, *, caption: str, runs: Sequence[str] = ()) -> display.Shown:
        """Write a table to `tables/<name>.csv`, every row in full precision, and show its first rows.

        Args:
            name: snake_case, used once in a brief.
            frame: the table; an index that is not just row numbers becomes its first columns.
            caption: what the reader should see in it.
            runs: ids of the runs it was made from.

        Raises:
            ValueError: if a name, text or run id is not as asked.
        """
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"A table must be a pandas DataFrame. Received: {type(frame).__name__}")
        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
        content = frame.to_csv(index=False, lineterminator="\n").encode()
        file = self._save_file("table", name, content=content, caption=caption, runs=runs)
        return display.publish(f"{caption} ({file})", html=display.table_html(frame, caption, file=file))

    def save_value(self, name: str, value, *, runs: Sequence[str] = ()) -> None:
        """Keep one number or word for the prose, the report and the other notebooks.

        Args:
            name: dotted snake_case, e.g. `dataset.images`, used once in a brief.
            value: number, text or truth value (NumPy scalars too), kept in full precision.
            runs: ids of the runs it was computed from.

        Raises:
            ValueError: if the name is not as asked, or the value is not finite or of another kind.
        """
        values = read_values(self.folder)
        self._claim(name, VALUE_NAME, kind="value", owner=values.get(name, {}).get("notebook"))
        values[name] = {"value": store.plain_value(name, value), **self._origin(runs)}
        store.write_values(self.folder, values)

    def value(self, name: str):
        """The number or word kept under a name, by this notebook or another one of the brief.

        Raises:
            ValueError: if there is none; the message lists similar names.
        """
        return store.find_value(name, read_values(self.folder))

    def say(self, text: str) -> display.Shown:
        """Show a sentence in Markdown whose numbers come from `values.json`.

        Args:
            text: e.g. `"{dataset.images:,} images in {dataset.classes} classes."`; a fraction without a format is
                shown with four significant digits.

        Raises:
            ValueError: if a name is not known (the message lists similar names) or does not fit its format.
        """
        filled = display.fill(text, read_values(self.folder))
        return display.publish(filled, markdown=filled)

    def _save_file(
        self, kind: str, name: str, *, content: bytes, caption: str, alt: str = "", runs: Sequence[str]
    ) -> str:
        """Write the file of a figure or table and its entry in `manifest.json`; returns the file's name."""
        if not caption.strip():
            raise ValueError(f"The {kind} {name!r} needs a caption. Received: {caption!r}")
        file = f"{kind}s/{name}.{'png' if kind == 'figure' else 'csv'}"
        manifest = {entry["file"]: entry for entry in read_manifest(self.folder)}
        self._claim(name, NAME, kind=kind, owner=manifest.get(file, {}).get("notebook"))
        entry = {"kind": kind, "name": name, "file": file, "caption": caption, "alt": alt, **self._origin(runs)}
        manifest[file] = entry | {"sha256": hashlib.sha256(content).hexdigest()}
        files.write_bytes(self.folder / file, content)
        store.write_manifest(self.folder, list(manifest.values()))
        return file

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

    Raises:
        ValueError: if a name is not as asked; the message lists the profiles.
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
