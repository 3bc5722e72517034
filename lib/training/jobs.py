"""Jobs: settings, data and a seed become one run folder, whatever is fitted.

A kind of job is one file with a subclass of `Job`, whose `fit` fills the run folder; one runner serves all kinds.
"""

import contextlib
import functools
import itertools
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.config import Config, paths
from lib.config.files import locked, write_json, writing
from lib.training import device, runs, workers
from lib.training.device import import_tensorflow
from lib.training.mlflow import track
from lib.training.open_brief import OpenBrief
from lib.training.runs import Run, RunError


class JobFailed(ValueError):
    """A job cannot be finished, e.g. since its loss is no number any more; the message says what to try."""


@dataclass(frozen=True, eq=False)
class Job:
    """One thing to fit. Planned without TensorFlow, pickled to worker processes."""

    opened: OpenBrief  # the data it reads
    name: str
    settings: Config
    seed: int = 0

    code: ClassVar[tuple[str, ...]] = ()  # patterns of files in lib that decide its numbers

    @property
    def alone(self) -> bool:
        """Whether nothing else may be fitted meanwhile."""
        return False

    @property
    def own_process(self) -> bool:
        """Whether it needs a process in which nothing was fitted before."""
        return False

    @property
    def files(self) -> list[Path]:
        """The code that decides its numbers."""
        return sorted({file for pattern in self.code for file in paths.LIB.glob(pattern)})

    @property
    def precision(self) -> str:
        """The number format that it computes in here, whatever the settings ask for."""
        return "float32"

    @property
    def facts(self) -> list[str]:
        """What decides its numbers besides settings, seed and code."""
        return [self.opened.dataset.checksum, self.opened.split.checksum]

    @functools.cached_property
    def run(self) -> Run:
        """Its run folder, fitted or not."""
        folder = paths.runs(self.opened.brief.name)
        return runs.locate(folder, self.settings, name=self.name, seed=self.seed, data=self.facts, code=self.files)

    @property
    def compared_with(self) -> list[Config]:
        """Settings of all jobs that TensorBoard's HParams page lists beside this one; none keeps it off that page."""
        return []

    def config(self) -> dict:
        """What `config.json` holds."""
        return {
            "experiment": self.name,
            "seed": self.seed,
            "profile": self.opened.profile_name,
            "settings": self.settings.flat(),
            "classes": self.opened.dataset.class_names,
            "dataset": self.opened.dataset.checksum,
            "split": self.opened.split.checksum,
        }

    def fit(self) -> tuple[dict, float]:
        """Leave what was fitted and its predictions in the run folder.

        Returns:
            Final figures for `metrics.json`, and the seconds that fitting took, over all starts.

        Raises:
            JobFailed: if it cannot be finished.
        """
        raise NotImplementedError

    def lacks_predictions(self, role: str) -> bool:
        """Whether predictions are still to be made; damaged ones are, which a line says."""
        try:
            self.run.predictions(role)
            return False
        except RunError:
            file = self.run.predictions_file(role)
            if file.exists():
                print(f"{self.run.id}: {file.name} is damaged, and is made again", flush=True)
            return True

    def predict_test(self) -> Run:
        """Predict the test images, once: called after the choice is made on val. The predictions stay in the folder."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class FollowingJob(Job):
    """A job that goes on from the runs of other ones."""

    sources: tuple[Job, ...] = ()

    @property
    def facts(self) -> list[str]:
        return [*super().facts, *(source.run.id for source in self.sources)]

    def finish_sources(self) -> None:
        """Fit what this job goes on from, where that is missing.

        Raises:
            JobFailed: if one of them fails.
        """
        for source in self.sources:
            if not run_job(source).finished:
                raise JobFailed(f"{source.run.id}, which it goes on from, was not finished: {source.run.failure}")


def share_here(work: Callable, titled: Sequence[tuple[str, Job]], *, at_once: int) -> None:
    """Call `work` with every title and job, in this order, in this process or several of this machine."""
    for (alone, own_process), some in itertools.groupby(titled, key=lambda pair: (pair[1].alone, pair[1].own_process)):
        workers.share(work, list(some), count=1 if alone else at_once, here=not own_process)


def run_jobs(
    jobs: Sequence[Job],
    *,
    retry: bool = False,
    at_once: int = 1,
    minutes: float = math.inf,
    share: Callable = share_here,
) -> list[Run]:
    """The runs of some jobs, fitted where they are missing; one that fails is reported and left out.

    Args:
        jobs: in the order in which they are to be fitted, but those that are alone come first.
        retry: whether to fit again what failed before.
        at_once: how many beside each other, each in a process of its own.
        minutes: jobs that would start later are left out; run again to go on.
        share: where they run; called like `share_here`.

    Returns:
        Finished runs, in the order of the jobs.

    Raises:
        WorkerDied: if a process was killed or met an unforeseen error. What is finished stays finished.
        FolderError: if the disk is full or the folder of the runs is protected: no further job is begun.
    """
    for job in jobs:
        _discard_damaged(job.run)
        if job.run.failure and not retry:
            print(f"{job.run.id} failed earlier: {job.run.failure}", flush=True)
    missing = [job for job in jobs if not job.run.finished and (retry or not job.run.failure)]
    missing.sort(key=lambda job: not job.alone)  # what follows starts its processes once
    titled = [(f"[{number}/{len(missing)}] {job.run.id}", job) for number, job in enumerate(missing, 1)]
    share(functools.partial(_work, minutes, time.time() + 60 * minutes), titled, at_once=at_once)
    return [job.run for job in jobs if job.run.finished]


def _work(minutes: float, end: float, titled: tuple[str, Job]) -> None:
    title, job = titled
    if time.time() > end:
        print(f"{title}: not started, the {minutes:g} minutes of this profile are used up", flush=True)
        return
    print(f"{title}: {job.settings.flat().get('why', '')}", flush=True)
    run_job(job)


def run_job(job: Job) -> Run:
    """Fit one job unless it is finished, or continue it; a failure is printed and recorded in its folder.

    A damaged run is fitted anew. Where another process fits it, this one waits, and finds it finished.

    Raises:
        FolderError: if the disk is full or the folder of the runs is protected.
    """
    run = job.run
    _discard_damaged(run)
    if run.finished:
        return run
    with _lock(run):
        if not run.finished:
            _try(job)
    return run


def _lock(run: Run) -> contextlib.AbstractContextManager:
    return locked(run.folder.with_name(f".{run.id}.lock"), title=f"the run {run.id}")


def _discard_damaged(run: Run) -> None:
    """Remove a finished run that is not whole any more, so that it is fitted anew, and say so."""
    if run.finished and run.damage():
        with _lock(run), writing(run.folder):
            damaged = run.finished and run.damage()  # another process may have fitted it meanwhile
            if damaged:
                print(f"{run.id}: {damaged} is missing or damaged, and the run is made again", flush=True)
                shutil.rmtree(run.folder)


def _try(job: Job) -> None:
    """Fit a job; what must not stop other jobs is printed and recorded."""
    import_tensorflow()  # takes seconds, and is not needed where every run is finished
    from tensorflow.errors import ResourceExhaustedError

    run = job.run
    try:
        with writing(run.folder):
            _fit(job)
    except (JobFailed, MemoryError, ResourceExhaustedError, OSError) as error:
        reason = str(error)
        if isinstance(error, (MemoryError, ResourceExhaustedError)):
            reason = "out of memory; try a smaller batch_size, image_size or fewer filters"
        elif isinstance(error, OSError):
            reason = f"could not write or read a file: {error}"
        print(f"failed: {run.id}: {reason}", flush=True)
        with contextlib.suppress(OSError):  # a bad disk may not even take this note
            write_json(run.folder / "failure.json", {"reason": reason})


def _fit(job: Job) -> None:
    """Fit a job and complete its run folder; what says that all is there comes last."""
    from lib.training.observers import declare_hyperparameters, differing, write_hyperparameters

    run = job.run
    (run.folder / "failure.json").unlink(missing_ok=True)
    write_json(run.folder / "config.json", job.config())
    if job.compared_with:
        declare_hyperparameters(run.folder.parent, ["seed", *differing(job.compared_with)])
    metrics, seconds = job.fit()
    facts = {"finished": round(time.time()), "wall_seconds": seconds, "peak_memory_mb": device.peak_memory_mb()}
    write_json(
        run.folder / "environment.json", device.environment(device.find_device(), precision=job.precision) | facts
    )
    if job.compared_with:
        write_hyperparameters(run, {"seed": job.seed} | job.settings.flat(), metrics=metrics)
    run.finish(metrics)
    track(run)
