"""What the audit notes of each image: cleanvision's properties, a perceptual hash and a small grey copy."""

import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from lib.datasets import Dataset
from lib.datasets.index import THREADS, in_chunks
from lib.datasets.storage import on_disk

SIDE = 64  # pixels per side of the grey copies
LARGEST = 128  # pixels: brightness, blur and entropy are measured on a copy whose longer side is at most this

# What cleanvision measures -> the name of the check here. Its thresholds are used as they are.
CHECKS = {
    "dark": "dark",
    "light": "overexposed",
    "blurry": "blurry",
    "low_information": "little information",
    "odd_size": "odd size",
    "odd_aspect_ratio": "odd aspect ratio",
}
GREY = "grey"


@dataclass(frozen=True, eq=False)
class Notes:
    """What was noted of the images of a data set, in index order."""

    properties: pd.DataFrame  # cleanvision's raw values, one row per image, and whether it is grey; or empty
    hashes: np.ndarray  # (N,) uint64, pHash
    thumbnails: np.ndarray  # (N, SIDE, SIDE) uint8, grey, stretched to a square; on the disk


def take_notes(dataset: Dataset, *, properties: bool = True) -> Notes:
    """Open every image once and note what the audit needs: 0.1 kB per image in memory, and 4 kB on the disk."""
    import imagehash  # here, as it takes half a second to import and most runs find the result stored

    checks, count = _cleanvision(), len(dataset.index)
    hashes = np.zeros(count, np.uint64)
    thumbnails = on_disk((count, SIDE, SIDE), np.uint8)
    columns = {}

    def note(row: int) -> dict:
        image = dataset.open_image(row)
        small, scale = np.asarray(image), LARGEST / max(image.size)
        if scale < 1:
            small = _resize(small, max(1, round(image.height * scale)), max(1, round(image.width * scale)))
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        hashes[row] = np.packbits(imagehash.phash(Image.fromarray(grey)).hash).view(">u8")[0]
        thumbnails[row] = _resize(grey, SIDE, SIDE)
        return _properties(small, image.size, checks=checks) if properties else {}

    # Decoding files lets go of the interpreter's lock. Where there is nothing to decode, threads only wait for it.
    threads = THREADS if dataset.arrays is None else 1
    noted = in_chunks(note, count, title="Auditing images", threads=threads)
    for row, values in enumerate(noted):
        for name, value in values.items():
            columns.setdefault(name, np.empty(count, bool if name == GREY else float))[row] = value
    return Notes(pd.DataFrame(columns), hashes, thumbnails)


def flagged(properties: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which images cleanvision flags, and its scores in [0, 1], low where it does: one column per check."""
    checks = _cleanvision()
    checks.issues = pd.DataFrame(index=properties.index)
    checks.update_issues(properties, list(CHECKS))
    marks = {name: checks.issues[f"is_{kind}_issue"].astype(bool) for kind, name in CHECKS.items()}
    scores = {name: checks.issues[f"{kind}_score"].astype(float) for kind, name in CHECKS.items()}
    return pd.DataFrame(marks), pd.DataFrame(scores)


def _cleanvision():
    """Cleanvision's properties of single images with its default thresholds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook its progress bar asks for widgets, which nothing here shows
        from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    return ImagePropertyIssueManager()


def _resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Averaged where it shrinks, interpolated where it grows."""
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _properties(pixels: np.ndarray, size: tuple[int, int], *, checks) -> dict:
    """Cleanvision's raw values of one reduced image; size and shape are those of the whole image."""
    values = {}
    for kind in ("dark", "low_information", "blurry"):  # `light` is measured together with `dark`
        values |= checks.image_properties[kind].calculate(Image.fromarray(pixels))
    for kind in ("odd_size", "odd_aspect_ratio"):
        values |= checks.image_properties[kind].calculate(SimpleNamespace(size=size))
    values[GREY] = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
    return values
