"""How fast a training gets to where it ends: val accuracy over its minutes, alone and beside another one."""

import pandas as pd

from lib.training.runs import Run


def accuracy_by_minute(run: Run) -> pd.DataFrame:
    """Columns minutes (since the start, with what came before the first epoch) and accuracy on val, a row per epoch."""
    history, before = run.history(), run.metrics().get("seconds_before", 0.0)
    # What is kept of the last epoch may average each image with its mirror image.
    accuracy = [*history["val_accuracy"][:-1], run.metrics()["val_accuracy"]]
    return pd.DataFrame({"minutes": (before + history["seconds"].cumsum()) / 60, "accuracy": accuracy})


def beside(own: Run, other: Run) -> dict[str, object]:
    """Two trainings at equal minutes.

    Returns:
        other (its experiment), `<own and other>_accuracy` on val at their ends and `<own and other>_minutes`; and where
        own gets as far as other ends, `reached_minutes` until then.
    """
    curve, end = accuracy_by_minute(own), accuracy_by_minute(other).iloc[-1]
    facts = {"other": other.config()["experiment"], "other_accuracy": end["accuracy"], "other_minutes": end["minutes"]}
    facts |= {"own_accuracy": curve["accuracy"].iloc[-1], "own_minutes": curve["minutes"].iloc[-1]}
    reached = curve.loc[curve["accuracy"] >= end["accuracy"], "minutes"]
    return facts | ({"reached_minutes": reached.iloc[0]} if len(reached) else {})
