"""Methods by the table, where maps are read, and which numbers sentences and reports read."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from lib.config import Split
from lib.config.brief import ExplainSizes
from lib.datasets.splits import make_split
from lib.explain import cases, methods, values
from lib.explain.features.activation_maximisation import Maximised
from lib.explain.scoring.pointing_game import compare_layers, pointing_game
from lib.explain.scoring.randomisation import SIMILARITY_LIMIT, Cascade
from lib.inputs.cache import open_images
from lib.report.notebooks.table import check_promises
from lib.report.results import open_results
from lib.training.open_brief import OpenBrief

RNG = np.random.default_rng(0)


def small_model():
    image = keras.Input((16, 16, 3), name="image")
    x = layers.ReLU(name="Stem__relu")(layers.Conv2D(4, 3, padding="same", name="Stem__conv")(image))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="Block_4__conv")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x)))


keras.utils.set_random_seed(0)
MODEL = small_model()
IMAGES = RNG.integers(0, 256, (3, 16, 16, 3), np.uint8)
MASKS = RNG.random((3, 16, 16)) > 0.5


# Settings


def test_all_methods_are_there_and_answer_alike():
    explainers = methods.load_all(ExplainSizes(masks=5))
    assert list(explainers) == list(methods.METHODS)
    for name, explain in explainers.items():
        maps = explain(MODEL, IMAGES, np.array([0, 1, 2]))
        assert maps.shape == (3, 16, 16) and 0 <= maps.min() and maps.max() <= 1, name
    other = methods.load_all(ExplainSizes(masks=30))["rise"](MODEL, IMAGES, 0)
    assert not np.array_equal(explainers["rise"](MODEL, IMAGES, 0), other)


# Where class activation maps are read


def test_each_block_is_scored_as_the_pointing_game_scores_it():
    table = compare_layers(MODEL, IMAGES, 1, masks=MASKS)
    assert table["block"].tolist() == ["Stem", "Stem", "Block_4", "Block_4"]
    assert table["layer"].tolist() == ["Stem__relu"] * 2 + ["Block_4__conv"] * 2
    assert table["side"].tolist() == [16, 16, 8, 8]
    maps = methods.load("grad_cam_plus_plus")(MODEL, IMAGES, 1, layer="Stem__relu")
    expected = pointing_game({"own": maps}, MASKS, images=IMAGES).iloc[0]
    assert table.iloc[1][["method", "hit", "energy"]].tolist() == ["grad_cam_plus_plus", expected.hit, expected.energy]


# Numbers for sentences and reports


def test_depth_is_told_of_the_first_block_and_the_last():
    summary = pd.DataFrame({"block": ["a", "b", "c"], "height": [32, 16, 4], "silent": [0.1, 0.2, 0.3], "dead": 0.5})
    found = values.of_depth(summary)
    assert found["explain.block_first"] == "a" and found["explain.map_side_last"] == 4
    assert found["explain.silent_last"] == 0.3 and found["explain.dead_first"] == 0.5


def test_what_moves_leave_is_told_and_never_infinite():
    def made(moved, reached):
        return Maximised(None, np.array(reached, np.float32), np.array(moved, np.float32))

    found = values.of_ladder({"pixels": made([1, 2], [4, 2]), "all": made([3, 3], [4, 4])})
    assert found == {"explain.deep_moved_pixels": 0.5, "explain.deep_moved_all": 0.75}
    assert values.of_ladder({"pixels": made([1], [0])})["explain.deep_moved_all"] == 0


def test_pointing_areas_and_layers_are_told_by_method():
    pointing = pointing_game({"rise": MASKS * 1.0, "gradient": 1.0 - MASKS}, MASKS, images=IMAGES)
    found = values.of_pointing(pointing)
    assert found["explain.pointing_game.rise"] == 1 and found["explain.energy.gradient"] == 0
    assert {"explain.pointing_game.centre", "explain.pointing_game.contrast", "explain.energy.random"} <= set(found)
    assert found["explain.best_pointing"] == "RISE" and found["explain.best_pointing_hit"] == 1
    assert found["explain.pointing_lesson"] == values.LESSONS[False]
    everywhere = np.ones_like(MASKS)  # then the odd colour hits as surely as any map
    fooled = pointing_game({"rise": MASKS * 1.0}, everywhere, images=IMAGES)
    assert values.of_pointing(fooled)["explain.pointing_lesson"] == values.LESSONS[True]
    areas = pd.DataFrame({"method": ["rise", "centre"], "deletion": [0.1, 0.3], "insertion": [0.8, 0.6]})
    assert values.of_areas(areas)["explain.deletion.rise"] == 0.1
    assert values.of_areas(areas)["explain.insertion.centre"] == 0.6
    layers_table = pd.DataFrame({"block": ["a", "b"], "method": ["grad_cam", "rise"], "hit": [0.4, 0.9]})
    assert values.of_layers(layers_table) == {
        "explain.cam_best_block": "b",
        "explain.cam_best_method": "RISE",
        "explain.cam_best_hit": 0.9,
    }


def test_the_cascade_and_the_ranking_are_told():
    cascade = Cascade(("as trained", "all"), {}, {"rise": np.array([[1.0, 1.0], [0.2, 0.4]])})
    assert values.of_cascade(cascade) == {
        "explain.similarity.rise": pytest.approx(0.3),
        "explain.similarity_limit": SIMILARITY_LIMIT,
        "explain.shuffled_depths": 1,
    }
    ranking = pd.DataFrame({"method": ["rise", "gradient", "grad_cam"], "trust": ["yes", "yes", "no"]})
    found = values.of_ranking(ranking)
    assert found["explain.trusted"] == "RISE, gradient" and found["explain.trusted_count"] == 2
    assert found["explain.with_care"] == "none" and found["explain.not_trusted"] == "Grad-CAM"
    assert found["explain.best_method"] == "RISE"


def test_the_report_is_promised_the_pointing_game_of_every_method_where_objects_are_known(own_folders):
    results = open_results("demo", notebook="04_explainability", profile="smoke")
    results.save_value("explain.best_method", "RISE")
    results.save_value("explain.masks", False)
    check_promises("04_explainability", results.folder)
    results = open_results("demo", notebook="04_explainability", profile="smoke")
    results.save_value("explain.best_method", "RISE")
    results.save_value("explain.masks", True)
    promised = ", ".join(f"explain.pointing_game.{name}" for name in ["centre", *methods.METHODS])
    with pytest.raises(ValueError, match=f"04_explainability must save {promised}:"):
        check_promises("04_explainability", results.folder)


# Choices of images


def test_classes_are_sorted_by_how_sure_the_model_is_of_their_images():
    labels = np.array([0, 0, 1, 1, 3])
    probabilities = np.zeros((5, 4))
    probabilities[np.arange(5), labels] = [0.4, 0.6, 0.9, 0.8, 0.1]
    assert cases.surest_classes(labels, probabilities, most=5).tolist() == [1, 0, 3]
    assert cases.surest_classes(labels, probabilities, most=1).tolist() == [1]


def test_images_to_train_on_come_as_the_run_saw_them(photos):
    class PretendRun:
        def config(self):
            return {"settings": {"image_size": 12, "resize": "crop"}}

    split = make_split(photos, Split())
    batches = cases.train_batches(OpenBrief(None, "smoke", photos, split), PretendRun())
    ((images, labels),) = [(images.numpy(), labels.numpy()) for images, labels in batches]
    rows = split.train
    np.testing.assert_array_equal(images, open_images(photos, size=12, resize="crop").read(rows))
    assert labels.tolist() == photos.index["label"].to_numpy()[rows].tolist()
