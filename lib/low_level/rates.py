"""What short trainings at several learning rates say: tables for the research note; no TensorFlow."""

import numpy as np
import pandas as pd

TOLERANCE = 0.02  # accuracy that may be lost beside the best rate: within it, a rate counts as usable
BETA_1, BETA_2 = 0.9, 0.999  # of Adam, as in `updates`


def rate_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a variant and learning rate: what its seeds reached after the last epoch.

    Args:
        frame: variant, learning_rate, seed, epoch, loss and val_accuracy, as `measure.compare_rates` gives it: a
            training that diverged lacks its last epochs.

    Returns:
        Columns variant, learning_rate, mean, low and high (val accuracy of the seeds that did not diverge; NaN where
        all did) and diverged (how many seeds did).
    """
    seeds, last = frame["seed"].nunique(), frame["epoch"].max()
    rows = []
    rates = sorted(frame["learning_rate"].unique())
    for variant in dict.fromkeys(frame["variant"]):
        for rate in rates:
            own = frame[(frame["variant"] == variant) & (frame["learning_rate"] == rate) & (frame["epoch"] == last)]
            reached = own["val_accuracy"]
            row = {"variant": variant, "learning_rate": rate, "mean": reached.mean(), "low": reached.min()}
            rows.append(row | {"high": reached.max(), "diverged": seeds - len(own)})
    return pd.DataFrame(rows)


def rate_facts(rows: pd.DataFrame) -> dict[str, float]:
    """Of one variant: its best rate, and the rates around it that are nearly as good.

    Args:
        rows: rows of `rate_summary` with one variant, by rate.

    Returns:
        best_rate, best_accuracy, low_rate and high_rate (the ends of the unbroken range of rates within `tolerance` of
        the best), tolerance, diverged (trainings) and usable_decades (log10 of high_rate / low_rate).
    """
    rows = rows.sort_values("learning_rate").reset_index(drop=True)
    best = int(rows["mean"].idxmax())
    usable = (rows["mean"] >= rows["mean"][best] - TOLERANCE) & (rows["diverged"] == 0)
    first = last = best
    while first > 0 and usable[first - 1]:
        first -= 1
    while last < len(rows) - 1 and usable[last + 1]:
        last += 1
    low, high = rows["learning_rate"][first], rows["learning_rate"][last]
    return {
        "best_rate": rows["learning_rate"][best],
        "best_accuracy": rows["mean"][best],
        "low_rate": low,
        "high_rate": high,
        "tolerance": TOLERANCE,
        "usable_decades": float(np.log10(high / low)),
        "diverged": int(rows["diverged"].sum()),
    }


def with_ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """Adam's first steps with the factor by which the uncorrected step is too long, from the formula.

    With equal gradients both running means are those of the corrected method, times 1 - beta^t: the step is longer by
    (1 - beta_1^t) / sqrt(1 - beta_2^t).

    Args:
        frame: with the column step, from 1.

    Returns:
        The frame with the column ratio.
    """
    step = frame["step"].to_numpy(float)
    return frame.assign(ratio=(1 - BETA_1**step) / np.sqrt(1 - BETA_2**step))
