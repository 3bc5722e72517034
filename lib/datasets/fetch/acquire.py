"""A data set's files found on this machine, or downloaded; what was found is never changed."""

import hashlib
import os
import shutil
from pathlib import Path

from lib.config import paths
from lib.config.files import checksum, write_bytes
from lib.datasets import storage
from lib.datasets.catalogue import Download, Entry
from lib.datasets.fetch import archives
from lib.datasets.fetch.download import download
from lib.datasets.readers.folders import subfolders, visible
from lib.datasets.storage import DataError

VERIFIED = "verified"
UNVERIFIED = "unverified copy"
MAX_DEPTH = 4  # folders within folders that an archive may put around its data


def find_or_download(entry: Entry) -> tuple[Path, str]:
    """The folder to read, and "verified" (official checksums) or "unverified copy".

    It is found in the raw folders, extracted or as an archive; else its official files are downloaded.
    """
    found = find_here(entry)
    if found is None or (paths.RAW in found.parents and found.is_dir() and _missing(entry, found)):
        found = _download(entry, found)
    if not found.is_dir():
        return _unpack(entry, found)
    # Several official files may lie there as they are; of an extracted archive nothing is known.
    files = [(found / file.file_name, file.md5) for file in entry.downloads]
    whole = len(files) > 1 and all(path.is_file() and _known_md5(path) == md5 for path, md5 in files)
    return found, VERIFIED if whole else UNVERIFIED


def find_here(entry: Entry) -> Path | None:
    """The folder to read, or the data set's archive, in the first raw folder that has one; else None.

    Raises:
        DataError: if COURSEWORK_DATA names a folder that does not exist, or one that cannot be read.
    """
    for folder in paths.raw_folders():
        if folder != paths.RAW and not folder.exists():
            raise DataError(f"COURSEWORK_DATA names a folder that does not exist: {folder}")
        if found := _find_in(entry, folder):
            return found
    return None


def _find_in(entry: Entry, raw: Path) -> Path | None:
    if not raw.is_dir():
        return raw if raw.is_file() and _is_archive_of(entry, raw.name) else None
    named = _named(entry, raw)
    itself = [raw] if _plain(raw.name) in map(_plain, entry.names) else []
    if root := next((root for spot in itself + named if (root := _root_in(entry, spot))), None):
        return root
    if entry.loose and any(raw.glob(entry.loose)):
        return raw
    files = (file for spot in (raw, *named) for file in visible(spot))
    return next((Path(file.path) for file in files if _is_archive_of(entry, file.name) and file.is_file()), None)


def _named(entry: Entry, folder: Path) -> list[Path]:
    """Folders in a folder that are named like the data set, its preferred names first."""
    usual = [_plain(name) for name in entry.names]
    inside = [path for path in subfolders(folder) if _plain(path.name) in usual]
    return sorted(inside, key=lambda path: usual.index(_plain(path.name)))


def _root_in(entry: Entry, folder: Path, *, depth: int = 0) -> Path | None:
    """The folder to read: this one, or one further down that is named like the data set or alone."""
    if any(any(folder.glob(mark)) for mark in entry.marks):
        return folder
    inside = subfolders(folder)
    deeper = _named(entry, folder) or (inside if len(inside) == 1 else [])
    if deeper and depth < MAX_DEPTH:
        return _root_in(entry, deeper[0], depth=depth + 1)
    return folder if inside and not entry.marks else None


def _is_archive_of(entry: Entry, name: str) -> bool:
    stems = [name[: -len(suffix)] for suffix in archives.SUFFIXES if name.lower().endswith(suffix)]
    return bool(stems) and _plain(stems[0]) in map(_plain, entry.names)


def _plain(name: str) -> str:
    """A name without what copying and unpacking change of it."""
    return name.lower().translate(str.maketrans("", "", "-_ "))


def _download(entry: Entry, folder: Path | None) -> Path:
    """The official archive in `data/raw`, or the folder there with all official files; what is there is not fetched."""
    several = len(entry.downloads) > 1
    home = (folder or paths.RAW / entry.names[0]) if several else paths.RAW
    for file in _missing(entry, home) if several else entry.downloads:
        download(file.address, home / file.file_name, size=file.size, md5=file.md5)
    return home if several else home / entry.downloads[0].file_name


def _missing(entry: Entry, folder: Path) -> list[Download]:
    """Official files that a folder lacks, where there are several: an earlier call may have fetched only some."""

    def stem(name: str) -> str:
        return _plain(name.removesuffix(".gz")).replace(".", "")

    there = {stem(path.name) for path in folder.iterdir()} if folder.is_dir() else set()
    return [file for file in entry.downloads if len(entry.downloads) > 1 and stem(file.file_name) not in there]


def _unpack(entry: Entry, archive: Path) -> tuple[Path, str]:
    md5 = _known_md5(archive)
    extracted = paths.cache() / "extracted"
    folder = next(extracted.glob(f"*-{md5[:16]}"), extracted / f"{entry.name}-{md5[:16]}")  # sets may share an archive
    archives.extract(archive, folder, inner=entry.inner)
    root = _root_in(entry, folder)
    if root is None:
        shutil.rmtree(folder)
        what = f"none of {', '.join(entry.marks)}" if entry.marks else "no class folders"
        raise DataError(f"{archive} holds {what}: it does not seem to be {entry.title}.")
    official = {*(file.md5 for file in entry.downloads), entry.inner_md5}
    return root, VERIFIED if md5 in official else UNVERIFIED


def _known_md5(file: Path) -> str:
    """md5 of a file, remembered as long as its size and time stay the same: it takes seconds for a gigabyte."""
    facts = file.stat()
    key = hashlib.sha256(repr((os.fspath(file), facts.st_size, facts.st_mtime_ns)).encode()).hexdigest()[:16]
    note = paths.cache() / "extracted" / f"{file.name}-{key}.md5"
    if note.is_file() and len(note.read_text()) == 32:
        return note.read_text()
    with storage.reading(file):
        md5 = checksum(file, "md5")
    with storage.writing(note.parent):
        write_bytes(note, md5.encode())
    return md5
