"""lib.transfer.jobs: a network goes on from a head and its backbone, from its first step to its last file."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_transfers
from tiny_transfers import HEAD, OTHERS, SCRATCH, TRANSFERS, TUNED

from lib.config import Earlier, Part, paths
from lib.config.files import locked
from lib.explain import methods
from lib.inputs.cache import open_images
from lib.models import Lite0, Vgg19, Xception
from lib.models.heads import LogisticRegression
from lib.training import fit
from lib.training.jobs import run_job, run_jobs
from lib.training.runs import RunError
from lib.training.steps import predict
from lib.transfer.heads import fit_forest, forest_predictor
from lib.transfer.jobs import TransferNetworkJob
from lib.transfer.plan import transfer_job

LITE = {
    "lite_head": HEAD.vary("?", backbone=Lite0(), head=LogisticRegression(strengths=(0.01,)), image_size=32),
    "lite_tuned": TUNED.vary(
        "?",
        model=Lite0(trained_from="Block_16"),
        starts_from="lite_head",
        image_size=32,
        training={"epochs": 1, "learning_rate": 1e-4},
    ),
}
LONG = TRANSFERS | {
    "head": HEAD.vary("?", head={"strengths": (0.1,)}),
    "killed": TUNED.vary("?", training={"epochs": 16, "sizes": (12,)}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs and caches that the tests of this file share."""
    folder = tmp_path_factory.mktemp("transfer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_CACHE", str(folder / "cache"))
        patch.setenv("COURSEWORK_REPORTS", str(folder / "reports"))
        yield folder


@pytest.fixture(scope="module")
def jobs(folder) -> dict:
    """All transfers, fitted."""
    planned = {name: tiny_transfers.job(name, TRANSFERS | LITE) for name in (*TRANSFERS, *LITE)}
    assert len(run_jobs(list(planned.values()), at_once=2)) == len(planned)
    return planned


def weights(network, kind=keras.layers.Layer) -> dict[str, list]:
    return {one.name: one.get_weights() for one in network.layers if isinstance(one, kind) and one.weights}


def changed(network, other, kind=keras.layers.Layer) -> set[str]:
    before, after = weights(network, kind), weights(other, kind)
    assert before.keys() == after.keys()
    return {name for name in before if not all(map(np.array_equal, before[name], after[name]))}


def val_images(job):
    return job.open_images(job.settings.image_size).read(job.opened.split.val)


def test_a_network_starts_with_exactly_the_answers_of_its_head(jobs):
    for name in ("tuned", "lite_tuned"):
        job = jobs[name]
        network, head = job.network(), job.sources[0]
        _, _, probabilities = head.run.predictions("val")
        np.testing.assert_allclose(predict(network, [(val_images(job), None)]), probabilities, atol=1e-4)
        assert np.ptp(probabilities, axis=0).max() > 0.1  # answers that differ from image to image
    dense = jobs["dense"]
    network = dense.network(trained_from="Block_8")
    answers = predict(network, [(val_images(jobs["tuned"]), None)])
    np.testing.assert_allclose(answers, dense.run.predictions("val")[2], atol=1e-4)
    with pytest.raises(ValueError, match="forest is a forest: no network can be made of it"):
        jobs["forest"].network()


def test_a_head_goes_on_a_network_that_ends_in_such_a_head(jobs, tmp_path):
    """Their layers have the same names."""
    names = {"dense_tuned": TUNED.replace(starts_from="dense")}
    second = {"second": TRANSFERS["dense"].vary("?", backbone=Earlier("dense_tuned"), folds=0)}
    job = tiny_transfers.job("second", TRANSFERS | names | second)
    run = run_job(job)
    network, images = job.network(trained_from="Dense_2"), val_images(jobs["tuned"])
    np.testing.assert_allclose(predict(network, [(images, None)]), run.predictions("val")[2], atol=1e-4)
    trained = [layer.name for layer in network.layers if layer.trainable_weights]
    own = ["Top_Dense_1__dense", "Top_Dense_1__batchnorm", "Top_Dense_2__dense", "logits"]
    assert trained == ["Dense_2__dense", *own]
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(loaded(images), network(images))


def test_only_layers_from_where_it_is_said_are_trained_and_batch_norm_is_not(jobs):
    for name, trained in (
        ("tuned", {f"Block_8__block_1__{one}conv" for one in ("unit_1__", "unit_2__", "shortcut_")}),
        ("lite_tuned", {*(f"Block_16__{step}_conv" for step in ("expand", "depthwise", "project")), "Head__conv"}),
    ):
        job = jobs[name]
        assert changed(job.network(), job.run.load_model()) == trained | {"logits"}
        figures = job.run.metrics()
        assert 0 < figures["trained_parameters"] < figures["parameters"] == job.network().count_params()
        assert figures["seconds_before"] == job.sources[0].run.environment()["wall_seconds"]
        assert job.run.environment()["wall_seconds"] > figures["seconds_before"]


def test_batch_norm_stays_while_a_network_is_trained_on_shifted_images(jobs):
    """With a control, in which it is switched on, and gamma, beta and both statistics must move."""
    job, moved = jobs["tuned"], {}
    split, dark = job.opened.split, job.opened.dataset.arrays["all"] // 8
    images = dataclasses.replace(job.opened.dataset, arrays={"all": dark})
    for frozen in (True, False):
        network = job.sources[0].network(trained_from="Stem")
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                assert not layer.trainable
                layer.trainable = not frozen
        before = weights(network, keras.layers.BatchNormalization)
        state = fit.State(network, keras.optimizers.SGD(0.1), [])
        state.optimizer.build(network.trainable_variables)
        data = fit.Data(lambda size: open_images(images, size=size), split.train, split.val)
        options = {"seed": 0, "tell": lambda *_: None, "compile_graph": False}
        fit.run_epochs(state, TUNED.vary("?", training={"epochs": 1}), data, **options)
        after = weights(network, keras.layers.BatchNormalization)
        names = ("gamma", "beta", "mean", "variance")
        pairs = [dict(zip(names, zip(before[one], after[one], strict=True), strict=True)) for one in before]
        moved[frozen] = {name for pair in pairs for name in names if not np.array_equal(*pair[name])}
        assert len(before) > 2
    assert moved == {True: set(), False: {"gamma", "beta", "mean", "variance"}}


def test_a_transfer_stops_and_slows_down_as_its_own_training_says(folder):
    still = {"epochs": 9, "learning_rate": 1e-12, "early_stopping": "loss", "patience": 1, "schedule": "constant"}
    run = run_job(tiny_transfers.job("tuned", TRANSFERS | {"tuned": TUNED.vary("?", training=still)}))
    assert run.metrics()["epochs"] < 9 and set(run.history()["learning_rate"].round(15)) == {1e-12}
    faster = tiny_transfers.job("tuned", TRANSFERS).settings.training
    assert faster.epochs == 2 and faster.early_stopping == "none"


def test_a_tuned_network_is_saved_loaded_and_explained(jobs):
    job = jobs["lite_tuned"]
    network, images = job.run.load_model(), val_images(job)
    np.testing.assert_allclose(predict(network, [(images, None)]), job.run.predictions("val")[2], atol=1e-5)
    for method in ("grad_cam", "gradient"):
        maps = methods.load(method)(network, images[:2], np.array([0, 1]))
        assert maps.shape == (2, *images.shape[1:3]) and maps.max() == 1 and maps.min() >= 0


KILLED = """
    import sys
    from lib.training.device import import_tensorflow
    import_tensorflow()
    import tiny_transfers
    from lib.training.jobs import run_job
    from test_transfer_jobs import LONG
    run_job(tiny_transfers.job("killed", LONG))
"""


def test_a_killed_transfer_on_growing_images_ends_with_the_same_bits(jobs):
    """The process is killed at a moment that nobody chose; before, it waits for a process that has its head."""
    killed = tiny_transfers.job("killed", LONG)
    head = killed.sources[0].run
    folders = os.pathsep.join((".", "tests", str(Path(__file__).parent)))
    command = [sys.executable, "-c", textwrap.dedent(KILLED)]
    environment = os.environ | {"PYTHONPATH": folders, "PYTHONUNBUFFERED": "1"}
    with locked(head.folder.with_name(f".{head.id}.lock"), title="the head"):
        process = subprocess.Popen(command, cwd=paths.ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == f"Another process works on the run {head.id}: waiting for its end\n"
        assert not head.finished
    history, done = killed.run.folder / "history.csv", 0
    while done < 9 and process.poll() is None:
        time.sleep(0.01)
        done = len(history.read_text().splitlines()) - 1 if history.exists() else 0
    assert process.poll() is None, "the process ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not killed.run.finished and head.finished
    whole = run_job(tiny_transfers.job("whole", LONG | {"whole": LONG["killed"]}))
    assert not changed(whole.load_model(), run_job(killed).load_model())
    assert list(whole.history()["image_size"]) == [12] * 8 + [16] * 8


def test_an_earlier_network_gives_features_of_classes_that_it_has_never_seen(jobs):
    head, source = jobs["head"], jobs["scratch"].run.load_model()
    assert head.run.config()["classes"] == ["c3", "c4", "c5"] != jobs["scratch"].run.config()["classes"]
    assert head.run.metrics()["features"] == 8 and head.run.metrics()["val_accuracy"] > 0.5
    images = val_images(jobs["tuned"])
    expected = keras.Model(source.input, source.get_layer("logits").input)(images)
    np.testing.assert_allclose(head.backbone()(images), expected, rtol=1e-5)
    cut = tiny_transfers.job("cut", TRANSFERS | {"cut": HEAD.vary("?", backbone={"cut": "Block_4__block_1__add"})})
    assert cut.backbone().output_shape == (None, 4)
    large = tiny_transfers.job("large", TRANSFERS | {"large": HEAD.vary("?", image_size=24)})
    assert large.backbone().input_shape == (None, 24, 24, 3)
    assert run_job(large).metrics()["features"] == 8
    for name, options, said in (
        ("Block_5", {}, "scratch-seed0-.* has no layer 'Block_5' to be cut at. Layers: image, rescale, Stem__"),
        (
            "",
            {"trained_from": "Block_5"},
            "has no layer or block 'Block_5' up to its cut to be trained from. Blocks:",
        ),
    ):
        wrong = tiny_transfers.job("wrong", TRANSFERS | {"wrong": HEAD.vary("?", backbone={"cut": name})})
        with pytest.raises(ValueError, match=said):
            wrong.backbone(**options)


def test_a_layer_that_is_not_there_cannot_be_trained_from(jobs):
    wrong = TUNED.vary("?", model={"trained_from": "Block_5"})
    with pytest.raises(
        ValueError, match="has no layer or block 'Block_5' up to its cut to be trained from. Blocks: St"
    ):
        run_job(tiny_transfers.job("wrong", TRANSFERS | {"wrong": wrong}))


def test_what_is_not_finished_is_no_backbone(own_folders, monkeypatch):
    head = tiny_transfers.job("head")
    with pytest.raises(RunError, match="Run scratch-seed0-.* has no model.keras: it is not finished"):
        head.backbone()
    wild = SCRATCH.vary("?", training={"learning_rate": 1e38, "epochs": 3})
    run = run_job(tiny_transfers.job("tuned", TRANSFERS | {"scratch": wild}))
    assert "which it goes on from, was not finished" in run.failure and "loss became" in run.failure


def test_what_is_finished_is_read_and_test_images_are_predicted_once(jobs):
    for name, job in jobs.items():
        written = (job.run.folder / "metrics.json").stat().st_mtime_ns
        assert run_job(tiny_transfers.job(name, TRANSFERS | LITE)) == job.run
        assert (job.run.folder / "metrics.json").stat().st_mtime_ns == written
        assert job.predict_test() == job.run and job.run.damage() is None
        rows, labels, probabilities = job.run.predictions("test")
        assert np.array_equal(rows, job.opened.split.test) and probabilities.shape == (len(rows), 3)
        assert np.array_equal(labels, job.opened.dataset.index["label"].to_numpy()[rows])
        file = job.run.predictions_file("test")
        written = file.stat().st_mtime_ns
        job.predict_test()
        assert file.stat().st_mtime_ns == written
    forest = jobs["forest"]
    split = forest.opened.split
    features = forest.features(np.sort(np.concatenate([split.train, split.val])))
    grown = fit_forest(forest.settings.head, features.read(split.train), features.labels[split.train], seed=0)
    np.testing.assert_array_equal(
        forest_predictor(grown, 3)(features.read(split.val)), forest.run.predictions("val")[2]
    )


def test_figures_of_heads_are_whole(jobs):
    backbone = jobs["head"].backbone().count_params()
    for name, own, trained in (("head", 27, 27), ("dense", 72 + 32 + 54 + 21, 72 + 16 + 54 + 21), ("forest", 0, None)):
        run = jobs[name].run
        assert run.metrics()["parameters"] == backbone + own and run.metrics().get("trained_parameters") == trained
        assert run.environment()["wall_seconds"] >= run.metrics()["feature_seconds"] > 0
        assert (run.folder / "predictions_folds.npz").exists() == (name != "head")
        assert not list(run.folder.rglob("checkpoint.npz")) and not list(run.folder.glob("fold_*"))
    assert jobs["forest"].run.metrics()["trees"] == 5 and jobs["forest"].run.metrics()["nodes"] >= 15


def ids(transfers) -> dict[str, str]:
    opened = tiny_transfers.opened(transfers)
    return {name: transfer_job(opened, name).run.id for name in transfers}


def test_a_change_in_what_it_goes_on_from_changes_its_id(own_folders):
    before = ids(TRANSFERS)
    after = ids(TRANSFERS | {"scratch": SCRATCH.vary("?", training={"epochs": 3})})
    assert all(before[name] != after[name] for name in TRANSFERS)
    after = ids(TRANSFERS | {"head": HEAD.vary("?", head={"strengths": (0.5,)})})
    assert {name for name in TRANSFERS if before[name] != after[name]} == {"head", "tuned"}
    after = ids(TRANSFERS | {"scratch": SCRATCH.vary("another question"), "head": HEAD.vary("And this?")})
    assert after == before


@pytest.mark.parametrize(
    "backbone, side, last",
    [
        (Xception(weights="random", cut="block2_add"), 71, "block2_sepconv2"),
        (Vgg19(weights="random", cut="block1_pool"), 32, "block1_conv2"),
    ],
)
def test_other_backbones_go_the_same_road(own_folders, backbone, side, last):
    head = HEAD.vary("?", backbone=backbone, image_size=side, part=Part())
    training = {"epochs": 1, "learning_rate": 1e-4}
    tuned = TUNED.vary("?", model=backbone.replace(trained_from=last), training=training, image_size=side, part=Part())
    transfers = {"head": head, "tuned": tuned}
    images = tiny_transfers.dataset(per_class=8, classes=2)
    job = tiny_transfers.job("tuned", transfers, images)
    run = run_job(job)
    assert run.failure is None and run.metrics()["epochs"] == 1
    start = job.network()
    np.testing.assert_allclose(
        predict(start, [(val_images(job), None)]), job.sources[0].run.predictions("val")[2], atol=1e-4
    )
    moved = changed(start, run.load_model())
    assert last in moved <= {last, "block2_residual", "logits"}


def test_kinds_are_what_they_say(jobs):
    assert isinstance(jobs["scratch"], TransferNetworkJob) and jobs["scratch"].sources == ()
    assert jobs["tuned"].sources[0].run == jobs["head"].run and OTHERS == jobs["head"].settings.part
    assert isinstance(jobs["head"].settings.backbone, Earlier) and jobs["head"].compared_with == []
