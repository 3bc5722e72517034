"""Figures of searches: what is drawn of trials and settings, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from lib import figures

CHOICES = {"family": ("residual", "conv_blocks"), "model.width": (8, 16, 32), "model.shortcuts": (True, False)}
TRIALS = pd.DataFrame(
    {
        "trial": [0, 1, 2],
        "val_accuracy": [0.3, 0.6, np.nan],
        "family": ["residual", "conv_blocks", "residual"],
        "model.width": [8, 32, 16],
        "model.shortcuts": [True, np.nan, False],
    }
)


def test_each_scored_trial_is_a_line_through_its_settings_and_the_best_is_named():
    axes = figures.trial_lines(TRIALS, choices=CHOICES).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == len(CHOICES) + 1]
    assert len(lines) == 2, "a trial without an accuracy is not drawn"
    worst, best = (line.get_ydata() for line in lines)
    assert best[-1] == 1 and worst[-1] == 0
    assert round(worst[0]) == 0 and round(best[0]) == 1 and round(best[1]) == 1 and round(worst[1]) == 0
    assert np.isnan(best[2]), "a setting that a trial does not have breaks its line"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["best: trial 1"]


def test_of_equal_trials_the_first_is_the_best():
    axes = figures.trial_lines(TRIALS.assign(val_accuracy=0.5), choices=CHOICES).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["best: trial 0"]


def test_importances_are_bars_in_their_order():
    frame = pd.DataFrame({"setting": ["width", "rate"], "importance": [0.8, 0.1], "spread": [0.1, 0.02]})
    axes = figures.importance_bars(frame).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["width", "rate"]
    assert [bar.get_width() for bar in axes.patches] == [0.8, 0.1]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="accuracy"):
        figures.trial_lines(TRIALS.assign(val_accuracy=np.nan), choices=CHOICES)
    with pytest.raises(ValueError, match="model.width"):
        figures.trial_lines(TRIALS.drop(columns="model.width"), choices=CHOICES)
    with pytest.raises(ValueError, match="row"):
        figures.importance_bars(pd.DataFrame(columns=["setting", "importance", "spread"]))
