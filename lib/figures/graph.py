"""A model drawn as a chain of named blocks, one of them opened to show its layers."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lib.figures.colours import BLUE, GREY, PALE, PAPER
from lib.figures.style import WIDTH, need, new_figure, shape_text, shorten, styled

BOX_WIDTH, BOX_HEIGHT, GAP = 2.9, 0.44, 0.2  # inches
LAYER_WIDTH, LAYER_HEIGHT, LAYER_GAP = 2.4, 0.26, 0.14  # inches


@styled
def model_graph(
    blocks: Sequence[tuple[str, Sequence[str], Sequence[int | None], int]],
    *,
    opened: str,
    title: str = "The model, block by block",
) -> Figure:
    """The blocks from input to output, and beside them the layers of one block.

    Args:
        blocks: name, layer labels in order, output shape (batch axis None or left out) and parameters of each.
        opened: name of one of them, whose layers are shown.
    """
    names = [name for name, *_ in blocks]
    need(opened in names, f"opened must be one of {', '.join(names)}", repr(opened))
    layers = blocks[names.index(opened)][1]
    chain = len(blocks) * (BOX_HEIGHT + GAP) - GAP
    inside = 0.55 + len(layers) * (LAYER_HEIGHT + LAYER_GAP)
    height = max(chain, inside) + 0.1
    figure = new_figure(height + 0.45, title=title)
    axes = figure.add_subplot()
    axes.set(xlim=(0, WIDTH), ylim=(height, -0.02))
    axes.set_axis_off()
    for place, (name, _, shape, parameters) in enumerate(blocks):
        top = place * (BOX_HEIGHT + GAP)
        colour, edge = (PALE, BLUE) if name == opened else (PAPER, GREY)
        _draw_box(axes, (0.1, top, BOX_WIDTH, BOX_HEIGHT), colour=colour, edge=edge)
        count = f"{parameters:,} parameters" if parameters else "no parameters"
        axes.text(0.2, top + 0.15, shorten(name, 38), weight="bold", va="center")
        axes.text(0.2, top + 0.32, f"{shape_text(shape)}   {count}".strip(), va="center", fontsize=7.5)
        if place:
            _draw_arrow(axes, 0.1 + BOX_WIDTH / 2, start=top - GAP, stop=top)
    middle = names.index(opened) * (BOX_HEIGHT + GAP) + BOX_HEIGHT / 2
    top = min(max(middle - inside / 2, 0), height - 0.1 - inside)
    _draw_opened(axes, opened, layers=layers, top=top, middle=middle)
    return figure


def _draw_opened(axes: Axes, name: str, *, layers: Sequence[str], top: float, middle: float) -> None:
    """The block's frame with its layers, joined to its box in the chain by two dotted lines."""
    left, width = 3.55, LAYER_WIDTH + 0.4
    height = 0.5 + len(layers) * (LAYER_HEIGHT + LAYER_GAP)
    _draw_box(axes, (left, top, width, height), colour="white", edge=BLUE)
    for corner, edge in ((top, middle - BOX_HEIGHT / 2), (top + height, middle + BOX_HEIGHT / 2)):
        axes.plot([0.1 + BOX_WIDTH, left], [edge, corner], color=BLUE, linewidth=0.8, linestyle=":")
    axes.text(left + 0.2, top + 0.2, f"inside {shorten(name, 24)}", weight="bold", va="center")
    for place, label in enumerate(layers):
        y = top + 0.42 + place * (LAYER_HEIGHT + LAYER_GAP)
        _draw_box(axes, (left + 0.2, y, LAYER_WIDTH, LAYER_HEIGHT), colour=PAPER, edge=GREY)
        axes.text(left + 0.2 + LAYER_WIDTH / 2, y + LAYER_HEIGHT / 2, shorten(label, 36), ha="center", va="center")
        if place:
            _draw_arrow(axes, left + 0.2 + LAYER_WIDTH / 2, start=y - LAYER_GAP, stop=y)


def _draw_box(axes: Axes, box: tuple[float, float, float, float], *, colour: str, edge: str) -> None:
    x, y, width, height = box
    shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", fc=colour, ec=edge)
    axes.add_patch(shape)


def _draw_arrow(axes: Axes, x: float, *, start: float, stop: float) -> None:
    look = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, stop), (x, start), arrowprops=look)
