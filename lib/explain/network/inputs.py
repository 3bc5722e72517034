"""What every explanation is given: checked images and classes, and the model read at its logits."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from lib.explain.network.taps import Network, Output, Step, read

# Both flatten where the model is sure, and a softmax also moves with the other classes: neither asks "why this class?".
SQUASHED = (keras.activations.softmax, keras.activations.sigmoid)


def check_question(model: keras.Model, images: np.ndarray, class_index) -> tuple[Network, np.ndarray, np.ndarray]:
    """Check what an attribution method is asked: why does the model see this class in this image?

    Args:
        model: functional or sequential, images (N, H, W, C) -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255], of the model's size.
        class_index: of all images, or one for each.

    Returns:
        The model read at its logits, the images as an array and (N,) int32 classes.

    Raises:
        ValueError: if one of them is not as described; the message states the rule.
    """
    network = read_logits(model)
    images = check_images(images)
    wanted = network.input_shape[1:]
    if len(wanted) != 3 or any(side not in (None, got) for side, got in zip(wanted, images.shape[1:], strict=True)):
        raise ValueError(f"the model takes images of shape {wanted}. Received: {images.shape[1:]}")
    return network, images, check_classes(class_index, images=images, model=model)


def check_images(images: np.ndarray) -> np.ndarray:
    """Images as an array, once they are what the models of this repository take.

    Args:
        images: (N, H, W, C) uint8 or float in [0, 255], N at least 1.

    Returns:
        The same values and dtype.

    Raises:
        ValueError: if the shape, the dtype or the range is wrong.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, H, W, C); one alone is image[None]. Received: {images.shape}")
    if images.size == 0:
        raise ValueError(f"images must hold at least one image with pixels. Received: shape {images.shape}")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be uint8 or float. Received: {images.dtype}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # written so that NaN is refused too
        raise ValueError(f"images must lie in [0, 255]; scaling is inside the model. Received: {low:.4g} to {high:.4g}")
    return images


def check_classes(class_index, *, images: np.ndarray, model: keras.Model) -> np.ndarray:
    """Class of each image.

    Args:
        class_index: of all images, or (N,) one for each.
        images: (N, H, W, C).
        model: images -> (N, classes).

    Returns:
        (N,) int32.

    Raises:
        ValueError: if the model gives no rows of classes, or the classes are not whole numbers, one or N, and its own.
    """
    if len(model.output_shape) != 2:
        raise ValueError(f"the model must give one row of classes an image. Received: output {model.output_shape}")
    classes, count = np.asarray(class_index), model.output_shape[-1]
    if not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"class_index must be whole numbers. Received: {classes.dtype}")
    if classes.shape not in ((), (len(images),)):
        raise ValueError(f"class_index must be one number or {len(images)}, one an image. Received: {classes.shape}")
    if classes.size and not (0 <= classes.min() and classes.max() < count):
        raise ValueError(f"class_index must lie in [0, {count - 1}]. Received: {classes.min()} to {classes.max()}")
    return np.broadcast_to(classes, len(images)).astype(np.int32)


def read_logits(model: keras.Model) -> Network:
    """Read a model at its logits: a softmax or sigmoid at its end is left out.

    Args:
        model: as `taps.read` takes it.

    Returns:
        Its network; `network.output` names the logits. A last layer with a softmax of its own is read as a copy
        without it, with the weights of this moment.

    Raises:
        ValueError: as for `taps.read`.
    """
    network = read(model)
    last = network.steps[network.output.step]
    steps, output = dict(network.steps), network.output
    if _only_squashes(last):
        del steps[last.name]
        output = Output(last.inputs[0])
    elif getattr(last.layer, "activation", None) in SQUASHED:
        steps[last.name] = dataclasses.replace(last, layer=_without_activation(last, network))
    return dataclasses.replace(network, steps=steps, output=output)


def explained_at(model: keras.Model) -> str:
    """Which output of a model is explained, as a sentence for the reader."""
    last = list(read(model).steps.values())[-1]
    if _only_squashes(last) or getattr(last.layer, "activation", None) in SQUASHED:
        return f"The model ends in probabilities ({last.name}); it is explained at the logits before them."
    return f"The model gives logits ({last.name}); these are explained."


def plain_images(images: np.ndarray, grey: float | None) -> np.ndarray:
    """The image that shows nothing, which baselines and covers are made of.

    Args:
        images: (N, H, W, C) in [0, 255].
        grey: value of all its pixels; None takes the mean colour of each image.

    Returns:
        (N, 1, 1, C) float32.
    """
    if grey is None:
        return images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return np.full((len(images), 1, 1, images.shape[-1]), grey, np.float32)


def refuse_layer(method: str, layer: str | None) -> None:
    """Say that a method hides pixels, and nothing in a layer, when a layer is named.

    Raises:
        ValueError: if `layer` is not None.
    """
    if layer is not None:
        raise ValueError(f"{method} hides parts of the image and takes no layer. Received: layer={layer!r}")


def in_batches(count: int, batch_size: int) -> Iterator[slice]:
    """Slices of at most `batch_size` that cover `count` rows.

    Raises:
        ValueError: if batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
    return (slice(first, min(first + batch_size, count)) for first in range(0, count, batch_size))


def _only_squashes(step: Step) -> bool:
    if isinstance(step.layer, keras.layers.Softmax):
        return True
    return isinstance(step.layer, keras.layers.Activation) and step.layer.activation in SQUASHED


def _without_activation(step: Step, network: Network) -> keras.layers.Layer:
    (source,) = step.inputs
    shape = network.steps[source].shape if source in network.steps else network.input_shape
    copy = type(step.layer).from_config(step.layer.get_config() | {"activation": "linear"})
    copy.build(shape)
    copy.set_weights(step.layer.get_weights())
    return copy
