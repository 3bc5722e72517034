"""The benchmark of the attribution methods, run for real on a tiny model, and its arithmetic by hand."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from lib import bench
from lib.bench import explain, peers
from lib.config import paths
from lib.explain.methods import METHODS
from lib.models import Residual

SMALL = peers.Settings(samples=2, steps=2, patch=8, masks=3)


@pytest.fixture
def subject() -> explain.Subject:
    def load() -> keras.Model:
        image = keras.Input((16, 16, 3))
        x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(image))
        return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))

    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.float32)
    return explain.Subject("a tiny model", load, images, np.array([0, 1, 2, 0, 1]))


def test_a_whole_benchmark_without_the_other_libraries(subject, own_folders, monkeypatch, capsys):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    few = {name: METHODS[name] for name in ("grad_cam", "rise")}
    monkeypatch.setattr(explain, "METHODS", few)
    table = explain.run(subject, rounds=1, settings=SMALL)
    stored = pd.read_csv(paths.reports() / "bench" / "explain.csv")
    assert stored.columns.tolist() == bench.COLUMNS and len(stored) == len(table) == 4
    assert set(stored["route"]) == {"ours"}
    assert stored["case"].tolist() == [f"{name}, {when}" for name in few for when in ("first call", "again")]
    assert (stored["seconds"] > 0).all() and (stored["peak_mb"] >= 0).all()
    np.testing.assert_allclose(stored["seconds"] * stored["images_per_second"], 5)
    first, again = (stored[stored["case"].str.endswith(when)]["seconds"].sum() for when in ("first call", "again"))
    assert first > again  # what is compiled counts to the first call
    printed = capsys.readouterr().out
    assert "a tiny model: 5 images of 16 x 16, median of 1 rounds" in printed
    assert "xplique is not installed here: not measured" in printed and "tf-keras-vis is not installed" in printed


def test_our_method_is_beside_the_fastest_other():
    speeds = [("ours", "grad_cam, again", 90.0), ("xplique", "grad_cam, again", 40.0), ("z", "grad_cam, again", 45.0)]
    speeds += [("ours", "rise, again", 10.0), ("xplique", "rise, again", 20.0), ("ours", "alone, again", 1.0)]
    speeds += [("ours", "rise, first call", 1.0), ("xplique", "rise, first call", 4.0)]
    rows = [(route, case, 1.0, speed, 0.0) for route, case, speed in speeds]
    assert explain.judge(pd.DataFrame(rows, columns=bench.COLUMNS)) == [
        "grad_cam, again: ours is 2.00 times as fast as z (at least 1 asked: met)",
        "rise, again: ours is 0.50 times as fast as xplique (at least 1 asked: missed)",
        "rise, first call: ours is 0.25 times as fast as xplique",
    ]


def test_our_route_explains_with_the_settings(subject):
    for case in METHODS:
        maps = peers.make_explainer(peers.OURS, case, subject.load(), SMALL)(subject.images, subject.classes)
        assert maps.shape == (5, 16, 16)


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("route", [peers.XPLIQUE, peers.TF_KERAS_VIS])
def test_other_routes_explain_what_they_offer(route, subject):
    if route not in peers.installed():
        pytest.skip(f"{route} is not installed; it is no dependency")
    for case in (case for case in METHODS if peers.offers(route, case)):
        maps = peers.make_explainer(route, case, subject.load(), SMALL)(subject.images, subject.classes)
        assert np.ptp(np.asarray(maps).reshape(5, 16, 16)) > 0


def test_the_subject_is_the_demos_best_model_and_new_images_of_its_classes(own_folders):
    subject = explain.find_subject(count=5)
    assert subject.name == "the demo's best model, untrained"
    assert subject.images.shape == (5, 64, 64, 3) and subject.images.dtype == np.float32
    assert subject.images.max() <= 255 and subject.classes.tolist() == [0, 1, 2, 3, 4]
    assert subject.load().output_shape == (None, 12)
    run = paths.runs("demo") / "best-seed0-0123456789"
    run.mkdir(parents=True)
    Residual(filters=(4,), blocks=(1,)).build(12, image_size=64).save(run / "model.keras")
    assert explain.find_subject(count=5).name == "the demo's best model, untrained"  # not finished
    (run / "metrics.json").write_text("{}")
    trained = explain.find_subject(count=5)
    assert trained.name == "the demo's best model (best-seed0-0123456789)"
    assert trained.load().count_params() < subject.load().count_params()
