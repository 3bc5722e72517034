"""Which files of a folder are images of which class, before any of them is opened."""

import dataclasses
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lib.datasets.storage import reading

IGNORED = ("thumbs.db", "desktop.ini", "__macosx")  # left by file browsers, like all names that start with a dot
PART = re.compile(r"(?:(train(?:ing)?)|(val(?:id(?:ation)?)?)|(test(?:ing)?))(?:[ _-]?(?:set|data|images))?", re.I)
PART_NAMES = "train, val and test (or training, valid, validation, testing, alone or with set, data or images)"


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
    folders: set[str] = field(default_factory=set)  # names of class folders
    left_out: list[tuple[str, str]] = field(default_factory=list)  # path, reason
    shown: dict[str, str] = field(default_factory=dict)  # names of classes whose folders do not say them
    boxes: list[tuple[str, int, int, int, int]] = field(default_factory=list)  # path, x0, y0, x1, y1 in pixels
    unlabelled: list[str] = field(default_factory=list)  # paths of images that come without a label, to be predicted

    @property
    def class_names(self) -> dict[str, str]:
        """Name to show of each class folder, in sorted order; `001.ak47` becomes `ak47` where that stays unique."""
        folders = sorted(self.folders)
        # A number is a name and no prefix: `0.5`, `1.25 kg`.
        names = {folder: self.shown.get(folder) or re.sub(r"^\d+\.(?=\D)", "", folder) for folder in folders}
        count = Counter(names.values())
        long = {folder: f"{name} ({folder})" if folder in self.shown else folder for folder, name in names.items()}
        return {folder: name if count[name] == 1 else long[folder] for folder, name in names.items()}

    def without(self, stray: Mapping[str, str]) -> "Listing":
        """The same listing with known stray files left out for the reasons given (path -> reason)."""
        kept = [file for file in self.files if file.path not in stray]
        known = [(file.path, stray[file.path]) for file in self.files if file.path in stray]
        known += [(path, stray.get(path, reason)) for path, reason in self.left_out]
        return dataclasses.replace(self, files=kept, left_out=sorted(known))


def visible(folder: Path) -> list[os.DirEntry]:
    """Entries of a folder in sorted order, without hidden and system names."""
    with reading(folder), os.scandir(folder) as entries:
        named = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in IGNORED]
    return sorted(named, key=lambda entry: entry.name)


def subfolders(folder: Path) -> list[Path]:
    """Visible folders of a folder, in sorted order."""
    return [Path(entry.path) for entry in visible(folder) if entry.is_dir()]


def list_class_folders(root: Path) -> Listing:
    """List a folder that holds one folder per class, optionally under `train`, `val` and `test`.

    The folder counts as laid out in roles if it holds a folder `train` with at least two folders inside; see
    `PART_NAMES` for others that are understood, in any case.
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
            listing.left_out.append((spell_out(entry.name), "beside the train, val and test folders"))
    return listing


def _parts(root: Path) -> dict[str, str]:
    """Folder name -> role where the folder is laid out in roles, else nothing; `train` may also be a class's name."""
    found = {folder.name: PART.fullmatch(folder.name) for folder in subfolders(root)}
    parts = {name: ("train", "val", "test")[match.lastindex - 1] for name, match in found.items() if match}
    train = [name for name, role in parts.items() if role == "train"]
    return parts if train and all(len(subfolders(root / name)) >= 2 for name in train) else {}


def _list_part(root: Path, part: Path, *, role: str, listing: Listing) -> None:
    entries = visible(part)
    if role and not any(entry.is_dir() for entry in entries):
        listing.left_out.append((part.name, f"no class folders: {len(entries):,} files without labels"))
        return
    for entry in entries:
        name = spell_out(Path(entry.path).relative_to(root).as_posix())
        if not entry.is_dir():
            listing.left_out.append((name, "file beside the class folders"))
        elif not _is_plain(entry.name):
            listing.left_out.append((name, "the folder's name is not plain text"))
        else:
            list_files(root, Path(entry.path), label=entry.name, role=role, listing=listing)


def list_files(root: Path, folder: Path, *, label: str, role: str, listing: Listing) -> None:
    """Add a class and the files of its folder to a listing, with the reason where one cannot be an image."""
    before, entries = folder.relative_to(root).as_posix(), visible(folder)
    if label and entries:
        listing.folders.add(label := composed(label))
    elif label:
        listing.left_out.append((spell_out(before), "empty class folder"))
    for entry in entries:
        name = f"{before}/{entry.name}" if folder != root else entry.name
        if reason := _reason_to_skip(entry):
            listing.left_out.append((spell_out(name), reason))
        else:
            facts = entry.stat()
            listing.files.append(File(name, label, role, facts.st_size, facts.st_mtime_ns))


def list_tree(root: Path) -> Listing:
    """List every file of a folder and of its sub-folders, whatever they are called; each folder once, links too."""
    listing, waiting, seen = Listing(), [root], set()
    while waiting:
        folder = waiting.pop()
        if (place := folder.resolve()) in seen:
            continue
        seen.add(place)
        part = Listing()
        list_files(root, folder, label="", role="", listing=part)
        listing.files += part.files
        inside = subfolders(folder)
        names = {spell_out(path.relative_to(root).as_posix()) for path in inside}
        listing.left_out += [(path, reason) for path, reason in part.left_out if path not in names]
        waiting += reversed(inside)
    listing.files.sort()
    return listing


def _reason_to_skip(entry: os.DirEntry) -> str:
    """Why an entry of a class folder cannot be an image; empty if it may be one."""
    try:
        if entry.is_file() and _is_plain(entry.name):
            return ""
        if entry.is_dir():
            inside = sum(len(files) for _, _, files in os.walk(entry.path))
            return f"folder inside a class folder ({inside or 'no'} files inside)"
        if not _is_plain(entry.name):
            return "the file's name is not plain text"
        return "broken link" if entry.is_symlink() else "not a regular file"
    except OSError as error:  # e.g. a link that leads to itself
        return f"cannot be read: {error.strerror or error}"


def composed(name: str) -> str:
    """The name by which it is compared: an accented letter is one character or two, depending on who wrote it."""
    return unicodedata.normalize("NFC", name)


def _is_plain(name: str) -> bool:
    """Whether a name can be written to a text file and read again: valid Unicode without control characters."""
    if name.isascii():
        return name.isprintable()
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def spell_out(name: str) -> str:
    """A path as it is; what is not plain text in it is spelt out."""
    return name if _is_plain(name) else name.encode("unicode_escape", "backslashreplace").decode("ascii")
