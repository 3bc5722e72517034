"""The data sets: found or downloaded, checked file by file, listed in an index, audited and split.

`catalogue` names them. `load` finds their files (`fetch`) or draws them (`drawn`), lists them (`readers`, one file per
layout), opens each (`index`, `images`) and returns a `Dataset`. `audit` looks for faults and copies in it, `splits`
says which images train, which choose and which test, and `storage` writes what this room keeps.
"""

from pathlib import Path

import pandas as pd

from lib.datasets.catalogue import ENTRIES, Entry, find
from lib.datasets.dataset import COLUMNS, Dataset, checksum_of
from lib.datasets.drawn import draw_demo, draw_letters
from lib.datasets.fetch.acquire import find_or_download
from lib.datasets.index import read_index
from lib.datasets.readers.arrays import Arrays, read_arrays
from lib.datasets.readers.folders import PART_NAMES, composed
from lib.datasets.storage import DataError

__all__ = ["COLUMNS", "DataError", "Dataset", "load", "names"]


def names() -> list[str]:
    """Names of all data sets, sorted."""
    return sorted(ENTRIES)


def load(name: str, *, include_clutter: bool = False, path: str | Path | None = None) -> Dataset:
    """Find or download a data set, check every file, and index it. What was found once is reused.

    Args:
        name: one of `names()`.
        include_clutter: whether background and clutter folders count as a class.
        path: the folder of class folders, for the data set `folder` and for no other.

    Raises:
        DataError: if the name is unknown, the data cannot be had, there are fewer than two classes, or one is empty.
    """
    entry = find(name)
    root, source, masks = _locate(entry, path)
    contents = entry.reader(root)
    if isinstance(contents, Arrays):
        found, arrays, unlabelled = read_arrays(contents, name=name)
        notes, boxes = list(contents.left_out), None
    else:
        found, notes = read_index(root, contents.without(entry.stray), name=name)
        arrays, unlabelled = None, tuple(contents.unlabelled)
        boxes = pd.DataFrame(contents.boxes, columns=["path", "x0", "y0", "x1", "y1"]) if contents.boxes else None
    if entry.images is not None and len(found) != entry.images:
        notes.append((".", f"this copy holds {len(found):,} usable images, the official one {entry.images:,}"))
    clutter = set() if include_clutter else set(contents.class_names).intersection(entry.clutter)
    for folder in sorted(clutter):
        count = int((found["folder"] == folder).sum())
        notes.append((folder, f"clutter class, not used by this brief ({count:,} images)"))
    found = found[~found["folder"].isin(clutter)]
    class_names = {folder: shown for folder, shown in contents.class_names.items() if folder not in clutter}
    _check_classes(root, found, folders=set(class_names), notes=notes)
    labels = found["folder"].map({folder: label for label, folder in enumerate(class_names)}).astype("int64")
    index = found.assign(label=labels, class_name=found["folder"].map(class_names))[COLUMNS].reset_index(drop=True)
    return Dataset(
        name=name,
        title=entry.title if name != "folder" else root.name,
        root=root,
        index=index,
        class_names=tuple(class_names.values()),
        left_out=pd.DataFrame(notes, columns=["path", "reason"], dtype=str),
        source=source,
        licence=entry.licence,
        citation=entry.citation,
        checksum=checksum_of(index),
        masks=masks,
        arrays=arrays,
        unlabelled=unlabelled,
        boxes=boxes if boxes is None else boxes[boxes["path"].isin(index["path"])].reset_index(drop=True),
    )


def _locate(entry: Entry, path: str | Path | None) -> tuple[Path, str, Path | None]:
    """Root folder, where it came from, and the folder of masks."""
    if entry.name == "folder":
        if not path:
            raise DataError("The data set 'folder' needs a path: the folder of the class folders. Received: none")
        root = Path(path).expanduser().resolve()
        if not root.is_dir():
            what = "is a file, not a folder: unpack it first" if root.is_file() else "does not exist"
            raise DataError(f"The folder of images {what}. Received: {path}")
        return root, "your folder", None
    if path is not None:
        raise DataError(
            f"A path is only for the data set 'folder'. Put {entry.name} in data/raw, or point COURSEWORK_DATA at the "
            f"folder that holds it. Received: {path}"
        )
    if entry.name == "demo":
        images = draw_demo()
        return images, "drawn", images.with_name("masks")
    if entry.name == "letters":
        return draw_letters(), "drawn", None
    return *find_or_download(entry), None


def _check_classes(root: Path, found: pd.DataFrame, *, folders: set[str], notes: list[tuple[str, str]]) -> None:
    """Refuse what nothing can be learnt from."""
    if len(folders) < 2:
        inside = ", ".join(sorted(folders)) or "none"
        deeper = [
            path for path, reason in notes if path.startswith(f"{inside}/") and reason.startswith("folder inside")
        ]
        hint = f". Did you mean {root / inside}?" if len(deeper) > 1 or (deeper and found.empty) else ""
        raise DataError(f"At least two class folders with images are needed in {root}. Received: {inside}{hint}")
    trained = found[found["role"].isin(["", "train"])]
    empty = sorted(folders - set(trained["folder"]))
    if empty:
        where = "no image to train on" if found["role"].any() else "no usable image"
        first = {reason: path for path, reason in reversed(notes) if set(composed(path).split("/")) & set(empty)}
        reasons = [f"{path}: {reason}" for reason, path in reversed(first.items())]
        nested = any(reason.startswith("folder inside a class folder") for reason in first)
        parts = f". Parts are known by the names {PART_NAMES}; train must hold two classes" if nested else ""
        raise DataError(
            f"Class folders with {where} in {root}: {', '.join(empty[:10])}{' ...' if len(empty) > 10 else ''}. "
            f"Fill them or take them away. Left out there: {'; '.join(reasons[:3]) or 'nothing'}{parts}"
        )
