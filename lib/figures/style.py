"""The one look of all figures: colours that colour-blind readers tell apart, sizes that fit the width of an A4 page."""

import functools
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

WIDTH = 6.5  # inches: A4 less its margins
TALLEST = 9.3  # inches: a figure with its caption still fits one page

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#8A8A8A"
PALE, PAPER = "#C9D6DF", "#F1F1F1"

STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "text.parse_math": False,  # a class name may hold a dollar sign
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """A drawing function that always runs in this style, whatever the caller's matplotlib settings are."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs) -> Figure:
        with style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return in_style


def new_figure(height: float, *, title: str) -> Figure:
    """An empty figure of the page's width that arranges its own axes.

    Args:
        height: inches, cut at the height of a page.
        title: shown at the top left, wrapped.

    Returns:
        A Figure that pyplot does not know, so nothing stays open.
    """
    figure = Figure(figsize=(WIDTH, min(height, TALLEST)), layout="constrained")
    figure.suptitle(textwrap.fill(title, 72), x=0.01, ha="left")
    return figure


def shorten(name: object, width: int) -> str:
    """The name in at most `width` characters, cut with an ellipsis."""
    name = " ".join(str(name).split())
    return name if len(name) <= width else name[: max(width - 1, 1)].rstrip() + "…"


def percent_axis(axis) -> None:
    """Show shares in [0, 1] as per cent; the label carries the unit."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}"))


def need_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column or has no rows.

    Raises:
        ValueError: naming what is missing and what is there.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"the table must have the columns {', '.join(columns)}. Received: {', '.join(map(str, frame.columns))}"
        )
    if frame.empty:
        raise ValueError("the table must have at least one row. Received: none")


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Draw an image centred in square axes without ticks, whatever its own shape.

    Args:
        axes: where to draw.
        image: numbers in [0, 255], shape (H, W, 3), (H, W, 1) or (H, W).

    Raises:
        ValueError: if the shape is none of these.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise ValueError(f"an image must have shape (H, W, 3), (H, W, 1) or (H, W). Received: {image.shape}")
    if image.dtype != np.uint8:
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    height, width = image.shape[:2]
    half = max(height, width) / 2
    axes.set_xlim(width / 2 - 0.5 - half, width / 2 - 0.5 + half)
    axes.set_ylim(height / 2 - 0.5 + half, height / 2 - 0.5 - half)
    axes.set_facecolor(PAPER)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def image_grid(
    shape: tuple[int, int], *, title: str, left: float = 0.0, above: float = 0.0, head: float = 0.0
) -> tuple[Figure, list]:
    """A figure with rows and columns of square axes at fixed places.

    Placed by hand because the automatic layout is slow with a hundred axes.

    Args:
        shape: rows and columns.
        title: shown at the top left.
        left: inches kept free beside each row.
        above: inches kept free above each row.
        head: inches kept free above the first row only.

    Returns:
        The figure, and its axes row by row (a list of lists).
    """
    rows, columns = shape
    gap, margin = 0.08, 0.06
    side = min((WIDTH - left - 2 * margin + gap) / columns - gap, 1.6)
    lines = textwrap.wrap(title, 72)
    top = 0.08 + 0.19 * len(lines) + head
    height = top + rows * (side + above + gap) + margin
    figure = Figure(figsize=(WIDTH, height))
    figure.suptitle("\n".join(lines), x=0.01, y=1 - 0.04 / height, ha="left", va="top")
    grid = []
    for row in range(rows):
        bottom = height - top - (row + 1) * (side + above) - row * gap
        places = [(margin + left + column * (side + gap), bottom, side, side) for column in range(columns)]
        boxes = [(x / WIDTH, y / height, w / WIDTH, h / height) for x, y, w, h in places]
        grid.append([figure.add_axes(box) for box in boxes])
    return figure, grid


def characters(axes: Axes, *, size: float) -> int:
    """How many characters of that font size (points) fit the width of the axes."""
    inches = axes.get_position().width * axes.get_figure().get_figwidth()
    return max(int(inches / (size * 0.0083)), 4)
