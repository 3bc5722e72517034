"""The words of notebook 05: what goes on from what is checked before anything is read or fitted."""

import pytest
import tiny_transfers
from tiny_transfers import HEAD, OTHERS, SCRATCH, TRANSFERS, TUNED

from lib import briefs
from lib.config import Earlier, Ensemble, Head, Part, Profile, Training, Transfer
from lib.models import Lite0, Residual, SimpleCnn, Softmax, Vgg19, Xception
from lib.models.heads import DenseHead, Forest, LogisticRegression

LITE = HEAD.vary("?", backbone=Lite0(), image_size=96)


def test_impossible_settings_are_refused():
    for kind, fields, rule in (
        (Part, {"classes": (1, 1)}, "classes holds two class numbers at least, none twice"),
        (Part, {"classes": (1,)}, "classes holds two class numbers at least"),
        (Part, {"train_per_class": 0}, "train_per_class is positive"),
        (LogisticRegression, {"strengths": ()}, "strengths are positive"),
        (LogisticRegression, {"strengths": (0.1, 0.0)}, "strengths are positive"),
        (DenseHead, {"units": (8,)}, "as many numbers as dropout"),
        (DenseHead, {"units": (8, 0)}, "units are positive"),
        (DenseHead, {"dropout": (0.1, 1.0)}, r"dropout lies in \[0, 1\)"),
        (DenseHead, {"training": Training(sizes=(16,))}, "training.sizes is for images"),
        (Forest, {"trees": 0}, "trees is positive"),
        (Head, {"backbone": Residual()}, "backbone has features"),
        (Head, {"backbone": Xception(), "image_size": 70}, "image_size is at least 71"),
        (Head, {"image_size": 7}, "image_size is at least 8"),
        (Head, {"folds": 1}, "folds is 0 or at least 2"),
        (Head, {"why": " "}, "why says what it asks"),
        (Transfer, {"starts_from": ""}, "an earlier network needs starts_from"),
        (Transfer, {"model": Lite0(), "image_size": 96}, "model.trained_from says what is trained of a backbone"),
        (Transfer, {"model": Lite0(trained_from="Stem"), "image_size": 31}, "image_size and .* are at least 32"),
        (Ensemble, {"why": "?", "of": ("a",)}, "of names two others at least"),
        (Ensemble, {"why": "?", "of": ("a", "a")}, "of names two others at least"),
        (Ensemble, {"why": "?", "of": ("a", "b"), "how": "vote"}, "how is mean, blend or stack"),
    ):
        start = {Head: HEAD, Transfer: TUNED}.get(kind)
        with pytest.raises(ValueError, match=f"{kind.__name__}: .*{rule}.* Received: {kind.__name__}"):
            start.replace(**fields) if start else kind(**fields)
    with pytest.raises(ValueError, match="Head.head must be of type FeatureModel. Received: Softmax"):
        HEAD.replace(head=Softmax())
    with pytest.raises(ValueError, match="An earlier network is no network of its own: name a head in starts_from"):
        Earlier("scratch").build(3)


def test_what_goes_on_from_others_must_fit_them():
    """Each is one sentence, which names what is wrong and not the whole brief."""
    flat = SCRATCH.vary("?", model=SimpleCnn(filters=(4,)))
    wide = SCRATCH.vary("?", model=Residual(filters=(4, 4, 4, 4), blocks=(1, 1, 1, 1), stem_stride=4), image_size=32)
    vgg = HEAD.vary("?", backbone=Vgg19(), image_size=64)
    vgg_tuned = TUNED.vary("?", model=Vgg19(trained_from="block4"), starts_from="vgg", image_size=64)
    again = SCRATCH.vary("?", model=Earlier("scratch", trained_from="Block_8"), starts_from="head", part=OTHERS)
    for changes, said in (
        ({"tuned": TUNED.replace(starts_from="haed")}, "tuned starts from 'haed', which is no head of this brief"),
        (
            {"tuned": TUNED.replace(starts_from="forest")},
            "tuned starts from 'forest', which is no head of .* a network",
        ),
        ({"tuned": TUNED.replace(starts_from="scratch")}, "tuned starts from 'scratch', which is no head"),
        ({"tuned": TUNED.replace(starts_from="first")}, "tuned starts from 'first', which is no head"),
        ({"head": HEAD.replace(backbone=Earlier("sctarch"))}, "head has the backbone 'sctarch', which is no transfer"),
        ({"head": HEAD.replace(backbone=Earlier("dense"))}, "head has the backbone 'dense', which is no transfer"),
        (
            {"mean": Ensemble("?", of=("head", "tuend"))},
            "mean is made of 'tuend', which is no head or transfer of this",
        ),
        (
            {"mean": Ensemble("?", of=("head", "dense")), "two": Ensemble("?", of=("head", "mean"))},
            "two is made of 'mean', which is no head or transfer of this",
        ),
        ({"mean": Ensemble("?", of=("head", "scratch"))}, "mean is made of others that do not read the same part"),
        ({"scratch": again}, "scratch would go on from itself: scratch, head, scratch"),
        ({"tuned": TUNED.replace(part=Part())}, "tuned has another part or backbone than head, from which it starts"),
        ({"tuned": TUNED.replace(model=Residual())}, "tuned has another part or backbone than head"),
        ({"tuned": TUNED.vary("?", model={"cut": "pool"})}, "tuned has another part or backbone than head"),
        (
            {"vgg": vgg, "more": vgg_tuned.replace(image_size=96)},
            "more must read images of 64 px, as the network of vgg",
        ),
        (
            {"scratch": flat, "head": HEAD.replace(image_size=24)},
            "head must read images of 16 px, as .* not pool globa",
        ),
        (
            {"scratch": flat, "tuned": TUNED.vary("?", training={"sizes": (12,)})},
            "tuned must read images of 16 px, as the network of head does not pool",
        ),
        ({"scratch": wide, "head": HEAD}, "head must read images of at least 32 px, as the network of scratch does"),
    ):
        with pytest.raises(ValueError, match=f"^Brief: {said}") as caught:
            tiny_transfers.brief(TRANSFERS | changes)
        assert str(caught.value).endswith(". Received: the brief tests") and "\n" not in str(caught.value)
    tiny_transfers.brief(TRANSFERS | {"vgg": vgg, "more": vgg_tuned, "flat": flat})  # the control
    tiny_transfers.brief(
        TRANSFERS | {"head": HEAD.replace(image_size=24), "mean": Ensemble("?", of=("dense", "forest"))}
    )


def test_briefs_that_exist_are_right_at_every_profile():
    for brief in map(briefs.load, briefs.names()):
        for profile in brief.profiles:
            brief.at(profile)


def test_a_profile_scales_what_is_fitted_and_never_stretches_it():
    more = {"lite": LITE.vary("?", head=Forest(trees=200)), "mean": Ensemble("?", of=("head", "tuned"))}
    profiles = {"smoke": Profile(epochs=0.01, filters=0.5), "quick": Profile(), "full": Profile(epochs=3.0)}
    small = tiny_transfers.brief(TRANSFERS | more).replace(profiles=profiles)
    smoke, full = small.at("smoke").transfers, small.at("full").transfers
    assert smoke["lite"].head.trees == 4 and full["lite"].head.trees == 200
    assert smoke["dense"].head.training.epochs == 1 and full["dense"].head.training.epochs == 3
    assert smoke["scratch"].model.filters == (4, 4) and full["scratch"].training.epochs == 6
    assert smoke["tuned"].training.epochs == 1 and full["tuned"].training.epochs == 2
    assert smoke["mean"] == full["mean"] and smoke["head"] == full["head"] == HEAD
    assert HEAD.flat()["head.name"] == "logistic" and HEAD.flat()["backbone.source"] == "scratch"
