"""Figures about hand-written training: batch sizes, the same steps by Keras, the speed of each route."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from lib.figures.style import BLACK, BLUE, GREY, ORANGE, VERMILLION, need_columns, new_figure, percent_axis, styled

SIDES = {"epoch": "Epochs", "seconds": "Seconds of training", "updates": "Updates of the weights"}


@styled
def progress_curves(
    histories: Mapping[str, pd.DataFrame], *, dashed: str | None = None, title: str = "Progress of each training"
) -> Figure:
    """Val accuracy against epochs, against seconds and against updates, a line a training from dark to light.

    Args:
        histories: name -> table with epoch, seconds (of each epoch), updates (so far) and val_accuracy in [0, 1].
        dashed: the training drawn in black dashes, e.g. the full batch; None draws none so.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no training, a table lacks a column, or `dashed` is not one of them.
    """
    if not histories or dashed not in (None, *histories):
        raise ValueError(f"dashed must be None or one of {', '.join(histories) or 'none'}. Received: {dashed!r}")
    figure = new_figure(3.3 + 0.17 * -(-len(histories) // 4), title=title)
    panels = figure.subplots(1, 3, sharey=True)
    shades = colormaps["viridis"](np.linspace(0, 0.88, len(histories)))
    for shade, (name, history) in zip(shades, histories.items(), strict=True):
        need_columns(history, [*SIDES, "val_accuracy"])
        look = {"color": shade} if name != dashed else {"color": BLACK, "linestyle": "--"}
        sides = {"epoch": history["epoch"], "seconds": history["seconds"].cumsum(), "updates": history["updates"]}
        for axes, values in zip(panels, sides.values(), strict=True):
            axes.plot(values, history["val_accuracy"], label=name, marker="o" if len(history) < 3 else None, **look)
    for axes, (side, label) in zip(panels, SIDES.items(), strict=True):
        axes.set_xlabel(label)
        axes.grid(True)
        if side == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        else:
            _log_axis(axes)
    panels[0].set_ylabel("Val accuracy (%)")
    percent_axis(panels[0].yaxis)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def reference_dots(
    frame: pd.DataFrame, *, references: Mapping[str, float], title: str = "Test accuracy beside published numbers"
) -> Figure:
    """Test accuracies with their intervals beside published ones.

    Args:
        frame: one row a model: name, accuracy, low and high in [0, 1].
        references: what was published, and its accuracy in [0, 1]; one or two.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or there is no row.
    """
    need_columns(frame, ["name", "accuracy", "low", "high"])
    figure = new_figure(1.35 + 0.34 * len(frame), title=title)
    axes = figure.add_subplot()
    places = np.arange(len(frame))
    spread = np.abs(frame[["low", "high"]].to_numpy().T - frame["accuracy"].to_numpy())
    axes.errorbar(frame["accuracy"], places, xerr=spread, fmt="o", color=BLUE, capsize=3, label="95 % interval")
    for (name, value), colour in zip(references.items(), (VERMILLION, ORANGE), strict=False):
        axes.axvline(value, color=colour, linestyle="--", label=f"{name}: {100 * value:.1f}")
    for place, row in zip(places, frame.itertuples(), strict=True):
        where = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{100 * row.accuracy:.1f}", (max(row.high, *references.values()), place), **where)
    axes.margins(x=0.09)
    axes.set_yticks(places, frame["name"])
    axes.set_ylim(len(frame) - 0.5, -0.7)
    axes.set(xlabel="Test accuracy (%)", ylabel="Network")
    axes.grid(True, axis="x")
    percent_axis(axes.xaxis)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def twin_losses(frame: pd.DataFrame, *, limit: float, title: str = "The same steps, by hand and by Keras") -> Figure:
    """The loss of each step by hand and by Keras, and how far they are apart.

    Args:
        frame: step, by_hand, keras (losses in nats) and difference (absolute).
        limit: the largest difference that is allowed, drawn as a line.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or there is no row.
    """
    need_columns(frame, ["step", "by_hand", "keras", "difference"])
    figure = new_figure(2.7, title=title)
    left, right = figure.subplots(1, 2)
    left.plot(frame["step"], frame["keras"], color=ORANGE, linewidth=4, alpha=0.6, label="Keras")
    left.plot(frame["step"], frame["by_hand"], color=BLUE, marker=".", label="by hand")
    left.set_ylabel("Loss (nats)")
    left.legend()
    # A difference of zero has no place on a logarithmic axis: it is drawn at the smallest step of float32.
    right.plot(frame["step"], frame["difference"].clip(lower=6e-8), color=BLUE, marker=".", linestyle="none")
    right.axhline(limit, color=VERMILLION, linestyle="--", label="allowed")
    right.set(ylabel="Difference (nats)", yscale="log")
    right.legend(loc="center right")
    for axes in (left, right):
        axes.set_xlabel("Step")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.grid(True)
    return figure


@styled
def speed_bars(frame: pd.DataFrame, *, title: str = "Images a second, by route") -> Figure:
    """How many images each route trains on in a second, a panel a batch size.

    Args:
        frame: route, batch_size and images_per_second.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or there is no row.
    """
    need_columns(frame, ["route", "batch_size", "images_per_second"])
    sizes = list(dict.fromkeys(frame["batch_size"]))
    routes = list(dict.fromkeys(frame["route"]))
    figure = new_figure(1.1 + 0.26 * len(routes), title=title)
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, size in zip(panels, sizes, strict=True):
        rows = frame[frame["batch_size"] == size]
        colours = [GREY if route.startswith("Keras") else BLUE for route in rows["route"]]
        places = [routes.index(route) for route in rows["route"]]
        axes.barh(places, rows["images_per_second"], color=colours, height=0.7)
        for place, speed in zip(places, rows["images_per_second"], strict=True):
            axes.text(speed, place, f" {speed:,.0f}", va="center", fontsize=7.5)
        axes.set_xlim(0, 1.3 * rows["images_per_second"].max())
        axes.set_title(f"batch size {size}")
        axes.set_xlabel("Images a second")
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.grid(True, axis="x")
    panels[0].set_yticks(range(len(routes)), routes)
    panels[0].set_ylim(len(routes) - 0.4, -0.6)
    panels[0].set_ylabel("Route")
    return figure


def _log_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
