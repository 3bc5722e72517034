"""Figures of hand-written training and of regularisation: drawn without a warning, titled, inside their frame."""

import functools
import inspect

import numpy as np
import pandas as pd
import pytest
from figure_rules import assert_fits, picture, words
from matplotlib import pyplot

from lib import figures

LONG = "an experiment whose name is far too long to be shown $x_1$"


def history(epochs=5, start=0.2):
    epoch = np.arange(1, epochs + 1)
    columns = {"epoch": epoch, "seconds": 0.5, "updates": 100 * epoch}
    return pd.DataFrame(columns | {"val_accuracy": start + 0.1 * np.log(epoch)})


def accuracies():
    columns = {"name": ["small batches", "full batch", "best on val"], "accuracy": [0.884, 0.61, 0.891]}
    return pd.DataFrame(columns | {"low": [0.878, 0.6, 0.885], "high": [0.89, 0.62, 0.897]})


def twin():
    steps = np.arange(1, 21)
    losses = 2.3 - 0.05 * steps
    return pd.DataFrame({"step": steps, "by_hand": losses, "keras": losses, "difference": np.where(steps % 2, 0, 2e-7)})


def speed():
    routes = ["eager steps", "graph of an epoch", "Keras fit"]
    rows = [(route, size, speed * size) for size in (32, 512) for speed, route in enumerate(routes, start=1)]
    return pd.DataFrame(rows, columns=["route", "batch_size", "images_per_second"])


def gap():
    names = ["four_layers", LONG, "four_l2"]
    rows = [(group, name, 1.0, 0.0, 0.9, 0.01) for group in ("four layers", "five layers") for name in names]
    return pd.DataFrame(rows, columns=["group", "experiment", "train_mean", "train_spread", "val_mean", "val_spread"])


def rates(diverged=(0, 3)):
    rows = [
        (variant, rate, np.nan if lost == 3 else 0.8, 0.75, 0.85, lost)
        for variant in ("plain", "batch_norm")
        for rate, lost in zip((0.1, 1.0), diverged, strict=True)
    ]
    return pd.DataFrame(rows, columns=["variant", "learning_rate", "mean", "low", "high", "diverged"])


def steps():
    step = np.arange(1, 31)
    columns = {"step": step, "corrected": 1 / step, "uncorrected": 3 / step, "ratio": np.sqrt(step)}
    return pd.DataFrame(columns | {"corrected_loss": 2 / step, "uncorrected_loss": 3 / step})


CALLS = {
    "progress_curves": (({"32 at 0.01": history(), LONG: history(2), "all at 0.01": history(1)},), {}),
    "reference_dots": ((accuracies(),), {"references": {"MLP 256-128-100": 0.8833}}),
    "twin_losses": ((twin(),), {"limit": 1e-5}),
    "speed_bars": ((speed(),), {}),
    "gap_dots": ((gap(),), {}),
    "rate_curves": ((rates(),), {"chance": 0.1}),
    "first_steps": ((steps(),), {}),
}
OPTIONS = [
    ("progress_curves", {"dashed": "all at 0.01"}),
    ("reference_dots", {"references": {"MLP 256-128-64": 0.9}}),
    ("twin_losses", {"limit": 1e-4}),
    ("rate_curves", {"chance": 0.5}),
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
    modules = {"lib.figures.low_level", "lib.figures.regularisation"}
    assert sorted(CALLS) == sorted(name for name in figures.__all__ if getattr(figures, name).__module__ in modules)


@pytest.mark.parametrize("name", CALLS)
def test_figures_have_a_title_and_labels_and_fit_a_page(name):
    figure, _ = usual(name)
    default = inspect.signature(getattr(figures, name)).parameters["title"].default
    assert default and figure.get_suptitle() == default
    assert figure.get_figwidth() == 6.5 and figure.get_figheight() <= 9.3
    assert all(axes.get_xlabel() for axes in figure.axes)
    assert figure.axes[0].get_ylabel()
    assert_fits(figure)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=[f"{name}-{list(options)[0]}" for name, options in OPTIONS])
def test_every_option_changes_the_picture(name, options):
    before, after = usual(name)[1], picture(draw(name, **options))
    assert before.shape != after.shape or not np.array_equal(before, after)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "progress_curves"])
def test_a_table_without_rows_or_columns_is_refused(name):
    (frame,), needed = CALLS[name]
    with pytest.raises(ValueError, match="the table must have"):
        getattr(figures, name)(frame[frame.columns[:-1]], **needed)
    with pytest.raises(ValueError, match="at least one row"):
        getattr(figures, name)(frame[:0], **needed)


def test_curves_need_trainings_and_a_dashed_one_among_them():
    with pytest.raises(ValueError, match="dashed must be None or one of none"):
        figures.progress_curves({})
    with pytest.raises(ValueError, match="dashed must be None or one of a. Received: 'b'"):
        figures.progress_curves({"a": history()}, dashed="b")
    with pytest.raises(ValueError, match="the table must have the columns epoch, seconds, updates, val_accuracy"):
        figures.progress_curves({"a": history().drop(columns="updates")})


def test_seconds_are_added_up_over_the_epochs():
    figure = figures.progress_curves({"a": history(4)})
    by_epoch, by_second, by_update = (axes.lines[0].get_xdata() for axes in figure.axes)
    assert list(by_epoch) == [1, 2, 3, 4]
    assert list(by_second) == [0.5, 1, 1.5, 2] and list(by_update) == [100, 200, 300, 400]


def test_trainings_that_diverged_are_marked_and_explained():
    assert "diverged" in words(draw("rate_curves")) and "diverged" not in words(
        figures.rate_curves(rates((0, 0)), chance=0.1)
    )


def test_the_gap_is_written_in_points():
    assert words(draw("gap_dots")).count("10.0") == 6
