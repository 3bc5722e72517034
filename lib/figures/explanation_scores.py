"""Scores of attribution methods: pointing game, deletion and insertion, shuffled weights."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.explain.methods import METHODS
from lib.explain.methods import title as method_title
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
    styled,
)

BASELINES = {
    "centre": "--",
    "contrast": "-.",
    "random": ":",
}  # rows of the tables that no method made -> how their lines are drawn
# In the order of the table of methods; more than enough of them, so that a new method has one of its own.
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, "#B8A900", "#7A5195", GREY)
COLOURS += ("#8C564B", "#003F5C", "#FF6EB4", "#556B2F", "#40E0D0", "#800000", "#9ACD32", "#4B0082", "#D2B48C")
MARKERS = "osD^vPX*h"


@styled
def pointing_game_bars(scores: pd.DataFrame, *, title: str = "Do the maps point at the object?") -> Figure:
    """How often each method's strongest pixel lies on the object, and how much of its map does, best first.

    Args:
        scores: one row a method or baseline: method, hit, hit_low, hit_high, energy, energy_low, energy_high, images,
            as `explain.pointing_game` gives; the rows "centre", "contrast" and "random"
            become lines.
        title: of the figure.

    Raises:
        ValueError: if a column is missing or there is no method.
    """
    ends = [f"{measure}{end}" for measure in ("hit", "energy") for end in ("", "_low", "_high")]
    need_columns(scores, ["method", "images", *ends])
    methods = scores[~scores["method"].isin(BASELINES)].sort_values("hit", ascending=False, kind="stable")
    if methods.empty:
        raise ValueError("the pointing game needs at least one method. Received: baselines only")
    figure = new_figure(1.55 + 0.26 * len(methods), title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    images = int(methods["images"].iloc[0])
    _bars(left, methods, measure="hit", label=f"Strongest pixel on the object\n(% of {images} images)")
    _bars(right, methods, measure="energy", label="Share of the map on the object\n(%, mean over images)")
    for name, line in BASELINES.items():
        for axes, measure in ((left, "hit"), (right, "energy")):
            for value in scores.loc[scores["method"] == name, measure]:
                if measure == "hit" or name != "centre":
                    label = method_title(name) if axes is left else None
                    axes.axvline(value, color=BLACK, linestyle=line, linewidth=1, label=label)
    if left.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower right", ncols=3, title="Lines: pointing without the model")
    return figure


@styled
def deletion_insertion_curves(
    fractions: Sequence[float],
    deletion: Mapping[str, Sequence[float]],
    insertion: Mapping[str, Sequence[float]],
    *,
    title: str = "Do the marked pixels matter to the model?",
) -> Figure:
    """Probability of the class while the pixels a map ranks highest are taken away, or put in, first.

    Args:
        fractions: (T,) shares of the image's pixels changed, in [0, 1].
        deletion: by method or baseline (T,) mean probability in [0, 1]; lower is better.
        insertion: the same methods; higher is better.
        title: of the figure.

    Raises:
        ValueError: if the methods or the numbers of steps differ.
    """
    curves = [*deletion.values(), *insertion.values()]
    if not deletion or set(deletion) != set(insertion) or {len(curve) for curve in curves} != {len(fractions)}:
        raise ValueError(
            "both panels need the same methods, with one value a fraction. "
            f"Received: {', '.join(deletion)} and {', '.join(insertion)}, {len(fractions)} fractions"
        )
    figure = new_figure(4.3, title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    panels = (
        (left, deletion, "Deletion: lower is better", "Pixels taken away"),
        (right, insertion, "Insertion: higher is better", "Pixels put in"),
    )
    for axes, panel, head, label in panels:
        _curves(axes, fractions, panel)
        axes.set(title=head, xlabel=f"{label}, strongest first (%)", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(True)
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
    left.set_ylabel("Mean probability of the class (%)")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def randomisation_curves(
    similarity: Mapping[str, Sequence[float]],
    *,
    depths: Sequence[str],
    limit: float,
    title: str = "How much of the map is left when weights are shuffled?",
) -> Figure:
    """Rank correlation of each method's maps with those of the trained model, from the head down to all weights.

    Args:
        similarity: by method (D,) mean rank correlations in [-1, 1], the trained model's (1) first.
        depths: D names, from "as trained" to the last layers shuffled.
        limit: a method whose mean over the shuffled depths lies above it counts as one that does not depend on the
            weights; it is drawn thick, and the legend says so.
        title: of the figure.

    Raises:
        ValueError: if a method has not one value a depth.
    """
    if not similarity or len(depths) < 2 or any(len(values) != len(depths) for values in similarity.values()):
        raise ValueError(
            "randomisation_curves needs at least one method and two depths, with one value a depth each. "
            f"Received: {', '.join(similarity)} and {len(depths)} depths"
        )
    figure = new_figure(3.9, title=title)
    axes = figure.add_subplot()
    places = np.arange(len(depths))
    axes.axhline(0, color=BLACK, linewidth=0.8)
    for name, values in similarity.items():
        left = float(np.mean(values[1:]))
        number_text = f"{left:.2f}".replace("-", "\u2212")  # the minus sign, as on the axis
        text = f"{method_title(name)} {number_text}{', fails' if left > limit else ''}"
        width = 3 if left > limit else 1.4
        axes.plot(places, values, **_look(name, similarity), label=text, markersize=4, linewidth=width)
    lowest = min(min(values) for values in similarity.values())
    axes.set(ylabel="Rank correlation with the\ntrained model's map", ylim=(min(-0.25, 1.1 * lowest), 1.05))
    axes.set_xticks(places, depths)
    axes.set_xlabel("Weights shuffled, from the head down")
    axes.grid(True, axis="y")
    figure.legend(loc="outside lower center", ncols=3, title="Mean over the shuffled depths")
    return figure


def _bars(axes: Axes, methods: pd.DataFrame, *, measure: str, label: str) -> None:
    places = np.arange(len(methods))
    values = methods[measure]
    spread = np.abs([values - methods[f"{measure}_low"], methods[f"{measure}_high"] - values])
    axes.barh(places, values, color=BLUE, height=0.68, xerr=spread, error_kw={"elinewidth": 1, "capsize": 2})
    for place, value in zip(places, values, strict=True):
        axes.text(0.015, place, f"{100 * value:.0f}", va="center", fontsize=7.5, color="white", weight="bold")
    axes.set_yticks(places, [method_title(name) for name in methods["method"]])
    axes.set(ylim=(len(methods) - 0.4, -0.6), xlim=(0, 1.02), xlabel=label)
    axes.tick_params(axis="y", length=0)
    percent_axis(axes.xaxis)


def _curves(axes: Axes, fractions: Sequence[float], curves: Mapping[str, Sequence[float]]) -> None:
    methods = [name for name in curves if name not in BASELINES]
    for name, line in BASELINES.items():
        if name in curves:
            axes.plot(fractions, curves[name], color=BLACK, linestyle=line, linewidth=1.2, label=method_title(name))
    for name in methods:
        axes.plot(
            fractions, curves[name], **_look(name, methods), label=method_title(name), markevery=2, markersize=3.5
        )


def _look(name: str, names: Iterable[str]) -> dict:
    """A colour and a marker for each method, by its place in the table of methods; others come behind."""
    place = [*METHODS, *(other for other in names if other not in METHODS)].index(name)
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
