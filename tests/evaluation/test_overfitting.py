"""lib.evaluation.overfitting on tiny trainings: one batch, val changed at random, where a training stops."""

import dataclasses
import math

import numpy as np
import pytest
from tiny_training import TINY, opened

from lib import evaluation
from lib.config import Augment
from lib.evaluation import overfitting
from lib.inputs.generators import make_eval_dataset
from lib.training.jobs import run_job
from lib.training.network import NetworkJob, single_batch_jobs
from lib.training.steps import make_evaluate

SHORT = TINY.replace(
    training=TINY.training.replace(epochs=2, sizes=(), early_stopping="smoothed"), mirror_average=False
)


def test_one_batch_is_drawn_from_train_and_learnt_while_val_stays_whole(photos):
    plan = opened(photos)
    brief = plan.brief.replace(single_batch={"one": SHORT.replace(augment=Augment())})
    (job,) = single_batch_jobs(dataclasses.replace(plan, brief=brief))
    rows = job.train_rows
    assert len(set(rows)) == 4 and set(rows) < set(plan.split.train) and np.array_equal(rows, job.train_rows)
    assert not job.compared_with  # TensorBoard lists the settings that were declared last: those of the ladder
    whole = NetworkJob(job.opened, "one", job.settings)
    assert job.run.id != whole.run.id  # the same settings on all images are another run
    run = run_job(job)
    declared = list(run.folder.parent.glob("events.out.tfevents.*"))
    assert declared == []  # it would take the place of the ladder's columns in TensorBoard's table of settings
    assert np.array_equal(run.predictions("val")[0], plan.split.val)
    facts, history = overfitting.one_batch(run), run.history()
    assert facts["images"] == 4 and facts["epochs"] == 2 and facts["train_accuracy"] == history["accuracy"].iloc[-1]
    assert facts["guessing"] == pytest.approx(math.log(len(plan.dataset.class_names)))
    assert facts["lowest"] == history["val_loss"].min() and history["val_loss"][facts["turn"] - 1] == facts["lowest"]


def test_val_is_changed_where_asked_and_both_kinds_of_val_are_judged(photos):
    changes = Augment(flip=True, rotation=90, colour=0.5, cutmix=1.0)
    changed, plain = SHORT.replace(augment=changes, change_val=True), SHORT.replace(augment=changes)
    plan = opened(photos, changed=changed, plain=plain, still=SHORT.replace(augment=Augment(fill="nearest")))
    jobs = [NetworkJob(plan, name, one) for name, one in (("changed", changed), ("plain", plain))]
    for job in jobs:
        run_job(job)
    table = overfitting.both_ways(jobs).set_index("experiment")
    for job in jobs:
        model, images, rows = job.run.load_model(), job.open_images(16), plan.split.val
        losses = [
            make_evaluate(model)(make_eval_dataset(images, rows, augment=augment, seed=0))[0]
            for augment in (None, changes)
        ]
        assert losses[0] != pytest.approx(losses[1], rel=1e-3)
        row = table.loc[job.name]
        assert [row["val_loss"], row["changed_val_loss"]] == pytest.approx(losses, rel=1e-4)
        seen = job.run.history()["val_loss"].iloc[-1]  # what early stopping followed
        assert seen == pytest.approx(losses[job.settings.change_val], rel=1e-4)
    experiments = plan.brief.experiments
    assert [name for name, one in experiments.items() if overfitting.changes_images(one)] == [
        "tiny",
        "changed",
        "plain",
    ]
    (facts,) = overfitting.confounded(table.reset_index(), experiments)
    assert (facts["before"], facts["after"]) == ("changed", "plain")
    labels, probabilities = jobs[0].run.predictions("changed_val")[1:]
    assert facts["before_changed"] == evaluation.accuracy(labels, probabilities)
    assert facts["after_plain"] == table["val_accuracy"]["plain"]
    stops = overfitting.stopping(experiments, [job.run for job in jobs])
    assert list(stops["experiment"]) == ["changed", "plain"] and list(stops["epochs"]) == [2, 2]
    assert overfitting.stopping({"other": SHORT}, [job.run for job in jobs]).empty
