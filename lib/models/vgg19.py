"""VGG-19 (Simonyan & Zisserman 2014) as `keras.applications` has it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.models.backbone import Backbone
from lib.models.weights import Weights, of_keras

# bytes and md5 sum without the layers of the 1000 classes, then with them
FILES = ((80_134_624, "253f8cb515780f3b799900260a226db6"), (574_710_816, "cbe5617147190e668d6c5d5026f83318"))


@dataclass(frozen=True)
class Vgg19(Backbone):
    """16 convolutions, 20 million parameters; with its dense layers 144 million.

    The coursework drops its last six layers, block5 and the pool before it, and flattens the maps of `block4_conv4`.
    """

    cut: str = "block4_conv4"
    flatten: bool = True

    name: ClassVar[str] = "vgg19"
    cuts: ClassVar[tuple[str, ...]] = tuple(
        f"block{block}_{last}" for block in range(1, 6) for last in (f"conv{2 if block < 3 else 4}", "pool")
    )
    smallest: ClassVar[int] = 32
    pixel_offset: ClassVar[tuple[float, ...]] = (-123.68, -116.779, -103.939)

    def published(self, *, top: bool = False) -> Weights:
        import keras

        facts = {"licence": "CC BY 4.0", "trained_by": "the Visual Geometry Group, Oxford, on ImageNet-1k"}
        size, md5 = FILES[top]
        return of_keras(keras.applications.VGG19, top=top, size=size, md5=md5, **facts)

    def with_own_head(self, *, image_size: int | None = None):
        if image_size != 224:
            raise ValueError(f"The layers of vgg19's own 1000 classes read images of 224 px. Received: {image_size}")
        return super().with_own_head(image_size=image_size)

    def network(self, x, *, top: bool):
        import keras

        return keras.applications.VGG19(
            include_top=top, weights=None, input_tensor=x, classifier_activation=None, name="drawn"
        ).output

    def load(self, model, file: Path) -> None:
        super().load(model, file)
        first = model.get_layer("block1_conv1").kernel  # its weights read blue, green, red; our images are red first
        first.assign(first.numpy()[:, :, ::-1])
