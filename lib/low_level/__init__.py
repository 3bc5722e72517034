"""Networks fitted by hand-written TensorFlow: a brief's perceptrons and what is measured with them, a run folder each.

TensorFlow is imported only where something is missing.
"""

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from lib.config import Perceptron, paths
from lib.config.files import write_json
from lib.low_level.images import FlatImages, flatten
from lib.low_level.rates import rate_facts, rate_summary, with_ratio
from lib.training import runs, workers
from lib.training.device import import_tensorflow
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run

__all__ = [
    "MEASUREMENTS",
    "PUBLISHED",
    "Perceptrons",
    "open_perceptrons",
    "rate_facts",
    "rate_summary",
    "train_missing",
    "with_ratio",
]

# What is measured, and with which of the brief's perceptrons.
MEASUREMENTS = {
    "rates_of_adam": ("plain", "adam", "uncorrected"),
    "rates_of_norm": ("plain", "batch_norm"),
    "first_steps": ("adam",),
    "keras_twin": ("ten_classes",),
    "speed": ("ten_classes",),
}
# A measurement of seconds: nothing else may run meanwhile, and it needs a process of its own. Trainings leave theirs
# with deterministic kernels, for which Keras does without XLA.
ALONE = ("speed",)
LATE = 5  # epochs at the end whose mean says where a training settled: single epochs go up and down
# Test accuracy on Fashion-MNIST of fully connected networks, from the list of submitted results in the data set's
# README (https://github.com/zalandoresearch/fashion-mnist); its authors have not verified them.
PUBLISHED = {"MLP 256-128-100": 0.8833, "MLP 256-128-64": 0.900}
CODE = tuple(f"low_level/{name}.py" for name in ("fit", "graphs", "images", "loop", "measure", "network", "updates"))


@dataclass(frozen=True)
class Perceptrons:
    """What a brief fits by hand, at the size of an opened brief."""

    opened: OpenBrief
    settings: dict[str, Perceptron]
    data: dict[str, OpenBrief]  # data set -> the opened brief on it

    def plan(self) -> list[tuple[str, int]]:
        """Measurements, then trainings, with their seeds: one each but where the profile asks for more."""
        seeds = range(self.opened.profile.perceptron_seeds)
        return [(name, 0) for name in MEASUREMENTS] + [(name, seed) for seed in seeds for name in self.settings]

    def members(self, name: str) -> dict[str, Perceptron]:
        """The perceptron of a training, or those of a measurement.

        Raises:
            ValueError: if there is none of that name; the message lists the ones there are.
        """
        known = {member: (member,) for member in self.settings} | MEASUREMENTS
        if name not in known:
            raise ValueError(f"Unknown training {name!r}. Trainings: {', '.join(known)}")
        return {member: self.settings[member] for member in known[name]}

    def on(self, name: str) -> OpenBrief:
        """The opened brief on the data that a training or measurement reads."""
        return self.data[next(iter(self.members(name).values())).dataset]

    def run(self, name: str, *, seed: int = 0) -> Run:
        """The run of a training or measurement, finished or not."""
        first, *others = self.members(name).values()
        opened = self.on(name)
        more = [f"{perceptron.replace(why='?')} {self.opened.profile.seeds}" for perceptron in others]
        data = " ".join([opened.dataset.checksum, opened.split.checksum, *more])
        return runs.locate(paths.runs(self.opened.brief.name), first, name=name, seed=seed, data=data, code=CODE)

    def images(self, name: str) -> FlatImages:
        """The images that a training or measurement reads."""
        opened = self.on(name)
        return flatten(opened.dataset, opened.split, classes=next(iter(self.members(name).values())).classes)

    def measured(self, name: str) -> pd.DataFrame:
        """The table of a finished measurement."""
        return pd.read_csv(self.run(name).folder / "measured.csv")

    def histories(self, names: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Histories of finished trainings, called by batch size and learning rate, e.g. `32 at 0.01`."""
        settings = {name: self.settings[name] for name in names}
        return {
            f"{one.batch_size or 'all'} at {one.learning_rate:g}": self.run(name).history()
            for name, one in settings.items()
        }

    def size(self, name: str) -> dict[str, int]:
        """Hidden layers, units of the first one, epochs and batch size of a training."""
        settings = self.settings[name]
        count = settings.batch_size or len(self.on(name).split.train)
        return {
            "layers": len(settings.hidden),
            "units": settings.hidden[0],
            "epochs": settings.epochs,
            "batch_size": count,
        }

    def facts(self, name: str) -> dict[str, object]:
        """What a report says about a finished training: settings, and what it reached and cost."""
        settings, record = self.settings[name], self.run(name).record()
        return {
            "classes": " and ".join(self.run(name).config()["classes"]) if settings.classes else "all",
            "hidden": " and ".join(map(str, settings.hidden)),
            "batch_size": settings.batch_size or len(self.on(name).split.train),
            "learning_rate": settings.learning_rate,
            "gap": record["train_accuracy"] - record["val_accuracy"],
            "at_once": self.run(name).environment().get("at_once", 1),
            "train_minutes": record["minutes"],
            "train_seconds": 60 * record["minutes"],
            "late_val_accuracy": self.run(name).history()["val_accuracy"].tail(LATE).mean(),
            **{key: value for key, value in self.run(name).metrics().items() if key not in ("val_loss", "train_loss")},
        }

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """One row a finished training: its settings, what it reached, and how soon it was as good as the worst of them.

        Returns:
            Columns training, batch_size, learning_rate, updates, train_accuracy, val_accuracy (after the last epoch),
            late_val_accuracy (mean of the last five epochs), best_val_accuracy, best_epoch, seconds, and
            as_good_after_epochs, _updates and _seconds: what it took to reach the last val accuracy of the training
            that ended lowest.
        """
        finished = [name for name in names if self.run(name).finished]
        lowest = min(self.run(name).metrics()["val_accuracy"] for name in finished)
        rows = []
        for name in finished:
            history = self.run(name).history()
            until = history[: int((history["val_accuracy"] >= lowest).to_numpy().argmax()) + 1]
            facts = self.facts(name)
            columns = ("batch_size", "learning_rate", "updates", "train_accuracy", "val_accuracy", "late_val_accuracy")
            row = {"training": name} | {name: facts[name] for name in (*columns, "best_val_accuracy", "best_epoch")}
            row |= {"seconds": facts["train_seconds"], "as_good_after_epochs": len(until)}
            row["as_good_after_updates"] = until["updates"].iloc[-1]
            rows.append(row | {"as_good_after_seconds": until["seconds"].sum()})
        return pd.DataFrame(rows)

    def predict_test(self, name: str, *, best: bool = False) -> Run:
        """Predict the test images with a finished training, once; the predictions stay in its folder.

        Args:
            name: of the training.
            best: whether to take the weights of the epoch with the highest val accuracy; the predictions are then
                those of the role `test_best`.
        """
        run = self.run(name)
        if not (run.folder / f"predictions_test{'_best' if best else ''}.npz").exists():
            import_tensorflow()
            from lib.low_level.fit import predict_test

            predict_test(self.settings[name], self.images(name), run=run, best=best)
        return run


def open_perceptrons(opened: OpenBrief) -> Perceptrons:
    """A brief's perceptrons at the size of an opened brief, and their data.

    Raises:
        ValueError: if the brief lacks one that is measured, or their data cannot be had.
    """
    settings = {name: scale(perceptron, opened) for name, perceptron in opened.brief.perceptrons.items()}
    missing = {member for members in MEASUREMENTS.values() for member in members} - set(settings)
    if missing:
        raise ValueError(f"The brief {opened.brief.name} must have the perceptrons {', '.join(sorted(missing))}")
    names = dict.fromkeys(perceptron.dataset for perceptron in settings.values())
    return Perceptrons(opened, settings, {name: opened.on(name) for name in names})


def scale(perceptron: Perceptron, opened: OpenBrief) -> Perceptron:
    """A perceptron at a profile's size: fewer epochs and narrower layers, as for experiments."""
    size = opened.profile
    return perceptron.replace(
        epochs=max(1, round(perceptron.epochs * size.epochs)),
        hidden=tuple(max(4, round(units * size.filters)) for units in perceptron.hidden),
    )


def train_missing(
    opened: OpenBrief, *, only: Collection[str] = (), retry: bool = False, at_once: int = 1
) -> Perceptrons:
    """Train and measure what is not there yet; a training that fails is reported and left out.

    Args:
        opened: brief, data and split.
        only: names of trainings and measurements; none takes all.
        retry: whether to try again what failed before.
        at_once: how many to run beside each other, each in a process of its own; see `workers`.

    Returns:
        The perceptrons with their runs.
    """
    perceptrons = open_perceptrons(opened)
    planned = [(name, seed, perceptrons.run(name, seed=seed)) for name, seed in perceptrons.plan()]
    planned = [entry for entry in planned if not only or entry[0] in only]
    missing = [entry for entry in planned if not entry[2].finished and (retry or not entry[2].failure)]
    jobs = [(f"[{number}/{len(missing)}] {run.id}", name, seed) for number, (name, seed, run) in enumerate(missing, 1)]
    work = functools.partial(_train_job, perceptrons)
    workers.share(work, [job for job in jobs if job[1] not in ALONE], count=at_once)
    workers.share(work, [job for job in jobs if job[1] in ALONE], count=1, here=False)
    return perceptrons


def _train_job(perceptrons: Perceptrons, job: tuple[str, str, int]) -> None:
    title, name, seed = job
    print(title, flush=True)
    _train(perceptrons, name, seed=seed)


def _train(perceptrons: Perceptrons, name: str, *, seed: int) -> None:
    import_tensorflow()
    from lib.low_level.fit import Diverged, fit
    from lib.low_level.measure import measure

    run, opened, members = perceptrons.run(name, seed=seed), perceptrons.on(name), perceptrons.members(name)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "failure.json").unlink(missing_ok=True)
    images = perceptrons.images(name)
    config = {
        "experiment": name,
        "seed": seed,
        "settings": next(iter(members.values())).flat(),
        "classes": images.class_names,
        "dataset": opened.dataset.checksum,
        "split": opened.split.checksum,
    }
    write_json(run.folder / "config.json", config)
    if name in MEASUREMENTS:
        measure(name, members, images=images, run=run, seeds=range(opened.profile.seeds))
        return
    try:
        fit(members[name], images, run=run, seed=seed)
    except Diverged as failure:
        print(f"failed: {failure}", flush=True)
        write_json(run.folder / "failure.json", {"reason": str(failure)})
