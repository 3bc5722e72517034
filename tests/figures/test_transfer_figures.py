"""Figures of transfer: what they show of their numbers, with few classes and with hundreds."""

import numpy as np
import pandas as pd
from figure_calls import LONG, approaches, class_names, plane, recalls, steps, usual
from figure_rules import assert_fits, words

from lib import evaluation, figures
from lib.figures import samples
from lib.figures.transfer import _apart


def test_accuracy_over_minutes_names_each_end_and_keeps_names_apart():
    figure, _ = usual("accuracy_over_minutes")
    axes, names = figure.axes
    assert [text.get_text() for text in names.texts] == [
        "70.0  head",
        "82.0  a class name that is…",
        "69.0  from scratch",
    ]
    places = [text.get_position()[1] for text in names.texts]
    assert places[1] > places[0] > places[2] and places[0] - places[2] > 0.05
    assert axes.get_xscale() == "log"  # 0.5 minutes beside 10
    starts = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) > 1]
    assert starts == [0.5, 1]
    slow = {name: curve.assign(minutes=curve["minutes"] + 5) for name, curve in approaches().items()}
    assert figures.accuracy_over_minutes(slow).axes[0].get_xscale() == "linear"


def test_many_approaches_that_reach_the_same_fit_too():
    point = pd.DataFrame({"minutes": [1.0], "accuracy": [0.5]})
    assert_fits(figures.accuracy_over_minutes({f"approach {number}": point for number in range(20)}))
    places = np.sort(_apart([1.0] * 5 + [0.0], 0.1))
    assert np.diff(places).min() > 0.09 and places[0] == 0 and places[-1] == 1


def test_embedding_colours_all_of_few_classes_and_both_ends_of_many():
    for classes, coloured in ((2, 2), (12, 12), (13, 12), (101, 12), (200, 12)):
        figure = figures.embedding(*plane(classes), class_names=class_names(classes))
        shown = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        assert len(shown) == coloured == len(figure.axes[0].collections) - 1
        assert len({tuple(dots.get_facecolor()[0]) for dots in figure.axes[0].collections[1:]}) == coloured
        rest = 0 if classes <= 12 else 4 * (classes - 12)
        assert len(figure.axes[0].collections[0].get_offsets()) == rest
        assert_fits(figure)
    titles = [legend.get_title().get_text() for legend in figure.legends]
    assert titles == ["The 6 of 200 classes closest together", "The 6 of 200 classes most scattered"]
    assert "class-001" in shown[:6] and shown[-1][:7] == "class-1"  # scatter grows with the number


def test_embedding_says_nothing_of_classes_with_two_points():
    points, labels = plane(20)
    lonely = np.concatenate([labels, [20, 21, 21]])
    figure = figures.embedding(np.pad(points, ((0, 3), (0, 0))), lonely, class_names=class_names(22))
    named = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert len(named) == 12 and not {"class-020", "class-021"} & named


def test_steps_stand_at_their_pixels_or_in_their_order():
    upper, lower = usual("accuracy_and_seconds")[0].axes
    assert lower.lines[0].get_xdata().tolist() == [71, 96, 224] == list(lower.get_xticks())
    assert [text.get_text() for text in upper.texts] == ["50.0", "60.0", "70.0"]
    assert [text.get_text() for text in lower.texts] == ["2.2", "10", "1,234"]
    figure = figures.accuracy_and_seconds(steps(("stem", LONG, "head")), step="Layer")
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [
        "stem",
        "a class name that is fa…",
        "head",
    ]
    assert figure.axes[1].lines[0].get_xdata().tolist() == [0, 1, 2]
    assert_fits(figure)


def test_class_gains_show_both_ends_of_many_classes():
    (axes,) = usual("class_gains")[0].axes
    assert axes.get_title(loc="left") == "23 of 29 classes gain, 5 lose, 1 stay"
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "class-028" and names[-2:] == ["class-001", "a class name that is far…"] and len(names) == 20
    texts = [text.get_text() for text in axes.texts]
    assert texts[0] == "+23" and texts[19] == "\u22125" and texts[14] == "+0"
    assert texts[20] == "9 classes in between are left out"


def test_class_gains_of_few_classes_show_all():
    figure = figures.class_gains(["a", "b"], [0.5, 0.5], [0.75, 0.6])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert "transferred, worse" not in words(figure) and not any("left out" in word for word in words(figure))
    for classes in (20, 21, 200):
        assert_fits(figures.class_gains(*recalls(classes)))


def test_pictures_with_what_another_network_answers(photos):
    answers = np.array([[0.1, 0.6, 0.3, 0.0], [0.7, 0.005, 0.005, 0.29]])
    shown = samples.answered(photos, np.array([0, 17]), answers=answers, names=None)
    assert shown["titles"] == ["apple:\n60 % #1\n30 % #2\n10 % #0", "cup:\n70 % #0\n29 % #3"]
    named = samples.answered(photos, np.array([17]), answers=answers[1:], names=["ant", "bee", "cow", "dog"])
    assert named["titles"] == ["cup:\n70 % ant\n29 % dog"]
    assert_fits(figures.sample_grid(**shown))
    assert evaluation.frequent_answers([0, 2], answers, class_names=photos.class_names)["answers"][0] == "#1 100 %"
