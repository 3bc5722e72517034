"""Horizontal bars with names: images and scores of classes, experiments, speeds."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from lib.figures.colours import BLUE, GREY, PALE, VERMILLION
from lib.figures.style import need, need_columns, new_figure, percent_axis, shorten, styled

MOST_NAMES = 30  # bars with names that fit one page
ENDS = 10  # bars with names at either end where there are more


@dataclass(frozen=True)
class Measure:
    """What bars of classes show: label with its unit, words for either end, and whether values are shares or counts."""

    label: str
    highest: str
    lowest: str
    is_share: bool


def named_bars(
    axes: Axes,
    names: Sequence[str],
    values: np.ndarray,
    *,
    texts: Sequence[str] = (),
    spread: np.ndarray | None = None,
    colour: str | Sequence[str] = BLUE,
) -> None:
    """Horizontal bars from top to bottom, each with its name at the left and a text at its end.

    Args:
        axes: where to draw.
        names: one per bar, shortened.
        values: (N,) lengths of the bars; NaN draws none.
        texts: one per bar; none writes none.
        spread: (N,) or (2, N) lengths of error bars to either side; NaN draws none.
        colour: of all bars, or one per bar.
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


def _ranked_bars(frame: pd.DataFrame, measure: Measure, *, title: str) -> Figure:
    """Bars of class_name, value and text (shown at its end) from the largest to the smallest value.

    With more than 30 classes: all of them without names, and below the ten largest and the ten smallest with names.
    """
    known = frame[frame["value"].notna()].sort_values("value", ascending=False, kind="stable")
    need(not known.empty, "at least one class must have a value", "none")
    left_out = len(frame) - len(known)
    label = measure.label + (f"; {left_out} classes without a value left out" if left_out else "")
    highest = known["value"].max() or 1.0
    if len(known) <= MOST_NAMES:
        figure = new_figure(0.9 + 0.21 * len(known), title=title)
        _draw_classes(figure.add_subplot(), known, measure=measure, limit=1.13 * highest).set_xlabel(label)
        return figure
    figure = new_figure(2.9 + 0.21 * ENDS, title=title)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.3, 0.5 + 0.21 * ENDS))
    _draw_all(figure.add_subplot(grid[0, :]), known["value"].to_numpy(), measure=measure, label=label)
    ends = ((known[:ENDS], BLUE, measure.highest), (known[-ENDS:], VERMILLION, measure.lowest))
    for column, (rows, colour, word) in enumerate(ends):
        axes = figure.add_subplot(grid[1, column])
        _draw_classes(axes, rows, measure=measure, limit=1.4 * highest, colour=colour)
        axes.set(title=f"The {ENDS} {word}", xlabel=measure.label)
    return figure


def _draw_classes(axes: Axes, rows: pd.DataFrame, *, measure: Measure, limit: float, colour: str = BLUE) -> Axes:
    names = [shorten(name, 22) for name in rows["class_name"]]
    named_bars(axes, names, rows["value"].to_numpy(), texts=rows["text"], colour=colour)
    axes.set(xlim=(0, limit), ylabel="Class")
    _style_values(axes.xaxis, measure)
    if measure.is_share:
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])
    return axes


def _draw_all(axes: Axes, values: np.ndarray, *, measure: Measure, label: str) -> None:
    """Every class as a thin bar without a name; the ends carry the colours of the panels below."""
    colours = [BLUE] * ENDS + [PALE] * (len(values) - 2 * ENDS) + [VERMILLION] * ENDS
    axes.bar(np.arange(1, len(values) + 1), values, width=1.0, color=colours)
    axes.axhline(np.median(values), color="black", linewidth=0.8, linestyle="--", label="median")
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    axes.set(xlim=(0.3, len(values) + 0.7), title=f"All {len(values)} classes")
    axes.set(xlabel="Rank of the class", ylabel=textwrap.fill(label, 22))
    _style_values(axes.yaxis, measure)


def _style_values(axis, measure: Measure) -> None:
    if measure.is_share:
        percent_axis(axis)
    else:
        axis.set_major_locator(MaxNLocator(nbins=5, integer=True))


@styled
def class_counts(frame: pd.DataFrame, *, title: str = "Images in each class") -> Figure:
    """How many images each class has, largest first.

    Args:
        frame: one row per image, with the column class_name.
        title: of the figure.

    Raises:
        ValueError: if the table has no class_name column or no rows.
    """
    need_columns(frame, ["class_name"])
    counts = frame["class_name"].value_counts().rename_axis("class_name").reset_index(name="value")
    measure = Measure("Images", "largest", "smallest", is_share=False)
    return _ranked_bars(counts.assign(text=counts["value"].map("{:,}".format)), measure, title=title)


@styled
def class_difficulty(frame: pd.DataFrame, *, title: str = "Easy and hard classes, before any training") -> Figure:
    """How well cheap features tell each class from the others, easiest first.

    Args:
        frame: one row per class: class_name, images, accuracy in [0, 1], as `evaluation.easy_and_hard_classes` gives.
        title: of the figure.

    Raises:
        ValueError: if a column is missing or no class has an accuracy.
    """
    measure = Measure("Nearest to own class mean (%)", "easiest", "hardest", is_share=True)
    return _ranked_bars(_shares(frame, "accuracy"), measure, title=title)


@styled
def per_class_bars(frame: pd.DataFrame, *, title: str = "Best and worst classes") -> Figure:
    """How well each class is recognised, best first; above 30 classes the ten best and the ten worst are named.

    Args:
        frame: one row per class: class_name, images and recall in [0, 1], as `evaluation.per_class` gives.
        title: of the figure.

    Returns:
        The figure; each bar carries its value and the number of images it rests on.

    Raises:
        ValueError: if a column is missing or no class has a recall.
    """
    measure = Measure("Recall (%)", "best", "worst", is_share=True)
    return _ranked_bars(_shares(frame, "recall"), measure, title=title)


def _shares(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Values of classes with the number of images they rest on, for `_ranked_bars`."""
    need_columns(frame, ["class_name", "images", column])
    texts = [f"{100 * value:.0f} (n={images})" for value, images in zip(frame[column], frame["images"], strict=True)]
    return pd.DataFrame({"class_name": frame["class_name"], "value": frame[column], "text": texts})


@styled
def experiment_bars(frame: pd.DataFrame, *, baseline: str | None = None, title: str = "Experiments") -> Figure:
    """What each experiment reached, best first, with the spread between its seeds.

    Args:
        frame: one row per experiment: experiment, mean and spread (sample standard deviation) in [0, 1], n (seeds); a
            mean of NaN says that no seed finished.
        baseline: experiment drawn in grey with a line through its mean; None marks none.
        title: of the figure.

    Raises:
        ValueError: if a column is missing or the baseline is not in the table.
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
        axes.axvline(mean, color="black", linewidth=0.8, linestyle="--", label="baseline")
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
        title: of the figure.

    Raises:
        ValueError: if a column is missing or there is no row.
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
