"""The drawn letters: the files of Fashion-MNIST, the same bytes every time, no two fonts and letters alike."""

import numpy as np
import pytest

from lib import datasets
from lib.datasets.drawn import letters
from lib.datasets.readers.idx import read_idx

NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("letters")
    letters.draw(folder, train_per_class=6, test_per_class=2)
    return folder


def test_the_files_are_those_of_mnist(drawn):
    assert sorted(file.name for file in drawn.iterdir()) == sorted(NAMES)
    # magic 2051 and 60 images of 28 x 28; magic 2049 and 60 labels; all big-endian
    assert (drawn / NAMES[0]).read_bytes()[:16].hex() == "00000803" + "0000003c" + 2 * "0000001c"
    assert (drawn / NAMES[1]).read_bytes()[:8].hex() == "00000801" + "0000003c"
    assert read_idx(drawn / NAMES[2], dimensions=3).shape == (20, 28, 28)


def test_every_class_has_its_share_in_a_random_order(drawn):
    labels = read_idx(drawn / NAMES[1], dimensions=1)
    assert np.bincount(labels).tolist() == [6] * 10
    assert (np.diff(labels.astype(int)) < 0).any()


def test_no_image_is_empty_and_no_two_are_equal(drawn):
    images = np.concatenate([read_idx(drawn / name, dimensions=3) for name in (NAMES[0], NAMES[2])])
    assert images.max(axis=(1, 2)).min() > 100
    assert len(np.unique(images.reshape(80, -1), axis=0)) == 80


def test_the_same_bytes_are_drawn_every_time(drawn, tmp_path):
    letters.draw(tmp_path, train_per_class=6, test_per_class=2)
    assert all((tmp_path / name).read_bytes() == (drawn / name).read_bytes() for name in NAMES)


def test_every_letter_is_drawn_in_every_font():
    glyphs = letters.draw_glyphs()
    assert glyphs.shape == (10, len(letters.FONTS), 64, 64) and glyphs.dtype == np.float32
    assert 0 <= glyphs.min() and glyphs.max() <= 1
    flat = glyphs.reshape(-1, 64 * 64)
    assert flat.sum(axis=1).min() > 50
    assert len(np.unique(flat, axis=0)) == len(flat)
    rim = np.concatenate([glyphs[:, :, [0, -1], :], glyphs[:, :, :, [0, -1]].swapaxes(2, 3)], axis=2)
    assert rim.max() == 0  # no letter is cut off


def test_they_are_a_data_set_that_needs_no_download(own_folders, monkeypatch):
    real = letters.draw
    monkeypatch.setattr(letters, "draw", lambda folder: real(folder, train_per_class=5, test_per_class=2))
    data = datasets.load("letters")
    assert data.source == "drawn" and data.class_names == tuple("ABCDEFGHIJ")
    assert data.index["role"].value_counts().to_dict() == {"train": 50, "test": 20}
    assert data.read_pixels(np.array([0, 69])).shape == (2, 28, 28)
    monkeypatch.setattr(letters, "draw", None)  # drawn once, then found
    assert datasets.load("letters").checksum == data.checksum
