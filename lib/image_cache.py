"""Decoded images of a data set at one size: a memory-mapped array when it fits the budget, else read from the files.

Both kinds answer `read(rows) -> uint8 batch`, so the input pipeline does not care which one it has.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageOps
from tqdm import tqdm

from lib import paths
from lib.datasets import Dataset
from lib.datasets.images import read_rgb

CHUNK = 32  # images that a thread decodes in one go: handing over each one alone costs a fifth of the time


def resize_image(image: Image.Image, *, size: int, resize: str) -> Image.Image:
    """A square copy of an image.

    Args:
        image: RGB image of any size.
        size: side in pixels.
        resize: "stretch" ignores the aspect ratio, "crop" cuts the centre square, "pad" adds black bars.
    """
    if resize == "stretch":
        return image.resize((size, size), Image.Resampling.BILINEAR)
    if resize == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    if resize == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR)
    raise ValueError(f"resize must be stretch, crop or pad. Received: {resize!r}")


def decode(path: Path, *, size: int, resize: str) -> np.ndarray:
    """One file as a (size, size, 3) uint8 array."""
    return np.asarray(resize_image(read_rgb(path, at_least=size), size=size, resize=resize))


@dataclass(frozen=True)
class CachedImages:
    """Images decoded once into a memory-mapped file; the operating system keeps what fits in memory."""

    pixels: np.ndarray  # (N, S, S, 3) uint8

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Copy some rows: (B, S, S, 3) uint8 in [0, 255]."""
        return self.pixels[rows]


@dataclass(frozen=True)
class StreamedImages:
    """Images decoded from their files whenever they are read; memory is that of one batch."""

    files: Sequence[Path]
    size: int
    resize: str

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Decode some rows: (B, S, S, 3) uint8 in [0, 255]."""
        return np.stack([decode(self.files[row], size=self.size, resize=self.resize) for row in rows])


def open_images(
    dataset: Dataset, *, size: int, resize: str = "stretch", budget: int | None = None
) -> CachedImages | StreamedImages:
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
    files = [dataset.root / path for path in dataset.index["path"]]
    if len(files) * size * size * 3 > budget:
        return StreamedImages(files, size, resize)
    content = hashlib.sha256("\n".join([*dataset.index["sha256"], str(size), resize]).encode()).hexdigest()[:16]
    target = paths.cache() / "pixels" / f"{dataset.name}-{size}-{resize}-{content}.npy"
    if not target.exists():
        fill_cache(target, files, size=size, resize=resize)
    return CachedImages(np.load(target, mmap_mode="r"))


def fill_cache(target: Path, files: list[Path], *, size: int, resize: str) -> None:
    """Decode every file into a new .npy file, which gets its name only when it is complete."""

    def decode_chunk(start: int) -> np.ndarray:
        return np.stack([decode(file, size=size, resize=resize) for file in files[start : start + CHUNK]])

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.part")
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), size, size, 3)}
    bar = tqdm(total=len(files), desc=f"decoding to {size} px", unit="image", disable=None, leave=False)
    try:
        # Pillow releases the interpreter lock while it decodes and resizes, so threads are enough. A full disk is an
        # error where the file is written; written through a memory map, it would kill the process.
        with open(partial, "wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool, bar:
            np.lib.format.write_array_header_1_0(file, header)
            for pixels in pool.map(decode_chunk, range(0, len(files), CHUNK)):
                file.write(pixels.data)
                bar.update(len(pixels))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
