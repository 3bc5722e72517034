"""lib.transfer.compare and values: what notebook 05 says of its jobs is what their runs hold."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny_transfers
from tiny_transfers import HEAD, OTHERS, SCRATCH, TRANSFERS

from lib.config import Ensemble
from lib.figures import tables
from lib.training.jobs import run_jobs
from lib.transfer import compare, values
from lib.transfer.features import Features
from lib.transfer.plan import transfer_jobs
from lib.transfer.records import record

KINDS = {"scratch": "from scratch", "head": "head", "forest": "head", "tuned": "fine-tuned", "anew": "from scratch"}
KINDS |= {"small": "head", "mean": "ensemble"}
ALL = {name: TRANSFERS[name] for name in ("scratch", "head", "forest", "tuned")} | {
    "anew": SCRATCH.replace(part=OTHERS),
    "small": HEAD.vary("?", image_size=12),
    "mean": Ensemble("?", of=("head", "forest")),
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict:
    """All of them, fitted, by name."""
    folder = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_CACHE", str(folder / "cache"))
        patch.setenv("COURSEWORK_REPORTS", str(folder / "reports"))
        planned = transfer_jobs(tiny_transfers.opened(ALL))
        assert len(run_jobs(planned)) == len(planned)
        yield {job.name: job for job in planned}


def accuracy(job) -> float:
    return job.run.metrics()["val_accuracy"]


def test_jobs_are_compared_where_they_read_the_same_images_and_with_the_best_of_each_kind(jobs):
    assert {name: compare.kind(job) for name, job in jobs.items()} == KINDS
    groups = compare.by_images(list(jobs.values()))
    (title, members), *others = groups.items()
    assert not others and title.startswith("Tints, 3 classes, ")  # `scratch` alone has the other half
    assert {job.name for job in members} == set(jobs) - {"scratch"}
    best = compare.best_of_each_kind(members)
    assert list(best) == ["from scratch", "head", "fine-tuned", "ensemble"]
    assert accuracy(best["head"][0]) == max(accuracy(jobs[name]) for name in ("head", "forest", "small"))
    assert accuracy(compare.best(members)) == max(map(accuracy, members))
    assert compare.best_network(members) is jobs["tuned"]
    heads = [jobs["forest"], max((jobs["head"], jobs["small"]), key=accuracy)]
    assert compare.best_network(heads) is heads[1]  # a forest is no network, however good it is
    race = compare.race(members)
    assert race["scratch"] == "anew" and race["head_accuracy"] == accuracy(best["head"][0])
    assert race["best_accuracy"] == max(accuracy(job) for job in members if job.name != "mean")
    assert set(race["runs"]) == {best[kind][0].run.id for kind in best if kind != "ensemble"}


def test_minutes_count_from_the_pixels_on(jobs):
    head, tuned, anew = (compare.accuracy_over_minutes(jobs[name]) for name in ("head", "tuned", "anew"))
    assert len(head) == 1 and head["minutes"][0] == jobs["head"].run.record()["minutes"]
    assert tuned.iloc[0].tolist() == head.iloc[0].tolist() and tuned["minutes"].is_monotonic_increasing
    assert tuned["minutes"].iloc[-1] == pytest.approx(jobs["tuned"].run.record()["minutes"])
    assert tuned["accuracy"].iloc[-1] == accuracy(jobs["tuned"]) and len(anew) == len(jobs["anew"].run.history())


def test_one_setting_is_varied_and_no_other(jobs):
    frame = compare.varied(list(jobs.values()), "image_size")
    assert frame["step"].tolist() == [12, 16] and frame["run"].tolist() == [jobs[n].run.id for n in ("small", "head")]
    assert frame["accuracy"].tolist() == [accuracy(jobs["small"]), accuracy(jobs["head"])]
    assert compare.varied(list(jobs.values()), "backbone.cut").empty
    said = values.of_steps(frame)
    assert (said["first"], said["best_accuracy"]) == (12, frame["accuracy"].max())


def test_ensembles_stand_beside_their_best_member(jobs):
    (row,) = compare.ensembles_table(list(jobs.values())).to_dict("records")
    better = max((jobs["head"], jobs["forest"]), key=accuracy)
    assert (row["member"], row["member_accuracy"]) == (better.name, accuracy(better))
    assert row["accuracy"] == accuracy(jobs["mean"]) and row["weights"] == "head 0.50, forest 0.50"


def test_what_is_said_of_test_and_of_doubts_is_what_the_runs_hold(jobs):
    for name in ("head", "anew"):
        jobs[name].predict_test()
    said = values.of_test(jobs["head"], jobs["anew"])
    right = [
        probabilities.argmax(axis=1) == labels
        for _, labels, probabilities in (jobs[name].run.predictions("test") for name in ("head", "anew"))
    ]
    assert said["gain"] == pytest.approx(right[0].mean() - right[1].mean()) and said["accuracy"] == right[0].mean()
    assert said["gain_low"] <= said["gain"] <= said["gain_high"] and said["kind"] == "head"
    records = [record(job) for job in jobs.values()]
    assert [one["what"] for one in records] == [
        name if name != "ensemble" else "mean of others" for name in KINDS.values()
    ]
    table = tables.transfers_table(records).assign(honest=["no", *["yes"] * (len(records) - 1)])
    table["above_chance"] = ["yes", "no", *["yes"] * (len(records) - 2)]
    doubts = values.of_doubts(table)
    assert doubts["honest"].endswith("seen these images: scratch.")
    assert "at all: head." in doubts["above_chance"]
    clean = values.of_doubts(table.assign(honest="yes", above_chance="yes"))
    assert "scratch" not in clean["honest"] and "head" not in clean["above_chance"]


def test_features_that_lost_their_images_are_at_chance_and_in_order_they_are_not():
    """As whoever shuffles the images and not the labels gets; with 120 images the verdict is beyond doubt."""
    rows, labels = np.arange(120), np.tile(np.arange(6), 20)
    features = np.eye(6, dtype=np.float32)[labels] + np.random.default_rng(0).normal(0, 0.1, (120, 6)).astype("f4")
    stored = Features(rows, features, labels, 0.0, 0)
    job = SimpleNamespace(
        opened=SimpleNamespace(
            split=SimpleNamespace(train=rows[:60], val=rows[60:]), dataset=SimpleNamespace(class_names="abcdef")
        ),
        features=lambda asked: stored,
    )
    said = values.of_misplaced(job)
    assert (said["misplaced_verdict"], said["in_order_verdict"]) == ("at chance", "above chance")
    assert said["in_order_accuracy"] == 1 and said["guessing"] == pytest.approx(1 / 6)
    assert (said["images"], said["val"]) == (60, 60) and values.of_misplaced(job, most=30)["images"] == 30


def test_gains_and_small_fits_are_named_by_their_ends():
    before, after = pd.Series([0.5, 0.2, np.nan]), pd.Series([0.4, 0.9, 1.0])
    said = values.of_gains(["ant", "bee", "cat"], before, after)
    assert (said["gain_most"], said["gain_least"], said["gained"], said["classes"]) == ("bee", "ant", 1, 3)
    rows = [("one", 0.8, 3, 0, 0), ("two", 0.7, 3, 0, 0), ("mean", 0.75, 6, 0, 0), ("blend", 0.8, 6, 2, 9)]
    frame = pd.DataFrame(
        [*rows, ("stack", 0.4, 6, 21, 9)], columns=["approach", "accuracy", "inputs", "weights", "rows"]
    )
    few = values.of_few(frame)
    assert (few["best_member"], few["stack"], few["stack_weights"], few["stack_images"]) == ("one", 0.4, 21, 9)
