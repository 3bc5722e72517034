"""What features tell before anything is fitted on them: neighbours, a plane, answers of another network.

Features are (N, F) real numbers, one row per image, and labels (N,) integers; rows that do not belong together, and
numbers that are not finite, are a ValueError.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.evaluation.metrics import check_labels

CELLS = 2**24  # similarities that are held at once
MOST = 1500  # rows on a map; the time of t-SNE grows with their square
COMPONENTS = 50  # that t-SNE reads, as its authors do
PERPLEXITY = 30.0


def neighbour_purity(features: np.ndarray, labels: np.ndarray, *, k: int = 10) -> np.ndarray:
    """For each image the share of its k nearest neighbours, by the cosine, that are of its class.

    Args:
        features: (N, F); all pairs are compared, a block of rows at a time.
        labels: (N,).
        k: neighbours, in [1, N - 1]; the image itself is none of them.

    Returns:
        (N,) float64 in [0, 1]. Where the features say nothing, the mean is near the sum of the squared class shares.
    """
    rows, labels = _directions(features), check_labels(labels)
    if len(labels) != len(rows) or not 1 <= k < len(rows):
        raise ValueError(
            "neighbour_purity needs one label per row, and k of at least 1 and below the number of rows. "
            f"Received: {len(rows)} rows, {len(labels)} labels, k={k}"
        )
    shares, block = np.empty(len(rows)), max(1, CELLS // len(rows))
    for start in range(0, len(rows), block):
        alike = rows[start : start + block] @ rows.T
        places = np.arange(len(alike))
        alike[places, start + places] = -np.inf
        nearest = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        shares[start : start + block] = (labels[nearest] == labels[start + places, None]).mean(axis=1)
    return shares


def project(features: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Features on a plane by t-SNE (van der Maaten & Hinton 2008): what is near in direction stays near.

    Distances between far groups, and the size of a group, mean nothing on it.

    Args:
        features: (N, F), N from 4 to 1,500; they are brought to length one, and to at most 50 components by PCA.
        seed: of the PCA and the t-SNE; the same one gives the same map.

    Returns:
        (N, 2) float32; zeros where all features are the same.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = _directions(features)
    if not 4 <= len(rows) <= MOST:
        raise ValueError(f"project needs 4 to {MOST:,} rows: choose some. Received: {len(rows):,}")
    if np.ptp(rows, axis=0).max() < 1e-6:
        return np.zeros((len(rows), 2), np.float32)
    components = min(COMPONENTS, *rows.shape)
    rows = PCA(components, random_state=seed).fit_transform(rows - rows.mean(axis=0))
    start = np.pad(rows[:, :2], ((0, 0), (0, max(0, 2 - components))))
    start = (start / start[:, 0].std() * 1e-4).astype(np.float32)
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    # The exact method, for the approximate one waits for its threads at every step, long on a busy machine.
    options = {"perplexity": perplexity, "method": "exact", "max_iter": 500, "random_state": seed}
    return TSNE(init=start, **options).fit_transform(rows).astype(np.float32)


def _directions(features: np.ndarray) -> np.ndarray:
    """Features (N, F) as float32 rows of length one; rows of zeros stay as they are."""
    rows = np.array(features, dtype=np.float32)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise ValueError(f"features must be finite numbers of shape (N, F). Received: shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def lookup(labels: np.ndarray, answers: np.ndarray, asked: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Predict by a table from the answers of another network to our classes: nothing but counts is learnt.

    Args:
        labels: (N,) of the images that fill the table.
        answers: (N, K) what the other network answers for them, the highest being its answer, e.g. (N, 1000).
        asked: (M, K) what it answers for the images to predict.
        num_classes: number of our classes.

    Returns:
        (M, num_classes) float64 probabilities: for each answer the classes of the images that got it; for an answer
        that none got, the classes of all images.
    """
    labels, answers, asked = check_labels(labels, num_classes=num_classes), _check(answers), _check(asked)
    if len(labels) != len(answers) or answers.shape[1] != asked.shape[1]:
        raise ValueError(
            "lookup needs one label per row of answers, and as many columns in asked. "
            f"Received: {len(labels)} labels, answers {answers.shape}, asked {asked.shape}"
        )
    counts = np.zeros((answers.shape[1], num_classes))
    np.add.at(counts, (answers.argmax(axis=1), labels), 1)
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    table = counts / counts.sum(axis=1, keepdims=True)
    return table[asked.argmax(axis=1)]


def frequent_answers(
    labels: np.ndarray,
    answers: np.ndarray,
    *,
    class_names: Sequence[str],
    answer_names: Sequence[str] | None = None,
    k: int = 3,
) -> pd.DataFrame:
    """What another network answers most often for the images of each of our classes.

    Args:
        labels: (N,).
        answers: (N, K), the highest being its answer.
        class_names: of our classes.
        answer_names: K names; None shows numbers such as "#281".
        k: most answers named per class.

    Returns:
        One row per class with images, in class order: class_name, images, answers ("tabby 45 %, #282 20 %"), share
        (of the first answer, in [0, 1]) and different (how many answers its images got).
    """
    labels, answers = check_labels(labels, num_classes=len(class_names)), _check(answers)
    names = [f"#{number}" for number in range(answers.shape[1])] if answer_names is None else answer_names
    if len(labels) != len(answers) or len(names) != answers.shape[1] or k < 1:
        raise ValueError(
            "frequent_answers needs one label per row of answers, a name for each column, and k of at least 1. "
            f"Received: {len(labels)} labels, answers {answers.shape}, {len(names)} names, k={k}"
        )
    best, rows = answers.argmax(axis=1), []
    for label in np.unique(labels):
        numbers, counts = np.unique(best[labels == label], return_counts=True)
        order, images = np.argsort(-counts, kind="stable"), int(counts.sum())
        texts = [f"{names[numbers[place]]} {100 * counts[place] / images:.0f} %" for place in order[:k]]
        row = {"class_name": class_names[label], "images": images, "answers": ", ".join(texts)}
        rows.append(row | {"share": counts.max() / images, "different": len(numbers)})
    return pd.DataFrame(rows)


def _check(answers: np.ndarray) -> np.ndarray:
    answers = np.asarray(answers)
    if answers.ndim != 2 or not answers.size or not np.isfinite(answers).all():
        raise ValueError(f"answers must be finite numbers of shape (N, K). Received: shape {answers.shape}")
    return answers
