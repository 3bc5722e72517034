"""RISE: the mean of random masks, each weighted by the logit of the image seen through it (Petsiuk et al. 2018)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.config import Config
from lib.explain.attributions.attribution import Question, attribution, plain_images
from lib.explain.network.gradients import forward, in_batches


@dataclass(frozen=True)
class Rise(Config):
    """The random masks."""

    masks: int = 500
    cells: int = 7  # a side of the coarse grid that is drawn at random, then enlarged and shifted
    keep: float = 0.5  # chance of a cell to stay visible
    fill: float | None = None  # grey value in [0, 255] of what is hidden; None takes the mean colour of each image
    seed: int = 0

    def rules(self) -> dict[str, bool]:
        return {
            "masks and cells are positive": min(self.masks, self.cells) > 0,
            "keep lies between 0 and 1": 0 < self.keep < 1,
            "fill lies in [0, 255]": 0 <= (self.fill or 0) <= 255,
        }


@attribution(at=None, settings=Rise())
def rise(question: Question, settings: Rise) -> np.ndarray:
    """The mean logit over the masks that show a pixel: where seeing it helps the class.

    All images are seen through the same masks, so that a map depends on nothing but its image.
    """
    graph, images, classes = question.graph, question.images, question.classes
    total, shown = np.zeros((len(images), images[0, ..., 0].size)), np.zeros(images[0, ..., 0].size)
    values, fill = tf.cast(images, tf.float32), tf.constant(plain_images(images, settings.fill))
    for masks in draw_masks(images.shape[1:3], settings=settings, batch_size=question.batch_size):
        open_share = tf.constant(masks[..., None], tf.float32)
        scores = [
            forward(graph, hidden + open_share * (image - hidden)).numpy()[:, label]
            for image, hidden, label in zip(values, fill, classes, strict=True)
        ]
        masks = masks.reshape(len(masks), -1)
        total += np.stack(scores).astype(np.float64) @ masks  # in float64: the logits may dwarf their differences
        shown += masks.sum(axis=0)
    return (total / shown).reshape(images.shape[:3])


def draw_masks(sides: tuple[int, int], *, settings: Rise, batch_size: int) -> Iterator[np.ndarray]:
    """Random masks (B, H, W) in [0, 1], the share of the image that shows, `batch_size` at once.

    Each is a coarse grid of zeros and ones, enlarged bilinearly and shifted by less than a cell.
    """
    rng = np.random.default_rng(settings.seed)
    corners = settings.cells + 2  # of the cells that the image overlaps, wherever the shift puts it
    grids = rng.random((settings.masks, corners, corners)) < settings.keep
    shifts = rng.random((settings.masks, 2))
    for part in in_batches(settings.masks, batch_size):
        ways = []
        for side, shift in zip(sides, shifts[part].T, strict=True):
            place = np.arange(side) * settings.cells / side + shift[:, None]  # in cells
            ways.append(np.maximum(0, 1 - np.abs(place[..., None] - np.arange(corners))))  # (B, side, corners)
        yield np.einsum("byi,bij,bxj->byx", ways[0], grids[part].astype(np.float64), ways[1], optimize=True)
