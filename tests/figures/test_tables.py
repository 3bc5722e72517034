"""Tables against small cases written by hand."""

import math

import pandas as pd
import pytest

from lib.config import Experiment
from lib.figures import tables
from lib.models import SimpleCnn

RUNS = [
    {"experiment": "wide", "seed": 1, "why": "more filters?", "parameters": 2000, "minutes": 4.0, "val_accuracy": 0.90},
    {"experiment": "wide", "seed": 0, "why": "more filters?", "parameters": 2000, "minutes": 2.0, "val_accuracy": 0.88},
    {"experiment": "base", "seed": 0, "why": "where to start", "parameters": 500, "minutes": 1.0, "val_accuracy": 0.60},
    {"experiment": "base", "seed": 1, "why": "where to start", "parameters": 500, "minutes": 1.0, "val_accuracy": 0.62},
    {"experiment": "deep", "seed": 0, "why": "more layers?", "parameters": 900, "minutes": 3.0, "val_accuracy": 0.95},
]
BROKEN = {"experiment": "broken", "seed": 0, "why": "what fails?", "status": "loss is not a number"}


def summary(baseline="base"):
    table = tables.experiments_table([*RUNS, BROKEN])
    return tables.experiments_summary(table, baseline=baseline).set_index("experiment")


# --- experiments


def test_experiments_table_has_one_row_a_run_in_order():
    frame = tables.experiments_table(RUNS)
    rows = list(zip(frame["experiment"], frame["seed"], strict=True))
    assert rows == [("wide", 0), ("wide", 1), ("base", 0), ("base", 1), ("deep", 0)]
    assert list(frame.columns) == ["experiment", "seed", "why", "parameters", "minutes", "val_accuracy"]
    assert frame["val_accuracy"].tolist() == [0.88, 0.90, 0.60, 0.62, 0.95] and list(frame.index) == [0, 1, 2, 3, 4]


def test_experiments_table_keeps_failed_runs_and_further_fields():
    frame = tables.experiments_table([*RUNS, BROKEN])
    assert list(frame.columns)[-1] == "status" and math.isnan(frame["val_accuracy"].iloc[-1])
    assert tables.experiments_table([BROKEN])["val_accuracy"].isna().all()


def test_experiments_table_refuses():
    for runs, message in [
        ([], "runs: at least one is needed"),
        ([{"seed": 0}], r"an experiment and a seed. Received: \{'seed': 0\}"),
        ([{"experiment": "a", "seed": None}], "an experiment and a seed"),
        ([RUNS[0], RUNS[0]], "must appear once. Received: wide, seed 1 twice"),
    ]:
        with pytest.raises(ValueError, match=message):
            tables.experiments_table(runs)


def test_experiments_summary_by_hand():
    frame = summary()
    assert frame.index.tolist() == ["wide", "base", "deep", "broken"]
    assert frame["n"].tolist() == [2, 2, 1, 0]
    assert frame["mean"].tolist()[:3] == pytest.approx([0.89, 0.61, 0.95])
    assert frame["spread"].tolist() == pytest.approx([0.02 / math.sqrt(2), 0.02 / math.sqrt(2), 0, 0])
    assert frame["difference"].tolist()[:3] == pytest.approx([0.28, 0, 0.34])
    assert frame["verdict"].tolist() == ["better", "baseline", "one seed, no claim", "no finished run"]
    assert frame["result"].tolist() == ["89.0 ± 1.4 (n=2)", "61.0 ± 1.4 (n=2)", "95.0 (n=1)", "– (n=0)"]
    assert frame["minutes"].tolist()[:3] == [3.0, 1.0, 3.0] and frame["parameters"].tolist()[:3] == [2000, 500, 900]
    assert frame.loc["wide", "why"] == "more filters?"


def test_experiments_summary_baseline_changes_the_result():
    assert summary(baseline="wide").loc["base", "verdict"] == "worse"
    against_failed = summary(baseline="broken")
    assert against_failed.loc["wide", "verdict"] == "no finished baseline"
    assert against_failed["difference"].isna().all()


def test_experiments_summary_of_the_bare_minimum():
    frame = tables.experiments_summary(pd.DataFrame({"experiment": ["a"], "val_accuracy": [0.5]}), baseline="a")
    assert list(frame.columns) == ["experiment", "n", "mean", "spread", "difference", "verdict", "result"]
    assert not frame.isna().any(axis=None)


def test_experiments_summary_refuses():
    with pytest.raises(ValueError, match="baseline must be one of wide, base, deep, broken. Received: 'nobody'"):
        summary(baseline="nobody")
    with pytest.raises(ValueError, match="columns experiment, val_accuracy. Received: experiment, seed"):
        tables.experiments_summary(pd.DataFrame(columns=["experiment", "seed"]), baseline="base")


# --- transfers


TRANSFERS = [
    {"experiment": "frozen", "seed": 0, "why": "?", "what": "head", "backbone": "lite0", "val_accuracy": 0.7}
    | {"verdict": "above chance", "trained": 12_810, "frozen": 3_000_000, "seconds": 38.0, "run": "frozen-seed0-0"},
    {"experiment": "tuned", "seed": 1, "why": "?", "what": "fine-tuned", "backbone": "lite0", "val_accuracy": 0.82}
    | {"verdict": "too few images to tell", "trained": 3_000_000, "frozen": 40_000, "seconds": 300.0},
    {"experiment": "tuned", "seed": 0, "why": "?", "what": "fine-tuned", "backbone": "lite0", "val_accuracy": 0.84}
    | {"verdict": "at chance", "trained": 3_000_000, "frozen": 40_000, "seconds": 340.0},
    {"experiment": "mean", "seed": 0, "why": "?", "what": "mean of others", "val_accuracy": 0.85},
]


def test_transfers_table_has_one_row_a_job_and_says_what_is_at_chance():
    frame = tables.transfers_table(TRANSFERS)
    assert frame[["experiment", "seed"]].to_numpy().tolist() == [["frozen", 0], ["tuned", 0], ["tuned", 1], ["mean", 0]]
    assert frame["above_chance"].tolist()[:3] == ["yes", "no", "too few images"] and pd.isna(frame["above_chance"][3])
    columns = ["experiment", "seed", "what", "backbone", "val_accuracy", "above_chance", "seconds", "trained", "frozen"]
    assert list(frame.columns) == [*columns, "run"]  # by which reports and evidence find what a row rests on
    assert frame["run"][0] == "frozen-seed0-0"
    assert frame["frozen"].tolist()[:2] == [3_000_000, 40_000] and pd.isna(frame["backbone"][3])


def test_transfers_table_is_summed_up_over_seeds():
    frame = tables.experiments_summary(tables.transfers_table(TRANSFERS), baseline="frozen").set_index("experiment")
    assert frame.loc["tuned", ["what", "seconds", "trained", "frozen", "n"]].tolist() == [
        *("fine-tuned", 320.0, 3_000_000, 40_000, 2)
    ]
    assert frame["result"].tolist() == ["70.0 (n=1)", "83.0 ± 1.4 (n=2)", "85.0 (n=1)"]
    assert frame.loc["tuned", "verdict"] == "one seed, no claim" and frame.loc["frozen", "verdict"] == "baseline"
    with pytest.raises(ValueError, match="must appear once. Received: mean, seed 0 twice"):
        tables.transfers_table([*TRANSFERS, TRANSFERS[-1]])


# --- settings


def test_settings_table_shows_only_what_differs():
    frame = tables.settings_table(
        {
            "a": {"why": "x", "filters": (16, 32), "flip": False, "epochs": 5, "rate": 0.1},
            "b": {"why": "y", "filters": (16,), "flip": True, "epochs": 5, "sizes": (), "layers": ("conv 8", "relu")},
        }
    )
    assert frame.to_dict("list") == {
        "experiment": ["a", "b"],
        "filters": ["16-32", "16"],
        "flip": ["no", "yes"],
        "rate": [0.1, "–"],
        "sizes": ["–", "none"],
        "layers": ["–", "conv 8, relu"],
    }


def test_settings_table_takes_real_experiments():
    base = Experiment(why="where to start", model=SimpleCnn(filters=(16, 32, 64)))
    wide = base.vary("more filters?", model={"filters": (32, 64, 128)})
    frame = tables.settings_table({"base": base.flat(), "wide": wide.flat()})
    assert frame.to_dict("list") == {"experiment": ["base", "wide"], "model.filters": ["16-32-64", "32-64-128"]}


def test_settings_table_of_one_experiment_or_none():
    assert list(tables.settings_table({"a": {"rate": 1}}).columns) == ["experiment"]
    with pytest.raises(ValueError, match="experiments: at least one is needed"):
        tables.settings_table({})


# --- models


def test_model_table_sums_the_parameters():
    layers = [
        {"layer": "conv", "type": "Conv2D", "output_shape": (None, 32, 32, 8), "parameters": 224},
        {"layer": "head", "type": "Dense", "output_shape": (10,), "parameters": 90},
    ]
    frame = tables.model_table(layers)
    assert frame["output_shape"].tolist() == ["32 × 32 × 8", "10", ""]
    assert frame["layer"].tolist() == ["conv", "head", "total"] and frame["parameters"].tolist() == [224, 90, 314]


def test_model_table_refuses():
    for layers in ([], [{"layer": "conv"}]):
        with pytest.raises(ValueError, match="each layer must have layer, type, output_shape, parameters"):
            tables.model_table(layers)


def test_results_of_others_stand_below_ones_own():
    columns = {"result": ["one", "two"], "accuracy (%)": ["38.8 ± 1.4", "60"], "measured on": "test"}
    published = pd.DataFrame(columns | {"protocol": "x", "pretrained": ["no", "yes"], "source": "y"})
    table = tables.beside_published(published, name="best", accuracy=0.4, interval=(0.38, 0.421))
    assert list(table.columns) == list(published.columns)
    assert table["accuracy (%)"].tolist() == ["40.0 (38.0 to 42.1)", "38.8 ± 1.4", "60"]
    assert table["result"].tolist() == ["best, here", "one", "two"]
    assert table["measured on"][0] == "test, with its 95 % interval"
    mean = tables.beside_published(published, name="best", accuracy=0.4, interval=(0.38, 0.421), by_class=True)
    assert mean["measured on"][0] == "test, mean over classes, with its 95 % interval"
    assert tables.published_reached(published, accuracy=0.4) == {"results": 1, "reached": 1}
    assert tables.published_reached(published, accuracy=0.387) == {"results": 1, "reached": 0}


def test_experiments_stand_beside_those_of_the_same_name_in_an_earlier_answer():
    names = ["experiment", "seed", "parameters", "epochs", "minutes", "val_accuracy", "train_accuracy"]
    names += ["val_loss", "train_loss"]
    runs = [["v1", 0, 90, 4, 1, 0.5, 1, 1, 0], ["v1", 1, 90, 8, 2, 0.6, 1, 2, 0], ["best", 0, 70, 9, 3, 0.9, 1, 1, 0]]
    frame = tables.experiments_table([dict(zip(names, run, strict=True)) for run in runs])
    earlier = pd.DataFrame({"accuracy": [0.513, 0.8], "protocol": ["20 epochs", "y"]}, index=["v1", "v9"])
    settings = {"v1": {"image_size": 43, "model.layers": ("conv 8 5", "relu")}, "best": {"image_size": 64}}
    table = tables.beside_earlier(frame, earlier, settings=settings)
    first, best = table.to_dict("records")
    assert (first["layers"], first["image_size"], first["epochs"], first["minutes"]) == (3, 43, 6, 1.5)
    assert (first["val_accuracy"], first["earlier_accuracy"]) == pytest.approx((0.55, 0.513))
    assert first["earlier_setting"] == "20 epochs" and best["earlier_setting"] == ""
    assert math.isnan(best["earlier_accuracy"]) and math.isnan(best["layers"])
    assert tables.beside_earlier(frame, earlier[1:], settings=settings).empty
