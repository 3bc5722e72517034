"""The one look of all figures: sizes that fit the width of an A4 page, short texts, axes, refusals."""

import functools
import textwrap
import unicodedata
from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from lib.config.names import printable

WIDTH = 6.5  # inches: A4 less its margins
TALLEST = 9.3  # inches: a figure with its caption still fits one page

STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "text.parse_math": False,  # a class name may hold a dollar sign
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A drawing function that always runs in this style, whatever the caller's matplotlib settings are."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs) -> Figure:
        with style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return in_style


def new_figure(height: float, *, title: str) -> Figure:
    """An empty figure of the page's width and so many inches high, at most a page; pyplot does not keep it open."""
    figure = Figure(figsize=(WIDTH, min(height, TALLEST)), layout="constrained")
    figure.suptitle(textwrap.fill(title, 72), x=0.01, ha="left")
    return figure


def below_title(figure: Figure) -> Bbox | None:
    """The part of a figure below its title, in inches, for where a caption stands under it; None if it has no title."""
    title = next((text for text in figure.texts if text.get_text() and text.get_text() == figure.get_suptitle()), None)
    if title is None:
        return None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # everything stays where it is now
    top = title.get_window_extent().y0 / figure.dpi
    title.set_visible(False)
    return Bbox.from_extents(0, 0, figure.get_figwidth(), top)


def legend_below(figure: Figure, axes: Axes, *, columns: int, title: str | None = None) -> None:
    """One legend under all panels, with the entries of one of them."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, title=title)


def shorten(name: object, width: int) -> str:
    """The name in at most `width` characters, cut with an ellipsis; signs of double width count twice."""
    name = printable(" ".join(str(name).split()))
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in name)
    width = width * len(name) // (len(name) + wide) if wide else width
    return name if len(name) <= width else name[: max(width - 1, 1)].rstrip() + "…"


def number_text(value: float, form: str = ".3g") -> str:
    """The number with a minus sign as long as the one of the axes."""
    return format(value, form).replace("-", "\u2212")


def shape_text(shape: Sequence[int | None]) -> str:
    """The sides of an output, e.g. "32 × 32 × 8"; the batch axis (None) is left out."""
    return " × ".join(str(side) for side in shape if side is not None)


def percent_axis(axis) -> None:
    """Show shares in [0, 1] as per cent; the label carries the unit."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}"))


def log_axis(axes: Axes, *, steps: Sequence[int] = (1,), ticks: int = 6, space: str = "") -> None:
    """Make the x axis logarithmic, with numbers such as 20k; `space` stands before the letter."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=ticks))
    axes.xaxis.set_major_formatter(EngFormatter(sep=space))
    axes.xaxis.set_minor_formatter(NullFormatter())


def need(holds: bool, rule: str, received: object) -> None:
    """Refuse arguments that break a rule with a ValueError that says the rule and what was received."""
    if not holds:
        raise ValueError(f"{rule}. Received: {received}")


def need_each(**lists: Sequence) -> None:
    """Refuse lists that are empty or differ in length; they are passed by the names that the message shows."""
    counts = [len(entries) for entries in lists.values()]
    received = ", ".join(f"{count} {name}" for name, count in zip(lists, counts, strict=True))
    rule = f"{', '.join(lists)}: at least one is needed" + (", and the same number of each" if len(lists) > 1 else "")
    need(counts[0] > 0 and len(set(counts)) == 1, rule, received)


def need_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column or has no rows."""
    there = set(columns) <= set(frame.columns)
    need(there, f"the table must have the columns {', '.join(columns)}", ", ".join(map(str, frame.columns)))
    need(not frame.empty, "the table must have at least one row", "none")
