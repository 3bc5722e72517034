"""What is wrong with a data set: copies of images, copies on both sides of a split, odd images, uneven classes.

Everything is looked at once and stored until the images, their labels or this code change.
"""

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib.config import Split as SplitConfig
from lib.config import paths
from lib.config.names import printable
from lib.datasets import DataError, Dataset, storage
from lib.datasets.audit.findings import NAMES, PAIR_CHECKS, find_faults
from lib.datasets.audit.notes import GREY, take_notes
from lib.datasets.audit.pairs import NEAR, PHOTOGRAPH, groups, known_pairs, near_pairs
from lib.datasets.splits import Split, make_split

__all__ = ["PAIR_CHECKS", "Audit", "audit", "describe", "duplicate_groups"]

PAIR_TYPES = {"row": "int64", "other": "int64", "similarity": "float64"}
LIBRARIES = ("cleanvision", "imagehash", "numpy", "pillow")


@dataclass(frozen=True, eq=False)
class Audit:
    """What is wrong with a data set, image by image and in one table."""

    findings: pd.DataFrame  # one row per finding: `findings.COLUMNS`
    summary: pd.DataFrame  # one row per check: check, images, share, meaning

    @property
    def counts(self) -> dict[str, int]:
        """Images that each check concerns, by a name for prose; 0 where a check does not apply."""
        images = self.summary.set_index("check")["images"]
        return {name: int(images.get(check, 0)) for name, check in NAMES.items()}


def duplicate_groups(dataset: Dataset, *, audited: bool = True) -> np.ndarray:
    """Which images must stay on one side of a split: same bytes, near duplicates, the same photograph.

    Args:
        dataset: the images.
        audited: whether `audit` will follow; properties that it alone reads take half of the time.

    Returns:
        (N,) int64: the same number for images that belong together, as `splits.make_split` takes it.
    """
    pairs = _read_or_look(dataset, "pairs", *(["properties"] if audited else []))[0]
    return groups(pairs[["row", "other"]].to_numpy(), dataset.index["sha256"])


def audit(dataset: Dataset, split: Split) -> Audit:
    """Check the images of a data set, and that none is known on two sides of its split.

    Raises:
        DataError: if the split is one of other images.
    """
    roles = split.to_frame(dataset)["role"].to_numpy()
    pairs, properties = _read_or_look(dataset, "pairs", "properties")
    return Audit(*find_faults(dataset, roles, properties=properties, pairs=pairs))


def describe(dataset: Dataset, shares: SplitConfig) -> list[str]:
    """Lines that say what was found in a data set, what was left out, and what is odd about the rest.

    Args:
        dataset: the images.
        shares: of the brief, by which the images are split.

    Raises:
        DataError: if the images are too few for three parts.
    """
    left_out, counts = dataset.left_out, f"{len(dataset.index):,} images in {len(dataset.class_names)} classes"
    lines = [f"{dataset.title} ({dataset.source}): {dataset.root}", f"{counts}, {len(left_out):,} left out"]
    lines += [f"  left out: {row.path}: {row.reason}" for row in left_out.head(20).itertuples()]
    if len(left_out) > 20:
        lines.append(f"  ... and {len(left_out) - 20:,} more")
    split = make_split(dataset, shares, groups=duplicate_groups(dataset))
    summary = audit(dataset, split).summary
    odd = summary[(summary["images"] > 0) & (summary["check"] != "left out")]
    lines += [f"  {row.check}: {row.images:,} {row.meaning}" for row in odd.itertuples()]
    return [printable(line) for line in lines]


def _read_or_look(dataset: Dataset, *names: str) -> list[pd.DataFrame]:
    """Stored tables, `pairs` or `properties`; the images are looked at if one is not made yet, or damaged."""
    try:
        tables = {name: storage.read_table(_file(dataset, name))[0] for name in names}
    except DataError:
        _look(dataset, properties="properties" in names)
        tables = {name: storage.read_table(_file(dataset, name))[0] for name in names}
    tables["pairs"] = tables["pairs"].astype(PAIR_TYPES)
    if "properties" in tables:
        grey = tables["properties"].pop(GREY) == "True"
        tables["properties"] = tables["properties"].astype("float64").assign(**{GREY: grey})
    return list(tables.values())


def _look(dataset: Dataset, *, properties: bool) -> None:
    """Open every image, and store the pairs of copies and, if asked for, the properties."""
    index = dataset.index
    notes = take_notes(dataset, properties=properties)
    near = near_pairs(notes, index["label"].to_numpy(), index["sha256"]).assign(relation=NEAR)
    known = pd.DataFrame(known_pairs(dataset.name, index["path"]), columns=["row", "other"])
    pairs = pd.concat([near, known.assign(similarity=1.0, relation=PHOTOGRAPH)])
    storage.write_table(_file(dataset, "pairs"), pairs)
    if properties:
        storage.write_table(_file(dataset, "properties"), notes.properties)


def _file(dataset: Dataset, name: str) -> Path:
    """Its name changes with the images, their labels, the code of this package and the libraries that it looks with."""
    digest = hashlib.sha256(dataset.checksum.encode())
    for file in sorted((paths.LIB / "datasets" / "audit").glob("*.py")):
        digest.update(file.read_bytes())
    versions = [cv2.__version__, *(importlib.metadata.version(name) for name in LIBRARIES)]
    digest.update(repr(versions).encode())
    return paths.cache() / "audit" / f"{dataset.name}-{digest.hexdigest()[:16]}-{name}.csv"
