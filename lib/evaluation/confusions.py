"""Which classes are mixed up with which: in an order that shows it, on train beside val, and how near they are.

Matrices (C, C) hold counts, true class by predicted class, as `evaluation.confusion_matrix` gives them. A superclass is
a group of classes, one word per class; `datasets.superclasses` knows some.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

from lib.evaluation.metrics import check_predictions
from lib.evaluation.mistakes import confused_pairs

CLOSE = 4.0  # classes of a cluster are confused so many times as often as classes are on average
FEWEST = 2  # images that make a mistake a habit


def class_blocks(matrix: np.ndarray, class_names: Sequence[str], *, groups: Sequence[str] | None = None):
    """The classes in blocks of those that belong together, in the order in which they are best drawn.

    Args:
        matrix: (C, C) counts.
        class_names: C names.
        groups: superclass of each class; None clusters the classes by how often they are confused (average linkage on
            the shares in both directions), and names each cluster after its first classes.

    Returns:
        A list of (name, classes): every class (int) in one block; the name of a block of one clustered class is "".
    """
    shares = _wrong_shares(matrix)
    alike = shares + shares.T
    if len(alike) < 3:
        return [("", list(range(len(alike))))]
    top = max(alike.max(), 1e-9)
    apart = top - alike
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "average", optimal_ordering=True)
    order = leaves_list(tree)
    if groups is not None:
        names = list(dict.fromkeys(groups[place] for place in order))
        return [(name, [int(place) for place in order if groups[place] == name]) for name in names]
    average = alike.sum() / (len(alike) * (len(alike) - 1))
    cluster = fcluster(tree, top - min(CLOSE * average, top * (1 - 1e-9)), "distance")
    blocks = []
    for place in map(int, order):
        if blocks and cluster[blocks[-1][0]] == cluster[place]:
            blocks[-1].append(place)
        else:
            blocks.append([place])
    return [(_title([class_names[place] for place in block]), block) for block in blocks]


def _title(names: Sequence[str]) -> str:
    more = f" + {len(names) - 2}" if len(names) > 2 else ""
    return f"{names[0]}, {names[1]}{more}" if len(names) > 1 else ""


def _wrong_shares(matrix: np.ndarray) -> np.ndarray:
    """Of each true class's images, the shares that are taken for others: (C, C) float64, zeros on the diagonal."""
    matrix = np.asarray(matrix, np.float64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    return shares


def compare_confusions(val: np.ndarray, train: np.ndarray, class_names: Sequence[str], *, k: int = 10) -> pd.DataFrame:
    """The mistakes that are made most often on val, and how often on train.

    Args:
        val: (C, C) counts.
        train: (C, C) counts.
        class_names: C names.
        k: largest number of pairs.

    Returns:
        At most k rows of at least two images each, the largest share on val first: true_class, predicted_class,
        images_val, share_val, share_train (of the true class's images) and on_train: "as well" where the share on train
        is at least half of that on val, else "hardly".
    """
    pairs = confused_pairs(val, class_names, k=len(class_names) ** 2)
    pairs = pairs[pairs["images"] >= FEWEST].sort_values("share", ascending=False, kind="stable").head(k)
    place, shares = {name: number for number, name in enumerate(class_names)}, _wrong_shares(train)
    ends = zip(pairs["true_class"], pairs["predicted_class"], strict=True)
    on_train = np.array([shares[place[true], place[predicted]] for true, predicted in ends])
    table = pairs.rename(columns={"images": "images_val", "share": "share_val"}).assign(share_train=on_train)
    table["on_train"] = np.where(table["share_train"] >= table["share_val"] / 2, "as well", "hardly")
    return table.reset_index(drop=True)


def habits_of(table: pd.DataFrame) -> dict[str, int | float | str]:
    """What `compare_confusions` says about a network, for the prose: counts, the first pair, and a lesson.

    `habits` mistakes, `habits_on_train` of them made on train as well, `habits_lesson` (the end of a sentence); of the
    first one, where there is any, `habit_true_class`, `habit_predicted_class`, `habit_share_val`, `habit_share_train`.
    """
    as_well = int((table["on_train"] == "as well").sum())
    if table.empty:
        lesson = "no class is taken for the same other one twice, so there is no habit to explain"
    elif 2 * as_well >= len(table):
        lesson = (
            "most of them are made on train as well: the network cannot tell these classes apart even on images that "
            "it has seen, and more pixels, a larger network or longer training are to be tried first"
        )
    else:
        lesson = (
            "most of them are hardly made on train: it knows those images by heart and has not found what tells the "
            "classes apart elsewhere, and more images or stronger augmentation are to be tried first"
        )
    values = {"habits": len(table), "habits_on_train": as_well, "habits_lesson": lesson}
    for first in table.head(1).to_dict("records"):
        columns = ("true_class", "predicted_class", "share_val", "share_train")
        values |= {f"habit_{column}": first[column] for column in columns}
    return values


def kinship(class_names: Sequence[str], groups: Sequence[str] | None = None) -> tuple[str, np.ndarray | None]:
    """Which classes are near to each other: a rule in words and (C, C) bool, nothing on the diagonal.

    Superclasses decide where they are known, else words that two names have in common. Where no two names have one, the
    matrix is None and a mistake is near if the truth is the network's second answer.
    """
    rule = "both classes belong to one superclass"
    if groups is None:
        rule = "the names of both classes share a word"
        words = [set(re.findall(r"[^\W\d_]{3,}", name.lower())) for name in class_names]
        near = np.array([[bool(one & other) for other in words] for one in words])
    else:
        near = np.asarray(groups)[:, None] == np.asarray(groups)
    np.fill_diagonal(near, False)
    return (rule, near) if near.any() else ("the true class is the second answer", None)


def near_and_far(
    labels: np.ndarray, probabilities: np.ndarray, *, near: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, dict[str, int | float]]:
    """The wrong predictions in two parts, each with the surest first.

    Args:
        labels: (N,) integers.
        probabilities: (N, C).
        near: as `kinship` gives.

    Returns:
        Row numbers of near and of far mistakes, and their numbers: `near_mistakes`, `far_mistakes`, `near_share` of all
        and `near_chance`, the share in [0, 1] that wrong answers drawn among the other classes would have; 0 without a
        mistake.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    wrong = np.flatnonzero(ranked[:, 0] != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    if near is None:
        close, chance = ranked[wrong, 1] == labels[wrong], np.full(len(wrong), 1 / (probabilities.shape[1] - 1))
    else:
        close = near[labels[wrong], ranked[wrong, 0]]
        chance = near.sum(axis=1)[labels[wrong]] / (len(near) - 1)
    count = max(1, len(wrong))
    values = {"near_mistakes": int(close.sum()), "far_mistakes": int((~close).sum())}
    values |= {"near_share": float(close.sum() / count), "near_chance": float(chance.sum() / count)}
    return wrong[close], wrong[~close], values
