"""Two reports compared: what must repeat, what may differ elsewhere, and by how much."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_report import change_value, make_small_report

from lib.report.hand_in import compare
from lib.report.hand_in.compare import DIFFERS, MAY_FOLLOW, NOT_COMPARED, SAME, WITHIN, Line, is_time, shows_times
from lib.report.results import read_values


def verdict(one, other, *, same_machine=False, runs=("a",), name="best.number"):
    values = [{name: {"value": value, "runs": list(runs)}} for value in (one, other)]
    return compare.compare_values(*values, same_machine=same_machine)[0].verdict


def test_what_may_differ():
    for one, other, here, elsewhere in [
        (0.8125, 0.8125, SAME, SAME),
        (0.8125, 0.8125 * (1 + 1e-12), SAME, SAME),
        (0.8125, 0.8126, DIFFERS, WITHIN),
        (0.8125, 0.8125 - compare.SHARE_LIMIT, DIFFERS, WITHIN),
        (0.8125, 0.8125 - compare.SHARE_LIMIT - 0.001, DIFFERS, DIFFERS),
        (-0.01, 0.02, DIFFERS, WITHIN),
        (2.0, 2.0 * (1 + compare.RELATIVE_LIMIT), DIFFERS, WITHIN),
        (2.0, 3.5, DIFFERS, DIFFERS),
        (12, 13, DIFFERS, MAY_FOLLOW),
        ("deep", "wide", DIFFERS, MAY_FOLLOW),
        (True, False, DIFFERS, MAY_FOLLOW),
        (1, 1.0, SAME, SAME),
        (1, 0.97, DIFFERS, DIFFERS),
        ("0.97", 0.97, DIFFERS, DIFFERS),
        (True, 1.0, DIFFERS, DIFFERS),
        (None, 0.97, DIFFERS, DIFFERS),
        (float("nan"), 0.97, DIFFERS, DIFFERS),
        (0.97, 1, DIFFERS, DIFFERS),
    ]:
        assert verdict(one, other, same_machine=True) == here
        assert verdict(one, other) == elsewhere


def test_what_comes_from_no_run_is_the_same_on_every_machine():
    assert verdict(1300, 1301, runs=()) == DIFFERS
    assert verdict(0.5, 0.5001, runs=()) == DIFFERS


def test_what_may_differ_is_decided_by_what_was_made_again():
    claims = {"a": {"value": 9, "runs": ["mine"]}, "b.minutes": {"value": "none", "runs": []}}
    made = {"a": {"value": 8, "runs": []}, "b.minutes": {"value": 2.0, "runs": []}}
    lines = compare.compare_values(claims | {"c.seconds": claims["a"]}, made, same_machine=False)
    assert [line.verdict for line in lines] == [DIFFERS] * 3


def test_times_and_what_a_machine_can_show_are_not_compared():
    for name in ("best.train_minutes", "descent.seconds", "tensorboard.shown"):
        assert verdict(1.0, 9.0, same_machine=True, name=name) == NOT_COMPARED
    entry = {"value": "no Chromium was found", "runs": []}
    assert compare.compare_values({"tensorboard.reason": entry}, {}, same_machine=True)[0].verdict == NOT_COMPARED


def test_a_value_that_only_one_has_differs():
    entry = {"value": 1, "runs": ["a"]}
    lines = compare.compare_values({"a": entry}, {"b": entry}, same_machine=False)
    assert lines == [Line("a", "1", "missing", DIFFERS), Line("b", "missing", "1", DIFFERS)]


@pytest.fixture
def pair(own_folders, monkeypatch):
    """Two equal report folders."""
    folders = []
    for name in ("first", "second"):
        monkeypatch.setenv("COURSEWORK_REPORTS", str(own_folders / name))
        folders.append(make_small_report())
    return folders


def differing(pair, *, same_machine):
    lines = compare.compare_reports(*pair, same_machine=same_machine)
    return {line.name: line.verdict for line in lines if line.verdict not in (SAME, NOT_COMPARED)}


def test_equal_reports_are_equal(pair):
    assert differing(pair, same_machine=True) == {}
    assert len(read_values(pair[0])) == 5


def test_figures_are_compared_by_their_pixels(pair):
    file = pair[1] / "figures" / "curves.png"
    with Image.open(file) as image:
        image.save(file, compress_level=1)
    assert file.read_bytes() != (pair[0] / "figures" / "curves.png").read_bytes()
    assert differing(pair, same_machine=True) == {}
    pixels = np.array(Image.open(file))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(file)
    assert differing(pair, same_machine=True) == {"figures/curves.png": DIFFERS}
    assert differing(pair, same_machine=False) == {"figures/curves.png": MAY_FOLLOW}
    file.unlink()
    assert differing(pair, same_machine=False) == {"figures/curves.png": DIFFERS}


def test_tables_are_compared_without_their_times(pair):
    file = pair[1] / "tables" / "experiments.csv"
    table = pd.read_csv(file)
    table["minutes"] += 1
    table.to_csv(file, index=False)
    assert differing(pair, same_machine=True) == {}
    table.loc[0, "seed"] = 7
    table.to_csv(file, index=False)
    assert differing(pair, same_machine=True) == {"tables/experiments.csv": DIFFERS}


def test_the_table_puts_the_worst_first_and_counts(pair):
    change_value(pair[1], "dataset.images", 11)
    change_value(pair[1], "best.test_accuracy", 0.65)
    text = compare.as_text(compare.compare_reports(*pair, same_machine=False)).splitlines()
    assert [line.split() for line in text[1:3]] == [
        ["dataset.images", "12", "11", "differs"],
        ["best.test_accuracy", "0.666667", "0.65", "within", "limits"],
    ]
    assert text[3:] == ["14 compared: 1 differs, 1 within limits, 1 not compared, 11 same"]
    assert compare.as_text([]) == "0 compared: nothing"


def test_times_are_known_by_their_names():
    for name in ("best.train_minutes", "choice.minutes", "full_batch.seconds", "minutes"):
        assert is_time(name)
    for name in ("best.minutes_left_out", "best.test_accuracy", "best.subminutes"):
        assert not is_time(name)
    assert shows_times("accuracy_against_cost") and shows_times("descent_times")
    assert not shows_times("learning_curves") and not shows_times("costumes")
