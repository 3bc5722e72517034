"""Grad-CAM: the maps of a layer, weighted by how much each moves the logit (Selvaraju et al. 2017)."""

import numpy as np
import tensorflow as tf

from lib.explain.attributions.attribution import LAST, Question, attribution


@attribution(at=LAST)
def grad_cam(question: Question) -> np.ndarray:
    """Sum of a layer's maps, each times the mean of its gradient; what speaks against the class is cut off."""
    return question.over_gradients(lambda maps, gradients: weighted_sum(maps, mean_gradients(gradients)))


def mean_gradients(gradients: tf.Tensor) -> tf.Tensor:
    """(N, C) weight of each channel: the mean of its gradient (N, h, w, C) over the rows and columns."""
    return tf.reduce_mean(gradients, axis=(1, 2))


def weighted_sum(maps: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """(N, h, w) sum of the maps (N, h, w, C) times the weights (N, C) where it is positive; 0 elsewhere."""
    return tf.nn.relu(tf.einsum("nhwc,nc->nhw", maps, weights))
