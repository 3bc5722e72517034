"""Figures about regularisation and about the methods of the research note."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    need_columns,
    new_figure,
    percent_axis,
    shorten,
    styled,
)

LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (PURPLE, "^"))


@styled
def gap_dots(frame: pd.DataFrame, *, title: str = "The gap between train and val") -> Figure:
    """Train and val accuracy of each experiment as two dots with a line between them, a panel a group.

    Args:
        frame: group, experiment, train_mean, train_spread, val_mean and val_spread (over seeds) in [0, 1], in the order
            of drawing.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or there is no row.
    """
    need_columns(frame, ["group", "experiment", "train_mean", "train_spread", "val_mean", "val_spread"])
    groups = list(dict.fromkeys(frame["group"]))
    most = max(int((frame["group"] == group).sum()) for group in groups)
    figure = new_figure(1.3 + 0.25 * most, title=title)
    panels = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        rows = frame[frame["group"] == group].reset_index(drop=True)
        places = np.arange(len(rows))
        axes.hlines(places, rows["val_mean"], rows["train_mean"], color=GREY, linewidth=1, zorder=1)
        for side, colour, marker in (("train", ORANGE, "s"), ("val", BLUE, "o")):
            bars = {"xerr": rows[f"{side}_spread"], "fmt": marker, "color": colour, "capsize": 2, "markersize": 4}
            axes.errorbar(rows[f"{side}_mean"], places, label=side, **bars)
        middle = (rows["val_mean"] + rows["train_mean"]) / 2
        for place, gap in zip(places, 100 * (rows["train_mean"] - rows["val_mean"]), strict=True):
            axes.annotate(f"{gap:.1f}", (middle[place], place), (0, 2), textcoords="offset points", ha="center", size=7)
        axes.set_yticks(places, [shorten(name, 18) for name in rows["experiment"]])
        axes.set_ylim(len(rows) - 0.4, -0.7)
        axes.set_title(group)
        axes.set_xlabel("Accuracy (%); number: the gap")
        axes.grid(True, axis="x")
        percent_axis(axes.xaxis)
    panels[0].set_ylabel("Experiment")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def rate_curves(frame: pd.DataFrame, *, chance: float, title: str = "Accuracy at each learning rate") -> Figure:
    """Val accuracy reached at each learning rate, a line a variant; crosses mark trainings that diverged.

    Args:
        frame: variant, learning_rate, mean, low and high (over seeds) in [0, 1], and diverged: how many seeds had no
            finite loss; mean, low and high are NaN where none had one.
        chance: accuracy of guessing, drawn as a dotted line; crosses lie on it.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or there is no row.
    """
    need_columns(frame, ["variant", "learning_rate", "mean", "low", "high", "diverged"])
    figure = new_figure(3.1, title=title)
    axes = figure.add_subplot()
    for (colour, marker), (name, rows) in zip(LOOKS, frame.groupby("variant", sort=False), strict=False):
        axes.plot(rows["learning_rate"], rows["mean"], color=colour, marker=marker, markersize=4, label=name)
        axes.fill_between(rows["learning_rate"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        lost = rows[rows["diverged"] > 0]
        axes.plot(lost["learning_rate"], [chance] * len(lost), "x", color=colour, markersize=8, markeredgewidth=2)
    axes.axhline(chance, color=GREY, linestyle=":", label="guessing")
    axes.set(xlabel="Learning rate", ylabel="Val accuracy (%)", xscale="log", ylim=(0, 1))
    axes.grid(True)
    percent_axis(axes.yaxis)
    if (frame["diverged"] > 0).any():
        axes.plot([], [], "x", color=GREY, markersize=8, markeredgewidth=2, label="diverged")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


@styled
def first_steps(frame: pd.DataFrame, *, title: str = "Adam's first steps") -> Figure:
    """How far Adam moves a weight in each step with and without bias correction, and the loss on the way.

    Args:
        frame: step, corrected and uncorrected (mean change of a weight in learning rates), ratio (the uncorrected step
            over the corrected one by the formula), corrected_loss and uncorrected_loss (nats).
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or there is no row.
    """
    need_columns(frame, ["step", "corrected", "uncorrected", "ratio", "corrected_loss", "uncorrected_loss"])
    figure = new_figure(3.0, title=title)
    left, middle, right = figure.subplots(1, 3)
    for colour, name in ((BLUE, "corrected"), (VERMILLION, "uncorrected")):
        left.plot(frame["step"], frame[name], color=colour, label=name)
        right.plot(frame["step"], frame[f"{name}_loss"], color=colour)
    middle.plot(frame["step"], frame["ratio"], color=GREY, label="too large by, with equal gradients")
    _label(left, "Mean step (learning rates)")
    _label(middle, "Uncorrected over corrected step")
    _label(right, "Loss (nats)")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _label(axes: Axes, label: str) -> None:
    axes.set(xlabel="Step", ylabel=label)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.grid(True)
