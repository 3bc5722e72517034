"""Pairs of images that show the same picture: equal bytes, near duplicates, and what is known of a data set.

Cleanvision calls images near duplicates whose perceptual hashes are equal: of the 39 frogs in CIFAR-10's test part with
a copy in its training part, it finds none. So only its checks of single images are used.
"""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lib.datasets.audit.notes import SIDE, Notes
from lib.datasets.storage import on_disk

EQUAL, NEAR, PHOTOGRAPH = "same bytes", "near duplicate", "same photograph"

MOST_BITS = 10  # in which the hashes of two copies differ
NEAREST = 16  # candidates of an image that are looked at, before it and after it: those with the nearest hashes
PARTS = (1, 5, 4)  # into which hashes may be cut, 1 for none: what takes the least work is chosen
GATHER = 10_000  # hashes are compared in the time in which those that nearly share a part are gathered
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
    """(M, 2) rows of images that are known to be the same photograph; comparing them would not tell."""
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
    """(N,) int64: the same number for images that equal bytes or pairs (M, 2) link, directly or through others."""
    count = len(checksums)
    left = np.concatenate([np.arange(count), pairs[:, 0]])
    right = np.concatenate([first_of_equal(checksums), pairs[:, 1]])
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def near_pairs(notes: Notes, labels: np.ndarray, checksums: pd.Series) -> pd.DataFrame:
    """Pairs of near duplicates among the images whose bytes differ: recoloured, slightly shifted, compressed anew.

    Candidates are pairs whose perceptual hashes (pHash, 64 bits) differ in at most `MOST_BITS`. Each is then checked on
    small grey copies: only detail counts, and the more the images of a class are alike anyway, the more is asked for.
    Mirrored, turned and strongly cropped copies are not found. Columns row, other (the smaller first), similarity.
    """
    rows = np.flatnonzero(~checksums.duplicated().to_numpy())
    labels, keys, hashes = np.asarray(labels), checksums.to_numpy(), notes.hashes
    distinct = labels[rows]
    pairs = rows[close_pairs(hashes[rows])]
    coarse = details_of(notes.thumbnails, size=SIDE // 2, rows=np.unique(pairs))
    pairs = pairs[similarity_of(coarse, pairs, reach=COARSE) >= PROMISING]
    samples = {}
    for label in np.unique(labels[pairs]):
        # Random pairs of the class without those that may be copies; they depend on the images, not on their order.
        members = rows[distinct == label]
        members = members[np.argsort(keys[members], kind="stable")]
        sample = members[np.random.Generator(np.random.PCG64(0)).integers(len(members), size=(SAMPLE, 2))]
        samples[label] = sample[np.bitwise_count(hashes[sample[:, 0]] ^ hashes[sample[:, 1]]) > MOST_BITS]
    details = details_of(notes.thumbnails, size=SIDE, rows=np.unique(np.concatenate([pairs, *samples.values()])))
    similarity = similarity_of(details, pairs, reach=SHIFT)
    likely = similarity >= LEAST
    pairs, similarity = pairs[likely], similarity[likely]
    asked = np.zeros(labels.max() + 1)
    for label in np.unique(labels[pairs]):
        asked[label] = usual_threshold(details, samples[label])
    chosen = similarity >= asked[labels[pairs]].max(axis=1)
    pairs = pairs[chosen]
    return pd.DataFrame({"row": pairs[:, 0], "other": pairs[:, 1], "similarity": similarity[chosen].round(3)})


def close_pairs(hashes: np.ndarray) -> np.ndarray:
    """(M, 2) sorted positions of hashes (N,) uint64 that differ in few bits.

    Of each one the `NEAREST` before it and after it are taken, however alike they are.

    Few hashes are compared each with each. Many are cut into parts (Norouzi et al. 2012): two that differ in at most
    `MOST_BITS` differ in a few bits of one part at least, so only those with nearly the same part are compared.
    """
    count = len(hashes)
    plan, _ = min((_cut(hashes, parts) for parts in PARTS), key=lambda cut: cut[1])
    found = np.zeros((0, 3), np.int32)
    for shift, width, reach in plan:
        found = np.concatenate([found, *_compare(hashes, shift, width, reach)])
        found = _nearest(np.arange(count), *found.T)
    one, other = found[:, 0].astype(np.int64), found[:, 1]
    codes = np.unique(np.minimum(one, other) * count + np.maximum(one, other))
    return np.stack(np.divmod(codes, max(count, 1)), axis=1)


def _cut(hashes: np.ndarray, parts: int) -> tuple[list[tuple[int, int, int]], int]:
    """Parts of a hash, each with its first bit, its number of bits and how many of them may differ; and the work.

    Two hashes whose parts all differ in more bits than that differ in more than `MOST_BITS` altogether.
    """
    if parts == 1:
        return [(0, 0, 0)], len(hashes) ** 2
    plan, work = [], 0
    for part in range(parts):
        first, last = 64 * part // parts, 64 * (part + 1) // parts
        plan.append((first, last - first, (MOST_BITS + 1 + part) // parts - 1))
        counts = np.bincount(_part(hashes, *plan[-1][:2]), minlength=1 << plan[-1][1])
        keys = np.flatnonzero(counts)
        near = sum(counts[keys ^ mask] for mask in _masks(*plan[-1][1:]))
        work += int(counts[keys] @ near) + len(keys) * GATHER
    return plan, work


def _part(hashes: np.ndarray, shift: int, width: int) -> np.ndarray:
    return ((hashes >> np.uint64(shift)) & np.uint64((1 << width) - 1)).astype(np.int64)


def _masks(width: int, reach: int) -> np.ndarray:
    """All numbers of `width` bits of which at most `reach` are set."""
    chosen = itertools.chain.from_iterable(itertools.combinations(range(width), bits) for bits in range(reach + 1))
    return np.array([sum(1 << bit for bit in bits) for bits in chosen])


def _compare(hashes: np.ndarray, shift: int, width: int, reach: int) -> Iterator[np.ndarray]:
    """Close hashes among those that nearly share one part: (M, 3) position, other position, differing bits."""
    keys, masks = _part(hashes, shift, width), _masks(width, reach)
    order = np.argsort(keys, kind="stable")
    ordered, starts = hashes[order], np.searchsorted(keys[order], np.arange((1 << width) + 1))
    for key in np.flatnonzero(np.diff(starts)):
        near = key ^ masks
        begins, lengths = starts[near], starts[near + 1] - starts[near]
        far = np.arange(lengths.sum()) + np.repeat(begins - np.cumsum(lengths) + lengths, lengths)
        others = ordered[far]
        step = max(BLOCK, GATHER // len(others))
        for start in range(starts[key], starts[key + 1], step):
            some = slice(start, min(start + step, starts[key + 1]))
            bits = np.bitwise_count(ordered[some, None] ^ others)
            left, right = np.nonzero(bits <= MOST_BITS)
            if len(left) > some.stop - start:  # more than each with itself
                yield _nearest(order[some], left, order[far[right]], bits[left, right])


def _nearest(rows: np.ndarray, place: np.ndarray, other: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Of pairs of `rows[place]` with others the `NEAREST` before each row and after it, each once: (M, 3) as above."""
    side = 2 * place.astype(np.int64) + (other > rows[place])
    codes = (side * 64 + bits << 32) + other  # sorted as one number, which is far faster than column by column
    codes = np.sort(codes[other != rows[place]])
    codes = codes[np.diff(codes, prepend=-1) > 0]
    side, bits, other = codes >> 38, codes >> 32 & 63, codes & 0xFFFFFFFF
    chosen = np.arange(len(side)) - np.searchsorted(side, side) < NEAREST
    return np.stack([rows[side // 2], other, bits], axis=1)[chosen].astype(np.int32)


def details_of(thumbnails: np.ndarray, *, size: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Grey copies (N, S, S) uint8 shrunk to (N, size, size) int8: what is left when the blurred image is taken away.

    With `rows` only theirs are made, and the others are zeros. The result lies on the disk.
    """
    result = on_disk((len(thumbnails), size, size), np.int8)
    for place in range(len(thumbnails)) if rows is None else rows:
        image = thumbnails[place]
        if size < len(image):
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        image = image.astype(np.float32)
        left = np.rint(image - cv2.GaussianBlur(image, (0, 0), SMOOTH))
        result[place] = np.clip(left, -127, 127)
    return result


def similarity_of(details: np.ndarray, pairs: np.ndarray, *, reach: int = SHIFT) -> np.ndarray:
    """(M,) float32: correlation, up to 1, of the details (N, S, S) of pairs (M, 2) at the best of a few small shifts.

    All partners of an image are compared with all its shifts in one matrix product.
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
    """The similarity, in [LEAST, MOST], above which two images of a class count as near duplicates.

    Letters, clothes on black or motorbikes on white are alike without being copies. So the threshold lies above what
    ordinary pairs (M, 2) of the class reach: their median, and eight times the way from there to their 90th percentile
    (of Fisher's transform, in which correlations spread evenly). Fewer than ten pairs say nothing.
    """
    if len(pairs) < 10:
        return LEAST
    usual = np.arctanh(np.clip(similarity_of(details, pairs).astype(np.float64), -0.999, 0.999))
    median, high = np.median(usual), np.quantile(usual, 0.9)
    return float(np.clip(np.tanh(median + MARGIN * (high - median)), LEAST, MOST))
