"""The networks: one file per family, its settings beside its `build`; their blocks; the graph that TensorBoard draws.

All are flat functional Keras models from pixels in [0, 255] to logits. Four are backbones, which others have trained
(`backbone`, `weights`). Adding a family touches its file, its test and the list below.
"""

from lib.models.alexnet import AlexNet
from lib.models.backbone import Backbone
from lib.models.conv_blocks import ConvBlocks
from lib.models.layer_list import LayerList
from lib.models.lite0 import Lite0
from lib.models.mlp import Mlp
from lib.models.residual import Residual
from lib.models.simple_cnn import SimpleCnn
from lib.models.softmax import Softmax
from lib.models.vgg19 import Vgg19
from lib.models.weights import WeightsError
from lib.models.xception import Xception

BACKBONES = (Lite0, Xception, Vgg19, AlexNet)
FAMILIES = {family.name: family for family in (Softmax, Mlp, SimpleCnn, ConvBlocks, Residual, LayerList, *BACKBONES)}

__all__ = [
    "FAMILIES",
    "AlexNet",
    "Backbone",
    "ConvBlocks",
    "LayerList",
    "Lite0",
    "Mlp",
    "Residual",
    "SimpleCnn",
    "Softmax",
]
__all__ += ["Vgg19", "WeightsError", "Xception"]
