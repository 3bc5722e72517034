"""ResNet: a stem, stages of residual blocks, global average pooling (He et al. 2016)."""

from dataclasses import dataclass
from typing import ClassVar

from lib.models.family import Family, scaled, stage_names


@dataclass(frozen=True)
class Residual(Family):
    """A stem, then stages of residual blocks, each but the first at half the side of the one before it."""

    filters: tuple[int, ...] = (16, 32, 64)  # of each stage
    blocks: tuple[int, ...] = (1, 1, 1)  # of each stage
    stem_stride: int = 1  # strides of the first convolution
    dropout: float = 0.0  # before the logits
    shortcuts: bool = True  # False leaves the same convolutions in a plain stack

    name: ClassVar[str] = "residual"
    any_size: ClassVar[bool] = True

    def rules(self) -> dict[str, bool]:
        return {
            "filters and blocks have one entry per stage": len(self.filters) == len(self.blocks) > 0,
            "filters and blocks are positive": min((*self.filters, *self.blocks), default=0) > 0,
            "stem_stride is 1, 2 or 4": self.stem_stride in (1, 2, 4),
            "dropout lies in [0, 1)": 0 <= self.dropout < 1,
        }

    def smallest_side(self) -> int:
        return self.stem_stride * 2 ** (len(self.filters) - 1)  # strides round up

    def scale(self, factor: float) -> "Residual":
        return self.replace(filters=scaled(self.filters, factor))

    def features(self, x):
        from keras import layers

        from lib.models import blocks

        x = blocks.stem(x, self.filters[0], strides=self.stem_stride)
        stages = zip(self.filters, stage_names(self.filters), self.blocks, strict=True)
        for stage, (filters, name, depth) in enumerate(stages):
            for number in range(1, depth + 1):
                options = {"strides": 2 if stage > 0 and number == 1 else 1, "shortcut": self.shortcuts}
                x = blocks.residual_block(x, filters, name=f"{name}__block_{number}", **options)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return layers.Dropout(self.dropout, name="dropout")(x) if self.dropout else x
