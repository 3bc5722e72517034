"""Records in, tables out: what was run, what it reached, how the settings differ, what a model is made of."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib import evaluation

RUN_COLUMNS = (
    "experiment",
    "seed",
    "why",
    "parameters",
    "epochs",
    "minutes",
    "val_accuracy",
    "val_loss",
    "train_accuracy",
    "train_loss",
)
LAYER_COLUMNS = ("layer", "type", "output_shape", "parameters")
NOT_THERE = "–"


def experiments_table(runs: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """One row an experiment and seed, in the order of the experiments' first appearance, then by seed.

    Args:
        runs: records with experiment and seed, and as many of why, parameters, epochs, minutes, val_accuracy, val_loss,
            train_accuracy and train_loss as there are (a failed run lacks some); accuracies in [0, 1], losses in nats.
            Other fields follow in further columns.

    Returns:
        The table; experiment, seed and val_accuracy are always there, what a record lacks is missing (NaN).

    Raises:
        ValueError: if there are no runs, one lacks its experiment or seed, or two are the same.
    """
    if not runs:
        raise ValueError("the table needs at least one run. Received: none")
    for run in runs:
        if run.get("experiment") is None or run.get("seed") is None:
            raise ValueError(f"every run must have an experiment and a seed. Received: {dict(run)}")
    frame = pd.DataFrame([dict(run) for run in runs])
    twice = frame[frame.duplicated(["experiment", "seed"])]
    if not twice.empty:
        first = twice.iloc[0]
        raise ValueError(
            f"an experiment and seed must appear once. Received: {first.experiment}, seed {first.seed} twice"
        )
    if "val_accuracy" not in frame:
        frame["val_accuracy"] = math.nan
    known = [column for column in RUN_COLUMNS if column in frame]
    others = [column for column in frame if column not in RUN_COLUMNS]
    first_seen = frame["experiment"].map({name: place for place, name in enumerate(frame["experiment"].unique())})
    frame = frame.iloc[np.lexsort((frame["seed"], first_seen))]
    return frame[known + others].reset_index(drop=True)


def experiments_summary(frame: pd.DataFrame, *, baseline: str, metric: str = "val_accuracy") -> pd.DataFrame:
    """One row an experiment: what its seeds reached, and whether that differs from the baseline beyond noise.

    Args:
        frame: one row an experiment and seed, as `experiments_table` gives.
        baseline: experiment that the others are compared with.
        metric: column to summarise, in [0, 1], more is better; missing values (failed runs) do not count.

    Returns:
        experiment, why, parameters and mean minutes (where the table has them), n (seeds with a value), mean, spread
        (sample standard deviation, 0 with one seed), difference (to the baseline's mean), verdict
        (`evaluation.compare_seeds`, else "baseline", "no finished run" or "no finished baseline") and result
        ("94.1 ± 0.2 (n=3)").

    Raises:
        ValueError: if a column is missing or the baseline is not in the table.
    """
    missing = [column for column in ("experiment", metric) if column not in frame]
    if missing:
        raise ValueError(
            f"the table must have the columns experiment and {metric}. Received: {', '.join(frame.columns)}"
        )
    values = {name: group[metric].dropna().to_numpy(float) for name, group in frame.groupby("experiment", sort=False)}
    if baseline not in values:
        raise ValueError(f"baseline must be one of {', '.join(values)}. Received: {baseline!r}")
    rows = []
    for name, group in frame.groupby("experiment", sort=False):
        row = {"experiment": name}
        if "why" in group:
            row["why"] = group["why"].iloc[0]
        if "parameters" in group:
            row["parameters"] = group["parameters"].max()
        if "minutes" in group:
            row["minutes"] = group["minutes"].mean()
        rows.append(row | _against(values[name], values[baseline], is_baseline=name == baseline))
    return pd.DataFrame(rows)


def format_mean_spread(values: Sequence[float], *, scale: float = 100.0, digits: int = 1) -> str:
    """Mean, sample standard deviation and number of seeds, e.g. "94.1 ± 0.2 (n=3)"; one seed has no spread to show.

    Args:
        values: one value a seed.
        scale: factor, 100 shows shares as per cent.
        digits: decimal places.

    Returns:
        The text, "– (n=0)" without values.

    Raises:
        ValueError: if a value is not finite.
    """
    values = np.asarray(values, dtype=float) * scale
    if not np.isfinite(values).all():
        raise ValueError(f"values must be finite. Received: {values.tolist()}")
    if values.size == 0:
        return f"{NOT_THERE} (n=0)"
    spread = f" ± {values.std(ddof=1):.{digits}f}" if values.size > 1 else ""
    return f"{values.mean():.{digits}f}{spread} (n={values.size})"


def settings_table(configs: Mapping[str, Mapping[str, object]], *, leave_out: Sequence[str] = ("why",)) -> pd.DataFrame:
    """The settings in which the experiments differ, one row an experiment.

    Args:
        configs: experiment name -> flat settings, e.g. `{"model.dropout": 0.2}`, as `Experiment.flat` gives.
        leave_out: settings never shown.

    Returns:
        experiment and the settings that are not the same everywhere; tuples as "16-32-64", truth values as yes and no,
        absent settings as "–".

    Raises:
        ValueError: if there are no experiments.
    """
    if not configs:
        raise ValueError("the table needs at least one experiment. Received: none")
    settings = [
        key for key in dict.fromkeys(key for config in configs.values() for key in config) if key not in leave_out
    ]
    shown = {key: [_readable(config.get(key)) for config in configs.values()] for key in settings}
    differing = {key: column for key, column in shown.items() if any(value != column[0] for value in column)}
    return pd.DataFrame({"experiment": list(configs), **differing})


def model_table(layers: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """The layers of a model with their sum.

    Args:
        layers: records with layer (name), type, output_shape (batch axis None or left out) and parameters.

    Returns:
        One row a layer, and a last one, "total", with all parameters.

    Raises:
        ValueError: if there are no layers or one lacks a field.
    """
    if not layers or any(not set(LAYER_COLUMNS) <= set(layer) for layer in layers):
        raise ValueError(f"each layer must have {', '.join(LAYER_COLUMNS)}, and there must be one. Received: {layers}")
    rows = [{column: layer[column] for column in LAYER_COLUMNS} for layer in layers]
    for row in rows:
        row["output_shape"] = " × ".join(str(side) for side in row["output_shape"] if side is not None)
    total = {"layer": "total", "type": "", "output_shape": "", "parameters": sum(row["parameters"] for row in rows)}
    return pd.DataFrame([*rows, total])


def to_markdown(frame: pd.DataFrame, *, digits: int = 4) -> str:
    """The table as GitHub Markdown, numbers to the right, without its index.

    Args:
        frame: any table.
        digits: significant digits of numbers that are not whole.

    Returns:
        Lines joined by newlines; missing values are "–", pipes and line breaks in texts cannot break the table.

    Raises:
        ValueError: if the table has no columns.
    """
    if not len(frame.columns):
        raise ValueError("the table must have at least one column. Received: none")
    head = [_cell(column, digits) for column in frame.columns]
    rule = ["---:" if pd.api.types.is_numeric_dtype(frame[column]) else "---" for column in frame.columns]
    rows = [[_cell(value, digits) for value in row] for row in frame.itertuples(index=False, name=None)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def _against(values: np.ndarray, reference: np.ndarray, *, is_baseline: bool) -> dict[str, object]:
    """The numbers of one experiment beside those of the baseline."""
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    difference = mean - float(reference.mean()) if n and len(reference) else math.nan
    if is_baseline:
        verdict = "baseline"
    elif not n:
        verdict = "no finished run"
    elif not len(reference):
        verdict = "no finished baseline"
    else:
        verdict = evaluation.compare_seeds(values, reference).verdict
    return {
        "n": n,
        "mean": mean,
        "spread": float(values.std(ddof=1)) if n > 1 else 0.0,
        "difference": difference,
        "verdict": verdict,
        "result": format_mean_spread(values),
    }


def _readable(value: object) -> object:
    if value is None:
        return NOT_THERE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return "-".join(map(str, value)) or "none"
    return value


def _cell(value: object, digits: int) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return NOT_THERE
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        whole = float(value).is_integer() or abs(value) >= 10**digits
        return f"{value + 0.0:,.0f}" if whole else f"{value:,.{digits}g}"
    return " ".join(str(value).split()).replace("|", "\\|")
