"""What notebook 05 says in numbers, from the tables it shows: named values for `results.save_values`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib import evaluation
from lib.evaluation.generalisation import on_test
from lib.evaluation.uncertainty import Chance
from lib.transfer.answers import Known
from lib.transfer.compare import kind
from lib.transfer.jobs import HeadJob, TransferJob


def of_steps(frame: pd.DataFrame) -> dict[str, object]:
    """The first step of `compare.varied`, the smallest one, and the best one: accuracy and seconds."""
    facts = {}
    for name, row in (("first", frame.iloc[0]), ("best", frame.loc[frame["accuracy"].idxmax()])):
        facts |= {name: row["step"], f"{name}_accuracy": row["accuracy"], f"{name}_seconds": row["seconds"]}
    return facts


def of_ensemble(frame: pd.DataFrame) -> dict[str, object]:
    """The ensemble with the lowest cross entropy on val, of `compare.ensembles_table`, beside its best member."""
    best = frame.loc[frame["loss"].idxmin()]
    return {name: best[name] for name in frame.columns if name not in ("seed", "weights", "run")}


def of_few(frame: pd.DataFrame) -> dict[str, object]:
    """What each way to combine models reaches where few images fit it: of `ensembles.fitted_on_few`."""
    ways = frame.set_index("approach")["accuracy"]
    together = {way: ways.pop(way) for way in ("mean", "blend", "stack")}
    facts = {"best_member": ways.idxmax(), "best_member_accuracy": ways.max(), **together}
    return facts | {"stack_weights": int(frame["weights"].iloc[-1]), "stack_images": int(frame["rows"].iloc[-1])}


def of_gains(names: Sequence[str], before: pd.Series, after: pd.Series) -> dict[str, object]:
    """Which of some classes gain recall, and which gain most and least; both recalls are (C,) in [0, 1], or NaN."""
    gains = (after - before).to_numpy()
    facts = {"gain_most": names[np.nanargmax(gains)], "gain_least": names[np.nanargmin(gains)], "classes": len(names)}
    return facts | {"gain_high": np.nanmax(gains), "gain_low": np.nanmin(gains), "gained": int((gains > 0).sum())}


def of_doubts(frame: pd.DataFrame) -> dict[str, str]:
    """Sentences on what a reader must know before the numbers of `figures.tables.transfers_table`, which has `honest`.

    Returns:
        honest: which backbones have seen the images that they are judged on; above_chance: what is no better than a
        guess, as where features no longer belong to their labels.
    """
    seen, guesses = (frame[frame[column] == "no"]["experiment"].unique() for column in ("honest", "above_chance"))
    honest = f"Not honest transfer, since the backbone has seen these images: {', '.join(seen)}."
    chance = f"No better than a guess, and so no result at all: {', '.join(guesses)}."
    return {
        "honest": honest if len(seen) else "No backbone has seen the images that it is judged on.",
        "above_chance": chance if len(guesses) else "None of them is as bad as a guess.",
    }


def of_misplaced(job: HeadJob, *, most: int = 2000) -> dict[str, object]:
    """What a linear layer reads out of features that have lost their images, and the same layer out of those in order.

    Args:
        job: a head; its features are read, and neither its fit nor its kind.
        most: training images that the layer is fitted on.

    Returns:
        images (fitted on), val, guessing (share of the commonest class); `misplaced_` and `in_order_` accuracy and
        verdict on val, of `evaluation.above_chance`.
    """
    from lib.transfer.heads import fit_logistic, predictor

    val, classes = job.opened.split.val, len(job.opened.dataset.class_names)
    features = job.features(np.sort(np.concatenate([job.opened.split.train, val])))
    labels = features.labels
    rows = job.opened.split.train
    rows = rows[evaluation.one_class_in_turn(labels[rows])[:most]]
    facts = {"images": len(rows), "val": len(val)}
    for name, order in (("misplaced", np.random.default_rng(0).permutation(rows)), ("in_order", rows)):
        layer = fit_logistic(features.read(order), labels[rows], num_classes=classes, strength=0.001)
        chance = evaluation.above_chance(labels[val], predictor(layer)(features.read(val)))
        facts |= {f"{name}_accuracy": chance.accuracy, f"{name}_verdict": chance.verdict, "guessing": chance.guessing}
    return facts


def of_known(known: Known, chance: Chance) -> dict[str, object]:
    """What a backbone's own answers give, of `answers.ask`, by a table from them to our classes."""
    facts = {"backbone": known.backbone, "size": known.size, "images": len(known.val_labels)}
    return facts | {"accuracy": chance.accuracy, "guessing": chance.guessing, "verdict": chance.verdict}


def of_test(job: TransferJob, against: TransferJob) -> dict[str, object]:
    """What a job is, and what it reached on test beside another one: of `generalisation.on_test`."""
    return {"experiment": job.name, "kind": kind(job)} | on_test(job.run, against=against.run)
