"""How far train and val lie apart: both measured with the finished model, without dropout and augmentation.

The accuracy that training itself reports is that of changing weights on dropped units and changed images: under
regularisation it is too low, and the gap would look smaller than it is.
"""

from collections.abc import Sequence

import pandas as pd

from lib.config.files import read_json, write_json
from lib.evaluation.metrics import accuracy, summary
from lib.evaluation.uncertainty import bootstrap_interval, compare_predictions, compare_seeds, val_minus_test
from lib.training.device import import_tensorflow
from lib.training.network import NetworkJob
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run


def train_scores(opened: OpenBrief, run: Run) -> dict[str, float]:
    """Loss in nats and accuracy in [0, 1] of a finished run of a brief on its training images; kept in its folder."""
    file = run.folder / "train_scores.json"
    try:
        kept = read_json(file)
        return {"loss": kept["loss"], "accuracy": kept["accuracy"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none yet, or damaged
        import_tensorflow()
        from lib.inputs.generators import make_eval_dataset
        from lib.training.steps import make_evaluate

        data = make_eval_dataset(opened.images_of(run), opened.split.train)
        scores = dict(zip(("loss", "accuracy"), make_evaluate(run.load_model())(data), strict=True))
        write_json(file, scores)
        return scores


def gaps(opened: OpenBrief, runs: Sequence[Run]) -> pd.DataFrame:
    """One row per finished run of a brief: what it reaches on train and on val, and the difference.

    Returns:
        Columns experiment, seed, train_accuracy, val_accuracy, gap (in [0, 1]), train_loss, val_loss (nats) and run.
    """
    rows = []
    for run in runs:
        record, train = run.record(), train_scores(opened, run)
        row = {"experiment": record["experiment"], "seed": record["seed"], "train_accuracy": train["accuracy"]}
        row |= {"val_accuracy": record["val_accuracy"], "gap": train["accuracy"] - record["val_accuracy"]}
        rows.append(row | {"train_loss": train["loss"], "val_loss": record["val_loss"], "run": run.id})
    return pd.DataFrame(rows)


def val_and_test(opened: OpenBrief, runs: Sequence[Run]) -> pd.DataFrame:
    """`gaps` of runs that have predicted test, with what they reach there and what each gains over the one before it.

    Returns:
        Those columns, and parameters, test_accuracy with low and high (95 % bootstrap interval), val_minus_test with
        what `evaluation.val_minus_test` adds to it, and gain with gain_low and gain_high (on the same images of test,
        `evaluation.compare_predictions`; missing in the first row).
    """
    rows, before = [], None
    for row, run in zip(gaps(opened, runs).to_dict("records"), runs, strict=True):
        val, test = run.predictions()[1:], run.predictions("test")[1:]
        low, high = bootstrap_interval(*test)
        row |= {"parameters": run.metrics()["parameters"], "test_accuracy": accuracy(*test), "low": low, "high": high}
        row |= {f"val_minus_test{end}": found for end, found in val_minus_test(val, test).items()}
        if before is not None:
            gain = compare_predictions(*test, before)
            row |= {"gain": gain.difference, "gain_low": gain.low, "gain_high": gain.high}
        rows, before = [*rows, row], test[1]
    return pd.DataFrame(rows)


def of_draws(jobs: Sequence[NetworkJob]) -> pd.DataFrame:
    """What a network reaches on the test images of each draw of the split, as `draws.draw_jobs` plans them.

    Returns:
        One row per finished draw: draw (0 is the brief's own), what `evaluation.summary` says of test, val_accuracy,
        minutes of training, run.
    """
    rows = []
    for number, job in enumerate(jobs):
        if job.run.finished:
            scores = summary(*job.predict_test().predictions("test")[1:]).items()
            row = {"draw": number, **{f"test_{name}": score for name, score in scores}}
            row |= {"val_accuracy": job.run.metrics()["val_accuracy"], "minutes": job.run.record()["minutes"]}
            rows.append(row | {"run": job.run.id})
    return pd.DataFrame(rows)


def on_test(run: Run, *, against: Run) -> dict[str, object]:
    """What a run reached on test with its interval, and what it gains over another one on the same images.

    Returns:
        minutes, images, accuracy with low and high (95 % bootstrap interval), gain with gain_low and gain_high.
    """
    _, labels, probabilities = run.predictions("test")
    low, high = bootstrap_interval(labels, probabilities)
    gain = compare_predictions(labels, probabilities, against.predictions("test")[2])
    facts = {"minutes": run.record()["minutes"], "images": len(labels)}
    facts |= {"accuracy": accuracy(labels, probabilities), "low": low, "high": high}
    return facts | {"gain": gain.difference, "gain_low": gain.low, "gain_high": gain.high}


def gap_summary(frame: pd.DataFrame, *, groups: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """One row per experiment: its gap over the seeds, beside that of the first experiment of its group.

    Args:
        frame: as `gaps` gives it.
        groups: name -> experiments, the unregularised one first; those without a run are left out.

    Returns:
        Columns group, experiment, n, train_mean, train_spread, val_mean, val_spread, gap, gap_change (to the first
        of the group) and val_change, each change with a verdict: higher or lower where the 95 % interval of the
        difference leaves out zero, else unclear; the first one is the reference.
    """
    rows = []
    for group, names in groups.items():
        of = {name: frame[frame["experiment"] == name] for name in names}
        first = of[names[0]]
        for name, own in ((name, own) for name, own in of.items() if len(own)):
            row = {"group": group, "experiment": name, "n": len(own)}
            for side in ("train", "val"):
                values = own[f"{side}_accuracy"]
                row |= {f"{side}_mean": values.mean(), f"{side}_spread": values.std(ddof=1) if len(own) > 1 else 0.0}
            row["gap"] = own["gap"].mean()
            for column, label in (("gap", "gap"), ("val_accuracy", "val")):
                row[f"{label}_change"] = own[column].mean() - first[column].mean()
                row[f"{label}_verdict"] = "reference"
                if name != names[0]:
                    verdict = compare_seeds(own[column], first[column]).verdict
                    row[f"{label}_verdict"] = {"better": "higher", "worse": "lower"}.get(verdict, "unclear")
            rows.append(row)
    return pd.DataFrame(rows)
