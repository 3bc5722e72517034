"""Grad-CAM++: as Grad-CAM, with weights that count each place where a map fires (Chattopadhay et al. 2018)."""

import numpy as np
import tensorflow as tf

from lib.explain.attributions.attribution import LAST, Question, attribution
from lib.explain.attributions.grad_cam import weighted_sum


@attribution(at=LAST)
def grad_cam_plus_plus(question: Question) -> np.ndarray:
    """Sum of a layer's maps, each times a weighted sum of its positive gradients: small and repeated objects count."""
    return question.over_gradients(lambda maps, gradients: weighted_sum(maps, positive_gradients(maps, gradients)))


def positive_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Weight of each channel by equations 7 and 19 of the paper, where the score is the exponential of the logit.

    Its derivatives are then powers of the gradient, and the exponential itself cancels.

    Args:
        activations: (N, h, w, C).
        gradients: (N, h, w, C) of the logit.

    Returns:
        (N, C).
    """
    square = gradients**2
    # The paper's maps come out of a ReLU; without one, negative values could bring the denominator to zero.
    total = tf.reduce_sum(tf.nn.relu(activations), axis=(1, 2), keepdims=True)
    positive = tf.nn.relu(gradients)
    return tf.reduce_sum(tf.math.divide_no_nan(square, 2 * square + total * positive**3) * positive, axis=(1, 2))
