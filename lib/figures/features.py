"""Figures about feature maps: what the channels of each block answer to an image, and the strongest answer of each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.figures.activations import HEAT, KEY, add_key, draw_activations, key_place, name_beside, show_part
from lib.figures.style import BLUE, SKY, characters, image_grid, need_columns, new_figure, shorten, show_image, styled

LEFT, ABOVE = 1.15, 0.13  # inches for the names of the rows and for the texts above images
MEASURES = {  # column of the summary -> what a panel shows, unit included
    "height": "Side of a map (positions)",
    "channels": "Channels",
    "receptive_field": "Seen by a position (pixels)",
    "mean": "Mean activation",
    "silent": "Values at zero or below (%)",
    "dead": "Dead channels (%)",
}


@styled
def feature_map_rows(
    image: np.ndarray,
    rows: Sequence[tuple[str, np.ndarray, Sequence[int], int]],
    *,
    overlay: bool = False,
    title: str = "Feature maps, block by block",
) -> Figure:
    """One row a block: the maps of its most active channels for one image.

    Args:
        image: numbers in [0, 255], (H, W, 3).
        rows: name of the block, its maps (h, w, K), their K channel numbers, and how many channels the block has.
        overlay: draw the maps over the grey image instead of alone.
        title: of the figure.

    Returns:
        The figure; colours go from zero to the highest activation of the row.

    Raises:
        ValueError: if there are no rows or a row's channel numbers do not match its maps.
    """
    if not rows or any(np.ndim(maps) != 3 or maps.shape[2] != len(channels) for _, maps, channels, _ in rows):
        raise ValueError(
            "feature_map_rows needs rows of maps (h, w, K) with K channel numbers. "
            f"Received: {[(name, np.shape(maps), len(channels)) for name, maps, channels, _ in rows]}"
        )
    columns = max(len(channels) for _, _, channels, _ in rows)
    figure, grid = image_grid((len(rows) + 1, columns), title=title, left=LEFT, above=ABOVE, head=KEY)
    words = "The most active channels of each block, the highest mean activation first; numbers are those of channels."
    silent = "zero or below (image in grey)" if overlay else "zero or below"
    below = key_place(grid[0][0], above=ABOVE, head=KEY)
    add_key(figure, below, words=words, colours=HEAT, ends=(silent, "highest activation of the row"))
    show_image(grid[0][0], image)
    name_beside(grid[0][0], "image")
    for axes in grid[0][1:]:
        axes.remove()
    for (name, maps, channels, total), places in zip(rows, grid[1:], strict=True):
        top = float(maps.max())
        height, width, _ = maps.shape
        note = f"{len(channels)} of {total} channels\n{height} × {width} positions\nhighest {top:.3g}"
        name_beside(places[0], name, note=note)
        for place, (axes, channel) in enumerate(zip(places, channels, strict=False)):
            draw_activations(axes, maps[..., place], top=top, image=image if overlay else None)
            axes.set_title(str(channel), fontsize=7, pad=2)
        for axes in places[len(channels) :]:
            axes.remove()
    return figure


@styled
def feature_depth(summary: pd.DataFrame, *, title: str = "How feature maps change with depth") -> Figure:
    """Six measures of the maps of each block, from input to output.

    Args:
        summary: table with block and height, channels, receptive_field, mean, silent and dead (the last two shares in
            [0, 1]); rows in order of depth. Measures that are not known are NaN.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if the table lacks a column or has no rows.
    """
    need_columns(summary, ["block", *MEASURES])
    figure = new_figure(3.9, title=title)
    panels = figure.subplots(2, 3, sharex=True).ravel()
    names = [shorten(name, 18) for name in summary["block"]]
    for axes, (column, label) in zip(panels, MEASURES.items(), strict=True):
        values = summary[column].to_numpy(float) * (100 if "%" in label else 1)
        bars = axes.bar(range(len(values)), np.nan_to_num(values), color=BLUE, width=0.7)
        texts = ["?" if np.isnan(value) else f"{value:.3g}" for value in values]
        axes.bar_label(bars, texts, fontsize=7, padding=1)
        axes.set_title(label)
        axes.set_ylim(0, 1.18 * max(np.nanmax(values, initial=0), 1e-9))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xticks(range(len(names)), names, rotation=30 if sum(map(len, names)) > 28 else 0, ha="right")
    figure.supxlabel("Block, from input to output", fontsize=8.5)
    return figure


@styled
def max_feature_columns(
    image: np.ndarray,
    found: Sequence,
    *,
    names: Sequence[str] | None = None,
    title: str = "The max feature of the image, block by block",
) -> Figure:
    """One column a block: where its strongest activation lies in the image, the map it lies in, and what it sees.

    Args:
        image: numbers in [0, 255], (H, W, 3).
        found: of `explain.max_features.max_features`: layer, channel, channels, row, column, value, map and patch.
        names: texts above the columns; None takes the names of the layers.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there is nothing to show or the names do not match.
    """
    names = [one.layer for one in found] if names is None else list(names)
    if not len(found) or len(names) != len(found):
        raise ValueError(
            "max_feature_columns needs at least one feature and a name each. "
            f"Received: {len(found)} features, {len(names)} names"
        )
    head = KEY + 0.24
    figure, grid = image_grid((3, len(found)), title=title, left=LEFT, above=ABOVE, head=head)
    words = "The channel and position that fire most in each block, and the part of the image that this position sees."
    below = key_place(grid[0][0], above=ABOVE, head=head)
    add_key(figure, below, words=words, colours=HEAT, ends=("maps: zero or below", "highest activation of the map"))
    gates = "\nbeside gates" if any(one.gated for one in found) else ""
    notes = (f"frame: the part\nthat is seen{gates}", "dot: strongest\nposition", "enlarged")
    for places, name, note in zip(grid, ("the image", "the channel's map", "the part seen"), notes, strict=True):
        name_beside(places[0], name, note=note)
    for column, (one, name) in enumerate(zip(found, names, strict=True)):
        whole, mapped, part = (places[column] for places in grid)
        show_image(whole, image)
        frame_patch(whole, one.patch)
        width = characters(whole, size=7)
        heads = [shorten(name, width), shorten(f"channel {one.channel}", width), f"of {one.channels}"]
        whole.set_title("\n".join(heads), fontsize=7, pad=2.5, linespacing=1.05)
        draw_activations(mapped, one.map, top=one.value)
        mapped.plot(one.column, one.row, marker="o", color=SKY, markersize=4, markeredgecolor="black")
        mapped.set_title(f"highest {one.value:.3g}", fontsize=7, pad=2)
        show_part(part, one.patch.crop(np.asarray(image)))
        part.set_title(f"{one.patch.height} × {one.patch.width} pixels", fontsize=7, pad=2)
    return figure


def frame_patch(axes: Axes, patch: Sequence[int]) -> None:
    """Outline a patch (top, left, height, width) of the image in the axes, seen on any ground."""
    top, left, height, width = patch
    for line, colour in ((2.4, "black"), (1.2, "white")):
        axes.add_patch(
            Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, lw=line, clip_on=False)
        )
