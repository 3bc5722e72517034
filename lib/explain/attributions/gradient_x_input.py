"""Gradient times input: what each pixel adds to the logit, were the model linear (Shrikumar et al. 2016)."""

import numpy as np

from lib.explain.attributions.attribution import Question, attribution, positive_sum
from lib.explain.network.layers import IMAGE


@attribution(at=IMAGE)
def gradient_x_input(question: Question) -> np.ndarray:
    """Gradient of the logit times the pixel's value, summed over the channels.

    What speaks against the class is cut off. Black pixels are never marked, whatever they mean: their value is 0.
    """
    return question.over_gradients(lambda values, gradients: positive_sum(values * gradients))
