"""How much two pictures look like copies of one another, beyond what images of their class have in common anyway."""

import cv2
import numpy as np

SMOOTH = 2.0  # pixels: standard deviation of the blur whose result is taken away, so that only detail is compared
NOISE = 2.0  # grey levels: detail weaker than this counts for nothing, so that plain images match no other
COARSE, SHIFT = 1, 2  # pixels that two copies may be shifted, at half and at full size
PROMISING = 0.5  # similarity at half size below which the full size is not looked at
LEAST, MOST = 0.6, 0.97  # range of the threshold
MARGIN = 8.0  # see `usual_threshold`
CHUNK = 1024  # pairs compared in one go: one image may be like all others


class Details:
    """Grey copies without their coarse shades, ready to be compared."""

    def __init__(self, thumbnails: np.ndarray):
        """Take away the coarse shades.

        Args:
            thumbnails: (N, S, S) uint8, S even.
        """
        half = thumbnails.shape[1] // 2
        self.full = _details(thumbnails, size=2 * half)
        self.half = _details(thumbnails, size=half)

    def similarity(self, pairs: np.ndarray) -> np.ndarray:
        """Correlation of the details of two images at the best of a few small shifts.

        Args:
            pairs: (M, 2) positions.

        Returns:
            (M,) float32 up to 1; about 0 for images that have nothing in common.
        """
        return _best_correlation(self.full, pairs, reach=SHIFT)

    def promising(self, pairs: np.ndarray) -> np.ndarray:
        """(M,) whether each pair is worth comparing at full size, judged at half the size."""
        return _best_correlation(self.half, pairs, reach=COARSE) >= PROMISING


def usual_threshold(details: Details, pairs: np.ndarray) -> float:
    """Above which similarity two images of a class count as near duplicates, given pairs of it that are none.

    Letters, clothes on black or motorbikes on white are alike without being copies. So the threshold lies above what
    ordinary pairs of the class reach: their median, and eight times the way from there to their 90th percentile (of
    Fisher's transform, in which correlations spread evenly).

    Args:
        details: of the images.
        pairs: (M, 2) positions of pairs of one class, drawn at random.

    Returns:
        The threshold, in [LEAST, MOST]; the least where there are fewer than ten pairs to say what is usual.
    """
    if len(pairs) < 10:
        return LEAST
    usual = np.arctanh(np.clip(details.similarity(pairs).astype(np.float64), -0.999, 0.999))
    median, high = np.median(usual), np.quantile(usual, 0.9)
    return float(np.clip(np.tanh(median + MARGIN * (high - median)), LEAST, MOST))


def _details(thumbnails: np.ndarray, *, size: int) -> np.ndarray:
    """(N, size, size) int8: what is left when the blurred image is taken away."""
    result = np.empty((len(thumbnails), size, size), np.int8)
    for place, image in enumerate(thumbnails):
        if size < len(image):
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        image = image.astype(np.float32)
        left = np.rint(image - cv2.GaussianBlur(image, (0, 0), SMOOTH))
        result[place] = np.clip(left, -127, 127)
    return result


def _best_correlation(details: np.ndarray, pairs: np.ndarray, *, reach: int) -> np.ndarray:
    """Correlation of the images of each pair (M, 2) at the best shift of at most `reach` pixels: (M,) float32.

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
