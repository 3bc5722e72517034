"""Confusions in order, on train beside val, near and far; accuracy on val beside that on test: by hand."""

import numpy as np
import pytest

from lib import evaluation
from lib.datasets.superclasses import GROUPS, superclasses

NAMES = [f"class-{number}" for number in range(9)]


def predictions(labels, answers, *, classes, seconds=None):
    """Probabilities: 0.6 for the answer, 0.2 for the second one, the rest alike."""
    table = np.full((len(labels), classes), 0.2 / (classes - 2))
    table[np.arange(len(labels)), answers] = 0.6
    seconds = [(answer + 1) % classes for answer in answers] if seconds is None else seconds
    table[np.arange(len(labels)), seconds] = 0.2
    return table


def test_blocks_hold_what_is_confused_and_every_class_once():
    matrix = 20 * np.eye(9, dtype=int)
    for one, other in ((0, 5), (5, 0), (5, 7), (7, 0), (2, 8), (8, 2)):
        matrix[one, other] = 6
    blocks = evaluation.class_blocks(matrix, NAMES)
    assert {frozenset(block) for _, block in blocks if len(block) > 1} == {frozenset({0, 5, 7}), frozenset({2, 8})}
    assert sorted(place for _, block in blocks for place in block) == list(range(9))
    titles = {frozenset(block): title for title, block in blocks}
    assert titles[frozenset({2, 8})] in ("class-2, class-8", "class-8, class-2")
    assert titles[frozenset({0, 5, 7})].endswith(" + 1") and titles[frozenset({1})] == ""
    groups = list("abcabcabc")
    blocks = evaluation.class_blocks(matrix, NAMES, groups=groups)
    assert {name: sorted(block) for name, block in blocks} == {"a": [0, 3, 6], "b": [1, 4, 7], "c": [2, 5, 8]}
    for perfect in (np.eye(2, dtype=int), 5 * np.eye(9, dtype=int), np.zeros((9, 9), int)):
        blocks = evaluation.class_blocks(perfect, NAMES[: len(perfect)])
        assert sorted(place for _, block in blocks for place in block) == list(range(len(perfect)))


def test_a_mistake_is_a_habit_on_train_too_or_hardly():
    val, train = np.diag([8, 6, 9, 10]), np.diag([80, 90, 100, 100])
    val[0, 1], val[1, 0], val[2, 3] = 2, 4, 1  # 20 %, 40 %, and one image, which is no habit
    train[0, 1], train[1, 0] = 20, 10  # 20 %, 10 %
    table = evaluation.compare_confusions(val, train, NAMES[:4])
    assert table.to_dict("list") == {
        "true_class": ["class-1", "class-0"],
        "predicted_class": ["class-0", "class-1"],
        "images_val": [4, 2],
        "share_val": [0.4, 0.2],
        "share_train": [0.1, 0.2],
        "on_train": ["hardly", "as well"],
    }
    values = evaluation.habits_of(table)
    assert (values["habits"], values["habits_on_train"]) == (2, 1)
    assert (values["habit_true_class"], values["habit_share_val"], values["habit_share_train"]) == ("class-1", 0.4, 0.1)
    assert "cannot tell these classes apart" in values["habits_lesson"]
    assert "by heart" in evaluation.habits_of(table.head(1))["habits_lesson"]
    none = evaluation.compare_confusions(np.eye(4, dtype=int), train, NAMES[:4])
    assert list(none.columns) == list(table.columns) and evaluation.habits_of(none)["habits"] == 0
    assert "no habit" in evaluation.habits_of(none)["habits_lesson"]


def test_near_means_superclass_then_name_then_second_answer():
    labels, answers = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 3, 3, 2])
    answered = predictions(labels, answers, classes=4, seconds=[1, 0, 0, 1, 3])
    cases = [
        (["oak", "elm", "car", "bus"], ["tree", "tree", "road", "road"], "superclass", [1, 3, 4], 1 / 3),
        (["Oak_tree", "elm tree", "car 1", "bus 1"], None, "share a word", [1], 0.5 / 3),
        (["oak", "elm", "car", "bus"], None, "second answer", [1, 4], 1 / 3),
    ]
    for names, groups, rule, expected, chance in cases:
        said, kin = evaluation.kinship(names, groups)
        near, far, values = evaluation.near_and_far(labels, answered, near=kin)
        assert rule in said and list(near) == expected
        assert sorted([*near, *far]) == [1, 2, 3, 4]
        assert (values["near_mistakes"], values["far_mistakes"]) == (len(near), len(far))
        assert values["near_share"] == len(near) / 4 and values["near_chance"] == pytest.approx(chance)
    surer = answered.copy()
    surer[4] = [0.05, 0.05, 0.9, 0]
    near, _, _ = evaluation.near_and_far(labels, surer, near=evaluation.kinship(*cases[0][:2])[1])
    assert near[0] == 4  # the surest comes first
    right = predictions(labels, labels, classes=4)
    near, far, values = evaluation.near_and_far(labels, right, near=None)
    assert len(near) == len(far) == values["near_share"] == values["near_chance"] == 0


def test_val_against_test_is_more_than_chance_or_not():
    def part(images, right):
        labels = np.zeros(images, int)
        return labels, predictions(labels, [0] * right + [1] * (images - right), classes=4)

    cases = [
        (part(1000, 600), part(1000, 500), 0.1, "val flatters it"),
        (part(1000, 500), part(1000, 600), -0.1, "test is easier"),
        (part(40, 24), part(40, 22), 0.05, "no more than another choice"),
    ]
    for val, test, difference, meaning in cases:
        found = evaluation.val_minus_test(val, test)
        assert found[""] == pytest.approx(difference) and meaning in found["_meaning"]
        assert found["_low"] < difference < found["_high"]
    low, high = (evaluation.val_minus_test(*cases[0][:2])[end] for end in ("_low", "_high"))
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.24 / 1000 + 0.25 / 1000), rel=0.01)


def test_superclasses_are_those_of_every_class_or_none():
    names = sorted(name for words in GROUPS["cifar100"].values() for name in words.split())
    assert len(set(names)) == 100 and {len(words.split()) for words in GROUPS["cifar100"].values()} == {5}
    found = dict(zip(names, superclasses("cifar100", names), strict=True))
    assert (found["maple_tree"], found["boy"], found["squirrel"]) == ("trees", "people", "small_mammals")
    assert superclasses("cifar100", ["maple tree", "boy"]) == ("trees", "people")
    assert superclasses("cifar100", ["boy", "cup", "window"]) is None
    assert superclasses("demo", ["boy"]) is None
    assert superclasses("cifar10", ["cat", "ship"]) == ("animals", "vehicles")
