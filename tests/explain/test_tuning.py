"""What filters answer to: filters drawn with a known direction, period and colour must be found to have these."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from lib.explain import values
from lib.explain.features import filters, pairs
from lib.explain.features.tuning import AXES, Preference, agreement, draw_bars, measure_answers, read_shape
from lib.models import AlexNet

SIDE = 13
GREY_AXIS, RED_GREEN, YELLOW_BLUE = AXES
RNG = np.random.default_rng(0)


def gabor(orientation: float, period: float, axis) -> np.ndarray:
    """Bars in a round window, (SIDE, SIDE, 3), of zero mean."""
    rows, columns = np.indices((SIDE, SIDE)) - SIDE // 2
    angle = np.radians(orientation)
    window = np.exp(-(rows**2 + columns**2) / 18)
    wave = window * np.cos(2 * np.pi * (np.sin(angle) * columns + np.cos(angle) * rows) / period)
    return (wave - window * wave.sum() / window.sum())[..., None] * axis


def blob(axis) -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE)) - SIDE // 2
    return np.exp(-(rows**2 + columns**2) / 18)[..., None] * np.asarray(axis)


FILTERS = {
    "bars_45": gabor(45, 6, GREY_AXIS),
    "bars_120": gabor(120, 4.5, GREY_AXIS),
    "upright_coloured": gabor(90, 6, YELLOW_BLUE),
    "orange": blob((0.7, 0, -0.7)),
    "light": blob(GREY_AXIS),
    "dead": np.zeros((SIDE, SIDE, 3)),
}
NUMBER = {name: number for number, name in enumerate(FILTERS)}


@pytest.fixture(scope="module")
def model():
    """The filters above in a first layer, and a second one that passes each of them on after a ReLU."""
    image = keras.Input((40, 40, 3), name="image")
    x = layers.Rescaling(1 / 64, -2.0)(image)
    x = layers.Conv2D(len(FILTERS), SIDE, 2, name="first")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(len(FILTERS), 3, padding="same", name="second")(x)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    model.get_layer("first").set_weights([np.stack(list(FILTERS.values()), axis=-1), np.zeros(len(FILTERS))])
    passed = np.zeros((3, 3, len(FILTERS), len(FILTERS)))
    passed[1, 1] = np.eye(len(FILTERS))
    model.get_layer("second").set_weights([passed, np.full(len(FILTERS), -0.1)])
    return model


@pytest.fixture(scope="module")
def answers(model):
    return pairs.measure_depths(model)


def test_bars_lie_as_their_degrees_say():
    flat, upright, rising = (draw_bars((21, 21), turn, 7, direction=GREY_AXIS)[0, ..., 0] for turn in (0, 90, 45))
    assert np.ptp(flat, axis=1).max() < 1e-9 < np.ptp(flat, axis=0).min()  # the same along a row
    assert np.ptp(upright, axis=0).max() < 1e-9
    assert np.allclose(rising[1:, :-1], rising[:-1, 1:])  # the same from a pixel to the one above and to the right
    assert np.allclose(upright[:, :-7], upright[:, 7:])


def test_the_weights_of_a_filter_say_its_direction_period_and_colours():
    for name, turn, period in (("bars_45", 45, 6), ("bars_120", 120, 4.5), ("upright_coloured", 90, 6)):
        shape = read_shape(FILTERS[name])
        assert abs(shape.orientation - turn) < 3 and abs(shape.period - period) < 0.6
        assert shape.even_share < 0.01 and f"bars at {shape.orientation:.0f} degrees" in shape.sentence()
    assert read_shape(FILTERS["bars_45"]).colour_share < 1e-9
    coloured = read_shape(FILTERS["upright_coloured"])
    assert coloured.colour_share > 1 - 1e-9 and coloured.opposed == ("yellow", "blue")
    orange = read_shape(FILTERS["orange"])
    assert orange.opposed == ("orange", "sky blue") and orange.even_share > 0.5 and "sums up" in orange.sentence()
    assert read_shape(FILTERS["dead"]) is None
    assert read_shape(np.ones((1, 1, 3))).period == 0


def test_patterns_find_the_known_filters_in_the_first_layer_and_in_a_later_one(answers):
    for measured in answers.values():
        known = {name: measured.preference(number) for name, number in NUMBER.items()}
        for name, turn, period in (("bars_45", 45, 6), ("bars_120", 120, 4.5), ("upright_coloured", 90, 6)):
            found = known[name]
            assert found.kind == "bars" and found.orientation == turn and abs(found.period / period - 1) < 0.3
            assert found.selectivity > 0.8 and f"bars at {turn} degrees" in found.sentence()
        assert known["bars_45"].colours == "light and dark" and known["bars_45"].colour_share < 0.01
        assert known["upright_coloured"].colours == "yellow and blue" and known["upright_coloured"].colour_share > 0.99
        assert (known["orange"].kind, known["orange"].liked, known["orange"].disliked)[:2] == ("patches", "orange")
        assert "even patches of orange; it prefers orange to" in known["orange"].sentence()
        assert (
            known["light"].colours == "light grey"
            and "even patches of colour matter little" in known["light"].sentence()
        )
        dead = known["dead"]
        assert dead.kind == "nothing" and dead.sentence() == "channel 5 gives the same answer to every drawn pattern"
    assert answers["first"].field == SIDE and answers["second"].field == SIDE + 4
    assert answers["first"].preference(NUMBER["orange"]).disliked == "sky blue"


def test_one_pixel_has_no_direction():
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, layers.Flatten()(layers.Conv2D(1, 1, use_bias=False, name="pixel")(image)))
    model.get_layer("pixel").set_weights([np.reshape([0.0, 0, -1], (1, 1, 3, 1))])
    found = measure_answers(model, "pixel").preference(0)
    assert found.kind == "patches" and found.liked == "yellow" and found.selectivity < 0.01
    assert "nan" not in f"{found}".lower()


def test_patterns_need_coloured_images_of_one_size():
    for shape in ((None, None, 3), (16, 16, 1)):
        image = keras.Input(shape)
        model = keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(1, 3, name="conv")(image)))
        with pytest.raises(ValueError, match="coloured images of one size"):
            measure_answers(model, "conv")


def test_a_map_follows_what_the_channel_prefers_and_nothing_else():
    """Images whose left half holds bars at 45 degrees and whose right half holds crossed ones."""
    image = draw_bars((40, 40), 45, 6, direction=GREY_AXIS)[0]
    image[:, 20:] = draw_bars((40, 40), 135, 6, direction=GREY_AXIS)[0][:, 20:]
    left = np.repeat([[1.0] * 5 + [0.0] * 5], 10, axis=0)[None]
    bars = Preference("conv", 0, "bars", orientation=45.0, period=6.0, direction=tuple(GREY_AXIS))
    own, crossed = agreement(bars, image[None], left, field=13)
    assert own > 0.8 and crossed < -0.8
    assert agreement(bars, image[None], np.zeros((1, 10, 10)), field=13) == (0, 0)  # a silent map
    assert agreement(bars, np.full((1, 40, 40, 3), 90), left, field=13) == (0, 0)
    red = np.full((1, 40, 40, 3), 127.5)
    red[:, :, :20] += 60 * RED_GREEN
    patch = Preference("conv", 0, "patches", direction=tuple(RED_GREEN))
    own, other = agreement(patch, red, left, field=8)
    assert own > 0.9 and other == 0


def pattern_images() -> np.ndarray:
    """Three images that one filter each must stand out on, then grey ones with a little noise."""
    shown = [
        draw_bars((40, 40), 45, 6, direction=GREY_AXIS)[0],
        draw_bars((40, 40), 90, 6, direction=YELLOW_BLUE)[0],
        np.full((40, 40, 3), 127.5) + 100 * np.array([0.7, 0, -0.7]),
    ]
    return np.clip(np.concatenate([shown, 127.5 + RNG.normal(0, 4, (5, 40, 40, 3))]), 0, 255)


def test_pairs_hold_filter_and_map_of_one_output_channel_and_are_chosen_by_what_stands_out(model, answers):
    images = pattern_images()
    found = pairs.find_pairs(model, images[:3], answers, others=images[3:])
    assert [pair.layer for pair in found] == ["first"] * 3 + ["second"] * 3
    maps = {name: keras.Model(model.input, model.get_layer(name).output)(images).numpy() for name in answers}
    kernel = model.get_layer("first").kernel.numpy()
    for number, pair in enumerate(found):
        assert np.allclose(pair.map, maps[pair.layer][number % 3, ..., pair.channel], atol=1e-4)
        assert pair.map[pair.row, pair.column] == pair.map.max() and np.isfinite(pair.standing_out)
    for pair in found[:3]:
        assert np.array_equal(pair.filter, kernel[..., pair.channel]) and pair.share == 1 and pair.shape
        assert pair.patch[2:] == (SIDE, SIDE)
    for pair in found[3:]:
        assert pair.source == pair.channel and pair.filter[1, 1] == 1 and pair.share == 1 and pair.shape is None
    assert [found[number].channel for number in (0, 1, 2)] == [
        NUMBER[one] for one in ("bars_45", "upright_coloured", "orange")
    ]
    table = pairs.pairs_table(found, ["a", "b", "c"])
    assert table["class_name"].tolist() == ["a", "b", "c"] * 2 and not table.isna().any(axis=None)
    assert all(text.endswith(".") and "nan" not in text for text in table["detects"])


def test_what_is_said_of_a_map_follows_from_the_numbers(model, answers):
    noise = np.clip(127.5 + RNG.normal(0, 4, (4, 40, 40, 3)), 0, 255)
    image = draw_bars((40, 40), 45, 6, direction=GREY_AXIS)[0]
    image[:, 20:] = 127.5
    first = {"first": answers["first"]}
    (pair,) = pairs.find_pairs(model, image[None], first, others=noise)
    assert pair.channel == NUMBER["bars_45"] and pair.verdict == "confirms it"
    own, crossed = pair.follows
    said = f"The map confirms it: r = {own:.2f} with where the image holds this, {crossed:.2f} with crossed bars. "
    assert said in pair.sentences() and 0.5 < pair.beyond < 1.2  # the image holds the pattern, at another phase
    small = dataclasses.replace(pair, map=np.ones((3, 3)), follows_all=(0.4, 0.5))
    assert small.verdict == "fits it, but fits crossed bars as well"
    assert "Over all images, since a map of 3 x 3 says little, the map fits it" in small.sentences()
    with pytest.raises(ValueError, match="two other images at least. Received: 1"):
        pairs.find_pairs(model, image[None], first, others=noise[:1])
    # What stays below zero never leaves the ReLU that follows, however much it stands out.
    first_layer = model.get_layer("first")
    kept = first_layer.get_weights()
    first_layer.set_weights([kept[0], np.array([-1e3, 0, 0, 0, 0, 0])])
    (other,) = pairs.find_pairs(model, image[None], {"first": measure_answers(model, "first")}, others=noise)
    assert other.channel != NUMBER["bars_45"] and other.map.max() > 0
    # Nothing stands out where no channel lives: the sentence says so, and no number is missing.
    first_layer.set_weights([np.zeros_like(one) for one in kept])
    dead = {"first": measure_answers(model, "first")}
    (pair,) = pairs.find_pairs(model, image[None], dead, others=noise)
    said = "Channel 0 gives the same answer to every drawn pattern"
    assert pair.sentences() == f"{said}, and to every image: it is dead."
    assert dataclasses.replace(pair, alive=True).sentences() == f"{said}, but not to every image."
    assert pair.verdict == "does not confirm it"
    table = pairs.compare_depths(model, dead, noise)
    assert table["dead"].tolist() == [1] and not table.isna().any(axis=None)
    first_layer.set_weights(kept)


def test_filters_and_maps_are_compared_from_depth_to_depth(model, answers):
    assert list(answers) == ["first", "second"]
    alexnet = AlexNet(weights="random", grid=1, units=4).build(2, image_size=64)
    assert filters.spread_convolutions(alexnet) == ["Block_1__conv", "Block_3__conv", "Block_5__conv"]
    table = pairs.compare_depths(model, answers, pattern_images()).set_index("layer")
    assert table["filters"].tolist() == [6, 6] and table["kernel"].tolist() == [13, 3]
    assert (
        table["receptive_field"].tolist() == [13, 17] and table["fits"].all() and table["map_side"].tolist() == [14, 14]
    )
    assert np.allclose(table["dead"], 1 / 6) and np.allclose(table["oriented"], 3 / 5)
    assert table["coloured"].between(0, 1).all() and table["silent"].between(0, 1).all()
    found = pairs.find_pairs(model, pattern_images()[:3], answers, others=pattern_images()[3:])
    said = values.of_filters(found, table.reset_index())
    assert said["explain.filters.receptive_field_first"] == 13 and said["explain.filters.receptive_field_last"] == 17
    assert said["explain.filters.pairs"] == 6 and 0 <= said["explain.filters.confirmed"] <= 6
    assert said["explain.filters.detects_6"] == found[5].sentences()
