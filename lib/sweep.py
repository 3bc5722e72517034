"""Many experiments: those that are finished are read, the others are trained, and one failure stops none."""

import functools
import itertools
import time
from pathlib import Path

from lib import paths, workers
from lib.device import import_tensorflow
from lib.runs import Run
from lib.study import Study, open_study


def run_experiments(study: Study, *, retry: bool = False, at_once: int = 1) -> list[Run]:
    """Every run of a brief's plan, trained where it is missing.

    An experiment that fails is reported and left out. One that would start after the profile's minutes are used up
    is left out too; run again to go on.

    Args:
        study: brief, data and split.
        retry: whether to train again what failed before.
        at_once: how many to train beside each other, each in a process of its own; the best one trains alone.

    Returns:
        Finished runs, in the order of the plan.
    """
    planned = [(study.run(name, seed=seed), name, seed) for name, seed in study.plan()]
    for run, _, _ in planned:
        if run.failure and not retry:
            print(f"{run.id} failed earlier: {run.failure}", flush=True)
    missing = [entry for entry in planned if not entry[0].finished and (retry or not entry[0].failure)]
    jobs = [(f"[{number}/{len(missing)}] {run.id}", name, seed) for number, (run, name, seed) in enumerate(missing, 1)]
    work = functools.partial(_train_job, study, time.time() + 60 * study.profile.minutes)
    # The best network comes before the repeats, so that a short budget reaches it, and alone: it is large enough to
    # keep all cores busy, and its time is what a report quotes.
    for is_best, some in itertools.groupby(jobs, key=lambda job: job[1] == study.brief.best):
        workers.share(work, list(some), count=1 if is_best else at_once)
    return [run for run, _, _ in planned if run.finished]


def _train_job(study: Study, end: float, job: tuple[str, str, int]) -> None:
    title, name, seed = job
    if time.time() > end:
        minutes = f"{study.profile.minutes:g} minutes"
        print(f"{title}: not started, the {minutes} of this profile are used up", flush=True)
        return
    print(f"{title}: {study.experiments[name].why}", flush=True)
    train_run(study, name, seed=seed)


def train_run(study: Study, name: str, *, seed: int = 0) -> Run:
    """Train one experiment; a failure is printed and recorded in the run folder, not raised."""
    # TensorFlow takes seconds to import, and is not needed where every run is finished.
    import_tensorflow()
    from lib import tracking, training

    run, experiment = study.run(name, seed=seed), study.experiments[name]
    if run.finished:
        return run
    folder = paths.runs(study.brief.name)
    folder.mkdir(parents=True, exist_ok=True)
    tracking.declare_hyperparameters(folder, study.experiments)
    try:
        training.train(study.dataset, study.split, experiment=experiment, run=run, seed=seed)
        tracking.write_hyperparameters(run, experiment, seed=seed)
    except training.TrainingFailed as failure:
        print(f"failed: {failure}", flush=True)
    return run


def predict_test(study: Study, run: Run) -> None:
    """Predict the test images with a finished run, once; the predictions stay in its folder."""
    if not (run.folder / "predictions_test.npz").exists():
        import_tensorflow()
        from lib import training

        training.predict_test(run, study.dataset, study.split)


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
    study = open_study(brief, profile, data)
    name = study.brief.best if experiment == "best" else experiment
    run = train_run(study, name, seed=seed)
    if not run.finished:
        raise ValueError(f"{run.id} was not finished: {run.failure or 'no reason was recorded'}")
    metrics = run.metrics()
    print(f"{run.id}: val accuracy {metrics['val_accuracy']:.4f} in {run.record()['minutes']:.1f} minutes")
    return run.folder
