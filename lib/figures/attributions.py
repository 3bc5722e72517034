"""Attribution maps as pictures: beside and over their images, and after the model's weights were shuffled."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from lib.explain.methods import title as method_title
from lib.figures.style import BLUE, SKY, TALLEST, VERMILLION, WIDTH, characters, image_grid, shorten, show_image, styled

HEAT = colormaps["inferno"]
SCALE = Normalize(0, 1)
WEAK = "no weight"
LEFT = 1.0  # inches for the names of the rows


@styled
def attribution_grid(
    images: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    *,
    names: Sequence[str],
    masks: np.ndarray | None = None,
    overlay: bool = False,
    title: str = "What the model looks at, by method",
) -> Figure:
    """The images in the first row, then one row a method: its map of each image, the strongest pixel marked.

    Args:
        images: N images, numbers in [0, 255], each (S, S, 3).
        maps: by method (N, S, S) in [0, 1].
        names: N texts above the images; a line break makes a second line.
        masks: (N, S, S) bool, True on the object; drawn as an outline. Empty ones are left away.
        overlay: show the maps over the grey images instead of alone.
        title: of the figure.

    Returns:
        The figure; one colour scale, from no weight to the strongest weight in the image, holds for all maps.

    Raises:
        ValueError: if there are no images or methods, or their numbers do not match.
    """
    counts = {len(own) for own in maps.values()} | {len(names)} | ({len(masks)} if masks is not None else set())
    if not maps or not len(images) or counts != {len(images)}:
        raise ValueError(
            "attribution_grid needs at least one method, and one map, name and mask an image. "
            f"Received: {len(images)} images, {len(maps)} methods, numbers {sorted(counts)}"
        )
    lines = max(name.count("\n") for name in names) + 1
    figure, grid = _grid((len(maps) + 1, len(images)), title=title, lines=lines)
    for column, (axes, image) in enumerate(zip(grid[0], images, strict=True)):
        show_image(axes, image)
        width = characters(axes, size=7.5)
        axes.set_title("\n".join(shorten(line, width) for line in names[column].split("\n")), fontsize=7.5, pad=2.5)
    _name_row(grid[0][0], "image")
    for (method, own), places in zip(maps.items(), grid[1:], strict=True):
        _name_row(places[0], method_title(method))
        for axes, image, heat in zip(places, images, own, strict=True):
            draw_map(axes, heat, image=image if overlay else None)
    if masks is not None:
        for row, places in enumerate(grid):
            for axes, mask in zip(places, masks, strict=True):
                _outline(axes, mask, strong=row == 0)
    _colour_scale(
        figure, grid[0][0], space=_name_space(lines), weak="no weight: the image in grey" if overlay else WEAK
    )
    return figure


@styled
def randomisation_maps(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    depths: Sequence[str],
    verdicts: Mapping[str, tuple[bool, str]],
    title: str = "Does the map change when the weights are shuffled?",
) -> Figure:
    """One image's map by each method, as trained and with more and more of the weights shuffled from the head down.

    Args:
        image: numbers in [0, 255], (S, S, 3).
        maps: by method (D, S, S) in [0, 1], the trained model's first.
        depths: D names, at least two: "as trained", then the last layers shuffled; the last depth is all weights.
        verdicts: by method whether it failed, and a few words; failed ones are marked in words and colour.
        title: of the figure.

    Raises:
        ValueError: if there are no methods, or a method's maps do not match the depths, or one has no verdict.
    """
    wrong = [name for name, own in maps.items() if len(own) != len(depths) or name not in verdicts]
    if not maps or wrong or len(depths) < 2:
        raise ValueError(
            "randomisation_maps needs at least one method and two depths, with a map a depth and a verdict each. "
            f"Received: {len(maps)} methods, {len(depths)} depths, not matching: {', '.join(wrong) or 'none'}"
        )
    figure, grid = _grid((len(maps), len(depths) + 2), title=title, lines=2)
    for row, (method, own) in enumerate(maps.items()):
        failed, words = verdicts[method]
        _name_row(grid[row][0], method_title(method))
        show_image(grid[row][0], image)
        for axes, heat in zip(grid[row][1:-1], own, strict=True):
            draw_map(axes, heat)
            axes.spines[:].set(visible=failed, color=VERMILLION, linewidth=1.6)
        _verdict(grid[row][-1], words, failed=failed)
    heads = ["image", depths[0], *(f"down to\n{name}" for name in depths[1:-1]), "all\nweights"]
    for axes, name in zip(grid[0], heads, strict=False):
        axes.set_title(name, fontsize=7.5, pad=2.5, loc="center", linespacing=1.0)
    _colour_scale(figure, grid[0][0], space=_name_space(2))
    return figure


def draw_map(axes: Axes, heat: np.ndarray, *, image: np.ndarray | None = None, mark: bool = True) -> None:
    """Draw one map in the colours of the scale, over the grey image where one is given.

    Args:
        axes: where to draw.
        heat: (S, S) in [0, 1]; a map of zeros is said to be empty.
        image: numbers in [0, 255], (S, S, 3).
        mark: whether to mark the strongest pixel.

    Raises:
        ValueError: if the map is not (S, S) or leaves [0, 1].
    """
    heat = np.asarray(heat, dtype=float)
    if heat.ndim != 2 or not (heat.min() >= 0 and heat.max() <= 1):
        raise ValueError(f"a map must have shape (S, S) and values in [0, 1]. Received: shape {heat.shape}")
    colours = HEAT(heat)[..., :3]
    if image is not None:
        grey = np.asarray(image, dtype=float).mean(axis=2, keepdims=True) / 255
        cover = np.sqrt(heat)[..., None]  # weak places show the image, strong ones the colour of the scale
        colours = cover * colours + (1 - cover) * grey
    show_image(axes, 255 * colours)
    if heat.max() == 0:
        axes.text(0.5, 0.5, "empty", transform=axes.transAxes, ha="center", va="center", color="white", fontsize=7)
    elif mark:
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        axes.plot(column, row, marker="+", color=SKY, markersize=7, markeredgewidth=1.4, clip_on=False)


def _outline(axes: Axes, mask: np.ndarray, *, strong: bool) -> None:
    """The edge of the object: on images white on black, to show on any ground; on maps faint, to hide nothing."""
    lines = ((1.4, "black", 1.0), (0.7, "white", 1.0)) if strong else ((0.6, "white", 0.6),)
    if mask.any() and not mask.all():
        for width, colour, alpha in lines:
            axes.contour(mask.astype(float), levels=[0.5], colors=colour, linewidths=width, alpha=alpha)


def _name_row(axes: Axes, name: str) -> None:
    words, text = name.split(" "), ""
    for word in words:
        joint = "\n" if text and len(text.split("\n")[-1]) + len(word) > 12 else " "
        text = f"{text}{joint}{word}" if text else word
    beside = {"xycoords": "axes fraction", "xytext": (-5, 0), "textcoords": "offset points"}
    axes.annotate(text, (0, 0.5), ha="right", va="center", fontsize=8, **beside)


def _verdict(axes: Axes, words: str, *, failed: bool) -> None:
    axes.set_axis_off()
    lines, room = [], characters(axes, size=7.5)
    for word in words.split():
        if lines and len(lines[-1]) + len(word) < room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    weight = "bold" if failed else "normal"
    axes.text(0, 0.5, "\n".join(lines), va="center", fontsize=7.5, color=VERMILLION if failed else BLUE, weight=weight)


def _grid(shape: tuple[int, int], *, title: str, lines: int) -> tuple[Figure, list]:
    """Square axes with room for names at the left and a colour scale on top, small enough to fit a page."""
    rows, columns = shape
    head = 0.24 + _name_space(lines)
    tallest = (TALLEST - head - 0.5) / rows
    left = max(LEFT, WIDTH - columns * tallest)
    return image_grid(shape, title=title, left=left, head=head)


def _name_space(lines: int) -> float:
    """Inches that names of so many lines take above a row."""
    return 0.05 + 0.12 * lines


def _colour_scale(figure: Figure, first: Axes, *, space: float, weak: str = WEAK) -> None:
    """A bar under the title that says what the colours mean, from `weak` to the strongest."""
    height = figure.get_figheight()
    bottom = first.get_position().y1 + (space + 0.08) / height
    left = 0.02 + 0.068 * len(weak) / WIDTH  # behind the words
    bar = figure.add_axes((left, bottom, 1.4 / WIDTH, 0.1 / height))
    figure.colorbar(ScalarMappable(SCALE, HEAT), cax=bar, orientation="horizontal").set_ticks([])
    bar.text(-0.03, 0.5, weak, transform=bar.transAxes, ha="right", va="center", fontsize=7.5)
    text = "strongest weight in the image; + marks its place"
    bar.text(1.03, 0.5, text, transform=bar.transAxes, ha="left", va="center", fontsize=7.5)
