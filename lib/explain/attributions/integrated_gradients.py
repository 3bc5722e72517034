"""Integrated gradients: the gradient along the way from a plain image to this one (Sundararajan et al. 2017)."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.attribution import Question, ask, attribution, plain_images, positive_sum
from lib.explain.network.layers import IMAGE


@dataclass(frozen=True)
class IntegratedGradients(Config):
    """The way that is integrated over."""

    steps: int = 16  # points on it, by the trapezoidal rule, both ends among them
    baseline: float | None = None  # grey value in [0, 255] where it begins; None takes the mean colour of each image

    def rules(self) -> dict[str, bool]:
        within = 0 <= (self.baseline or 0) <= 255
        return {"steps is at least 2": self.steps >= 2, "baseline lies in [0, 255]": within}


@attribution(at=IMAGE, settings=IntegratedGradients())
def integrated_gradients(question: Question, settings: IntegratedGradients) -> np.ndarray:
    """What each pixel adds to the logit on the way from the baseline; what speaks against the class is cut off.

    At a layer, which all of the model must pass through, the way leads from its output for the baseline to its output
    for the image.
    """
    return positive_sum(integrate(question, settings)).numpy()


def completeness_gap(
    model: keras.Model, images: np.ndarray, class_index, *, settings: IntegratedGradients | None = None
) -> np.ndarray:
    """How far the attributions are from adding up to the change of the logit, which with enough steps they do.

    Args:
        model, images, class_index, settings: as for `integrated_gradients`.

    Returns:
        (N,) difference between the sum of each image's attributions and the logit of the image minus that of the
        baseline, as a share of this change (of the largest change where an image has none).
    """
    question, settings = ask(model, images, class_index, at=IMAGE), settings or IntegratedGradients()
    attributed = integrate(question, settings).sum(axis=(1, 2, 3), dtype=np.float64)
    baselines = np.broadcast_to(plain_images(question.images, settings.baseline), question.images.shape)
    change = question.outputs(question.images) - question.outputs(baselines)
    change = tf.gather(change, question.classes, batch_dims=1).numpy()
    size = np.abs(change)
    return np.abs(attributed - change) / np.maximum(size, max(1e-6 * size.max(), 1e-12))


def integrate(question: Question, settings: IntegratedGradients) -> np.ndarray:
    """(N, h, w, C) float32 signed attributions of the pixels, or of the output of the layer to explain."""
    values = tf.cast(question.images, tf.float32)
    baselines = tf.constant(plain_images(question.images, settings.baseline))
    if question.at != IMAGE:
        baselines = tf.broadcast_to(baselines, values.shape)
        values, baselines = (question.outputs(x, end=question.at) for x in (values, baselines))
    shares = tf.linspace(0.0, 1.0, settings.steps)[:, None, None, None]
    weights = np.full(settings.steps, 1 / (settings.steps - 1))
    weights[[0, -1]] /= 2

    def alter(rows, image, copy):
        begin = tf.gather(baselines, image)
        return begin + tf.gather(shares, copy) * (rows - begin)

    gradients = question.sum_over_copies(values, alter=alter, weights=weights, start=question.at)
    return gradients * (values - baselines).numpy()
