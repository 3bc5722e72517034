"""SmoothGrad: the gradient averaged over noisy copies of the image (Smilkov et al. 2017)."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.attribution import Question, attribution, strongest_channel
from lib.explain.network.layers import IMAGE


@dataclass(frozen=True)
class SmoothGradient(Config):
    """How the noisy copies are made."""

    samples: int = 25  # copies of each image
    noise: float = 0.15  # standard deviation, as a share of the image's own range from darkest to lightest
    seed: int = 0

    def rules(self) -> dict[str, bool]:
        return {"samples is positive": self.samples > 0, "noise is at least 0": self.noise >= 0}


@attribution(at=IMAGE, settings=SmoothGradient())
def smooth_gradient(question: Question, settings: SmoothGradient) -> np.ndarray:
    """The mean gradient over noisy copies: what flickers from pixel to pixel averages out.

    All images get the same noise, each times its own range, so that a map depends on nothing but its image.
    """
    values = tf.cast(question.images, tf.float32)
    axes = (1, 2, 3)
    spread = settings.noise * (tf.reduce_max(values, axes, True) - tf.reduce_min(values, axes, True))
    noise = tf.random.stateless_normal((settings.samples, *values.shape[1:]), seed=[settings.seed, 0])
    gradients = question.sum_over_copies(
        values,
        alter=lambda rows, image, copy: rows + tf.gather(spread, image) * tf.gather(noise, copy),
        weights=np.full(settings.samples, 1 / settings.samples),
        start=IMAGE,
    )
    return strongest_channel(gradients).numpy()
