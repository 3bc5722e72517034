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
from lib.datasets import DataError, Dataset, storage
from lib.datasets.audit.findings import NAMES, PAIR_CHECKS, find_faults
from lib.datasets.audit.notes import GREY, take_notes
from lib.datasets.audit.pairs import NEAR, PHOTOGRAPH, groups, known_pairs, near_pairs
from lib.datasets.splits import Split

__all__ = ["PAIR_CHECKS", "Audit", "audit", "duplicate_groups"]

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


def duplicate_groups(dataset: Dataset, *, audited: bool = True, progress: bool = True) -> np.ndarray:
    """Which images must stay on one side of a split: same bytes, near duplicates, the same photograph.

    Args:
        dataset: the images.
        audited: whether `audit` will follow; properties that it alone reads take half of the time.
        progress: whether to show a progress bar.

    Returns:
        (N,) int64: the same number for images that belong together, as `splits.make_split` takes it.
    """
    pairs = _read_or_look(dataset, "pairs", *(["properties"] if audited else []), progress=progress)[0]
    return groups(pairs[["row", "other"]].to_numpy(), dataset.index["sha256"])


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
    pairs, properties = _read_or_look(dataset, "pairs", "properties", progress=progress)
    return Audit(*find_faults(dataset, roles, properties=properties, pairs=pairs))


def _read_or_look(dataset: Dataset, *names: str, progress: bool) -> list[pd.DataFrame]:
    """Stored tables, `pairs` or `properties`; the images are looked at if one is not made yet, or damaged."""
    try:
        tables = {name: storage.read_table(_file(dataset, name))[0] for name in names}
    except DataError:
        _look(dataset, properties="properties" in names, progress=progress)
        tables = {name: storage.read_table(_file(dataset, name))[0] for name in names}
    tables["pairs"] = tables["pairs"].astype(PAIR_TYPES)
    if "properties" in tables:
        grey = tables["properties"].pop(GREY) == "True"
        tables["properties"] = tables["properties"].astype("float64").assign(**{GREY: grey})
    return list(tables.values())


def _look(dataset: Dataset, *, properties: bool, progress: bool) -> None:
    """Open every image, and store the pairs of copies and, if asked for, the properties."""
    index = dataset.index
    notes = take_notes(dataset, properties=properties, progress=progress)
    near = near_pairs(notes, index["label"].to_numpy(), index["sha256"]).assign(relation=NEAR)
    known = pd.DataFrame(known_pairs(dataset.name, index["path"]), columns=["row", "other"])
    pairs = pd.concat([near, known.assign(similarity=1.0, relation=PHOTOGRAPH)])
    storage.write_table(_file(dataset, "pairs"), pairs)
    if properties:
        storage.write_table(_file(dataset, "properties"), notes.properties)


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
