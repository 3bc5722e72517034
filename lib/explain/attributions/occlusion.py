"""Occlusion: how much the logit falls when a patch of the image is covered (Zeiler & Fergus 2013)."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.attribution import FLAT, Question, attribution, plain_images
from lib.explain.network.gradients import forward, in_batches


@dataclass(frozen=True)
class Occlusion(Config):
    """The patches; where their steps do not reach the border, one more patch touches it."""

    size: int | None = None  # pixels per side; None takes a fifth of the shorter side of the images
    stride: int | None = None  # pixels from patch to patch; None takes half the size
    fill: float | None = None  # grey value in [0, 255] that covers; None takes the mean colour of each image

    def rules(self) -> dict[str, bool]:
        return {
            "size and stride are positive": min(1 if side is None else side for side in (self.size, self.stride)) > 0,
            "fill lies in [0, 255]": 0 <= (self.fill or 0) <= 255,
        }


@attribution(at=None, settings=Occlusion())
def occlusion(question: Question, settings: Occlusion) -> np.ndarray:
    """The fall of the logit under each patch; a pixel gets the mean over the patches that cover it, a rise counts 0."""
    graph, images, classes = question.graph, question.images, question.classes
    rows, columns = patches(images.shape[1:3], settings)
    values, fill = tf.cast(images, tf.float32), tf.constant(plain_images(images, settings.fill))
    scores = question.outputs(values).numpy()[np.arange(len(images)), classes]
    falls = np.empty((len(images), len(rows), len(columns)), np.float32)
    for part in in_batches(falls.size, question.batch_size):
        image, row, column = np.unravel_index(np.arange(part.start, part.stop), falls.shape)
        covered = rows[row][:, :, None, None] & columns[column][:, None, :, None]
        logits = forward(graph, tf.where(covered, tf.gather(fill, image), tf.gather(values, image))).numpy()
        falls[image, row, column] = scores[image] - logits[np.arange(len(image)), classes[image]]
    maps = np.einsum("nij,ih,jw->nhw", falls, rows, columns) / np.outer(rows.sum(axis=0), columns.sum(axis=0))
    maps = np.maximum(maps, 0).astype(np.float32)
    # The falls are differences of the scores: below their rounding, a map shows nothing.
    rounding = FLAT * np.abs(scores)[:, None, None]
    return np.where(np.ptp(maps, axis=(1, 2), keepdims=True) <= rounding, 0, maps)


def patches(sides: tuple[int, int], settings: Occlusion) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels each row and column of patches covers: bool (rows of patches, H) and (columns of patches, W)."""
    size = settings.size or max(1, min(sides) // 5)
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
