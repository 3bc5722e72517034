"""Every listed file opened, decoded and measured once; the result is stored until the files change."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import PIL

from lib.config import paths
from lib.config.progress import progress_bar
from lib.datasets import images, storage
from lib.datasets.readers.folders import File, Listing
from lib.datasets.storage import DataError

VERSION = 2  # raise it when what is recorded changes: stored indexes are then made anew
COLUMNS = ["path", "folder", "role", "width", "height", "channels", "bytes", "sha256"]
NUMBERS = ["width", "height", "channels", "bytes"]
CHUNK = 64  # files that a thread takes at a time: handing over each one alone takes time and memory
THREADS = min(8, max(2, os.cpu_count() or 1))  # decoders and hashlib let go of the interpreter's lock


def read_index(root: Path, listing: Listing, *, name: str) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Decode every file of a listing, or reuse what was found if no file has changed since.

    Returns the images (columns `COLUMNS`, in the listing's order) and what was left out (path, reason).
    """
    stored = paths.cache() / "index" / f"{name}-{_fingerprint(root, listing)}.csv"
    stored_left_out = stored.with_name(f"{stored.stem}-left_out.csv")
    try:
        found, left_out = storage.read_table(stored)[0], storage.read_table(stored_left_out)[0]
    except DataError:  # not made yet, or damaged
        found, left_out = _decode_all(root, listing)
        storage.write_table(stored_left_out, left_out)
        storage.write_table(stored, found)
    return found.astype(dict.fromkeys(NUMBERS, "int64")), list(left_out.itertuples(index=False, name=None))


def in_chunks(work: Callable[[int], object], count: int, *, title: str, threads: int = THREADS) -> Iterator[object]:
    """Results of `work(row)` for each row below `count`, in order, made by threads."""
    starts = range(0, count, CHUNK)
    bar = progress_bar(title, total=count, unit=" images")
    with ThreadPoolExecutor(threads) as pool, bar:
        try:
            for results in pool.map(
                lambda start: [work(row) for row in range(start, min(start + CHUNK, count))], starts
            ):
                yield from results
                bar.update(len(results))
        except BaseException:  # an interrupted run should not wait for thousands of images
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fingerprint(root: Path, listing: Listing) -> str:
    """Changes when a file is added, removed, renamed or written to, and with what decodes them."""
    digest = hashlib.sha256(repr((VERSION, PIL.__version__, str(root), listing.left_out)).encode())
    for file in listing.files:
        digest.update(f"{file.path}\0{file.folder}\0{file.role}\0{file.size}\0{file.mtime}\0".encode())
    return digest.hexdigest()[:16]


def _decode_all(root: Path, listing: Listing) -> tuple[pd.DataFrame, pd.DataFrame]:
    found, left_out = [], list(listing.left_out)
    files = listing.files
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files name no file; what matters is said below
        answers = in_chunks(lambda row: _examine(root, files[row]), len(files), title="Checking images")
        for file, answer in zip(files, answers, strict=True):
            if isinstance(answer, str):
                left_out.append((file.path, answer))
            else:
                found.append((file.path, file.folder, file.role, *answer))
    left_out = pd.DataFrame(sorted(left_out), columns=["path", "reason"], dtype=str)
    return pd.DataFrame(found, columns=COLUMNS), left_out


def _examine(root: Path, file: File) -> tuple[int, int, int, int, str] | str:
    """Width, height, channels, bytes and sha256 of one file, or the reason why it cannot be used."""
    try:
        data = images.read_bytes(root / file.path)
        jpeg = images.decode_jpeg(data, at_least=1)
        if not jpeg:
            image = images.decode(data)
            if image.mode not in ("L", "RGB"):
                images.to_rgb(image)  # what cannot become RGB should be found now, not in the middle of training
    except DataError as error:
        return str(error)
    facts = jpeg[1] if jpeg else (image.width, image.height, images.count_channels(image))
    return (*facts, len(data), hashlib.sha256(data).hexdigest())
