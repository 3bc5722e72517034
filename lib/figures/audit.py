"""Figures of an audit: pairs of images side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lib.figures.style import characters, image_grid, shorten, show_image, styled

INWARDS = 0.4  # of the gap between two images: by so much each of a pair moves towards the other


@styled
def pair_grid(
    pairs: Sequence[tuple[np.ndarray, np.ndarray, str]], *, columns: int = 4, title: str = "Pairs of images"
) -> Figure:
    """Pairs of images, the two of a pair close together under one line of text.

    Args:
        pairs: two images, each numbers in [0, 255] of shape (H, W, 3) or (H, W), and a text, shortened to fit.
        columns: pairs in a row.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no pairs or columns is below 1.
    """
    if not len(pairs) or columns < 1:
        raise ValueError(
            f"pair_grid needs at least one pair and one column. Received: {len(pairs)} pairs, columns={columns}"
        )
    columns = min(columns, max(2, len(pairs)))
    figure, grid = image_grid((-(-len(pairs) // columns), 2 * columns), title=title, above=0.19)
    places = [axes for row in grid for axes in row]
    for number, (left, right, text) in enumerate(pairs):
        both = places[2 * number : 2 * number + 2]
        gap = both[1].get_position().x0 - both[0].get_position().x1
        for axes, image, move in zip(both, (left, right), (INWARDS * gap, -INWARDS * gap), strict=True):
            show_image(axes, image)
            x, *rest = axes.get_position().bounds
            axes.set_position((x + move, *rest))
        both[0].set_title(shorten(text, 2 * characters(both[0], size=7.5) + 3), fontsize=7.5, pad=2.5, loc="left")
    for axes in places[2 * len(pairs) :]:
        axes.remove()
    return figure
