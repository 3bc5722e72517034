"""A finished report folder without notebooks or training: runs, values, figures, tables and records."""

import json

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from lib import evaluation
from lib.config import Brief, paths
from lib.config.files import write_arrays, write_json
from lib.figures import tables
from lib.report.notebooks import freshness
from lib.report.results import Results
from lib.training.runs import Run

LADDER = {"softmax": 0.2, "naive": 0.58, "baseline": 0.6, "dropout": 0.4, "augment": 0.75, "pixels_64": 0.61}
ABLATION = {"best_short": 0.7, "without_augment": 0.5, "without_mirror": 0.69, "adamw": 0.8}
CLASSES = ["anchor", "bee", "cup"]
ROLES = {"train": 60, "val": 20, "test": 30}
FIGURES = {
    "01_explore": ["samples"],
    "02_experiments": ["learning_curves", "experiment_bars", "ingredients"],
    "03_best_model": [
        "model_graph",
        "networks",
        "best_learning_curves",
        "confusion_test",
        "good_predictions",
        "bad_predictions",
    ],
    "04_explainability": [
        "explained_images",
        "feature_maps",
        "feature_depth",
        "max_feature",
        "max_images",
        "deep_features",
        "deep_classes",
        "deep_feature_ingredients",
        "saliency",
        "saliency_mistakes",
        "randomisation_maps",
    ],
}


class Picture(Figure):
    """A grey rectangle, without the time that drawing takes."""

    def savefig(self, target, **_):
        Image.new("L", (300, 150), 128).save(target, "png")


def make_report_folder(brief: Brief, *, seeds: int = 3, classes=None, masks: bool = True, profile: str = "quick"):
    """Fill the report folder of a brief; returns the folder."""
    folder, classes = paths.report(brief.name), list(classes or CLASSES)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    plan = [(name, seed) for name in LADDER for seed in range(seeds)]
    plan += [(name, seed) for name in ABLATION for seed in range(seeds)] + [(brief.best, 0)]
    runs = [_make_run(folder, name, seed, rng=rng, classes=classes) for name, seed in plan]
    write = {name: Results(folder, notebook=name, profile=profile) for name in FIGURES}
    every, best = [run.id for run in runs], runs[-1]
    for name, names in FIGURES.items():
        ids = [] if name == "01_explore" else every if name == "02_experiments" else [best.id]
        for figure in names:
            write[name].save_figure(figure, Picture(), caption=f"It <shows> {figure}.", alt=f'A "{figure}".', runs=ids)
    _explore(write["01_explore"], len(classes))
    _experiments(write["02_experiments"], runs, brief)
    _best(write["03_best_model"], best, classes)
    _explain(write["04_explainability"], best, masks)
    record(folder)
    return folder


def add_transfers(folder, accuracies, *, notice="", profile="quick"):
    """Add what notebook 05 leaves: runs of seeds 0 and 1 of some transfers, and their table."""
    results, rows = Results(folder, notebook="05_transfer_learning", profile=profile), []
    for name, accuracy in accuracies.items():
        for seed in range(2):
            run = _make_run(folder, name, seed, rng=np.random.default_rng(0), classes=CLASSES)
            metrics = run.metrics() | {"val_accuracy": accuracy + 0.02 * seed}
            write_json(run.folder / "metrics.json", metrics)
            row = {"experiment": name, "seed": seed, "train_images": 60, "val_accuracy": metrics["val_accuracy"]}
            rows.append(row | {"seconds": 1.5, "trained": 700, "frozen": 900, "run": run.id})
    runs = [row["run"] for row in rows]
    results.save_table("transfers", pd.DataFrame(rows), caption="Transfers.", runs=runs)
    results.save_values({"notice": notice, "test_accuracy": 0.5}, prefix="transfer.", runs=runs)
    with freshness.recording("05_transfer_learning", folder, made_from={}):
        pass


def record(folder):
    """Write the records of all notebooks anew."""
    for name in FIGURES:
        (folder / "notebooks").mkdir(exist_ok=True)
        with freshness.recording(name, folder, made_from={}):
            pass


def _make_run(folder, name, seed, *, rng, classes) -> Run:
    run = Run(folder / "runs" / f"{name}-seed{seed}-0123456789")
    run.folder.mkdir(parents=True)
    accuracy = (LADDER | ABLATION).get(name, 0.9) + 0.02 * seed
    metrics = {"parameters": 1000 + len(name), "epochs": 12, "val_accuracy": accuracy, "val_loss": 1.0}
    metrics |= {"train_accuracy": min(1.0, accuracy + 0.2), "train_loss": 0.5}
    write_json(run.folder / "metrics.json", metrics)
    write_json(run.folder / "config.json", {"experiment": name, "seed": seed, "settings": {"why": "Does it help?"}})
    write_json(run.folder / "environment.json", {"wall_seconds": 90.0, "commit": "0123456789abcdef"})
    history = {"epoch": [1], "accuracy": [metrics["train_accuracy"]], "val_accuracy": [accuracy]}
    pd.DataFrame(history).to_csv(run.folder / "history.csv", index=False)
    labels = np.arange(30) % len(classes)
    probabilities = rng.random((30, len(classes))).astype("float32")
    probabilities[np.arange(30), labels] += 0.6
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    arrays = {"rows": np.arange(30), "labels": labels, "probabilities": probabilities}
    write_arrays(run.folder / "predictions.npz", arrays)
    write_arrays(run.folder / "predictions_test.npz", arrays)
    return run


def _explore(results, classes):
    facts = {"title": "Drawn & co", "images": 110, "classes": classes, "left_out": 1}
    facts |= {"smallest_class": 36, "largest_class": 37}
    for name, value in facts.items():
        results.save_value(f"dataset.{name}", value)
    for role, count in ROLES.items():
        results.save_value(f"split.{role}", count)
    facts = {"mean": 0.41, "easiest": "anchor", "hardest": "cup", "hardest_taken_for": "bee"}
    for name, value in facts.items():
        results.save_value(f"difficulty.{name}", value)


def _experiments(results, runs, brief):
    ids, frame = [run.id for run in runs], tables.experiments_table([run.record() for run in runs])
    results.save_table("experiments", frame, caption="Every run.", runs=ids)
    ladder = frame[~frame["experiment"].isin(ABLATION)]
    summary = tables.experiments_summary(ladder, baseline=brief.baseline)
    train = ladder.groupby("experiment")["train_accuracy"].mean()
    results.save_table("summary", summary.join(train, on="experiment"), caption="The ladder.", runs=ids)
    settings = {name: {"image_size": 32, "training.epochs": 12, "model.name": "simple_cnn"} for name in LADDER}
    settings[brief.best] = {"image_size": 64, "training.epochs": 24, "model.name": "residual"}
    results.save_table("settings", tables.settings_table(settings), caption="Settings.", runs=ids)
    chosen = frame.groupby("experiment")["val_accuracy"].mean().sort_values()
    results.save_value("choice.experiment", chosen.index[-1], runs=ids)
    results.save_value("choice.val_accuracy", chosen.iloc[-1], runs=ids)


def _best(results, run, classes):
    ids, metrics = [run.id], run.metrics()
    _, labels, probabilities = run.predictions("test")
    scores = evaluation.summary(labels, probabilities)
    values = {f"test_{name}": scores[name] for name in ("accuracy", "top5_accuracy", "cross_entropy")}
    values |= {"test_balanced_accuracy": scores["balanced_accuracy"], "test_images": scores["images"]}
    values |= {"test_low": 0.3, "test_high": 0.95, "test_confidence": 0.6, "leaning": "too modest"}
    values |= {name: metrics[name] for name in ("parameters", "epochs", "train_accuracy", "val_accuracy")}
    values |= {"train_minutes": 1.5, "experiment": "best", "gap": 0.1, "perfect_classes": 0, "advice": "more images"}
    for name, value in values.items():
        results.save_value(f"best.{name}", value, runs=ids)
    per_class = evaluation.per_class(labels, probabilities, class_names=classes)
    results.save_table("per_class", per_class, caption="Classes.", runs=ids)
    pairs = evaluation.confused_pairs(evaluation.confusion_matrix(labels, probabilities), classes)
    results.save_table("confused_pairs", pairs, caption="Mistakes.", runs=ids)
    layer = {"layer": "Block_32__conv", "type": "Conv2D", "output_shape": (None, 8, 8, 32), "parameters": 864}
    results.save_table("model_summary", tables.model_table([layer]), caption="`model.summary()`.", runs=ids)


def _explain(results, run, masks):
    ids = [run.id]
    values = {"masks": masks, "scored_images": 20, "methods": 3, "deep_classes": 3, "deep_recognised": 3}
    values |= {"max_images_k": 9, "max_images_purity_first": 0.3, "max_images_purity_last": 0.6}
    values |= {"deep_moved_pixels": 0.1, "deep_moved_all": 0.8, "similarity_limit": 0.5}
    if masks:
        values |= {
            "pointing_game.centre": 0.6,
            "pointing_game.contrast": 0.7,
            "best_pointing": "integrated gradients",
            "best_pointing_hit": 0.9,
        }
    for name, value in values.items():
        results.save_value(f"explain.{name}", value, runs=ids)
    trust = {
        "rank": [1, 2, 3],
        "method": ["integrated gradients", "Grad-CAM", "guided backpropagation"],
        "trust": ["yes", "with care" if masks else "yes", "no"],
        "hit": [0.9, 0.6, 0.8] if masks else [np.nan] * 3,
        "deletion": [0.1, 0.2, 0.3],
        "insertion": [0.8, 0.7, 0.6],
        "similarity": [0.05, 0.1, 0.9],
    }
    results.save_table("trust", pd.DataFrame(trust), caption="Trust.", runs=ids)
    maps = {"block": ["Stem", "Block_32"], "height": [32, 8], "width": [32, 8], "channels": [16, 32]}
    maps |= {"receptive_field": [3.0, 27.0], "silent": [0.4, 0.7], "dead": [0.0, 0.1]}
    results.save_table("feature_maps", pd.DataFrame(maps), caption="Maps.", runs=ids)


def edit_value(folder, name, value):
    """Change one number in values.json by hand."""
    file = folder / "values.json"
    values = json.loads(file.read_text())
    values[name]["value"] = value
    file.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
