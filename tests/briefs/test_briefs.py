"""Briefs: found by their file's name, consistent, and only scaled by their profiles."""

import dataclasses
import math
import sys

import pytest
import small_data_sets as small
import tiny_training

from lib import briefs, datasets
from lib.config import PROFILES, Augment, Ensemble, Head, Part, Profile
from lib.models import Lite0
from lib.models.backbone import Backbone
from lib.training.open_brief import open_brief
from lib.transfer import plan

ALL = briefs.names()
SIZES = {"image_size", "training.sizes"}


def test_names_are_sorted_and_hold_the_briefs_of_the_coursework():
    assert sorted(ALL) == ALL
    assert {"caltech101", "caltech256", "demo", "folder"} <= set(ALL)
    assert {"cifar10", "cifar100", "imagenet10", "low_level", "tiny_imagenet"} <= set(ALL)


def test_an_unknown_brief_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="Unknown brief 'caltec101'. Briefs: caltech101, caltech101_30, caltech256, "):
        briefs.load("caltec101")


@pytest.mark.parametrize("name", ALL)
def test_each_brief_is_whole(name):
    brief = briefs.load(name)
    assert brief.name == name and brief.dataset in datasets.names()
    assert len(brief.experiments | brief.ablation) >= 8
    whys = [experiment.why for experiment in brief.experiments.values()]
    assert all("\n" not in why for why in whys)
    assert len(set(whys)) == len(whys)


@pytest.mark.parametrize("name", ALL)
def test_profiles_only_scale(name):
    brief = briefs.load(name)
    for profile in brief.profiles:
        for key, scaled in brief.at(profile).experiments.items():
            full, flat = brief.experiments[key].flat(), scaled.flat()
            changed = {setting for setting in full if full[setting] != flat[setting]}
            assert changed <= {"training.epochs", "model.filters", "model.stem", "model.units", "model.layers", *SIZES}
            kinds = [[layer.split()[0] for layer in one.get("model.layers", ())] for one in (full, flat)]
            assert kinds[0] == kinds[1]
            assert brief.profiles[profile].pixels != 1 or not changed & SIZES
        for key, scaled in brief.at(profile).transfers.items():
            full, flat = brief.transfers[key].flat(), scaled.flat()
            changed = {setting for setting in full if full[setting] != flat[setting]}
            assert changed <= {"training.epochs", "model.filters", "head.training.epochs", "head.trees"}


@pytest.mark.parametrize("name", ["caltech256", "cifar100", "demo", "imagenet10"])
def test_every_model_can_be_built_at_every_size_it_trains_at(name):
    brief, built = briefs.load(name), set()
    smoke = brief.at("smoke")
    for experiment in (smoke.experiments | smoke.single_batch).values():
        key = (experiment.model, experiment.image_size)
        if key not in built:
            model = experiment.model.build(3, image_size=experiment.image_size)
            assert model.output_shape == (None, 3)
            built.add(key)
        for size in experiment.training.sizes:
            experiment.model.build(3, image_size=size)


@pytest.fixture
def further_briefs(tmp_path, monkeypatch):
    """A folder in which files count as briefs, as if they lay in lib/briefs."""
    before = set(sys.modules)
    monkeypatch.setattr(briefs, "__path__", [*briefs.__path__, str(tmp_path)])
    yield tmp_path
    for module in set(sys.modules) - before:
        if module.startswith("lib.briefs."):
            del sys.modules[module]


def test_adding_a_brief_is_adding_a_file(further_briefs):
    text = "from lib.briefs.demo import BRIEF as DEMO\nBRIEF = DEMO.replace(name='mine', title='Mine')\n"
    (further_briefs / "mine.py").write_text(text)
    (further_briefs / "_notes.py").write_text("")
    assert "mine" in briefs.names() and "_notes" not in briefs.names()
    assert briefs.load("mine").title == "Mine"


def test_a_brief_must_carry_its_files_name(further_briefs):
    (further_briefs / "odd.py").write_text("from lib.briefs.demo import BRIEF\n")
    with pytest.raises(ValueError, match="lib/briefs/odd.py must define a brief named 'odd'. Received: 'demo'"):
        briefs.load("odd")


def test_thirty_images_a_class_are_drawn_as_often_as_the_protocol_says():
    brief, whole = briefs.load("caltech101_30"), briefs.load("caltech101")
    assert (brief.split.train_per_class, brief.split.test_per_class) == (30, 50)
    assert [brief.profiles[name].draws for name in PROFILES] == [2, 3, 5]
    assert brief.dataset == whole.dataset and {one.draws for one in whole.profiles.values()} == {1}


# Transfers

SMALL = {"cifar10": small.cifar10, "cifar100": small.cifar100, "imagenet10": small.imagenet10}
SMALL["tiny_imagenet"] = small.tiny_imagenet


@pytest.fixture
def small_data(raw, monkeypatch):
    """Small copies of all data sets whose briefs transfer, and weights that cannot be downloaded."""
    monkeypatch.setenv("COURSEWORK_REPORTS", str(raw.parent / "reports"))
    monkeypatch.setattr(plan, "_lacking", lambda weights: f"{weights.file} cannot be had.")
    whole = briefs.load
    monkeypatch.setattr(briefs, "load", lambda name: whole(name).replace(stand_in=""))  # these are read, not drawn ones
    for write in SMALL.values():
        write(raw, per_class=12)


def test_every_transfer_can_be_planned_and_the_page_says_whose_numbers_its_are(small_data):
    for name in SMALL:
        opened = open_brief(name, "smoke")
        jobs = plan.transfer_jobs(opened)
        assert [job.name for job in jobs] == list(opened.brief.transfers) and len({job.run.id for job in jobs}) == len(
            jobs
        )
        for job in jobs:
            backbone = getattr(job.settings, "backbone", None)
            if isinstance(backbone, Backbone):
                assert backbone.smallest <= job.settings.image_size
                assert backbone.weights == ("imagenet" if backbone.name == "lite0" else "random")
        notice, honest = plan.notice(opened), {job.name: plan.honesty(job)[0] for job in jobs}
        drawn = {"cifar100": "vgg19", "tiny_imagenet": "xception"}.get(name)
        said = f"{drawn} with weights drawn at random: smoke runs need no download. No number here is one of {drawn}"
        assert notice == (f"{said} as it was published." if drawn else "")
        seen = {job.name for job in jobs if job.name != "scratch"} if name == "imagenet10" else set()
        assert {one for one, holds in honest.items() if not holds} == seen


def test_where_weights_cannot_be_had_lite0_stands_in_and_no_transfer_to_what_it_has_seen_is_honest(small_data):
    opened = open_brief("tiny_imagenet", "quick")
    jobs = {job.name: job for job in plan.transfer_jobs(opened)}
    assert jobs["frozen"].settings.backbone == Lite0() and jobs["frozen"].settings.image_size == 71
    said = (
        "lite0 in place of xception: xception_weights_tf_dim_ordering_tf_kernels_notop.h5 cannot be had. No number here"
    )
    assert plan.notice(opened) == f"{said} is one of xception as it was published."
    dishonest = {name for name, job in jobs.items() if not plan.honesty(job)[0]}
    assert dishonest == {"frozen", "dense"}  # CIFAR-10 holds no image of ImageNet, and an own network has seen none
    assert plan.honesty(jobs["dense"])[1] == "not honest transfer: the backbone has seen these images"
    assert jobs["cifar10_fine_tuned"].settings.model.trained_from == "Block_12"


def test_the_demo_goes_from_one_half_of_its_classes_to_the_other(photos):
    transfers = briefs.load("demo").transfers
    halves = {name: set(one.part.classes) for name, one in transfers.items()}
    assert halves.pop("source") == set(range(6)) and all(half == set(range(6, 12)) for half in halves.values())
    assert {one.part.train_per_class for one in transfers.values()} == {None, 10}
    assert all(briefs.load("demo").profiles[name].transfer_seeds > 2 for name in ("quick", "full"))
    few = {name: one.replace(part=Part(train_per_class=one.part.train_per_class)) for name, one in transfers.items()}
    opened = tiny_training.opened(photos)
    brief = opened.brief.replace(transfers=few, profiles=dict.fromkeys(PROFILES, Profile(transfer_seeds=2)))
    jobs = plan.transfer_jobs(dataclasses.replace(opened, brief=brief))
    assert [(job.name, job.seed) for job in jobs] == [(name, seed) for seed in (0, 1) for name in transfers]
    for job in jobs:  # chance in the earlier network counts for all that goes on from it
        assert [source.seed for source in job.sources] == [job.seed] * (job.name in ("frozen", "fine_tuned"))


def test_the_cifar100_networks_have_as_many_parameters_as_the_coursework_counted():
    transfers = briefs.load("cifar100").transfers
    backbone, head = transfers["dense_96"].backbone.replace(weights="random"), transfers["dense_96"].head
    features = backbone.extractor(image_size=96)
    fitted = head.build(100, features=features.output_shape[-1])
    trained = sum(math.prod(weight.shape) for weight in fitted.trainable_weights)
    assert features.count_params() + fitted.count_params() == 48_493_476
    assert features.count_params() + fitted.count_params() - trained == 10_586_176  # frozen, with two of batch norm
    assert backbone.extractor(image_size=32).output_shape == (None, 8192)


def test_the_ladders_have_the_layers_and_parameters_of_the_coursework():
    """Its tables of imagenet10 count each ReLU, pool and flatten as a layer; v5 has 37 here and 38 there."""
    expected = {
        ("cifar100", "basic"): (184_004, 15, 0),
        ("cifar100", "improved"): (497_092, 24, 0),
        ("cifar100", "augmented"): (497_092, 24, 0),
        ("imagenet10", "v1"): (865_722, 10, 0),
        ("imagenet10", "v2"): (865_722, 10, 0),
        ("imagenet10", "v3"): (39_900_000, 22, 0.05),
        ("imagenet10", "v4"): (25_500_000, 27, 0.05),
        ("imagenet10", "v5"): (34_800_000, 37, 0.05),
        ("imagenet10", "v7"): (36_000_000, 44, 0.05),
        ("imagenet10", "convolutions"): (865_722, 10, 0),
        ("imagenet10", "one_linear_layer"): ((128 * 128 * 3 + 1) * 10, 2, 0),
        ("tiny_imagenet", "own_32"): (None, 18, 0),
    }
    for (name, key), (parameters, layers, share) in expected.items():
        brief = briefs.load(name)
        experiment = (brief.experiments | brief.single_batch)[key]
        model = experiment.build({"cifar100": 100, "tiny_imagenet": 200}.get(name, 10))
        assert len(model.layers) - 2 == layers, (name, key)  # and without the scaling of pixels
        assert parameters is None or abs(model.count_params() / parameters - 1) <= share, (name, key)
    changes = briefs.load("cifar100").experiments["augmented"].augment
    assert changes == Augment(flip=True, rotation=10, shift=0.1, shear=0.01, zoom=0.05, fill="nearest")


def test_the_versions_of_imagenet10_change_what_the_coursework_changed():
    ladder = briefs.load("imagenet10").experiments
    versions = [ladder[f"v{number}"] for number in range(1, 8)]
    assert all(one.training.early_stopping == "smoothed" for one in versions)
    assert [one.change_val for one in versions] == [False, True, True, True, True, False, False]
    assert [one.image_size for one in versions] == [128] * 6 + [192] and versions[6].training.batch_size == 32
    assert [one.augment.flip for one in versions] == [False] * 3 + [True] * 4 and versions[1].augment.crop > 0
    v5, v6 = versions[4], versions[5]
    assert v6.replace(why=v5.why, change_val=True, training=v5.training) == v5  # nothing else changes but epochs
    norms = [one.model.layers.count("norm") for one in versions]
    assert norms == [0, 0, 0, 0, 10, 10, 12] and [one.model.layers.count("relu") for one in versions][4:] == norms[4:]
    before = [v5.model.layers[place + 1] for place, layer in enumerate(v5.model.layers) if layer == "norm"]
    assert before == ["relu"] * 10
    quick = briefs.load("imagenet10").at("quick").experiments
    assert quick["v7"].image_size == 64 and (*quick["best"].training.sizes, quick["best"].image_size) == (56, 76, 96)
    assert quick["v1"].model.layers[:4] == ("conv 4 5", "relu", "max", "conv 8 5") and quick["v1"].training.epochs == 8


def test_whatever_notebook_05_compares_has_a_head_and_a_network_from_scratch():
    for name in briefs.names():
        brief, parts = briefs.load(name), {}
        assert bool(brief.transfers) == ("05_transfer_learning" in brief.notebooks)
        for one in brief.transfers.values():
            if not isinstance(one, Ensemble):
                kind = "head" if isinstance(one, Head) else "fine-tuned" if one.starts_from else "from scratch"
                parts.setdefault(one.part, []).append(kind)
        assert all({"head", "from scratch"} <= set(kinds) for kinds in parts.values() if len(kinds) > 1), name
