"""How activations and weights are coloured, and the bars that say so."""

import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from lib.figures.style import show_image

HEAT = colormaps["inferno"]  # from nothing to the most
SIGNED = colormaps["RdBu_r"]  # blue below zero, white at zero, red above
BAR, KEY = 1.1, 0.4  # inches: length of a colour bar, height of a key


def draw_activations(axes: Axes, activations: np.ndarray, *, top: float, image: np.ndarray | None = None) -> None:
    """Draw a map, black where it is zero or below, brightest at `top`; over the grey image where one is given.

    Args:
        axes: where to draw.
        activations: (h, w).
        top: the activation of the brightest colour; nothing is drawn but black where it is not above zero.
        image: numbers in [0, 255], (H, W, 3); the map is stretched over it.
    """
    share = np.clip(np.asarray(activations, float) / top, 0, 1) if top > 0 else np.zeros(np.shape(activations))
    if image is None:
        show_image(axes, 255 * HEAT(share)[..., :3])
        return
    image = np.asarray(image, float)
    share = np.asarray(Image.fromarray(share.astype(np.float32)).resize(image.shape[1::-1], Image.Resampling.BILINEAR))
    share = np.clip(share, 0, 1)[..., None]
    # What is silent lets the image through, what is loud covers it.
    show_image(axes, (1 - share) * image.mean(axis=2, keepdims=True) + share * 255 * HEAT(share[..., 0])[..., :3])


def draw_signed(axes: Axes, values: np.ndarray, *, top: float) -> None:
    """Draw numbers of both signs: blue below zero, white at zero, red above, strongest at `top` (h, w)."""
    share = np.asarray(values, float) / (top if top > 0 else 1)
    show_image(axes, 255 * SIGNED(Normalize(-1, 1)(np.clip(share, -1, 1)))[..., :3])


def add_key(figure: Figure, below: float, *, words: str, colours, ends: tuple[str, str]) -> None:
    """A sentence, and under it a colour bar with words at its ends; takes `KEY` inches under the title.

    Args:
        figure: at its final size.
        below: inches from the top of the figure.
        words: what is shown, one line.
        colours: of the bar.
        ends: words before and after it.
    """
    write_words(figure, below, words)
    width, height = figure.get_size_inches()
    left = 0.14 + 0.058 * len(ends[0])
    bar = figure.add_axes((left / width, 1 - (below + 0.29) / height, BAR / width, 0.1 / height))
    figure.colorbar(ScalarMappable(Normalize(0, 1), colours), cax=bar, orientation="horizontal").set_ticks([])
    for x, text, side in ((-0.04, ends[0], "right"), (1.04, ends[1], "left")):
        bar.text(x, 0.5, text, transform=bar.transAxes, ha=side, va="center", fontsize=7.5)


def write_words(figure: Figure, below: float, words: str) -> None:
    """A line of words, so many inches below the top of the figure."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - below / height, words, fontsize=7.5, va="top")


def key_place(first: Axes, *, above: float, head: float) -> float:
    """Inches from the top of a figure of `image_grid` to the free space under its title.

    Args:
        first: the first axes of its grid.
        above: as it was given.
        head: as it was given.
    """
    height = first.get_figure().get_figheight()
    return (1 - first.get_position().y1) * height - above - head


def name_beside(axes: Axes, name: str, *, note: str = "") -> None:
    """Write a name, and a note in smaller letters under it, to the left of a row's first axes."""
    lines = [part for line in name.split("\n") for part in textwrap.wrap(line, 17)]
    beside = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "linespacing": 1.1}
    # Both are centred together: 9 and 8.5 points a line, with the note hanging under the name.
    high, low = 9.0 * len(lines), 8.5 * (note.count("\n") + 1) if note else 0.0
    axes.annotate("\n".join(lines), (0, 0.5), xytext=(-5, (low - high) / 2), va="bottom", fontsize=8, **beside)
    axes.annotate(note, (0, 0.5), xytext=(-5, (low - high) / 2 - 1), va="top", fontsize=7, color="#555555", **beside)


def show_part(axes: Axes, part: np.ndarray) -> None:
    """An image part; one without a pixel (a position that sees only padding) is said to be."""
    if np.size(part):
        show_image(axes, part)
        return
    axes.set_axis_off()
    axes.text(0.5, 0.5, "nothing", transform=axes.transAxes, ha="center", va="center", fontsize=7)
