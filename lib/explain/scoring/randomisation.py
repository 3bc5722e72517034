"""Does a map depend on what the model has learnt? Weights are shuffled from the head down, and maps compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
from scipy import stats

from lib.explain.network.layers import read_layers
from lib.explain.scoring.baselines import interval_columns

TRAINED = "as trained"
DEPTHS = 4  # groups of layers to shuffle at most, one after the other; layers beyond the head are grouped evenly
SEEDS = (0, 1, 2)  # one per shuffle; image i meets the shuffle of seed i modulo their number
# Two maps with a rank correlation r share r² of the variance of their ranks: above 0.5, more than a quarter of the map
# is still there when weights have lost their places, on average over the depths of the cascade.
SIMILARITY_LIMIT = 0.5


@dataclass(frozen=True, eq=False)
class Cascade:
    """Maps of a model whose weights are shuffled further and further down; the first depth is the trained model."""

    depths: tuple[str, ...]  # D names: "as trained", then the last group of layers shuffled
    maps: dict[str, np.ndarray]  # by method (D, N, H, W)
    similarity: dict[str, np.ndarray]  # by method (D, N) rank correlation with the trained model's map

    @property
    def left(self) -> dict[str, float]:
        """By method how much of its maps is left on average, over all shuffled depths and images: in [-1, 1].

        The average, not the last depth: a map that only gives way when the first layers are shuffled shows edges, which
        is all that those layers see (Adebayo et al. found so for guided backpropagation).
        """
        return {method: float(values[1:].mean()) for method, values in self.similarity.items()}

    @property
    def means(self) -> dict[str, np.ndarray]:
        """By method (D,) rank correlations, as means over the images."""
        return {method: values.mean(axis=1) for method, values in self.similarity.items()}

    def maps_of(self, place: int) -> dict[str, np.ndarray]:
        """By method (D, H, W): the maps of one image."""
        return {method: own[:, place] for method, own in self.maps.items()}

    def verdicts(self) -> dict[str, tuple[bool, str]]:
        """By method whether more of it is left than `SIMILARITY_LIMIT`, and a few words that say so."""
        words = {True: "left: fails, changes too little", False: "left: changes"}
        verdicts = {}
        for method, left in self.left.items():
            number, fails = f"{left:.2f}".replace("-", "\u2212"), left > SIMILARITY_LIMIT  # \u2212: the minus sign
            verdicts[method] = fails, f"{number} {words[fails]}"
        return verdicts

    def table(self) -> pd.DataFrame:
        """One row per method and depth: method, depth, shuffled, similarity, its 95 % bootstrap interval, images."""
        parts = []
        for method, values in self.similarity.items():
            columns = {"method": method, "depth": range(len(self.depths)), "shuffled": self.depths}
            parts.append(pd.DataFrame(columns | interval_columns("similarity", values)).assign(images=values.shape[1]))
        return pd.concat(parts, ignore_index=True)


def cascade(
    model: keras.Model, images: np.ndarray, class_index, *, methods: Mapping[str, Callable[..., np.ndarray]]
) -> Cascade:
    """Explain the same images while the weights are shuffled, from the head down (Adebayo et al. 2018).

    All entries of each weight array are shuffled within it: the model keeps the numbers it has learnt, and so their
    spread, but none stays in its place. A map that survives this shows the image, not the model. The images are dealt
    to several shuffles in turn, so that no verdict hangs on one.

    Args:
        model: functional model of images. Its own layers are shuffled, because not every layer can be copied, and get
            their weights back at the end, also where a method fails.
        images: (N, H, W, 3) in [0, 255].
        class_index: class to explain, one for all images or (N,) one per image.
        methods: by name, called as (model, images, class_index) -> (N, H, W).

    Raises:
        ValueError: if there are no methods or the model has no weights.
    """
    if not methods:
        raise ValueError("the cascade needs at least one method. Received: none")
    classes = np.broadcast_to(class_index, len(images))
    groups = weight_groups(model, most=DEPTHS)
    depths = 1 + len(groups)
    maps = {name: np.stack([method(model, images, classes)] * depths) for name, method in methods.items()}
    trained = model.get_weights()
    for number, seed in enumerate(SEEDS[: len(images)]):
        places = np.arange(number, len(images), len(SEEDS))
        rng = np.random.default_rng(seed)
        try:
            for depth, layers in enumerate(groups.values(), start=1):
                for layer in layers:
                    shuffle_weights(layer, rng)
                for name, method in methods.items():
                    maps[name][depth, places] = method(model, images[places], classes[places])
        finally:
            model.set_weights(trained)
    similarity = {name: np.stack([rank_correlation(own[0], other) for other in own]) for name, own in maps.items()}
    return Cascade((TRAINED, *groups), maps, similarity)


def weight_groups(model: keras.Model, *, most: int) -> dict[str, list]:
    """Layers with weights in at most `most` (2 or more) groups from the head down, by name.

    Layers whose names share what stands before `__` belong together, as one block. The head is always a group of its
    own; if there are more groups than asked for, neighbours among the others are joined. The name of a group is that of
    the deepest block in it, the last one's "all".
    """
    blocks: dict[str, list] = {}
    seen = set()
    for step in reversed(read_layers(model).steps.values()):
        if getattr(step.layer, "weights", ()) and id(step.layer) not in seen:
            seen.add(id(step.layer))
            blocks.setdefault(step.name.split("__")[0], []).append(step.layer)
    if not blocks:
        raise ValueError("the weights can only be shuffled if there are some. Received: a model without weights")
    names = list(blocks)
    head, rest = names[:1], names[1:]
    cuts = np.linspace(0, len(rest), min(most - 1, len(rest)) + 1).round().astype(int)
    parts = [head, *(rest[first:last] for first, last in zip(cuts[:-1], cuts[1:], strict=True))]
    titles = [*(part[-1] for part in parts[:-1]), "all"]
    return {title: [own for name in part for own in blocks[name]] for title, part in zip(titles, parts, strict=True)}


def shuffle_weights(layer, rng: np.random.Generator) -> None:
    """Shuffle the entries of each of a layer's weight arrays within it."""
    for weight in layer.weights:
        values = keras.ops.convert_to_numpy(weight)
        weight.assign(rng.permutation(values.ravel()).reshape(values.shape))


def rank_correlation(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) Spearman's rank correlations in [-1, 1] of maps (N, H, W) with others; equal values share their mean rank.

    A flat map has no order: beside another flat one it counts as unchanged (1), beside any other as changed (0).
    """
    ranks = [stats.rankdata(np.reshape(own, (len(own), -1)), axis=1) for own in (maps, others)]
    first, second = (own - own.mean(axis=1, keepdims=True) for own in ranks)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    both_flat = ~first.any(axis=1) & ~second.any(axis=1)
    return np.where(both_flat, 1.0, (first * second).sum(axis=1) / np.where(scale > 0, scale, 1.0))
