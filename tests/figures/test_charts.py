"""Bars, dots, curves, matrices and the graph of a model: what they show of their numbers, by hand."""

import numpy as np
import pandas as pd
import pytest
from figure_calls import (
    DRAWN,
    LONG,
    METHODS,
    class_names,
    counts,
    difficulty,
    draw,
    experiments,
    histories,
    history,
    matrix,
    progress,
    rates,
    results,
    scores,
    usual,
)
from figure_rules import assert_fits, picture, words

from lib import figures


def tick_names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


# --- bars


def test_class_counts_stays_readable_from_one_class_to_hundreds():
    for classes, panels in ((1, 1), (30, 1), (31, 3), (257, 3)):
        figure = figures.class_counts(counts(classes))
        assert len(figure.axes) == panels
        assert_fits(figure)


def test_class_counts_are_sorted_and_written_out():
    (axes,) = figures.class_counts(pd.DataFrame({"class_name": ["a"] + ["b"] * 1200})).axes
    assert [patch.get_width() for patch in axes.patches] == [1200, 1]
    assert [text.get_text() for text in axes.texts] == ["1,200", "1"]
    assert tick_names(axes) == ["b", "a"]


def test_long_names_are_cut_and_dollar_signs_kept():
    shown = words(figures.class_counts(pd.DataFrame({"class_name": [LONG, "cash $5 or $6"]})))
    assert "cash $5 or $6" in shown and "a class name that is…" in shown


def test_class_difficulty_says_what_it_leaves_out():
    figure = figures.class_difficulty(difficulty(12))
    assert figure.axes[0].get_xlabel() == "Nearest to own class mean (%); 1 class without a value left out"
    assert words(figure).count("0 (n=0)") == 1


def test_per_class_bars_name_the_best_and_the_worst():
    figure, _ = usual("per_class_bars")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["All 40 classes", "The 10 best", "The 10 worst"]
    assert [len(axes.patches) for axes in figure.axes] == [40, 10, 10]
    assert len(figures.per_class_bars(results(12)).axes) == 1


def test_experiment_bars_are_sorted_with_error_bars_only_for_several_seeds():
    (axes,) = figures.experiment_bars(experiments(), baseline="base").axes
    names = tick_names(axes)
    assert names[0] == "best (n=2)" and names[2:] == ["base (n=3)", "broken (n=0)"]
    (errors,) = axes.containers[1][2]
    assert [len(line) == 2 for line in errors.get_segments()] == [True, False, True, False]
    assert [text.get_text() for text in axes.texts] == ["90.0", "70.0", "60.0", "did not finish"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["base"]


def test_experiment_bars_when_nothing_finished():
    assert_fits(figures.experiment_bars(experiments()[2:3]))


def test_bars_of_methods_are_sorted_with_baselines_as_lines():
    left, right = usual("pointing_game_bars")[0].axes
    names = tick_names(left)
    assert names[0] == "gradient" and names[-1] == "RISE" and len(names) == len(METHODS)
    lines = [line.get_xdata()[0] for line in left.lines if line.get_linestyle() in ("--", "-.", ":")]
    assert lines == pytest.approx([0.45, 0.4, 0.35])
    assert "48 images" in left.get_xlabel() and "%" in right.get_xlabel()
    again = figures.pointing_game_bars(scores().sample(frac=1, random_state=0)).axes[0]
    assert tick_names(again) == names


def test_speeds_are_written_out_and_a_route_that_was_not_timed_stays_empty():
    table = pd.DataFrame({"route": ["eager", "Keras", "eager"], "batch_size": [32, 32, 64]})
    first, second = figures.speed_bars(table.assign(images_per_second=[1234.0, 2.0, 3.0])).axes
    assert [text.get_text() for text in first.texts] == ["1,234", "2"]
    assert [text.get_text() for text in second.texts] == ["3", ""] and tick_names(first) == ["eager", "Keras"]


def test_depth_shows_every_measure_and_a_question_mark_for_what_is_not_known():
    figure, _ = usual("feature_depth")
    assert len(figure.axes) == 6 and {"?", "50", "12.5", "Dead channels (%)", "Channels"} <= set(words(figure))


# --- dots


def test_image_sizes_counts_images_and_sizes():
    left, right = usual("image_sizes")[0].axes
    assert left.get_title(loc="left").startswith("4 images, 3 sizes")
    assert sum(patch.get_height() for patch in right.patches) == 4
    one_size = figures.image_sizes([32] * 5, [32] * 5)
    assert_fits(one_size)
    assert "32" in words(one_size)


def test_accuracy_against_cost_averages_seeds_and_leaves_failures_out():
    left, right = usual("accuracy_against_cost")[0].axes
    points = [collection.get_offsets().data[0].tolist() for collection in left.collections]
    assert points == [[9.0, 0.8], pytest.approx([2.0, 0.6])]
    assert right.get_xscale() == "log"


def test_accuracy_against_cost_joins_the_best_at_each_cost():
    frame = pd.DataFrame({"experiment": list("abc"), "val_accuracy": [0.5, 0.4, 0.9], "minutes": [1.0, 2.0, 3.0]})
    left, _ = figures.accuracy_against_cost(frame.assign(parameters=1000)).axes
    (line,) = left.lines
    assert line.get_xdata().tolist() == [1.0, 3.0] and line.get_ydata().tolist() == [0.5, 0.9]


def test_accuracy_against_cost_of_many_experiments():
    columns = {"experiment": class_names(20), "val_accuracy": np.linspace(0.2, 0.9, 20), "minutes": np.zeros(20)}
    assert_fits(figures.accuracy_against_cost(pd.DataFrame(columns).assign(parameters=range(100, 2100, 100))))


def test_the_gap_is_written_in_points():
    assert words(usual("gap_dots")[0]).count("10.0") == 6


# --- curves


def test_learning_curves_have_a_panel_per_experiment_and_metric_and_fit_a_page():
    for count, panels in ((1, 2), (8, 16), (12, 24)):
        figure = figures.learning_curves(histories(count))
        assert len(figure.axes) == panels
        if count == 8:
            assert_fits(figure)


def test_learning_curves_average_seeds_and_show_their_range():
    figure = figures.learning_curves({"a": history(seeds=3)}, metrics=["accuracy"])
    (axes,) = figure.axes
    train, val = axes.lines
    assert train.get_ydata()[-1] == pytest.approx(0.82) and val.get_ydata()[-1] == pytest.approx(0.72)
    band = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert band.min() < 0.1 and band.max() == pytest.approx(0.74)
    assert axes.get_title(loc="left") == "a\nbest val 72.0 %"
    assert "lowest to highest seed" in words(figure)


def test_learning_curves_share_their_limits_and_repeat_the_baseline():
    figure = figures.learning_curves(histories(), metrics=["accuracy"], baseline="experiment_0")
    assert len({axes.get_ylim() for axes in figure.axes}) == len({axes.get_xlim() for axes in figure.axes}) == 1
    assert [len(axes.lines) for axes in figure.axes] == [2, 3, 3, 3]
    assert "val of experiment_0" in words(figure)


def test_learning_curves_of_one_epoch_show_points():
    figure = figures.learning_curves({"a": history(epochs=1)})
    assert all(line.get_marker() == "o" for axes in figure.axes for line in axes.lines)
    assert [[tick for tick in axes.get_xticks() if 0.5 <= tick <= 1.5] for axes in figure.axes] == [[1.0], [1.0]]


def test_learning_curves_survive_a_loss_that_is_not_a_number():
    figure = figures.learning_curves({"broken": history().assign(loss=np.nan, val_loss=np.inf)})
    assert figure.axes[0].get_title(loc="left") == "broken\nno finite value"
    picture(figure)


def test_stopping_curves_mark_the_lowest_mean_and_the_last_epoch():
    losses = [3.0, 1.0, 2.0, 1.2, 1.1, 1.5, 1.6]  # means from the third epoch on: 2, 1.4, 1.43, 1.27, 1.4
    table = pd.DataFrame({"epoch": range(1, 8), "val_loss": losses})
    figure = figures.stopping_curves({"long": table, "short": table.head(2)}, window=3)
    long, short = figure.axes
    assert long.get_title(loc="left") == "long\nlowest 6, last 7" and [len(axes.lines) for axes in figure.axes] == [
        4,
        4,
    ]
    np.testing.assert_allclose(long.lines[1].get_ydata()[2:], [2, 1.4, 4.3 / 3, 3.8 / 3, 1.4])
    assert np.isnan(long.lines[1].get_ydata()[:2]).all()
    assert short.get_title(loc="left") == "short\nlowest 2, last 2" and short.lines[0].get_marker() == "o"
    assert_fits(figures.stopping_curves({f"v{number}": table for number in range(8)}, window=3))


def test_seconds_are_added_up_over_the_epochs():
    axes = figures.progress_curves({"a": progress(4)}).axes
    by_epoch, by_second, by_update = (list(panel.lines[0].get_xdata()) for panel in axes)
    assert by_epoch == [1, 2, 3, 4] and by_second == [0.5, 1, 1.5, 2] and by_update == [100, 200, 300, 400]


def test_trainings_that_diverged_are_marked_and_explained():
    assert "diverged" in words(usual("rate_curves")[0])
    assert "diverged" not in words(figures.rate_curves(rates((0, 0)), chance=0.1))


def test_curves_of_methods_say_which_way_is_better_and_which_method_fails():
    left, right = usual("deletion_insertion_curves")[0].axes
    assert left.get_title(loc="left").endswith("lower is better")
    assert right.get_title(loc="left").endswith("higher is better")
    labels = [text for text in words(usual("randomisation_curves")[0]) if text.endswith("fails")]
    assert labels == ["gradient 0.80, fails", "gradient × input 0.70, fails", "SmoothGrad 0.60, fails"]


def test_a_method_has_its_title_and_colour_in_every_figure_whatever_is_drawn_beside_it():
    assert figures.method_title("grad_cam") == "Grad-CAM" and figures.method_title("my_own") == "my own"
    assert len({figures.method_colour(name) for name in METHODS}) == len(METHODS)
    few = draw("randomisation_curves", {name: [1, 0.5, 0.4, 0.3] for name in DRAWN[1:]})
    drawn = [line.get_color() for line in few.axes[0].lines[1:]]
    assert drawn == [figures.method_colour(name) for name in DRAWN[1:]]


# --- predictions


def test_confusion_stays_readable_at_any_number_of_classes():
    for classes, panels in ((2, 2), (25, 2), (26, 3), (101, 3)):
        figure = figures.confusion(matrix(classes), class_names(classes))
        assert len(figure.axes) == panels  # one is the colour bar
        assert_fits(figure)


def test_confusion_of_many_classes_is_sorted_into_blocks_with_names():
    counts = matrix(101)
    blocks = [(f"group {start}", range(start, min(start + 5, 101))) for start in range(0, 101, 5)]
    figure = figures.confusion(counts, class_names(101), blocks=blocks[::-1])
    upper = figure.axes[0]
    assert_fits(figure)
    assert tick_names(upper) == [f"group {start}" for start in range(95, -1, -5)]  # one class alone has no name
    assert [patch.get_xy() for patch in upper.patches][:2] == [(0.5, 0.5), (5.5, 5.5)]
    order = [100, *(place for start in range(95, -1, -5) for place in range(start, start + 5))]
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert np.allclose(upper.get_images()[0].get_array(), shares[np.ix_(order, order)])
    many = [(f"{place}, {place + 1}", (place, place + 1)) for place in range(0, 200, 2)]
    figure = figures.confusion(matrix(200), class_names(200), blocks=many)
    assert_fits(figure)
    assert 20 < len(tick_names(figure.axes[0])) < 60  # only where there is room
    with pytest.raises(ValueError, match="must hold each class once. Received: 100 of 101 classes"):
        figures.confusion(counts, class_names(101), blocks=blocks[:-1])


def test_confusion_writes_shares_and_leaves_zeros_empty():
    axes = figures.confusion(np.array([[3, 1], [0, 4]]), ["a", "b"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["75", "25", "100"]


def test_confusion_of_a_class_without_images_is_grey_not_zero():
    axes = figures.confusion(np.array([[3, 1], [0, 0]]), ["a", "b"]).axes[0]
    assert axes.get_images()[0].get_array().mask.tolist() == [[False, False], [True, True]]


def test_confusion_enlarges_the_classes_with_the_most_mistakes():
    table = 9 * np.eye(40, dtype=int)
    table[7, 31], table[3, 4] = 5, 2
    right = figures.confusion(table, class_names(40)).axes[1]
    assert tick_names(right) == ["class-007", "class-031", "class-003", "class-004"]
    without = figures.confusion(np.eye(40, dtype=int), class_names(40))
    assert "No class was taken for another." in words(without)


def test_reliability_bars_and_gaps_by_hand():
    columns = {"low": [0.0, 0.5], "high": [0.5, 1.0], "images": [2, 8], "confidence": [0.4, 0.9]}
    upper, lower = figures.reliability(pd.DataFrame({**columns, "accuracy": [0.5, 0.6]})).axes
    accuracy, gap = upper.containers
    assert [bar.get_height() for bar in accuracy] == [0.5, 0.6]
    assert [bar.get_height() for bar in gap] == pytest.approx([-0.1, 0.3])
    assert [bar.get_height() for bar in lower.patches] == [2, 8]


# --- graph of a model


def test_model_graph_shows_every_block_and_the_layers_of_one():
    shown = words(usual("model_graph")[0])
    assert {"image", "Block_32", "head", "inside Block_32", "batch norm", "relu"} <= set(shown)
    assert "32 × 32 × 32   12,345 parameters" in shown and "64 × 64 × 3   no parameters" in shown
    assert "dense" not in shown and "dense" in words(draw("model_graph", opened="head"))


def test_network_strips_name_blocks_layers_and_shapes_inside_their_boxes():
    own = [("image", ["image"], (None, 64, 64, 3), 0)]
    own += [(f"Block_{i}", ["padding", "conv", "norm", "relu", "max"], (64, 64, 512), 5_000) for i in range(10)]
    own += [("channels_first", ["channels_first"], (256, 1, 1), 0), ("Block_384", ["conv"] * 10, (4, 4, 384), 99)]
    for count in (1, 14):  # 14 networks of two rows are more than a page holds, and are drawn smaller
        figure = figures.network_strips({f"v{number}, v{number + 1}": own for number in range(count)})
        assert figure.get_figheight() <= 9.3
        assert_fits(figure)
        shown = {*words(figure)}
        assert {"v0, v1: 50,099 parameters", "image", "64 × 64 × 3", "10 layers\n4 × 4 × 384"} <= shown
        assert "padding conv\nnorm relu max\n64 × 64 × 512" in shown
        axes, renderer = figure.axes[0], figure.canvas.get_renderer()
        boxes = [box.get_window_extent(renderer) for box in axes.patches]
        assert len(boxes) == count * len(own)
        for text in (text for text in axes.texts if "parameters" not in text.get_text()):
            extent = text.get_window_extent(renderer)
            ends = [(extent.x0, extent.y0), (extent.x1, extent.y1)]
            assert any(all(box.contains(*end) for end in ends) for box in boxes), text.get_text()


def test_model_graph_of_many_blocks_fits_a_page():
    blocks = [(f"Block_{i}", ["conv"] * 9, (8, 8, 8), i) for i in range(18)]
    figure = figures.model_graph(blocks, opened="Block_17")
    assert figure.get_figheight() <= 9.3
    assert_fits(figure)
