"""Files that are either the old ones or the whole new ones, whenever a process dies; their checksums; and locks."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import platform
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

FULL, PROTECTED = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM, errno.EROFS)


class FolderError(ValueError):
    """A folder takes no files; the message says why, and what to do."""


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Write to a folder in the block; where it is full or protected, any error becomes a sentence that says so.

    Raises:
        FolderError: in place of an error that comes from such a folder; other errors stay what they are.
    """
    try:
        yield
    except FolderError:
        raise
    except Exception as error:
        number, name = getattr(error, "errno", None), getattr(error, "filename", None)
        folder = Path(name).parent if name else folder
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if number in FULL or os.strerror(errno.ENOSPC) in str(error):  # HDF5 and TensorFlow have errors of their own
            raise FolderError(
                f"No room is left on the disk of {folder}: make room there and run it again, which goes on from what "
                "is finished."
            ) from error
        if number == errno.EROFS or number in PROTECTED and not os.access(there, os.W_OK):
            raise FolderError(
                f"{folder} cannot be written to: allow it, or name another folder, COURSEWORK_REPORTS for reports and "
                "runs, COURSEWORK_CACHE for the cache."
            ) from error
        raise


@contextlib.contextmanager
def locked(file: Path, *, title: str) -> Iterator[None]:
    """Hold a lock in the block; where another process holds it, a line says so and this one waits.

    The system takes the lock back however its process ends. Where it gives none, as in some network folders, a line
    says so and the block goes on.

    Args:
        file: what is locked: an empty file for this purpose, which stays.
        title: of what is done in the block, e.g. `the report of demo`.
    """
    import filelock  # here, like the others below: the words of an experiment are read where nothing is installed

    lock = filelock.FileLock(file, fallback_to_soft=False)
    with contextlib.ExitStack() as held:
        try:
            with writing(file.parent):
                file.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(lock.acquire(blocking=False))
        except filelock.Timeout:
            print(f"Another process works on {title}: waiting for its end", flush=True)
            held.enter_context(lock.acquire(poll_interval=0.5))
        except (OSError, NotImplementedError) as error:
            print(f"{file.parent} cannot be locked ({error}): work on {title} in one process at a time", flush=True)
        yield


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path beside `file` to write to, which takes its place when the block ends; a block that fails leaves none.

    The path has the suffix of `file`, since some writers go by it. What killed processes left behind is removed.

    Raises:
        FolderError: if the folder is full or protected.
    """
    import psutil

    machine = platform.node()  # several may share the folder: a process of another one is not seen here
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        for leftover in file.parent.glob(f".{glob.escape(f'{file.stem}.{machine}')}.*.part{file.suffix}"):
            process = leftover.name.removesuffix(f".part{file.suffix}").rpartition(".")[2]
            if process.isdigit() and not psutil.pid_exists(int(process)):
                leftover.unlink(missing_ok=True)
        partial = file.with_name(f".{file.stem}.{machine}.{os.getpid()}.part{file.suffix}")
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


def read_arrays(file: Path) -> dict:
    """Read an .npz file of numpy arrays whole; a damaged one is refused with a ValueError."""
    import numpy as np

    try:
        with file.open("rb") as stream, np.load(stream) as stored:
            return dict(stored)
    except (EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} is damaged: {error}") from error


def checksum(file: Path, method: str = "sha256") -> str:
    """Checksum of a file as hex, or "" if there is no such file."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, method).hexdigest()
