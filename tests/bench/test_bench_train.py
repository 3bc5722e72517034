"""The benchmark of the training step, run for real on a tiny network, and its arithmetic by hand."""

import importlib.util
import math
import os
import sys

import pandas as pd
import pytest

from lib.bench import train_step
from lib.config import Experiment, Training, paths
from lib.models import Residual

TINY = Experiment(
    why="Is every route measured?",
    model=Residual(filters=(4, 8), blocks=(1, 1), stem_stride=2, dropout=0.2),
    training=Training(epochs=1, batch_size=4, label_smoothing=0.1, weight_decay=0.005),
    image_size=16,
)


@pytest.fixture
def small(monkeypatch, own_folders):
    monkeypatch.setattr(train_step, "SIDE", 8)
    monkeypatch.setattr(train_step, "PAUSE", 0)
    monkeypatch.delenv("TORCH", raising=False)


def test_a_whole_benchmark_without_pytorch(small, monkeypatch, capsys):
    monkeypatch.setattr(train_step.importlib.util, "find_spec", lambda name: None)
    table = train_step.run(TINY, sizes=(16,), rounds=2, classes=3)
    stored = pd.read_csv(paths.reports() / "bench" / "train_step.csv")
    routes = ["ours", "Keras fit", "Keras fit, our layers", "matrix product"]
    precisions = ["float32", "mixed_bfloat16"] if train_step.has_bfloat16() else ["float32"]
    assert list(stored.columns) == train_step.COLUMNS
    assert stored["route"].tolist() == table["route"].tolist() == routes * len(precisions)
    assert stored["precision"].unique().tolist() == precisions and set(stored["pixels"]) == {16}
    assert (stored["lowest_milliseconds"] > 0).all() and (stored["gflops"] > 0).all()
    assert (stored["lowest_milliseconds"] <= stored["milliseconds"]).all()
    assert (stored[stored["route"] == "ours"]["times_ours"] == 1).all()
    printed = capsys.readouterr().out
    assert "16 px, float32: 2 rounds" in printed and "batch of 4, 2 rounds" in printed
    assert "PyTorch is not installed here" in printed


def test_operations_of_a_step_by_hand():
    model = TINY.model.build(3, image_size=16)
    stem = 8 * 8 * 3 * 3 * 3 * 4
    blocks = 2 * 8 * 8 * 9 * 4 * 4 + 4 * 4 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8)
    dense = 8 * 3
    assert train_step.flop_of_step(model, 4) == 4 * 2 * (2 * stem + 3 * blocks + 3 * dense)


def test_keras_own_layers_take_the_place_of_ours():
    model = TINY.model.build(3, image_size=16)
    for layer in model.layers:
        theirs = train_step.as_keras_has_it(layer)
        assert type(theirs).__module__.startswith("keras.") and theirs.name == layer.name


def test_bars_are_met_or_missed():
    rows = [(64, "float32", route, 1.0, 1.0, 1.0, ratio) for route, ratio in (("ours", 1.0), ("PyTorch", 1.04))]
    rows += [(64, "mixed_bfloat16", "PyTorch", 1.0, 1.0, 1.0, 1.0), (96, "float32", "Keras fit", 1.0, 1.0, 1.0, 1.1)]
    rows.append((96, "float32", "matrix product", 1.0, 1.0, 1.0, math.nan))
    assert train_step.judge(pd.DataFrame(rows, columns=train_step.COLUMNS)) == [
        "64 px, float32: PyTorch takes 1.04 times as long as ours (at least 1.05 asked: missed)",
        "64 px, mixed_bfloat16: PyTorch takes 1.00 times as long as ours (at least 1 asked: met)",
        "96 px, float32: Keras fit takes 1.10 times as long as ours (at least 1.1 asked: met)",
    ]


def test_an_environment_that_has_no_pytorch_is_refused(small, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH", str(tmp_path))
    with pytest.raises(ValueError, match="TORCH must be the folder of an environment that has PyTorch: .*No such file"):
        train_step.run(TINY, sizes=(16,), rounds=1, classes=3)
    if importlib.util.find_spec("torch"):
        return
    monkeypatch.setattr(train_step, "find_torch", lambda: sys.executable)
    with pytest.raises(ValueError, match="PyTorch ended, "), train_step.torch_process(TINY, 3) as ask:
        ask(16, "float32")


def test_pytorch_takes_its_turn_where_it_is_at_hand():
    if not os.environ.get("TORCH") and not importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is not installed, and TORCH names no environment; it is no dependency")
    with train_step.torch_process(TINY, 3) as ask:
        assert all(0 < ask(pixels, "float32") < 60 for pixels in (16, 16, 8))
