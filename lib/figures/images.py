"""Rows of images with names: the one way in which all grids of images are drawn, and the plain grids made with it."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from lib.figures.colours import BLACK, BLUE, DARK_GREY, PAPER, VERMILLION
from lib.figures.style import TALLEST, WIDTH, need, need_each, shorten, styled

# Inches.
GAP, MARGIN, LARGEST_SIDE = 0.08, 0.06, 1.6
NAMES = 1.15  # for the names of the rows
KEY_LINE, KEY_BAR = 0.2, 1.1  # height of a line of the key, length of its colour bar


@dataclass(frozen=True)
class Cell:
    """One place of a grid."""

    image: np.ndarray | None = None  # numbers in [0, 255], (H, W, 3), (H, W, 1) or (H, W); None leaves the place empty
    text: str = ""  # above the image; each line is shortened to fit
    ending: str = ""  # of the first line of the text, never cut
    span: int = 1  # columns that the text may fill
    colour: str = BLACK  # of the text
    frame: str | None = None  # colour of a frame around the image
    mark: Callable[[Axes], None] | None = None  # draws on the image


@dataclass(frozen=True)
class Row:
    """One row of a grid; its name and a note in smaller letters stand to its left."""

    cells: Sequence[Cell]
    name: str = ""
    note: str = ""


@dataclass(frozen=True)
class Key:
    """What stands under the title: a line of words, and a colour bar with words at its ends."""

    words: str = ""
    colours: Colormap | None = None
    ends: tuple[str, str] = ("", "")


def rows_of_images(rows: Sequence[Row], *, title: str, columns: int = 0, size: float = 7.5, key: Key = Key()) -> Figure:
    """Rows of squares, each with an image and a text above it of that size in points; the key stands under the title.

    There is room for `columns`, or for the longest row; shorter rows leave their last places empty. Axes come row by
    row, without empty places, those of the key last. They are placed by hand: the automatic layout is slow with many.
    """
    columns = max(columns, *(len(row.cells) for row in rows))
    left = MARGIN + (NAMES if any(row.name for row in rows) else 0)
    lines = [max((cell.text.count("\n") + 1 for cell in row.cells if cell.text), default=0) for row in rows]
    above = [0.016 * size * count + 0.05 * (count > 0) for count in lines]
    heading = textwrap.wrap(title, 72)
    under_title = 0.08 + 0.19 * len(heading)
    top = under_title + KEY_LINE * (bool(key.words) + bool(key.colours))
    room = (TALLEST - top - MARGIN - sum(above)) / len(rows) - GAP
    side = min((WIDTH - left - MARGIN + GAP) / columns - GAP, LARGEST_SIDE, room)
    height = top + sum(above) + len(rows) * (side + GAP) + MARGIN
    figure = Figure(figsize=(WIDTH, height))
    figure.suptitle("\n".join(heading), x=0.01, y=1 - 0.04 / height, ha="left", va="top")
    for row, space in zip(rows, above, strict=True):
        bottom = height - top - space - side
        top += space + side + GAP
        for column, cell in enumerate(row.cells):
            if cell.image is not None or cell.text or cell.mark:
                x = left + column * (side + GAP)
                axes = figure.add_axes((x / WIDTH, bottom / height, side / WIDTH, side / height))
                _draw_cell(axes, cell, size=size)
                if column == 0:
                    _name_beside(axes, row)
    _draw_key(figure, key, below=under_title)
    return figure


def characters(axes: Axes, *, size: float) -> int:
    """How many characters of that font size (points) fit the width of the axes."""
    inches = axes.get_position().width * axes.get_figure().get_figwidth()
    return max(int(inches / (size * 0.0083)), 4)


def _show_image(axes: Axes, image: np.ndarray) -> None:
    """Draw an image centred in square axes without ticks, whatever its own shape; one without a pixel is said to be."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    right = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    need(right, "an image must have shape (H, W, 3), (H, W, 1) or (H, W)", image.shape)
    if not image.size:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "nothing", transform=axes.transAxes, ha="center", va="center", fontsize=7)
        return
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


def _draw_cell(axes: Axes, cell: Cell, *, size: float) -> None:
    if cell.image is None:
        axes.set_axis_off()
    else:
        _show_image(axes, cell.image)
    if cell.frame:
        axes.spines[:].set(visible=True, color=cell.frame, linewidth=2)
    if cell.mark:
        cell.mark(axes)
    if cell.text:
        width = cell.span * characters(axes, size=size)
        first, *others = cell.text.split("\n")
        lines = [shorten(first, width - len(cell.ending)) + cell.ending, *(shorten(line, width) for line in others)]
        axes.set_title("\n".join(lines), fontsize=size, color=cell.colour, pad=2.5, linespacing=1.05)


def _name_beside(axes: Axes, row: Row) -> None:
    lines = [part for line in row.name.split("\n") for part in textwrap.wrap(shorten(line, 64), 17)]
    beside = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "linespacing": 1.1}
    # Both are centred together: 9 and 8.5 points a line, with the note hanging under the name.
    high, low = 9.0 * len(lines), 8.5 * (row.note.count("\n") + 1) if row.note else 0.0
    axes.annotate("\n".join(lines), (0, 0.5), xytext=(-5, (low - high) / 2), va="bottom", fontsize=8, **beside)
    under = {"va": "top", "fontsize": 7, "color": DARK_GREY}
    axes.annotate(row.note, (0, 0.5), xytext=(-5, (low - high) / 2 - 1), **under, **beside)


def _draw_key(figure: Figure, key: Key, *, below: float) -> None:
    """Draw the key so many inches below the top of the figure, which has its final size."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - below / height, key.words, fontsize=7.5, va="top")
    if key.colours:
        bottom = below + 0.09 + KEY_LINE * bool(key.words)
        left = 0.14 + 0.06 * len(key.ends[0])
        bar = figure.add_axes((left / width, 1 - bottom / height, KEY_BAR / width, 0.1 / height))
        figure.colorbar(ScalarMappable(Normalize(0, 1), key.colours), cax=bar, orientation="horizontal").set_ticks([])
        for x, text, side in ((-0.04, key.ends[0], "right"), (1.04, key.ends[1], "left")):
            bar.text(x, 0.5, text, transform=bar.transAxes, ha=side, va="center", fontsize=7.5)


def _in_rows(cells: Sequence[Cell], columns: int) -> list[Row]:
    need(columns > 0, "columns must be at least 1", columns)
    return [Row(cells[start : start + columns]) for start in range(0, len(cells), columns)]


@styled
def sample_grid(
    images: Sequence[np.ndarray], titles: Sequence[str] | None = None, *, columns: int = 6, title: str = "Samples"
) -> Figure:
    """Images in rows, each in a square of its own.

    Args:
        images: numbers in [0, 255], each (H, W, 3) or (H, W), of any size.
        titles: one per image, shown above it and shortened to fit; None shows none.
        columns: images in a row, at least 1.
    """
    titles = [""] * len(images) if titles is None else titles
    need_each(images=images, titles=titles)
    cells = [Cell(image, text=text) for image, text in zip(images, titles, strict=True)]
    return rows_of_images(_in_rows(cells, columns), title=title, columns=columns)


@styled
def before_after_grid(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    column_titles: Sequence[str] | None = None,
    *,
    title: str = "Before and after",
) -> Figure:
    """Named rows of images, e.g. one row per augmentation, or one row per image resized in several ways.

    Args:
        rows: name and images of each row; images are numbers in [0, 255], (H, W, 3) or (H, W), of any size. Shorter
            rows leave their last places empty.
        column_titles: shown above the first row, one per column; None shows none.
    """
    columns = range(max((len(images) for _, images in rows), default=0))
    heads = [""] * len(columns) if column_titles is None else column_titles
    need_each(columns=columns, column_titles=heads)
    grid = [Row([Cell(image) for image in images], name) for name, images in rows]
    first = [*rows[0][1], *[None] * (len(columns) - len(rows[0][1]))]
    grid[0] = Row([Cell(image, text=head) for image, head in zip(first, heads, strict=True)], rows[0][0])
    return rows_of_images(grid, title=title, size=8)


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
        true_names: one class name per image.
        predicted_names: one class name per image.
        confidences: highest probability of each image, in [0, 1].
        columns: images in a row, at least 1.
    """
    need_each(images=images, true_names=true_names, predicted_names=predicted_names, confidences=confidences)
    cells, narrow = [], columns > 5  # there a line holds a name or a confidence, and not both
    for image, true, predicted, confidence in zip(images, true_names, predicted_names, confidences, strict=True):
        sign, colour, truth = ("✓", BLUE, "") if true == predicted else ("✗", VERMILLION, f"\nis {true}")
        share = f"{100 * confidence:.0f} %"
        text = f"{sign} {predicted}" + (f"\n{share}" if narrow else "") + truth
        cells.append(Cell(image, text=text, ending="" if narrow else f" {share}", colour=colour, frame=colour))
    return rows_of_images(_in_rows(cells, columns), title=title, columns=columns)


@styled
def pair_grid(
    pairs: Sequence[tuple[np.ndarray, np.ndarray, str]], *, columns: int = 4, title: str = "Pairs of images"
) -> Figure:
    """Pairs of images, the two of a pair close together under one line of text.

    Args:
        pairs: two images, each numbers in [0, 255] of shape (H, W, 3) or (H, W), and a text, shortened to fit.
        columns: pairs in a row, at least 1.
    """
    need_each(pairs=pairs)
    columns = min(columns, max(2, len(pairs)))
    cells = [cell for left, right, text in pairs for cell in (Cell(left, text=text, span=2), Cell(right))]
    figure = rows_of_images(_in_rows(cells, 2 * columns), title=title, columns=2 * columns)
    for number, axes in enumerate(figure.axes):
        x, *others = axes.get_position().bounds
        axes.set_position((x + (-0.4 if number % 2 else 0.4) * GAP / WIDTH, *others))
    return figure
