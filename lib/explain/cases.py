"""Which images the explanations show, and which they are scored on: chosen by rule, never by eye."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib import evaluation
from lib.explain.scoring.object_masks import ObjectMasks, object_masks
from lib.inputs.cache import open_images
from lib.training.open_brief import OpenBrief


@dataclass(frozen=True, eq=False)
class Cases:
    """Images of val as the network sees them, with what it says of them and where their object is."""

    rows: np.ndarray  # (N,) index rows
    images: np.ndarray  # (N, S, S, 3) uint8 in [0, 255]
    labels: np.ndarray  # (N,) int true classes
    probabilities: np.ndarray  # (N, C), of the run: averaged with the mirror image where its settings say so
    objects: ObjectMasks
    class_names: tuple[str, ...]

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int predicted classes."""
        return self.probabilities.argmax(axis=1)

    @property
    def masks(self) -> np.ndarray:
        """(N, S, S) bool, True on the object; empty where it is not known."""
        return self.objects.masks

    def pick(self, places: np.ndarray) -> "Cases":
        """Some of the cases, in the order given: (K,) numbers or (N,) bool."""
        places = np.arange(len(self.rows))[places]
        reasons = tuple(self.objects.reasons[place] for place in places)
        objects = ObjectMasks(self.rows[places], self.masks[places], reasons)
        arrays = (self.rows, self.images, self.labels, self.probabilities)
        return Cases(*(array[places] for array in arrays), objects, self.class_names)

    @property
    def right(self) -> np.ndarray:
        """(N,) bool: whether the prediction is right."""
        return self.predicted == self.labels

    def predictions(self) -> dict:
        """The cases as `figures.predictions_grid` takes them."""
        return {
            "images": list(self.images),
            "true_names": [self.class_names[label] for label in self.labels],
            "predicted_names": [self.class_names[label] for label in self.predicted],
            "confidences": list(self.probabilities.max(axis=1)),
        }

    def captions(self) -> list[str]:
        """What the model says, how sure it is, and on mistakes what is there: two or three lines an image."""
        texts = []
        for label, said, row in zip(self.labels, self.predicted, self.probabilities, strict=True):
            text = f"{self.class_names[said]}\n{100 * row[said]:.0f} %"
            texts.append(text if said == label else f"✗ {text}\nis {self.class_names[label]}")
        return texts


def open_cases(opened: OpenBrief, run, *, most: int | None = None, seed: int = 0) -> Cases:
    """The images of val with a run's predictions.

    Args:
        opened: brief, data and split.
        run: a finished run of the brief.
        most: largest number of images, drawn one a class in turn; None takes all.
        seed: of the draw within each class.
    """
    settings = run.config()["settings"]
    rows, labels, probabilities = run.predictions("val")
    places = in_turn(labels, most=len(labels) if most is None else most, seed=seed)
    size, resize = settings["image_size"], settings["resize"]
    images = open_images(opened.dataset, size=size, resize=resize).read(rows[places])
    objects = object_masks(opened.dataset, rows[places], size=size, resize=resize)
    return Cases(rows[places], images, labels[places], probabilities[places], objects, opened.dataset.class_names)


def train_batches(opened: OpenBrief, run):
    """The images to train on as the network sees them, in index order.

    Args:
        opened: brief, data and split.
        run: a finished run of the brief.

    Returns:
        `tf.data.Dataset` of images (B, S, S, 3) uint8 and labels (B,).
    """
    from lib.inputs.generators import make_eval_dataset

    settings = run.config()["settings"]
    images = open_images(opened.dataset, size=settings["image_size"], resize=settings["resize"])
    return make_eval_dataset(images, opened.split.train)


def in_turn(labels: np.ndarray, *, most: int, seed: int = 0) -> np.ndarray:
    """Places of at most so many images, one a class in turn, so that every class comes before any comes twice.

    Args:
        labels: (N,) int classes.
        most: largest number of places.
        seed: of the order within each class.

    Returns:
        (K,) places, sorted.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), int)
    for label in np.unique(labels):
        own = labels[order] == label
        turn[own] = np.arange(own.sum())
    return np.sort(order[np.lexsort((labels[order], turn))][:most])


def pick_examples(labels: np.ndarray, probabilities: np.ndarray, *, hits: int = 4, misses: int = 3) -> np.ndarray:
    """The surest right predictions, one a class, then the surest mistakes; where one kind is short, the other fills up.

    Args:
        labels: (N,) int true classes.
        probabilities: (N, C).
        hits: right predictions wanted.
        misses: mistakes wanted.

    Returns:
        Places, right ones first; hits + misses of them where there are as many images.
    """
    wanted = min(hits + misses, len(labels))
    sure = {
        right: evaluation.most_confident(labels, probabilities, right=right, k=len(labels)) for right in (True, False)
    }
    ranked = {right: _classes_first(places, labels) for right, places in sure.items()}
    right = ranked[True][: max(hits, wanted - len(ranked[False]))]
    wrong = ranked[False][: wanted - len(right)]
    return np.concatenate([right, wrong]).astype(int)


def both_ways(cases: Cases, model, method) -> dict[str, np.ndarray]:
    """Two maps of each mistake: for the class that the model names, and for the true one.

    Args:
        cases: mistakes of the model.
        model: the model.
        method: called as (model, images, class_index) -> (N, S, S).
    """
    return {
        "for what it says": method(model, cases.images, cases.predicted),
        "for the truth": method(model, cases.images, cases.labels),
    }


def surest_classes(labels: np.ndarray, probabilities: np.ndarray, *, most: int) -> np.ndarray:
    """The classes that the model knows best: (K,) numbers, highest mean probability of their own images first.

    Args:
        labels: (N,) int true classes.
        probabilities: (N, C).
        most: largest number of classes.
    """
    classes = np.unique(labels)
    sure = [probabilities[labels == label, label].mean() for label in classes]
    return classes[np.argsort(-np.asarray(sure), kind="stable")][:most]


def _classes_first(places: Sequence[int], labels: np.ndarray) -> np.ndarray:
    """The same places: the first of each class, then the second of each, and so on, else in the order given."""
    seen: dict[int, int] = {}
    turns = []
    for place in places:
        label = int(labels[place])
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    return np.asarray(places, int)[np.argsort(turns, kind="stable")]
