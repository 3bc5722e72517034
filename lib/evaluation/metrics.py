"""What predictions must look like, and one number for a whole set of them.

Every metric takes labels (N,), integers in [0, C - 1], and probabilities (N, C) in [0, 1], and raises the ValueError of
`check_predictions` where they break a rule.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

ROW_SUM_TOLERANCE = 1e-3  # wide enough for probabilities stored in half precision
SMALLEST_PROBABILITY = 1e-7  # keeps the logarithm finite when a model is sure and wrong; Keras uses the same
CALIBRATION_BINS = 15  # as in Guo et al. 2017, On Calibration of Modern Neural Networks


def check_labels(labels: Sequence[int], *, num_classes: int | None = None) -> np.ndarray:
    """Class indices as a one-dimensional int64 array.

    Args:
        labels: (N,) integers, N at least 1.
        num_classes: C; the labels must then lie in [0, C - 1].

    Returns:
        (N,) int64.

    Raises:
        ValueError: if the shape, the type or the range is wrong.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels must have shape (N,) with N at least 1. Received: shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers. Received: {labels.dtype}")
    highest = "" if num_classes is None else f", {num_classes - 1}"
    if labels.min() < 0 or (num_classes is not None and labels.max() >= num_classes):
        raise ValueError(
            f"labels must lie in [0{highest or ', ...'}]. Received: values from {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int64)


def check_predictions(labels: Sequence[int], probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities as arrays, once they obey the rules that every metric relies on.

    Args:
        labels: (N,) integers in [0, C - 1], N at least 1.
        probabilities: (N, C) in [0, 1], C at least 2; each row sums to 1 within `ROW_SUM_TOLERANCE`.

    Returns:
        (N,) int64 labels and (N, C) float64 probabilities.

    Raises:
        ValueError: if a rule is broken; the message states it and what was received.
    """
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
    """Share of images whose most probable class is the true one, in [0, 1]; ties go to the lower class index."""
    labels, probabilities = check_predictions(labels, probabilities)
    return float(metrics.accuracy_score(labels, probabilities.argmax(axis=1)))


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, *, k: int = 5) -> float:
    """Share of images whose true class is among the k most probable ones.

    scikit-learn's own function refuses two classes and warns when k reaches C; here k is limited to C.

    Args:
        k: at least 1; ties go to the lower class index, so k = 1 equals `accuracy`.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: if k is below 1.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: {k}")
    true = probabilities[np.arange(len(labels)), labels][:, None]
    ahead = probabilities > true
    level = (probabilities == true) & (np.arange(probabilities.shape[1]) < labels[:, None])
    rank = (ahead | level).sum(axis=1)
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
        bins: number of bins over (0, 1]; a value on an edge belongs to the bin below it.

    Returns:
        One row per bin: low, high, images, confidence (mean highest probability) and accuracy; NaN in empty bins.

    Raises:
        ValueError: if bins is below 1.
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
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "images": images,
            "confidence": np.bincount(place, weights=confidence, minlength=bins) / divisor,
            "accuracy": np.bincount(place, weights=right, minlength=bins) / divisor,
        }
    )


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over the bins, weighted by images.

    Args:
        bins: number of equal-width bins.

    Returns:
        A gap in [0, 1]; 0 says that the confidence means what it says.

    Raises:
        ValueError: if bins is below 1.
    """
    table = reliability_bins(labels, probabilities, bins=bins)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["images"]).sum() / table["images"].sum())


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | int]:
    """The numbers that a report quotes about one set of predictions.

    Returns:
        accuracy, top5_accuracy, cross_entropy, balanced_accuracy, calibration_error, macro_f1 and images (N).
    """
    return {
        "accuracy": accuracy(labels, probabilities),
        "top5_accuracy": top_k_accuracy(labels, probabilities, k=5),
        "cross_entropy": cross_entropy(labels, probabilities),
        "balanced_accuracy": balanced_accuracy(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
        "macro_f1": macro_f1(labels, probabilities),
        "images": len(labels),
    }
