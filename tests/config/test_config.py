"""Configs: wrong types, impossible values and unknown fields are refused by name; the rest is kept as given."""

import dataclasses

import pytest

from lib.config import Augment, Brief, Experiment, Model, Profile, Split, Training
from lib.config.experiment import OPTIONS

EXPERIMENT = Experiment(why="Does it train?")


def brief(**changes) -> Brief:
    fields = {
        "name": "tiny",
        "title": "Tiny",
        "question": "Does it run?",
        "dataset": "demo",
        "baseline": "a",
        "best": "b",
        "experiments": {"a": EXPERIMENT, "b": EXPERIMENT.vary("Wider?", model={"filters": (8, 16, 32)})},
        "profiles": {"smoke": Profile(epochs=0.01), "quick": Profile(epochs=0.5), "full": Profile()},
    }
    return Brief(**fields | changes)


@pytest.mark.parametrize(
    "kind, fields, message",
    [
        (Model, {"dropout": "0.5"}, r"Model.dropout must be of type float. Received: '0.5' \(str\)"),
        (Model, {"batch_norm": 1}, r"Model.batch_norm must be of type bool. Received: 1 \(int\)"),
        (Model, {"filters": [8, 16, 32]}, r"Model.filters must be of type .* \(list\)"),
        (Model, {"filters": (8, 16.0, 32)}, "Model.filters must be of type"),
        (Training, {"epochs": True}, r"Training.epochs must be of type int. Received: True \(bool\)"),
        (Training, {"epochs": 2.0}, "Training.epochs must be of type int"),
        (Training, {"learning_rate": False}, "Training.learning_rate must be of type float"),
        (Augment, {"rotation": None}, "Augment.rotation must be of type float"),
        (Experiment, {"why": "x", "model": {}}, "Experiment.model must be of type Model"),
        (Profile, {"images_per_class": 4.5}, "Profile.images_per_class must be of type"),
    ],
)
def test_wrong_types_are_refused(kind, fields, message):
    with pytest.raises(ValueError, match=message):
        kind(**fields)


def test_an_int_passes_for_a_float_and_none_where_it_is_allowed():
    assert Training(learning_rate=1).learning_rate == 1
    assert Profile(images_per_class=None).images_per_class is None
    assert Profile(images_per_class=4).images_per_class == 4
    assert Training(sizes=()).sizes == () and Training(sizes=(8, 16)).sizes == (8, 16)


@pytest.mark.parametrize(
    "kind, fields, rule",
    [
        (Augment, {"colour": 1.1}, "colour, erase, mixup and cutmix lie in"),
        (Augment, {"erase": -0.1}, "colour, erase, mixup and cutmix lie in"),
        (Augment, {"mixup": 0.6, "cutmix": 0.5}, "mixup and cutmix together are at most 1"),
        (Augment, {"rotation": 181}, r"rotation lies in \[0, 180\]"),
        (Augment, {"shear": 61}, r"shear in \[0, 60\]"),
        (Augment, {"shift": 0.6}, r"shift lies in \[0, 0.5\]"),
        (Augment, {"zoom": -0.1}, "zoom and aspect are not negative"),
        (Augment, {"aspect": -0.1}, "zoom and aspect are not negative"),
        (Model, {"filters": (8, 16)}, "one entry a stage"),
        (Model, {"filters": (8, 0, 8)}, "filters and blocks are positive"),
        (Model, {"blocks": (1, -1, 1)}, "filters and blocks are positive"),
        (Model, {"stem_stride": 3}, "stem_stride is 1, 2 or 4"),
        (Model, {"dropout": 1.0}, r"dropout and stochastic_depth lie in \[0, 1\)"),
        (Model, {"stochastic_depth": -0.1}, r"dropout and stochastic_depth lie in \[0, 1\)"),
        (Training, {"epochs": 0}, "epochs, batch_size and patience are positive"),
        (Training, {"batch_size": 0}, "epochs, batch_size and patience are positive"),
        (Training, {"patience": 0}, "epochs, batch_size and patience are positive"),
        (Training, {"learning_rate": 0}, "learning_rate is positive"),
        (Training, {"optimizer": "adam"}, "optimizer is sgd or adamw"),
        (Training, {"schedule": "step"}, "schedule is constant, cosine, one_cycle or plateau"),
        (Training, {"early_stopping": "val"}, "early_stopping is none, loss or smoothed"),
        (Training, {"label_smoothing": 1.0}, r"label_smoothing and ema lie in \[0, 1\)"),
        (Training, {"ema": 1.0}, r"label_smoothing and ema lie in \[0, 1\)"),
        (Training, {"weight_decay": -1e-4}, "weight_decay and clip_norm are not negative"),
        (Training, {"clip_norm": -1.0}, "weight_decay and clip_norm are not negative"),
        (Experiment, {"why": "  "}, "why says what the experiment asks"),
        (Experiment, {"why": "x", "image_size": 7}, "image_size is at least 8"),
        (Experiment, {"why": "x", "resize": "squash"}, "resize is stretch, crop or pad"),
        (Experiment, {"why": "x", "training": Training(sizes=(16,))}, "training.sizes needs a model that pools"),
        (Profile, {"images_per_class": 3}, "images_per_class is None or at least 4"),
        (Profile, {"epochs": 0.0}, "epochs, filters and minutes are positive"),
        (Profile, {"filters": -1.0}, "epochs, filters and minutes are positive"),
        (Profile, {"minutes": 0.0}, "epochs, filters and minutes are positive"),
        (Profile, {"seeds": 0}, "seeds and perceptron_seeds are positive"),
        (Split, {"test": 0.0}, "test and val lie in"),
        (Split, {"val": 0.51}, "test and val lie in"),
    ],
)
def test_impossible_values_are_refused(kind, fields, rule):
    with pytest.raises(ValueError, match=f"{kind.__name__}: .*{rule}.* Received: {kind.__name__}"):
        kind(**fields)


def test_the_ends_of_the_ranges_are_allowed():
    Augment(rotation=180, shear=60, shift=0.5, colour=1, erase=1, mixup=0.5, cutmix=0.5)
    Model("residual", dropout=0.99, stem_stride=4)
    Split(test=0.5, val=0.5)
    Experiment(why="x", image_size=8, model=Model("conv_blocks"), training=Training(sizes=(16,)))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_a_model_does_not_have_is_refused(option):
    value = {"stem_stride": 2, "dropout": 0.5, "stochastic_depth": 0.5, "l1": 0.1, "l2": 0.1}.get(option, True)
    for name in ("softmax", "mlp", "simple_cnn", "conv_blocks", "residual"):
        if name in OPTIONS[option]:
            assert getattr(Model(name, **{option: value}), option) == value
        else:
            with pytest.raises(ValueError, match=f"Model: {option} is an option of {', '.join(OPTIONS[option])} only"):
                Model(name, **{option: value})


def test_configs_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXPERIMENT.image_size = 64


def test_unknown_fields_are_named_with_the_known_ones():
    with pytest.raises(ValueError, match="Model has no field dropuot. Fields: name, filters, blocks,"):
        Model().replace(dropuot=0.5)
    with pytest.raises(TypeError, match="dropuot"):
        Model(dropuot=0.5)


def test_replace_changes_only_what_it_names():
    changed = Model().replace(dropout=0.5)
    assert changed == Model(dropout=0.5) and Model().dropout == 0.0


def test_flat_joins_names_with_dots():
    flat = EXPERIMENT.flat()
    assert flat["model.dropout"] == 0.0 and flat["training.epochs"] == 20 and flat["augment.flip"] is False
    assert flat["image_size"] == 32 and "model" not in flat
    parts = (Model, Training, Augment)
    assert len(flat) == len(dataclasses.fields(Experiment)) - 3 + sum(len(dataclasses.fields(p)) for p in parts)


def test_mixes_tells_whether_labels_become_rows():
    assert not Augment(flip=True, erase=1.0).mixes
    assert Augment(mixup=0.1).mixes and Augment(cutmix=0.1).mixes


def test_vary_merges_parts_and_replaces_fields():
    varied = EXPERIMENT.vary("Larger?", model={"dropout": 0.5}, training={"epochs": 3}, image_size=64)
    assert varied.why == "Larger?" and varied.image_size == 64
    assert varied.model == Model(dropout=0.5) and varied.training == Training(epochs=3)
    assert varied.augment == EXPERIMENT.augment and EXPERIMENT.model.dropout == 0.0
    again = varied.vary("Other model?", model=Model("softmax"), augment=Augment(flip=True))
    assert again.model == Model("softmax") and again.augment.flip and again.training.epochs == 3


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"modle": {"dropout": 0.5}}, "Experiment has no field modle"),
        ({"model": {"dropuot": 0.5}}, "Model has no field dropuot"),
        ({"image_size": "64"}, "Experiment.image_size must be of type int"),
        ({"model": 3}, "Experiment.model must be of type Model"),
    ],
)
def test_vary_refuses_what_does_not_exist(changes, message):
    with pytest.raises(ValueError, match=message):
        EXPERIMENT.vary("why not", **changes)


def test_a_profile_scales_epochs_and_filters_and_nothing_else():
    experiment = EXPERIMENT.vary("x", model={"filters": (16, 33, 64)}, training={"epochs": 20})
    scaled = Profile(epochs=0.25, filters=0.5).scale(experiment)
    assert scaled.training.epochs == 5 and scaled.model.filters == (8, 16, 32)
    assert scaled.vary("x", model={"filters": (16, 33, 64)}, training={"epochs": 20}) == experiment
    smallest = Profile(epochs=0.001, filters=0.001).scale(experiment)
    assert smallest.training.epochs == 1 and smallest.model.filters == (4, 4, 4)
    assert Profile().scale(experiment) == experiment


def test_a_brief_gives_its_experiments_at_a_profile():
    profile, experiments = brief().at("quick")
    assert profile == Profile(epochs=0.5) and list(experiments) == ["a", "b"]
    assert experiments["b"].training.epochs == 10 and experiments["b"].model.filters == (8, 16, 32)
    with pytest.raises(ValueError, match="Unknown profile 'fast'. Profiles: smoke, quick, full"):
        brief().at("fast")


@pytest.mark.parametrize(
    "changes, rule",
    [
        ({"best": "c"}, "baseline and best name experiments"),
        ({"baseline": "c"}, "baseline and best name experiments"),
        ({"experiments": {"a": EXPERIMENT, "b": Model()}}, "every experiment is an Experiment"),
        ({"profiles": {"smoke": Profile(), "full": Profile()}}, "profiles are smoke, quick and full"),
        ({"profiles": {"smoke": 1, "quick": 2, "full": 3}}, "profiles are smoke, quick and full"),
    ],
)
def test_a_brief_must_be_consistent(changes, rule):
    with pytest.raises(ValueError, match=f"Brief: {rule}"):
        brief(**changes)
