"""What every score is held against: maps that know nothing of the model, and what chance does to a mean over images."""

import numpy as np

CENTRE, CONTRAST, RANDOM = "centre", "contrast", "random"
LEVEL, DRAWS = 0.95, 2000  # of the intervals


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


def baseline_maps(images: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Every baseline for some images (N, H, W, 3) in [0, 255]: name -> (N, H, W)."""
    count, *sides = np.shape(images)[:3]
    return {
        CENTRE: centre_maps(count, tuple(sides)),
        CONTRAST: contrast_maps(images),
        RANDOM: random_maps(count, tuple(sides), seed=seed),
    }


def mean_intervals(values: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Intervals of means over images: percentile bootstrap, drawn again with replacement (Efron 1979).

    Every row is drawn with the same images, so that intervals of differences between rows are paired.

    Args:
        values: (..., N) one number per image, finite, N at least 1.
        seed: of the draws.

    Returns:
        (..., 2) float64: low and high.

    Raises:
        ValueError: if there are no images or a value is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim < 1 or values.shape[-1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite, one per image, at least one. Received: shape {values.shape}")
    count = values.shape[-1]
    # How often each image is drawn is all that a mean needs: (draws, N) counts instead of copies of the values.
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    means = values @ (counts.T / count)
    return np.moveaxis(np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1), 0, -1)
