"""Do the pixels that a map marks matter to the model? Taken away or put in first, they must move its answer most."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from lib.explain.attributions.attribution import ask
from lib.explain.network.gradients import forward, in_batches
from lib.explain.network.logits import LogitGraph
from lib.explain.scoring.baselines import CENTRE, baseline_maps, interval_columns

TILES = 16  # a side of the image is changed in: single pixels would be noise, which networks answer to by itself
BATCH_SIZE = 64  # changed images at once


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
        """Areas under the curves (by trapezoids), with 95 % bootstrap intervals over the images.

        Returns:
            One row per method and baseline: method; deletion and insertion, each with `_low` and `_high`; gain
            (insertion minus deletion, minus the same of the order from the centre outwards, image by image) and
            gain_low (lower end of its interval); images.
        """
        deletion, insertion = (  # (M, N)
            np.stack([((own[:, 1:] + own[:, :-1]) / 2 * np.diff(self.fractions)).sum(axis=1) for own in kind.values()])
            for kind in (self.deletion, self.insertion)
        )
        spread = insertion - deletion
        columns = interval_columns("deletion", deletion) | interval_columns("insertion", insertion)
        columns |= interval_columns("gain", spread - spread[list(self.deletion).index(CENTRE)])
        table = pd.DataFrame({"method": list(self.deletion), **columns, "images": deletion.shape[1]})
        return table.drop(columns="gain_high")


def deletion_insertion(
    model: keras.Model, images: np.ndarray, class_index, *, maps: Mapping[str, np.ndarray], steps: int = 16
) -> Curves:
    """Deletion and insertion curves of every method (Petsiuk et al. 2018), beside orders made without the model.

    Tiles of the image, ranked by their mean in the map, give way to the image's mean colour (deletion) or take its
    place (insertion); equal tiles come in random order. The baselines are: from the centre outwards,
    what stands out by its colour first, and at random.

    Args:
        model: functional model of images. Its own probabilities count; of one that ends in logits, the softmax of them,
            or of a single logit the sigmoid.
        images: (N, H, W, 3) in [0, 255].
        class_index: (N,) class of each image, or one for all.
        maps: per method (N, H, W).
        steps: how many equal steps lead from one end to the other.

    Raises:
        ValueError: if an argument is not as asked; the message states the rule.
    """
    question = ask(model, images, class_index)
    images = question.images.astype(np.float32)
    for name, own in maps.items():
        if np.shape(own) != images.shape[:3]:
            raise ValueError(f"the maps must have shape {images.shape[:3]}. Received: {np.shape(own)} for {name}")
    if steps < 2:
        raise ValueError(f"steps must be at least 2. Received: {steps}")
    maps = dict(maps) | baseline_maps(question.images)
    ranks = tile_ranks(maps)
    shown = np.round(np.linspace(0, 1, steps + 1) * (ranks.max() + 1)).astype(int)  # tiles changed at each step
    curves = [
        _curves_of_image(question.graph, image, label, ranks=ranks[:, place], shown=shown)
        for place, (image, label) in enumerate(zip(images, question.classes, strict=True))
    ]
    deletion, insertion = (dict(zip(maps, kind, strict=True)) for kind in np.stack(curves, axis=2))  # (2, M, N, T)
    return Curves(shown / shown[-1], deletion, insertion)


def tile_ranks(maps: Mapping[str, np.ndarray]) -> np.ndarray:
    """The place of each pixel's tile when tiles are sorted by their mean in the map, for M maps (N, H, W).

    (M, N, H, W) int, the same for all pixels of a tile: 0 for the strongest; equal tiles are drawn at random.
    """
    rng = np.random.default_rng(0)
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


def _curves_of_image(graph: LogitGraph, image, label: int, *, ranks: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(2, M, T) probabilities of one image: deletion and insertion of every method at every step."""

    def probabilities(images: np.ndarray) -> np.ndarray:
        return graph.link(forward(graph, images)).numpy()[:, label]

    fill = image.mean(axis=(0, 1))
    ends = probabilities(np.stack([image, np.broadcast_to(fill, image.shape)]))
    methods, inner = len(ranks), shown[1:-1]
    answers = np.empty((2, methods, len(shown)), np.float32)
    answers[0, :, 0], answers[0, :, -1] = ends
    answers[1, :, -1], answers[1, :, 0] = ends
    for part in in_batches(2 * methods * len(inner), BATCH_SIZE):
        kind, method, step = np.unravel_index(np.arange(part.start, part.stop), (2, methods, len(inner)))
        first = ranks[method] < inner[step][:, None, None]  # the tiles that are gone by then, or there
        there = first == (kind == 1)[:, None, None]
        answers[kind, method, step + 1] = probabilities(np.where(there[..., None], image, fill))
    return answers
