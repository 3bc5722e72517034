"""Which images train, which choose, which test: a pure, seeded fact that is stored and checked."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import Split as SplitConfig
from lib.datasets import Dataset
from lib.datasets.dataset import checksum_of
from lib.datasets.storage import DataError, read_table, write_table

ROLES = ("train", "val", "test")
NEEDED = 3  # different images of a class, for one each to train, val and test
UNUSED = "unused"  # of train, but its very bytes are held out by the layout, or beyond the numbers per class


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a data set's index, by what they are for. Choices are made on `val`; `test` is read once."""

    train: np.ndarray  # (N,) int64 row numbers of the index, sorted, like the others
    val: np.ndarray
    test: np.ndarray
    unused: np.ndarray  # in none of them: the layout puts equal images on two sides, or they exceed numbers per class
    checksum: str  # sha256 over path, label and role of every row, and the data set's checksum
    table: pd.DataFrame  # path, label, role: one row per row of the index

    def to_frame(self, dataset: Dataset) -> pd.DataFrame:
        """The table: path, label, role (train, val, test, unused).

        Raises:
            DataError: if this split is one of other data, or of another version of it.
        """
        same_length = len(dataset.index) == len(self.table)
        if not same_length or _from_roles(dataset, self.table["role"].to_numpy()).checksum != self.checksum:
            raise DataError(
                f"This split was made for other images than those of {dataset.name}: {len(self.table):,} against "
                f"{len(dataset.index):,} rows, or other contents. Make it again."
            )
        return self.table.copy()

    def save(self, path: Path) -> None:
        """Write the table as CSV, with a first line that holds its checksums."""
        write_table(path, self.table, split=self.checksum)


def read_split(path: Path) -> Split:
    """Read a split that `Split.save` wrote.

    Raises:
        DataError: if the file is missing, is no split, or was changed after it was written.
    """
    table, facts = read_table(path)
    if "split" not in facts:
        raise DataError(f"{path} is not a split: its first line names none. Columns: {', '.join(table.columns)}")
    table["label"] = table["label"].astype("int64")
    return Split(**_rows(table["role"].to_numpy()), checksum=facts["split"], table=table)


def make_split(dataset: Dataset, config: SplitConfig, *, groups: np.ndarray | None = None) -> Split:
    """Split a data set into train, val and test.

    Stratified: each class gives its share, and at least one image each to val and test if it has three different ones;
    a class with fewer trains only. Equal images (same bytes) stay on one side, and so do those of one group. Where the
    files are laid out in roles, these hold, and only what is missing is carved from train; a training image whose bytes
    are held out is `unused`. By numbers per class, a group gives one image to each of its classes; the others of it,
    and all that exceed the numbers, are unused too.

    Which images are drawn follows from their bytes and the seed alone: it is the same on every machine, and does not
    depend on file names or on their order.

    Args:
        dataset: the images.
        config: shares and seed.
        groups: (N,) the same number for images that belong together, as `audit.duplicate_groups` gives them; a
            group counts as one image. None: only equal images do.

    Raises:
        ValueError: if there is not one group per image, or a part would be empty.
    """
    index = dataset.index
    pictures = _pictures(index["sha256"], groups)
    roles = index["role"].replace("", "train").to_numpy(dtype=object, copy=True)
    _settle_equal_images(roles, index["sha256"].to_numpy())
    shares = {role: share for role, share in (("test", config.test), ("val", config.val)) if role not in roles}
    pool = index.assign(picture=pictures)[roles == "train"]
    if config.train_per_class is None:
        pool = pool.drop_duplicates("picture")  # one row for all of a group
    else:
        pool = pool.sort_values("sha256", kind="stable").drop_duplicates(["picture", "label"])
        roles[np.setdiff1d(np.flatnonzero(roles == "train"), pool.index)] = UNUSED
    keys = pd.Series([_key(config.seed, value) for value in pool["picture"]], index=pool.index)
    drawn = {}
    for _, rows in pool.groupby("label"):
        order = rows.loc[keys[rows.index].sort_values().index, "picture"].tolist()
        _draw(order, _counts(len(order), shares, config), drawn)
    carved = pictures.map(drawn).to_numpy(dtype=object)
    take_over = (roles == "train") & pd.notna(carved)
    roles[take_over] = carved[take_over]
    if empty := [role for role in ROLES if role not in roles]:
        raise DataError(_too_small(dataset, empty, pictures=pool["class_name"].value_counts()))
    return _from_roles(dataset, roles)


def take(dataset: Dataset, images_per_class: int | None, seed: int) -> Dataset:
    """A smaller data set: a random sample of each class; a larger sample of the same seed contains it.

    Args:
        dataset: the images.
        images_per_class: how many; a class with fewer gives all, None takes everything.
        seed: of the sample.

    Returns:
        The sample. Roles fixed by the layout keep their proportion, and at least one image each.

    Raises:
        ValueError: if images_per_class is not positive.
    """
    if images_per_class is None:
        return dataset
    if images_per_class < 1:
        raise ValueError(f"images_per_class must be positive. Received: {images_per_class}")
    index = dataset.index
    key = [_key(seed, f"{value} {path}") for value, path in zip(index["sha256"], index["path"], strict=True)]
    order = index[["label", "role"]].assign(key=key).sort_values("key")
    group = order.groupby(["label", "role"])
    rank = group.cumcount()
    order["place"] = ((rank + 0.5) / group["key"].transform("size")).where(rank > 0, -1.0)
    chosen = order.sort_values(["place", "key"]).groupby("label").head(images_per_class)
    return dataset.keep(chosen.index.to_numpy())


def take_part(
    dataset: Dataset, split: Split, *, classes: Sequence[int] = (), train_per_class: int | None = None
) -> tuple[Dataset, Split]:
    """Some classes of a split data set, renumbered from 0 in their order, or fewer images to train on.

    Every image keeps its role. Which ones train follows from their bytes: a larger number contains a smaller one.

    Args:
        dataset: the images.
        split: of this data set.
        classes: class numbers; empty takes all.
        train_per_class: images of each class that stay in train; None takes all.

    Raises:
        DataError: if a class does not exist, or a part would be empty.
    """
    wrong = [number for number in classes if not 0 <= number < len(dataset.class_names)]
    if wrong:
        raise DataError(f"{dataset.name} has the classes 0 to {len(dataset.class_names) - 1}. Received: {wrong[0]}")
    classes = list(classes) or list(range(len(dataset.class_names)))
    index = dataset.index.assign(split=split.table["role"].to_numpy())
    index = index[index["label"].isin(classes)]
    trained = index[index["split"] == "train"]
    key = pd.Series([_key(0, value) for value in trained["sha256"]], index=trained.index)
    few = key.sort_values(kind="stable").groupby(trained["label"])
    few = few.head(len(key) if train_per_class is None else train_per_class).index
    rows = np.sort(np.concatenate([few, index.index[index["split"] != "train"]]))
    roles = split.table["role"].to_numpy()[rows]
    if empty := [role for role in ROLES if role not in roles]:
        raise DataError(f"{dataset.title}: {' and '.join(empty)} would be empty with the classes {classes}")
    part = dataset.keep(rows)
    numbers = {label: number for number, label in enumerate(classes)}
    part = dataclasses.replace(
        part,
        index=part.index.assign(label=part.index["label"].map(numbers)),
        class_names=tuple(dataset.class_names[label] for label in classes),
    )
    part = dataclasses.replace(part, checksum=checksum_of(part.index))
    return part, _from_roles(part, roles)


def _key(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()


def _pictures(sums: pd.Series, groups: np.ndarray | None) -> pd.Series:
    """What is drawn in place of single images: the smallest sha256 of each group."""
    if groups is None:
        return sums
    if np.shape(groups) != (len(sums),):
        raise ValueError(f"groups must be one number per image, {len(sums):,}. Received: shape {np.shape(groups)}")
    ordered = sums.sort_values()  # the first of a group is its smallest; `min` of strings is a hundred times as slow
    return ordered.groupby(pd.Series(groups, index=sums.index)).transform("first").reindex(sums.index)


def _settle_equal_images(roles: np.ndarray, sums: np.ndarray) -> None:
    """Mark as unused, in place, what the layout puts on two sides: test keeps its images, then val."""
    test, val = set(sums[roles == "test"]), set(sums[roles == "val"])
    for row, (role, value) in enumerate(zip(roles, sums, strict=True)):
        if (role != "test" and value in test) or (role == "train" and value in val):
            roles[row] = UNUSED


def _counts(images: int, shares: dict[str, float], config: SplitConfig) -> dict[str, int]:
    """How many different images of a class go to test, val and train; each share is one of what is left by then."""
    if images < NEEDED:
        return {"train": images}
    most, left, counts = config.train_per_class or images, images, {}
    for place, (role, share) in enumerate(shares.items(), start=1):
        count = floor(min(left, most) * share + 0.5)
        if role == "test" and config.test_per_class is not None:
            count = min(left - most, config.test_per_class)
        spare = left - 1 - (len(shares) - place)  # training and the roles to come keep one each
        counts[role] = min(max(1, count), spare)
        left -= counts[role]
    return counts | {"train": min(left, most)}


def _draw(images: list[str], counts: dict[str, int], drawn: dict[str, str]) -> None:
    """Give the first images of a class to the first role and so on, in place; another class may have drawn some."""
    free = [image for image in images if image not in drawn]
    for role, count in counts.items():
        more = max(0, count - sum(drawn.get(image) == role for image in images))
        drawn |= dict.fromkeys(free[:more], role)
        free = free[more:]
    drawn |= dict.fromkeys(free, UNUSED)


def _too_small(dataset: Dataset, empty: list[str], *, pictures: pd.Series) -> str:
    """Why parts are empty and what would fill them; `pictures` counts the different ones of each class, most first."""
    if pictures.empty:
        return f"{dataset.title}: train would be empty, as each of its images is in val or test too, byte for byte"
    return (
        f"{dataset.title} is too small: {' and '.join(empty)} would be empty, as a class must have {NEEDED} different "
        f"images to give one each to train, val and test (copies and near copies count as one), and the largest class "
        f"here, {pictures.index[0]}, has {pictures.iloc[0]}"
    )


def _rows(roles: np.ndarray) -> dict[str, np.ndarray]:
    return {role: np.flatnonzero(roles == role).astype(np.int64) for role in (*ROLES, UNUSED)}


def _from_roles(dataset: Dataset, roles: np.ndarray) -> Split:
    table = dataset.index[["path", "label"]].assign(role=roles).astype({"role": "str"})
    text = dataset.checksum + "".join(map("\n{}\t{}\t{}".format, table["path"], table["label"], table["role"]))
    return Split(**_rows(roles), checksum=hashlib.sha256(text.encode()).hexdigest(), table=table)
