"""AlexNet in its version of one column (Krizhevsky 2014, "One weird trick"): five convolutions, three dense layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.models.backbone import Backbone, assign
from lib.models.weights import Weights

# filters, kernel size, whether it is pooled
CONVOLUTIONS = ((64, 11, True), (192, 5, True), (384, 3, False), (256, 3, False), (256, 3, True))
PYTORCH = {f"Block_{i}__conv": f"features.{number}" for i, number in enumerate((0, 3, 6, 8, 10), start=1)}
PYTORCH |= {"Block_6__dense": "classifier.1", "Block_7__dense": "classifier.4", "logits": "classifier.6"}


@dataclass(frozen=True)
class AlexNet(Backbone):
    """61 million parameters, 57 million of them in dense layers; `grid` and `units` make smaller ones, untrained."""

    cut: str = "Block_7__relu"
    grid: int = 6  # side of the maps that the dense layers read
    units: int = 4096  # of each dense layer

    name: ClassVar[str] = "alexnet"
    any_size: ClassVar[bool] = False
    cuts: ClassVar[tuple[str, ...]] = (*(f"Block_{i}__relu" for i in range(1, 6)), "pool", "Block_6__relu")
    cuts += ("Block_7__relu",)
    smallest: ClassVar[int] = 63
    pixel_scale: ClassVar[tuple[float, ...]] = (1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225)
    pixel_offset: ClassVar[tuple[float, ...]] = (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)

    def rules(self) -> dict[str, bool]:
        return super().rules() | {
            "grid and units are positive": min(self.grid, self.units) > 0,
            "grid is 6 and units is 4096 where weights are imagenet": self.weights != "imagenet"
            or (self.grid, self.units) == (6, 4096),
        }

    def scale(self, factor: float) -> "AlexNet":
        """Other dense layers, at least 4 units wide; those of published weights are as wide as these."""
        return self if self.weights == "imagenet" else self.replace(units=max(4, round(self.units * factor)))

    def published(self, *, top: bool = False) -> Weights:
        return Weights(
            file="alexnet-owt-7be5be79.pth",
            size=244_408_911,
            digest="sha256:7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            licence="BSD-3-Clause (torchvision)",
            trained_by="PyTorch's torchvision, on ImageNet-1k",
            address="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        )

    def network(self, x, *, top: bool):
        from keras import layers

        for number, (filters, size, pooled) in enumerate(CONVOLUTIONS, start=1):
            name, strides, padding = f"Block_{number}__", 4 if number == 1 else 1, "same"
            if strides > 1:  # here "same" would place the filters elsewhere
                x, padding = layers.ZeroPadding2D(2, name=f"{name}padding")(x), "valid"
            x = layers.Conv2D(filters, size, strides, padding=padding, name=f"{name}conv")(x)
            x = layers.ReLU(name=f"{name}relu")(x)
            x = layers.MaxPooling2D(3, 2, name=f"{name}pool")(x) if pooled else x
        x = self._gridded(x)
        x = layers.Permute((3, 1, 2), name="channels_first")(x)  # the order in which PyTorch flattens
        x = layers.Flatten(name="flatten")(x)
        for name in ("Block_6__", "Block_7__"):
            x = layers.Dropout(0.5, name=f"{name}dropout")(x)
            x = layers.Dense(self.units, name=f"{name}dense")(x)
            x = layers.ReLU(name=f"{name}relu")(x)
        return layers.Dense(1000, dtype="float32", name="logits")(x) if top else x

    def _gridded(self, x):
        """Maps averaged in `grid` x `grid` bins, which overlap where the side is no multiple of `grid`."""
        from keras import layers

        factor, rest = divmod(x.shape[1], self.grid)
        if x.shape[1] == 1:  # Keras' own adaptive pooling cannot be traced for a single position
            return layers.UpSampling2D(self.grid, name="pool")(x)
        if factor and not rest:
            return layers.AveragePooling2D(factor, name="pool")(x)
        if not hasattr(layers, "AdaptiveAveragePooling2D"):
            raise ValueError(
                f"alexnet needs a newer Keras for this size, e.g. 3.15, or images of {self._plain_side} px."
            )
        return layers.AdaptiveAveragePooling2D(self.grid, name="pool")(x)

    def load(self, model, file: Path) -> None:
        from lib.models.torch_file import read_state_dict

        assign(model, read_state_dict(file), name_of=PYTORCH.__getitem__)
