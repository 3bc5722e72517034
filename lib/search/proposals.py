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
        oracle, drawn = self.oracle, [self.seed, len(self.oracle.trials)]
        # What is drawn for a trial depends on its number alone, and not on how often the search was begun.
        oracle._seed_state, oracle._random_state = 1000 * drawn[1] + self.seed, np.random.RandomState(drawn)
        np.random.seed(drawn)  # AutoKeras' order draws from numpy's global generator
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, on a model of few trials
            return as_proposal(oracle.create_trial(worker))

    def tell(self, name: str, score: float | None) -> None:
        """Say what a trial has reached; None where it failed."""
        end_trial(self.oracle, self.oracle.get_trial(name), score)

    def repeat(self, told: Iterable[tuple[Proposal, float | None]]) -> None:
        """Tell what earlier starts of the search have reached, trial by trial."""
        propose = self.oracle.populate_space
        for before, score in told:
            if self.known:  # proposed again, the same; to ask anew would take a second for each
                again = {"status": "RUNNING", "values": before.values}
                self.oracle.populate_space = lambda trial_id, again=again: again
            name = self.next().name
            self.oracle.get_trial(name).hyperparameters.values |= before.values
            self.tell(name, score)
        self.oracle.populate_space = propose

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
