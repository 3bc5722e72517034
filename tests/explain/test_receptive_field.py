"""Receptive fields: known stacks by hand, and random stacks against the truth that gradients tell."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gated_network import gated_network
from keras import layers

from lib.explain.network.layers import IMAGE, read_layers
from lib.explain.network.receptive_field import Patch, ReceptiveFields, UntraceableError, map_sizes
from lib.models import Residual


def receptive_field(model, layer, position):
    return ReceptiveFields(model, layer).patch(*position)


POSITIVE = {
    "depthwise_initializer": keras.initializers.RandomUniform(0.5, 1.5, seed=1),
    "pointwise_initializer": keras.initializers.RandomUniform(0.5, 1.5, seed=2),
    "kernel_initializer": keras.initializers.RandomUniform(0.5, 1.5, seed=3),
}


def chain(*steps, size=(24, 24)):
    """A model of layers one after the other; the last one is called "end"."""
    x = image = keras.Input((*size, 3))
    for step in steps:
        x = step(x)
    return keras.Model(image, layers.Activation("linear", name="end")(x))


def conv(size, *, strides=1, padding="same", dilation=1):
    look = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    return layers.Conv2D(2, size, kernel_initializer=POSITIVE["kernel_initializer"], **look)


def seen(model, position, size):
    """The pixels that a position of the layer "end" depends on: bool (H, W), told by the gradient."""
    graph = read_layers(model)
    image = tf.Variable(np.random.default_rng(0).uniform(1, 2, (1, *size, 3)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(graph.read(image, ["end"])["end"][0, position[0], position[1]])
    return tf.reduce_any(tape.gradient(value, image)[0] != 0, axis=-1).numpy()


def bounds(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Patch(0, 0, 0, 0)
    return Patch(rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)


# --- by hand


@pytest.mark.parametrize(
    ("steps", "position", "patch"),
    [
        ([conv(1)], (5, 7), (5, 7, 1, 1)),
        ([conv(3)], (5, 7), (4, 6, 3, 3)),
        ([conv(3)], (0, 23), (0, 22, 2, 2)),  # cut off at the corner
        ([conv(3, padding="valid")], (0, 0), (0, 0, 3, 3)),
        ([conv(3), conv(3)], (5, 7), (3, 5, 5, 5)),  # two of 3 see as much as one of 5
        ([conv(3, dilation=2)], (5, 7), (3, 5, 5, 5)),
        ([conv((1, 5))], (5, 7), (5, 5, 1, 5)),
        ([conv(3, strides=2)], (5, 7), (10, 14, 3, 3)),  # 24 is even: TensorFlow pads below and to the right only
        ([layers.MaxPooling2D(2)], (5, 7), (10, 14, 2, 2)),
        ([layers.MaxPooling2D(3, strides=2, padding="same")], (5, 7), (10, 14, 3, 3)),
        ([layers.MaxPooling2D(2), conv(3)], (5, 7), (8, 12, 6, 6)),
        ([conv(7, strides=2), layers.MaxPooling2D(3, strides=2, padding="same"), conv(3)], (2, 2), (2, 2, 19, 19)),
        ([layers.GlobalAveragePooling2D(keepdims=True)], (0, 0), (0, 0, 24, 24)),
        ([layers.ZeroPadding2D(((2, 1), (3, 1)))], (5, 7), (3, 4, 1, 1)),
        ([layers.ZeroPadding2D(2)], (0, 7), (0, 0, 0, 0)),  # nothing but padding
        ([layers.Cropping2D(((2, 1), (3, 1)))], (5, 7), (7, 10, 1, 1)),
        ([layers.UpSampling2D(3)], (5, 7), (1, 2, 1, 1)),
        ([lambda x: x / 255.0, conv(3), lambda x: keras.ops.clip(x - 1, -1, 1)], (5, 7), (4, 6, 3, 3)),
        ([keras.applications.vgg16.preprocess_input, conv(3)], (5, 7), (4, 6, 3, 3)),  # turns red, green and blue over
        ([keras.applications.densenet.preprocess_input, conv(3)], (5, 7), (4, 6, 3, 3)),
        ([lambda x: x[..., ::-1], conv(3), lambda x: x[:, :, :, :1]], (5, 7), (4, 6, 3, 3)),
        ([layers.Rescaling(2.0), layers.BatchNormalization(), layers.ReLU(), layers.Dense(4)], (5, 7), (5, 7, 1, 1)),
    ],
)
def test_known_stacks(steps, position, patch):
    assert receptive_field(chain(*steps), "end", position) == patch


def test_same_padding_depends_on_the_size_of_the_image():
    assert receptive_field(chain(conv(3, strides=2), size=(23, 24)), "end", (5, 5)) == (9, 10, 3, 3)


def test_vgg_16_sees_196_pixels_at_its_last_convolution():
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(512, 512, 3))
    fields = ReceptiveFields(model, "block5_conv3")
    assert fields.patch(16, 16)[2:] == (196, 196) and fields.map_size == (32, 32)


# --- against gradients


def random_step(rng):
    """A function tensor -> tensor, linear with positive weights, and whether it can leave gaps."""
    kind = rng.integers(7)
    size, strides = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    padding = str(rng.choice(["same", "valid"]))
    dilation = int(rng.integers(1, 4)) if strides == 1 else 1
    gaps = dilation > 1 and size > 1 or strides > size
    if kind == 0:
        return layers.AveragePooling2D(size, strides=strides, padding=padding), strides > size
    if kind == 1:
        depthwise = POSITIVE["depthwise_initializer"]
        return layers.DepthwiseConv2D(size, strides=strides, padding=padding, depthwise_initializer=depthwise), gaps
    if kind == 2:
        both = {name: POSITIVE[name] for name in ("depthwise_initializer", "pointwise_initializer")}
        return layers.SeparableConv2D(2, size, strides=strides, padding=padding, **both), gaps
    if kind == 3:
        return layers.ZeroPadding2D(tuple(map(tuple, rng.integers(0, 3, (2, 2)).tolist()))), False
    if kind == 4:
        return layers.UpSampling2D(2), False
    if kind == 5:
        branch, other = conv(size, dilation=dilation), conv(1)
        return lambda x: layers.Add()([other(x), branch(x)]), dilation > 1
    return conv(size, strides=strides, padding=padding, dilation=dilation), gaps


@pytest.mark.parametrize("seed", range(15))
def test_random_stacks_see_what_their_gradients_say(seed):
    rng = np.random.default_rng(seed)
    size = tuple(int(side) for side in rng.integers(17, 30, 2))
    x = image = keras.Input((*size, 3))
    gaps = False
    for _ in range(int(rng.integers(1, 6))):
        step, leaves_gaps = random_step(rng)
        if min(x.shape[1:3]) < 10:
            break
        x, gaps = step(x), gaps or leaves_gaps
    model = keras.Model(image, layers.Activation("linear", name="end")(x))
    fields = ReceptiveFields(model, "end")
    height, width = fields.map_size
    for row, column in [(0, 0), (height - 1, width - 1), *rng.integers(0, (height, width), (2, 2)).tolist()]:
        mask = seen(model, (row, column), size)
        patch = fields.patch(row, column)
        assert patch == bounds(mask)
        assert gaps or patch.crop(mask).all()


def test_the_own_residual_network_sees_what_its_gradients_say():
    model = Residual(filters=(4, 6), blocks=(1, 1), stem_stride=2).build(3, image_size=24)
    for layer in model.layers:  # positive, so that no ReLU is closed and no two paths cancel
        layer.set_weights([np.abs(weights) + 0.1 for weights in layer.get_weights()])
    for position in [(0, 0), (3, 4), (5, 5)]:
        mask = seen_at(model, "Block_6__block_1__add", position)
        assert receptive_field(model, "Block_6__block_1__add", position) == bounds(mask)


def seen_at(model, layer, position):
    graph = read_layers(model)
    image = tf.Variable(np.full((1, 24, 24, 3), 250.0, np.float32))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(graph.read(image, [layer])[layer][0, position[0], position[1]])
    return tf.reduce_any(tape.gradient(value, image)[0] != 0, axis=-1).numpy()


# --- branches, gates, nested models, sizes


def test_branches_are_joined():
    x = image = keras.Input((24, 24, 3))
    joined = layers.Concatenate(name="end")([conv((1, 5))(x), conv((3, 1))(x), conv(1)(x)])
    assert receptive_field(keras.Model(image, joined), "end", (5, 7)) == (4, 5, 3, 5)


def test_what_a_position_sees_is_traced_beside_gates():
    layer, position = "Block_8__block_1__relu", (3, 4)
    gated, plain = (gated_network((4, 8), image_size=32, gates=gates) for gates in (True, False))
    assert ReceptiveFields(gated, layer).gated and not ReceptiveFields(plain, layer).gated
    local = receptive_field(gated, layer, position)
    assert local == receptive_field(plain, layer, position) and local.height < 32


def test_what_is_pooled_is_no_gate():
    model = chain(conv(3), layers.GlobalAveragePooling2D(keepdims=True), conv(1))
    fields = ReceptiveFields(model, "end")
    assert not fields.gated and fields.patch(0, 0) == (0, 0, 24, 24)


def test_nested_models_are_looked_into():
    inner = keras.Sequential([keras.Input((None, None, 3)), conv(3), layers.MaxPooling2D(2)], name="inner")
    image = keras.Input((24, 24, 3))
    nested = keras.Model(image, layers.Activation("linear", name="end")(conv(3)(inner(image))))
    flat = chain(conv(3), layers.MaxPooling2D(2), conv(3))
    assert receptive_field(nested, "end", (3, 4)) == receptive_field(flat, "end", (3, 4)) == (3, 5, 8, 8)


def test_a_model_must_take_images_of_one_size():
    with pytest.raises(ValueError, match=r"must take images of one size. Received: a model of \(None, None, 3\)"):
        receptive_field(chain(conv(3, strides=2), size=(None, None)), "end", (5, 5))


def test_map_sizes_of_images_of_one_size():
    network = read_layers(chain(conv(3, strides=2), layers.Flatten(), size=(25, 24)))
    sizes = map_sizes(network, ["end"])
    assert sizes[IMAGE] == (25, 24) and (13, 12) in sizes.values() and sizes["end"] is None


def test_the_model_is_left_as_it_was():
    model = gated_network((4, 8), image_size=32)
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    receptive_field(model, "Block_8__block_1__relu", (0, 0))
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


def test_crop_cuts_the_patch_out():
    image = np.arange(48).reshape(4, 4, 3)
    assert np.array_equal(Patch(1, 2, 2, 1).crop(image), image[1:3, 2:3])


# --- what is refused


@pytest.mark.parametrize(
    ("layer", "position", "message"),
    [
        ("ends", (0, 0), "Unknown layer 'ends'. Layers: .*end"),
        ("end", (24, 0), r"positions of end lie in \(0, 0\) to \(23, 23\). Received: \(24, 0\)"),
        ("end", (0, -1), r"Received: \(0, -1\)"),
    ],
)
def test_layers_and_positions_that_do_not_exist(layer, position, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(chain(conv(3)), layer, position)


def test_a_layer_without_a_map():
    with pytest.raises(ValueError, match="layer 'end' has no rows and columns"):
        receptive_field(chain(layers.Flatten()), "end", (0, 0))


@pytest.mark.parametrize(
    "step",
    [
        layers.Lambda(lambda x: x[:, ::-1], output_shape=(24, 24, 3)),
        layers.LayerNormalization(axis=(1, 2, 3)),
        layers.UpSampling2D(2, interpolation="bilinear"),
        lambda x: layers.Concatenate(axis=1)([x, x]),
        layers.Reshape((12, 48, 3)),
        lambda x: x[:, ::-1],
        lambda x: keras.ops.stack([x[..., 0], x[..., 1]], axis=1),
    ],
)
def test_layers_that_cannot_be_traced_are_named(step):
    model = chain(step)
    with pytest.raises(UntraceableError, match="can only be traced through known layers. Received: '"):
        receptive_field(model, "end", (0, 0))
