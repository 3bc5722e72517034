"""Curves of trainings: by epoch, by second, by learning rate, step by step."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lib.figures.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION
from lib.figures.style import legend_below, log_axis, need, need_columns, new_figure, percent_axis, shorten, styled

METRICS = {"loss": "Loss (nats)", "accuracy": "Accuracy (%)"}
SIDES = {"epoch": "Epochs", "seconds": "Seconds of training", "updates": "Updates of the weights"}


def _draw_band(axes: Axes, rows: pd.DataFrame, *, label: str, **look) -> None:
    """A line through the mean of several seeds in a band from min to max; rows are indexed by their place on x."""
    axes.plot(rows.index, rows["mean"], markersize=4, label=label, **look)
    axes.fill_between(rows.index, rows["min"], rows["max"], color=look["color"], alpha=0.2, linewidth=0)


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
        baseline: the one whose validation curve is repeated in the other panels, in grey; None repeats none.
    """
    need(
        bool(histories) and bool(metrics) and set(metrics) <= set(METRICS) and baseline in (None, *histories),
        f"learning_curves needs experiments, metrics among {', '.join(METRICS)} and a baseline among them",
        f"experiments={list(histories)}, metrics={list(metrics)}, baseline={baseline!r}",
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
    handles, labels = max((axes.get_legend_handles_labels() for axes in figure.axes), key=lambda pair: len(pair[0]))
    if any(history["epoch"].duplicated().any() for history in histories.values()):
        handles.append(Patch(color=GREY, alpha=0.4, linewidth=0))
        labels.append("lowest to highest seed")
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.align_ylabels()
    return figure


def _draw_block(
    panels: Sequence[Axes], histories: Mapping[str, pd.DataFrame], *, metric: str, columns: int, baseline: str | None
) -> None:
    """One metric of every experiment, with the same limits in each panel."""
    train = {name: _over_seeds(table, metric) for name, table in histories.items()}
    val = {name: _over_seeds(table, f"val_{metric}") for name, table in histories.items()}
    everything = pd.concat([*train.values(), *val.values()])
    top = everything["max"].quantile(0.99)
    for number, (axes, name) in enumerate(zip(panels, histories, strict=False)):
        look = {"marker": "o" if len(train[name]) == 1 else None}
        if baseline not in (None, name):
            _draw_band(axes, val[baseline], label=f"val of {baseline}", color=GREY, linestyle=":", **look)
        _draw_band(axes, train[name], label="train", color=ORANGE, linestyle="--", **look)
        _draw_band(axes, val[name], label="val", color=BLUE, **look)
        means = val[name]["mean"]
        best = f"best val {100 * means.max():.1f} %" if metric == "accuracy" else f"best val {means.min():.2f}"
        best = "no finite value" if means.isna().all() else best
        axes.set_title(f"{shorten(name, 78 // columns - 1)}\n{best}")
        axes.set_xlim(everything.index.min() - 0.5, everything.index.max() + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.grid(True)
        if metric == "accuracy":
            percent_axis(axes.yaxis)
        axes.set_ylim(0, 1.05 * top if top > 0 else 1)
        if number % columns == 0 or len(histories) == 1:
            axes.set_ylabel(METRICS[metric])
        if number + columns >= len(histories):
            axes.set_xlabel("Epoch")
    for axes in panels[len(histories) :]:
        axes.remove()


@styled
def stopping_curves(
    histories: Mapping[str, pd.DataFrame], *, window: int, title: str = "Where each training stops"
) -> Figure:
    """Val loss by epoch and its running mean, a panel per training; the curve ends where training did.

    Args:
        histories: training -> table with epoch and val_loss (nats).
        window: epochs in the running mean; a line marks the last of the lowest ones.
    """
    need(bool(histories), "stopping_curves needs a training", list(histories))
    columns = min(3, len(histories))
    rows = -(-len(histories) // columns)
    figure = new_figure(3.1 if rows == 1 else 0.9 + 1.65 * rows, title=title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, (axes, (name, history)) in enumerate(zip(panels, histories.items(), strict=False)):
        need_columns(history, ["epoch", "val_loss"])
        losses = history.set_index("epoch")["val_loss"]
        mean = losses.rolling(window).mean()
        lowest = (losses if mean.isna().all() else mean).idxmin()
        axes.plot(losses, color=GREY, marker="o" if len(losses) < 3 else None, label="val loss")
        axes.plot(mean, color=BLUE, linewidth=2, label=f"mean of {window}")
        axes.axvline(lowest, color=GREEN, linestyle=":", label="lowest mean")
        axes.axvline(losses.index[-1], color=VERMILLION, linestyle="--", label="last epoch")
        axes.set_title(f"{shorten(name, 78 // columns - 1)}\nlowest {lowest}, last {losses.index[-1]}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.grid(True)
        if number % columns == 0:
            axes.set_ylabel(METRICS["loss"])
        if number + columns >= len(histories):
            axes.set_xlabel("Epoch")
    for axes in panels[len(histories) :]:
        axes.remove()
    legend_below(figure, panels[0], columns=4)
    return figure


def _over_seeds(history: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean, lowest and highest value of each epoch; values that are not finite leave gaps."""
    values = history[column].replace([np.inf, -np.inf], np.nan)
    return values.groupby(history["epoch"]).agg(["mean", "min", "max"])


@styled
def progress_curves(
    histories: Mapping[str, pd.DataFrame], *, dashed: str | None = None, title: str = "Progress of each training"
) -> Figure:
    """Val accuracy against epochs, against seconds and against updates, one line per training from dark to light.

    Args:
        histories: name -> table with epoch, seconds (of each epoch), updates (so far) and val_accuracy in [0, 1].
        dashed: the one drawn in black dashes, e.g. the full batch; None draws none so.
    """
    known = bool(histories) and dashed in (None, *histories)
    need(known, f"dashed must be None or one of {', '.join(histories) or 'none'}", repr(dashed))
    figure = new_figure(3.3 + 0.17 * -(-len(histories) // 4), title=title)
    panels = figure.subplots(1, 3, sharey=True)
    shades = colormaps["viridis"](np.linspace(0, 0.88, len(histories)))
    for shade, (name, history) in zip(shades, histories.items(), strict=True):
        need_columns(history, [*SIDES, "val_accuracy"])
        look = {"color": shade} if name != dashed else {"color": BLACK, "linestyle": "--"}
        look["marker"] = "o" if len(history) < 3 else None
        sides = history.assign(seconds=history["seconds"].cumsum())
        for axes, side in zip(panels, SIDES, strict=True):
            axes.plot(sides[side], sides["val_accuracy"], label=name, **look)
    for axes, (side, label) in zip(panels, SIDES.items(), strict=True):
        axes.set_xlabel(label)
        axes.grid(True)
        if side == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        else:
            log_axis(axes)
    panels[0].set_ylabel("Val accuracy (%)")
    percent_axis(panels[0].yaxis)
    legend_below(figure, panels[0], columns=4)
    return figure


@styled
def rate_curves(frame: pd.DataFrame, *, chance: float, title: str = "Accuracy at each learning rate") -> Figure:
    """Val accuracy reached at each learning rate, one line per variant; crosses mark trainings that diverged.

    Args:
        frame: variant, learning_rate, mean, low and high (over seeds) in [0, 1], and diverged: how many seeds had no
            finite loss; mean, low and high are NaN where none had one.
        chance: accuracy of guessing, drawn as a dotted line; crosses lie on it.
    """
    need_columns(frame, ["variant", "learning_rate", "mean", "low", "high", "diverged"])
    figure = new_figure(3.1, title=title)
    axes = figure.add_subplot()
    looks = zip((BLUE, ORANGE, GREEN, PURPLE), "osD^", strict=True)
    cross = {"marker": "x", "linestyle": "none", "markersize": 8, "markeredgewidth": 2}
    for (colour, marker), (name, rows) in zip(looks, frame.groupby("variant", sort=False), strict=False):
        band = rows.set_index("learning_rate").rename(columns={"low": "min", "high": "max"})
        _draw_band(axes, band, label=name, color=colour, marker=marker)
        lost = band.index[band["diverged"] > 0]
        axes.plot(lost, [chance] * len(lost), color=colour, **cross)
    axes.axhline(chance, color=GREY, linestyle=":", label="guessing")
    axes.set(xlabel="Learning rate", ylabel="Val accuracy (%)", xscale="log", ylim=(0, 1))
    axes.grid(True)
    percent_axis(axes.yaxis)
    if (frame["diverged"] > 0).any():
        axes.plot([], [], color=GREY, label="diverged", **cross)
    legend_below(figure, axes, columns=5)
    return figure


@styled
def twin_losses(frame: pd.DataFrame, *, limit: float, title: str = "The same steps, by hand and by Keras") -> Figure:
    """The loss of each step by hand and by Keras, and how far they are apart.

    Args:
        frame: step, by_hand, keras (losses in nats) and difference (absolute).
        limit: the largest difference that is allowed, drawn as a line.
    """
    need_columns(frame, ["step", "by_hand", "keras", "difference"])
    figure = new_figure(2.7, title=title)
    left, right = figure.subplots(1, 2)
    left.plot(frame["step"], frame["keras"], color=ORANGE, linewidth=4, alpha=0.6, label="Keras")
    left.plot(frame["step"], frame["by_hand"], color=BLUE, marker=".", label="by hand")
    left.legend()
    # A difference of zero has no place on a logarithmic axis: it is drawn at the smallest step of float32.
    right.plot(frame["step"], frame["difference"].clip(lower=6e-8), color=BLUE, marker=".", linestyle="none")
    right.axhline(limit, color=VERMILLION, linestyle="--", label="allowed")
    right.set_yscale("log")
    right.legend(loc="center right")
    _label_steps(left, "Loss (nats)", ticks=5)
    _label_steps(right, "Difference (nats)", ticks=5)
    return figure


@styled
def first_steps(frame: pd.DataFrame, *, title: str = "Adam's first steps") -> Figure:
    """How far Adam moves a weight in each step with and without bias correction, and the loss on the way.

    Args:
        frame: step, corrected and uncorrected (mean change of a weight in learning rates), ratio (the uncorrected step
            over the corrected one by the formula), corrected_loss and uncorrected_loss (nats).
    """
    need_columns(frame, ["step", "corrected", "uncorrected", "ratio", "corrected_loss", "uncorrected_loss"])
    figure = new_figure(3.0, title=title)
    left, middle, right = figure.subplots(1, 3)
    for colour, name in ((BLUE, "corrected"), (VERMILLION, "uncorrected")):
        left.plot(frame["step"], frame[name], color=colour, label=name)
        right.plot(frame["step"], frame[f"{name}_loss"], color=colour)
    middle.plot(frame["step"], frame["ratio"], color=GREY)
    labels = ("Mean step (learning rates)", "Uncorrected over corrected step", "Loss (nats)")
    for axes, label in zip((left, middle, right), labels, strict=True):
        _label_steps(axes, label, ticks=4)
        axes.set_ylim(bottom=0)
    legend_below(figure, left, columns=2)
    return figure


def _label_steps(axes: Axes, label: str, *, ticks: int) -> None:
    axes.set(xlabel="Step", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axes.grid(True)
