"""Filters of a convolution beside the maps they make."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.figures.activations import KEY, SIGNED, add_key, draw_signed, key_place, name_beside
from lib.figures.style import characters, image_grid, shorten, show_image, styled

LEFT, ABOVE = 1.0, 0.13  # inches for the names of the rows and for the texts above images
COLOURS = ("red", "green", "blue")


@styled
def filter_rows(pairs, images: Sequence[np.ndarray], *, title: str = "Filters and the maps they make") -> Figure:
    """One row a filter: the filter, its strongest input slices, and its map of each image.

    Args:
        pairs: of `explain.filters.filter_pairs`: channels, total, colours, slices, inputs, shares and maps.
        images: those of the maps, numbers in [0, 255], each (H, W, 3).
        title: of the figure.

    Returns:
        The figure; slices are coloured by weight and maps by response, both from blue below zero to red above it,
        each up to the largest of its filter.

    Raises:
        ValueError: if there are no filters or the images do not match the maps.
    """
    if not len(pairs.channels) or len(images) != len(pairs.maps):
        raise ValueError(
            "filter_rows needs at least one filter and the images of its maps. "
            f"Received: {len(pairs.channels)} filters, {len(pairs.maps)} maps each, {len(images)} images"
        )
    whole = pairs.colours is not None
    slices = pairs.slices.shape[1]
    shape = (len(pairs.channels) + 1, whole + slices + len(images))
    figure, grid = image_grid(shape, title=title, left=LEFT, above=ABOVE, head=KEY)
    words = (
        "Left: weights on each input, with their share of the filter's squared weights. Right: maps, lowest to highest."
    )
    ends = ("negative", "positive; white is zero, each filter and its maps on their own scale")
    add_key(figure, key_place(grid[0][0], above=ABOVE, head=KEY), words=words, colours=SIGNED, ends=ends)
    for axes in grid[0][: whole + slices]:
        axes.remove()
    for axes, image in zip(grid[0][whole + slices :], images, strict=True):
        show_image(axes, image)
        axes.set_title("image", fontsize=6.5, pad=2)
    for number, (channel, places) in enumerate(zip(pairs.channels, grid[1:], strict=True)):
        name_beside(places[0], f"filter {channel}", note=f"of {pairs.total} filters")
        if whole:
            weights = pairs.colours[number]
            show_image(places[0], 127.5 + 127.5 * weights / max(np.abs(weights).max(), 1e-12))
            places[0].set_title("grey is zero", fontsize=6.5, pad=2)
        _draw_slices(places[whole:], pairs, number)
        own = pairs.maps[..., number]
        top = float(np.abs(own).max())
        for axes, response in zip(places[whole + slices :], own, strict=True):
            draw_signed(axes, response, top=top)
            text = f"{response.min():.2g} to {response.max():.2g}".replace("-", "−")
            axes.set_title(shorten(text, characters(axes, size=6.5)), fontsize=6.5, pad=2)
    return figure


def _draw_slices(places: Sequence[Axes], pairs, number: int) -> None:
    """The strongest input slices of one filter, with the input they read and their share of its squared weights."""
    top = float(np.abs(pairs.slices[number]).max())
    cases = zip(places, pairs.slices[number], pairs.inputs[number], pairs.shares[number], strict=False)
    for axes, weights, source, share in cases:
        draw_signed(axes, weights, top=top)
        name = COLOURS[source] if pairs.colours is not None else f"input {source}"
        axes.set_title(shorten(f"{name}: {100 * share:.0f} %", characters(axes, size=6.5)), fontsize=6.5, pad=2)
