"""What is known to be wrong with the real data sets, where COURSEWORK_DATA names a folder that holds them."""

import functools
import os
import tarfile

import numpy as np
import pytest

from lib.config import Split, paths
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
        return load(name, include_clutter=clutter, progress=False)

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
    split = splits.make_split(dataset, Split(**shares), groups=duplicate_groups(dataset, progress=False))
    return audit(dataset, split, progress=False)


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
    unaware = audit(few, splits.make_split(few, Split()), progress=False)
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
    result = audited(load("cifar10", progress=False))
    assert 0.02 < result.counts["official_leaks"] / 1000 < 0.06
    assert result.counts["same_bytes"] == 0
    leaks = result.findings[result.findings["check"] == "leak in the official split"]
    assert set(leaks["class_name"]) == set(leaks["other_class"]) == {"frog"}
