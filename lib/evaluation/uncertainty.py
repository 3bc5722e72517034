"""How far a number can be trusted: between images (bootstrap), between seeds (Welch), against guessing (binomial)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lib.evaluation.metrics import accuracy, check_predictions

CONFIDENCE_LEVEL = 0.95
DOUBT = 0.001  # so rarely would guessing be right as often, where a result counts as above chance


@dataclass(frozen=True)
class Comparison:
    """How a compares with b, where more is better."""

    difference: float  # mean(a) - mean(b)
    low: float | None  # ends of its interval; None with a single seed on either side
    high: float | None
    verdict: str  # better, worse, no difference within noise; one seed, no claim


@dataclass(frozen=True)
class Chance:
    """How an accuracy compares with always naming the commonest class."""

    accuracy: float
    guessing: float  # share of the commonest class, in [0, 1]
    p_value: float  # how probable at least as many right answers are by guessing
    verdict: str  # above chance, at chance, too few images to tell


def bootstrap_interval(
    labels: np.ndarray, probabilities: np.ndarray, *, metric: Callable[..., float] = accuracy, n: int = 1000
) -> tuple[float, float]:
    """95 % interval of a metric over images drawn again with replacement (percentile bootstrap, Efron 1979).

    It says what another held-out set of the same size could have shown; it says nothing about other training seeds.

    Args:
        labels: (N,) integers.
        probabilities: (N, C).
        metric: any function of (labels, probabilities).
        n: number of draws, at least 1; always the same ones.

    Returns:
        (low, high) in the metric's unit.

    Raises:
        ValueError: if n is below 1 or the predictions break a rule.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    if metric is accuracy:  # the usual one: whether each image is right does not depend on the draw
        right = labels == probabilities.argmax(axis=1)
        return _percentiles(lambda rows: right[rows].mean(), len(labels), n=n)
    return _percentiles(lambda rows: metric(labels[rows], probabilities[rows]), len(labels), n=n)


def _percentiles(value_of: Callable[[np.ndarray], float], count: int, *, n: int) -> tuple[float, float]:
    """95 % interval of a value of rows (count,), over n draws of rows with replacement; always the same draws."""
    if n < 1:
        raise ValueError(f"n must be at least 1. Received: {n}")
    rng = np.random.default_rng(0)
    values = [value_of(rng.integers(count, size=count)) for _ in range(n)]
    low, high = np.quantile(values, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return float(low), float(high)


def compare_seeds(values_a: Sequence[float], values_b: Sequence[float]) -> Comparison:
    """Whether experiment a beats experiment b beyond the noise between seeds.

    "better" or "worse" is said only if the 95 % interval of the difference of means (Welch 1947, unequal variances)
    leaves out zero. When every seed of both gave one value, the interval has no width and any difference counts.

    Args:
        values_a: one finite value per seed, more is better, e.g. val accuracies in [0, 1]; at least one.
        values_b: the same for the experiment it is compared with.

    Raises:
        ValueError: if a side is empty, not one-dimensional or not finite.
    """
    sides = [np.asarray(values, dtype=np.float64) for values in (values_a, values_b)]
    for side in sides:
        if side.ndim != 1 or side.size == 0 or not np.isfinite(side).all():
            raise ValueError(f"values must be finite, one per seed, at least one. Received: {side.tolist()}")
    counts = [side.size for side in sides]
    difference = float(sides[0].mean() - sides[1].mean())
    if min(counts) == 1:
        return Comparison(difference, None, None, "one seed, no claim")
    shares = np.array([side.var(ddof=1) / side.size for side in sides])
    error = float(np.sqrt(shares.sum()))
    width = 0.0
    if error > 0:
        freedom = shares.sum() ** 2 / (shares**2 / (np.array(counts) - 1)).sum()
        width = float(stats.t.ppf((1 + CONFIDENCE_LEVEL) / 2, freedom)) * error
    low, high = difference - width, difference + width
    return Comparison(difference, low, high, _verdict(low, high))


def _verdict(low: float, high: float) -> str:
    return "better" if low > 0 else "worse" if high < 0 else "no difference within noise"


def compare_predictions(labels: np.ndarray, one: np.ndarray, other: np.ndarray, *, n: int = 1000) -> Comparison:
    """Whether one model is right more often than another one on the same images, beyond the choice of these images.

    Both are judged on the same draws (paired percentile bootstrap), which says nothing about other training seeds.

    Args:
        labels: (N,) integers.
        one: probabilities (N, C).
        other: probabilities (N, C) of the model that it is compared with.
        n: number of draws, at least 1; always the same ones.

    Raises:
        ValueError: if n is below 1 or the predictions break a rule.
    """
    right = [np.argmax(check_predictions(labels, side)[1], axis=1) == np.asarray(labels) for side in (one, other)]
    gains = right[0].astype(float) - right[1]
    low, high = _percentiles(lambda rows: gains[rows].mean(), len(gains), n=n)
    return Comparison(float(gains.mean()), low, high, _verdict(low, high))


def val_minus_test(val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> dict[str, float | str]:
    """Accuracy on val less that on test, which are different images: the ends of names, and values for the prose.

    Args:
        val: labels (N,) and probabilities (N, C).
        test: the same of its images.

    Returns:
        "" the difference, "_low" and "_high" the ends of its 95 % interval (Welch 1947), and "_meaning" in words; no
        ends where one side is a single image.
    """
    right = [np.argmax(probabilities, axis=1) == labels for labels, probabilities in (val, test)]
    found = compare_seeds(*right)
    words = {"better": "val flatters it by more than chance", "worse": "test is easier by more than chance"}
    meaning = words.get(found.verdict, "no more than another choice of images could give")
    ends = {"_low": found.low, "_high": found.high} if found.low is not None else {}
    return {"": found.difference, **ends, "_meaning": meaning}


def above_chance(labels: np.ndarray, probabilities: np.ndarray) -> Chance:
    """Whether predictions beat always naming the commonest class beyond doubt.

    The one-sided binomial test must give less than 0.001. Where even right answers only could not give that, nothing is
    claimed.

    Args:
        labels: (N,) integers.
        probabilities: (N, C).

    Raises:
        ValueError: if the predictions break a rule.
    """
    labels, probabilities = check_predictions(labels, probabilities)
    images, right = len(labels), int((probabilities.argmax(axis=1) == labels).sum())
    guessing = np.bincount(labels).max() / images
    p_value = float(stats.binom.sf(right - 1, images, guessing))
    if guessing**images >= DOUBT:
        verdict = "too few images to tell"
    else:
        verdict = "above chance" if p_value < DOUBT else "at chance"
    return Chance(right / images, float(guessing), p_value, verdict)
