"""The data sets: found or downloaded, checked file by file, and listed in an index."""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from lib.datasets.acquire import draw_demo, find_or_download
from lib.datasets.catalogue import ENTRIES, Entry, find
from lib.datasets.errors import DataError
from lib.datasets.images import read_rgb
from lib.datasets.index import read_index

__all__ = ["DataError", "Dataset", "load", "names"]

COLUMNS = ["path", "label", "class_name", "width", "height", "channels", "bytes", "sha256", "role"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """An indexed data set: which images there are, of which class, and what was left out."""

    name: str
    title: str
    root: Path
    index: pd.DataFrame  # one row an image, columns COLUMNS; `path` is relative to root, with forward slashes
    class_names: tuple[str, ...]
    left_out: pd.DataFrame  # columns path, reason
    source: str  # verified, unverified copy, drawn, your folder
    licence: str
    citation: str
    checksum: str  # sha256 over the index's path, label and sha256
    masks: Path | None = None  # folder of object masks with the index's paths, as PNG

    def open_image(self, row: int | pd.Series | tuple) -> Image.Image:
        """Read one image.

        Args:
            row: row number of the index, or a row of it (`index.iloc[n]`, or one from `itertuples()`).

        Returns:
            A Pillow image of mode RGB.

        Raises:
            DataError: if the file has gone or was damaged since it was indexed.
        """
        return read_rgb(self.root / self._path(row))

    def mask_path(self, row: int | pd.Series | tuple) -> Path | None:
        """The mask of one image (8-bit PNG of the image's size, 255 on the object), or None if there is none."""
        if self.masks is None:
            return None
        mask = self.masks / PurePosixPath(self._path(row)).with_suffix(".png")
        return mask if mask.is_file() else None

    def keep(self, rows: np.ndarray) -> "Dataset":
        """The same data set with only some rows of the index, renumbered from 0; classes keep their labels.

        Args:
            rows: (N,) row numbers.
        """
        index = self.index.iloc[np.sort(rows)].reset_index(drop=True)
        return dataclasses.replace(self, index=index, checksum=_checksum(index))

    def _path(self, row: int | pd.Series | tuple) -> str:
        return self.index["path"].iloc[row] if isinstance(row, (int, np.integer)) else row.path


def names() -> list[str]:
    """Names of all data sets, sorted."""
    return sorted(ENTRIES)


def load(name: str, *, include_clutter: bool = False, path: str | Path | None = None, progress: bool = True) -> Dataset:
    """Find or download a data set, check every file, and index it. What was found once is reused.

    Args:
        name: one of `names()`.
        include_clutter: whether background and clutter folders count as a class.
        path: the folder of class folders, for the data set `folder` and for no other.
        progress: whether to show progress bars.

    Raises:
        DataError: if the name is unknown, the data cannot be had, there are fewer than two classes, or one is empty.
    """
    entry = find(name)
    root, source, masks = _locate(entry, path, progress=progress)
    listing = entry.reader(root).without(entry.stray)
    found, left_out = read_index(root, listing, name=name, progress=progress)
    notes = list(left_out.itertuples(index=False, name=None))
    if entry.images is not None and len(found) != entry.images:
        notes.append((".", f"this copy holds {len(found):,} usable images, the official one {entry.images:,}"))
    clutter = set() if include_clutter else listing.folders.intersection(entry.clutter)
    for folder in sorted(clutter):
        count = int((found["folder"] == folder).sum())
        notes.append((folder, f"clutter class, not used by this brief ({count:,} images)"))
    found, folders = found[~found["folder"].isin(clutter)], listing.folders - clutter
    _check_classes(root, found, folders=folders, notes=notes)
    index, class_names = _label(found, sorted(folders))
    return Dataset(
        name=name,
        title=entry.title if name != "folder" else root.name,
        root=root,
        index=index,
        class_names=class_names,
        left_out=pd.DataFrame(notes, columns=["path", "reason"], dtype=str),
        source=source,
        licence=entry.licence,
        citation=entry.citation,
        checksum=_checksum(index),
        masks=masks,
    )


def _locate(entry: Entry, path: str | Path | None, *, progress: bool) -> tuple[Path, str, Path | None]:
    """Root folder, where it came from, and the folder of masks."""
    if entry.name == "folder":
        return _own_folder(path), "your folder", None
    if path is not None:
        raise DataError(
            f"A path is only for the data set 'folder'. Put {entry.name} in data/raw, or point COURSEWORK_DATA at the "
            f"folder that holds it. Received: {path}"
        )
    if entry.name == "demo":
        images = draw_demo(progress=progress)
        return images, "drawn", images.with_name("masks")
    return *find_or_download(entry, progress=progress), None


def _own_folder(path: str | Path | None) -> Path:
    if not path:
        raise DataError("The data set 'folder' needs a path: the folder that holds the class folders. Received: none")
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        what = "is a file, not a folder: unpack it first" if root.is_file() else "does not exist"
        raise DataError(f"The folder of images {what}. Received: {path}")
    return root


def _check_classes(root: Path, found: pd.DataFrame, *, folders: set[str], notes: list[tuple[str, str]]) -> None:
    """Refuse what nothing can be learnt from."""
    if len(folders) < 2:
        inside = ", ".join(sorted(folders)) or "none"
        deeper = [
            path for path, reason in notes if path.startswith(f"{inside}/") and reason.startswith("folder inside")
        ]
        hint = f". Did you mean {root / inside}?" if len(deeper) > 1 else ""
        raise DataError(f"At least two class folders with images are needed in {root}. Received: {inside}{hint}")
    trained = found[found["role"].isin(["", "train"])]
    empty = sorted(folders - set(trained["folder"]))
    if empty:
        where = "no image to train on" if found["role"].any() else "no usable image"
        reasons = [f"{path}: {reason}" for path, reason in notes if set(path.split("/")) & set(empty)]
        raise DataError(
            f"Class folders with {where} in {root}: {', '.join(empty[:10])}{' ...' if len(empty) > 10 else ''}. "
            f"Fill them or take them away. Left out there: {'; '.join(reasons[:3]) or 'nothing'}"
        )


def _label(found: pd.DataFrame, folders: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Number the class folders in sorted order; `001.ak47` becomes `ak47` where that stays unique."""
    short = [re.sub(r"^\d+\.(?=.)", "", folder) for folder in folders]
    class_names = tuple(short if len(set(short)) == len(short) else folders)
    labels = found["folder"].map({folder: label for label, folder in enumerate(folders)}).astype("int64")
    class_name = labels.map(dict(enumerate(class_names)))
    index = found.assign(label=labels, class_name=class_name)[COLUMNS]
    return index.reset_index(drop=True), class_names


def _checksum(index: pd.DataFrame) -> str:
    rows = "".join(map("{}\t{}\t{}\n".format, index["path"], index["label"], index["sha256"]))
    return hashlib.sha256(rows.encode()).hexdigest()
