"""Where a model is right and wrong: class by class, pair by pair, image by image.

Labels (N,) and probabilities (N, C) are those of `lib.evaluation.metrics`, and refused alike; a matrix that is not
square, names that do not match it and a negative k are a ValueError too.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from lib.evaluation.metrics import check_predictions


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Images counted by true class (row) and predicted class (column): (C, C) int64, classes without images too."""
    labels, probabilities = check_predictions(labels, probabilities)
    classes = np.arange(probabilities.shape[1])
    return metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes).astype(np.int64)


def per_class(labels: np.ndarray, probabilities: np.ndarray, *, class_names: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 of each class.

    Args:
        class_names: C names.

    Returns:
        One row per class, in class order: class_name, images (of that true class), precision, recall, f1 (NaN where
        there is nothing to divide by: no prediction, no image, neither) and most_confused_with (the wrong class most
        often predicted for its images, "" if none).
    """
    matrix = confusion_matrix(labels, probabilities)
    _check_names(matrix, class_names)
    precision, recall, f1, images = metrics.precision_recall_fscore_support(
        labels, np.argmax(probabilities, axis=1), labels=np.arange(len(matrix)), zero_division=np.nan
    )
    columns = {"class_name": list(class_names), "images": images, "precision": precision, "recall": recall, "f1": f1}
    return pd.DataFrame(columns | {"most_confused_with": rivals(matrix, class_names)})


def recall_by_size(recall: np.ndarray, sizes: np.ndarray) -> tuple[float, float] | None:
    """Mean recall of the smaller and of the larger classes; classes without test images, NaN, do not count.

    Args:
        recall: (C,) of each class, as in `per_class`.
        sizes: (C,) training images of each class; a class is small with at most the median.

    Returns:
        Both means in [0, 1], or None where one of the two cannot be computed.
    """
    recall, small = pd.Series(recall, dtype=np.float64), np.asarray(sizes) <= np.median(sizes)
    both = float(recall[small].mean()), float(recall[~small].mean())
    return None if np.isnan(both).any() else both


def rivals(matrix: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """For each class the wrong one that its images are most often taken for, "" if none; matrix (C, C) of counts."""
    wrong = matrix - np.diag(np.diag(matrix))
    return [class_names[row.argmax()] if row.any() else "" for row in wrong]


def confused_pairs(matrix: np.ndarray, class_names: Sequence[str], *, k: int = 10) -> pd.DataFrame:
    """The mistakes that happen most often.

    Args:
        matrix: (C, C) counts, true class by predicted class.
        class_names: C names.
        k: largest number of pairs.

    Returns:
        At most k rows with at least one image each, most images first (then the larger share, then class order):
        true_class, predicted_class, images, share (of the true class's images).
    """
    matrix = np.asarray(matrix)
    _check_names(matrix, class_names)
    if k < 0:
        raise ValueError(f"k must not be negative. Received: {k}")
    true, predicted = np.nonzero(matrix - np.diag(np.diag(matrix)))
    images = matrix[true, predicted]
    share = images / matrix.sum(axis=1)[true]
    order = np.lexsort((-share, -images))[:k]
    columns = {"true_class": [class_names[i] for i in true[order]]}
    columns["predicted_class"] = [class_names[i] for i in predicted[order]]
    return pd.DataFrame(columns | {"images": images[order], "share": share[order]})


def most_confident(labels: np.ndarray, probabilities: np.ndarray, *, right: bool, k: int) -> np.ndarray:
    """Row numbers of the right (or the wrong) predictions that the model is most sure of.

    Args:
        right: True for right predictions, False for wrong ones.
        k: largest number of rows.

    Returns:
        At most k row numbers, int64, the highest probability first; equal ones keep their order.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    if k < 0:
        raise ValueError(f"k must not be negative. Received: {k}")
    rows = np.flatnonzero((probabilities.argmax(axis=1) == labels) == right)
    order = np.argsort(-probabilities[rows].max(axis=1), kind="stable")
    return rows[order][:k]


def one_class_in_turn(labels: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Places (N,) int64 in a random order in which every class comes before any comes twice.

    In each turn the classes of the labels (N,) follow one another by number; the seed is that of the order in a class.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = np.asarray(labels)[order]
    return order[np.lexsort((shuffled, turns(shuffled)))]


def turns(labels: np.ndarray) -> np.ndarray:
    """How many of the labels (N,) before each one are the same: sorted by it, every class comes before any twice."""
    return pd.Series(labels).groupby(labels).cumcount().to_numpy()


def _check_names(matrix: np.ndarray, class_names: Sequence[str]) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a confusion matrix must have shape (C, C). Received: {matrix.shape}")
    if len(class_names) != len(matrix):
        raise ValueError(f"class_names must have {len(matrix)} entries, one per class. Received: {len(class_names)}")
