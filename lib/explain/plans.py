"""How much notebook 04 computes at each size, and the attribution methods with the settings it uses."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lib.explain import METHODS
from lib.explain.attributions.occlusion import Occlusion
from lib.explain.attributions.rise import Rise
from lib.explain.features.activation_maximisation import LADDER, Recipe


@dataclass(frozen=True)
class Plan:
    """What grows with the profile: numbers of images, masks and steps."""

    scored: int  # images of val that every method explains for the pointing game
    changed: int  # of these, images that are taken apart and put together
    shuffled: int  # of these, images explained again at every depth of shuffled weights
    masks: int  # of RISE
    steps: int  # of activation maximisation


PLANS = {
    "smoke": Plan(scored=6, changed=2, shuffled=1, masks=20, steps=4),
    "quick": Plan(scored=36, changed=18, shuffled=3, masks=100, steps=48),
    "full": Plan(scored=480, changed=120, shuffled=24, masks=1000, steps=256),
}


def methods(plan: Plan, *, image_size: int) -> dict[str, Callable[..., np.ndarray]]:
    """The attribution methods, to be called as (model, images, class_index); those that ask often ask less often.

    Args:
        plan: how dear they may be.
        image_size: side of the images in pixels.
    """
    size = max(2, image_size // 5)
    settings = {"occlusion": Occlusion(size=size, stride=max(1, size // 2)), "rise": Rise(masks=plan.masks)}
    return {name: partial(method, **_given(settings.get(name))) for name, method in METHODS.items()}


def recipe(plan: Plan) -> Recipe:
    """Activation maximisation with all ingredients, in the plan's number of steps."""
    return replace(LADDER["+ moves"], steps=plan.steps)


def _given(settings) -> dict:
    return {} if settings is None else {"settings": settings}
