"""Heads in every spelling: what is explained, what is said of it, and what counts as its probability."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from lib.explain.attributions.grad_cam import grad_cam
from lib.explain.attributions.gradient import gradient
from lib.explain.attributions.integrated_gradients import IntegratedGradients, integrated_gradients
from lib.explain.attributions.occlusion import Occlusion, occlusion
from lib.explain.features.activation_maximisation import Unit, make_score
from lib.explain.network.layers import read_layers
from lib.explain.network.logits import explained_at, read_logits
from lib.explain.scoring.deletion import deletion_insertion
from lib.explain.scoring.randomisation import rank_correlation

IMAGES = np.random.default_rng(1).integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
MAPS = {"own": np.random.default_rng(2).random((2, 12, 12))}
METHODS = (
    grad_cam,
    lambda *asked: integrated_gradients(*asked, settings=IntegratedGradients(steps=3)),
    lambda *asked: occlusion(*asked, settings=Occlusion(size=4, stride=4)),
)


def network(head, *, units=4, sure=60.0, wrap=lambda model: model) -> keras.Model:
    """A small network that is sure of itself; `head` makes its output of the features before its last weights."""
    rng = np.random.default_rng(0)
    image = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(5, 3, activation="relu", name="maps")(layers.Rescaling(1 / 255, name="rescale")(image))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = wrap(keras.Model(image, head(x, units)))
    values = [rng.normal(size=w.shape) for w in model.get_weights()]
    # Every map speaks for every class, so that no Grad-CAM is empty.
    model.set_weights([sure * np.abs(v) if v.shape[-2:] == (5, units) else v for v in values])
    return model


def dense(activation=None):
    return lambda x, units: layers.Dense(units, activation=activation, name="last")(x)


def then(*steps, activation=None):
    """A linear layer, or one with an activation, and what follows it."""

    def head(x, units):
        x = dense(activation)(x, units)
        for step in steps:
            x = step(x)
        return x

    return head


def as_1_by_1(x, units):
    x = layers.Conv2D(units, 1, activation=ops.softmax, name="last")(layers.Reshape((1, 1, 5))(x))
    return layers.Flatten()(x)


def by_hand(x, units):
    x = dense()(x, units)
    x = ops.exp(x - ops.max(x, axis=-1, keepdims=True))
    return x / ops.sum(x, axis=-1, keepdims=True)


def as_model(head):
    def build(x, units):
        image = keras.Input(x.shape[1:])
        return keras.Sequential([keras.Input(x.shape[1:]), keras.Model(image, head(image, units))], name="head")(x)

    return build


class OwnHead(layers.Layer):
    """Uses its activation before its last weights, not after them."""

    def __init__(self, units, activation):
        super().__init__(name="last")
        self.last, self.activation = layers.Dense(units), keras.activations.get(activation)

    def call(self, x):
        return self.last(self.activation(x))


PROBABILITIES = {
    "name": dense("softmax"),
    "tf.nn": dense(tf.nn.softmax),
    "lambda": dense(lambda x: tf.nn.softmax(x)),
    "layer as activation": dense(layers.Softmax()),
    "Softmax": then(layers.Softmax()),
    "Activation": then(layers.Activation("softmax")),
    "Activation of tf.nn": then(layers.Activation(tf.nn.softmax)),
    "keras.ops": then(ops.softmax),
    "keras.activations": then(keras.activations.softmax),
    "Lambda": then(layers.Lambda(lambda x: tf.nn.softmax(x, axis=-1))),
    "by hand": by_hand,
    "with epsilon": then(layers.Softmax(), lambda x: ops.clip(x, 1e-7, 1 - 1e-7)),
    "exp of log": then(ops.log_softmax, ops.exp),
    "1 by 1": as_1_by_1,
    "linear after it": then(layers.Activation("linear"), activation="softmax"),
    "cast after it": then(layers.Activation("linear", dtype="float32"), layers.Dropout(0.5), activation=tf.nn.softmax),
    "op cast after it": then(lambda x: ops.cast(x, "float16"), activation="softmax"),
    "reshapes after it": then(layers.Reshape((2, 2)), layers.Flatten(), ops.softmax, layers.Reshape((4,))),
    "identity before it": then(layers.Identity(), layers.Activation("linear"), layers.Softmax()),
    "inside models": as_model(as_model(then(ops.softmax))),
}
LOGARITHMS = {
    "log_softmax": dense("log_softmax"),
    "tf.nn": dense(tf.nn.log_softmax),
    "keras.ops": then(ops.log_softmax),
    "log of softmax": then(layers.Softmax(), ops.log),
}
SIGMOIDS = {
    "name": dense("sigmoid"),
    "tf.nn": dense(tf.nn.sigmoid),
    "Activation": then(layers.Activation("sigmoid"), layers.Identity()),
    "keras.ops": then(ops.sigmoid),
    "Lambda": then(layers.Lambda(lambda x: 1 / (1 + tf.exp(-x)))),
}
LOG_SIGMOIDS = {"name": dense("log_sigmoid"), "keras.ops": then(ops.log_sigmoid)}
LOGITS = {
    "linear": dense(),
    "linear layer": then(layers.Activation("linear"), layers.Dropout(0.5)),
    "lambda": dense(lambda x: x),
    "own layer": lambda x, units: OwnHead(units, "softmax")(x),
}


ALL = [*PROBABILITIES.values(), *LOGARITHMS.values(), *SIGMOIDS.values(), *LOG_SIGMOIDS.values()]
# Softmax, logarithm and sigmoid, in an activation, an operation and a function of one's own.
SOME = [PROBABILITIES["tf.nn"], PROBABILITIES["by hand"], LOGARITHMS["keras.ops"], SIGMOIDS["Lambda"]]


def in_model(model):
    image = keras.Input((12, 12, 3))
    return keras.Model(image, layers.Activation("linear", name="same")(model(image)))


def in_sequential(model):
    return keras.Sequential([keras.Input((12, 12, 3)), model])


def logits(model) -> np.ndarray:
    graph = read_logits(model)
    return graph.read(IMAGES, [graph.output.step])[graph.output.step]


def test_the_logits_are_found_in_every_spelling():
    wanted = np.asarray(network(dense())(IMAGES))
    for place, head in enumerate([*ALL, *LOGITS.values()][:-1]):
        model = network(head, wrap=(lambda model: model, in_model, in_sequential)[place % 3])
        before = np.asarray(model(IMAGES))
        np.testing.assert_allclose(logits(model), wanted, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(model(IMAGES), before)


def test_weights_are_never_left_out():
    model = network(then(layers.BatchNormalization(name="norm"), ops.softmax))
    norm = model.get_layer("norm")
    norm.set_weights([np.ones(4), *np.zeros((2, 4)), np.ones(4)])  # as before training: it does nothing
    assert read_logits(model).output.step == "norm"
    norm.set_weights([np.arange(4.0), *np.zeros((2, 4)), np.ones(4)])
    np.testing.assert_allclose(tf.nn.softmax(logits(model)), model(IMAGES), atol=1e-6)


def test_maps_are_those_of_the_logits_also_where_the_model_is_sure():
    plain = network(dense())
    assert np.asarray(network(dense("softmax"))(IMAGES)).max() > 1 - 1e-6
    wanted = [method(plain, IMAGES, [0, 2]) for method in METHODS]
    assert all(own.max(axis=(1, 2)).tolist() == [1, 1] for own in wanted)
    for model in [*map(network, SOME), network(PROBABILITIES["keras.ops"], wrap=in_model)]:
        for method, own in zip(METHODS, wanted, strict=True):
            np.testing.assert_allclose(rank_correlation(method(model, IMAGES, [0, 2]), own), 1, atol=5e-3)


def last(model) -> str:
    return list(read_layers(model).steps)[-1]


def test_what_a_model_gives_is_said_as_it_is():
    kinds = {"probabilities": [*PROBABILITIES.values(), *SIGMOIDS.values()]}
    kinds["logarithms of probabilities"] = [*LOGARITHMS.values(), *LOG_SIGMOIDS.values()]
    for words, heads in kinds.items():
        for model in map(network, heads):
            said = f"The model ends in {words} ({last(model)}); it is explained at the logits before them."
            assert explained_at(model) == said
    for model in map(network, LOGITS.values()):
        assert explained_at(model) == f"The model gives logits ({last(model)}); these are explained."
    one = ", for class 0 with its sign turned."
    for activation, words in {
        None: "gives the logit of class 1 (last); it is explained",
        "sigmoid": "ends in the probability of class 1 (last); it is explained at the logit before it",
        tf.math.log_sigmoid: "ends in the logarithm of the probability of class 1 (last); it is explained at the logit "
        "before it",
    }.items():
        assert explained_at(network(dense(activation), units=1)) == f"The model {words}{one}"


def starts(model, classes) -> np.ndarray:
    """(2,) where the deletion curves of two images start."""
    return deletion_insertion(model, IMAGES, classes, maps=MAPS, steps=2).deletion["own"][:, 0]


def test_deletion_starts_at_what_the_model_says():
    softmax, sigmoid = (np.asarray(network(dense(name), sure=5)(IMAGES)) for name in ("softmax", "sigmoid"))
    for head in (dense(), dense(tf.nn.softmax), LOGARITHMS["keras.ops"], PROBABILITIES["1 by 1"]):
        np.testing.assert_allclose(starts(network(head, sure=5), [1, 3]), softmax[[0, 1], [1, 3]], rtol=1e-4)
    for head in (dense(tf.nn.sigmoid), SIGMOIDS["Lambda"], LOG_SIGMOIDS["name"]):
        np.testing.assert_allclose(starts(network(head, sure=5), [1, 3]), sigmoid[[0, 1], [1, 3]], rtol=1e-4)


def test_one_unit_is_two_classes():
    plain = network(dense(), units=1, sure=2)
    logit, said = np.asarray(plain(IMAGES)), np.asarray(network(dense("sigmoid"), units=1, sure=2)(IMAGES))[:, 0]
    turned = network(dense(), units=1, sure=2)
    turned.set_weights([*plain.get_weights()[:2], *(-w for w in plain.get_weights()[2:])])
    wanted = [[method(other, IMAGES, 1) for method in METHODS] for other in (turned, plain)]
    for head in (dense(), dense("sigmoid"), then(ops.sigmoid), dense("log_sigmoid")):
        model = network(head, units=1, sure=2)
        np.testing.assert_allclose(logits(model), np.hstack([-logit, logit]), rtol=1e-3)
    for head in (dense(), dense("sigmoid")):
        model = network(head, units=1, sure=2)
        np.testing.assert_allclose(starts(model, [1, 0]), [said[0], 1 - said[1]], atol=1e-6)
        for label in (0, 1):
            for method, own in zip(METHODS, wanted[label], strict=True):
                np.testing.assert_allclose(method(model, IMAGES, label), own, atol=1e-3)
        with pytest.raises(ValueError, match=r"class_index must lie in \[0, 1\]. Received: 2 to 2"):
            gradient(model, IMAGES, 2)
    score = make_score(read_logits(model), [Unit(None, 0), Unit(None, 1)])
    np.testing.assert_allclose(score(tf.constant(IMAGES, tf.float32))[0], [-logit[0, 0], logit[1, 0]], rtol=1e-3)


class Opaque(keras.Model):
    """Works out all of its answer in a call of its own."""

    def __init__(self, head):
        super().__init__(name="opaque")
        self.last, self.head = layers.Dense(4), head

    def call(self, x):
        return self.head(self.last(x))


def test_probabilities_without_logits_are_refused_and_logits_are_not():
    def mean_of_two(x, units):
        return layers.Average()([layers.Dense(units, activation="softmax")(x) for _ in range(2)])

    hidden = [
        ops.softmax,
        lambda x: 100 * ops.softmax(x),
        ops.sigmoid,
        ops.log_softmax,
        ops.hard_sigmoid,
        lambda x: ops.softmax(x / 2),
    ]
    heads = [lambda x, units, end=end: Opaque(end)(x) for end in hidden]
    heads += [mean_of_two, dense(ops.hard_sigmoid), then(layers.Lambda(lambda x: tf.nn.softmax(x * x)))]
    for model in map(network, heads):
        for ask in (explained_at, lambda model: grad_cam(model, IMAGES, 0), lambda model: starts(model, 0)):
            with pytest.raises(ValueError, match="gives probabilities and no layer of it their logits, .*let it end"):
                ask(model)
    for end in (lambda x: x, ops.relu):
        assert "gives logits (opaque)" in explained_at(network(lambda x, units, end=end: Opaque(end)(x)))
    image = keras.Input((None, None, 3))
    for activation, given in {None: True, "relu": True, "softmax": False}.items():
        maps = layers.Conv2D(3, 3, activation=activation)(image)
        model = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(maps))
        if given:
            assert explained_at(model) == "The model gives logits (pool); these are explained."
        else:  # the mean of the probabilities of many places
            with pytest.raises(ValueError, match=r"Received: the end 'pool' \(GlobalAveragePooling2D\)"):
                explained_at(model)
    with pytest.raises(ValueError, match="a softmax over one unit is 1 for every image: there is nothing to explain"):
        read_logits(network(dense(tf.nn.softmax), units=1))
