"""What this room writes: tables that notice a change, folders that appear whole; and its error, one clear sentence."""

import contextlib
import hashlib
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import files, paths
from lib.config.files import replacing
from lib.config.names import csv_bytes, read_csv

SPARE = 50 * 10**6  # bytes left free for everything else on the disk


class DataError(ValueError):
    """Data that cannot be used; the message says which, why, and what to do about it."""


def require_space(folder: Path, needed: int) -> None:
    """Refuse to start what the disk has no room for: `needed` bytes in an existing folder, and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DataError(
            f"No disk space: {(needed + SPARE) / 1e6:,.1f} MB are needed in {folder}, {free / 1e6:,.1f} MB are free. "
            "Make room, or point COURSEWORK_CACHE at a larger disk: it holds what is extracted."
        )


def on_disk(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An array of zeros in a nameless file of the cache, for what may be too large for memory.

    The system keeps of it in memory what fits, and the file goes with the array.

    Raises:
        FolderError: if the disk has no room for it.
    """
    folder, size = paths.cache(), math.prod(shape) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    with writing(folder), tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # without a reserved place, a disk that fills up later kills the process
            os.posix_fallocate(file.fileno(), 0, size)
        file.truncate(size)
        return np.asarray(np.memmap(file, dtype, "r+", shape=shape))


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder and write to it in the block; a write that fails becomes a sentence.

    A full or protected folder is no fault of the data, and nothing else may stand in for them: it is a `FolderError`.
    """
    try:
        with files.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            yield
    except OSError as error:
        raise DataError(f"Writing to {folder} failed: {error.strerror or error}") from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read a file or folder in the block; what the system refuses becomes a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


@contextlib.contextmanager
def whole_folder(destination: Path) -> Iterator[Path]:
    """A new folder to fill, which gets its name when the block ends; a block that fails or is killed leaves none.
    Where another process has made it meanwhile, that one stays.
    """
    with writing(destination.parent):
        for leftover in destination.parent.glob(".partial-*"):  # of killed processes; one of today may still be filled
            with contextlib.suppress(FileNotFoundError):  # another process may be tidying up as well
                if time.time() - leftover.stat().st_mtime > 24 * 3600:
                    shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=destination.parent))
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp makes it for its owner alone
            try:
                partial.rename(destination)
            except OSError:
                if not destination.is_dir():
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_table(path: Path, table: pd.DataFrame, **facts: str) -> None:
    """Write a CSV whose first line holds `facts` (words without spaces) and the checksum of everything below it."""
    body = csv_bytes(table)
    head = " ".join(f"{name}={value}" for name, value in {**facts, "sha256": _checksum(facts, body)}.items())
    with writing(path.parent), replacing(path) as partial, partial.open("wb") as out:
        out.write(f"# {head}\n".encode())
        out.write(body)


def read_table(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows that `write_table` wrote, all as text, and the facts; a file that was changed since is refused."""
    try:
        with path.open("rb") as stream:
            head, body = stream.readline().decode("utf-8"), stream.read().replace(b"\r\n", b"\n")  # git on Windows
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    facts = dict(word.split("=", 1) for word in head.removeprefix("# ").split() if "=" in word)
    if facts.pop("sha256", None) != _checksum(facts, body):
        raise DataError(f"{path} was changed after it was written: its checksum does not match. Make it again.")
    return read_csv(body, dtype=str, keep_default_na=False), facts


def _checksum(facts: Mapping[str, str], body: bytes) -> str:
    digest = hashlib.sha256(repr(sorted(facts.items())).encode())
    digest.update(body)
    return digest.hexdigest()
