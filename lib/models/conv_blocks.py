"""VGG-like stages of convolutions, pooled globally (Simonyan & Zisserman 2014)."""

from dataclasses import dataclass
from typing import ClassVar

from lib.models.family import Family, scaled, stage_names


@dataclass(frozen=True)
class ConvBlocks(Family):
    """Stages of convolutions with batch norm and dropout, then global average pooling."""

    filters: tuple[int, ...] = (16, 32, 64)  # of each stage
    convolutions: int = 2  # per stage
    stem: int = 0  # filters of one more convolution, before the stages; 0 leaves it out
    early_pooling: bool = False  # pool after the first convolution of each stage, not the last
    batch_norm: bool = True
    dropout: float = 0.0  # before the logits; half of it between the stages

    name: ClassVar[str] = "conv_blocks"
    any_size: ClassVar[bool] = True

    def rules(self) -> dict[str, bool]:
        return {
            "filters are positive, one or more": min(self.filters, default=0) > 0,
            "convolutions is positive": self.convolutions > 0,
            "stem is not negative": self.stem >= 0,
            "dropout lies in [0, 1)": 0 <= self.dropout < 1,
        }

    def smallest_side(self) -> int:
        return 2 ** len(self.filters)  # pooling rounds down

    def scale(self, factor: float) -> "ConvBlocks":
        stem = scaled((self.stem,), factor)[0] if self.stem else 0
        return self.replace(filters=scaled(self.filters, factor), stem=stem)

    def features(self, x):
        from keras import layers

        from lib.models import blocks

        options = {"convolutions": self.convolutions, "batch_norm": self.batch_norm, "dropout": self.dropout / 2}
        block = blocks.pooled_block if self.early_pooling else blocks.conv_block
        if self.stem:
            x = blocks.conv_unit(x, self.stem, name="Stem__", batch_norm=self.batch_norm)
        for filters, name in zip(self.filters, stage_names(self.filters), strict=True):
            x = block(x, filters, name=name, **options)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return layers.Dropout(self.dropout, name="dropout")(x) if self.dropout else x
