"""lib.transfer.heads: what is fitted on features equals the library's own, and no image is predicted by what saw it."""

import json

import keras
import numpy as np
import pytest
import tiny_transfers
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression as SciKitLogistic
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.models import Vgg19
from lib.models.heads import DenseHead, Forest, LogisticRegression
from lib.training import observers
from lib.training.jobs import run_job
from lib.training.runs import Run
from lib.transfer import heads
from lib.transfer.features import Features


def made(count: int = 200, width: int = 30, *, classes: int = 4, shuffled: bool = False) -> Features:
    """Features in which a class shows, or with labels that say nothing about them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count)
    values = rng.normal(labels[:, None] * (np.arange(width) % 3 == 0), 0.5).astype(np.float32)
    return Features(np.arange(count), values, rng.permutation(labels) if shuffled else labels, 0.0, 7)


@pytest.mark.parametrize("present", [(0, 1), (0, 1, 2, 3, 4), (1, 3), (0, 2, 4)])
def test_logistic_regression_is_that_of_scikit_learn(present):
    """Of two classes, of many, with classes that no image has; features are constant, large, or far from zero."""
    rng = np.random.default_rng(0)
    labels = rng.choice(present, 120)
    values = rng.normal(labels[:, None] * rng.normal(0, 0.4, 9), 1.0).astype(np.float32)
    values[:, 3], values[:, 4], values[:, 5] = 5.0, values[:, 4] * 1e4, values[:, 5] * 0.1 + 300
    theirs = make_pipeline(StandardScaler(), SciKitLogistic(C=0.1, max_iter=1000)).fit(values, labels)
    classes = max(present) + 1 + (len(present) == 3)
    model = heads.fit_logistic(values, labels, num_classes=classes, strength=0.1)
    probabilities = heads.predictor(model)(values)
    assert probabilities.shape == (120, classes) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities[:, list(present)], theirs.predict_proba(values), atol=2e-4)
    absent = sorted(set(range(classes)) - set(present))
    assert np.all(probabilities[:, absent] < 1e-15) and np.ptp(probabilities, axis=0)[present[0]] > 0.5


def fit(head, features: Features, folder, *, classes: int = 4, seed: int = 0):
    order = np.arange(len(features.rows))
    split = order[order % 4 > 0], order[order % 4 == 0]
    predict, metrics = heads.fit_head(head, features, split, num_classes=classes, run=Run(folder), seed=seed)
    train, val = (predict(features.read(rows)) for rows in split)
    return (train, val), metrics, (val.argmax(1) == features.labels[split[1]]).mean()


SHORT = DenseHead(units=(16, 8), training=tiny_transfers.SHORT.replace(epochs=5))


def test_with_shuffled_labels_every_head_is_at_chance(tmp_path):
    for head in (LogisticRegression(strengths=(0.01, 1.0)), SHORT, Forest(trees=20)):
        _, _, right = fit(head, made(400), tmp_path / f"{head.name}_true")
        _, _, chance = fit(head, made(400, shuffled=True), tmp_path / f"{head.name}_shuffled")
        assert right > 0.55, (head, right)  # the control
        assert abs(chance - 0.25) < 0.15, (head, chance)  # 100 images: three standard errors are 0.13


def test_val_chooses_the_strength_and_the_first_among_equals(tmp_path):
    features = made()
    _, metrics, right = fit(LogisticRegression(strengths=(1e-9, 0.1)), features, tmp_path / "a")
    assert metrics["strength"] == 0.1 and right > 0.8
    assert metrics["parameters"] == metrics["trained_parameters"] == 31 * 4
    _, metrics, _ = fit(LogisticRegression(strengths=(0.1, 0.10001)), features, tmp_path / "b")
    assert metrics["strength"] == 0.1


def test_the_dense_head_is_that_of_the_coursework():
    """48,493,476 parameters with VGG-19 up to block4_conv4 at 96 px, 10,586,176 of them frozen.

    The frozen ones are the 10,585,152 of the convolutions, and 1,024 running statistics of the head's batch norm, which
    Keras counts as not trainable.
    """
    backbone = Vgg19(weights="random").extractor(image_size=96)
    head = DenseHead()
    model = keras.Model(backbone.input, head.logits(backbone.output, 100))
    frozen = sum(np.prod(weight.shape) for weight in model.non_trainable_weights)
    assert (model.count_params(), frozen, backbone.count_params()) == (48_493_476, 10_586_176, 10_585_152)
    kinds = [type(layer).__name__ for layer in head.build(100, features=20).layers[1:]]
    assert kinds == ["Dense", "ReLU", "BatchNormalization", "Dropout", "Dense", "ReLU", "Dropout", "Dense"]
    layers = head.build(100, features=20).layers
    assert [layer.rate for layer in layers if hasattr(layer, "rate")] == [0.3, 0.4]
    assert [layer.units for layer in layers if hasattr(layer, "units")] == [512, 256, 100]


class Stopped(Exception):
    """In place of a process that is killed."""


def test_a_dense_head_that_was_stopped_ends_with_the_same_bits(tmp_path, monkeypatch):
    features = made()
    whole, metrics, right = fit(SHORT, features, tmp_path / "whole")
    assert metrics["epochs"] == 5 and right > 0.3 and len(Run(tmp_path / "whole").history()) == 5
    assert metrics["parameters"] - metrics["trained_parameters"] == 2 * 16  # running statistics

    def stop(screen, history):
        if len(history) == 3:
            raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(observers.Screen, "epoch", stop)
        fit(SHORT, features, tmp_path / "stopped")
    again, _, _ = fit(SHORT, features, tmp_path / "stopped")
    assert all(map(np.array_equal, whole, again))


def test_a_forest_is_the_same_however_many_cores_grow_it():
    features = made(150)
    values, labels = features.values, np.where(features.labels == 2, 3, features.labels)  # no image of class 2
    values[100:] = values[:50]  # equal features with other labels: leaves that are not pure
    theirs = RandomForestClassifier(25, random_state=4, n_jobs=1).fit(values, labels)
    forest = heads.fit_forest(Forest(trees=25), values, labels, seed=4)
    probabilities = heads.forest_predictor(forest, 5)(values)
    np.testing.assert_array_equal(probabilities[:, [0, 1, 3]], theirs.predict_proba(values).astype(np.float32))
    assert not probabilities[:, [2, 4]].any() and probabilities.dtype == np.float32
    other = heads.fit_forest(Forest(trees=25), values, labels, seed=5)
    assert not np.array_equal(heads.forest_predictor(other, 5)(values), probabilities)


def test_each_class_is_spread_over_the_folds():
    labels = np.repeat([0, 1, 2, 3], (40, 7, 3, 1))
    for count in (2, 3, 5):
        folds = heads.folds_of(labels, count)
        assert set(folds) == set(range(count)) and np.array_equal(folds, heads.folds_of(labels, count))
        for label in range(4):
            assert np.ptp(np.bincount(folds[labels == label], minlength=count)) <= 1
        assert np.ptp(np.bincount(folds)) <= 1


def test_no_image_is_predicted_by_a_head_that_has_seen_it(own_folders):
    """Labels that nothing explains: a head knows those it was fitted on, and none of those it was not."""
    images = tiny_transfers.dataset(per_class=40, classes=3, shuffled=True)
    head = tiny_transfers.HEAD.vary("?", part=tiny_transfers.Part(), head=Forest(trees=30), folds=3)
    scratch = tiny_transfers.SCRATCH.vary("?", part=tiny_transfers.Part(), training={"epochs": 1})
    job = tiny_transfers.job("head", {"scratch": scratch, "head": head}, images)
    run = run_job(job)
    rows, labels, probabilities = run.predictions("folds")
    assert np.array_equal(rows, job.opened.split.train)
    assert np.array_equal(labels, images.index["label"].to_numpy()[rows])
    seen = run.predictions("train")[2].argmax(1) == labels
    assert seen.mean() > 0.95 and abs(np.mean(probabilities.argmax(1) == labels) - 1 / 3) < 0.2
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert not list(run.folder.glob("fold_*")) and run.damage() is None
    written = json.loads((run.folder / "files.json").read_text())
    assert "predictions_folds.npz" in written and "model.keras" not in written
