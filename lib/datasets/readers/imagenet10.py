"""Ten classes of ImageNet, out of the coursework's own folders, a copy of Tiny-ImageNet or one of ImageNet."""

import csv
from collections.abc import Sequence
from pathlib import Path

from lib.datasets.errors import DataError
from lib.datasets.readers.imagenet import list_tiny_imagenet, list_unlabelled, read_lines, read_words
from lib.datasets.readers.tree import Listing, list_files, spell_out, subfolders, visible

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
LABELS = ("test_labels.csv", "test_set.csv")  # of the images in test_set: file name, class name or number


def list_imagenet10(root: Path, classes: Sequence[str] = ()) -> Listing:
    """Ten classes, or those that are asked for.

    Args:
        root: folder with `train_set` (one folder a class) and `test_set`, as the coursework has them; or with `train`
            and `val` in the layout of Tiny-ImageNet or ImageNet (one folder a class, named by its wnid).
        classes: names or wnids; empty takes the coursework's ten, or in Tiny-ImageNet, which has only five of them, the
            ten of `TEN_OF_TINY`. Where a copy holds just ten classes, those are taken.

    Raises:
        DataError: if a class is not there; the message lists some that are.
    """
    if (root / "train_set").is_dir():
        return _list_coursework(root, classes)
    folders = [folder.name for folder in subfolders(root / "train")] if (root / "train").is_dir() else []
    words = read_words(root, set(folders))
    chosen = [_find(name, folders, words, root=root) for name in classes] or _usual(folders, root=root)
    return list_tiny_imagenet(root, wanted=frozenset(chosen))


def _usual(folders: list[str], *, root: Path) -> list[str]:
    if len(folders) == len(TEN):
        return folders
    ten = [next((number for number in numbers if number in folders), "") for numbers in TEN.values()]
    for choice in (ten, TEN_OF_TINY):
        if set(choice) <= set(folders):
            return list(choice)
    raise DataError(
        f"{root / 'train'} holds neither the ten classes of the coursework nor those of Tiny-ImageNet: name those to "
        f"take. Received: {len(folders)} class folders"
    )


def _find(name: str, folders: list[str], words: dict[str, str], *, root: Path) -> str:
    """The folder of one class, given its wnid, its name in the list of words, or its name in the coursework."""
    candidates = [name, *TEN.get(name, ()), *(number for number, word in words.items() if word == name)]
    found = [candidate for candidate in dict.fromkeys(candidates) if candidate in folders]
    if not found:
        some = ", ".join(words.get(folder, folder) for folder in folders[:10])
        raise DataError(f"{root} holds no class {name!r}. It holds {len(folders)}, among them: {some}")
    return found[0]


def _list_coursework(root: Path, classes: Sequence[str]) -> Listing:
    listing = Listing()
    for folder in subfolders(root / "train_set"):
        if not classes or folder.name in classes:
            listing.folders.add(folder.name)
            list_files(root, folder, label=folder.name, role="train", listing=listing)
    if missing := sorted(set(classes) - listing.folders):
        raise DataError(f"{root / 'train_set'} holds no folder {missing[0]!r}.")
    labels = next((root / name for name in LABELS if (root / name).is_file()), None)
    if (root / "test_set").is_dir():
        if labels is None:
            list_unlabelled(root, root / "test_set", listing=listing)
        else:
            _list_labelled(root, labels, listing=listing)
    used = {"train_set", "test_set", "mapping.txt", "README.md", labels.name if labels else ""}
    others = [entry.name for entry in visible(root) if entry.name not in used]
    listing.left_out += [(spell_out(name), "beside the folders train_set and test_set") for name in others]
    return listing


def _list_labelled(root: Path, labels: Path, *, listing: Listing) -> None:
    """The images of test_set with the labels of a CSV file: rows with the file's name and the class."""
    classes = sorted(listing.folders)
    given = {}
    for number, row in enumerate(csv.reader(read_lines(labels)), start=1):
        if len(row) < 2:
            raise DataError(f"{labels}: row {number} must hold a file name and a class. Received: {','.join(row)!r}")
        name, label = row[0].replace("\\", "/").rpartition("/")[2], row[1].strip()
        label = classes[int(label)] if label.isdecimal() and int(label) < len(classes) else label
        if label in listing.folders:
            given[name] = label
        elif number > 1:  # the first row may hold headings
            raise DataError(f"{labels}: row {number} names no class. Received: {row[1]!r}")
    part = Listing()
    list_files(root, root / "test_set", label="", role="test", listing=part)
    listing.left_out += part.left_out
    for file in part.files:
        label = given.get(file.path.rpartition("/")[2])
        if label is None:
            listing.unlabelled.append(file.path)
            listing.left_out.append((file.path, f"no label in {labels.name}"))
        else:
            listing.files.append(file._replace(folder=label))
