"""Figures about features: maps and filters of each block, what excites a channel most, images made to excite it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.figures.colours import BLUE, HEAT, SIGNED, SKY, activation_picture, signed_picture
from lib.figures.images import Cell, Key, Row, rows_of_images
from lib.figures.style import need, need_columns, need_each, new_figure, number_text, shorten, styled

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
    """One row per block: the maps of its most active channels for one image, from zero to the highest of the row.

    Args:
        image: numbers in [0, 255], (H, W, 3).
        rows: name of the block, its maps (h, w, K), their K channel numbers, and how many channels the block has.
        overlay: draw the maps over the grey image instead of alone.
    """
    need_each(rows=rows)
    grid = [Row([Cell(image)], "image")]
    for name, maps, channels, total in rows:
        right = np.ndim(maps) == 3 and maps.shape[2] == len(channels)
        need(right, "maps must be (h, w, K) with K channel numbers", (name, np.shape(maps), len(channels)))
        top = float(maps.max())
        height, width, count = maps.shape
        note = f"{len(channels)} of {total} channels\n{height} × {width} positions\nhighest {top:.3g}"
        pictures = [activation_picture(maps[..., k], top=top, image=image if overlay else None) for k in range(count)]
        cells = [Cell(one, text=str(channel)) for one, channel in zip(pictures, channels, strict=True)]
        grid.append(Row(cells, name, note))
    words = "The most active channels of each block, the highest mean activation first; numbers are those of channels."
    ends = ("zero or below (image in grey)" if overlay else "zero or below", "highest activation of the row")
    return rows_of_images(grid, title=title, size=7, key=Key(words, colours=HEAT, ends=ends))


@styled
def max_feature_columns(
    image: np.ndarray,
    found: Sequence,
    *,
    names: Sequence[str] | None = None,
    title: str = "The max feature of the image, block by block",
) -> Figure:
    """One column per block: where its strongest activation lies in the image, the map it lies in, and what it sees.

    Args:
        image: numbers in [0, 255], (H, W, 3).
        found: of `explain.max_features.max_features`: layer, channel, channels, row, column, value, map and patch.
        names: texts above the columns; None takes the names of the layers.
    """
    names = [one.layer for one in found] if names is None else list(names)
    need_each(features=found, names=names)
    wholes, maps, parts = [], [], []
    for one, name in zip(found, names, strict=True):
        head = f"{name}\nchannel {one.channel}\nof {one.channels}"
        wholes.append(Cell(image, text=head, mark=partial(_frame_patch, patch=one.patch)))
        dot = partial(_mark_position, row=one.row, column=one.column)
        picture = activation_picture(one.map, top=one.value)
        maps.append(Cell(picture, text=f"highest {one.value:.3g}", mark=dot))
        size = f"{one.patch.height} × {one.patch.width} pixels"
        parts.append(Cell(one.patch.crop(np.asarray(image)), text=size))
    gates = "\nbeside gates" if any(one.gated for one in found) else ""
    rows = [
        Row(wholes, "the image", f"frame: the part\nthat is seen{gates}"),
        Row(maps, "the channel's map", "dot: strongest\nposition"),
        Row(parts, "the part seen", "enlarged"),
    ]
    words = "The channel and position that fire most in each block, and the part of the image that this position sees."
    ends = ("maps: zero or below", "highest activation of the map")
    return rows_of_images(rows, title=title, size=7, key=Key(words, colours=HEAT, ends=ends))


@styled
def max_image_rows(
    rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[str]]],
    *,
    notes: Sequence[str] = (),
    title: str = "What excites each channel most",
) -> Figure:
    """One row per channel: the parts of images that excite it most, the strongest first, all enlarged to one size.

    Args:
        rows: name of the channel, its image parts (h, w, 3) in [0, 255], and a text for each: its activation, in a
            second line under the class of its image where that is known.
        notes: one per row, written small under its name; none writes none.
    """
    notes = notes or [""] * len(rows)
    need_each(rows=rows, notes=notes)
    grid = []
    for (name, parts, texts), note in zip(rows, notes, strict=True):
        need(len(parts) == len(texts), "each image needs a text", f"{len(parts)} images, {len(texts)} texts")
        grid.append(Row([Cell(part, text=text) for part, text in zip(parts, texts, strict=True)], name, note))
    classes = any("\n" in text for _, _, texts in rows for text in texts)
    words = f"Parts of real images, the most exciting first; above each its {'class and ' * classes}activation."
    return rows_of_images(grid, title=title, size=6.5, key=Key(words))


@styled
def maximised_ladder(
    rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[float], Sequence[float]]],
    column_titles: Sequence[str],
    *,
    title: str = "Images made to excite a unit, ingredient by ingredient",
) -> Figure:
    """One row per unit, one column per recipe: the image, the activation it reaches and what small moves leave of it.

    Args:
        rows: name of the unit, its images (H, W, 3) in [0, 255], their activations, and those after small moves; one of
            each per recipe.
        column_titles: one per recipe.
    """
    need_each(units=rows)
    grid = []
    for name, images, reached, moved in rows:
        need_each(recipes=column_titles, images=images, activations=reached, moved=moved)
        heads = [""] * len(images) if grid else [f"{head}\n" for head in column_titles]
        cells = []
        for image, head, high, kept in zip(images, heads, reached, moved, strict=True):
            share = f" ({100 * kept / high:.0f} %)" if high > 0 else ""
            cells.append(Cell(image, text=f"{head}reaches {high:.3g}\nmoved: {kept:.3g}{share}"))
        grid.append(Row(cells, name))
    words = "Activation that each image reaches, and on average after being moved, zoomed and turned a little at random"
    return rows_of_images(grid, title=title, size=7, key=Key(f"{words}."))


@styled
def filter_rows(pairs, images: Sequence[np.ndarray], *, title: str = "Filters and the maps they make") -> Figure:
    """One row per filter: the filter, its strongest input slices, and its map of each image.

    Slices are coloured by weight and maps by response, from blue below zero to red above it, each up to the largest of
    its filter.

    Args:
        pairs: of `explain.filters.filter_pairs`: channels, total, colours, slices, inputs, shares, maps.
        images: those of the maps, numbers in [0, 255], each (H, W, 3).
    """
    need_each(filters=pairs.channels)
    need_each(maps=pairs.maps, images=images)
    reads_pixels = pairs.colours is not None
    empty = [Cell()] * (reads_pixels + pairs.slices.shape[1])
    grid = [Row([*empty, *(Cell(image, text="image") for image in images)])]
    for number, channel in enumerate(pairs.channels):
        cells = _filter_cells(pairs, number)
        if reads_pixels:
            cells = [Cell(_coloured(pairs.colours[number]), text="grey is zero"), *cells]
        grid.append(Row(cells, f"filter {channel}", f"of {pairs.total} filters"))
    words = "Left: weights on each input, with their share of the filter's squared weights. "
    words += "Right: maps, lowest to highest."
    ends = ("negative", "positive; white is zero, each filter and its maps on their own scale")
    return rows_of_images(grid, title=title, size=6.5, key=Key(words, colours=SIGNED, ends=ends))


@styled
def filter_map_pairs(
    pairs: Sequence, names: Sequence[str], *, title: str = "Filters, and the map that each makes of an image"
) -> Figure:
    """One row per pair: the image, what the strongest position of the map sees, the filter, what it likes, the map.

    Args:
        pairs: of `explain.pairs.find_pairs`: layer, channel, channels, image, filter, source, share, map, row, column,
            patch, preference, pattern and follows.
        names: of the images' classes; over all pairs they come again layer by layer.
    """
    need_each(pairs=pairs)
    need(len(names) > 0 and len(pairs) % len(names) == 0, "each layer needs a pair per name", (len(pairs), len(names)))
    rows = []
    for number, pair in enumerate(pairs):
        heads = ("image", "part seen", "filter", "likes most", "map")
        cells = _pair_cells(pair, names[number % len(names)])
        if not rows:
            cells = [replace(cell, text=f"{head}\n{cell.text}") for head, cell in zip(heads, cells, strict=True)]
        rows.append(Row(cells, pair.layer, f"channel {pair.channel}\nof {pair.channels}"))
    words = "Filter (its strongest input and share) and map are of one channel. Dot, frame: strongest answer. "
    words += "r: map and likes."
    ends = ("negative", "positive; white is zero. In filters that read colours, grey is zero")
    return rows_of_images(rows, title=title, columns=6, size=6.5, key=Key(words, colours=SIGNED, ends=ends))


def _pair_cells(pair, name: str) -> list[Cell]:
    """The image, the part seen, the filter, what it likes and the map of one pair."""
    if np.ndim(pair.filter) == 3:
        weights, reads = _coloured(pair.filter), "all of it"
    else:
        weights = signed_picture(pair.filter, top=float(np.abs(pair.filter).max()))
        reads = f"in {pair.source}: {100 * pair.share:.0f} %"
    likes = pair.preference
    pattern = {"bars": f"{likes.orientation:.0f}°, {likes.period:.3g} px", "patches": likes.colours}
    low, high, follows = (number_text(one, ".2g") for one in (pair.map.min(), pair.map.max(), pair.follows[0]))
    return [
        Cell(pair.image, text=name, mark=partial(_frame_patch, patch=pair.patch)),
        Cell(pair.patch.crop(np.asarray(pair.image)), text=f"{pair.patch.height} × {pair.patch.width} px"),
        Cell(weights, text=reads),
        Cell(pair.pattern, text=pattern.get(likes.kind, "nothing")),
        Cell(
            signed_picture(pair.map, top=float(np.abs(pair.map).max())),
            text=f"{low} to {high}, r = {follows}",
            span=2,
            mark=partial(_mark_position, row=pair.row, column=pair.column),
        ),
    ]


def _coloured(weights: np.ndarray) -> np.ndarray:
    """A filter (h, w, 3) that reads red, green and blue, as a picture on grey ground."""
    return 127.5 + 127.5 * weights / max(np.abs(weights).max(), 1e-12)


def _filter_cells(pairs, number: int) -> list[Cell]:
    """The strongest input slices of one filter with their share of its squared weights, and its maps."""
    slices, maps = pairs.slices[number], pairs.maps[..., number]
    cells = []
    for weights, source, share in zip(slices, pairs.inputs[number], pairs.shares[number], strict=True):
        name = f"input {source}" if pairs.colours is None else ("red", "green", "blue")[source]
        picture = signed_picture(weights, top=float(np.abs(slices).max()))
        cells.append(Cell(picture, text=f"{name}: {100 * share:.0f} %"))
    for response in maps:
        text = f"{number_text(response.min(), '.2g')} to {number_text(response.max(), '.2g')}"
        cells.append(Cell(signed_picture(response, top=float(np.abs(maps).max())), text=text))
    return cells


def _frame_patch(axes: Axes, *, patch: Sequence[int]) -> None:
    """Outline a patch (top, left, height, width) of the image so that it is seen on any ground."""
    top, left, height, width = patch
    for line, colour in ((2.4, "black"), (1.2, "white")):
        look = {"edgecolor": colour, "linewidth": line, "fill": False, "clip_on": False}
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, **look))


def _mark_position(axes: Axes, *, row: int, column: int) -> None:
    axes.plot(column, row, marker="o", color=SKY, markersize=4, markeredgecolor="black")


@styled
def feature_depth(summary: pd.DataFrame, *, title: str = "How feature maps change with depth") -> Figure:
    """Six measures of the maps of each block, from input to output.

    Args:
        summary: block, height, channels, receptive_field, mean, silent and dead (the last two shares in [0, 1]); in
            order of depth. Measures that are not known are NaN.
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
