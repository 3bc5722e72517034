"""What is fitted: an experiment (network, input, augmentation, way of training), or a hand-written perceptron."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lib.config.base import Config

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class Augment(Config):
    """Random changes to training images; zero or False switches one off.

    The geometric ones (flip to perspective) are drawn per image and applied in one warp.
    """

    flip: bool = False  # mirror left and right with probability 1/2
    rotation: float = 0.0  # degrees, uniform in [-rotation, rotation]
    shift: float = 0.0  # fraction of the side, uniform in [-shift, shift], each axis; whole pixels beside flip alone
    zoom: float = 0.0  # scale is log-uniform in [1 / (1 + zoom), 1 + zoom]
    aspect: float = 0.0  # width to height is stretched log-uniformly in [1 / (1 + aspect), 1 + aspect]
    shear: float = 0.0  # degrees, uniform in [-shear, shear]
    crop: float = 0.0  # a square window, its side uniform in [1 - crop, 1] of the image's, anywhere in it, fills it
    perspective: float = 0.0  # the image is tilted: the depth at the middle of each border is uniform in 1 -+ this
    fill: str = "reflect"  # what moves in from outside: reflect (mirrored), nearest (border repeated), constant (black)
    colour: float = 0.0  # strength of brightness, contrast and saturation jitter, in [0, 1]
    cutmix: float = 0.0  # probability that a rectangle is pasted from another image

    def rules(self) -> dict[str, bool]:
        return {
            "colour and cutmix lie in [0, 1]": 0 <= self.colour <= 1 and 0 <= self.cutmix <= 1,
            "rotation lies in [0, 180], shear in [0, 60]": 0 <= self.rotation <= 180 and 0 <= self.shear <= 60,
            "shift lies in [0, 0.5]": 0 <= self.shift <= 0.5,
            "crop lies in [0, 1), perspective in [0, 0.5)": 0 <= self.crop < 1 and 0 <= self.perspective < 0.5,
            "zoom and aspect are not negative": self.zoom >= 0 and self.aspect >= 0,
            "fill is reflect, nearest or constant": self.fill in ("reflect", "nearest", "constant"),
        }


@dataclass(frozen=True)
class Training(Config):
    """How one experiment is fitted."""

    epochs: int = 20  # at factor 1; each profile multiplies it
    batch_size: int = 64
    optimizer: str = "sgd"  # sgd (Nesterov momentum 0.9), muon (orthogonal steps), adamw (Adam without weight_decay)
    learning_rate: float = 0.05  # the highest of the schedule
    schedule: str = "one_cycle"  # constant, cosine, one_cycle, plateau
    weight_decay: float = 0.0  # decoupled, applied to kernels only
    label_smoothing: float = 0.0
    early_stopping: str = "none"  # none, loss (val), smoothed (running mean of three val losses)
    patience: int = 5  # epochs without a better loss before the plateau schedule or early stopping acts
    sizes: tuple[int, ...] = ()  # image sides of equal shares of the epochs, before the final share at image_size
    precision: str = "float32"  # or mixed_bfloat16, mixed_float16; auto: half precision where this machine gains by it

    def rules(self) -> dict[str, bool]:
        return {
            "epochs, batch_size and patience are positive": min(self.epochs, self.batch_size, self.patience) > 0,
            "learning_rate is positive": self.learning_rate > 0,
            "optimizer is sgd, muon or adamw": self.optimizer in ("sgd", "muon", "adamw"),
            f"precision is {', '.join(PRECISIONS)}": self.precision in PRECISIONS,
            "schedule is constant, cosine, one_cycle or plateau": self.schedule
            in ("constant", "cosine", "one_cycle", "plateau"),
            "early_stopping is none, loss or smoothed": self.early_stopping in ("none", "loss", "smoothed"),
            "sizes are at least 8": min(self.sizes, default=8) >= 8,
            "label_smoothing lies in [0, 1)": 0 <= self.label_smoothing < 1,
            "weight_decay is not negative": self.weight_decay >= 0,
        }


def smallest_side(model: Config) -> int:
    """Pixels per side that a network needs, at least 8; of an earlier network only its run's settings tell."""
    return max(8, getattr(model, "smallest_side", lambda: 8)())


class View(NamedTuple):
    """One way to look at an image to be predicted."""

    mirrored: bool = False
    shift: int = 0  # pixels to the right and down


def views_of(mirror_average: bool, shift_average: int) -> tuple[View, ...]:
    """What the two settings of an experiment ask to look at, the image as it is first."""
    shifts = (0, -shift_average, shift_average) if shift_average else (0,)
    return tuple(View(mirrored, shift) for shift in shifts for mirrored in (False, True)[: 1 + mirror_average])


@dataclass(frozen=True)
class Experiment(Config):
    """One question put to the data: a network, an input size, augmentation and a way of training."""

    why: str
    model: Config  # a family of `lib.models`
    training: Training = field(default_factory=Training)
    augment: Augment = field(default_factory=Augment)
    image_size: int = 32  # pixels, square
    resize: str = "stretch"  # stretch, crop (centre)
    mirror_average: bool = False  # final predictions average each image and its mirror image
    shift_average: int = 0  # and both of them moved by so many pixels, to the upper left and to the lower right
    change_val: bool = False  # val is changed at random too while training, as `augment` says, the same way each epoch

    def rules(self) -> dict[str, bool]:
        return {
            "why says what the experiment asks": bool(self.why.strip()),
            "model is a family of lib.models": hasattr(self.model, "build"),
            f"image_size and training.sizes are at least {smallest_side(self.model)}": smallest_side(self.model)
            <= min((self.image_size, *self.training.sizes)),
            "shift_average is at least 0 and less than image_size": 0 <= self.shift_average < self.image_size,
            "resize is stretch or crop": self.resize in ("stretch", "crop"),
            "training.sizes needs a model that pools globally": not self.training.sizes
            or getattr(self.model, "any_size", False),
        }

    @property
    def views(self) -> tuple[View, ...]:
        """What a final prediction averages."""
        return views_of(self.mirror_average, self.shift_average)

    def build(self, num_classes: int):
        """Its network, untrained or as others have trained it: a Keras model from pixels to logits."""
        return self.model.build(num_classes, image_size=self.image_size)

    def scale(self, *, epochs: float, filters: float, pixels: float = 1.0) -> "Experiment":
        """The same experiment with its epochs, widths and image sides times a factor: what a profile makes of it."""
        model = self.model.scale(filters)
        image_size, *sizes = (
            side if pixels == 1 else max(smallest_side(model), round(side * pixels))
            for side in (self.image_size, *self.training.sizes)
        )
        training = self.training.replace(epochs=max(1, round(self.training.epochs * epochs)), sizes=tuple(sizes))
        return self.replace(training=training, model=model, image_size=image_size)

    def vary(self, why: str, **changes) -> "Experiment":
        """The same experiment with some settings changed.

        Args:
            why: the question the change answers, one line.
            **changes: `model=`, `training=` or `augment=` with a dict of their fields, or a field of Experiment.

        Raises:
            ValueError: if a setting does not exist or has a wrong type.
        """
        parts = {
            name: getattr(self, name).replace(**change) if isinstance(change, Mapping) else change
            for name, change in changes.items()
            if hasattr(self, name) or self.replace(**{name: change})
        }
        return self.replace(why=why, **parts)


def leave_one_out(best: Experiment, *, epochs: float, filters: float) -> dict[str, Experiment]:
    """A shorter and narrower version of an experiment, and the same without each of its ingredients in turn.

    What an ingredient is worth shows only where nothing else differs, so all of them have the same epochs and widths.

    Args:
        best: the experiment whose ingredients are in question.
        epochs: factor on its epochs.
        filters: factor on its widths.

    Returns:
        Name -> experiment: `best_short`, then one per ingredient that `best` has.
    """
    short = best.scale(epochs=epochs, filters=filters)
    short = short.replace(why="What does the best recipe reach with fewer epochs and filters?")
    rate, half = best.training.learning_rate / 2, tuple(size // 2 for size in best.training.sizes)
    left_out = {
        "without_augment": ("What are the random changes to images worth?", {"augment": Augment()}),
        "without_smoothing": ("What are soft labels worth?", {"training": {"label_smoothing": 0.0}}),
        "without_decay": ("What is weight decay worth?", {"training": {"weight_decay": 0.0}}),
        "without_dropout": ("What is dropout worth?", {"model": {"dropout": 0.0}}),
        "without_shortcuts": ("What are shortcuts worth in the same stack?", {"model": {"shortcuts": False}}),
        "without_growing": ("What do smaller images in the first epochs cost?", {"training": {"sizes": ()}}),
        "without_mirror": ("What is averaging with the mirror image worth?", {"mirror_average": False}),
        "without_shifts": ("What is averaging with shifted images worth?", {"shift_average": 0}),
        "half_pixels": (
            "What is the other half of the pixels worth?",
            {"image_size": best.image_size // 2, "training": {"sizes": half}},
        ),
        "half_rate": ("Is the learning rate too high?", {"training": {"learning_rate": rate}}),
        "float32": ("What does half precision cost?", {"training": {"precision": "float32"}}),
        "adamw": ("Would AdamW do better?", {"training": {"optimizer": "adamw", "learning_rate": 0.002}}),
    }
    if best.training.optimizer == "muon":
        sgd = {"optimizer": "sgd", "learning_rate": rate}
        left_out["sgd"] = ("What are orthogonal steps worth?", {"training": sgd})
    varied = {
        name: short.vary(why, **change)
        for name, (why, change) in left_out.items()
        if all(hasattr(best.model, setting) for setting in change.get("model", ()))
    }
    return {"best_short": short} | {name: one for name, one in varied.items() if one.replace(why=short.why) != short}


@dataclass(frozen=True)
class Cost(Config):
    """A network that is too expensive to train beside one that is not: some steps of both are timed."""

    why: str
    large: Experiment
    small: Experiment
    num_classes: int
    epoch: int  # images that an epoch would have
    steps: int = 8  # timed of each

    def rules(self) -> dict[str, bool]:
        return {
            "why says what it asks": bool(self.why.strip()),
            "num_classes is at least 2": self.num_classes >= 2,
            "epoch and steps are positive": min(self.epoch, self.steps) > 0,
        }

    def scale(self, *, epochs: float, filters: float) -> "Cost":
        """The same with its widths times a factor, and its steps, if that makes them fewer."""
        networks = {name: getattr(self, name).scale(epochs=epochs, filters=filters) for name in ("large", "small")}
        return self.replace(steps=max(1, round(self.steps * min(1.0, epochs))), **networks)


@dataclass(frozen=True)
class Perceptron(Config):
    """What `low_level` fits without Keras: a network, its images and its way of descending."""

    why: str
    dataset: str  # whose images
    classes: tuple[int, ...] = ()  # two class numbers make a binary classifier with one logit; none takes all classes
    hidden: tuple[int, ...] = (300, 100)  # ReLU units of each hidden layer
    batch_norm: bool = False  # after each hidden layer's product, before its ReLU
    update: str = "gradient_descent"  # gradient_descent or adam
    bias_correction: bool = True  # adam: whether its running means are corrected for starting at zero
    learning_rate: float = 0.01  # constant
    batch_size: int | None = 32  # None takes all images at once: full batch
    epochs: int = 40

    def rules(self) -> dict[str, bool]:
        counts = (*self.hidden, self.epochs, *([] if self.batch_size is None else [self.batch_size]))
        return {
            "why says what the training asks": bool(self.why.strip()),
            "classes holds two different class numbers, or none": len(self.classes) == len(set(self.classes)) in (0, 2),
            "hidden, batch_size and epochs are positive": min(counts) > 0,
            "update is gradient_descent or adam": self.update in ("gradient_descent", "adam"),
            "learning_rate is positive": self.learning_rate > 0,
        }

    def scale(self, *, epochs: float, filters: float) -> "Perceptron":
        """The same training with its epochs and widths times a factor: what a profile makes of it."""
        hidden = tuple(max(4, round(units * filters)) for units in self.hidden)
        return self.replace(epochs=max(1, round(self.epochs * epochs)), hidden=hidden)

    def vary(self, why: str, **changes) -> "Perceptron":
        """The same training with some fields changed, and the question that the change answers."""
        return self.replace(why=why, **changes)
