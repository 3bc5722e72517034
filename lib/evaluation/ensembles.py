"""The predictions of several models made into one: mean, blend, stack; and what goes wrong where few images fit many
weights.

`members` are probabilities (N, C), one array per model, of the same images in the same order. A ValueError
(`check_predictions`) says which rule they break. Everything works on stored predictions: no model is run.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from lib.evaluation.metrics import SMALLEST_PROBABILITY, accuracy, check_predictions, cross_entropy

STRENGTHS = (0.001, 0.01, 0.1)  # inverse L2 penalties of a stack, of which val chooses one
PARTS = 5  # of a small val, each predicted by what is fitted on the others


def blend(members: Sequence[np.ndarray], weights: np.ndarray | None = None) -> np.ndarray:
    """Weighted mean of log-probabilities, made into probabilities again: (N, C) float32.

    Args:
        members: probabilities (N, C) of each model.
        weights: (M,) one per member; None is the mean.

    Raises:
        ValueError: if the members differ in shape, or there is not one weight each.
    """
    logs = _logs(members)
    weights = np.full(len(logs), 1 / len(logs)) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (len(logs),):
        raise ValueError(f"a blend needs one weight per member, {len(logs)}. Received: shape {weights.shape}")
    return softmax(np.einsum("m,mnc->nc", weights, logs), axis=1).astype(np.float32)


def blend_weights(labels: np.ndarray, members: Sequence[np.ndarray]) -> np.ndarray:
    """The weights of the blend with the least cross entropy: (M,) float64, none negative, their sum 1.

    Cross entropy is convex in them, so there is one minimum. With a weight per member a few hundred images suffice.
    """
    labels, _ = check_predictions(labels, members[0])
    logs, images = _logs(members), np.arange(len(labels))
    right = logs[:, images, labels]  # (M, N)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        pooled = log_softmax(np.einsum("m,mnc->nc", weights, logs), axis=1)
        expected = np.einsum("nc,mnc->mn", np.exp(pooled), logs)
        return -pooled[images, labels].mean(), (expected - right).mean(axis=1)

    count = len(logs)
    constraint = {"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones(count)}
    options = {"jac": True, "method": "SLSQP", "bounds": [(0, 1)] * count, "constraints": constraint}
    found = minimize(loss, np.full(count, 1 / count), **options, options={"ftol": 1e-10, "maxiter": 500})
    weights = np.clip(found.x, 0, None)
    return weights / weights.sum()


def fit_stack(
    labels: np.ndarray, members: Sequence[np.ndarray], *, strength: float = 1.0, near: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Multinomial logistic regression on the members' log-probabilities, of zero mean and unit spread.

    Args:
        labels: (N,) int.
        members: probabilities (N, C) by models that have not seen these images. A model is too sure of what it was
            fitted on, and the stack would trust the one that has learnt most by heart.
        strength: inverse L2 penalty, C of scikit-learn.
        near: (M,) weights of a blend, from which the penalty keeps the stack from straying; None is the usual penalty,
            under which few images per weight make all classes alike.

    Returns:
        kernel (M * C, C) and bias (C,), float64, for `stack`; a class without images has the bias minus infinity.
    """
    labels, first = check_predictions(labels, members[0])
    (count, classes), logs, images = first.shape, _logs(members), np.arange(len(labels))
    near, inputs = np.zeros(len(logs)) if near is None else near, _inputs(members)
    scaler = StandardScaler().fit(inputs)
    values, blended = scaler.transform(inputs), np.einsum("m,mnc->nc", near, logs)
    unseen = np.bincount(labels, minlength=classes) == 0
    blended[:, unseen] = -np.inf

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = np.split(flat.reshape(-1, classes), [-1])
        logs = log_softmax(blended + values @ kernel + bias, axis=1)
        slope = np.exp(logs)
        slope[images, labels] -= 1
        by_kernel = values.T @ slope / count + kernel / (strength * count)
        penalty = (kernel**2).sum() / (2 * strength * count)
        return penalty - logs[images, labels].mean(), np.vstack([by_kernel, slope.mean(axis=0)]).ravel()

    options = {"maxiter": 1000, "gtol": 1e-5, "ftol": 1e-9}
    found = minimize(loss, np.zeros((values.shape[1] + 1) * classes), jac=True, method="L-BFGS-B", options=options)
    kernel, bias = np.split(found.x.reshape(-1, classes), [-1])
    kernel = kernel / scaler.scale_[:, None]
    bias = np.where(unseen, -np.inf, bias[0] - scaler.mean_ @ kernel)
    return {"kernel": kernel + np.kron(near[:, None], np.eye(classes)), "bias": bias}


def choose_stack(known: tuple, val: tuple) -> tuple[dict[str, np.ndarray], float]:
    """A stack near the blend of the same images, with the penalty that gives the least cross entropy on val.

    Args:
        known: labels and members of the images that fit it, as `fit_stack` has them.
        val: labels and members of the images that choose.

    Returns:
        What `fit_stack` returns, and the strength that val has chosen.
    """
    near = blend_weights(*known)
    tried = {strength: fit_stack(*known, strength=strength, near=near) for strength in STRENGTHS}
    losses = {strength: cross_entropy(val[0], stack(val[1], **fitted)) for strength, fitted in tried.items()}
    strength = min(losses, key=losses.get)
    return tried[strength], strength


def stack(members: Sequence[np.ndarray], kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What a fitted stack makes of the members' probabilities: (N, C) float32."""
    return softmax(_inputs(members) @ kernel + bias, axis=1).astype(np.float32)


def fitted_on_few(labels: np.ndarray, members: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """What each way to combine models reaches where it is fitted on a small val itself, as a table.

    A stack, here under the usual penalty, has a weight per member, class and class: thousands, for a val of hundreds of
    images. Each part of val is predicted by what was fitted on the others: no image judges what it has fitted.

    Args:
        labels: (N,) int, of val.
        members: name of each model -> its probabilities (N, C) on val.

    Returns:
        Columns approach (each member, mean, blend, stack), accuracy in [0, 1], inputs (numbers that are read per
        image), weights (numbers that are fitted) and rows (mean number of images that fit them).
    """
    names, predictions, (count, classes) = list(members), list(members.values()), next(iter(members.values())).shape
    parts = list(KFold(min(PARTS, count), shuffle=True, random_state=0).split(predictions[0]))
    kept = round(np.mean([len(fit) for fit, _ in parts]))

    def held_out(fit: Callable, predict: Callable) -> float:
        probabilities = np.empty((count, classes), np.float32)
        for known, held in parts:
            fitted = fit(labels[known], [one[known] for one in predictions])
            probabilities[held] = predict([one[held] for one in predictions], **fitted)
        return accuracy(labels, probabilities)

    inputs = len(names) * classes
    rows = [(name, accuracy(labels, members[name]), classes, 0, 0) for name in names]
    rows.append(("mean", accuracy(labels, blend(predictions)), inputs, 0, 0))
    blended = held_out(lambda *known: {"weights": blend_weights(*known)}, blend)
    rows.append(("blend", blended, inputs, len(names), kept))
    rows.append(("stack", held_out(fit_stack, stack), inputs, (inputs + 1) * classes, kept))
    return pd.DataFrame(rows, columns=["approach", "accuracy", "inputs", "weights", "rows"])


def _logs(members: Sequence[np.ndarray]) -> np.ndarray:
    """Log-probabilities (M, N, C) float64 of members that are alike in shape."""
    shapes = sorted({np.shape(one) for one in members})
    if len(shapes) != 1:
        raise ValueError(f"members must all have one shape (N, C). Received: {shapes or 'none'}")
    some_labels = np.zeros(len(members[0]), int)  # the rules of probabilities, which do not depend on labels
    checked = np.stack([check_predictions(some_labels, one)[1] for one in members])
    return np.log(np.maximum(checked, SMALLEST_PROBABILITY))


def _inputs(members: Sequence[np.ndarray]) -> np.ndarray:
    """What a stack reads: (N, M * C) float64."""
    return np.concatenate(_logs(members), axis=1)
