"""Dots: sizes of images, accuracy against cost, train beside val, test accuracy beside published numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lib.config.names import counted
from lib.figures.colours import BLUE, COLOURS, GREY, MARKERS, ORANGE, VERMILLION
from lib.figures.style import legend_below, log_axis, need, need_columns, new_figure, percent_axis, shorten, styled


@styled
def image_sizes(widths: Sequence[int], heights: Sequence[int], *, title: str = "Image sizes") -> Figure:
    """Widths against heights, one dot per size whose area grows with its images, and a histogram of their ratio.

    Args:
        widths: (N,) pixels, positive.
        heights: (N,) pixels, positive.
    """
    received = f"{len(widths)} and {len(heights)}"
    need(len(widths) == len(heights) > 0, "widths and heights must be one each per image, at least one", received)
    sides = np.stack([widths, heights], axis=1).astype(float)
    need(sides.min() > 0, "widths and heights must be positive", sides.min())
    figure = new_figure(3.4, title=title)
    axes, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    sizes, images = np.unique(sides, axis=0, return_counts=True)
    area = 6 + 200 * images / len(sides)
    axes.scatter(sizes[:, 0], sizes[:, 1], s=area, color=BLUE, alpha=0.35, linewidths=0)
    low, high = sides.min() / 1.3, sides.max() * 1.3
    axes.plot([low, high], [low, high], color="black", linewidth=0.8, linestyle="--", label="square")
    axes.set(xlim=(low, high), ylim=(low, high), xscale="log", yscale="log", aspect="equal")
    axes.set(xlabel="Width (pixels)", ylabel="Height (pixels)")
    axes.set_title(f"{counted(len(sides), 'image')}, {counted(len(sizes), 'size')}\n(larger dot: more images)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=2, numticks=9))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
        axis.set_tick_params(which="minor", length=0)
    axes.tick_params(axis="x", labelrotation=45)
    axes.grid(True)
    axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
    doublings = np.log2(sides[:, 0] / sides[:, 1])  # the width in doublings of the height
    reach = max(1.0, np.abs(doublings).max())
    right.hist(doublings, bins=np.linspace(-reach, reach, 42), color=BLUE)
    right.axvline(0, color="black", linewidth=0.8, linestyle="--", label="square")
    right.axvline(np.median(doublings), color=VERMILLION, linewidth=1.2, label="median")
    step = max(1, round(reach / 3))
    ticks = np.arange(-(reach // step) * step, reach + 0.01, step)
    right.set_xticks(ticks, [f"{2**tick:g} : 1" if tick >= 0 else f"1 : {2**-tick:g}" for tick in ticks])
    right.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    right.set(xlabel="Width : height", ylabel="Images", title="Aspect ratios")
    right.grid(True, axis="y")
    right.legend()
    return figure


@styled
def accuracy_against_cost(frame: pd.DataFrame, *, title: str = "Accuracy against cost") -> Figure:
    """Val accuracy against minutes of training and against parameters; a line joins those that none beats at less cost.

    Args:
        frame: one row per run: experiment, val_accuracy in [0, 1], minutes (at least 0), parameters (positive); several
            rows of an experiment are averaged, rows without an accuracy left out.
    """
    columns = ["experiment", "val_accuracy", "minutes", "parameters"]
    need_columns(frame, columns)
    numbers = frame[columns].dropna()
    need(not numbers.empty, "the table must have at least one row with val_accuracy", "none")
    means = numbers.groupby("experiment").mean().sort_values("val_accuracy", ascending=False)
    figure = new_figure(3.3 + 0.19 * -(-len(means) // 3), title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, cost in ((left, "minutes"), (right, "parameters")):
        for number, (name, row) in enumerate(means.iterrows()):
            look = {"marker": MARKERS[number % len(MARKERS)], "color": COLOURS[number % len(COLOURS)]}
            axes.scatter(row[cost], row["val_accuracy"], s=38, label=shorten(name, 26), **look)
        # Steps through the experiments that none reaches at less cost.
        cheapest = means.sort_values([cost, "val_accuracy"], ascending=[True, False])
        before = cheapest["val_accuracy"].cummax().shift(fill_value=-np.inf)
        leads = cheapest[cheapest["val_accuracy"] > before]
        look = {"color": GREY, "linewidth": 1, "drawstyle": "steps-post", "zorder": 0.5}
        axes.plot(leads[cost], leads["val_accuracy"], label="best at its cost", **look)
        axes.grid(True)
    left.set(xlabel="Training time (minutes)", ylabel="Val accuracy (%)")
    longest = means["minutes"].max() or 1.0
    left.set_xlim(-0.04 * longest, 1.06 * longest)
    right.set_xlabel("Parameters")
    log_axis(right, steps=(1, 2, 5), ticks=8, space=" ")
    percent_axis(left.yaxis)
    legend_below(figure, left, columns=3)
    return figure


@styled
def reference_dots(
    frame: pd.DataFrame, *, references: Mapping[str, float], title: str = "Test accuracy beside published numbers"
) -> Figure:
    """Test accuracies with their intervals beside published ones.

    Args:
        frame: one row per model: name, accuracy, low and high in [0, 1].
        references: what was published, and its accuracy in [0, 1]; one or two.
    """
    need_columns(frame, ["name", "accuracy", "low", "high"])
    figure = new_figure(1.35 + 0.34 * len(frame), title=title)
    axes = figure.add_subplot()
    places = np.arange(len(frame))
    spread = np.abs(frame[["low", "high"]].to_numpy().T - frame["accuracy"].to_numpy())
    axes.errorbar(frame["accuracy"], places, xerr=spread, fmt="o", color=BLUE, capsize=3, label="95 % interval")
    for (name, value), colour in zip(references.items(), (VERMILLION, ORANGE), strict=False):
        axes.axvline(value, color=colour, linestyle="--", label=f"{name}: {100 * value:.1f}")
    for place, row in enumerate(frame.itertuples()):
        where = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{100 * row.accuracy:.1f}", (max(row.high, *references.values()), place), **where)
    axes.margins(x=0.09)
    axes.set_yticks(places, frame["name"])
    axes.set(xlabel="Test accuracy (%)", ylabel="Network", ylim=(len(frame) - 0.5, -0.7))
    axes.grid(True, axis="x")
    percent_axis(axes.xaxis)
    legend_below(figure, axes, columns=3)
    return figure


@styled
def gap_dots(frame: pd.DataFrame, *, title: str = "The gap between train and val") -> Figure:
    """Train and val accuracy of each experiment as two dots with a line between them, one panel per group.

    Args:
        frame: group, experiment, train_mean, train_spread, val_mean and val_spread (over seeds) in [0, 1], in the order
            of drawing.
    """
    need_columns(frame, ["group", "experiment", "train_mean", "train_spread", "val_mean", "val_spread"])
    groups = frame.groupby("group", sort=False)
    figure = new_figure(1.3 + 0.25 * groups.size().max(), title=title)
    panels = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
    for axes, (group, rows) in zip(panels, groups, strict=True):
        places = np.arange(len(rows))
        axes.hlines(places, rows["val_mean"], rows["train_mean"], color=GREY, linewidth=1, zorder=1)
        for side, colour, marker in (("train", ORANGE, "s"), ("val", BLUE, "o")):
            look = {"fmt": marker, "color": colour, "capsize": 2, "markersize": 4, "label": side}
            axes.errorbar(rows[f"{side}_mean"], places, xerr=rows[f"{side}_spread"], **look)
        for place, train, val in zip(places, rows["train_mean"], rows["val_mean"], strict=True):
            where = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "size": 7}
            axes.annotate(f"{100 * (train - val):.1f}", ((train + val) / 2, place), **where)
        axes.set_yticks(places, [shorten(name, 18) for name in rows["experiment"]])
        axes.set(ylim=(len(rows) - 0.4, -0.7), title=group, xlabel="Accuracy (%); number: the gap")
        axes.grid(True, axis="x")
        percent_axis(axes.xaxis)
    panels[0].set_ylabel("Experiment")
    legend_below(figure, panels[0], columns=2)
    return figure
