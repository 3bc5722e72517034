"""The networks: one file per family, its settings beside its `build`; their blocks; the graph that TensorBoard draws.

All are flat functional Keras models from pixels in [0, 255] to logits. Adding a family touches its file, its
test and the list below.
"""

from lib.models.conv_blocks import ConvBlocks
from lib.models.mlp import Mlp
from lib.models.residual import Residual
from lib.models.simple_cnn import SimpleCnn
from lib.models.softmax import Softmax

FAMILIES = {family.name: family for family in (Softmax, Mlp, SimpleCnn, ConvBlocks, Residual)}

__all__ = ["FAMILIES", "ConvBlocks", "Mlp", "Residual", "SimpleCnn", "Softmax"]
