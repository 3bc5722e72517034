"""Layers of flat and nested models, read as one list of steps."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.explain.network import taps


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def nested() -> keras.Model:
    """A sequential head and a functional backbone, which holds a sequential stem, inside one model."""
    parts = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")]
    stem = keras.Sequential(parts, name="stem")
    image = keras.Input((8, 8, 3))
    x = stem(image)
    branch = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    backbone = keras.Model(image, layers.Add(name="add")([branch, x]), name="backbone")
    head = keras.Sequential([layers.GlobalAveragePooling2D(name="pool"), layers.Dense(5, name="logits")], name="head")
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(image)
    return keras.Model(image, head(backbone(x)), name="whole")


NAMES = ["rescale", "backbone/stem/conv", "backbone/stem/relu", "backbone/conv", "backbone/add"]
NAMES += ["head/pool", "head/logits"]


def test_names_carry_the_models_around_a_layer(nested):
    assert taps.layer_names(nested) == NAMES


def test_steps_know_what_feeds_them_and_their_shapes(nested):
    network = taps.read(nested)
    assert network.steps["rescale"].inputs == (taps.IMAGE,)
    assert network.steps["backbone/add"].inputs == ("backbone/conv", "backbone/stem/relu")
    assert network.steps["head/pool"].inputs == ("backbone/add",)
    assert network.shape("backbone/add") == (None, 6, 6, 4) and network.shape(taps.IMAGE) == (None, 8, 8, 3)
    assert network.output == taps.Output("head/logits")
    assert network.steps["backbone/stem/conv"].layer is nested.get_layer("backbone").get_layer("stem").layers[0]


def test_a_tap_gives_what_the_layers_give(nested, images):
    outputs = taps.tap(nested, ["backbone/stem/relu", "backbone/add", "head/logits"])(images)
    assert list(outputs) == ["backbone/stem/relu", "backbone/add", "head/logits"]
    np.testing.assert_array_equal(outputs["head/logits"], nested(images))
    stem = nested.get_layer("backbone").get_layer("stem")
    np.testing.assert_allclose(outputs["backbone/stem/relu"], stem(images / np.float32(255)), atol=1e-6)
    predicted = taps.tap(nested, ["backbone/add"]).predict(images, batch_size=2, verbose=0)
    np.testing.assert_allclose(predicted["backbone/add"], outputs["backbone/add"], atol=1e-6)


def test_the_model_stays_as_it_was(nested, images):
    every = list(nested._flatten_layers())
    before = [(layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in every]
    taps.tap(nested, NAMES)(images)
    assert [(layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in every] == before


def test_running_from_the_middle_computes_only_what_follows(nested, images):
    network = taps.read(nested)
    assert [step.name for step in network.needed([taps.IMAGE], ["backbone/stem/relu"])] == NAMES[:3]
    assert [step.name for step in network.needed(["backbone/add"], ["head/logits"])] == NAMES[5:]
    maps = taps.tap(nested, ["backbone/add"])(images)["backbone/add"]
    logits = network.run({"backbone/add": maps}, ["head/logits"])["head/logits"]
    np.testing.assert_allclose(logits, nested(images), atol=1e-6)


def test_what_is_known_must_hold_all_that_follows(nested):
    with pytest.raises(ValueError, match="not all that follows comes through backbone/conv: it has a shortcut around"):
        taps.read(nested).needed(["backbone/conv"], ["head/logits"])


def test_outputs_can_be_replaced_on_the_way(nested, images):
    network = taps.read(nested)
    values = {taps.IMAGE: images.astype(np.float32)}
    zeroed = network.run(values, ["head/logits"], after=lambda step, x: 0 * x if step.name == "backbone/add" else x)
    bias = nested.get_layer("head").layers[-1].bias
    np.testing.assert_allclose(zeroed["head/logits"], np.broadcast_to(bias, (3, 5)), atol=1e-6)


def test_an_unknown_layer_is_refused_with_a_list(nested):
    with pytest.raises(ValueError, match="Unknown layer 'nope'. Layers: rescale, backbone/stem/conv, .*, head/logits"):
        taps.tap(nested, ["rescale", "nope"])


def test_the_last_layer_with_rows_and_columns(nested):
    assert taps.last_spatial_layer(nested) == "backbone/add"
    image = keras.Input((8, 8, 3))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(2, 1, name="last")(image))
    assert taps.last_spatial_layer(keras.Model(image, layers.Flatten()(gate))) == "last"
    with pytest.raises(ValueError, match="no layer of the model has an output with rows and columns"):
        taps.last_spatial_layer(keras.Model(image, layers.Dense(2)(layers.Flatten()(image))))


def test_a_layer_must_have_rows_and_columns_where_maps_are_read(nested):
    network = taps.read(nested)
    assert taps.find_spatial(network, "backbone/conv") == "backbone/conv"
    with pytest.raises(
        ValueError, match="layer 'head/pool' has no rows and columns. Layers that have: rescale, .*add$"
    ):
        taps.find_spatial(network, "head/pool")


def test_a_layer_called_twice_has_two_steps():
    shared = layers.Conv2D(3, 1, name="shared")
    twice = keras.Sequential([keras.Input((4, 4, 3)), shared], name="inner")
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Flatten(name="flat")(twice(twice(shared(shared(image))))))
    assert taps.layer_names(model) == ["shared", "shared:2", "inner/shared", "inner/shared:2", "flat"]
    x = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    outputs = taps.tap(model, ["shared:2", "flat"])(x)
    np.testing.assert_allclose(outputs["shared:2"], shared(shared(x)), atol=1e-6)
    np.testing.assert_allclose(outputs["flat"], model(x), atol=1e-6)


def test_layers_that_change_images_in_training_do_not_here(images):
    image = keras.Input((8, 8, 3))
    x = layers.Dropout(0.9)(layers.RandomFlip(seed=0, name="flip")(image))
    model = keras.Model(image, layers.Flatten(name="flat")(x))
    outputs = [taps.tap(model, ["flat"])(images)["flat"] for _ in range(5)]
    for output in outputs:
        np.testing.assert_array_equal(output, images.reshape(3, -1))


def test_a_model_with_a_call_of_its_own_is_one_step(images):
    class Doubled(keras.Model):
        def call(self, x):
            return 2 * x

    class Overridden(keras.Sequential):
        def call(self, x, training=None, mask=None):
            return 1 + super().call(x)

    image = keras.Input((8, 8, 3))
    inner = Overridden([keras.Input((8, 8, 3)), layers.ReLU()], name="overridden")
    model = keras.Model(image, layers.Flatten(name="flat")(inner(Doubled(name="doubled")(image))))
    assert taps.layer_names(model) == ["doubled", "overridden", "flat"]
    np.testing.assert_allclose(taps.tap(model, ["flat"])(images)["flat"], 2.0 * images.reshape(3, -1) + 1)


def test_models_that_cannot_be_read_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    image, other = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    both = keras.Model([image, other], layers.Add()([image, other]))
    split = keras.Model(image, [layers.Flatten()(image), layers.ReLU()(image)])
    with pytest.raises(ValueError, match="functional or sequential Keras model that was built. Received: Own"):
        taps.read(Own())
    with pytest.raises(ValueError, match="that was built. Received: Sequential"):
        taps.read(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(ValueError, match="that was built. Received: str"):
        taps.read("model.keras")
    with pytest.raises(ValueError, match="one input and one output. Received: 2 inputs and 1 outputs"):
        taps.read(both)
    with pytest.raises(ValueError, match="one input and one output. Received: 1 inputs and 2 outputs"):
        taps.read(split)
