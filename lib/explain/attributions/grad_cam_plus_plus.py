"""Grad-CAM++: as Grad-CAM, with weights that count each place where a map fires (Chattopadhay et al. 2018)."""

import keras
import numpy as np
import tensorflow as tf

from lib.explain.attributions.grad_cam import weigh_maps


def grad_cam_plus_plus(
    model: keras.Model, images: np.ndarray, class_index, *, layer: str | None = None, batch_size: int = 64
) -> np.ndarray:
    """Sum of a layer's maps, each times a weighted sum of its positive gradients: small and repeated objects count.

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        layer: name of a layer with rows and columns; None takes the last one that has them.
        batch_size: images at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """
    return weigh_maps(model, images, class_index, layer=layer, weigh=positive_gradients, batch_size=batch_size)


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
