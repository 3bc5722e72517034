"""Deletion, insertion and shuffled weights: on models whose right answer is known."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.explain.attributions.gradient import gradient
from lib.explain.network.layers import read_layers
from lib.explain.scoring import deletion, randomisation
from lib.explain.scoring.deletion import TILES, deletion_insertion, tile_ranks
from lib.explain.scoring.randomisation import (
    TRAINED,
    cascade,
    rank_correlation,
    shuffle_weights,
    weight_groups,
)

RNG = np.random.default_rng(0)


def corner_model(*, softmax=False):
    """Class 1 is as likely as the upper left quarter of the image is bright; the rest of the image does not matter."""
    image = keras.Input((16, 16, 3), name="image")
    mean = layers.GlobalAveragePooling2D(name="pool")(layers.Cropping2D(((0, 8), (0, 8)), name="corner")(image))
    logits = layers.Dense(2, name="logits", activation="softmax" if softmax else None)(mean)
    model = keras.Model(image, logits)
    model.get_layer("logits").set_weights([np.array([[0, 1 / 60]] * 3), np.array([0, -5.0])])
    return model


MODEL = corner_model()
QUARTER = np.zeros((1, 16, 16))
QUARTER[:, :8, :8] = 1


def corner_image(*, bright=200, dark=50):
    image = np.full((1, 16, 16, 3), dark, np.uint8)
    image[:, :8, :8] = bright
    return image


def probability(corner_mean):
    return 1 / (1 + np.exp(5 - 3 * np.asarray(corner_mean) / 60))


# Deletion and insertion


def test_the_curves_of_the_right_map_counted_by_hand():
    image = corner_image()
    fill = image.mean()
    curves = deletion_insertion(MODEL, image, 1, maps={"right": QUARTER, "wrong": 1 - QUARTER}, steps=4)
    assert curves.fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    blank, whole = probability(fill), probability(200)
    np.testing.assert_allclose(curves.deletion["right"], [[whole, blank, blank, blank, blank]], rtol=1e-5)
    np.testing.assert_allclose(curves.insertion["right"], [[blank, whole, whole, whole, whole]], rtol=1e-5)
    np.testing.assert_allclose(curves.deletion["wrong"], [[whole, whole, whole, whole, blank]], rtol=1e-5)
    table = curves.areas().set_index("method")
    assert table.index.tolist() == ["right", "wrong", "centre", "contrast", "random"]
    assert table.loc["right", "deletion"] == pytest.approx((whole + 7 * blank) / 8, rel=1e-5)
    assert table.loc["right", "insertion"] == pytest.approx((7 * whole + blank) / 8, rel=1e-5)
    assert table.loc["right", "gain"] > 0 > table.loc["wrong", "gain"]
    assert table.loc["centre", "gain"] == 0 and (table["images"] == 1).all()


def test_a_map_that_says_nothing_scores_as_the_random_order_does():
    images = np.repeat(corner_image(), 40, axis=0)
    table = deletion_insertion(MODEL, images, 1, maps={"flat": np.zeros((40, 16, 16))}, steps=4).areas()
    table = table.set_index("method")
    assert table.loc["flat", "deletion"] == pytest.approx(table.loc["random", "deletion"], abs=0.04)
    assert table.loc["flat", "insertion"] == pytest.approx(table.loc["random", "insertion"], abs=0.04)


def test_the_number_of_images_at_once_changes_nothing_and_that_of_steps_does(monkeypatch):
    images, maps = RNG.integers(0, 256, (3, 16, 16, 3), np.uint8), {"own": RNG.random((3, 16, 16))}
    usual = deletion_insertion(MODEL, images, [0, 1, 1], maps=maps)
    monkeypatch.setattr(deletion, "BATCH_SIZE", 5)
    single = deletion_insertion(MODEL, images, [0, 1, 1], maps=maps)
    for name in usual.deletion:
        np.testing.assert_allclose(usual.deletion[name], single.deletion[name], atol=1e-6)
        np.testing.assert_allclose(usual.insertion[name], single.insertion[name], atol=1e-6)
    assert usual.deletion["own"].shape == (3, 17) and usual.fractions[-1] == 1
    assert deletion_insertion(MODEL, images, 1, maps=maps, steps=3).deletion["own"].shape == (3, 4)


def test_curves_of_both_classes_add_up_to_one():
    images, maps = RNG.integers(0, 256, (2, 16, 16, 3), np.uint8), {"own": RNG.random((2, 16, 16))}
    parts = [deletion_insertion(MODEL, images, label, maps=maps, steps=4).deletion["own"] for label in (0, 1)]
    np.testing.assert_allclose(sum(parts), 1, atol=1e-6)


def test_a_model_that_ends_in_softmax_has_the_same_curves():
    curves = [
        deletion_insertion(model, corner_image(), 1, maps={"right": QUARTER}, steps=4)
        for model in (MODEL, corner_model(softmax=True))
    ]
    np.testing.assert_allclose(curves[0].deletion["right"], curves[1].deletion["right"], rtol=1e-5)


def test_tiles_are_ranked_by_their_mean():
    maps = np.zeros((1, 32, 32))
    maps[0, 4:6, 8:10] = 0.25  # a whole tile
    maps[0, 0, 31] = 0.9  # a quarter of one
    ranks = tile_ranks({"own": maps})[0, 0]
    assert ranks.shape == (32, 32) and ranks.max() == TILES**2 - 1
    assert (ranks[4:6, 8:10] == 0).all() and (ranks[0:2, 30:32] == 1).all()
    assert (np.bincount(ranks.ravel()) == 4).all()


def test_equal_tiles_come_in_random_order_and_small_images_in_pixels():
    flat = {"own": np.zeros((2, 5, 7))}
    ranks = tile_ranks(flat)[0]
    assert sorted(ranks[0].ravel()) == list(range(35))
    assert not np.array_equal(ranks[0], ranks[1])
    assert np.array_equal(ranks, tile_ranks(flat)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": {"own": np.zeros((1, 8, 8))}}, r"shape \(1, 16, 16\). Received: \(1, 8, 8\) for own"),
        ({"maps": {"own": QUARTER}, "steps": 1}, "steps must be at least 2"),
    ],
)
def test_wrong_options_of_deletion_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        deletion_insertion(MODEL, corner_image(), 1, **options)


# Shuffled weights


def blocks_model():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="Stem__conv")(image)
    x = layers.BatchNormalization(name="Stem__batchnorm")(x)
    for name in ("Block_1", "Block_2", "Block_3"):
        x = layers.ReLU(name=f"{name}__relu")(layers.Conv2D(4, 3, padding="same", name=f"{name}__conv")(x))
    return keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x)))


def names(groups):
    return {group: [layer.name for layer in own] for group, own in groups.items()}


def test_groups_go_from_the_head_down_and_neighbours_are_joined():
    model = blocks_model()
    assert names(weight_groups(model, most=9)) == {
        "logits": ["logits"],
        "Block_3": ["Block_3__conv"],
        "Block_2": ["Block_2__conv"],
        "Block_1": ["Block_1__conv"],
        "all": ["Stem__batchnorm", "Stem__conv"],
    }
    assert list(weight_groups(model, most=3)) == ["logits", "Block_2", "all"]
    assert names(weight_groups(model, most=2))["all"][-1] == "Stem__conv"


def test_groups_reach_into_nested_models_once():
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(2, 1, name="conv")], name="inner")
    image = keras.Input((6, 6, 2))
    model = keras.Model(image, layers.Dense(2, name="logits")(layers.Flatten()(inner(inner(image)))))
    assert names(weight_groups(model, most=5)) == {"logits": ["logits"], "all": ["conv"]}


def test_a_model_without_weights_is_refused():
    image = keras.Input((4, 4, 3))
    with pytest.raises(ValueError, match="a model without weights"):
        weight_groups(keras.Model(image, layers.Flatten()(image)), most=3)


def test_shuffling_keeps_the_numbers_and_moves_them():
    layer = blocks_model().get_layer("Block_1__conv")
    before = layer.get_weights()
    shuffle_weights(layer, np.random.default_rng(0))
    kernel = layer.get_weights()[0]
    assert not np.array_equal(kernel, before[0])
    np.testing.assert_array_equal(np.sort(kernel, axis=None), np.sort(before[0], axis=None))


def kernel_sum(model, images, class_index):
    """Follows the weights: a map that is the image weighed by the stem's first kernel."""
    kernel = keras.ops.convert_to_numpy(read_layers(model).steps["Stem__conv"].layer.kernel)[0, 0, :, 0]
    return np.asarray(images, float) @ kernel


def image_only(model, images, class_index):
    """Looks at the image alone, as an edge detector does."""
    return np.asarray(images, float).mean(axis=3)


def test_only_maps_that_depend_on_the_weights_change_and_the_model_is_left_alone(monkeypatch):
    model, images = blocks_model(), RNG.integers(0, 256, (4, 8, 8, 3))
    before = [weight.copy() for weight in model.get_weights()]
    done = cascade(model, images, 0, methods={"weights": kernel_sum, "image": image_only})
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert done.depths == (TRAINED, "logits", "Block_3", "Block_1", "all")
    assert done.maps["image"].shape == (5, 4, 8, 8)
    np.testing.assert_allclose(done.similarity["image"], 1)
    np.testing.assert_allclose(done.similarity["weights"][:-1], 1)  # the stem is shuffled last
    assert (done.similarity["weights"][-1] < 0.999).all()
    assert done.left["image"] == pytest.approx(1) and 0.7 < done.left["weights"] < 0.999
    monkeypatch.setattr(randomisation, "SIMILARITY_LIMIT", 0.99)
    assert done.verdicts() == {
        "weights": (False, f"{done.left['weights']:.2f} left: changes"),
        "image": (True, "1.00 left: fails, changes too little"),
    }
    assert done.maps_of(2)["image"].shape == (5, 8, 8) and done.means["image"].tolist() == pytest.approx([1] * 5)
    table = done.table()
    assert table["method"].tolist() == ["weights"] * 5 + ["image"] * 5 and table["depth"].tolist() == [*range(5)] * 2
    assert table["shuffled"].tolist()[:5] == list(done.depths) and (table["images"] == 4).all()
    last = table.iloc[4]
    assert last["similarity_low"] <= last["similarity"] == done.similarity["weights"][-1].mean()


def test_operations_and_functions_without_a_name_are_no_hindrance():
    image = keras.Input((8, 8, 3))
    prepared = [lambda x: x / 255.0, keras.applications.resnet50.preprocess_input, layers.Lambda(lambda x: x / 127 - 1)]
    for prepare in prepared:
        x = layers.Conv2D(4, 3, activation=lambda x: keras.ops.relu(x) + 1, name="conv")(prepare(image))
        model = keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x)))
        done = cascade(model, RNG.integers(0, 256, (2, 8, 8, 3), np.uint8), 0, methods={"gradient": gradient})
        assert done.depths == (TRAINED, "logits", "all") and done.left["gradient"] < 0.99


def test_a_method_that_fails_leaves_the_weights_as_they_were():
    def fails(model, images, class_index):
        asked.append(model.get_weights())
        if len(asked) == 3:
            raise ValueError("no map")
        return image_only(model, images, class_index)

    model, asked = blocks_model(), []
    before = model.get_weights()
    with pytest.raises(ValueError, match="no map"):
        cascade(model, RNG.integers(0, 256, (1, 8, 8, 3)), 0, methods={"fails": fails})
    assert any(not np.array_equal(w, old) for w, old in zip(asked[-1], before, strict=True))
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_depths_and_seed_decide_what_is_shuffled(monkeypatch):
    images, methods, maps = RNG.integers(0, 256, (1, 8, 8, 3)), {"weights": kernel_sum}, []
    monkeypatch.setattr(randomisation, "DEPTHS", 2)
    for seeds in (0, 1, 2), (0,), (1,):
        monkeypatch.setattr(randomisation, "SEEDS", seeds)
        done = cascade(blocks_model(), images, 0, methods=methods)
        assert done.depths == (TRAINED, "logits", "all")
        maps.append(done.maps["weights"])
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0][-1], maps[2][-1])


def test_a_cascade_without_methods_is_refused():
    with pytest.raises(ValueError, match="at least one method"):
        cascade(blocks_model(), np.zeros((1, 8, 8, 3)), 0, methods={})


def test_images_are_dealt_to_the_shuffles_in_turn(monkeypatch):
    images, methods = RNG.integers(0, 256, (5, 8, 8, 3)), {"weights": kernel_sum}
    model = blocks_model()
    monkeypatch.setattr(randomisation, "SEEDS", (4, 7))
    dealt = cascade(model, images, np.arange(5) % 3, methods=methods).maps["weights"]
    for seed, places in ((4, [0, 2, 4]), (7, [1, 3])):
        monkeypatch.setattr(randomisation, "SEEDS", (seed,))
        alone = cascade(model, images[places], 0, methods=methods).maps["weights"]
        np.testing.assert_array_equal(dealt[:, places], alone)


def test_rank_correlation_counted_by_hand():
    maps = np.array([[[1, 2], [3, 4]], [[1, 2], [3, 4]], [[1, 1], [2, 2]], [[5, 5], [5, 5]], [[5, 5], [5, 5]]])
    others = np.array([[[1, 4], [9, 16]], [[4, 3], [2, 1]], [[1, 2], [1, 2]], [[0, 0], [0, 0]], [[1, 2], [3, 4]]])
    np.testing.assert_allclose(rank_correlation(maps, others), [1, -1, 0, 1, 0], atol=1e-12)


def test_rank_correlation_is_that_of_scipy():
    from scipy import stats

    maps, others = RNG.integers(0, 4, (2, 3, 5, 5))
    expected = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(maps, others, strict=True)]
    np.testing.assert_allclose(rank_correlation(maps, others), expected)
