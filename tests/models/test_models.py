"""Models: every model with every option has the right shape, trains all its weights, and survives being saved."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.models import FAMILIES, ConvBlocks, LayerList, Mlp, Residual, SimpleCnn, Softmax

SIZE, CLASSES = 16, 3
VARIANTS = {
    "softmax": Softmax(),
    "softmax grey": Softmax(grey=True),
    "mlp": Mlp(units=(4, 8)),
    "mlp batch_norm": Mlp(units=(4, 8), batch_norm=True),
    "mlp dropout": Mlp(units=(4, 8), dropout=0.5),
    "mlp grey": Mlp(units=(4, 8), grey=True),
    "simple_cnn": SimpleCnn(filters=(4, 8)),
    "simple_cnn batch_norm": SimpleCnn(filters=(4, 8), batch_norm=True),
    "simple_cnn dropout": SimpleCnn(filters=(4, 8), dropout=0.5),
    "conv_blocks": ConvBlocks(filters=(4, 8), batch_norm=False),
    "conv_blocks batch_norm": ConvBlocks(filters=(4, 8)),
    "conv_blocks dropout": ConvBlocks(filters=(4, 8), batch_norm=False, dropout=0.5),
    "conv_blocks early_pooling": ConvBlocks(filters=(4, 8), stem=4, early_pooling=True, dropout=0.5),
    "residual": Residual(filters=(4, 8), blocks=(1, 2)),
    "residual stem_stride": Residual(filters=(4, 8), blocks=(1, 2), stem_stride=4),
    "residual dropout": Residual(filters=(4, 8), blocks=(1, 2), dropout=0.5),
    "residual without shortcuts": Residual(filters=(4, 8), blocks=(1, 2), shortcuts=False),
}
LISTED = ("conv 4 5", "norm", "relu", "max", "conv 8", "relu", "average 3", "flatten", "dense 6", "relu")
VARIANTS |= {
    "layer_list": LayerList(layers=LISTED),
    "layer_list dropout": LayerList(layers=(*LISTED, "dropout 0.5")),
}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


@functools.cache
def build(family, *, image_size: int | None = SIZE) -> keras.Model:
    """A model that tests share; they may change its running statistics, but not its weights."""
    keras.utils.set_random_seed(0)
    return family.build(CLASSES, image_size=image_size)


def layer_names(family) -> list[str]:
    return [layer.name for layer in build(family).layers]


@pytest.fixture(scope="module", params=VARIANTS)
def model(request) -> keras.Model:
    return build(VARIANTS[request.param])


def test_logits_have_one_column_a_class_and_are_finite(model):
    logits = model(IMAGES)
    assert logits.shape == (5, CLASSES) and logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    assert model.output_shape == (None, CLASSES) and model.layers[-1].activation is keras.activations.linear
    assert np.ptp(logits.numpy(), axis=0).min() > 0  # images are told apart


def test_bytes_and_floats_give_the_same(model):
    np.testing.assert_array_equal(model(IMAGES), model(IMAGES.astype(np.float32)))


def test_every_trainable_weight_gets_a_gradient(model):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(IMAGES, training=True) - tf.one_hot([0, 1, 2, 0, 1], CLASSES)))
    for weight, gradient in zip(model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path


def test_a_saved_model_predicts_the_same(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


def test_models_are_flat_with_readable_names(model):
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    assert type(model).__name__ == "Functional" and model.name in FAMILIES
    first, last = model.layers[0], model.layers[-1]
    assert first.name == "image" and model.layers[1].name == "rescale" and last.name == "logits"
    others = [layer.name for layer in model.layers[2:-1]]
    known = r"(Block_\d+[b-h]?|Stem)(__[a-z]+(_[a-z]+)?(_\d+)?)+|flatten|grey|hidden|dropout|pool"
    assert [name for name in others if not re.fullmatch(known, name)] == []


@pytest.mark.parametrize("name", VARIANTS)
def test_every_option_changes_the_layers(name):
    kind, _, option = name.partition(" ")
    if option:
        assert layer_names(VARIANTS[name]) != layer_names(VARIANTS[kind]) or option == "stem_stride"
    assert build(VARIANTS[name]).name == kind


@pytest.mark.parametrize("kind", ["conv_blocks", "residual"])
def test_globally_pooled_models_take_any_size(kind):
    model = build(VARIANTS[kind], image_size=None)
    assert model.input_shape == (None, None, None, 3)
    for size in (SIZE, 20):
        assert model(np.zeros((2, size, size + 3, 3), np.uint8)).shape == (2, CLASSES)
    fixed = build(VARIANTS[kind])
    model.set_weights(fixed.get_weights())
    np.testing.assert_allclose(model(IMAGES), fixed(IMAGES), atol=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "mlp"])
def test_grey_models_see_the_mean_of_the_channels(kind):
    model = build(VARIANTS[f"{kind} grey"])
    shuffled = IMAGES[..., [2, 0, 1]]
    np.testing.assert_allclose(model(shuffled), model(IMAGES), rtol=1e-4, atol=1e-5)
    assert not np.allclose(build(VARIANTS[kind])(shuffled), build(VARIANTS[kind])(IMAGES), atol=1e-2)
    units = model.get_layer("logits").kernel.shape[0] if kind == "softmax" else model.layers[4].kernel.shape[0]
    assert units == SIZE * SIZE


def test_an_mlp_has_the_units_it_is_asked_for():
    model = build(VARIANTS["mlp"])
    shapes = [tuple(layer.kernel.shape) for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert shapes == [(SIZE * SIZE * 3, 4), (4, 8), (8, CLASSES)]


def test_penalties_are_those_of_the_hidden_kernels():
    model = build(Mlp(units=(4, 8), l1=0.01, l2=0.1))
    kernels = [layer.kernel.numpy() for layer in model.layers[:-1] if isinstance(layer, keras.layers.Dense)]
    expected = [0.01 * np.abs(kernel).sum() + 0.1 * np.square(kernel).sum() for kernel in kernels]
    np.testing.assert_allclose(model.losses, expected, rtol=1e-5)
    assert not build(VARIANTS["mlp"]).losses


@pytest.mark.parametrize("kind", ["softmax", "mlp", "simple_cnn", "layer_list"])
def test_flattening_models_need_a_size(kind):
    with pytest.raises(ValueError, match=f"{kind} does not pool globally and needs an image_size. Received: None"):
        build(VARIANTS[kind], image_size=None)


def test_images_must_be_large_enough_for_the_stages():
    sides = {"softmax": 1, "simple_cnn": 4, "conv_blocks": 4, "residual": 2, "residual stem_stride": 8}
    for name, smallest in sides.items():
        family = VARIANTS[name]
        assert build(family, image_size=smallest).output_shape == (None, CLASSES)
        message = f"{family.name} needs at least {smallest} px. Received: {smallest - 1} px"
        with pytest.raises(ValueError, match=message):
            build(family, image_size=smallest - 1)


def test_too_few_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes must be at least 2. Received: 1"):
        SimpleCnn().build(1, image_size=32)


def test_pixels_are_scaled_inside_the_model():
    model = build(VARIANTS["softmax"])
    kernel, bias = model.get_layer("logits").get_weights()
    scaled = (IMAGES.astype(np.float64) / 64 - 2).reshape(5, -1)
    np.testing.assert_allclose(model(IMAGES), scaled @ kernel + bias, atol=1e-4)


@pytest.mark.parametrize(
    "config, parameters",
    [
        (VARIANTS["softmax"], (SIZE * SIZE * 3 + 1) * 3),
        # two stages of 4 and 8 filters, 4 x 4 pixels left, 16 hidden units, 3 classes
        (VARIANTS["simple_cnn"], 28 * 4 + 37 * 8 + (4 * 4 * 8 + 1) * 16 + 17 * 3),
        (VARIANTS["conv_blocks"], 28 * 4 + 37 * 4 + 37 * 8 + 73 * 8 + 9 * 3),
        # 16 - 4 pixels halved, less 2 and in thirds: 1 x 1 of 8 filters, then 6 units
        (VARIANTS["layer_list"], (76 + 4) * 4 + 37 * 8 + 9 * 6 + 7 * 3),
        # four numbers per channel of batch norm instead of one bias
        (VARIANTS["conv_blocks batch_norm"], 28 * 4 + 37 * 4 + 37 * 8 + 73 * 8 + 9 * 3 + 3 * (4 + 4 + 8 + 8)),
        # one convolution more, of 4 filters on 4 channels
        (VARIANTS["conv_blocks early_pooling"], 28 * 4 + 37 * 4 * 2 + 37 * 8 + 73 * 8 + 9 * 3 + 3 * (3 * 4 + 8 + 8)),
    ],
)
def test_parameters_counted_by_hand(config, parameters):
    assert build(config).count_params() == parameters


def test_a_listed_network_has_the_layers_of_its_list_in_blocks():
    family = LayerList(layers=LISTED, pixel_scale=1 / 255, pixel_offset=0.0)
    model = family.build(CLASSES, image_size=SIZE)
    names = [f"Block_1__{kind}" for kind in ("conv", "norm", "relu", "max")]
    names += ["Block_2__conv", "Block_2__relu", "Block_2__average", "flatten", "Block_3__dense", "Block_3__relu"]
    assert [layer.name for layer in model.layers[2:-1]] == names
    assert model.get_layer("Block_1__conv").kernel.shape[0] == 5
    assert model.get_layer("Block_2__average").pool_size == model.get_layer("Block_2__average").strides == (3, 3)
    np.testing.assert_allclose(model.layers[1](IMAGES), IMAGES / 255, atol=1e-6)
    wider = family.scale(3)
    assert wider.layers == ("conv 12 5", *LISTED[1:4], "conv 24", *LISTED[5:8], "dense 18", "relu")
    assert family.scale(0.01).layers[4] == "conv 4" and family.scale(1) == family
    assert family.smallest_side() == 14 and family.replace(padding="same").smallest_side() == 6
    with pytest.raises(ValueError, match="layer_list needs at least 14 px. Received: 13 px"):
        family.build(CLASSES, image_size=13)
    assert family.build(CLASSES, image_size=14).get_layer("flatten").output.shape == (None, 8)


def test_a_list_of_layers_that_makes_no_network_is_refused():
    for layers in (("conv", "flatten"), ("conv 0", "flatten"), ("dropout 1", "flatten"), ("pool", "flatten")):
        with pytest.raises(ValueError, match="layers are conv, max, average"):
            LayerList(layers=layers)
    for layers in ((), ("conv 4",), ("dense 4", "flatten"), ("flatten", "max"), ("flatten", "flatten")):
        with pytest.raises(ValueError, match="one flatten lies behind"):
            LayerList(layers=layers)


def test_width_and_depth_change_the_parameters():
    for kind, deeper in (("simple_cnn", "convolutions"), ("conv_blocks", "convolutions"), ("residual", "blocks")):
        family, depth = VARIANTS[kind], {"convolutions": 3, "blocks": (1, 3)}[deeper]
        base = build(family).count_params()
        assert build(family.replace(filters=(4, 12))).count_params() > base
        assert build(family.replace(**{deeper: depth})).count_params() > base


def test_a_width_that_comes_twice_gets_a_letter():
    family = ConvBlocks(filters=(8, 8, 4, 8), convolutions=1)
    blocks = dict.fromkeys(name.split("__")[0] for name in layer_names(family) if name.startswith("Block"))
    assert list(blocks) == ["Block_8", "Block_8b", "Block_4", "Block_8c"]


def test_stem_stride_shrinks_the_images_first():
    sides = {}
    for stride in (1, 2, 4):
        model = build(VARIANTS["residual"].replace(stem_stride=stride), image_size=32)
        first = next(layer for layer in model.layers if layer.name.startswith("Block"))
        sides[stride] = first.input.shape[1]
        stem = [layer for layer in model.layers if layer.name == "Stem__conv"]
        assert stem[0].kernel_size[0] >= stride  # no pixel is skipped
    assert sides == {1: 32, 2: 16, 4: 8}


@pytest.mark.parametrize("kind", ["simple_cnn", "conv_blocks", "residual"])
def test_dropout_acts_while_training_only(kind):
    model = build(VARIANTS[f"{kind} dropout"])
    plain = [layer for layer in build(VARIANTS[kind]).layers if "dropout" in layer.name]
    assert not plain and model.get_layer("dropout").rate == 0.5
    assert model.count_params() == build(VARIANTS[kind]).count_params()
    assert not np.array_equal(model(IMAGES, training=True), model(IMAGES, training=True))
    assert np.array_equal(model(IMAGES, training=False), model(IMAGES, training=False))


def test_conv_blocks_drop_half_as_many_channels_between_the_stages():
    model = build(VARIANTS["conv_blocks dropout"])
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.SpatialDropout2D)]
    assert rates == [0.25] * 2


def test_early_pooling_leaves_a_quarter_of_the_map_to_all_but_the_first_convolution():
    late, early = (VARIANTS["conv_blocks dropout"].replace(early_pooling=early) for early in (False, True))
    sides = [
        [layer.input.shape[1] for layer in build(family).layers if isinstance(layer, keras.layers.Conv2D)]
        for family in (late, early)
    ]
    assert sides == [[16, 16, 8, 8], [16, 8, 8, 4]]
    assert build(late).count_params() == build(early).count_params()
    assert build(early).get_layer("pool").input.shape == (None, 4, 4, 8)
    rates = [layer.rate for layer in build(early).layers if isinstance(layer, keras.layers.SpatialDropout2D)]
    assert rates == [0.25] * 2


def test_a_stem_comes_first_and_grows_with_the_filters():
    family = VARIANTS["conv_blocks early_pooling"]
    assert next(layer for layer in build(family).layers if isinstance(layer, keras.layers.Conv2D)).name == "Stem__conv"
    assert family.scale(2).stem == 8 and ConvBlocks().scale(2).stem == 0


def test_residual_stages_halve_the_image_and_batch_norm_is_always_on():
    model = build(VARIANTS["residual"])
    assert model.get_layer("pool").input.shape == (None, 8, 8, 8)
    biases = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D) and layer.use_bias]
    assert biases == []
