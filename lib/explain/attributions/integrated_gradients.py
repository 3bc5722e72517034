"""Integrated gradients: the gradient along the way from a plain image to this one (Sundararajan et al. 2017)."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.maps import positive_sum, to_maps
from lib.explain.network.inputs import check_question, in_batches, plain_images
from lib.explain.network.passes import make_backward, make_forward, sum_over_copies
from lib.explain.network.taps import IMAGE, Network, find_spatial


@dataclass(frozen=True)
class IntegratedGradients(Config):
    """The way that is integrated over."""

    steps: int = 16  # points on it, by the trapezoidal rule, both ends among them
    baseline: float | None = None  # grey value in [0, 255] where it begins; None takes the mean colour of each image

    def rules(self) -> dict[str, bool]:
        return {
            "steps is at least 2": self.steps >= 2,
            "baseline lies in [0, 255]": 0 <= (self.baseline or 0) <= 255,
        }


@dataclass(frozen=True, eq=False)
class Completeness:
    """Whether the attributions add up to what they explain: with enough steps they do."""

    attributed: np.ndarray  # (N,) sum of each image's attributions
    change: np.ndarray  # (N,) logit of the image minus logit of the baseline

    @property
    def gap(self) -> np.ndarray:
        """(N,) difference of the two, as a share of the change (of the largest change where an image has none)."""
        size = np.abs(self.change)
        return np.abs(self.attributed - self.change) / np.maximum(size, max(1e-6 * size.max(), 1e-12))


DEFAULT = IntegratedGradients()


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    class_index,
    *,
    layer: str | None = None,
    settings: IntegratedGradients = DEFAULT,
    batch_size: int = 64,
) -> np.ndarray:
    """What each pixel adds to the logit on the way from the baseline; what speaks against the class is cut off.

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        layer: name of a layer with rows and columns that all of the model passes through: the way then leads from its
            output for the baseline to its output for the image.
        settings: number of steps and baseline.
        batch_size: points at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """
    network, images, classes = check_question(model, images, class_index)
    start = IMAGE if layer is None else find_spatial(network, layer)
    attributions = integrate(network, images, classes, start=start, settings=settings, batch_size=batch_size)
    return to_maps(positive_sum(attributions), size=images.shape[1:3])


def completeness(
    model: keras.Model,
    images: np.ndarray,
    class_index,
    *,
    settings: IntegratedGradients = DEFAULT,
    batch_size: int = 64,
) -> Completeness:
    """How far integrated gradients are from adding up to the change of the logit: a check on the number of steps.

    Args:
        model: as for `integrated_gradients`.
        images: as for `integrated_gradients`.
        class_index: as for `integrated_gradients`.
        settings: number of steps and baseline.
        batch_size: points at once.

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """
    network, images, classes = check_question(model, images, class_index)
    attributions = integrate(network, images, classes, start=IMAGE, settings=settings, batch_size=batch_size)
    logits = _forward_all(network, images, batch_size=batch_size)
    baselines = np.broadcast_to(plain_images(images, settings.baseline), images.shape)
    change = logits - _forward_all(network, baselines, batch_size=batch_size)
    change = tf.gather(change, classes, batch_dims=1).numpy()
    return Completeness(attributions.sum(axis=(1, 2, 3), dtype=np.float64), change)


def integrate(
    network: Network,
    images: np.ndarray,
    classes: np.ndarray,
    *,
    start: str,
    settings: IntegratedGradients,
    batch_size: int,
) -> np.ndarray:
    """(N, h, w, C) float32 signed attributions of the pixels, or of the output of the layer `start`."""
    values, baselines = tf.cast(images, tf.float32), tf.constant(plain_images(images, settings.baseline))
    if start != IMAGE:
        baselines = tf.broadcast_to(baselines, values.shape)
        values, baselines = (_forward_all(network, x, end=start, batch_size=batch_size) for x in (values, baselines))
    shares = tf.linspace(0.0, 1.0, settings.steps)[:, None, None, None]
    weights = np.full(settings.steps, 1 / (settings.steps - 1))
    weights[[0, -1]] /= 2

    def alter(rows, image, copy):
        begin = tf.gather(baselines, image)
        return begin + tf.gather(shares, copy) * (rows - begin)

    gradients = sum_over_copies(
        make_backward(network, start=start, at=start),
        values,
        classes,
        alter=alter,
        weights=weights,
        batch_size=batch_size,
    )
    return gradients * (values - baselines).numpy()


def _forward_all(network: Network, images, *, batch_size: int, end: str | None = None) -> tf.Tensor:
    forward = make_forward(network, end=end)
    return tf.concat([forward(images[rows]) for rows in in_batches(len(images), batch_size)], axis=0)
