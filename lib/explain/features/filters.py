"""The filters of a convolution beside the maps that they make of an image: cause and effect, number by number."""

from dataclasses import dataclass

import keras
import numpy as np

from lib.explain.features.feature_maps import feature_maps
from lib.explain.network.layers import IMAGE, LayerGraph, Step, read_layers

KINDS = ("Conv2D", "DepthwiseConv2D")
LAYERS, FILTERS, SLICES = 3, 6, 3  # shown: layers of a network, filters of a layer, input slices of a filter


@dataclass(frozen=True, eq=False)
class FilterPairs:
    """Some filters of a layer, each with its maps."""

    layer: str
    channels: np.ndarray  # (K,) int, numbers of the filters, which are those of the maps too
    total: int  # filters in the layer
    colours: np.ndarray | None  # float32 (K, h, w, 3), the whole filters where they read red, green and blue
    slices: np.ndarray  # float32 (K, S, h, w), their strongest input slices, the strongest first
    inputs: np.ndarray  # (K, S) int, the input channel that each slice reads
    shares: np.ndarray  # float32 (K, S) in [0, 1], share of the filter's squared weights in each slice
    maps: np.ndarray  # float32 (N, H, W, K)


def convolutions(model: keras.Model) -> list[str]:
    """Names of the layers whose filters can be shown, from input to output."""
    return [name for name, step in read_layers(model).steps.items() if type(step.layer).__name__ in KINDS]


def spread_convolutions(model: keras.Model) -> list[str]:
    """Convolutions spread evenly over the depth of a network, the first and the last among them.

    Args:
        model: functional model. Its filters of a single pixel, which have nothing to be seen in, are left out.

    Returns:
        Names of layers for `filter_pairs`, from input to output: `LAYERS`, or fewer where there are fewer.

    Raises:
        ValueError: if there is no such convolution.
    """
    steps = read_layers(model).steps
    names = [name for name in convolutions(model) if max(steps[name].layer.kernel_size) > 1]
    if not names:
        raise ValueError("filters are shown of convolutions wider than a pixel. Received: a model without any")
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, LAYERS).round().astype(int))]


def filter_pairs(model: keras.Model, images: np.ndarray, layer: str) -> FilterPairs:
    """Filters of one layer and the maps they make.

    Args:
        model: functional model.
        images: (N, H, W, 3) uint8 or float in [0, 255].
        layer: name of a convolution.

    Returns:
        The `FILTERS` filters whose maps vary most over the positions of the images, and these maps as the layer gives
        them: before batch norm and ReLU, unless the layer has an activation of its own.

    Raises:
        ValueError: if the layer is not a convolution (the message lists those), or the images are not as asked.
    """
    kernels, inputs, reads_colours = read_filters(model, layer, images=images)
    maps = feature_maps(model, images, layers=[layer])[layer]
    channels = np.argsort(-maps.std(axis=(0, 1, 2)), kind="stable")[:FILTERS]
    kernels, inputs = kernels[channels], inputs[channels]
    energy = np.square(kernels).sum(axis=(2, 3))
    order = np.argsort(-energy, axis=1, kind="stable")[:, :SLICES]
    return FilterPairs(
        layer=layer,
        channels=channels,
        total=maps.shape[3],
        colours=np.moveaxis(kernels, 1, 3) if reads_colours else None,
        slices=np.take_along_axis(kernels, order[..., None, None], axis=1),
        inputs=np.take_along_axis(inputs, order, axis=1),
        shares=np.take_along_axis(energy, order, axis=1) / np.maximum(energy.sum(axis=1, keepdims=True), 1e-12),
        maps=maps[..., channels],
    )


def moved_maps(model: keras.Model, image: np.ndarray, layer: str, *, channel: int) -> list[int]:
    """Numbers of the maps of a layer that differ once one of its filters is zero: that filter's own map alone.

    Args:
        model: functional model, which is left as it was.
        image: (H, W, 3) uint8 or float in [0, 255].
        layer: name of a `Conv2D`.
        channel: number of the filter.
    """
    kernel = read_layers(model).find(layer).layer.kernel
    kept = np.asarray(kernel)
    without = kept.copy()
    without[..., channel] = 0
    before = feature_maps(model, image[None], layers=[layer])[layer]
    try:
        kernel.assign(without)
        after = feature_maps(model, image[None], layers=[layer])[layer]
    finally:
        kernel.assign(kept)
    return np.flatnonzero((before != after).any(axis=(0, 1, 2))).tolist()


def read_filters(model: keras.Model, layer: str, *, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """All filters of one layer.

    Args:
        model: functional model.
        layer: name of a convolution.
        images: (N, H, W, 3) uint8 or float in [0, 255], one at least.

    Returns:
        Their weights float32 (C, inputs, h, w), the input channel that each slice reads (C, inputs), and whether these
        are red, green and blue.

    Raises:
        ValueError: if the layer is not a convolution (the message lists those), or the images are not as asked.
    """
    graph = read_layers(model)
    step = graph.find(layer)
    if type(step.layer).__name__ not in KINDS:
        raise ValueError(f"filters are shown of {', '.join(convolutions(model))}. Received: {layer!r}")
    return *_kernels(step.layer), _reads_colours(graph, step, graph.check_images(images))


def _reads_colours(graph: LayerGraph, step: Step, images: np.ndarray) -> bool:
    """Whether what a layer reads are red, green and blue: a pixel changed in one of them changes this input, once."""
    row, column = np.array(images.shape[1:3]) // 2
    changed = np.repeat(np.asarray(images[:1], np.float32), 4, axis=0)
    if changed.shape[-1] != 3:
        return False
    changed[np.arange(1, 4), row, column, np.arange(3)] = np.where(changed[0, row, column] < 128, 255, 0)
    given = np.asarray(graph.run({IMAGE: changed}, step.inputs)[step.inputs[0]])
    moved = (given[1:] != given[:1]).sum(axis=(1, 2))
    return np.array_equal(moved, np.eye(3))


def _kernels(layer: keras.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Weights of every filter (C, inputs, h, w) float32, and the input channel of each of its slices (C, inputs)."""
    kernel = np.asarray(layer.kernel, np.float32)
    height, width, inputs, outputs = kernel.shape
    if type(layer).__name__ == "DepthwiseConv2D":  # each filter reads one channel
        flat = kernel.reshape(height, width, inputs * outputs).transpose(2, 0, 1)
        return flat[:, None], np.arange(len(flat))[:, None] // outputs
    # In groups, each filter reads the channels of its own group only.
    first = np.arange(outputs) // (outputs // layer.groups) * inputs
    return kernel.transpose(3, 2, 0, 1), first[:, None] + np.arange(inputs)
