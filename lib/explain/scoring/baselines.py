"""What every score is held against: maps that know nothing of the model, and what chance does to a mean over images."""

import numpy as np

from lib.explain.methods import BASELINES

CENTRE, CONTRAST, RANDOM = BASELINES
LEVEL, DRAWS = 0.95, 2000  # of the intervals


def baseline_maps(images: np.ndarray) -> dict[str, np.ndarray]:
    """Every baseline for some images (N, H, W, 3) in [0, 255]: name -> (N, H, W) float64 in [0, 1].

    centre: the nearer to the image's centre the more; an even side has two rows in its middle. contrast: how far each
    pixel's colour is from the mean colour of its image, the largest 1 (zeros if there is one colour only): where
    something stands out, whatever it is. random: independent numbers.
    """
    count, height, width = np.shape(images)[:3]
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot((rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5)
    nearness = (away.max() - away) / max(np.ptp(away), 1e-12)
    values = np.asarray(images, dtype=np.float64)
    contrast = np.sqrt(((values - values.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=3))
    largest = contrast.max(axis=(1, 2), keepdims=True)
    return {
        CENTRE: np.broadcast_to(nearness.round(9), (count, height, width)),  # so that equal distances tie exactly
        CONTRAST: contrast / np.where(largest > 0, largest, 1.0),
        RANDOM: np.random.default_rng(0).random((count, height, width)),
    }


def interval_columns(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of a table: the means of values (M, N) over the images, and `_low` and `_high`, the ends of intervals."""
    low, high = mean_intervals(values).T
    return {name: values.mean(axis=1), f"{name}_low": low, f"{name}_high": high}


def mean_intervals(values: np.ndarray) -> np.ndarray:
    """(M, 2) low and high ends of 95 % intervals of means over the images, for values (M, N), one per image.

    Percentile bootstrap, drawn again with replacement (Efron 1979). All rows, and all calls for as many images, are
    drawn with the same images, so that intervals of differences are paired.
    """
    values = np.asarray(values, dtype=np.float64)
    count = values.shape[-1]
    if count == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite, one per image, at least one. Received: shape {values.shape}")
    # How often each image is drawn is all that a mean needs: (draws, N) counts instead of copies of the values.
    counts = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    means = values @ (counts.T / count)
    return np.moveaxis(np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1), 0, -1)
