"""Blocks: shapes, names, and what each option computes, on tensors small enough to follow."""

import keras
import numpy as np
import pytest

from lib.models import blocks

RNG = np.random.default_rng(0)


def build(block, *arguments, side=6, channels=4, **options) -> keras.Model:
    """One block as a model; weights are seeded."""
    keras.utils.set_random_seed(0)
    image = keras.Input((side, side, channels), name="image")
    return keras.Model(image, block(image, *arguments, name="B", **options))


def names(model) -> list[str]:
    return [layer.name for layer in model.layers[1:]]


def features(count=2, side=6, channels=4) -> np.ndarray:
    return RNG.normal(size=(count, side, side, channels)).astype(np.float32)


def silence_branch(model, name: str) -> None:
    """Set the last kernel of a residual branch to zero, so that only the shortcut is left."""
    kernel = model.get_layer(name).kernel
    kernel.assign(np.zeros(kernel.shape))


def halved(x) -> np.ndarray:
    """Means of 2 x 2 pixels."""
    return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean(axis=(2, 4))


def test_conv_unit_options():
    full = build(blocks.conv_unit, 8)
    assert names(full) == ["Bconv", "Bbatchnorm", "Brelu"] and full.output_shape == (None, 6, 6, 8)
    assert not full.get_layer("Bconv").use_bias  # batch norm would cancel it
    plain = build(blocks.conv_unit, 8, batch_norm=False, relu=False)
    assert names(plain) == ["Bconv"] and plain.get_layer("Bconv").use_bias
    assert full(features()).numpy().min() == 0 and plain(features()).numpy().min() < 0


def test_conv_unit_convolves():
    model = build(blocks.conv_unit, 1, side=3, channels=1, batch_norm=False)
    model.get_layer("Bconv").set_weights([np.ones((3, 3, 1, 1)), np.array([-20.0])])
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    # sums over the 3 x 3 neighbourhood, zeros outside, minus 20, ReLU
    assert model(x)[0, :, :, 0].numpy().tolist() == [[0, 1, 0], [7, 25, 13], [4, 19, 8]]


@pytest.mark.parametrize("side, strides, expected", [(6, 2, 3), (7, 2, 4), (6, 4, 2), (6, 1, 6)])
def test_conv_unit_strides_round_up(side, strides, expected):
    assert build(blocks.conv_unit, 8, side=side, strides=strides).output_shape == (None, expected, expected, 8)


def test_conv_block_options():
    one = build(blocks.conv_block, 8)
    assert names(one) == ["B__conv", "B__batchnorm", "B__relu", "B__pool"]
    assert one.output_shape == (None, 3, 3, 8)
    assert build(blocks.conv_block, 8, side=7).output_shape == (None, 3, 3, 8)  # pooling rounds down
    assert names(build(blocks.conv_block, 8, batch_norm=False)) == ["B__conv", "B__relu", "B__pool"]
    assert names(build(blocks.conv_block, 8, dropout=0.5))[-2:] == ["B__dropout", "B__pool"]
    two = build(blocks.conv_block, 8, convolutions=2)
    assert names(two)[:4] == ["B__unit_1__conv", "B__unit_1__batchnorm", "B__unit_1__relu", "B__unit_2__conv"]


def test_conv_block_drops_whole_channels():
    model = build(blocks.conv_block, 64, dropout=0.5)
    x = features(4)
    trained = keras.Model(model.input, model.get_layer("B__dropout").output)(x, training=True).numpy()
    dropped = (trained == 0).all(axis=(1, 2))
    assert 0.3 < dropped.mean() < 0.7
    assert not np.array_equal(model(x, training=True), model(x, training=True))
    assert np.array_equal(model(x, training=False), model(x, training=False))


def test_residual_block_adds_its_branch_to_the_input():
    model = build(blocks.residual_block, 4)
    x = features()
    assert not np.allclose(model(x), np.maximum(x, 0))
    silence_branch(model, "B__unit_2__conv")
    np.testing.assert_allclose(model(x), np.maximum(x, 0), atol=1e-6)
    assert names(model)[-2:] == ["B__add", "B__relu"]
    assert not [name for name in names(model) if "shortcut" in name]


def test_residual_block_averages_the_shortcut_when_it_strides():
    model = build(blocks.residual_block, 4, strides=2)
    silence_branch(model, "B__unit_2__conv")
    x = features()
    np.testing.assert_allclose(model(x), np.maximum(halved(x), 0), atol=1e-6)
    assert model.get_layer("B__unit_1__conv").strides == (2, 2)


@pytest.mark.parametrize("side", [6, 7])
def test_a_new_width_is_projected(side):
    model = build(blocks.residual_block, 8, side=side, strides=2)
    assert model.output_shape == (None, (side + 1) // 2, (side + 1) // 2, 8)
    assert model.get_layer("B__shortcut_conv").kernel.shape == (1, 1, 4, 8)
