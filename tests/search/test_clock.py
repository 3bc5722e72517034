"""lib.search.clock: seconds are counted over all starts, and a trial ends when none are left."""

import json
import time

import pytest

from lib.search.clock import Clock, Deadline, TimeUp


def clock_at(folder, used, *, seconds=100.0):
    (folder / "clock.json").write_text(json.dumps({"seconds": used}), encoding="utf-8")
    return Clock(folder / "clock.json", seconds)


def test_seconds_go_on_where_an_earlier_start_ended(tmp_path):
    file = tmp_path / "clock.json"
    first = Clock(file, 100)
    assert first.used < 1 and 99 < first.left <= 100
    time.sleep(0.1)
    first.keep()
    second = Clock(file, 100)
    assert 0.1 <= second.used < 1.1 and second.left == pytest.approx(100 - second.used, abs=0.1)
    assert clock_at(tmp_path, 130).left < -29.9


def test_a_damaged_file_counts_as_none(tmp_path):
    file = tmp_path / "clock.json"
    for content in ("", "{", "[]", "3", "null", "{}", '{"seconds": "many"}', '{"seconds": null}', '{"seconds": NaN}',
                    '{"seconds": -5}', '{"seconds": Infinity}', '{"seconds": 1' + 400 * "0" + "}"):  # fmt: skip
        file.write_text(content, encoding="utf-8")
        assert 0 <= Clock(file, 100).used < 1, content
    file.write_bytes(b"\xff\xfe\x00")
    assert 0 <= Clock(file, 100).used < 1


def test_seconds_are_kept_on_disk_while_nothing_is_told(tmp_path):
    """A process may be killed while a network is prepared."""
    with Clock(tmp_path / "clock.json", 100) as clock:
        time.sleep(2.4)
        assert 1.9 <= json.loads(clock.file.read_text(encoding="utf-8"))["seconds"] <= clock.used
    before = clock.file.read_bytes()
    time.sleep(1.2)
    assert clock.file.read_bytes() == before  # the tick has ended


def steps(deadline, clock, *, epoch, count, of, each):
    """Some steps of an epoch, each of which takes some seconds."""
    for done in range(1, count + 1):
        clock.before += each
        deadline.step(epoch, done, of)


def test_a_trial_ends_with_the_time_of_the_search(tmp_path):
    clock = clock_at(tmp_path, 95)
    deadline = Deadline(clock)
    steps(deadline, clock, epoch=1, count=4, of=100, each=1)  # a later epoch is not foreseen: it may be cut
    with pytest.raises(TimeUp, match="the time of the search is used up") as caught:
        steps(deadline, clock, epoch=1, count=1, of=100, each=1)
    assert not caught.value.of_trial


def test_a_trial_ends_with_its_own_time(tmp_path):
    clock = clock_at(tmp_path, 30)
    with pytest.raises(TimeUp, match="the time of the trial is used up") as caught:
        steps(Deadline(clock, 40), clock, epoch=1, count=10, of=100, each=1)
    assert caught.value.of_trial and clock.used == pytest.approx(40, abs=0.5)


def test_a_first_epoch_that_cannot_be_finished_ends_as_soon_as_that_is_seen(tmp_path):
    clock = clock_at(tmp_path, 50)
    with pytest.raises(TimeUp, match=r"\d+ seconds are left of the search, and its first epoch needs 96 more"):
        steps(Deadline(clock), clock, epoch=0, count=10, of=100, each=1)
    assert clock.used == pytest.approx(54, abs=0.5)
    clock = clock_at(tmp_path, 50)  # one that just fits is not ended, though its first step took long
    deadline = Deadline(clock)
    steps(deadline, clock, epoch=0, count=1, of=25, each=20)
    for done in range(2, 26):
        clock.before += 1
        deadline.step(0, done, 25)
