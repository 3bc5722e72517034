"""What a set of predictions must look like before any number is taken from it."""

from collections.abc import Sequence

import numpy as np

ROW_SUM_TOLERANCE = 1e-3  # wide enough for probabilities stored in half precision


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
            f"labels and probabilities must have one row an image. Received: {len(labels)} and {len(probabilities)}"
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
