"""Gradient of the class's logit with respect to the pixels (Simonyan et al. 2013)."""

import keras
import numpy as np

from lib.explain.attributions.maps import strongest_channel, to_maps
from lib.explain.network.inputs import check_question, in_batches
from lib.explain.network.passes import make_backward
from lib.explain.network.taps import IMAGE, find_spatial


def gradient(
    model: keras.Model, images: np.ndarray, class_index, *, layer: str | None = None, batch_size: int = 64
) -> np.ndarray:
    """Where a small change of a pixel would change the logit most: the largest gradient over the channels, unsigned.

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        layer: name of a layer with rows and columns, to take the gradient there instead of at the pixels.
        batch_size: images at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """
    network, images, classes = check_question(model, images, class_index)
    at = IMAGE if layer is None else find_spatial(network, layer)
    backward = make_backward(network, at=at)
    maps = []
    for rows in in_batches(len(images), batch_size):
        _, gradients, _ = backward(images[rows], classes[rows])
        maps.append(strongest_channel(gradients))
    return to_maps(np.concatenate(maps), size=images.shape[1:3])
