"""What all attribution methods share: a checked question, passes in batches, and maps in [0, 1] of the image's size."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.network import gradients
from lib.explain.network.gradients import in_batches
from lib.explain.network.logits import LogitGraph, read_logits

LAST = "the last layer with rows and columns"
FLAT = 1e-6  # of the size of the values: differences below it are rounding, and stretching them would show noise
ARGUMENTS = """

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes): logits, or a softmax or sigmoid
            of them, which is left out. One unit has two classes, 0 for minus its logit.
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one per image.
        layer: name of a layer with rows and columns to explain; None takes the method's usual place: the pixels, or for
            class activation maps the last such layer. Must be None where parts of the image are hidden.
        settings: {settings}
        batch_size: images, or changed copies of them, at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1]; zeros where nothing stands out.

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """


@dataclass(frozen=True, eq=False)
class Question:
    """Why does a model see these classes in these images?"""

    graph: LogitGraph
    images: np.ndarray  # (N, H, W, C) uint8 or float in [0, 255]
    classes: np.ndarray  # (N,) int32
    at: str | None = None  # the step to explain; `IMAGE` for the pixels, None where parts of the image are hidden
    batch_size: int = 64

    def outputs(self, images, *, end: str | None = None) -> tf.Tensor:
        """The logits (N, classes) of images, or the output of the step `end`, batch by batch."""
        parts = in_batches(len(images), self.batch_size)
        return tf.concat([gradients.forward(self.graph, images[rows], end=end) for rows in parts], axis=0)

    def over_gradients(self, measure: Callable, *, guided: bool = False) -> np.ndarray:
        """(N, h, w) of `measure(values, gradients)`, both (B, h, w, C) at the step to explain, batch by batch."""
        found = []
        for rows in in_batches(len(self.images), self.batch_size):
            images, classes = self.images[rows], self.classes[rows]
            values, slopes, _ = gradients.backward(self.graph, images, classes, at=self.at, guided=guided)
            found.append(measure(values, slopes).numpy())
        return np.concatenate(found)

    def sum_over_copies(self, values: tf.Tensor, *, alter: Callable, weights: np.ndarray, start: str) -> np.ndarray:
        """(N, h, w, C) sum, by weights (copies,), of the gradients at altered copies of each value, in whole batches.

        The values (N, ...) are outputs of the step `start`. `alter` makes the copies (B, ...): a function of values
        (B, ...), of the numbers (B,) of their images and of the numbers (B,) of the copies.
        """
        copies, total = len(weights), None
        for rows in in_batches(len(values) * copies, self.batch_size):
            image, copy = np.divmod(np.arange(rows.start, rows.stop), copies)
            altered = alter(tf.gather(values, image), image, copy)
            _, slopes, _ = gradients.backward(self.graph, altered, self.classes[image], start=start, at=self.at)
            if total is None:
                total = np.zeros((len(values), *slopes.shape[1:]), np.float32)
            slopes = slopes * tf.reshape(tf.constant(weights[copy], tf.float32), (-1, *[1] * (total.ndim - 1)))
            total[image[0] : image[-1] + 1] += tf.math.segment_sum(slopes, image - image[0]).numpy()
        return total


def ask(model: keras.Model, images, class_index, **options) -> Question:
    """Check a model, its images (N, H, W, C) and the classes, one for all or (N,); `options` are those of `Question`.

    Raises:
        ValueError: if one of them is not as `ARGUMENTS` describes; the message states the rule.
    """
    graph = read_logits(model)
    images = graph.check_images(images)
    if len(model.output_shape) != 2:
        raise ValueError(f"the model must give one row of classes per image. Received: output {model.output_shape}")
    classes, count = np.asarray(class_index), graph.steps[graph.output.step].shape[-1]
    if not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"class_index must be whole numbers. Received: {classes.dtype}")
    if classes.shape not in ((), (len(images),)):
        raise ValueError(f"class_index must be one number or {len(images)}, one per image. Received: {classes.shape}")
    if classes.size and not (0 <= classes.min() and classes.max() < count):
        raise ValueError(f"class_index must lie in [0, {count - 1}]. Received: {classes.min()} to {classes.max()}")
    return Question(graph, images, np.broadcast_to(classes, len(images)).astype(np.int32), **options)


def attribution(*, at: str | None, settings: Config | None = None) -> Callable:
    """Make an attribution method of a function that does nothing but its arithmetic.

    Args:
        at: where it looks when no layer is named: `IMAGE`, `LAST`, or None where it hides parts of the image.
        settings: its usual ones; None for a method that has none.

    Returns:
        Decorator of a function from a `Question`, and from settings where there are some, to (N, h, w) numbers, larger
        where more speaks for the class. What it makes is called as `ARGUMENTS` says.
    """
    usual = settings

    def decorate(explain: Callable) -> Callable:
        def method(model, images, class_index, *, layer=None, settings=usual, batch_size=64) -> np.ndarray:
            if type(settings) is not type(usual):
                raise ValueError(f"settings must be of type {type(usual).__name__}. Received: {settings!r}")
            if layer is not None and at is None:
                raise ValueError(f"a method that hides parts of the image takes no layer. Received: layer={layer!r}")
            place = read_logits(model).find_spatial(layer) if layer is not None or at == LAST else at
            question = ask(model, images, class_index, at=place, batch_size=batch_size)
            found = explain(question) if usual is None else explain(question, settings)
            return to_maps(found, size=question.images.shape[1:3])

        words = "must be None: this method has none." if usual is None else f"see {type(usual).__name__}."
        method.__doc__ = explain.__doc__.rstrip() + ARGUMENTS.format(settings=words)
        method.__name__, method.__qualname__ = explain.__name__, explain.__qualname__
        method.__module__ = explain.__module__
        return method

    return decorate


def plain_images(images: np.ndarray, grey: float | None) -> np.ndarray:
    """(N, 1, 1, C) float32, the colour that shows nothing: the grey value, or if None the mean colour of each image."""
    if grey is None:
        return images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return np.full((len(images), 1, 1, images.shape[-1]), grey, np.float32)


def positive_sum(values: tf.Tensor) -> tf.Tensor:
    """(N, H, W) sums over the channels of signed attributions (N, H, W, C), where they are positive; 0 elsewhere."""
    return tf.nn.relu(tf.reduce_sum(values, axis=-1))


def to_maps(attributions: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """Attributions (N, h, w), resized to the image (bilinear) and each stretched to [0, 1]; a flat map is all zeros."""
    attributions = np.asarray(attributions, np.float32)
    if not np.isfinite(attributions).all():
        raise ValueError("the model's answers to these images are not finite numbers; its training may have diverged")
    if attributions.shape[1:] != tuple(size):
        attributions = tf.image.resize(attributions[..., None], size).numpy()[..., 0]
    low, high = (end(attributions, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    spread = high - low
    flat = spread <= FLAT * np.maximum(np.abs(low), np.abs(high))
    return np.where(flat, 0, (attributions - low) / np.where(flat, 1, spread)).astype(np.float32)
