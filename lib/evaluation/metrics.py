"""One number for a whole set of predictions; every function takes labels (N,) and probabilities (N, C)."""

import numpy as np
import pandas as pd
from sklearn import metrics

from lib.evaluation.predictions import check_predictions

SMALLEST_PROBABILITY = 1e-7  # keeps the logarithm finite when a model is sure and wrong; Keras uses the same
CALIBRATION_BINS = 15  # as in Guo et al. 2017, On Calibration of Modern Neural Networks


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of images whose most probable class is the true one, in [0, 1]; ties go to the lower class index."""
    labels, probabilities = check_predictions(labels, probabilities)
    return float(metrics.accuracy_score(labels, probabilities.argmax(axis=1)))


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, *, k: int = 5) -> float:
    """Share of images whose true class is among the k most probable ones.

    scikit-learn's own function refuses two classes and warns when k reaches C; here k is limited to C.

    Args:
        labels: (N,) integers.
        probabilities: (N, C).
        k: at least 1; ties go to the lower class index, so k = 1 equals `accuracy`.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: if k is below 1 or the predictions break a rule.
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
    labels, probabilities = check_predictions(labels, probabilities)
    present = np.unique(labels)
    predicted = probabilities.argmax(axis=1)
    return float(metrics.recall_score(labels, predicted, labels=present, average="macro", zero_division=0))


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over classes of the F1 score, in [0, 1]; classes without images do not count."""
    labels, probabilities = check_predictions(labels, probabilities)
    present = np.unique(labels)
    predicted = probabilities.argmax(axis=1)
    return float(metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0))


def reliability_bins(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Confidence against accuracy in equal-width bins of the highest probability.

    Args:
        labels: (N,) integers.
        probabilities: (N, C).
        bins: number of bins over (0, 1]; a value on an edge belongs to the bin below it.

    Returns:
        One row a bin: low, high, images, confidence (mean highest probability) and accuracy; NaN in empty bins.

    Raises:
        ValueError: if bins is below 1 or the predictions break a rule.
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
        labels: (N,) integers.
        probabilities: (N, C).
        bins: number of equal-width bins.

    Returns:
        A gap in [0, 1]; 0 says that the confidence means what it says.

    Raises:
        ValueError: if bins is below 1 or the predictions break a rule.
    """
    table = reliability_bins(labels, probabilities, bins=bins)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["images"]).sum() / table["images"].sum())


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | int]:
    """The numbers that a report quotes about one set of predictions.

    Args:
        labels: (N,) integers.
        probabilities: (N, C).

    Returns:
        accuracy, top5_accuracy, cross_entropy, balanced_accuracy, calibration_error, macro_f1 and images (N).

    Raises:
        ValueError: if the predictions break a rule.
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
