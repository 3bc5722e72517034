"""Figures of attribution methods: their maps, and the scores that say which maps to believe."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.explain.methods import METHODS
from lib.explain.methods import title as method_title
from lib.figures.bars import named_bars
from lib.figures.colours import BLACK, BLUE, GREEN, GREY, HEAT, MARKERS, ORANGE, PURPLE, SKY, VERMILLION, heat_picture
from lib.figures.images import Cell, Key, Row, characters, rows_of_images
from lib.figures.style import legend_below, need, need_columns, need_each, new_figure, number_text, percent_axis, styled

# In the order of the table of methods; more than enough of them, so that a new method has one of its own.
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, "#B8A900", "#7A5195", GREY)
COLOURS += ("#8C564B", "#003F5C", "#FF6EB4", "#556B2F", "#40E0D0", "#800000", "#9ACD32", "#4B0082", "#D2B48C")
BASELINES = {"centre": "--", "contrast": "-.", "random": ":"}  # rows that no method made -> how their lines are drawn
STRONGEST = "strongest weight in the image; + marks its place"


@styled
def attribution_grid(
    images: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    *,
    names: Sequence[str],
    masks: np.ndarray | None = None,
    overlay: bool = False,
    title: str = "What the model looks at, by method",
) -> Figure:
    """The images in the first row, then one row per method: its map of each image, the strongest pixel marked.

    One colour scale, from no weight to the strongest weight in the image, holds for all maps.

    Args:
        images: N images, numbers in [0, 255], each (S, S, 3).
        maps: by method (N, S, S) in [0, 1].
        names: N texts above the images; a line break makes a second line.
        masks: (N, S, S) bool, True on the object; drawn as an outline. Empty ones are left away.
        overlay: show the maps over the grey images instead of alone.
    """
    masks = [None] * len(images) if masks is None else masks
    need_each(methods=maps)
    need_each(images=images, names=names, masks=masks, **maps)
    first = [
        Cell(image, text=name, mark=partial(_outline, mask=mask, strong=True))
        for image, name, mask in zip(images, names, masks, strict=True)
    ]
    rows = [Row(first, "image")]
    for method, own in maps.items():
        cases = zip(own, images, masks, strict=True)
        cells = [_map_cell(heat, image=image if overlay else None, mask=mask) for heat, image, mask in cases]
        rows.append(Row(cells, method_title(method)))
    weak = "no weight: the image in grey" if overlay else "no weight"
    return rows_of_images(rows, title=title, key=Key(colours=HEAT, ends=(weak, STRONGEST)))


@styled
def randomisation_maps(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    depths: Sequence[str],
    verdicts: Mapping[str, tuple[bool, str]],
    title: str = "Does the map change when the weights are shuffled?",
) -> Figure:
    """One image's map by each method, as trained and with more and more of the weights shuffled from the head down.

    Args:
        image: numbers in [0, 255], (S, S, 3).
        maps: by method (D, S, S) in [0, 1], the trained model's first.
        depths: D names, at least two: "as trained", then the last layers shuffled; the last depth is all weights.
        verdicts: by method whether it failed, and a few words; failed ones are marked in words and colour.
    """
    _need_depths(maps, depths)
    need(set(maps) <= set(verdicts), f"{', '.join(maps)} need a verdict each", ", ".join(verdicts) or "none")
    heads = [depths[0].replace(" ", "\n"), *(f"down to\n{name}" for name in depths[1:-1]), "all\nweights"]
    rows = []
    for method, own in maps.items():
        failed, words = verdicts[method]
        texts = [""] * (len(depths) + 1) if rows else ["image", *heads]
        cells = [Cell(image, text=texts[0])]
        for heat, text in zip(own, texts[1:], strict=True):
            cells.append(_map_cell(heat, text=text, frame=VERMILLION if failed else None))
        cells.append(Cell(mark=partial(_write_verdict, words=words, failed=failed)))
        rows.append(Row(cells, method_title(method)))
    return rows_of_images(rows, title=title, key=Key(colours=HEAT, ends=("no weight", STRONGEST)))


def _need_depths(by_method: Mapping[str, Sequence], depths: Sequence[str]) -> None:
    received = f"{len(by_method)} methods, {len(depths)} depths"
    need(len(by_method) > 0 and len(depths) > 1, "there must be at least one method and two depths", received)
    need_each(depths=depths, **by_method)


def _map_cell(heat: np.ndarray, *, image: np.ndarray | None = None, mask: np.ndarray | None = None, **cell) -> Cell:
    """One map in the colours of the scale, its strongest pixel marked; one of zeros is said to be empty."""
    heat = np.asarray(heat, dtype=float)
    right = heat.ndim == 2 and heat.min() >= 0 and heat.max() <= 1
    need(right, "a map must have shape (S, S) and values in [0, 1]", f"shape {heat.shape}")

    def mark(axes: Axes) -> None:
        if heat.max() == 0:
            axes.text(0.5, 0.5, "empty", transform=axes.transAxes, ha="center", va="center", color="white", fontsize=7)
        else:
            row, column = np.unravel_index(heat.argmax(), heat.shape)
            axes.plot(column, row, marker="+", color=SKY, markersize=7, markeredgewidth=1.4, clip_on=False)
        _outline(axes, mask, strong=False)

    # Weak places show the image, strong ones the colour of the scale.
    return Cell(heat_picture(heat, image, fade=0.5), mark=mark, **cell)


def _outline(axes: Axes, mask: np.ndarray | None, *, strong: bool) -> None:
    """The edge of the object: on images white on black, to show on any ground; on maps faint, to hide nothing."""
    lines = ((1.4, "black", 1.0), (0.7, "white", 1.0)) if strong else ((0.6, "white", 0.6),)
    if mask is not None and mask.any() and not mask.all():
        for width, colour, alpha in lines:
            axes.contour(mask.astype(float), levels=[0.5], colors=colour, linewidths=width, alpha=alpha)


def _write_verdict(axes: Axes, words: str, *, failed: bool) -> None:
    text = textwrap.fill(words, characters(axes, size=7.5), break_long_words=False)
    look = {"color": VERMILLION, "weight": "bold"} if failed else {"color": BLUE}
    axes.text(0, 0.5, text, va="center", fontsize=7.5, **look)


@styled
def pointing_game_bars(scores: pd.DataFrame, *, title: str = "Do the maps point at the object?") -> Figure:
    """How often each method's strongest pixel lies on the object, and how much of its map does, best first.

    Args:
        scores: one row per method or baseline: method, hit, hit_low, hit_high, energy, energy_low, energy_high,
            images, as `explain.pointing_game` gives; the rows "centre", "contrast" and "random" become lines.
    """
    ends = [f"{measure}{end}" for measure in ("hit", "energy") for end in ("", "_low", "_high")]
    need_columns(scores, ["method", "images", *ends])
    methods = scores[~scores["method"].isin(BASELINES)].sort_values("hit", ascending=False, kind="stable")
    need(not methods.empty, "the pointing game needs at least one method", "baselines only")
    figure = new_figure(1.55 + 0.26 * len(methods), title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_xlabel(f"Strongest pixel on the object\n(% of {int(methods['images'].iloc[0])} images)")
    right.set_xlabel("Share of the map on the object\n(%, mean over images)")
    for axes, measure in ((left, "hit"), (right, "energy")):
        values = methods[measure].to_numpy()
        spread = np.abs(methods[[f"{measure}_low", f"{measure}_high"]].to_numpy().T - values)
        named_bars(axes, methods["method"].map(method_title), values, spread=spread)
        for place, value in enumerate(values):
            axes.text(0.015, place, f"{100 * value:.0f}", va="center", fontsize=7.5, color="white", weight="bold")
        axes.set_xlim(0, 1.02)
        percent_axis(axes.xaxis)
        for name, line in BASELINES.items():
            for value in scores.loc[scores["method"] == name, measure]:
                if measure == "hit" or name != "centre":
                    axes.axvline(value, color=BLACK, linestyle=line, linewidth=1, label=method_title(name))
    if left.get_legend_handles_labels()[0]:
        legend_below(figure, left, columns=3, title="Lines: pointing without the model")
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
    """
    received = f"{', '.join(deletion)} and {', '.join(insertion)}"
    need(len(deletion) > 0 and set(deletion) == set(insertion), "both panels need the same methods", received)
    for curves in (deletion, insertion):
        need_each(fractions=fractions, **curves)
    figure = new_figure(4.3, title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set(title="Deletion: lower is better", xlabel="Pixels taken away, strongest first (%)")
    right.set(title="Insertion: higher is better", xlabel="Pixels put in, strongest first (%)")
    for axes, curves in ((left, deletion), (right, insertion)):
        for name in sorted(curves, key=lambda name: name not in BASELINES):
            look = {"color": BLACK, "linestyle": BASELINES[name]} if name in BASELINES else _look(name)
            axes.plot(fractions, curves[name], label=method_title(name), markevery=2, markersize=3.5, **look)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(True)
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
    left.set_ylabel("Mean probability of the class (%)")
    legend_below(figure, left, columns=4)
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
        depths: D names, at least two, from "as trained" to the last layers shuffled.
        limit: a method whose mean over the shuffled depths lies above it counts as one that does not depend on the
            weights; it is drawn thick, and the legend says so.
    """
    _need_depths(similarity, depths)
    figure = new_figure(3.9, title=title)
    axes = figure.add_subplot()
    axes.axhline(0, color=BLACK, linewidth=0.8)
    for name, values in similarity.items():
        left = float(np.mean(values[1:]))
        fails = left > limit
        text = f"{method_title(name)} {number_text(left, '.2f')}{', fails' if fails else ''}"
        axes.plot(values, label=text, markersize=4, linewidth=3 if fails else 1.4, **_look(name))
    lowest = min(min(values) for values in similarity.values())
    axes.set(ylabel="Rank correlation with the\ntrained model's map", ylim=(min(-0.25, 1.1 * lowest), 1.05))
    axes.set_xticks(range(len(depths)), depths)
    axes.set_xlabel("Weights shuffled, from the head down")
    axes.grid(True, axis="y")
    legend_below(figure, axes, columns=3, title="Mean over the shuffled depths")
    return figure


def method_colour(name: str) -> str:
    """The colour of a method in all figures, by its place in the table of methods; others share the next one."""
    return COLOURS[_place(name) % len(COLOURS)]


def _look(method: str) -> dict:
    return {"color": method_colour(method), "marker": MARKERS[_place(method) % len(MARKERS)]}


def _place(method: str) -> int:
    return list(METHODS).index(method) if method in METHODS else len(METHODS)
