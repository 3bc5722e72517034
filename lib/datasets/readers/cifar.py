"""CIFAR-10 and CIFAR-100: the official pickled batches, or folders of image files.

A pickle is a program: unpickling an unknown one can run any command. So it is read by a restricted unpickler, as
Python's documentation describes it; the few names that arrays of bytes need are answered by functions written here.
"""

import io
import pickle
import pickletools
from functools import partial
from pathlib import Path

import numpy as np

from lib.datasets.readers.arrays import Arrays, Part
from lib.datasets.readers.folders import Listing, list_class_folders
from lib.datasets.storage import DataError

SIDE = 32  # pixels
MAX_BYTES = 500 * 10**6  # the largest official file has 155 MB
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
    return _batches(root, CIFAR10_FILES, classes=classes, labels="labels")


def list_cifar100(root: Path) -> Listing | Arrays:
    """CIFAR-100 with its 100 classes.

    Args:
        root: folder with `train`, `test` and `meta`, or with folders `train/<class>` and `test/<class>`.

    Raises:
        DataError: if one of the files is missing or is not what it should be.
    """
    if not any((root / name).is_file() for name in ("meta", "train", "test")):
        return list_class_folders(root)
    classes = _names(root / "meta", "fine_label_names", count=100)
    return _batches(root, CIFAR100_FILES, classes=classes, labels="fine_labels")


def read_pickle(path: Path) -> dict[str, object]:
    """Read a pickled dictionary of lists, text and arrays of bytes, as CIFAR-10 and CIFAR-100 consist of.

    Args:
        path: the file.

    Returns:
        Its entries: arrays as NumPy arrays, text as str, everything else as it is.

    Raises:
        DataError: if the file asks for anything else, or is damaged. Nothing of it has been run then.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES / 1e6:.0f} MB: it was not read.")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        for code, argument, _ in pickletools.genops(data):  # the unpickler would take memory for that many objects
            if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > len(data):
                raise pickle.UnpicklingError("it numbers more objects than it can hold")
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dictionary")
        return {_text(key): _text(value) for key, value in content.items()}
    except Exception as error:  # damaged pickles raise nearly anything
        raise DataError(f"{path} was not read: {str(error) or type(error).__name__}. Copy it again.") from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            return lambda kind, shape, code: np.empty(0, np.uint8)  # what comes next brings shape and bytes
        if (module, name) == ("numpy", "dtype"):
            return lambda code, *flags: _byte(_text(code))
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return str.encode
        if (module, name) == ("numpy", "ndarray"):
            return None  # only named, never called
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _byte(code: str) -> np.dtype:
    if code != "u1":
        raise pickle.UnpicklingError(f"it holds an array of type {code!r}")
    return np.dtype(np.uint8)


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(element) for element in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _batches(root: Path, names: dict[str, tuple[str, ...]], *, classes: tuple[str, ...], labels: str) -> Arrays:
    files = {part: [root / name for name in of_part] for part, of_part in names.items()}
    everything = tuple(path for of_part in files.values() for path in of_part)
    missing = [path.name for path in everything if not path.is_file()]
    if missing:
        raise DataError(f"{', '.join(missing)} of the official archive {'are' if missing[1:] else 'is'} not in {root}.")
    return Arrays(files=everything, classes=classes, read=partial(_read_parts, files, labels))


def _names(path: Path, key: str, *, count: int) -> tuple[str, ...]:
    names = read_pickle(path).get(key)
    if not isinstance(names, list) or len(set(names)) != count or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path} must hold {count} different names as {key}. Received: {str(names)[:80]}")
    return tuple(names)


def _read_parts(files: dict[str, list[Path]], labels: str) -> list[Part]:
    parts = []
    for part, of_part in files.items():
        batches = [_read_batch(path, labels) for path in of_part]
        parts.append(Part(part, part, *(np.concatenate(arrays) for arrays in zip(*batches, strict=True))))
    return parts


def _read_batch(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) and labels (N,) of one file."""
    batch = read_pickle(path)
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * SIDE**2:
        received = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{path}: data must be bytes of shape (images, {3 * SIDE**2}). Received: {received}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: {key} must be a list of whole numbers. Received: {str(labels)[:80]}")
    if len(labels) != len(data):
        received = f"{len(labels):,} for {len(data):,} images"
        raise DataError(f"{path}: {key} must hold one number per image. Received: {received}")
    pixels = data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)  # stored as a red, a green and a blue plane
    return pixels, np.array(labels, dtype=np.int64)
