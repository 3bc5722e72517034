"""Numbers and words that know where they come from, and how a report writes them.

Text of a report carries them between marks until the page is written: what stands outside of marks was typed.
"""

import math
import re
from dataclasses import dataclass

# Characters of Unicode's private area: they stand for nothing, so no honest text holds them.
START, NAMED, END = "\ue000", "\ue001", "\ue002"
BLOCK, REFERENCE, CLOSE = "\ue003", "\ue004", "\ue005"
PRIVATE = re.compile("[\ue000-\ue005]")
MARKED = re.compile(f"{START}(\\d+){NAMED}([^{END}]*){END}")
PLACED = re.compile(f"([{BLOCK}{REFERENCE}])(\\d+){CLOSE}")

WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
SPACE, MINUS = "\u00a0", "\u2212"  # a number and its unit stay on one line


@dataclass(frozen=True)
class Origin:
    """Where a number or word comes from."""

    name: str  # e.g. best.test_accuracy, or table per_class
    notebook: str = ""
    runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        runs = self.runs[0] if len(self.runs) == 1 else f"{len(self.runs)} runs" if self.runs else ""
        return ", ".join(part for part in (self.name, self.notebook, runs) if part)


class Number(float):
    """A number with its origin; what is calculated from it in a template is a plain number again, without one."""

    def __new__(cls, value: float, origin: Origin):
        new = super().__new__(cls, value)
        new.origin = origin
        return new

    def __str__(self) -> str:
        return write_number(self)


class Text(str):
    """Words with their origin; `code` ones are names that are shown in typewriter letters."""

    def __new__(cls, value: str, origin: Origin, *, code: bool = False):
        new = super().__new__(cls, value)
        new.origin, new.code = origin, code
        return new


def bind(value, origin: Origin):
    """A value with its origin; truth values and nothing stay as they are."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return Text(value, origin)
    return None if math.isnan(value) else Number(value, origin)


def write_number(number: float, form: str = "") -> str:
    """A number as text.

    Args:
        number: finite.
        form: "%" 93.8 % of 0.938 ("0%" none after the point), "points" 7.1 points of 0.071, "pts" the same without the
            word ("+points" and "+pts" with a sign), "time" minutes as 43 s, 55 min or 2.3 h, "word" three, or a format
            of Python; "" has thousands apart or four significant digits.

    Raises:
        ValueError: if it is not one of these.
    """
    number = float(number)
    whole = number.is_integer()
    if form == "":
        text = f"{number:,.0f}" if whole or abs(number) >= 1000 else f"{number:.4g}"
    elif re.fullmatch(r"\d?%", form):
        text = f"{_hundredfold(number):.{form[:-1] or 1}f}{SPACE}%"
    elif form.lstrip("+") in ("points", "pts"):
        unit = f"{SPACE}points" if form.endswith("points") else ""
        text = f"{_hundredfold(number):{'+' if form[0] == '+' else ''}.1f}{unit}"
    elif form == "time":
        text = _duration(number)
    elif form == "word":
        text = WORDS[int(number)] if whole and 0 <= number < len(WORDS) else f"{number:,.4g}"
    else:
        try:
            text = format(int(number) if whole and form[-1] in "d," else number, form)
        except ValueError as error:
            raise ValueError(f"A number must have a known format. Received: {form!r}") from error
    if text[0] in "+-" and not re.search("[1-9]", text):  # a difference that rounds to nothing has no sign
        return text[1:]
    return text.replace("-", MINUS, 1) if text[0] == "-" else text


def mark(value: Number | Text, number: int, form: str = "") -> str:
    """A bound value as it stands in the text until the page is written; `number` finds its origin again."""
    text = write_number(value, form) if isinstance(value, Number) else PRIVATE.sub("", " ".join(value.split()))
    marked = f"{START}{number}{NAMED}{text}{END}"
    return f"`{marked}`" if getattr(value, "code", False) and "`" not in text else marked


def escape(text: str) -> str:
    """A text that Markdown shows letter by letter, whatever signs it holds."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", PRIVATE.sub("", text))


def _hundredfold(share: float) -> float:
    """A share as per cent, without the dust of binary fractions: 0.93749999999 is 93.75."""
    return round(100 * share, 9)


def _duration(minutes: float) -> str:
    if minutes < 1:
        return f"{60 * minutes:.{0 if minutes >= 1 / 6 else 1}f}{SPACE}s"
    return f"{minutes:.{0 if minutes >= 10 else 1}f}{SPACE}min" if minutes < 90 else f"{minutes / 60:.1f}{SPACE}h"
