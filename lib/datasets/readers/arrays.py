"""Data sets that come as arrays: unpacked once into memory-mapped .npy files, one row per image."""

import hashlib
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import paths
from lib.config.progress import progress_bar
from lib.datasets import storage
from lib.datasets.index import COLUMNS, NUMBERS
from lib.datasets.storage import DataError

VERSION = 2  # raise it when what is stored changes: stored arrays are then made anew
MAX_BYTES = 4 * 10**9  # pixels of one part: a small file can claim any size, beyond this it is not read
MAX_RATIO = 1100  # deflate, which gzip and usually HDF5 pack with, shrinks to a 1032nd at most


@dataclass(frozen=True)
class Part:
    """The images of one part of a data set. Row 123 of the part `train` has the path `train#00123`."""

    name: str  # train or test, which is also the role of its images
    pixels: np.ndarray  # (N, H, W) or (N, H, W, 3) uint8
    labels: np.ndarray | None  # (N,) int64, positions in Arrays.classes; None where images have none


@dataclass(frozen=True)
class Arrays:
    """A data set that lies in arrays: what to read, and how; nothing is read yet."""

    files: tuple[Path, ...]  # where one of them changes, everything is read anew
    classes: tuple[str, ...]  # names in the order of the labels
    read: Callable[[], list[Part]]
    left_out: tuple[tuple[str, str], ...] = ()  # path, reason

    @property
    def class_names(self) -> dict[str, str]:
        """Name to show of each class, as in `folders.Listing`."""
        return {name: name for name in self.classes}


def require_size(where: str, file: Path, *, shape: tuple[int, ...], itemsize: int = 1, ratio: int = MAX_RATIO) -> int:
    """Bytes of an array that a file declares; refused before memory is taken if the file cannot hold them."""
    size = itemsize * math.prod(map(int, shape))
    declared = " x ".join(f"{length:,}" for length in shape)
    if size > MAX_BYTES:
        raise DataError(f"{where} declares an array of {declared} values, more than {MAX_BYTES / 1e9:.0f} GB.")
    if size > ratio * file.stat().st_size:
        raise DataError(f"{where} declares {declared} values, more than it can hold: it is cut short or damaged.")
    return size


def read_arrays(arrays: Arrays, *, name: str) -> tuple[pd.DataFrame, dict[str, np.ndarray], tuple[str, ...]]:
    """Unpack the arrays of a data set, or reuse what was unpacked if no file has changed since.

    Returns the images with labels (columns `index.COLUMNS`; `folder` is the class name), by part the memory-mapped
    pixels of all, and the paths of the images without a label.
    """
    facts = [(os.fspath(file), file.stat().st_size, file.stat().st_mtime_ns) for file in arrays.files]
    fingerprint = hashlib.sha256(repr((VERSION, facts, arrays.classes)).encode()).hexdigest()[:16]
    folder = paths.cache() / "arrays" / f"{name}-{fingerprint}"
    try:
        return _read_stored(folder)
    except (DataError, OSError, ValueError):  # not made yet, or damaged
        shutil.rmtree(folder, ignore_errors=True)
    parts = arrays.read()
    for part in parts:
        _check(part, arrays)
    with storage.whole_folder(folder) as partial:
        storage.require_space(folder.parent, sum(part.pixels.nbytes for part in parts))
        for part in parts:
            with (partial / f"{part.name}.npy").open("wb") as file:  # through a memory map a full disk would kill us
                np.lib.format.write_array(file, np.ascontiguousarray(part.pixels), allow_pickle=False)
        table = pd.concat([_index(part, arrays) for part in parts if part.labels is not None])
        storage.write_table(partial / "index.csv", table)
    return _read_stored(folder)


def _read_stored(folder: Path) -> tuple[pd.DataFrame, dict[str, np.ndarray], tuple[str, ...]]:
    table = storage.read_table(folder / "index.csv")[0].astype(dict.fromkeys(NUMBERS, "int64"))
    counts = table["path"].str.partition("#")[0].value_counts()
    pixels = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
    if any(part not in pixels or len(pixels[part]) != count for part, count in counts.items()):
        raise DataError(f"{folder} is damaged: its arrays are not those of its index.")
    unlabelled = (_path(part, row) for part in pixels if part not in counts for row in range(len(pixels[part])))
    return table, pixels, tuple(unlabelled)


def _check(part: Part, arrays: Arrays) -> None:
    where = ", ".join(file.name for file in arrays.files)
    if not part.pixels.size:
        raise DataError(f"{where}: {part.name} is empty. Received an array of shape {part.pixels.shape}")
    if part.labels is None:
        return
    if len(part.labels) != len(part.pixels):
        raise DataError(f"{where}: {part.name} has {len(part.pixels):,} images and {len(part.labels):,} labels.")
    wrong = part.labels[(part.labels < 0) | (part.labels >= len(arrays.classes))]
    if len(wrong):
        raise DataError(
            f"{where}: labels of {part.name} must lie in 0..{len(arrays.classes) - 1}. Received: {wrong[0]} "
            f"({len(wrong):,} such images)"
        )


def _path(part: str, row: int) -> str:
    return f"{part}#{row:05d}"


def _index(part: Part, arrays: Arrays) -> pd.DataFrame:
    count, height, width, *rest = part.pixels.shape
    rows = progress_bar(f"Checking {part.name}", iterable=part.pixels, unit=" images")
    facts = {
        "path": [_path(part.name, row) for row in range(count)],
        "folder": np.array(arrays.classes, dtype=object)[part.labels],
        "role": part.name,
        "width": width,
        "height": height,
        "channels": rest[0] if rest else 1,
        "bytes": part.pixels[0].nbytes,
        "sha256": [hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest() for pixels in rows],
    }
    return pd.DataFrame(facts, columns=COLUMNS)
