"""Numbers worked out again from the run folders, to compare with what values.json and the results table say."""

import math
from pathlib import Path

import pandas as pd

from lib import evaluation
from lib.training.runs import Run

FROM_METRICS = ("parameters", "epochs", "train_accuracy", "val_accuracy")
TOLERANCE = 1e-6  # relative: the same numbers, through text and back


def differing_values(folder: Path, values: dict) -> dict[str, float]:
    """Values of the best model that its run folder does not bear out.

    Args:
        folder: report folder.
        values: those of the entries of `values.json` that are to be borne out; without `best.test_accuracy`, which
            names the run, there is nothing to compare with.

    Returns:
        Name -> what the run says.

    Raises:
        RunError: if the run lacks a file.
    """
    entry = values.get("best.test_accuracy", {})
    if len(entry.get("runs", ())) != 1:
        return {}
    run = Run(folder / "runs" / entry["runs"][0])
    metrics = run.metrics()
    _, labels, probabilities = run.predictions("test")
    scores = {f"best.test_{name}": score for name, score in evaluation.summary(labels, probabilities).items()}
    scores |= {f"best.{name}": metrics[name] for name in FROM_METRICS if name in metrics}
    return {name: score for name, score in scores.items() if name in values and not same(values[name]["value"], score)}


def differing_cells(folder: Path, frame: pd.DataFrame) -> list[tuple[int, str, object, object]]:
    """Cells of the results table that the run folders do not bear out.

    Args:
        folder: report folder.
        frame: `tables/experiments.csv`.

    Returns:
        Row number from 0, column, what the table says, what the run says.

    Raises:
        RunError: if a run lacks a file.
    """
    if "run" not in frame:
        return []
    found = []
    for number, row in enumerate(frame.to_dict("records")):
        record = Run(folder / "runs" / row["run"]).record()
        found += [
            (number, column, row[column], value)
            for column, value in record.items()
            if column in row and not same(row[column], value)
        ]
    return found


def same(said: object, found: object) -> bool:
    """Whether two values agree, numbers to within rounding."""
    numbers = (int, float)
    if isinstance(said, numbers) and isinstance(found, numbers):
        return math.isclose(said, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (said != said and found != found)
    return said == found
