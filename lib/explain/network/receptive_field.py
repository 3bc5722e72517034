"""Which pixels of the image a position of a layer can see, traced back through every layer on the way.

Traced exactly, with sets of row and column numbers instead of the usual formula of strides and kernel sizes: padding
"same" depends on the size of each map, branches differ in what they see, and kernels with dilation leave gaps.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from lib.explain.network import taps
from lib.explain.network.windows import is_gate, positions_read, sides


class Patch(NamedTuple):
    """A rectangle of an image in pixels; nothing but padding is seen where height and width are 0."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The part of an image (H, W, ...) inside the rectangle."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def receptive_field(
    model: keras.Model,
    layer: str,
    position: tuple[int, int],
    *,
    image_size: tuple[int, int] | None = None,
    ignore_gates: bool = False,
) -> Patch:
    """The smallest rectangle of the image that holds every pixel which a position of a layer can see.

    Args:
        model: functional model; nested models are looked into.
        layer: name of a layer with a map (B, h, w, C).
        position: row and column in that map.
        image_size: height and width of the image; None takes the model's own.
        ignore_gates: leave out gates such as squeeze-and-excite, which see the whole image; see `ReceptiveFields`.

    Returns:
        The rectangle, cut off at the border of the image.

    Raises:
        ValueError: if the layer or position does not exist, the size is not known, or a layer on the way mixes
            positions in a way that is not known here.
    """
    return ReceptiveFields(model, layer, image_size=image_size, ignore_gates=ignore_gates).patch(*position)


class ReceptiveFields:
    """The receptive fields of all positions of one layer, with the arguments of `receptive_field`.

    Attributes:
        map_size: height and width of the layer's map.
        image_size: height and width of the image.
        gated: whether a branch on the way sums up the whole map for every position, as the gate of squeeze-and-excite
            does (Hu et al. 2018). Such a position sees the whole image, though its gate tells it only how strong each
            channel is, not where; with ignore_gates its patch is the one that the path beside the gates sees.
    """

    def __init__(
        self,
        model: keras.Model,
        layer: str,
        *,
        image_size: tuple[int, int] | None = None,
        ignore_gates: bool = False,
    ):
        network = taps.read(model)
        self.layer = network.find(layer).name
        self.image_size = known_size(network, image_size)
        self._steps = network.needed({taps.IMAGE}, [layer])[::-1]
        self._sizes = map_sizes(network, [layer], image_size=self.image_size)
        self.map_size = self._sizes[layer]
        if self.map_size is None:
            raise ValueError(f"a receptive field needs a layer with a map (N, H, W, C). Received: layer={layer!r}")
        self.gated = any(
            is_gate(self._sizes[source], out=self._sizes[step.name]) for step in self._steps for source in step.inputs
        )
        self._ignore_gates = ignore_gates
        self.patch = functools.lru_cache(maxsize=4096)(self._patch)
        self.patch(*(side // 2 for side in self.map_size))  # a layer that cannot be traced is told of at once

    def _patch(self, row: int, column: int) -> Patch:
        """The patch of the image that the position sees; rows count from the top, columns from the left."""
        height, width = self.map_size
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(
                f"positions of {self.layer} lie in (0, 0) to ({height - 1}, {width - 1}). Received: ({row}, {column})"
            )
        start = [np.arange(length) == place for length, place in zip(self.map_size, (row, column), strict=True)]
        seen = {self.layer: start}
        for step in self._steps:
            for source in step.inputs if step.name in seen else ():
                size = self._sizes[source]
                if self._ignore_gates and is_gate(size, out=self._sizes[step.name]):
                    continue
                read = positions_read(step.layer, seen[step.name], size=size)
                if all(mask.any() for mask in read):  # a window that lies in the padding sees nothing in either axis
                    held = seen.get(source)
                    seen[source] = read if held is None else [a | b for a, b in zip(held, read, strict=True)]
        return _bounds(seen.get(taps.IMAGE))


def _bounds(masks: list[np.ndarray] | None) -> Patch:
    if masks is None:
        return Patch(0, 0, 0, 0)
    (top, bottom), (left, right) = (np.flatnonzero(mask)[[0, -1]].tolist() for mask in masks)
    return Patch(top, left, bottom - top + 1, right - left + 1)


def known_size(network: taps.Network, image_size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of the images: the model's own, or those given where it takes any.

    Raises:
        ValueError: if neither says them, or they do not agree.
    """
    own = network.input_shape[1:3]
    size = own if image_size is None else tuple(image_size)
    if None in size or any(mine not in (None, given) for mine, given in zip(own, size, strict=True)):
        raise ValueError(f"image_size must be the height and width that the model takes, {own}. Received: {image_size}")
    return size


def map_sizes(
    network: taps.Network, layers: Sequence[str], *, image_size: tuple[int, int]
) -> dict[str, tuple[int, int] | None]:
    """Height and width of the maps of layers, and of all before them, for images of one size.

    Args:
        network: of `taps.read`.
        layers: names of layers.
        image_size: height and width.

    Returns:
        Layer name -> (height, width), None where there is no map; the image is there as `taps.IMAGE`.
    """
    specs = {taps.IMAGE: keras.KerasTensor((1, *image_size, network.input_shape[3]))}
    for step in network.needed({taps.IMAGE}, layers):
        args, kwargs = keras.tree.map_structure(
            lambda item: specs[item.step] if isinstance(item, taps.Output) else item, (step.args, step.kwargs)
        )
        specs[step.name] = keras.tree.flatten(step.layer.compute_output_spec(*args, **kwargs))[0]
    return {name: sides(spec.shape) for name, spec in specs.items()}
