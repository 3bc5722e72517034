"""Near duplicates: pairs of pictures that are copies of one another, recoloured, shifted or compressed anew."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.datasets.audit.hashes import close_pairs
from lib.datasets.audit.measures import Measures
from lib.datasets.audit.similarity import LEAST, Details, usual_threshold

MOST_BITS = 10  # in which the hashes of two copies differ
SAMPLE = 500  # random pairs of a class
NEAREST = 16  # candidates of an image that are looked at: those with the nearest hashes


def near_pairs(measures: Measures, labels: np.ndarray, sums: pd.Series) -> pd.DataFrame:
    """Pairs of near duplicates among the images whose bytes differ.

    Candidates are pairs whose perceptual hashes (pHash, 64 bits) differ in at most `MOST_BITS`. Each is then checked on
    small grey copies: only detail counts, and the more the images of a class are alike anyway, the more is asked for.
    Mirrored, turned and strongly cropped copies are not found.

    Args:
        measures: of all images.
        labels: (N,) class of each image.
        sums: (N,) sha256 of each image; of images with the same bytes only the first takes part.

    Returns:
        Columns row, other (row numbers, the smaller first) and similarity, sorted.
    """
    rows = np.flatnonzero(~sums.duplicated().to_numpy())
    labels, keys, hashes = np.asarray(labels)[rows], sums.to_numpy()[rows], measures.hashes[rows]
    pairs, bits = close_pairs(hashes, most_bits=MOST_BITS)
    pairs = pairs[_nearest(pairs, bits)]
    details = Details(measures.thumbnails[rows])
    pairs = pairs[details.promising(pairs)]
    similarity = details.similarity(pairs)
    likely = similarity >= LEAST
    pairs, similarity = pairs[likely], similarity[likely]
    asked = np.zeros(labels.max() + 1)
    for label in np.unique(labels[pairs]):
        asked[label] = usual_threshold(details, _ordinary_pairs(np.flatnonzero(labels == label), keys, hashes))
    chosen = similarity >= asked[labels[pairs]].max(axis=1)
    pairs = rows[pairs[chosen]]
    return pd.DataFrame({"row": pairs[:, 0], "other": pairs[:, 1], "similarity": similarity[chosen].round(3)})


def _ordinary_pairs(members: np.ndarray, keys: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Random pairs of some images without those that may be copies; they depend on the images, not on their order."""
    members = members[np.argsort(keys[members], kind="stable")]
    pairs = members[np.random.Generator(np.random.PCG64(0)).integers(len(members), size=(SAMPLE, 2))]
    return pairs[np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]) > MOST_BITS]


def groups(count: int, pairs: np.ndarray, sums: pd.Series) -> np.ndarray:
    """Numbers the groups of images that are linked by the same bytes or by pairs, directly or through others.

    Args:
        count: number of images N.
        pairs: (M, 2) row numbers.
        sums: (N,) sha256 of each image.

    Returns:
        (N,) int64: the same number for images of one group; most images are a group of their own.
    """
    first = pd.Series(np.arange(count)).groupby(sums.to_numpy(), sort=False).transform("first").to_numpy()
    left = np.concatenate([np.arange(count), pairs[:, 0]])
    right = np.concatenate([first, pairs[:, 1]])
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _nearest(pairs: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Positions of the pairs that are among the `NEAREST` of at least one of their two images."""
    kept = np.zeros(len(pairs), bool)
    order = np.argsort(bits, kind="stable")
    for side in (0, 1):
        rank = pd.Series(order).groupby(pairs[order, side]).cumcount().to_numpy()
        kept[order[rank < NEAREST]] = True
    return np.flatnonzero(kept)
