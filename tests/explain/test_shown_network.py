"""Whose filters are shown: those of published weights where a file of them is at hand, else those trained here."""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_training import TINY, opened
from torch_files import alexnet_arrays, both_formats

from lib.config import Split, Training
from lib.datasets import splits
from lib.explain.cases import open_shown
from lib.models import AlexNet
from lib.models.weights import Weights

SHORT = TINY.replace(training=Training(epochs=1, batch_size=4, learning_rate=0.001))
ALEXNET = SHORT.replace(model=AlexNet(weights="random", grid=1, units=8, trained_from="Block_1"), image_size=64)


class SmallAlexNet(AlexNet):
    """AlexNet with narrow dense layers, whose weights are those of a file that the test wrote."""

    def rules(self):
        return {}

    def published(self, *, top=False):
        file = next(Path(os.environ["COURSEWORK_WEIGHTS"]).iterdir())
        digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
        return super().published().replace(file=file.name, digest=digest)


def brief_of(photos, profile, filters_of, **experiments):
    made = opened(photos, tiny=SHORT, **experiments)
    split = splits.make_split(photos, Split(test=0.2, val=0.5))
    brief = made.brief.replace(filters_of=filters_of)
    return dataclasses.replace(made, brief=brief, profile_name=profile, split=split)


def test_what_no_brief_asks_for_is_not_downloaded(photos, monkeypatch):
    monkeypatch.setattr(Weights, "_download", lambda *_: pytest.fail("a download was tried"))
    shown = open_shown(brief_of(photos, "quick", None), others=2)
    assert shown.runs[0].startswith("tiny-seed0-")
    assert shown.sentence == f"The filters are those of tiny, trained here on {photos.title}."


def test_without_weights_the_filters_are_those_of_the_network_trained_here(photos):
    for name, experiments in (("alexnet", {"alexnet": ALEXNET}), ("tiny", {})):
        shown = open_shown(brief_of(photos, "smoke", AlexNet(), **experiments), others=2)
        assert shown.runs[0].startswith(f"{name}-seed0-")
        assert f"those of {name}, trained here on" in shown.sentence and "not those of alexnet" in shown.sentence
        assert shown.sentence.endswith("smoke runs download nothing.")
        side = 64 if name == "alexnet" else 16
        assert shown.images.shape == (3, side, side, 3) and shown.others.shape[0] == 2
        assert sorted(shown.names) == ["apple", "boat", "cup"]  # three images of different classes
        assert shown.model(shown.images).shape == (3, 3)
    with pytest.raises(ValueError, match="three images and two others are needed"):
        open_shown(brief_of(photos, "smoke", None), others=1)


def test_published_weights_that_are_at_hand_are_taken(photos, tmp_path, monkeypatch):
    arrays = alexnet_arrays(16, np.random.default_rng(1))
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "alexnet.pth").write_bytes(both_formats(arrays)[1])
    monkeypatch.setenv("COURSEWORK_WEIGHTS", str(folder))
    for profile in ("smoke", "quick"):
        shown = open_shown(brief_of(photos, profile, SmallAlexNet(units=16)), others=2)
        assert shown.runs == [] and shown.images.shape == (3, 224, 224, 3)
        assert shown.sentence == "The filters are those of alexnet, trained by PyTorch's torchvision, on ImageNet-1k."
        kernel = shown.model.get_layer("Block_1__conv").kernel.numpy()
        assert np.array_equal(kernel, arrays["features.0.weight"].transpose(2, 3, 1, 0))
