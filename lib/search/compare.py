"""What notebook 06 shows: searches over time, beside the ladder that was made by hand, and what they were worth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib import evaluation
from lib.config import Space
from lib.config.names import counted
from lib.evaluation.generalisation import on_test
from lib.search.jobs import FoundJob, SearchJob
from lib.search.trials import SCORED, TABLE
from lib.training.jobs import Job
from lib.training.network import NetworkJob, network_job
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run


def read_table(run: Run) -> pd.DataFrame:
    """The trials of a finished search: a row each."""
    return pd.read_csv(run.folder / TABLE)


def searches(jobs: Sequence[Job]) -> list[SearchJob]:
    """The finished searches among some jobs."""
    return [job for job in jobs if isinstance(job, SearchJob) and job.run.finished]


def growing(jobs: Sequence[Job]) -> list[SearchJob]:
    """Of the finished searches those that differ in nothing but their time, the shortest first."""
    first = next(job for job in searches(jobs) if isinstance(job.settings.space, Space))
    alike = [job for job in searches(jobs) if job.settings.space == first.settings.space]
    return sorted(alike, key=lambda job: job.settings.minutes)


def found(jobs: Sequence[Job]) -> list[FoundJob]:
    """The finished trainings of what was found, one per seed."""
    return [job for job in jobs if isinstance(job, FoundJob) and job.run.finished]


def space_table(space: Space) -> pd.DataFrame:
    """One row per setting of a space: setting and values."""
    rows = [{"setting": name, "values": ", ".join(map(str, values))} for name, values in space.all_choices().items()]
    return pd.DataFrame(rows)


def searches_table(jobs: Sequence[Job]) -> pd.DataFrame:
    """One row per finished search: its time, its trials and what became of them, and the best network on val."""
    rows = []
    for job in searches(jobs):
        metrics, settings = job.run.metrics(), job.settings
        tried = metrics["tried"]
        row = {"search": job.name, "order": getattr(settings.space, "order", "greedy, AutoKeras' blocks")}
        row |= {"minutes": settings.minutes, "used_seconds": job.run.environment()["wall_seconds"]}
        row |= {"trials": metrics["trials"], "scored": sum(tried.get(status, 0) for status in SCORED)}
        row |= {name: tried.get(name, 0) for name in ("failed", "too slow")}
        row |= {name: metrics[name] for name in ("val_accuracy", "parameters", "stopped_by")} | {"run": job.run.id}
        rows.append(row)
    return pd.DataFrame(rows).rename(columns={"too slow": "too_slow"})


def of_search(job: SearchJob) -> dict[str, object]:
    """How large a space is, what was tried of it, on what, and why it ended; which trials gave nothing, and why."""
    trials, space, split = read_table(job.run), job.settings.space, job.opened.split
    lost = trials[trials["val_accuracy"].isna()]
    reasons = "; ".join(f"trial {row.trial}: {row.reason}" for row in lost.itertuples())
    facts = {"size": space.size, "epochs": space.start.training.epochs, "trials": len(trials), "lost": len(lost)}
    facts |= {"train": len(split.train), "val": len(split.val), "reasons": reasons or "none"}
    return facts | {"stopped_by": job.run.metrics()["stopped_by"]}


def of_growing(jobs: Sequence[SearchJob]) -> str:
    """What the same search reaches on val with growing time, in words."""
    reached = [(job.settings.minutes, job.run.metrics()["val_accuracy"]) for job in jobs]
    return ", ".join(f"{100 * accuracy:.1f}\u00a0% after {minutes:.3g}\u00a0min" for minutes, accuracy in reached)


def best_over_time(run: Run) -> pd.DataFrame:
    """The best val accuracy of the trials that had ended, over the minutes of a search: columns minutes and accuracy.

    It stays until a better trial ends, and to the end of the search.
    """
    trials = read_table(run).dropna(subset="val_accuracy").sort_values("ended_seconds")
    seconds, best = trials["ended_seconds"], trials["val_accuracy"].cummax()
    return _steps(seconds.to_numpy() / 60, best.to_numpy(), run.environment()["wall_seconds"] / 60)


def ladder(opened: OpenBrief) -> list[NetworkJob]:
    """The experiments that the brief made by hand and has fitted, in its order; its best one comes last."""
    brief = opened.brief
    names = sorted(brief.experiments, key=lambda name: name == brief.best)
    return [job for job in (network_job(opened, name) for name in names) if job.run.finished]


def ladder_over_time(jobs: Sequence[NetworkJob]) -> pd.DataFrame:
    """The best val accuracy of a ladder over the minutes that it took, one experiment after another."""
    minutes = pd.Series([job.run.record()["minutes"] for job in jobs]).cumsum()
    best = pd.Series([job.run.metrics()["val_accuracy"] for job in jobs]).cummax()
    return _steps(minutes.to_numpy(), best.to_numpy(), minutes.iloc[-1])


def _steps(minutes, accuracy, end: float) -> pd.DataFrame:
    """Points of a line that stays until it rises, from the first value to the end."""
    points = [(minutes[0], accuracy[0])]
    for when, what in zip(minutes[1:], accuracy[1:], strict=True):
        if what > points[-1][1]:
            points += [(when, points[-1][1]), (when, what)]
    points.append((max(end, minutes[-1]), points[-1][1]))
    return pd.DataFrame(points, columns=["minutes", "accuracy"])


def at_minutes(curve: pd.DataFrame, minutes: float) -> float:
    """The accuracy of a curve after some minutes; 0 where it had none yet."""
    before = curve[curve["minutes"] <= minutes]
    return float(before["accuracy"].iloc[-1]) if len(before) else 0.0


def worth(search: SearchJob, by_hand: Sequence[NetworkJob]) -> dict[str, object]:
    """A search beside the ladder made by hand, on the same val and at equal minutes, in numbers and a word.

    A difference on val of less than two standard errors is called none.
    """
    minutes = search.run.environment()["wall_seconds"] / 60
    curve, metrics = ladder_over_time(by_hand), search.run.metrics()
    hand, found_accuracy = at_minutes(curve, minutes), metrics["val_accuracy"]
    images = len(search.run.predictions()[0])
    error = ((hand * (1 - hand) + found_accuracy * (1 - found_accuracy)) / images) ** 0.5
    gain = found_accuracy - hand
    verdict = "neither better nor worse than" if abs(gain) < 2 * error else "better than" if gain > 0 else "worse than"
    facts = {"minutes": minutes, "accuracy": found_accuracy, "by_hand_accuracy": hand, "gain": gain, "verdict": verdict}
    return facts | {
        "by_hand_end_accuracy": curve["accuracy"].iloc[-1],
        "by_hand_end_minutes": curve["minutes"].iloc[-1],
    }


def of_importance(frame: pd.DataFrame, trials: int) -> dict[str, object]:
    """What the importances of `evaluation.setting_importance` say, in a sentence, with their numbers."""
    if frame.empty:
        text = f"{counted(trials, 'trial')}: too few, or too much alike, to tell which setting matters."
        return {"importance": text}
    known, first = float(frame["known"].iloc[0]), frame.iloc[0]
    text = f"The setting {first['setting']} decides most of the accuracy of a trial"
    if known <= 0.2:
        unseen = f"R² {known:.2f} on trials that the forest has not seen"
        text = f"The {trials} trials say little about each other ({unseen}): no setting stands out"
    else:
        text += f"; what the forest learns holds for trials that it has not seen (R² {known:.2f})"
    return {"importance": f"{text}.", "importance_known": known, "most_important": first["setting"]}


def others(jobs: Sequence[Job]) -> list[SearchJob]:
    """The searches whose own best network is tested: the longest one, and those of its time that go another way."""
    limit = growing(jobs)[-1]
    return [job for job in searches(jobs) if job.settings.minutes == limit.settings.minutes]


def test_record(job: Job) -> dict[str, object]:
    """One row on the test images: name, seed, parameters, minutes and accuracy with its interval."""
    _, labels, probabilities = job.run.predictions("test")
    low, high = evaluation.bootstrap_interval(labels, probabilities)
    row = {"name": job.name, "seed": job.seed, "parameters": job.run.metrics()["parameters"]}
    row |= {"minutes": job.run.environment()["wall_seconds"] / 60, "val_accuracy": job.run.metrics()["val_accuracy"]}
    return row | {"test_accuracy": evaluation.accuracy(labels, probabilities), "low": low, "high": high}


def of_test(jobs: Sequence[FoundJob], against: Job) -> dict[str, object]:
    """What the first of some trainings reached on test (`generalisation.on_test`), and the mean over all `seeds`."""
    mean = float(np.mean([test_record(job)["test_accuracy"] for job in jobs]))
    return on_test(jobs[0].run, against=against.run) | {"seeds": len(jobs), "mean": mean}
