"""Which methods can be trusted on this model, in words drawn from their scores."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.explain.methods import BASELINES
from lib.explain.scoring.randomisation import Cascade

YES, CARE, NO = "yes", "with care", "no"
COLUMNS = (
    "rank",
    "method",
    "trust",
    "why",
    "hit",
    "energy",
    "deletion",
    "insertion",
    "similarity",
    "images",
)


@dataclass(frozen=True)
class Limits:
    """Where a score counts as good enough."""

    # Two maps with a rank correlation r share r² of the variance of their ranks: above 0.5, more than a quarter of the
    # map is still there when weights have lost their places, on average over the depths of the cascade.
    similarity: float = 0.5
    # The lower end of the 95 % interval of the gain over the image's centre, image by image: above 0, the map says more
    # about this image than "look at the middle" would.
    gain: float = 0.0


LIMITS = Limits()


def rank_methods(
    areas: pd.DataFrame, shuffled: Cascade, *, pointing: pd.DataFrame | None = None, limits: Limits = LIMITS
) -> pd.DataFrame:
    """One table of all scores, the most trustworthy method first.

    Three questions are asked. Does the map depend on what the model has learnt (rank correlation with the maps of
    shuffled weights)? Does what it marks matter to the model more than the image's centre (insertion minus deletion)?
    Does its strongest pixel lie on the object more often than the centre does? A method that fails one of the first
    two cannot be trusted; one that fails only the last explains the model, but cannot say where the object is. Methods
    of equal trust are ordered by their mean rank in the gains over the centre.

    Args:
        areas: as `deletion.Curves.areas` gives.
        shuffled: as `randomisation.cascade` gives.
        pointing: as `pointing_game.pointing_game` gives; None where no objects are known, and the last question is
            left out.
        limits: where a score counts as good enough.

    Returns:
        One row per method: `COLUMNS`. trust is "yes", "with care" or "no"; similarity is `Cascade.left`; hit and energy
        are NaN without masks.

    Raises:
        ValueError: if the scores are not of the same methods.
    """
    areas = areas[~areas["method"].isin(BASELINES)].set_index("method")
    scores = areas.assign(similarity=shuffled.left)
    columns = {"gain": "matters", "gain_low": "matters_low"}
    scores = scores.rename(columns=columns)
    if pointing is None:
        scores = scores.assign(hit=math.nan, energy=math.nan, points=math.nan, points_low=math.nan)
    else:
        named = pointing.set_index("method").rename(columns={"gain": "points", "gain_low": "points_low"})
        scores = scores.join(named[["hit", "energy", "points", "points_low"]])
    _check_methods(scores, areas, shuffled, pointing)
    verdicts = [_judge(row, limits) for row in scores.to_dict("records")]
    scores["trust"], scores["why"] = zip(*verdicts, strict=True)
    level = scores["trust"].map({YES: 0, CARE: 1, NO: 2})
    place = scores[["matters", "points"]].rank(ascending=False).mean(axis=1)
    scores = scores.iloc[np.lexsort((place, level))].reset_index()
    return scores.assign(rank=np.arange(1, len(scores) + 1))[list(COLUMNS)]


def _check_methods(scores: pd.DataFrame, areas: pd.DataFrame, shuffled: Cascade, pointing: pd.DataFrame | None) -> None:
    named = [set(areas.index), set(shuffled.similarity)]
    if pointing is not None:
        named.append(set(pointing["method"]) - set(BASELINES))
    if scores.empty or any(methods != named[0] for methods in named):
        received = "; ".join(", ".join(sorted(methods)) or "none" for methods in named)
        raise ValueError(f"all scores must be of the same methods, at least one. Received: {received}")


def _judge(row: dict, limits: Limits) -> tuple[str, str]:
    """Trust, and why, of one method."""
    reasons = []
    if row["similarity"] > limits.similarity:
        reasons.append("its map changes too little when weights are shuffled")
    if not row["matters_low"] > limits.gain:
        reasons.append("what it marks matters to the model no more than the image's centre")
    if reasons:
        return NO, "; ".join(reasons)
    if row["points_low"] <= limits.gain:
        return (
            CARE,
            "marks what matters to the model, but its strongest pixel finds the object no better than the centre",
        )
    seen = "" if math.isnan(row["points_low"]) else "finds the object, "
    return YES, f"{seen}marks what matters to the model and changes with its weights"
