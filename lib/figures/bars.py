"""Sorted bars, one a class: all of them while their names can be read, else the whole and its two ends."""

import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.figures.style import BLUE, PALE, VERMILLION, new_figure, percent_axis, shorten

MOST_NAMES = 30  # bars with names that fit one page


@dataclass(frozen=True)
class Measure:
    """What the bars show: label with its unit, words for either end, and whether values are shares or counts."""

    label: str
    highest: str
    lowest: str
    is_share: bool


def ranked_bars(frame: pd.DataFrame, measure: Measure, *, k: int, title: str) -> Figure:
    """Horizontal bars from the largest to the smallest value.

    With more than 30 classes: all of them without names, and below the k largest and the k smallest with names.

    Args:
        frame: one row a class: class_name, value (NaN is left out, the label says how many) and text, shown at its end.
        measure: words and unit of the value.
        k: bars at either end.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if k is below 1 or no class has a value.
    """
    known = frame[frame["value"].notna()].sort_values("value", ascending=False, kind="stable")
    if k < 1 or known.empty:
        raise ValueError(f"k must be at least 1 and one class have a value. Received: k={k}, {len(known)} values")
    left_out = len(frame) - len(known)
    label = measure.label + (f"; {left_out} classes without a value left out" if left_out else "")
    highest = known["value"].max() or 1.0
    if len(known) <= MOST_NAMES:
        figure = new_figure(0.9 + 0.21 * len(known), title=title)
        axes = figure.add_subplot()
        _draw_named(axes, known, measure=measure, limit=1.13 * highest, colour=BLUE)
        axes.set_xlabel(label)
        return figure
    k = min(k, len(known) // 2)
    figure = new_figure(2.9 + 0.21 * k, title=title)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.3, 0.5 + 0.21 * k))
    _draw_all(figure.add_subplot(grid[0, :]), known["value"].to_numpy(), measure=measure, k=k, label=label)
    ends = ((known[:k], BLUE, measure.highest), (known[-k:], VERMILLION, measure.lowest))
    for column, (rows, colour, word) in enumerate(ends):
        axes = figure.add_subplot(grid[1, column])
        _draw_named(axes, rows, measure=measure, limit=1.4 * highest, colour=colour)
        axes.set_title(f"The {k} {word}")
        axes.set_xlabel(measure.label)
    return figure


def _draw_named(axes: Axes, rows: pd.DataFrame, *, measure: Measure, limit: float, colour: str) -> None:
    """A bar with a name and a text for each row; room is left at the end for the text."""
    places = np.arange(len(rows))
    axes.barh(places, rows["value"], color=colour, height=0.72)
    axes.set_yticks(places, [shorten(name, 22) for name in rows["class_name"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, limit)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("Class")
    for place, value, text in zip(places, rows["value"], rows["text"], strict=True):
        axes.text(value + 0.008 * limit, place, text, va="center", fontsize=7.5)
    _style_values(axes.xaxis, measure)
    if measure.is_share:
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])


def _draw_all(axes: Axes, values: np.ndarray, *, measure: Measure, k: int, label: str) -> None:
    """Every class as a thin bar without a name; the ends carry the colours of the panels below."""
    colours = [BLUE] * k + [PALE] * (len(values) - 2 * k) + [VERMILLION] * k
    axes.bar(np.arange(1, len(values) + 1), values, width=1.0, color=colours)
    axes.axhline(np.median(values), color="black", linewidth=0.8, linestyle="--", label="median")
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    axes.set_xlim(0.3, len(values) + 0.7)
    axes.set_title(f"All {len(values)} classes")
    axes.set_xlabel("Rank of the class")
    axes.set_ylabel(textwrap.fill(label, 22))
    _style_values(axes.yaxis, measure)


def _style_values(axis, measure: Measure) -> None:
    if measure.is_share:
        percent_axis(axis)
    else:
        axis.set_major_locator(MaxNLocator(nbins=5, integer=True))
