"""What the heads, transfers and ensembles of a brief reached, as one table, read from their runs."""

from collections.abc import Sequence

import pandas as pd

from lib import evaluation
from lib.config import Earlier, Ensemble, Head
from lib.training.runs import Run
from lib.transfer.jobs import TransferJob
from lib.transfer.plan import honesty

SCORES = ("val_accuracy", "val_loss", "val_low", "val_high", "test_accuracy", "test_loss", "test_low", "test_high")
OF_RUN = ("parameters", "trained_parameters", "epochs", "train_accuracy", "val_accuracy", "val_loss")


def transfers_table(jobs: Sequence[TransferJob]) -> pd.DataFrame:
    """One row per finished job and seed, in the order of the jobs.

    Returns:
        experiment, seed, why, kind (head, transfer, ensemble), dataset and train_images; backbone, weights (imagenet,
        random, own: of a network trained here; none: from scratch), image_size, cut, trained_from and head; parameters,
        trained_parameters, frozen_parameters and epochs; seconds and minutes, with those of the head that a transfer
        went on from; accuracies in [0, 1] and losses in nats of train, val and, where it was read, test, each with the
        ends of its 95 % bootstrap interval over images; honest (yes, no); run. What a job does not have is missing.
    """
    rows = [_row(job) for job in jobs if job.run.finished]
    first = ("experiment", "seed", "why", "kind", "dataset", "train_images", "backbone", "weights", "image_size", "cut")
    middle = ("trained_from", "head", "parameters", "trained_parameters", "frozen_parameters", "epochs", "seconds")
    return pd.DataFrame(rows, columns=[*first, *middle, "minutes", "train_accuracy", *SCORES, "honest", "run"])


def _row(job: TransferJob) -> dict:
    run, opened = job.run, job.opened
    record = run.record()
    row = {name: record.get(name) for name in ("experiment", "seed", "why", *OF_RUN, "minutes", "run")}
    row |= {"dataset": opened.dataset.name, "train_images": len(opened.split.train), **_network(job)}
    row["seconds"] = 60 * record["minutes"]
    if record.get("parameters") is not None:
        row["frozen_parameters"] = record["parameters"] - record.get("trained_parameters", 0)
    for role in ("val", "test"):
        if run.predictions_file(role).exists():
            row |= _scores(run, role)
    return row | {"honest": "yes" if honesty(job)[0] else "no"}


def _network(job: TransferJob) -> dict:
    """What a job is fitted on: its backbone, where that is cut, and the head."""
    settings = job.settings
    if isinstance(settings, Ensemble):
        return {"kind": "ensemble", "head": settings.how}
    head = settings if isinstance(settings, Head) else job.sources[0].settings if job.sources else None
    backbone = head.backbone if head else settings.model
    weights = "own" if isinstance(backbone, Earlier) else getattr(backbone, "weights", "none") if head else "none"
    return {
        "kind": "head" if isinstance(settings, Head) else "transfer",
        "backbone": backbone.source if isinstance(backbone, Earlier) else backbone.name,
        "weights": weights,
        "image_size": settings.image_size,
        "cut": getattr(backbone, "cut", ""),
        "trained_from": "" if isinstance(settings, Head) else getattr(settings.model, "trained_from", ""),
        "head": head.head.name if head else "",
    }


def _scores(run: Run, role: str) -> dict:
    """Of val only the interval: its accuracy and loss are those of the run's own record."""
    _, labels, probabilities = run.predictions(role)
    low, high = evaluation.bootstrap_interval(labels, probabilities)
    found = {"low": low, "high": high}
    if role == "test":
        found["accuracy"] = evaluation.accuracy(labels, probabilities)
        found["loss"] = evaluation.cross_entropy(labels, probabilities)
    return {f"{role}_{name}": score for name, score in found.items()}
