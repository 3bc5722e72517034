"""lib.training.open_brief: further data sets, and drawn images that stand in for data that cannot be had."""

import dataclasses

import numpy as np
import pytest

from lib import briefs, datasets
from lib.config import PROFILES
from lib.datasets import DataError
from lib.datasets.drawn import letters
from lib.training import open_brief
from lib.training.draws import draw_jobs
from lib.training.network import network_job


@pytest.fixture
def few_letters(own_folders, monkeypatch):
    real = letters.draw
    monkeypatch.setattr(letters, "draw", lambda folder: real(folder, train_per_class=8, test_per_class=4))


@pytest.fixture
def no_download(monkeypatch):
    """Data sets that are not drawn cannot be had."""
    real = datasets.load

    def load(name, **options):
        if name != "letters":
            raise DataError(f"{name} cannot be downloaded")
        return real(name, **options)

    monkeypatch.setattr(datasets, "load", load)


def test_a_smoke_run_uses_drawn_images_and_says_so(few_letters, no_download):
    opened = open_brief.open_brief("low_level", "smoke")
    assert opened.dataset.name == "letters" and opened.dataset.source == "drawn"
    assert opened.dataset.title == "Drawn letters in place of notMNIST"
    assert opened.notice.startswith("Drawn letters in place of notMNIST: smoke runs need no download.")
    further = opened.on("fashion_mnist")
    assert further.dataset.title == "Drawn letters in place of Fashion-MNIST"
    assert "No number here is one of Fashion-MNIST." in further.notice
    assert opened.on("notmnist") is opened


def test_data_that_cannot_be_had_are_replaced_with_the_reason(few_letters, no_download):
    opened = open_brief.open_brief("low_level", "quick")
    assert opened.dataset.title == "Drawn letters in place of notMNIST"
    assert "notmnist cannot be downloaded" in opened.notice
    assert len(opened.dataset.index) == 120


def test_without_a_stand_in_the_reason_is_the_error(own_folders, no_download, monkeypatch):
    bare = briefs.load("low_level").replace(stand_in="")
    monkeypatch.setattr(briefs, "load", lambda name: bare)
    for profile in ("smoke", "quick"):
        with pytest.raises(ValueError, match="notmnist cannot be downloaded"):
            open_brief.open_brief("low_level", profile)


def test_data_that_are_there_need_no_notice(photo_folder, own_folders):
    assert open_brief.open_brief("folder", "quick", str(photo_folder)).notice == ""


def test_further_draws_split_the_same_images_anew_and_the_best_network_is_planned_on_each(photo_folder, own_folders):
    opened = open_brief.open_brief("folder", "quick", str(photo_folder))
    profiles = dict.fromkeys(PROFILES, opened.profile.replace(draws=3))
    jobs = draw_jobs(dataclasses.replace(opened, brief=opened.brief.replace(profiles=profiles)))
    assert [job.name for job in jobs] == [opened.brief.best] * 3 and len({job.run.id for job in jobs}) == 3
    assert jobs[0].run == network_job(opened, "best").run
    assert len({job.opened.split.checksum for job in jobs}) == 3
    for job in jobs:
        assert job.opened.dataset is opened.dataset and len(job.opened.split.test) == len(opened.split.test)


def test_only_data_sets_of_the_brief_can_be_opened(few_letters):
    opened = open_brief.open_brief("low_level", "smoke")
    with pytest.raises(ValueError, match="low_level does not read 'cifar10'. Data sets: notmnist, fashion_mnist"):
        opened.on("cifar10")


def test_further_data_sets_are_those_of_the_brief(few_letters):
    further = open_brief.open_brief("low_level", "smoke").further()
    assert [part.dataset.title for part in further] == ["Drawn letters in place of Fashion-MNIST"]


def test_the_roles_of_the_files_hold_and_val_comes_from_train(few_letters):
    opened = open_brief.open_brief("low_level", "smoke")
    roles = opened.dataset.index["role"].to_numpy()
    assert set(roles[opened.split.test]) == {"test"} and set(roles[opened.split.val]) == {"train"}
    assert np.intersect1d(opened.split.train, opened.split.val).size == 0
