"""SmoothGrad: the gradient averaged over noisy copies of the image (Smilkov et al. 2017)."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.maps import strongest_channel, to_maps
from lib.explain.network.inputs import check_question
from lib.explain.network.passes import make_backward, sum_over_copies
from lib.explain.network.taps import IMAGE, find_spatial


@dataclass(frozen=True)
class SmoothGradient(Config):
    """How the noisy copies are made."""

    samples: int = 25  # copies of each image
    noise: float = 0.15  # standard deviation, as a share of the image's own range from darkest to lightest
    seed: int = 0

    def rules(self) -> dict[str, bool]:
        return {
            "samples is positive": self.samples > 0,
            "noise is at least 0": self.noise >= 0,
        }


DEFAULT = SmoothGradient()


def smooth_gradient(
    model: keras.Model,
    images: np.ndarray,
    class_index,
    *,
    layer: str | None = None,
    settings: SmoothGradient = DEFAULT,
    batch_size: int = 64,
) -> np.ndarray:
    """The mean gradient over noisy copies: what flickers from pixel to pixel averages out.

    All images get the same noise, each times its own range, so that a map depends on nothing but its image.

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        layer: name of a layer with rows and columns, to take the gradients there instead of at the pixels.
        settings: number of copies, noise and seed.
        batch_size: copies at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """
    network, images, classes = check_question(model, images, class_index)
    at = IMAGE if layer is None else find_spatial(network, layer)
    values = tf.cast(images, tf.float32)
    axes = (1, 2, 3)
    spread = settings.noise * (tf.reduce_max(values, axes, True) - tf.reduce_min(values, axes, True))
    noise = tf.random.stateless_normal((settings.samples, *images.shape[1:]), seed=[settings.seed, 0])
    gradients = sum_over_copies(
        make_backward(network, at=at),
        values,
        classes,
        alter=lambda rows, image, copy: rows + tf.gather(spread, image) * tf.gather(noise, copy),
        weights=np.full(settings.samples, 1 / settings.samples),
        batch_size=batch_size,
    )
    return to_maps(strongest_channel(gradients), size=images.shape[1:3])
