"""Class activation maps: the maps of a layer, each times a weight that says how much it moves the logit."""

import numpy as np
import tensorflow as tf

from lib.explain.attributions.attribution import LAST, Question, attribution


@attribution(at=LAST)
def grad_cam(question: Question) -> np.ndarray:
    """Sum of a layer's maps, each times the mean of its gradient (Selvaraju et al. 2017).

    What speaks against the class is cut off.
    """
    return question.over_gradients(lambda maps, gradients: weighted_sum(maps, mean_gradients(gradients)))


@attribution(at=LAST)
def grad_cam_plus_plus(question: Question) -> np.ndarray:
    """Sum of a layer's maps, each times a weighted sum of its positive gradients (Chattopadhay et al. 2018).

    Each place where a map fires counts, so that small and repeated objects do.
    """
    return question.over_gradients(lambda maps, gradients: weighted_sum(maps, positive_gradients(maps, gradients)))


def mean_gradients(gradients: tf.Tensor) -> tf.Tensor:
    """(N, C) weight of each channel: the mean of its gradient (N, h, w, C) over the rows and columns."""
    return tf.reduce_mean(gradients, axis=(1, 2))


def positive_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """(N, C) weights by equations 7 and 19 of the paper, of maps and gradients (N, h, w, C).

    The paper's score is the exponential of the logit. Its derivatives are then powers of the gradient, and the
    exponential itself cancels.
    """
    square = gradients**2
    # The paper's maps come out of a ReLU; without one, negative values could bring the denominator to zero.
    total = tf.reduce_sum(tf.nn.relu(activations), axis=(1, 2), keepdims=True)
    positive = tf.nn.relu(gradients)
    return tf.reduce_sum(tf.math.divide_no_nan(square, 2 * square + total * positive**3) * positive, axis=(1, 2))


def weighted_sum(maps: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """(N, h, w) sum of the maps (N, h, w, C) times the weights (N, C) where it is positive; 0 elsewhere."""
    return tf.nn.relu(tf.einsum("nhwc,nc->nhw", maps, weights))
