"""Room on the disk, sums of files, folders that appear whole, and tables that notice when they were changed."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from lib.datasets.errors import DataError

DAY = 24 * 3600  # seconds
SPARE = 50 * 10**6  # bytes left free for everything else on the disk


def megabytes(count: int) -> str:
    """A number of bytes in words, e.g. `137.4 MB`."""
    return f"{count / 1e6:,.1f} MB"


def require_space(folder: Path, needed: int) -> None:
    """Refuse to start what the disk has no room for.

    Args:
        folder: an existing folder on the disk in question.
        needed: bytes about to be written.

    Raises:
        DataError: if fewer bytes are free than needed, with some to spare.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise DataError(
            f"No disk space: {megabytes(needed + SPARE)} are needed in {folder}, {megabytes(free)} are free. "
            "Make room, or point COURSEWORK_CACHE at a larger disk: it holds what is extracted."
        )


def write_error(error: OSError, folder: Path) -> DataError:
    """The sentence for a write that failed: a full disk, a folder one may not write to, or what the system says."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"No disk space left while writing to {folder}. Make room and run it again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(f"{folder} cannot be written to. COURSEWORK_CACHE moves the cache to a folder of your own.")
    return DataError(f"Writing to {folder} failed: {error.strerror or error}")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; a folder that cannot be made is a DataError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, folder) from error


@contextlib.contextmanager
def whole_folder(destination: Path) -> Iterator[Path]:
    """A new folder to fill, which gets its name when the block ends; a block that fails or is killed leaves none.

    Args:
        destination: the folder to make. Where another process has made it meanwhile, that one stays.

    Raises:
        DataError: if the folder above it cannot be made.
    """
    make_folder(destination.parent)
    _remove_leftovers(destination.parent)
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


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left behind; younger ones may still be at work."""
    for leftover in folder.glob(".partial-*"):
        with contextlib.suppress(FileNotFoundError):  # another process may be tidying up as well
            if time.time() - leftover.stat().st_mtime > DAY:
                shutil.rmtree(leftover, ignore_errors=True)


def md5_of(path: Path) -> str:
    """md5 of a file as hex; it tells a damaged copy from a whole one, it is no protection against malice."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def write_table(path: Path, table: pd.DataFrame, *, facts: Mapping[str, str]) -> None:
    """Write a CSV whose first line holds facts and the sum of everything below it; it appears whole or not at all.

    Args:
        path: the file to write.
        table: the rows; its index is not written.
        facts: words without spaces, written as `name=value`.

    Raises:
        DataError: if the file cannot be written.
    """
    stream = io.BytesIO()  # as text it would take four bytes a letter
    table.to_csv(stream, index=False, lineterminator="\n", mode="wb")
    body = stream.getbuffer()
    head = " ".join(f"{name}={value}" for name, value in {**facts, "sha256": _sum_of(facts, body)}.items())
    make_folder(path.parent)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with unfinished.open("wb") as out:
            out.write(f"# {head}\n".encode())
            out.write(body)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise write_error(error, path.parent) from error


def read_table(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read what `write_table` wrote; text columns stay text, whatever they look like.

    Returns:
        The rows, all as text, and the facts of the first line.

    Raises:
        DataError: if the file is missing, or was changed after it was written.
    """
    try:
        with path.open("rb") as stream:
            head, body = stream.readline().decode("utf-8"), stream.read().replace(b"\r\n", b"\n")  # git on Windows
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    facts = dict(word.split("=", 1) for word in head.removeprefix("# ").split() if "=" in word)
    if facts.pop("sha256", None) != _sum_of(facts, body):
        raise DataError(f"{path} was changed after it was written: its checksum does not match. Make it again.")
    return pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False), facts


def _sum_of(facts: Mapping[str, str], body: bytes | memoryview) -> str:
    digest = hashlib.sha256(repr(sorted(facts.items())).encode())
    digest.update(body)
    return digest.hexdigest()
