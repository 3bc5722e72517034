"""What predictions must look like, and one number for a whole set of them.

Every metric takes labels (N,), integers in [0, C - 1] with N at least 1, and probabilities (N, C) in [0, 1] with C at
least 2, whose rows sum to 1 within `ROW_SUM_TOLERANCE`. It raises a ValueError (`check_predictions`) where they break a
rule. Where probabilities are equal, the lower class index wins.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

ROW_SUM_TOLERANCE = 1e-3  # wide enough for probabilities stored in half precision
SMALLEST_PROBABILITY = 1e-7  # keeps the logarithm finite when a model is sure and wrong; Keras uses the same
CALIBRATION_BINS = 15  # as in Guo et al. 2017, On Calibration of Modern Neural Networks


def check_labels(labels: Sequence[int], *, num_classes: int | None = None) -> np.ndarray:
    """Integers (N,), N at least 1, as int64; ValueError unless they lie in [0, num_classes - 1], if that is given."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels must have shape (N,) with N at least 1. Received: shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers. Received: {labels.dtype}")
    if labels.min() < 0 or (num_classes is not None and labels.max() >= num_classes):
        highest = "..." if num_classes is None else num_classes - 1
        raise ValueError(f"labels must lie in [0, {highest}]. Received: values from {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)


def check_predictions(labels: Sequence[int], probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as int64 and probabilities as float64, once they obey the rules at the top; else a ValueError."""
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(f"probabilities must have shape (N, C) with C at least 2. Received: {probabilities.shape}")
    if probabilities.dtype.kind not in "fiu":
        raise ValueError(f"probabilities must be real numbers. Received: {probabilities.dtype}")
    labels = check_labels(labels, num_classes=probabilities.shape[1])
    if len(labels) != len(probabilities):
        raise ValueError(
            f"labels and probabilities must have one row per image. Received: {len(labels)} and {len(probabilities)}"
        )
    probabilities = probabilities.astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if broken.size:
        raise ValueError(f"probabilities must be finite. Received: {broken.size} rows that are not, first {broken[0]}")
    if probabilities.min() < 0 or probabilities.max() > 1 + ROW_SUM_TOLERANCE:
        raise ValueError(
            "probabilities must lie in [0, 1]; logits need a softmax first. "
            f"Received: values from {probabilities.min():.4g} to {probabilities.max():.4g}"
        )
    sums = probabilities.sum(axis=1)
    if np.abs(sums - 1).max() > ROW_SUM_TOLERANCE:
        raise ValueError(
            f"each row of probabilities must sum to 1 within {ROW_SUM_TOLERANCE}. "
            f"Received: sums from {sums.min():.4g} to {sums.max():.4g}"
        )
    return labels, probabilities


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of images whose most probable class is the true one, in [0, 1]."""
    labels, probabilities = check_predictions(labels, probabilities)
    return float(np.mean(labels == probabilities.argmax(axis=1)))


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, *, k: int = 5) -> float:
    """Share of images whose true class is among the k most probable ones, in [0, 1]; k is at least 1.

    scikit-learn's own function refuses two classes and warns when k reaches C; here k is limited to C.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: {k}")
    true = probabilities[np.arange(len(labels)), labels][:, None]
    equal_before = (probabilities == true) & (np.arange(probabilities.shape[1]) < labels[:, None])
    rank = ((probabilities > true) | equal_before).sum(axis=1)
    return float(np.mean(rank < k))


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative natural logarithm of the true class's probability (nats), clipped at 1e-7 from below."""
    labels, probabilities = check_predictions(labels, probabilities)
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, SMALLEST_PROBABILITY, 1.0)).mean())


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over classes of each class's own accuracy, in [0, 1]; classes without images do not count."""
    return _mean_over_classes(metrics.recall_score, labels, probabilities)


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over classes of the F1 score, in [0, 1]; classes without images do not count."""
    return _mean_over_classes(metrics.f1_score, labels, probabilities)


def _mean_over_classes(score, labels: np.ndarray, probabilities: np.ndarray) -> float:
    labels, probabilities = check_predictions(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    return float(score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0))


def reliability_bins(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Confidence against accuracy in equal-width bins of the highest probability.

    Args:
        bins: number of bins over (0, 1], at least 1; a value on an edge belongs to the bin below it.

    Returns:
        One row per bin: low, high, images, confidence (mean highest probability) and accuracy; NaN in empty bins.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    if bins < 1:
        raise ValueError(f"bins must be at least 1. Received: {bins}")
    edges = np.linspace(0, 1, bins + 1)
    confidence = probabilities.max(axis=1)
    place = np.digitize(confidence, edges[1:-1], right=True)
    images = np.bincount(place, minlength=bins)
    divisor = np.where(images > 0, images, np.nan)
    right = probabilities.argmax(axis=1) == labels
    columns = {"low": edges[:-1], "high": edges[1:], "images": images}
    columns["confidence"] = np.bincount(place, weights=confidence, minlength=bins) / divisor
    columns["accuracy"] = np.bincount(place, weights=right, minlength=bins) / divisor
    return pd.DataFrame(columns)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error (Guo et al. 2017): mean gap between confidence and accuracy over the bins.

    Bins are weighted by their images; in [0, 1], and 0 says that the confidence means what it says.
    """
    table = reliability_bins(labels, probabilities, bins=bins)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["images"]).sum() / table["images"].sum())


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | int]:
    """The numbers that a report quotes about one set of predictions; `images` is N."""
    return {
        "accuracy": accuracy(labels, probabilities),
        "top5_accuracy": top_k_accuracy(labels, probabilities),
        "cross_entropy": cross_entropy(labels, probabilities),
        "balanced_accuracy": balanced_accuracy(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
        "macro_f1": macro_f1(labels, probabilities),
        "images": len(labels),
    }
