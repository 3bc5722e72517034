"""Feature maps: what each channel of a layer answers to an image, and how the maps change with depth."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.explain.network import taps
from lib.explain.network.batches import batches
from lib.explain.network.layer_outputs import compile_tap
from lib.explain.network.receptive_field import ReceptiveFields
from lib.explain.network.windows import UntraceableError

KINDS = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Relu"}


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
    steps = [step for step in taps.read(model).steps.values() if len(step.shape) == 4 and step.shape[1:3] != (1, 1)]
    blocks = {step.name.split("__")[0]: step.name for step in steps if "__" in step.name}
    if blocks:
        return blocks
    convolutions = [step for step in steps if type(step.layer).__name__ in KINDS]
    last = {step.shape[3] if None in step.shape[1:3] else step.shape[1:3]: step.name for step in convolutions}
    if not last:
        raise ValueError("feature maps need a convolution in the model. Received: a model without any")
    return {step.name: step.name for step in convolutions if step.name in last.values()}


def feature_maps(
    model: keras.Model, images: np.ndarray, *, layers: Sequence[str] | None = None, batch_size: int = 64
) -> dict[str, np.ndarray]:
    """The maps of several layers for some images.

    Args:
        model: functional model.
        images: (N, H, W, 3) uint8 or float in [0, 255], or batches of them.
        layers: names of layers with maps; None takes one a block, see `block_layers`.
        batch_size: images at once.

    Returns:
        Layer name -> float32 (N, h, w, C).

    Raises:
        ValueError: if a layer is unknown or has no maps, or the images are not as asked.
    """
    names = list(block_layers(model).values()) if layers is None else layers
    tap = compile_tap(model, names, measure=lambda name, maps: maps)
    parts = [tap(pixels) for pixels, _ in batches(images, batch_size=batch_size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def most_active(maps: np.ndarray, *, k: int) -> np.ndarray:
    """The channels that answer most strongly on average.

    Args:
        maps: (h, w, C) of one image, or (N, h, w, C).
        k: how many; fewer where there are fewer channels.

    Returns:
        (k,) int channel numbers, the highest mean first; the lower number first among equals.
    """
    maps = np.asarray(maps)
    if maps.ndim not in (3, 4) or k < 1:
        raise ValueError(
            f"maps must have shape (h, w, C) or (N, h, w, C), and k be 1 or more. Received: {maps.shape}, {k}"
        )
    means = maps.mean(axis=tuple(range(maps.ndim - 1)))
    return np.argsort(-means, kind="stable")[:k]


def summarise_maps(
    model: keras.Model, images, *, layers: Sequence[str] | None = None, batch_size: int = 64
) -> pd.DataFrame:
    """How the maps change with depth, over all images given, in one pass.

    Args:
        model: functional model.
        images: (N, H, W, 3) array in [0, 255], or batches, see `batches`.
        layers: names of layers with maps; None takes one a block, see `block_layers`.
        batch_size: images at once, where they come as an array.

    Returns:
        One row a layer, in the order given: block (or layer), layer, height, width and channels of its maps;
        `receptive_field`, the side in pixels of what a position in the middle sees beside gates (NaN where a layer
        on the way is of a kind that cannot be traced); `mean` activation; `silent`, the share of values that are
        zero or below; `dead`, the share of channels that had one and the same value everywhere in all images.
    """
    blocks = block_layers(model) if layers is None else {}
    layers = list(blocks.values()) if layers is None else layers
    tap = compile_tap(model, layers, measure=_measure)
    names = {layer: block for block, layer in blocks.items()}
    totals, count = {}, 0
    for pixels, _ in batches(images, batch_size=batch_size):
        count, size = count + len(pixels), pixels.shape[1:3]
        for layer, measured in tap(pixels).items():
            totals[layer] = _add(totals.get(layer), {key: value.numpy() for key, value in measured.items()})
    rows = []
    for layer in layers:
        height, width, channels = totals[layer]["shape"]
        values = count * height * width * channels
        rows.append(
            {
                "block": names.get(layer, layer),
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


def _add(held: dict | None, new: dict) -> dict:
    """What two batches measured, together."""
    if held is None:
        return new
    joined = {"sum": np.add, "silent": np.add, "low": np.minimum, "high": np.maximum}
    return new | {key: join(held[key], new[key]) for key, join in joined.items()}


def _seen(model: keras.Model, layer: str, image_size: tuple[int, int]) -> float:
    """Longer side of what a position in the middle sees, in pixels; NaN where a layer cannot be traced."""
    try:
        fields = ReceptiveFields(model, layer, image_size=image_size, ignore_gates=True)
        return float(max(fields.patch(*(side // 2 for side in fields.map_size))[2:]))
    except UntraceableError:
        return math.nan
