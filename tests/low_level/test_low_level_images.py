"""Rows and targets of hand-written training: every pair of classes, and what is refused."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lib.datasets.dataset import Dataset
from lib.datasets.splits import Split
from lib.low_level import images

NAMES = tuple("ABCDEFGHIJ")


def dataset(pixels):
    """A data set in one array: forty images, their classes in turn."""
    paths = [f"train#{row:05d}" for row in range(len(pixels))]
    index = pd.DataFrame({"path": paths, "label": np.arange(len(pixels)) % 10})
    texts = dict.fromkeys(("name", "title", "source", "licence", "citation", "checksum"), "letters")
    empty = pd.DataFrame(columns=["path", "reason"])
    return Dataset(root=None, index=index, class_names=NAMES, left_out=empty, arrays={"train": pixels}, **texts)


def split():
    rows = {"train": np.arange(20), "val": np.arange(20, 30), "test": np.arange(30, 40), "unused": np.arange(0)}
    return Split(**rows, checksum="", table=pd.DataFrame())


@pytest.fixture
def grey():
    return dataset(np.random.default_rng(0).integers(0, 256, (40, 3, 2), dtype=np.uint8))


@pytest.mark.parametrize("pair", list(itertools.permutations(range(10), 2)), ids=str)
def test_each_pair_of_classes_becomes_zero_and_one_in_its_order(grey, pair):
    flat = images.flatten(grey, split(), classes=pair)
    assert flat.class_names == (NAMES[pair[0]], NAMES[pair[1]])
    for role in ("train", "val", "test"):
        rows = getattr(flat, role)
        old = grey.index["label"].to_numpy()[rows.index]
        assert set(old) == set(pair) and len(old) == (4 if role == "train" else 2)
        assert rows.targets.tolist() == [float(label == pair[1]) for label in old]
        assert rows.labels.tolist() == rows.targets.tolist()
        assert rows.targets.dtype == np.float32 and rows.targets.ndim == 1


def test_ten_classes_become_one_hot_rows(grey):
    flat = images.flatten(grey, split())
    assert flat.class_names == NAMES
    assert flat.val.targets.shape == (10, 10) and flat.val.targets.dtype == np.float32
    assert (flat.val.targets.argmax(axis=1) == grey.index["label"][20:30]).all()
    assert flat.val.targets.sum() == 10 and flat.val.index.tolist() == list(range(20, 30))


def test_rows_are_the_pixels_between_zero_and_one(grey):
    flat = images.flatten(grey, split())
    assert flat.train.images.shape == (20, 6) and flat.train.images.dtype == np.float32
    expected = grey.arrays["train"][7].reshape(-1) / np.float32(255)
    assert flat.train.images[7] == pytest.approx(expected)
    extremes = dataset(np.repeat(np.array([0, 255], np.uint8), 20)[:, None, None])
    assert images.read_rows(extremes, np.array([0, 39])).tolist() == [[0.0], [1.0]]


def test_colours_are_averaged():
    pixels = np.zeros((40, 1, 1, 3), np.uint8)
    pixels[:, :, :, 0], pixels[:, :, :, 1] = 255, 51
    assert images.read_rows(dataset(pixels), np.array([3]))[0, 0] == pytest.approx((255 + 51) / 3 / 255)


@pytest.mark.parametrize("classes", [(3, 3), (3,), (1, 2, 3)])
def test_anything_but_two_different_classes_is_refused(grey, classes):
    with pytest.raises(ValueError, match="needs two different classes of: 0 A, 1 B, .*9 J. Received: "):
        images.flatten(grey, split(), classes=classes)


@pytest.mark.parametrize("number", [10, -1])
def test_an_unknown_class_is_refused_with_the_known_ones(grey, number):
    with pytest.raises(ValueError, match=f"Unknown class {number}. Classes: 0 A, 1 B, "):
        images.flatten(grey, split(), classes=(2, number))
