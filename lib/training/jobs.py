"""Many experiments: those that are finished are read, the others are trained, and one failure stops none."""

import functools
import itertools
import time
from pathlib import Path

from lib.config import paths
from lib.training import workers
from lib.training.device import import_tensorflow
from lib.training.open_brief import OpenBrief, open_brief
from lib.training.runs import Run


def run_experiments(opened: OpenBrief, *, retry: bool = False, at_once: int = 1) -> list[Run]:
    """Every run of a brief's plan, trained where it is missing.

    An experiment that fails is reported and left out. One that would start after the profile's minutes are used up
    is left out too; run again to go on.

    Args:
        opened: brief, data and split.
        retry: whether to train again what failed before.
        at_once: how many to train beside each other, each in a process of its own; the best one trains alone.

    Returns:
        Finished runs, in the order of the plan.
    """
    planned = [(opened.run(name, seed=seed), name, seed) for name, seed in opened.plan()]
    for run, _, _ in planned:
        if run.failure and not retry:
            print(f"{run.id} failed earlier: {run.failure}", flush=True)
    missing = [entry for entry in planned if not entry[0].finished and (retry or not entry[0].failure)]
    jobs = [(f"[{number}/{len(missing)}] {run.id}", name, seed) for number, (run, name, seed) in enumerate(missing, 1)]
    work = functools.partial(_train_job, opened, time.time() + 60 * opened.profile.minutes)
    # The best network comes before the repeats, so that a short budget reaches it, and alone: it is large enough to
    # keep all cores busy, and its time is what a report quotes.
    for is_best, some in itertools.groupby(jobs, key=lambda job: job[1] == opened.brief.best):
        workers.share(work, list(some), count=1 if is_best else at_once)
    return [run for run, _, _ in planned if run.finished]


def _train_job(opened: OpenBrief, end: float, job: tuple[str, str, int]) -> None:
    title, name, seed = job
    if time.time() > end:
        minutes = f"{opened.profile.minutes:g} minutes"
        print(f"{title}: not started, the {minutes} of this profile are used up", flush=True)
        return
    print(f"{title}: {opened.experiments[name].why}", flush=True)
    train_run(opened, name, seed=seed)


def train_run(opened: OpenBrief, name: str, *, seed: int = 0) -> Run:
    """Train one experiment; a failure is printed and recorded in the run folder, not raised."""
    # TensorFlow takes seconds to import, and is not needed where every run is finished.
    import_tensorflow()
    from lib.training import network, tracking

    run, experiment = opened.run(name, seed=seed), opened.experiments[name]
    if run.finished:
        return run
    folder = paths.runs(opened.brief.name)
    folder.mkdir(parents=True, exist_ok=True)
    tracking.declare_hyperparameters(folder, opened.experiments)
    try:
        network.train(opened.dataset, opened.split, experiment=experiment, run=run, seed=seed)
        tracking.write_hyperparameters(run, experiment, seed=seed)
    except network.TrainingFailed as failure:
        print(f"failed: {failure}", flush=True)
    return run


def predict_test(opened: OpenBrief, run: Run) -> None:
    """Predict the test images with a finished run, once; the predictions stay in its folder."""
    if not (run.folder / "predictions_test.npz").exists():
        import_tensorflow()
        from lib.training import network

        network.predict_test(run, opened.dataset, opened.split)


def train_one(brief: str, experiment: str, *, profile: str, seed: int = 0, data: str = "") -> Path:
    """Train one experiment of a brief and say how it went.

    Args:
        brief: name of the brief.
        experiment: name of the experiment, or "best".
        profile: smoke, quick or full.
        seed: of weights, order and augmentation.
        data: folder of images, for the brief `folder`.

    Returns:
        The run folder.
    """
    opened = open_brief(brief, profile, data)
    name = opened.brief.best if experiment == "best" else experiment
    run = train_run(opened, name, seed=seed)
    if not run.finished:
        raise ValueError(f"{run.id} was not finished: {run.failure or 'no reason was recorded'}")
    metrics = run.metrics()
    print(f"{run.id}: val accuracy {metrics['val_accuracy']:.4f} in {run.record()['minutes']:.1f} minutes")
    return run.folder
