"""Rows of images with names: what stands where, what is cut, what is marked."""

import numpy as np
import pandas as pd
import pytest
from figure_calls import (
    DRAWN,
    GREY,
    IMAGE,
    IMAGES,
    LONG,
    METHODS,
    PAIRS,
    ROWS,
    SQUARES,
    TALL,
    TRUE,
    VERDICTS,
    WIDE,
    draw,
    filter_pairs,
    max_features,
    usual,
)
from figure_rules import assert_fits, words
from matplotlib.text import Text

from lib import figures


def heads(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def pixels(figure, head):
    (found,) = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_title(loc="left") == head]
    return found


def test_sample_grid_shows_each_image_in_a_square_with_its_title_in_its_own_colours():
    figure, _ = usual("sample_grid")
    assert len(figure.axes) == 5 and all(len(axes.get_images()) == 1 for axes in figure.axes)
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.width == pytest.approx(box.height)
    assert heads(figure)[:2] == ["cat", "dog"]
    grey, _, floats, *_ = figure.axes
    assert grey.get_images()[0].get_clim() == (0, 255)
    assert floats.get_images()[0].get_array().max() == 40


def test_names_may_come_from_a_table():
    names = pd.Series(TRUE, index=range(10, 15))
    assert len(figures.sample_grid(IMAGES, names).axes) == 5
    assert len(figures.before_after_grid(ROWS, names.to_numpy()).axes) == 7
    figure = figures.predictions_grid(IMAGES, names, predicted_names=names, confidences=pd.Series(np.ones(5)))
    assert heads(figure)[0] == "✓ cat 100 %"


def test_before_after_grid_has_a_name_per_row_and_a_title_per_column():
    figure, _ = usual("before_after_grid")
    assert sum(len(axes.get_images()) for axes in figure.axes) == 7
    assert {"original", "a", "b", "c", "d"} <= set(words(figure))
    short_first = figures.before_after_grid(ROWS[::-1], list("abcde"))
    assert sum(len(axes.get_images()) for axes in short_first.axes) == 7 and "e" in words(short_first)


def test_many_rows_still_fit_a_page():
    figure = figures.before_after_grid([(f"row {number}", SQUARES) for number in range(20)])
    assert figure.get_figheight() <= 9.3
    assert len({round(axes.get_position().width, 6) for axes in figure.axes}) == 1


def test_predictions_grid_tells_right_from_wrong_in_words_and_colour():
    figure, _ = usual("predictions_grid")
    first, second, *_ = figure.axes
    assert heads(figure)[:2] == ["✓ cat 100 %", "✗ cat 50 %\nis dog"]
    assert first.spines["top"].get_edgecolor() != second.spines["top"].get_edgecolor()
    wrong, share, truth = draw("predictions_grid", columns=8).axes[2].get_title(loc="left").split("\n")
    assert (wrong, share) == ("✗ dog", "12 %") and truth.startswith("is a cl") and truth.endswith("…")
    names = ["umbrella", "bicycle"] * 3  # in narrow columns a name has a line to itself, and is whole
    whole = draw("predictions_grid", [WIDE] * 6, names, predicted_names=names[::-1], confidences=[0.5] * 6, columns=7)
    assert heads(whole)[:2] == ["✗ bicycle\n50 %\nis umbrella", "✗ umbrella\n50 %\nis bicycle"]
    narrow = draw("predictions_grid", predicted_names=[LONG] * 5)
    assert heads(narrow)[0].split("\n")[0].endswith("… 100 %")  # the name is cut, the number never


def test_pair_grid_shows_every_pair_with_its_text_the_two_close_together():
    for count in (1, 12):
        figure = figures.pair_grid((PAIRS * 3)[:count], columns=3)
        assert len(figure.axes) == 2 * count and heads(figure)[::2] == [text for *_, text in (PAIRS * 3)[:count]]
        assert figure.get_figheight() <= 9.3
        assert_fits(figure)
    boxes = [axes.get_position() for axes in figure.axes]
    within, between = boxes[1].x0 - boxes[0].x1, boxes[2].x0 - boxes[1].x1
    assert 0 <= within < between


def test_long_texts_of_pairs_are_cut():
    figure = figures.pair_grid([(WIDE, TALL, "a text that is far too long to stand above two small images " * 3)] * 4)
    assert_fits(figure)
    assert max(map(len, words(figure))) < 60


def test_the_grid_of_maps_fits_a_page_with_few_and_many_images():
    for count in (1, 2, 12):
        images, maps = np.repeat(SQUARES[:1], count, axis=0), {name: np.ones((count, 16, 16)) for name in METHODS}
        figure = figures.attribution_grid(images, maps, names=[LONG] * count)
        assert figure.get_figheight() <= 9.3
        places = [axes.get_position() for axes in figure.axes]
        assert min(place.x0 for place in places) > 0 and max(place.x1 for place in places) < 1


def test_maps_are_named_marked_and_said_to_be_empty():
    figure, _ = usual("attribution_grid")
    shown = words(figure)
    assert {"gradient × input", "Grad-CAM++", "image", "no weight"} <= set(shown)
    assert shown.count("empty") == 3  # RISE's maps
    crosses = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "+"]
    assert len(crosses) == 3 * (len(DRAWN) - 1)


def test_the_strongest_pixel_is_marked_where_it_is():
    heat = np.zeros((1, 16, 16))
    heat[0, 2, 5] = 1
    figure = figures.attribution_grid(SQUARES[:1], {"gradient": heat}, names=["cup"])
    (cross,) = figure.axes[1].lines
    assert cross.get_xydata().tolist() == [[5, 2]]


def test_methods_that_fail_are_marked_in_words_and_colour():
    figure, _ = usual("randomisation_maps")
    weights = [text.get_fontweight() for text in figure.findobj(Text) if "fails" in text.get_text()]
    assert weights.count("bold") == sum(failed for failed, _ in VERDICTS.values())
    assert heads(figure)[:5] == ["image", "as\ntrained", "down to\nlogits", "down to\nBlock_64", "all\nweights"]


def test_feature_map_rows_say_channels_and_counts():
    figure, _ = usual("feature_map_rows")
    shown = words(figure)
    assert "5 of 128 channels\n8 × 8 positions\nhighest" in " ".join(shown)
    assert {"7", "0", "123", "zero or below", "highest activation of the row", "image"} <= set(shown)
    assert sum(len(axes.get_images()) for axes in figure.axes) == 1 + 5 + 3 + 2
    assert_fits(figures.feature_map_rows(IMAGE, [("a", np.ones((2, 2, 1)), [0], 1)], overlay=True))


def test_maps_are_black_where_silent_and_brightest_at_the_top():
    maps = np.array([[[-5.0], [0.0]], [[2.0], [4.0]]])
    drawn = pixels(figures.feature_map_rows(IMAGE, [("a", maps, [0], 1)]), "0")
    assert np.array_equal(drawn[0, 0], drawn[0, 1]) and drawn[0, 0].max() < 10
    assert drawn[1, 0].sum() < drawn[1, 1].sum()


def test_an_overlay_shows_the_grey_image_where_a_map_is_silent():
    maps = np.zeros((2, 2, 1))
    maps[0, 0] = 1
    drawn = pixels(figures.feature_map_rows(np.full((8, 8, 3), 200), [("a", maps, [0], 1)], overlay=True), "0")
    assert drawn.shape == (8, 8, 3) and drawn[7, 7].tolist() == [200, 200, 200] and drawn[0, 0].tolist() != [200] * 3


def test_max_features_show_the_patch_and_what_it_holds():
    figure, _ = usual("max_feature_columns")
    assert {"5 × 4 pixels", "highest 3.14", "nothing", "0 × 0 pixels"} <= set(words(figure))
    frame = figure.axes[0].patches[-1]
    assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (2.5, 1.5, 4, 5)
    assert "beside gates" not in " ".join(words(figure))
    one_gated = figures.max_feature_columns(IMAGE, max_features(gated=True)[:1])
    assert "beside gates" in " ".join(words(one_gated))
    assert_fits(one_gated)


def test_max_images_say_what_stands_above_them():
    assert "above each its class and activation" in " ".join(words(usual("max_image_rows")[0]))
    plain = figures.max_image_rows([("Stem", [IMAGE], ["3.1"])])
    assert "above each its activation" in " ".join(words(plain))


def test_ladder_says_what_is_left_after_moves_and_never_divides_by_nothing():
    shown = words(usual("maximised_ladder")[0])
    assert "pixels\nreaches 9.1\nmoved: 0.5 (5 %)" in shown and "+ waves\nreaches 0\nmoved: 0" in shown
    assert "reaches 2\nmoved: 1 (50 %)" in shown


def test_filters_name_their_inputs_and_colours_only_where_they_read_pixels():
    shown = set(words(usual("filter_rows")[0]))
    assert {"filter 31", "grey is zero", "red: 40 %", "blue: 40 %", "0 to 0"} <= shown
    one = figures.filter_rows(filter_pairs(filters=1, slices=1, images=1, whole=False), [GREY])
    assert "input 0: 40 %" in words(one) and "grey is zero" not in words(one)
    assert_fits(one)
