"""TensorBoard on the runs of one profile, so that a smoke run of seconds does not lie among those that count."""

import shutil
import sys
import threading
import time
import types
from pathlib import Path

from lib.config import paths
from lib.training.runs import Run

SECONDS = 5  # between two looks for new runs


def show(brief: str, profile: str, *, port: int) -> int:
    """Serve the runs of a profile until Ctrl-C, also those that begin meanwhile; returns TensorBoard's exit status.

    Raises:
        ValueError: if the profile has no runs.
    """
    runs, folder = paths.runs(brief), paths.cache() / "tensorboard" / brief / profile
    shutil.rmtree(folder, ignore_errors=True)
    try:
        found = link_runs(runs, folder, profile=profile)
    except OSError:
        print("The runs of all profiles are shown: this system makes no links to folders.", flush=True)
        folder, found = runs, any(runs.glob("*/"))
    if not found:
        others = sorted({str(_profile(file.parent)) for file in runs.glob("*/config.json")})
        hint = f"choose PROFILE={' or '.join(others)}" if others else "make its report, or train an experiment"
        raise ValueError(f"{brief} has no runs of the profile {profile} yet: {hint}.")
    # TensorBoard's own small reader in TensorFlow's place: it starts in two seconds, and without TensorFlow's words.
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
    from tensorboard import default, program

    if folder != runs:
        threading.Thread(target=_keep_linked, args=(runs, folder, profile), daemon=True).start()
    board = program.TensorBoard(plugins=default.get_plugins())
    board.configure(["tensorboard", "--logdir", str(folder), "--port", str(port)])
    return board.main()


def link_runs(runs: Path, folder: Path, *, profile: str) -> int:
    """Link the run folders of a profile into a folder, with the declaration of their settings; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [file.parent for file in sorted(runs.glob("*/config.json")) if _profile(file.parent) in (profile, None)]
    for source in [*found, *runs.glob("events.out.tfevents.*")]:
        link = folder / source.name
        if not link.is_symlink():
            link.symlink_to(source, target_is_directory=source.is_dir())
    return len(found)


def _profile(folder: Path) -> str | None:
    """The profile that a run was first trained for; None where its folder does not say."""
    try:
        return Run(folder).config().get("profile")
    except (OSError, ValueError):
        return None


def _keep_linked(runs: Path, folder: Path, profile: str) -> None:
    while True:
        time.sleep(SECONDS)
        link_runs(runs, folder, profile=profile)
