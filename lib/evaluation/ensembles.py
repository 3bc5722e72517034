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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from lib.evaluation.metrics import SMALLEST_PROBABILITY, accuracy, check_predictions

STRENGTH = 0.1  # inverse L2 penalty of a stack, C of scikit-learn
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


def fit_stack(labels: np.ndarray, members: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Multinomial logistic regression on the members' log-probabilities.

    Args:
        labels: (N,) int.
        members: probabilities (N, C) by models that have not seen these images. A model is too sure of what it was
            fitted on, and the stack would trust the one that has learnt most by heart.

    Returns:
        kernel (M * C, C) and bias (C,), float64, for `stack`; a class without images has the bias minus infinity.
    """
    labels, first = check_predictions(labels, members[0])
    inputs = _inputs(members)
    scaler = StandardScaler().fit(inputs)
    solver = LogisticRegression(C=STRENGTH, max_iter=1000).fit(scaler.transform(inputs), labels)
    kernel, bias = np.zeros((first.shape[1], inputs.shape[1])), np.full(first.shape[1], -np.inf)
    bias[solver.classes_] = 0
    fitted = solver.classes_[-len(solver.coef_) :]  # of two classes scikit-learn keeps the logit of the second one
    kernel[fitted] = solver.coef_ / scaler.scale_
    bias[fitted] = solver.intercept_ - kernel[fitted] @ scaler.mean_
    return {"kernel": kernel.T, "bias": bias}


def stack(members: Sequence[np.ndarray], kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What a fitted stack makes of the members' probabilities: (N, C) float32."""
    return softmax(_inputs(members) @ kernel + bias, axis=1).astype(np.float32)


def fitted_on_few(labels: np.ndarray, members: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """What each way to combine models reaches where it is fitted on a small val itself, as a table.

    A stack has a weight per member, class and class: thousands, for a val of hundreds of images. Each part of val is
    predicted by what was fitted on the others, so that no image judges what it has fitted.

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
