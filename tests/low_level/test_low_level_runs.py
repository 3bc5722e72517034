"""Hand-written trainings and measurements leave whole run folders; one that diverges stops no other."""

import dataclasses
import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from lib import briefs, low_level
from lib.config import Perceptron
from lib.config.files import write_json
from lib.datasets.drawn import letters
from lib.low_level import fit, measure, trace
from lib.low_level.images import FlatImages, Rows, make_targets
from lib.low_level.jobs import MEASUREMENTS
from lib.low_level.loop import make_graphs
from lib.training import event_files, open_brief, workers
from lib.training.jobs import JobFailed
from lib.training.runs import Run

SMALL = Perceptron("Does it learn?", dataset="letters", hidden=(8,), learning_rate=0.5, batch_size=8, epochs=3)
FILES = {"environment.json", "graph", "history.csv", "metrics.json", "predictions.npz", "train"}
FILES |= {"validation", "weights.npz", "weights_best.npz"}


def rows(count, classes, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    pixels = 0.3 * rng.random((count, 6)) + 0.7 * np.eye(6)[labels]
    return Rows(np.arange(count), pixels.astype(np.float32), labels, make_targets(labels, classes))


def flat(classes=3):
    return FlatImages(rows(44, classes, 0), rows(12, classes, 1), rows(20, classes, 2), tuple("abcdef"[:classes]))


def trained(folder, perceptron=SMALL, classes=3, seed=0) -> Run:
    run = Run(folder)
    folder.mkdir(parents=True)
    metrics, seconds = fit.fit(perceptron, flat(classes), run=run, seed=seed)
    write_json(folder / "environment.json", {"wall_seconds": seconds})
    write_json(folder / "metrics.json", metrics)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("runs") / "small-seed0-1")


# One training


def test_a_finished_run_holds_what_reports_read(run):
    assert {file.name for file in run.folder.iterdir()} == FILES
    history, metrics = run.history(), run.metrics()
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["updates"].tolist() == [6, 12, 18]  # 44 images in six batches of at most 8
    assert (history["seconds"] > 0).all() and history["learning_rate"].eq(0.5).all()
    assert metrics["val_accuracy"] == history["val_accuracy"].iloc[-1] and metrics["updates"] == 18
    assert metrics["best_val_accuracy"] == history["val_accuracy"].max()
    assert metrics["parameters"] == 6 * 8 + 8 + 8 * 3 + 3
    assert run.environment()["wall_seconds"] == pytest.approx(history["seconds"].sum())


def test_it_learns_and_its_predictions_agree_with_its_metrics(run):
    index, labels, probabilities = run.predictions()
    assert index.tolist() == list(range(12)) and probabilities.shape == (12, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(12), abs=1e-6)
    assert np.mean(probabilities.argmax(axis=1) == labels) == pytest.approx(run.metrics()["val_accuracy"])
    assert run.metrics()["val_accuracy"] > 0.8


def test_tensorboard_gets_the_same_curves(run):
    shown = event_files.read_history(run)
    for column in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert shown[column].to_numpy() == pytest.approx(run.history()[column].to_numpy(), rel=1e-6)


@pytest.mark.parametrize("best", [False, True])
def test_test_images_are_predicted_with_the_last_or_the_best_weights(run, best):
    fit.predict_test(SMALL, flat(), run=run, best=best)
    _, labels, probabilities = run.predictions("test_best" if best else "test")
    assert labels.tolist() == flat().test.labels.tolist()
    graphs = make_graphs(SMALL, flat(), seed=0)
    with np.load(run.folder / f"weights{'_best' if best else ''}.npz") as stored:
        for variable in graphs.network.variables:
            variable.assign(stored[variable.name])
    assert probabilities == pytest.approx(fit.predict(graphs.network, flat().test.images), abs=1e-6)


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path):
    # A rate that is too high at the end of a long training makes val fall again.
    wild = SMALL.replace(learning_rate=30.0, epochs=6)
    done = trained(tmp_path / "wild", wild)
    best = done.metrics()["best_epoch"]
    assert best < 6
    short = trained(tmp_path / "short", wild.replace(epochs=best))
    with np.load(done.folder / "weights_best.npz") as kept, np.load(short.folder / "weights.npz") as last:
        assert all(np.array_equal(kept[name], last[name]) for name in last.files)


def test_the_seed_alone_decides_the_weights(run, tmp_path):
    again, other = trained(tmp_path / "again"), trained(tmp_path / "other", seed=1)
    with np.load(run.folder / "weights.npz") as a, np.load(again.folder / "weights.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
    assert again.history()["loss"].tolist() == run.history()["loss"].tolist() != other.history()["loss"].tolist()


def test_every_setting_changes_the_result(run, tmp_path):
    changes = [{"hidden": (9,)}, {"batch_norm": True}, {"update": "adam"}, {"learning_rate": 0.4}]
    changes += [{"batch_size": 7}, {"batch_size": None}]
    results = [trained(tmp_path / str(i), SMALL.replace(**change)).history() for i, change in enumerate(changes)]
    losses = [history["loss"].tolist() for history in (run.history(), *results)]
    assert len({tuple(loss) for loss in losses}) == 1 + len(changes)


def test_bias_correction_changes_adam(tmp_path):
    adam = SMALL.replace(update="adam", learning_rate=0.01)
    losses = [
        trained(tmp_path / str(correction), adam.replace(bias_correction=correction)).history()["loss"].tolist()
        for correction in (True, False)
    ]
    assert losses[0] != losses[1]


def test_two_classes_are_trained_with_one_logit(tmp_path):
    run = trained(tmp_path / "binary", classes=2)
    assert run.metrics()["parameters"] == 6 * 8 + 8 + 8 + 1
    assert run.predictions()[2].shape == (12, 2)
    assert run.metrics()["val_accuracy"] > 0.8


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    with pytest.raises(JobFailed, match="the loss became .* in epoch 1; try a lower learning_rate"):
        trained(tmp_path / "wild", SMALL.replace(learning_rate=1e38))
    assert not Run(tmp_path / "wild").finished


# Beside Keras, speed, rates, first steps


@pytest.mark.parametrize("classes", [2, 3])
def test_keras_reaches_the_same_losses_step_by_step(classes):
    table = measure.compare_with_keras(SMALL, flat(classes), seed=0)
    assert len(table) == 20 and table["difference"].max() < 1e-5
    assert table["by_hand"].iloc[-1] < table["by_hand"].iloc[0]


def test_another_rate_would_be_noticed_beside_keras(monkeypatch):
    twin = measure.keras_twin
    monkeypatch.setattr(measure, "keras_twin", lambda one, network: twin(one.replace(learning_rate=0.51), network))
    assert measure.compare_with_keras(SMALL, flat(), seed=0)["difference"].max() > 1e-5


def time_routes(folder, name):
    warnings.simplefilter("error")  # Keras warns where it does without XLA
    measure.ROUNDS, measure.BATCH_SIZES = 1, (8,)
    measure.measure(name, {"small": SMALL}, images=flat(), run=Run(folder), seeds=(0,))


def test_every_route_is_timed(tmp_path):
    workers.share(functools.partial(time_routes, tmp_path), ["speed"], count=1, here=False)
    table = pd.read_csv(tmp_path / "measured.csv")
    assert table["batch_size"].tolist() == [8] * 6 and (table["seconds"] > 0).all()
    assert table.loc[table["route"] == "Keras fit", "relative_seconds"].tolist() == [1]
    assert table["images_per_second"].to_numpy() == pytest.approx(44 / table["seconds"].to_numpy())


def test_adams_first_steps_are_watched():
    table = low_level.with_ratio(measure.watch_first_steps(SMALL.replace(learning_rate=0.001), flat(), seed=0))
    assert table["step"].tolist() == list(range(1, 101))
    assert table["ratio"].iloc[0] == pytest.approx(0.1 / np.sqrt(0.001), rel=1e-6)
    assert table["ratio"].iloc[1] == pytest.approx(0.19 / np.sqrt(0.001999), rel=1e-6)
    first = table.iloc[0]
    assert first["uncorrected"] / first["corrected"] == pytest.approx(first["ratio"], rel=1e-2)
    assert first["corrected_loss"] == first["uncorrected_loss"]


def test_rates_are_compared_from_fresh_weights_each_time():
    variants = {"plain": SMALL, "adam": SMALL.replace(update="adam")}
    table = measure.compare_rates(variants, flat(), rates=(0.5, 0.01, 0.5), seeds=(0, 1))
    assert len(table) == 2 * 3 * 2 * 3
    same = table[(table["variant"] == "adam") & (table["learning_rate"] == 0.5) & (table["seed"] == 0)]
    assert same["loss"].tolist()[:3] == same["loss"].tolist()[3:]
    assert same["loss"].tolist()[0] != same["loss"].tolist()[1]


def test_a_training_of_its_own_gives_what_the_comparison_gave(run):
    table = measure.compare_rates({"plain": SMALL}, flat(), rates=(0.5,), seeds=(0,))
    assert table["val_loss"].tolist() == pytest.approx(run.history()["val_loss"].tolist(), rel=1e-5)


def test_diverged_trainings_lack_their_last_epochs():
    table = measure.compare_rates({"plain": SMALL}, flat(), rates=(0.5, 1e38), seeds=(0, 1))
    assert set(table["learning_rate"]) == {0.5}
    summary = low_level.rate_summary(pd.concat([table, table.assign(variant="other", learning_rate=1.0).iloc[:4]]))
    lost = summary[summary["variant"] == "other"].set_index("learning_rate")
    assert lost.loc[1.0, "diverged"] == 1 and lost.loc[0.5, "diverged"] == 2
    assert np.isnan(lost.loc[0.5, "mean"]) and not np.isnan(lost.loc[1.0, "mean"])


def test_usable_rates_are_the_unbroken_range_around_the_best():
    values = [0.885, 0.5, 0.89, 0.9, 0.88, 0.85]
    frame = pd.DataFrame(
        {"learning_rate": [0.001, 0.01, 0.1, 1, 10, 100], "mean": values, "diverged": [0, 0, 0, 0, 0, 3]}
    )
    facts = low_level.rate_facts(frame)
    assert (facts["best_rate"], facts["best_accuracy"], facts["low_rate"], facts["high_rate"]) == (1, 0.9, 0.1, 10)
    assert facts["usable_decades"] == pytest.approx(2) and facts["diverged"] == 3
    assert low_level.rate_facts(frame.assign(diverged=[0, 0, 0, 0, 1, 0]))["high_rate"] == 1


# The graph


def test_the_boxes_of_a_step_are_its_name_scopes():
    step = trace.untrained_step(SMALL.replace(hidden=(8, 5), batch_norm=True), flat())
    boxes = trace.boxes(*step)
    layers = ["hidden_1", "hidden_2", "hidden_1_norm", "hidden_2_norm", "logits"]
    assert [name for name, *_ in boxes] == ["images", *layers, "loss", "gradient_tape", "update"]
    found = {name: (labels, shape, parameters) for name, labels, shape, parameters in boxes}
    assert found["logits"] == (["MatMul", "AddV2"], (None, 3), 5 * 3 + 3)
    assert found["hidden_1"][2] == 6 * 8 and found["hidden_1_norm"][2] == 16
    assert found["gradient_tape"][0][:2] == ["to loss", "to logits"]  # back to front
    assert set(found["gradient_tape"][0][2:]) == {f"to {layer}" for layer in layers[:4]}
    assert "AssignSubVariableOp × 8" in found["update"][0]


def test_tensorboard_shows_one_box_a_layer(run):
    boxes = event_files.read_graph(run)
    assert {"hidden_1", "logits", "loss", "gradient_tape", "update"} <= set(boxes)
    assert any("MatMul" in operation for operation in boxes["hidden_1"])


# A brief's plan


@pytest.fixture
def brief(own_folders, monkeypatch):
    """The brief with small trainings, one of which must fail."""
    real = letters.draw
    monkeypatch.setattr(letters, "draw", lambda folder: real(folder, train_per_class=8, test_per_class=4))
    monkeypatch.setattr(measure, "RATES", {"rates_of_norm": (0.1,), "rates_of_adam": (0.1,)})
    monkeypatch.setattr(measure, "measure_speed", lambda *inputs, seed: pd.DataFrame({"route": ["none"]}))
    made = briefs.load("low_level")
    names = ("binary", "ten_classes", "plain", "batch_norm", "adam", "uncorrected")
    kept = {name: made.perceptrons[name] for name in names}
    wild = kept["ten_classes"].vary("Does a failure stop the others?", learning_rate=1e38)
    made = made.replace(perceptrons={"binary": kept.pop("binary"), "wild": wild, **kept})
    monkeypatch.setattr(briefs, "load", lambda name: made)
    return made


def test_the_plan_is_carried_out_once_and_a_failure_is_recorded(brief, capsys, monkeypatch):
    alone = []

    def share(work, jobs, *, at_once):  # the small brief is known to this process only
        alone.extend(job.name for _, job in jobs if job.own_process)
        for job in jobs:
            work(job)

    opened = open_brief.open_brief("low_level", "smoke")
    fits = low_level.fit_by_hand(opened, share=share)
    assert {name for name, job in fits.jobs.items() if job.run.finished} == set(fits.jobs) - {"wild"}
    assert set(fits.jobs) == {*brief.perceptrons, *MEASUREMENTS} and list(fits.jobs)[-1] == "speed"
    assert "the loss became" in fits.run("wild").failure
    assert alone == ["speed"]
    assert not [name for name, job in fits.jobs.items() if "images" in vars(job)]  # memory grows with none of them
    printed = capsys.readouterr().out
    assert printed.count("] ") == len(fits.jobs) and printed.count("failed: ") == 1
    low_level.fit_by_hand(opened, share=share)
    assert "failed earlier: the loss became" in capsys.readouterr().out
    low_level.fit_by_hand(opened, share=share, retry=True)
    assert capsys.readouterr().out.count("[1/1] wild-seed0-") == 1
    assert fits.run("binary").config()["classes"] == ["H", "J"]
    assert fits.run("binary").config()["dataset"] == fits.job("binary").opened.dataset.checksum
    assert len(fits.measured("keras_twin")) == 20
    check_tables(fits)


def check_tables(fits):
    names = fits.finished()
    assert "wild" not in names and "speed" not in names
    table = fits.table(names)
    assert table["training"].tolist() == names
    lowest = table["val_accuracy"].idxmin()
    assert table["as_good_after_epochs"].between(1, 2).all()
    assert table["as_good_after_epochs"][lowest] <= fits.size(names[lowest])["epochs"]
    facts = fits.facts("binary")
    assert facts["classes"] == "H and J" and facts["train_seconds"] == pytest.approx(60 * facts["train_minutes"])
    assert facts["gap"] == pytest.approx(facts["train_accuracy"] - facts["val_accuracy"])
    first = fits.job("binary").predict_test()
    kept = (first.folder / "predictions_test.npz").stat().st_mtime_ns
    fits.job("binary").predict_test()
    assert (first.folder / "predictions_test.npz").stat().st_mtime_ns == kept
    assert list(fits.histories(["ten_classes"])) == ["32 at 0.01"]


def test_only_what_is_asked_for_is_trained(brief, capsys):
    fits = low_level.fit_by_hand(open_brief.open_brief("low_level", "smoke"), only=("binary",))
    assert "[1/1] binary-seed0-" in capsys.readouterr().out and fits.run("binary").finished
    assert fits.finished() == ["binary"]


def test_a_process_that_has_trained_nothing_else_gives_the_same_numbers(brief, tmp_path, monkeypatch):
    tf.config.experimental.enable_op_determinism()  # as Keras trainings leave this process; others start without
    weights = {}
    for at_once in (1, 2):
        monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / f"reports{at_once}"))
        opened = open_brief.open_brief("low_level", "smoke")
        fits = low_level.fit_by_hand(opened, only=("ten_classes", "plain"), at_once=at_once)
        runs = [fits.run(name) for name in ("ten_classes", "plain")]
        weights[at_once] = [(run.id, (run.folder / "weights.npz").read_bytes()) for run in runs]
        assert fits.facts("ten_classes")["at_once"] == at_once
    assert weights[1] == weights[2]


def test_settings_data_and_members_decide_the_run_but_not_the_question(brief):
    opened = open_brief.open_brief("low_level", "smoke")

    def ids(**changes):
        settings = {name: one.replace(**changes.get(name, {})) for name, one in brief.perceptrons.items()}
        other = dataclasses.replace(opened, brief=brief.replace(perceptrons=settings))
        return {job.name: job.run.id for job in low_level.by_hand_jobs(other)}

    usual = ids()
    assert ids(plain={"why": "Another question?"}) == usual

    def changed(**changes):
        return {name for name, run_id in ids(**changes).items() if run_id != usual[name]}

    assert changed(binary={"classes": (1, 2)}) == {"binary"}
    assert changed(plain={"learning_rate": 0.3}) == {"plain", "rates_of_norm", "rates_of_adam"}
    assert changed(batch_norm={"epochs": 99}) == {"batch_norm", "rates_of_norm"}
    assert changed(adam={"hidden": (7,)}) == {"adam", "first_steps", "rates_of_adam"}


def test_wrong_names_and_missing_perceptrons_are_refused(brief):
    opened = open_brief.open_brief("low_level", "smoke")
    with pytest.raises(ValueError, match="Unknown training 'tern'. Trainings: rates_of_adam, "):
        low_level.fit_by_hand(opened, only=("none",)).run("tern")
    bare = dataclasses.replace(opened, brief=brief.replace(perceptrons={}))
    with pytest.raises(ValueError, match="must have the perceptrons adam, batch_norm, plain, ten_classes, uncorrected"):
        low_level.by_hand_jobs(bare)


def test_impossible_settings_are_refused():
    for change, message in (
        ({"classes": (3, 3)}, "classes holds two different class numbers, or none"),
        ({"classes": (3,)}, "classes holds two different class numbers, or none"),
        ({"hidden": (5, 0)}, "hidden, batch_size and epochs are positive"),
        ({"batch_size": 0}, "hidden, batch_size and epochs are positive"),
        ({"update": "momentum"}, "update is gradient_descent or adam"),
        ({"learning_rate": 0.0}, "learning_rate is positive"),
        ({"why": " "}, "why says what the training asks"),
        ({"epochs": 1.5}, "Perceptron.epochs must be of type int"),
        ({"width": 3}, "Perceptron has no field width"),
    ):
        with pytest.raises(ValueError, match=message):
            SMALL.replace(**change)
