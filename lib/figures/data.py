"""Figures about a data set as a whole: how many images, how large, how hard to tell apart."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lib.figures.bars import Measure, ranked_bars
from lib.figures.style import BLUE, VERMILLION, need_columns, new_figure, styled

IMAGES = Measure("Images", "largest", "smallest", is_share=False)
DIFFICULTY = Measure("Nearest to own class mean (%)", "easiest", "hardest", is_share=True)


@styled
def class_counts(frame: pd.DataFrame, *, k: int = 10, title: str = "Images in each class") -> Figure:
    """How many images each class has, largest first.

    Args:
        frame: one row an image, with the column class_name.
        k: classes named at either end when there are more than 30.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if the table has no class_name column or no rows.
    """
    need_columns(frame, ["class_name"])
    counts = frame["class_name"].value_counts().rename_axis("class_name").reset_index(name="value")
    return ranked_bars(counts.assign(text=counts["value"].map("{:,}".format)), IMAGES, k=k, title=title)


@styled
def class_difficulty(
    frame: pd.DataFrame, *, k: int = 10, title: str = "Easy and hard classes, before any training"
) -> Figure:
    """How well cheap features tell each class from the others, easiest first.

    Args:
        frame: one row a class: class_name, images, accuracy in [0, 1], as `evaluation.easy_and_hard_classes` gives.
        k: classes named at either end when there are more than 30.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if a column is missing or no class has an accuracy.
    """
    need_columns(frame, ["class_name", "images", "accuracy"])
    texts = [
        f"{100 * share:.0f} (n={images})" for share, images in zip(frame["accuracy"], frame["images"], strict=True)
    ]
    rows = pd.DataFrame({"class_name": frame["class_name"], "value": frame["accuracy"], "text": texts})
    return ranked_bars(rows, DIFFICULTY, k=k, title=title)


@styled
def image_sizes(widths: Sequence[int], heights: Sequence[int], *, title: str = "Image sizes") -> Figure:
    """Widths against heights, and the spread of their ratio.

    Args:
        widths: (N,) pixels, positive.
        heights: (N,) pixels, positive.
        title: of the figure.

    Returns:
        The figure: left one dot a size, its area growing with the number of images; right a histogram.

    Raises:
        ValueError: if the lengths differ or a side is not positive.
    """
    widths, heights = np.asarray(widths, dtype=float), np.asarray(heights, dtype=float)
    if widths.ndim != 1 or widths.shape != heights.shape or not widths.size or not min(*widths, *heights) > 0:
        raise ValueError(
            "widths and heights must be positive, one each an image. "
            f"Received: shapes {widths.shape} and {heights.shape}"
        )
    figure = new_figure(3.4, title=title)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _draw_sizes(left, np.stack([widths, heights], axis=1))
    _draw_ratios(right, widths / heights)
    return figure


def _draw_sizes(axes: Axes, sides: np.ndarray) -> None:
    sizes, images = np.unique(sides, axis=0, return_counts=True)
    area = 6 + 200 * images / len(sides)
    axes.scatter(sizes[:, 0], sizes[:, 1], s=area, color=BLUE, alpha=0.35, linewidths=0)
    low, high = sides.min() / 1.3, sides.max() * 1.3
    axes.plot([low, high], [low, high], color="black", linewidth=0.8, linestyle="--", label="square")
    axes.set(xlim=(low, high), ylim=(low, high), xscale="log", yscale="log", aspect="equal")
    axes.set(xlabel="Width (pixels)", ylabel="Height (pixels)")
    axes.set_title(f"{len(sides):,} images, {len(sizes):,} sizes\n(larger dot: more images)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=2, numticks=9))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
        axis.set_tick_params(which="minor", length=0)
    axes.tick_params(axis="x", labelrotation=45)
    axes.grid(True)
    axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")


def _draw_ratios(axes: Axes, ratios: np.ndarray) -> None:
    doublings = np.log2(ratios)
    reach = max(1.0, np.abs(doublings).max())
    axes.hist(doublings, bins=np.linspace(-reach, reach, 42), color=BLUE)
    axes.axvline(0, color="black", linewidth=0.8, linestyle="--", label="square")
    axes.axvline(np.median(doublings), color=VERMILLION, linewidth=1.2, label="median")
    step = max(1, round(reach / 3))
    ticks = np.arange(-(reach // step) * step, reach + 0.01, step)
    axes.set_xticks(ticks, [f"{2**tick:g} : 1" if tick >= 0 else f"1 : {2**-tick:g}" for tick in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set(xlabel="Width : height", ylabel="Images")
    axes.set_title("Aspect ratios")
    axes.grid(True, axis="y")
    axes.legend()
