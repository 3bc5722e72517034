"""What a report folder holds, read for a written report: values, figures, tables, and how the experiments compare."""

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib import evaluation
from lib.config import Brief
from lib.report import results
from lib.report.results.store import find_value
from lib.report.written.numbers import Number, Origin, Text, bind

VERDICTS = {
    "better": "better",
    "worse": "worse",
    "no difference within noise": "level",
    "one seed, no claim": "unclear",
}


@dataclass(frozen=True)
class Reached:
    """What one experiment reached on average over its seeds; shares lie in [0, 1]."""

    name: Text
    n: Number  # seeds
    mean: Number  # accuracy on val
    spread: Number  # sample standard deviation, 0 with one seed
    train: Number  # accuracy on train
    gap: Number  # train minus val
    minutes: Number
    parameters: Number
    epochs: Number


@dataclass(frozen=True)
class Comparison:
    """How one experiment compares with another on val."""

    verdict: str  # better, worse, level (no difference within the noise between seeds), unclear (one seed)
    difference: Number
    low: Number | None  # of the 95 % interval; None with one seed
    high: Number | None

    @property
    def size(self) -> Number:
        """The difference without its sign: what a better one gains and a worse one costs."""
        return Number(abs(self.difference), self.difference.origin)

    @property
    def least(self) -> Number | None:
        """End of the interval at which the difference is smallest, seen in its own direction."""
        return self._towards(self.low, self.high)

    @property
    def most(self) -> Number | None:
        """The other end."""
        return self._towards(self.high, self.low)

    def _towards(self, end: Number | None, other: Number | None) -> Number | None:
        if self.difference < 0 and other is not None:
            return Number(-other, other.origin)
        return end

    def say(self, *, better: str, worse: str, level: str, unclear: str) -> str:
        """The words for what was found."""
        return {"better": better, "worse": worse, "level": level, "unclear": unclear}[self.verdict]


class Row(dict):
    """A row of a table: its cells by column, in templates as `row.recall`."""

    def __init__(self, cells: dict, name: str):
        super().__init__(cells)
        self._table = name

    def __missing__(self, column: str):
        raise ValueError(f"The table {self._table!r} has no column {column!r}. Columns: {', '.join(self)}")


class Findings:
    """The results of a report folder; every one that is asked for is noted in `used`.

    `used` holds (kind, name) -> entry of values.json or manifest.json.
    """

    def __init__(self, folder: Path, brief: Brief):
        self.folder, self.brief = folder, brief
        self.values = results.read_values(folder)
        self.manifest = {(entry["kind"], entry["name"]): entry for entry in results.read_manifest(folder)}
        self.used = {}
        self._frames = {}

    @property
    def profile(self) -> str:
        """The size that everything was run at."""
        entries = [*self.values.values(), *self.manifest.values()]
        return entries[0]["profile"] if entries else ""

    def has(self, name: str) -> bool:
        """Whether there is a value, figure or table of that name."""
        return name in self.values or ("figure", name) in self.manifest or ("table", name) in self.manifest

    def value(self, name: str) -> Number | Text | bool:
        """One value.

        Raises:
            ValueError: if no notebook has saved it; the message lists similar names.
        """
        value = find_value(name, self.values)
        entry = self.used["value", name] = self.values[name]
        return bind(value, Origin(name, entry["notebook"], tuple(entry["runs"])))

    def entry(self, kind: str, name: str) -> dict:
        """What the manifest says of a figure or table.

        Raises:
            ValueError: if no notebook has saved it; the message lists similar names.
        """
        if (kind, name) not in self.manifest:
            known = [other for other_kind, other in self.manifest if other_kind == kind]
            near = difflib.get_close_matches(name, known, n=5, cutoff=0.4) or known
            raise ValueError(f"No notebook has saved the {kind} {name!r}. Saved: {', '.join(near) or 'none yet'}")
        self.used[kind, name] = self.manifest[kind, name]
        return self.manifest[kind, name]

    def frame(self, name: str) -> pd.DataFrame:
        """One table, as it was saved; empty cells of text columns are "".

        Raises:
            ValueError: if there is none, or its file is gone.
        """
        entry = self.entry("table", name)
        if name not in self._frames:
            file = self.folder / entry["file"]
            if not file.exists():
                raise ValueError(f"{entry['file']} is missing: make the report again")
            frame = pd.read_csv(file, keep_default_na=False, na_values=[""])
            texts = frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]
            self._frames[name] = frame.fillna(dict.fromkeys(texts, ""))
        return self._frames[name]

    def rows(self, name: str, *, sort: str = "", descending: bool = False) -> list[Row]:
        """The rows of a table as bound cells, sorted by a column where asked; empty cells come last."""
        frame, entry = self.frame(name), self.entry("table", name)
        if sort:
            check_columns(frame, [sort], name)
            frame = frame.sort_values(sort, ascending=not descending, kind="stable")
        origin = Origin(f"table {name}", entry["notebook"], tuple(entry["runs"]))
        return [
            Row({column: bind(cell, origin) for column, cell in row.items()}, name)
            for row in frame.astype(object).to_dict("records")
        ]

    def experiment(self, name: str) -> Reached:
        """What an experiment reached.

        Raises:
            ValueError: if it has no finished run; the message lists those that have.
        """
        runs = self._runs_of(name)
        origin = Origin(f"experiment {name}", self.entry("table", "experiments")["notebook"], tuple(runs["run"]))
        means = {column: runs[column].mean() for column in ("val_accuracy", "train_accuracy", "minutes", "epochs")}
        numbers = {
            "n": len(runs),
            "mean": means["val_accuracy"],
            "spread": runs["val_accuracy"].std(ddof=1) if len(runs) > 1 else 0.0,
            "train": means["train_accuracy"],
            "gap": means["train_accuracy"] - means["val_accuracy"],
            "minutes": means["minutes"],
            "parameters": runs["parameters"].max(),
            "epochs": means["epochs"],
        }
        bound = {key: Number(number, origin) for key, number in numbers.items()}
        return Reached(Text(name, origin, code=True), **bound)

    def compare(self, name: str | Reached, other: str | Reached = "") -> Comparison:
        """How an experiment compares with another one (the baseline where none is named) on val."""
        name, other = (getattr(one, "name", one) for one in (name, other or self.brief.baseline))
        both = [self._runs_of(one) for one in (name, other)]
        found = evaluation.compare_seeds(*(runs["val_accuracy"].to_numpy() for runs in both))
        notebook = self.entry("table", "experiments")["notebook"]
        origin = Origin(f"{name} against {other}", notebook, tuple(run for runs in both for run in runs["run"]))
        low, high = (None if bound is None else Number(bound, origin) for bound in (found.low, found.high))
        return Comparison(VERDICTS[found.verdict], Number(found.difference, origin), low, high)

    def experiments(self, verdict: str = "", *, sort: str = "") -> list[Reached]:
        """What the ladder's experiments reached, without the baseline and the best model.

        Args:
            verdict: "" takes all, else only those that are better, worse, level or unclear against the baseline.
            sort: a field of `Reached`, with a minus the largest first; "" keeps the order of the table.

        Raises:
            ValueError: if the verdict or the field is unknown.
        """
        fields = [spec.name for spec in dataclasses.fields(Reached)]
        if verdict not in ("", *VERDICTS.values()) or sort.removeprefix("-") not in ("", *fields):
            raise ValueError(
                f"experiments() takes a verdict ({', '.join(VERDICTS.values())}) and sort= a field "
                f"({', '.join(fields)}). Received: {verdict!r}, sort={sort!r}"
            )
        done = self.frame("experiments").dropna(subset="val_accuracy")["experiment"].unique()
        ladder = [name for name in done if name not in (self.brief.baseline, self.brief.best)]
        found = [self.experiment(name) for name in ladder if verdict in ("", self.compare(name).verdict)]
        if sort:
            found.sort(key=lambda one: getattr(one, sort.removeprefix("-")), reverse=sort.startswith("-"))
        return found

    def _runs_of(self, name: str) -> pd.DataFrame:
        frame = self.frame("experiments")
        runs = frame[(frame["experiment"] == name) & frame["val_accuracy"].notna()]
        if runs.empty:
            known = ", ".join(frame["experiment"].unique())
            raise ValueError(f"The experiment {name!r} has no finished run. Experiments: {known}")
        return runs


def check_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Refuse columns that a table does not have.

    Raises:
        ValueError: names them; the message lists the ones there are.
    """
    unknown = [column for column in columns if column not in frame]
    if unknown:
        raise ValueError(f"The table {name!r} has no column {', '.join(unknown)}. Columns: {', '.join(frame)}")
