"""Do the pixels that a map marks matter to the model? Taken away or put in first, they must move its answer most."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.explain.methods import BASELINES
from lib.explain.network.gradients import forward
from lib.explain.network.inputs import check_question, in_batches
from lib.explain.scoring.baselines import CENTRE, baseline_maps, mean_intervals

TILES = 16  # a side of the image is changed in: single pixels would be noise, which networks answer to by itself
COLUMNS = ("method", "deletion", "deletion_low", "deletion_high", "insertion", "insertion_low", "insertion_high")


@dataclass(frozen=True, eq=False)
class Curves:
    """Probability of the class while images are taken apart or put together, tile by tile."""

    fractions: np.ndarray  # (T,) shares of the image changed, from 0 to 1
    deletion: dict[str, np.ndarray]  # by method or baseline (N, T), strongest tiles gone first
    insertion: dict[str, np.ndarray]  # the same, strongest tiles there first

    def means(self, kind: str) -> dict[str, np.ndarray]:
        """By method or baseline (T,) means over the images, of "deletion" or "insertion"."""
        return {name: curves.mean(axis=0) for name, curves in getattr(self, kind).items()}

    def areas(self) -> pd.DataFrame:
        """Areas under the curves, with 95 % bootstrap intervals over the images.

        Returns:
            One row per method and baseline: `COLUMNS`, then gain (insertion minus deletion, minus the same of the order
            from the centre outwards, image by image), gain_low (lower end of its interval) and images.
        """
        deletion = np.stack([_area(curves, self.fractions) for curves in self.deletion.values()])
        insertion = np.stack([_area(curves, self.fractions) for curves in self.insertion.values()])
        spread = insertion - deletion
        gains = spread - spread[list(self.deletion).index(CENTRE)]
        out_ends, in_ends, gain_ends = mean_intervals(np.stack([deletion, insertion, gains]))
        values = (deletion.mean(axis=1), *out_ends.T, insertion.mean(axis=1), *in_ends.T)
        frame = pd.DataFrame(dict(zip(COLUMNS, (list(self.deletion), *values), strict=True)))
        return frame.assign(gain=gains.mean(axis=1), gain_low=gain_ends[:, 0], images=deletion.shape[1])


def deletion_insertion(
    model: keras.Model,
    images: np.ndarray,
    class_index: np.ndarray,
    *,
    maps: Mapping[str, np.ndarray],
    steps: int = 16,
    batch_size: int = 64,
) -> Curves:
    """Deletion and insertion curves of every method (Petsiuk et al. 2018), beside orders made without the model.

    Tiles of the image, ranked by their mean in the map, give way to the image's mean colour (deletion) or take its
    place (insertion); equal tiles come in random order. The baselines are: from the centre outwards,
    what stands out by its colour first, and at random.

    Args:
        model: functional model of images; one that ends in softmax counts by its probabilities, others by softmax of
            their logits.
        images: (N, H, W, 3) in [0, 255].
        class_index: (N,) class of each image, or one for all.
        maps: per method (N, H, W).
        steps: how many equal steps lead from one end to the other.
        batch_size: images at once; memory grows with it and with nothing else.

    Raises:
        ValueError: if an argument is not as asked; the message states the rule.
    """
    graph, images, classes = check_question(model, images, class_index)
    for name, own in maps.items():
        if np.shape(own) != images.shape[:3]:
            raise ValueError(f"the maps must have shape {images.shape[:3]}. Received: {np.shape(own)} for {name}")
    if steps < 2 or batch_size < 1:
        raise ValueError(f"steps must be at least 2, batch_size 1. Received: steps={steps}, batch_size={batch_size}")
    ranks = tile_ranks(dict(maps) | baseline_maps(images))
    shown = np.round(np.linspace(0, 1, steps + 1) * (ranks.max() + 1)).astype(int)  # tiles changed at each step
    curves = [
        _curves_of_image(graph, image, label, ranks=ranks[:, place], shown=shown, batch_size=batch_size)
        for place, (image, label) in enumerate(zip(images.astype(np.float32), classes, strict=True))
    ]
    both = np.stack(curves, axis=2)  # (2, M, N, T)
    names = [*maps, *BASELINES]
    deletion, insertion = (dict(zip(names, kind, strict=True)) for kind in both)
    return Curves(shown / shown[-1], deletion, insertion)


def tile_ranks(maps: Mapping[str, np.ndarray], *, seed: int = 0) -> np.ndarray:
    """The place of each pixel's tile when tiles are sorted by their mean in the map, strongest first.

    Args:
        maps: M methods, each (N, H, W).
        seed: of the order among equal tiles.

    Returns:
        (M, N, H, W) int, the same for all pixels of a tile: 0 for the strongest.
    """
    rng = np.random.default_rng(seed)
    height, width = next(iter(maps.values())).shape[1:]
    rows, columns = (np.arange(side) * min(TILES, side) // side for side in (height, width))
    tiles = rows[:, None] * (columns[-1] + 1) + columns  # (H, W) number of each pixel's tile
    pixels = np.bincount(tiles.ravel())
    ranks = []
    for own in maps.values():
        sums = [np.bincount(tiles.ravel(), weights=np.ravel(single)) for single in np.asarray(own, dtype=np.float64)]
        means = np.stack(sums) / pixels
        order = np.lexsort((rng.random(means.shape), -means), axis=1)
        ranks.append(np.argsort(order, axis=1)[:, tiles])
    return np.stack(ranks)


def _curves_of_image(graph, image, label, *, ranks: np.ndarray, shown: np.ndarray, batch_size: int) -> np.ndarray:
    """(2, M, T) probabilities of one image: deletion and insertion of every method at every step."""
    fill = image.mean(axis=(0, 1))
    ends = _probabilities(graph, np.stack([image, np.broadcast_to(fill, image.shape)]), label)
    methods, inner = len(ranks), shown[1:-1]
    answers = np.empty((2, methods, len(shown)), np.float32)
    answers[0, :, 0], answers[0, :, -1] = ends
    answers[1, :, -1], answers[1, :, 0] = ends
    for part in in_batches(2 * methods * len(inner), batch_size):
        kind, method, step = np.unravel_index(np.arange(part.start, part.stop), (2, methods, len(inner)))
        first = ranks[method] < inner[step][:, None, None]  # the tiles that are gone by then, or there
        there = first == (kind == 1)[:, None, None]
        answers[kind, method, step + 1] = _probabilities(graph, np.where(there[..., None], image, fill), label)
    return answers


def _probabilities(graph, images: np.ndarray, label: int) -> np.ndarray:
    """(B,) probability of a class, by softmax of the logits."""
    return tf.nn.softmax(forward(graph, images)).numpy()[:, label]


def _area(curves: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """(N,) areas under (N, T) curves, by trapezoids."""
    return ((curves[:, 1:] + curves[:, :-1]) / 2 * np.diff(fractions)).sum(axis=1)
