"""Networks of AutoKeras' blocks: what its settings mean, in place of its own loop around them.

AutoKeras 3.0.0 has no time limit, keeps its state in files that are not written whole, fits its best model once more
outside any budget, and fails on Keras 3.15 where its head hands numpy integers to a Dense layer. So only its blocks
are used here, with its order of trials and its choices of optimizer; the logits, the batches and the clock are ours.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.config import Augment, Experiment
from lib.config.search import Blocks
from lib.models.family import Family

OPTIMIZERS = ("adam", "sgd", "adam_weight_decay")  # what AutoKeras chooses from, and the rates it knows
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 2e-5, 1e-5)


@dataclass(frozen=True)
class BlockNetwork(Family):
    """A network of AutoKeras' blocks with some values of their settings; those not named have AutoKeras' default."""

    blocks: tuple[str, ...]
    values: tuple[tuple, ...] = ()  # pairs of a setting's name and its value

    name: ClassVar[str] = "autokeras"

    def sources(self) -> list[Path]:
        return [Path(inspect.getfile(Blocks)), *super().sources()]

    def flat(self) -> dict[str, object]:
        return {"name": self.name, "blocks": self.blocks, **dict(self.values)}

    def smallest_side(self) -> int:
        return 32  # of ResNet and EfficientNet, as keras.applications has them

    def features(self, x):
        import keras_tuner

        settings = keras_tuner.HyperParameters()
        settings.values = dict(self.values)
        return block_features(settings, x, self.blocks)


def block_features(settings, x, blocks: tuple[str, ...]):
    """Keras tensor (B, S, S, 3) -> (B, F) by the block that `settings` choose, which learn what else can be chosen."""
    import autokeras
    from keras import layers

    known = {
        "vanilla": lambda: autokeras.ConvBlock(name="vanilla"),
        "resnet": lambda: autokeras.ResNetBlock(pretrained=False, name="resnet"),
        "xception": lambda: autokeras.XceptionBlock(pretrained=False, name="xception"),
        "efficient": lambda: autokeras.EfficientNetBlock(pretrained=False, name="efficient"),
    }
    kind = settings.Choice("block", list(blocks), ordered=False)
    with settings.conditional_scope("block", [kind]):
        x = known[kind]().build(settings, x)
    x = autokeras.SpatialReduction(name="reduce").build(settings, x)
    dropout = settings.Choice("dropout", [0.0, 0.25, 0.5])
    return layers.Dropout(dropout, name="dropout")(x) if dropout else x


def block_settings(space: Blocks):
    """All settings of a space of blocks as `keras_tuner.HyperParameters`, each with AutoKeras' default."""
    import keras
    import keras_tuner

    every = keras_tuner.HyperParameters()
    for kind in space.blocks:
        settings = keras_tuner.HyperParameters()
        # the deepest network has the settings of all others
        settings.values = {"block": kind, "vanilla/num_blocks": 3, "vanilla/num_layers": 2}
        image = keras.Input((space.start.image_size, space.start.image_size, 3))
        block_features(settings, image, space.blocks)
        every.merge([setting for setting in settings.space if not every._exists(setting.name, setting.conditions)])
    every.Choice("optimizer", list(OPTIMIZERS))
    every.Choice("learning_rate", list(RATES), default=1e-3)
    if space.start.augment != Augment():
        every.Boolean("augment", default=False)
    return every


def block_experiment(space: Blocks, values: dict) -> Experiment:
    """The experiment that some values stand for."""
    values = dict(values)
    optimizer, augment = values.pop("optimizer", OPTIMIZERS[0]), values.pop("augment", False)
    training = space.start.training.replace(
        optimizer="sgd" if optimizer == "sgd" else "adamw",
        weight_decay=0.01 if optimizer == "adam_weight_decay" else 0.0,
        schedule="cosine" if optimizer == "adam_weight_decay" else "constant",
        learning_rate=values.pop("learning_rate", 1e-3),
        sizes=(),
    )
    return space.start.replace(
        model=BlockNetwork(space.blocks, tuple(sorted(values.items()))),
        training=training,
        augment=space.start.augment if augment else Augment(),
    )
