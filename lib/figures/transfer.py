"""Transfer: accuracy over minutes, features on a plane, steps of size and depth, classes that gain and lose."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lib.figures.colours import BLUE, COLOURS, GREY, MARKERS, ORANGE, PALE, VERMILLION
from lib.figures.style import need, need_columns, need_each, new_figure, percent_axis, shorten, styled

MOST_COLOURED = 12  # classes that can be told apart on a plane
ENDS = 6  # coloured at either end where there are more
MOST_GAINS = 20  # classes whose gain is shown
FURTHER = ("#882255", "#332288", "#999933", "#661100", "#117733")  # Paul Tol's, beside the seven of all figures
LINE = 0.055  # height of a label, as a share of the axes


@styled
def accuracy_over_minutes(
    curves: Mapping[str, pd.DataFrame],
    *,
    title: str = "Accuracy over minutes, from pixels on",
    label: str = "Minutes since the start, features counted",
) -> Figure:
    """Val accuracy over the minutes since the start, one line per approach, with its name and last accuracy at its end.

    A dotted line carries each last accuracy on to the right, so that one sees when others reach it. Time is logarithmic
    where the longest approach takes more than ten times the minutes of the shortest.

    Args:
        curves: approach -> table with minutes (positive) and accuracy in [0, 1], in the order of time. One row, e.g.
            features with a head, is a point; what goes on from another one begins with its last row.
        label: of the x axis.
    """
    need_each(curves=curves)
    for curve in curves.values():
        need_columns(curve, ["minutes", "accuracy"])
        need((curve["minutes"] > 0).all(), "minutes must be positive", curve["minutes"].min())
    minutes, shares = (np.concatenate([curve[name] for curve in curves.values()]) for name in ("minutes", "accuracy"))
    last = {name: (curve["minutes"].iloc[-1], curve["accuracy"].iloc[-1]) for name, curve in curves.items()}
    logarithmic = max(end for end, _ in last.values()) > 10 * min(end for end, _ in last.values())
    figure = new_figure(max(3.4, 1.2 + 0.19 * len(curves)), title=title)
    axes, names = figure.subplots(1, 2, width_ratios=(2.6, 1))
    longest, margin = minutes.max(), max(0.03, 0.08 * np.ptp(shares))
    low, high = max(0.0, shares.min() - margin), min(1.0, shares.max() + margin)
    axes.set(xlabel=label, ylabel="Val accuracy (%)", ylim=(low, high))
    axes.set_xlim((0.8 * minutes.min(), 1.2 * longest) if logarithmic else (0, 1.04 * longest))
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True)
    percent_axis(axes.yaxis)
    names.set(xlim=(0, 1), ylim=(0, 1))
    names.set_axis_off()
    places = _apart([(share - low) / (high - low) for _, share in last.values()], LINE)
    for number, (name, curve) in enumerate(curves.items()):
        colour, (end, share) = COLOURS[number % len(COLOURS)], last[name]
        look = {"color": colour, "markersize": 3}
        axes.plot(curve["minutes"], curve["accuracy"], marker="." if len(curve) > 1 else None, **look)
        axes.plot([end], [share], marker=MARKERS[number % len(MARKERS)], color=colour, markersize=6, linestyle="none")
        axes.hlines(share, end, axes.get_xlim()[1], color=colour, linestyle=":", linewidth=0.9)
        names.plot([0, 0.1], [(share - low) / (high - low), places[number]], color=colour, linewidth=0.8)
        text = f"{100 * share:.1f}  {shorten(name, 21)}"
        names.text(0.13, places[number], text, color=colour, fontsize=7.5, va="center")
    figure.get_layout_engine().set(w_pad=0.03, wspace=0.0)
    return figure


def _apart(wanted: Sequence[float], least: float) -> list[float]:
    """Places in [0, 1] as near to the wanted ones as the least distance between them allows, in the same order."""
    order = np.argsort(wanted, kind="stable")
    places, step = np.array(wanted, float)[order], min(least, 1 / max(1, len(wanted) - 1))
    for _ in range(200):  # two that are too near give way to each other
        near = np.clip(step - np.diff(places), 0, None) / 2
        places[:-1] -= near
        places[1:] += near
        places = np.clip(places, 0, 1)
    places = np.maximum.accumulate(places)
    return list(places[np.argsort(order)])


@styled
def embedding(
    points: np.ndarray, labels: np.ndarray, *, class_names: Sequence[str], title: str = "Features on a plane"
) -> Figure:
    """Features on a plane, one dot per image; of more than 12 classes the 6 closest and the 6 most scattered in colour.

    How scattered a class is: the median distance of its points from their median; classes with fewer than three points
    are never chosen where twelve others are there.

    Args:
        points: (N, 2), as `evaluation.project` gives.
        labels: (N,) int class numbers.
        class_names: of all classes.
    """
    need_each(points=points, labels=labels)
    points, labels = np.asarray(points, float), np.asarray(labels)
    there = [int(label) for label in np.unique(labels)]
    coloured, groups = there, [("", there)]
    if len(there) > MOST_COLOURED:
        several = [label for label in there if (labels == label).sum() > 2]
        order = several if len(several) >= MOST_COLOURED else there
        order = sorted(order, key=lambda label: _scatter(points[labels == label]))
        groups = [("closest together", order[:ENDS]), ("most scattered", order[-ENDS:])]
        coloured = [label for _, some in groups for label in some]
    figure = new_figure(5.2, title=title)
    axes = figure.add_subplot()
    rest = ~np.isin(labels, coloured)
    size = float(np.clip(9000 / len(points), 5, 24))
    axes.scatter(*points[rest].T, s=0.7 * size, color=PALE, linewidths=0)
    for number, label in enumerate(coloured):
        look = {"marker": MARKERS[number % len(MARKERS)], "color": (*COLOURS, *FURTHER)[number]}
        name = shorten(class_names[label], 20)
        axes.scatter(*points[labels == label].T, s=size, label=name, alpha=0.85, linewidths=0.4, **look)
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(True)
    axes.set_xlabel("Directions and distances have no unit; what lies close is alike")
    handles, names = axes.get_legend_handles_labels()
    for place, (words, some) in zip(("outside lower left", "outside lower right"), groups, strict=False):
        start = coloured.index(some[0])
        shown = handles[start : start + len(some)], names[start : start + len(some)]
        if not words:
            figure.legend(*shown, loc="outside lower center", ncols=4, markerscale=1.3)
            continue
        look = {"ncols": 2, "alignment": "left", "columnspacing": 1, "markerscale": 1.3}
        figure.legend(*shown, loc=place, title=f"The {len(some)} of {len(there)} classes {words}", **look)
    return figure


def _scatter(points: np.ndarray) -> float:
    """How far the points of a class lie from their median, as the median of these distances."""
    return float(np.median(np.linalg.norm(points - np.median(points, axis=0), axis=1)))


@styled
def accuracy_and_seconds(frame: pd.DataFrame, *, step: str, title: str = "What each step gives and costs") -> Figure:
    """Val accuracy with its interval, and below it the seconds that it took, over a size or over named layers.

    Args:
        frame: step (numbers, e.g. pixels, which stand at their places; or names in their order), accuracy, low and high
            in [0, 1], and seconds.
        step: label of the x axis.
    """
    need_columns(frame, ["step", "accuracy", "low", "high", "seconds"])
    named = not pd.api.types.is_numeric_dtype(frame["step"])
    places = np.arange(len(frame)) if named else frame["step"].to_numpy(float)
    figure = new_figure(4.2, title=title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    accuracy, seconds = frame["accuracy"].to_numpy(float), frame["seconds"].to_numpy(float)
    spread = np.abs(frame[["low", "high"]].to_numpy(float).T - accuracy)
    upper.errorbar(places, accuracy, yerr=spread, fmt="o-", color=BLUE, capsize=3)
    lower.plot(places, seconds, "s-", color=ORANGE)
    texts = {"textcoords": "offset points", "fontsize": 7.5, "va": "center"}
    for place, share, cost in zip(places, accuracy, seconds, strict=True):
        upper.annotate(f"{100 * share:.1f}", (place, share), (6, -5), **texts)
        lower.annotate(f"{cost:,.0f}" if cost >= 9.5 else f"{cost:.1f}", (place, cost), (6, -5), **texts)
    upper.set(ylabel="Val accuracy (%)\nwith 95 % interval")
    lower.set(ylabel="Seconds\nin all", ylim=(0, 1.2 * (seconds.max() or 1)), xlabel=step)
    lower.set_xticks(places, [shorten(name, 24) for name in frame["step"]] if named else None)
    if named and frame["step"].map(len).max() > 70 // len(frame):
        lower.tick_params(axis="x", labelrotation=30)
        for text in lower.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    upper.margins(x=0.08, y=0.15)
    for axes in (upper, lower):
        axes.grid(True)
    lower.yaxis.set_major_locator(MaxNLocator(nbins=4))
    percent_axis(upper.yaxis)
    figure.align_ylabels()
    return figure


@styled
def class_gains(
    names: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
    *,
    sides: tuple[str, str] = ("from scratch", "transferred"),
    title: str = "Which classes gain",
) -> Figure:
    """Recall per class on two sides as two dots with a line between them, the largest gain first.

    Of more than 20 classes the ten that gain most and the ten that gain least, or lose most, are shown.

    Args:
        names: C class names.
        before: (C,) recalls in [0, 1]; a class without images, NaN, is left out.
        after: (C,) the same.
        sides: what the two are called.
    """
    need_each(names=names, before=before, after=after)
    frame = pd.DataFrame({"name": list(names), "before": before, "after": after}).dropna()
    need(not frame.empty, "at least one class must have a recall on both sides", "none")
    frame = frame.assign(gain=frame["after"] - frame["before"]).sort_values("gain", ascending=False, kind="stable")
    half, many = MOST_GAINS // 2, len(frame) > MOST_GAINS
    shown = pd.concat([frame[:half], frame[-half:]]) if many else frame
    places = np.arange(len(shown)) + (np.arange(len(shown)) >= half) * many  # a gap stands for those left out
    figure = new_figure(1.5 + 0.22 * (places[-1] + 1), title=title)
    axes = figure.add_subplot()
    _draw_gains(axes, shown, places, sides=sides)
    if many:
        text = f"{len(frame) - MOST_GAINS} classes in between are left out"
        axes.text(0.5, half, text, color=GREY, ha="center", va="center", fontsize=7.5)
    gaining, losing = (frame["gain"] > 0).sum(), (frame["gain"] < 0).sum()
    axes.set_title(f"{gaining} of {len(frame)} classes gain, {losing} lose, {len(frame) - gaining - losing} stay")
    handles, words = axes.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower center", ncols=3)
    return figure


def _draw_gains(axes: Axes, rows: pd.DataFrame, places: np.ndarray, *, sides: tuple[str, str]) -> None:
    gains, ends = rows["gain"].to_numpy(), rows[["before", "after"]].max(axis=1)
    axes.hlines(places, rows["before"], rows["after"], color=GREY, linewidth=1.2, zorder=1)
    axes.plot(rows["before"], places, "o", color=GREY, markersize=4.5, label=sides[0])
    for chosen, colour, words in ((gains >= 0, BLUE, ""), (gains < 0, VERMILLION, ", worse")):
        if chosen.any():
            axes.plot(rows["after"][chosen], places[chosen], "D", color=colour, markersize=4.5, label=sides[1] + words)
    for place, end, gain in zip(places, ends, gains, strict=True):
        where = {"textcoords": "offset points", "va": "center", "fontsize": 7.5, "annotation_clip": False}
        axes.annotate(f"{round(100 * gain):+d}".replace("-", "\u2212"), (end, place), (6, 0), **where)
    axes.set_yticks(places, [shorten(name, 26) for name in rows["name"]])
    axes.set(xlim=(-0.02, 1.06), ylim=(places[-1] + 0.6, -0.6), ylabel="Class")
    axes.set_xlabel("Recall (%); number: the gain in points")
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    percent_axis(axes.xaxis)
    axes.set_xticks(np.linspace(0, 1, 6))
