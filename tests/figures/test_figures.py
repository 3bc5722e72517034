"""Every figure: drawn without a warning, titled, labelled, inside its frame; every option changes the picture."""

import inspect

import matplotlib
import numpy as np
import pandas as pd
import pytest
from figure_calls import (
    BASELINES,
    BLOCKS,
    CALLS,
    DEPTHS,
    DRAWN,
    FALLING,
    FRACTIONS,
    IMAGE,
    IMAGES,
    MASKS,
    PAIRS,
    RISING,
    ROWS,
    SIMILARITY,
    SQUARES,
    TRUE,
    costs,
    depth_summary,
    difficulty,
    draw,
    experiments,
    filter_pairs,
    histories,
    history,
    image_rows,
    ladder_rows,
    map_pairs,
    maps,
    max_features,
    progress,
    scores,
    usual,
)
from figure_rules import assert_fits, picture
from matplotlib import pyplot

from lib import figures

OPTIONS = [
    ("attribution_grid", {"overlay": True}),
    ("attribution_grid", {"masks": MASKS}),
    ("accuracy_over_minutes", {"label": "Minutes"}),
    ("before_after_grid", {"title": "Another title"}),
    ("class_counts", {"title": "Another title"}),
    ("accuracy_and_seconds", {"step": "Layer"}),
    ("class_gains", {"sides": ("before", "after")}),
    ("embedding", {"class_names": [f"other {number}" for number in range(10)]}),
    ("experiment_bars", {"baseline": "base"}),
    ("feature_map_rows", {"overlay": True}),
    ("learning_curves", {"metrics": ["accuracy"]}),
    ("learning_curves", {"baseline": "experiment_0"}),
    ("max_feature_columns", {"names": ["a", "b", "c"]}),
    ("max_image_rows", {"notes": ["sees 3 pixels", "sees 9 pixels"]}),
    ("model_graph", {"opened": "head"}),
    ("network_strips", {"title": "Another title"}),
    ("pair_grid", {"columns": 2}),
    ("predictions_grid", {"columns": 3}),
    ("progress_curves", {"dashed": "all at 0.01"}),
    ("randomisation_curves", {"limit": 0.1}),
    ("randomisation_maps", {"verdicts": dict.fromkeys(DRAWN, (False, "changes"))}),
    ("rate_curves", {"chance": 0.5}),
    ("reference_dots", {"references": {"MLP 256-128-64": 0.9}}),
    ("sample_grid", {"columns": 3}),
    ("twin_losses", {"limit": 1e-4}),
]
LABELS = {
    "accuracy_against_cost": {"Training time (minutes)", "Parameters", "Val accuracy (%)"},
    "accuracy_and_seconds": {"Image size (pixels)", "Val accuracy (%)\nwith 95 % interval", "Seconds\nin all"},
    "accuracy_over_minutes": {"Minutes since the start, features counted", "Val accuracy (%)"},
    "class_gains": {"Recall (%); number: the gain in points", "Class"},
    "class_counts": {"Images", "Class", "Rank of the class"},
    "class_difficulty": {"Nearest to own class mean (%)", "Class", "Rank of the class"},
    "confusion": {"Predicted class", "True class", "Share of the true class (%)"},
    "experiment_bars": {"Val accuracy (%); mean over n seeds, line: standard deviation", "Experiment"},
    "first_steps": {"Step", "Mean step (learning rates)", "Uncorrected over corrected step", "Loss (nats)"},
    "gap_dots": {"Accuracy (%); number: the gap", "Experiment"},
    "image_sizes": {"Width (pixels)", "Height (pixels)", "Width : height", "Images"},
    "learning_curves": {"Epoch", "Loss (nats)", "Accuracy (%)"},
    "per_class_bars": {"Recall (%)", "Class", "Rank of the class"},
    "progress_curves": {"Epochs", "Seconds of training", "Updates of the weights", "Val accuracy (%)"},
    "rate_curves": {"Learning rate", "Val accuracy (%)"},
    "reference_dots": {"Test accuracy (%)", "Network"},
    "reliability": {"Confidence: highest probability (%)", "Accuracy (%)", "Images"},
    "speed_bars": {"Images a second", "Route"},
    "twin_losses": {"Step", "Loss (nats)", "Difference (nats)"},
}
TABLES = [name for name, (arguments, _) in CALLS.items() if isinstance(arguments[0], pd.DataFrame)]


def test_every_figure_has_a_call():
    assert sorted(CALLS) == [name for name in figures.__all__ if not name.startswith("method_")]


@pytest.mark.parametrize("name", CALLS)
def test_figures_have_a_title_and_labels_fit_a_page_and_leave_their_inputs(name):
    frames = [(value, value.copy()) for value in CALLS[name][0] if isinstance(value, (pd.DataFrame, np.ndarray))]
    figure, _ = usual(name)
    default = inspect.signature(getattr(figures, name)).parameters["title"].default
    assert default and figure.get_suptitle() == default
    assert figure.get_figwidth() == 6.5 and figure.get_figheight() <= 9.3
    assert_fits(figure)
    shown = {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())}
    assert LABELS.get(name, set()) <= shown
    for value, before in frames:
        assert value.equals(before) if isinstance(value, pd.DataFrame) else np.array_equal(value, before)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", sorted({name for name, _ in OPTIONS}))
def test_every_option_changes_the_picture(name):
    for options in [options for other, options in OPTIONS if other == name]:
        figure = draw(name, **options)
        before, after = usual(name)[1], picture(figure)
        assert before.shape != after.shape or not np.array_equal(before, after)
        assert_fits(figure)


def test_every_option_is_listed_above():
    for name, (arguments, needed) in CALLS.items():
        parameters = set(list(inspect.signature(getattr(figures, name)).parameters)[len(arguments) :])
        listed = {option for other, options in OPTIONS if other == name for option in options}
        many = {"blocks"} if name == "confusion" else set()  # they show above 25 classes: see test_charts
        assert parameters - listed - set(needed) <= {"title"} | many, name


def test_figures_repeat_and_ignore_the_callers_style():
    assert all(hasattr(getattr(figures, name), "__wrapped__") for name in CALLS)  # by `style.styled`
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "axes.grid": True, "image.cmap": "jet"}):
        before = dict(matplotlib.rcParams)
        drawn = {name: draw(name) for name in ("confusion", "learning_curves", "sample_grid")}
        assert dict(matplotlib.rcParams) == before
    for name, figure in drawn.items():
        assert np.array_equal(picture(figure), usual(name)[1])


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_or_columns_is_refused(name):
    frame = CALLS[name][0][0]
    with pytest.raises(ValueError, match="the table must have the columns .* Received: other"):
        draw(name, pd.DataFrame({"other": [1]}))
    with pytest.raises(ValueError, match="at least one row"):
        draw(name, frame[:0])


REFUSED = [
    ("accuracy_against_cost", (costs()[3:],), {}, "at least one row with val_accuracy"),
    ("accuracy_over_minutes", ({},), {}, "0 curves"),
    ("accuracy_over_minutes", ({"a": pd.DataFrame({"minutes": [0], "accuracy": [1]})},), {}, "positive. Received: 0"),
    ("accuracy_over_minutes", ({"a": pd.DataFrame({"minutes": [1]})},), {}, "the columns minutes, accuracy"),
    ("class_gains", (["a"], [0.5, 0.5], [1.0]), {}, "1 names, 2 before, 1 after"),
    ("class_gains", (["a"], [np.nan], [1.0]), {}, "a recall on both sides"),
    ("embedding", (np.zeros((2, 2)), [0]), {}, "2 points, 1 labels"),
    ("attribution_grid", ([], maps()), {"names": []}, "0 images"),
    ("attribution_grid", (SQUARES, {}), {}, "0 methods"),
    ("attribution_grid", (SQUARES, maps()), {"names": ["a"]}, "3 images, 1 names, 3 masks"),
    ("attribution_grid", (SQUARES, maps()), {"masks": MASKS[:2]}, "the same number of each. Received: 3 .* 2 masks"),
    ("attribution_grid", (SQUARES[:1], {"rise": np.full((1, 2, 2), 1.5)}), {"names": ["a"]}, r"values in \[0, 1\]"),
    ("attribution_grid", (SQUARES[:1], {"rise": np.full((1, 2, 2), np.nan)}), {"names": ["a"]}, r"values in \[0, 1\]"),
    ("before_after_grid", ([],), {}, "columns, column_titles: at least one is needed"),
    ("before_after_grid", (ROWS, ["one"]), {}, "5 columns, 1 column_titles"),
    ("class_difficulty", (difficulty(1),), {}, "one class must have a value"),
    ("confusion", (np.zeros((2, 3)), ["a", "b"]), {}, r"square matrix.*\(2, 3\)"),
    ("confusion", (np.zeros((2, 2)), ["a"]), {}, "1 names"),
    ("deletion_insertion_curves", (FRACTIONS, FALLING, {}), {}, "need the same methods"),
    ("deletion_insertion_curves", ([0, 1], FALLING, RISING), {}, "2 fractions"),
    ("experiment_bars", (experiments(),), {"baseline": "x"}, "baseline must be one of base"),
    ("feature_depth", (depth_summary().drop(columns="dead"),), {}, "must have the columns block, .*dead"),
    ("feature_map_rows", (IMAGE, []), {}, "rows: at least one is needed"),
    ("feature_map_rows", (IMAGE, [("a", np.ones((2, 2, 3)), [1, 2], 4)]), {}, r"\('a', \(2, 2, 3\), 2\)"),
    ("filter_map_pairs", (map_pairs(), ["a", "b", "c"]), {}, "each layer needs a pair per name"),
    ("filter_rows", (filter_pairs(), [IMAGE]), {}, "2 maps, 1 images"),
    ("image_sizes", ([1, 2], [1]), {}, "one each per image, at least one. Received: 2 and 1"),
    ("image_sizes", ([0], [1]), {}, "must be positive"),
    ("image_sizes", ([], []), {}, "at least one. Received: 0 and 0"),
    ("learning_curves", ({},), {}, "needs experiments"),
    ("learning_curves", (histories(),), {"metrics": ["speed"]}, "among loss, accuracy"),
    ("learning_curves", (histories(),), {"baseline": "x"}, "baseline='x'"),
    ("learning_curves", ({"a": history().drop(columns="val_loss")},), {}, "epoch, loss, accuracy, val_loss"),
    ("max_feature_columns", (IMAGE, []), {}, "0 features, 0 names"),
    ("max_feature_columns", (IMAGE, max_features()), {"names": ["a"]}, "3 features, 1 names"),
    ("max_image_rows", ([],), {}, "0 rows"),
    ("max_image_rows", ([("a", [IMAGE], [])],), {}, "each image needs a text"),
    ("max_image_rows", (image_rows(),), {"notes": ["a"]}, "2 rows, 1 notes"),
    ("maximised_ladder", ([], ["a"]), {}, "units: at least one is needed. Received: 0"),
    ("maximised_ladder", (ladder_rows(), ["a"]), {}, "1 recipes, 3 images"),
    ("model_graph", (BLOCKS,), {"opened": "x"}, "image, Block_32, head. Received: 'x'"),
    ("network_strips", ({},), {}, "networks: at least one is needed. Received: 0"),
    ("pair_grid", ([],), {}, "pairs: at least one is needed. Received: 0"),
    ("pair_grid", (PAIRS,), {"columns": 0}, "columns must be at least 1. Received: 0"),
    ("pointing_game_bars", (scores()[-len(BASELINES) :],), {}, "baselines only"),
    ("predictions_grid", (IMAGES, TRUE), {"predicted_names": ["a"], "confidences": [1]}, "5 true_names, 1 pred"),
    ("progress_curves", ({},), {}, "dashed must be None or one of none"),
    ("progress_curves", ({"a": progress()},), {"dashed": "b"}, "None or one of a. Received: 'b'"),
    ("progress_curves", ({"a": progress().drop(columns="updates")},), {}, "columns epoch, seconds, updates, val_acc"),
    ("randomisation_curves", (SIMILARITY,), {"depths": ["a"]}, "1 depths"),
    ("randomisation_maps", (SQUARES[0], maps(4)), {"depths": DEPTHS[:1]}, "4 methods, 1 depths"),
    ("randomisation_maps", (SQUARES[0], maps(4)), {"verdicts": {}}, "need a verdict each. Received: none"),
    ("sample_grid", ([], []), {}, "at least one is needed"),
    ("sample_grid", (IMAGES, ["one"]), {}, "5 images, 1 titles"),
    ("sample_grid", (IMAGES,), {"columns": 0}, "columns must be at least 1"),
    ("sample_grid", ([np.zeros((4, 4, 2))],), {}, r"Received: \(4, 4, 2\)"),
]


def test_bad_input_is_refused_with_the_rule():
    for name, arguments, options, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            draw(name, *arguments, **options)
