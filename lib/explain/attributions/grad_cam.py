"""Grad-CAM: the maps of a layer, weighted by how much each moves the logit (Selvaraju et al. 2017)."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from lib.explain.attributions.maps import to_maps
from lib.explain.network.inputs import check_question, in_batches
from lib.explain.network.passes import make_backward
from lib.explain.network.taps import find_last_spatial, find_spatial


def grad_cam(
    model: keras.Model, images: np.ndarray, class_index, *, layer: str | None = None, batch_size: int = 64
) -> np.ndarray:
    """Sum of a layer's maps, each times the mean of its gradient; what speaks against the class is cut off.

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
    return weigh_maps(model, images, class_index, layer=layer, weigh=mean_gradients, batch_size=batch_size)


def mean_gradients(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """(N, C) weight of each channel: the mean of its gradient (N, h, w, C) over the rows and columns."""
    return tf.reduce_mean(gradients, axis=(1, 2))


def weigh_maps(
    model: keras.Model,
    images: np.ndarray,
    class_index,
    *,
    layer: str | None,
    weigh: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    batch_size: int,
) -> np.ndarray:
    """Class activation maps with weights that `weigh` computes from a layer's activations and their gradients."""
    network, images, classes = check_question(model, images, class_index)
    at = find_last_spatial(network) if layer is None else find_spatial(network, layer)
    backward = make_backward(network, at=at)
    maps = []
    for rows in in_batches(len(images), batch_size):
        activations, gradients, _ = backward(images[rows], classes[rows])
        weights = weigh(activations, gradients)
        maps.append(tf.nn.relu(tf.einsum("nhwc,nc->nhw", activations, weights)).numpy())
    return to_maps(np.concatenate(maps), size=images.shape[1:3])
