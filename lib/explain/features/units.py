"""Single units of a network (a channel, one position of it, a class), and how strongly images excite them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.explain.network import taps
from lib.explain.network.layer_outputs import make_reader
from lib.explain.network.receptive_field import map_sizes


@dataclass(frozen=True)
class Unit:
    """What an image is made for: a channel of a layer, one of its positions, or a class."""

    layer: str | None  # None for a class, by its logit
    channel: int  # or the class
    position: tuple[int, int] | None = None  # row and column of the map; None takes the mean of the map


def make_score(network: taps.Network, units: Sequence[Unit], *, image_size: tuple[int, int]) -> Callable:
    """How strongly each image of a batch excites its own unit.

    Args:
        network: with logits as its output.
        units: one an image.
        image_size: height and width of the images.

    Returns:
        Function: images (N, H, W, 3) in [0, 255] -> (N,) activations and (N,) aims to climb by. These are the same,
        but a unit that its ReLU silences aims at what stands in front of the ReLU, which else gives no gradient.

    Raises:
        ValueError: if a layer, channel, position or class does not exist.
    """
    layers = [network.output.step if unit.layer is None else network.find(unit.layer).name for unit in units]
    sizes = map_sizes(network, layers, image_size=image_size)
    channels = [
        _channel(unit, layer, count=network.find(layer).shape[-1]) for unit, layer in zip(units, layers, strict=True)
    ]
    places = [_places(unit, layer, size=sizes[layer]) for unit, layer in zip(units, layers, strict=True)]
    owners = {layer: [i for i, other in enumerate(layers) if other == layer] for layer in layers}
    fronts = {layer: _before_relu(network.find(layer)) for layer in owners}

    def read(maps: tf.Tensor, rows: list[int]) -> tf.Tensor:
        """The activations of one layer's units, (N,) with zero for units of other layers."""
        weights = np.stack([channels[i] for i in rows]), np.stack([places[i] for i in rows])
        maps = tf.reshape(tf.cast(tf.gather(maps, rows), tf.float32), (len(rows), weights[1].shape[1], -1))
        return tf.scatter_nd([[i] for i in rows], tf.einsum("npc,nc,np->n", maps, *weights), [len(units)])

    reader = make_reader(network, [*owners, *(source for source, _ in fronts.values())])

    def score(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = reader(images)
        activations = tf.add_n([read(outputs[layer], rows) for layer, rows in owners.items()])
        aims = tf.add_n([read(fronts[layer][1](outputs[fronts[layer][0]]), rows) for layer, rows in owners.items()])
        return activations, tf.where(activations > 0, activations, aims)

    return score


def _before_relu(step: taps.Step) -> tuple[str, Callable]:
    """What a layer gives before its ReLU: the step to read, and what to do with its output."""
    layer, kind = step.layer, type(step.layer).__name__
    rectified = getattr(layer, "activation", None) is keras.activations.relu
    if kind in ("ReLU", "Relu") or (kind == "Activation" and rectified):
        return step.inputs[0], lambda maps: maps
    if kind == "Conv2D" and rectified:
        bias = layer.bias if layer.use_bias else 0.0
        return step.inputs[0], lambda maps: layer.convolution_op(maps, layer.kernel) + bias
    return step.name, lambda maps: maps


def _channel(unit: Unit, layer: str, *, count: int) -> np.ndarray:
    """float32 (C,), one at the unit's channel."""
    if not 0 <= unit.channel < count:
        raise ValueError(f"channels of {layer} are numbered from 0 to {count - 1}. Received: {unit}")
    return np.eye(1, count, unit.channel, dtype=np.float32)[0]


def _places(unit: Unit, layer: str, *, size: tuple[int, int] | None) -> np.ndarray:
    """float32 (P,), the weight of each position of the map, row by row; one position where there is no map."""
    height, width = size or (1, 1)
    if unit.position is None:
        return np.full(height * width, 1 / (height * width), np.float32)
    row, column = unit.position
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"positions of {layer} lie in (0, 0) to ({height - 1}, {width - 1}). Received: {unit}")
    return np.eye(1, height * width, row * width + column, dtype=np.float32)[0]
