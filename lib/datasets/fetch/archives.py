"""Archives extracted whole or not at all, and nothing written outside the folder meant for them.

The rules are stricter than those of tarfile's data filter, which takes links and strips a leading slash, and they are
the same for zip files, for which Python has no filter.
"""

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lib.config.progress import progress_bar
from lib.datasets import storage
from lib.datasets.storage import DataError

SUFFIXES = (".tar.gz", ".tar.xz", ".tar.bz2", ".tgz", ".tar", ".zip")
MAX_RATIO = 20  # images hardly compress: an archive that grows more than this is not one of images
MIN_LIMIT = 100 * 10**6  # bytes that any archive may hold
MAX_MEMBERS = 2_000_000
MAX_HEADER = 10**6  # bytes of a header that is read into memory, e.g. of a long name
CHUNK = 2**20
DAMAGE = (OSError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)

# Names that mean something else to another system: a drive, a stream beside a file, a device, a trailing dot or blank.
ODD_NAME = re.compile(r":|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)

Member = tuple[str, int, IO[bytes] | None]  # name, declared bytes, and the bytes, or None for a folder


def extract(archive: Path, destination: Path, *, inner: str = "") -> None:
    """Extract a tar (plain, gz, xz, bz2) or zip archive; the folder appears only when it is complete.

    Args:
        archive: the file; what it is, its bytes say, not its suffix.
        destination: the folder to make. If it exists, an earlier call completed it and nothing is done.
        inner: name of an archive inside a zip: if it is there, that one is extracted and nothing else.

    Raises:
        DataError: if the archive is damaged, is no archive, holds a link, a device, a path that leads out of the folder
            or a name twice, grows beyond reason, or if the disk is full.
    """
    if destination.is_dir():
        return
    with storage.writing(destination.parent):
        storage.require_space(destination.parent, archive.stat().st_size)
    with storage.whole_folder(destination) as partial:
        try:
            _write_all(archive, partial, inner=inner)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:  # gzip and bz2 report bad data as an OSError without one
                raise
            sentence = f"{archive} is cut short, damaged or no archive ({error}). Delete it, or copy it again."
            raise DataError(sentence) from error


def is_web_page(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an HTML page, which is what a broken download often is."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html", b"<head"))


def _write_all(archive: Path, folder: Path, *, inner: str) -> None:
    room = max(MAX_RATIO * archive.stat().st_size, MIN_LIMIT)
    bar = progress_bar(f"Extracting {archive.name}", unit=" files")
    with archive.open("rb") as stream, bar:
        for count, (name, size, content) in enumerate(_members(archive, stream, inner=inner)):
            parts = _parts(archive, name)
            if count >= MAX_MEMBERS:
                raise DataError(f"{archive} holds more than {MAX_MEMBERS:,} files. It was not extracted.")
            if not parts or parts[0] == "__MACOSX":
                continue
            target = folder.joinpath(*parts)
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            room = _write(content, target, archive=archive, room=room) if size <= room else -1
            if room < 0:
                raise DataError(f"{archive} grows to more than {MAX_RATIO} times its size. It was not extracted.")
            bar.update()


def _write(content: IO[bytes], target: Path, *, archive: Path, room: int) -> int:
    """Write one file; returns the bytes that the rest of the archive may still take, negative once it is too much."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        out = target.open("xb")  # where upper and lower case are one, it also finds names that differ in case alone
    except FileExistsError as error:
        raise DataError(f"{archive} holds the name {target.name!r} twice. It was not extracted.") from error
    with out:
        while room >= 0 and (chunk := content.read(CHUNK)):
            room -= len(chunk)
            out.write(chunk)
    return room


def _parts(archive: Path, name: str) -> list[str]:
    """Folders and file name of a member; empty for the archive's own root."""
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or ".." in parts or "\0" in plain or re.match("[A-Za-z]:", plain):
        raise DataError(f"{archive} holds a path that leads out of its folder: {name!r}. It was not extracted.")
    if any(ODD_NAME.search(part) for part in parts):
        raise DataError(f"{archive} holds a name that other systems read differently: {name!r}. It was not extracted.")
    return parts


def _members(archive: Path, stream: IO[bytes], *, inner: str) -> Iterator[Member]:
    head = stream.peek(512)[:512]
    if is_web_page(head):
        raise DataError(f"{archive} is a web page, not an archive: the download went wrong. Delete it and try again.")
    if not head.startswith(b"PK"):
        yield from _tar_members(archive, stream)
        return
    with zipfile.ZipFile(stream) as packed:
        names = [name for name in packed.namelist() if inner and Path(name).name == inner]
        inside = [name for name in names if not name.startswith("__MACOSX")]
        if inside:
            with packed.open(inside[0]) as inner_stream:
                yield from _tar_members(archive, inner_stream)
            return
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # zero where the archive was not made on Unix
            _refuse_link(archive, info.filename, plain=kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if info.is_dir():
                yield info.filename, 0, None
            else:
                with packed.open(info) as content:
                    yield info.filename, info.file_size, content


def _tar_members(archive: Path, stream: IO[bytes]) -> Iterator[Member]:
    head, plain = stream.peek(6), stream
    for magic, module in ((b"\x1f\x8b", gzip), (b"\xfd7zXZ\x00", lzma), (b"BZh", bz2)):
        if head.startswith(magic):
            plain = module.open(stream)
    with tarfile.open(fileobj=plain, mode="r|", tarinfo=_WholeInfo) as packed:
        for info in packed:
            _refuse_link(archive, info.name, plain=info.isdir() or info.isreg())
            yield info.name, info.size, None if info.isdir() else packed.extractfile(info)
    while plain.read(CHUNK):  # the compressor's own checksum comes last
        pass


def _refuse_link(archive: Path, name: str, *, plain: bool) -> None:
    if not plain:
        raise DataError(f"{archive} holds a link or a device: {name!r}. It was not extracted.")


class _WholeInfo(tarfile.TarInfo):
    """Reads a header, and does not take the end of a tar that was cut short for its proper end."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        info = super().frombuf(buf, encoding, errors)
        if info.type in (b"L", b"K", b"x", b"g", b"X") and info.size > MAX_HEADER:  # they describe the next member
            raise tarfile.ReadError(f"a header of {info.size:,} bytes")
        return info

    @classmethod
    def fromtarfile(cls, tarfile_):
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError, tarfile.InvalidHeaderError) as error:
            raise tarfile.ReadError(f"no tar header at byte {tarfile_.offset:,}") from error
