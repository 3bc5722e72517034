"""Every figure: drawn without a warning, titled, labelled, inside its frame; every option changes the picture."""

import functools
import inspect
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from figure_rules import assert_fits, picture, words
from matplotlib import pyplot
from matplotlib.figure import Figure

from lib import evaluation, figures

RNG = np.random.default_rng(0)
LONG = "a class name that is far too long to be shown in full anywhere $x_1$"
GREY = np.full((20, 30), 90, np.uint8)
WIDE = np.full((10, 200, 3), (200, 30, 30), np.uint8)
TALL = np.full((200, 10, 3), 40.4)
IMAGES = [GREY, WIDE, TALL, RNG.integers(0, 256, (8, 8, 1), dtype=np.uint8), np.zeros((1, 1, 3), np.uint8)]


def class_names(count):
    return [LONG, *(f"class-{i:03d}" for i in range(1, count))]


def counts(classes=12):
    return pd.DataFrame({"class_name": np.repeat(class_names(classes), np.arange(classes) % 7 + 1)})


def difficulty(classes=12):
    shares = np.linspace(0, 1, classes)
    shares[-1] = np.nan
    return pd.DataFrame({"class_name": class_names(classes), "images": range(classes), "accuracy": shares})


def predictions(classes=12):
    labels = np.arange(6 * classes) % classes
    logits = RNG.normal(size=(len(labels), classes)) + 3 * np.eye(classes)[labels]
    weights = np.exp(logits)
    return labels, weights / weights.sum(axis=1, keepdims=True)


def matrix(classes=12):
    return evaluation.confusion_matrix(*predictions(classes))


def results(classes=12):
    return evaluation.per_class(*predictions(classes), class_names=class_names(classes))


def bins():
    return evaluation.reliability_bins(*predictions())


def history(*, epochs=6, seeds=1, best=0.8):
    tables = []
    for seed in range(seeds):
        epoch = np.arange(1, epochs + 1)
        accuracy = best * epoch / epochs + 0.02 * seed
        columns = {"epoch": epoch, "accuracy": accuracy, "val_accuracy": accuracy - 0.1}
        tables.append(pd.DataFrame({**columns, "loss": 2 - accuracy, "val_loss": 2.2 - accuracy}))
    return pd.concat(tables)


def histories(count=4):
    return {f"experiment_{i}": history(seeds=1 + i % 2, best=0.5 + 0.02 * i) for i in range(count)}


def experiments():
    columns = {"experiment": ["base", LONG, "broken", "best"], "mean": [0.6, 0.7, np.nan, 0.9]}
    return pd.DataFrame({**columns, "spread": [0.02, 0.0, 0.0, 0.1], "n": [3, 1, 0, 2]})


def costs():
    columns = {"experiment": ["base", "base", LONG, "broken"], "val_accuracy": [0.5, 0.7, 0.8, np.nan]}
    return pd.DataFrame({**columns, "minutes": [1.0, 3.0, 9.0, 1.0], "parameters": [1e4, 1e4, 2e6, np.nan]})


BLOCKS = [
    ("image", [], (None, 64, 64, 3), 0),
    ("Block_32", ["conv 3 × 3, 32 filters", "batch norm", "relu", LONG], (None, 32, 32, 32), 12_345),
    ("head", ["global average pooling", "dense"], (None, 10), 330),
]
TRUE, PREDICTED = ["cat", "dog", LONG, "cat", "cat"], ["cat", "cat", "dog", "cat", "emu"]
PREDICTIONS = {"predicted_names": PREDICTED, "confidences": [1, 0.5, 0.123, 0, 0.99]}
ROWS = [("original", IMAGES), (LONG, IMAGES[:2])]

# name -> (positional arguments, keyword arguments that the function needs)
CALLS = {
    "class_counts": ((counts(40),), {}),
    "image_sizes": (([80, 8000, 300, 300], [100, 200, 200, 200]), {}),
    "sample_grid": ((IMAGES, TRUE), {}),
    "before_after_grid": ((ROWS, ["a", "b", "c", "d", LONG]), {}),
    "class_difficulty": ((difficulty(40),), {}),
    "learning_curves": ((histories(2),), {}),
    "experiment_bars": ((experiments(),), {}),
    "accuracy_against_cost": ((costs(),), {}),
    "confusion": ((matrix(), class_names(12)), {}),
    "predictions_grid": ((IMAGES, TRUE), PREDICTIONS),
    "per_class_bars": ((results(40),), {}),
    "reliability": ((bins(),), {}),
    "model_graph": ((BLOCKS,), {"opened": "Block_32"}),
}
OPTIONS = [
    ("class_counts", {"k": 5}),
    ("sample_grid", {"columns": 3}),
    ("class_difficulty", {"k": 5}),
    ("learning_curves", {"metrics": ["accuracy"]}),
    ("learning_curves", {"baseline": "experiment_0"}),
    ("experiment_bars", {"baseline": "base"}),
    ("experiment_bars", {"label": "Test accuracy (%)"}),
    ("confusion", {"normalise": False}),
    ("predictions_grid", {"columns": 3}),
    ("per_class_bars", {"k": 5}),
    ("per_class_bars", {"measure": "precision"}),
    ("model_graph", {"opened": "head"}),
    *((name, {"title": "Another title"}) for name in CALLS),
]


def draw(name, **options) -> Figure:
    arguments, needed = CALLS[name]
    return getattr(figures, name)(*arguments, **{**needed, **options})


@functools.cache
def usual(name: str) -> tuple[Figure, np.ndarray]:
    """The figure without options and its pixels, drawn once for all tests."""
    figure = draw(name)
    return figure, picture(figure).copy()


# --- all figures


def test_every_figure_is_tested_here_or_in_a_file_beside():
    others = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_figures_*.py"))
    assert set(CALLS) <= set(figures.__all__)
    assert not [name for name in figures.__all__ if name not in CALLS and not re.search(rf"\b{name}\b", others)]


@pytest.mark.parametrize("name", CALLS)
def test_figures_have_a_title_and_fit_a_page(name):
    figure, _ = usual(name)
    default = inspect.signature(getattr(figures, name)).parameters["title"].default
    assert default and figure.get_suptitle() == default
    assert figure.get_figwidth() == 6.5 and figure.get_figheight() <= 9.3
    assert_fits(figure)


@pytest.mark.parametrize(
    ("name", "options"), OPTIONS, ids=lambda value: value if isinstance(value, str) else str(value)
)
def test_every_option_changes_the_picture(name, options):
    before, after = usual(name)[1], picture(draw(name, **options))
    assert before.shape != after.shape or not np.array_equal(before, after)


def test_every_option_is_listed_above():
    for name, (arguments, _) in CALLS.items():
        parameters = list(inspect.signature(getattr(figures, name)).parameters)[len(arguments) :]
        listed = {option for other, options in OPTIONS if other == name for option in options}
        assert set(parameters) - listed <= {"predicted_names", "confidences"}, name


@pytest.mark.parametrize("name", CALLS)
def test_figures_repeat_and_ignore_the_callers_style(name):
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "axes.grid": True, "image.cmap": "jet"}):
        before = dict(matplotlib.rcParams)
        figure = draw(name)
        assert dict(matplotlib.rcParams) == before
    assert np.array_equal(picture(figure), usual(name)[1])


def test_no_figure_stays_open_in_pyplot():
    for name in CALLS:
        usual(name)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", CALLS)
def test_inputs_are_not_changed(name):
    arguments, _ = CALLS[name]
    frames = [(value, value.copy()) for value in arguments if isinstance(value, (pd.DataFrame, np.ndarray))]
    draw(name)
    for value, before in frames:
        assert value.equals(before) if isinstance(value, pd.DataFrame) else np.array_equal(value, before)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("class_counts", {"Images", "Class", "Rank of the class"}),
        ("class_difficulty", {"Nearest to own class mean (%)", "Class", "Rank of the class"}),
        ("image_sizes", {"Width (pixels)", "Height (pixels)", "Width : height", "Images"}),
        ("learning_curves", {"Epoch", "Loss (nats)", "Accuracy (%)"}),
        ("experiment_bars", {"Val accuracy (%); mean over n seeds, line: standard deviation", "Experiment"}),
        ("accuracy_against_cost", {"Training time (minutes)", "Parameters", "Val accuracy (%)"}),
        ("confusion", {"Predicted class", "True class", "Share of the true class (%)"}),
        ("per_class_bars", {"Recall (%)", "Class", "Rank of the class"}),
        ("reliability", {"Confidence: highest probability (%)", "Accuracy (%)", "Images"}),
    ],
)
def test_axes_say_what_they_show_and_in_what_unit(name, labels):
    axes = draw(name).axes
    assert labels <= {label for part in axes for label in (part.get_xlabel(), part.get_ylabel())}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: figures.class_counts(pd.DataFrame({"name": ["a"]})),
            "must have the columns class_name. Received: name",
        ),
        (lambda: figures.class_counts(pd.DataFrame({"class_name": []})), "at least one row"),
        (lambda: figures.class_counts(counts(), k=0), "k must be at least 1"),
        (lambda: figures.class_difficulty(difficulty(1)), "one class have a value"),
        (lambda: figures.image_sizes([1, 2], [1]), r"one each an image. Received: shapes \(2,\) and \(1,\)"),
        (lambda: figures.image_sizes([0], [1]), "must be positive"),
        (lambda: figures.image_sizes([], []), "must be positive"),
        (lambda: figures.sample_grid([]), "at least one image"),
        (lambda: figures.sample_grid(IMAGES, ["one"]), "5 images, 1 titles"),
        (lambda: figures.sample_grid(IMAGES, columns=0), "columns=0"),
        (lambda: figures.sample_grid([np.zeros((4, 4, 2))]), r"Received: \(4, 4, 2\)"),
        (lambda: figures.before_after_grid([]), "at least one image"),
        (lambda: figures.before_after_grid(ROWS, ["one"]), "one title a column"),
        (lambda: figures.learning_curves({}), "needs experiments"),
        (lambda: figures.learning_curves(histories(), metrics=["speed"]), "among loss, accuracy"),
        (lambda: figures.learning_curves(histories(), baseline="x"), "baseline='x'"),
        (lambda: figures.learning_curves({"a": history().drop(columns="val_loss")}), "epoch, loss, accuracy, val_loss"),
        (lambda: figures.experiment_bars(experiments(), baseline="x"), "baseline must be one of base"),
        (lambda: figures.accuracy_against_cost(costs()[3:]), "at least one row with val_accuracy"),
        (lambda: figures.confusion(np.zeros((2, 3)), ["a", "b"]), r"square matrix.*\(2, 3\)"),
        (lambda: figures.confusion(np.zeros((2, 2)), ["a"]), "1 names"),
        (lambda: figures.predictions_grid(IMAGES, TRUE, predicted_names=["a"], confidences=[1]), r"\[5, 5, 1, 1\]"),
        (lambda: figures.per_class_bars(results(), measure="speed"), "recall, precision, f1. Received: 'speed'"),
        (lambda: figures.reliability(pd.DataFrame({"low": [0]})), "low, high, images, confidence, accuracy"),
        (lambda: figures.model_graph(BLOCKS, opened="x"), "image, Block_32, head. Received: 'x'"),
    ],
)
def test_bad_input_is_refused_with_the_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- each figure


@pytest.mark.parametrize(("classes", "axes"), [(1, 1), (12, 1), (30, 1), (31, 3), (257, 3)])
def test_class_counts_stays_readable_from_one_class_to_hundreds(classes, axes):
    figure = figures.class_counts(counts(classes))
    assert len(figure.axes) == axes
    assert_fits(figure)


def test_class_counts_are_sorted_and_written_out():
    (axes,) = figures.class_counts(pd.DataFrame({"class_name": ["a"] + ["b"] * 1200})).axes
    assert [patch.get_width() for patch in axes.patches] == [1200, 1]
    assert [text.get_text() for text in axes.texts] == ["1,200", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]


def test_long_names_are_cut_and_dollar_signs_kept():
    names = pd.DataFrame({"class_name": [LONG, "cash $5 or $6"]})
    shown = words(figures.class_counts(names))
    assert "cash $5 or $6" in shown and "a class name that is…" in shown


def test_class_difficulty_says_what_it_leaves_out():
    figure = figures.class_difficulty(difficulty(12))
    assert figure.axes[0].get_xlabel() == "Nearest to own class mean (%); 1 classes without a value left out"
    assert words(figure).count("0 (n=0)") == 1


def test_image_sizes_counts_images_and_sizes():
    left, right = draw("image_sizes").axes
    assert left.get_title(loc="left").startswith("4 images, 3 sizes")
    assert sum(patch.get_height() for patch in right.patches) == 4


def test_image_sizes_of_one_size_has_an_axis():
    figure = figures.image_sizes([32] * 5, [32] * 5)
    assert_fits(figure)
    assert "32" in words(figure)


def test_sample_grid_shows_each_image_in_a_square_with_its_title():
    figure = figures.sample_grid(IMAGES, TRUE, columns=3)
    assert len(figure.axes) == 5 and all(len(axes.get_images()) == 1 for axes in figure.axes)
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.width == pytest.approx(box.height)
    assert [axes.get_title(loc="left") for axes in figure.axes][:2] == ["cat", "dog"]


def test_names_may_come_from_a_table():
    names = pd.Series(TRUE, index=range(10, 15))
    assert len(figures.sample_grid(IMAGES, names).axes) == 5
    assert len(figures.before_after_grid(ROWS, names.to_numpy()).axes) == 10
    figure = figures.predictions_grid(IMAGES, names, predicted_names=names, confidences=pd.Series(np.ones(5)))
    assert figure.axes[0].get_title(loc="left") == "✓ cat 100 %"


def test_sample_grid_draws_greyscale_and_floats_as_they_are():
    first, _, third, *_ = figures.sample_grid(IMAGES).axes
    assert first.get_images()[0].get_clim() == (0, 255)
    assert third.get_images()[0].get_array().max() == 40


def test_before_after_grid_has_a_name_a_row_and_a_title_a_column():
    figure = draw("before_after_grid")
    assert len(figure.axes) == 10 and sum(len(axes.get_images()) for axes in figure.axes) == 7
    assert {"original", "a", "b", "c", "d"} <= set(words(figure))
    assert len(figures.before_after_grid(ROWS).axes) == 10


@pytest.mark.parametrize(("count", "axes"), [(1, 2), (2, 4), (8, 16), (12, 24)])
def test_learning_curves_has_a_panel_an_experiment_and_metric(count, axes):
    assert len(figures.learning_curves(histories(count)).axes) == axes


def test_learning_curves_of_many_experiments_fit_a_page():
    assert_fits(figures.learning_curves(histories(8)))


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
    ticks = [[tick for tick in axes.get_xticks() if 0.5 <= tick <= 1.5] for axes in figure.axes]
    assert ticks == [[1.0], [1.0]]


def test_learning_curves_survive_a_loss_that_is_not_a_number():
    broken = history().assign(loss=np.nan, val_loss=np.inf)
    figure = figures.learning_curves({"broken": broken})
    assert figure.axes[0].get_title(loc="left") == "broken\nno finite value"
    picture(figure)


def test_experiment_bars_are_sorted_with_error_bars_only_for_several_seeds():
    (axes,) = figures.experiment_bars(experiments(), baseline="base").axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "best (n=2)" and names[2:] == ["base (n=3)", "broken (n=0)"]
    assert len(axes.containers) == 3 + 2  # three bars, two of them with an error bar
    assert "  did not finish" in [text.get_text() for text in axes.texts]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["baseline"]


def test_experiment_bars_when_nothing_finished():
    assert_fits(figures.experiment_bars(experiments()[2:3]))


def test_accuracy_against_cost_averages_seeds_and_leaves_failures_out():
    left, right = draw("accuracy_against_cost").axes
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
    figure = figures.accuracy_against_cost(pd.DataFrame(columns).assign(parameters=range(100, 2100, 100)))
    assert_fits(figure)


@pytest.mark.parametrize(("classes", "axes"), [(2, 2), (12, 2), (25, 2), (26, 3), (101, 3)])
@pytest.mark.parametrize("normalise", [True, False])
def test_confusion_stays_readable_at_any_number_of_classes(classes, axes, normalise):
    figure = figures.confusion(matrix(classes), class_names(classes), normalise=normalise)
    assert len(figure.axes) == axes  # one is the colour bar
    if normalise:
        assert_fits(figure)


def test_confusion_writes_shares_or_counts_and_leaves_zeros_empty():
    table = np.array([[3, 1], [0, 4]])
    shares, counted = (figures.confusion(table, ["a", "b"], normalise=option).axes[0] for option in (True, False))
    assert [text.get_text() for text in shares.texts] == ["75", "25", "100"]
    assert [text.get_text() for text in counted.texts] == ["3", "1", "4"]


def test_confusion_of_a_class_without_images_is_grey_not_zero():
    axes = figures.confusion(np.array([[3, 1], [0, 0]]), ["a", "b"]).axes[0]
    assert axes.get_images()[0].get_array().mask.tolist() == [[False, False], [True, True]]


def test_confusion_enlarges_the_classes_with_the_most_mistakes():
    table = 9 * np.eye(40, dtype=int)
    table[7, 31] = 5
    table[3, 4] = 2
    right = figures.confusion(table, class_names(40)).axes[1]
    names = [label.get_text() for label in right.get_yticklabels()]
    assert names == ["class-007", "class-031", "class-003", "class-004"]


def test_confusion_without_a_mistake_says_so():
    figure = figures.confusion(np.eye(40, dtype=int), class_names(40))
    assert "No class was taken for another." in words(figure)


def test_predictions_grid_tells_right_from_wrong_in_words_and_colour():
    first, second, *_ = draw("predictions_grid").axes
    assert first.get_title(loc="left") == "✓ cat 100 %" and second.get_title(loc="left") == "✗ cat 50 %\nis dog"
    assert first.spines["top"].get_edgecolor() != second.spines["top"].get_edgecolor()


def test_per_class_bars_name_the_best_and_the_worst():
    figure = figures.per_class_bars(results(40), k=3)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["All 40 classes", "The 3 best", "The 3 worst"]
    assert [len(axes.patches) for axes in figure.axes] == [40, 3, 3]


def test_reliability_bars_and_gaps_by_hand():
    table = pd.DataFrame(
        {"low": [0.0, 0.5], "high": [0.5, 1.0], "images": [2, 8], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.6]}
    )
    upper, lower = figures.reliability(table).axes
    accuracy, gap = upper.containers
    assert [bar.get_height() for bar in accuracy] == [0.5, 0.6]
    assert [bar.get_height() for bar in gap] == pytest.approx([-0.1, 0.3])
    assert [bar.get_height() for bar in lower.patches] == [2, 8]


def test_model_graph_shows_every_block_and_the_layers_of_one():
    shown = words(draw("model_graph"))
    assert {"image", "Block_32", "head", "inside Block_32", "batch norm", "relu"} <= set(shown)
    assert "32 × 32 × 32   12,345 parameters" in shown and "64 × 64 × 3   no parameters" in shown
    assert "dense" not in shown and "dense" in words(draw("model_graph", opened="head"))


def test_model_graph_of_many_blocks_fits_a_page():
    blocks = [(f"Block_{i}", ["conv"] * 9, (8, 8, 8), i) for i in range(18)]
    figure = figures.model_graph(blocks, opened="Block_17")
    assert figure.get_figheight() <= 9.3
    assert_fits(figure)
