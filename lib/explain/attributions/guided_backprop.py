"""Guided backpropagation: the gradient, with nothing negative let back through a ReLU (Springenberg et al. 2014)."""

import keras
import numpy as np

from lib.explain.attributions.maps import strongest_channel, to_maps
from lib.explain.network.inputs import check_question, in_batches
from lib.explain.network.passes import is_relu, make_backward
from lib.explain.network.taps import IMAGE, find_spatial


def guided_backprop(
    model: keras.Model, images: np.ndarray, class_index, *, layer: str | None = None, batch_size: int = 64
) -> np.ndarray:
    """Sharp pictures of what the image shows; the largest guided gradient over the channels, unsigned.

    Warning: these maps say little about the model. Adebayo et al. (2018, "Sanity checks for saliency maps") found that
    they hardly change when the weights are replaced by random ones, and Nie et al. (2018) proved for simple networks
    that they recover the image rather than what decides between classes. Look at their weight randomisation before
    reading anything from them.

    Args:
        model: functional or sequential with ReLUs, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        layer: name of a layer with rows and columns, to take the gradient there instead of at the pixels.
        batch_size: images at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: if the model has no ReLU, or an argument is not as described; the message states the rule.
    """
    network, images, classes = check_question(model, images, class_index)
    if not any(is_relu(step) for step in network.steps.values()):
        raise ValueError("guided backpropagation changes the gradient of ReLUs, and the model has none")
    at = IMAGE if layer is None else find_spatial(network, layer)
    backward = make_backward(network, at=at, guided=True)
    maps = []
    for rows in in_batches(len(images), batch_size):
        _, gradients, _ = backward(images[rows], classes[rows])
        maps.append(strongest_channel(gradients))
    return to_maps(np.concatenate(maps), size=images.shape[1:3])
