"""notMNIST: letters A to J, as folders of PNG files or as an HDF5 file with one row per image."""

import contextlib
import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from lib.datasets.readers.arrays import Arrays, Part, require_size
from lib.datasets.readers.folders import Listing, list_class_folders, visible
from lib.datasets.storage import DataError

CLASSES = tuple(string.ascii_uppercase[:10])
SIDE = 28  # pixels
KEYS = {"train": "trainData", "test": "testData"}
BLOCK = 4096  # rows converted at a time
MAX_RATIO = 1100  # deflate, the usual filter of HDF5, shrinks to a 1032nd at most


def list_notmnist(root: Path) -> Listing | Arrays:
    """notMNIST in either form.

    Args:
        root: folder with `data.h5` (or another `.h5` file alone), or with the folders A to J.

    Raises:
        DataError: if the HDF5 file is not laid out as it should be.
    """
    files = [Path(entry.path) for entry in visible(root) if entry.name.lower().endswith(".h5") and entry.is_file()]
    if not files:
        return list_class_folders(root)
    path = next((file for file in files if file.name.lower() == "data.h5"), files[0])
    parts, left_out = {}, ()  # part -> whether its rows end in a label
    with _opened(path) as file:
        for part, key in KEYS.items():
            if part == "test" and key not in list(file):
                continue  # then a test part is carved from train, as for any other data set
            rows, width = _table(path, file, key).shape
            parts[part] = width == SIDE**2 + 1
            if width == SIDE**2 and part == "test":
                left_out = ((f"{path.name}/{key}", f"{rows:,} images without labels"),)
            elif not parts[part]:
                expected = f"{SIDE**2 + 1} columns, {SIDE} x {SIDE} pixels and the label"
                raise DataError(f"{path}: {key} must have {expected}. Received: {width}")
    return Arrays(files=(path,), classes=CLASSES, read=partial(_read_parts, path, parts), left_out=left_out)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to read from; whatever the library says of a damaged one becomes a DataError."""
    try:
        with h5py.File(path, "r") as file, np.errstate(invalid="ignore"):
            yield file
    except DataError:
        raise
    except Exception as error:  # on damaged files h5py raises OSError, KeyError, RuntimeError, TypeError and more
        raise DataError(f"{path} is no HDF5 file, or a damaged one: {str(error).strip(chr(39))}") from error


def _table(path: Path, file: h5py.File, key: str) -> h5py.Dataset:
    """One two-dimensional array of numbers that lies in this file and nowhere else."""
    if key not in list(file):  # `key in file` is false for links that lead nowhere
        raise DataError(f"{path} holds no {key}. It holds: {', '.join(map(str, file)) or 'nothing'}")
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        raise DataError(f"{path}: {key} is a link to other data. It was not followed.")
    found = file[key]
    if not isinstance(found, h5py.Dataset) or found.ndim != 2 or found.dtype.kind not in "fiu":
        raise DataError(f"{path}: {key} must be a table of numbers, one row per image. Received: {found}")
    if found.external or found.is_virtual:
        raise DataError(f"{path}: {key} takes its values from other files. They were not opened.")
    size = require_size(f"{path}: {key}", shape=found.shape, itemsize=found.dtype.itemsize)
    if size > MAX_RATIO * path.stat().st_size:
        raise DataError(f"{path}: {key} declares {size:,} bytes, more than a file of this size can hold.")
    return found


def _read_parts(path: Path, parts: dict[str, bool]) -> list[Part]:
    with _opened(path) as file:
        return [_read_part(path, _table(path, file, KEYS[part]), part=part, labelled=parts[part]) for part in parts]


def _read_part(path: Path, source: h5py.Dataset, *, part: str, labelled: bool) -> Part:
    pixels = np.empty((len(source), SIDE, SIDE), np.uint8)
    labels = np.empty(len(source), np.int64) if labelled else None
    for start in range(0, len(source), BLOCK):
        rows = source[start : start + BLOCK].astype(np.float64)
        where = f"{path}: {KEYS[part]}, rows {start:,} to {start + len(rows) - 1:,}"
        values = rows[:, : SIDE**2]
        if not np.isfinite(values).all():
            raise DataError(f"{where}: pixels must be numbers. Received: NaN or infinity")
        if values.min() < 0 or values.max() > 1:
            raise DataError(f"{where}: pixels must lie in [0, 1]. Received: {values.min():g} to {values.max():g}")
        pixels[start : start + len(rows)] = np.rint(values * 255).reshape(-1, SIDE, SIDE)
        if labelled:
            allowed = np.isin(rows[:, -1], range(len(CLASSES)))
            if not allowed.all():
                received = rows[~allowed, -1][0]
                raise DataError(f"{where}: labels must be whole numbers in 0..9. Received: {received:g}")
            labels[start : start + len(rows)] = rows[:, -1]
    return Part(part, part, pixels, labels)
