"""Guided backpropagation: the gradient, with nothing negative let back through a ReLU (Springenberg et al. 2014)."""

import numpy as np

from lib.explain.attributions.attribution import Question, attribution, strongest_channel
from lib.explain.network.gradients import is_relu
from lib.explain.network.layers import IMAGE


@attribution(at=IMAGE)
def guided_backprop(question: Question) -> np.ndarray:
    """Sharp pictures of what the image shows; the largest guided gradient over the channels, unsigned.

    The model must have a ReLU. Warning: these maps say little about the model. Adebayo et al. (2018, "Sanity checks for
    saliency maps") found that they hardly change when the weights are replaced by random ones, and Nie et al. (2018)
    proved for simple networks that they recover the image rather than what decides between classes. Look at their
    weight randomisation before reading anything from them.
    """
    if not any(is_relu(step) for step in question.graph.steps.values()):
        raise ValueError("guided backpropagation changes the gradient of ReLUs, and the model has none")
    return question.over_gradients(lambda values, gradients: strongest_channel(gradients), guided=True)
