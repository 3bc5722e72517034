"""lib.search.proposals: which trials come is a function of the seed and of what earlier trials reached."""

import contextlib
import json
import time
from pathlib import Path

import numpy as np
import pytest

from lib.config import Augment, Blocks, Experiment, Space, Training
from lib.models import ConvBlocks, Residual
from lib.search.proposals import Proposals

START = Experiment(
    why="?",
    model=Residual(filters=(4, 8), blocks=(1, 1)),
    training=Training(epochs=9, batch_size=8),
    augment=Augment(flip=True),
    image_size=32,
)
CHOICES = {
    "model.width": (4, 8, 16),
    "model.dropout": (0.0, 0.2, 0.4),
    "model.shortcuts": (True, False),
    "training.learning_rate": (0.01, 0.02, 0.05, 0.1),
    "training.optimizer": ("sgd", "adamw"),
}
SPACE = Space(start=START, choices=CHOICES, families=(Residual(), ConvBlocks()))
SPACES = {order: SPACE.replace(order=order) for order in ("bayesian", "hyperband", "random")}
SPACES |= {"autokeras": Blocks(start=START, blocks=("vanilla", "resnet"))}


def reached(proposal):
    """A made-up score that depends on the values alone; some trials fail."""
    text = json.dumps(proposal.values, sort_keys=True).encode()
    number = int(np.frombuffer(text, np.uint8).astype(int) @ np.arange(len(text)) % 97)
    return None if number % 9 == 0 else number / 97


def ask(proposals, count):
    """Trial after trial, and what each has reached."""
    told = []
    while len(told) < count and (proposal := proposals.next()):
        told.append((proposal, reached(proposal)))
        proposals.tell(*(proposal.name, told[-1][1]))
    return told


def one_run(space, *, count, seed=0, before=()):
    proposals = Proposals(space, seed=seed)
    proposals.repeat(before)
    told = ask(proposals, count)
    proposals.close()
    return told


@pytest.mark.parametrize("order", SPACES)
def test_a_seed_gives_the_same_trials_however_often_the_search_is_begun(order):
    space, count = SPACES[order], 12
    whole = one_run(space, count=count)
    assert [proposal.name for proposal, _ in whole] == [f"{number:04}" for number in range(count)]
    assert one_run(space, count=count) == whole
    for ended in (1, count - 1):
        np.random.seed(ended)  # what else was drawn in the process changes nothing
        assert one_run(space, count=count - ended, before=whole[:ended]) == whole[ended:], ended
    twice = whole[:3] + one_run(space, count=2, before=whole[:3])
    assert one_run(space, count=2, before=twice) == whole[5:7]
    others = [proposal.values for proposal, _ in one_run(space, count=6, seed=1)]
    assert others != [proposal.values for proposal, _ in whole[:6]]


@pytest.mark.parametrize("order", SPACES)
def test_no_values_come_twice(order):
    told = [proposal for proposal, _ in one_run(SPACES[order], count=20)]
    # Hyperband asks for the best ones again, for more epochs
    keys = {(json.dumps(one.values, sort_keys=True), one.epochs) for one in told}
    assert len(keys) == len(told)
    assert {one.epochs for one in told} == ({None} if order != "hyperband" else {one.epochs for one in told} - {None})
    if order != "autokeras":
        for one in told:
            assert set(one.values) == set(SPACE.all_choices())
            assert all(value in SPACE.all_choices()[name] for name, value in one.values.items())
            SPACE.experiment(one.values)


@pytest.mark.parametrize("order", ["bayesian", "random"])
def test_a_small_space_is_tried_whole_and_ends(order):
    space = Space(start=START, choices={"model.width": (4, 8, 16), "model.shortcuts": (True, False)}, order=order)
    told = one_run(space, count=20)
    assert len({json.dumps(proposal.values) for proposal, _ in told}) == len(told) == space.size == 6


def test_bayesian_proposals_follow_the_scores():
    """A score that falls with the width: what it proposes is narrower than what it drew first, and takes no time."""
    proposals, told, began = Proposals(SPACES["bayesian"], seed=0), [], time.process_time()
    for _ in range(11):
        proposal = proposals.next()
        told.append(proposal.values["model.width"])
        proposals.tell(proposal.name, 1 / told[-1])
    proposals.close()
    assert np.mean(told[6:]) < np.mean(told[:6]) and time.process_time() - began < 11


@pytest.mark.parametrize("order", ["hyperband", "random", "autokeras"])
def test_files_of_the_libraries_are_never_read(order):
    whole = one_run(SPACES[order], count=8)
    proposals = Proposals(SPACES[order], seed=0)
    told = []
    for _ in range(8):
        for file in Path(proposals.folder.name).rglob("*.json"):
            file.write_text("{", encoding="utf-8")
        told += ask(proposals, 1)
    folder = Path(proposals.folder.name)
    proposals.close()
    assert told == whole and not folder.exists()


def test_the_first_bayesian_trial_is_what_the_space_starts_from():
    start = START.replace(model=Residual(filters=(32, 64), blocks=(2, 2), stem_stride=2))
    choices = {
        "model.width": (16, 32),
        "model.stages": (1, 2, 3),
        "model.blocks": (1, 2),
        "training.learning_rate": (start.training.learning_rate * 2, start.training.learning_rate),
        "model.stem_stride": (1, 4),
    }
    space = Space(start=start, choices=choices, families=(ConvBlocks(), Residual()))
    with contextlib.closing(Proposals(space, seed=3)) as proposals:
        values = proposals.next().values
    assert values.pop("model.stem_stride") == 1, "where the start has a value that cannot be chosen, the first one"
    assert space.experiment(values | {"model.stem_stride": 2}) == start
