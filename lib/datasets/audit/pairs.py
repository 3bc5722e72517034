"""Pairs of images that show the same picture: equal bytes, near duplicates, and what is known of a data set.

Cleanvision calls images near duplicates whose perceptual hashes are equal: of the 39 frogs in CIFAR-10's test part with
a copy in its training part, it finds none. So only its checks of single images are used.
"""

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.datasets.audit.notes import SIDE, Notes

EQUAL, NEAR, PHOTOGRAPH = "same bytes", "near duplicate", "same photograph"

MOST_BITS = 10  # in which the hashes of two copies differ
NEAREST = 16  # candidates of an image that are looked at, before it and after it: those with the nearest hashes
BLOCK = 8  # images compared with all others in one go: few, so that the work stays in the processor's cache
SMOOTH = 2.0  # pixels: standard deviation of the blur whose result is taken away, so that only detail is compared
NOISE = 2.0  # grey levels: detail weaker than this counts for nothing, so that plain images match no other
COARSE, SHIFT = 1, 2  # pixels that two copies may be shifted, at half and at full size
PROMISING = 0.5  # similarity at half size below which the full size is not looked at
LEAST, MOST = 0.6, 0.97  # range of the threshold
MARGIN = 8.0  # see `usual_threshold`
SAMPLE = 500  # random pairs of a class
CHUNK = 1024  # pairs compared in one go: one image may be like all others

# Files of the same name in these class folders are the same photograph: the second is cut out of the first. Found by
# looking for each of the 435 images of Faces_easy inside the one of Faces with its number: the best correlation is at
# least 0.91 for all, and at most 0.79 inside an image with another number.
CUT_OUT = {"caltech101": (("Faces", "Faces_easy"),)}


def known_pairs(name: str, paths: pd.Series) -> np.ndarray:
    """Pairs of images that are the same photograph by what is known of a data set; comparing them would not tell.

    Args:
        name: of the data set.
        paths: of its images, `folder/file`.

    Returns:
        (M, 2) int64 row numbers.
    """
    rows = {path: row for row, path in enumerate(paths)}
    pairs = []
    for first, second in CUT_OUT.get(name, ()):
        for path, row in rows.items():
            other = f"{second}/{path.removeprefix(f'{first}/')}"
            if path.startswith(f"{first}/") and other in rows:
                pairs.append((row, rows[other]))
    return np.array(pairs, np.int64).reshape(-1, 2)


def first_of_equal(checksums: pd.Series) -> np.ndarray:
    """(N,) for each image the row of the first one with its bytes."""
    rows = pd.Series(np.arange(len(checksums)))
    return rows.groupby(checksums.to_numpy(), sort=False).transform("first").to_numpy()


def groups(pairs: np.ndarray, checksums: pd.Series) -> np.ndarray:
    """Numbers the groups of images that are linked by the same bytes or by pairs, directly or through others.

    Args:
        pairs: (M, 2) row numbers.
        checksums: (N,) sha256 of each image.

    Returns:
        (N,) int64: the same number for images of one group; most images are a group of their own.
    """
    count = len(checksums)
    left = np.concatenate([np.arange(count), pairs[:, 0]])
    right = np.concatenate([first_of_equal(checksums), pairs[:, 1]])
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def near_pairs(notes: Notes, labels: np.ndarray, checksums: pd.Series) -> pd.DataFrame:
    """Pairs of near duplicates among the images whose bytes differ: recoloured, slightly shifted, compressed anew.

    Candidates are pairs whose perceptual hashes (pHash, 64 bits) differ in at most `MOST_BITS`. Each is then checked on
    small grey copies: only detail counts, and the more the images of a class are alike anyway, the more is asked for.
    Mirrored, turned and strongly cropped copies are not found.

    Args:
        notes: of all images.
        labels: (N,) class of each image.
        checksums: (N,) sha256 of each image; of images with the same bytes only the first takes part.

    Returns:
        Columns row, other (row numbers, the smaller first) and similarity, sorted.
    """
    rows = np.flatnonzero(~checksums.duplicated().to_numpy())
    labels, keys, hashes = np.asarray(labels)[rows], checksums.to_numpy()[rows], notes.hashes[rows]
    pairs = close_pairs(hashes)
    coarse = details_of(notes.thumbnails[rows], size=SIDE // 2)
    pairs = pairs[similarity_of(coarse, pairs, reach=COARSE) >= PROMISING]
    details = details_of(notes.thumbnails[rows], size=SIDE)
    similarity = similarity_of(details, pairs, reach=SHIFT)
    likely = similarity >= LEAST
    pairs, similarity = pairs[likely], similarity[likely]
    asked = np.zeros(labels.max() + 1)
    for label in np.unique(labels[pairs]):
        # Random pairs of the class without those that may be copies; they depend on the images, not on their order.
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(keys[members], kind="stable")]
        sample = members[np.random.Generator(np.random.PCG64(0)).integers(len(members), size=(SAMPLE, 2))]
        sample = sample[np.bitwise_count(hashes[sample[:, 0]] ^ hashes[sample[:, 1]]) > MOST_BITS]
        asked[label] = usual_threshold(details, sample)
    chosen = similarity >= asked[labels[pairs]].max(axis=1)
    pairs = rows[pairs[chosen]]
    return pd.DataFrame({"row": pairs[:, 0], "other": pairs[:, 1], "similarity": similarity[chosen].round(3)})


def close_pairs(hashes: np.ndarray) -> np.ndarray:
    """Pairs of hashes that differ in few bits: of each one the nearest before it and the nearest after it.

    Args:
        hashes: (N,) uint64.

    Returns:
        (M, 2) int64 positions, the smaller first, sorted; at most 2 * `NEAREST` per hash, however alike they are.
    """
    count, codes = len(hashes), [np.zeros(0, np.int64)]
    for start in range(0, count, BLOCK):
        bits = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes)
        left, right = np.nonzero(bits <= MOST_BITS)
        bits, left = bits[left, right], left + start
        for side in (right < left, right > left):
            one, other = left[side], right[side]
            order = np.lexsort((other, bits[side], one))
            rank = np.arange(len(one)) - np.searchsorted(one, one)
            one, other = one[order][rank < NEAREST], other[order][rank < NEAREST]
            codes.append(np.minimum(one, other) * count + np.maximum(one, other))
    codes = np.sort(np.concatenate(codes))
    codes = codes[np.diff(codes, prepend=-1) > 0]
    return np.stack(np.divmod(codes, max(count, 1)), axis=1)


def details_of(thumbnails: np.ndarray, *, size: int) -> np.ndarray:
    """Grey copies without their coarse shades: what is left when the blurred image is taken away.

    Args:
        thumbnails: (N, S, S) uint8.
        size: pixels per side of the result, at most S.

    Returns:
        (N, size, size) int8.
    """
    result = np.empty((len(thumbnails), size, size), np.int8)
    for place, image in enumerate(thumbnails):
        if size < len(image):
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        image = image.astype(np.float32)
        left = np.rint(image - cv2.GaussianBlur(image, (0, 0), SMOOTH))
        result[place] = np.clip(left, -127, 127)
    return result


def similarity_of(details: np.ndarray, pairs: np.ndarray, *, reach: int = SHIFT) -> np.ndarray:
    """Correlation of the details of two images at the best of a few small shifts.

    All partners of an image are compared with all its shifts in one matrix product.

    Args:
        details: (N, S, S) int8.
        pairs: (M, 2) positions.
        reach: pixels of the largest shift.

    Returns:
        (M,) float32 up to 1; about 0 for images that have nothing in common.
    """
    side = details.shape[1]
    result = np.empty(len(pairs), np.float32)
    frame = np.zeros((side + 2 * reach, side + 2 * reach), np.float32)
    shifted = np.lib.stride_tricks.sliding_window_view(frame, (side, side))  # zeros move in at the rim
    order = np.argsort(pairs[:, 0], kind="stable")
    firsts = np.flatnonzero(np.diff(pairs[order, 0], prepend=-1))
    for places in np.split(order, firsts[1:]) if len(pairs) else []:
        left = details[pairs[places[0], 0]].astype(np.float32)
        frame[reach : reach + side, reach : reach + side] = left
        shifts, length = shifted.reshape(-1, left.size), np.linalg.norm(left)
        for start in range(0, len(places), CHUNK):
            some = places[start : start + CHUNK]
            right = details[pairs[some, 1]].reshape(len(some), -1).astype(np.float32)
            scale = length * np.linalg.norm(right, axis=1) + left.size * NOISE**2
            result[some] = (right @ shifts.T).max(axis=1) / scale
    return result


def usual_threshold(details: np.ndarray, pairs: np.ndarray) -> float:
    """Above which similarity two images of a class count as near duplicates, given pairs of it that are none.

    Letters, clothes on black or motorbikes on white are alike without being copies. So the threshold lies above what
    ordinary pairs of the class reach: their median, and eight times the way from there to their 90th percentile (of
    Fisher's transform, in which correlations spread evenly).

    Args:
        details: of the images, as `details_of` gives them.
        pairs: (M, 2) positions of pairs of one class, drawn at random.

    Returns:
        The threshold, in [LEAST, MOST]; the least where there are fewer than ten pairs to say what is usual.
    """
    if len(pairs) < 10:
        return LEAST
    usual = np.arctanh(np.clip(similarity_of(details, pairs).astype(np.float64), -0.999, 0.999))
    median, high = np.median(usual), np.quantile(usual, 0.9)
    return float(np.clip(np.tanh(median + MARGIN * (high - median)), LEAST, MOST))
