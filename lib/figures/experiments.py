"""Figures about experiments: what each one reached and what it cost."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from lib.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    need_columns,
    new_figure,
    percent_axis,
    shorten,
    styled,
)

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
MARKERS = "osD^vP*X"


@styled
def experiment_bars(
    frame: pd.DataFrame, *, baseline: str | None = None, label: str = "Val accuracy (%)", title: str = "Experiments"
) -> Figure:
    """What each experiment reached, best first, with the spread between its seeds.

    Args:
        frame: one row an experiment: experiment, mean and spread (sample standard deviation) in [0, 1], n (seeds); a
            mean of NaN says that no seed finished.
        baseline: experiment drawn in grey with a line through its mean; None marks none.
        label: of the value axis, with its unit.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or the baseline is not in the table.
    """
    need_columns(frame, ["experiment", "mean", "spread", "n"])
    if baseline is not None and baseline not in set(frame["experiment"]):
        raise ValueError(f"baseline must be one of {', '.join(frame['experiment'])}. Received: {baseline!r}")
    frame = frame.sort_values("mean", ascending=False, kind="stable", na_position="last").reset_index(drop=True)
    figure = new_figure(1.0 + 0.26 * len(frame), title=title)
    axes = figure.add_subplot()
    for place, row in frame.iterrows():
        _draw_experiment(axes, row, place=place, is_baseline=row["experiment"] == baseline)
    names = [f"{shorten(row.experiment, 26)} (n={row.n})" for row in frame.itertuples()]
    axes.set_yticks(range(len(frame)), names)
    axes.set_ylim(len(frame) - 0.4, -0.6)
    highest = (frame["mean"] + frame["spread"]).max()
    axes.set_xlim(0, 1.12 * highest if highest > 0 else 1)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])
    axes.set(xlabel=f"{label}; mean over n seeds, line: standard deviation", ylabel="Experiment")
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    percent_axis(axes.xaxis)
    return figure


@styled
def accuracy_against_cost(frame: pd.DataFrame, *, title: str = "Accuracy against cost") -> Figure:
    """Val accuracy against minutes of training and against parameters; a line joins those that none beats at less cost.

    Args:
        frame: one row a run: experiment, val_accuracy in [0, 1], minutes (at least 0), parameters (positive); several
            rows of an experiment are averaged, rows without an accuracy left out.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or no row has an accuracy.
    """
    need_columns(frame, ["experiment", "val_accuracy", "minutes", "parameters"])
    numbers = frame[["experiment", "val_accuracy", "minutes", "parameters"]].dropna()
    if numbers.empty:
        raise ValueError("the table must have at least one row with val_accuracy. Received: none")
    means = numbers.groupby("experiment").mean().sort_values("val_accuracy", ascending=False)
    lines = -(-len(means) // 3)
    figure = new_figure(3.3 + 0.19 * lines, title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, cost in ((left, "minutes"), (right, "parameters")):
        for i, (name, row) in enumerate(means.iterrows()):
            marker, colour = MARKERS[i % len(MARKERS)], COLOURS[i % len(COLOURS)]
            axes.scatter(row[cost], row["val_accuracy"], marker=marker, color=colour, s=38, label=shorten(name, 26))
        _draw_frontier(axes, means[cost].to_numpy(), accuracy=means["val_accuracy"].to_numpy())
        axes.grid(True)
    left.set(xlabel="Training time (minutes)", ylabel="Val accuracy (%)")
    longest = means["minutes"].max() or 1.0
    left.set_xlim(-0.04 * longest, 1.06 * longest)
    right.set(xlabel="Parameters", xscale="log")
    right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    right.xaxis.set_major_formatter(EngFormatter())
    right.xaxis.set_minor_formatter(NullFormatter())
    percent_axis(left.yaxis)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _draw_experiment(axes: Axes, row: pd.Series, *, place: int, is_baseline: bool) -> None:
    if not np.isfinite(row["mean"]):
        axes.text(0, place, "  did not finish", va="center", color=VERMILLION)
        return
    axes.barh(place, row["mean"], color=GREY if is_baseline else BLUE, height=0.7)
    if row["n"] > 1:
        axes.errorbar(row["mean"], place, xerr=row["spread"], color="black", capsize=2.5, linewidth=1)
    axes.text(row["mean"] + row["spread"], place, f"  {100 * row['mean']:.1f}", va="center", fontsize=7.5)
    if is_baseline:
        axes.axvline(row["mean"], color="black", linewidth=0.8, linestyle="--", label="baseline")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)


def _draw_frontier(axes: Axes, cost: np.ndarray, *, accuracy: np.ndarray) -> None:
    """Steps through the experiments that no cheaper one reaches."""
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(accuracy[order])
    leads = order[accuracy[order] > np.concatenate([[-np.inf], best[:-1]])]
    axes.plot(
        cost[leads],
        accuracy[leads],
        color=GREY,
        linewidth=1,
        drawstyle="steps-post",
        zorder=0.5,
        label="best at its cost",
    )
