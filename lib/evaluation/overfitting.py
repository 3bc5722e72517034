"""What train and val loss say of each other: where a training stopped, what one batch teaches, val that is changed."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from lib.config import Augment, Experiment
from lib.evaluation.metrics import summary
from lib.training import schedules
from lib.training.network import NetworkJob
from lib.training.runs import Run


def stopping(experiments: Mapping[str, Experiment], runs: Iterable[Run]) -> pd.DataFrame:
    """Where the trainings that follow their smoothed val loss ended: one row per experiment, of its first seed.

    Returns:
        experiment, run, patience, and most_epochs, epochs, lowest_at and stopped of `schedules.stop`.
    """
    rows = []
    for run in runs:
        config = run.config()
        training = experiments[config["experiment"]].training if config["experiment"] in experiments else None
        if training is not None and training.early_stopping == "smoothed" and config["seed"] == 0:
            row = {"experiment": config["experiment"], "run": run.id, "patience": training.patience}
            rows.append(row | schedules.stop(training, run.history()["val_loss"].tolist()))
    return pd.DataFrame(rows)


def one_batch(run: Run) -> dict[str, float]:
    """What a training on a single batch learnt by heart, and at which epoch its val loss was lowest (turn)."""
    history, metrics = run.history(), run.metrics()
    last, lowest = history.iloc[-1], history.loc[history["val_loss"].idxmin()]
    return {
        "images": run.config()["settings"]["training.batch_size"],
        "parameters": metrics["parameters"],
        "epochs": len(history),
        "train_accuracy": last["accuracy"],
        "train_loss": last["loss"],
        "val_loss": last["val_loss"],
        "val_accuracy": last["val_accuracy"],
        "guessing": math.log(len(run.config()["classes"])),  # the loss of giving all classes the same probability
        "turn": int(lowest["epoch"]),
        "lowest": lowest["val_loss"],
    }


def changes_images(experiment: Experiment) -> bool:
    """Whether its training images are changed at random."""
    return experiment.augment.replace(fill=Augment().fill) != Augment()


def both_ways(jobs: Sequence[NetworkJob]) -> pd.DataFrame:
    """Trained networks judged on val as it is, and on val changed at random as their training images were.

    Returns:
        experiment, change_val, train_loss, and accuracy in [0, 1] and loss (mean cross entropy in nats) of val and of
        changed_val.
    """
    rows = []
    for job in jobs:
        row = {"experiment": job.name, "change_val": job.settings.change_val}
        row["train_loss"] = job.run.metrics()["train_loss"]
        job.predict_changed_val()
        for role in ("val", "changed_val"):
            scores = summary(*job.run.predictions(role)[1:])
            row |= {f"{role}_accuracy": scores["accuracy"], f"{role}_loss": scores["cross_entropy"]}
        rows.append(row)
    return pd.DataFrame(rows)


def confounded(table: pd.DataFrame, experiments: Mapping[str, Experiment]) -> list[dict[str, object]]:
    """Experiments that differ in what val they were trained by, with what both reach on either val.

    Args:
        table: as `both_ways` gives it.
        experiments: those that it names.
    """
    rows, facts = table.set_index("experiment").to_dict("index"), []
    for before in (name for name, row in rows.items() if row["change_val"]):
        for after in (name for name, row in rows.items() if not row["change_val"]):
            one, other = experiments[before], experiments[after]
            if (one.model, one.augment, one.image_size) == (other.model, other.augment, other.image_size):
                names = {"before": before, "after": after}
                scores = {
                    f"{role}_{how}": rows[name][f"{column}_accuracy"]
                    for role, name in names.items()
                    for how, column in (("plain", "val"), ("changed", "changed_val"))
                }
                facts.append(names | scores)
    return facts
