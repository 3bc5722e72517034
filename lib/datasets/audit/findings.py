"""The findings of an audit, one row each, their summary, and which pairs lead from one side of a split to another."""

import numpy as np
import pandas as pd

from lib.datasets import Dataset
from lib.datasets.audit.notes import GREY, flagged
from lib.datasets.audit.pairs import EQUAL, NEAR, PHOTOGRAPH, first_of_equal
from lib.datasets.splits import ROLES

COLUMNS = ["check", "path", "class_name", "role", "other", "other_class", "other_role", "value"]
LINK = ["row", "other", "similarity", "relation"]
LEFT_OUT, CONFLICT = "left out", "same bytes, other label"
NEAR_CONFLICT = "near duplicate, other label"
LAYOUT_LEAK, LEAK = "leak in the official split", "leak in this split"
GREY_FILE, GREY_PICTURE = "one channel", "grey picture"
MEANING = {
    LEFT_OUT: "files and folders that are no usable images",
    EQUAL: "images that exist more than once, byte for byte",
    CONFLICT: "such images whose copies carry different labels",
    NEAR: "images of which a recoloured, slightly shifted, resized or newly compressed copy exists",
    NEAR_CONFLICT: "such images whose copy carries another label",
    PHOTOGRAPH: "images of two classes that are known to be cut out of the same photograph",
    LAYOUT_LEAK: "held-out images of the official files with a copy in their training part",
    LEAK: "images of val or test with a copy in a part that comes before it",
    GREY_FILE: "files that hold a single grey channel",
    GREY_PICTURE: "pictures without colour, however they are stored",
    "dark": "hardly a bright pixel",
    "overexposed": "hardly a dark pixel",
    "blurry": "weak edges",
    "little information": "few different shades",
    "odd size": "much larger or smaller than the others",
    "odd aspect ratio": "one side about three times the other, or more",
}
NAMES = {
    "same_bytes": EQUAL,
    "conflicting_labels": CONFLICT,
    "near_duplicates": NEAR,
    "official_leaks": LAYOUT_LEAK,
    "leaks": LEAK,
    "grey": GREY_PICTURE,
    "dark": "dark",
    "blurry": "blurry",
}
# Checks of pairs, the gravest first.
PAIR_CHECKS = {
    check: place for place, check in enumerate((LAYOUT_LEAK, LEAK, CONFLICT, NEAR_CONFLICT, EQUAL, NEAR, PHOTOGRAPH))
}
USUAL = 0.5  # what more than this share of the images has is the way of the data set, and not listed one by one


def find_faults(
    dataset: Dataset, roles: np.ndarray, *, properties: pd.DataFrame, pairs: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everything that was found.

    Args:
        dataset: the images.
        roles: (N,) what each image is for in the split: train, val, test or unused.
        properties: of the images, as `Notes` has them.
        pairs: near duplicates and same photographs, columns `LINK`.

    Returns:
        One row per finding, columns `COLUMNS`: the check; path, class and role of the image; those of the other one of
        a pair; and the similarity of a pair or the score of a check, NaN where there is none. And one row per check:
        check, images (how many it concerns), share (of all, in per cent) and meaning.
    """
    index = dataset.index
    linked = _linked(index, roles, pairs)
    odd, scores = _odd_images(index, properties)
    parts = [pd.DataFrame({"check": LEFT_OUT, "path": dataset.left_out["path"]})]
    parts += [_rows(index, roles if check != LAYOUT_LEAK else index["role"], check, some) for check, some in linked]
    for check in odd.columns[odd.mean() <= USUAL]:
        rows = np.flatnonzero(odd[check])
        parts.append(_rows(index, roles, check, pd.DataFrame({"row": rows, "similarity": scores[check].iloc[rows]})))
    findings = pd.concat([part.reindex(columns=COLUMNS).astype(object) for part in parts], ignore_index=True)
    counts = {LEFT_OUT: len(dataset.left_out)} | odd.sum().to_dict()
    counts |= {check: _concerned(check, some) for check, some in linked}
    return findings.astype({"value": "float64"}), _summary(index, counts)


def leaks(checksums: pd.Series, pairs: pd.DataFrame, roles: np.ndarray) -> pd.DataFrame:
    """Held-out images that are linked to an image of another side: test to train or val, val to train.

    Args:
        checksums: (N,) sha256 of each image.
        pairs: columns `LINK`, links between images whose bytes differ; they hold for all copies of these.
        roles: (N,) train, val, test or something else, which counts for nothing.

    Returns:
        Columns `LINK`: one row per held-out image, with its strongest link.
    """
    rank = {role: place for place, role in enumerate(ROLES)}
    first, roles = first_of_equal(checksums), np.asarray(roles)
    members = pd.DataFrame({"row": np.arange(len(first)), "key": first, "side": pd.Series(roles).map(rank).fillna(-1)})
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
    return order.drop_duplicates("row")[LINK].reset_index(drop=True)


def _linked(index: pd.DataFrame, roles: np.ndarray, pairs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Checks of pairs of images, each with its pairs."""
    labels, sums = index["label"].to_numpy(), index["sha256"]
    first = first_of_equal(sums)
    further = np.flatnonzero(first != np.arange(len(first)))
    equal = pd.DataFrame({"row": first[further], "other": further, "similarity": 1.0, "relation": EQUAL})
    near = pairs[pairs["relation"] == NEAR]
    photograph = pairs[pairs["relation"] == PHOTOGRAPH]
    return [
        (EQUAL, equal),
        (CONFLICT, equal[labels[equal["row"]] != labels[equal["other"]]]),
        (NEAR, near),
        (NEAR_CONFLICT, near[labels[near["row"]] != labels[near["other"]]]),
        *([(PHOTOGRAPH, photograph)] if len(photograph) else []),
        *([(LAYOUT_LEAK, leaks(sums, pairs, index["role"].to_numpy()))] if index["role"].any() else []),
        (LEAK, leaks(sums, pairs, roles)),
    ]


def _concerned(check: str, pairs: pd.DataFrame) -> int:
    """Images that a check of pairs concerns: both of a pair, but of a leak only the one that is held out."""
    held_out = check in (LAYOUT_LEAK, LEAK)
    return pairs["row"].nunique() if held_out else len(set(pairs["row"]) | set(pairs["other"]))


def _odd_images(index: pd.DataFrame, properties: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Checks of single images: whether each is flagged, and its score."""
    marks, scores = flagged(properties)
    grey = {GREY_FILE: index["channels"] == 1, GREY_PICTURE: properties[GREY]}
    marks = pd.DataFrame(grey).join(marks)
    return marks, scores.reindex(columns=marks.columns)


def _rows(index: pd.DataFrame, roles, check: str, found: pd.DataFrame) -> pd.DataFrame:
    """Findings of one check; `found` has row numbers, and for pairs those of the other one."""
    roles, row = np.asarray(roles), found["row"].to_numpy()
    names, classes = index["path"].to_numpy(), index["class_name"].to_numpy()
    columns = {"check": check, "path": names[row], "class_name": classes[row], "role": roles[row]}
    if "other" in found:
        other = found["other"].to_numpy()
        columns |= {"other": names[other], "other_class": classes[other], "other_role": roles[other]}
    return pd.DataFrame(columns | {"value": found["similarity"].to_numpy()})


def _summary(index: pd.DataFrame, counts: dict[str, int]) -> pd.DataFrame:
    shown = [(check, meaning) for check, meaning in MEANING.items() if check in counts]
    shares = [np.nan if check == LEFT_OUT else 100 * counts[check] / len(index) for check, _ in shown]
    sizes = index["class_name"].value_counts()
    largest, smallest = sizes.index[0], sizes.index[-1]
    balance = f"images of the smallest class, {smallest}; {largest} has {sizes.iloc[0] / sizes.iloc[-1]:.1f} times that"
    return pd.DataFrame(
        {
            "check": [*(check for check, _ in shown), "class balance"],
            "images": [*(int(counts[check]) for check, _ in shown), int(sizes.iloc[-1])],
            "share": [*shares, 100 * sizes.iloc[-1] / len(index)],
            "meaning": [*(meaning for _, meaning in shown), balance],
        }
    )
