"""The outputs of several layers at once, for one compiled pass over many images."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from lib.explain.network import taps


def compile_tap(model: keras.Model, layers: Sequence[str], *, measure: Callable):
    """A compiled function that measures the maps of several layers, for one pass over many images.

    Args:
        model: functional model.
        layers: names of layers with maps.
        measure: (layer name, float32 maps (N, h, w, C)) -> tensor, or tensors, to keep of them.

    Returns:
        Function: images (N, H, W, 3) in [0, 255] -> dict by layer of what `measure` gave.

    Raises:
        ValueError: if a layer is unknown or has no maps.
    """
    network = taps.read(model)
    check_layers(network, layers)
    read = make_reader(network, layers)
    shape = network.input_shape[1:]

    @tf.function(input_signature=[tf.TensorSpec((None, *shape))], autograph=False)
    def tap(pixels):
        return {name: measure(name, maps) for name, maps in read(pixels).items()}

    def check_and_tap(images):
        if any(side not in (None, got) for side, got in zip(shape, images.shape[1:], strict=True)):
            raise ValueError(f"the model takes images of shape {shape}. Received: {images.shape[1:]}")
        return tap(tf.cast(images, tf.float32))

    return check_and_tap


def make_reader(network: taps.Network, layers: Sequence[str]) -> Callable:
    """A function that computes the outputs of several layers, to be called inside a compiled one.

    Args:
        network: of `taps.read` or `inputs.read_logits`.
        layers: names of its steps.

    Returns:
        Function: float32 (N, H, W, C) images in [0, 255] -> dict from name to float32 tensor.
    """
    layers = list(dict.fromkeys(layers))

    def read(images):
        outputs = network.run({taps.IMAGE: tf.cast(images, network.input_dtype)}, layers)
        return {name: tf.cast(output, tf.float32) for name, output in outputs.items()}

    return read


def check_layers(network: taps.Network, layers: Sequence[str]) -> None:
    """Refuse layers that do not exist or have no maps.

    Raises:
        ValueError: naming the layer, and those that would do.
    """
    if isinstance(layers, str) or not len(layers):
        raise ValueError(f"layers must be a list with at least one name of a layer. Received: {layers!r}")
    for name in layers:
        if len(network.find(name).shape) != 4:
            others = ", ".join(step.name for step in network.steps.values() if len(step.shape) == 4)
            raise ValueError(f"layers must have maps (N, H, W, C), like {others}. Received: {name!r}")


def check_channels(channels: Sequence[int], *, layer: str, count: int) -> np.ndarray:
    """The numbers of some channels as an array, (K,) int.

    Raises:
        ValueError: if there are none, or one is not a number of a channel.
    """
    numbers = np.asarray(channels)
    is_list = numbers.ndim == 1 and numbers.dtype.kind in "iu" and len(numbers)
    if not is_list or numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(
            f"channels of {layer} must be a list of numbers from 0 to {count - 1}. Received: {numbers.tolist()}"
        )
    return numbers
