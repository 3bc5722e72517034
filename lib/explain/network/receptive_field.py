"""Which pixels of the image a position of a layer can see, traced back through every layer on the way.

Traced exactly, with sets of row and column numbers instead of the usual formula of strides and kernel sizes: padding
"same" depends on the size of each map, branches differ in what they see, and kernels with dilation leave gaps.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from lib.explain.network.layers import IMAGE, LayerGraph, Step, read_layers

# By the name of the class, because Keras writes `x + y` as an operation of its own beside the layer Add.
WINDOWED = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D"}
SUMMING = {"GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten"}
POINTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Relu", "Relu6", "Silu", "Gelu", "Elu", "Selu", "Sigmoid", "Tanh"),
    *("HardSigmoid", "HardSilu", "Softplus", "Softsign", "Mish", "Identity", "Rescaling", "Normalization"),
    *("BatchNormalization", "Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianNoise", "GaussianDropout"),
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Average", "Negative", "Absolute"),
    *("Clip", "Power", "Sqrt", "Square", "Exp", "Log", "ActivityRegularization", "Cast", "LayerScale"),
}
# Pointwise where their axis is that of the channels.
CHANNEL_AXIS = {"Softmax", "LayerNormalization", "Concatenate", "Stack", "PReLU", "Dense"}


class UntraceableError(ValueError):
    """A layer mixes positions in a way that is not known here."""


class Patch(NamedTuple):
    """A rectangle of an image in pixels; nothing but padding is seen where height and width are 0."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The part of an image (H, W, ...) inside the rectangle."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


class ReceptiveFields:
    """What the positions of one layer see: for each the smallest rectangle that holds every pixel it can depend on.

    A gate, as in squeeze-and-excite (Hu et al. 2018), sums up the whole map for every position. It tells a position
    how strong each channel is, and not where, so what a position sees is traced beside the gates.

    Attributes:
        map_size: height and width of the layer's map.
        gated: whether there is a gate on the way.
        patch: function of a row and a column of the map that gives the rectangle, cut off at the border of the image.
    """

    def __init__(self, model: keras.Model, layer: str):
        graph = read_layers(model)
        self.layer = graph.find_spatial(layer)
        self._steps = graph.needed({IMAGE}, [layer])[::-1]
        self._sizes = map_sizes(graph, [layer])
        self.map_size = self._sizes[layer]
        self.gated = any(
            is_gate(self._sizes[source], out=self._sizes[step.name]) for step in self._steps for source in step.inputs
        )
        self.patch = functools.lru_cache(maxsize=4096)(self._patch)
        self.patch(*(side // 2 for side in self.map_size))  # a layer that cannot be traced is told of at once

    def _patch(self, row: int, column: int) -> Patch:
        height, width = self.map_size
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(
                f"positions of {self.layer} lie in (0, 0) to ({height - 1}, {width - 1}). Received: ({row}, {column})"
            )
        seen = {self.layer: [np.arange(height) == row, np.arange(width) == column]}
        for step in self._steps:
            for source in step.inputs if step.name in seen else ():
                size = self._sizes[source]
                if is_gate(size, out=self._sizes[step.name]):
                    continue
                read = positions_read(step, seen[step.name], size=size)
                if all(mask.any() for mask in read):  # a window that lies in the padding sees nothing in either axis
                    held = seen.get(source)
                    seen[source] = read if held is None else [a | b for a, b in zip(held, read, strict=True)]
        if IMAGE not in seen:
            return Patch(0, 0, 0, 0)
        (top, bottom), (left, right) = (np.flatnonzero(mask)[[0, -1]].tolist() for mask in seen[IMAGE])
        return Patch(top, left, bottom - top + 1, right - left + 1)


def map_sizes(graph: LayerGraph, layers: Sequence[str]) -> dict[str, tuple[int, int] | None]:
    """Height and width of the maps of layers, of all before them and of the `IMAGE`; None where there is no map."""
    if None in graph.input_shape[1:]:
        raise ValueError(f"the model must take images of one size. Received: a model of {graph.input_shape[1:]}")
    specs, sizes = {IMAGE: keras.KerasTensor((1, *graph.input_shape[1:]))}, {IMAGE: graph.input_shape[1:3]}
    for step in graph.needed({IMAGE}, layers):
        args, kwargs = step.arguments(lambda output: specs[output.step])
        spec = specs[step.name] = keras.tree.flatten(step.layer.compute_output_spec(*args, **kwargs))[0]
        mapped = len(spec.shape) == 4 or (_picks_channels(step) and sizes[step.inputs[0]])
        sizes[step.name] = tuple(spec.shape[1:3]) if mapped else None
    return sizes


def is_gate(size: tuple[int, int] | None, *, out: tuple[int, int] | None) -> bool:
    """Whether an input is one value per channel that acts on a whole map; both as `map_sizes` gives them."""
    return out is not None and max(out) > 1 and (size is None or max(size) == 1)


def positions_read(step: Step, masks: list[np.ndarray], *, size: tuple[int, int] | None) -> list[np.ndarray]:
    """The rows and columns, bool (H,) and (W,), of one input that a step reads to make some of its output.

    The masks, bool (h,) and (w,), say which rows and columns of the output; size is the input's height and width. What
    has no map has one bool for each, and the size None. Channels are last.
    """
    operation, name = step.layer, type(step.layer).__name__
    pointwise = name in POINTWISE or (name in CHANNEL_AXIS and _keeps_positions(operation)) or _picks_channels(step)
    lengths = (1, 1) if size is None else size
    if name in SUMMING or size is None or (name == "Reshape" and all(len(mask) == 1 for mask in masks)):
        return [np.ones(length, bool) for length in lengths]
    found = []
    for axis, (mask, length) in enumerate(zip(masks, lengths, strict=True)):
        places = np.flatnonzero(mask)
        if name in WINDOWED and operation.data_format == "channels_last":
            places = _windows(operation, places, lengths=(length, len(mask)), axis=axis)
        elif name == "ZeroPadding2D":
            places = places - operation.padding[axis][0]
        elif name == "Cropping2D":
            places = places + operation.cropping[axis][0]
        elif name == "UpSampling2D" and operation.interpolation == "nearest":
            places = places // operation.size[axis]
        elif not pointwise:
            received = f"{operation.name!r} of type {name}"
            raise UntraceableError(f"a receptive field can only be traced through known layers. Received: {received}")
        elif len(mask) != length:  # one position that acts on all of them
            places = np.arange(length * mask.any())
        read = np.zeros(length, bool)
        read[places[(places >= 0) & (places < length)]] = True
        found.append(read)
    return found


def _windows(operation, places: np.ndarray, *, lengths: tuple[int, int], axis: int) -> np.ndarray:
    """Rows or columns under sliding windows: kernels and pools, with their stride, dilation and padding."""
    kernel = (getattr(operation, "kernel_size", None) or operation.pool_size)[axis]
    dilation = getattr(operation, "dilation_rate", (1, 1))[axis]
    stride = operation.strides[axis]
    extent = (kernel - 1) * dilation + 1
    before, after = lengths
    # TensorFlow pads as little as it must, and the odd row at the bottom or right.
    padding = max((after - 1) * stride + extent - before, 0) if operation.padding == "same" else 0
    return places[:, None] * stride - padding // 2 + np.arange(kernel) * dilation


def _picks_channels(step: Step) -> bool:
    """Whether a step takes channels of a map and leaves its rows and columns, as `x[..., 0]` does."""
    keys = [key for key in step.args[1:] if isinstance(key, tuple)]
    return type(step.layer).__name__ == "GetItem" and [key[:-1] for key in keys] in ([(...,)], [(slice(None),) * 3])


def _keeps_positions(operation) -> bool:
    """Whether an operation that may mix positions, by its axis, works on the channels alone."""
    return type(operation).__name__ == "PReLU" or getattr(operation, "axis", -1) in (-1, 3, [-1], [3], (-1,), (3,))
