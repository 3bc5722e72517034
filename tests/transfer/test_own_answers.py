"""What a backbone answers by itself, the names of its classes, and the record of a job for the tables."""

import inspect
import json
import sys

import keras
import numpy as np
import pytest
import tiny_training

from lib import briefs
from lib.config import Earlier, Ensemble, Head, Training, Transfer
from lib.config.files import checksum
from lib.figures import tables
from lib.inputs.cache import decode_rows
from lib.models import AlexNet, Lite0, SimpleCnn, WeightsError, Xception
from lib.models.heads import LogisticRegression
from lib.training.jobs import run_job
from lib.transfer import answers
from lib.transfer.jobs import EnsembleJob, HeadJob, TransferNetworkJob
from lib.transfer.records import record

LITE0 = pytest.mark.skipif(Lite0().published().find_here() is None, reason="the weights of lite0 are not installed")


@LITE0
def test_own_answers_are_those_of_each_image_in_the_order_of_the_rows(photos):
    opened, rows = tiny_training.opened(photos), np.array([17, 0, 5])
    own = answers.own_answers(opened, rows, backbone=Lite0(), image_size=32)
    assert own.shape == (3, 1000) and own.dtype == np.float32 and np.allclose(own.sum(axis=1), 1, atol=1e-5)
    model = Lite0().with_own_head(image_size=32)
    by_hand = np.exp(model(decode_rows(photos, rows, size=32, resize="stretch")).numpy())
    assert np.allclose(own, by_hand / by_hand.sum(axis=1, keepdims=True), atol=1e-5)
    assert np.abs(own[0] - own[1]).max() > 1e-3
    with pytest.raises(ValueError, match="at least 32"):
        answers.own_answers(opened, rows, backbone=Lite0(), image_size=16)


def test_lite0_answers_where_the_weights_of_another_one_are_not_here(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_WEIGHTS", str(tmp_path))
    assert answers.at_hand(Xception()) == answers.at_hand(AlexNet(weights="random")) == Lite0()
    (tmp_path / Xception().published().file).touch()  # without the layers of the 1000 classes
    assert answers.at_hand(Xception()) == Lite0()
    (tmp_path / Xception().published(top=True).file).touch()
    assert answers.at_hand(Xception()) == Xception()


def test_the_list_of_classes_is_the_one_of_keras():
    source = sys.modules[keras.applications.imagenet_utils.decode_predictions.__module__]
    assert source.CLASS_INDEX_PATH == answers.NAMES.address
    assert f'"{answers.NAMES.digest.removeprefix("md5:")}"' in inspect.getsource(source.decode_predictions)


def test_names_are_read_where_they_are_here_and_are_the_right_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_WEIGHTS", str(tmp_path))
    assert answers.class_list() is None
    file = tmp_path / answers.NAMES.file
    file.write_text(json.dumps({"1": ["n2", "great_white_shark"], "0": ["n1", "tench"]}))
    with pytest.raises(WeightsError, match="it is damaged or another file"):
        answers.class_list()
    assert "instead of c2c37ea" in last_line()
    monkeypatch.setattr(answers, "NAMES", answers.NAMES.replace(digest=f"md5:{checksum(file, 'md5')}"))
    assert answers.class_list() == ["tench", "great white shark"]
    assert last_line() == f"names of ImageNet's 1000 classes: {file}"
    file.unlink()
    monkeypatch.setattr(answers, "NAMES", answers.NAMES.replace(address=""))
    assert last_line().endswith("Pages show numbers in their place.")
    assert list(answers.fetch(briefs.load("low_level"))) == []  # it has no backbone


def last_line():
    """What `make data` says last of pretrained networks, for a brief with one of them."""
    brief = briefs.load("cifar10")
    lines = list(answers.fetch(brief.replace(transfers={"frozen": brief.transfers["frozen"]})))
    assert len(lines) == 2 and lines[0].startswith("lite0: ")
    return lines[-1]


def test_the_record_of_a_job_says_what_it_is_and_what_it_took(photos):
    opened, why = tiny_training.opened(photos), "Does it run?"
    training = Training(epochs=1, batch_size=8)
    scratch = Transfer(why=why, model=SimpleCnn(filters=(4, 8)), training=training, image_size=16)
    head = Head(why=why, backbone=Earlier("scratch"), head=LogisticRegression(), image_size=16)
    tuned = Transfer(why=why, model=Earlier("scratch", trained_from="Block_8"), starts_from="frozen", image_size=16)
    first = TransferNetworkJob(opened, "scratch", scratch)
    frozen = HeadJob(opened, "frozen", head, sources=(first,))
    last = TransferNetworkJob(opened, "tuned", tuned.replace(training=training), 1, sources=(frozen,))
    for job in (first, frozen, last):
        assert run_job(job).finished, job.run.failure
    records = [record(job) for job in (first, frozen, last)]
    assert [one["what"] for one in records] == ["from scratch", "head", "fine-tuned"]
    assert [one["backbone"] for one in records] == ["simple_cnn", "network of scratch", "network of scratch"]
    assert records[2]["seed"] == 1 and records[2]["cut"] == "before the logits" and records[2]["head"] == "logistic"
    for job, one in zip((first, frozen, last), records, strict=True):
        metrics = job.run.metrics()
        assert one["trained"] == metrics["trained_parameters"] > 0
        assert one["trained"] + one["frozen"] == metrics["parameters"]
        assert one["low"] <= one["val_accuracy"] == metrics["val_accuracy"] <= one["high"]
        assert one["train_accuracy"] == metrics["train_accuracy"]
        assert one["verdict"] == "too few images to tell" and one["train_images"] == len(opened.split.train)
        assert one["feature_seconds"] + one["fit_seconds"] == pytest.approx(one["seconds"])
    assert records[0]["frozen"] == 0 < records[2]["frozen"] < records[1]["frozen"]
    assert records[1]["trained"] == 3 * 16 + 3  # sixteen features, three classes
    assert records[0]["feature_seconds"] == 0 < records[1]["feature_seconds"] == records[2]["feature_seconds"]
    assert records[2]["seconds"] > records[1]["seconds"]
    both = EnsembleJob(opened, "both", Ensemble(why=why, of=("frozen", "tuned")), sources=(frozen, last))
    assert run_job(both).finished, both.run.failure
    together = record(both)
    assert together["what"] == "mean of others" and together["feature_seconds"] == 2 * records[1]["feature_seconds"]
    assert together["seconds"] > records[1]["seconds"] + records[2]["seconds"]
    frame = tables.transfers_table(records)
    assert frame["above_chance"].tolist() == ["too few images"] * 3 and frame["cut"].isna().tolist() == [1, 0, 0]
