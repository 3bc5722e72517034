"""Names are data: how a word that somebody else chose stands on a screen, in Markdown, in CSV, and behind a number.

In HTML `html.escape` and Jinja's `autoescape` do this, in figures `text.parse_math`.
"""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from lib.config.files import write_bytes

# Signs that move the cursor, end a line or turn round the order of those behind; halves of pairs; signs of no meaning.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\uf8ff]")
# What spreadsheets take for a formula, in full width too; an apostrophe before it makes it a word.
FORMULA = re.compile("'*[=+@\t\r\n\uff0b\uff0d\uff1d\uff20-]")
NEGATIVE = re.compile(r"-\d+(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)


def printable(text: object) -> str:
    """The text with control characters as the codes that Python writes for them, e.g. `\\x1b`."""
    return CONTROL.sub(lambda sign: ascii(sign[0])[1:-1], str(text))


def markdown(text: object) -> str:
    """The text in Markdown that shows it letter by letter, to every reader of Markdown."""
    codes = {"&": "&#38;", "\\": "&#92;"}  # escaped with a backslash they still begin a code or a formula for some
    return re.sub(r"[!-/:-@\[-`{-~]", lambda sign: codes.get(sign[0], f"\\{sign[0]}"), printable(text))


def noun(number: float, one: str) -> str:
    """The word for what is counted, as it fits the number: epoch, epochs; class, classes; entry, entries."""
    if number == 1:
        return one
    return re.sub(r"(?<![aeiou])y$", "ie", one) + ("es" if re.search(r"(s|x|sh|(?<!o)ch)$", one) else "s")


def counted(number: float, one: str) -> str:
    """A number with what it counts: 1 epoch, 1,200 epochs."""
    return f"{number:,} {noun(number, one)}"


def csv_bytes(frame) -> bytes:
    """A pandas table as CSV without its index, in which no word is a formula; `read_csv` gives the words again."""
    stream = io.BytesIO()  # as text it would take four bytes per letter
    table = _words(frame, lambda word: f"'{word}" if FORMULA.match(word) and not NEGATIVE.fullmatch(word) else word)
    table.to_csv(stream, index=False, lineterminator="\n", mode="wb")
    content = stream.getvalue()
    if b"\r" in content:  # it would end a line outside of quotation marks
        return table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).encode()
    return content


def write_csv(file: Path, frame) -> None:
    """Write a pandas table as `csv_bytes` makes it, all or nothing."""
    write_bytes(file, csv_bytes(frame))


def read_csv(source: Path | bytes, **options):
    """The pandas table that `csv_bytes` wrote; options are those of pandas."""
    import pandas as pd  # here: names are printed where nothing is installed yet

    frame = pd.read_csv(io.BytesIO(source) if isinstance(source, bytes) else source, **options)
    return _words(frame, lambda word: word[1:] if word[0] == "'" and FORMULA.match(word) else word)


def _words(frame, change: Callable[[str], str]):
    """The table with its words changed, in headings and cells; numbers stay."""

    def changed(cell):
        return change(cell) if isinstance(cell, str) and cell else cell

    new = frame.set_axis(list(map(changed, frame.columns)), axis="columns")
    for number, kind in enumerate(frame.dtypes):
        if kind.name in ("object", "str"):
            new.isetitem(number, frame.iloc[:, number].map(changed))
    return new
