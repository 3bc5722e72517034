"""Look-alikes of different classes, against cases computed by hand."""

import numpy as np
import pytest

from lib import evaluation

# On a line: class 0 at 0 with one image at 9, class 1 at 10, class 2 far away at 100.
LINE = np.array([[0.0], [0.0], [0.0], [9.0], [10.0], [10.0], [9.4], [100.0], [100.0]])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])


def test_the_misplaced_image_and_its_nearest_neighbour_are_found():
    assert evaluation.confused_examples(LINE, LABELS, pairs=5).tolist() == [[3, 6]]


def test_the_deepest_of_several_is_taken():
    line = LINE.copy()
    line[2] = 10.0
    assert evaluation.confused_examples(line, LABELS, pairs=5).tolist() == [[2, 4]]


def test_classes_come_by_the_share_that_is_mistaken_and_each_once():
    # Of class 0 a third falls to 1; of class 2 half falls to 3; of class 4 half falls to 3 as well, but 3 is taken.
    centres = {0: 0, 1: 10, 2: 100, 3: 120, 4: 140}
    rows = [(0, 0), (0, 0), (0, 10), (1, 10), (1, 10), (1, 10), (2, 100), (2, 120), (3, 120), (3, 120)]
    rows += [(4, 140), (4, 140), (4, 121)]
    labels, features = np.array(rows).T
    assert set(labels) == set(centres)
    found = evaluation.confused_examples(features[:, None], labels, pairs=5)
    assert labels[found].tolist() == [[2, 3], [0, 1]]
    assert evaluation.confused_examples(features[:, None], labels, pairs=1).tolist() == found[:1].tolist()


def test_nothing_mistaken_gives_no_rows_that_still_index():
    found = evaluation.confused_examples(np.array([[0.0], [0.1], [5.0], [5.1]]), [0, 0, 1, 1], pairs=3)
    assert found.shape == (0, 2)
    assert np.arange(4)[found].shape == (0, 2)


def test_an_image_alone_in_its_class_is_not_mistaken():
    assert evaluation.confused_examples(np.array([[0.0], [1.0], [1.1]]), [0, 1, 1], pairs=3).shape == (0, 2)


def test_bad_features_are_refused():
    for features in (np.zeros((3, 2)), np.zeros(4), np.full((4, 1), np.nan)):
        with pytest.raises(ValueError, match="features must be finite, shape"):
            evaluation.confused_examples(features, [0, 0, 1, 1], pairs=1)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, ...\]. Received: values from -1"):
        evaluation.confused_examples(np.zeros((2, 3)), [0, -1], pairs=1)
