"""A finished report folder of the demo brief, written down in no time instead of being trained and executed."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell
from tiny_notebooks import tiny_notebook, write

from lib import briefs
from lib.config import paths
from lib.datasets.storage import write_table
from lib.report import pages
from lib.report.hand_in import pack
from lib.report.notebooks import freshness, table
from lib.report.results import open_results, read_values

CLASSES = ["ant", "bee", "cat & dog"]
IMAGES = [f"{name}/{number}.jpg" for name in CLASSES for number in range(4)]
BEST, BASELINE = "best-seed0-0123456789", "baseline-seed0-abcdef0123"
HISTORY = {
    "epoch": [1, 2],
    "loss": [1.5, 1.25],
    "accuracy": [0.25, 0.5],
    "val_loss": [1.5, 1.375],
    "val_accuracy": [0, 0.5],
}
MACHINE = {"cpu": "Some Processor", "cores": 2, "threads": 2, "python": "3.11.7", "tensorflow": "2.21.0"}


def make_run(folder, *, accuracy):
    """A run folder with everything that a trained one holds."""
    folder.mkdir(parents=True)
    config = {"experiment": folder.name.split("-")[0], "seed": 0, "classes": CLASSES, "settings": {"why": "?"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.json").write_text(json.dumps({"val_accuracy": accuracy}))
    (folder / "environment.json").write_text(json.dumps(MACHINE | {"wall_seconds": 90.0}))
    pd.DataFrame(HISTORY).to_csv(folder / "history.csv", index=False)
    (folder / "model.keras").write_bytes(b"weights")
    (folder / "checkpoint.npz").write_bytes(b"weights")
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]], dtype="float32")
    facts = {"rows": np.array([0, 4, 8]), "labels": np.array([0, 1, 2]), "probabilities": probabilities}
    np.savez(folder / "predictions_test.npz", **facts)


def make_small_report(brief="demo", *, profile="smoke"):
    """Write the report; returns its folder. On test it is right for two images of three."""
    folder = paths.report(brief)
    for run, accuracy in ((BASELINE, 0.5), (BEST, 0.75)):
        make_run(folder / "runs" / run, accuracy=accuracy)
    roles = ["test", "train", "train", "val"] * 3
    split = pd.DataFrame({"path": IMAGES, "label": np.repeat(range(3), 4), "role": roles})
    explore = open_results(brief, notebook="01_explore", profile=profile)
    write_table(folder / "split.csv", split, split="0" * 64)
    explore.save_value("dataset.images", len(IMAGES))
    experiments = open_results(brief, notebook="02_experiments", profile=profile)
    rows = {
        "experiment": ["baseline", "best", "softmax"],
        "seed": [0, 0, 0],
        "minutes": [1.5, 10.25, 9.0],
        "val_accuracy": [0.5, 0.75, None],
        "run": [BASELINE, BEST, BASELINE],
    }
    experiments.save_table("experiments", pd.DataFrame(rows), caption="Every `run`.", runs=[BASELINE, BEST])
    best = open_results(brief, notebook="03_best_model", profile=profile)
    numbers = {"experiment": "best", "test_accuracy": 2 / 3, "train_minutes": 1.5, "parameters": 64733}
    for name, value in numbers.items():
        best.save_value(f"best.{name}", value, runs=[BEST])
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([0, 1], [0, 1])
    best.save_figure("curves", figure, caption="It <rises> on `val`.", alt="A rising line", runs=[BEST])
    _write_pages_of_notebooks(folder, brief)
    pages.write_pages(small_study(brief, profile))
    return folder


def small_study(brief, profile, notice=""):
    """What the pages read from an opened brief."""
    left_out = pd.DataFrame({"path": ["ant/odd & broken.jpg"], "reason": ["not an image"]})
    facts = {"title": "Small photos", "source": "drawn", "licence": "none", "citation": "none", "checksum": "0" * 64}
    dataset = SimpleNamespace(left_out=left_out, **facts)
    return SimpleNamespace(brief=briefs.load(brief), profile_name=profile, dataset=dataset, notice=notice)


def _write_pages_of_notebooks(folder, brief):
    (folder / "notebooks").mkdir()
    for name in briefs.load(brief).notebooks:
        with freshness.recording(name, folder, made_from={"the code in lib": freshness.code()}):
            write(tiny_notebook(new_code_cell("1 + 1"), name=name), folder / "notebooks", name)
            back = '<!DOCTYPE html><html lang="en"><title>A page</title><a href="index.html">Report</a></html>'
            (folder / f"{name}.html").write_text(back)


def finish(folder, brief="demo"):
    """Add what a finished report holds besides, so that it can be packed: stubs of values, files, written reports."""
    values = read_values(folder)
    for notebook in briefs.load(brief).notebooks:
        entry = {"value": False, "runs": [BEST], "notebook": notebook, "profile": "smoke"}
        missing = [name for name in table.missing(notebook, folder) if "." in name and not name.endswith(".csv")]
        values |= dict.fromkeys(missing, entry)
    (folder / "values.json").write_text(json.dumps(values))
    for name in pack.must_hold(brief):
        if not (folder / name).exists():
            (folder / name).write_text("{}" if name.endswith(".json") else "a stub")
    return folder


def change_value(folder, name, value):
    """Write another value, as if the notebook had found it."""
    values = read_values(folder)
    values[name]["value"] = value
    (folder / "values.json").write_text(json.dumps(values))
