"""Figures about predictions: which classes are mixed up, what the confidence is worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from lib.figures.colours import BLUE, PALE, VERMILLION
from lib.figures.style import need, need_columns, new_figure, percent_axis, shorten, styled

MOST_CLASSES = 25  # whose names can be read along both sides of one matrix
BLOCK = 10  # classes of the enlarged block
SMALLEST = 5.5  # points: a name in smaller letters cannot be read
LOOK = {"cmap": colormaps["Blues"].with_extremes(bad="#BBBBBB"), "norm": PowerNorm(0.5, vmin=0, vmax=1)}


@styled
def confusion(
    matrix: np.ndarray,
    class_names: Sequence[str],
    *,
    blocks: Sequence[tuple[str, Sequence[int]]] = (),
    title: str = "Confusion matrix",
) -> Figure:
    """True against predicted classes; above 25 classes the whole, and below it the most confused ones enlarged.

    Args:
        matrix: (C, C) counts, true class (row) by predicted class (column).
        class_names: C names.
        blocks: name and classes of each block, every class in one, as `evaluation.class_blocks` gives; above 25 classes
            they are drawn in this order, with lines around each block; without any, the order of the classes.

    Returns:
        The figure: each row in per cent of the true class's images; rows without images stay grey. Colours grow with
        the square root, so that rare mistakes can be seen.
    """
    matrix = np.asarray(matrix)
    rule = "confusion needs a square matrix and one name per class"
    need(matrix.shape == (len(class_names),) * 2, rule, f"shape {matrix.shape} and {len(class_names)} names")
    order = [place for _, block in blocks for place in block] or list(range(len(matrix)))
    rule = "the blocks of a confusion matrix must hold each class once"
    need(sorted(order) == list(range(len(matrix))), rule, f"{len(order)} of {len(matrix)} classes")
    images = matrix.sum(axis=1, keepdims=True)
    shares = np.where(images > 0, matrix / np.maximum(images, 1), np.nan)
    if len(matrix) <= MOST_CLASSES:
        figure = new_figure(1.9 + 0.2 * len(matrix) + 0.06 * min(len(matrix), 12), title=title)
        axes = [figure.add_subplot()]
        picture = _draw_named(axes[0], shares, class_names)
    else:
        figure = new_figure(8.4, title=title)
        axes = figure.subplots(2, 1, height_ratios=(2.1, 1))
        picture = axes[0].imshow(shares[np.ix_(order, order)], aspect="auto", **LOOK)
        axes[0].set_title(f"All {len(matrix)} classes")
        _name_blocks(axes[0], blocks, count=len(matrix))
        block = _most_confused(matrix)
        if block:
            _draw_named(axes[1], shares[np.ix_(block, block)], [class_names[label] for label in block])
            axes[1].set_title(f"The {len(block)} most confused, enlarged")
        else:
            axes[1].set_axis_off()
            axes[1].text(0.5, 0.5, "No class was taken for another.", ha="center", va="center")
    bar = figure.colorbar(picture, ax=axes, fraction=0.035, pad=0.02, label="Share of the true class (%)")
    percent_axis(bar.ax.yaxis)
    return figure


def _name_blocks(axes: Axes, blocks: Sequence[tuple[str, Sequence[int]]], *, count: int) -> None:
    """A frame around each block of two classes or more, and its name at its row where there is room for it."""
    axes.set(xlabel="Predicted class, in the same order" if blocks else "Predicted class (number)")
    axes.set_ylabel("True class" if blocks else "True class (number)")
    if not blocks:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        return
    room = 72 * 4.6 / count  # points that a class takes
    places, names, start, free = [], [], 0, -np.inf
    for name, block in blocks:
        middle = start + (len(block) - 1) / 2
        if len(block) > 1:
            square = Rectangle((start - 0.5, start - 0.5), len(block), len(block), fill=False, linewidth=0.6)
            square.set_edgecolor(VERMILLION)
            axes.add_patch(square)
        if name and len(block) > 1 and (middle - free) * room >= SMALLEST + 1:
            places, names, free = [*places, middle], [*names, shorten(name, 31)], middle
        start += len(block)
    axes.set_xticks([])
    axes.set_yticks(places, names, fontsize=7 if room * count / max(len(names), 1) > 9 else SMALLEST)


def _draw_named(axes: Axes, shares: np.ndarray, class_names: Sequence[str]) -> AxesImage:
    """Names on both sides, and a number in each field that is not zero."""
    picture = axes.imshow(shares, aspect="auto", **LOOK)
    names = [shorten(name, 16) for name in class_names]
    axes.set_xticks(range(len(names)), names, rotation=90 if sum(map(len, names)) > 50 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set(xlabel="Predicted class", ylabel="True class")
    size = 7 if len(names) <= 15 else 5.5
    for (row, column), value in np.ndenumerate(shares):
        if value > 0:
            colour = "white" if picture.norm(value) > 0.6 else "black"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=size, color=colour)
    return picture


def _most_confused(matrix: np.ndarray) -> list[int]:
    """Up to ten classes of the pairs with the most mistakes; members of a pair stand side by side."""
    wrong = matrix - np.diag(np.diag(matrix))
    both = np.triu(wrong + wrong.T)
    order = np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]
    block = []
    for pair in zip(*np.unravel_index(order, both.shape), strict=True):
        new = [int(i) for i in pair if i not in block]
        if len(block) + len(new) <= BLOCK:
            block += new
    return block


@styled
def reliability(bins: pd.DataFrame, *, title: str = "Accuracy against confidence") -> Figure:
    """Accuracy against confidence; where bars end below the diagonal the model is too sure of itself.

    Args:
        bins: one row per bin: low, high, images, confidence, accuracy (NaN where no image is), as
            `evaluation.reliability_bins` gives.

    Returns:
        The figure: above accuracy by confidence, below the images in each bin.
    """
    need_columns(bins, ["low", "high", "images", "confidence", "accuracy"])
    figure = new_figure(4.6, title=title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middle, width = (bins["low"] + bins["high"]) / 2, bins["high"] - bins["low"]
    upper.bar(middle, bins["accuracy"], width=0.92 * width, color=BLUE, label="accuracy")
    gap = bins["confidence"] - bins["accuracy"]
    hatch = {"facecolor": "none", "edgecolor": VERMILLION, "linewidth": 0.8, "hatch": "////"}
    upper.bar(middle, gap, bottom=bins["accuracy"], width=0.92 * width, label="gap to the mean confidence", **hatch)
    upper.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="perfectly calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="Accuracy (%)")
    upper.legend(loc="upper left")
    lower.bar(middle, bins["images"], width=0.92 * width, color=PALE)
    lower.set(xlabel="Confidence: highest probability (%)", ylabel="Images")
    upper.grid(True, axis="y")
    percent_axis(upper.yaxis)
    percent_axis(lower.xaxis)
    return figure
