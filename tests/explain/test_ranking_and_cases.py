"""The ranking of methods, and which images are explained: rules followed on planted scores."""

import numpy as np
import pandas as pd
import pytest

from lib.explain.cases import Cases, in_turn, open_cases, pick_examples
from lib.explain.scoring.randomisation import Cascade
from lib.explain.scoring.ranking import CARE, COLUMNS, NO, YES, rank_methods

# method -> mean rank correlation, gain over the centre in insertion minus deletion, gain in hits; as (mean, low)
PLANTED = {
    "good": (0.1, (0.3, 0.2), (0.4, 0.3)),
    "better": (0.2, (0.4, 0.2), (0.5, 0.3)),
    "coarse": (0.1, (0.6, 0.5), (0.1, -0.1)),
    "edges": (0.8, (0.5, 0.4), (0.5, 0.4)),
    "noise": (0.0, (0.01, -0.1), (0.0, -0.1)),
}


def areas():
    rows = [(name, 0.2, 0.6, *gain) for name, (_, gain, _) in PLANTED.items()]
    rows += [("centre", 0.3, 0.5, 0.0, 0.0), ("contrast", 0.2, 0.6, 0.1, 0.0), ("random", 0.4, 0.4, -0.2, -0.3)]
    return pd.DataFrame(rows, columns=["method", "deletion", "insertion", "gain", "gain_low"]).assign(images=20)


def pointing():
    rows = [(name, 0.5 + gain[0], 0.3, *gain) for name, (*_, gain) in PLANTED.items()]
    rows += [("centre", 0.5, 0.2, 0.0, 0.0), ("random", 0.2, 0.2, -0.3, -0.4)]
    return pd.DataFrame(rows, columns=["method", "hit", "energy", "gain", "gain_low"])


def shuffled():
    values = {name: np.array([[1.0, 1.0], [end + 0.2, end], [end, end - 0.2]]) for name, (end, *_) in PLANTED.items()}
    return Cascade(("as trained", "logits", "all"), {}, values)


def test_each_rule_decides_as_it_says():
    table = rank_methods(areas(), shuffled(), pointing=pointing())
    assert tuple(table.columns) == COLUMNS
    assert table["method"].tolist() == ["better", "good", "coarse", "edges", "noise"]
    assert table["trust"].tolist() == [YES, YES, CARE, NO, NO]
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    why = dict(zip(table["method"], table["why"], strict=True))
    assert why["better"] == "finds the object, marks what matters to the model and changes with its weights"
    assert "finds the object no better than the centre" in why["coarse"]
    assert why["edges"] == "its map changes too little when weights are shuffled"
    assert why["noise"] == "what it marks matters to the model no more than the image's centre"
    assert table["similarity"].tolist() == pytest.approx([0.2, 0.1, 0.1, 0.8, 0.0])
    assert table["hit"].tolist() == pytest.approx([1.0, 0.9, 0.6, 1.0, 0.5])


def test_without_masks_the_last_question_is_left_out():
    table = rank_methods(areas(), shuffled(), pointing=None)
    assert dict(zip(table["method"], table["trust"], strict=True))["coarse"] == YES
    assert table["method"].iloc[0] == "coarse"
    assert table[["hit", "energy"]].isna().all(axis=None)
    assert "object" not in table["why"].iloc[0]


def test_scores_of_different_methods_are_refused():
    with pytest.raises(ValueError, match="the same methods.*Received: better, coarse, edges, noise;"):
        rank_methods(areas()[1:], shuffled(), pointing=None)
    with pytest.raises(ValueError, match="the same methods"):
        rank_methods(areas(), shuffled(), pointing=pointing()[1:])
    with pytest.raises(ValueError, match="at least one"):
        rank_methods(areas()[5:], Cascade((), {}, {}), pointing=None)


# Which images


def predictions():
    """Eight images of three classes; images 2 and 5 are wrong, 5 more surely."""
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    said = np.array([0, 0, 1, 1, 1, 2, 2, 2])
    sure = np.array([0.9, 0.8, 0.6, 0.95, 0.7, 0.9, 0.99, 0.5])
    probabilities = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
    probabilities[np.arange(8), said] = sure
    return labels, probabilities


@pytest.mark.parametrize(
    ("hits", "misses", "places"),
    [
        (3, 2, [6, 3, 0, 5, 2]),  # one of each class, surest first, then the mistakes, surest first
        (2, 1, [6, 3, 5]),
        (4, 0, [6, 3, 0, 1]),
        (0, 2, [5, 2]),
        (1, 4, [6, 3, 0, 5, 2]),  # two mistakes are all there are: right ones fill up
        (9, 9, [6, 3, 0, 1, 4, 7, 5, 2]),
    ],
)
def test_examples_are_the_surest_of_different_classes(hits, misses, places):
    assert pick_examples(*predictions(), hits=hits, misses=misses).tolist() == places


def test_examples_of_a_model_that_is_always_wrong_are_mistakes():
    labels, probabilities = predictions()
    places = pick_examples((labels + 1) % 3, np.eye(3)[labels] * 0.4 + 0.2, hits=2, misses=1)
    assert len(places) == 3


def test_images_are_drawn_one_a_class_in_turn():
    labels = np.array([0] * 10 + [1] * 3 + [2] * 10)
    places = in_turn(labels, most=8)
    assert (np.diff(places) > 0).all()
    assert np.bincount(labels[places]).tolist() == [3, 3, 2]
    assert len(in_turn(labels, most=100)) == 23
    assert in_turn(labels, most=8).tolist() == places.tolist()


def cases():
    labels, probabilities = predictions()
    masks = np.arange(8 * 4).reshape(8, 2, 2) % 3 == 0
    masks[1::2] = False
    return Cases(np.arange(8) + 10, np.zeros((8, 2, 2, 3), np.uint8), labels, probabilities, masks, ("a", "b", "c"))


def test_cases_are_picked_with_everything_that_belongs_to_them():
    picked = cases().pick(np.array([5, 0]))
    assert picked.rows.tolist() == [15, 10]
    assert picked.labels.tolist() == [1, 0] and picked.predicted.tolist() == [2, 0]
    assert picked.known.tolist() == [False, True]
    np.testing.assert_array_equal(picked.masks, cases().masks[[5, 0]])
    assert cases().pick(cases().labels == 2).rows.tolist() == [16, 17]


def test_captions_say_what_the_model_says_and_what_is_there():
    assert cases().pick(np.array([0, 5])).captions() == ["a\n90 %", "✗ c\n90 %\nis b"]


class PretendRun:
    """A run with predictions for the images of val, as `runs.Run` gives them."""

    def __init__(self, rows, labels, *, size, resize):
        self.settings = {"image_size": size, "resize": resize}
        self.answer = rows, labels, np.eye(3)[labels]

    def config(self):
        return {"settings": self.settings}

    def predictions(self, role):
        assert role == "val"  # test stays closed
        return self.answer


def test_cases_are_the_images_of_val_as_the_run_saw_them(photos):
    from lib.inputs.cache import open_images
    from lib.training.open_brief import OpenBrief

    rows = np.array([1, 7, 13, 14])
    run = PretendRun(rows, photos.index["label"].to_numpy()[rows], size=12, resize="crop")
    opened = OpenBrief(None, "smoke", photos, None)
    found = open_cases(opened, run)
    assert found.images.shape == (4, 12, 12, 3) and found.rows.tolist() == rows.tolist()
    np.testing.assert_array_equal(found.images, open_images(photos, size=12, resize="crop").read(found.rows))
    assert not found.known.any()
