"""CIFAR-10 and CIFAR-100: the official pickled batches, or folders of image files."""

from functools import partial
from pathlib import Path

import numpy as np

from lib.datasets.errors import DataError
from lib.datasets.readers.arrays import Arrays, Part
from lib.datasets.readers.pickles import read_pickle
from lib.datasets.readers.tree import Listing, list_class_folders

SIDE = 32  # pixels
CIFAR10_FILES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
CIFAR100_FILES = {"train": ("train",), "test": ("test",)}


def list_cifar10(root: Path) -> Listing | Arrays:
    """CIFAR-10 in either form.

    Args:
        root: folder with `data_batch_1` to `data_batch_5`, `test_batch` and `batches.meta`, or with `train/<class>` and
            `test/<class>`.

    Raises:
        DataError: if one of the files is missing or is not what it should be.
    """
    if not any((root / name).is_file() for name in ("batches.meta", *CIFAR10_FILES["train"])):
        return list_class_folders(root)
    classes = _names(root / "batches.meta", "label_names", count=10)
    files = _files(root, CIFAR10_FILES)
    return Arrays(files=_all(files), classes=classes, read=partial(_read_parts, files, labels="labels"))


def list_cifar100(root: Path) -> Listing | Arrays:
    """CIFAR-100; its 100 classes form 20 superclasses of five.

    Args:
        root: folder with `train`, `test` and `meta`, or with folders `train/<class>` and `test/<class>`.

    Raises:
        DataError: if one of the files is missing or is not what it should be.
    """
    if not any((root / name).is_file() for name in ("meta", "train", "test")):
        return list_class_folders(root)
    classes = _names(root / "meta", "fine_label_names", count=100)
    files = _files(root, CIFAR100_FILES)
    return Arrays(
        files=_all(files),
        classes=classes,
        superclasses=_names(root / "meta", "coarse_label_names", count=20),
        read=partial(_read_parts, files, labels="fine_labels", superclasses="coarse_labels"),
    )


def _files(root: Path, names: dict[str, tuple[str, ...]]) -> dict[str, list[Path]]:
    files = {part: [root / name for name in of_part] for part, of_part in names.items()}
    missing = [path.name for path in _all(files) if not path.is_file()]
    if missing:
        raise DataError(f"{', '.join(missing)} of the official archive {'are' if missing[1:] else 'is'} not in {root}.")
    return files


def _all(files: dict[str, list[Path]]) -> tuple[Path, ...]:
    return tuple(path for of_part in files.values() for path in of_part)


def _names(path: Path, key: str, *, count: int) -> tuple[str, ...]:
    names = read_pickle(path).get(key)
    if not isinstance(names, list) or len(set(names)) != count or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path} must hold {count} different names as {key}. Received: {str(names)[:80]}")
    return tuple(names)


def _read_parts(files: dict[str, list[Path]], *, labels: str, superclasses: str = "") -> list[Part]:
    parts = []
    for part, of_part in files.items():
        batches = [_read_batch(path, labels, superclasses) for path in of_part]
        pixels, fine, coarse = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        parts.append(Part(part, part, pixels, fine, coarse if superclasses else None))
    return parts


def _read_batch(path: Path, labels: str, superclasses: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3), labels and superclasses (zeros where there are none) of one file."""
    batch = read_pickle(path)
    data = batch.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * SIDE**2:
        received = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{path}: data must be bytes of shape (images, {3 * SIDE**2}). Received: {received}")
    pixels = data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)  # stored as a red, a green and a blue plane
    fine = _labels(path, batch, labels, count=len(data))
    coarse = _labels(path, batch, superclasses, count=len(data)) if superclasses else np.zeros_like(fine)
    return pixels, fine, coarse


def _labels(path: Path, batch: dict[str, object], key: str, *, count: int) -> np.ndarray:
    values = batch.get(key)
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise DataError(f"{path}: {key} must be a list of whole numbers. Received: {str(values)[:80]}")
    if len(values) != count:
        raise DataError(f"{path}: {key} must hold one number an image. Received: {len(values):,} for {count:,} images")
    return np.array(values, dtype=np.int64)
