"""Activation maximisation: images as parameters, random moves, single units, and what each ingredient changes."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lib.explain.features.activation_maximisation import LADDER, Recipe, Unit, make_score, maximise
from lib.explain.features.feature_maps import feature_maps
from lib.explain.features.image_parameters import (
    colour_matrix,
    move_randomly,
    random_moves,
    random_parameters,
    to_images,
    wave_scale,
)
from lib.explain.network.layers import read_layers
from lib.explain.network.logits import read_logits
from lib.inputs.augment import GREY

RNG = np.random.default_rng(0)
COLOURS = np.eye(3, dtype=np.float32)
QUICK = Recipe(steps=4)
PLAIN = Recipe(fourier=False, colour=False, transforms=False, steps=30)


def two_layers(*, end="linear", bias=0.0, fused=False):
    """Two convolutions, the second with a ReLU (its own or a layer), and a head of three classes."""
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 14, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(layers.Rescaling(1 / 128, -1.0)(image))
    activation = "relu" if fused else None
    start = keras.initializers.Constant(bias)
    x = layers.Conv2D(5, 3, strides=2, activation=activation, bias_initializer=start, name="second")(x)
    if not fused:
        x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, activation=end, name="head")(x))


@pytest.fixture(scope="module")
def model():
    return two_layers()


# --- images as parameters


@pytest.mark.parametrize("size", [(12, 12), (9, 14), (7, 5)])
@pytest.mark.parametrize("fourier", [True, False])
def test_parameters_give_images_of_their_size(fourier, size):
    parameters = random_parameters((2, *size), fourier=fourier, seed=0)
    images = to_images(parameters, fourier=fourier, size=size, colours=COLOURS).numpy()
    assert images.shape == (2, *size, 3) and images.dtype == np.float32
    assert images.min() > 0 and images.max() < 255 and abs(images - 127.5).max() < 40  # nearly grey
    assert not np.array_equal(images[0], images[1])
    again = random_parameters((2, *size), fourier=fourier, seed=0)
    assert np.array_equal(parameters, again)
    assert not np.array_equal(parameters, random_parameters((2, *size), fourier=fourier, seed=1))


def test_zero_is_grey_and_large_is_white():
    shape = random_parameters((1, 4, 4), fourier=False, seed=0).shape
    assert np.allclose(to_images(tf.zeros(shape), fourier=False, size=(4, 4), colours=None), 127.5)
    assert np.allclose(to_images(tf.fill(shape, 20.0), fourier=False, size=(4, 4), colours=None), 255)


def test_waves_by_hand():
    height, width = 4, 6
    spectrum = np.zeros((2, 1, 3, height, width // 2 + 1), np.float32)
    spectrum[0, 0, 0, 0, 1] = 1  # red: one wave across the image
    images = to_images(tf.constant(spectrum), fourier=True, size=(height, width), colours=None).numpy()[0]
    scale = np.sqrt(24) / (1 / 6) / 4  # area, frequency, recipe
    wave = scale * 2 * np.cos(2 * np.pi * np.arange(width) / width) / 24
    assert np.allclose(images[..., 0], 255 / (1 + np.exp(-wave)), atol=1e-3)
    assert np.allclose(images[..., 1:], 127.5)
    assert wave_scale((4, 6))[0, 0].real == pytest.approx(np.sqrt(24) * 6 / 4)  # the mean counts as the longest wave


def test_colours_mix_the_channels():
    parameters = tf.constant(RNG.normal(size=(1, 3, 4, 4)), tf.float32)
    mixed = to_images(parameters, fourier=False, size=(4, 4), colours=np.ones((3, 3)) / 3).numpy()
    assert np.allclose(mixed, mixed[..., :1], atol=1e-3)  # equal columns: grey only


def test_colour_matrix_by_hand():
    grey = np.broadcast_to(RNG.integers(0, 256, (5, 8, 8, 1)), (5, 8, 8, 3)).astype(np.uint8)
    assert np.allclose(colour_matrix(grey), np.ones((3, 3)) / np.sqrt(3), atol=1e-5)
    red = np.zeros((2, 2, 2, 3))
    red[0, ..., 0] = 200
    assert np.allclose(colour_matrix(red), np.diag([1, 0, 0]), atol=1e-5)


def test_colour_matrix_is_the_root_of_the_covariance():
    images = RNG.integers(0, 256, (9, 8, 8, 3)).astype(np.float32)
    images[..., 1] = 0.7 * images[..., 0] + 0.3 * images[..., 1]
    found = colour_matrix(images)
    covariance = np.cov(images.reshape(-1, 3).T)
    assert np.allclose(found @ found / np.trace(found @ found), covariance / np.trace(covariance), atol=1e-4)
    assert np.linalg.norm(found, axis=0).max() == pytest.approx(1)


def test_colours_of_one_colour_are_independent():
    for level in (0, 7, 255):
        assert np.array_equal(colour_matrix(np.full((2, 4, 4, 3), level, np.uint8)), np.eye(3))


# --- random moves


def test_moves_stay_in_their_ranges_and_fill_them():
    maps = random_moves(tf.constant(2000), side=tf.constant([224.0, 224.0]), seed=[0, 1]).numpy()
    zoom = np.hypot(maps[:, 0], maps[:, 3])
    angle = np.degrees(np.arctan2(maps[:, 3], maps[:, 0]))
    view = 236 / 224  # twelve pixels of padding on each side, less what both shifts take
    assert zoom.min() == pytest.approx(view / 1.1, rel=0.01) and zoom.max() == pytest.approx(view / 0.9, rel=0.01)
    assert angle.min() == pytest.approx(-10, abs=0.1) and angle.max() == pytest.approx(10, abs=0.1)
    centre = maps[:, :6].reshape(-1, 2, 3) @ [111.5, 111.5, 1] - 111.5  # where the middle of the view is read from
    farthest = np.abs(centre).max(axis=0)  # half of both shifts, the second one seen through the zoom
    assert (farthest > 5).all() and (farthest < 4 + 2 * 1.2 * 1.2).all() and np.abs(centre.mean(axis=0)).max() < 0.3


def test_moves_scale_with_the_image():
    small = random_moves(tf.constant(3), side=tf.constant([56.0, 56.0]), seed=[0, 1]).numpy()
    large = random_moves(tf.constant(3), side=tf.constant([224.0, 224.0]), seed=[0, 1]).numpy()
    shift = [maps[:, 2] - (side - 1) / 2 * (1 - maps[:, 0] - maps[:, 1]) for maps, side in ((small, 56), (large, 224))]
    assert np.allclose(4 * shift[0], shift[1], atol=1e-3)


def test_moved_images_have_a_grey_border_and_repeat_by_seed():
    white = tf.fill((2, 32, 40, 3), 255.0)
    moved = move_randomly(white, seed=[0, 1]).numpy()
    assert moved.shape == white.shape and np.allclose(moved[:, 16, 20], 255)
    assert moved.min() >= GREY - 1e-3 and np.isclose(moved, GREY, atol=1e-3).any()
    assert not np.array_equal(moved[0], moved[1])
    assert np.array_equal(moved, move_randomly(white, seed=[0, 1]))
    assert not np.array_equal(moved, move_randomly(white, seed=[0, 2]))
    grey = tf.fill((1, 8, 8, 3), GREY)
    assert np.allclose(move_randomly(grey, seed=[0, 1]), grey)


# --- single units


def test_scores_are_the_activations_of_each_images_own_unit(model):
    images = RNG.uniform(0, 255, (5, 12, 14, 3)).astype(np.float32)
    units = [Unit("relu", 3), Unit("first", 1), Unit(None, 2), Unit("relu", 0), Unit("first", 0)]
    activations, aims = make_score(read_layers(model), units)(tf.constant(images))
    maps = feature_maps(model, images, layers=["first", "relu"])
    truth = [
        maps["relu"][0, ..., 3].mean(),
        maps["first"][1, ..., 1].mean(),
        model(images).numpy()[2, 2],
        maps["relu"][3, ..., 0].mean(),
        maps["first"][4, ..., 0].mean(),
    ]
    assert np.allclose(activations, truth, rtol=1e-4, atol=1e-4)
    live = activations.numpy() > 0
    assert np.array_equal(aims.numpy()[live], activations.numpy()[live])


@pytest.mark.parametrize("fused", [True, False])
def test_silent_units_aim_at_what_is_before_their_relu(fused):
    silent = two_layers(bias=-50.0, fused=fused)
    layer = "second" if fused else "relu"
    images = tf.constant(RNG.uniform(0, 255, (1, 12, 14, 3)), tf.float32)
    activations, aims = make_score(read_layers(silent), [Unit(layer, 0)])(images)
    assert activations.numpy() == 0 and -60 < aims.numpy() < -40
    model = two_layers(bias=-1.0, fused=fused)
    recipes = replace(PLAIN, learning_rate=0.0), PLAIN
    before, after = (maximise(model, [Unit(layer, 0)], recipe=recipe, colours=COLOURS).reached for recipe in recipes)
    assert before == 0 and after > 0  # from nothing to something


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (Unit("none", 0), "Unknown layer 'none'. Layers: .*second"),
        (Unit("relu", 5), "channels of relu are numbered from 0 to 4. Received: Unit"),
        (Unit("relu", -1), "from 0 to 4"),
        (Unit(None, 3), "channels of head are numbered from 0 to 2"),
    ],
)
def test_units_that_do_not_exist(unit, message, model):
    with pytest.raises(ValueError, match=message):
        maximise(model, [Unit("first", 0), unit], recipe=QUICK, colours=COLOURS)


# --- maximise


def test_the_image_of_a_known_unit_is_the_one_that_excites_it_most():
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(2, 1, use_bias=False, name="conv")
    linear = keras.Model(image, layers.Dense(2)(layers.Flatten()(conv(image))))
    conv.set_weights([np.array([[[[1, 0], [-1, 0], [0, 1]]]], np.float32)])
    recipe = Recipe(fourier=False, colour=False, transforms=False, steps=120)
    made = maximise(linear, [Unit("conv", 0), Unit("conv", 1)], recipe=recipe, colours=COLOURS)
    red, green, blue = (made.images[0, ..., i] for i in range(3))
    assert red.min() > 240 and green.max() < 15 and abs(blue.astype(int) - 127).max() < 5
    assert made.images[1, ..., 2].min() > 240 and abs(made.images[1, ..., :2].astype(int) - 127).max() < 5


@pytest.mark.parametrize("name", LADDER)
def test_activations_rise_and_are_those_of_the_images(name, model):
    units = [Unit("relu", 1), Unit(None, 0)]
    recipe = replace(LADDER[name], steps=40)
    made = maximise(model, units, recipe=recipe, colours=COLOURS)
    assert made.images.shape == (2, 12, 14, 3) and made.images.dtype == np.uint8
    start = maximise(model, units, recipe=replace(recipe, learning_rate=0.0), colours=COLOURS)
    assert (made.reached > start.reached).all() and (made.moved > start.moved).all()
    logits = model(made.images.astype(np.float32)).numpy()
    assert made.reached[1] == pytest.approx(logits[1, 0], rel=1e-3, abs=1e-3)
    assert made.reached[0] == pytest.approx(feature_maps(model, made.images, layers=["relu"])["relu"][0, ..., 1].mean())
    assert made.moved.shape == (2,) and not np.array_equal(made.moved, made.reached)


def test_every_ingredient_and_the_seed_change_the_image(model):
    mixed = np.array([[1, 0.5, 0.2], [0.5, 1, 0.5], [0.2, 0.5, 1]], np.float32)
    usual = {"recipe": Recipe(transforms=False, steps=4), "colours": mixed}
    cases = [
        {},
        {"recipe": Recipe(steps=4)},
        {"recipe": Recipe(transforms=False, steps=4, fourier=False)},
        {"recipe": Recipe(transforms=False, steps=4, colour=False)},
        {"recipe": Recipe(transforms=False, steps=5)},
        {"recipe": Recipe(transforms=False, steps=4, learning_rate=0.2)},
        {"colours": mixed**2},
        {"seed": 1},
    ]
    made = [maximise(model, [Unit("relu", 1)], **usual | case) for case in cases]
    assert len({one.images.tobytes() for one in made}) == len(cases)


def test_the_same_seed_gives_the_same_bytes(model):
    first, again = (maximise(model, [Unit("relu", 1)], recipe=QUICK, colours=COLOURS) for _ in range(2))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.reached, again.reached) and np.array_equal(first.moved, again.moved)


def test_units_of_one_optimisation_do_not_touch_each_other(model):
    together = maximise(model, [Unit("relu", 1), Unit("first", 0)], recipe=PLAIN, colours=COLOURS)
    other = maximise(model, [Unit("relu", 1), Unit(None, 2)], recipe=PLAIN, colours=COLOURS)
    assert np.abs(together.images[0].astype(int) - other.images[0]).max() <= 1


def test_a_model_that_ends_in_softmax_is_read_at_its_logits():
    squashed = two_layers(end="softmax")
    made = maximise(squashed, [Unit(None, 0)], recipe=PLAIN, colours=COLOURS)
    same = maximise(two_layers(), [Unit(None, 0)], recipe=PLAIN, colours=COLOURS)
    assert read_logits(squashed).output.step == "head"
    assert made.reached == pytest.approx(same.reached, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": []}, "at least one unit"),
        ({"recipe": Recipe(steps=0)}, "one step. Received: 1 units, 0 steps"),
        ({"colours": np.ones(3)}, r"must be the \(3, 3\) matrix of colour_matrix. Received: shape \(3,\)"),
    ],
)
def test_maximise_refuses(options, message, model):
    usual = {"units": [Unit("relu", 0)], "recipe": QUICK, "colours": COLOURS}
    with pytest.raises(ValueError, match=message):
        maximise(model, **usual | options)


def test_the_ladder_adds_one_ingredient_at_a_time():
    ingredients = [(recipe.fourier, recipe.colour, recipe.transforms) for recipe in LADDER.values()]
    assert [sum(row) for row in ingredients] == [0, 1, 2, 3]
    assert len({(recipe.steps, recipe.learning_rate) for recipe in LADDER.values()}) == 1
