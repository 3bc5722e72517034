"""What `make bench-explain` compares: our methods, xplique and tf-keras-vis, told to do the same.

The two libraries are no dependencies of this project; a route is measured where its library is installed.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.config import Config

OURS, XPLIQUE, TF_KERAS_VIS = "ours", "xplique", "tf-keras-vis"
MODULES = {XPLIQUE: "xplique", TF_KERAS_VIS: "tf_keras_vis"}
BATCH_SIZE = 64
# tf-keras-vis: its guided backpropagation leaves ReLU layers as they are, and the others it does not have.
OFFERED = {TF_KERAS_VIS: ("gradient", "smooth_gradient", "grad_cam", "grad_cam_plus_plus")}


@dataclass(frozen=True)
class Settings(Config):
    """Of the methods, for every route."""

    samples: int = 8  # of SmoothGrad
    noise: float = 0.15  # of SmoothGrad, as a share of the range of pixels
    steps: int = 8  # of integrated gradients
    patch: int = 16  # pixels a side of occlusion's patches, which do not overlap
    masks: int = 16  # of RISE
    cells: int = 7  # of RISE
    grey: float = 0.0  # of baseline, patches and masks

    def rules(self) -> dict[str, bool]:
        return {
            "samples, patch, masks and cells are positive": min(self.samples, self.patch, self.masks, self.cells) > 0,
            "steps is at least 2": self.steps >= 2,
        }


def installed() -> list[str]:
    """The routes that can be measured here."""
    return [OURS, *(route for route, module in MODULES.items() if importlib.util.find_spec(module))]


def offers(route: str, case: str) -> bool:
    """Whether a library has a method."""
    return case in OFFERED.get(route, (case,))


def make_explainer(route: str, case: str, model, settings: Settings, layer: str | None = None) -> Callable:
    """What a user of a library writes before the call that explains.

    Args:
        route: one of `installed()`.
        case: name of a method, a key of `explain.METHODS`, that the library `offers`.
        model: to explain, at its logits.
        settings: of the methods.
        layer: where class activation maps are read; None takes the last layer with rows and columns.

    Returns:
        Function of images (N, H, W, C) float32 and classes (N,) that gives the maps.
    """
    from lib.explain.network.taps import last_spatial_layer

    make = {OURS: _ours, XPLIQUE: _xplique, TF_KERAS_VIS: _tf_keras_vis}[route]
    return make(case, model, layer or last_spatial_layer(model), settings)


def _ours(case: str, model, layer: str, settings: Settings) -> Callable:
    from lib.explain import METHODS
    from lib.explain.attributions.integrated_gradients import IntegratedGradients
    from lib.explain.attributions.occlusion import Occlusion
    from lib.explain.attributions.rise import Rise
    from lib.explain.attributions.smooth_gradient import SmoothGradient

    options = {
        "smooth_gradient": {"settings": SmoothGradient(samples=settings.samples, noise=settings.noise)},
        "integrated_gradients": {"settings": IntegratedGradients(steps=settings.steps, baseline=settings.grey)},
        "grad_cam": {"layer": layer},
        "grad_cam_plus_plus": {"layer": layer},
        "occlusion": {"settings": Occlusion(size=settings.patch, stride=settings.patch, fill=settings.grey)},
        "rise": {"settings": Rise(masks=settings.masks, cells=settings.cells, fill=settings.grey)},
    }
    return functools.partial(METHODS[case], model, batch_size=BATCH_SIZE, **options.get(case, {}))


def _xplique(case: str, model, layer: str, settings: Settings) -> Callable:
    name, options = {
        "gradient": ("Saliency", {}),
        "gradient_x_input": ("GradientInput", {}),
        "smooth_gradient": ("SmoothGrad", {"nb_samples": settings.samples, "noise": 255 * settings.noise}),
        "integrated_gradients": ("IntegratedGradients", {"steps": settings.steps, "baseline_value": settings.grey}),
        "guided_backprop": ("GuidedBackprop", {}),
        "grad_cam": ("GradCAM", {"conv_layer": layer}),
        "grad_cam_plus_plus": ("GradCAMPP", {"conv_layer": layer}),
        "occlusion": (
            "Occlusion",
            {"patch_size": settings.patch, "patch_stride": settings.patch, "occlusion_value": settings.grey},
        ),
        "rise": (
            "Rise",
            {"nb_samples": settings.masks, "grid_size": settings.cells, "mask_value": settings.grey},
        ),
    }[case]
    method = getattr(importlib.import_module("xplique.attributions"), name)(model, batch_size=BATCH_SIZE, **options)
    rows = np.eye(model.output_shape[-1], dtype=np.float32)
    return lambda images, classes: np.asarray(method(images, rows[classes]))


def _tf_keras_vis(case: str, model, layer: str, settings: Settings) -> Callable:
    at_layer = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False}
    module, name, options = {
        "gradient": ("saliency", "Saliency", {}),
        "smooth_gradient": (
            "saliency",
            "Saliency",
            {"smooth_samples": settings.samples, "smooth_noise": settings.noise},
        ),
        "grad_cam": ("gradcam", "Gradcam", at_layer),
        "grad_cam_plus_plus": ("gradcam_plus_plus", "GradcamPlusPlus", at_layer),
    }[case]
    method = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)(model)
    scores = importlib.import_module("tf_keras_vis.utils.scores")
    return lambda images, classes: method(scores.CategoricalScore(classes.tolist()), images, **options)
