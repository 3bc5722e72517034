"""What a template can call: each returns text that knows where it comes from, or a place kept for a figure or table."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lib.report.results.display import column_texts
from lib.report.written import numbers
from lib.report.written.findings import Findings, Reached, Row, check_columns
from lib.report.written.numbers import Number, Origin, Text
from lib.report.written.prose import typed_numbers


@dataclass(frozen=True)
class Block:
    """A figure or table in its place, numbered in reading order."""

    kind: str  # figure or table
    name: str
    number: int
    entry: dict  # of the manifest
    caption: str = ""  # of the author's; "" takes the notebook's
    width: str = ""  # of a figure, e.g. "80%"
    header: tuple[str, ...] = ()
    numeric: tuple[bool, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left_out: int = 0  # rows of a long table that are not shown

    @property
    def label(self) -> str:
        return f"{self.kind.capitalize()}{numbers.SPACE}{self.number}"

    @property
    def anchor(self) -> str:
        return f"{self.kind}-{self.name.replace('_', '-')}"


@dataclass
class Written:
    """What the functions of one report leave behind while its template is filled."""

    findings: Findings
    origins: list[Origin] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    sources: list[tuple[str, int]] = field(default_factory=list)  # sources named by cited(), each with its line
    references: list[tuple[str, str, int]] = field(default_factory=list)  # name, kind, line of each ref()
    typed: list[tuple[int, str]] = field(default_factory=list)  # line and number of what expressions typed
    line: Callable[[], int] = lambda: 1  # where in the template the call stands

    def mark(self, value: Number | Text, form: str = "") -> str:
        """A bound value as text between marks."""
        self.origins.append(value.origin)
        return numbers.mark(value, len(self.origins) - 1, form)

    def check_typed(self, text: str) -> None:
        """Note the numbers that an expression printed and no value holds."""
        self.typed += [(self.line(), number) for _, number in typed_numbers(text)]

    def functions(self) -> dict[str, object]:
        """Name -> function, as templates see them."""
        own = ("value", "show", "count", "join", "figure", "table", "ref", "difference", "share", "quote", "cited")
        read = ("has", "rows", "experiment", "experiments", "compare")
        brief = {
            spec.name: numbers.bind(value, Origin(f"brief, {spec.name}"))
            for spec in dataclasses.fields(self.findings.brief)
            if isinstance(value := getattr(self.findings.brief, spec.name), (str, int, float)) or value is None
        }
        return {
            **{name: getattr(self, name) for name in own},
            **{name: getattr(self.findings, name) for name in read},
            "capital": capital,
            "brief": brief,
            "profile": Text(self.findings.profile, Origin("profile")),
        }

    def value(self, name: str, form: str = ""):
        """A value, which can be compared and printed; with a format its text.

        Raises:
            ValueError: if no notebook has saved it, or the format does not fit.
        """
        value = self.findings.value(name)
        return self.show(value, form) if form else value

    def show(self, value, form: str = "") -> str:
        """A bound number or word in a format, see `bound.write_number`.

        Raises:
            ValueError: if it is not bound, or the format does not fit.
        """
        if not isinstance(value, (Number, Text)):
            raise ValueError(f"show() takes what value(), rows(), experiment() or compare() gave. Received: {value!r}")
        if form and isinstance(value, Text):
            raise ValueError(f"Words take no format. Received: {form!r} for {value!r}")
        return self.mark(value, form)

    def count(self, number, one: str, many: str = "") -> str:
        """A number in words with what it counts: one seed, three seeds, no seeds; of a list, its length.

        Args:
            number: name of a value, a bound number or a list.
            one: the thing in the singular.
            many: in the plural, where that is not the singular with an s.

        Raises:
            ValueError: if it is none of these.
        """
        if isinstance(number, list) and all(isinstance(item, (Number, Reached, Row, Text)) for item in number):
            number = Number(len(number), Origin("counted in the results"))
        number = self.findings.value(number) if isinstance(number, str) else number
        if not isinstance(number, Number):
            raise ValueError(
                f"count() takes the name of a value, a bound number or a list of what runs gave. Received: {number!r}"
            )
        things = one if number == 1 else many or f"{one}s"
        return f"no {things}" if number == 0 else f"{self.mark(number, 'word')} {things}"

    def join(self, items: Sequence, last: str = "and") -> str:
        """a, b and c."""
        items = [getattr(item, "name", item) for item in items]
        texts = [self.mark(item) if isinstance(item, (Number, Text)) else str(item) for item in items]
        return f" {last} ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))

    def difference(self, name: str, other: str, form: str = "") -> str:
        """One value minus another."""
        first, second, origin = self._two(name, other)
        return self.mark(Number(float(first) - float(second), origin), form)

    def share(self, name: str, other: str, form: str = "%") -> str:
        """One value divided by another.

        Raises:
            ValueError: if one is not a number, or the second is 0.
        """
        first, second, origin = self._two(name, other)
        if not second:
            raise ValueError(f"A share needs a whole that is not 0. Received: {other} = {second}")
        return self.mark(Number(float(first) / float(second), origin), form)

    def figure(self, name: str, caption: str = "", width: str = "") -> str:
        """A figure in its place.

        Args:
            name: of a saved figure.
            caption: Markdown; "" takes the notebook's.
            width: share of the text's width, e.g. "80%"; "" takes the figure's own size, as far as it fits.

        Raises:
            ValueError: if there is none, it is shown already, or the width is not a share.
        """
        if width and not re.fullmatch(r"[1-9]\d?%|100%", width):
            raise ValueError(f"A width must be a share of the text's, like 80%. Received: {width!r}")
        entry = self.findings.entry("figure", name)
        if not (self.findings.folder / entry["file"]).exists():
            raise ValueError(f"{entry['file']} is missing: make the report again")
        return self._place("figure", name, entry=entry, caption=caption, width=width)

    def table(self, name: str, columns=None, formats: Mapping[str, str] | None = None, **options) -> str:
        """A table, or a part of it, in its place.

        Args:
            name: of a saved table.
            columns: names, or names and headings, of those to show; None shows all.
            formats: column -> format, see `bound.write_number`.
            **options: rows (most to show), sort (a column), descending, caption.

        Raises:
            ValueError: if there is no such table, column or option, or it is shown already.
        """
        unknown = set(options) - {"rows", "sort", "descending", "caption"}
        if unknown:
            raise ValueError(f"table() has no option {', '.join(unknown)}. Options: rows, sort, descending, caption")
        entry, frame = self.findings.entry("table", name), self.findings.frame(name)
        titles = columns if isinstance(columns, Mapping) else {key: _title(key) for key in columns or frame}
        formats, sort, most = formats or {}, options.get("sort", ""), options.get("rows") or len(frame)
        check_columns(frame, [*titles, *formats, *filter(None, [sort])], name)
        if sort:
            frame = frame.sort_values(sort, ascending=not options.get("descending", False), kind="stable")
        shown = frame.head(most)
        cells = [_cells(shown[key], formats.get(key, "")) for key in titles]
        return self._place(
            "table",
            name,
            entry=entry,
            caption=options.get("caption", ""),
            header=tuple(titles.values()),
            numeric=tuple(frame[key].dtype.kind in "iuf" for key in titles),
            rows=tuple(zip(*cells, strict=True)),
            left_out=len(frame) - len(shown),
        )

    def ref(self, name: str, kind: str = "") -> str:
        """The number of a figure or table that stands somewhere in the report."""
        self.references.append((name, kind, self.line()))
        return f"{numbers.REFERENCE}{len(self.references) - 1}{numbers.CLOSE}"

    def quote(self, text: str) -> str:
        """Words of the brief, in quotation marks."""
        return self.mark(Text(f"“{text}”", Origin("quoted from the brief")))

    def cited(self, text: str, by: str) -> str:
        """A number from the literature; `by` stands in the section References."""
        self.sources.append((by, self.line()))
        return self.mark(Text(str(text), Origin(by)))

    def _two(self, name: str, other: str) -> tuple[Number, Number, Origin]:
        both = [self.findings.value(one) for one in (name, other)]
        if not all(isinstance(one, Number) for one in both):
            raise ValueError(f"Both values must be numbers. Received: {both[0]!r} and {both[1]!r}")
        runs = dict.fromkeys(run for one in both for run in one.origin.runs)
        return *both, Origin(f"{name} and {other}", both[0].origin.notebook, tuple(runs))

    def _place(self, kind: str, name: str, *, caption: str, **content) -> str:
        if any((block.kind, block.name) == (kind, name) for block in self.blocks):
            raise ValueError(f"The {kind} {name!r} is shown twice: name it with ref() the second time")
        self.check_typed(caption)
        number = 1 + sum(block.kind == kind for block in self.blocks)
        self.blocks.append(Block(kind, name, number, caption=caption, **content))
        return f"\n\n{numbers.BLOCK}{len(self.blocks) - 1}{numbers.CLOSE}\n\n"


def capital(text: str) -> str:
    """The text with a capital letter at its beginning, also where that is a bound one."""
    return re.sub(
        rf"^((?:{numbers.START}\d+{numbers.NAMED})?[*`]*)(\w)", lambda found: found[1] + found[2].upper(), text
    )


def _title(column: str) -> str:
    return capital(column.replace("_", " ").replace(".", " "))


def _cells(column, form: str) -> tuple[str, ...]:
    if not form:
        return tuple(column_texts(column))
    return tuple("–" if cell != cell else numbers.write_number(cell, form) for cell in column)
