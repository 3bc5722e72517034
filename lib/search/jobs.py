"""Searches as jobs, and what they have found, trained again."""

import dataclasses
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lib import briefs
from lib.config import Experiment
from lib.config.files import read_json, replacing, write_json
from lib.config.search import LEAST_SECONDS, Found, Search, Space
from lib.search.proposals import Proposal
from lib.search.trials import BEST, read_best, read_trials
from lib.training.jobs import FollowingJob, Job, JobFailed, run_job
from lib.training.network import NetworkJob
from lib.training.open_brief import OpenBrief, open_brief

if TYPE_CHECKING:
    from lib.search.machines import Task


@dataclass(frozen=True, eq=False)
class SearchJob(NetworkJob):
    """A search; its run folder holds the folder of each trial and their table, and the best network as its own."""

    workers: int = 1  # processes of this machine; with several, other trials come each time

    code: ClassVar[tuple[str, ...]] = (
        *NetworkJob.code,
        "config/search.py",
        *(f"search/{name}.py" for name in ("blocks", "clock", "oracles", "proposals", "search", "trials")),
    )

    @property
    def alone(self) -> bool:
        return True  # its time is its budget

    @property
    def files(self):
        space = self.settings.space
        families = getattr(space, "families", ()) or (space.start.model,)
        return [*Job.files.fget(self), *(file for family in families for file in family.sources())]

    @property
    def compared_with(self):
        return []

    @property
    def experiment(self) -> Experiment:
        """What every trial begins as: it says which images are read."""
        return self.settings.space.start

    def config(self) -> dict:
        config = super().config()
        return config | {"settings": self.experiment.flat() | config["settings"]}

    def task(self) -> "Task":
        """What each process of it must know."""
        from lib.search.machines import Task
        from lib.training.fit import Data

        data = Data(self.open_images, self.train_rows, self.opened.split.val)
        return Task(self.settings.space, data, 60 * self.settings.minutes, self.run.folder, self.seed)

    def fit(self) -> tuple[dict, float]:
        from lib.search.machines import search_with_workers
        from lib.search.search import search
        from lib.training.fit import write_predictions

        start, folder, task = self.experiment, self.run.folder, self.task()
        if self.workers > 1:
            result = search_with_workers(task, self.workers)
        else:
            result = search(task.space, task.data, seconds=task.seconds, folder=folder, seed=self.seed)
        with replacing(folder / "model.keras") as partial:
            shutil.copy(folder / result.best["file"], partial)
        write_json(folder / "best.json", result.best | {"file": "model.keras"})
        for file in folder.glob("best-*.keras"):
            file.unlink()
        images, options = self.open_images(start.image_size), {"role": "val", "views": start.views}
        scores = write_predictions(self.run, self.run.load_model(), images, rows=self.opened.split.val, **options)
        row = result.trials.set_index("trial").loc[result.best["trial"]]
        tried = result.trials["status"].value_counts().to_dict()
        metrics = scores | {"parameters": int(row["parameters"]), "train_accuracy": float(row["accuracy"])}
        metrics |= {"trial": result.best["trial"], "epoch": result.best["epoch"], "trials": len(result.trials)}
        metrics |= {"tried": tried, "stopped_by": result.stopped_by, "workers": self.workers}
        return metrics, result.seconds

    def found(self) -> Experiment:
        """The experiment that it has found."""
        from lib.search.search import experiment_of

        best = read_best(self.run.folder)["trial"]
        proposal = next(one.proposal for one in read_trials(self.run.folder) if int(one.proposal.name) == best)
        return experiment_of(self.settings.space, Proposal(proposal.name, proposal.values))


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
    def precision(self) -> str:
        return self.sources[0].precision

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


def named_search(
    brief: str, name: str = "best", *, profile: str, seed: int = 0, minutes: float | None = None
) -> SearchJob:
    """One search of a brief as a job, finished or not; the arguments are those of `choose`, and the seed."""
    name, settings = choose(brief, name, profile=profile, minutes=minutes)
    return SearchJob(open_brief(brief, profile), name, settings, seed)


def choose(brief: str, name: str, *, profile: str, minutes: float | None = None) -> tuple[str, Search]:
    """Name and settings of one search of a brief.

    Args:
        brief: name of the brief.
        name: of the search; "best" is the longest one of a `Space`.
        profile: smoke, quick or full.
        minutes: of the search, in place of its own; it becomes another one then.

    Raises:
        ValueError: if the brief has no such search, or nothing can be found in that time.
    """
    whole = briefs.load(brief)
    known = {name: one for name, one in whole.searches.items() if isinstance(one, Search)}
    if name == "best":
        spaces = [name for name, one in known.items() if isinstance(one.space, Space)]
        name = max(spaces, key=lambda name: known[name].minutes, default="best")
    if name not in known:
        raise ValueError(f"{name!r} is no search of {brief}. Searches: {', '.join(known) or 'none'}")
    settings = whole.at(profile).searches[name]
    if minutes is None:
        return name, settings
    if not LEAST_SECONDS <= 60 * minutes < math.inf:
        raise ValueError(f"minutes must be a number, and at least {LEAST_SECONDS} seconds. Received: {minutes:g}")
    return name, settings.replace(minutes=minutes)


def run_search(job: SearchJob, *, workers: int = 1, chief: str = "") -> None:
    """Search, or continue a search, and say what it has found.

    Args:
        job: the search, as `named_search` gives it.
        workers: processes of this machine.
        chief: host:port of the process that began this search, on this machine or another one; this one only adds
            workers to it then.

    Raises:
        JobFailed: if it cannot be finished.
        ValueError: if that chief does not answer, or searches elsewhere.
    """
    if chief:
        from lib.search.machines import help_chief

        help_chief(job.task(), chief, workers)
        print("No more trials: the chief says what was found", flush=True)
        return
    finished, run = job.run.finished, run_job(dataclasses.replace(job, workers=workers))
    if not run.finished:
        raise JobFailed(f"{run.id} was not finished: {run.failure or 'no reason was recorded'}")
    metrics, best = run.metrics(), read_json(run.folder / BEST)
    tried = ", ".join(f"{count} {status}" for status, count in metrics["tried"].items())
    found = ", ".join(f"{name} {value}" for name, value in best["values"].items())
    print(f"{run.id}: {metrics['trials']} trials ({tried}); it stopped: {metrics['stopped_by']}")
    print(f"found: val accuracy {metrics['val_accuracy']:.4f} by trial {best['trial']}, epoch {best['epoch']}: {found}")
    print(f"{'finished earlier, and read from' if finished else 'kept in'} {run.folder / 'model.keras'}")
