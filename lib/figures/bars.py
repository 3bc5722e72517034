"""Horizontal bars with names: images and scores of classes, experiments, speeds."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from lib.config.names import counted
from lib.figures.colours import BLUE, GREY, PALE, VERMILLION
from lib.figures.style import need, need_columns, new_figure, percent_axis, shorten, styled

MOST_NAMES = 30  # bars with names that fit one page
ENDS = 10  # bars with names at either end where there are more


def named_bars(
    axes: Axes,
    names: Sequence[str],
    values: np.ndarray,
    *,
    texts: Sequence[str] = (),
    spread: np.ndarray | None = None,
    colour: str | Sequence[str] = BLUE,
) -> None:
    """Draw bars (N,) from top to bottom, each with its name at the left and a text at its end; NaN draws none.

    `spread` (N,) or (2, N) are the lengths of error bars to either side; `colour` is one for all or one per bar.
    """
    places = np.arange(len(values))
    axes.barh(places, values, color=colour, height=0.7)
    ends = values
    if spread is not None:
        axes.errorbar(values, places, xerr=spread, fmt="none", color="black", capsize=2.5, linewidth=1)
        ends = values + np.nan_to_num(spread if np.ndim(spread) == 1 else spread[1])
    for place, end, text in zip(places, np.nan_to_num(ends), texts, strict=False):
        where = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}
        axes.annotate(text, (end, place), (3, 0), annotation_clip=False, **where)
    axes.set_yticks(places, [shorten(name, 33) for name in names])
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


@styled
def class_counts(frame: pd.DataFrame, *, title: str = "Images in each class") -> Figure:
    """How many images each class has, largest first.

    Args:
        frame: one row per image, with the column class_name.
    """
    need_columns(frame, ["class_name"])
    counts = frame["class_name"].value_counts().rename_axis("class_name").reset_index(name="images")
    return _class_bars(counts, "images", label="Images", ends=("largest", "smallest"), title=title)


@styled
def class_difficulty(frame: pd.DataFrame, *, title: str = "Easy and hard classes, before any training") -> Figure:
    """How well cheap features tell each class from the others, easiest first.

    Args:
        frame: one row per class: class_name, images, accuracy in [0, 1], as `evaluation.easy_and_hard_classes` gives.
    """
    label = "Nearest to own class mean (%)"
    return _class_bars(frame, "accuracy", label=label, ends=("easiest", "hardest"), title=title)


@styled
def per_class_bars(frame: pd.DataFrame, *, title: str = "Best and worst classes") -> Figure:
    """How well each class is recognised, best first; above 30 classes the ten best and the ten worst are named.

    Args:
        frame: one row per class: class_name, images and recall in [0, 1], as `evaluation.per_class` gives.
    """
    return _class_bars(frame, "recall", label="Recall (%)", ends=("best", "worst"), title=title)


def _class_bars(frame: pd.DataFrame, column: str, *, label: str, ends: tuple[str, str], title: str) -> Figure:
    """Bars of classes from the largest to the smallest value: numbers of images, or shares with the images behind each.

    With more than 30 classes: all of them without names, and below the ten at either end with names; `ends` are the
    words for these.
    """
    need_columns(frame, ["class_name", "images", column])
    known = frame[frame[column].notna()].sort_values(column, ascending=False, kind="stable")
    need(not known.empty, "at least one class must have a value", "none")
    left_out = len(frame) - len(known)
    whole_label = label + (f"; {counted(left_out, 'class')} without a value left out" if left_out else "")
    highest = known[column].max() or 1.0
    if len(known) <= MOST_NAMES:
        figure = new_figure(0.9 + 0.21 * len(known), title=title)
        axes = figure.add_subplot()
        _draw_classes(axes, known, column, limit=1.13 * highest, colour=BLUE)
        axes.set_xlabel(whole_label)
        return figure
    figure = new_figure(2.9 + 0.21 * ENDS, title=title)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.3, 0.5 + 0.21 * ENDS))
    axes = figure.add_subplot(grid[0, :])
    colours = [BLUE] * ENDS + [PALE] * (len(known) - 2 * ENDS) + [VERMILLION] * ENDS
    axes.bar(np.arange(1, len(known) + 1), known[column].to_numpy(), width=1.0, color=colours)
    axes.axhline(np.median(known[column]), color="black", linewidth=0.8, linestyle="--", label="median")
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    axes.set(xlim=(0.3, len(known) + 0.7), title=f"All {len(known)} classes")
    axes.set(xlabel="Rank of the class", ylabel=textwrap.fill(whole_label, 22))
    _style_values(axes.yaxis, column)
    for place, rows, colour in ((0, known[:ENDS], BLUE), (1, known[-ENDS:], VERMILLION)):
        axes = figure.add_subplot(grid[1, place])
        _draw_classes(axes, rows, column, limit=1.4 * highest, colour=colour)
        axes.set(title=f"The {ENDS} {ends[place]}", xlabel=label)
    return figure


def _draw_classes(axes: Axes, rows: pd.DataFrame, column: str, *, limit: float, colour: str) -> None:
    if column == "images":
        texts = rows["images"].map("{:,}".format)
    else:
        texts = [f"{100 * value:.0f} (n={images})" for value, images in zip(rows[column], rows["images"], strict=True)]
    names = [shorten(name, 22) for name in rows["class_name"]]
    named_bars(axes, names, rows[column].to_numpy(), texts=texts, colour=colour)
    axes.set(xlim=(0, limit), ylabel="Class")
    _style_values(axes.xaxis, column)
    if column != "images":
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])


def _style_values(axis, column: str) -> None:
    if column == "images":
        axis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    else:
        percent_axis(axis)


@styled
def experiment_bars(frame: pd.DataFrame, *, baseline: str | None = None, title: str = "Experiments") -> Figure:
    """What each experiment reached, best first, with the spread between its seeds.

    Args:
        frame: one row per experiment: experiment, mean and spread (sample standard deviation) in [0, 1], n (seeds); a
            mean of NaN says that no seed finished.
        baseline: an experiment of the table, drawn in grey with a line through its mean; None marks none.
    """
    need_columns(frame, ["experiment", "mean", "spread", "n"])
    known = ", ".join(frame["experiment"])
    need(baseline is None or baseline in set(frame["experiment"]), f"baseline must be one of {known}", repr(baseline))
    frame = frame.sort_values("mean", ascending=False, kind="stable", na_position="last").reset_index(drop=True)
    figure = new_figure(1.0 + 0.26 * len(frame), title=title)
    axes = figure.add_subplot()
    named_bars(
        axes,
        [f"{shorten(row.experiment, 26)} (n={row.n})" for row in frame.itertuples()],
        frame["mean"].to_numpy(float),
        texts=["did not finish" if np.isnan(mean) else f"{100 * mean:.1f}" for mean in frame["mean"]],
        spread=frame["spread"].where(frame["n"] > 1).to_numpy(float),
        colour=[GREY if name == baseline else BLUE for name in frame["experiment"]],
    )
    for text in axes.texts:
        text.set_color(VERMILLION if text.get_text() == "did not finish" else "black")
    for mean in frame.loc[frame["experiment"] == baseline, "mean"].dropna():
        axes.axvline(mean, color="black", linewidth=0.8, linestyle="--", label=baseline)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    highest = (frame["mean"] + frame["spread"]).max()
    axes.set_xlim(0, 1.12 * highest if highest > 0 else 1)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])
    axes.set(xlabel="Val accuracy (%); mean over n seeds, line: standard deviation", ylabel="Experiment")
    axes.grid(True, axis="x")
    percent_axis(axes.xaxis)
    return figure


@styled
def speed_bars(frame: pd.DataFrame, *, title: str = "Images a second, by route") -> Figure:
    """How many images each route trains on in a second, one panel per batch size.

    Args:
        frame: route, batch_size and images_per_second.
    """
    need_columns(frame, ["route", "batch_size", "images_per_second"])
    speeds = frame.pivot(index="route", columns="batch_size", values="images_per_second")
    speeds = speeds.loc[frame["route"].unique(), frame["batch_size"].unique()]
    colours = [GREY if route.startswith("Keras") else BLUE for route in speeds.index]
    figure = new_figure(1.1 + 0.26 * len(speeds), title=title)
    panels = figure.subplots(1, len(speeds.columns), sharey=True, squeeze=False)[0]
    for axes, (size, values) in zip(panels, speeds.items(), strict=True):
        texts = ["" if np.isnan(speed) else f"{speed:,.0f}" for speed in values]
        named_bars(axes, speeds.index, values.to_numpy(), texts=texts, colour=colours)
        axes.set(xlim=(0, 1.3 * values.max()), title=f"batch size {size}", xlabel="Images a second")
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.grid(True, axis="x")
    panels[0].set_ylabel("Route")
    return figure
