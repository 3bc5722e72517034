"""Searches as jobs, and what they have found, trained again."""

import shutil
from dataclasses import dataclass
from typing import ClassVar

from lib.config import Experiment
from lib.config.files import replacing, write_json
from lib.config.search import Found, Search
from lib.inputs.cache import open_images
from lib.search.proposals import Proposal
from lib.training.device import import_tensorflow
from lib.training.jobs import FollowingJob, Job
from lib.training.network import NetworkJob
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run


@dataclass(frozen=True, eq=False)
class SearchJob(Job):
    """A search; its run folder holds the folder of each trial and their table, and the best network as its own."""

    code: ClassVar[tuple[str, ...]] = (*NetworkJob.code, "models/residual.py", "models/conv_blocks.py", "search/*.py")

    @property
    def alone(self) -> bool:
        return True  # its time is its budget

    def config(self) -> dict:
        config = super().config()
        return config | {"settings": self.settings.space.start.flat() | config["settings"]}

    def fit(self) -> tuple[dict, float]:
        from lib.search.search import search
        from lib.training.fit import Data, write_predictions

        split, space, folder = self.opened.split, self.settings.space, self.run.folder
        data = Data(self.open_images, split.train, split.val)
        result = search(space, data, seconds=60 * self.settings.minutes, folder=folder, seed=self.seed)
        with replacing(folder / "model.keras") as partial:
            shutil.copy(folder / result.best["file"], partial)
        write_json(folder / "best.json", result.best | {"file": "model.keras"})
        for file in folder.glob("best-*.keras"):
            file.unlink()
        images = self.open_images(space.start.image_size)
        scores = write_predictions(self.run, self.run.load_model(), images, role="val", rows=split.val)
        row = result.trials.set_index("trial").loc[result.best["trial"]]
        tried = result.trials["status"].value_counts().to_dict()
        metrics = scores | {"parameters": int(row["parameters"]), "train_accuracy": float(row["accuracy"])}
        metrics |= {"trial": result.best["trial"], "epoch": result.best["epoch"], "trials": len(result.trials)}
        return metrics | {"tried": tried, "stopped_by": result.stopped_by}, result.seconds

    def open_images(self, size: int):
        """All images of its data set at a size in pixels."""
        return open_images(self.opened.dataset, size=size, resize=self.settings.space.start.resize)

    def found(self) -> Experiment:
        """The experiment that it has found."""
        from lib.search.search import experiment_of
        from lib.search.trials import read_best, read_trials

        best = read_best(self.run.folder)["trial"]
        proposal = next(one.proposal for one in read_trials(self.run.folder) if int(one.proposal.name) == best)
        return experiment_of(self.settings.space, Proposal(proposal.name, proposal.values))

    def predict_test(self) -> Run:
        if self.lacks_predictions("test"):
            import_tensorflow()
            from lib.training.fit import write_predictions

            images, rows = self.open_images(self.settings.space.start.image_size), self.opened.split.test
            write_predictions(self.run, self.run.load_model(), images, role="test", rows=rows)
        return self.run


class FoundJob(FollowingJob, NetworkJob):
    """What a search has found, trained again."""

    code: ClassVar[tuple[str, ...]] = (*NetworkJob.code, "search/jobs.py")

    @property
    def files(self):
        return Job.files.fget(self)  # which family it has is not known yet; it follows from the search's run

    @property
    def compared_with(self):
        return []

    @property
    def experiment(self) -> Experiment:
        """What is trained, once the search is finished."""
        found, settings = self.sources[0].found(), self.settings
        training = found.training.replace(epochs=settings.epochs)
        return found.replace(why=settings.why, training=training, mirror_average=settings.mirror_average)

    def config(self) -> dict:
        self.finish_sources()
        return super().config() | {"settings": self.experiment.flat() | self.settings.flat()}


def search_jobs(opened: OpenBrief) -> list[Job]:
    """All searches of a brief, then what they have found, each with the profile's number of seeds."""
    known, seeds = opened.brief.searches, range(opened.profile.search_seeds)
    searches = [search_job(opened, name) for name, one in known.items() if isinstance(one, Search)]
    found = [name for name, one in known.items() if isinstance(one, Found)]
    return searches + [search_job(opened, name, seed=seed) for seed in seeds for name in found]


def search_job(opened: OpenBrief, name: str, *, seed: int = 0) -> Job:
    """One search of a brief, or what it has found, as a job, finished or not.

    Raises:
        ValueError: if the brief has none of this name; the message lists those it has.
    """
    known = opened.brief.searches
    if name not in known:
        raise ValueError(f"Unknown search {name!r}. Searches of {opened.brief.name}: {', '.join(known) or 'none'}")
    settings = known[name]
    if isinstance(settings, Search):
        return SearchJob(opened, name, settings, seed)
    return FoundJob(opened, name, settings, seed, sources=(search_job(opened, settings.search),))
