"""Figures about single units: the images that excite them most, and images made to."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lib.figures.activations import key_place, name_beside, show_part, write_words
from lib.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    characters,
    image_grid,
    new_figure,
    shorten,
    show_image,
    styled,
)

LEFT, HEAD = 1.15, 0.2  # inches for the names of the rows, and for a line of words under the title


@styled
def max_image_rows(
    rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[str]]],
    *,
    notes: Sequence[str] = (),
    made: Sequence[np.ndarray] | None = None,
    title: str = "What excites each channel most",
) -> Figure:
    """One row a channel: the parts of images that excite it most, the strongest first.

    Args:
        rows: name of the channel, its image parts (h, w, 3) in [0, 255], and a text for each: its activation, in a
            second line under the class of its image where that is known.
        notes: one a row, written small under its name; none writes none.
        made: one image a row that was made to excite the channel, shown before the parts; None shows none.
        title: of the figure.

    Returns:
        The figure; parts are enlarged to one size.

    Raises:
        ValueError: if there are no rows, or texts, notes or made images do not match them.
    """
    counts = {len(notes) or len(rows), len(rows) if made is None else len(made)}
    if not rows or counts != {len(rows)} or any(len(parts) != len(texts) for _, parts, texts in rows):
        raise ValueError(
            "max_image_rows needs rows with a text an image, and one note and made image a row. Received: "
            f"{len(rows)} rows, {len(notes)} notes, {0 if made is None else len(made)} made images"
        )
    first = 0 if made is None else 1
    columns = first + max(len(parts) for _, parts, _ in rows)
    lines = max(text.count("\n") for _, _, texts in rows for text in texts) + 1
    above = 0.05 + 0.1 * lines
    figure, grid = image_grid((len(rows), columns), title=title, left=LEFT, above=above, head=HEAD)
    for number, ((name, parts, texts), places) in enumerate(zip(rows, grid, strict=True)):
        name_beside(places[0], name, note=notes[number] if len(notes) else "")
        if made is not None:
            show_image(places[0], made[number])
            places[0].spines[:].set(visible=True, color=BLUE, linewidth=1.5)
        for axes, part, text in zip(places[first:], parts, texts, strict=False):
            show_part(axes, part)
            width = characters(axes, size=6.5)
            text = "\n".join(shorten(line, width) for line in text.split("\n"))
            axes.set_title(text, fontsize=6.5, pad=2, linespacing=1.0)
        for axes in places[first + len(parts) :]:
            axes.remove()
    words = f"Parts of real images, the most exciting first; above each its {'class and ' * (lines > 1)}activation."
    framed = "" if made is None else " Framed in blue: made for the channel."
    write_words(figure, key_place(grid[0][0], above=above, head=HEAD), words + framed)
    return figure


@styled
def maximised_ladder(
    rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[float], Sequence[float]]],
    column_titles: Sequence[str],
    *,
    title: str = "Images made to excite a unit, ingredient by ingredient",
) -> Figure:
    """One row a unit, one column a recipe: the image, the activation it reaches and what is left after small moves.

    Args:
        rows: name of the unit, its images (H, W, 3) in [0, 255], their activations, and those after small moves.
        column_titles: one a recipe.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no rows or their lengths do not match the titles.
    """
    lengths = {len(part) for _, *parts in rows for part in parts}
    if not rows or lengths != {len(column_titles)}:
        raise ValueError(
            "maximised_ladder needs one image and two activations for each unit and recipe. "
            f"Received: {len(rows)} units, {len(column_titles)} recipes, lengths {sorted(lengths)}"
        )
    head = HEAD + 0.2
    figure, grid = image_grid((len(rows), len(column_titles)), title=title, left=LEFT, above=0.3, head=head)
    words = (
        "Activation that each image reaches, and on average after being moved, zoomed and turned a little at random."
    )
    write_words(figure, key_place(grid[0][0], above=0.3, head=head), words)
    for (name, images, reached, moved), places in zip(rows, grid, strict=True):
        name_beside(places[0], name)
        for axes, image, high, kept in zip(places, images, reached, moved, strict=True):
            show_image(axes, image)
            share = f" ({100 * kept / high:.0f} %)" if high > 0 else ""
            axes.set_title(f"reaches {high:.3g}\nmoved: {kept:.3g}{share}", fontsize=7, pad=2, linespacing=1.05)
    for axes, name in zip(grid[0], column_titles, strict=True):
        place = {"xytext": (0, 25), "xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(shorten(name, characters(axes, size=8)), (0, 1), fontsize=8, **place)
    return figure


@styled
def activation_curves(curves: Mapping[str, np.ndarray], *, title: str = "Activation, step by step") -> Figure:
    """How activations grow while images are made: one line a recipe, the mean over its units.

    Args:
        curves: recipe -> (steps, N) activations.
        title: of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no curves, or one is not (steps, N).
    """
    shapes = {name: np.shape(values) for name, values in curves.items()}
    if not curves or any(len(shape) != 2 or 0 in shape for shape in shapes.values()):
        raise ValueError(f"activation_curves needs curves of shape (steps, N). Received: {shapes}")
    figure = new_figure(2.6, title=title)
    axes = figure.add_subplot()
    colours = [ORANGE, VERMILLION, PURPLE, BLUE, GREEN, SKY]
    for number, (name, values) in enumerate(curves.items()):
        values = np.asarray(values)
        steps = np.arange(1, len(values) + 1)
        style = {"color": colours[number % len(colours)], "linestyle": ("-", "--", "-.", ":")[number % 4]}
        axes.plot(steps, values.mean(axis=1), label=name, **style)
    axes.set(xlabel="Step", ylabel="Activation, mean over units", ylim=(0, None))
    axes.grid(True)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
