"""How numbers, tables, figures and sentences appear in notebooks, on pages and in written reports."""

import base64
import math
import numbers
import re
import traceback
from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import display

from lib.config import paths
from lib.config.names import counted, printable

WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
SPACE, MINUS = "\u00a0", "\u2212"  # a number and its unit stay on one line
ROWS = 50  # shown of a long table; its CSV file has them all


def publish(text: str, *, html: str = "", markdown: str = "") -> None:
    """Show something in the running notebook at once: as plain text, and on pages as HTML or Markdown."""
    data = {"text/plain": text, "text/html": html, "text/markdown": markdown}
    data = {kind: content for kind, content in data.items() if content}
    if data and get_ipython() is not None:
        display(data, raw=True)


def show_error(shell, kind: type, error: Exception, trace, tb_offset: int | None = None) -> None:
    """Show the sentence alone where a check of `lib` refuses what it was given; for `set_custom_exc` of IPython."""
    refused = paths.LIB in Path(traceback.extract_tb(trace)[-1].filename).resolve().parents
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset, exception_only=refused)


def with_code(text: str) -> str:
    """A caption as HTML, with the names between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(printable(text)))


def figure_html(image: bytes, caption: str, *, alt: str, width: int) -> str:
    """A figure with its PNG image inside, its caption and its alt text; width in CSS pixels."""
    source = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    return (
        f'<figure style="margin: 0"><img src="{source}" alt="{escape(alt)}" width="{width}" style="max-width: 100%; '
        f'height: auto"><figcaption>{with_code(caption)}</figcaption></figure>'
    )


def table_html(frame: pd.DataFrame, caption: str, *, file: str) -> str:
    """The first rows of a table with its caption; numbers to the right, short."""
    columns = [column_texts(column) for _, column in frame.head(ROWS).items()]
    styles = [_column_style(kind, texts) for kind, texts in zip(frame.dtypes, columns, strict=True)]

    def row(cells: Iterable[str], tag: str) -> str:
        pairs = zip(cells, styles, strict=True)
        return "<tr>" + "".join(f'<{tag} style="{style}">{escape(cell)}</{tag}>' for cell, style in pairs) + "</tr>"

    body = "".join(row(cells, "td") for cells in zip(*columns, strict=True))
    left = len(frame) - ROWS
    more = f" {counted(left, 'more row')} in {file}." if left > 0 else ""
    return (
        f'<table><caption style="text-align: left">{with_code(caption)}{more}</caption>'
        f"<thead>{row(map(str, frame.columns), 'th')}</thead><tbody>{body}</tbody></table>"
    )


def _column_style(kind, texts: list[str]) -> str:
    if pd.api.types.is_numeric_dtype(kind):
        return "text-align: right"
    longest = max(map(len, texts), default=0)
    return f"text-align: left; min-width: {min(16, longest // 3)}rem" if longest > 20 else "text-align: left"


def column_texts(column: pd.Series) -> list[str]:
    """A table's column for reading: fractions with four significant digits of the largest, all else one by one."""
    if not pd.api.types.is_float_dtype(column):
        return [short(cell) for cell in column]
    column = column.astype(str).astype("float64")  # of float32 the digits that its file holds, and no more
    finite = column[column.abs() < math.inf]
    largest = finite.abs().max() if len(finite) else 0
    if largest < 1e-3:
        return [short(cell) for cell in column]
    digits = 0 if (finite % 1 == 0).all() else min(4, max(0, 3 - math.floor(math.log10(largest))))
    return [f"{cell:,.{digits}f}" if abs(cell) < math.inf else short(cell) for cell in column]


def short(cell) -> str:
    """One value for reading: four significant digits, thousands apart, a dash for nothing."""
    if isinstance(cell, bool) or not isinstance(cell, numbers.Number):
        return "–" if cell is None or cell is pd.NA or cell is pd.NaT else printable(cell)
    if math.isnan(cell):
        return "–"
    if isinstance(cell, np.floating):
        cell = float(str(cell))  # of float32 the digits that its file holds, and no more
    if isinstance(cell, numbers.Integral) or abs(cell) >= 1000 and math.isfinite(cell):
        return f"{cell:,.0f}"
    return f"{cell:.4g}"


def write_number(number: float, form: str = "") -> str:
    """A finite number as text, in a format that a written report may ask for.

    "%" is 93.8 % of 0.938 ("0%" without a decimal), "points" 7.1 points of 0.071, "pts" the same without the word
    ("+points" and "+pts" with a sign), "time" minutes as 43 s, 55 min or 2.3 h, "word" three; all else must be a format
    of Python. "" has thousands apart or four significant digits.
    """
    number = float(number)
    whole = number.is_integer()
    if form == "":
        text = short(number)
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


def _hundredfold(share: float) -> float:
    """A share as per cent, without the dust of binary fractions: 0.93749999999 is 93.75."""
    return round(100 * share, 9)


def _duration(minutes: float) -> str:
    if minutes < 1:
        return f"{60 * minutes:.{0 if minutes >= 1 / 6 else 1}f}{SPACE}s"
    return f"{minutes:.{0 if minutes >= 10 else 1}f}{SPACE}min" if minutes < 90 else f"{minutes / 60:.1f}{SPACE}h"
