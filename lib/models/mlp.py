"""A multi-layer perceptron: fully connected layers on the pixels."""

from dataclasses import dataclass
from typing import ClassVar

from lib.models.family import Family, scaled, stage_names


@dataclass(frozen=True)
class Mlp(Family):
    """Fully connected layers with ReLU, and batch norm, dropout and penalties where asked."""

    units: tuple[int, ...] = (600, 400, 200)  # of each hidden layer
    grey: bool = False  # see the mean of the three channels
    batch_norm: bool = False
    dropout: float = 0.0  # after each hidden layer
    l1: float = 0.0  # weight of the kernels' absolute values in the loss
    l2: float = 0.0  # weight of the kernels' squares in the loss

    name: ClassVar[str] = "mlp"

    def rules(self) -> dict[str, bool]:
        return {
            "units are positive, one or more": min(self.units, default=0) > 0,
            "dropout lies in [0, 1)": 0 <= self.dropout < 1,
            "l1 and l2 are not negative": min(self.l1, self.l2) >= 0,
        }

    def scale(self, factor: float) -> "Mlp":
        return self.replace(units=scaled(self.units, factor))

    def features(self, x):
        import keras

        from lib.models import blocks

        penalty = keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None
        options = {"batch_norm": self.batch_norm, "dropout": self.dropout, "penalty": penalty}
        x = blocks.flat_pixels(x, grey=self.grey)
        for units, name in zip(self.units, stage_names(self.units), strict=True):
            x = blocks.dense_unit(x, units, name=f"{name}__", **options)
        return x
