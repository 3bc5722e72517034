"""Where in the network class activation maps are read: what each block's maps score in the pointing game."""

import keras
import numpy as np
import pandas as pd

from lib.explain.attributions.grad_cam import grad_cam
from lib.explain.attributions.grad_cam_plus_plus import grad_cam_plus_plus
from lib.explain.features.feature_maps import block_layers
from lib.explain.scoring.pointing_game import pointing_game

CAMS = {"grad_cam": grad_cam, "grad_cam_plus_plus": grad_cam_plus_plus}


def compare_layers(model: keras.Model, images: np.ndarray, class_index, *, masks: np.ndarray) -> pd.DataFrame:
    """Grad-CAM and Grad-CAM++ at the end of every block, from input to output.

    Early maps are fine but know little of classes; late ones know the classes but are coarse.

    Args:
        model: functional model.
        images: (N, S, S, 3) uint8 or float in [0, 255].
        class_index: class to explain, one for all images or (N,) one for each.
        masks: (N, S, S) bool, True on the object, which no image may lack.

    Returns:
        One row a block and method: block, layer, side (of its maps, in places), method, hit, energy, both in [0, 1].
    """
    rows = []
    for block, layer in block_layers(model).items():
        maps = {name: method(model, images, class_index, layer=layer) for name, method in CAMS.items()}
        side = model.get_layer(layer).output.shape[1]
        for score in pointing_game(maps, masks)[: len(maps)].itertuples():
            rows.append((block, layer, side, score.method, score.hit, score.energy))
    return pd.DataFrame(rows, columns=["block", "layer", "side", "method", "hit", "energy"])
