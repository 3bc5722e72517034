"""Measured results that are worth committing: a small table, no images and no weights."""

from pathlib import Path

import pandas as pd

from lib.config import paths
from lib.report import results
from lib.training.runs import Run


def write_evidence(brief: str) -> Path:
    """Copy a report's results table to `reports/results/<brief>.csv`, with what the rows rest on.

    Each row of `tables/experiments.csv` gets its profile, commit and processor; the row of the best model also its
    test results.

    Args:
        brief: name of a brief whose report is made.

    Returns:
        The file.

    Raises:
        ValueError: if the report is not made.
    """
    folder = paths.report(brief)
    table, values = folder / "tables" / "experiments.csv", results.read_values(folder)
    if not table.exists() or "best.test_accuracy" not in values:
        raise ValueError(f"The report of {brief} is not made: run `make report BRIEF={brief}` first")
    frame = pd.read_csv(table)
    frame["profile"] = values["best.test_accuracy"]["profile"]
    environments = [Run(paths.runs(brief) / run).environment() for run in frame["run"]]
    for name in ("commit", "dirty", "cpu", "cores", "peak_memory_mb"):
        frame[name] = [environment[name] for environment in environments]
    best = frame["run"].isin(values["best.test_accuracy"]["runs"])
    for name in ("test_accuracy", "test_balanced_accuracy", "test_top5_accuracy", "test_cross_entropy"):
        frame.loc[best, name] = values[f"best.{name}"]["value"]
    target = paths.ROOT / "reports" / "results" / f"{brief}.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    frame.round(6).to_csv(target, index=False, lineterminator="\n")
    return target
