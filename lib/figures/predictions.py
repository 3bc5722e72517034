"""Figures about predictions: which classes are mixed up, what the confidence is worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from lib.figures.style import BLUE, PALE, VERMILLION, need, need_columns, new_figure, percent_axis, shorten, styled

MOST_CLASSES = 25  # whose names can be read along both sides of one matrix
BLOCK = 10  # classes of the enlarged block
COLOURS = colormaps["Blues"].with_extremes(bad="#BBBBBB")


@styled
def confusion(
    matrix: np.ndarray, class_names: Sequence[str], *, normalise: bool = True, title: str = "Confusion matrix"
) -> Figure:
    """True against predicted classes; above 25 classes the whole, and beside it the most confused ones enlarged.

    Args:
        matrix: (C, C) counts, true class (row) by predicted class (column).
        class_names: C names.
        normalise: show each row as per cent of the true class's images (rows without images stay grey), else counts.
        title: of the figure.

    Returns:
        The figure. Colours grow with the square root, so that rare mistakes can be seen.

    Raises:
        ValueError: if the matrix is not square or the names do not match it.
    """
    matrix = np.asarray(matrix)
    need(
        matrix.shape == (len(class_names), len(class_names)),
        "confusion needs a square matrix and one name per class",
        f"shape {matrix.shape} and {len(class_names)} names",
    )
    images = matrix.sum(axis=1, keepdims=True)
    shown = np.where(images > 0, matrix / np.maximum(images, 1), np.nan) if normalise else matrix.astype(float)
    look = {"cmap": COLOURS, "norm": PowerNorm(0.5, vmin=0, vmax=1 if normalise else max(matrix.max(), 1))}
    if len(matrix) <= MOST_CLASSES:
        figure = new_figure(1.9 + 0.2 * len(matrix) + 0.06 * min(len(matrix), 12), title=title)
        axes = [figure.add_subplot()]
        picture = axes[0].imshow(shown, aspect="auto", **look)
        _name_classes(axes[0], picture, class_names=class_names, normalise=normalise)
    else:
        figure = new_figure(3.9, title=title)
        axes = figure.subplots(1, 2, width_ratios=(1.25, 1))
        picture = _draw_whole(axes[0], shown, look=look)
        _draw_most_confused(axes[1], shown, matrix=matrix, class_names=class_names, normalise=normalise, look=look)
    bar = figure.colorbar(picture, ax=axes, fraction=0.035, pad=0.02)
    bar.set_label("Share of the true class (%)" if normalise else "Images")
    if normalise:
        percent_axis(bar.ax.yaxis)
    return figure


@styled
def reliability(bins: pd.DataFrame, *, title: str = "Accuracy against confidence") -> Figure:
    """Accuracy against confidence; where bars end below the diagonal the model is too sure of itself.

    Args:
        bins: one row per bin: low, high, images, confidence, accuracy (NaN where no image is), as
            `evaluation.reliability_bins` gives.
        title: of the figure.

    Returns:
        The figure: above accuracy by confidence, below the images in each bin.

    Raises:
        ValueError: if a column is missing.
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


def _draw_whole(axes: Axes, shown: np.ndarray, *, look: dict) -> AxesImage:
    """Every class, by its number."""
    picture = axes.imshow(shown, **look)
    axes.set(xlabel="Predicted class (number)", ylabel="True class (number)")
    axes.set_title(f"All {len(shown)} classes")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return picture


def _draw_most_confused(
    axes: Axes, shown: np.ndarray, *, matrix: np.ndarray, class_names: Sequence[str], normalise: bool, look: dict
) -> None:
    """The classes with the most mistakes between them, by name."""
    block = _most_confused(matrix)
    if not len(block):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "No class was taken for another.", ha="center", va="center")
        return
    picture = axes.imshow(shown[np.ix_(block, block)], aspect="auto", **look)
    _name_classes(axes, picture, class_names=[class_names[i] for i in block], normalise=normalise)
    axes.set_title(f"The {len(block)} most confused, enlarged")


def _name_classes(axes: Axes, picture: AxesImage, *, class_names: Sequence[str], normalise: bool) -> None:
    """Names on both sides, and a number in each field that is not zero."""
    names = [shorten(name, 16) for name in class_names]
    axes.set_xticks(range(len(names)), names, rotation=90 if sum(map(len, names)) > 50 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set(xlabel="Predicted class", ylabel="True class")
    size = 7 if len(names) <= 15 else 5.5
    for (row, column), value in np.ndenumerate(picture.get_array()):
        if value > 0:
            text = f"{100 * value:.0f}" if normalise else f"{value:.0f}"
            colour = "white" if picture.norm(value) > 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def _most_confused(matrix: np.ndarray) -> np.ndarray:
    """Up to ten classes of the pairs with the most mistakes; members of a pair stand side by side."""
    wrong = matrix - np.diag(np.diag(matrix))
    both = np.triu(wrong + wrong.T)
    order = np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]
    block: list[int] = []
    for pair in zip(*np.unravel_index(order, both.shape), strict=True):
        new = [int(i) for i in pair if i not in block]
        if len(block) + len(new) <= BLOCK:
            block += new
    return np.array(block, dtype=int)
