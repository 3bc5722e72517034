"""Caltech-101 itself, where COURSEWORK_DATA names a folder that holds it."""

import os

import numpy as np
import pytest

from lib.config import Split, paths
from lib.datasets import DataError, load, splits
from lib.datasets.catalogue import CALTECH101
from lib.datasets.fetch.acquire import find_here


def reason_to_skip():
    """Why there is no real data to test with; empty if there is."""
    if not os.environ.get("COURSEWORK_DATA"):
        return "COURSEWORK_DATA is not set: no real Caltech-101"
    try:
        return "" if find_here(CALTECH101) else "the folder that COURSEWORK_DATA names holds no Caltech-101"
    except DataError as error:
        return str(error)


pytestmark = [pytest.mark.real_data, pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cache of its own: the archive is extracted and every image decoded as on a new machine."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_CACHE", str(folder))
        patch.setattr(paths, "RAW", folder / "raw")
        yield folder


@pytest.fixture(scope="module")
def everything(home):
    return load("caltech101", include_clutter=True, progress=False)


@pytest.fixture(scope="module")
def objects(home, everything):
    return load("caltech101", progress=False)


def test_counts(everything, objects):
    assert len(everything.index) == 9144
    assert len(everything.class_names) == 102
    assert len(objects.index) == 8677
    assert len(objects.class_names) == 101
    assert objects.source in ("verified", "unverified copy")


def test_odd_files(everything, objects):
    assert everything.left_out["path"].tolist() == ["BACKGROUND_Google/tmp"]
    assert objects.left_out.values.tolist()[1:] == [
        ["BACKGROUND_Google", "clutter class, not used by this brief (467 images)"]
    ]
    assert (everything.index["channels"] == 1).sum() == 411
    assert (objects.index["channels"] == 1).sum() == 381
    assert not everything.index["sha256"].duplicated().any()


def test_class_sizes(objects):
    sizes = objects.index["class_name"].value_counts()
    assert (sizes["airplanes"], sizes["inline_skate"], sizes["Faces"], sizes["Faces_easy"]) == (800, 31, 435, 435)
    assert (sizes.max(), sizes.min()) == (800, 31)


def test_grey_image_opens_as_rgb(objects):
    grey = objects.index[objects.index["channels"] == 1].iloc[0]
    image = objects.open_image(grey)
    assert (image.mode, image.size) == ("RGB", (grey["width"], grey["height"]))


def test_split(objects):
    split = splits.make_split(objects, Split())
    assert len(split.train) + len(split.val) + len(split.test) == 8677
    assert len(split.test) / 8677 == pytest.approx(0.1, abs=0.002)
    for rows in (split.val, split.test):
        assert np.bincount(objects.index["label"].to_numpy()[rows], minlength=101).min() >= 3
