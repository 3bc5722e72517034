"""Briefs: found by their file's name, consistent, and only scaled by their profiles."""

import sys

import pytest

from lib import briefs, datasets

ALL = briefs.names()


def test_names_are_sorted_and_hold_the_briefs_of_the_coursework():
    assert sorted(ALL) == ALL
    assert {"caltech101", "caltech256", "demo", "folder"} <= set(ALL)
    assert {"cifar10", "cifar100", "imagenet10", "low_level", "tiny_imagenet"} <= set(ALL)


def test_an_unknown_brief_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="Unknown brief 'caltec101'. Briefs: caltech101, caltech256, "):
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
            assert changed <= {"training.epochs", "model.filters", "model.units"}


@pytest.mark.parametrize("name", ["caltech256", "cifar100", "demo", "imagenet10"])
def test_every_model_can_be_built_at_every_size_it_trains_at(name):
    brief, built = briefs.load(name), set()
    for experiment in brief.at("smoke").experiments.values():
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
