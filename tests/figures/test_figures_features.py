"""Figures of features, units and filters: drawn without a warning, titled, inside their frame; options show."""

import functools
import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from figure_rules import assert_fits, picture, words
from matplotlib import pyplot

from lib import figures
from lib.explain.network.receptive_field import Patch

RNG = np.random.default_rng(0)
LONG = "a block name that is far too long to be shown in full $x_1$"
IMAGE = RNG.integers(0, 256, (16, 20, 3), dtype=np.uint8)


def map_rows():
    maps = RNG.normal(size=(8, 8, 5)).astype(np.float32)
    flat = np.zeros((2, 2, 2), np.float32)
    return [
        ("Stem", maps, [7, 0, 123, 4, 5], 128),
        (LONG, maps[:4, :4, :3], [1, 2, 3], 3),
        ("silent", flat, [0, 9], 10),
    ]


def summary():
    columns = {"block": ["Stem", "Block_64", LONG], "height": [32, 16, 8], "channels": [8, 16, 32]}
    columns |= {"receptive_field": [3.0, 11.0, np.nan], "mean": [0.3, -0.1, 0.0]}
    return pd.DataFrame({**columns, "silent": [0.5, 0.25, 1.0], "dead": [0.0, 0.0, 0.125]})


def found(gated=False):
    one = {"channels": 64, "value": 3.14159, "gated": gated}
    return [
        SimpleNamespace(layer="Stem", channel=3, row=1, column=2, map=np.eye(8), patch=Patch(2, 3, 5, 4), **one),
        SimpleNamespace(
            layer=LONG, channel=63, row=0, column=0, map=-np.ones((1, 1)), patch=Patch(0, 0, 16, 20), **one
        ),
        SimpleNamespace(layer="blind", channel=0, row=0, column=0, map=np.eye(2), patch=Patch(0, 0, 0, 0), **one),
    ]


def image_rows():
    parts = [IMAGE, IMAGE[:3, :3], IMAGE[:2], np.zeros((0, 0, 3))]
    return [("Stem\nchannel 3", parts, ["cup\n3.1", f"{LONG}\n2", "key\n1", "key\n0"]), (LONG, parts[:2], ["1", "0"])]


def ladder_rows():
    return [
        ("Stem, channel 3", [IMAGE] * 3, [9.1, 0.0, 11.3], [0.5, 0.0, 9.6]),
        (LONG, [IMAGE] * 3, [1, 2, 3], [1, 1, 3]),
    ]


def pairs(whole=True):
    slices = RNG.normal(size=(3, 2, 3, 3)).astype(np.float32)
    return SimpleNamespace(
        channels=np.array([5, 0, 31]),
        total=32,
        colours=RNG.normal(size=(3, 3, 3, 3)).astype(np.float32) if whole else None,
        slices=slices,
        inputs=np.array([[0, 2], [1, 0], [2, 1]]),
        shares=np.full((3, 2), 0.4),
        maps=np.concatenate([RNG.normal(size=(2, 8, 8, 2)), np.zeros((2, 8, 8, 1))], axis=3),
    )


CALLS = {
    "feature_map_rows": ((IMAGE, map_rows()), {}),
    "feature_depth": ((summary(),), {}),
    "max_feature_columns": ((IMAGE, found()), {}),
    "max_image_rows": ((image_rows(),), {}),
    "maximised_ladder": ((ladder_rows(), ["pixels", "+ waves", "+ moves"]), {}),
    "activation_curves": (({"pixels": np.arange(20.0).reshape(10, 2), "+ moves": np.ones((5, 3))},), {}),
    "filter_rows": ((pairs(), [IMAGE, IMAGE]), {}),
}
OPTIONS = [
    ("feature_map_rows", {"overlay": True}),
    ("max_feature_columns", {"names": ["a", "b", "c"]}),
    ("max_image_rows", {"notes": ["sees 3 pixels", "sees 9 pixels"]}),
    ("max_image_rows", {"made": [IMAGE, IMAGE]}),
    *((name, {"title": "Another title"}) for name in CALLS),
]


def draw(name, **options):
    arguments, needed = CALLS[name]
    return getattr(figures, name)(*arguments, **{**needed, **options})


@functools.cache
def usual(name):
    figure = draw(name)
    return figure, picture(figure).copy()


def test_every_figure_of_these_modules_is_tested_here():
    modules = {"lib.figures.features", "lib.figures.filters", "lib.figures.units"}
    assert sorted(CALLS) == sorted(n for n in figures.__all__ if getattr(figures, n).__module__ in modules)


@pytest.mark.parametrize("name", CALLS)
def test_figures_have_a_title_and_fit_a_page(name):
    figure, _ = usual(name)
    default = inspect.signature(getattr(figures, name)).parameters["title"].default
    assert default and figure.get_suptitle() == default
    assert figure.get_figwidth() == 6.5 and figure.get_figheight() <= 9.3
    assert_fits(figure)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=[f"{name}-{list(options)[0]}" for name, options in OPTIONS])
def test_every_option_changes_the_picture(name, options):
    figure = draw(name, **options)
    before, after = usual(name)[1], picture(figure)
    assert before.shape != after.shape or not np.array_equal(before, after)
    assert_fits(figure)


def test_every_option_is_listed_above():
    for name, (arguments, _) in CALLS.items():
        parameters = list(inspect.signature(getattr(figures, name)).parameters)[len(arguments) :]
        assert set(parameters) == {option for other, options in OPTIONS if other == name for option in options}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.feature_map_rows(IMAGE, []), "needs rows of maps"),
        (lambda: figures.feature_map_rows(IMAGE, [("a", np.ones((2, 2, 3)), [1, 2], 4)]), r"\('a', \(2, 2, 3\), 2\)"),
        (lambda: figures.feature_depth(summary().drop(columns="dead")), "must have the columns block, .*dead"),
        (lambda: figures.feature_depth(summary()[:0]), "at least one row"),
        (lambda: figures.max_feature_columns(IMAGE, []), "at least one feature"),
        (lambda: figures.max_feature_columns(IMAGE, found(), names=["a"]), "3 features, 1 names"),
        (lambda: figures.max_image_rows([]), "0 rows"),
        (lambda: figures.max_image_rows([("a", [IMAGE], [])]), "a text an image"),
        (lambda: figures.max_image_rows(image_rows(), notes=["a"]), "2 rows, 1 notes"),
        (lambda: figures.max_image_rows(image_rows(), made=[IMAGE]), "1 made images"),
        (lambda: figures.maximised_ladder([], ["a"]), "0 units, 1 recipes"),
        (lambda: figures.maximised_ladder(ladder_rows(), ["a"]), r"lengths \[3\]"),
        (lambda: figures.activation_curves({}), "needs curves"),
        (lambda: figures.activation_curves({"a": np.ones(3)}), r"\{'a': \(3,\)\}"),
        (lambda: figures.filter_rows(pairs(), [IMAGE]), "2 maps each, 1 images"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_feature_map_rows_say_channels_and_counts():
    figure, _ = usual("feature_map_rows")
    shown = words(figure)
    assert "5 of 128 channels\n8 × 8 positions\nhighest" in " ".join(shown)
    assert {"7", "0", "123", "zero or below", "highest activation of the row", "image"} <= set(shown)
    assert sum(len(axes.get_images()) for axes in figure.axes) == 1 + 5 + 3 + 2


def test_maps_are_black_where_silent_and_brightest_at_the_top():
    maps = np.array([[[-5.0], [0.0]], [[2.0], [4.0]]])
    figure = figures.feature_map_rows(IMAGE, [("a", maps, [0], 1)])
    (pixels,) = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_title(loc="left") == "0"]
    assert np.array_equal(pixels[0, 0], pixels[0, 1]) and pixels[0, 0].max() < 10
    assert pixels[1, 0].sum() < pixels[1, 1].sum()


def test_an_overlay_shows_the_grey_image_where_a_map_is_silent():
    maps = np.zeros((2, 2, 1))
    maps[0, 0] = 1
    figure = figures.feature_map_rows(np.full((8, 8, 3), 200), [("a", maps, [0], 1)], overlay=True)
    (pixels,) = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_title(loc="left") == "0"]
    assert pixels.shape == (8, 8, 3) and pixels[7, 7].tolist() == [200, 200, 200] and pixels[0, 0].tolist() != [200] * 3


def test_depth_shows_every_measure_and_a_question_mark_for_what_is_not_known():
    figure, _ = usual("feature_depth")
    assert len(figure.axes) == 6 and {"?", "50", "12.5", "Dead channels (%)", "Channels"} <= set(words(figure))


def test_max_features_show_the_patch_and_what_it_holds():
    figure, _ = usual("max_feature_columns")
    assert {"5 × 4 pixels", "highest 3.14", "nothing", "0 × 0 pixels"} <= set(words(figure))
    frame = figure.axes[0].patches[-1]
    assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (2.5, 1.5, 4, 5)
    assert "beside gates" not in " ".join(words(figure))
    gated = figures.max_feature_columns(IMAGE, found(gated=True))
    assert "beside gates" in " ".join(words(gated))


def test_max_images_say_what_stands_above_them():
    assert "above each its class and activation" in " ".join(words(usual("max_image_rows")[0]))
    plain = figures.max_image_rows([("Stem", [IMAGE], ["3.1"])])
    assert "above each its activation" in " ".join(words(plain))


def test_ladder_says_what_is_left_after_moves_and_never_divides_by_nothing():
    shown = words(usual("maximised_ladder")[0])
    assert "reaches 9.1\nmoved: 0.5 (5 %)" in shown and "reaches 0\nmoved: 0" in shown


def test_filters_name_their_inputs_and_colours_only_where_they_read_pixels():
    first, deeper = words(usual("filter_rows")[0]), words(figures.filter_rows(pairs(whole=False), [IMAGE, IMAGE]))
    assert {"filter 31", "grey is zero", "red: 40 %", "blue: 40 %"} <= set(first)
    assert "input 2: 40 %" in deeper and "grey is zero" not in deeper


def test_one_small_filter_and_one_image_fit():
    small = pairs(whole=False)
    for name in ("channels", "slices", "inputs", "shares"):
        setattr(small, name, getattr(small, name)[:1])
    small.slices, small.inputs, small.shares = small.slices[:, :1], small.inputs[:, :1], small.shares[:, :1]
    small.maps = small.maps[:1, ..., :1]
    assert_fits(figures.filter_rows(small, [IMAGE]))


def test_one_map_and_one_block_fit():
    assert_fits(figures.feature_map_rows(IMAGE, [("a", np.ones((2, 2, 1)), [0], 1)], overlay=True))
    assert_fits(figures.max_feature_columns(IMAGE, found()[:1]))
