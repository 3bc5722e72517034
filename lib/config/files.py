"""Files that are either the old ones or the whole new ones, whenever a process dies; and their checksums."""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, which takes its place when the block ends; a block that fails leaves none.

    The path has the suffix of `file`, since some writers go by it. What killed processes left behind is removed.
    """
    import psutil  # here, like NumPy below: the words of an experiment are read where nothing is installed

    file.parent.mkdir(parents=True, exist_ok=True)
    for leftover in file.parent.glob(f".{glob.escape(file.stem)}.*.part{file.suffix}"):
        process = leftover.name.removesuffix(f".part{file.suffix}").rpartition(".")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            leftover.unlink(missing_ok=True)
    partial = file.with_name(f".{file.stem}.{os.getpid()}.part{file.suffix}")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file, all or nothing."""
    with replacing(file) as partial:
        partial.write_bytes(content)


def write_json(file: Path, content: object) -> None:
    """Write a JSON file, all or nothing."""
    write_bytes(file, (json.dumps(content, indent=2, sort_keys=True, default=list) + "\n").encode("utf-8"))


def read_json(file: Path) -> dict:
    """Parse a JSON file; a ValueError says that it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("brackets in brackets, deeper than any file of this project") from None


def write_arrays(file: Path, arrays: dict) -> None:
    """Write an .npz file of numpy arrays, all or nothing."""
    import numpy as np

    with replacing(file) as partial:
        np.savez(partial, **arrays)


def checksum(file: Path, method: str = "sha256") -> str:
    """Checksum of a file as hex, or "" if there is no such file."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, method).hexdigest()
