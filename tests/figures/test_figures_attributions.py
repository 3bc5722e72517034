"""Figures of attribution maps and their scores: they fit a page, say what they show, and mark failures in words."""

import functools
import inspect

import matplotlib
import numpy as np
import pandas as pd
import pytest
from figure_rules import assert_fits, picture, words
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.text import Text

from lib.explain.methods import METHODS
from lib.figures import attributions, explanation_scores

RNG = np.random.default_rng(0)
DRAWN = ["gradient", "gradient_x_input", "grad_cam_plus_plus", "rise"]  # few, for drawing is slow
LONG = "a class name that is far too long 100 %\nis another one that is far too long"


def maps(count=3, methods=DRAWN):
    rng = np.random.default_rng(1)
    made = {name: rng.random((count, 16, 16)) for name in methods}
    made["rise"] = np.zeros((count, 16, 16))
    return made


IMAGES = RNG.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
MASKS = np.zeros((3, 16, 16), bool)
MASKS[0, 4:9, 5:12] = True
NAMES = ["cup 95 %", "✗ key 60 %\nis cup", LONG]
DEPTHS = ["as trained", "logits", "Block_64", "all"]
VERDICTS = {name: (name == "rise", "hardly changes: fails") for name in DRAWN}


def scores():
    rows = [(name, 0.9 - 0.05 * number) for number, name in enumerate([*METHODS, "centre", "contrast", "random"])]
    frame = pd.DataFrame(rows, columns=["method", "hit"]).assign(energy=lambda frame: frame["hit"] / 2, images=48)
    for measure in ("hit", "energy"):
        frame[f"{measure}_low"], frame[f"{measure}_high"] = frame[measure] - 0.06, frame[measure] + 0.04
    return frame


FRACTIONS = np.linspace(0, 1, 9)
CURVES = {name: 1 - FRACTIONS ** (1 / (n + 1)) for n, name in enumerate([*METHODS, "centre", "contrast", "random"])}
RISING = {name: 1 - curve for name, curve in CURVES.items()}
SIMILARITY = {name: [1, 0.9 - 0.1 * n, 0.8 - 0.1 * n, 0.7 - 0.1 * n] for n, name in enumerate(METHODS)}

CALLS = {
    "attribution_grid": lambda **options: attributions.attribution_grid(
        IMAGES, maps(), **{"names": NAMES, "masks": MASKS, **options}
    ),
    "randomisation_maps": lambda **options: attributions.randomisation_maps(
        IMAGES[0], maps(4), **{"depths": DEPTHS, "verdicts": VERDICTS, **options}
    ),
    "pointing_game_bars": lambda **options: explanation_scores.pointing_game_bars(scores(), **options),
    "deletion_insertion_curves": lambda **options: explanation_scores.deletion_insertion_curves(
        FRACTIONS, CURVES, RISING, **options
    ),
    "randomisation_curves": lambda **options: explanation_scores.randomisation_curves(
        SIMILARITY, **{"depths": DEPTHS, "limit": 0.5, **options}
    ),
}


def draw(name: str, **options) -> Figure:
    return CALLS[name](**options)


@functools.cache
def usual(name: str) -> tuple[Figure, np.ndarray]:
    """The figure without options and its pixels, drawn once for all tests."""
    figure = draw(name)
    return figure, picture(figure).copy()


@pytest.mark.parametrize("name", CALLS)
def test_figures_have_a_title_fit_a_page_and_leave_nothing_open(name):
    figure, _ = usual(name)
    function = getattr(attributions, name, None) or getattr(explanation_scores, name)
    assert figure.get_suptitle() == inspect.signature(function).parameters["title"].default
    assert figure.get_figwidth() == 6.5 and figure.get_figheight() <= 9.3
    assert_fits(figure)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("attribution_grid", {"overlay": True}),
        ("attribution_grid", {"masks": None}),
        ("attribution_grid", {"names": ["a", "b", "c"]}),
        ("randomisation_maps", {"depths": ["a", "b", "c", "d"]}),
        ("randomisation_maps", {"verdicts": dict.fromkeys(DRAWN, (False, "changes"))}),
        ("randomisation_curves", {"limit": 0.1}),
        ("randomisation_curves", {"depths": ["a", "b", "c", "d"]}),
        *((name, {"title": "Another title"}) for name in CALLS),
    ],
)
def test_every_option_changes_the_picture(name, options):
    before, after = usual(name)[1], picture(draw(name, **options))
    assert before.shape != after.shape or not np.array_equal(before, after)


@pytest.mark.parametrize("name", CALLS)
def test_figures_repeat_and_ignore_the_callers_style(name):
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "image.cmap": "jet"}):
        figure = draw(name)
    assert np.array_equal(picture(figure), usual(name)[1])


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_the_grid_fits_a_page_with_few_and_many_images(count):
    images = np.repeat(IMAGES[:1], count, axis=0)
    figure = attributions.attribution_grid(images, maps(count, METHODS), names=[LONG] * count)
    assert figure.get_figheight() <= 9.3
    places = [axes.get_position() for axes in figure.axes]
    assert min(place.x0 for place in places) > 0 and max(place.x1 for place in places) < 1


def test_maps_are_named_marked_and_said_to_be_empty():
    figure, _ = usual("attribution_grid")
    shown = words(figure)
    assert {"gradient ×\ninput", "Grad-CAM++", "image", "no weight"} <= set(shown)
    assert shown.count("empty") == 3  # RISE's maps
    crosses = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "+"]
    assert len(crosses) == 3 * (len(DRAWN) - 1)


def test_the_strongest_pixel_is_marked_where_it_is():
    heat = np.zeros((8, 8))
    heat[2, 5] = 1
    axes = Figure().add_subplot()
    attributions.draw_map(axes, heat)
    (cross,) = axes.lines
    assert cross.get_xydata().tolist() == [[5, 2]]
    unmarked = Figure().add_subplot()
    attributions.draw_map(unmarked, heat, mark=False)
    assert not unmarked.lines


def test_methods_that_fail_are_marked_in_words_and_colour():
    figure, _ = usual("randomisation_maps")
    shown = [text for text in figure.findobj(Text) if "fails" in text.get_text()]
    weights = [text.get_fontweight() for text in shown]
    assert weights.count("bold") == sum(failed for failed, _ in VERDICTS.values())
    labels = [text for text in words(usual("randomisation_curves")[0]) if text.endswith("fails")]
    assert labels == ["gradient 0.80, fails", "gradient × input 0.70, fails", "SmoothGrad 0.60, fails"]


def test_bars_are_sorted_with_baselines_as_lines():
    left, right = draw("pointing_game_bars").axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[0] == "gradient" and names[-1] == "RISE" and len(names) == len(METHODS)
    assert [round(line.get_xdata()[0], 2) for line in left.lines if line.get_linestyle() in ("--", "-.", ":")] == [
        0.45,
        0.4,
        0.35,
    ]
    assert "48 images" in left.get_xlabel() and "%" in right.get_xlabel()
    shuffled = scores().sample(frac=1, random_state=0)
    again = explanation_scores.pointing_game_bars(shuffled).axes[0]
    assert [label.get_text() for label in again.get_yticklabels()] == names


def test_curves_say_which_way_is_better():
    left, right = draw("deletion_insertion_curves").axes
    assert left.get_title(loc="left").endswith("lower is better")
    assert right.get_title(loc="left").endswith("higher is better")


def test_an_unknown_method_is_shown_under_its_own_name():
    assert attributions.method_title("my_own_method") == "my own method"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attributions.attribution_grid([], maps(), names=[]), "0 images"),
        (lambda: attributions.attribution_grid(IMAGES, {}, names=NAMES), "0 methods"),
        (lambda: attributions.attribution_grid(IMAGES, maps(), names=["a"]), r"numbers \[1, 3\]"),
        (lambda: attributions.attribution_grid(IMAGES, maps(), names=NAMES, masks=MASKS[:2]), r"numbers \[2, 3\]"),
        (lambda: attributions.draw_map(Figure().add_subplot(), np.full((2, 2), 1.5)), r"values in \[0, 1\]"),
        (lambda: attributions.draw_map(Figure().add_subplot(), np.full((2, 2), np.nan)), r"values in \[0, 1\]"),
        (lambda: draw("randomisation_maps", depths=["a"]), "4 methods, 1 depths"),
        (lambda: draw("randomisation_maps", verdicts={}), "not matching: gradient"),
        (lambda: explanation_scores.pointing_game_bars(scores()[-3:]), "baselines only"),
        (lambda: explanation_scores.pointing_game_bars(scores().drop(columns="hit_low")), "must have the columns"),
        (lambda: explanation_scores.deletion_insertion_curves(FRACTIONS, CURVES, {}), "the same methods"),
        (lambda: explanation_scores.deletion_insertion_curves([0, 1], CURVES, RISING), "2 fractions"),
        (lambda: draw("randomisation_curves", depths=["a"]), "1 depths"),
    ],
)
def test_bad_input_is_refused_with_the_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()
