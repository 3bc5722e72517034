"""What all attribution methods share: a checked question, passes in batches, and maps in [0, 1] of the image's size."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.network import gradients
from lib.explain.network.inputs import check_question, in_batches
from lib.explain.network.layers import IMAGE, LayerGraph

LAST = "the last layer with rows and columns"
FLAT = 1e-6  # of the size of the values: differences below it are rounding, and stretching them would show noise
LAYERS = {  # by where a method looks when no layer is named
    IMAGE: "name of a layer with rows and columns, to explain its output instead of the pixels.",
    LAST: "name of a layer with rows and columns; None takes the last one that has them.",
    None: "must be None: this method hides parts of the image.",
}
ARGUMENTS = """

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one per image.
        layer: {layer}
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

    graph: LayerGraph  # of the model, with its logits as output
    images: np.ndarray  # (N, H, W, C) uint8 or float in [0, 255]
    classes: np.ndarray  # (N,) int32
    at: str | None  # the step to explain; `IMAGE` for the pixels, None where parts of the image are hidden
    batch_size: int

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
        """Weighted sum of the gradients at altered copies of each value, however many fit a batch.

        Args:
            values: (N, ...) outputs of the step `start`.
            alter: function of (B, ...) values, (B,) numbers of the images and (B,) numbers of the copies that gives the
                (B, ...) copies.
            weights: (copies,) float.
            start: name of a step; `IMAGE` for the images.

        Returns:
            (N, h, w, C) float32, of the shape of the step to explain.
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


def ask(model: keras.Model, images, class_index, *, at: str | None, layer: str | None, batch_size: int) -> Question:
    """Check a question, and find the step to explain: `layer`, or where none is named, `at`: a key of `LAYERS`.

    Raises:
        ValueError: if an argument is not as described in `ARGUMENTS`.
    """
    graph, images, classes = check_question(model, images, class_index)
    if layer is not None and at is None:
        raise ValueError(f"a method that hides parts of the image takes no layer. Received: layer={layer!r}")
    place = graph.find_spatial(layer) if layer is not None or at == LAST else at
    return Question(graph, images, classes, place, batch_size)


def attribution(*, at: str | None, settings: Config | None = None) -> Callable:
    """Make an attribution method of a function that does nothing but its arithmetic.

    Args:
        at: where it looks when no layer is named, a key of `LAYERS`.
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
            question = ask(model, images, class_index, at=at, layer=layer, batch_size=batch_size)
            found = explain(question) if usual is None else explain(question, settings)
            return to_maps(found, size=question.images.shape[1:3])

        words = "must be None: this method has none." if usual is None else f"see {type(usual).__name__}."
        method.__doc__ = explain.__doc__.rstrip() + ARGUMENTS.format(layer=LAYERS[at], settings=words)
        method.__name__, method.__qualname__ = explain.__name__, explain.__qualname__
        method.__module__ = explain.__module__
        return method

    return decorate


def strongest_channel(values: tf.Tensor) -> tf.Tensor:
    """(N, H, W) largest absolute value over the channels of (N, H, W, C)."""
    return tf.reduce_max(tf.abs(values), axis=-1)


def positive_sum(values: tf.Tensor) -> tf.Tensor:
    """(N, H, W) sums over the channels of signed attributions (N, H, W, C), where they are positive; 0 elsewhere."""
    return tf.nn.relu(tf.reduce_sum(values, axis=-1))


def to_maps(attributions: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """Resize attributions to the image (bilinear) and stretch each map to [0, 1].

    Args:
        attributions: (N, h, w) finite numbers; larger ones mean more.
        size: height and width of the images.

    Returns:
        (N, H, W) float32: the least value of each map is 0 and the largest 1; a flat map is all zeros.

    Raises:
        ValueError: if a number is not finite.
    """
    attributions = np.asarray(attributions, np.float32)
    if not np.isfinite(attributions).all():
        raise ValueError("the model's answers to these images are not finite numbers; its training may have diverged")
    if attributions.shape[1:] != tuple(size):
        attributions = tf.image.resize(attributions[..., None], size).numpy()[..., 0]
    low, high = (end(attributions, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    spread = high - low
    flat = spread <= FLAT * np.maximum(np.abs(low), np.abs(high))
    return np.where(flat, 0, (attributions - low) / np.where(flat, 1, spread)).astype(np.float32)
