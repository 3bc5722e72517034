"""Searches: each trial as a line through its settings, and which setting matters."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.figures.bars import named_bars
from lib.figures.colours import BLUE, GREY, VERMILLION
from lib.figures.style import need, need_columns, need_each, new_figure, percent_axis, shorten, styled

MOST_AXES = 9  # settings that stand beside each other on a page
APART = 0.05  # how far lines through one value are spread, as a share of the axis


@styled
def trial_lines(
    trials: pd.DataFrame, *, choices: Mapping[str, Sequence], title: str = "The trials, setting by setting"
) -> Figure:
    """Each trial as a line through the values of its settings (parallel coordinates), its colour the accuracy.

    The best trial is drawn thick. Lines through the same value are spread a little, or one would hide the other.

    Args:
        trials: one row per trial: trial (its number), val_accuracy in [0, 1], NaN where it failed, and a column per
            setting, NaN where a trial does not have it.
        choices: setting -> its values in the order of the axis; of more than nine the first nine are drawn.
    """
    need_each(choices=choices)
    names = list(choices)[:MOST_AXES]
    need_columns(trials, ["trial", "val_accuracy", *names])
    # of equal ones the first trial counts as the best
    drawn = trials.dropna(subset="val_accuracy").sort_values(["val_accuracy", "trial"], ascending=[True, False])
    need(not drawn.empty, "at least one trial must have an accuracy", "none")
    accuracy = drawn["val_accuracy"].to_numpy(float)
    colours = Normalize(accuracy.min(), accuracy.max() + 1e-9)
    figure = new_figure(3.9, title=title)
    axes = figure.add_subplot()
    x = np.arange(len(names) + 1)
    spread = np.linspace(-APART, APART, len(drawn)) if len(drawn) > 1 else np.zeros(1)
    for number, (_, trial) in enumerate(drawn.iterrows()):
        best = number == len(drawn) - 1
        heights = [_height(trial[name], choices[name]) + spread[number] for name in names]
        heights.append((accuracy[number] - accuracy.min()) / (np.ptp(accuracy) or 1))
        colour = VERMILLION if best else colormaps["viridis"](colours(accuracy[number]))
        look = {"linewidth": 2.4 if best else 1.0, "alpha": 1.0 if best else 0.75, "zorder": 3 if best else 2}
        axes.plot(x, heights, color=colour, label=f"best: trial {int(trial['trial'])}" if best else None, **look)
    for place, name in enumerate(names):
        axes.axvline(place, color=GREY, linewidth=0.8, zorder=1)
        for value in choices[name]:
            text = {"fontsize": 7, "ha": "right", "va": "center", "zorder": 4}
            text |= {"bbox": {"color": "white", "alpha": 0.7, "pad": 0.6, "linewidth": 0}}
            axes.text(place - 0.04, _height(value, choices[name]), shorten(_text(value), 12), **text)
    axes.axvline(len(names), color=GREY, linewidth=0.8, zorder=1)
    labels = [name.rpartition(".")[2].replace("_", " ") for name in names]
    axes.set_xticks(x, [*(label.replace(" ", "\n", 1) for label in labels), "val\naccuracy"])
    axes.tick_params(axis="x", length=0)
    axes.set(yticks=[], xlim=(-0.5, len(names) + 0.1), ylim=(-0.12, 1.12))
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(ScalarMappable(colours, "viridis"), ax=axes, pad=0.01, aspect=30)
    bar.set_label("Val accuracy (%)")
    percent_axis(bar.ax.yaxis)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12))
    return figure


def _height(value: object, values: Sequence) -> float:
    """The place of a value on its axis, in [0, 1]; NaN where a trial does not have the setting."""
    places = [place for place, other in enumerate(values) if other == value]
    return places[0] / max(1, len(values) - 1) if places else np.nan


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, (bool, np.bool_)) else str(value)


@styled
def importance_bars(frame: pd.DataFrame, *, title: str = "Which setting matters") -> Figure:
    """How much each setting decides of the accuracy of a trial, the most important first.

    Args:
        frame: setting, importance and spread, as `evaluation.setting_importance` gives.
    """
    need_columns(frame, ["setting", "importance", "spread"])
    need(len(frame) > 0, "frame must have a row", "none")
    figure = new_figure(1.0 + 0.24 * len(frame), title=title)
    axes = figure.add_subplot()
    values = frame["importance"].to_numpy(float)
    named_bars(axes, list(frame["setting"]), values, spread=frame["spread"].to_numpy(float), colour=BLUE)
    axes.set(
        xlabel="What a forest errs more (fall of R²) once the setting is shuffled", xlim=(min(0, values.min()), None)
    )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.grid(True, axis="x")
    return figure
