"""The gap between train and val: both by the finished model, kept in the run folder, compared over seeds."""

import numpy as np
import pandas as pd
import pytest

from lib import briefs
from lib.config import Brief, Experiment, Profile, Split, Training
from lib.evaluation import generalisation
from lib.inputs.cache import open_images
from lib.models import Mlp
from lib.training import open_brief
from lib.training.jobs import run_job
from lib.training.network import NetworkJob, network_job

BASE = Experiment(
    why="Does it run?",
    model=Mlp(units=(32,), dropout=0.9),
    training=Training(epochs=2, batch_size=4, learning_rate=0.02, schedule="constant"),
    image_size=8,
)


@pytest.fixture
def opened(own_folders, photo_folder, monkeypatch):
    profiles = dict.fromkeys(("smoke", "quick", "full"), Profile())
    names = {"name": "folder", "title": "Photos", "question": "How wide is it?", "dataset": "folder"}
    made = Brief(
        **names,
        baseline="dropped",
        best="dropped",
        experiments={"dropped": BASE},
        profiles=profiles,
        split=Split(test=0.2, val=0.2),
    )
    monkeypatch.setattr(briefs, "load", lambda name: made)
    return open_brief.open_brief("folder", "smoke", str(photo_folder))


def test_train_is_measured_without_dropout_and_kept(opened):
    run = run_job(network_job(opened, "dropped"))
    scores = generalisation.train_scores(opened, run)
    rows = opened.split.train
    logits = run.load_model()(open_images(opened.dataset, size=8).read(rows), training=False).numpy()
    labels = opened.dataset.index["label"].to_numpy()[rows]
    assert scores["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert scores["loss"] == pytest.approx(
        np.mean(np.log(np.exp(logits - logits[range(len(rows)), labels, None]).sum(1)))
    )
    assert scores["loss"] != pytest.approx(run.metrics()["train_loss"])  # that one has units dropped
    file = run.folder / "train_scores.json"
    kept = file.stat().st_mtime_ns
    table = generalisation.gaps(opened, [run])
    assert file.stat().st_mtime_ns == kept
    row = table.iloc[0]
    assert row["experiment"] == "dropped" and row["seed"] == 0 and row["run"] == run.id
    assert row["gap"] == pytest.approx(scores["accuracy"] - run.metrics()["val_accuracy"])
    assert row["train_loss"] == scores["loss"] and row["val_loss"] == run.metrics()["val_loss"]

    other = BASE.vary("And with a smaller layer?", model={"units": (4,)})
    jobs = [network_job(opened, "dropped"), NetworkJob(opened, "small", other)]
    run_job(jobs[1])
    table = generalisation.val_and_test(opened, [job.predict_test() for job in jobs])
    assert table["experiment"].tolist() == ["dropped", "small"]
    assert table["parameters"].tolist() == [job.run.metrics()["parameters"] for job in jobs]
    of_test = [job.run.predictions("test")[1:] for job in jobs]
    right = [np.mean(probabilities.argmax(axis=1) == labels) for labels, probabilities in of_test]
    assert table["test_accuracy"].tolist() == pytest.approx(right)
    assert (table["low"] <= table["test_accuracy"]).all() and (table["test_accuracy"] <= table["high"]).all()
    assert np.isnan(table["gain"][0]) and table["gain"][1] == pytest.approx(right[1] - right[0])
    assert table["gap"].tolist() == (table["train_accuracy"] - table["val_accuracy"]).tolist()
    assert table["val_minus_test"].tolist() == pytest.approx((table["val_accuracy"] - right).tolist())
    assert generalisation.val_and_test(opened, []).empty  # a coursework that names none
    draws = generalisation.of_draws([NetworkJob(opened, "small", other, seed=1), *jobs])  # the first is not trained
    assert draws["draw"].tolist() == [1, 2] and draws["run"].tolist() == [job.run.id for job in jobs]
    assert draws["test_accuracy"].tolist() == pytest.approx(right) and "test_balanced_accuracy" in draws
    assert draws["val_accuracy"].tolist() == table["val_accuracy"].tolist() and (draws["minutes"] > 0).all()


def scores(**values):
    """Runs of some experiments: name -> (train, val) accuracies of their seeds."""
    rows = [
        {"experiment": name, "seed": seed, "train_accuracy": train, "val_accuracy": val, "gap": train - val}
        for name, pairs in values.items()
        for seed, (train, val) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


def test_changes_are_those_to_the_first_of_a_group_with_a_verdict():
    frame = scores(
        plain=[(1.0, 0.900), (1.0, 0.902), (1.0, 0.898)],
        dropped=[(0.95, 0.920), (0.95, 0.921), (0.95, 0.919)],
        mild=[(1.0, 0.901), (1.0, 0.899), (1.0, 0.903)],
        other=[(0.8, 0.7), (0.8, 0.7), (0.8, 0.7)],
    )
    table = generalisation.gap_summary(
        frame, groups={"deep": ("plain", "dropped", "mild", "missing"), "else": ("other",)}
    )
    rows = table.set_index("experiment")
    assert rows.index.tolist() == ["plain", "dropped", "mild", "other"] and rows["n"].eq(3).all()
    assert rows["gap"].round(4).tolist() == [0.1, 0.03, 0.099, 0.1]
    assert rows.loc["dropped", "gap_change"] == pytest.approx(-0.07)
    assert rows.loc["dropped", "val_change"] == pytest.approx(0.02)
    assert rows["gap_verdict"].tolist() == ["reference", "lower", "unclear", "reference"]
    assert rows["val_verdict"].tolist() == ["reference", "higher", "unclear", "reference"]
    assert rows.loc["plain", "val_spread"] == pytest.approx(0.002)


def test_one_seed_claims_nothing():
    table = generalisation.gap_summary(
        scores(plain=[(1.0, 0.9)], dropped=[(0.9, 0.9)]), groups={"deep": ("plain", "dropped")}
    )
    assert table["gap_verdict"].tolist() == ["reference", "unclear"]
    assert np.array_equal(table["val_spread"], [0, 0])
