"""Which trial comes next: KerasTuner's oracles, fed with what earlier trials reached.

An oracle is a function of its seed and of all that it was told. Its own files are not written whole, so none is read:
a search that goes on tells a new oracle what its trials have reached, in their order, and gets the same answers.
"""

import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lib.config.search import SearchSpace

RESERVED = "tuner/"  # what Hyperband adds to the values of a trial, its epochs among them


@dataclass(frozen=True)
class Proposal:
    """The values of one trial, as far as they count for it."""

    name: str  # its number, as the oracle counts
    values: dict
    epochs: int | None = None  # where the order of the search says how many


class Proposals:
    """The trials of one search, one after another."""

    def __init__(self, space: SearchSpace, *, seed: int):
        from lib.search.oracles import make_oracle

        self.seed, self.oracle = seed, make_oracle(space, seed=seed)
        self.known = getattr(space, "order", "") != "hyperband"  # which also keeps account of its rounds
        self.folder = tempfile.TemporaryDirectory(prefix="search-")  # it insists on writing files
        self.oracle._set_project_dir(self.folder.name, "oracle")
        self.oracle.verbose = 0

    @property
    def names(self) -> list[str]:
        """What a trial may have a value for."""
        return list(dict.fromkeys(one.name for one in self.oracle.hyperparameters.space))

    def next(self, worker: str = "search") -> Proposal | None:
        """The next trial, or None where all of the space has been tried."""
        return as_proposal(self.create(worker))

    def create(self, worker: str):
        """The next trial of a worker as the oracle has it: running, stopped, or idle until other workers have ended."""
        oracle, drawn = self.oracle, [self.seed, len(self.oracle.trials)]
        # What is drawn for a trial depends on its number alone, and not on how often the search was begun.
        oracle._seed_state, oracle._random_state = 1000 * drawn[1] + self.seed, np.random.RandomState(drawn)
        np.random.seed(drawn)  # AutoKeras' order draws from numpy's global generator
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, on a model of few trials
            return oracle.create_trial(worker)

    def tell(self, name: str, score: float | None) -> None:
        """Say what a trial has reached; None where it failed."""
        end_trial(self.oracle, self.oracle.get_trial(name), score)

    def give_back(self, worker: str) -> None:
        """What a worker has begun and will not end is the next trial of whoever asks."""
        if trial := self.oracle.ongoing_trials.pop(worker, None):
            self.oracle._retry_queue.append(trial.trial_id)

    def repeat(self, told: Iterable[tuple[Proposal, float | None]], unfinished: Iterable[Proposal] = ()) -> None:
        """Tell what earlier starts of the search have reached, trial by trial; what they left unfinished comes next."""
        told, waiting = list(told), []
        scores = {before.name: score for before, score in told}
        every = {before.name: before for before in (*(before for before, _ in told), *unfinished)}
        for number in range(max(map(int, every), default=-1) + 1):
            before = every.get(f"{number:04}")  # None where its file was lost: it is proposed anew
            name = self._again(before)
            if name in scores:
                self.tell(name, scores[name])
            else:
                self.give_back("search")
                waiting, self.oracle._retry_queue = [name, *waiting], []
        self.oracle._retry_queue = waiting  # the last one is taken first

    def _again(self, before: Proposal | None) -> str:
        """Have a trial proposed again, and return its name."""
        propose, values = self.oracle.populate_space, before.values if before else {}

        def same(trial_id):
            # To ask anew takes a second. Only Hyperband is asked, for the round; it may wait for others, as it did not.
            asked = {} if self.known else propose(trial_id)
            running = asked.get("status") == "RUNNING"
            return asked if running else {"status": "RUNNING", "values": dict(values)}

        if before:
            self.oracle.populate_space = same
        name = self.next().name
        self.oracle.populate_space = propose
        self.oracle.get_trial(name).hyperparameters.values |= values
        return name

    def close(self) -> None:
        """Remove the oracle's files."""
        self.folder.cleanup()


def as_proposal(trial) -> Proposal | None:
    """What an oracle's trial asks for."""
    if trial.status == "STOPPED":
        return None
    settings, values = trial.hyperparameters, trial.hyperparameters.values
    active = {one.name: values[one.name] for one in settings.space if one.name in values and settings.is_active(one)}
    plain = {name: value for name, value in active.items() if not name.startswith(RESERVED)}
    return Proposal(trial.trial_id, plain, values.get(f"{RESERVED}epochs"))


def end_trial(oracle, trial, score: float | None) -> None:
    """Tell an oracle, here or on another machine, what a trial has reached."""
    trial.status = "FAILED" if score is None else "COMPLETED"
    if score is not None:
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
    oracle.end_trial(trial)
