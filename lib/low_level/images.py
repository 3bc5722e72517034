"""Images as rows of numbers in [0, 1], and labels as targets: what a network of products takes."""

from dataclasses import dataclass

import numpy as np

from lib.datasets import Dataset
from lib.datasets.splits import Split


@dataclass(frozen=True)
class Rows:
    """Some images of a data set, ready for a network."""

    index: np.ndarray  # (N,) rows of the data set's index
    images: np.ndarray  # (N, H * W) float32 in [0, 1]
    labels: np.ndarray  # (N,) int, positions in the class names
    targets: np.ndarray  # float32: (N,) of 0 and 1 for two classes, else one-hot (N, C)


@dataclass(frozen=True)
class FlatImages:
    """The images that one training reads."""

    train: Rows
    val: Rows
    test: Rows
    class_names: tuple[str, ...]


def flatten(dataset: Dataset, split: Split, *, classes: tuple[int, ...] = ()) -> FlatImages:
    """Images of a data set as rows.

    Args:
        dataset: images of one size; colours are averaged.
        split: which rows train, choose and test.
        classes: two class numbers, for a binary classifier: the first becomes 0, the second 1, all others are left
            out. None takes all classes.

    Raises:
        ValueError: if the two classes are one, or the data set has no such class.
    """
    labels = dataset.index["label"].to_numpy()
    numbers = check_classes(classes, dataset.class_names) or tuple(range(len(dataset.class_names)))
    parts = {}
    for role in ("train", "val", "test"):
        index = getattr(split, role)
        index = index[np.isin(labels[index], numbers)]
        own = positions(labels[index], numbers)
        parts[role] = Rows(index, read_rows(dataset, index), own, make_targets(own, len(numbers)))
    return FlatImages(**parts, class_names=tuple(dataset.class_names[number] for number in numbers))


def check_classes(classes: tuple[int, ...], class_names: tuple[str, ...]) -> tuple[int, ...]:
    """The class numbers as given: none, or two different ones that exist, else a ValueError lists those."""
    known = ", ".join(f"{number} {name}" for number, name in enumerate(class_names))
    if classes and (len(classes) != 2 or classes[0] == classes[1]):
        raise ValueError(f"A binary classifier needs two different classes of: {known}. Received: {classes}")
    unknown = [number for number in classes if number not in range(len(class_names))]
    if unknown:
        raise ValueError(f"Unknown class {unknown[0]}. Classes: {known}")
    return classes


def positions(labels: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    """Place of each label (N,) among the class numbers, all of which are there: (N,) int64."""
    table = np.full(max(numbers) + 1, -1)
    table[list(numbers)] = np.arange(len(numbers))
    return table[labels]


def make_targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels (N,) as float32: 0 and 1 as they are, (N,), for two classes; one-hot rows (N, num_classes) for more."""
    if num_classes == 2:
        return labels.astype(np.float32)
    return np.eye(num_classes, dtype=np.float32)[labels]


def read_rows(dataset: Dataset, index: np.ndarray) -> np.ndarray:
    """Pixels of some rows of the index, one image a row: (N, H * W) float32 in [0, 1]; colours are averaged."""
    pixels = dataset.read_pixels(index)
    if pixels.ndim == 4:
        pixels = pixels.mean(axis=3)
    return pixels.reshape(len(pixels), -1).astype(np.float32) / 255
