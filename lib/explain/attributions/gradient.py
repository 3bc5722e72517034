"""Gradient of the class's logit with respect to the pixels (Simonyan et al. 2013)."""

import numpy as np

from lib.explain.attributions.attribution import Question, attribution, strongest_channel
from lib.explain.network.layers import IMAGE


@attribution(at=IMAGE)
def gradient(question: Question) -> np.ndarray:
    """Where a small change of a pixel would change the logit most: the largest gradient over the channels, unsigned."""
    return question.over_gradients(lambda values, gradients: strongest_channel(gradients))
