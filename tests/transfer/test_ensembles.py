"""Ensembles as jobs: they read what their members have stored, and leave run folders as any other job does."""

import dataclasses

import numpy as np
import pytest
from tiny_training import opened

from lib import evaluation
from lib.config import Ensemble, Head, Training, Transfer
from lib.config.files import write_json
from lib.evaluation import ensembles
from lib.models import Lite0, Softmax
from lib.models.heads import Forest, LogisticRegression
from lib.training.jobs import run_job
from lib.transfer.plan import transfer_job

LINEAR = Head(
    why="Does it run?",
    backbone=Lite0(weights="random", cut="Block_3__add"),
    head=LogisticRegression(strengths=(0.01,)),
    image_size=32,
    folds=2,
)
TRANSFERS = {
    "linear": LINEAR,
    "forest": LINEAR.vary("And trees?", head=Forest(trees=8)),
    "bare": LINEAR.vary("Without folds?", folds=0),
    "apart": LINEAR.vary("Fewer classes?", part={"classes": (0, 1)}),
    "network": Transfer(why="And a network?", model=Softmax(), training=Training(epochs=1), image_size=8),
    "mean": Ensemble(why="Together?", of=("linear", "forest", "network")),
    "blend": Ensemble(why="With weights?", of=("linear", "forest", "network"), how="blend"),
    "stack": Ensemble(why="As a stack?", of=("linear", "forest"), how="stack"),
}


def made(photos, **further):
    """The brief of `tiny_training` with heads, a network and ensembles."""
    brief = opened(photos)
    return dataclasses.replace(brief, brief=brief.brief.replace(transfers=TRANSFERS | further))


def leave(job, *, roles, order=slice(None), seconds=1.0):
    """Fill the run folder of a member by hand: a model that knows a little, its seed taken from its name."""
    index, rng = job.opened.dataset.index, np.random.default_rng(len(job.name))
    for role in roles:
        rows = getattr(job.opened.split, "train" if role == "folds" else role)[order]
        labels = index["label"].to_numpy()[rows]
        raw = rng.random((len(rows), len(job.opened.dataset.class_names))) + 0.01
        raw[np.arange(len(rows)), labels] += 0.5
        probabilities = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
        job.run.write_predictions(role, rows=rows, labels=labels, probabilities=probabilities)
    write_json(job.run.folder / "config.json", job.config())
    write_json(job.run.folder / "environment.json", {"wall_seconds": seconds})
    job.run.finish({"val_accuracy": 0.5})


def test_ensembles_of_fitted_heads_and_a_network_are_runs_like_all_others(photos, capsys):
    brief = made(photos)
    jobs = {name: transfer_job(brief, name) for name in ("mean", "blend", "stack")}
    for name, job in jobs.items():
        run = run_job(job)
        members = [source.run for source in job.sources]
        assert all(member.finished for member in members), "members that are missing are fitted"
        record, metrics = run.record(), run.metrics()
        assert run.damage() is None and record["experiment"] == name
        assert metrics["members"] == list(TRANSFERS[name].of)
        assert metrics["members_seconds"] == pytest.approx(sum(one.environment()["wall_seconds"] for one in members))
        assert 0 < run.environment()["wall_seconds"] < metrics["members_seconds"], "only what it took itself"
        for role in ("val", "test"):
            rows, labels, probabilities = job.predict_test().predictions(role)
            stored = [member.predictions(role)[2] for member in members]
            assert np.array_equal(rows, getattr(brief.split, role))
            assert np.array_equal(labels, photos.index["label"].to_numpy()[rows])
            arrays = run.arrays("weights.npz")
            combine = ensembles.stack if name == "stack" else ensembles.blend
            assert np.array_equal(probabilities, combine(stored, **arrays)), (name, role)
        assert metrics["val_accuracy"] == evaluation.accuracy(*run.predictions()[1:])
    assert jobs["mean"].run.metrics()["weights"] == pytest.approx([1 / 3] * 3)
    assert jobs["mean"].run.metrics()["trained_parameters"] == 0
    weights = jobs["blend"].run.metrics()["weights"]
    assert len(weights) == 3 and min(weights) >= 0 and sum(weights) == pytest.approx(1)
    assert jobs["stack"].run.arrays("weights.npz")["kernel"].shape == (6, 3)
    assert jobs["stack"].run.metrics()["trained_parameters"] == 21
    assert "failed" not in capsys.readouterr().out
    # a network keeps no predictions of train, so only the stack of two heads has an accuracy on them
    assert ["train_accuracy" in jobs[name].run.metrics() for name in jobs] == [False, False, True]


def test_a_stack_is_fitted_on_folds_and_measured_on_val(photos):
    job = transfer_job(made(photos), "stack")
    for source in job.sources:
        leave(source, roles=("train", "val", "folds"))
    run = run_job(job)
    sets = [[source.run.predictions(role) for source in job.sources] for role in ("folds", "val")]
    known, val = [(stored[0][1], [probabilities for _, _, probabilities in stored]) for stored in sets]
    fitted, strength = ensembles.choose_stack(known, val)
    assert np.array_equal(run.arrays("weights.npz")["kernel"], fitted["kernel"])
    assert run.metrics()["strength"] == strength in ensembles.STRENGTHS
    seen = [source.run.predictions("train")[2] for source in job.sources]
    labels = job.sources[0].run.predictions("train")[1]
    assert run.metrics()["train_accuracy"] == evaluation.accuracy(labels, ensembles.stack(seen, **fitted))


def test_a_stack_of_members_without_folds_fails_in_one_sentence_before_anything_is_fitted(photos, capsys):
    for bare in ("bare", "network"):
        job = transfer_job(made(photos, unfolded=Ensemble(why="?", of=("linear", bare), how="stack")), "unfolded")
        run = run_job(job)
        assert not run.finished and f"and {bare} has none: set folds= of a head" in run.failure
        assert f"failed: {run.id}: unfolded is a stack" in capsys.readouterr().out
        assert not any(source.run.folder.exists() for source in job.sources)


def test_members_of_other_images_are_refused(photos):
    with pytest.raises(ValueError, match="others is made of others that do not read the same part"):
        made(photos, others=Ensemble(why="?", of=("linear", "apart")))
    mean = transfer_job(made(photos), "mean")
    apart = transfer_job(made(photos), "apart")  # given to a job by hand, past the rules of a brief
    backwards = {"order": slice(None, None, -1)}, {"order": slice(1, None)}
    for seed, (second, options) in enumerate([(apart, {}), *((mean.sources[1], one) for one in backwards)]):
        job = dataclasses.replace(mean, seed=seed, sources=(mean.sources[0], second))
        leave(job.sources[0], roles=("val",))
        leave(second, roles=("val",), **options)
        ids = " and ".join(source.run.id for source in job.sources)
        assert run_job(job).failure == f"{ids} have not predicted the same images in val"


def test_an_ensemble_is_resumed_made_once_and_made_again_where_it_is_damaged(photos, capsys):
    brief = made(photos)
    job = transfer_job(brief, "blend")
    for number, source in enumerate(job.sources):
        leave(source, roles=("val", "test"), seconds=10.0 * (number + 1))
    job.run.folder.mkdir(parents=True)
    (job.run.folder / "weights.npz").write_bytes(b"cut off")  # a process died here
    run = run_job(job)
    assert run.damage() is None and run.metrics()["members_seconds"] == 60
    first = run.metrics(), run.predictions("val")[2]
    written = (run.folder / "metrics.json").stat().st_mtime_ns
    assert run_job(job).metrics() == first[0]
    assert (run.folder / "metrics.json").stat().st_mtime_ns == written, "finished: nothing is done again"

    job.predict_test()
    file = run.predictions_file("test")
    made_at = file.stat().st_mtime_ns
    assert transfer_job(brief, "blend").predict_test().predictions_file("test").stat().st_mtime_ns == made_at
    before = file.read_bytes()
    file.write_bytes(before[:-40])
    capsys.readouterr()
    job.predict_test()
    assert "predictions_test.npz is damaged, and is made again" in capsys.readouterr().out
    assert file.read_bytes() == before

    (run.folder / "weights.npz").write_bytes(b"damaged")
    again = run_job(job)
    assert "weights.npz is missing or damaged, and the run is made again" in capsys.readouterr().out
    assert again.metrics() == first[0] and np.array_equal(again.predictions("val")[2], first[1])


def test_members_and_how_decide_the_run_but_not_the_question(photos):
    base = Ensemble(why="Together?", of=("linear", "forest"))
    brief = made(
        photos,
        a=base,
        again=base.replace(why="Another question?"),
        more=base.replace(of=("linear", "network")),
        how=base.replace(how="blend"),
        wider=base.replace(of=("linear", "bigger")),
        bigger=TRANSFERS["forest"].replace(head=Forest(trees=9)),
    )

    def key(name):
        return transfer_job(brief, name).run.id.rpartition("-")[2]

    assert key("a") == key("again")
    assert len({key(name) for name in ("a", "more", "how", "wider")}) == 4
