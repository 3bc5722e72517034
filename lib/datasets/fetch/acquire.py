"""A data set's files found on this machine, or downloaded; what was found is never changed."""

import hashlib
import os
import shutil
from pathlib import Path

from lib.config import paths
from lib.datasets.entry import Download, Entry
from lib.datasets.errors import DataError
from lib.datasets.fetch import archives, disk
from lib.datasets.fetch.download import download
from lib.datasets.readers.tree import subfolders, visible

VERIFIED = "verified"
UNVERIFIED = "unverified copy"
MAX_DEPTH = 4  # folders within folders that an archive may put around its data


def find_or_download(entry: Entry, *, progress: bool = True) -> tuple[Path, str]:
    """Find a data set in the raw folders, extracted or as an archive; else download its official files.

    Args:
        entry: the data set.
        progress: whether to show progress bars.

    Returns:
        The folder to read, and "verified" (official sums) or "unverified copy".

    Raises:
        DataError: if it is nowhere and cannot be downloaded, or if what was found cannot be used.
    """
    found = find_here(entry)
    if found is None or (paths.RAW in found.parents and found.is_dir() and _missing(entry, found)):
        found = _download(entry, found, progress=progress)
    return (found, _source_of(entry, found)) if found.is_dir() else _unpack(entry, found, progress=progress)


def find_here(entry: Entry) -> Path | None:
    """The folder to read, or the data set's archive, in the first raw folder that has one; else None.

    Raises:
        DataError: if COURSEWORK_DATA names a folder that does not exist, or one that cannot be read.
    """
    for folder in paths.raw_folders():
        if folder != paths.RAW and not folder.exists():
            raise DataError(f"COURSEWORK_DATA names a folder that does not exist: {folder}")
        if found := _find_extracted(entry, folder) or _find_archive(entry, folder):
            return found
    return None


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "-_ "))


def _download(entry: Entry, folder: Path | None, *, progress: bool) -> Path:
    """The official archive in `data/raw`, or the folder there with all official files; what is there is not fetched."""
    if len(entry.downloads) == 1:
        wanted, target = entry.downloads, paths.RAW / entry.downloads[0].file_name
    else:
        target = folder or paths.RAW / entry.names[0]
        wanted = _missing(entry, target)
    for file in wanted:
        path = target if len(entry.downloads) == 1 else target / file.file_name
        download(file.address, path, size=file.size, md5=file.md5, progress=progress)
    return target


def _missing(entry: Entry, folder: Path) -> tuple[Download, ...]:
    """Official files that a folder lacks, where there are several: an earlier call may have fetched only some."""
    if len(entry.downloads) < 2:
        return ()
    there = {_stem(path.name) for path in folder.iterdir()} if folder.is_dir() else set()
    return tuple(file for file in entry.downloads if _stem(file.file_name) not in there)


def _stem(name: str) -> str:
    """A file's name without what unpacking and copying change of it."""
    return _plain(name.removesuffix(".gz")).replace(".", "")


def _source_of(entry: Entry, folder: Path) -> str:
    """Verified where all official files lie there as they are; of an extracted archive nothing is known."""
    files = [(folder / file.file_name, file.md5) for file in entry.downloads]
    if len(files) < 2 or not all(path.is_file() for path, _ in files):
        return UNVERIFIED
    return VERIFIED if all(_known_md5(path) == md5 for path, md5 in files) else UNVERIFIED


def _spots(entry: Entry, folder: Path) -> list[Path]:
    """A raw folder and the folders in it that are named like the data set: some archives unpack into such a one."""
    return [folder, *_named(entry, folder)]


def _named(entry: Entry, folder: Path) -> list[Path]:
    """Folders in a folder that are named like the data set, its preferred names first."""
    usual = [_plain(name) for name in entry.names]
    inside = [path for path in subfolders(folder) if _plain(path.name) in usual]
    return sorted(inside, key=lambda path: usual.index(_plain(path.name)))


def _find_extracted(entry: Entry, folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    usual = {_plain(name) for name in entry.names}
    named = [spot for spot in _spots(entry, folder) if _plain(spot.name) in usual]  # the raw folder itself may be it
    roots = (root for spot in named if (root := _root_in(entry, spot)))
    found = next(roots, None)
    return folder if found is None and entry.loose and any(folder.glob(entry.loose)) else found


def _root_in(entry: Entry, folder: Path, *, depth: int = 0) -> Path | None:
    """The folder to read: this one, or one further down that is named like the data set or alone."""
    if any(any(folder.glob(mark)) for mark in entry.marks):
        return folder
    inside = subfolders(folder)
    deeper = _named(entry, folder) or (inside if len(inside) == 1 else [])
    if deeper and depth < MAX_DEPTH:
        return _root_in(entry, deeper[0], depth=depth + 1)
    return folder if inside and not entry.marks else None


def _find_archive(entry: Entry, folder: Path) -> Path | None:
    if not folder.is_dir():
        return folder if folder.is_file() and _is_archive_of(entry, folder.name) else None
    found = [
        Path(file.path)
        for spot in _spots(entry, folder)
        for file in visible(spot)
        if _is_archive_of(entry, file.name) and file.is_file()
    ]
    return found[0] if found else None


def _is_archive_of(entry: Entry, name: str) -> bool:
    stems = [name[: -len(suffix)] for suffix in archives.SUFFIXES if name.lower().endswith(suffix)]
    return bool(stems) and _plain(stems[0]) in {_plain(usual) for usual in entry.names}


def _unpack(entry: Entry, archive: Path, *, progress: bool) -> tuple[Path, str]:
    md5 = _known_md5(archive)
    extracted = paths.cache() / "extracted"
    folder = next(extracted.glob(f"*-{md5[:16]}"), extracted / f"{entry.name}-{md5[:16]}")  # sets may share an archive
    archives.extract(archive, folder, inner=entry.inner, progress=progress)
    root = _root_in(entry, folder)
    if root is None:
        shutil.rmtree(folder)
        what = f"none of {', '.join(entry.marks)}" if entry.marks else "no class folders"
        raise DataError(f"{archive} holds {what}: it does not seem to be {entry.title}.")
    return root, VERIFIED if md5 in entry.sums else UNVERIFIED


def _known_md5(archive: Path) -> str:
    """md5 of an archive, remembered as long as its size and time stay the same: it takes seconds for a gigabyte."""
    facts = archive.stat()
    key = hashlib.sha256(repr((os.fspath(archive), facts.st_size, facts.st_mtime_ns)).encode()).hexdigest()[:16]
    note = paths.cache() / "extracted" / f"{archive.name}-{key}.md5"
    if note.is_file() and len(note.read_text()) == 32:
        return note.read_text()
    try:
        md5 = disk.md5_of(archive)
    except OSError as error:
        raise DataError(f"{archive} cannot be read: {error.strerror or error}") from error
    disk.make_folder(note.parent)
    try:
        note.write_text(md5)
    except OSError as error:
        raise disk.write_error(error, note.parent) from error
    return md5
