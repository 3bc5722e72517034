"""Pairs of images whose perceptual hashes nearly agree, found without comparing every image with every other."""

import itertools

import numpy as np

BITS = 64
CHUNKS = 4  # of 16 bits: where two hashes differ in at most 11 bits, one of the four chunks differs in at most 2
CHUNK_BITS = BITS // CHUNKS
BUCKET = 256  # images of one bucket that an image is compared with at most: those whose other bits are nearest


def close_pairs(hashes: np.ndarray, *, most_bits: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of hashes that differ in few bits, by multi-index hashing.

    Each hash is filed under its four chunks of 16 bits, and looked up under every value that differs from each chunk in
    at most a quarter of `most_bits`. Only where more than `BUCKET` images share a chunk can a pair be missed; so the
    work stays proportional to the number of images even if thousands of them are blank.

    M. Norouzi, A. Punjani, D. J. Fleet (2012). Fast search in Hamming space with multi-index hashing. CVPR.

    Args:
        hashes: (N,) uint64.
        most_bits: the most bits in which two hashes of a pair differ, in [0, 15].

    Returns:
        (M, 2) int64 positions, the smaller first, sorted, and (M,) the number of bits that differ.

    Raises:
        ValueError: if the hashes are not a row of uint64, or most_bits is out of range.
    """
    hashes = np.asarray(hashes)
    if hashes.dtype != np.uint64 or hashes.ndim != 1:
        raise ValueError(f"hashes must be uint64 of shape (N,). Received: {hashes.dtype} of shape {hashes.shape}")
    if not 0 <= most_bits <= 15:
        raise ValueError(f"most_bits must lie in [0, 15]. Received: {most_bits}")
    codes = [_pairs_by_chunk(hashes, chunk, most_bits=most_bits) for chunk in range(CHUNKS)]
    left, right = np.divmod(_distinct(np.concatenate(codes)), max(len(hashes), 1))
    return np.stack([left, right], axis=1), np.bitwise_count(hashes[left] ^ hashes[right])


def _pairs_by_chunk(hashes: np.ndarray, chunk: int, *, most_bits: int) -> np.ndarray:
    """Pairs found through one chunk, each as left * N + right."""
    count = len(hashes)
    # Turned so that the chunk is on top: a sorted list then holds each bucket in one piece.
    turned = hashes << np.uint64(chunk * CHUNK_BITS) | hashes >> np.uint64((BITS - chunk * CHUNK_BITS) % BITS)
    order = np.argsort(turned, kind="stable")
    ordered = turned[order]
    top = np.uint64(BITS - CHUNK_BITS)
    ends = np.searchsorted(ordered >> top, np.arange(2**CHUNK_BITS + 1, dtype=np.uint64))
    found = [np.zeros(0, np.int64)]
    for flips in _flips(most_bits // CHUNKS):
        looked_up = turned ^ (flips << top)
        bucket = (looked_up >> top).astype(np.int64)
        low, high = _narrow(ends[bucket], ends[bucket + 1], ordered=ordered, looked_up=looked_up)
        sizes = high - low
        left = np.repeat(np.arange(count), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        right = order[np.repeat(low, sizes) + within]
        near = (left != right) & (np.bitwise_count(hashes[left] ^ hashes[right]) <= most_bits)
        left, right = left[near], right[near]
        found.append(np.minimum(left, right) * count + np.maximum(left, right))
    return _distinct(np.concatenate(found))


def _distinct(codes: np.ndarray) -> np.ndarray:
    """Sorted, each once; for millions of numbers np.unique takes seventy times as long."""
    codes = np.sort(codes)
    return codes[np.diff(codes, prepend=-1) > 0]


def _flips(most: int) -> list[np.uint64]:
    """All values of 16 bits with at most that many ones."""
    ones = [places for count in range(most + 1) for places in itertools.combinations(range(CHUNK_BITS), count)]
    return [np.uint64(sum(1 << place for place in places)) for places in ones]


def _narrow(
    low: np.ndarray, high: np.ndarray, *, ordered: np.ndarray, looked_up: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Buckets with more than `BUCKET` images cut to those around the place of what is looked up."""
    large = high - low > BUCKET
    if large.any():
        place = np.searchsorted(ordered, looked_up[large]) - BUCKET // 2
        low = low.copy()
        low[large] = np.clip(place, low[large], high[large] - BUCKET)
    return low, np.minimum(high, low + BUCKET)
