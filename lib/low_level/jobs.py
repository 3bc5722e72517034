"""What a brief fits by hand-written TensorFlow, as jobs: its perceptrons, and what is measured with them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from lib.config import Perceptron
from lib.low_level.images import FlatImages, flatten
from lib.training.device import import_tensorflow
from lib.training.jobs import Job, run_jobs
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run

# What is measured, and with which of the brief's perceptrons.
MEASUREMENTS = {
    "rates_of_adam": ("plain", "adam", "uncorrected"),
    "rates_of_norm": ("plain", "batch_norm"),
    "first_steps": ("adam",),
    "keras_twin": ("ten_classes",),
    "speed": ("ten_classes",),
}
LATE = 5  # epochs at the end whose mean says where a training settled: single epochs go up and down


@dataclass(frozen=True, eq=False)
class ByHandJob(Job):
    """One perceptron, or one measurement with several of them."""

    others: tuple[Perceptron, ...] = ()  # what a measurement compares with `settings`

    code: ClassVar[tuple[str, ...]] = tuple(
        f"low_level/{name}.py" for name in ("fit", "images", "loop", "measure", "network", "updates")
    )

    @property
    def alone(self) -> bool:
        return self.name == "speed"

    @property
    def own_process(self) -> bool:
        # Other jobs leave their process with deterministic kernels, for which Keras does without XLA.
        return self.name == "speed"

    @property
    def facts(self) -> list[str]:
        others = [str(perceptron.replace(why="?")) for perceptron in self.others]
        return [*super().facts, *others, *([str(self.opened.profile.seeds)] if others else [])]

    @property
    def images(self) -> FlatImages:
        """What it reads, as rows of numbers: read anew each time, since a job outlives its fitting."""
        return flatten(self.opened.dataset, self.opened.split, classes=self.settings.classes)

    def config(self) -> dict:
        names = self.opened.dataset.class_names
        return super().config() | {"classes": [names[number] for number in self.settings.classes] or names}

    def fit(self) -> tuple[dict, float]:
        if self.name in MEASUREMENTS:
            from lib.low_level.measure import measure

            members = dict(zip(MEASUREMENTS[self.name], (self.settings, *self.others), strict=True))
            seeds = range(self.opened.profile.seeds)
            return measure(self.name, members, images=self.images, run=self.run, seeds=seeds)
        from lib.low_level.fit import fit

        return fit(self.settings, self.images, run=self.run, seed=self.seed)

    def predict_test(self, *, best: bool = False) -> Run:
        """Predict the test images with a finished training, once; the predictions stay in its folder.

        Args:
            best: whether to take the weights of the epoch with the highest val accuracy; the predictions are then
                those of the role `test_best`.
        """
        if self.lacks_predictions("test_best" if best else "test"):
            import_tensorflow()
            from lib.low_level.fit import predict_test

            predict_test(self.settings, self.images, run=self.run, best=best)
        return self.run


def by_hand_jobs(opened: OpenBrief) -> list[ByHandJob]:
    """All measurements and trainings of a brief; that of speed comes last, since nothing may run beside it.

    Raises:
        ValueError: if the brief lacks a perceptron that is measured, or their data cannot be had.
    """
    perceptrons = opened.brief.perceptrons
    missing = {member for members in MEASUREMENTS.values() for member in members} - set(perceptrons)
    if missing:
        raise ValueError(f"The brief {opened.brief.name} must have the perceptrons {', '.join(sorted(missing))}")
    data = {name: opened.on(name) for name in dict.fromkeys(one.dataset for one in perceptrons.values())}
    measurements = []
    for name, members in MEASUREMENTS.items():
        first, *others = (perceptrons[member] for member in members)
        measurements.append(ByHandJob(data[first.dataset], name, first, others=tuple(others)))
    seeds = range(opened.profile.perceptron_seeds)
    trainings = [ByHandJob(data[one.dataset], name, one, seed) for seed in seeds for name, one in perceptrons.items()]
    return sorted([*measurements, *trainings], key=lambda job: job.alone)


def fit_by_hand(opened: OpenBrief, *, only: Collection[str] = (), **options) -> "ByHand":
    """Fit what is not there yet, and open all of it.

    Args:
        opened: the brief.
        only: names of trainings and measurements to fit; none takes all.
        **options: of `run_jobs`.
    """
    jobs = by_hand_jobs(opened)
    run_jobs([job for job in jobs if not only or job.name in only], **options)
    return ByHand({job.name: job for job in jobs if job.seed == 0})


@dataclass(frozen=True)
class ByHand:
    """What notebooks ask of the jobs of a brief, by their names."""

    jobs: dict[str, ByHandJob]

    def job(self, name: str) -> ByHandJob:
        """The job of a training or measurement.

        Raises:
            ValueError: if there is none of that name; the message lists the ones there are.
        """
        if name not in self.jobs:
            raise ValueError(f"Unknown training {name!r}. Trainings: {', '.join(self.jobs)}")
        return self.jobs[name]

    def run(self, name: str) -> Run:
        """The run of a training or measurement, finished or not."""
        return self.job(name).run

    def finished(self) -> list[str]:
        """Names of the trainings that came to their end."""
        return [name for name, job in self.jobs.items() if name not in MEASUREMENTS and job.run.finished]

    def measured(self, name: str) -> pd.DataFrame:
        """The table of a finished measurement."""
        return pd.read_csv(self.run(name).folder / "measured.csv")

    def histories(self, names: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Histories of finished trainings, called by batch size and learning rate, e.g. `32 at 0.01`."""
        settings = {name: self.job(name).settings for name in names}
        return {
            f"{one.batch_size or 'all'} at {one.learning_rate:g}": self.run(name).history()
            for name, one in settings.items()
        }

    def size(self, name: str) -> dict[str, int]:
        """Hidden layers, units of the first one, epochs and batch size of a training."""
        job, settings = self.job(name), self.job(name).settings
        return {
            "layers": len(settings.hidden),
            "units": settings.hidden[0],
            "epochs": settings.epochs,
            "batch_size": settings.batch_size or len(job.opened.split.train),
        }

    def facts(self, name: str) -> dict[str, object]:
        """What a report says about a finished training: settings, and what it reached and cost."""
        run, settings = self.run(name), self.job(name).settings
        record = run.record()
        return {
            "classes": " and ".join(run.config()["classes"]) if settings.classes else "all",
            "hidden": " and ".join(map(str, settings.hidden)),
            "batch_size": self.size(name)["batch_size"],
            "learning_rate": settings.learning_rate,
            "gap": record["train_accuracy"] - record["val_accuracy"],
            "at_once": run.environment().get("at_once", 1),
            "train_minutes": record["minutes"],
            "train_seconds": 60 * record["minutes"],
            "late_val_accuracy": run.history()["val_accuracy"].tail(LATE).mean(),
            **{key: value for key, value in run.metrics().items() if key not in ("val_loss", "train_loss")},
        }

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """One row per finished training: its settings, what it reached, and how soon it was as good as the worst one.

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
            history, facts = self.run(name).history(), self.facts(name)
            until = history[: int((history["val_accuracy"] >= lowest).to_numpy().argmax()) + 1]
            columns = ("batch_size", "learning_rate", "updates", "train_accuracy", "val_accuracy", "late_val_accuracy")
            row = {"training": name} | {fact: facts[fact] for fact in (*columns, "best_val_accuracy", "best_epoch")}
            row |= {"seconds": facts["train_seconds"], "as_good_after_epochs": len(until)}
            row["as_good_after_updates"] = until["updates"].iloc[-1]
            rows.append(row | {"as_good_after_seconds": until["seconds"].sum()})
        return pd.DataFrame(rows)
