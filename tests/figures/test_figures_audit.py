"""Pairs of images: two and two together, under one text."""

import numpy as np
import pytest
from figure_rules import assert_fits, picture, words

from lib import figures

RED, GREEN = np.full((20, 30, 3), (200, 30, 30), np.uint8), np.full((40, 10, 3), (30, 160, 30), np.uint8)
GREY = np.full((16, 16), 120, np.uint8)


def pairs(count):
    return [(RED, GREEN if n % 2 else GREY, f"pair {n}") for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_pair_grid_shows_every_pair_with_its_text(count):
    figure = figures.pair_grid(pairs(count), columns=3)
    assert len(figure.axes) == 2 * count
    assert [f"pair {n}" in words(figure) for n in range(count)] == [True] * count
    assert figure.get_suptitle() == "Pairs of images"
    assert figure.get_figwidth() == 6.5 and figure.get_figheight() <= 9.3
    assert_fits(figure)


def test_the_two_of_a_pair_stand_closer_than_two_pairs():
    boxes = [axes.get_position() for axes in figures.pair_grid(pairs(2), columns=2).axes]
    within, between = boxes[1].x0 - boxes[0].x1, boxes[2].x0 - boxes[1].x1
    assert 0 <= within < between


def test_long_texts_are_cut_and_options_change_the_picture():
    long = [(RED, GREEN, "a text that is far too long to stand above two small images " * 3)] * 4
    figure = figures.pair_grid(long)
    assert_fits(figure)
    assert max(map(len, words(figure))) < 60
    other = figures.pair_grid(long, columns=2, title="Copies")
    assert other.get_suptitle() == "Copies"
    assert picture(other).shape != picture(figure).shape


@pytest.mark.parametrize(("given", "columns"), [([], 3), (pairs(1), 0)])
def test_bad_input_is_refused(given, columns):
    with pytest.raises(ValueError, match="at least one pair and one column. Received: "):
        figures.pair_grid(given, columns=columns)
