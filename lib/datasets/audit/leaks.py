"""Which images are linked to which, and which of the links lead from one side of a split to another."""

import numpy as np
import pandas as pd

EQUAL = "same bytes"
SIDES = ("train", "val", "test")  # an image leaks into a later one of these
COLUMNS = ["row", "other", "similarity", "relation"]


def equal_pairs(sums: pd.Series) -> pd.DataFrame:
    """Pairs of images with the same bytes: the first of them with each further one.

    Args:
        sums: (N,) sha256 of each image.

    Returns:
        Columns `COLUMNS`; similarity is 1.
    """
    first = _first_of_equal(sums)
    further = np.flatnonzero(first != np.arange(len(first)))
    return pd.DataFrame({"row": first[further], "other": further, "similarity": 1.0, "relation": EQUAL})


def leaks(sums: pd.Series, pairs: pd.DataFrame, roles: np.ndarray) -> pd.DataFrame:
    """Held-out images that are linked to an image of another side: test to train or val, val to train.

    Args:
        sums: (N,) sha256 of each image.
        pairs: columns `COLUMNS`, links between images whose bytes differ; they hold for all copies of these.
        roles: (N,) train, val, test or something else, which counts for nothing.

    Returns:
        Columns `COLUMNS`: one row a held-out image, with its strongest link.
    """
    first, roles = _first_of_equal(sums), np.asarray(roles)
    members = pd.DataFrame({"row": np.arange(len(first)), "key": first, "side": pd.Series(roles).map(_rank)})
    ends = pd.DataFrame({"key": first[pairs["row"]], "far": first[pairs["other"]]})
    ends = ends.assign(similarity=pairs["similarity"].to_numpy(), relation=pairs["relation"].to_numpy())
    itself = pd.DataFrame({"key": np.unique(first), "similarity": 1.0, "relation": EQUAL})
    known = pd.concat([itself.assign(far=itself["key"]), ends, ends.rename(columns={"key": "far", "far": "key"})])
    held = members[members["side"] > 0]
    sources = members[members["side"].between(0, 1)].drop_duplicates(["key", "side"])
    sources = sources.rename(columns={"row": "other", "key": "far", "side": "from"})
    found = held.merge(known, on="key").merge(sources, on="far")
    found = found[found["from"] < found["side"]]
    order = found.assign(equal=found["relation"] != EQUAL, weak=-found["similarity"])
    order = order.sort_values(["row", "equal", "weak", "from", "other"])
    return order.drop_duplicates("row")[COLUMNS].reset_index(drop=True)


def _rank(role: str) -> int:
    return SIDES.index(role) if role in SIDES else -1


def _first_of_equal(sums: pd.Series) -> np.ndarray:
    """(N,) for each image the first one with its bytes."""
    rows = pd.Series(np.arange(len(sums)))
    return rows.groupby(sums.to_numpy(), sort=False).transform("first").to_numpy()
