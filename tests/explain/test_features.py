"""Feature maps, max features, max images, filters: hand-made networks whose answers are known, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gated_network import gated_network
from keras import layers

from lib.explain.features import activation_maximisation, filters
from lib.explain.features import feature_maps as feature_maps_file
from lib.explain.features.activation_maximisation import Maximised, Unit, climb_ladder
from lib.explain.features.feature_maps import (
    block_layers,
    feature_maps,
    map_rows,
    max_features,
    summarise_maps,
)
from lib.explain.features.filters import convolutions, filter_pairs, moved_maps, spread_convolutions
from lib.explain.features.max_images import image_rows, max_images, purest_units
from lib.explain.network.layers import read_layers
from lib.models import Softmax, blocks

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(10) % 2


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return gated_network((4, 6), image_size=16)


def corner_model():
    """One unit that sees rows 0 to 3 and columns 0 to 3 alone: their sum of red; and one that sees nothing of note."""
    image = keras.Input((16, 16, 3), name="image")
    corner = layers.Cropping2D(((0, 12), (0, 12)), name="corner__crop")(image)
    corner = layers.ZeroPadding2D(((0, 0), (0, 1)), name="corner__pad")(corner)  # a second place, which sees less
    units = layers.Conv2D(2, 4, name="corner__conv", use_bias=False)(corner)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(units)))
    kernel = np.zeros((4, 4, 3, 2), np.float32)
    kernel[:, :, 0, 0] = 1
    model.get_layer("corner__conv").set_weights([kernel])
    return model


def red_model():
    """Layer "end" gives red / 255 and its negative, pixel by pixel."""
    image = keras.Input((16, 16, 3), name="image")
    conv = layers.Conv2D(2, 1, use_bias=False, name="conv")
    x = layers.ReLU(name="end")(conv(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    conv.set_weights([np.array([[[[1, -1], [0, 0], [0, 0]]]], np.float32) / 255])
    return model


def test_images_that_are_refused(network):
    for call in (feature_maps, summarise_maps, lambda model, images: max_images(model, [(images, LABELS)])):
        for images, message in (
            (IMAGES[:0], "at least one image"),
            (IMAGES[:, :8], r"takes images of shape \(16, 16, 3"),
        ):
            with pytest.raises(ValueError, match=message):
                call(network, images)


# --- feature maps


def test_block_layers_are_the_last_of_each_block(network):
    found = block_layers(network)
    assert found == {
        "Stem": "Stem__relu",
        "Block_4": "Block_4__block_1__gate",
        "Block_6": "Block_6__block_1__gate",
    }


def test_block_layers_of_other_models_are_the_last_of_each_size():
    x = image = keras.Input((16, 16, 3))
    for name in ("a", "b"):
        x = layers.Conv2D(2, 3, padding="same", name=f"{name}1")(x)
        x = layers.Conv2D(2, 3, padding="same", activation="relu", name=f"{name}2")(x)
        x = layers.MaxPooling2D()(x)
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    assert block_layers(model) == {"a2": "a2", "b2": "b2"}


def test_block_layers_of_nested_models_carry_the_path():
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 3, name="conv")], name="inner")
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, layers.Flatten()(inner(image)))
    assert block_layers(model) == {"inner/conv": "inner/conv"}
    assert feature_maps(model, IMAGES)["inner/conv"].shape == (10, 14, 14, 2)


def test_a_model_without_maps_is_refused():
    model = Softmax().build(3, image_size=8)
    with pytest.raises(ValueError, match="need a convolution in the model"):
        feature_maps(model, IMAGES)


def test_feature_maps_are_what_the_layers_give(network):
    maps = feature_maps(network, IMAGES)
    truth = read_layers(network).read(IMAGES, list(block_layers(network).values()))
    assert list(maps) == list(block_layers(network).values())
    for layer, own in maps.items():
        assert own.dtype == np.float32 and np.allclose(own, truth[layer], atol=1e-4)
    assert feature_maps(network, IMAGES, layers=["Stem__conv"])["Stem__conv"].shape == (10, 16, 16, 4)


def test_layers_of_any_kind_are_read():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(2, 3, name="conv", activation="gelu")(image)
    model = keras.Model(image, layers.Flatten()(layers.Lambda(lambda x: 2 * x, name="twice")(x)))
    outputs = read_layers(model).read(IMAGES, ["conv", "twice"])
    assert np.allclose(outputs["twice"], 2 * outputs["conv"].numpy())


def test_summary_by_hand(monkeypatch):
    images = np.zeros((4, 16, 16, 3), np.float32)
    images[0, 0, :8, 0] = 255  # 8 of 4 x 256 pixels are red
    for batch_size in (1, 3, 64):
        monkeypatch.setattr(feature_maps_file, "BATCH_SIZE", batch_size)
        (row,) = summarise_maps(red_model(), images).to_dict("records")
        assert row == {
            **{"block": "end", "layer": "end", "height": 16, "width": 16, "channels": 2, "receptive_field": 1.0},
            **{"mean": 8 / 2048, "silent": 2040 / 2048, "dead": 0.5},
        }


def test_summary_has_a_row_a_block_and_says_where_a_field_is_unknown(network):
    table = summarise_maps(network, IMAGES)
    assert table["block"].tolist() == ["Stem", "Block_4", "Block_6"]
    assert table["receptive_field"].tolist() == [3.0, 7.0, 13.0]  # beside the gates
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(2, 3, name="conv")(layers.Lambda(lambda x: x[:, ::-1])(image))
    assert summarise_maps(keras.Model(image, layers.Flatten()(x)), IMAGES)["receptive_field"].isna().all()


def test_layers_that_are_refused(network):
    cases = {
        ("nothing",): "Unknown layer 'nothing'. Layers: .*Stem__conv",
        ("logits",): "layer 'logits' has no rows and columns. Layers that have: .*Stem__conv",
    }
    for names, message in cases.items():
        with pytest.raises(ValueError, match=message):
            feature_maps(network, IMAGES, layers=names)


# --- max feature of an image


def test_max_feature_of_a_planted_spot():
    image = np.zeros((16, 16, 3), np.uint8)
    image[5, 9, 0], image[7, 2, 0] = 255, 200
    (found,) = max_features(red_model(), image)
    assert (found.channel, found.channels, found.row, found.column, found.value) == (0, 2, 5, 9, 1.0)
    assert found.patch == (5, 9, 1, 1) and not found.gated
    assert np.allclose(found.map, image[..., 0] / 255)


def test_max_features_are_the_highest_values_of_each_block(network):
    found = max_features(network, IMAGES[0])
    maps = feature_maps(network, IMAGES[:1])
    assert [one.layer for one in found] == list(maps) and [one.gated for one in found] == [False, True, True]
    for one in found:
        own = maps[one.layer][0]
        assert own[one.row, one.column, one.channel] == one.value == own.max() == one.map.max()
    assert found[1].patch.height <= 7  # the local path, not the whole image that the gate sees


# --- the images that excite a channel most


def test_a_unit_that_sees_a_corner_yields_that_corner():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)
    top = max_images(corner_model(), data, k=3)["corner__conv"]
    red = IMAGES[:, :4, :4, 0].astype(int).sum(axis=(1, 2))
    order = np.argsort(-red)[:3]
    assert top.rows[0].tolist() == order.tolist()
    assert np.allclose(top.values[0], red[order]) and top.positions[0].tolist() == [[0, 0]] * 3
    assert top.labels[0].tolist() == LABELS[order].tolist()
    assert top.patch(0, 0) == (0, 0, 4, 4)
    for crop, row in zip(top.crops(0), order, strict=True):
        assert np.array_equal(crop, IMAGES[row, :4, :4])


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_one_pass_finds_what_sorting_everything_finds(batch_size, network):
    starts = range(0, 10, batch_size)
    found = max_images(network, [(IMAGES[i : i + batch_size], LABELS[i : i + batch_size]) for i in starts], k=4)
    for layer, maps in feature_maps(network, IMAGES).items():
        top, width = found[layer], maps.shape[2]
        flat = maps.reshape(10, -1, maps.shape[3])
        order = np.argsort(-flat.max(axis=1), axis=0, kind="stable")[:4].T
        assert np.array_equal(top.rows, order) and np.array_equal(top.labels, LABELS[order])
        assert np.allclose(top.values, np.take_along_axis(flat.max(axis=1).T, order, axis=1), atol=1e-5)
        places = np.take_along_axis(flat.argmax(axis=1).T, order, axis=1)
        assert np.array_equal(top.positions, np.stack(np.divmod(places, width), axis=2))
        assert set(top.pixels) == set(order.ravel().tolist())


def test_images_are_kept_only_while_they_are_among_the_best():
    model = corner_model()

    def growing():  # every image beats all before it; a generator can be read once only
        for value in range(40):
            yield np.full((1, 16, 16, 3), value, np.uint8), [0]

    top = max_images(model, growing(), k=2)["corner__conv"]
    assert top.rows.tolist() == [[39, 38], [0, 1]]  # the second channel is always zero: the first images stay
    assert sorted(top.pixels) == [0, 1, 38, 39] and top.pixels[38][0, 0, 0] == 38


def test_fewer_images_than_asked_for(network):
    found = max_images(network, [(IMAGES[:2], [0, 1])])
    assert found["Block_6__block_1__gate"].rows.shape == (6, 2)


def test_purity_is_the_share_of_the_commonest_class():
    labels = np.zeros(10, int)
    red = IMAGES[:, :4, :4, 0].astype(int).sum(axis=(1, 2))
    labels[np.argsort(-red)[2]] = 5
    data = [(IMAGES, labels)]
    top = max_images(corner_model(), data, k=3)["corner__conv"]
    assert top.purity()[0] == 2 / 3


def test_max_images_needs_a_place(network):
    with pytest.raises(ValueError, match="k must be at least 1. Received: 0"):
        max_images(network, [(IMAGES, LABELS)], k=0)
    with pytest.raises(ValueError, match="at least one image. Received: none"):
        max_images(network, [])


def test_max_images_tells_of_a_layer_that_cannot_be_traced_before_it_begins():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(2, 3, name="conv")(layers.Lambda(lambda x: x[:, ::-1])(image))

    def never():
        yield pytest.fail("the pass began")

    with pytest.raises(ValueError, match="can only be traced through known layers"):
        max_images(keras.Model(image, layers.Flatten()(x)), never())


# --- filters


def test_the_filters_of_the_first_layer_are_whole_in_colour_beside_their_maps():
    model = red_model()
    pairs = filter_pairs(model, IMAGES[:2], "conv")
    second = pairs.channels.tolist().index(1)
    assert pairs.total == len(pairs.channels) == 2
    assert pairs.colours.shape == (2, 1, 1, 3) and np.allclose(pairs.colours[second, 0, 0], [-1 / 255, 0, 0])
    assert pairs.slices.shape == (2, 3, 1, 1) and pairs.inputs[second].tolist() == [0, 1, 2]
    assert pairs.shares.tolist() == [[1.0, 0.0, 0.0]] * 2
    assert np.allclose(pairs.maps[..., second], IMAGES[:2, ..., 0] / -255.0)


def test_a_filter_moves_the_map_of_its_own_number_alone_and_the_network_stays_as_it_was(network):
    for name, channel in (("Stem__conv", 2), ("Block_6__block_1__unit_2__conv", 5)):
        kernel = network.get_layer(name).kernel.numpy()
        assert moved_maps(network, IMAGES[0], name, channel=channel) == [channel]
        assert np.array_equal(network.get_layer(name).kernel.numpy(), kernel)


def test_deeper_filters_show_their_strongest_slices(network):
    name = "Block_6__block_1__unit_2__conv"
    pairs = filter_pairs(network, IMAGES, name)
    kernel = network.get_layer(name).kernel.numpy()
    maps = feature_maps(network, IMAGES, layers=[name])[name]
    assert pairs.colours is None
    assert pairs.channels.tolist() == np.argsort(-maps.std(axis=(0, 1, 2)))[:6].tolist()
    for i, channel in enumerate(pairs.channels):
        energy = np.square(kernel[..., channel]).sum(axis=(0, 1))
        assert pairs.inputs[i].tolist() == np.argsort(-energy)[:3].tolist()
        assert np.allclose(pairs.shares[i], np.sort(energy)[::-1][:3] / energy.sum())
        assert np.array_equal(pairs.slices[i, 0], kernel[:, :, pairs.inputs[i, 0], channel])
        assert np.array_equal(pairs.maps[..., i], maps[..., channel])


def test_filters_in_groups_and_depthwise_name_the_inputs_they_read():
    image = keras.Input((16, 16, 4))
    grouped = layers.Conv2D(4, 3, groups=2, name="grouped")(image)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(grouped)
    model = keras.Model(image, layers.Flatten()(depthwise))
    images = RNG.uniform(0, 255, (1, 16, 16, 4))
    pairs = filter_pairs(model, images, "grouped")
    for channel, inputs in zip(pairs.channels, pairs.inputs, strict=True):
        assert sorted(inputs.tolist()) == ([0, 1] if channel < 2 else [2, 3])
    pairs = filter_pairs(model, images, "depthwise")
    assert pairs.inputs[:, 0].tolist() == (pairs.channels // 2).tolist() and pairs.total == 8 and pairs.colours is None
    kernel = model.get_layer("depthwise").kernel.numpy()
    for slices, channel in zip(pairs.slices, pairs.channels, strict=True):
        assert np.array_equal(slices[0], kernel[:, :, channel // 2, channel % 2])


def test_three_channels_deep_in_a_network_are_not_colours():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(3, 3, name="first")(image)
    model = keras.Model(image, layers.Flatten()(layers.Conv2D(2, 3, name="second")(x)))
    assert convolutions(model) == ["first", "second"]
    assert filter_pairs(model, IMAGES, "first").colours is not None
    assert filter_pairs(model, IMAGES, "second").colours is None


def test_only_what_reads_red_green_and_blue_has_colours():
    prepared = {keras.applications.densenet.preprocess_input: True, layers.ZeroPadding2D(2): True}
    prepared |= {keras.applications.vgg16.preprocess_input: False, layers.Conv2D(3, 1): False}
    for prepare, colours in prepared.items():
        image = keras.Input((16, 16, 3))
        model = keras.Model(image, layers.Flatten()(layers.Conv2D(2, 3, name="own")(prepare(image))))
        assert (filter_pairs(model, IMAGES, "own").colours is not None) == colours


def test_filters_that_are_refused(network):
    cases = [
        ("Stem__relu", "filters are shown of Stem__conv, .*Received: 'Stem__relu'"),
        ("none", "Unknown layer 'none'"),
    ]
    for layer, message in cases:
        with pytest.raises(ValueError, match=message):
            filter_pairs(network, IMAGES, layer)


# --- picks


def test_map_rows_are_the_most_active_channels_of_each_block(network):
    rows = map_rows(network, IMAGES[0], k=3)
    maps = feature_maps(network, IMAGES[:1])
    assert [name for name, *_ in rows] == ["Stem", "Block_4", "Block_6"]
    for (_, own, channels, total), whole in zip(rows, maps.values(), strict=True):
        assert (
            total == whole.shape[3]
            and channels.tolist() == np.argsort(-whole[0].mean(axis=(0, 1)), kind="stable")[:3].tolist()
        )
        assert np.array_equal(own, whole[0][..., channels])


def test_convolutions_are_spread_from_the_first_to_the_last(network, monkeypatch):
    names = [f"Block_{block}__block_1__unit_{unit}__conv" for block in (4, 6) for unit in (1, 2)]
    assert spread_convolutions(network) == ["Stem__conv", names[1], names[3]]
    monkeypatch.setattr(filters, "LAYERS", 9)
    assert spread_convolutions(network) == ["Stem__conv", *names]  # no gates, no shortcuts of one pixel
    with pytest.raises(ValueError, match="wider than a pixel. Received: a model without any"):
        spread_convolutions(red_model())


def test_the_purest_channels_come_first_then_the_most_excited():
    images = IMAGES[np.argsort(IMAGES[:, :4, :4, 0].astype(int).sum(axis=(1, 2)))]  # channel 0 likes the last two most
    labels = np.arange(10) // 9
    top = max_images(corner_model(), [(images, labels)], k=2)
    assert top["corner__conv"].purity().tolist() == [0.5, 1.0]  # channel 1 is always zero: the first two images
    assert purest_units(top, each=1) == [Unit("corner__conv", 1)]
    equal = max_images(corner_model(), [(images, np.zeros(10, int))], k=2)
    assert purest_units(equal) == [Unit("corner__conv", 0), Unit("corner__conv", 1)]


def test_image_rows_carry_names_classes_and_what_is_seen():
    model = corner_model()
    top = max_images(model, [(IMAGES, np.ones(10, int))], k=2)
    units = [Unit("corner__conv", 0)]
    ((name, parts, texts),), notes = image_rows(top, units, class_names=["a", "b"], blocks={"corner": "corner__conv"})
    assert name == "corner\nchannel 0" and len(parts) == 2 and parts[0].shape == (4, 4, 3)
    assert all(text.startswith("b\n") for text in texts) and notes == ["sees 4 pixels"]


def test_image_rows_say_where_gates_see_more(network):
    layers_of = block_layers(network)
    units = [Unit(layer, 0) for layer in layers_of.values()]
    top = max_images(network, [(IMAGES, LABELS)], k=1)
    _, notes = image_rows(top, units, class_names=["a", "b"], blocks=layers_of)
    assert notes[0] == "sees 3 pixels" and [note.endswith(" beside gates") for note in notes] == [False, True, True]


def test_the_ladder_has_every_recipe_for_every_unit(monkeypatch):
    def made_up(model, units, *, recipe, colours):
        level = 100 + 10 * (recipe.fourier + recipe.colour + recipe.transforms) + np.arange(len(units))
        images = np.broadcast_to(level[:, None, None, None], (len(units), 2, 2, 3))
        return Maximised(images, reached=level, moved=level / recipe.steps)

    monkeypatch.setattr(activation_maximisation, "maximise", made_up)
    units = {"red": Unit("end", 0), "class": Unit(None, 1)}
    rows, made = climb_ladder(red_model(), units, colours=np.eye(3), steps=2)
    assert list(made) == ["pixels", "+ waves", "+ colours", "+ moves"]
    (red, images, reached, moved), (name, *_, last) = rows
    assert (red, reached, moved) == ("red", [100, 110, 120, 130], [50, 55, 60, 65])
    assert [image[0, 0, 0] for image in images] == reached
    assert (name, last) == ("class", [50.5, 55.5, 60.5, 65.5])


def test_blocks_of_the_repository_can_all_be_traced():
    image = keras.Input((32, 32, 3))
    x = blocks.conv_block(image, 4, name="A", convolutions=2, dropout=0.1)
    x = blocks.residual_block(x, 6, name="B__block_1", strides=2)
    model = keras.Model(image, layers.Flatten()(x))
    found = summarise_maps(model, RNG.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    assert found["receptive_field"].tolist() == [6.0, 18.0]
