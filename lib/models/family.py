"""What every family of networks has: settings, a `build`, and the smallest image it can look at."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.config import Config


@dataclass(frozen=True)
class Family(Config):
    """Base of the families: a frozen dataclass of settings, and the `features` that turn pixels into what logits read.

    A family is one file. Keras is imported when a network is built: settings are read where nothing is installed.
    """

    name: ClassVar[str]
    any_size: ClassVar[bool] = False  # whether it pools globally, so that its weights fit images of any size
    # What its first layer sees is scale * pixel + offset; this gives natural images about zero mean and unit spread,
    # without statistics that would have to travel with it.
    pixel_scale: ClassVar[float] = 1 / 64
    pixel_offset: ClassVar[float] = -2.0

    def features(self, x):
        """Keras tensor (B, S, S, 3), scaled to about zero mean and unit spread -> (B, F)."""
        raise NotImplementedError

    def smallest_side(self) -> int:
        """Pixels per side that leave at least one pixel after the last stage."""
        return 1

    def scale(self, factor: float) -> "Family":
        """The same family at another width: what a profile makes of it."""
        return self

    def flat(self) -> dict[str, object]:
        """All settings, the family's name first."""
        return {"name": self.name, **super().flat()}

    def sources(self) -> list[Path]:
        """The files whose code decides its numbers, besides those that every family needs."""
        return [Path(inspect.getfile(type(self)))]

    def check(self, num_classes: int, image_size: int | None) -> None:
        """Refuse what `build` cannot build."""
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2. Received: {num_classes}")
        if image_size is None and not self.any_size:
            raise ValueError(f"{self.name} does not pool globally and needs an image_size. Received: None")
        if image_size is not None and image_size < self.smallest_side():
            raise ValueError(f"{self.name} needs at least {self.smallest_side()} px. Received: {image_size} px, {self}")

    def build(self, num_classes: int, *, image_size: int | None = None):
        """An untrained network of these settings.

        Args:
            num_classes: number of logits, at least 2.
            image_size: side of the images in pixels; None accepts any size, where the family pools globally.

        Returns:
            Flat functional `keras.Model`: (B, S, S, 3) uint8 or float in [0, 255] -> (B, num_classes) float32 logits.

        Raises:
            ValueError: if there are too few classes, or the images are too small or of no size.
        """
        import keras
        from keras import layers

        self.check(num_classes, image_size)
        image = keras.Input((image_size, image_size, 3), name="image")
        x = layers.Rescaling(self.pixel_scale, self.pixel_offset, name="rescale")(image)
        features = self.features(x)  # first: weights are drawn in the order in which layers are made
        # float32 logits keep the loss exact under mixed precision.
        logits = layers.Dense(num_classes, dtype="float32", name="logits")(features)
        return keras.Model(image, logits, name=self.name)


def scaled(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """Widths of stages or layers times a factor, at least 4 each."""
    return tuple(max(4, round(width * factor)) for width in widths)


def stage_names(widths: tuple[int, ...]) -> list[str]:
    """`Block_64` for a stage of 64 filters; a width that comes twice gets a letter."""
    names = [f"Block_{width}" for width in widths]
    return [name + "bcdefgh"[names[:i].count(name) - 1] * (name in names[:i]) for i, name in enumerate(names)]
