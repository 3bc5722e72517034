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
    thumbnails: np.ndarray  # (N, SIDE, SIDE) uint8, grey, stretched to a square


def take_notes(dataset: Dataset, *, properties: bool = True, progress: bool = True) -> Notes:
    """Open every image once and note what the audit needs.

    Args:
        dataset: the images.
        properties: whether to note properties too.
        progress: whether to show a progress bar.

    Returns:
        The notes: 4 kB per image, and little more while they are made.

    Raises:
        DataError: if an image has gone or was damaged since it was indexed.
    """
    import imagehash  # here, as it takes half a second to import and most runs find the result stored

    checks, count = _cleanvision(), len(dataset.index)
    hashes = np.zeros(count, np.uint64)
    thumbnails = np.zeros((count, SIDE, SIDE), np.uint8)

    def note(row: int) -> dict:
        image = dataset.open_image(row)
        small, grey = _reduced(image)
        hashes[row] = np.packbits(imagehash.phash(grey).hash).view(">u8")[0]
        thumbnails[row] = _resize(np.asarray(grey), SIDE, SIDE)
        return _properties(image, small, checks=checks) if properties else {}

    # Decoding files lets go of the interpreter's lock. Where there is nothing to decode, threads only wait for it.
    threads = THREADS if dataset.arrays is None else 1
    table = list(in_chunks(note, count, title="Auditing images", progress=progress, threads=threads))
    return Notes(pd.DataFrame(table), hashes, thumbnails)


def flagged(properties: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which images cleanvision's checks flag, with its scores.

    Args:
        properties: as `Notes` has them.

    Returns:
        Two tables with one column per check and one row per image: whether it is flagged, and its score in [0, 1], low
        where it is flagged.
    """
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


def _reduced(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """A copy whose longer side is at most `LARGEST`, in colour and in grey."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    scale = LARGEST / max(height, width)
    if scale < 1:
        pixels = _resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    return Image.fromarray(pixels), Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def _resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Averaged where it shrinks, interpolated where it grows."""
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _properties(image: Image.Image, small: Image.Image, *, checks) -> dict:
    """Cleanvision's raw values of one image; size and shape are those of the whole image."""
    values = {}
    for kind in ("dark", "low_information", "blurry"):  # `light` is measured together with `dark`
        values |= checks.image_properties[kind].calculate(small)
    whole = SimpleNamespace(size=image.size)
    for kind in ("odd_size", "odd_aspect_ratio"):
        values |= checks.image_properties[kind].calculate(whole)
    pixels = np.asarray(small)
    values[GREY] = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
    return values
