"""What `make bench-explain` compares: our methods, xplique and tf-keras-vis, told to do the same.

The two libraries are no dependencies of this project; a route is measured where its library is installed.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.explain.methods import METHODS, load

OURS, XPLIQUE, TF_KERAS_VIS = "ours", "xplique", "tf-keras-vis"
MODULES = {XPLIQUE: "xplique", TF_KERAS_VIS: "tf_keras_vis"}
BATCH_SIZE = 64


@dataclass(frozen=True)
class Settings:
    """Of the methods, for every route."""

    samples: int = 8  # of SmoothGrad
    noise: float = 0.15  # of SmoothGrad, as a share of the range of pixels
    steps: int = 8  # of integrated gradients
    patch: int = 16  # pixels per side of occlusion's patches, which do not overlap
    masks: int = 16  # of RISE
    cells: int = 7  # of RISE
    grey: float = 0.0  # of baseline, patches and masks


def installed() -> list[str]:
    """The routes that can be measured here."""
    return [OURS, *(route for route, module in MODULES.items() if importlib.util.find_spec(module))]


def offers(route: str, case: str) -> bool:
    """Whether a library has a method."""
    return route == OURS or bool(getattr(METHODS[case], MODULES[route]))


def make_explainer(route: str, case: str, model, settings: Settings, layer: str | None = None) -> Callable:
    """What a user of a library writes before the call that explains.

    Args:
        route: one of `installed()`.
        case: name of a method that the library `offers`.
        model: to explain, at its logits.
        settings: of the methods.
        layer: where class activation maps are read; None takes the last layer with rows and columns.

    Returns:
        Function of images (N, H, W, C) float32 and classes (N,) that gives the maps.
    """
    from lib.explain.network.layers import read_layers

    make = {OURS: _ours, XPLIQUE: _xplique, TF_KERAS_VIS: _tf_keras_vis}[route]
    return make(case, model, layer or read_layers(model).find_spatial(), settings)


def _ours(case: str, model, layer: str, settings: Settings) -> Callable:
    from lib.explain.attributions.gradient import SmoothGradient
    from lib.explain.attributions.integrated_gradients import IntegratedGradients
    from lib.explain.attributions.occlusion import Occlusion
    from lib.explain.attributions.rise import Rise

    options = {
        "smooth_gradient": {"settings": SmoothGradient(samples=settings.samples, noise=settings.noise)},
        "integrated_gradients": {"settings": IntegratedGradients(steps=settings.steps, baseline=settings.grey)},
        "grad_cam": {"layer": layer},
        "grad_cam_plus_plus": {"layer": layer},
        "occlusion": {"settings": Occlusion(size=settings.patch, stride=settings.patch, fill=settings.grey)},
        "rise": {"settings": Rise(masks=settings.masks, cells=settings.cells, fill=settings.grey)},
    }
    return functools.partial(load(case), model, batch_size=BATCH_SIZE, **options.get(case, {}))


def _xplique(case: str, model, layer: str, settings: Settings) -> Callable:
    patches = {"patch_size": settings.patch, "patch_stride": settings.patch, "occlusion_value": settings.grey}
    options = {
        "smooth_gradient": {"nb_samples": settings.samples, "noise": 255 * settings.noise},
        "integrated_gradients": {"steps": settings.steps, "baseline_value": settings.grey},
        "grad_cam": {"conv_layer": layer},
        "grad_cam_plus_plus": {"conv_layer": layer},
        "occlusion": patches,
        "rise": {"nb_samples": settings.masks, "grid_size": settings.cells, "mask_value": settings.grey},
    }.get(case, {})
    make = getattr(importlib.import_module("xplique.attributions"), METHODS[case].xplique)
    method = make(model, batch_size=BATCH_SIZE, **options)
    rows = np.eye(model.output_shape[-1], dtype=np.float32)
    return lambda images, classes: np.asarray(method(images, rows[classes]))


def _tf_keras_vis(case: str, model, layer: str, settings: Settings) -> Callable:
    at_layer = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False}
    options = {
        "smooth_gradient": {"smooth_samples": settings.samples, "smooth_noise": settings.noise},
        "grad_cam": at_layer,
        "grad_cam_plus_plus": at_layer,
    }.get(case, {})
    module, name = METHODS[case].tf_keras_vis.split(".")
    method = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)(model)
    scores = importlib.import_module("tf_keras_vis.utils.scores")
    return lambda images, classes: method(scores.CategoricalScore(classes.tolist()), images, **options)
