"""The IDX format of MNIST and its kin (http://yann.lecun.com/exdb/mnist), plain or gzipped, read with care.

A header of big-endian 32-bit numbers (magic with the number of dimensions, then each length), then bytes.
"""

import gzip
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from lib.datasets.readers.arrays import Arrays, Part, require_size
from lib.datasets.storage import DataError

STEMS = {"train": "train", "test": "t10k"}  # parts, and how their files begin
UNSIGNED_BYTE = 8  # the type that the magic number names
MAX_RATIO = 1100  # deflate shrinks to a 1032nd at most


def list_idx(root: Path, *, classes: tuple[str, ...]) -> Arrays:
    """Four files named as those of MNIST.

    Args:
        root: folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with `t10k`, plain or `.gz`.
        classes: their names, in the order of the labels.

    Raises:
        DataError: if one of them is missing.
    """
    files = {part: (_find(root, f"{stem}-images", 3), _find(root, f"{stem}-labels", 1)) for part, stem in STEMS.items()}
    everything = tuple(file for pair in files.values() for file in pair)
    return Arrays(files=everything, classes=classes, read=partial(_read_parts, files))


def read_idx(path: Path, *, dimensions: int) -> np.ndarray:
    """Read an array of bytes.

    Args:
        path: the file, plain or gzipped; which, its bytes say.
        dimensions: 3 for images, 1 for labels.

    Returns:
        A uint8 array of that many dimensions.

    Raises:
        DataError: if the file is no such array, is cut short or longer than it says, or declares a senseless size;
            that is found before memory is taken.
    """
    try:
        with path.open("rb") as packed:
            compressed = packed.read(2) == b"\x1f\x8b"
            packed.seek(0)
            most = path.stat().st_size * (MAX_RATIO if compressed else 1)
            with gzip.open(packed) if compressed else packed as stream:
                return _read(path, stream, dimensions=dimensions, most=most)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is cut short or damaged ({error}). Delete it, or copy it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(path: Path, stream, *, dimensions: int, most: int) -> np.ndarray:
    header = stream.read(4 + 4 * dimensions)
    magic = (UNSIGNED_BYTE << 8 | dimensions).to_bytes(4, "big")
    if len(header) < 4 + 4 * dimensions or not header.startswith(magic):
        kind = "images" if dimensions == 3 else "labels"
        found = header[:4].hex() or "nothing"
        raise DataError(f"{path} holds no IDX {kind}: it must begin with {magic.hex()}. Received: {found}")
    shape = tuple(np.frombuffer(header, ">u4")[1:].tolist())
    size = require_size(str(path), shape=shape)
    content = stream.read(size + 1) if size <= most else b""
    if len(content) != size:
        declared = " x ".join(map(str, shape))
        found = "more" if len(content) > size else f"only {len(content):,}"
        held = f"and holds {found}" if size <= most else "more than it can hold"
        raise DataError(f"{path} declares {declared} bytes, {held}: it is cut short or damaged.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _find(root: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{sign}idx{dimensions}-ubyte{suffix}" for suffix in (".gz", "") for sign in "-."]
    found = [root / name for name in names if (root / name).is_file()]
    if not found:
        raise DataError(f"{names[0]} is missing in {root}. data/README.md says where to get it.")
    return found[0]


def _read_parts(files: dict[str, tuple[Path, Path]]) -> list[Part]:
    parts = []
    for name, (images, labels) in files.items():
        pixels = read_idx(images, dimensions=3)
        parts.append(Part(name, name, pixels, read_idx(labels, dimensions=1).astype(np.int64)))
    return parts
