"""Rows of a data set as images and titles: what they show, and the numbers beside them."""

import numpy as np
import pandas as pd
import pytest
from pictures import picture
from PIL import Image

from lib import datasets, evaluation
from lib.config import Augment
from lib.figures import samples


def make(root, sizes):
    """A folder of two classes with one image a size."""
    for label, name in enumerate(("cat", "dog")):
        for number, (width, height) in enumerate(sizes):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(10 * label + number, width=width, height=height)).save(path)
    return datasets.load("folder", path=root)


@pytest.fixture
def squares(tmp_path, own_folders):
    return make(tmp_path / "squares", [(64, 64)] * 3)


@pytest.fixture
def shapes(tmp_path, own_folders):
    return make(tmp_path / "shapes", [(64, 64), (90, 60), (40, 100)])


def test_shapes_of_their_own_are_stretched_and_cropped(shapes):
    rows, titles = samples.resized(shapes, np.array([0, 4]))
    assert titles == ["original", "32 px", "64 px", "64 px, crop"]
    assert [name for name, _ in rows] == ["cat", "dog"]
    assert [image.shape[:2] for image in rows[1][1]] == [(60, 90), (32, 32), (64, 64), (64, 64)]


def test_squares_of_one_size_are_halved_and_what_is_lost_is_shown(squares):
    rows, titles = samples.resized(squares, np.array([1]))
    assert titles == ["as read, 64 px", "32 px, bilinear", "32 px, picked", "enlarged again", "lost"]
    name, (image, smaller, picked, enlarged, lost) = rows[0]
    assert name == "cat" and smaller.shape == picked.shape == (32, 32, 3)
    means = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(smaller - means).max() <= 0.5  # halving is the mean of two by two pixels
    assert (picked == image[::2, ::2]).all()
    assert enlarged.shape == image.shape
    assert np.array_equal((lost - 128) / 2 + enlarged, image)


def test_the_small_side_is_32_or_half(tmp_path, own_folders):
    for side, small in [(100, 32), (33, 32), (32, 16), (28, 14), (10, 8)]:
        assert samples.small_side(make(tmp_path / f"set_{side}", [(side, side)])) == small


def test_rows_take_one_class_in_turn(squares):
    labels = squares.index["label"].to_numpy()
    rows = samples.sample_rows(squares, count=6)
    assert labels[rows].tolist() == [0, 1] * 3 and sorted(rows) == list(range(6))
    assert samples.sample_rows(squares, count=3).tolist() == rows[:3].tolist()
    assert any(samples.sample_rows(squares, count=6, seed=seed).tolist() != rows.tolist() for seed in (1, 2))


def test_one_class_in_turn_until_the_rare_ones_are_used_up():
    labels = np.random.default_rng(3).integers(0, 4, 30)
    order = evaluation.one_class_in_turn(labels, seed=1)
    assert sorted(order) == list(range(30))
    assert labels[order[:4]].tolist() == [0, 1, 2, 3]
    turns = pd.Series(labels[order]).groupby(labels[order]).cumcount()
    assert turns.is_monotonic_increasing


def test_predictions_carry_names_and_confidences(squares):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    shown = samples.predicted(
        squares, np.array([5, 0, 1]), labels=np.array([1, 0, 0]), probabilities=probabilities, picks=np.array([2, 0])
    )
    assert shown["true_names"] == ["cat", "dog"] and shown["predicted_names"] == ["cat", "cat"]
    assert shown["confidences"] == [0.6, 0.9]
    assert (shown["images"][1] == np.asarray(squares.open_image(5))).all()


def test_contrast_kept_by_hand(tmp_path, own_folders):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = 200
    for name, image in (("fine", stripes), ("coarse", halves), ("plain", np.full_like(stripes, 9))):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / "set" / name / "1.png")
    dataset = datasets.load("folder", path=tmp_path / "set")
    kept = {
        name: samples.contrast_kept(dataset, np.array([row]), size=32)
        for row, name in enumerate(dataset.index["class_name"])
    }
    assert kept["fine"] == pytest.approx(0, abs=0.01)
    assert kept["coarse"] > 0.95
    assert kept["plain"] == 1
    both = samples.contrast_kept(dataset, np.arange(3), size=32)  # the plain one has nothing to lose
    assert both == pytest.approx((kept["fine"] + kept["coarse"]) / 2)


FINDINGS = pd.DataFrame(
    [
        ("near duplicate", "cat/0.png", "cat", "train", "cat/1.png", "cat", "train", 0.9),
        ("near duplicate", "cat/0.png", "cat", "train", "cat/2.png", "cat", "test", 0.8),
        ("near duplicate", "dog/0.png", "dog", "train", "dog/1.png", "dog", "train", 0.7),
        ("leak in this split", "cat/2.png", "cat", "test", "cat/0.png", "cat", "train", 0.8),
        ("same bytes, other label", "cat/1.png", "cat", "train", "dog/2.png", "dog", "train", 1.0),
        ("dark", "dog/2.png", "dog", "train", None, None, None, 0.3),
        ("dark", "dog/1.png", "dog", "train", None, None, None, 0.1),
        ("dark", "cat/1.png", "cat", "train", None, None, None, 0.2),
        ("blurry", "cat/2.png", "cat", "test", None, None, None, 0.1),
        ("left out", "notes.txt", None, None, None, None, None, np.nan),
    ],
    columns=["check", "path", "class_name", "role", "other", "other_class", "other_role", "value"],
)


def test_copied_shows_the_gravest_first_and_each_class_in_turn(squares):
    texts = [text for _, _, text in samples.copied(squares, FINDINGS, count=10)]
    near = [f"near duplicate: {name}" for name in ("cat", "dog")]  # one of three is the leak, shown already
    assert texts == ["test and train: cat", "same bytes: cat | dog", *near]
    few = [text for _, _, text in samples.copied(squares, FINDINGS, count=3)]
    assert few == ["test and train: cat", "same bytes: cat | dog", "near duplicate: cat"]
    left, right, _ = samples.copied(squares, FINDINGS, count=1)[0]
    assert (left == np.asarray(squares.open_image("cat/2.png"))).all()
    assert (right == np.asarray(squares.open_image("cat/0.png"))).all()
    assert samples.copied(squares, FINDINGS.iloc[5:], count=3) == []


def test_odd_shows_the_lowest_score_of_each_class_in_turn(squares):
    rows = samples.odd(squares, FINDINGS, each=2)
    assert [(check, len(images)) for check, images in rows] == [("dark", 2), ("blurry", 1)]
    shown = [squares.open_image(name) for name in ("dog/1.png", "cat/1.png")]
    assert all((image == np.asarray(expected)).all() for image, expected in zip(rows[0][1], shown, strict=True))
    assert samples.odd(squares, FINDINGS.iloc[:5], each=2) == []


def test_look_alikes_carry_the_names_of_both(squares):
    pairs = samples.look_alikes(squares, np.array([[0, 4], [5, 1]]))
    assert [text for _, _, text in pairs] == ["cat | dog", "dog | cat"]
    assert samples.look_alikes(squares, np.zeros((0, 2), np.int64)) == []


def test_a_change_is_measured_by_the_next_image_of_the_class():
    images = np.stack([picture(number, width=32, height=32) for number in range(6)])
    labels = np.array([0, 1, 0, 1, 0, 1])
    nothing = Augment(flip=False)
    changes = {"none": nothing, "turn": Augment(rotation=30), "mix": Augment(cutmix=1.0)}
    moved = samples.moved_by_changes(images, labels, changes)
    assert moved["change"].tolist() == ["none", "turn"] and moved["moved"][0] == 0 < moved["moved"][1]
    other, same = images[:2], np.stack([images[0]] * 2)
    for few, of_class, lacking in ((other, [0, 0], False), (same, [0, 0], True), (other, [0, 1], True)):
        assert samples.moved_by_changes(few, np.array(of_class), changes)["moved"].isna().all() == lacking


def test_easy_and_hard_classes_are_shown_from_both_ends(shapes):
    difficulty = pd.DataFrame({"accuracy": [0.25, 0.75]})
    shown = samples.of_ends(shapes, np.arange(6), difficulty, each=3, count=2)
    assert [(name, len(images)) for name, images in shown] == [("dog: 75 %", 2), ("cat: 25 %", 2)]
    assert np.array_equal(shown[1][1][0], np.asarray(shapes.open_image(0)))
