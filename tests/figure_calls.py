"""Made-up data for every figure, and one call of each; drawn once and kept for all tests."""

import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
from figure_rules import picture
from matplotlib.figure import Figure

from lib import evaluation, figures
from lib.explain.network.receptive_field import Patch

RNG = np.random.default_rng(0)
LONG = "a class name that is far too long to be shown in full anywhere $x_1$"
GREY = np.full((20, 30), 90, np.uint8)
WIDE = np.full((10, 200, 3), (200, 30, 30), np.uint8)
TALL = np.full((200, 10, 3), 40.4)
IMAGES = [GREY, WIDE, TALL, RNG.integers(0, 256, (8, 8, 1), dtype=np.uint8), np.zeros((1, 1, 3), np.uint8)]
IMAGE = RNG.integers(0, 256, (16, 20, 3), dtype=np.uint8)
SQUARES = RNG.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)

TRUE, PREDICTED = ["cat", "dog", LONG, "cat", "cat"], ["cat", "cat", "dog", "cat", "emu"]
ROWS = [("original", IMAGES), (LONG, IMAGES[:2])]
PAIRS = [(WIDE, TALL if number % 2 else GREY, f"pair {number}") for number in range(5)]
BLOCKS = [
    ("image", [], (None, 64, 64, 3), 0),
    ("Block_32", ["conv 3 × 3, 32 filters", "batch norm", "relu", LONG], (None, 32, 32, 32), 12_345),
    ("head", ["global average pooling", "dense"], (None, 10), 330),
]

BASELINES = ["centre", "contrast", "random"]
METHODS = ["gradient", "gradient_x_input", "smooth_gradient", "integrated_gradients", "guided_backprop"]
METHODS += ["grad_cam", "grad_cam_plus_plus", "occlusion", "rise"]
DRAWN = ["gradient", "gradient_x_input", "grad_cam_plus_plus", "rise"]  # few, for drawing is slow
MASKS = np.zeros((3, 16, 16), bool)
MASKS[0, 4:9, 5:12] = True
MAP_NAMES = ["cup 95 %", "✗ key 60 %\nis cup", f"{LONG}\nis {LONG}"]
DEPTHS = ["as trained", "logits", "Block_64", "all"]
VERDICTS = {name: (name == "rise", "hardly changes: fails") for name in DRAWN}
FRACTIONS = np.linspace(0, 1, 9)
FALLING = {name: 1 - FRACTIONS ** (1 / (n + 1)) for n, name in enumerate([*METHODS, *BASELINES])}
RISING = {name: 1 - curve for name, curve in FALLING.items()}
SIMILARITY = {name: [1, 0.9 - 0.1 * n, 0.8 - 0.1 * n, 0.7 - 0.1 * n] for n, name in enumerate(METHODS)}


def class_names(count):
    return [LONG, *(f"class-{i:03d}" for i in range(1, count))]


def counts(classes=12):
    return pd.DataFrame({"class_name": np.repeat(class_names(classes), np.arange(classes) % 7 + 1)})


def difficulty(classes=12):
    shares = np.linspace(0, 1, classes)
    shares[-1] = np.nan
    return pd.DataFrame({"class_name": class_names(classes), "images": range(classes), "accuracy": shares})


def predictions(classes=12):
    labels = np.arange(6 * classes) % classes
    weights = np.exp(np.random.default_rng(classes).normal(size=(len(labels), classes)) + 3 * np.eye(classes)[labels])
    return labels, weights / weights.sum(axis=1, keepdims=True)


def matrix(classes=12):
    return evaluation.confusion_matrix(*predictions(classes))


def results(classes=12):
    return evaluation.per_class(*predictions(classes), class_names=class_names(classes))


def history(*, epochs=6, seeds=1, best=0.8):
    tables = []
    for seed in range(seeds):
        epoch = np.arange(1, epochs + 1)
        accuracy = best * epoch / epochs + 0.02 * seed
        columns = {"epoch": epoch, "accuracy": accuracy, "val_accuracy": accuracy - 0.1}
        tables.append(pd.DataFrame({**columns, "loss": 2 - accuracy, "val_loss": 2.2 - accuracy}))
    return pd.concat(tables)


def histories(count=4):
    return {f"experiment_{i}": history(seeds=1 + i % 2, best=0.5 + 0.02 * i) for i in range(count)}


def experiments():
    columns = {"experiment": ["base", LONG, "broken", "best"], "mean": [0.6, 0.7, np.nan, 0.9]}
    return pd.DataFrame({**columns, "spread": [0.02, 0.0, 0.0, 0.1], "n": [3, 1, 0, 2]})


def costs():
    columns = {"experiment": ["base", "base", LONG, "broken"], "val_accuracy": [0.5, 0.7, 0.8, np.nan]}
    return pd.DataFrame({**columns, "minutes": [1.0, 3.0, 9.0, 1.0], "parameters": [1e4, 1e4, 2e6, np.nan]})


def maps(count=3, methods=DRAWN):
    rng = np.random.default_rng(1)
    return {name: rng.random((count, 16, 16)) if name != "rise" else np.zeros((count, 16, 16)) for name in methods}


def scores():
    rows = [(name, 0.9 - 0.05 * number) for number, name in enumerate([*METHODS, *BASELINES])]
    frame = pd.DataFrame(rows, columns=["method", "hit"]).assign(energy=lambda frame: frame["hit"] / 2, images=48)
    for measure in ("hit", "energy"):
        frame[f"{measure}_low"], frame[f"{measure}_high"] = frame[measure] - 0.06, frame[measure] + 0.04
    return frame


def map_rows():
    own = np.random.default_rng(2).normal(size=(8, 8, 5)).astype(np.float32)
    flat = np.zeros((2, 2, 2), np.float32)
    return [("Stem", own, [7, 0, 123, 4, 5], 128), (LONG, own[:4, :4, :3], [1, 2, 3], 3), ("silent", flat, [0, 9], 10)]


def depth_summary():
    columns = {"block": ["Stem", "Block_64", LONG], "height": [32, 16, 8], "channels": [8, 16, 32]}
    columns |= {"receptive_field": [3.0, 11.0, np.nan], "mean": [0.3, -0.1, 0.0]}
    return pd.DataFrame({**columns, "silent": [0.5, 0.25, 1.0], "dead": [0.0, 0.0, 0.125]})


def max_features(gated=False):
    one = {"channels": 64, "value": 3.14159, "gated": gated}
    whole, empty = Patch(0, 0, 16, 20), Patch(0, 0, 0, 0)
    return [
        SimpleNamespace(layer="Stem", channel=3, row=1, column=2, map=np.eye(8), patch=Patch(2, 3, 5, 4), **one),
        SimpleNamespace(layer=LONG, channel=63, row=0, column=0, map=-np.ones((1, 1)), patch=whole, **one),
        SimpleNamespace(layer="blind", channel=0, row=0, column=0, map=np.eye(2), patch=empty, **one),
    ]


def image_rows():
    parts = [IMAGE, IMAGE[:3, :3], IMAGE[:2], np.zeros((0, 0, 3))]
    return [("Stem\nchannel 3", parts, ["cup\n3.1", f"{LONG}\n2", "key\n1", "key\n0"]), (LONG, parts[:2], ["1", "0"])]


def ladder_rows():
    first = ("Stem, channel 3", [IMAGE] * 3, [9.1, 0.0, 11.3], [0.5, 0.0, 9.6])
    return [first, (LONG, [IMAGE] * 3, [1, 2, 3], [1, 1, 3])]


def filter_pairs(*, filters=3, slices=2, images=2, whole=True):
    rng = np.random.default_rng(3)
    own = rng.normal(size=(images, 8, 8, filters))
    own[..., -1] = 0
    return SimpleNamespace(
        channels=np.array([5, 0, 31])[:filters],
        total=32,
        colours=rng.normal(size=(filters, 3, 3, 3)) if whole else None,
        slices=rng.normal(size=(filters, slices, 3, 3)),
        inputs=np.array([[0, 2], [1, 0], [2, 1]])[:filters, :slices],
        shares=np.full((filters, slices), 0.4),
        maps=own,
    )


def map_pairs(*, layers=2):
    """Pairs of two images for each layer: a filter that reads colours, slices of others, a dead one."""
    found, kinds = [], [("bars", 135.0, 8.48), ("patches", 0.0, 0.0), ("nothing", 0.0, 0.0)]
    for number in range(2 * layers):
        kind, orientation, period = kinds[number % 3]
        own = (number % 3 < 2) * np.random.default_rng(number).normal(size=(7, 7))
        one = {"layer": LONG if number == 2 else "Block_1__conv", "channel": 3 + number, "channels": 384, "map": own}
        one |= {"source": 68, "share": 0.013, "row": 2, "column": 3, "patch": Patch(2, 3, 11, 11), "pattern": IMAGE}
        one |= {"filter": np.full((3, 3, 3), 0.2) if number % 2 else own[:5, :5], "follows": (-0.041, 0.2)}
        likes = SimpleNamespace(kind=kind, orientation=orientation, period=period, colours="yellow-green")
        found.append(SimpleNamespace(**one, image=IMAGE, preference=likes))
    return found


def progress(epochs=5):
    epoch = np.arange(1, epochs + 1)
    columns = {"epoch": epoch, "seconds": 0.5, "updates": 100 * epoch}
    return pd.DataFrame(columns | {"val_accuracy": 0.2 + 0.1 * np.log(epoch)})


def accuracies():
    columns = {"name": ["small batches", "full batch", "best on val"], "accuracy": [0.884, 0.61, 0.891]}
    return pd.DataFrame(columns | {"low": [0.878, 0.6, 0.885], "high": [0.89, 0.62, 0.897]})


def twin():
    steps = np.arange(1, 21)
    losses = 2.3 - 0.05 * steps
    return pd.DataFrame({"step": steps, "by_hand": losses, "keras": losses, "difference": np.where(steps % 2, 0, 2e-7)})


def speeds():
    routes = ["eager steps", "graph of an epoch", "Keras fit"]
    rows = [(route, size, speed * size) for size in (32, 512) for speed, route in enumerate(routes, start=1)]
    return pd.DataFrame(rows, columns=["route", "batch_size", "images_per_second"])


def gaps():
    names = ["four_layers", LONG, "four_l2"]
    rows = [(group, name, 1.0, 0.0, 0.9, 0.01) for group in ("four layers", "five layers") for name in names]
    return pd.DataFrame(rows, columns=["group", "experiment", "train_mean", "train_spread", "val_mean", "val_spread"])


def rates(diverged=(0, 3)):
    rows = [
        (variant, rate, np.nan if lost == 3 else 0.8, 0.75, 0.85, lost)
        for variant in ("plain", "batch_norm")
        for rate, lost in zip((0.1, 1.0), diverged, strict=True)
    ]
    return pd.DataFrame(rows, columns=["variant", "learning_rate", "mean", "low", "high", "diverged"])


def adam_steps():
    step = np.arange(1, 31)
    columns = {"step": step, "corrected": 1 / step, "uncorrected": 3 / step, "ratio": np.sqrt(step)}
    return pd.DataFrame(columns | {"corrected_loss": 2 / step, "uncorrected_loss": 3 / step})


def approaches():
    """A head, what goes on from it, and a training from scratch."""
    head = pd.DataFrame({"minutes": [0.5], "accuracy": [0.7]})
    tuned = pd.DataFrame({"minutes": [0.5, 3, 6], "accuracy": [0.7, 0.8, 0.82]})
    scratch = pd.DataFrame({"minutes": np.arange(1, 11), "accuracy": np.linspace(0.2, 0.69, 10)})
    return {"head": head, LONG: tuned, "from scratch": scratch}


def plane(classes=10, *, each=4):
    """Points (N, 2) of classes whose scatter grows with their number, and labels."""
    labels = np.repeat(np.arange(classes), each)
    return 9 * np.eye(2)[labels % 2] + labels[:, None] * np.random.default_rng(4).normal(size=(len(labels), 2)), labels


def steps(names=(71, 96, 224)):
    columns = {"step": list(names), "accuracy": [0.5, 0.6, 0.7], "low": [0.45, 0.56, 0.64], "high": [0.55, 0.64, 0.76]}
    return pd.DataFrame({**columns, "seconds": [2.25, 10.0, 1234.5]})


def recalls(classes=30):
    """Class i goes from 0.4 to 0.4 + (i - 5) / 100, at most 1; the last class has no images."""
    before = np.full(classes, 0.4)
    before[-1] = np.nan
    return class_names(classes), list(before), np.minimum(0.4 + (np.arange(classes) - 5) / 100, 1)


# name -> (positional arguments, keyword arguments that the function needs)
def trials() -> pd.DataFrame:
    """Six trials of a search."""
    values = {"model.width": [8, 16, 32] * 2, "training.learning_rate": [0.01] * 3 + [0.1] * 3}
    return pd.DataFrame({"trial": range(6), "val_accuracy": np.linspace(0.2, 0.7, 6)} | values)


CALLS = {
    "accuracy_against_cost": ((costs(),), {}),
    "accuracy_and_seconds": ((steps(),), {"step": "Image size (pixels)"}),
    "accuracy_over_minutes": ((approaches(),), {}),
    "attribution_grid": ((SQUARES, maps()), {"names": MAP_NAMES}),
    "before_after_grid": ((ROWS, ["a", "b", "c", "d", LONG]), {}),
    "class_counts": ((counts(40),), {}),
    "class_gains": (recalls(), {}),
    "class_difficulty": ((difficulty(40),), {}),
    "confusion": ((matrix(), class_names(12)), {}),
    "deletion_insertion_curves": ((FRACTIONS, FALLING, RISING), {}),
    "embedding": (plane(), {"class_names": class_names(10)}),
    "experiment_bars": ((experiments(),), {}),
    "feature_depth": ((depth_summary(),), {}),
    "feature_map_rows": ((IMAGE, map_rows()), {}),
    "filter_map_pairs": ((map_pairs(), ["cup", LONG]), {}),
    "filter_rows": ((filter_pairs(), [IMAGE, IMAGE]), {}),
    "first_steps": ((adam_steps(),), {}),
    "gap_dots": ((gaps(),), {}),
    "image_sizes": (([80, 8000, 300, 300], [100, 200, 200, 200]), {}),
    "learning_curves": ((histories(2),), {}),
    "max_feature_columns": ((IMAGE, max_features()), {}),
    "max_image_rows": ((image_rows(),), {}),
    "maximised_ladder": ((ladder_rows(), ["pixels", "+ waves", "+ moves"]), {}),
    "model_graph": ((BLOCKS,), {"opened": "Block_32"}),
    "network_strips": (({"softmax": BLOCKS[::2], f"baseline, {LONG}": BLOCKS * 4},), {}),
    "pair_grid": ((PAIRS,), {"columns": 3}),
    "importance_bars": (
        (pd.DataFrame({"setting": [LONG, "width"], "importance": [0.6, 0.1], "spread": [0.1, 0.05]}),),
        {},
    ),
    "per_class_bars": ((results(40),), {}),
    "pointing_game_bars": ((scores(),), {}),
    "predictions_grid": ((IMAGES, TRUE), {"predicted_names": PREDICTED, "confidences": [1, 0.5, 0.123, 0, 0.99]}),
    "progress_curves": (({"32 at 0.01": progress(), LONG: progress(2), "all at 0.01": progress(1)},), {}),
    "randomisation_curves": ((SIMILARITY,), {"depths": DEPTHS, "limit": 0.5}),
    "randomisation_maps": ((SQUARES[0], maps(4)), {"depths": DEPTHS, "verdicts": VERDICTS}),
    "rate_curves": ((rates(),), {"chance": 0.1}),
    "reference_dots": ((accuracies(),), {"references": {"MLP 256-128-100": 0.8833}}),
    "reliability": ((evaluation.reliability_bins(*predictions()),), {}),
    "sample_grid": ((IMAGES, TRUE), {}),
    "speed_bars": ((speeds(),), {}),
    "trial_lines": ((trials(),), {"choices": {"model.width": (8, 16, 32), "training.learning_rate": (0.01, 0.1)}}),
    "stopping_curves": (({"v1": history(), LONG: history(epochs=9)},), {"window": 3}),
    "twin_losses": ((twin(),), {"limit": 1e-5}),
}


def draw(name: str, *arguments, **options) -> Figure:
    """The figure of that name; `arguments`, where given, replace the usual ones, and options are added to them."""
    usual_arguments, needed = CALLS[name]
    return getattr(figures, name)(*(arguments or usual_arguments), **{**needed, **options})


@functools.cache
def usual(name: str) -> tuple[Figure, np.ndarray]:
    """The figure without options and its pixels, drawn once for all tests."""
    figure = draw(name)
    return figure, picture(figure).copy()
