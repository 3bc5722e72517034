"""Layers of flat and nested models, read as one list of steps."""

import keras
import numpy as np
import pytest
from keras import layers

from lib.explain.network.layers import IMAGE, Output, read_layers
from lib.explain.network.logits import read_logits


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
    assert list(read_layers(nested).steps) == NAMES


def test_steps_know_what_feeds_them_and_their_shapes(nested):
    graph = read_layers(nested)
    assert graph.steps["rescale"].inputs == (IMAGE,)
    assert graph.steps["backbone/add"].inputs == ("backbone/conv", "backbone/stem/relu")
    assert graph.steps["head/pool"].inputs == ("backbone/add",)
    assert graph.steps["backbone/add"].shape == (None, 6, 6, 4) and graph.input_shape == (None, 8, 8, 3)
    assert graph.output == Output("head/logits")
    assert graph.steps["backbone/stem/conv"].layer is nested.get_layer("backbone").get_layer("stem").layers[0]


def test_outputs_are_those_that_the_layers_give(nested, images):
    outputs = read_layers(nested).read(images, ["backbone/stem/relu", "backbone/add", "head/logits"])
    assert list(outputs) == ["backbone/stem/relu", "backbone/add", "head/logits"]
    np.testing.assert_array_equal(outputs["head/logits"], nested(images))
    stem = nested.get_layer("backbone").get_layer("stem")
    np.testing.assert_allclose(outputs["backbone/stem/relu"], stem(images / np.float32(255)), atol=1e-6)


def test_the_model_stays_as_it_was(nested, images):
    every = list(nested._flatten_layers())
    before = [(layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in every]
    read_layers(nested).read(images, NAMES)
    assert [(layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in every] == before


def test_running_from_the_middle_computes_only_what_follows(nested, images):
    graph = read_layers(nested)
    assert [step.name for step in graph.needed([IMAGE], ["backbone/stem/relu"])] == NAMES[:3]
    assert [step.name for step in graph.needed(["backbone/add"], ["head/logits"])] == NAMES[5:]
    maps = graph.read(images, ["backbone/add"])["backbone/add"]
    logits = graph.run({"backbone/add": maps}, ["head/logits"])["head/logits"]
    np.testing.assert_allclose(logits, nested(images), atol=1e-6)


def test_what_is_known_must_hold_all_that_follows(nested):
    with pytest.raises(ValueError, match="not all that follows comes through backbone/conv: it has a shortcut around"):
        read_layers(nested).needed(["backbone/conv"], ["head/logits"])


def test_outputs_can_be_replaced_on_the_way(nested, images):
    graph = read_layers(nested)
    values = {IMAGE: images.astype(np.float32)}
    zeroed = graph.run(values, ["head/logits"], after=lambda step, x: 0 * x if step.name == "backbone/add" else x)
    bias = nested.get_layer("head").layers[-1].bias
    np.testing.assert_allclose(zeroed["head/logits"], np.broadcast_to(bias, (3, 5)), atol=1e-6)


def test_an_unknown_layer_is_refused_with_a_list(nested):
    with pytest.raises(ValueError, match="Unknown layer 'nope'. Layers: rescale, backbone/stem/conv, .*, head/logits"):
        read_layers(nested).find("nope")


def test_the_last_layer_with_rows_and_columns(nested):
    assert read_layers(nested).find_spatial() == "backbone/add"
    image = keras.Input((8, 8, 3))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(2, 1, name="last")(image))
    assert read_layers(keras.Model(image, layers.Flatten()(gate))).find_spatial() == "last"
    for before in (layers.Rescaling(1 / 255), layers.MaxPooling2D(2), lambda x: x / 255):
        blind = keras.Model(image, layers.Dense(2)(layers.Flatten()(before(image))))
        with pytest.raises(ValueError, match="where convolutions have made rows and columns, and no layer of"):
            read_layers(blind).find_spatial()


def test_a_layer_must_have_rows_and_columns_where_maps_are_read(nested):
    graph = read_layers(nested)
    assert graph.find_spatial("backbone/conv") == "backbone/conv"
    with pytest.raises(
        ValueError, match="layer 'head/pool' has no rows and columns. Layers that have: rescale, .*add$"
    ):
        graph.find_spatial("head/pool")


def test_a_layer_called_twice_has_two_steps():
    shared = layers.Conv2D(3, 1, name="shared")
    twice = keras.Sequential([keras.Input((4, 4, 3)), shared], name="inner")
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Flatten(name="flat")(twice(twice(shared(shared(image))))))
    assert list(read_layers(model).steps) == ["shared", "shared:2", "inner/shared", "inner/shared:2", "flat"]
    x = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    outputs = read_layers(model).read(x, ["shared:2", "flat"])
    np.testing.assert_allclose(outputs["shared:2"], shared(shared(x)), atol=1e-6)
    np.testing.assert_allclose(outputs["flat"], model(x), atol=1e-6)


def test_layers_that_change_images_in_training_do_not_here(images):
    image = keras.Input((8, 8, 3))
    x = layers.Dropout(0.9)(layers.RandomFlip(seed=0, name="flip")(image))
    model = keras.Model(image, layers.Flatten(name="flat")(x))
    outputs = [read_layers(model).read(images, ["flat"])["flat"] for _ in range(5)]
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
    assert list(read_layers(model).steps) == ["doubled", "overridden", "flat"]
    np.testing.assert_allclose(read_layers(model).read(images, ["flat"])["flat"], 2.0 * images.reshape(3, -1) + 1)


def test_a_layer_that_was_added_since_is_seen():
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(name="flat")])
    assert read_layers(model) is read_layers(model) and list(read_layers(model).steps) == ["flat"]
    model.add(layers.Dense(2, name="logits"))
    assert read_logits(model).output.step == "logits"


def test_models_that_cannot_be_read_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    image, other = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    both = keras.Model([image, other], layers.Add()([image, other]))
    split = keras.Model(image, [layers.Flatten()(image), layers.ReLU()(image)])
    with pytest.raises(ValueError, match="functional or sequential Keras model that was built. Received: Own"):
        read_layers(Own())
    with pytest.raises(ValueError, match="that was built. Received: Sequential"):
        read_layers(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(ValueError, match="that was built. Received: str"):
        read_layers("model.keras")
    with pytest.raises(ValueError, match="one input and one output. Received: 2 inputs and 1 outputs"):
        read_layers(both)
    with pytest.raises(ValueError, match="one input and one output. Received: 1 inputs and 2 outputs"):
        read_layers(split)
