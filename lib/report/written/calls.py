"""What a template can call, as `reports/README.md` lists it.

Each call gives text that knows where it comes from, or a place for a figure or table; a name, a column or a format that
does not exist is refused with a ValueError that names similar ones.
"""

import linecache
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib import evaluation
from lib.config import Brief
from lib.config.names import noun, read_csv
from lib.report import results
from lib.report.results.display import SPACE, column_texts, write_number
from lib.report.written.numbers import BLOCK, REFERENCE, VALUE, Number, Origin, Text, bind, capital, mark, typed_numbers

CALLS = (
    "value show count join difference share quote cited figure table ref has rows experiment mean experiments compare "
    "differences holds"
).split()
CLASSES = ("class_name", "most_confused_with", "true_class", "predicted_class")  # names, even those made of digits
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "no difference within noise": "level",
    "one seed, no claim": "unclear",
}


@dataclass(frozen=True)
class Block:
    """A figure or table in its place, numbered in reading order."""

    kind: str  # figure or table
    name: str
    number: int
    entry: dict  # of the manifest
    caption: str = ""  # the author's; "" takes the notebook's
    width: str = ""  # of a figure, e.g. "80%"
    header: tuple[str, ...] = ()
    numeric: tuple[bool, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: int = 0  # rows of a long table that are not shown

    @property
    def label(self) -> str:
        return f"{self.kind.capitalize()}{SPACE}{self.number}"

    @property
    def anchor(self) -> str:
        return f"{self.kind}-{self.name.replace('_', '-')}"


class Row(dict):
    """Named bound values, in templates as `row.recall`; an unknown name is refused with the ones there are."""

    def __init__(self, cells: dict, owner: str):
        super().__init__(cells)
        self._owner = owner

    def __missing__(self, column: str):
        raise ValueError(f"The {self._owner} has no column {column!r}. Columns: {', '.join(self)}")


class Calls:
    """The calls of one report while its template is filled, and what they leave behind.

    Attributes:
        used: (kind, name) -> entry of values.json or manifest.json, for all that was asked for.
        origins, blocks: what marks in the text stand for, by number.
        references: (name, kind, place) of each ref(), by number.
        cited_sources: (source, place) of each cited().
        typed: (place, number) for each number that an expression printed and no result holds.
        broken: (place, line of the template) for each claim that does not hold.
    """

    def __init__(self, brief: Brief, folder: Path):
        self.brief, self.folder = brief, folder
        self.saved = {"value": results.read_values(folder), "figure": {}, "table": {}}  # kind -> name -> entry
        for entry in results.read_manifest(folder):
            self.saved[entry["kind"]][entry["name"]] = entry
        self.profile = next((entry["profile"] for saved in self.saved.values() for entry in saved.values()), "")
        self.used = {}
        self.origins, self.blocks, self.references, self.cited_sources, self.typed, self.broken = [], [], [], [], [], []

    def names(self) -> dict[str, object]:
        """Name -> what a template finds under it."""
        plain = (str, int, float, type(None))
        facts = {name: fact for name, fact in vars(self.brief).items() if isinstance(fact, plain)}
        return {
            **{name: getattr(self, name) for name in CALLS},
            "capital": capital,
            "brief": {name: bind(fact, Origin(f"brief, {name}")) for name, fact in facts.items()},
        }

    def marked(self, value: Number | Text, form: str = "") -> str:
        """A bound value as text between marks."""
        self.origins.append(value.origin)
        text = write_number(value, form) if isinstance(value, Number) else " ".join(value.split())
        marked = mark(VALUE, len(self.origins) - 1, text)
        return f"`{marked}`" if getattr(value, "code", False) and "`" not in text else marked

    def check_typed(self, text: str) -> None:
        """Note the numbers in what an expression printed."""
        self.typed += [(calling_place(), number) for _, number in typed_numbers(text)]

    # Results

    def has(self, name: str) -> bool:
        """Whether there is a value, figure or table of that name."""
        return any(name in saved for saved in self.saved.values())

    def value(self, name: str, form: str = "") -> Number | Text | bool | str:
        """A value, which can be compared and printed; with a format its text."""
        entry = self.entry("value", name)
        value = bind(entry["value"], Origin(name, entry["notebook"], tuple(entry["runs"])))
        return self.show(value, form) if form else value

    def entry(self, kind: str, name: str) -> dict:
        """What was saved of a value, or of a figure or table whose file is there."""
        entry = self.used[kind, name] = results.find(kind, name, self.saved[kind])
        if kind != "value" and not (self.folder / entry["file"]).exists():
            raise ValueError(f"{entry['file']} is missing: make the report again")
        return entry

    def frame(self, name: str, columns: Sequence[str] = (), sort: str = "") -> pd.DataFrame:
        """A whole table, which must have the columns; empty cells of text columns are "".

        It is sorted by the column `sort`, with a minus the largest first; "" keeps the order.
        """
        file = self.folder / self.entry("table", name)["file"]
        options = {"keep_default_na": False, "na_values": [""], "dtype": dict.fromkeys(CLASSES, str)}
        frame = read_csv(file, **options)
        texts = frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]
        frame, column = frame.fillna(dict.fromkeys(texts, "")), sort.removeprefix("-")
        unknown = [column for column in (*columns, *filter(None, [column])) if column not in frame]
        if unknown:
            raise ValueError(f"The table {name!r} has no column {', '.join(unknown)}. Columns: {', '.join(frame)}")
        return frame.sort_values(column, ascending=column == sort, kind="stable") if sort else frame

    def rows(self, name: str, *, sort: str = "") -> list[Row]:
        """The rows of a table as bound cells, sorted as by `frame`; empty cells come last."""
        frame, entry = self.frame(name, sort=sort), self.entry("table", name)
        origin = Origin(f"table {name}", entry["notebook"], tuple(entry["runs"]))
        return [
            Row({column: bind(cell, origin) for column, cell in row.items()}, f"table {name!r}")
            for row in frame.to_dict("records")
        ]

    # Experiments

    def experiment(self, name: str) -> Row:
        """What an experiment, or a transfer, reached on average over its `n` seeds that have finished.

        `mean` (on val), `spread` (sample standard deviation, 0 with one seed), `train` and `gap` (train minus val) are
        accuracies in [0, 1] or their differences. A transfer has what its table has: `seconds` and, of parameters,
        those `trained` and `frozen`.
        """
        runs = self._runs_of(name)
        spread = runs["val_accuracy"].std(ddof=1) if len(runs) > 1 else 0.0
        reached = {"n": len(runs), "mean": runs["val_accuracy"].mean(), "spread": spread}
        if "train_accuracy" in runs:
            reached["train"] = runs["train_accuracy"].mean()
            reached["gap"] = reached["train"] - reached["mean"]
        reached |= {column: runs[column].mean() for column in ("minutes", "epochs", "seconds") if column in runs}
        reached |= {column: runs[column].max() for column in ("parameters", "trained", "frozen") if column in runs}
        origin = Origin(f"experiment {name}", self._table_entry(name)["notebook"], tuple(runs["run"]))
        bound = {field: bind(number, origin) for field, number in reached.items()}
        return Row({"name": Text(name, origin, code=True), **bound}, f"experiment {name!r}")

    def mean(self, name: str) -> Number:
        """The accuracy on val that an experiment reached on average over its seeds."""
        return self.experiment(name)["mean"]

    def compare(self, name: str | Row, other: str | Row = "") -> Row:
        """How an experiment or transfer compares with another one (the baseline where none is named) on val.

        `verdict` is better, worse, level (no difference within the noise between seeds) or unclear (one seed);
        `low` and `high` bound the 95 % interval of `difference`, None with one seed.
        """
        name, other = (one["name"] if isinstance(one, Row) else one for one in (name, other or self.brief.baseline))
        both = [self._runs_of(one) for one in (name, other)]
        found = evaluation.compare_seeds(*(runs["val_accuracy"].to_numpy() for runs in both))
        numbers = {"difference": found.difference, "low": found.low, "high": found.high}
        notebook = self._table_entry(name)["notebook"]
        origin = Origin(f"{name} against {other}", notebook, tuple(run for runs in both for run in runs["run"]))
        bound = {field: None if number is None else Number(number, origin) for field, number in numbers.items()}
        return Row({"verdict": VERDICTS[found.verdict], **bound}, f"comparison of {name!r} and {other!r}")

    def experiments(self, verdict: str = "", *, against: str = "", sort: str = "") -> list[Row]:
        """What the experiments reached, without the one they are held against, and without the best model.

        Against the baseline, where none is named, it is the ladder; against `best_short` it is the ablation. With a
        verdict of `compare` only those that have it; sorted as by `frame`.
        """
        field = sort.removeprefix("-")
        if verdict not in ("", *VERDICTS.values()):
            known = ", ".join(VERDICTS.values())
            raise ValueError(f"experiments() takes a verdict ({known}) or none. Received: {verdict!r}")
        against = against or self.brief.baseline
        ablation = self.brief.ablation
        done = self.frame("experiments").dropna(subset="val_accuracy")["experiment"].unique()
        others = [name for name in done if name not in (against, self.brief.best)]
        names = [name for name in others if (name in ablation) == (against in ablation)]
        found = [self.experiment(name) for name in names if verdict in ("", self.compare(name, against)["verdict"])]
        return sorted(found, key=lambda one: one[field], reverse=sort.startswith("-")) if field else found

    def _table_entry(self, name: str) -> dict:
        """Of the table in which an experiment or transfer stands."""
        return self.entry("table", "transfers" if name in self.brief.transfers else "experiments")

    def _runs_of(self, name: str) -> pd.DataFrame:
        frame = self.frame(self._table_entry(name)["name"])
        runs = frame[(frame["experiment"] == name) & frame["val_accuracy"].notna()]
        if runs.empty:
            known = ", ".join(frame["experiment"].unique())
            raise ValueError(f"The experiment {name!r} has no finished run. Experiments: {known}")
        return runs

    # Words

    def show(self, value, form: str = "") -> str:
        """A bound number or word in a format, see `display.write_number`."""
        if not isinstance(value, (Number, Text)):
            raise ValueError(f"show() takes what value(), rows(), experiment() or compare() gave. Received: {value!r}")
        if form and isinstance(value, Text):
            raise ValueError(f"Words take no format. Received: {form!r} for {value!r}")
        return self.marked(value, form)

    def count(self, number, one: str, many: str = "") -> str:
        """A number in words with what it counts: one seed, three seeds, no classes; of a list, its length.

        `many` is the plural, where that is an odd one.
        """
        if isinstance(number, list) and all(isinstance(item, (Number, Row, Text)) for item in number):
            number = Number(len(number), Origin("counted in the results"))
        number = self.value(number) if isinstance(number, str) else number
        if not isinstance(number, Number):
            raise ValueError(
                f"count() takes the name of a value, a bound number or a list of what runs gave. Received: {number!r}"
            )
        things = many if many and number != 1 else noun(number, one)
        return f"no {things}" if number == 0 else f"{self.marked(number, 'word')} {things}"

    def differences(self, experiments: Sequence[Row], against: str = "") -> str:
        """`wide` (+3.2 points, +0.3 to +6.1), ...: each difference to another experiment with its 95 % interval."""
        texts = []
        for one in experiments:
            found = self.compare(one, against)
            ends = [self.show(found[end], "+pts") for end in ("low", "high") if found[end] is not None]
            unit = "" if texts else f"{SPACE}points"
            interval = f", {' to '.join(ends)}" if ends else ""
            texts.append(f"{self.show(one['name'])} ({self.show(found['difference'], '+pts')}{unit}{interval})")
        return self.join(texts)

    def holds(self, claim) -> str:
        """Prints nothing, and notes a claim that is not true: it stands behind a sentence that it bears out.

        Runs of smoke size are too small to decide any claim.
        """
        if not claim and self.profile != "smoke":
            file, line = calling_place()
            self.broken.append(((file, line), linecache.getline(file, line).strip()))
        return ""

    def join(self, items: Sequence, last: str = "and") -> str:
        """a, b and c."""
        items = [item["name"] if isinstance(item, Row) else item for item in items]
        texts = [self.marked(item) if isinstance(item, (Number, Text)) else str(item) for item in items]
        return f" {last} ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))

    def difference(self, name: str, other: str, form: str = "") -> str:
        """One value minus another; both must be numbers."""
        first, second, origin = self._two(name, other)
        return self.marked(Number(float(first) - float(second), origin), form)

    def share(self, name: str, other: str, form: str = "%") -> str:
        """One value divided by another; both must be numbers, and the second not 0."""
        first, second, origin = self._two(name, other)
        if not second:
            raise ValueError(f"A share needs a whole that is not 0. Received: {other} = {second}")
        return self.marked(Number(float(first) / float(second), origin), form)

    def _two(self, name: str, other: str) -> tuple[Number, Number, Origin]:
        both = [self.value(one) for one in (name, other)]
        if not all(isinstance(one, Number) for one in both):
            raise ValueError(f"Both values must be numbers. Received: {both[0]!r} and {both[1]!r}")
        runs = dict.fromkeys(run for one in both for run in one.origin.runs)
        return *both, Origin(f"{name} and {other}", both[0].origin.notebook, tuple(runs))

    def quote(self, text: str) -> str:
        """Words of the brief, in quotation marks."""
        return self.marked(Text(f"“{text}”", Origin("quoted from the brief")))

    def cited(self, text: str, by: str) -> str:
        """A number from the literature; `by` stands in the section References."""
        self.cited_sources.append((by, calling_place()))
        return self.marked(Text(str(text), Origin(by)))

    # Figures and tables

    def figure(self, name: str, caption: str = "", width: str = "") -> str:
        """A figure in its place; "" takes the notebook's caption, and the figure's own width as far as it fits."""
        if width and not re.fullmatch(r"[1-9]\d?%|100%", width):
            raise ValueError(f"A width must be a share of the text's, like 80%. Received: {width!r}")
        return self._place("figure", name, caption=caption, width=width)

    def table(self, name: str, columns=None, *, formats=None, sort: str = "", rows: int = 0, caption: str = "") -> str:
        """A table in its place: the first `rows` of it as sorted by `frame`, 0 for all.

        `columns` are names, or names and headings; `formats` gives some of them a format of `display.write_number`.
        """

        def texts(key: str) -> list[str]:
            if not formats.get(key):
                return column_texts(shown[key])
            return ["–" if cell != cell else write_number(cell, formats[key]) for cell in shown[key]]

        formats = formats or {}
        frame = self.frame(name, [*(columns or ()), *formats], sort)
        titles = {key: capital(re.sub("[_.]", " ", key)) for key in columns or frame}
        titles = columns if isinstance(columns, Mapping) else titles
        shown = frame.head(rows or len(frame))
        return self._place(
            "table",
            name,
            caption=caption,
            header=tuple(titles.values()),
            numeric=tuple(frame[key].dtype.kind in "iuf" for key in titles),
            rows=tuple(zip(*map(texts, titles), strict=True)),
            left_out=len(frame) - len(shown),
        )

    def ref(self, name: str, kind: str = "") -> str:
        """The number of a figure or table that stands somewhere in the report."""
        self.references.append((name, kind, calling_place()))
        return mark(REFERENCE, len(self.references) - 1)

    def _place(self, kind: str, name: str, *, caption: str, **content) -> str:
        if any((block.kind, block.name) == (kind, name) for block in self.blocks):
            raise ValueError(f"The {kind} {name!r} is shown twice: name it with ref() the second time")
        self.check_typed(caption)
        number = 1 + sum(block.kind == kind for block in self.blocks)
        self.blocks.append(Block(kind, name, number, self.entry(kind, name), caption=caption, **content))
        return f"\n\n{mark(BLOCK, len(self.blocks) - 1)}\n\n"


def calling_place() -> tuple[str, int]:
    """File and line of the template that is being filled right now."""
    frame = sys._getframe(1)
    while "__jinja_template__" not in frame.f_globals:
        frame = frame.f_back
    template = frame.f_globals["__jinja_template__"]
    return template.filename, template.get_corresponding_lineno(frame.f_lineno)
