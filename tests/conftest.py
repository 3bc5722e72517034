"""Pieces that several test files share."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SLOWEST_FIRST = ("training", "low_level", "report", "datasets", "explain", "figures", "tests", "models", "inputs")


def pytest_collection_modifyitems(items):
    """Rooms that take long come first: two processes, given one file at a time, then end at about the same moment."""
    rank = {room: number for number, room in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


def pytest_configure(config):
    # A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them send to themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Keras 3.15 turns its variables into arrays in a way that NumPy 2 warns of; warnings are errors here.
    text = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    config.addinivalue_line("filterwarnings", text)


@pytest.fixture(autouse=True)
def no_determinism_left_behind():
    """Trainings switch TensorFlow's determinism on for the whole process, where Keras then refuses XLA."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config  # TensorFlow has no public call to switch it off

        config.disable_op_determinism()


@pytest.fixture
def own_folders(tmp_path, monkeypatch) -> Path:
    """Caches and reports of one test in its own folder, and no raw data but what it makes."""
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "reports"))
    monkeypatch.delenv("COURSEWORK_DATA", raising=False)
    return tmp_path


@pytest.fixture
def terminal(monkeypatch):
    """Somebody watches: progress bars are shown."""
    monkeypatch.delenv("COURSEWORK_HEADLESS", raising=False)
    monkeypatch.setattr("lib.config.progress.watched", lambda: True)


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    """An empty raw folder, and a cache of its own."""
    monkeypatch.setattr("lib.config.paths.RAW", tmp_path / "raw")
    monkeypatch.setenv("COURSEWORK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSEWORK_DATA", raising=False)
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def photo_folder(tmp_path) -> Path:
    """Three class folders with six small JPEGs each, of mixed sizes; no two are alike."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("apple", "boat", "cup")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(6):
            height, width = 20 + 4 * number, 40 - 3 * number
            pixels = rng.integers(0, 160, (height, width, 3)) + 40 * label
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.jpg", quality=90)
    return tmp_path / "photos"


@pytest.fixture
def photos(photo_folder, own_folders):
    """The data set of `photo_folder`: 18 images in 3 classes."""
    from lib import datasets

    return datasets.load("folder", path=photo_folder)
