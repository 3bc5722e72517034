"""Occlusion: how much the logit falls when a patch of the image is covered (Zeiler & Fergus 2013)."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.maps import to_maps
from lib.explain.network.inputs import check_question, in_batches, plain_images, refuse_layer
from lib.explain.network.passes import make_forward


@dataclass(frozen=True)
class Occlusion(Config):
    """The patches; where their steps do not reach the border, one more patch touches it."""

    size: int | None = None  # pixels a side; None takes an eighth of the shorter side of the images
    stride: int | None = None  # pixels from patch to patch; None takes half the size
    fill: float | None = None  # grey value in [0, 255] that covers; None takes the mean colour of each image

    def rules(self) -> dict[str, bool]:
        return {
            "size and stride are positive": min(1 if side is None else side for side in (self.size, self.stride)) > 0,
            "fill lies in [0, 255]": 0 <= (self.fill or 0) <= 255,
        }


DEFAULT = Occlusion()


def occlusion(
    model: keras.Model,
    images: np.ndarray,
    class_index,
    *,
    layer: str | None = None,
    settings: Occlusion = DEFAULT,
    batch_size: int = 64,
) -> np.ndarray:
    """The fall of the logit under each patch; a pixel gets the mean over the patches that cover it, a rise counts 0.

    Args:
        model: functional or sequential, (N, H, W, C) in [0, 255] -> (N, classes).
        images: (N, H, W, C) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        layer: must be None: patches cover pixels.
        settings: size, stride and grey value of the patches.
        batch_size: covered images at once; memory grows with it.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        ValueError: if an argument is not as described; the message states the rule.
    """
    refuse_layer("occlusion", layer)
    network, images, classes = check_question(model, images, class_index)
    rows, columns = patches(images.shape[1:3], settings)
    forward = make_forward(network)
    values, fill = tf.cast(images, tf.float32), tf.constant(plain_images(images, settings.fill))
    whole = [forward(values[part]).numpy() for part in in_batches(len(images), batch_size)]
    scores = np.concatenate(whole)[np.arange(len(images)), classes]
    falls = np.empty((len(images), len(rows), len(columns)), np.float32)
    for part in in_batches(falls.size, batch_size):
        image, row, column = np.unravel_index(np.arange(part.start, part.stop), falls.shape)
        covered = rows[row][:, :, None, None] & columns[column][:, None, :, None]
        logits = forward(tf.where(covered, tf.gather(fill, image), tf.gather(values, image))).numpy()
        falls[image, row, column] = scores[image] - logits[np.arange(len(image)), classes[image]]
    maps = np.einsum("nij,ih,jw->nhw", falls, rows, columns) / np.outer(rows.sum(axis=0), columns.sum(axis=0))
    return to_maps(np.maximum(maps, 0), size=images.shape[1:3], scale=scores)


def patches(sides: tuple[int, int], settings: Occlusion) -> tuple[np.ndarray, np.ndarray]:
    """Which rows and columns of pixels each row and column of patches covers.

    Args:
        sides: height and width of the images.
        settings: size and stride.

    Returns:
        Two bool arrays, (rows of patches, H) and (columns of patches, W); every pixel is covered.

    Raises:
        ValueError: if a patch is larger than the image, or the stride longer than the patch, which would skip pixels.
    """
    size = settings.size or max(1, min(sides) // 8)
    stride = settings.stride or max(1, size // 2)
    if size > min(sides) or stride > size:
        raise ValueError(
            f"patches must fit the image of {sides[0]} x {sides[1]} pixels, and their stride must not exceed their "
            f"size, else pixels are skipped. Received: size={size}, stride={stride}"
        )
    covers = []
    for side in sides:
        starts = np.append(np.arange(0, side - size, stride), side - size)[:, None]
        covers.append((np.arange(side) >= starts) & (np.arange(side) < starts + size))
    return covers[0], covers[1]
