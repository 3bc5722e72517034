"""What a training would cost: steps of tiny networks are timed for real."""

import math

import pytest
from tiny_training import opened

from lib import briefs
from lib.config import Cost, Experiment, Training
from lib.models import Mlp, SimpleCnn
from lib.report.make import PLANS
from lib.training import cost
from lib.training.cost import cost_jobs, measured_cost, time_steps
from lib.training.jobs import run_job

SMALL = Experiment(why="Small?", model=Mlp(units=(4,)), training=Training(batch_size=4), image_size=8)
LARGE = SMALL.replace(model=SimpleCnn(filters=(16, 16, 16)), image_size=64, training=Training(batch_size=32))
COST = Cost(why="What would it cost?", large=LARGE, small=SMALL, num_classes=5, epoch=1000, steps=3)


def test_a_cost_is_measured_in_steps_and_extrapolated_to_an_epoch(photos):
    brief = opened(photos)
    object.__setattr__(brief, "brief", brief.brief.replace(costs={"large_images": COST}))
    (job,) = PLANS["costs"](brief)
    run = run_job(job)
    table, metrics = measured_cost(run).set_index("network"), run.metrics()
    assert table.index.tolist() == ["large", "small"] and table["steps"].tolist() == [3, 3]
    assert table["image_size"].tolist() == [64, 8] and table["batch_size"].tolist() == [32, 4]
    assert table.loc["small", "parameters"] == 8 * 8 * 3 * 4 + 4 + 4 * 5 + 5
    assert (table["lowest_seconds"] <= table["seconds"]).all() and (table["seconds"] <= table["highest_seconds"]).all()
    for name, batches in (("large", 32), ("small", 250)):
        expected = table.loc[name, "seconds"] * batches / 60
        assert math.isclose(table.loc[name, "epoch_minutes"], expected, rel_tol=1e-6)
        assert math.isclose(metrics[f"{name}_epoch_minutes"], expected, rel_tol=1e-6)
    assert metrics["ratio_of_seconds"] > 1 and metrics["epoch"] == 1000 and metrics["steps"] == 3
    assert run.environment()["peak_memory_mb"] > 0
    assert run_job(cost_jobs(brief)[0]).metrics() == metrics  # read, and not timed again


def test_the_first_of_several_steps_does_not_count(monkeypatch):
    made = iter([9.0, 9.0, 1.0, 0.5, 2.0, 0.5, 3.0, 0.5])
    monkeypatch.setattr(cost, "_step", lambda one, classes: (lambda: next(made), 1))
    table = time_steps(COST)
    assert table["seconds"].tolist() == [2.0, 0.5] and table["highest_seconds"].tolist() == [3.0, 0.5]


def test_profiles_scale_what_is_timed():
    few = COST.scale(epochs=0.01, filters=0.5)
    assert few.steps == 1 and few.large.model.filters == (8, 8, 8) and COST.scale(epochs=4.0, filters=1.0).steps == 3
    with pytest.raises(ValueError, match="epoch and steps are positive"):
        COST.replace(steps=0)


def test_tiny_imagenet_times_the_whole_alexnet_beside_the_one_it_trains():
    brief = briefs.load("tiny_imagenet")
    timed, trained = brief.costs["alexnet_224"], brief.experiments["alexnet"]
    assert timed.small == trained and timed.large.image_size == 224 and timed.epoch == 100_000
    assert (timed.large.model.units, timed.large.model.grid) == (4096, 6) and timed.large.training.batch_size == 64
    assert brief.at("smoke").costs["alexnet_224"].steps == 1
    assert brief.at("smoke").experiments["alexnet"].model.units == 102
    assert all(one.model.trained_from for one in (timed.large, timed.small))  # else only the logits would be trained
