"""An experiment: a model, its input, augmentation and a way of training."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.config.base import Config


@dataclass(frozen=True)
class Augment(Config):
    """Random changes to training images; zero or False switches one off.

    The geometric ones (flip to shear) are drawn per image and applied in one warp.
    """

    flip: bool = False  # mirror left and right with probability 1/2
    rotation: float = 0.0  # degrees, uniform in [-rotation, rotation]
    shift: float = 0.0  # fraction of the side, uniform in [-shift, shift], each axis
    zoom: float = 0.0  # scale is log-uniform in [1 / (1 + zoom), 1 + zoom]
    aspect: float = 0.0  # width to height is stretched log-uniformly in [1 / (1 + aspect), 1 + aspect]
    shear: float = 0.0  # degrees, uniform in [-shear, shear]
    fill: str = "reflect"  # what moves in from outside: reflect (mirrored), nearest (border repeated), constant (black)
    colour: float = 0.0  # strength of brightness, contrast and saturation jitter, in [0, 1]
    erase: float = 0.0  # probability that a random rectangle is filled with grey
    mixup: float = 0.0  # probability that an image is blended with another one
    cutmix: float = 0.0  # probability that a rectangle is pasted from another image

    def rules(self) -> dict[str, bool]:
        chances = (self.colour, self.erase, self.mixup, self.cutmix)
        return {
            "colour, erase, mixup and cutmix lie in [0, 1]": all(0 <= chance <= 1 for chance in chances),
            "mixup and cutmix together are at most 1": self.mixup + self.cutmix <= 1,
            "rotation lies in [0, 180], shear in [0, 60]": 0 <= self.rotation <= 180 and 0 <= self.shear <= 60,
            "shift lies in [0, 0.5]": 0 <= self.shift <= 0.5,
            "zoom and aspect are not negative": self.zoom >= 0 and self.aspect >= 0,
            "fill is reflect, nearest or constant": self.fill in ("reflect", "nearest", "constant"),
        }

    @property
    def mixes(self) -> bool:
        """Whether labels become rows of class weights."""
        return self.mixup + self.cutmix > 0


# Options that only some models have: set on another one, they would change nothing without a word.
OPTIONS = {
    "stem_stride": ("conv_blocks", "residual"),
    "batch_norm": ("mlp", "simple_cnn", "conv_blocks", "residual"),
    "dropout": ("mlp", "simple_cnn", "conv_blocks", "residual"),
    "squeeze_excite": ("residual",),
    "stochastic_depth": ("residual",),
    "preactivation": ("residual",),
    "grey": ("softmax", "mlp"),
    "l1": ("mlp",),
    "l2": ("mlp",),
}


@dataclass(frozen=True)
class Model(Config):
    """What `models.build_model` builds."""

    name: str = "simple_cnn"  # softmax, mlp, simple_cnn, conv_blocks, residual
    filters: tuple[int, ...] = (16, 32, 64)  # one entry a stage; of mlp, the units of each hidden layer
    blocks: tuple[int, ...] = (1, 1, 1)  # blocks (or convolutions) per stage; of mlp, layers of that width
    stem_stride: int = 1  # strides of the first convolution
    batch_norm: bool = False  # residual always normalises
    dropout: float = 0.0  # before the classifier, after each layer of mlp and between the stages of conv_blocks
    squeeze_excite: bool = False
    stochastic_depth: float = 0.0  # chance that the last residual branch is skipped; earlier ones less
    preactivation: bool = False  # residual: norm and ReLU before each convolution (He et al. 2016b)
    grey: bool = False  # softmax and mlp: see the mean of the three channels
    l1: float = 0.0  # mlp: weight of the kernels' absolute values in the loss
    l2: float = 0.0  # mlp: weight of the kernels' squares in the loss

    def rules(self) -> dict[str, bool]:
        return {
            "filters and blocks have one entry a stage": len(self.filters) == len(self.blocks),
            "filters and blocks are positive": all(n > 0 for n in (*self.filters, *self.blocks)),
            "stem_stride is 1, 2 or 4": self.stem_stride in (1, 2, 4),
            "dropout and stochastic_depth lie in [0, 1)": 0 <= self.dropout < 1 and 0 <= self.stochastic_depth < 1,
            "l1 and l2 are not negative": min(self.l1, self.l2) >= 0,
            **{
                f"{name} is an option of {', '.join(models)} only": self._suits(name)
                for name, models in OPTIONS.items()
            },
        }

    def _suits(self, option: str) -> bool:
        """Whether an option is left at its default, or is one of this model's."""
        default = Model.__dataclass_fields__[option].default
        return self.name in OPTIONS[option] or getattr(self, option) == default


@dataclass(frozen=True)
class Training(Config):
    """How one experiment is fitted."""

    epochs: int = 20  # at factor 1; each profile multiplies it
    batch_size: int = 64
    optimizer: str = "sgd"  # sgd (Nesterov momentum 0.9) or adamw
    learning_rate: float = 0.05  # the highest of the schedule
    schedule: str = "one_cycle"  # constant, cosine, one_cycle, plateau
    weight_decay: float = 0.0  # decoupled, applied to kernels only
    label_smoothing: float = 0.0
    ema: float = 0.0  # decay of the averaged weights per step; 0 keeps the raw weights
    clip_norm: float = 0.0  # largest global gradient norm; 0 does not clip
    early_stopping: str = "none"  # none, loss (val), smoothed (running mean of three val losses)
    patience: int = 5  # epochs without a better loss before the plateau schedule or early stopping acts
    sizes: tuple[int, ...] = ()  # image sides of equal shares of the epochs, before the final share at image_size

    def rules(self) -> dict[str, bool]:
        return {
            "epochs, batch_size and patience are positive": min(self.epochs, self.batch_size, self.patience) > 0,
            "learning_rate is positive": self.learning_rate > 0,
            "optimizer is sgd or adamw": self.optimizer in ("sgd", "adamw"),
            "schedule is constant, cosine, one_cycle or plateau": self.schedule
            in ("constant", "cosine", "one_cycle", "plateau"),
            "early_stopping is none, loss or smoothed": self.early_stopping in ("none", "loss", "smoothed"),
            "sizes are at least 8": min(self.sizes, default=8) >= 8,
            "label_smoothing and ema lie in [0, 1)": 0 <= self.label_smoothing < 1 and 0 <= self.ema < 1,
            "weight_decay and clip_norm are not negative": self.weight_decay >= 0 and self.clip_norm >= 0,
        }


@dataclass(frozen=True)
class Experiment(Config):
    """One question put to the data: a model, an input size, augmentation and a way of training."""

    why: str
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    augment: Augment = field(default_factory=Augment)
    image_size: int = 32  # pixels, square
    resize: str = "stretch"  # stretch, crop (centre), pad (black)
    mirror_average: bool = False  # final predictions average each image and its mirror image

    def rules(self) -> dict[str, bool]:
        return {
            "why says what the experiment asks": bool(self.why.strip()),
            "image_size is at least 8": self.image_size >= 8,
            "resize is stretch, crop or pad": self.resize in ("stretch", "crop", "pad"),
            "training.sizes needs a model that pools globally: conv_blocks or residual": not self.training.sizes
            or self.model.name in ("conv_blocks", "residual"),
        }

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
