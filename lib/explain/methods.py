"""The attribution methods by name. To add one, write its function in a file of `attributions/` and its entry here.

Titles, colours, benchmarks, what a report promises and the count in its prose follow from this table. Reading it loads
no TensorFlow; `load` does.
"""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass

from lib.config.brief import ExplainSizes


@dataclass(frozen=True)
class Method:
    """One attribution method."""

    title: str  # its name as the field writes it
    file: str  # in `attributions/`, which holds a function of the method's own name
    xplique: str = ""  # the class that does the same in `xplique.attributions`; "" where there is none
    tf_keras_vis: str = ""  # the module and class in `tf_keras_vis`


METHODS = {
    "gradient": Method("gradient", "gradient", "Saliency", "saliency.Saliency"),
    "gradient_x_input": Method("gradient × input", "gradient", "GradientInput"),
    "smooth_gradient": Method("SmoothGrad", "gradient", "SmoothGrad", "saliency.Saliency"),
    "integrated_gradients": Method("integrated gradients", "integrated_gradients", "IntegratedGradients"),
    # The guided backpropagation of tf-keras-vis leaves ReLU layers as they are.
    "guided_backprop": Method("guided backprop", "gradient", "GuidedBackprop"),
    "grad_cam": Method("Grad-CAM", "grad_cam", "GradCAM", "gradcam.Gradcam"),
    "grad_cam_plus_plus": Method("Grad-CAM++", "grad_cam", "GradCAMPP", "gradcam_plus_plus.GradcamPlusPlus"),
    "occlusion": Method("occlusion", "occlusion", "Occlusion"),
    "rise": Method("RISE", "rise", "Rise"),
}
# What methods are compared with: maps that know nothing of the model.
BASELINES = {"centre": "always the centre", "contrast": "the odd colour", "random": "at random"}


def title(name: str) -> str:
    """The name of a method or baseline as a reader knows it; of any other the name itself, in words."""
    return METHODS[name].title if name in METHODS else BASELINES.get(name, name.replace("_", " "))


def load(name: str) -> Callable:
    """The function of a method, called as (model, images, class_index, *, layer, settings, batch_size)."""
    if name not in METHODS:
        raise ValueError(f"Unknown method {name!r}. Methods: {', '.join(METHODS)}")
    return getattr(importlib.import_module(f"lib.explain.attributions.{METHODS[name].file}"), name)


def load_all(sizes: ExplainSizes) -> dict[str, Callable]:
    """Every method by name, called as (model, images, class_index), with as many masks as a profile allows."""
    from lib.explain.attributions.rise import Rise

    explainers = {name: load(name) for name in METHODS}
    return explainers | {"rise": functools.partial(explainers["rise"], settings=Rise(masks=sizes.masks))}
