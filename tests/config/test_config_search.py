"""The words of a search: an impossible space, value or time is one sentence before anything is trained."""

import math

import pytest

from lib import briefs
from lib.config import Augment, Blocks, Experiment, Found, Profile, Search, Space, Training, growing_searches
from lib.models import ConvBlocks, Residual, Softmax

START = Experiment(
    why="?",
    model=Residual(filters=(4, 8), blocks=(1, 1)),
    training=Training(epochs=4, batch_size=8),
    augment=Augment(flip=True),
    image_size=16,
)
CHOICES = {"model.width": (4, 8), "model.stages": (1, 2), "training.learning_rate": (0.01, 0.1)}
SPACE = Space(start=START, choices=CHOICES, families=(Residual(), ConvBlocks()))
SEARCH = Search(why="?", space=SPACE)
RATE = "training.learning_rate"


def test_impossible_spaces_are_refused_with_a_sentence():
    two = "every choice has two values at least, all different and of one kind"
    for choices, rule in (
        ({}, "there is a choice"),
        ({RATE: (0.1,)}, two),
        ({RATE: (0.1, 0.1)}, two),
        ({RATE: (0.1, 1)}, two),
        ({RATE: (0.1, "fast")}, two),
        ({RATE: [0.1, 0.2]}, two),
        ({RATE: 0.1}, two),
        ({RATE: "ab"}, two),
        ({"training.sizes": ((8,), (16,))}, two),
        ({"training.sizes": ([8], [16])}, two),
        ({RATE: (None, 0.1)}, two),
        ({RATE: (0.1, -0.1)}, f"{RATE} can be -0.1: Training: learning_rate is positive"),
        ({RATE: (0.1, math.nan)}, f"{RATE} can be nan: Training: learning_rate is positive"),
        ({RATE: ("slow", "fast")}, f"{RATE} can be 'slow': Training.learning_rate must be of type float"),
        ({"training.optimizer": ("sgd", "best")}, "training.optimizer can be 'best': Training: optimizer is sgd, muon"),
        ({"training.epochs": (4, 0)}, "training.epochs can be 0: Training: epochs, batch_size and patience are pos"),
        ({"training.epochs": (2.5, 1.5)}, "training.epochs can be 2.5: Training.epochs must be of type int"),
        ({"training.rate": (0.1, 0.2)}, "training.rate is a setting of the experiment"),
        ({"trainings.learning_rate": (0.1, 0.2)}, "trainings.learning_rate is a setting of the experiment"),
        ({"learning_rate": (0.1, 0.2)}, "learning_rate is a setting of the experiment"),
        ({"": (1, 2)}, " is a setting of the experiment"),
        ({3: (1, 2)}, "3 is a setting of the experiment"),
        ({"image_size": (16, 32)}, "image_size is a setting of the experiment's model, training or augment"),
        ({"resize": ("crop", "stretch")}, "resize is a setting of the experiment's"),
        ({"training.rules": (1, 2)}, "training.rules can be 1: Training has no field rules"),
        ({"model.width": (8, 0)}, "model.width can be 0: "),
        ({"model.width": (0.5, 1.5)}, "model.width can be 0.5: Residual.filters must be of type"),
        ({"model.stages": (0, 2)}, "model.stages can be 0: "),
        ({"model.stages": (1.5, 2.5)}, "model.stages can be 1.5: "),
        ({"model.stages": ("one", "two")}, "model.stages can be 'one': "),
        ({"model.width": ("wide", "narrow")}, "model.width can be 'wide': "),
        ({"model.dropout": (0.0, 1.5)}, "model.dropout can be 1.5: "),
        ({"augment.cutmix": (0.0, 2.0)}, "augment.cutmix can be 2.0: Augment: colour and cutmix lie in"),
    ):
        with pytest.raises(ValueError, match=f"Space: {rule}.* Received: the space ") as caught:
            Space(start=START, choices=choices)
        assert "\n" not in str(caught.value), choices


def test_impossible_limits_orders_times_and_blocks_are_refused():
    for start, fields, rule in (
        (SPACE, {"order": "grid"}, "order is one of bayesian, hyperband, random"),
        (SPACE, {"trial_seconds": 0}, "trial_seconds and max_parameters are positive"),
        (SPACE, {"trial_seconds": math.nan}, "trial_seconds and max_parameters are positive"),
        (SPACE, {"max_parameters": 0}, "trial_seconds and max_parameters are positive"),
        (SPACE, {"max_parameters": "few"}, "max_parameters must be of type int"),
        (SPACE, {"families": (Residual(), Residual(dropout=0.5))}, "every choice has two values at least"),
        (Blocks(start=START), {"blocks": ("vanilla", "vit")}, "blocks are some of vanilla, resnet, xception, eff"),
        (Blocks(start=START), {"blocks": ("resnet", "resnet")}, "blocks are some of .* none twice"),
        (Blocks(start=START), {"blocks": ()}, "blocks are some of"),
        (SEARCH, {"minutes": 0}, "minutes is finite, and at least 10 seconds"),
        (SEARCH, {"minutes": 1 / 60}, "minutes is finite, and at least 10 seconds"),
        (SEARCH, {"minutes": -3}, "minutes is finite, and at least 10 seconds"),
        (SEARCH, {"minutes": math.nan}, "minutes is finite, and at least 10 seconds"),
        (SEARCH, {"minutes": math.inf}, "minutes is finite, and at least 10 seconds"),
        (SEARCH, {"minutes": "3"}, "minutes must be of type float"),
        (SEARCH, {"minutes": True}, "minutes must be of type float"),
        (SEARCH, {"why": " "}, "why says what it asks"),
        (SEARCH, {"hours": 1}, "Search has no field hours"),
        (Found(why="?", search="minutes_3"), {"epochs": 0}, "epochs is positive"),
    ):
        with pytest.raises(ValueError, match=rule) as caught:
            start.replace(**fields)
        assert "\n" not in str(caught.value)


def test_a_found_network_needs_its_search():
    brief = briefs.load("demo")
    for searches, said in (
        ({"found": Found(why="?", search="minutes_7")}, "every search is a Search, or Found by one"),
        ({"found": brief.searches["found"]}, "every search is a Search, or Found by one"),
        ({"best": SEARCH}, "share a name"),
    ):
        with pytest.raises(ValueError, match=said):
            brief.replace(searches=searches)


def test_values_make_an_experiment():
    values = {"family": "conv_blocks", "model.width": 8, "model.stages": 3, RATE: 0.1}
    assert ConvBlocks().name in SPACE.all_choices()["family"]
    made = SPACE.experiment(values | {"family": ConvBlocks().name})
    assert made.model.filters == (8, 16, 32) and made.training.learning_rate == 0.1
    assert made.training.epochs == 4 and isinstance(made.model, ConvBlocks) and made.augment == START.augment
    blocks = Space(start=START, choices={"model.blocks": (1, 2), "model.stages": (2, 3)})
    assert blocks.experiment({"model.blocks": 2, "model.stages": 3}).model.blocks == (2, 2, 2)
    assert SPACE.size == 2**4 and blocks.size == 4
    # a family that lacks a setting passes it over, and a space may leave out some values
    flat = Space(start=START, choices={"model.shortcuts": (True, False)}, families=(Residual(), Softmax()))
    assert flat.experiment({"family": "softmax", "model.shortcuts": False}).model == Softmax()
    assert flat.experiment({}) == START


def test_growing_searches_share_their_space_and_a_profile_scales_their_time():
    searches = growing_searches(SPACE, minutes=(3, 1, 9), blocks=Blocks(start=START), epochs=20)
    assert list(searches) == ["minutes_3", "minutes_1", "minutes_9", "hyperband_9", "autokeras_9", "found"]
    assert searches["found"].search == "minutes_9" and searches["hyperband_9"].space.order == "hyperband"
    assert {searches[name].minutes for name in ("hyperband_9", "autokeras_9")} == {9}
    small = SEARCH.scale(epochs=0.01, minutes=0.001)
    assert small.minutes == pytest.approx(10 / 60) and small.space.start.training.epochs == 1
    assert small.space.choices == CHOICES
    long = SEARCH.replace(space=SPACE.replace(trial_seconds=10)).scale(epochs=3.0, minutes=60)
    assert long.minutes == 180 and long.space.trial_seconds == 600 and long.space.start.training.epochs == 12
    assert Profile().search_minutes == 1.0
