"""Fitting a head on features: by scikit-learn, or as a small network by the loop that trains all networks."""

import time
from collections.abc import Callable

import keras
import numpy as np

from lib.config import Experiment, FeatureModel
from lib.config.files import replacing
from lib.models.heads import DenseHead, Forest, LogisticRegression
from lib.training.fit import Data, fit_network
from lib.training.runs import Run
from lib.training.steps import predict_arrays
from lib.transfer.features import Features

NEVER = -50.0  # logit of a class that no training image has


def fit_head(
    head: FeatureModel,
    features: Features,
    split: tuple[np.ndarray, np.ndarray],
    *,
    num_classes: int,
    run: Run,
    seed: int,
) -> tuple[Callable[[np.ndarray], np.ndarray], dict]:
    """Fit a head.

    Args:
        head: its settings, of `lib.models.heads`.
        features: of all rows of train and val.
        split: rows that train, and rows that choose.
        num_classes: number of classes.
        run: where a network is kept, as `model.keras`: (B, F) features -> logits.
        seed: of weights, order, dropout and trees.

    Returns:
        Function from features (N, F) to probabilities (N, num_classes) float32, and figures for `metrics.json`.
    """
    train, val = split
    if isinstance(head, DenseHead):
        experiment = Experiment(why="a head on features", model=head, training=head.training)
        data, width = Data(lambda size: features, train, val), features.shape[0]
        options = {"build": lambda: head.build(num_classes, features=width), "run": run, "seed": seed}
        metrics, seconds = fit_network(experiment, data, **options)
        return predictor(run.load_model()), metrics | {"head_seconds": seconds}
    started = time.monotonic()
    values, labels = features.read(train), features.labels[train]
    if isinstance(head, Forest):
        forest = fit_forest(head, values, labels, seed=seed)
        sizes = {"trees": head.trees, "nodes": sum(tree.tree_.node_count for tree in forest.estimators_)}
        return forest_predictor(forest, num_classes), sizes | {"head_seconds": time.monotonic() - started}
    tried, val_values = {}, features.read(val)
    for strength in head.strengths:
        model = fit_logistic(values, labels, num_classes=num_classes, strength=strength)
        tried[strength] = model, np.mean(predictor(model)(val_values).argmax(axis=1) == features.labels[val])
    strength = max(tried, key=lambda one: tried[one][1])  # the first, strongest penalty among equals
    model = tried[strength][0]
    with replacing(run.folder / "model.keras") as partial:
        model.save(partial)
    found = {"strength": strength} | dict.fromkeys(("parameters", "trained_parameters"), model.count_params())
    return predictor(model), found | {"head_seconds": time.monotonic() - started}


def predictor(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A head that is a network, as a function from features to probabilities."""
    return lambda values: predict_arrays(model, values)


def fit_logistic(values: np.ndarray, labels: np.ndarray, *, num_classes: int, strength: float) -> keras.Model:
    """Multinomial logistic regression as a Keras model; the scaling of the features is folded into its weights.

    Args:
        values: (N, F) float32 features.
        labels: (N,) int in [0, num_classes); a class without images is never predicted.
        num_classes: number of logits.
        strength: inverse L2 penalty on the scaled features, C of scikit-learn.
    """
    from sklearn import linear_model
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values)
    solver = linear_model.LogisticRegression(C=strength, max_iter=1000).fit(scaler.transform(values), labels)
    kernel, bias = solver.coef_ / scaler.scale_, solver.intercept_
    bias = bias - kernel @ scaler.mean_
    if len(kernel) == 1:  # of two classes scikit-learn keeps one logit
        kernel, bias = np.concatenate([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    all_kernels, all_biases = np.zeros((num_classes, values.shape[1])), np.full(num_classes, NEVER)
    all_kernels[solver.classes_], all_biases[solver.classes_] = kernel, bias
    model = LogisticRegression().build(num_classes, features=values.shape[1])
    model.get_layer("logits").set_weights([all_kernels.T, all_biases])
    return model


def fit_forest(head: Forest, values: np.ndarray, labels: np.ndarray, *, seed: int):
    """A random forest of scikit-learn, the same however many cores grow it."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(head.trees, n_jobs=-1, random_state=seed).fit(values, labels)


def forest_predictor(forest, num_classes: int) -> Callable[[np.ndarray], np.ndarray]:
    """A forest as a function from features to probabilities."""
    forest.n_jobs = 1  # threads add the answers of trees up in the order in which they end, and round otherwise

    def predict(values: np.ndarray) -> np.ndarray:
        probabilities = np.zeros((len(values), num_classes), np.float32)
        probabilities[:, forest.classes_] = forest.predict_proba(values)
        return probabilities

    return predict


def folds_of(labels: np.ndarray, count: int) -> np.ndarray:
    """A fold for each image, (N,) int in [0, count): the images of a class take turns, in an order drawn once."""
    order = np.random.default_rng(0).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), int)
    folds[by_class] = np.arange(len(labels)) % count
    return folds
