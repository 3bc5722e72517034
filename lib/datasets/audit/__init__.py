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

from lib.config import paths
from lib.datasets import DataError, Dataset
from lib.datasets.audit.findings import NAMES, PAIR_CHECKS, find_faults
from lib.datasets.audit.measures import measure
from lib.datasets.audit.near import groups, near_pairs
from lib.datasets.audit.relations import known_pairs
from lib.datasets.fetch import disk
from lib.datasets.splits import Split

__all__ = ["PAIR_CHECKS", "Audit", "Inspection", "audit", "duplicate_groups", "inspect"]

PAIR_COLUMNS = {"row": "int64", "other": "int64", "similarity": "float64"}
LIBRARIES = ("cleanvision", "imagehash", "numpy", "pillow")


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was seen in the images of a data set, before they are split."""

    properties: pd.DataFrame  # cleanvision's raw values and `grey`, one row an image
    pairs: pd.DataFrame  # row, other, similarity, relation: "near duplicate" or "same photograph"


@dataclass(frozen=True, eq=False)
class Audit:
    """What is wrong with a data set, image by image and in one table."""

    findings: pd.DataFrame  # one row a finding: `findings.COLUMNS`
    summary: pd.DataFrame  # one row a check: check, images, share, meaning

    @property
    def counts(self) -> dict[str, int]:
        """Images that each check concerns, by a name for prose; 0 where a check does not apply."""
        images = self.summary.set_index("check")["images"]
        return {name: int(images.get(check, 0)) for name, check in NAMES.items()}


def inspect(dataset: Dataset, *, progress: bool = True) -> Inspection:
    """Look at every image of a data set, or reuse what was seen if neither images nor labels have changed.

    Args:
        dataset: the images.
        progress: whether to show a progress bar.

    Returns:
        Properties of the images, and pairs that show the same picture.

    Raises:
        DataError: if an image has gone since it was indexed, or the result cannot be stored.
    """
    pairs, properties = _tables(dataset, "pairs", "properties", progress=progress)
    grey = properties.pop("grey") == "True"
    return Inspection(properties.astype("float64").assign(grey=grey), pairs.astype(PAIR_COLUMNS))


def duplicate_groups(dataset: Dataset, *, audited: bool = True, progress: bool = True) -> np.ndarray:
    """Which images must stay on one side of a split: same bytes, near duplicates, the same photograph.

    Args:
        dataset: the images.
        audited: whether `audit` will follow; properties that it alone reads take half of the time.
        progress: whether to show a progress bar.

    Returns:
        (N,) int64: the same number for images that belong together, as `splits.make_split` takes it.
    """
    names = ("pairs", "properties") if audited else ("pairs",)
    pairs = _tables(dataset, *names, progress=progress)[0].astype(PAIR_COLUMNS)
    return groups(len(dataset.index), pairs[["row", "other"]].to_numpy(), dataset.index["sha256"])


def audit(dataset: Dataset, split: Split, *, progress: bool = True) -> Audit:
    """Check the images of a data set, and that none is known on two sides of its split.

    Args:
        dataset: the images.
        split: of these images.
        progress: whether to show a progress bar.

    Returns:
        Findings and their summary.

    Raises:
        DataError: if the split is one of other images.
    """
    roles = split.to_frame(dataset)["role"].to_numpy()
    seen = inspect(dataset, progress=progress)
    return Audit(*find_faults(dataset, roles, properties=seen.properties, pairs=seen.pairs))


def _tables(dataset: Dataset, *names: str, progress: bool) -> list[pd.DataFrame]:
    """Stored tables as text, `pairs` or `properties`; the images are looked at if one is not made yet, or damaged."""
    files = [_file(dataset, name) for name in names]
    try:
        return [disk.read_table(file)[0] for file in files]
    except DataError:
        _look(dataset, properties="properties" in names, progress=progress)
    return [disk.read_table(file)[0] for file in files]


def _look(dataset: Dataset, *, properties: bool, progress: bool) -> None:
    """Open every image, and store the pairs of copies and, if asked for, the properties."""
    index = dataset.index
    measures = measure(dataset, properties=properties, progress=progress)
    near = near_pairs(measures, index["label"].to_numpy(), index["sha256"]).assign(relation="near duplicate")
    known = pd.DataFrame(known_pairs(dataset.name, index["path"]), columns=["row", "other"])
    pairs = pd.concat([near, known.assign(similarity=1.0, relation="same photograph")])
    disk.write_table(_file(dataset, "pairs"), pairs, facts={})
    if properties:
        disk.write_table(_file(dataset, "properties"), measures.properties, facts={})


def _file(dataset: Dataset, name: str) -> Path:
    return paths.cache() / "audit" / f"{dataset.name}-{_fingerprint(dataset)}-{name}.csv"


def _fingerprint(dataset: Dataset) -> str:
    """Changes with the images, their labels, the code of this package and the libraries that it looks with."""
    digest = hashlib.sha256(dataset.checksum.encode())
    for file in sorted((paths.LIB / "datasets" / "audit").glob("*.py")):
        digest.update(file.read_bytes())
    versions = [cv2.__version__, *(importlib.metadata.version(name) for name in LIBRARIES)]
    digest.update(repr(versions).encode())
    return digest.hexdigest()[:16]
