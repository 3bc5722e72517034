"""A report is made, read, and made again only where something has changed."""

import dataclasses
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell
from page_reader import Tags, fetched
from PIL import Image
from tiny_notebooks import tiny_notebook, write

from lib import briefs
from lib.config import paths
from lib.report import make, notebooks, pages
from lib.report.make import make_report
from lib.report.notebooks import freshness, table
from lib.report.notebooks.table import check_promises
from lib.report.results import open_results, read_values
from lib.report.written import CheckFailed, check_reports, template
from lib.training.network import network_jobs
from lib.training.open_brief import open_brief

OPENED = "from lib.training.open_brief import open_brief\n\nopened = open_brief(BRIEF, PROFILE, DATA)"
EXPLORE = """\
results.save_value("dataset.images", len(opened.dataset.index))
results.save_value("dataset.classes", len(opened.dataset.class_names))
results.save_value("dataset.left_out", len(opened.dataset.left_out))
for role in ("train", "val", "test"):
    results.save_value(f"split.{role}", len(getattr(opened.split, role)))
opened.split.save(results.folder / "split.csv")
for name in ("left_out", "audit"):
    opened.dataset.left_out.to_csv(results.folder / f"{name}.csv", index=False)
"""
EXPERIMENTS = """\
import pandas as pd
from lib.training.network import network_jobs
runs = [job.run for job in network_jobs(opened)]
rows = [{"experiment": run.id, "why": "?", "val_accuracy": 0.5, "run": run.id} for run in runs if run.finished]
results.save_table("experiments", pd.DataFrame(rows), caption="All of them.", runs=[row["run"] for row in rows])
"""
BEST = """\
from matplotlib import pyplot
from lib.training.network import network_job
run = network_job(opened, "best").run
done = (run.folder / "predictions_test.npz").write_text("late")
for name in ("parameters", "test_accuracy", "test_top5_accuracy", "test_cross_entropy", "test_balanced_accuracy"):
    results.save_value(f"best.{name}", 0.75, runs=[run.id])
results.save_value("best.experiment", opened.brief.best)
results.save_value("best.train_minutes", 2.5)
figure, axes = pyplot.subplots()
results.save_figure("curves", figure, caption="It <rises>.", alt="A curve", runs=[run.id])
"""
NOTE = """\
---
title: A note
words: 3 to 9
sections: Images
---
## Images
There are {{ value("dataset.images") }} images.

{{ figure("curves") }}
"""
SOURCES = {"01_explore": EXPLORE, "02_experiments": EXPERIMENTS, "03_best_model": BEST}


def pretend_to_train(opened):
    """Leave finished runs, so that nothing has to be trained here."""
    for job in network_jobs(opened):
        job.run.folder.mkdir(parents=True)
        job.run.finish({})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Notebooks, images and reports of this module's own."""
    root = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (root / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "photos" / name / f"{number}.png")
    (root / "photos" / "ant" / "broken & odd.jpg").write_bytes(b"no image")
    (root / "notebooks").mkdir()
    (root / "templates").mkdir()
    (root / "templates" / "note.md").write_text(NOTE)
    for name, code in SOURCES.items():
        write(tiny_notebook(new_code_cell(OPENED), new_code_cell(code), name=name), root / "notebooks", name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_CACHE", str(root / "cache"))
        patch.setenv("COURSEWORK_REPORTS", str(root / "reports"))
        patch.delenv("COURSEWORK_DATA", raising=False)
        patch.setattr(paths, "NOTEBOOKS", root / "notebooks")
        patch.setattr(template, "TEMPLATES", root / "templates")
        patch.setattr(
            "lib.briefs.folder.BRIEF", briefs.load("folder").replace(notebooks=tuple(SOURCES), reports=("note",))
        )
        pretend_to_train(open_brief("folder", "smoke", str(root / "photos")))
        yield root


@pytest.fixture(scope="module")
def made(home):
    """A finished report."""
    page = make_report("folder", profile="smoke", data=home / "photos")
    return SimpleNamespace(page=page, folder=page.parent, photos=home / "photos")


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the finished report, to be spoilt."""
    shutil.copytree(made.folder, tmp_path / "folder")
    return tmp_path / "folder"


def facts(made, name, **parameters):
    opened = open_brief("folder", "smoke", str(made.photos))
    given = {"BRIEF": "folder", "PROFILE": "smoke", "DATA": str(made.photos)} | parameters
    return freshness.shared_facts(opened) | freshness.notebook_facts(name, given)


def test_every_data_set_counts_as_what_a_report_is_made_from(made):
    opened = open_brief("folder", "smoke", str(made.photos))
    changed = dataclasses.replace(opened, dataset=dataclasses.replace(opened.dataset, checksum="0" * 64))
    data = [freshness.shared_facts(opened, *further)["the data"] for further in ((), (opened,), (changed,))]
    assert len(set(data)) == 3


# The pages


@pytest.mark.notebook
def test_the_first_page_leads_to_everything(made):
    html = made.page.read_text(encoding="utf-8")
    tags = Tags(html)
    assert made.page == paths.report("folder") / "index.html"
    assert tags.all("html") == [{"lang": "en"}]
    links = {tag["href"] for tag in tags.all("a")}
    assert all((made.folder / link).exists() for link in links if not link.startswith("#"))
    assert {f"{name}.html" for name in SOURCES} < links
    assert {f"notebooks/{name}.ipynb" for name in SOURCES} < links
    assert {"values.json", "manifest.json", "figures/curves.png", "tables/experiments.csv", "split.csv"} < links
    assert fetched(html) == ["figures/curves.png"]
    assert [(tag["alt"], tag["width"], tag["height"]) for tag in tags.all("img")] == [("A curve", "960", "720")]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    for expected in (
        "Your own images",
        "How well can these classes be told apart",
        "A smoke run.",
        "75.0 %",
        "your own folder, taken as it is",
        "ant/broken &amp; odd.jpg",
        "It &lt;rises&gt;.",
        "Python 3.",
        "8 train, 2 val, 2 test",
    ):
        assert expected in text
    assert "folder/index.html" in (paths.reports() / "index.html").read_text()


@pytest.mark.notebook
def test_every_page_of_a_notebook_leads_back(made):
    for name in SOURCES:
        html = (made.folder / f"{name}.html").read_text(encoding="utf-8")
        assert fetched(html) == []
        assert "index.html" in [tag["href"] for tag in Tags(html).all("a")]


# Making it again


@pytest.mark.notebook
def test_nothing_runs_again_when_nothing_changed(made, capsys):
    before = {file: file.read_bytes() for file in made.folder.rglob("*") if file.is_file() and file != made.page}
    assert make_report("folder", profile="smoke", data=made.photos) == made.page
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name}: unchanged, reused (force with FORCE=1)" for name in SOURCES]
    assert {file: file.read_bytes() for file in before} == before


def remove(file):
    return lambda folder: next(folder.glob(file)).unlink()


def append(file):
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes() + b" ")


def change_value(folder):
    values = read_values(folder)
    values["dataset.images"]["value"] += 1
    (folder / "values.json").write_text(json.dumps(values))


SPOILT = [
    ("01_explore", append("split.csv"), "split.csv is missing or was edited"),
    ("01_explore", append("01_explore.html"), "01_explore.html is missing or was edited"),
    ("01_explore", append("notebooks/01_explore.ipynb"), "notebooks/01_explore.ipynb is missing or was edited"),
    ("01_explore", change_value, "its entries in values.json or manifest.json were edited"),
    ("01_explore", remove("values.json"), "its entries in values.json or manifest.json were edited"),
    ("01_explore", remove("notebooks/01_explore.json"), "not made yet"),
    ("01_explore", append("notebooks/01_explore.json"), None),
    ("01_explore", lambda folder: (folder / "notebooks/01_explore.json").write_text("{"), "not made yet"),
    ("02_experiments", remove("tables/experiments.csv"), "tables/experiments.csv is missing or was edited"),
    ("02_experiments", remove("runs/softmax-*/metrics.json"), "run softmax-seed0"),
    ("03_best_model", remove("figures/curves.png"), "figures/curves.png is missing or was edited"),
    ("03_best_model", remove("runs/softmax-*/metrics.json"), None),
    ("03_best_model", remove("runs/best-*/predictions_test.npz"), "run best-seed0"),
    ("02_experiments", remove("03_best_model.html"), None),
]


@pytest.mark.notebook
def test_a_missing_or_edited_product_makes_its_notebook_run(made, tmp_path):
    made_from = {name: facts(made, name) for name in SOURCES}
    for number, (name, spoil, reason) in enumerate(SPOILT):
        copy = shutil.copytree(made.folder, tmp_path / str(number))
        assert freshness.reason_to_run(name, copy, made_from=made_from[name], waiting=[]) is None
        spoil(copy)
        found = freshness.reason_to_run(name, copy, made_from=made_from[name], waiting=[])
        assert found is None if reason is None else found.startswith(reason), (name, reason)


@pytest.mark.notebook
def test_changed_inputs_make_a_notebook_run(made, copy, home, monkeypatch):
    def reason(name="01_explore", **parameters):
        return freshness.reason_to_run(name, copy, made_from=facts(made, name, **parameters), waiting=[])

    assert reason() is None
    assert reason(PROFILE="quick") == "changed: its parameters"
    monkeypatch.setenv("TF_DETERMINISTIC_OPS", "1")
    assert reason() == "changed: the environment"
    monkeypatch.undo()
    monkeypatch.setattr(paths, "LIB", home)
    assert reason() == "changed: the code in lib"
    monkeypatch.undo()
    shutil.copytree(home / "notebooks", copy / "sources")
    monkeypatch.setattr(paths, "NOTEBOOKS", copy / "sources")
    changed = tiny_notebook(new_code_cell(OPENED), new_code_cell(EXPLORE + "\n# new"), name="01_explore")
    write(changed, copy / "sources", "01_explore")
    assert reason() == "changed: its cells"
    assert reason("02_experiments") is None
    monkeypatch.undo()
    added = made.photos / "bee" / "new.png"
    Image.new("RGB", (20, 20), "red").save(added)
    assert reason() == "changed: the data"
    added.unlink()
    assert reason() is None


@pytest.mark.notebook
def test_runs_still_to_be_trained_make_those_notebooks_run_that_quote_runs(made, copy):
    for name, reason in (("01_explore", None), ("02_experiments", "2 planned runs to be trained")):
        found = freshness.reason_to_run(name, copy, made_from=facts(made, name), waiting=["a", "b"])
        assert found == reason


@pytest.mark.notebook
def test_a_notebook_and_the_later_ones_run_and_a_failure_leaves_no_first_page(made, home, capsys):
    (made.folder / "tables" / "experiments.csv").unlink()
    good = (home / "notebooks" / "03_best_model.ipynb").read_bytes()
    broken = new_code_cell('raise RuntimeError("too hot")')
    write(tiny_notebook(broken, name="03_best_model"), home / "notebooks", "03_best_model")
    with pytest.raises(notebooks.NotebookError, match="03_best_model.*RuntimeError: too hot"):
        make_report("folder", profile="smoke", data=made.photos)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "01_explore: unchanged, reused (force with FORCE=1)"
    assert lines[1] == "02_experiments: running (tables/experiments.csv is missing or was edited)"
    assert lines[3] == "03_best_model: running (as 02_experiments ran)"
    assert not made.page.exists() and not (made.folder / "03_best_model.html").exists()
    assert not (made.folder / "figures" / "curves.png").exists()
    assert "best.experiment" not in read_values(made.folder)
    assert "folder/index.html" not in (paths.reports() / "index.html").read_text()
    (home / "notebooks" / "03_best_model.ipynb").write_bytes(good)
    make_report("folder", profile="smoke", data=made.photos)
    assert [line.split(":")[1] for line in capsys.readouterr().out.splitlines()][:2] == [
        " unchanged, reused (force with FORCE=1)"
    ] * 2
    assert made.page.exists()


@pytest.mark.notebook
def test_a_report_goes_on_from_a_copied_folder(made, tmp_path, monkeypatch, capsys):
    """A copy, as on Google Drive, has other times than what was copied; what a run found counts, and not when."""
    shutil.copytree(made.folder, tmp_path / "folder", copy_function=shutil.copyfile)
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path))
    page = make_report("folder", profile="smoke", data=made.photos)
    assert page == tmp_path / "folder" / "index.html"
    assert capsys.readouterr().out.count("unchanged, reused") == 3
    (run,) = (tmp_path / "folder" / "runs").glob("best-*")
    (run / "predictions_test.npz").write_text("LATE")  # of the same size
    reason = freshness.reason_to_run(
        "03_best_model", tmp_path / "folder", made_from=facts(made, "03_best_model"), waiting=[]
    )
    assert reason == f"run {run.name} changed"


@pytest.mark.notebook
def test_a_notebook_is_added_by_its_file_and_one_entry(made, copy, home, monkeypatch, capsys):
    asked, folder = [], copy.parent / "notebooks"
    shutil.copytree(home / "notebooks", folder)
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    monkeypatch.setenv("COURSEWORK_REPORTS", str(copy.parent))
    brief = briefs.load("folder").replace(notebooks=(*SOURCES, "05_own"), reports=())
    monkeypatch.setattr("lib.briefs.folder.BRIEF", brief)
    own = table.Notebook(
        jobs=("by_hand",), values=("own.deep",), values_if={"own.deep": ("own.depth",)}, files=("tables/own.csv",)
    )
    monkeypatch.setitem(table.NOTEBOOKS, "05_own", own)
    monkeypatch.setattr(make, "train_planned", lambda opened, kinds, *, at_once: asked.append(kinds) or [])
    code = 'results.save_value("own.deep", True)'
    write(tiny_notebook(new_code_cell(code), name="05_own"), folder, "05_own")
    with pytest.raises(ValueError, match=r"05_own must save own\.depth, tables/own\.csv: other tools rely on it"):
        make_report("folder", profile="smoke", data=made.photos)
    code += '\nresults.save_value("own.depth", 4)\nimport pandas as pd\n'
    code += 'results.save_table("own", pd.DataFrame({"depth": [4]}), caption="It.")'
    write(tiny_notebook(new_code_cell(code), name="05_own"), folder, "05_own")
    capsys.readouterr()
    page = make_report("folder", profile="smoke", data=made.photos)
    said = capsys.readouterr().out
    assert said.count("unchanged, reused") == 3 and "05_own: running (not made yet)" in said
    assert asked == [{"experiments", "draws", "by_hand"}] * 2
    assert page == copy / "index.html" and "05_own.html" in [tag["href"] for tag in Tags(page.read_text()).all("a")]


# Written reports


@pytest.mark.notebook
def test_a_report_is_written_and_checked_and_a_lie_fails_it(made, home):
    brief = briefs.load("folder")
    assert {f"note.{kind}" for kind in ("html", "pdf", "docx")} <= {file.name for file in made.folder.iterdir()}
    assert check_reports(brief) == []
    assert "note.html" in [tag["href"] for tag in Tags(made.page.read_text()).all("a")]
    (home / "templates" / "note.md").write_text(NOTE.replace("There are", "Not 99 but"))
    with pytest.raises(CheckFailed, match=r"note\.md:7: typed number '99'"):
        make_report("folder", profile="smoke", data=made.photos)
    assert made.page.exists()
    (home / "templates" / "note.md").write_text(NOTE)
    make_report("folder", profile="smoke", data=made.photos)
    assert check_reports(brief) == []


# What is refused


def test_wrong_names_and_data_are_refused(own_folders):
    cases = (
        ("foldr", {}, "Unknown brief 'foldr'. Briefs: .*folder"),
        ("folder", {"profile": "smok"}, "Unknown profile 'smok'. Profiles: smoke, quick, full"),
        ("folder", {"profile": "smoke"}, "needs a path"),
        ("folder", {"profile": "smoke", "data": "/nowhere"}, "does not exist. Received: /nowhere"),
    )
    for brief, given, message in cases:
        with pytest.raises(ValueError, match=message):
            make_report(brief, **given)
    assert not (own_folders / "reports").exists()


def test_a_missing_notebook_or_parameter_is_found_before_anything_runs(own_folders, photo_folder, monkeypatch):
    monkeypatch.setattr(paths, "NOTEBOOKS", own_folders)
    for name in ("01_explore", "02_experiments"):
        write(tiny_notebook(name=name), own_folders, name)
    with pytest.raises(ValueError, match="Unknown notebook '03_best_model'. Notebooks: 01_explore, 02_experiments"):
        make_report("folder", profile="smoke", data=photo_folder)
    without = tiny_notebook(name="03_best_model")
    without.cells[1].source = 'BRIEF = "demo"\nPROFILE = "smoke"'
    write(without, own_folders, "03_best_model")
    with pytest.raises(ValueError, match="03_best_model has no parameter DATA. Parameters: BRIEF, PROFILE"):
        make_report("folder", profile="smoke", data=photo_folder)
    assert not (own_folders / "reports" / "folder").exists()


def test_promised_values_and_files_must_be_there(own_folders):
    results = open_results("demo", notebook="01_explore", profile="smoke")
    for name in ("dataset.images", "dataset.classes", "dataset.left_out", "split.train", "split.val"):
        results.save_value(name, 1)
    for name in ("split", "left_out"):
        (results.folder / f"{name}.csv").touch()
    with pytest.raises(ValueError, match="01_explore must save split.test, audit.csv: other tools rely on it"):
        check_promises("01_explore", results.folder)
    results.save_value("split.test", 1)
    (results.folder / "audit.csv").touch()
    check_promises("01_explore", results.folder)
    with pytest.raises(ValueError, match="02_experiments must save tables/experiments.csv"):
        check_promises("02_experiments", results.folder)
    check_promises("09_of_ones_own", results.folder)


# Parts of the page


def test_headlines_leave_out_what_was_not_saved():
    values = {"best.test_accuracy": 0.8125, "best.parameters": 2812345, "split.train": 1200, "dataset.images": 1500}
    found = {item["label"]: (item["text"], item["note"]) for item in pages.headlines(values, 0.4)}
    assert found == {
        "Test accuracy": ("81.2 %", "asked: at least 40 %"),
        "Parameters": ("2,812,345", ""),
        "Images": ("1,500", "1,200 train"),
    }
    assert pages.headlines(values, None)[0]["note"] == ""


def test_the_experiments_table_reads_well_and_sorts_by_full_precision(tmp_path):
    file = tmp_path / "experiments.csv"
    assert pages.experiments_table(file) is None
    rows = {"experiment": ["a", "b"], "why": ["?", "!"], "val_accuracy": [0.81234, 0.5], "val_loss": [1.23456, 0.5]}
    pd.DataFrame(rows).to_csv(file, index=False)
    table = pages.experiments_table(file)
    assert [column["title"] for column in table["columns"]] == ["experiment", "val accuracy", "val loss"]
    assert [column["number"] for column in table["columns"]] == [False, True, True]
    assert [[cell["text"] for cell in row] for row in table["rows"]] == [
        ["a", "81.2 %", "1.235"],
        ["b", "50.0 %", "0.500"],
    ]
    assert table["rows"][0][1]["key"] == "0.81234"


def test_the_overview_lists_finished_reports(own_folders):
    assert "None is finished" in pages.write_overview().read_text()
    for brief in ("demo", "my_own"):
        open_results(brief, notebook="03_best_model", profile="full").save_value("best.test_accuracy", 0.5)
    (paths.report("demo") / "index.html").touch()
    html = pages.write_overview().read_text()
    assert "demo/index.html" in html and "Drawn objects" in html and "profile full, test accuracy 50.0 %" in html
    assert "my_own" not in html
