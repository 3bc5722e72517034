"""A data set's files found on this machine, or downloaded; what was found is never changed."""

import hashlib
import os
import shutil
from pathlib import Path

from lib import demo_data, paths
from lib.datasets import archives, disk
from lib.datasets.catalogue import Entry
from lib.datasets.download import download
from lib.datasets.errors import DataError
from lib.datasets.tree import subfolders, visible

VERIFIED = "verified"
UNVERIFIED = "unverified copy"


def find_or_download(entry: Entry, *, progress: bool = True) -> tuple[Path, str]:
    """Find a data set in the raw folders, extracted or as an archive; else download its official archive.

    Args:
        entry: the data set.
        progress: whether to show progress bars.

    Returns:
        The folder that holds its class folders, and "verified" (an archive with an official sum) or "unverified copy".

    Raises:
        DataError: if it is nowhere and cannot be downloaded, or if what was found cannot be used.
    """
    found = find_here(entry)
    if found is None:
        found = paths.RAW / entry.address.rsplit("/", 1)[-1]
        download(entry.address, found, size=entry.size, md5=entry.md5, progress=progress)
    return (found, UNVERIFIED) if found.is_dir() else _unpack(entry, found, progress=progress)


def find_here(entry: Entry) -> Path | None:
    """The data set's folder of class folders, or its archive, in the first raw folder that has one; else None.

    Raises:
        DataError: if COURSEWORK_DATA names a folder that does not exist, or one that cannot be read.
    """
    for folder in paths.raw_folders():
        if folder != paths.RAW and not folder.exists():
            raise DataError(f"COURSEWORK_DATA names a folder that does not exist: {folder}")
        if found := _find_extracted(entry, folder) or _find_archive(entry, folder):
            return found
    return None


def draw_demo(*, progress: bool = True) -> Path:
    """Draw the demo set into the cache, unless it is there already.

    Args:
        progress: whether to show a progress bar.

    Returns:
        The folder `images`; the folder `masks` lies beside it.
    """
    code = Path(demo_data.__file__)
    sources = sorted(code.parent.glob("*.py")) if code.name == "__init__.py" else [code]
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    home = paths.cache() / "demo" / key  # new drawing code makes a new set, never a mixture
    if not home.is_dir():
        try:
            with disk.whole_folder(home) as partial:
                demo_data.draw(partial / "images", progress=progress)
        except OSError as error:
            raise disk.write_error(error, home.parent) from error
    return home / "images"


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "-_ "))


def _spots(entry: Entry, folder: Path) -> list[Path]:
    """A raw folder and the folders in it that are named like the data set: some archives unpack into such a one."""
    usual = {_plain(name) for name in entry.names}
    return [folder, *(inside for inside in subfolders(folder) if _plain(inside.name) in usual)]


def _find_extracted(entry: Entry, folder: Path) -> Path | None:
    usual = {_plain(name) for name in entry.names}
    if not folder.is_dir():
        return None
    named = [spot for spot in _spots(entry, folder) if _plain(spot.name) in usual]  # the raw folder itself may be it
    trees = [tree for spot in named if (tree := _class_tree(entry, spot))]
    return trees[0] if trees else None


def _class_tree(entry: Entry, folder: Path) -> Path | None:
    """The folder with the class folders: this one, or one further down that is named like the data set or alone."""
    usual = {_plain(name) for name in entry.names}
    inside = subfolders(folder)
    deeper = [path for path in inside if _plain(path.name) in usual] or (inside if len(inside) == 1 else [])
    if deeper:
        return _class_tree(entry, deeper[0])
    return folder if inside else None


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
    folder = paths.cache() / "extracted" / f"{entry.name}-{md5[:16]}"
    archives.extract(archive, folder, inner=entry.inner, progress=progress)
    tree = _class_tree(entry, folder)
    if tree is None:
        shutil.rmtree(folder)
        raise DataError(f"{archive} holds no class folders: it does not seem to be {entry.title}.")
    return tree, VERIFIED if md5 in entry.sums else UNVERIFIED


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
