"""What a report shows: figures, tables and numbers, where they come from, and what outlives what."""

import base64
import functools
import hashlib
import io
import json
import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from PIL import Image
from written_report import add_transfers, make_report_folder

from lib import briefs, figures
from lib.config import paths
from lib.config.files import write_json
from lib.config.names import noun
from lib.report.results import display, drop, open_results, read_manifest, read_values, write_evidence
from lib.report.results.display import ROWS, column_texts, short


@pytest.fixture(autouse=True)
def reports(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path))
    yield tmp_path
    pyplot.close("all")


@pytest.fixture
def results():
    return open_results("demo", notebook="01_explore", profile="quick")


def draw(height=3):
    figure, axes = pyplot.subplots(figsize=(4, height))
    axes.plot([1, 2, 3])
    return figure


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would show, as a list of words by kind."""
    found = []
    monkeypatch.setattr(display, "publish", lambda text, **kinds: found.append(kinds))
    return found


# Values


def test_a_value_keeps_where_it_comes_from(results, reports):
    results.save_value("dataset.images", 1200, runs=["baseline-1", "best-2", "baseline-1"])
    assert json.loads((reports / "demo" / "values.json").read_text()) == {
        "dataset.images": {
            "value": 1200,
            "runs": ["baseline-1", "best-2"],
            "notebook": "01_explore",
            "profile": "quick",
        }
    }
    assert results.value("dataset.images") == 1200


def test_values_are_sorted_by_name_and_keep_full_precision(results, reports):
    results.save_value("b", 1 / 3)
    results.save_value("a", 0.1 + 0.2)
    text = (reports / "demo" / "values.json").read_text()
    assert text.index('"a"') < text.index('"b"')
    assert read_values(reports / "demo")["a"]["value"] == 0.1 + 0.2


def test_numpy_scalars_become_plain_values(results):
    for number, (value, kept) in enumerate(
        [
            (np.int64(3), 3),
            (np.float64(0.25), 0.25),
            (np.float32(0.1), 0.1),
            (np.array(7), 7),
            (np.bool_(True), True),
            ("best", "best"),
            (False, False),
        ]
    ):
        results.save_value(f"x{number}", value)
        assert results.value(f"x{number}") == kept
        assert type(results.value(f"x{number}")) is type(kept)


def test_a_value_must_be_a_finite_number_text_or_truth_value(results):
    for value in (float("nan"), float("inf"), -np.inf, np.float32("nan")):
        with pytest.raises(ValueError, match="'loss' must be finite. Received: -?(nan|inf)"):
            results.save_value("loss", value)
    for value in (None, [1, 2], np.array([1, 2]), {"a": 1}):
        with pytest.raises(ValueError, match="number, text or truth value. Received"):
            results.save_value("x", value)
    assert read_values(results.folder) == {}


def test_many_values_are_kept_at_once_or_none(results):
    results.save_values({"images": 3, "share": np.float64(0.5)}, prefix="dataset.", runs=["a"])
    results.save_values(pd.Series({"cat": 0.25, "dog": 0.75}), prefix="recall_")
    stored = read_values(results.folder)
    assert {name: entry["value"] for name, entry in stored.items()} == {
        "dataset.images": 3, "dataset.share": 0.5, "recall_cat": 0.25, "recall_dog": 0.75,
    }  # fmt: skip
    assert stored["dataset.share"]["runs"] == ["a"]
    refused = {
        "'best.loss' must be finite": {"more": 1, "loss": np.nan},
        "snake_case. Received: 'best.Loss'": {"Loss": 1},
    }
    for message, values in refused.items():
        with pytest.raises(ValueError, match=message):
            results.save_values(values, prefix="best.")
    with pytest.raises(ValueError, match="Received twice: 'dataset.images'"):
        results.save_values({"more": 1, "dataset.images": 4})
    assert read_values(results.folder) == stored


def test_an_unknown_value_lists_similar_names(results):
    with pytest.raises(ValueError, match="'dataset.imagse'. Known: none yet"):
        results.value("dataset.imagse")
    results.save_value("dataset.images", 3)
    results.save_value("best.accuracy", 0.5)
    with pytest.raises(ValueError, match="'dataset.imagse'. Similar: dataset.images$"):
        results.value("dataset.imagse")


def test_value_names_are_dotted_snake_case(results):
    for name in ("Accuracy", "a b", "1a", "a..b", ".a", "", "a-b"):
        with pytest.raises(ValueError, match="name of a value must be snake_case. Received"):
            results.save_value(name, 1)


# Sentences


def test_a_sentence_takes_its_numbers_from_all_notebooks(results, shown):
    results.save_value("dataset.images", 1200)
    results.save_value("dataset.classes", 12)
    later = open_results("demo", notebook="03_best_model", profile="quick")
    later.save_value("best.test_accuracy", 0.8125)
    later.save_value("best.experiment", "residual")
    later.say("{dataset.images:,} images, {dataset.classes} classes; {best.experiment}: {best.test_accuracy:.1%}.")
    assert shown == [{"markdown": "1,200 images, 12 classes; residual: 81.2\u00a0%."}]


def test_fractions_without_a_format_are_short_and_braces_can_be_written(results, shown):
    results.save_value("loss", 1 / 3)
    results.say("{{x}} = {loss}")
    assert shown == [{"markdown": "{x} = 0.3333"}]


def test_what_is_counted_stands_in_the_number_of_its_count(results, shown):
    results.save_values({"one": 1, "many": 1200, "none": 0})
    results.say("{one:count epoch}, {many:count training image}, {none:count class}, {many:count entry}")
    assert shown == [{"markdown": "1 epoch, 1,200 training images, 0 classes, 1,200 entries"}]
    assert [noun(2, one) for one in ("epoch", "box", "batch", "day", "miss", "mistake")] == [
        *("epochs", "boxes", "batches", "days", "misses", "mistakes")
    ]


def test_a_sentence_with_an_unknown_name_or_wrong_format_is_refused(results):
    results.save_value("dataset.images", 3)
    results.save_value("name", "best")
    for text, message in {
        "{dataset.image}": "'dataset.image'. Similar: dataset.images",
        "{}": "No notebook has saved the value ''",
        "{0}": "No notebook has saved the value '0'",
        "{name:count epoch}": "format must fit its value. Received: 'count epoch' for 'best'",
        "{name:.2f}": "format must fit its value. Received: '.2f' for 'best'",
    }.items():
        with pytest.raises(ValueError, match=re.escape(message)):
            results.say(text)


# Figures


def test_a_figure_is_written_recorded_shown_and_closed(results, reports, shown):
    figure = draw()
    results.save_figure("curves", figure, caption="It <rises>.", alt='A "line"', runs=["a-1"])
    file = reports / "demo" / "figures" / "curves.png"
    with Image.open(file) as image:
        assert image.size == (600, 450)  # 4 x 3 inches at 150 dots an inch
        assert image.info.keys() == {"dpi"}  # no date, no software
    assert read_manifest(reports / "demo") == [
        {
            "kind": "figure",
            "name": "curves",
            "file": "figures/curves.png",
            "caption": "It <rises>.",
            "alt": 'A "line"',
            "runs": ["a-1"],
            "notebook": "01_explore",
            "profile": "quick",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    ]
    assert not pyplot.fignum_exists(figure.number)
    assert 'alt="A &quot;line&quot;"' in shown[0]["html"]
    assert "<figcaption>It &lt;rises&gt;.</figcaption>" in shown[0]["html"]
    embedded = base64.b64decode(re.search(r"base64,([^\"]+)", shown[0]["html"])[1])
    assert Image.open(BytesIO(embedded)).size == (600, 450)


def test_the_title_stands_once_and_nothing_else_changes(results, reports):
    frame = pd.DataFrame({"class_name": ["ant", "bee"], "images": 3, "recall": [1.0, 0.5]})
    grid = [np.full((4, 4, 3), 90, np.uint8)] * 3
    for name, draw in (
        ("bars", functools.partial(figures.per_class_bars, frame)),
        ("grid", functools.partial(figures.sample_grid, grid, ["ant", "bee", "cup"])),
    ):
        saved = []
        for number, title in enumerate(("A title", "Another")):
            results.save_figure(f"{name}_{number}", draw(title=title), caption="c", alt="a")
            saved.append(np.asarray(Image.open(reports / "demo" / "figures" / f"{name}_{number}.png")))
        assert np.array_equal(*saved)  # no word of the title is left
        full = io.BytesIO()
        draw(title="A title").savefig(full, format="png", dpi=150)
        whole = np.asarray(Image.open(full))
        assert 20 < len(whole) - len(saved[0]) < 60 and np.array_equal(whole[-len(saved[0]) + 2 :], saved[0][2:])


def test_equal_pixels_are_equal_files(results, reports):
    results.save_figure("one", draw(), caption="c", alt="a")
    results.save_figure("two", draw(), caption="c", alt="a")
    results.save_figure("three", draw(height=2), caption="c", alt="a")
    one, two, three = (entry["sha256"] for entry in read_manifest(reports / "demo"))
    assert one == two != three


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alt": " "}, "'curves' needs an alt text"),
        ({"caption": ""}, "'curves' needs a caption"),
        ({"name": "Curves"}, "name of a figure must be snake_case. Received: 'Curves'"),
        ({"name": "a.b"}, "must be snake_case"),
        ({"name": "../x"}, "must be snake_case"),
        ({"figure": "x.png"}, "must be a matplotlib Figure. Received: str"),
        ({"runs": "baseline-1"}, "runs must be a list of run ids. Received: 'baseline-1'"),
        ({"runs": [3]}, "runs must be a list of run ids"),
    ],
)
def test_a_figure_that_says_too_little_is_refused(results, change, message):
    given = {"name": "curves", "figure": draw(), "caption": "c", "alt": "a"} | change
    with pytest.raises(ValueError, match=message):
        results.save_figure(given.pop("name"), given.pop("figure"), **given)
    assert read_manifest(results.folder) == []


# Tables


def test_a_table_keeps_every_row_in_full_precision(results, reports, shown):
    frame = pd.DataFrame({"class": ["cat", "dog & co"], "share": [1 / 3, np.nan], "n": [3, 4000]})
    results.save_table("shares", frame, caption="Shares.", runs=["a"])
    text = (reports / "demo" / "tables" / "shares.csv").read_text()
    assert text == "class,share,n\ncat,0.3333333333333333,3\ndog & co,,4000\n"
    assert read_manifest(reports / "demo")[0]["file"] == "tables/shares.csv"
    for cell in (">dog &amp; co<", ">0.3333<", ">–<", ">4,000<", ">Shares.<"):
        assert cell in shown[0]["html"]


def test_a_named_index_becomes_a_column_and_a_long_table_is_cut_on_the_page_only(results, reports, shown):
    frame = pd.DataFrame({"n": range(ROWS + 2)}, index=pd.Index([f"c{i}" for i in range(ROWS + 2)], name="class"))
    results.save_table("counts", frame, caption="Counts.")
    lines = (reports / "demo" / "tables" / "counts.csv").read_text().splitlines()
    assert lines[:2] == ["class,n", "c0,0"]
    assert len(lines) == ROWS + 3
    assert shown[0]["html"].count("<td") == 2 * ROWS
    assert "2 more rows in tables/counts.csv" in shown[0]["html"]


def test_row_numbers_in_another_order_are_no_column(results, reports, shown):
    frame = pd.DataFrame({"class": ["ant", "bee", "cup"], "n": [2, 3, 1]}).sort_values("n")
    results.save_table("counts", frame, caption="Counts.")
    assert (reports / "demo" / "tables" / "counts.csv").read_text() == "class,n\ncup,1\nant,2\nbee,3\n"


def test_a_table_must_be_a_frame(results):
    with pytest.raises(ValueError, match="must be a pandas DataFrame. Received: list"):
        results.save_table("x", [1], caption="c")


def test_short_cells():
    cells = [(3, "3"), (12345, "12,345"), (0.123456, "0.1235"), (2500.4, "2,500"), (np.nan, "–"), (None, "–")]
    cells += [("a", "a"), (True, "True"), (np.float32(0.5), "0.5"), (np.inf, "inf")]
    assert [short(cell) for cell, _ in cells] == [text for _, text in cells]


def test_single_precision_is_shown_as_its_file_shows_it():
    """0.13265 lies above itself as float32, so a page would say 0.1327 and `make verify`, from the file, 0.1326."""
    numbers = list(np.float32([0.13265, 0.5]))
    for one in (pd.Series(numbers), pd.Series(numbers, dtype=object)):
        file = pd.read_csv(io.StringIO(one.to_csv(index=False)))["0"]
        assert column_texts(one)[0] == column_texts(file)[0] == "0.1326"


def test_a_column_of_fractions_has_as_many_decimals_throughout():
    for column, texts in [
        ([0.7, 0.6543219], ["0.7000", "0.6543"]),
        ([12.5, 3.25], ["12.50", "3.25"]),
        ([1234.5, np.nan], ["1,234", "–"]),
        ([3.0, 4.0], ["3", "4"]),
        ([1e-5, 2e-4], ["1e-05", "0.0002"]),
        ([np.nan, np.inf], ["–", "inf"]),
        ([1, 2000], ["1", "2,000"]),
    ]:
        assert column_texts(pd.Series(column)) == texts


# What outlives what


def test_opening_again_drops_what_the_notebook_left_and_nothing_else(results, reports):
    results.save_figure("mine", draw(), caption="c", alt="a")
    results.save_table("mine", pd.DataFrame({"n": [1]}), caption="c")
    results.save_value("mine", 1)
    other = open_results("demo", notebook="02_experiments", profile="quick")
    other.save_figure("other", draw(), caption="c", alt="a")
    other.save_value("other", 2)
    open_results("demo", notebook="01_explore", profile="quick")
    assert list(read_values(reports / "demo")) == ["other"]
    assert [entry["name"] for entry in read_manifest(reports / "demo")] == ["other"]
    files = {path.name for path in (reports / "demo").rglob("*.*")}
    assert files == {"values.json", "manifest.json", "other.png"}


def test_another_profile_drops_everything_and_says_so(results, reports, capsys):
    results.save_value("mine", 1)
    results.save_table("mine", pd.DataFrame({"n": [1]}), caption="c")
    page = reports / "demo" / "index.html"
    page.touch()
    open_results("demo", notebook="02_experiments", profile="quick")
    assert page.exists() and read_values(reports / "demo")
    open_results("demo", notebook="02_experiments", profile="full")
    assert not page.exists()  # it leads to what is gone
    assert "Dropped the quick results of demo" in capsys.readouterr().out
    assert read_values(reports / "demo") == {}
    assert not (reports / "demo" / "tables" / "mine.csv").exists()


def test_other_briefs_are_left_alone(results, reports):
    results.save_value("mine", 1)
    open_results("folder", notebook="01_explore", profile="smoke")
    assert list(read_values(reports / "demo")) == ["mine"]


def test_the_manifest_follows_the_notebooks_whatever_ran_last(results, reports):
    later = open_results("demo", notebook="02_experiments", profile="quick")
    later.save_table("late", pd.DataFrame({"n": [1]}), caption="c")
    results.save_table("zebra", pd.DataFrame({"n": [1]}), caption="c")
    results.save_table("ant", pd.DataFrame({"n": [1]}), caption="c")
    assert [entry["name"] for entry in read_manifest(reports / "demo")] == ["zebra", "ant", "late"]


def test_a_name_is_used_once(results):
    results.save_value("x", 1)
    with pytest.raises(ValueError, match="Each value of a notebook needs a name of its own. Received twice: 'x'"):
        results.save_value("x", 2)
    results.save_table("x", pd.DataFrame({"n": [1]}), caption="c")  # a table is another thing
    with pytest.raises(ValueError, match="Received twice: 'x'"):
        results.save_table("x", pd.DataFrame({"n": [2]}), caption="c")
    other = open_results("demo", notebook="02_experiments", profile="quick")
    with pytest.raises(ValueError, match="'x' belongs to 01_explore.*in 02_experiments"):
        other.save_value("x", 3)
    assert other.value("x") == 1


def test_drop_takes_a_condition(results, reports):
    results.save_value("x", 1)
    results.save_figure("x", draw(), caption="c", alt="a")
    drop(reports / "demo", lambda entry: entry["notebook"] == "02_experiments")
    assert results.value("x") == 1
    drop(reports / "demo", lambda entry: entry["notebook"] == "01_explore")
    assert read_values(reports / "demo") == {}
    assert not (reports / "demo" / "figures" / "x.png").exists()


@pytest.mark.parametrize(
    ("brief", "notebook", "profile", "message"),
    [
        ("../demo", "01_explore", "quick", "name of a brief must be snake_case. Received: '../demo'"),
        ("demo", "explore", "quick", "numbered, like 01_explore. Received: 'explore'"),
        ("demo", "01_explore", "quik", "Unknown profile 'quik'. Profiles: smoke, quick, full"),
    ],
)
def test_open_results_refuses_wrong_names(brief, notebook, profile, message):
    with pytest.raises(ValueError, match=message):
        open_results(brief, notebook=notebook, profile=profile)
    assert not paths.report("demo").exists()


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_damaged_file_is_named(results, content):
    (results.folder / "values.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match="values.json is damaged.*`make report` makes it again"):
        results.save_value("x", 1)


def test_nothing_half_written_is_left(results, reports):
    results.save_figure("x", draw(), caption="c", alt="a")
    results.save_value("x", 1)
    assert not [path for path in (reports / "demo").rglob("*") if ".part" in path.name]


# Evidence


def test_evidence_keeps_all_tables_with_what_their_rows_rest_on(reports, monkeypatch):
    brief, facts = briefs.load("demo"), {"commit": "0123456", "dirty": False, "cpu": "Some Processor", "cores": 2}
    folder = make_report_folder(brief, seeds=1)
    add_transfers(folder, {"frozen": 0.6, "scratch": 0.3})
    (folder / "runs" / "scratch-seed1-0123456789" / "predictions_test.npz").unlink()  # its test images were not read
    for file in folder.glob("runs/*/environment.json"):
        write_json(file, {"wall_seconds": 90.0, "peak_memory_mb": 800.0} | facts)
    monkeypatch.setattr(paths, "ROOT", reports / "copy")
    (reports / "copy" / "reports" / "results").mkdir(parents=True)
    searched = pd.read_csv(folder / "tables" / "transfers.csv").query("experiment == 'frozen'")[["val_accuracy", "run"]]
    searched.to_csv(folder / "tables" / "searches.csv", index=False)
    files = write_evidence("demo")
    assert [file.name for file in files] == ["demo.csv", "demo_transfers.csv", "demo_searches.csv"]
    kept, transfers, searches = (pd.read_csv(file) for file in files)
    assert searches["test_accuracy"].notna().all() and set(searches["profile"]) == {"quick"}
    assert kept["test_accuracy"].notna().tolist() == (kept["experiment"] == "best").tolist()
    assert transfers.loc[transfers["test_accuracy"].isna(), "run"].tolist() == ["scratch-seed1-0123456789"]
    read = transfers[transfers["test_accuracy"].notna()]
    assert (read["test_low"] < read["test_accuracy"]).all() and (read["test_accuracy"] < read["test_high"]).all()
    asked = ["experiment", "seed", "val_accuracy", "seconds", "trained", "frozen", "run", "profile", *facts]
    assert set(asked) <= set(transfers) and set(transfers["profile"]) == {"quick"} and len(transfers) == 4
    for name in ("transfers", "searches"):
        (folder / "tables" / f"{name}.csv").unlink()
    assert [file.name for file in write_evidence("demo")] == ["demo.csv"]
