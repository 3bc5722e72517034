"""Written reports: the shipped ones hold for whatever the runs gave, and every planted lie is caught by name."""

import hashlib
import json
import re
import shutil

import pandas as pd
import pytest
from written_report import add_transfers, edit_value, make_report_folder, record

from lib import briefs
from lib.__main__ import main
from lib.config import paths
from lib.config.files import read_json, write_json
from lib.figures import tables
from lib.report import written
from lib.report.written import documents, numbers, template
from lib.report.written.calls import Calls

REPORTS = ("experimentation", "explainability")
NOTEBOOKS = ("01_explore", "02_experiments", "03_best_model", "04_explainability")
BRIEF = briefs.load("demo").replace(reports=REPORTS, notebooks=NOTEBOOKS)
FIRST = "reports/templates/experimentation.md"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished report folder with its written reports."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_REPORTS", str(root))
        make_report_folder(BRIEF)
        assert written.write_reports(BRIEF) == []
    return root


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """A copy of it, to be spoilt; copying makes no run look newer."""
    shutil.copytree(finished, tmp_path / "reports")
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path / "reports"))
    return paths.report("demo")


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """The shipped templates in a folder of the test's own."""
    shutil.copytree(template.TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr(template, "TEMPLATES", tmp_path / "templates")
    return tmp_path / "templates"


def change(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def faults_of_results():
    """What is wrong apart from the pages, which are older than what was edited."""
    return [fault for fault in written.check_reports(BRIEF) if "run `make report`" not in fault]


def prose(name="experimentation"):
    """The filled report as a reader reads it."""
    text = re.sub(r"<(script|style).*?</\1>", "", (paths.report("demo") / f"{name}.html").read_text(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", text).replace("\u00a0", " ").split())


# What is shipped


def test_a_transfer_is_told_with_its_gain_and_claimed_only_where_the_runs_bear_it_out(folder):
    brief = BRIEF.replace(reports=REPORTS[:1], notebooks=(*NOTEBOOKS, "05_transfer_learning"))
    said = "lite0 in place of vgg19: it cannot be had."
    add_transfers(folder, {"source": 0.9, "frozen": 0.6, "fine_tuned": 0.7, "scratch": 0.3}, notice=said)

    def faults():
        return [fault for fault in written.check_reports(brief) if "run `make report`" not in fault]

    assert faults() == []
    report = template.render("experimentation", Calls(brief, folder))
    text = " ".join(numbers.MARK.sub(r"\3", report.text).replace("\u00a0", " ").split())
    assert "of which it sees 60 images. A linear layer on its frozen features recognises 61.0 % of" in text
    assert "trained further 71.0 %, and the same one from random weights 31.0 %, so it does. The gain" in text
    assert "`fine_tuned` (+40.0 points, +33.9 to +46.1) and `frozen` (+30.0, +23.9 to +36.1)" in text
    assert documents.about(report)["note"] == said
    tuned = report.calls.experiment("fine_tuned")
    assert (tuned["seconds"], tuned["trained"], tuned["frozen"], tuned["n"]) == (1.5, 700, 900, 2)
    metrics = next((folder / "runs").glob("frozen-seed0-*")) / "metrics.json"
    write_json(metrics, read_json(metrics) | {"val_accuracy": 0.5})
    assert any("tables/transfers.csv:4: val_accuracy is 0.6, but its run gives 0.5" in fault for fault in faults())
    for name in ("frozen", "fine_tuned", "scratch"):
        for run in (folder / "runs").glob(f"{name}-*"):
            shutil.rmtree(run)
    add_transfers(folder, {"frozen": 0.6, "fine_tuned": 0.7, "scratch": 0.7})
    assert any(
        "the runs do not bear out the claim in this line: Does what a network has" in fault for fault in faults()
    )


def test_a_finished_report_passes(folder, capsys):
    assert written.check_reports(BRIEF) == []
    assert all(500 <= entry["words"] <= 1000 for entry in json.loads((folder / "written.json").read_text()).values())
    assert {file.name for file in folder.glob("expl*")} == {f"explainability.{kind}" for kind in written.FORMATS}
    assert written.titles(folder) == {
        "experimentation": "Experimentation report",
        "explainability": "Explainability report",
    }


def test_the_same_runs_give_the_same_bytes(folder):
    files = [folder / f"{name}.{kind}" for name in REPORTS for kind in written.FORMATS]
    before = [file.read_bytes() for file in files]
    assert written.write_reports(BRIEF) == []
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize(("seeds", "masks", "profile"), [(1, True, "smoke"), (1, False, "quick"), (2, False, "full")])
def test_the_shipped_reports_hold_at_every_size(tmp_path, monkeypatch, seeds, masks, profile):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path))
    make_report_folder(BRIEF, seeds=seeds, masks=masks, profile=profile)
    assert faults_of_results() == []


def test_sentences_choose_their_words_from_the_numbers(finished, folder):
    text = prose()
    assert "Better than it is augment (+15.0 points, +10.5 to +19.5)." in text
    assert "Worse are softmax (−40.0 points, −44.5 to −35.5) and dropout (−20.0, −24.5 to −15.5)." in text
    assert "and pixels_64 (+1.0, −3.5 to +5.5) the interval contains zero" in text
    assert "was trained from three seeds" in text
    assert "It gets worse with without_augment (−20.0 points, −24.5 to −15.5), so what it takes away or changes" in text
    assert "It gets better with adamw (+10.0 points, +5.5 to +14.5): at this size" in text
    assert "Nothing can be said of without_mirror (−1.0 points, −5.5 to +3.5): its interval contains zero" in text
    assert "learnt by softmax (42.0 %) and dropout (62.0 %), so a longer training may change the order." in text
    assert "of ten test images of anchor, 80 % were recognised" in text
    text = prose("explainability")
    assert "Integrated gradients passes every one of these tests. Grad-CAM marks what matters" in text
    assert "guided backpropagation still draws nearly the same map" in text
    assert "Of the last channels 10 % give one and the same value for all images: they are dead" in text
    for name, column in (("per_class", "recall"), ("feature_maps", "dead")):
        file = folder / "tables" / f"{name}.csv"
        pd.read_csv(file).assign(**{column: 0.0}).to_csv(file, index=False)
    text = " ".join(template.render(name, Calls(BRIEF, folder)).text.replace("\u00a0", " ") for name in REPORTS)
    assert "*anchor*, none was recognised." in numbers.MARK.sub(r"\3", text)
    assert "None of the last channels gives one and the same value for all images." in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, None),
        ({"mirror_average": True}, "averages each image and its mirror image; the curves"),
        ({"shift_average": 2}, "averages each image, as it is and moved by two pixels towards two corners; the"),
        (
            {"mirror_average": True, "shift_average": 1},
            "averages each image and its mirror image, both of them also moved by one pixel towards two corners; the",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["residual", "conv_blocks"])
def test_the_views_that_are_averaged_are_named_whatever_the_network(folder, settings, said, kind):
    configs = {BRIEF.baseline: {"mirror_average": False, "shift_average": 0, "model.name": "simple_cnn"}}
    configs[BRIEF.best] = configs[BRIEF.baseline] | {"model.name": kind} | settings
    tables.settings_table(configs).to_csv(folder / "tables" / "settings.csv", index=False)
    text = numbers.MARK.sub(r"\3", template.render("experimentation", Calls(BRIEF, folder)).text).replace("\u00a0", " ")
    assert ("For a prediction it" in text) == bool(said)
    assert said is None or said in " ".join(text.split())
    assert ("It is a residual network" in text) == (kind == "residual")


def test_several_draws_of_the_images_are_told_with_their_spread(folder):
    assert "the images that were drawn" not in template.render("experimentation", Calls(BRIEF, folder)).text
    values = read_json(folder / "values.json")
    facts = {"draws.count": 3, "draws.mean": 0.7345, "draws.spread": 0.0187}
    write_json(
        folder / "values.json",
        values | {name: values["best.test_accuracy"] | {"value": fact} for name, fact in facts.items()},
    )
    text = numbers.MARK.sub(r"\3", template.render("experimentation", Calls(BRIEF, folder)).text).replace("\u00a0", " ")
    assert "anew on three draws of training" in text
    assert "**73.5 %** as the mean over classes, with a standard deviation of 1.9 points." in text


def test_with_one_seed_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path))
    make_report_folder(BRIEF, seeds=1, profile="smoke")
    assert written.write_reports(BRIEF) == []
    text = prose()
    assert "From it, softmax (−40.0 points), naive (−2.0), dropout (−20.0)" in text
    assert "Better than" not in text and "Worse " not in text and "earns its place" not in text
    assert "A smoke run: its numbers show that every step works" in text


def test_the_runs_are_named_in_an_appendix(folder):
    text = prose()
    runs = [path.name for path in (folder / "runs").iterdir()]
    assert len(runs) == 31 and all(run in text for run in runs)


# Planted lies


def test_a_number_edited_in_the_template_is_caught(folder, templates):
    line = change(templates / "experimentation.md", '{{ value("best.val_accuracy", "%") }}', "99.9 %")
    found = written.check_reports(BRIEF)
    assert any(re.search(rf"experimentation\.md:{line}: typed number '99\.9 %'", fault) for fault in found)
    assert any("older than its template" in fault for fault in found)


@pytest.mark.parametrize(
    "lie",
    [
        "It has 12 blocks.",
        "It took seven epochs.",
        '{{ "0.97" }}',
        "{{ 0.9 + 0.07 }}",
        '{{ value("best.epochs") + 1 }}',
    ],
)
def test_every_way_to_type_a_number_is_caught(folder, templates, lie):
    line = change(templates / "experimentation.md", "What I would try next", f"{lie} What I would try next")
    assert any(f"experimentation.md:{line}: typed number" in fault for fault in written.check_reports(BRIEF))


def test_a_number_typed_in_a_branch_not_taken_is_caught(folder, templates):
    line = change(templates / "experimentation.md", "is missed", "is 5 % short")
    assert f"experimentation.md:{line}" not in "\n".join(written.check_reports(BRIEF))  # inside an expression
    line = change(templates / "experimentation.md", "outside the interval", "by 7 points outside the interval")
    assert any(f"experimentation.md:{line}: typed number '7'" in fault for fault in written.check_reports(BRIEF))


def test_a_value_edited_in_values_json_is_caught(folder):
    edit_value(folder, "best.test_accuracy", 0.99)
    lines = (folder / "values.json").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if '"value": 0.99' in text)
    found = written.check_reports(BRIEF)
    assert any(
        f"values.json:{line}: the value 'best.test_accuracy' was changed after 03_best_model saved it. Received: 0.99"
        in fault
        for fault in found
    )


def test_a_value_edited_together_with_its_record_is_caught_by_its_run(folder):
    edit_value(folder, "best.test_accuracy", 0.99)
    record(folder)
    (fault,) = faults_of_results()
    assert re.search(r"values\.json:\d+: best\.test_accuracy is 0\.99, but its run gives 0\.\d+", fault)


def test_a_table_edited_together_with_its_record_is_caught_by_its_run(folder):
    file = folder / "tables" / "experiments.csv"
    frame = pd.read_csv(file)
    frame.loc[4, "val_accuracy"] = 0.9
    file.write_text(frame.to_csv(index=False, lineterminator="\n"))
    assert any("the table 'experiments' was edited" in fault for fault in written.check_reports(BRIEF))
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest:
        if entry["file"] == "tables/experiments.csv":
            entry["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    record(folder)
    (fault,) = faults_of_results()
    assert re.search(r"tables/experiments\.csv:6: val_accuracy is 0\.9, but its run gives 0\.6", fault)


def test_a_deleted_run_is_caught(folder):
    shutil.rmtree(folder / "runs" / "augment-seed1-0123456789")
    found = written.check_reports(BRIEF)
    assert any(re.search(r"runs/augment-seed1-0123456789: the run is missing; \w+ '\w+' rests on it", f) for f in found)


def test_a_run_that_changed_makes_its_figures_too_old(folder):
    metrics = next((folder / "runs").glob("dropout-seed0-*")) / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.4", "0.5", 1))
    found = "\n".join(written.check_reports(BRIEF))
    assert "runs/dropout-seed0-0123456789: the run has changed since 02_experiments showed it" in found
    assert "is older" in found


def test_an_unfinished_run_is_caught(folder):
    (folder / "runs" / "naive-seed0-0123456789" / "metrics.json").unlink()
    assert any("naive-seed0-0123456789: the run is not finished" in fault for fault in written.check_reports(BRIEF))


def test_an_edited_or_missing_figure_is_caught(folder):
    with (folder / "figures" / "confusion_test.png").open("ab") as file:
        file.write(b"x")
    found = written.check_reports(BRIEF)
    assert any(re.search(r"manifest\.json:\d+: the figure 'confusion_test' was edited", fault) for fault in found)
    (folder / "figures" / "confusion_test.png").unlink()
    assert any("figures/confusion_test.png is missing" in fault for fault in written.check_reports(BRIEF))


def test_a_figure_that_names_no_run_is_caught(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest:
        if entry["name"] == "confusion_test":
            entry["runs"] = []
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    record(folder)
    assert any("the figure 'confusion_test' names no run" in fault for fault in written.check_reports(BRIEF))


def test_a_missing_record_is_caught(folder):
    (folder / "notebooks" / "03_best_model.json").unlink()
    found = written.check_reports(BRIEF)
    assert any("the value 'best.test_accuracy' is not recorded" in fault for fault in found)


def test_a_value_of_a_notebook_that_the_brief_does_not_have_is_caught(folder):
    found = written.check_reports(BRIEF.replace(notebooks=NOTEBOOKS[:3]))
    assert any("was saved by 04_explainability, which is no notebook of demo" in fault for fault in found)


def test_files_edited_after_they_were_written_are_caught(folder):
    change(folder / "experimentation.html", "Introduction", "Introductions")
    (folder / "explainability.pdf").unlink()
    found = written.check_reports(BRIEF)
    assert [fault.split(": ")[0].rsplit("/", 1)[1] for fault in found] == ["experimentation.html", "explainability.pdf"]


# Structure


def test_a_missing_or_empty_section_is_caught(folder, templates):
    file = templates / "experimentation.md"
    text = file.read_text(encoding="utf-8")
    start, end = text.index("## Optimal Model Evaluation"), text.index("## References")
    file.write_text(f"{text[:start]}## Optimal Model Evaluation\n\n{text[end:]}", encoding="utf-8")
    found = written.check_reports(BRIEF)
    assert any("experimentation.md:4: the section 'Optimal Model Evaluation' is missing or empty" in f for f in found)


def test_too_few_words_are_caught_and_captions_do_not_count(folder, templates):
    change(templates / "experimentation.md", "words: 500 to 1000", "words: 900 to 1000")
    words = json.loads((folder / "written.json").read_text())["experimentation"]["words"]
    fault = f"experimentation.md:3: {words} words, where 900 to 1,000 are asked for"
    assert any(fault in found for found in written.check_reports(BRIEF))
    change(
        templates / "experimentation.md", 'caption="Accuracy of', 'caption="Here are many more words than before. Acc'
    )
    change(templates / "experimentation.md", "## References\n", "## References\n\nMore of them, and more.\n")
    assert any(fault in found for found in written.check_reports(BRIEF))


def test_own_words_as_the_readme_shows_them(folder, templates):
    readme = (paths.ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    (templates / "demo").mkdir(exist_ok=True)
    own = readme[readme.index('{% extends "experimentation.md" %}') :].split("```")[0]
    (templates / "demo" / "experimentation.md").write_text(own, encoding="utf-8")
    assert not [fault for fault in written.write_reports(BRIEF) if "words, where" not in fault]
    assert "My own words, with 12 in them." in prose() and "Ng, A. (2015)" in prose() and "Efron, B. (1979)" in prose()


# The command line


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setattr("lib.briefs.demo.BRIEF", BRIEF)
    monkeypatch.setenv("VENV", "none")


def test_the_command_says_what_is_wrong_and_fails(folder, demo, capsys):
    assert main(["check-report"]) == 0
    assert capsys.readouterr().out == "== check of the written reports of demo: nothing to mend\n"
    edit_value(folder, "best.epochs", 13)
    assert main(["check-report", "--brief", "demo"]) == 1
    printed = capsys.readouterr()
    assert "the value 'best.epochs' was changed" in printed.err
    assert re.search(r"== check of the written reports of demo: \d faults\n", printed.out)


def test_a_report_that_is_not_made_is_said_so(own_folders, demo, capsys):
    assert main(["check-report"]) == 1
    assert "not made yet: run `make report BRIEF=demo`" in capsys.readouterr().err
    assert written.check_reports(BRIEF.replace(reports=())) == []


def test_faults_do_not_keep_the_files_from_being_written(folder, templates):
    change(templates / "experimentation.md", "What I would try next", "It has 12 blocks. What I would try next")
    (fault,) = written.write_reports(BRIEF)
    assert "typed number '12'" in fault
    assert (folder / "experimentation.pdf").exists()


def test_a_template_that_cannot_be_filled_leaves_no_old_pages(folder, templates):
    change(templates / "experimentation.md", 'value("best.test_accuracy")', 'value("best.test_acuracy")')
    (fault,) = written.write_reports(BRIEF)
    assert re.search(r"experimentation\.md:\d+: .*'best.test_acuracy'\. Similar: best\.test_accuracy", fault)
    assert not (folder / "experimentation.html").exists()
    assert (folder / "explainability.html").exists()
    written.drop_reports(folder)
    assert not list(folder.glob("expl*")) and not (folder / "written.json").exists()
