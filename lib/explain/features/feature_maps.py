"""Feature maps: what each channel of a layer answers to an image, and how the maps change with depth."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.explain.network.gradients import in_batches
from lib.explain.network.layers import read_layers
from lib.explain.network.receptive_field import Patch, ReceptiveFields, UntraceableError

KINDS = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Relu"}
BATCH_SIZE = 64


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


def map_reader(model: keras.Model, layers: Sequence[str], *, measure: Callable = lambda maps: maps) -> Callable:
    """A compiled function of images (B, H, W, 3) in [0, 255]; by layer, `measure` of its maps (B, h, w, C)."""
    graph = read_layers(model)
    layers = [graph.find_spatial(name) for name in layers]

    @tf.function(input_signature=[tf.TensorSpec((None, *graph.input_shape[1:]))], autograph=False)
    def read(images):
        return {name: measure(maps) for name, maps in graph.read(images, layers).items()}

    return lambda images: read(tf.cast(images, tf.float32))


def feature_maps(
    model: keras.Model, images: np.ndarray, *, layers: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Layer name -> maps, float32 (N, h, w, C), for images (N, H, W, 3) in [0, 255]; None: one layer per block."""
    names = list(block_layers(model).values()) if layers is None else layers
    images, read = read_layers(model).check_images(images), map_reader(model, names)
    parts = [read(images[rows]) for rows in in_batches(len(images), BATCH_SIZE)]
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
    found = []
    for layer, (maps,) in feature_maps(model, np.asarray(image)[None]).items():
        row, column, channel = (int(i) for i in np.unravel_index(maps.argmax(), maps.shape))
        fields, value = ReceptiveFields(model, layer), float(maps.max())
        patch, own = fields.patch(row, column), maps[..., channel]
        found.append(MaxFeature(layer, channel, maps.shape[2], row, column, value, own, patch, fields.gated))
    return found


def summarise_maps(model: keras.Model, images: np.ndarray) -> pd.DataFrame:
    """How the maps change with depth, over all images given, in one pass.

    Args:
        model: functional model.
        images: (N, H, W, 3) uint8 or float in [0, 255].

    Returns:
        One row per block, see `block_layers`: block, layer, height, width and channels of its maps;
        `receptive_field`, the side in pixels of what a position in the middle sees beside gates (NaN where a layer
        on the way is of a kind that cannot be traced); `mean` activation; `silent`, the share of values that are
        zero or below; `dead`, the share of channels that had one and the same value everywhere in all images.
    """
    blocks, images = block_layers(model), read_layers(model).check_images(images)
    read = map_reader(model, list(blocks.values()), measure=_measure)
    parts = [read(images[rows]) for rows in in_batches(len(images), BATCH_SIZE)]
    rows = []
    for block, layer in blocks.items():
        own = {key: np.stack([part[layer][key] for part in parts]) for key in parts[0][layer]}
        height, width, channels = own["shape"][0].tolist()
        values = len(images) * height * width * channels
        rows.append(
            {
                "block": block,
                "layer": layer,
                "height": height,
                "width": width,
                "channels": channels,
                "receptive_field": side_seen(model, layer),
                "mean": float(sum(own["sum"]) / values),
                "silent": float(sum(own["silent"]) / values),
                "dead": float(np.mean(own["low"].min(axis=0) == own["high"].max(axis=0))),
            }
        )
    return pd.DataFrame(rows)


def _measure(maps: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "shape": tf.shape(maps)[1:],
        "sum": tf.reduce_sum(tf.cast(maps, tf.float64)),
        "silent": tf.math.count_nonzero(maps <= 0),
        "low": tf.reduce_min(maps, axis=(0, 1, 2)),
        "high": tf.reduce_max(maps, axis=(0, 1, 2)),
    }


def side_seen(model: keras.Model, layer: str) -> float:
    """Longer side of what a position in the middle sees, in pixels; NaN where a layer cannot be traced."""
    try:
        fields = ReceptiveFields(model, layer)
    except UntraceableError:
        return math.nan
    return float(max(fields.patch(*(side // 2 for side in fields.map_size))[2:]))
