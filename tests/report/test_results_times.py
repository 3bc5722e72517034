"""lib.report.results.times: which results differ from run to run."""

import pytest

from lib.report.results.times import is_time, shows_times


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("best.train_minutes", True),
        ("choice.minutes", True),
        ("full_batch.seconds", True),
        ("minutes", True),
        ("best.minutes_left_out", False),
        ("best.test_accuracy", False),
        ("best.subminutes", False),
    ],
)
def test_a_time_is_known_by_the_last_word_of_its_name(name, expected):
    assert is_time(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("accuracy_against_cost", True), ("descent_times", True), ("learning_curves", False), ("costumes", False)],
)
def test_a_figure_of_times_says_so_in_its_name(name, expected):
    assert shows_times(name) is expected
