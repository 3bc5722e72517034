"""Each attribution method on networks so small that the right answer is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lib.explain.attributions.attribution import ask
from lib.explain.attributions.grad_cam import grad_cam, grad_cam_plus_plus, mean_gradients, positive_gradients
from lib.explain.attributions.gradient import (
    SmoothGradient,
    gradient,
    gradient_x_input,
    guided_backprop,
    smooth_gradient,
)
from lib.explain.attributions.integrated_gradients import (
    IntegratedGradients,
    completeness_gap,
    integrate,
    integrated_gradients,
)
from lib.explain.attributions.occlusion import Occlusion, occlusion, patches
from lib.explain.attributions.rise import Rise, draw_masks, rise
from lib.explain.network.layers import IMAGE

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(4, 5, 3, 2)).astype(np.float32)  # of a linear model: rows, columns, channels, classes
IMAGES = RNG.integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
LABELS = np.array([0, 1, 0])


@pytest.fixture(scope="module")
def linear() -> keras.Model:
    image = keras.Input((4, 5, 3))
    model = keras.Model(image, layers.Dense(2, name="logits")(layers.Flatten()(image)))
    model.set_weights([WEIGHTS.reshape(-1, 2), np.array([3.0, -7])])
    return model


def stretched(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / (high - low)


def close(maps: np.ndarray, wanted: np.ndarray, *, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(maps, stretched(wanted), atol=atol)


# (3, 4, 5, 3): the weights that lead to each image's class
OWN = np.moveaxis(WEIGHTS, -1, 0)[LABELS]


def test_the_gradient_of_a_linear_model_is_its_weights(linear):
    close(gradient(linear, IMAGES, LABELS), np.abs(OWN).max(axis=-1))


def test_gradient_times_input_of_a_linear_model_is_each_pixels_share(linear):
    close(gradient_x_input(linear, IMAGES, LABELS), np.maximum((OWN * IMAGES).sum(axis=-1), 0))


def test_noise_does_not_move_the_gradient_of_a_linear_model(linear):
    maps = smooth_gradient(linear, IMAGES, LABELS, settings=SmoothGradient(samples=4, noise=0.5))
    close(maps, np.abs(OWN).max(axis=-1))


@pytest.mark.parametrize("baseline", [None, 0.0, 127.5])
@pytest.mark.parametrize("steps", [2, 5])
def test_integrated_gradients_of_a_linear_model_are_weights_times_the_way(baseline, steps, linear):
    settings = IntegratedGradients(steps=steps, baseline=baseline)
    start = IMAGES.mean(axis=(1, 2), keepdims=True) if baseline is None else baseline
    wanted = OWN * (IMAGES - start)
    signed = integrate(ask(linear, IMAGES, LABELS, at=IMAGE, batch_size=4), settings)
    np.testing.assert_allclose(signed, wanted, rtol=1e-4, atol=1e-3)
    close(integrated_gradients(linear, IMAGES, LABELS, settings=settings), np.maximum(wanted.sum(axis=-1), 0))
    assert completeness_gap(linear, IMAGES, LABELS, settings=settings).max() < 1e-4


def curved() -> keras.Model:
    """The square of the mean brightness, written with a product: its gradient changes along the way."""
    image = keras.Input((2, 2, 1))
    mean = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(1, kernel_initializer="ones")(layers.Multiply()([mean, mean])))


def test_the_gap_tells_whether_the_steps_suffice():
    image = keras.Input((1, 1, 1))
    kink = layers.ReLU()(layers.Rescaling(1.0, offset=-100.0)(image))
    model = keras.Model(image, layers.Dense(1, kernel_initializer="ones")(layers.Flatten()(kink)))
    white = np.full((1, 1, 1, 1), 250.0)
    # From 0 the gradient is 0 up to 100 and 1 from there on: two steps see (0 + 1) / 2 of the way, 125 instead of 150.
    settings = IntegratedGradients(steps=2, baseline=0.0)
    np.testing.assert_allclose(completeness_gap(model, white, 1, settings=settings), [25 / 150], rtol=1e-5)
    assert completeness_gap(model, white, 1, settings=settings.replace(steps=500))[0] < 0.003
    # An image that changes nothing has no share of its own.
    np.testing.assert_allclose(
        completeness_gap(model, np.concatenate([white, 0 * white]), 1, settings=settings), [1 / 6, 0]
    )
    assert completeness_gap(model, 0 * white, 1, settings=settings).tolist() == [0]


def test_the_way_is_taken_by_trapezoids():
    settings = IntegratedGradients(steps=3, baseline=0.0)
    question = ask(curved(), np.full((1, 2, 2, 1), 255.0), 1, at=IMAGE, batch_size=2)
    np.testing.assert_allclose(integrate(question, settings).sum(), 1, rtol=1e-5)  # exact for a parabola


def test_integrated_gradients_from_a_layer_add_up_too():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    images = RNG.integers(0, 256, (2, 6, 6, 3)).astype(np.uint8)
    settings = IntegratedGradients(steps=2, baseline=0.0)
    # Behind the layer all is linear, so two steps are exact, and each position adds what it is there.
    signed = integrate(ask(model, images, 1, at="maps", batch_size=3), settings)
    assert signed.shape == (2, 4, 4, 4)
    change = model(images) - model(0.0 * images)
    np.testing.assert_allclose(signed.sum(axis=(1, 2, 3)), change[:, 1], rtol=1e-4, atol=1e-6)


def two_channels(head: list[list[float]]) -> keras.Model:
    """The image's two channels are the maps, pooled and weighted: logits = means @ head."""
    image = keras.Input((2, 2, 2))
    maps = layers.Conv2D(2, 1, use_bias=False, name="maps")(image)
    model = keras.Model(image, layers.Dense(2, use_bias=False)(layers.GlobalAveragePooling2D()(maps)))
    model.set_weights([np.eye(2)[None, None], np.array(head)])
    return model


TWO = np.array([[[[8.0, 0], [4, 4]], [[0, 8], [0, 0]]]])


def test_grad_cam_weighs_each_map_by_its_mean_gradient():
    model = two_channels([[4.0, 1], [-2, 3]])
    # class 0: 4 * first - 2 * second, cut off at 0; the pooled mean makes all gradients a quarter of the head's weights
    np.testing.assert_allclose(grad_cam(model, TWO, 0)[0], np.array([[32, 8], [0, 0]]) / 32, atol=1e-6)
    np.testing.assert_allclose(grad_cam(model, TWO, 1)[0], np.array([[8, 16], [24, 0]]) / 24, atol=1e-6)
    np.testing.assert_array_equal(grad_cam(two_channels([[-1.0, 0], [-1, 0]]), TWO, 0), 0)  # nothing speaks for it


def test_mean_gradients_by_hand():
    gradients = tf.constant([[[[1.0, 4], [3, 0]], [[-2, 0], [2, 0]]]])
    np.testing.assert_allclose(mean_gradients(gradients), [[1, 1]])


def test_positive_gradients_by_hand():
    activations = tf.constant([[[[1.0, 2], [3, 0]]]])  # sums 4 and 2
    gradients = tf.constant([[[[2.0, -1], [0, 0.5]]]])
    # 4 / (2 * 4 + 4 * 8) * 2 = 0.2 for the first map; for the second 0.25 / (0.5 + 2 * 0.125) * 0.5 = 1 / 6
    np.testing.assert_allclose(positive_gradients(activations, gradients), [[0.2, 1 / 6]], rtol=1e-6)


def test_grad_cam_plus_plus_follows_its_weights():
    model = two_channels([[4.0, 1], [-2, 3]])
    gradients = np.full((1, 2, 2, 2), [0.25, 0.75], np.float32)
    weights = positive_gradients(tf.constant(TWO, tf.float32), tf.constant(gradients)).numpy()[0]
    np.testing.assert_allclose(weights, [4 * 0.25 / (2 + 12 * 0.25), 4 * 0.75 / (2 + 12 * 0.75)], rtol=1e-6)
    wanted = np.maximum(TWO @ weights, 0)
    close(grad_cam_plus_plus(model, TWO, 1), wanted)


def test_weights_of_maps_that_never_came_out_of_a_relu_are_finite():
    activations, gradients = tf.constant([[[[-2.0]]]]), tf.constant([[[[1.0]]]])
    np.testing.assert_allclose(positive_gradients(activations, gradients), [[0.5]])


def test_class_activation_maps_are_read_where_asked():
    image = keras.Input((4, 4, 1))
    fine = layers.Conv2D(1, 1, use_bias=False, name="fine")(image)
    coarse = layers.AveragePooling2D(2, name="coarse")(fine)
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(coarse)))
    model.set_weights([np.ones((1, 1, 1, 1)), np.ones((4, 1))])
    spot = np.zeros((1, 4, 4, 1))
    spot[0, 0, 3] = 100
    np.testing.assert_allclose(grad_cam(model, spot, 1, layer="fine")[0], spot[0, ..., 0] / 100)
    enlarged = tf.image.resize(np.array([[0.0, 1], [0, 0]])[..., None], (4, 4)).numpy()[..., 0]
    np.testing.assert_allclose(grad_cam(model, spot, 1)[0], enlarged, atol=1e-6)


def opposed() -> keras.Model:
    """Left pixel minus right pixel, each through a ReLU."""
    image = keras.Input((1, 2, 1))
    x = layers.ReLU()(layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(image))
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(x)))
    model.layers[-1].set_weights([np.array([[1.0], [-1.0]])])
    return model


def test_guided_backpropagation_lets_no_negative_gradient_through():
    pixels = np.full((1, 1, 2, 1), 9.0)
    np.testing.assert_array_equal(gradient(opposed(), pixels, 1), 0)  # 1 and -1: equally strong
    np.testing.assert_array_equal(guided_backprop(opposed(), pixels, 1), [[[1, 0]]])


def test_guided_backpropagation_needs_a_relu(linear):
    with pytest.raises(ValueError, match="changes the gradient of ReLUs, and the model has none"):
        guided_backprop(linear, IMAGES, LABELS)


def test_occlusion_of_one_pixel_takes_away_what_it_adds(linear):
    settings = Occlusion(size=1, stride=1, fill=0.0)
    close(occlusion(linear, IMAGES, LABELS, settings=settings), np.maximum((OWN * IMAGES).sum(axis=-1), 0), atol=1e-4)


def test_occlusion_covers_with_the_mean_colour(linear):
    added = (OWN * (IMAGES - IMAGES.mean(axis=(1, 2), keepdims=True))).sum(axis=-1)
    close(occlusion(linear, IMAGES, LABELS, settings=Occlusion(size=1)), np.maximum(added, 0), atol=1e-4)


def test_a_pixel_gets_the_mean_of_the_patches_over_it():
    image = keras.Input((1, 3, 1))
    model = keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(image)))
    model.set_weights([np.array([[1.0], [10.0], [100.0]])])
    with pytest.raises(ValueError, match="patches must fit the image of 1 x 3 pixels"):
        occlusion(model, np.ones((1, 1, 3, 1)), 1, settings=Occlusion(size=2))
    tall = keras.Input((3, 3, 1))
    model = keras.Model(tall, layers.Dense(1, use_bias=False)(layers.Flatten()(tall)))
    weights = np.arange(1.0, 10).reshape(3, 3)
    model.set_weights([weights.reshape(-1, 1)])
    maps = occlusion(model, np.ones((1, 3, 3, 1)), 1, settings=Occlusion(size=2, stride=1, fill=0.0))
    fall = np.array([[weights[i : i + 2, j : j + 2].sum() for j in range(2)] for i in range(2)])
    wanted = [[fall[0, 0], fall[0].mean(), fall[0, 1]], [fall[:, 0].mean(), fall.mean(), fall[:, 1].mean()]]
    close(maps, np.array([[*wanted, [fall[1, 0], fall[1].mean(), fall[1, 1]]]]))


def test_patches_reach_the_border_also_where_the_steps_do_not():
    rows, columns = patches((5, 7), Occlusion(size=3, stride=3))
    assert rows.astype(int).tolist() == [[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]]
    assert [int(row.argmax()) for row in columns] == [0, 3, 4] and (columns.sum(axis=1) == 3).all()


def test_usual_patches_are_a_fifth_of_the_side_and_overlap_by_half():
    rows, columns = patches((64, 96), Occlusion())
    assert (rows.sum(axis=1) == 12).all() and len(rows) == 10 and len(columns) == 15
    assert patches((4, 4), Occlusion())[0].sum() == 4


def test_a_stride_beyond_the_patch_would_skip_pixels():
    with pytest.raises(
        ValueError, match="stride must not exceed their size, else pixels are skipped. Received: size=2"
    ):
        patches((9, 9), Occlusion(size=2, stride=3))


def test_masks_are_as_open_as_asked_and_smooth():
    settings = Rise(masks=4000, cells=4, keep=0.3)
    masks = np.concatenate(list(draw_masks((12, 16), settings=settings, batch_size=700)))
    assert masks.shape == (4000, 12, 16) and masks.min() >= 0 and masks.max() <= 1
    np.testing.assert_allclose(masks.mean(axis=0), 0.3, atol=0.04)  # everywhere, also at the border
    steps = [np.abs(np.diff(masks, axis=axis)).max() for axis in (1, 2)]
    assert steps[0] <= 4 / 12 + 1e-9 and steps[1] <= 4 / 16 + 1e-9  # a cell's width from closed to open


def test_masks_do_not_depend_on_how_many_are_drawn_at_once():
    settings = Rise(masks=10, cells=3)
    (once,) = draw_masks((8, 8), settings=settings, batch_size=10)
    np.testing.assert_array_equal(np.concatenate(list(draw_masks((8, 8), settings=settings, batch_size=3))), once)


def test_the_map_of_rise_is_the_mean_logit_over_the_masks_that_show_a_pixel():
    image = keras.Input((6, 6, 1))
    model = keras.Model(image, layers.Dense(1)(layers.Flatten()(image)))
    weights = np.zeros((6, 6))
    weights[1, 4] = 1
    model.set_weights([weights.reshape(-1, 1), np.array([1000.0])])
    settings = Rise(masks=200, cells=3, fill=0.0)
    (masks,) = draw_masks((6, 6), settings=settings, batch_size=200)
    maps = rise(model, np.full((1, 6, 6, 1), 200.0), 1, settings=settings)
    # The logit is 200 times the mask at (1, 4), plus 1000, which must leave no trace.
    wanted = np.einsum("b,bhw->hw", 200 * masks[:, 1, 4], masks) / masks.sum(axis=0)
    close(maps, wanted[None], atol=1e-4)
    assert np.unravel_index(maps[0].argmax(), (6, 6)) == (1, 4)
    # Expected: E[m(1, 4) m(p)] / E[m(p)], which falls to the mean where masks are independent: two cells away.
    many = rise(model, np.full((1, 6, 6, 1), 200.0), 1, settings=settings.replace(masks=20000, seed=1))
    assert many[0, 1, 4] == 1 and many[0, 5, :].max() < 0.1 and many[0, 1, 0] < 0.1


def test_more_copies_average_more_noise_away():
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(layers.Rescaling(1 / 64, offset=-2)(image))
    x = layers.Conv2D(6, 3, activation="relu")(x)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    images = RNG.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)

    def spread(samples: int) -> float:
        settings = [SmoothGradient(samples=samples, noise=0.3, seed=seed) for seed in range(4)]
        return np.std([smooth_gradient(model, images, 0, settings=each) for each in settings], axis=0).mean()

    assert spread(64) < 0.6 * spread(4)
    still = smooth_gradient(model, images, 0, settings=SmoothGradient(samples=2, noise=0.0))
    np.testing.assert_allclose(still, gradient(model, images, 0), atol=1e-4)
