"""The numbers of the explanations that sentences and reports quote, under their names in `values.json`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.explain.features.activation_maximisation import Maximised
from lib.explain.features.max_images import TopImages
from lib.explain.features.pairs import CONFIRMED, Pair
from lib.explain.methods import BASELINES, title
from lib.explain.scoring.baselines import CONTRAST
from lib.explain.scoring.randomisation import SIMILARITY_LIMIT, Cascade
from lib.explain.scoring.ranking import CARE, NO, YES

Values = dict[str, object]
PREFIX = "explain"
CLOSE = 0.1  # of hits: a baseline this near to the best method leaves little to be proud of
LESSONS = {
    True: "objects stand out so much here that hits show little by themselves, and the next two questions decide",
    False: "the best maps know more than that",
}


def of_depth(summary: pd.DataFrame) -> Values:
    """First and last block of `feature_maps.summarise_maps`: name, side of the maps, silent values, dead channels."""
    values: Values = {}
    for end, block in (("first", summary.iloc[0]), ("last", summary.iloc[-1])):
        values[f"block_{end}"] = block["block"]
        values[f"map_side_{end}"] = int(block["height"])
        values[f"silent_{end}"] = float(block["silent"])
        values[f"dead_{end}"] = float(block["dead"])
    return _prefixed(values)


def of_filters(pairs: Sequence[Pair], depths: pd.DataFrame) -> Values:
    """What `pairs.compare_depths` says of the first and the last convolution, and what `pairs.find_pairs` detects."""
    values: Values = {"pairs": len(pairs), "confirmed": sum(pair.verdict == CONFIRMED for pair in pairs)}
    values |= {f"detects_{number}": pair.sentences() for number, pair in enumerate(pairs, start=1)}
    for end, row in (("first", depths.iloc[0]), ("last", depths.iloc[-1])):
        values |= {f"{column}_{end}": row[column] for column in depths.columns}
    return {f"{PREFIX}.filters.{name}": value for name, value in values.items()}


def of_top_images(top: Mapping[str, TopImages]) -> Values:
    """How many of the images that excite a channel most are of one class, at the first block and at the last."""
    layers = list(top.values())
    first, last = (float(own.purity().mean()) for own in (layers[0], layers[-1]))
    values = {"max_images_purity_first": first, "max_images_purity_last": last}
    return _prefixed(values | {"max_images_k": int(layers[0].values.shape[1])})


def of_ladder(made: Mapping[str, Maximised]) -> Values:
    """What small moves leave of the activations: of images made of plain pixels, and of those with all ingredients."""
    totals = [(float(np.sum(one.moved)), float(np.sum(one.reached))) for one in made.values()]
    left = [moved / reached if reached > 0 else 0.0 for moved, reached in totals]
    return _prefixed({"deep_moved_pixels": left[0], "deep_moved_all": left[-1]})


def of_pointing(pointing: pd.DataFrame) -> Values:
    """Hits and energy by method and baseline, which method of `pointing_game` hits most, and what that is worth."""
    values: Values = {}
    for row in pointing.itertuples():
        values[f"pointing_game.{row.method}"] = row.hit
        values[f"energy.{row.method}"] = row.energy
    best = pointing[~pointing["method"].isin(BASELINES)].sort_values("hit", kind="stable").iloc[-1]
    values |= {"best_pointing": title(best["method"]), "best_pointing_hit": best["hit"]}
    values["pointing_lesson"] = LESSONS[values[f"pointing_game.{CONTRAST}"] > best["hit"] - CLOSE]
    return _prefixed(values)


def of_layers(layers: pd.DataFrame) -> Values:
    """The block at which class activation maps hit most, of `pointing_game.compare_layers`."""
    best = layers.sort_values("hit", kind="stable").iloc[-1]
    values = {"cam_best_block": best["block"], "cam_best_method": title(best["method"]), "cam_best_hit": best["hit"]}
    return _prefixed(values)


def of_areas(areas: pd.DataFrame) -> Values:
    """Deletion and insertion of every method and baseline, of `deletion.Curves.areas`."""
    values = {f"deletion.{row.method}": row.deletion for row in areas.itertuples()}
    return _prefixed(values | {f"insertion.{row.method}": row.insertion for row in areas.itertuples()})


def of_cascade(shuffled: Cascade) -> Values:
    """What is left of every method's maps when weights are shuffled, and the limit above which it fails."""
    left = {f"similarity.{name}": value for name, value in shuffled.left.items()}
    return _prefixed(left | {"similarity_limit": SIMILARITY_LIMIT, "shuffled_depths": len(shuffled.depths) - 1})


def of_ranking(ranking: pd.DataFrame) -> Values:
    """Which methods of `ranking.rank_methods` are trusted, read with care or not trusted, and which comes first."""
    values: Values = {"best_method": title(ranking["method"].iloc[0])}
    for name, answer in (("trusted", YES), ("with_care", CARE), ("not_trusted", NO)):
        own = [title(method) for method in ranking.loc[ranking["trust"] == answer, "method"]]
        values[name] = ", ".join(own) or "none"
        values[f"{name}_count"] = len(own)
    return _prefixed(values)


def _prefixed(values: Values) -> Values:
    return {f"{PREFIX}.{name}": value for name, value in values.items()}
