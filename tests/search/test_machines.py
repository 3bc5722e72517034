"""lib.search.machines: several workers on one search, some of which are killed."""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
import time

import pytest
import tiny_training

from lib.config import Experiment, Training
from lib.config.search import Blocks, Search, Space
from lib.models import Mlp
from lib.search import jobs, machines
from lib.search.proposals import Proposals
from lib.search.trials import CUT, RUNNING, SCORED, read_best, read_trials
from lib.training.open_brief import OpenBrief
from lib.training.workers import WorkerDied

START = Experiment(
    why="?", model=Mlp(units=(8,)), training=Training(epochs=40, batch_size=4, learning_rate=0.01), image_size=16
)
RATES = tuple(0.001 * number for number in range(1, 40))
SPACE = Space(start=START, choices={"training.learning_rate": RATES, "model.dropout": (0.0, 0.1, 0.3)})
SEARCH = Search(why="Do two workers share a search?", space=SPACE, minutes=1 / 3)


def job(photos, **changes) -> jobs.SearchJob:
    whole = tiny_training.opened(photos)
    opened = OpenBrief(whole.brief.replace(searches={"short": SEARCH}), "quick", photos, whole.split)
    return jobs.SearchJob(opened, "short", SEARCH.replace(**changes))


@contextlib.contextmanager
def asked(task, *workers):
    """A chief of this process, and what some workers ask it with."""
    with contextlib.closing(Proposals(task.space, seed=task.seed)) as proposals:
        chief = machines.Chief(proposals, task)
        with machines._serving(chief) as address, contextlib.ExitStack() as open_until_then:
            askers = [machines.Asking(address, task, worker) for worker in workers]
            for asker in askers:
                open_until_then.callback(asker.close)
            yield chief, address, *askers


def kill_in_the_middle(folder, name, ended, killed):
    """Kill a worker in the middle of a trial, once another one has begun one too."""
    while not ended.wait(0.05):
        trials = {trial.worker: trial for trial in read_trials(folder) if trial.status == RUNNING and trial.epochs}
        if len(trials) == 2:
            process = next(one for one in multiprocessing.active_children() if one.name == name)
            os.kill(process.pid, signal.SIGKILL)
            killed.append(trials[name])
            return


def test_a_worker_is_killed_and_the_other_one_goes_on_until_the_time_is_up(photos, capsys):
    short, ended, killed = job(photos), threading.Event(), []
    run, seconds = short.run, 60 * SEARCH.minutes
    killer = threading.Thread(target=kill_in_the_middle, args=(run.folder, "worker-2", ended, killed))
    killer.start()
    try:
        jobs.run_search(short, workers=2)
    finally:
        ended.set()
        killer.join()
    assert run.finished and run.damage() is None
    assert 60 * run.record()["minutes"] < seconds + 10
    trials = {trial.proposal.name: trial for trial in read_trials(run.folder)}
    assert any(trial.worker == "worker-1" for trial in trials.values())
    again = trials[killed[0].proposal.name]
    assert (again.proposal, again.epochs >= 1) == (killed[0].proposal, True)
    if again.worker == "worker-1":  # it went on with it
        assert (again.status in SCORED, again.starts) == (True, 2)
    else:  # there was no time for that
        assert (again.status, again.reason) == (CUT, "its worker ended before it did")
    metrics, best = run.metrics(), read_best(run.folder)
    assert (metrics["workers"], metrics["trials"]) == (2, len(trials))
    assert best["val_accuracy"] == max(trial.score for trial in trials.values() if trial.score is not None)
    assert run.load_model().output_shape == (None, 3)
    printed = capsys.readouterr().out
    assert "2 workers ask the chief at 127.0.0.1:" in printed
    assert "worker-2 was ended by signal 9: others go on with its trial" in printed
    assert f"{len(trials)} trials (" in printed and "it stopped: the time was used up" in printed
    assert "found: val accuracy" in printed and f"\nkept in {run.folder / 'model.keras'}\n" in printed
    jobs.run_search(job(photos), workers=2)
    assert f"finished earlier, and read from {run.folder / 'model.keras'}" in capsys.readouterr().out


def test_a_chief_proposes_what_the_search_of_one_process_does(photos, tmp_path):
    spaces = [SPACE.replace(order=order) for order in ("bayesian", "hyperband", "random")]
    for space in (*spaces, Blocks(start=START.replace(image_size=32), blocks=("vanilla",))):
        alone = Proposals(space, seed=3)
        with asked(machines.Task(space, None, 60, tmp_path, 3), "a") as (_, _, asker):
            for number in range(6):
                expected, received = alone.next(), asker.next()
                assert received == expected  # numbers too: none is rounded on its way
                score = None if number == 2 else number / 6
                alone.tell(expected.name, score)
                asker.tell(received.name, score)
        alone.close()


def test_what_a_killed_worker_has_begun_is_the_next_trial(tmp_path):
    with asked(machines.Task(SPACE, None, 60, tmp_path), "a", "b") as (chief, _, one, other):
        begun, second = one.next(), other.next()
        other.tell(second.name, 0.5)
        chief.give_back("a")
        assert other.next() == begun and one.next().name == "0002"


def test_a_worker_waits_where_others_must_end_first(tmp_path):
    space = SPACE.replace(order="hyperband", start=START.replace(training=START.training.replace(epochs=2)))
    names = [f"worker-{number}" for number in range(12)]
    with asked(machines.Task(space, None, 1.5, tmp_path), *names) as (chief, _, *askers):
        chief.oracle.hyperband_iterations = 1  # so that there is an end of rounds
        began = time.monotonic()
        proposals = [asker.next() for asker in askers]
        assert proposals[-1] is None and proposals[0] is not None  # nothing more to propose, and the time was up
        assert time.monotonic() - began > 1


def test_trials_that_were_left_unfinished_come_first_in_the_next_start():
    for order in ("bayesian", "hyperband", "random"):
        space = SPACE.replace(order=order)
        before = Proposals(space, seed=0)
        begun = [before.next(f"worker-{number}") for number in range(4)]
        after = Proposals(space, seed=0)
        after.repeat([(begun[0], 0.4), (begun[3], None)], [begun[1], begun[2]])
        resumed = [after.next("a"), after.next("b"), after.next("c")]
        assert resumed[:2] == begun[1:3] and resumed[2].name == "0004"
        for one in (before, after):
            one.close()


def test_a_chief_that_cannot_be_reached_or_searches_elsewhere_is_a_sentence(photos, tmp_path):
    task = job(photos).task()
    with asked(task) as (_, address):
        with pytest.raises(ValueError, match=f"The chief at {address} does not search in .*short-seed0-"):
            machines.help_chief(task, address, 1)
    for wrong, sentence in (
        (address, f"No chief of a search answers at {address}"),
        ("nobody", "CHIEF must be host:port, as the chief prints it. Received: 'nobody'"),
    ):
        with pytest.raises(machines.ChiefGone, match=sentence):
            machines.help_chief(task, wrong, 1)


def test_an_address_of_another_machine_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(machines.ADDRESS, "203.0.113.7")
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_IP must be an address of this machine. Received: '203"):
        with asked(machines.Task(SPACE, None, 60, tmp_path)):
            pass


class Ending:
    """Data that ends the process which unpacks it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_workers_that_cannot_work_end_the_search_with_a_sentence(photos):
    task = dataclasses.replace(job(photos).task(), data=Ending())
    with pytest.raises(WorkerDied, match="every worker ended early"):
        machines.search_with_workers(task, 1)


def test_the_longest_search_of_a_space_is_the_one_that_is_meant():
    assert jobs.choose("demo", "best", profile="smoke")[0] == "minutes_3"
    assert jobs.choose("demo", "hyperband_3", profile="quick", minutes=7)[1].minutes == 7
    for minutes in (0, 1 / 60, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="minutes must be a number, and at least 10 seconds"):
            jobs.named_search("demo", profile="smoke", minutes=minutes)
    for brief, name in (("demo", "found"), ("caltech101", "best")):
        with pytest.raises(ValueError, match=f"'{name}' is no search of {brief}. Searches: "):
            jobs.named_search(brief, name, profile="smoke")
