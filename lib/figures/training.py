"""Figures about training: how loss and accuracy went, epoch by epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lib.figures.style import BLUE, GREY, ORANGE, need_columns, new_figure, percent_axis, shorten, styled

METRICS = {"loss": "Loss (nats)", "accuracy": "Accuracy (%)"}


@styled
def learning_curves(
    histories: Mapping[str, pd.DataFrame],
    *,
    metrics: Sequence[str] = ("loss", "accuracy"),
    baseline: str | None = None,
    title: str = "Learning curves",
) -> Figure:
    """Training and validation by epoch: one experiment side by side, several as small multiples with common axes.

    Args:
        histories: experiment name -> table with epoch and, for each metric, `metric` and `val_metric`; accuracies in
            [0, 1]. Rows of several seeds stand in one table (they share epochs): the line is their mean, the band
            reaches from the lowest to the highest.
        metrics: "loss", "accuracy" or both; with several experiments each has its own block of panels.
        baseline: experiment whose validation curve is repeated in the other panels, in grey; None repeats none.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no experiment, a metric or the baseline is unknown or a table lacks a column.
    """
    if not histories or not metrics or not set(metrics) <= set(METRICS) or baseline not in (None, *histories):
        raise ValueError(
            f"learning_curves needs experiments, metrics among {', '.join(METRICS)} and a baseline among them. "
            f"Received: experiments={list(histories)}, metrics={list(metrics)}, baseline={baseline!r}"
        )
    for history in histories.values():
        need_columns(history, ["epoch", *metrics, *(f"val_{metric}" for metric in metrics)])
    count = len(histories)
    columns = len(metrics) if count == 1 else min(count, 3 if count <= 9 else 4)
    rows = 1 if count == 1 else -(-count // columns) * len(metrics)
    figure = new_figure(3.1 if rows == 1 else 0.9 + 1.65 * rows, title=title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for metric, block in zip(metrics, panels.reshape(len(metrics), -1), strict=True):
        _draw_block(block, histories, metric=metric, columns=columns, baseline=baseline)
    _add_legend(figure, has_seeds=any(history["epoch"].duplicated().any() for history in histories.values()))
    figure.align_ylabels()
    return figure


def _add_legend(figure: Figure, *, has_seeds: bool) -> None:
    """One legend for all panels, from the one with the most curves."""
    entries = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles, labels = max(entries, key=lambda pair: len(pair[0]))
    if has_seeds:
        handles.append(Patch(color=GREY, alpha=0.4, linewidth=0))
        labels.append("lowest to highest seed")
    figure.legend(handles, labels, loc="outside lower center", ncols=4)


def _draw_block(
    panels: Sequence[Axes],
    histories: Mapping[str, pd.DataFrame],
    *,
    metric: str,
    columns: int,
    baseline: str | None,
) -> None:
    """One metric of every experiment, with the same limits in each panel."""
    columns_of = (metric, f"val_{metric}")
    curves = {name: {key: _over_seeds(table, key) for key in columns_of} for name, table in histories.items()}
    top = pd.concat([curve["max"] for pair in curves.values() for curve in pair.values()]).quantile(0.99)
    epochs = [epoch for pair in curves.values() for epoch in pair[metric].index]
    for i, (axes, (name, pair)) in enumerate(zip(panels, curves.items(), strict=False)):
        if baseline not in (None, name):
            _draw_curve(axes, curves[baseline][f"val_{metric}"], colour=GREY, line=":", label=f"val of {baseline}")
        _draw_curve(axes, pair[metric], colour=ORANGE, line="--", label="train")
        _draw_curve(axes, pair[f"val_{metric}"], colour=BLUE, line="-", label="val")
        reached = _best(pair[f"val_{metric}"]["mean"], metric)
        axes.set_title(f"{shorten(name, 78 // columns - 1)}\n{reached}")
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.grid(True)
        if metric == "accuracy":
            percent_axis(axes.yaxis)
        axes.set_ylim(0, 1.05 * top if top > 0 else 1)
        if i % columns == 0 or len(curves) == 1:
            axes.set_ylabel(METRICS[metric])
        if i + columns >= len(curves):
            axes.set_xlabel("Epoch")
    for axes in panels[len(curves) :]:
        axes.remove()


def _best(values: pd.Series, metric: str) -> str:
    if values.isna().all():
        return "no finite value"
    return f"best val {100 * values.max():.1f} %" if metric == "accuracy" else f"best val {values.min():.2f}"


def _over_seeds(history: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean, lowest and highest value of each epoch, indexed by epoch; values that are not finite leave gaps."""
    values = history[column].replace([np.inf, -np.inf], np.nan)
    return values.groupby(history["epoch"]).agg(["mean", "min", "max"])


def _draw_curve(axes: Axes, curve: pd.DataFrame, *, colour: str, line: str, label: str) -> None:
    marker = "o" if len(curve) == 1 else None
    axes.plot(curve.index, curve["mean"], color=colour, linestyle=line, marker=marker, markersize=4, label=label)
    axes.fill_between(curve.index, curve["min"], curve["max"], color=colour, alpha=0.2, linewidth=0)
