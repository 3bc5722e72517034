"""Tiny-ImageNet, and folders laid out like it: one folder a class, named by WordNet's number (wnid)."""

from collections.abc import Collection
from pathlib import Path

from lib.datasets.errors import DataError
from lib.datasets.readers.tree import Listing, list_files, spell_out, subfolders, visible

WNID = 9  # letters of WordNet's number: n and eight digits


def list_tiny_imagenet(root: Path, *, wanted: Collection[str] | None = None) -> Listing:
    """Tiny-ImageNet as its archive lays it out.

    The labelled `val` folder is what others report, so it is the part `test` here; a `val` is carved from `train`. The
    official `test` folder has no labels.

    Args:
        root: folder with `wnids.txt`, `words.txt`, `train/<wnid>/images` and `val/images` with `val_annotations.txt`.
        wanted: class numbers to list; None lists all.

    Raises:
        DataError: if `train` is missing, or a text file is not what it should be.
    """
    known = set(read_lines(root / "wnids.txt")) if (root / "wnids.txt").is_file() else None
    folders = _train_folders(root)
    listing = Listing(shown=read_words(root, {folder.name for folder in folders}))
    for folder in folders:
        if wanted is not None and folder.name not in wanted:
            continue
        if known is not None and folder.name not in known:
            listing.left_out.append((f"train/{spell_out(folder.name)}", "class that wnids.txt does not name"))
            continue
        listing.folders.add(folder.name)
        _list_train_class(root, folder, listing=listing)
    if known is not None and wanted is None:
        missing = sorted(set(known) - listing.folders)
        listing.left_out += [(f"train/{spell_out(wnid)}", "named in wnids.txt, but missing") for wnid in missing]
    _list_val(root, wanted=wanted, listing=listing)
    if (root / "test").is_dir():
        list_unlabelled(root, root / "test", listing=listing)
    return listing


def read_words(root: Path, numbers: Collection[str]) -> dict[str, str]:
    """Names of classes by number, e.g. `n02106662` -> `German shepherd`; the first of several names that differ.

    Args:
        root: folder with `words.txt` (number, tab, names) or `LOC_synset_mapping.txt` (number, blank, names), or none.
        numbers: the classes to name; the files name tens of thousands.
    """
    for name, separator in (("words.txt", "\t"), ("LOC_synset_mapping.txt", " ")):
        if (root / name).is_file():
            lines = (line.partition(separator) for line in read_lines(root / name) if line[:WNID] in numbers)
            return {number: names.partition(",")[0].strip() for number, _, names in lines if names.strip()}
    return {}


def _train_folders(root: Path) -> list[Path]:
    if not (root / "train").is_dir():
        raise DataError(f"{root} holds no folder train, with one folder a class.")
    return subfolders(root / "train")


def _list_train_class(root: Path, folder: Path, *, listing: Listing) -> None:
    images = folder / "images"
    list_files(root, images if images.is_dir() else folder, label=folder.name, role="train", listing=listing)
    if not images.is_dir():
        return
    for entry in visible(folder):
        if entry.name == f"{folder.name}_boxes.txt":
            _read_boxes(root, Path(entry.path), images, listing=listing)
        elif entry.name != "images":
            listing.left_out.append((spell_out(f"train/{folder.name}/{entry.name}"), "beside the folder images"))


def _read_boxes(root: Path, path: Path, images: Path, *, listing: Listing) -> None:
    """Boxes of one class: lines with file name, x0, y0, x1 and y1."""
    before = images.relative_to(root).as_posix()
    for number, line in enumerate(read_lines(path), start=1):
        name, *corners = line.split("\t")
        box = _box(corners)
        if box is None:
            where = path.relative_to(root).as_posix()
            listing.left_out.append((where, f"line {number} is no box: {spell_out(' '.join(line[:80].split()))}"))
        else:
            listing.boxes.append((f"{before}/{name}", *box))


def _box(corners: list[str]) -> tuple[int, int, int, int] | None:
    try:
        x0, y0, x1, y1 = map(int, corners)
    except ValueError:  # not four, or not numbers
        return None
    return (x0, y0, x1, y1) if 0 <= x0 <= x1 and 0 <= y0 <= y1 else None


def _list_val(root: Path, *, wanted: Collection[str] | None, listing: Listing) -> None:
    """The labelled held-out part: one folder of images with a list of labels, or one folder a class."""
    notes = root / "val" / "val_annotations.txt"
    if notes.is_file():
        _list_annotated(root, notes, wanted=wanted, listing=listing)
        return
    if not (root / "val").is_dir():
        return
    folders = [folder for folder in subfolders(root / "val") if folder.name in listing.folders]
    for folder in folders:
        inner = folder / "images" if (folder / "images").is_dir() else folder
        list_files(root, inner, label=folder.name, role="test", listing=listing)
    if not folders and wanted is None:
        raise DataError(f"{root / 'val'} holds neither val_annotations.txt nor the class folders of train.")


def _list_annotated(root: Path, notes: Path, *, wanted: Collection[str] | None, listing: Listing) -> None:
    labels, twice, boxes = {}, set(), {}
    for number, line in enumerate(read_lines(notes), start=1):
        name, _, rest = line.partition("\t")
        label, *corners = rest.split("\t")
        if not label:
            raise DataError(f"{notes}: line {number} must hold a file name and a class. Received: {line[:80]!r}")
        if labels.setdefault(name, label) != label:
            twice.add(name)
        boxes[name] = _box(corners)
    part = Listing()
    list_files(root, root / "val" / "images", label="", role="test", listing=part)
    listing.left_out += part.left_out
    there = set()
    for file in part.files:
        name = file.path.rpartition("/")[2]
        there.add(name)
        if wanted is not None and labels.get(name) not in wanted:
            continue
        reason = _reason_against(name, labels, twice, folders=listing.folders)
        if reason:
            listing.left_out.append((file.path, reason))
            continue
        listing.files.append(file._replace(folder=labels[name]))
        if boxes[name]:
            listing.boxes.append((file.path, *boxes[name]))
    gone = [name for name in sorted(labels.keys() - there) if wanted is None or labels[name] in wanted]
    listing.left_out += [
        (f"val/images/{spell_out(name)}", "named in val_annotations.txt, but missing") for name in gone
    ]


def _reason_against(name: str, labels: dict[str, str], twice: set[str], *, folders: set[str]) -> str:
    if name not in labels:
        return "no label in val_annotations.txt"
    if name in twice:
        return "two labels in val_annotations.txt"
    return "" if labels[name] in folders else f"of a class without training images: {spell_out(labels[name])}"


def list_unlabelled(root: Path, folder: Path, *, listing: Listing) -> None:
    """Set the images of a folder apart as unlabelled, and say in one line how many there are."""
    part = Listing()
    list_files(root, folder / "images" if (folder / "images").is_dir() else folder, label="", role="", listing=part)
    listing.left_out += part.left_out
    listing.unlabelled += [file.path for file in part.files]
    if part.files:
        listing.left_out.append((folder.name, f"{len(part.files):,} images without labels"))


def read_lines(path: Path) -> list[str]:
    """Lines of a text file that are not blank.

    Raises:
        DataError: if it cannot be read, or is no text.
    """
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text file in UTF-8: {error}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
