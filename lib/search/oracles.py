"""The oracles that order the trials of a search: those of KerasTuner, and AutoKeras' greedy one."""

import keras_tuner
from autokeras.tuners.greedy import GreedyOracle
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle

from lib.config.search import SearchSpace, Space
from lib.search.blocks import block_settings

CANDIDATES = 1000


class Bayesian(BayesianOptimizationOracle):
    """Bayesian optimisation over values that can be had, none of which it asks for twice.

    KerasTuner descends from 50 points in a space without steps, and rounds: up to 15 seconds for one proposal.
    """

    def populate_space(self, trial_id):
        space = self.hyperparameters.space
        if not self.trials:  # what the space starts from, which somebody thought good
            return {"status": "RUNNING", "values": {one.name: one.default for one in space}}
        learnt = sum(trial.status == "COMPLETED" for trial in self.trials.values()) >= self.num_initial_points
        drawn = self._random_state.uniform(size=(CANDIDATES if learnt else 0, len(space)))
        values = [{one.name: one.prob_to_value(at) for one, at in zip(space, row, strict=True)} for row in drawn]
        values = [one for one in values if not self._duplicate(one)]
        if not values:
            return self._random_populate_space()
        self.gpr.fit(*self._vectorize_trials())  # to minus the score
        points = [[one.value_to_prob(chosen[one.name]) for one in space] for chosen in values]
        mean, deviation = self.gpr.predict(points, return_std=True)
        return {"status": "RUNNING", "values": values[int((mean - self.beta * deviation).argmin())]}


def make_oracle(space: SearchSpace, *, seed: int):
    """The oracle that orders the trials of a space, with no limit on their number."""
    settings = space_settings(space)
    common = {
        "objective": keras_tuner.Objective("val_accuracy", "max"),
        "seed": seed + 1,  # it takes 0 for none, and draws one
        "hyperparameters": settings,
        "max_consecutive_failed_trials": 10**9,  # the search itself counts
    }
    if not isinstance(space, Space):
        return GreedyOracle(**common)
    if space.order == "hyperband":
        epochs = {"max_epochs": max(2, space.start.training.epochs), "hyperband_iterations": None}
        return HyperbandOracle(**common, **epochs)
    if space.order == "random":
        return RandomSearchOracle(**common, max_trials=None)
    # its own default draws three trials per setting before it learns from any, more than fit into a few minutes
    drawn = max(4, len(settings.space))
    return Bayesian(**common, max_trials=None, num_initial_points=drawn)


def space_settings(space: SearchSpace):
    """The settings of a space as `keras_tuner.HyperParameters`."""
    if not isinstance(space, Space):
        return block_settings(space)
    settings, known = keras_tuner.HyperParameters(), space.start_values()
    for name, values in space.all_choices().items():
        default = known.get(name, values[0])
        if isinstance(values[0], bool):
            settings.Boolean(name, default=default)
        else:
            settings.Choice(name, list(values), ordered=not isinstance(values[0], str), default=default)
    return settings
