"""One command, one report: the notebooks of a brief executed in order, and the pages that lead to what they made."""

import time
from pathlib import Path

from lib import low_level
from lib.config import paths
from lib.report import notebooks, pages, results, written
from lib.report.notebooks import freshness
from lib.report.pages import screenshots
from lib.training import workers
from lib.training.jobs import run_jobs
from lib.training.network import network_jobs
from lib.training.open_brief import OpenBrief, open_brief

# What other tools rely on, by the notebook that saves it: names in values.json, and files.
BEST = (
    "best.experiment",
    "best.parameters",
    "best.test_accuracy",
    "best.test_top5_accuracy",
    "best.test_cross_entropy",
    "best.test_balanced_accuracy",
    "best.train_minutes",
)
PROMISED_VALUES = {
    "01_explore": (
        "dataset.images",
        "dataset.classes",
        "dataset.left_out",
        "split.train",
        "split.val",
        "split.test",
    ),
    "03_best_model": BEST,
    "04_explainability": ("explain.masks", "explain.best_method"),
    "08_regularisation": BEST,
}
# Promised by notebook 04 too where the data set knows its objects, which `explain.masks` says; importing the methods'
# own list would load TensorFlow.
POINTERS = (
    "centre",
    "gradient",
    "gradient_x_input",
    "smooth_gradient",
    "integrated_gradients",
    "guided_backprop",
    "grad_cam",
    "grad_cam_plus_plus",
    "occlusion",
    "rise",
)
EXPERIMENTS = ("tables/experiments.csv",)
PROMISED_FILES = {"02_experiments": EXPERIMENTS, "08_regularisation": EXPERIMENTS}


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
        ValueError: if the brief, the profile or the data does not exist (the message lists what does), or a notebook
            does not keep what is promised.
        NotebookError: if a notebook fails.
        CheckFailed: if a written report holds a number that no run stands behind, or breaks another rule; all pages are
            there then.
    """
    opened, at_once = open_brief(brief_name, profile, str(data or "")), at_once or workers.default_count()
    folder = paths.report(brief_name)
    parameters = {"DATA": str(Path(data).expanduser().resolve())} if data else {}
    names = opened.brief.notebooks
    for name in names:  # found out now, not after an hour of training
        given = {**parameters, "BRIEF": brief_name, "PROFILE": profile}
        notebooks.check_parameters(notebooks.locate(name), given)
    # Here and not in a notebook: the screen shows the progress, and the page does not depend on who trained.
    if {"02_experiments", "08_regularisation"} & set(names):
        run_jobs(network_jobs(opened), retry=True, at_once=at_once, minutes=opened.profile.minutes)
    if "07_low_level_tensorflow" in names:
        run_jobs(low_level.by_hand_jobs(opened), retry=True, at_once=at_once)
    further = opened.further()
    facts, waiting, ran = freshness.shared_facts(opened, *further), _waiting(opened), []
    for position, name in enumerate(names):
        made_from = facts | freshness.notebook_facts(name, parameters | {"profile": profile})
        if force or ran:
            reason = f"as {ran[-1]} ran" if ran else "as asked"
        else:
            reason = freshness.reason_to_run(name, folder, made_from=made_from, waiting=waiting)
        if reason:
            print(f"{name}: running ({reason})", flush=True)
            _clear(folder, names[position:])
            _execute(name, opened, parameters=parameters, made_from=made_from)
            ran.append(name)
        else:
            print(f"{name}: unchanged, reused (force with FORCE=1)", flush=True)
    # A later notebook may add to a run that an earlier one shows, such as the predictions on test.
    freshness.refresh_runs(folder, names)
    screenshots.save_screenshots(opened, made_from=facts)
    faults = written.write_reports(opened.brief)
    page = pages.write_pages(opened, *further)
    if faults:
        raise written.CheckFailed(faults)
    return page


def _waiting(opened: OpenBrief) -> list[str]:
    """Planned runs that are neither finished nor known to fail."""
    runs = [job.run for job in network_jobs(opened)]
    return [run.id for run in runs if not run.finished and run.failure is None]


def _clear(folder: Path, names: tuple[str, ...]) -> None:
    """Drop what will be made again: if a notebook fails, nothing of an earlier report looks finished."""
    folder.mkdir(parents=True, exist_ok=True)
    existing = notebooks.names()
    results.drop(folder, lambda entry: entry["notebook"] in names or entry["notebook"] not in existing)
    (folder / "index.html").unlink(missing_ok=True)
    written.drop_reports(folder)
    pages.write_overview()


def _execute(name: str, opened: OpenBrief, *, parameters: dict, made_from: dict) -> None:
    folder = paths.report(opened.brief.name)
    freshness.forget(name, folder)
    before, started = freshness.loose_files(folder), time.perf_counter()
    notebooks.execute(name, brief=opened.brief.name, profile=opened.profile_name, parameters=parameters)
    check_promises(name, folder)
    seconds = time.perf_counter() - started
    freshness.record(name, folder, made_from=made_from, before=before, seconds=seconds)


def check_promises(name: str, folder: Path) -> None:
    """Check that a notebook left what other tools rely on.

    Raises:
        ValueError: names the values and files that are missing.
    """
    values = results.read_values(folder)
    promised = PROMISED_VALUES.get(name, ())
    if name == "04_explainability" and values.get("explain.masks", {}).get("value"):
        promised += tuple(f"explain.pointing_game.{pointer}" for pointer in POINTERS)
    missing = [value for value in promised if value not in values]
    missing += [file for file in PROMISED_FILES.get(name, ()) if not (folder / file).exists()]
    if missing:
        raise ValueError(
            f"{name} must save {', '.join(missing)}: other tools rely on it. Received: {', '.join(values)}"
        )
