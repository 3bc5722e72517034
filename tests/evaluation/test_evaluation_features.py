"""Neighbours, maps and look-up tables against small cases by hand; guessing is not taken for knowledge."""

import numpy as np
import pytest
from scipy import stats

from lib import evaluation
from lib.evaluation import features as room

NAMES = ("cat", "dog", "emu")


def groups(count=30, *, classes=3, seed=0):
    """Features of classes that lie in clearly different directions."""
    rng, labels = np.random.default_rng(seed), np.arange(count) % classes
    return 5 * np.eye(classes, 20)[labels] + rng.normal(scale=0.3, size=(count, 20)), labels


def one_hot(predicted, *, classes=2):
    return np.eye(classes)[np.asarray(predicted)]


# --- guessing


def test_a_result_is_above_chance_only_beyond_doubt():
    labels = np.repeat([0, 1], [60, 40])
    for right in (30, 60, 70, 75, 76):
        verdict = "above chance" if right == 76 else "at chance"
        predicted = np.where(np.arange(100) < right, labels, 1 - labels)
        found = evaluation.above_chance(labels, one_hot(predicted))
        assert (found.verdict, found.accuracy, found.guessing) == (verdict, right / 100, 0.6)
        assert found.p_value == pytest.approx(stats.binomtest(right, 100, 0.6, alternative="greater").pvalue)


def test_naming_the_commonest_class_is_at_chance_however_often_it_is_right():
    labels = np.repeat([0, 1], [990, 10])
    assert evaluation.above_chance(labels, one_hot(np.zeros(1000, int))).verdict == "at chance"


def test_so_few_images_that_only_luck_could_tell_are_said_to_be_few():
    for labels in ([0, 1], [0, 1] * 4, [1] * 50):  # right by guessing once in 4 and 256 times, and always
        assert evaluation.above_chance(labels, one_hot(labels)).verdict == "too few images to tell"
    assert evaluation.above_chance([0, 1] * 5, one_hot([0, 1] * 5)).verdict == "above chance"  # once in 1,024


# --- neighbours


def test_neighbour_purity_by_hand(monkeypatch):
    # Angles of 0, 10, 30, 60 and 100 degrees; lengths do not count.
    angles, labels = np.deg2rad([0, 10, 30, 60, 100]), [0, 0, 1, 1, 0]
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [9], [0.1], [3], [2]]
    for cells in (2**24, 1, 10):  # in one block, one row at a time, two at a time
        monkeypatch.setattr(room, "CELLS", cells)
        assert evaluation.neighbour_purity(points, labels, k=1).tolist() == [1, 1, 0, 1, 0]
        assert evaluation.neighbour_purity(points, labels, k=2).tolist() == [0.5, 0.5, 0, 0.5, 0]
        assert evaluation.neighbour_purity(points, labels, k=4).tolist() == [0.5, 0.5, 0.25, 0.25, 0.5]


def test_neighbour_purity_tells_features_from_noise():
    values, labels = groups(300)
    assert evaluation.neighbour_purity(values, labels).mean() == 1
    shuffled = np.random.default_rng(1).permutation(labels)
    assert evaluation.neighbour_purity(values, shuffled).mean() == pytest.approx(1 / 3, abs=0.05)
    assert evaluation.neighbour_purity(np.zeros((6, 4)), np.zeros(6, int), k=5).tolist() == [1] * 6


# --- a map


def test_a_map_keeps_groups_together_and_repeats():
    values, labels = groups(60)
    points = evaluation.project(values)
    assert points.shape == (60, 2) and points.dtype == np.float32 and np.isfinite(points).all()
    centres = np.stack([points[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.9
    assert np.array_equal(points, evaluation.project(values)) and np.array_equal(points, evaluation.project(4 * values))
    assert not np.array_equal(points, evaluation.project(values[::-1])[::-1])


def test_a_map_of_the_smallest_and_of_features_that_say_nothing():
    assert evaluation.project(groups(4)[0]).shape == (4, 2)
    line = evaluation.project(np.array([[1.0, 0], [1, 1], [1, 2], [1, 3], [1, 4]])[:, 1:] - 2)  # one number per image
    assert line.shape == (5, 2) and np.isfinite(line).all()
    assert np.array_equal(evaluation.project(np.ones((8, 5))), np.zeros((8, 2)))


# --- answers of another network

ANSWERS = one_hot([3, 3, 1, 1, 1, 0], classes=5)
LABELS = np.array([2, 2, 0, 0, 1, 1])


def test_lookup_by_hand():
    asked = one_hot([3, 1, 0, 4], classes=5)
    table = evaluation.lookup(LABELS, ANSWERS, asked, num_classes=3)
    assert table[:3] == pytest.approx(np.array([[0, 0, 1], [2 / 3, 1 / 3, 0], [0, 1, 0]]))
    assert table[3] == pytest.approx(np.full(3, 1 / 3))  # nobody got answer 4: the shares of all images
    assert evaluation.accuracy([2, 0, 1, 2], table) == 0.75


def test_frequent_answers_by_hand():
    frame = evaluation.frequent_answers(LABELS, ANSWERS, class_names=NAMES, k=1)
    assert frame["answers"].tolist() == ["#1 100 %", "#0 50 %", "#3 100 %"]  # of equals the lower number
    assert frame["different"].tolist() == [1, 2, 1] and frame["share"].tolist() == [1, 0.5, 1]
    names = ["tench", "goldfish", "shark", "hen", "ray"]
    named = evaluation.frequent_answers(LABELS[:5], ANSWERS[:5], class_names=[*NAMES, "fox"], answer_names=names)
    assert named["class_name"].tolist() == list(NAMES) and named["answers"][2] == "hen 100 %"


def test_bad_input_is_refused_with_the_rule():
    values, labels = groups(9)
    for call, message in [
        (lambda: evaluation.neighbour_purity(values, labels[:8]), "one label per row.*9 rows, 8 labels, k=10"),
        (lambda: evaluation.neighbour_purity(values, labels, k=9), "below the number of rows"),
        (lambda: evaluation.neighbour_purity(values, labels, k=0), "k of at least 1"),
        (lambda: evaluation.neighbour_purity(values[:, 0], labels), r"shape \(N, F\). Received: shape \(9,\)"),
        (lambda: evaluation.project(np.full((9, 2), np.nan)), "features must be finite"),
        (lambda: evaluation.project(values[:3]), "project needs 4 to 1,500 rows: choose some. Received: 3"),
        (lambda: evaluation.project(np.zeros((1501, 2))), "Received: 1,501"),
        (lambda: evaluation.lookup(LABELS, ANSWERS[:5], ANSWERS, num_classes=3), "6 labels, answers"),
        (lambda: evaluation.lookup(LABELS, ANSWERS, ANSWERS[:, :4], num_classes=3), "as many columns in asked"),
        (lambda: evaluation.lookup(LABELS, ANSWERS, ANSWERS, num_classes=2), r"labels must lie in \[0, 1\]"),
        (lambda: evaluation.lookup(LABELS, ANSWERS, ANSWERS * np.nan, num_classes=3), "answers must be finite"),
        (lambda: evaluation.frequent_answers(LABELS, ANSWERS, class_names=NAMES, answer_names=["a"]), "1 names"),
        (lambda: evaluation.frequent_answers(LABELS, ANSWERS, class_names=NAMES, k=0), "k=0"),
        (lambda: evaluation.above_chance([0, 3], one_hot([0, 1])), "labels must lie in"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
