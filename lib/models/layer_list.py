"""A network written down as a list of its layers, as the tables of a coursework do."""

import itertools
import re
from dataclasses import dataclass
from typing import ClassVar

from lib.models.family import Family

# conv: filters, kernel size (3); dense: units; dropout: rate; max and average pooling: size and strides (2)
LAYER = re.compile(
    r"conv [1-9]\d*( [1-9]\d*)?|dense [1-9]\d*|dropout 0?\.\d+|(max|average)( [1-9]\d*)?|norm|relu|flatten"
)


@dataclass(frozen=True)
class LayerList(Family):
    """Layers in a row, from the pixels to what the logits read; each convolution or dense layer begins a block."""

    layers: tuple[str, ...] = ("flatten",)  # e.g. "conv 16", "relu", "max", "norm", "flatten", "dense 64", "relu"
    padding: str = "valid"  # of convolutions: valid (they see no border, and maps shrink) or same
    pixel_scale: float = Family.pixel_scale
    pixel_offset: float = Family.pixel_offset

    name: ClassVar[str] = "layer_list"

    def rules(self) -> dict[str, bool]:
        flat = self.layers.index("flatten") if self.layers.count("flatten") == 1 else 0
        early, late = "".join(self.layers[:flat]), "".join(self.layers[flat:])
        return {
            "layers are conv, max, average, dense, dropout, norm, relu or flatten with their numbers": all(
                map(LAYER.fullmatch, self.layers)
            ),
            "one flatten lies behind all conv, max and average and before all dense": self.layers.count("flatten") == 1
            and "dense" not in early
            and not re.search("conv|max|average", late),
            "padding is valid or same": self.padding in ("valid", "same"),
        }

    def smallest_side(self) -> int:
        return next(side for side in itertools.count(1) if self._side(side) > 0)

    def _side(self, side: int) -> int:
        """Side of the maps that are flattened, from that of the image; 0 or less where nothing is left."""
        for kind, *numbers in map(str.split, self.layers):
            if kind == "conv" and self.padding == "valid":
                side -= int(numbers[1] if len(numbers) > 1 else 3) - 1
            elif kind in ("max", "average"):
                side //= int(numbers[0] if numbers else 2)
        return side

    def scale(self, factor: float) -> "LayerList":
        """Other filters and units, at least 4 each."""

        def scaled(layer: str) -> str:
            kind, *numbers = layer.split()
            if kind not in ("conv", "dense"):
                return layer
            return " ".join([kind, str(max(4, round(int(numbers[0]) * factor))), *numbers[1:]])

        return self if factor == 1 else self.replace(layers=tuple(map(scaled, self.layers)))

    def features(self, x):
        block = 0
        for kind, *numbers in map(str.split, self.layers):
            block += kind in ("conv", "dense")
            name = "flatten" if kind == "flatten" else f"Block_{block}__{kind}"
            x = self._layer(x, kind, [float(number) for number in numbers], name=name)
        return x

    def _layer(self, x, kind: str, numbers: list[float], *, name: str):
        from keras import layers

        from lib.models import blocks

        first, second = (*map(int, numbers), 0, 0)[:2]
        if kind == "norm":
            return blocks.normalise(x, name)
        made = {
            "conv": lambda: layers.Conv2D(
                first, second or 3, padding=self.padding, kernel_initializer="he_normal", name=name
            ),
            "dense": lambda: layers.Dense(first, kernel_initializer="he_normal", name=name),
            "dropout": lambda: layers.Dropout(numbers[0], name=name),
            "max": lambda: layers.MaxPooling2D(first or 2, name=name),
            "average": lambda: layers.AveragePooling2D(first or 2, name=name),
            "relu": lambda: layers.ReLU(name=name),
            "flatten": lambda: layers.Flatten(name=name),
        }
        return made[kind]()(x)
