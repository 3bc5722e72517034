"""Every listed file opened, decoded and measured once; the result is stored until the files change."""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import PIL
from tqdm import tqdm

from lib import paths
from lib.datasets import disk, images
from lib.datasets.errors import DataError
from lib.datasets.tree import File, Listing

VERSION = 1  # raise it when what is recorded changes: stored indexes are then made anew
COLUMNS = ("path", "folder", "role", "width", "height", "channels", "bytes", "sha256")
NUMBERS = ("width", "height", "channels", "bytes")
WORKERS = min(8, max(2, os.cpu_count() or 1))  # threads: Pillow and hashlib let go of the interpreter's lock


def read_index(root: Path, listing: Listing, *, name: str, progress: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode every file of a listing, or reuse what was found if no file has changed since.

    Args:
        root: folder that the listing's paths are relative to.
        listing: the files.
        name: of the data set, for the stored file's name and the progress bar.
        progress: whether to show one.

    Returns:
        The images (columns `COLUMNS`, in the listing's order) and what was left out (columns path, reason).

    Raises:
        DataError: if the result cannot be stored.
    """
    stored = paths.cache() / "index" / f"{name}-{_fingerprint(root, listing)}.csv"
    stored_left_out = stored.with_name(f"{stored.stem}-left_out.csv")
    try:
        found, left_out = disk.read_table(stored)[0], disk.read_table(stored_left_out)[0]
    except DataError:  # not made yet, or damaged
        found, left_out = _decode_all(root, listing, progress=progress)
        disk.write_table(stored_left_out, left_out, facts={})
        disk.write_table(stored, found, facts={})
    return found.astype(dict.fromkeys(NUMBERS, "int64")), left_out


def _fingerprint(root: Path, listing: Listing) -> str:
    """Changes when a file is added, removed, renamed or written to, and with what decodes them."""
    digest = hashlib.sha256(repr((VERSION, PIL.__version__, str(root), listing.left_out)).encode())
    for file in listing.files:
        digest.update(repr(tuple(file)).encode())
    return digest.hexdigest()[:16]


def _decode_all(root: Path, listing: Listing, *, progress: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, left_out = [], list(listing.left_out)
    bar = tqdm(total=len(listing.files), desc="Checking images", unit=" images", disable=not progress, mininterval=0.5)
    with warnings.catch_warnings(), ThreadPoolExecutor(WORKERS) as pool, bar:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files name no file; what matters is said below
        results = pool.map(lambda file: _examine(root, file), listing.files)
        try:
            for file, (row, reason) in zip(listing.files, results, strict=True):
                if row is None:
                    left_out.append((file.path, reason))
                else:
                    rows.append((file.path, file.folder, file.role, *row))
                bar.update()
        except BaseException:  # an interrupted run should not wait for thousands of files
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return found, pd.DataFrame(sorted(left_out), columns=["path", "reason"], dtype=str)


def _examine(root: Path, file: File) -> tuple[tuple | None, str]:
    """Width, height, channels, bytes and sha256 of one file, or the reason why it cannot be used."""
    try:
        data = images.read_bytes(root / file.path)
        image = images.decode(data)
        if image.mode not in ("L", "RGB"):
            images.to_rgb(image)  # what cannot become RGB should be found now, not in the middle of training
    except DataError as error:
        return None, str(error)
    facts = (image.width, image.height, images.count_channels(image), len(data))
    return (*facts, hashlib.sha256(data).hexdigest()), ""
