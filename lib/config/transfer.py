"""What notebook 05 fits: heads on what another network has learnt, networks that go on from it, ensembles of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lib.config.base import Config
from lib.config.experiment import Experiment, smallest_side


@dataclass(frozen=True)
class Part(Config):
    """Some of the images: of another data set that the brief reads, of some classes, or a few per class to train on."""

    dataset: str = ""  # one of the brief's further data sets; empty: its own
    classes: tuple[int, ...] = ()  # class numbers; empty: all
    train_per_class: int | None = None  # val and test stay whole; None takes what the profile does

    def rules(self) -> dict[str, bool]:
        return {
            "classes holds two class numbers at least, none twice, or is empty": len(set(self.classes))
            == len(self.classes)
            != 1,
            "train_per_class is positive": self.train_per_class is None or self.train_per_class > 0,
        }


@dataclass(frozen=True)
class Earlier(Config):
    """A network that this project has trained, as the backbone of other ones."""

    source: str  # one of the brief's transfers: the experiment that trained it
    cut: str = ""  # the layer whose output are the features; empty: what its logits read
    trained_from: str = ""  # the first layer, or block, that is trained; empty: all of it is frozen

    any_size: ClassVar[bool] = True  # as far as the network pools globally

    def build(self, num_classes: int, *, image_size: int | None = None):
        """Refused: its weights are those of a run, which `lib.transfer.jobs` finds."""
        raise ValueError("An earlier network is no network of its own: name a head in starts_from that has it")

    def scale(self, factor: float) -> "Earlier":
        """The same: its width is that of the run."""
        return self


@dataclass(frozen=True)
class FeatureModel(Config):
    """Base of `lib.models.heads`: settings of what is fitted on features."""

    name: ClassVar[str]

    def flat(self) -> dict[str, object]:
        """All settings, the name first."""
        return {"name": self.name, **super().flat()}

    def scale(self, epochs: float) -> "FeatureModel":
        """The same with its epochs times a factor, where it has some and if that makes them fewer."""
        return self


@dataclass(frozen=True)
class Head(Config):
    """What is fitted on the features of a frozen backbone."""

    why: str
    backbone: Config  # one of lib.models, or `Earlier`
    head: FeatureModel  # one of lib.models.heads
    image_size: int = 96  # pixels, square
    resize: str = "stretch"  # stretch, crop (centre)
    folds: int = 0  # parts of train, each predicted by a head that has not seen it, for stacking; 0: none
    part: Part = field(default_factory=Part)

    def rules(self) -> dict[str, bool]:
        return {
            "why says what it asks": bool(self.why.strip()),
            "backbone has features": hasattr(self.backbone, "cut"),
            f"image_size is at least {smallest_side(self.backbone)}": self.image_size >= smallest_side(self.backbone),
            "resize is stretch or crop": self.resize in ("stretch", "crop"),
            "folds is 0 or at least 2": self.folds == 0 or self.folds >= 2,
        }

    def scale(self, *, epochs: float, filters: float) -> "Head":
        """The same with the epochs of its head times a factor."""
        return self.replace(head=self.head.scale(epochs))

    def vary(self, why: str, **changes) -> "Head":
        """The same with some settings changed, as `Experiment.vary`."""
        parts = {
            name: getattr(self, name).replace(**change) if isinstance(change, Mapping) else change
            for name, change in changes.items()
        }
        return self.replace(why=why, **parts)


@dataclass(frozen=True)
class Transfer(Experiment):
    """An experiment on a part of the images, from scratch or from a head and its backbone."""

    starts_from: str = ""  # one of the brief's heads, whose backbone and weights it goes on from; empty: from scratch
    part: Part = field(default_factory=Part)

    def rules(self) -> dict[str, bool]:
        return super().rules() | {
            "an earlier network needs starts_from": bool(self.starts_from) or not isinstance(self.model, Earlier),
            "model.trained_from says what is trained of a backbone": bool(getattr(self.model, "trained_from", True)),
        }

    def scale(self, *, epochs: float, filters: float) -> "Transfer":
        """As `Experiment.scale`; what was trained before needs no more epochs where a profile gives the others more."""
        return super().scale(epochs=min(1.0, epochs) if self.starts_from else epochs, filters=filters)


@dataclass(frozen=True)
class Ensemble(Config):
    """Predictions made of the stored predictions of others; nothing is trained again."""

    why: str
    of: tuple[str, ...]  # the brief's heads and transfers; all of them on one part of the images
    how: str = "mean"  # mean (of log-probabilities), blend (a few weights chosen on val), stack (fitted on folds)

    def rules(self) -> dict[str, bool]:
        return {
            "why says what it asks": bool(self.why.strip()),
            "of names two others at least": len(set(self.of)) == len(self.of) >= 2,
            "how is mean, blend or stack": self.how in ("mean", "blend", "stack"),
        }

    def scale(self, *, epochs: float, filters: float) -> "Ensemble":
        """Nothing to scale."""
        return self


def wrong_sources(transfers: Mapping[str, Config]) -> Iterator[str]:
    """What is wrong with the names by which heads, transfers and ensembles go on from each other; a sentence each."""
    for name, one in transfers.items():
        if isinstance(one, Ensemble):
            parts = [getattr(transfers.get(other), "part", None) for other in one.of]
            if None in parts:
                yield f"{name} is made of {one.of[parts.index(None)]!r}, which is no head or transfer of this brief"
            elif len(set(parts)) > 1:
                yield f"{name} is made of others that do not read the same part of the images"
            continue
        passed = [name]
        while (source := _source(transfers.get(passed[-1]))) and source not in passed:
            passed.append(source)
        if source:
            yield f"{name} would go on from itself: {', '.join((*passed, source))}"
        elif len(passed) > 1:
            yield from _wrong_source(name, one, transfers, passed[1])


def _source(one: Config | None) -> str:
    """The name of what a head or transfer goes on from; empty where it goes on from none."""
    return getattr(getattr(one, "backbone", None), "source", "") or getattr(one, "starts_from", "")


def _wrong_source(name: str, one: Head | Transfer, transfers: Mapping[str, Config], source: str) -> Iterator[str]:
    before, model = transfers.get(source), one.backbone if isinstance(one, Head) else one.model
    if isinstance(one, Head) and not isinstance(before, Transfer):
        yield f"{name} has the backbone {source!r}, which is no transfer of this brief"
        return
    if isinstance(one, Transfer):
        if not isinstance(before, Head) or not hasattr(before.head, "logits"):
            yield f"{name} starts from {source!r}, which is no head of this brief that is a network"
            return
        frozen = model.replace(trained_from=before.backbone.trained_from) if hasattr(model, "trained_from") else model
        if (frozen, one.part) != (before.backbone, before.part):
            yield f"{name} has another part or backbone than {source}, from which it starts"
            return
    while isinstance(model, Earlier) and hasattr(transfers.get(model.source), "model"):
        model = transfers[model.source].model
    sizes = {one.image_size, *(one.training.sizes if isinstance(one, Transfer) else ())}
    if not getattr(model, "any_size", True) and sizes != {before.image_size}:
        yield f"{name} must read images of {before.image_size} px, as the network of {source} does not pool globally"
    elif min(sizes) < smallest_side(model):
        yield f"{name} must read images of at least {smallest_side(model)} px, as the network of {source} does"
