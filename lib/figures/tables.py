"""Records in, tables out: what was run, what it reached, how the settings differ, what a model is made of."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib import evaluation
from lib.figures.style import need, need_columns, need_each, shape_text

RUN_COLUMNS = ["experiment", "seed", "why", "parameters", "epochs", "minutes"]
RUN_COLUMNS += ["val_accuracy", "val_loss", "train_accuracy", "train_loss"]
TRANSFER_COLUMNS = ["experiment", "seed", "what", "data", "train_images", "backbone", "cut", "image_size", "head"]
TRANSFER_COLUMNS += ["val_accuracy", "low", "high", "train_accuracy", "verdict", "feature_seconds", "fit_seconds"]
TRANSFER_COLUMNS += ["seconds", "trained", "frozen", "run"]
OF_SEEDS = {"parameters": "max", "minutes": "mean", "trained": "max", "frozen": "max"}
OF_SEEDS |= dict.fromkeys(("feature_seconds", "fit_seconds", "seconds"), "mean")
LAYER_COLUMNS = ["layer", "type", "output_shape", "parameters"]
NOT_THERE = "–"


def experiments_table(runs: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """One row per experiment and seed, in the order of the experiments' first appearance, then by seed.

    Args:
        runs: records with experiment and seed, and as many of why, parameters, epochs, minutes, val_accuracy, val_loss,
            train_accuracy and train_loss as there are (a failed run lacks some); accuracies in [0, 1], losses in nats.
            Other fields follow in further columns.

    Returns:
        The table; experiment, seed and val_accuracy are always there, what a record lacks is missing (NaN).

    Raises:
        ValueError: if there are no runs, one lacks its experiment or seed, or two are the same.
    """
    need_each(runs=runs)
    for run in runs:
        named = run.get("experiment") is not None and run.get("seed") is not None
        need(named, "every run must have an experiment and a seed", dict(run))
    frame = pd.DataFrame([{**run, "val_accuracy": run.get("val_accuracy", math.nan)} for run in runs])
    for run in frame[frame.duplicated(["experiment", "seed"])].itertuples():
        need(False, "an experiment and seed must appear once", f"{run.experiment}, seed {run.seed} twice")
    known = [column for column in RUN_COLUMNS if column in frame]
    others = [column for column in frame if column not in RUN_COLUMNS]
    order = np.lexsort((frame["seed"], pd.factorize(frame["experiment"])[0]))
    return frame.iloc[order][known + others].reset_index(drop=True)


def experiments_summary(frame: pd.DataFrame, *, baseline: str) -> pd.DataFrame:
    """One row per experiment: what its seeds reached, and whether that differs from the baseline beyond noise.

    Args:
        frame: one row per experiment and seed, as `experiments_table` gives; failed runs have no val_accuracy.
        baseline: experiment that the others are compared with.

    Returns:
        experiment, why, parameters and mean minutes, and of transfers what, mean seconds, trained and frozen parameters
        (where the table has them), n (seeds with a value), mean, spread
        (sample standard deviation, 0 with one seed), difference (to the baseline's mean), verdict
        (`evaluation.compare_seeds`, else "baseline", "no finished run" or "no finished baseline") and result
        ("94.1 ± 0.2 (n=3)").

    Raises:
        ValueError: if a column is missing or the baseline is not in the table.
    """
    need_columns(frame, ["experiment", "val_accuracy"])
    groups = dict(list(frame.groupby("experiment", sort=False)))
    need(baseline in groups, f"baseline must be one of {', '.join(groups)}", repr(baseline))
    reached = {name: group["val_accuracy"].dropna().to_numpy(float) for name, group in groups.items()}
    rows = []
    for name, group in groups.items():
        row = {"experiment": name}
        row |= {column: group[column].iloc[0] for column in ("why", "what") if column in group}
        row |= {column: group[column].agg(how) for column, how in OF_SEEDS.items() if column in group}
        values, reference = reached[name], reached[baseline]
        row["n"] = len(values)
        row["mean"] = float(values.mean()) if len(values) else math.nan
        row["spread"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        row["difference"] = row["mean"] - float(reference.mean()) if len(reference) else math.nan
        if name == baseline:
            row["verdict"] = "baseline"
        elif not len(values):
            row["verdict"] = "no finished run"
        else:
            finished = len(reference) > 0
            row["verdict"] = evaluation.compare_seeds(values, reference).verdict if finished else "no finished baseline"
        percent = 100 * values
        spread = f" ± {percent.std(ddof=1):.1f}" if len(values) > 1 else ""  # one seed has no spread to show
        row["result"] = f"{percent.mean():.1f}{spread} (n={len(values)})" if len(values) else f"{NOT_THERE} (n=0)"
        rows.append(row)
    return pd.DataFrame(rows)


def transfers_table(records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """One row per transfer and seed, in the order of the transfers' first appearance; `experiments_summary` reads it.

    Args:
        records: as `transfer.records.record` gives: experiment, seed and val_accuracy in [0, 1], and as many of what,
            data, train_images, backbone, cut, image_size, head, low, high, train_accuracy, verdict, feature_seconds,
            fit_seconds, seconds, trained, frozen and run as there are.

    Returns:
        These columns, where one record at least has them, and above_chance ("yes", "no", "too few images").

    Raises:
        ValueError: as `experiments_table`.
    """
    frame = experiments_table(records)
    frame = frame[[column for column in TRANSFER_COLUMNS if column in frame]]
    if "verdict" in frame:
        words = {"above chance": "yes", "at chance": "no"}
        place = frame.columns.get_loc("verdict")
        above = frame["verdict"].map(lambda verdict: words.get(verdict, "too few images"), na_action="ignore")
        frame = frame.drop(columns="verdict")
        frame.insert(place, "above_chance", above)
    return frame


def settings_table(configs: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """The settings in which the experiments differ, one row per experiment; the question ("why") is left out.

    Args:
        configs: experiment name -> flat settings, e.g. `{"model.dropout": 0.2}`, as `Experiment.flat` gives.

    Returns:
        experiment and the settings that are not the same everywhere; tuples as "16-32-64" and "conv 16, relu", truth
        values as yes and no, absent settings as "–".
    """
    need_each(experiments=configs)
    settings = dict.fromkeys(key for config in configs.values() for key in config if key != "why")
    shown = {key: [_readable(config.get(key)) for config in configs.values()] for key in settings}
    differing = {key: column for key, column in shown.items() if any(value != column[0] for value in column)}
    return pd.DataFrame({"experiment": list(configs), **differing})


def _readable(value: object) -> object:
    if value is None:
        return NOT_THERE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return (", " if str in map(type, value) else "-").join(map(str, value)) or "none"
    return value


def model_table(layers: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """The layers of a model with their sum.

    Args:
        layers: records with layer (name), type, output_shape (batch axis None or left out), parameters.

    Returns:
        One row per layer, and a last one, "total", with all parameters.
    """
    complete = len(layers) > 0 and all(set(LAYER_COLUMNS) <= set(layer) for layer in layers)
    need(complete, f"each layer must have {', '.join(LAYER_COLUMNS)}, and there must be one", layers)
    rows = [{**layer, "output_shape": shape_text(layer["output_shape"])} for layer in layers]
    total = {"layer": "total", "type": "", "output_shape": "", "parameters": sum(row["parameters"] for row in rows)}
    return pd.DataFrame([*rows, total], columns=LAYER_COLUMNS)


def beside_published(
    published: pd.DataFrame, *, name: str, accuracy: float, interval: tuple[float, float], by_class: bool = False
) -> pd.DataFrame:
    """What others have reached, below one's own network.

    Args:
        published: as `catalogue.published_results` gives.
        name: of one's own network, trained from scratch.
        accuracy: on test, in [0, 1].
        interval: its ends.
        by_class: whether the accuracy is a mean over classes.
    """
    percent = "{:.1f} ({:.1f} to {:.1f})".format(*(100 * share for share in (accuracy, *interval)))
    measured = f"test{', mean over classes' * by_class}, with its 95 % interval"
    own = {"result": f"{name}, here", "accuracy (%)": percent, "measured on": measured}
    own |= {"protocol": "from scratch", "pretrained": "no", "source": "this report"}
    return pd.DataFrame([own, *published.to_dict("records")])


def beside_earlier(
    frame: pd.DataFrame, earlier: pd.DataFrame, *, settings: Mapping[str, Mapping[str, object]]
) -> pd.DataFrame:
    """What each experiment is and reached, beside the experiment of the same name in an earlier answer.

    Args:
        frame: as `experiments_table` gives, without failed runs.
        earlier: as `catalogue.earlier_answer` gives.
        settings: experiment -> flat settings, as `Experiment.flat` gives.

    Returns:
        One row per experiment: experiment, image_size, layers (of a network that lists them, with that of the logits),
        the means over its seeds of parameters, epochs, minutes, losses (nats) and accuracies, and earlier_accuracy (in
        [0, 1]) with earlier_setting where there are such; no rows where the earlier answer has none of them.
    """
    if not set(earlier.index) & set(frame["experiment"]):
        return pd.DataFrame()
    rows, answers = [], earlier.to_dict("index")
    for name, group in frame.groupby("experiment", sort=False):
        flat, known = settings[name], answers.get(name, {})
        row = {"experiment": name, "image_size": flat["image_size"]}
        row["layers"] = len(flat["model.layers"]) + 1 if "model.layers" in flat else math.nan
        row |= group[RUN_COLUMNS[3:]].mean().to_dict()
        row["earlier_accuracy"] = known.get("accuracy", math.nan)
        rows.append(row | {"earlier_setting": known.get("protocol", "")})
    return pd.DataFrame(rows)


def published_reached(published: pd.DataFrame, *, accuracy: float) -> dict[str, int]:
    """How many `results` of others without pretraining there are, and how many of them an accuracy has `reached`."""
    alone = published[published["pretrained"] == "no"]["accuracy (%)"].str.split().str[0].astype(float)
    return {"results": len(alone), "reached": int((alone <= 100 * accuracy).sum())}
