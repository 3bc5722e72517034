"""Configs: wrong types, impossible values and unknown fields are refused by name; the rest is kept as given."""

import dataclasses

import pytest

from lib.config import Augment, Brief, Experiment, ExplainSizes, Perceptron, Profile, Split, Training, leave_one_out
from lib.models import FAMILIES, ConvBlocks, Lite0, Mlp, Residual, SimpleCnn, Softmax

EXPERIMENT = Experiment(why="Does it train?", model=SimpleCnn())


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


def test_wrong_types_are_refused():
    for kind, fields, message in (
        (SimpleCnn, {"dropout": "0.5"}, r"SimpleCnn.dropout must be of type float. Received: '0.5' \(str\)"),
        (SimpleCnn, {"batch_norm": 1}, r"SimpleCnn.batch_norm must be of type bool. Received: 1 \(int\)"),
        (Residual, {"filters": [8, 16, 32]}, r"Residual.filters must be of type .* \(list\)"),
        (Residual, {"filters": (8, 16.0, 32)}, "Residual.filters must be of type"),
        (Training, {"epochs": True}, r"Training.epochs must be of type int. Received: True \(bool\)"),
        (Training, {"epochs": 2.0}, "Training.epochs must be of type int"),
        (Training, {"learning_rate": False}, "Training.learning_rate must be of type float"),
        (Augment, {"rotation": None}, "Augment.rotation must be of type float"),
        (Experiment, {"why": "x", "model": {}}, "Experiment.model must be of type Config"),
        (Profile, {"images_per_class": 4.5}, "Profile.images_per_class must be of type"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(**fields)


def test_an_int_passes_for_a_float_and_none_where_it_is_allowed():
    assert Training(learning_rate=1).learning_rate == 1
    assert Profile(images_per_class=None).images_per_class is None
    assert Profile(images_per_class=4).images_per_class == 4
    assert Training(sizes=()).sizes == () and Training(sizes=(8, 16)).sizes == (8, 16)


def test_impossible_values_are_refused():
    network = {"why": "x", "model": SimpleCnn()}
    for kind, fields, rule in (
        (Augment, {"colour": 1.1}, "colour and cutmix lie in"),
        (Augment, {"cutmix": -0.1}, "colour and cutmix lie in"),
        (Augment, {"rotation": 181}, r"rotation lies in \[0, 180\]"),
        (Augment, {"shear": 61}, r"shear in \[0, 60\]"),
        (Augment, {"shift": 0.6}, r"shift lies in \[0, 0.5\]"),
        (Augment, {"crop": 1.0}, r"crop lies in \[0, 1\)"),
        (Augment, {"perspective": 0.5}, r"perspective in \[0, 0.5\)"),
        (Augment, {"zoom": -0.1}, "zoom and aspect are not negative"),
        (Augment, {"aspect": -0.1}, "zoom and aspect are not negative"),
        (Mlp, {"units": ()}, "units are positive, one or more"),
        (Mlp, {"l1": -0.1}, "l1 and l2 are not negative"),
        (SimpleCnn, {"filters": (8, 0, 8)}, "filters are positive, one or more"),
        (SimpleCnn, {"convolutions": 0}, "convolutions is positive"),
        (ConvBlocks, {"filters": ()}, "filters are positive, one or more"),
        (ConvBlocks, {"convolutions": -1}, "convolutions is positive"),
        (Residual, {"filters": (8, 16)}, "one entry per stage"),
        (Residual, {"filters": (), "blocks": ()}, "one entry per stage"),
        (Residual, {"blocks": (1, -1, 1)}, "filters and blocks are positive"),
        (Residual, {"stem_stride": 3}, "stem_stride is 1, 2 or 4"),
        *((family, {"dropout": 1.0}, r"dropout lies in \[0, 1\)") for family in (Mlp, SimpleCnn, ConvBlocks, Residual)),
        *((Training, {name: 0}, "epochs, batch_size and patience") for name in ("epochs", "batch_size", "patience")),
        (Training, {"learning_rate": 0}, "learning_rate is positive"),
        (Training, {"optimizer": "adam"}, "optimizer is sgd, muon or adamw"),
        (Training, {"schedule": "step"}, "schedule is constant, cosine, one_cycle or plateau"),
        (Training, {"early_stopping": "val"}, "early_stopping is none, loss or smoothed"),
        (Training, {"label_smoothing": 1.0}, r"label_smoothing lies in \[0, 1\)"),
        (Training, {"weight_decay": -1e-4}, "weight_decay is not negative"),
        (Experiment, network | {"why": "  "}, "why says what the experiment asks"),
        (Experiment, network | {"model": Training()}, "model is a family of lib.models"),
        (Experiment, network | {"image_size": 7}, "image_size and training.sizes are at least 8"),
        (Experiment, {"why": "x", "model": Lite0(), "image_size": 31}, "image_size and training.sizes are at least 32"),
        (
            Experiment,
            {"why": "x", "model": ConvBlocks(filters=(4, 4, 4, 4)), "training": Training(sizes=(8,))},
            "image_size and training.sizes are at least 16",
        ),
        (Experiment, network | {"resize": "squash"}, "resize is stretch or crop"),
        (Experiment, network | {"training": Training(sizes=(16,))}, "training.sizes needs a model that pools"),
        (Profile, {"images_per_class": 3}, "images_per_class is None or at least 4"),
        (Profile, {"epochs": 0.0}, "all factors and minutes are positive"),
        (Profile, {"filters": -1.0}, "all factors and minutes are positive"),
        (Profile, {"pixels": 0.0}, "all factors and minutes are positive"),
        (Profile, {"search_minutes": 0.0}, "all factors and minutes are positive"),
        (Profile, {"minutes": 0.0}, "all factors and minutes are positive"),
        (Profile, {"seeds": 0}, "all seeds are positive"),
        (ExplainSizes, {"steps": 0}, "all sizes are positive"),
        (ExplainSizes, {"changed": 100}, "scored >= changed >= shuffled"),
        (Split, {"test": 0.0}, "test and val lie in"),
        (Split, {"val": 0.51}, "test and val lie in"),
        (
            Split,
            {"train_per_class": 30},
            "train_per_class is at least 2 and test_per_class at least 1, or both",
        ),
        (Split, {"test_per_class": 50}, "train_per_class is at least 2"),
        (Split, {"train_per_class": 1, "test_per_class": 50}, "train_per_class is at least 2"),
        (Profile, {"draws": 0}, "draws is positive"),
    ):
        with pytest.raises(ValueError, match=f"{kind.__name__}: .*{rule}.* Received: {kind.__name__}"):
            kind(**fields)


def test_the_ends_of_the_ranges_are_allowed():
    Augment(rotation=180, shear=60, shift=0.5, colour=1, cutmix=1)
    Residual(dropout=0.99, stem_stride=4)
    Split(test=0.5, val=0.5)
    Experiment(why="x", image_size=8, model=ConvBlocks(), training=Training(sizes=(16,)))


def test_configs_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXPERIMENT.image_size = 64


def test_unknown_fields_are_named_with_the_known_ones():
    with pytest.raises(ValueError, match="SimpleCnn has no field dropuot. Fields: filters, convolutions,"):
        SimpleCnn().replace(dropuot=0.5)
    with pytest.raises(TypeError, match="dropuot"):
        SimpleCnn(dropuot=0.5)


def test_replace_changes_only_what_it_names():
    changed = SimpleCnn().replace(dropout=0.5)
    assert changed == SimpleCnn(dropout=0.5) and SimpleCnn().dropout == 0.0


def test_flat_joins_names_with_dots():
    flat = EXPERIMENT.flat()
    assert flat["model.dropout"] == 0.0 and flat["training.epochs"] == 20 and flat["augment.flip"] is False
    assert flat["image_size"] == 32 and "model" not in flat
    assert flat["model.name"] == "simple_cnn"
    parts = (SimpleCnn, Training, Augment)
    assert len(flat) == len(dataclasses.fields(Experiment)) - 2 + sum(len(dataclasses.fields(p)) for p in parts)


def test_vary_merges_parts_and_replaces_fields():
    varied = EXPERIMENT.vary("Larger?", model={"dropout": 0.5}, training={"epochs": 3}, image_size=64)
    assert varied.why == "Larger?" and varied.image_size == 64
    assert varied.model == SimpleCnn(dropout=0.5) and varied.training == Training(epochs=3)
    assert varied.augment == EXPERIMENT.augment and EXPERIMENT.model.dropout == 0.0
    again = varied.vary("Other model?", model=Softmax(), augment=Augment(flip=True))
    assert again.model == Softmax() and again.augment.flip and again.training.epochs == 3


def test_vary_refuses_what_does_not_exist():
    for changes, message in (
        ({"modle": {"dropout": 0.5}}, "Experiment has no field modle"),
        ({"model": {"dropuot": 0.5}}, "SimpleCnn has no field dropuot"),
        ({"image_size": "64"}, "Experiment.image_size must be of type int"),
        ({"model": 3}, "Experiment.model must be of type Config"),
    ):
        with pytest.raises(ValueError, match=message):
            EXPERIMENT.vary("why not", **changes)


def test_scaling_changes_epochs_and_widths_and_nothing_else():
    experiment = EXPERIMENT.vary("x", model={"filters": (16, 33, 64)}, training={"epochs": 20})
    scaled = experiment.scale(epochs=0.25, filters=0.5)
    assert scaled.training.epochs == 5 and scaled.model.filters == (8, 16, 32)
    assert scaled.vary("x", model={"filters": (16, 33, 64)}, training={"epochs": 20}) == experiment
    smallest = experiment.scale(epochs=0.001, filters=0.001)
    assert smallest.training.epochs == 1 and smallest.model.filters == (4, 4, 4)
    experiment = experiment.replace(image_size=96)
    for family in FAMILIES.values():
        assert experiment.replace(model=family()).scale(epochs=1, filters=1) == experiment.replace(model=family())
    perceptron = Perceptron("x", dataset="demo", hidden=(300, 100), epochs=40).scale(epochs=0.1, filters=0.02)
    assert perceptron.hidden == (6, 4) and perceptron.epochs == 4


def test_an_ablation_leaves_out_one_ingredient_at_a_time():
    training = Training(epochs=30, learning_rate=0.1, label_smoothing=0.1, sizes=(40,))
    model, augment = Residual(filters=(32, 64), blocks=(1, 1)), Augment(flip=True)
    best = Experiment("All?", model=model, training=training, augment=augment, image_size=64)
    left_out = leave_one_out(best, epochs=0.2, filters=0.5)
    short = left_out.pop("best_short")
    assert short.training.epochs == 6 and short.model.filters == (16, 32)
    for name, setting in {  # weight decay, dropout and the mirror average are no ingredients of this one
        "without_augment": {"augment.flip": False},
        "without_smoothing": {"training.label_smoothing": 0.0},
        "without_shortcuts": {"model.shortcuts": False},
        "without_growing": {"training.sizes": ()},
        "half_pixels": {"image_size": 32, "training.sizes": (20,)},
        "half_rate": {"training.learning_rate": 0.05},
        "adamw": {"training.optimizer": "adamw", "training.learning_rate": 0.002},
    }.items():
        changed = dict(set(left_out.pop(name).flat().items()) - set(short.flat().items()))
        changed.pop("why")
        assert changed == setting
    assert not left_out
    faster = leave_one_out(best.vary("?", training={"optimizer": "muon", "precision": "auto"}), epochs=1, filters=1)
    assert faster["sgd"].training == training.replace(precision="auto", learning_rate=0.05)
    assert faster["float32"].training == training.replace(optimizer="muon")
    assert "without_shortcuts" not in leave_one_out(best.replace(model=ConvBlocks()), epochs=1, filters=1)


def test_a_brief_gives_its_experiments_at_a_profile():
    experiments = brief().at("quick").experiments
    assert list(experiments) == ["a", "b"]
    assert experiments["b"].training.epochs == 10 and experiments["b"].model.filters == (8, 16, 32)
    with pytest.raises(ValueError, match="Unknown profile 'fast'. Profiles: smoke, quick, full"):
        brief().at("fast")


def test_a_brief_must_be_consistent():
    for changes, rule in (
        ({"best": "c"}, "baseline and best name experiments"),
        ({"baseline": "c"}, "baseline and best name experiments"),
        ({"judged": ("a", "c")}, "what is judged are experiments"),
        ({"experiments": {"a": EXPERIMENT, "b": SimpleCnn()}}, "every experiment is an Experiment"),
        (
            {"single_batch": {"b": EXPERIMENT}},
            "no two of all that is fitted share a name",
        ),
        ({"single_batch": {"c": Training()}}, "every experiment is an Experiment"),
        ({"ablation": {"b": EXPERIMENT}}, "no two of all that is fitted share a name"),
        ({"profiles": {"smoke": Profile(), "full": Profile()}}, "profiles are smoke, quick and full"),
        ({"profiles": {"smoke": 1, "quick": 2, "full": 3}}, "profiles are smoke, quick and full"),
    ):
        with pytest.raises(ValueError, match=f"Brief: {rule}"):
            brief(**changes)
