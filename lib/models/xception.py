"""Xception (Chollet 2017) as `keras.applications` has it."""

from dataclasses import dataclass
from typing import ClassVar

from lib.models.backbone import Backbone
from lib.models.weights import Weights, of_keras

# bytes and md5 sum without the layers of the 1000 classes, then with them
FILES = ((83_683_744, "b0042744bf5b25fce3cb969f33bebb97"), (91_884_032, "0a58e3b7378bc2990ea3b43d5981f1f6"))
RESIDUALS = {"Conv2D": ("residual", (2, 3, 4, 13)), "BatchNormalization": ("residual_bn", (2, 3, 4, 13))}
RESIDUALS |= {"Add": ("add", range(2, 14))}  # what Keras leaves without names, block by block


@dataclass(frozen=True)
class Xception(Backbone):
    """21 million parameters without the layer of the 1000 classes."""

    cut: str = "block14_sepconv2_act"

    name: ClassVar[str] = "xception"
    cuts: ClassVar[tuple[str, ...]] = (
        *(f"block{number}_add" for number in (2, 3, 4, 6, 8, 10, 12, 13)),
        "block14_sepconv1_act",
        "block14_sepconv2_act",
    )
    smallest: ClassVar[int] = 71
    pixel_scale: ClassVar[float] = 1 / 127.5
    pixel_offset: ClassVar[float] = -1.0

    def published(self, *, top: bool = False) -> Weights:
        import keras

        facts = {"licence": "MIT", "trained_by": "François Chollet (Keras), on ImageNet-1k"}
        size, md5 = FILES[top]
        return of_keras(keras.applications.Xception, top=top, size=size, md5=md5, **facts)

    def network(self, x, *, top: bool):
        import keras

        model = keras.applications.Xception(
            include_top=top, weights=None, input_tensor=x, classifier_activation=None, name="drawn"
        )
        for kind, (name, blocks) in RESIDUALS.items():
            unnamed = [layer for layer in model.layers if type(layer).__name__ == kind and layer.name[:5] != "block"]
            for layer, block in zip(unnamed, blocks, strict=True):
                layer.name = f"block{block}_{name}"
        return model.output
