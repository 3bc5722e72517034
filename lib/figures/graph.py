"""A model drawn as a chain of named blocks, one of them opened to show its layers; many as a strip of blocks each."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lib.config.names import counted
from lib.figures.colours import BLUE, GREY, PALE, PAPER
from lib.figures.style import TALLEST, WIDTH, need, need_each, new_figure, shape_text, shorten, styled

BOX_WIDTH, BOX_HEIGHT, GAP = 2.9, 0.44, 0.2  # inches
LAYER_WIDTH, LAYER_HEIGHT, LAYER_GAP = 2.4, 0.26, 0.14  # inches
STRIP, ROW, HEAD, GAPS = 8, 0.5, 0.17, 0.07  # boxes in a row; inches of a row, of the line above it, between them
FEW = 5  # layers of a block that are named in its box; of more their number is


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
        count = counted(parameters, "parameter") if parameters else "no parameters"
        axes.text(0.2, top + 0.15, shorten(name, 38), weight="bold", va="center")
        axes.text(0.2, top + 0.32, f"{shape_text(shape)}   {count}".strip(), va="center", fontsize=7.5)
        if place:
            _draw_arrow(axes, 0.1 + BOX_WIDTH / 2, start=top - GAP, stop=top)
    middle = names.index(opened) * (BOX_HEIGHT + GAP) + BOX_HEIGHT / 2
    top = min(max(middle - inside / 2, 0), height - 0.1 - inside)
    _draw_opened(axes, opened, layers=layers, top=top, middle=middle)
    return figure


@styled
def network_strips(
    networks: Mapping[str, Sequence[tuple[str, Sequence[str], Sequence[int | None], int]]],
    *,
    title: str = "The networks, block by block",
) -> Figure:
    """One strip of boxes per network, from input to output: blocks, their layers and the shape of their output.

    Args:
        networks: what stands above a strip -> name, layer labels in order, output shape (batch axis None or left out)
            and parameters of each block.
    """
    need_each(networks=networks)
    rows = {name: [blocks[at : at + STRIP] for at in range(0, len(blocks), STRIP)] for name, blocks in networks.items()}
    height = sum(HEAD + GAPS + len(parts) * (ROW + GAPS) for parts in rows.values())
    figure = new_figure(height + 0.4, title=title)
    smaller = min(1, (TALLEST - 0.4) / height)
    axes = figure.add_subplot()
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.0
    for name, parts in rows.items():
        total = sum(parameters for *_, parameters in networks[name])
        words = f"{shorten(name, 70)}: {counted(total, 'parameter')}"
        axes.text(0.02, top + HEAD / 2, words, weight="bold", va="center", fontsize=7.5 * smaller)
        top += HEAD
        for part in parts:
            _draw_strip(axes, part, top=top, size=5.8 * smaller)
            top += ROW + GAPS
        top += GAPS
    return figure


def _draw_strip(axes: Axes, blocks: Sequence[tuple], *, top: float, size: float) -> None:
    step = WIDTH / STRIP
    for place, (name, layers, shape, parameters) in enumerate(blocks):
        left, width = place * step + 0.02, step - 0.08
        colour, edge = (PALE, BLUE) if parameters else (PAPER, GREY)
        _draw_box(axes, (left, top, width, ROW), colour=colour, edge=edge)
        named = " ".join(layers) if list(layers) != [name] else ""
        words = counted(len(layers), "layer") if len(layers) > FEW else named
        lines = [*textwrap.wrap(words, 14)[:2], shape_text(shape)]
        look = {"ha": "center", "va": "center", "fontsize": size}
        axes.text(left + width / 2, top + 0.1, shorten(name, 15), weight="bold", **look)
        axes.text(left + width / 2, top + 0.32, "\n".join(lines), linespacing=1.1, **look)
        if place:
            axes.plot([left - 0.06, left], [top + ROW / 2] * 2, color=GREY, linewidth=0.8)


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
