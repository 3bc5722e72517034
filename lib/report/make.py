"""One command, one report: the notebooks of a brief executed in order, and the pages that lead to what they made."""

import functools
import math
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib import low_level
from lib.config import paths
from lib.config.files import locked, writing
from lib.report import notebooks, pages, results, written
from lib.report.notebooks import freshness, table
from lib.report.pages import tensorboard
from lib.search.jobs import search_job, search_jobs
from lib.training import workers
from lib.training.cost import cost_jobs
from lib.training.draws import draw_jobs
from lib.training.jobs import JobFailed, run_jobs
from lib.training.network import network_job, network_jobs, single_batch_jobs
from lib.training.on_ray import place
from lib.training.open_brief import OpenBrief, open_brief
from lib.training.runs import Run
from lib.transfer.plan import transfer_job, transfer_jobs

# The jobs that a brief plans, by kind: its networks, the best one on each draw of the split, what trains on a single
# batch, what goes on from others, what is searched, what is timed and not trained, and what `lib.low_level` trains.
PLANS = {
    "experiments": network_jobs,
    "draws": draw_jobs,
    "single_batch": single_batch_jobs,
    "transfers": transfer_jobs,
    "searches": search_jobs,
    "costs": cost_jobs,
    "by_hand": low_level.by_hand_jobs,
}


def make_report(
    brief_name: str,
    *,
    profile: str = "quick",
    data: str | Path | None = None,
    force: bool = False,
    at_once: int | None = None,
) -> Path:
    """Make a brief's whole report, running only the notebooks whose results do not stand any more.

    A notebook is run again if its cells, its parameters, the code in `lib`, the data, the environment or a run it
    shows has changed, if a file it made is missing or was edited, if planned runs are missing, or if an earlier
    notebook ran again.

    Args:
        brief_name: name of the brief.
        profile: smoke, quick or full.
        data: folder of class folders, for the brief `folder`.
        force: whether to run every notebook in any case; finished training runs are read all the same.
        at_once: how many networks to train beside each other; None asks `workers.default_count`.

    Returns:
        The report's first page.

    Raises:
        ValueError: if the brief, the profile or the data does not exist, or a notebook does not keep what is promised.
        NotebookError: if a notebook fails.
        FolderError: if the disk is full or a folder is protected.
        CheckFailed: if a written report holds a number that no run stands behind, or breaks another rule; all pages are
            there then.
    """
    opened = open_brief(brief_name, profile, str(data or ""))
    parameters = {"BRIEF": brief_name, "PROFILE": profile}
    parameters |= {"DATA": str(Path(data).expanduser().resolve())} if data else {}
    for name in opened.brief.notebooks:  # found out now, not after an hour of training
        notebooks.check_parameters(notebooks.locate(name), parameters)
    tensorboard.announce()
    folder = paths.report(brief_name)
    with locked(folder / ".lock", title=f"the report of {brief_name}"), writing(folder):
        return _make(opened, parameters, force=force, at_once=at_once or workers.default_count())


def _make(opened: OpenBrief, parameters: dict, *, force: bool, at_once: int) -> Path:
    results.drop_damaged(paths.report(opened.brief.name))
    # Here and not in a notebook: the screen shows the progress, and the page does not depend on who trained.
    kinds = {kind for name in opened.brief.notebooks for kind in table.entry(name).jobs}
    waiting = train_planned(opened, kinds, at_once=at_once)
    further = opened.further()
    facts = freshness.shared_facts(opened, *further)
    with ThreadPoolExecutor(1) as beside:  # TensorBoard's pages are waited for while the first notebook runs
        begin = functools.cache(lambda: beside.submit(tensorboard.take_pages, opened))
        _run_notebooks(opened.brief.notebooks, parameters, facts=facts, waiting=waiting, force=force, begin=begin)
        tensorboard.save_screenshots(opened, made_from=facts, taken=lambda: begin().result())
    faults = written.write_reports(opened.brief)
    page = pages.write_pages(opened, *further)
    if faults:
        raise written.CheckFailed("\n".join(faults))
    return page


def train_planned(opened: OpenBrief, kinds: Collection[str], *, at_once: int) -> list[str]:
    """Train what a brief plans, of some kinds of jobs, and has not finished yet; a failed training stops no other one.

    Returns the ids of planned runs that are neither finished nor known to fail: the profile's minutes were used up.
    """
    waiting = []
    with place() as share:
        for kind in (kind for kind in PLANS if kind in kinds):
            jobs = PLANS[kind](opened)
            minutes = opened.profile.minutes if kind == "experiments" else math.inf
            run_jobs(jobs, retry=True, at_once=at_once, minutes=minutes, share=share)
            waiting += [job.run.id for job in jobs if not job.run.finished and job.run.failure is None]
    return waiting


def train_one(brief: str, name: str, *, profile: str, seed: int = 0, data: str = "") -> Run:
    """Train one experiment, transfer or search of a brief, or continue it, and say how it went.

    Args:
        brief: name of the brief.
        name: of the experiment, transfer or search; "best" is the experiment that the brief calls so.
        profile: smoke, quick or full.
        seed: of all that is drawn.
        data: folder of images, for the brief `folder`.

    Raises:
        JobFailed: if it cannot be finished.
    """
    opened = open_brief(brief, profile, data)
    makers = {name: transfer_job for name in opened.brief.transfers} | dict.fromkeys(opened.brief.searches, search_job)
    job = makers.get(name, network_job)(opened, name, seed=seed)
    finished = job.run.finished
    with place() as share:
        run, _ = job.run, run_jobs([job], retry=True, share=share)
    if not run.finished:
        raise JobFailed(f"{run.id} was not finished: {run.failure or 'no reason was recorded'}")
    print(f"{run.id}: val accuracy {run.metrics()['val_accuracy']:.4f} in {run.record()['minutes']:.1f} minutes")
    print(f"{'finished earlier, and read from' if finished else 'kept in'} {run.folder}")
    return run


def _run_notebooks(
    names: tuple[str, ...], parameters: dict, *, facts: dict, waiting: list[str], force: bool, begin: Callable
) -> None:
    """Run the notebooks whose results do not stand, and each one that comes after such a notebook.

    `begin` is called before each that runs: it starts, once, what can go on beside them.
    """
    folder, reason = paths.report(parameters["BRIEF"]), "as asked" if force else None
    for position, name in enumerate(names):
        made_from = facts | freshness.notebook_facts(name, parameters)
        reason = reason or freshness.reason_to_run(name, folder, made_from=made_from, waiting=waiting)
        if not reason:
            print(f"{name}: unchanged, reused (force with FORCE=1)", flush=True)
            continue
        print(f"{name}: running ({reason})", flush=True)
        begin()
        # What will be made again goes first: if a notebook fails, nothing of an earlier report looks finished.
        folder.mkdir(parents=True, exist_ok=True)
        kept = set(notebooks.names()) - set(names[position:])
        results.drop(folder, lambda entry, kept=kept: entry["notebook"] not in kept)
        (folder / "index.html").unlink(missing_ok=True)
        written.drop_reports(folder)
        pages.write_overview()
        with freshness.recording(name, folder, made_from=made_from):
            notebooks.execute(name, parameters)
            table.check_promises(name, folder)
        reason = f"as {name} ran"
    # A later notebook may add to a run that an earlier one shows, such as the predictions on test.
    freshness.refresh_runs(folder, names)
