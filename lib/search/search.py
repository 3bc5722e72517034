"""A search under a wall clock: trial after trial until the time is used up; the best network is kept whatever happens.

All trials are trained by the project's own loop, whoever proposes them, so one clock serves every kind of search.
"""

import contextlib
import functools
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lib.config import Experiment
from lib.config.files import FolderError, read_json, write_json, writing
from lib.config.progress import progress_bar
from lib.config.search import LEAST_SECONDS, SearchSpace, Space
from lib.search.blocks import block_experiment
from lib.search.clock import Clock, Deadline, TimeUp
from lib.search.proposals import Proposal, Proposals
from lib.search.trials import (
    CUT,
    DONE,
    FAILED,
    LATE,
    RUNNING,
    SCORED,
    SLOW,
    Trial,
    keep_best,
    read_best,
    read_trials,
    write_table,
)
from lib.training.device import import_tensorflow, reproducible
from lib.training.jobs import JobFailed
from lib.training.observers import (
    BAR,
    HistoryFile,
    Observer,
    TensorBoard,
    declare_hyperparameters,
    write_hyperparameters,
)
from lib.training.precision import used_precision
from lib.training.runs import Run

if TYPE_CHECKING:
    from lib.training.fit import Data

LAYER_SECONDS = 0.1  # to build and trace one, on a busy laptop: a step that has begun cannot be ended
LATE_TRIALS = 3  # in a row; a smaller network may still have fitted in
FAILURES = 10  # in a row, after which no trial is likely to do better


@dataclass(frozen=True)
class Result:
    """What a search has found."""

    folder: Path
    best: dict  # trial, epoch, val_accuracy, values and file of the best network
    trials: pd.DataFrame  # a row each, as in trials.csv
    seconds: float  # used, over all starts
    stopped_by: str  # a sentence: the time, the end of the space, or failures

    def load_model(self):
        """The best network of any finished epoch: a Keras model from pixels to logits."""
        return Run(self.folder).load_model(self.best["file"])


def search(space: SearchSpace, data: "Data", *, seconds: float, folder: Path, seed: int = 0) -> Result:
    """Look for the best network of a space, or go on looking for it.

    Args:
        space: what a trial may be: `Space` (KerasTuner) or `Blocks` (AutoKeras).
        data: images, and which of them train and choose.
        seconds: of training and validation, over all starts; more than before continues a search that has ended.
        folder: where all is kept; a search that was killed goes on there with the time that is left.
        seed: of proposals and trainings. The same trials come in the same order with the same results; the clock alone
            decides how many there are, and after which epoch the last one ends.

    Raises:
        ValueError: if there are too few seconds, or the folder holds another search.
        JobFailed: if no trial has finished an epoch.
        FolderError: if the disk is full or the folder is protected.
    """
    check_seconds(seconds)
    claim(folder, space, seed)
    clock, proposals = Clock(folder / "clock.json", seconds), Proposals(space, seed=seed)
    with contextlib.closing(proposals), clock, Screen(folder, clock) as screen:
        repeat_trials(proposals, folder)
        stopped_by = try_all(TrialLoop(space, data, folder, seed, clock, screen), proposals)
    return result_of(folder, clock, stopped_by)


def repeat_trials(proposals: Proposals, folder: Path) -> None:
    """Tell what earlier starts of a search have reached, and begun; TensorBoard learns what can be chosen."""
    declare_hyperparameters(folder / "trials", proposals.names)
    trials = read_trials(folder)
    ended, begun = ([one for one in trials if (one.status == RUNNING) == open] for open in (False, True))
    proposals.repeat([(one.proposal, one.score) for one in ended], [one.proposal for one in begun])


def result_of(folder: Path, clock: Clock, stopped_by: str) -> Result:
    """What a search has left, once it is stopped.

    Raises:
        JobFailed: if no trial has finished an epoch.
    """
    clock.keep()
    best, table = read_best(folder), write_table(folder)
    if not best:
        reasons = [trial.reason for trial in read_trials(folder) if trial.reason]
        raise JobFailed(f"no trial has finished an epoch: {reasons[-1] if reasons else stopped_by}")
    return Result(folder, best, table, clock.used, stopped_by)


def check_seconds(seconds: float) -> None:
    """Refuse a time in which nothing can be found."""
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not number or seconds < LEAST_SECONDS:
        raise ValueError(f"seconds must be a number of at least {LEAST_SECONDS}. Received: {seconds!r}")


def claim(folder: Path, space: SearchSpace, seed: int) -> None:
    """Write down what is searched in a folder, or refuse one in which something else was."""
    file, mine = folder / "search.json", {"space": repr(space), "seed": seed}
    try:
        other = read_json(file)
    except FileNotFoundError:
        write_json(file, mine)
        return
    except ValueError:  # damaged: nobody knows what was searched
        other = None
    if other != mine:
        raise ValueError(f"{folder} holds another search: name another folder, or delete it. Received: {space}")


def try_all(loop: "TrialLoop", proposals: Proposals) -> str:
    """Run trial after trial, and say what ended the search."""
    clock = loop.clock
    ended = [trial for trial in read_trials(loop.folder) if trial.status != RUNNING]
    while True:
        longest = max((trial.least_seconds for trial in ended), default=0.0)
        if clock.left <= longest:
            left = f"{max(0, clock.left):.0f} seconds were left, and a first epoch took up to {longest:.0f}"
            return "the time was used up" if clock.left <= 0 else f"the time was used up: {left}"
        failed = [trial.status == FAILED for trial in ended[-FAILURES:]]
        if len(failed) == FAILURES and all(failed):
            return f"{FAILURES} trials in a row failed, the last one since {ended[-1].reason}"
        proposal = proposals.next()
        if proposal is None:
            return "all of the space was tried" if clock.left > 0 else "the time was used up"
        trial = loop.run(proposal)
        proposals.tell(proposal.name, trial.score)
        ended.append(trial)
        write_table(loop.folder)
        if [one.status for one in ended[-LATE_TRIALS:]] == [LATE] * LATE_TRIALS:
            return f"the time was used up: {trial.reason}"


@dataclass(frozen=True)
class TrialLoop:
    """What all trials of a search have in common."""

    space: SearchSpace
    data: "Data"
    folder: Path
    seed: int
    clock: Clock
    screen: "Screen"
    worker: str = ""  # its name, where there are several

    def run(self, proposal: Proposal) -> Trial:
        """Train one trial until its end or that of the time, or go on with it; a failure is recorded and passed over.

        Raises:
            FolderError: if the disk is full or the folder is protected.
        """
        import_tensorflow()
        trial = self._begin(proposal)
        if trial.starts > 2 and not trial.epochs:
            reason = (
                f"the process ended {trial.starts - 1} times before its first epoch was over, perhaps out of memory"
            )
            return self._end(trial, FAILED, reason)
        try:
            experiment = experiment_of(self.space, proposal)
            if twin := self._twin(experiment):
                shutil.copy(twin.folder / "history.csv", trial.folder)
                trial.parameters = twin.parameters
                return self._end(trial, DONE, f"the same network as trial {int(twin.proposal.name)}")
            with writing(self.folder):
                self._fit(trial, experiment)
            return self._end(trial, DONE)
        except TimeUp as error:
            status = CUT if trial.epochs else SLOW if error.of_trial else LATE
            return self._end(trial, status, str(error))
        except FolderError:
            raise
        except Exception as error:  # whatever a network meets, the next one may do better
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            return self._end(trial, CUT if trial.epochs else FAILED, reason)

    def _begin(self, proposal: Proposal) -> Trial:
        folder = self.folder / "trials" / proposal.name
        known = [trial for trial in read_trials(self.folder) if trial.folder == folder]
        if known and known[0].proposal == proposal:
            trial = known[0]
            trial.began_seconds = trial.began_seconds if trial.epochs else self.clock.used
        else:
            shutil.rmtree(folder, ignore_errors=True)
            trial = Trial(folder, proposal, began_seconds=self.clock.used)
        trial.starts, trial.worker = trial.starts + 1, self.worker
        trial.save()
        return trial

    def _twin(self, experiment: Experiment) -> Trial | None:
        """An earlier trial of the same experiment: other values of settings that its family lacks change nothing."""
        finished = (trial for trial in read_trials(self.folder) if trial.status == DONE)
        return next((one for one in finished if experiment_of(self.space, one.proposal) == experiment), None)

    def _end(self, trial: Trial, status: str, reason: str = "") -> Trial:
        if status in SCORED:
            write_hyperparameters(trial.run, trial.proposal.values, metrics=trial.best_epoch())
        trial.end(status, seconds=self.clock.used, reason=reason)
        self.screen.tell(trial)
        self.clock.keep()
        return trial

    def _fit(self, trial: Trial, experiment: Experiment) -> None:
        from lib.training.fit import train_network

        models = []

        def build():
            labels = self.data.read(experiment.image_size).labels
            models.append(experiment.build(int(labels.max()) + 1))
            trial.parameters = models[0].count_params()
            if trial.parameters > self.space.max_parameters:
                raise ValueError(f"{trial.parameters:,} parameters, of {self.space.max_parameters:,} that are allowed")
            layers = len(list(models[0]._flatten_layers()))
            if layers * LAYER_SECONDS > self.clock.left:
                raise TimeUp(f"{self.clock.left:.0f} seconds are left, too few to prepare {layers} layers")
            return models[0]

        keep = BestKept(self.folder, trial, models)
        deadline = Deadline(self.clock, trial.began_seconds + self.space.trial_seconds)
        observers = [HistoryFile(trial.run), keep, FirstEpoch(trial, self.clock), TensorBoard(trial.run)]
        observers += [self.screen.of(trial, experiment), deadline]
        with reproducible(self.seed, precision=used_precision(experiment.training.precision)):
            options = {"build": build, "run": trial.run, "seed": self.seed, "observers": observers}
            train_network(experiment, self.data, **options)


def experiment_of(space: SearchSpace, proposal: Proposal) -> Experiment:
    """The experiment that a proposal stands for.

    Raises:
        ValueError: if its values do not go together.
    """
    make = space.experiment if isinstance(space, Space) else functools.partial(block_experiment, space)
    experiment = make(proposal.values)
    if proposal.epochs is None:
        return experiment
    return experiment.replace(training=experiment.training.replace(epochs=proposal.epochs))


class BestKept(Observer):
    """Keeps the network after each epoch that is the best of the whole search."""

    def __init__(self, folder: Path, trial: Trial, models: list):
        self.folder, self.trial, self.models = folder, trial, models

    def start(self, history):
        if history:  # killed perhaps just before it was kept
            self.epoch(history)

    def epoch(self, history):
        keep_best(self.folder, self.trial, history[-1], self.models[0])


class FirstEpoch(Observer):
    """Notes how long it took to the end of the first epoch: what a further trial needs at least."""

    def __init__(self, trial: Trial, clock: Clock):
        self.trial, self.clock = trial, clock

    def epoch(self, history):
        if len(history) == 1:
            self.trial.first_epoch_seconds = self.clock.used - self.trial.began_seconds
            self.trial.save()


class Screen:
    """The progress line of a search: best so far and time left; a line per trial where nobody watches."""

    def __init__(self, folder: Path, clock: Clock):
        self.folder, self.clock = folder, clock
        self.bar = progress_bar(folder.name.rpartition("-")[0], total=round(clock.seconds), unit="s", bar_format=BAR)

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()

    def best(self) -> str:
        """What is the best so far, in words."""
        best = read_best(self.folder)
        return f"best val {best['val_accuracy']:.3f} of trial {best['trial']}" if best else "nothing found yet"

    def of(self, trial: Trial, experiment: Experiment) -> Observer:
        """What watches one trial for this line."""
        return TrialScreen(self, trial, experiment.training.epochs)

    def tell(self, trial: Trial) -> None:
        """Say how a trial ended."""
        if self.bar.disable:
            score = "" if trial.score is None else f" val {trial.score:.3f} after {trial.epochs} epochs,"
            reason = f" ({trial.reason})" if trial.reason else ""
            left = f"{max(0, self.clock.left):.0f} s left"
            title = f"{self.folder.name}: trial {int(trial.proposal.name)} {trial.status}{reason}:"
            print(f"{title}{score} {self.best()}, {left}", flush=True)


class TrialScreen(Observer):
    """Moves the progress line while a trial is trained."""

    def __init__(self, screen: Screen, trial: Trial, epochs: int):
        self.screen, self.number, self.epochs = screen, int(trial.proposal.name), epochs

    def step(self, epoch, done, steps):
        bar = self.screen.bar
        if not bar.disable:
            bar.n = min(bar.total, round(self.screen.clock.used))
            bar.update(0)

    def epoch(self, history):
        if not self.screen.bar.disable:
            text = f"trial {self.number}, epoch {len(history)}/{self.epochs}; {self.screen.best()}"
            self.screen.bar.set_postfix_str(text, refresh=False)
