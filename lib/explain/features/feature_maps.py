"""Feature maps: what each channel of a layer answers to an image, and how the maps change with depth."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.explain.network.inputs import batches, check_size
from lib.explain.network.layers import read_layers
from lib.explain.network.receptive_field import Patch, ReceptiveFields, UntraceableError

KINDS = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Relu"}


@dataclass(frozen=True, eq=False)
class MaxFeature:
    """The channel of a layer that fires most on an image, and where."""

    layer: str
    channel: int
    channels: int  # how many the layer has
    row: int  # of the position that fires most
    column: int
    value: float
    map: np.ndarray  # float32 (h, w), of that channel
    patch: Patch  # what the position sees, beside gates
    gated: bool  # whether gates let it sum up the whole image, see `ReceptiveFields`


def block_layers(model: keras.Model) -> dict[str, str]:
    """One layer with maps for each block, from input to output: where a block hands its features on.

    Args:
        model: functional model. Where layers are named `Block_32__conv`, as `lib.models` does, a block is what stands
            before the two underscores, and its last layer is taken. Else the last convolution or activation of each
            map size is taken, under its own name.

    Returns:
        Block name -> layer name.

    Raises:
        ValueError: if no layer of the model has maps.
    """
    steps = [step for step in read_layers(model).steps.values() if len(step.shape) == 4 and step.shape[1:3] != (1, 1)]
    blocks = {step.name.split("__")[0]: step.name for step in steps if "__" in step.name}
    if blocks:
        return blocks
    convolutions = [step for step in steps if type(step.layer).__name__ in KINDS]
    last = {step.shape[3] if None in step.shape[1:3] else step.shape[1:3]: step.name for step in convolutions}
    if not last:
        raise ValueError("feature maps need a convolution in the model. Received: a model without any")
    return {step.name: step.name for step in convolutions if step.name in last.values()}


def measure_batches(
    model: keras.Model, images, layers: Sequence[str], *, measure: Callable, batch_size: int = 64
) -> Iterator[tuple[np.ndarray, np.ndarray | None, dict]]:
    """Measure the maps of several layers in one compiled pass over many images.

    Args:
        model: functional model.
        images: (N, H, W, 3) array in [0, 255], or batches, see `batches`.
        layers: names of layers with maps.
        measure: (layer name, float32 maps (B, h, w, C)) -> tensor, or tensors, to keep of them.
        batch_size: images at once, where they come as an array.

    Yields:
        Images (B, H, W, 3), their labels (B,) or None, and by layer what `measure` gave.

    Raises:
        ValueError: if a layer is unknown or has no maps, or the images are not as asked.
    """
    graph = read_layers(model)
    if isinstance(layers, str) or not len(layers):
        raise ValueError(f"layers must be a list with at least one name of a layer. Received: {layers!r}")
    layers = [graph.find_spatial(name) for name in layers]

    @tf.function(input_signature=[tf.TensorSpec((None, *graph.input_shape[1:]))], autograph=False)
    def run(pixels):
        return {name: measure(name, maps) for name, maps in graph.read(pixels, layers).items()}

    for pixels, labels in batches(images, batch_size=batch_size):
        check_size(graph, pixels)
        yield pixels, labels, run(tf.cast(pixels, tf.float32))


def feature_maps(
    model: keras.Model, images: np.ndarray, *, layers: Sequence[str] | None = None, batch_size: int = 64
) -> dict[str, np.ndarray]:
    """The maps of several layers for some images.

    Args:
        model: functional model.
        images: (N, H, W, 3) uint8 or float in [0, 255], or batches of them.
        layers: names of layers with maps; None takes one per block, see `block_layers`.
        batch_size: images at once.

    Returns:
        Layer name -> float32 (N, h, w, C).

    Raises:
        ValueError: if a layer is unknown or has no maps, or the images are not as asked.
    """
    names = list(block_layers(model).values()) if layers is None else layers
    batches_of_maps = measure_batches(model, images, names, measure=lambda name, maps: maps, batch_size=batch_size)
    parts = [maps for _, _, maps in batches_of_maps]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def map_rows(model: keras.Model, image: np.ndarray, *, k: int = 8) -> list[tuple[str, np.ndarray, np.ndarray, int]]:
    """The channels of every block that answer most strongly to one image, for `figures.feature_map_rows`.

    Args:
        model: functional model.
        image: (H, W, 3) uint8 or float in [0, 255].
        k: channels per block; the lower number comes first among equals.

    Returns:
        Per block its name, the maps (h, w, k), the numbers of their channels, and how many channels it has.
    """
    maps = feature_maps(model, np.asarray(image)[None])
    rows = []
    for block, layer in block_layers(model).items():
        (own,) = maps[layer]
        channels = np.argsort(-own.mean(axis=(0, 1)), kind="stable")[:k]
        rows.append((block, own[..., channels], channels, own.shape[2]))
    return rows


def max_features(model: keras.Model, image: np.ndarray) -> list[MaxFeature]:
    """The channel and position that fire most on an image, block by block.

    Args:
        model: functional model.
        image: (H, W, 3) uint8 or float in [0, 255].

    Returns:
        One per block, see `block_layers`; the first position and the lowest channel among equals.

    Raises:
        ValueError: if the image is not as asked, or a receptive field cannot be traced.
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise ValueError(f"the image must have shape (H, W, 3). Received: {image.shape}")
    found = []
    for layer, (maps,) in feature_maps(model, image[None]).items():
        row, column, channel = (int(i) for i in np.unravel_index(maps.argmax(), maps.shape))
        fields = ReceptiveFields(model, layer, image_size=image.shape[:2])
        patch, value = fields.patch(row, column), float(maps.max())
        found.append(
            MaxFeature(layer, channel, maps.shape[2], row, column, value, maps[..., channel], patch, fields.gated)
        )
    return found


def summarise_maps(model: keras.Model, images, *, batch_size: int = 64) -> pd.DataFrame:
    """How the maps change with depth, over all images given, in one pass.

    Args:
        model: functional model.
        images: (N, H, W, 3) array in [0, 255], or batches, see `batches`.
        batch_size: images at once, where they come as an array.

    Returns:
        One row per block, see `block_layers`: block, layer, height, width and channels of its maps;
        `receptive_field`, the side in pixels of what a position in the middle sees beside gates (NaN where a layer
        on the way is of a kind that cannot be traced); `mean` activation; `silent`, the share of values that are
        zero or below; `dead`, the share of channels that had one and the same value everywhere in all images.
    """
    blocks = block_layers(model)
    totals, count = {}, 0
    layers = list(blocks.values())
    for pixels, _, measured in measure_batches(model, images, layers, measure=_measure, batch_size=batch_size):
        count, size = count + len(pixels), pixels.shape[1:3]
        for layer, own in measured.items():
            totals[layer] = _join(totals.get(layer), {key: value.numpy() for key, value in own.items()})
    rows = []
    for block, layer in blocks.items():
        height, width, channels = totals[layer]["shape"]
        values = count * height * width * channels
        rows.append(
            {
                "block": block,
                "layer": layer,
                "height": int(height),
                "width": int(width),
                "channels": int(channels),
                "receptive_field": _seen(model, layer, size),
                "mean": float(totals[layer]["sum"] / values),
                "silent": float(totals[layer]["silent"] / values),
                "dead": float(np.mean(totals[layer]["low"] == totals[layer]["high"])),
            }
        )
    return pd.DataFrame(rows)


def _measure(name: str, maps: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "shape": tf.shape(maps)[1:],
        "sum": tf.reduce_sum(tf.cast(maps, tf.float64)),
        "silent": tf.math.count_nonzero(maps <= 0),
        "low": tf.reduce_min(maps, axis=(0, 1, 2)),
        "high": tf.reduce_max(maps, axis=(0, 1, 2)),
    }


def _join(held: dict | None, new: dict) -> dict:
    """What two batches measured, together."""
    if held is None:
        return new
    joined = {"sum": np.add, "silent": np.add, "low": np.minimum, "high": np.maximum}
    return new | {key: join(held[key], new[key]) for key, join in joined.items()}


def _seen(model: keras.Model, layer: str, image_size: tuple[int, int]) -> float:
    """Longer side of what a position in the middle sees, in pixels; NaN where a layer cannot be traced."""
    try:
        fields = ReceptiveFields(model, layer, image_size=image_size)
        return float(max(fields.patch(*(side // 2 for side in fields.map_size))[2:]))
    except UntraceableError:
        return math.nan
