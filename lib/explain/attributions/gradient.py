"""Four maps of the gradient of the class's logit with respect to the pixels, or to the output of a layer."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.attribution import Question, attribution, positive_sum
from lib.explain.network.gradients import is_relu
from lib.explain.network.layers import IMAGE


@attribution(at=IMAGE)
def gradient(question: Question) -> np.ndarray:
    """Where a small change of a pixel would change the logit most (Simonyan et al. 2013).

    The map is the largest gradient over the channels, unsigned.
    """
    return question.over_gradients(lambda values, gradients: strongest_channel(gradients))


@attribution(at=IMAGE)
def gradient_x_input(question: Question) -> np.ndarray:
    """Gradient times the pixel's value: what it adds to the logit, were the model linear (Shrikumar et al. 2016).

    What speaks against the class is cut off. Black pixels are never marked, whatever they mean: their value is 0.
    """
    return question.over_gradients(lambda values, gradients: positive_sum(values * gradients))


@attribution(at=IMAGE)
def guided_backprop(question: Question) -> np.ndarray:
    """The gradient, with nothing negative let back through a ReLU (Springenberg et al. 2014).

    The model must have a ReLU. Warning: these maps say little about the model. Adebayo et al. (2018, "Sanity checks for
    saliency maps") found that they hardly change when the weights are replaced by random ones, and Nie et al. (2018)
    proved for simple networks that they recover the image rather than what decides between classes. Look at their
    weight randomisation before reading anything from them.
    """
    if not any(is_relu(step) for step in question.graph.steps.values()):
        raise ValueError("guided backpropagation changes the gradient of ReLUs, and the model has none")
    return question.over_gradients(lambda values, gradients: strongest_channel(gradients), guided=True)


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
    """The mean gradient over noisy copies: what flickers from pixel to pixel averages out (Smilkov et al. 2017).

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


def strongest_channel(values: tf.Tensor) -> tf.Tensor:
    """(N, H, W) largest absolute value over the channels of (N, H, W, C)."""
    return tf.reduce_max(tf.abs(values), axis=-1)
