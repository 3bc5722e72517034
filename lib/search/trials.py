"""What a search leaves behind: a folder per trial, a table of them, and the best network of any finished epoch."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.config.files import locked, read_json, replacing, write_json
from lib.search.proposals import Proposal
from lib.training.runs import CHECKPOINT, Run

TABLE = "trials.csv"
BEST = "best.json"
# What became of a trial. `cut` ended early, as time was up or since it failed after an epoch, and counts as it stood.
# The last three count for nothing: it failed, or no epoch fitted into the time of a trial (too slow) or of the search
# (too late).
RUNNING, DONE, CUT, FAILED, SLOW, LATE = "running", "done", "cut", "failed", "too slow", "too late"
SCORED = (DONE, CUT)


@dataclass
class Trial:
    """One trial, as its folder says; all seconds are those of the search's clock."""

    folder: Path
    proposal: Proposal
    status: str = RUNNING
    starts: int = 0  # how often it was begun
    began_seconds: float = 0.0
    ended_seconds: float = 0.0
    first_epoch_seconds: float = 0.0  # from its begin to the end of its first epoch
    parameters: int = 0
    reason: str = ""  # why it ended early, or failed
    worker: str = ""  # who ran it last, where several did

    @property
    def run(self) -> Run:
        """Its folder as that of a run: curves, settings and events of TensorBoard lie in it."""
        return Run(self.folder)

    @property
    def score(self) -> float | None:
        """The highest val accuracy of its epochs, in [0, 1]; None where it counts for nothing."""
        return self.best_epoch()["val_accuracy"] if self.status in SCORED else None

    def best_epoch(self) -> dict:
        """The row of its history with the highest val accuracy."""
        history = self.run.history()
        return history.loc[history["val_accuracy"].idxmax()].to_dict()

    @property
    def epochs(self) -> int:
        """How many epochs it has finished."""
        return len(self.run.history()) if (self.folder / "history.csv").exists() else 0

    @property
    def least_seconds(self) -> float:
        """What it took to finish one epoch, or to see that it takes too long; 0 where it failed before."""
        return self.ended_seconds - self.began_seconds if self.status == SLOW else self.first_epoch_seconds

    def save(self) -> None:
        """Write what is known of it, all or nothing."""
        facts = {name: value for name, value in vars(self).items() if name not in ("folder", "proposal")}
        write_json(self.folder / "trial.json", facts | {"proposal": vars(self.proposal)})

    def end(self, status: str, *, seconds: float, reason: str = "") -> None:
        """Write what became of it; its weights are not needed any more."""
        self.status, self.ended_seconds, self.reason = status, seconds, reason
        self.save()
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def row(self) -> dict:
        """One flat row for the table of trials."""
        best = self.best_epoch() if self.status in SCORED else {}
        scores = {name: best.get(name) for name in ("val_accuracy", "val_loss", "accuracy")}
        facts = {"status": self.status, "epochs": self.epochs, "parameters": self.parameters, "reason": self.reason}
        seconds = {"began_seconds": self.began_seconds, "ended_seconds": self.ended_seconds}
        return {"trial": int(self.proposal.name)} | scores | facts | seconds | self.proposal.values


def read_trials(folder: Path) -> list[Trial]:
    """The trials of a search in their order; one whose file is damaged is left out, and so made again."""
    trials = []
    for file in sorted((folder / "trials").glob("*/trial.json")):
        try:
            facts = read_json(file)
            trials.append(Trial(file.parent, **facts | {"proposal": Proposal(**facts["proposal"])}))
        except (KeyError, TypeError, ValueError):
            print(f"{file} is damaged, and the trial is made again", flush=True)
    return trials


def write_table(folder: Path) -> pd.DataFrame:
    """Write the table of all trials: one row each, its values in columns of their names."""
    table = pd.DataFrame([trial.row() for trial in read_trials(folder)])
    with replacing(folder / TABLE) as partial:
        table.to_csv(partial, index=False)
    return table


def read_best(folder: Path) -> dict:
    """Trial, epoch, val_accuracy and file of the best network so far; empty where there is none."""
    try:
        best = read_json(folder / BEST)
        return best if (folder / best["file"]).exists() else {}
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return {}


def keep_best(folder: Path, trial: Trial, row: dict, model) -> bool:
    """Keep a network if no epoch of any trial was better; at each moment one whole network is there."""
    with locked(folder / ".best.lock", title=f"the best network of {folder.name}"):  # of several workers, perhaps
        before = read_best(folder)
        if before and row["val_accuracy"] <= before["val_accuracy"]:
            return False
        name = f"best-{trial.proposal.name}-{row['epoch']}.keras"
        with replacing(folder / name) as partial:
            model.save(partial)
        facts = {"trial": int(trial.proposal.name), "epoch": row["epoch"], "file": name}
        write_json(folder / BEST, facts | {"val_accuracy": row["val_accuracy"], "values": trial.proposal.values})
        if before and before["file"] != name:
            (folder / before["file"]).unlink(missing_ok=True)
        return True
