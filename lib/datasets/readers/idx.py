"""The IDX format of MNIST and its kin (http://yann.lecun.com/exdb/mnist), plain or gzipped, read with care.

A header of big-endian 32-bit numbers (magic with the number of dimensions, then each length), then bytes.
"""

import gzip
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from lib.datasets.readers.arrays import MAX_RATIO, Arrays, Part, require_size
from lib.datasets.storage import DataError, reading

STEMS = {"train": "train", "test": "t10k"}  # parts, and how their files begin
UNSIGNED_BYTE = 8  # the type that the magic number names


def list_idx(root: Path, *, classes: tuple[str, ...]) -> Arrays:
    """Four files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with `t10k`, plain or `.gz`."""
    files = {part: (_find(root, f"{stem}-images", 3), _find(root, f"{stem}-labels", 1)) for part, stem in STEMS.items()}

    def read() -> list[Part]:
        return [
            Part(part, read_idx(images, dimensions=3), read_idx(labels, dimensions=1).astype(np.int64))
            for part, (images, labels) in files.items()
        ]

    return Arrays(files=tuple(file for pair in files.values() for file in pair), classes=classes, read=read)


def read_idx(path: Path, *, dimensions: int) -> np.ndarray:
    """Read a uint8 array, plain or gzipped, of 3 dimensions (images) or 1 (labels)."""
    with reading(path), path.open("rb") as packed:
        compressed = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        try:
            with gzip.open(packed) if compressed else packed as stream:
                return _read(path, stream, dimensions=dimensions, ratio=MAX_RATIO if compressed else 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path} is cut short or damaged ({error}). Delete it, or copy it again.") from error


def _read(path: Path, stream: IO[bytes], *, dimensions: int, ratio: int) -> np.ndarray:
    header = stream.read(4 + 4 * dimensions)
    magic = (UNSIGNED_BYTE << 8 | dimensions).to_bytes(4, "big")
    if len(header) < 4 + 4 * dimensions or not header.startswith(magic):
        kind = "images" if dimensions == 3 else "labels"
        found = header[:4].hex() or "nothing"
        raise DataError(f"{path} holds no IDX {kind}: it must begin with {magic.hex()}. Received: {found}")
    shape = tuple(np.frombuffer(header, ">u4")[1:].tolist())
    size = require_size(str(path), path, shape=shape, ratio=ratio)
    content = stream.read(size + 1)
    if len(content) != size:
        found = "more" if len(content) > size else f"only {len(content):,}"
        raise DataError(f"{path} declares {size:,} bytes and holds {found}: it is cut short or damaged.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _find(root: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{sign}idx{dimensions}-ubyte{suffix}" for suffix in (".gz", "") for sign in "-."]
    found = [root / name for name in names if (root / name).is_file()]
    if not found:
        raise DataError(f"{names[0]} is missing in {root}. data/README.md says where to get it.")
    return found[0]
