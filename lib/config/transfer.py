"""What notebook 05 fits: heads on what another network has learnt, networks that go on from it, ensembles of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lib.config.base import Config
from lib.config.experiment import Experiment


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
class Head(Config):
    """What is fitted on the features of a frozen backbone."""

    why: str
    backbone: Config  # one of lib.models, or `Earlier`
    head: Config  # one of lib.models.heads
    image_size: int = 96  # pixels, square
    resize: str = "stretch"  # stretch, crop (centre)
    folds: int = 0  # parts of train, each predicted by a head that has not seen it, for stacking; 0: none
    part: Part = field(default_factory=Part)

    def rules(self) -> dict[str, bool]:
        return {
            "why says what it asks": bool(self.why.strip()),
            "backbone has features": hasattr(self.backbone, "cut"),
            "image_size is at least 8": self.image_size >= 8,
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
