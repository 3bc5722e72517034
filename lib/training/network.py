"""Networks as jobs: one experiment in, one run folder out."""

from typing import ClassVar

import numpy as np

from lib.config import Config, Experiment
from lib.inputs.cache import Images, open_images
from lib.training.device import import_tensorflow
from lib.training.jobs import Job
from lib.training.open_brief import OpenBrief
from lib.training.precision import used_precision
from lib.training.runs import Run


class NetworkJob(Job):
    """One experiment of a brief, trained by `training.fit`."""

    code: ClassVar[tuple[str, ...]] = (
        "datasets/images.py",
        "inputs/*.py",
        "models/batch_norm.py",
        "models/blocks.py",
        "models/convolution.py",
        "models/family.py",
        "training/fit.py",
        "training/mirrored.py",
        "training/muon.py",
        "training/schedules.py",
        "training/sgd.py",
        "training/steps.py",
    )

    @property
    def alone(self) -> bool:
        # The best network is large enough to keep all cores busy, and its time is what a report quotes.
        return self.name == self.opened.brief.best

    @property
    def files(self):
        return [*super().files, *self.settings.model.sources()]

    @property
    def compared_with(self) -> list[Config]:
        return list(self.opened.experiments.values())

    @property
    def precision(self) -> str:
        return used_precision(self.experiment.training.precision)

    @property
    def facts(self) -> list[str]:
        return [*super().facts, self.precision]

    @property
    def experiment(self) -> Experiment:
        """What is trained."""
        return self.settings

    @property
    def train_rows(self) -> np.ndarray:
        """Rows of the images that it trains on."""
        return self.opened.split.train

    def open_images(self, size: int) -> Images:
        """All images of its data set at a size in pixels."""
        return open_images(self.opened.dataset, size=size, resize=self.experiment.resize)

    def network(self):
        """The Keras model that fitting begins with."""
        return self.experiment.build(len(self.opened.dataset.class_names))

    def fit(self) -> tuple[dict, float]:
        from lib.training.fit import Data, fit_network

        data = Data(self.open_images, self.train_rows, self.opened.split.val)
        return fit_network(self.experiment, data, build=self.network, run=self.run, seed=self.seed)

    def predict(self, role: str, rows: np.ndarray) -> Run:
        """Predict some rows (N,) of its images, once: the predictions stay in the folder under this role."""
        if self.lacks_predictions(role) or not np.array_equal(self.run.predictions(role)[0], rows):
            import_tensorflow()
            from lib.training.fit import write_predictions

            images, views = self.open_images(self.experiment.image_size), self.experiment.views
            write_predictions(self.run, self.run.load_model(), images, role=role, rows=rows, views=views)
        return self.run

    def predict_test(self) -> Run:
        return self.predict("test", self.opened.split.test)

    def predict_changed_val(self) -> Run:
        """Predict val as its augmentation changes it, once; the predictions stay in the folder as `changed_val`."""
        if self.lacks_predictions("changed_val"):
            import_tensorflow()
            from lib.inputs.generators import make_eval_dataset
            from lib.training.steps import predict

            settings, rows = self.experiment, self.opened.split.val
            images = self.open_images(settings.image_size)
            data = make_eval_dataset(images, rows, augment=settings.augment, seed=self.seed)
            probabilities = predict(self.run.load_model(), data, views=settings.views)
            self.run.write_predictions(
                "changed_val", rows=rows, labels=images.labels[rows], probabilities=probabilities
            )
        return self.run


class SingleBatchJob(NetworkJob):
    """One experiment trained on a single batch of the training images; val stays whole."""

    code: ClassVar[tuple[str, ...]] = (*NetworkJob.code, "training/network.py")

    @property
    def train_rows(self) -> np.ndarray:
        rows, size = self.opened.split.train, self.settings.training.batch_size
        return np.random.default_rng(self.seed).choice(rows, min(size, len(rows)), replace=False)

    @property
    def compared_with(self) -> list[Config]:
        return []  # TensorBoard's table has one set of columns: that of the ladder


def single_batch_jobs(opened: OpenBrief) -> list[SingleBatchJob]:
    """What a brief trains on a single batch, in its order."""
    return [SingleBatchJob(opened, name, experiment) for name, experiment in opened.brief.single_batch.items()]


def network_job(opened: OpenBrief, name: str, *, seed: int = 0) -> NetworkJob:
    """The job of one experiment, trained or not.

    Args:
        opened: the brief.
        name: of the experiment; "best" is the one that the brief calls so.
        seed: of weights, order and augmentation.

    Raises:
        ValueError: if the brief has no such experiment; the message lists the ones it has.
    """
    known = opened.experiments
    name = opened.brief.best if name == "best" else name
    if name not in known:
        raise ValueError(f"Unknown experiment {name!r}. Experiments: {', '.join(known)}")
    return NetworkJob(opened, name, known[name], seed)


def network_jobs(opened: OpenBrief) -> list[NetworkJob]:
    """Every experiment of a brief once, the best one included, then the further seeds of all but the best.

    A short budget of minutes reaches the best one, which `run_jobs` begins with; the ablation comes last.
    """
    brief, profile = opened.brief, opened.profile
    ladder = [name for name in brief.experiments if name != brief.best]
    repeats = [(name, seed) for seed in range(1, profile.seeds) for name in ladder]
    ablation = [(name, seed) for seed in range(profile.ablation_seeds) for name in brief.ablation]
    planned = [*((name, 0) for name in ladder), (brief.best, 0), *repeats, *ablation]
    return [network_job(opened, name, seed=seed) for name, seed in planned]
