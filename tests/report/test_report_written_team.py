"""The team report of tiny_imagenet: its sentences follow from the runs, and its claims are checked."""

import pandas as pd
import pytest
import written_report
from written_report import CLASSES, Picture, add_transfers, make_report_folder

from lib import briefs
from lib.config.files import write_json
from lib.report.notebooks import freshness
from lib.report.results import Results
from lib.report.written import numbers
from lib.report.written.calls import Calls
from lib.report.written.template import render

BRIEF = briefs.load("tiny_imagenet")
LADDER = {"baseline": 0.4, "pixels_64": 0.41, "own_32": 0.3, "own_64": 0.35, "residual": 0.4, "residual_64": 0.5}
LADDER |= {"own_32_slow": 0.11, "own_64_slow": 0.1, "alexnet": 0.3}
PARAMETERS = {"residual": 700, "residual_64": 700, "own_64": 9000}
TRANSFERS = {"frozen": 0.5, "dense": 0.55, "source": 0.4, "cifar10_frozen": 0.6, "cifar10_fine_tuned": 0.7}
TRANSFERS |= {"cifar10_own": 0.45, "cifar10_own_fine_tuned": 0.5, "cifar10_scratch": 0.55}
ORDER = {"images": 450, "misplaced_accuracy": 0.09, "misplaced_verdict": "at chance", "guessing": 0.1}
ORDER |= {"in_order_accuracy": 0.5, "in_order_verdict": "above chance"}
COST = {"epoch": 100_000, "large_image_size": 224, "large_seconds": 8.0, "large_epoch_minutes": 208.0}
COST |= {"small_image_size": 64, "small_seconds": 0.5, "small_epoch_minutes": 13.0}
RACE = {"head_minutes": 0.5, "scratch_minutes": 3.0, "best": "cifar10_fine_tuned", "best_accuracy": 0.7}
SEARCH = {"size": 99, "epochs": 8, "growing": "30.0 % after 1 min", "trials": 7, "stopped_by": "the time was used up"}
SEARCH |= {"importance": "No setting stands out.", "minutes": 9.0, "accuracy": 0.5, "by_hand_accuracy": 0.3}
SEARCH |= {"verdict": "better than", "test_accuracy": 0.4, "test_low": 0.3, "test_high": 0.5, "test_gain": -0.1}
SEARCH |= {"test_gain_low": -0.2, "test_gain_high": 0.0}
DOUBTS = {"above_chance": "None is as bad as a guess.", "honest": "Not honest: frozen.", "purity": 0.4}


def save(folder, notebook, values, tables, figures, runs=()):
    results = Results(folder, notebook=notebook, profile="quick")
    results.save_values(values, runs=runs)
    for name, rows in tables.items():
        results.save_table(name, pd.DataFrame(rows), caption=name, runs=runs)
    for name in figures:
        results.save_figure(name, Picture(), caption=name, alt=name, runs=runs)
    with freshness.recording(notebook, folder, made_from={}):
        pass


def prefixed(prefix, values):
    return {f"{prefix}.{name}": value for name, value in values.items()}


@pytest.fixture
def fill(tmp_path, monkeypatch):
    """A function from what differs to the filled report and its text."""
    make_run = written_report._make_run

    def made(folder, name, seed, **options):
        run = make_run(folder, name, seed, **options)
        metrics = run.metrics()
        write_json(run.folder / "metrics.json", metrics | {"parameters": PARAMETERS.get(name, 1000)})
        return run

    def filled(*, ladder=(), order=(), seeds=2):
        monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / str(len(list(tmp_path.iterdir())))))
        monkeypatch.setattr(written_report, "LADDER", LADDER | dict(ladder))
        monkeypatch.setattr(written_report, "ABLATION", {})
        monkeypatch.setattr(written_report, "_make_run", made)
        folder = make_report_folder(BRIEF, seeds=seeds)
        rates = [{"experiment": "own_32", "training.learning_rate": 0.0003, "model.layers": "conv 32-norm"}]
        save(folder, "02_experiments", {}, {"settings": rates}, ())
        earlier = {"result": "earlier answer: Xception", "accuracy (%)": 0.7, "protocol": "about chance"}
        others = [{"result": "AlexNet in Keras", "accuracy (%)": 32.9, "protocol": "from scratch"}, earlier]
        facts = {"resizing.contrast_kept": 0.9, "dataset.median_width": 64}
        save(folder, "01_explore", facts, {"published": others}, ["resizing"])
        add_transfers(folder, TRANSFERS, notice="lite0 in place of xception.")
        table = pd.read_csv(folder / "tables" / "transfers.csv").assign(backbone="lite0", image_size=71)
        table = table.assign(feature_seconds=9.0, fit_seconds=1.0, what="head", data="few", n=2, result="50.0")
        values = {f"transfer.order_{name}": value for name, value in (ORDER | dict(order)).items()}
        values |= prefixed("transfer.cost", COST) | prefixed("transfer.race_2", RACE)
        values |= prefixed("transfer", DOUBTS | {"purity_chance": 0.1, "notice": "lite0 in place of xception."})
        test = table.assign(test_accuracy=0.5, low=0.4, high=0.6)
        steps = [{"network": "large", "image_size": 224, "parameters": 9, "seconds": 8.0, "epoch_minutes": 208.0}]
        steps[0] |= {"lowest_seconds": 7.0, "highest_seconds": 9.0}
        tables = {"transfers": table, "transfer_test": test, "cost_of_steps": steps}
        tables |= {"transfer_summary_1": table, "transfer_summary_2": table}
        save(folder, "05_transfer_learning", values, tables, ["transfer_minutes_2"], list(table["run"]))
        searches = [{"search": "minutes_9", "order": "bayesian", "minutes": 9, "trials": 7, "scored": 7}]
        searches[0] |= {"val_accuracy": 0.5, "parameters": 800}
        found = [{"setting": "family", "value": "residual"}]
        names = ["search_over_minutes", "search_network"]
        tables = {"searches": searches, "search_found": found}
        save(folder, "06_architecture_search", prefixed("search", SEARCH), tables, names, list(table["run"][:1]))
        report = render("team_report", Calls(BRIEF, folder))
        return report, " ".join(numbers.MARK.sub(r"\3", report.text).replace("\u00a0", " ").split())

    return filled


def test_the_team_report_says_what_its_runs_bear_out(fill):
    report, text = fill()
    assert report.faults == () and report.words[0] <= numbers.count_words(report.text) <= report.words[1]
    assert f"in {len(CLASSES)} classes" in text and "no accuracy below may be set beside one on the whole set" in text
    assert "pixels alone change the accuracy by +10.0 points (+3.9 to +16.1): size does matter." in text
    assert "| `residual` | `residual_64` | 41.0 % to 51.0 % | 700 to 700 | +10.0 (+3.9 to +16.1) | better" in text
    assert "hardly begun to learn" not in text and "so these networks learn more slowly" in text
    assert "has 9.0 % on validation (at chance); the same layer on the same features in order has 50.0 %" in text
    assert "Others report 32.9 % for AlexNet" in text and "reports 0.7 % for Xception (about chance)" in text


def test_no_difference_and_one_seed_are_no_proof_and_a_claim_that_fails_is_named(fill):
    _, text = fill(ladder={"residual_64": 0.4})
    assert "my seeds show no difference, which is not the same as showing that there is none" in text
    assert "one seed, which decides nothing" in fill(seeds=1)[1]
    report, _ = fill(order={"misplaced_verdict": "above chance"})
    assert len(report.faults) == 1 and "do not bear out the claim in this line" in report.faults[0]
