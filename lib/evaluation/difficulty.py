"""Which classes are easy and which are hard before any network is trained: cheap features and class means."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.evaluation.metrics import check_labels
from lib.evaluation.mistakes import rivals

CELLS = 8  # the image is described on a grid of 8 x 8 cells
ORIENTATIONS = 9  # of the gradient, over half a turn (Dalal and Triggs 2005)
FLAT = 0.02  # keeps cells without edges near zero instead of blowing their noise up
PIXELS_AT_ONCE = 2**20  # bounds memory: about 100 MB however many images there are


def cheap_features(images: np.ndarray) -> np.ndarray:
    """Colours and edge directions on a grid of 8 x 8 cells, without any learning.

    Args:
        images: uint8 in [0, 255], shape (N, H, W, 3), sides of at least 8 pixels.

    Returns:
        (N, 768) float32: the mean RGB colour of each cell in [0, 1] (192 numbers), then each cell's histogram of
        gradient directions, weighted by the gradient's length and scaled to unit length (576 numbers).

    Raises:
        ValueError: if the type or the shape is wrong.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or min(images.shape[1:3]) < CELLS:
        raise ValueError(
            f"images must be uint8 of shape (N, H, W, 3), sides of at least {CELLS}. "
            f"Received: {images.dtype} of shape {images.shape}"
        )
    step = max(1, PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    parts = [_describe(images[start : start + step]) for start in range(0, len(images), step)]
    return np.concatenate(parts) if parts else np.zeros((0, CELLS * CELLS * (3 + ORIENTATIONS)), np.float32)


def _describe(images: np.ndarray) -> np.ndarray:
    """Features of a few images, (n, 768) float32."""
    images = images.astype(np.float32) / 255
    thumbnails = _cell_means(images)
    rows, columns = np.gradient(images.mean(axis=-1), axis=(1, 2))
    turn = np.arctan2(rows, columns) % np.pi / np.pi  # an edge looks the same after half a turn
    direction = np.minimum((turn * ORIENTATIONS).astype(int), ORIENTATIONS - 1)
    votes = np.hypot(rows, columns)[..., None] * (direction[..., None] == np.arange(ORIENTATIONS))
    edges = _cell_means(votes.astype(np.float32))
    edges /= np.linalg.norm(edges, axis=-1, keepdims=True) + FLAT
    return np.concatenate([part.reshape(len(images), -1) for part in (thumbnails, edges)], axis=1)


def _cell_means(planes: np.ndarray) -> np.ndarray:
    """Means over the cells of the grid, (n, H, W, K) -> (n, 8, 8, K)."""
    weights = []
    for side in planes.shape[1:3]:
        inside = np.arange(side) * CELLS // side == np.arange(CELLS)[:, None]
        weights.append((inside / inside.sum(axis=1, keepdims=True)).astype(np.float32))
    return np.einsum("ih,nhwk,jw->nijk", weights[0], planes, weights[1], optimize=True)


def easy_and_hard_classes(features: np.ndarray, labels: np.ndarray, *, class_names: Sequence[str]) -> pd.DataFrame:
    """How often each image lies nearest to the mean of its own class, without itself in that mean.

    Features are first brought to mean 0 and standard deviation 1; constant ones are set to 0.

    Args:
        features: (N, D) finite numbers.
        labels: (N,) integers in [0, C - 1].
        class_names: C names.

    Returns:
        One row per class, in class order: class_name, images, accuracy (NaN with fewer than two images: leaving one out
        leaves no mean) and most_confused_with (the class its images fall to most often when they miss, "" if none).

    Raises:
        ValueError: if shapes do not match, a feature is not finite or a label has no name.
    """
    labels = check_labels(labels, num_classes=len(class_names))
    counts = np.bincount(labels, minlength=len(class_names))
    nearest = _distances_to_means(_standardised(features, len(labels)), labels, counts=counts).argmin(axis=1)
    table = np.zeros((len(counts), len(counts)), np.int64)
    np.add.at(table, (labels, nearest), 1)
    accuracy = np.where(counts > 1, np.diag(table) / np.maximum(counts, 1), np.nan)
    columns = {"class_name": list(class_names), "images": counts, "accuracy": accuracy}
    return pd.DataFrame(columns | {"most_confused_with": rivals(table, class_names)})


def easiest_and_hardest(table: pd.DataFrame) -> dict[str, float | str]:
    """`mean` accuracy, `easiest` and `hardest` class and what the latter is taken for; empty where none has a value.

    The table is that of `easy_and_hard_classes`; of equal classes the first counts as easier, as they are drawn.
    """
    ranked = table.dropna(subset=["accuracy"]).sort_values("accuracy", ascending=False, kind="stable")
    if ranked.empty:
        return {}
    names, rival = ranked["class_name"], ranked["most_confused_with"].iloc[-1] or "no other"
    ends = {"easiest": names.iloc[0], "hardest": names.iloc[-1], "hardest_taken_for": rival}
    return {"mean": float(ranked["accuracy"].mean())} | ends


def confused_examples(features: np.ndarray, labels: np.ndarray, *, pairs: int) -> np.ndarray:
    """One pair of look-alikes for each of the pairs of classes that are mistaken for one another most often.

    Classes are compared as in `easy_and_hard_classes`; of two classes both directions count, as shares of their images.

    Args:
        features: (N, D) finite numbers.
        labels: (N,) integers from 0.
        pairs: how many pairs of classes, at most; no class comes twice.

    Returns:
        (M, 2) int64 positions: the image of one of the classes that lies deepest in the other class, and the image of
        that class which lies nearest to it. No rows if no image is mistaken.

    Raises:
        ValueError: if shapes do not match or a feature is not finite.
    """
    labels = check_labels(labels)
    features, counts = _standardised(features, len(labels)), np.bincount(labels)
    distances = _distances_to_means(features, labels, counts=counts)
    nearest = distances.argmin(axis=1)
    depth = distances[np.arange(len(labels)), labels] - distances.min(axis=1)  # 0 where the own mean is the nearest
    mistaken = (labels != nearest) & (counts[labels] > 1)
    shares = np.zeros((len(counts), len(counts)))
    np.add.at(shares, (labels[mistaken], nearest[mistaken]), 1 / counts[labels[mistaken]])
    both = np.triu(shares + shares.T, k=1)
    chosen, used = [], set()
    for place in np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]:
        classes = divmod(int(place), len(counts))
        if used & set(classes):
            continue
        if len(chosen) == pairs:
            break
        used |= set(classes)
        fallen = np.flatnonzero(mistaken & np.isin(labels, classes) & np.isin(nearest, classes))
        deepest = fallen[depth[fallen].argmax()]
        others = np.flatnonzero(labels == nearest[deepest])
        likeness = ((features[others] - features[deepest]) ** 2).sum(axis=1)
        chosen.append((deepest, others[likeness.argmin()]))
    return np.array(chosen, np.int64).reshape(-1, 2)


def _standardised(features: np.ndarray, count: int) -> np.ndarray:
    """Features with mean 0 and standard deviation 1, constant ones 0; ValueError unless finite, one row per label."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) != count or not np.isfinite(features).all():
        raise ValueError(f"features must be finite, shape ({count}, D). Received: shape {features.shape}")
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _distances_to_means(features: np.ndarray, labels: np.ndarray, *, counts: np.ndarray) -> np.ndarray:
    """(N, C) squared distances to the means of the classes, less what is the same in a row; no row in its own mean."""
    sums = np.zeros((len(counts), features.shape[1]))
    np.add.at(sums, labels, features)
    means = sums / np.maximum(counts, 1)[:, None]
    # |x - m|^2 without the |x|^2 that all classes share; a class without images is never the nearest.
    products = features @ means.T
    distances = np.where(counts > 0, (means**2).sum(axis=1), np.inf) - 2 * products
    rows = np.arange(len(labels))
    size = (features**2).sum(axis=1)
    with_sum = products[rows, labels] * counts[labels]
    others = np.maximum(counts[labels] - 1, 1)
    own = ((sums**2).sum(axis=1)[labels] - 2 * with_sum + size) / others**2 - 2 * (with_sum - size) / others
    distances[rows, labels] = np.where(counts[labels] > 1, own, np.inf)
    return distances
