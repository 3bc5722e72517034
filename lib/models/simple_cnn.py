"""The naive start: blocks of convolution and pooling, then one hidden layer."""

from dataclasses import dataclass
from typing import ClassVar

from lib.models.family import Family, scaled, stage_names


@dataclass(frozen=True)
class SimpleCnn(Family):
    """Stages of convolutions, ReLU and max pooling, flattened into one hidden layer."""

    filters: tuple[int, ...] = (16, 32, 64)  # of each stage
    convolutions: int = 1  # per stage
    batch_norm: bool = False
    dropout: float = 0.0  # before the logits

    name: ClassVar[str] = "simple_cnn"

    def rules(self) -> dict[str, bool]:
        return {
            "filters are positive, one or more": min(self.filters, default=0) > 0,
            "convolutions is positive": self.convolutions > 0,
            "dropout lies in [0, 1)": 0 <= self.dropout < 1,
        }

    def smallest_side(self) -> int:
        return 2 ** len(self.filters)  # pooling rounds down

    def scale(self, factor: float) -> "SimpleCnn":
        return self.replace(filters=scaled(self.filters, factor))

    def features(self, x):
        from keras import layers

        from lib.models import blocks

        options = {"convolutions": self.convolutions, "batch_norm": self.batch_norm}
        for filters, name in zip(self.filters, stage_names(self.filters), strict=True):
            x = blocks.conv_block(x, filters, name=name, **options)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(2 * self.filters[-1], activation="relu", name="hidden")(x)
        return layers.Dropout(self.dropout, name="dropout")(x) if self.dropout else x
