"""The real sets of small images, each where COURSEWORK_DATA names a folder that holds it."""

import functools
import os

import numpy as np
import pytest

from lib.config import Split, paths
from lib.config.files import checksum
from lib.datasets import DataError, load, splits
from lib.datasets.catalogue import find
from lib.datasets.fetch.acquire import find_here

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def get(tmp_path_factory):
    """Load a data set with a cache of its own, or skip, saying why."""

    @functools.cache
    def loaded(name):
        if not os.environ.get("COURSEWORK_DATA"):
            pytest.skip(f"COURSEWORK_DATA is not set: no real {name}")
        try:
            if not find_here(find(name)):
                pytest.skip(f"the folder that COURSEWORK_DATA names holds no {name}")
        except DataError as error:
            pytest.skip(str(error))
        return load(name, progress=False)

    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_CACHE", str(folder))
        patch.setattr(paths, "RAW", folder / "raw")
        yield loaded


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
