"""The real data sets, and what is known to be wrong with them, where COURSEWORK_DATA names a folder that holds them."""

import functools
import os
import tarfile

import numpy as np
import pytest

from lib.config import Split, paths
from lib.config.files import checksum
from lib.datasets import DataError, load, splits
from lib.datasets.audit import audit, duplicate_groups
from lib.datasets.catalogue import find
from lib.datasets.fetch.acquire import find_here

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def get(tmp_path_factory):
    """Load a data set with a cache of its own, or skip, saying why."""

    @functools.cache
    def loaded(name, clutter=False):
        require(name)
        return load(name, include_clutter=clutter)

    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_CACHE", str(folder))
        patch.setattr(paths, "RAW", folder / "raw")
        yield loaded


def require(name):
    if not os.environ.get("COURSEWORK_DATA"):
        pytest.skip(f"COURSEWORK_DATA is not set: no real {name}")
    try:
        if not find_here(find(name)):
            pytest.skip(f"the folder that COURSEWORK_DATA names holds no {name}")
    except DataError as error:
        pytest.skip(str(error))


def audited(dataset, **shares):
    split = splits.make_split(dataset, Split(**shares), groups=duplicate_groups(dataset))
    return audit(dataset, split)


def test_caltech101(get):
    everything, objects = get("caltech101", clutter=True), get("caltech101")
    assert len(everything.index) == 9144
    assert len(everything.class_names) == 102
    assert len(objects.index) == 8677
    assert len(objects.class_names) == 101
    assert objects.source in ("verified", "unverified copy")
    assert everything.left_out["path"].tolist() == ["BACKGROUND_Google/tmp"]
    assert objects.left_out.values.tolist()[1:] == [
        ["BACKGROUND_Google", "clutter class, not used by this brief (467 images)"]
    ]
    assert (everything.index["channels"] == 1).sum() == 411
    assert (objects.index["channels"] == 1).sum() == 381
    assert not everything.index["sha256"].duplicated().any()
    sizes = objects.index["class_name"].value_counts()
    assert (sizes["airplanes"], sizes["inline_skate"], sizes["Faces"], sizes["Faces_easy"]) == (800, 31, 435, 435)
    assert (sizes.max(), sizes.min()) == (800, 31)
    grey = objects.index[objects.index["channels"] == 1].iloc[0]
    image = objects.open_image(grey)
    assert (image.mode, image.size) == ("RGB", (grey["width"], grey["height"]))
    split = splits.make_split(objects, Split())
    assert len(split.train) + len(split.val) + len(split.test) == 8677
    assert len(split.test) / 8677 == pytest.approx(0.1, abs=0.002)
    for rows in (split.val, split.test):
        assert np.bincount(objects.index["label"].to_numpy()[rows], minlength=101).min() >= 3


def counts(data):
    """Role -> images of the smallest and of the largest class."""
    sizes = data.index.groupby(["role", "label"]).size()
    return {role: (part.min(), part.max()) for role, part in sizes.groupby("role")}


def conflicts(data):
    """Groups of equal images with different labels, and how many of the groups lie in two parts."""
    equal = data.index[data.index["sha256"].duplicated(keep=False)].groupby("sha256")
    conflicting = equal["label"].nunique() > 1
    return int(conflicting.sum()), int((conflicting & (equal["role"].nunique() > 1)).sum())


def test_fashion_mnist(get):
    data = get("fashion_mnist")
    assert counts(data) == {"train": (6000, 6000), "test": (1000, 1000)}
    assert data.index["class_name"].iloc[:4].tolist() == ["Ankle boot", "T-shirt/top", "T-shirt/top", "Dress"]
    assert not data.index["sha256"].duplicated().any()
    assert data.left_out.empty
    for file in find("fashion_mnist").downloads:
        if "labels" in file.file_name and (data.root / file.file_name).is_file():
            assert checksum(data.root / file.file_name, "md5") == file.md5


def test_notmnist(get):
    data = get("notmnist")
    assert data.class_names == tuple("ABCDEFGHIJ")
    assert data.left_out.empty
    assert counts(data) == {"train": (834, 871), "test": (129, 166)}
    split = splits.make_split(data, Split())
    held_out = set(data.index["sha256"].iloc[[*split.test, *split.val]])
    assert not held_out & set(data.index["sha256"].iloc[split.train])
    assert len(split.unused) == 126  # the same letters as in test


def test_tiny_imagenet(get):
    data = get("tiny_imagenet")
    assert counts(data) == {"train": (500, 500), "test": (50, 50)}
    assert len(data.boxes) == len(data.index)
    assert set(data.boxes["path"]) == set(data.index["path"])
    if len(data.class_names) == 10:
        assert conflicts(data) == (3, 1)
        assert (data.index["channels"] == 1).sum() == 70
        assert {"Egyptian cat", "baboon", "teapot"} < set(data.class_names)
        assert get("imagenet10").checksum == data.checksum
    else:
        assert conflicts(data) == (27, 7)
        assert (data.index["channels"] == 1).sum() == 1821 + 168


@pytest.mark.slow
def test_cifar10(get):
    data = get("cifar10")
    assert counts(data) == {"train": (5000, 5000), "test": (1000, 1000)}
    assert data.class_names[0] == "airplane"
    assert data.class_names[9] == "truck"
    assert not data.index["sha256"].duplicated().any()
    for row in (0, 59_999):
        assert data.open_image(row).size == (32, 32)
    split = splits.make_split(data, Split())
    assert (len(split.train), len(split.val), len(split.test)) == (45_000, 5_000, 10_000)
    assert np.bincount(data.index["label"].to_numpy()[split.val]).tolist() == [500] * 10


def test_caltech101_has_single_channels_and_a_stray_file(get):
    dataset = get("caltech101", clutter=True)
    grey = dataset.keep(np.flatnonzero(dataset.index["channels"] == 1))
    result = audited(grey)
    assert result.summary.set_index("check")["images"]["one channel"] == 411 == result.counts["grey"]
    assert "BACKGROUND_Google/tmp" in set(result.findings["path"])


def test_caltech101_shows_the_same_people_in_two_classes(get):
    dataset = get("caltech101", clutter=True)
    some = ("Faces", "Faces_easy", "anchor", "menorah")
    few = dataset.keep(np.flatnonzero(dataset.index["class_name"].isin(some)))
    result = audited(few)
    found = result.findings[result.findings["check"] == "same photograph"]
    assert len(found) == 435 and result.counts["leaks"] == 0
    near = result.findings[result.findings["check"] == "near duplicate"]
    assert {"Faces", "Faces_easy", "menorah", "anchor"} <= set(near["class_name"])
    unaware = audit(few, splits.make_split(few, Split()))
    assert unaware.counts["leaks"] > 60


def test_tiny_imagenet_has_equal_images_under_two_labels_and_across_its_parts(get):
    dataset = get("tiny_imagenet")
    result = audited(dataset)
    # The ten classes that lie there hold three of the 27 pairs, one of them across train and val.
    pairs = result.findings[result.findings["check"] == "same bytes, other label"]
    assert len(pairs) >= 3 and result.counts["conflicting_labels"] == 2 * len(pairs) == result.counts["same_bytes"]
    assert {frozenset(pair) for pair in zip(pairs["class_name"], pairs["other_class"], strict=True)} == {
        frozenset(("banana", "orange"))
    }
    assert result.counts["official_leaks"] == 1 and result.counts["leaks"] == 0


@pytest.mark.slow
def test_cifar10_has_near_duplicates_of_its_test_images_in_train(get, tmp_path, monkeypatch):
    """The frogs, and a few airplanes: all ten classes take a minute, and give 2.4 % of the test images."""
    require("cifar10")
    archive = paths.raw_folders()[-1] / "cifar10-images.tar.xz"
    if not archive.is_file():
        pytest.skip("no CIFAR-10 as image files")
    with tarfile.open(archive) as packed:
        wanted = [member for member in packed if "/frog/" in member.name or "/airplane/000" in member.name]
        packed.extractall(tmp_path, members=wanted, filter="data")
    monkeypatch.setenv("COURSEWORK_DATA", str(tmp_path))
    result = audited(load("cifar10"))
    assert 0.02 < result.counts["official_leaks"] / 1000 < 0.06
    assert result.counts["same_bytes"] == 0
    leaks = result.findings[result.findings["check"] == "leak in the official split"]
    assert set(leaks["class_name"]) == set(leaks["other_class"]) == {"frog"}
