"""Maps that know nothing of the model: what every method must be compared with."""

import numpy as np

CENTRE, CONTRAST, RANDOM = "centre", "contrast", "random"
BLIND = (CENTRE, CONTRAST, RANDOM)


def centre_maps(count: int, sides: tuple[int, int]) -> np.ndarray:
    """(N, H, W) in [0, 1]: the nearer to the image's centre the more; an even side has two rows in its middle."""
    rows, columns = np.mgrid[: sides[0], : sides[1]]
    distance = np.hypot((rows + 0.5) / sides[0] - 0.5, (columns + 0.5) / sides[1] - 0.5)
    nearness = (distance.max() - distance) / max(np.ptp(distance), 1e-12)
    # Rounded, so that pixels at the same distance tie exactly.
    return np.broadcast_to(nearness.round(9), (count, *sides))


def contrast_maps(images: np.ndarray) -> np.ndarray:
    """How far each pixel's colour is from the mean colour of its image: where something stands out, whatever it is.

    Args:
        images: (N, H, W, 3) in [0, 255].

    Returns:
        (N, H, W) float64 in [0, 1], the largest of each image 1; zeros for an image of one colour.
    """
    values = np.asarray(images, dtype=np.float64)
    distance = np.sqrt(((values - values.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=3))
    largest = distance.max(axis=(1, 2), keepdims=True)
    return distance / np.where(largest > 0, largest, 1.0)


def random_maps(count: int, sides: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    """(N, H, W) in [0, 1): independent numbers."""
    return np.random.default_rng(seed).random((count, *sides))


def blind_maps(images: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """All of `BLIND` for some images (N, H, W, 3) in [0, 255]: name -> (N, H, W)."""
    count, *sides = np.shape(images)[:3]
    return {
        CENTRE: centre_maps(count, tuple(sides)),
        CONTRAST: contrast_maps(images),
        RANDOM: random_maps(count, tuple(sides), seed=seed),
    }
