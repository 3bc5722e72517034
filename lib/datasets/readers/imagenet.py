"""Tiny-ImageNet, ten classes of ImageNet, and folders laid out like them: one per class, named by WordNet's number."""

import csv
from collections.abc import Collection
from pathlib import Path

from lib.datasets.readers.folders import Listing, composed, list_files, spell_out, subfolders, visible
from lib.datasets.storage import DataError, reading

WNID = 9  # letters of WordNet's number: n and eight digits

# The coursework's ten, by their numbers in its files and, where it differs, in the ImageNet of 1,000 classes.
TEN = {
    "baboon": ("n02486410",),
    "banana": ("n07753592",),
    "canoe": ("n02951358",),
    "cat": ("n02123159",),
    "desk": ("n03179701",),
    "drill": ("n03239726", "n03995372"),
    "dumbbell": ("n03255030",),
    "football": ("n04254680",),
    "mug": ("n03797390", "n03063599"),
    "orange": ("n07747607",),
}
# Tiny-ImageNet has only five of them; these ten are those five and five of a similar kind.
TEN_OF_TINY = (
    "n02486410", "n07753592", "n07747607", "n03179701", "n03255030",  # baboon, banana, orange, desk, dumbbell
    "n02124075", "n04118538", "n04259630", "n04398044", "n02769748",  # cat, rugby ball, sombrero, teapot, backpack
)  # fmt: skip


def list_tiny_imagenet(root: Path, *, wanted: Collection[str] | None = None) -> Listing:
    """Tiny-ImageNet as its archive lays it out, or only the `wanted` class numbers of it.

    The labelled `val` folder is what others report, so it is the part `test` here; a `val` is carved from `train`. The
    official `test` folder has no labels.
    """
    known = set(_read_lines(root / "wnids.txt")) if (root / "wnids.txt").is_file() else None
    if not (root / "train").is_dir():
        raise DataError(f"{root} holds no folder train, with one folder per class.")
    folders = subfolders(root / "train")
    listing = Listing(shown=_read_words(root, {folder.name for folder in folders}))
    for folder in folders:
        if wanted is not None and folder.name not in wanted:
            continue
        if known is not None and folder.name not in known:
            listing.left_out.append((f"train/{spell_out(folder.name)}", "class that wnids.txt does not name"))
            continue
        _list_train_class(root, folder, listing=listing)
    if known is not None and wanted is None:
        missing = sorted(known - listing.folders)
        listing.left_out += [(f"train/{spell_out(wnid)}", "named in wnids.txt, but missing") for wnid in missing]
    _list_val(root, wanted=wanted, listing=listing)
    if (root / "test").is_dir():
        _list_unlabelled(root, root / "test", listing=listing)
    return listing


def list_imagenet10(root: Path) -> Listing:
    """Ten classes: the coursework's folders `train_set` and `test_set`, or ten of the layout of ImageNet.

    Of `train/<wnid>` and `val/<wnid>` all are taken where there are just ten; else those of `TEN`; else those of
    `TEN_OF_TINY`.
    """
    if (root / "train_set").is_dir():
        return _list_coursework(root)
    folders = [folder.name for folder in subfolders(root / "train")] if (root / "train").is_dir() else []
    ten = [next((number for number in numbers if number in folders), "") for numbers in TEN.values()]
    choices = [folders] if len(folders) == len(TEN) else [ten, TEN_OF_TINY]
    for choice in choices:
        if set(choice) <= set(folders):
            return list_tiny_imagenet(root, wanted=frozenset(choice))
    raise DataError(
        f"{root / 'train'} holds neither the ten classes of the coursework nor those of Tiny-ImageNet, nor just ten "
        f"others. Received: {len(folders)} class folders"
    )


def _read_words(root: Path, numbers: Collection[str]) -> dict[str, str]:
    """Names of classes by number, e.g. `n02106662` -> `German shepherd`; the first of several names that differ.

    `words.txt` (number, tab, names) or `LOC_synset_mapping.txt` (number, blank, names) names tens of thousands.
    """
    for name, separator in (("words.txt", "\t"), ("LOC_synset_mapping.txt", " ")):
        if (root / name).is_file():
            lines = (line.partition(separator) for line in _read_lines(root / name) if line[:WNID] in numbers)
            return {number: names.partition(",")[0].strip() for number, _, names in lines if names.strip()}
    return {}


def _list_train_class(root: Path, folder: Path, *, listing: Listing) -> None:
    images = _inner(folder)
    list_files(root, images, label=folder.name, role="train", listing=listing)
    if images == folder:
        return
    for entry in visible(folder):
        where = f"train/{folder.name}/{entry.name}"
        if entry.name == f"{folder.name}_boxes.txt":
            for number, line in enumerate(_read_lines(Path(entry.path)), start=1):
                name, *corners = line.split("\t")
                if box := _box(corners):
                    listing.boxes.append((f"train/{folder.name}/images/{name}", *box))
                else:
                    text = spell_out(" ".join(line[:80].split()))
                    listing.left_out.append((where, f"line {number} is no box: {text}"))
        elif entry.name != "images":
            listing.left_out.append((spell_out(where), "beside the folder images"))


def _inner(folder: Path) -> Path:
    """Where a folder's images lie: in a folder of that name, or in itself."""
    return folder / "images" if (folder / "images").is_dir() else folder


def _box(corners: list[str]) -> tuple[int, int, int, int] | None:
    try:
        x0, y0, x1, y1 = map(int, corners)
    except ValueError:  # not four, or not numbers
        return None
    return (x0, y0, x1, y1) if 0 <= x0 <= x1 and 0 <= y0 <= y1 else None


def _list_val(root: Path, *, wanted: Collection[str] | None, listing: Listing) -> None:
    """The labelled held-out part: one folder of images with a list of labels, or one folder per class."""
    notes = root / "val" / "val_annotations.txt"
    if notes.is_file():
        _list_annotated(root, notes, wanted=wanted, listing=listing)
        return
    if not (root / "val").is_dir():
        return
    folders = [folder for folder in subfolders(root / "val") if folder.name in listing.folders]
    for folder in folders:
        list_files(root, _inner(folder), label=folder.name, role="test", listing=listing)
    if not folders and wanted is None:
        raise DataError(f"{root / 'val'} holds neither val_annotations.txt nor the class folders of train.")


def _list_annotated(root: Path, notes: Path, *, wanted: Collection[str] | None, listing: Listing) -> None:
    labels, twice, boxes = {}, set(), {}
    for number, line in enumerate(_read_lines(notes), start=1):
        name, _, rest = line.partition("\t")
        label, *corners = rest.split("\t")
        if not label:
            raise DataError(f"{notes}: line {number} must hold a file name and a class. Received: {line[:80]!r}")
        if labels.setdefault(name, label) != label:
            twice.add(name)
        boxes[name] = _box(corners)
    there = set()
    for path, name, file in _test_files(root, root / "val" / "images", listing=listing):
        there.add(name)
        if wanted is not None and labels.get(name) not in wanted:
            continue
        if name not in labels:
            listing.left_out.append((path, "no label in val_annotations.txt"))
        elif name in twice:
            listing.left_out.append((path, "two labels in val_annotations.txt"))
        elif labels[name] not in listing.folders:
            reason = f"of a class without training images: {spell_out(labels[name])}"
            listing.left_out.append((path, reason))
        else:
            listing.files.append(file._replace(folder=labels[name]))
            listing.boxes += [(path, *boxes[name])] if boxes[name] else []
    gone = [name for name in sorted(labels.keys() - there) if wanted is None or labels[name] in wanted]
    reason = "named in val_annotations.txt, but missing"
    listing.left_out += [(f"val/images/{spell_out(name)}", reason) for name in gone]


def _list_coursework(root: Path) -> Listing:
    listing = Listing()
    for folder in subfolders(root / "train_set"):
        listing.folders.add(composed(folder.name))  # empty ones too: test_labels.csv may count classes
        list_files(root, folder, label=folder.name, role="train", listing=listing)
    labels = root / "test_labels.csv"  # of the images in test_set, where somebody has them
    if (root / "test_set").is_dir() and not labels.is_file():
        _list_unlabelled(root, root / "test_set", listing=listing)
    elif (root / "test_set").is_dir():
        given = _read_labels(labels, sorted(listing.folders))
        for path, name, file in _test_files(root, root / "test_set", listing=listing):
            if name in given:
                listing.files.append(file._replace(folder=given[name]))
            else:
                listing.unlabelled.append(path)
                listing.left_out.append((path, f"no label in {labels.name}"))
    used = {"train_set", "test_set", "mapping.txt", "README.md", labels.name}
    others = [entry.name for entry in visible(root) if entry.name not in used]
    listing.left_out += [(spell_out(name), "beside the folders train_set and test_set") for name in others]
    return listing


def _read_labels(file: Path, classes: list[str]) -> dict[str, str]:
    """Class by file name, from a CSV file of rows with the file's name and the class's name or number."""
    given = {}
    for number, row in enumerate(csv.reader(_read_lines(file)), start=1):
        if len(row) < 2:
            raise DataError(f"{file}: row {number} must hold a file name and a class. Received: {','.join(row)!r}")
        name, label = row[0].replace("\\", "/").rpartition("/")[2], row[1].strip()
        label = classes[int(label)] if label.isdecimal() and int(label) < len(classes) else label
        if label in classes:
            given[name] = label
        elif number > 1:  # the first row may hold headings
            raise DataError(f"{file}: row {number} names no class. Received: {row[1]!r}")
    return given


def _test_files(root: Path, folder: Path, *, listing: Listing) -> list[tuple]:
    """Path, name (as in `_read_lines`) and facts of each file of a test folder; what cannot be an image is left out."""
    part = Listing()
    list_files(root, folder, label="", role="test", listing=part)
    listing.left_out += part.left_out
    return [(file.path, composed(file.path.rpartition("/")[2]), file) for file in part.files]


def _list_unlabelled(root: Path, folder: Path, *, listing: Listing) -> None:
    """Set the images of a folder apart as unlabelled, and say in one line how many there are."""
    found = [path for path, _, _ in _test_files(root, _inner(folder), listing=listing)]
    listing.unlabelled += found
    if found:
        listing.left_out.append((folder.name, f"{len(found):,} images without labels"))


def _read_lines(path: Path) -> list[str]:
    """Lines of a text file that are not blank, with names in the form in which they are compared."""
    try:
        with reading(path):
            return [line for line in composed(path.read_text(encoding="utf-8")).splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text file in UTF-8: {error}") from error
