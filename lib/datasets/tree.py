"""Which files of a folder are images of which class, before any of them is opened."""

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lib.datasets.errors import DataError

IGNORED = ("thumbs.db", "desktop.ini", "__macosx")  # left by file browsers, like all names that start with a dot
ROLES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


class File(NamedTuple):
    """One file that may be an image."""

    path: str  # relative to the root, with forward slashes
    folder: str  # name of its class folder
    role: str  # train, val or test where the layout fixes it, else empty
    size: int  # bytes
    mtime: int  # nanoseconds


@dataclass
class Listing:
    """What a folder holds: files by class, and what does not belong there, with the reason."""

    files: list[File] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)  # class folders, empty ones too
    left_out: list[tuple[str, str]] = field(default_factory=list)  # path, reason

    def without(self, stray: Mapping[str, str]) -> "Listing":
        """The same listing with known stray files left out for the reasons given (path -> reason)."""
        kept = [file for file in self.files if file.path not in stray]
        known = [(file.path, stray[file.path]) for file in self.files if file.path in stray]
        known += [(path, stray.get(path, reason)) for path, reason in self.left_out]
        return Listing(kept, self.folders, sorted(known))


def visible(folder: Path) -> list[os.DirEntry]:
    """Entries of a folder in sorted order, without hidden and system names.

    Raises:
        DataError: if the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            named = [e for e in entries if not e.name.startswith(".") and e.name.lower() not in IGNORED]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from error
    return sorted(named, key=lambda entry: entry.name)


def subfolders(folder: Path) -> list[Path]:
    """Visible folders of a folder, in sorted order."""
    return [Path(entry.path) for entry in visible(folder) if entry.is_dir()]


def list_class_folders(root: Path) -> Listing:
    """List a folder that holds one folder a class, optionally under `train`, `val` and `test`.

    Args:
        root: the folder. It counts as laid out in roles if it holds a folder `train` with at least two folders inside;
            `training`, `valid`, `validation` and `testing` are understood, in any case.

    Returns:
        The files in sorted order, with stray files and folders set apart.

    Raises:
        DataError: if a folder cannot be read.
    """
    listing = Listing()
    parts = _parts(root)
    if not parts:
        _list_part(root, root, role="", listing=listing)
        return listing
    for entry in visible(root):
        if entry.name in parts:
            _list_part(root, Path(entry.path), role=parts[entry.name], listing=listing)
        else:
            listing.left_out.append((_name(root, entry), "beside the train, val and test folders"))
    return listing


def _parts(root: Path) -> dict[str, str]:
    """Folder name -> role where the folder is laid out in roles, else nothing; `train` may also be a class's name."""
    parts = {folder.name: ROLES[folder.name.lower()] for folder in subfolders(root) if folder.name.lower() in ROLES}
    train = [name for name, role in parts.items() if role == "train"]
    return parts if train and all(len(subfolders(root / name)) >= 2 for name in train) else {}


def _list_part(root: Path, part: Path, *, role: str, listing: Listing) -> None:
    entries = visible(part)
    if role and not any(entry.is_dir() for entry in entries):
        listing.left_out.append((part.name, f"no class folders: {len(entries):,} files without labels"))
        return
    for entry in entries:
        if not entry.is_dir():
            listing.left_out.append((_name(root, entry), "file beside the class folders"))
        elif not _is_plain(entry.name):
            listing.left_out.append((_name(root, entry), "the folder's name is not plain text"))
        else:
            listing.folders.add(entry.name)
            _list_class(root, Path(entry.path), role=role, listing=listing)


def _list_class(root: Path, folder: Path, *, role: str, listing: Listing) -> None:
    for entry in visible(folder):
        name = _name(root, entry)
        if entry.is_dir():
            inside = sum(len(files) for _, _, files in os.walk(entry.path))
            listing.left_out.append((name, f"folder inside a class folder ({inside or 'no'} files inside)"))
        elif not _is_plain(entry.name):
            listing.left_out.append((name, "the file's name is not plain text"))
        elif not entry.is_file():
            listing.left_out.append((name, "broken link" if entry.is_symlink() else "not a regular file"))
        else:
            facts = entry.stat()
            listing.files.append(File(name, folder.name, role, facts.st_size, facts.st_mtime_ns))


def _is_plain(name: str) -> bool:
    """Whether a name can be written to a text file and read again: valid Unicode without control characters."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def _name(root: Path, entry: os.DirEntry) -> str:
    """Path relative to the root with forward slashes; what is not plain text is spelt out."""
    name = Path(entry.path).relative_to(root).as_posix()
    return name if _is_plain(name) else name.encode("unicode_escape", "backslashreplace").decode("ascii")
