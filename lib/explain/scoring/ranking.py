"""Which methods can be trusted on this model, in words drawn from their scores."""

import math

import numpy as np
import pandas as pd

from lib.explain.methods import BASELINES
from lib.explain.scoring.randomisation import SIMILARITY_LIMIT, Cascade

YES, CARE, NO = "yes", "with care", "no"
COLUMNS = ("rank", "method", "trust", "why", "hit", "energy", "deletion", "insertion", "similarity", "images")


def rank_methods(areas: pd.DataFrame, shuffled: Cascade, *, pointing: pd.DataFrame | None) -> pd.DataFrame:
    """One table of all scores, the most trustworthy method first.

    Three questions are asked. Does the map depend on what the model has learnt (rank correlation with the maps of
    shuffled weights)? Does what it marks matter to the model more than the image's centre (insertion minus deletion)?
    Does its strongest pixel lie on the object more often than the centre does? The gains over the centre are counted
    image by image, and the lower end of their 95 % interval must be above 0. A method that fails one of the first
    two cannot be trusted; one that fails only the last explains the model, but cannot say where the object is. Methods
    of equal trust are ordered by their mean rank in the gains over the centre.

    Args:
        areas: as `deletion.Curves.areas` gives.
        shuffled: as `randomisation.cascade` gives.
        pointing: as `pointing_game.pointing_game` gives; None where no objects are known, and the last question is
            left out.

    Returns:
        One row per method: `COLUMNS`. trust is "yes", "with care" or "no"; similarity is `Cascade.left`; hit and energy
        are NaN without masks.

    Raises:
        ValueError: if the scores are not of the same methods.
    """
    areas = areas[~areas["method"].isin(BASELINES)].set_index("method")
    named = [set(areas.index), set(shuffled.similarity)]
    scores = areas.assign(similarity=shuffled.left).rename(columns={"gain": "matters", "gain_low": "matters_low"})
    if pointing is None:
        scores = scores.assign(hit=math.nan, energy=math.nan, points=math.nan, points_low=math.nan)
    else:
        named.append(set(pointing["method"]) - set(BASELINES))
        points = pointing.set_index("method").rename(columns={"gain": "points", "gain_low": "points_low"})
        scores = scores.join(points[["hit", "energy", "points", "points_low"]])
    if scores.empty or any(methods != named[0] for methods in named):
        received = "; ".join(", ".join(sorted(methods)) or "none" for methods in named)
        raise ValueError(f"all scores must be of the same methods, at least one. Received: {received}")
    scores["trust"], scores["why"] = zip(*map(_judge, scores.to_dict("records")), strict=True)
    level = scores["trust"].map({YES: 0, CARE: 1, NO: 2})
    place = scores[["matters", "points"]].rank(ascending=False).mean(axis=1)
    scores = scores.iloc[np.lexsort((place, level))].reset_index()
    return scores.assign(rank=np.arange(1, len(scores) + 1))[list(COLUMNS)]


def _judge(row: dict) -> tuple[str, str]:
    """Trust, and why, of one method."""
    reasons = []
    if row["similarity"] > SIMILARITY_LIMIT:
        reasons.append("its map changes too little when weights are shuffled")
    if not row["matters_low"] > 0:
        reasons.append("what it marks matters to the model no more than the image's centre")
    if reasons:
        return NO, "; ".join(reasons)
    if row["points_low"] <= 0:
        missed = "its strongest pixel finds the object no better than the centre"
        return CARE, f"marks what matters to the model, but {missed}"
    seen = "" if math.isnan(row["points_low"]) else "finds the object, "
    return YES, f"{seen}marks what matters to the model and changes with its weights"
