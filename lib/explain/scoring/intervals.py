"""How far a mean over images can be trusted: percentile bootstrap with the same draws for everything compared."""

import numpy as np

LEVEL = 0.95
DRAWS = 2000


def mean_intervals(values: np.ndarray, *, level: float = LEVEL, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Intervals of means over images drawn again with replacement (Efron 1979).

    Every row is drawn with the same images, so that intervals of differences between rows are paired.

    Args:
        values: (..., N) one number an image, finite, N at least 1.
        level: share of the draws inside the interval, in (0, 1).
        draws: number of draws, at least 1.
        seed: of the draws.

    Returns:
        (..., 2) float64: low and high.

    Raises:
        ValueError: if there are no images, a value is not finite, or an option is out of range.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim < 1 or values.shape[-1] == 0 or not np.isfinite(values).all():
        raise ValueError(f"values must be finite, one an image, at least one. Received: shape {values.shape}")
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws must be at least 1 and level lie in (0, 1). Received: draws={draws}, level={level}")
    count = values.shape[-1]
    # How often each image is drawn is all that a mean needs: (draws, N) counts instead of copies of the values.
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    means = values @ (counts.T / count)
    return np.moveaxis(np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1), 0, -1)
