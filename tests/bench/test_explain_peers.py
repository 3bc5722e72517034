"""Maps beside those of xplique and tf-keras-vis, which are no dependencies: run where they are installed."""

import keras
import numpy as np
import pytest
from scipy import stats

from lib.bench.peers import OURS, TF_KERAS_VIS, XPLIQUE, Settings, installed, make_explainer
from lib.explain.network.gradients import backward
from lib.explain.network.logits import read_logits
from lib.models import Residual

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
SETTINGS = Settings(steps=16, patch=4)
SIZE, CLASSES = 32, 6
CLASS_OF = np.arange(24) % CLASSES


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A flat network of the repository; its weights need no training for maps to be compared."""
    keras.utils.set_random_seed(0)
    model = Residual(filters=(8, 16, 32)).build(CLASSES, image_size=SIZE)
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.2 * rng.random(w.shape) if w.ndim == 1 else w for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Blobs of colour."""
    coarse = np.random.default_rng(2).integers(0, 256, (24, 5, 5, 3)).astype(np.float32)
    return keras.ops.convert_to_numpy(keras.ops.image.resize(coarse, (SIZE, SIZE), "bilinear"))


def maps_of(route: str, case: str, model, images, layer: str | None = None) -> np.ndarray:
    if route not in installed():
        pytest.skip(f"{route} is not installed; it is no dependency")
    explain = make_explainer(route, case, model, SETTINGS, layer)
    return np.asarray(explain(images, CLASS_OF)).reshape(len(images), SIZE, SIZE)


def correlation(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Rank correlation (Spearman) of two maps of an image; 1 if both are flat."""
    return 1.0 if ours.std() == theirs.std() == 0 else stats.spearmanr(ours.ravel(), theirs.ravel()).statistic


def correlations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.array([correlation(*pair) for pair in zip(ours, theirs, strict=True)])


# Grad-CAM++ is missing: xplique takes means of maps where the paper has sums, tf-keras-vis normalises its weights.
@pytest.mark.parametrize("peer", [XPLIQUE, TF_KERAS_VIS])
@pytest.mark.parametrize("case, layer", [("gradient", None), ("grad_cam", "Stem__relu")])
def test_gradients_and_class_activation_maps_are_theirs(case, layer, peer, model, images):
    # At a layer of the image's own size, so that nothing is enlarged: each library has its own way to do that.
    theirs = maps_of(peer, case, model, images, layer)
    assert correlations(maps_of(OURS, case, model, images, layer), theirs).min() > 0.99


@pytest.mark.parametrize("case", ["gradient_x_input", "integrated_gradients", "occlusion"])
def test_signed_attributions_are_theirs_where_they_speak_for_the_class(case, model, images):
    theirs = np.maximum(maps_of(XPLIQUE, case, model, images), 0)
    assert correlations(maps_of(OURS, case, model, images), theirs).min() > 0.99


def test_guided_gradients_are_theirs(model, images):
    theirs = maps_of(XPLIQUE, "guided_backprop", model, images)  # the mean over the channels, signed
    _, gradients, _ = backward(read_logits(model), images, CLASS_OF, guided=True)
    assert correlations(gradients.numpy().mean(axis=-1), theirs).min() > 0.99


def test_enlarged_class_activation_maps_are_alike(model, images):
    theirs = maps_of(XPLIQUE, "grad_cam", model, images)  # bicubic from 8 x 8, ours bilinear
    assert correlations(maps_of(OURS, "grad_cam", model, images), theirs).mean() > 0.95
