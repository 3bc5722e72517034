"""Decoded images of a data set at one size: a memory-mapped array when it fits the budget, else read from the files.

Both kinds answer `read(rows) -> uint8 batch`, so the input pipeline does not care which one it has.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import psutil

from lib.config import paths
from lib.config.files import replacing
from lib.config.progress import progress_bar
from lib.datasets import Dataset
from lib.datasets.images import read_pixels

CHUNK = 32  # images that a thread decodes in one go: handing over each one alone costs a fifth of the time


def resize_image(image: np.ndarray, *, size: int, resize: str) -> np.ndarray:
    """A square copy of an image: pixels are averaged where it shrinks and interpolated where it grows.

    Args:
        image: (H, W, 3) or (H, W) uint8, or a Pillow image.
        size: side in pixels.
        resize: "stretch" ignores the aspect ratio, "crop" cuts the centre square.

    Returns:
        (size, size, 3) or (size, size) uint8.
    """
    image = np.asarray(image)
    height, width = image.shape[:2]
    if resize == "stretch":
        return _scale(image, size, size)
    if resize == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _scale(image[top : top + side, left : left + side], size, size)
    raise ValueError(f"resize must be stretch or crop. Received: {resize!r}")


def _scale(image: np.ndarray, height: int, width: int) -> np.ndarray:
    # OpenCV averages only where both sides shrink, so what shrinks comes first.
    smaller = (min(width, image.shape[1]), min(height, image.shape[0]))
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return image if smaller == (width, height) else cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def decode_rows(dataset: Dataset, rows: np.ndarray | range, *, size: int, resize: str) -> np.ndarray:
    """Some images of a data set, decoded and resized: (B, size, size, 3) uint8.

    Raises:
        DataError: if a file has gone or was damaged since it was indexed.
    """
    if dataset.arrays is None:
        files = (dataset.root / path for path in dataset.index["path"].iloc[rows])
        images = (read_pixels(file, at_least=size) for file in files)
    else:
        images = dataset.read_pixels(rows)
    batch = np.empty((len(rows), size, size, 3), np.uint8)
    for place, image in enumerate(images):
        square = resize_image(image, size=size, resize=resize)
        batch[place] = square if square.ndim == 3 else square[..., None]  # grey is the same in all three channels
    return batch


@dataclass(frozen=True)
class CachedImages:
    """Images decoded once into a memory-mapped file; the operating system keeps what fits in memory."""

    pixels: np.ndarray  # (N, S, S, 3) uint8
    labels: np.ndarray  # (N,) int class numbers

    dtype: ClassVar = np.uint8

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: sides in pixels, and channels."""
        return self.pixels.shape[1:]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Copy some rows: (B, S, S, 3) uint8 in [0, 255]."""
        return self.pixels[rows]


@dataclass(frozen=True)
class StreamedImages:
    """Images decoded from their files whenever they are read; memory is that of one batch."""

    dataset: Dataset
    size: int
    resize: str

    dtype: ClassVar = np.uint8

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: sides in pixels, and channels."""
        return (self.size, self.size, 3)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int class numbers."""
        return self.dataset.index["label"].to_numpy()

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Decode some rows: (B, S, S, 3) uint8 in [0, 255]."""
        return decode_rows(self.dataset, rows, size=self.size, resize=self.resize)


Images = CachedImages | StreamedImages


def open_images(dataset: Dataset, *, size: int, resize: str = "stretch", budget: int | None = None) -> Images:
    """All images of a data set at one size, in index order.

    Args:
        dataset: the data set.
        size: side in pixels.
        resize: see `resize_image`.
        budget: bytes that the decoded images may take; default a quarter of the machine's memory.

    Returns:
        Cached images when they fit the budget, else streamed ones.
    """
    budget = psutil.virtual_memory().total // 4 if budget is None else budget
    if len(dataset.index) * size * size * 3 > budget:
        return StreamedImages(dataset, size, resize)
    content = hashlib.sha256("\n".join([*dataset.index["sha256"], str(size), resize]).encode()).hexdigest()[:16]
    target = paths.cache() / "pixels" / f"{dataset.name}-{size}-{resize}-{content}.npy"
    labels, pixels = dataset.index["label"].to_numpy(), _read_cache(target)
    if pixels is None or pixels.shape != (len(labels), size, size, 3):
        if target.exists():
            print(f"{target.name} in the cache is damaged, and is made again", flush=True)
        fill_cache(target, dataset, size=size, resize=resize)
        pixels = _read_cache(target)
    return CachedImages(pixels, labels)


def _read_cache(file: Path) -> np.ndarray | None:
    """The pixels of a cache, from the disk as they are asked for; None where there are none, or the file was cut."""
    try:
        return np.load(file, mmap_mode="r")
    except (FileNotFoundError, EOFError, ValueError):
        return None


def fill_cache(target: Path, dataset: Dataset, *, size: int, resize: str) -> None:
    """Decode every image into a new .npy file, which gets its name only when it is complete."""
    count = len(dataset.index)

    def decode_chunk(start: int) -> np.ndarray:
        return decode_rows(dataset, range(start, min(start + CHUNK, count)), size=size, resize=resize)

    header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    bar = progress_bar(f"Decoding to {size} px", total=count, unit=" images", leave=False)
    # Decoding and resizing let go of the interpreter's lock, so threads are enough. A full disk is an error where the
    # file is written; written through a memory map, it would kill the process.
    with replacing(target) as partial, open(partial, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool, bar:
        np.lib.format.write_array_header_1_0(file, header)
        for pixels in pool.map(decode_chunk, range(0, count, CHUNK)):
            file.write(pixels.data)
            bar.update(len(pixels))
