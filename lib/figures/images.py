"""Figures made of images: samples, changes made to them, predictions."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.figures.style import BLUE, VERMILLION, characters, image_grid, shorten, show_image, styled


@styled
def sample_grid(
    images: Sequence[np.ndarray], titles: Sequence[str] | None = None, *, columns: int = 6, title: str = "Samples"
) -> Figure:
    """Images in rows, each in a square of its own.

    Args:
        images: numbers in [0, 255], each (H, W, 3) or (H, W), of any size.
        titles: one an image, shown above it and shortened to fit; None shows none.
        columns: images in a row.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no images, the titles do not match them or columns is below 1.
    """
    if not len(images) or columns < 1 or (titles is not None and len(titles) != len(images)):
        raise ValueError(
            "sample_grid needs at least one image, one title an image and at least one column. "
            f"Received: {len(images)} images, {None if titles is None else len(titles)} titles, columns={columns}"
        )
    shape = (-(-len(images) // columns), columns)
    figure, grid = image_grid(shape, title=title, above=0.0 if titles is None else 0.17)
    places = [axes for row in grid for axes in row]
    for axes, image in zip(places, images, strict=False):
        show_image(axes, image)
    for axes in places[len(images) :]:
        axes.remove()
    for axes, name in zip(places, () if titles is None else titles, strict=False):
        axes.set_title(shorten(name, characters(axes, size=7.5)), fontsize=7.5, pad=2.5)
    return figure


@styled
def before_after_grid(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    column_titles: Sequence[str] | None = None,
    *,
    title: str = "Before and after",
) -> Figure:
    """Named rows of images, e.g. one row an augmentation or one row an image resized in several ways.

    Args:
        rows: name and images of each row; images are numbers in [0, 255], (H, W, 3) or (H, W), of any size.
        column_titles: shown above the first row, one a column; None shows none.
        title: of the figure.

    Returns:
        The figure; shorter rows leave their last places empty.

    Raises:
        ValueError: if there are no rows, no images, or not one title a column.
    """
    columns = max((len(images) for _, images in rows), default=0)
    if not columns or (column_titles is not None and len(column_titles) != columns):
        raise ValueError(
            "before_after_grid needs at least one image and one title a column. "
            f"Received: {len(rows)} rows, {columns} columns, column_titles={column_titles}"
        )
    figure, grid = image_grid((len(rows), columns), title=title, left=1.05, head=0.0 if column_titles is None else 0.17)
    for (name, images), places in zip(rows, grid, strict=True):
        _name_row(places[0], name)
        for axes, image in zip(places, images, strict=False):
            show_image(axes, image)
        for axes in places[len(images) :]:
            axes.set_axis_off()
    for axes, name in zip(grid[0], () if column_titles is None else column_titles, strict=False):
        axes.set_title(shorten(name, characters(axes, size=8)), fontsize=8, pad=2.5, loc="center")
    return figure


@styled
def predictions_grid(
    images: Sequence[np.ndarray],
    true_names: Sequence[str],
    *,
    predicted_names: Sequence[str],
    confidences: Sequence[float],
    columns: int = 5,
    title: str = "Predictions",
) -> Figure:
    """Images with the class the model sees, its confidence and the truth; right and wrong differ in colour and sign.

    Args:
        images: numbers in [0, 255], each (H, W, 3) or (H, W), of any size.
        true_names: one class name an image.
        predicted_names: one class name an image.
        confidences: highest probability of each image, in [0, 1].
        columns: images in a row.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no images, the lists differ in length or columns is below 1.
    """
    lengths = [len(images), len(true_names), len(predicted_names), len(confidences)]
    if not lengths[0] or len(set(lengths)) > 1 or columns < 1:
        raise ValueError(
            "predictions_grid needs as many names and confidences as images, and at least one column. "
            f"Received: lengths {lengths}, columns={columns}"
        )
    all_right = list(true_names) == list(predicted_names)
    figure, grid = image_grid((-(-lengths[0] // columns), columns), title=title, above=0.17 if all_right else 0.31)
    places = [axes for row in grid for axes in row]
    cases = zip(places, images, true_names, predicted_names, confidences, strict=False)
    for axes, image, true, predicted, confidence in cases:
        _draw_prediction(axes, image, true=true, predicted=predicted, confidence=confidence)
    for axes in places[lengths[0] :]:
        axes.remove()
    return figure


def _name_row(axes: Axes, name: str) -> None:
    """Write the name to the left of the row's first image."""
    text = "\n".join(textwrap.wrap(shorten(name, 45), 15))
    beside = {"xycoords": "axes fraction", "xytext": (-5, 0), "textcoords": "offset points"}
    axes.annotate(text, (0, 0.5), ha="right", va="center", **beside)


def _draw_prediction(axes: Axes, image: np.ndarray, *, true: str, predicted: str, confidence: float) -> None:
    right = true == predicted
    colour = BLUE if right else VERMILLION
    show_image(axes, image)
    axes.spines[:].set(visible=True, color=colour, linewidth=2)
    width = characters(axes, size=7.5)
    sign, percent = "✓" if right else "✗", f"{100 * confidence:.0f} %"
    lines = [f"{sign} {shorten(predicted, width - len(percent) - 3)} {percent}"]
    if not right:
        lines.append(f"is {shorten(true, width - 3)}")
    axes.set_title("\n".join(lines), fontsize=7.5, color=colour, pad=3, linespacing=1.05)
