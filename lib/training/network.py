"""Networks as jobs: one experiment in, one run folder out."""

from typing import ClassVar

import numpy as np

from lib.config import Config
from lib.inputs.cache import Images, open_images
from lib.training.device import import_tensorflow
from lib.training.jobs import Job
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run


class NetworkJob(Job):
    """One experiment of a brief, trained by `training.fit`."""

    code: ClassVar[tuple[str, ...]] = (
        "datasets/images.py",
        "inputs/*.py",
        "models/batch_norm.py",
        "models/blocks.py",
        "models/family.py",
        "training/fit.py",
        "training/schedules.py",
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

    def open_images(self, size: int) -> Images:
        """All images of its data set at a size in pixels."""
        return open_images(self.opened.dataset, size=size, resize=self.settings.resize)

    def network(self):
        """The Keras model that fitting begins with."""
        return self.settings.build(len(self.opened.dataset.class_names))

    def fit(self) -> tuple[dict, float]:
        from lib.training.fit import Data, fit_network

        split = self.opened.split
        data = Data(self.open_images, split.train, split.val)
        return fit_network(self.settings, data, build=self.network, run=self.run, seed=self.seed)

    def predict(self, role: str, rows: np.ndarray) -> Run:
        """Predict some rows (N,) of its images, once: the predictions stay in the folder under this role."""
        if self.lacks_predictions(role) or not np.array_equal(self.run.predictions(role)[0], rows):
            import_tensorflow()
            from lib.training.fit import write_predictions

            images, mirror = self.open_images(self.settings.image_size), self.settings.mirror_average
            write_predictions(self.run, self.run.load_model(), images, role=role, rows=rows, mirror=mirror)
        return self.run

    def predict_test(self) -> Run:
        return self.predict("test", self.opened.split.test)


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

    The best one comes before the repeats, so that a short budget of minutes reaches it; the ablation comes last.
    """
    brief, profile = opened.brief, opened.profile
    ladder = [name for name in brief.experiments if name != brief.best]
    repeats = [(name, seed) for seed in range(1, profile.seeds) for name in ladder]
    ablation = [(name, seed) for seed in range(profile.ablation_seeds) for name in brief.ablation]
    planned = [*((name, 0) for name in ladder), (brief.best, 0), *repeats, *ablation]
    return [network_job(opened, name, seed=seed) for name, seed in planned]
