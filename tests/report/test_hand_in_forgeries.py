"""What somebody who wants to be believed would try: every forgery is named, and an honest hand-in passes."""

import hashlib
import io
import json
import zipfile

import pandas as pd
import pytest
from handed_in import BEST, make_whole_report
from PIL import Image

from lib.__main__ import main
from lib.report import hand_in
from lib.report.hand_in import again, compare, pack, shown
from lib.report.hand_in.pack import MANIFEST, zip_bytes
from lib.report.notebooks import freshness

REPORT = "reports/demo/"
PREDICTIONS = "jo_test_preds.csv"


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Name -> bytes of everything in an honest hand-in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEWORK_REPORTS", str(tmp_path_factory.mktemp("reports")))
        make_whole_report()
        with zipfile.ZipFile(hand_in.write_submission("demo", "jo")) as packed:
            return {name: packed.read(name) for name in packed.namelist()}


def as_json(change, name=f"{REPORT}values.json"):
    """A forgery that changes the content of a JSON file."""

    def forge(files):
        content = json.loads(files[name])
        change(content)
        files[name] = json.dumps(content, indent=2, sort_keys=True).encode()

    return forge


def as_value(name, value):
    return as_json(lambda values: values[name].update(value=value))


def as_table(change):
    """A forgery of the predictions on test."""

    def forge(files):
        table = change(pd.read_csv(io.BytesIO(files[PREDICTIONS]), dtype=str))
        files[PREDICTIONS] = table.to_csv(index=False).encode()

    return forge


def as_file(name, content=b"x = 1\n"):
    return lambda files: files.update({name: content})


def as_text(name, old, new):
    def forge(files):
        assert old.encode() in files[name]
        files[name] = files[name].replace(old.encode(), new.encode(), 1)

    return forge


def png(grey):
    stream = io.BytesIO()
    Image.new("L", (300, 150), grey).save(stream, "png")
    return stream.getvalue()


def without(name):
    return lambda files: files.pop(name)


def covered_up(files):
    """The files with records and a manifest that say of everything that it is as it was left."""
    values, listed = (json.loads(files[f"{REPORT}{name}.json"]) for name in ("values", "manifest"))
    for entry in listed:
        entry["sha256"] = hashlib.sha256(files[REPORT + entry["file"]]).hexdigest()
    files[f"{REPORT}manifest.json"] = json.dumps(listed).encode()
    entries = {f"value {name}": entry for name, entry in values.items()}
    entries |= {f"{entry['kind']} {entry['name']}": entry for entry in listed}
    for name in (name for name in files if name.startswith(f"{REPORT}notebooks/") and name.endswith(".json")):
        record = json.loads(files[name])
        record["entries"] = {key: freshness.digest(entries[key]) for key in record["entries"] if key in entries}
        record["files"] = {file: hashlib.sha256(files.get(REPORT + file, b"")).hexdigest() for file in record["files"]}
        files[name] = json.dumps(record).encode()
    covered_up_manifest(files)


def covered_up_manifest(files):
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if name != MANIFEST
    }
    files[MANIFEST] = json.dumps(manifest).encode()


def verified(files, folder, capsys, *options):
    """Exit status and printed lines of `make verify`."""
    (folder / "jo_demo.zip").write_bytes(zip_bytes(files))
    capsys.readouterr()
    status = main(["verify", "--zip", str(folder / "jo_demo.zip"), *options])
    printed = capsys.readouterr()
    return status, (printed.out + printed.err).splitlines()


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setenv("VENV", "none")


STATED = f"{PREDICTIONS} gives best.test_accuracy"
MISSING = "so no stated accuracy can be computed again"
FORGERIES = {
    "a better accuracy": (as_value("best.test_accuracy", 0.99), f"{STATED} 0.8333, the report states 0.99"),
    "a whole number": (as_value("best.test_accuracy", 1), f"{STATED} 0.8333, the report states 1"),
    "a text": (as_value("best.test_accuracy", "0.97"), f"{STATED} 0.8333, the report states '0.97'"),
    "a truth value": (as_value("best.test_accuracy", True), f"{STATED} 0.8333, the report states True"),
    "nothing": (as_value("best.test_accuracy", None), "best.test_accuracy must be a number, text or truth value"),
    "another accuracy": (as_value("best.test_balanced_accuracy", 0.99), "gives best.test_balanced_accuracy 0.8333"),
    "fewer parameters": (as_value("best.parameters", 7), f"best.parameters is not what runs/{BEST}/metrics.json holds"),
    "no accuracy": (as_json(lambda values: values.pop("best.test_accuracy")), "the report lacks best.test_accuracy"),
    "no predictions": (without(PREDICTIONS), f"lacks: {PREDICTIONS}, {MISSING}"),
    "a column renamed": (as_table(lambda table: table.rename(columns={"true_class": "t"})), f"true_class, {MISSING}"),
    "mistakes left out": (
        as_table(lambda table: table[table["true_class"] == table["predicted_class"]]),
        f"{PREDICTIONS} does not hold the test images of split.csv with their classes, each once",
    ),
    "mistakes called right": (
        as_table(lambda table: table.assign(true_class=table["predicted_class"])),
        f"{PREDICTIONS} does not hold the test images of split.csv",
    ),
    "another machine": (
        as_json(lambda manifest: manifest["machine"].update(threads=64), MANIFEST),
        "MANIFEST.json claims another machine than the run of the best model: threads",
    ),
    "another size": (as_json(lambda manifest: manifest.update(profile="full"), MANIFEST), "are not of profile full"),
    "no written report": (without(f"{REPORT}experimentation.pdf"), "the report lacks experimentation.pdf"),
    "no page": (without(f"{REPORT}03_best_model.html"), "the report lacks 03_best_model.html"),
}
# Each of these would let code of the hand-in take part in making the report again.
STRANGERS = {
    "json.py": "no part of a hand-in: json.py (it would hide Python's own json)",
    "numpy/__init__.py": "no part of a hand-in: numpy/__init__.py (Python could import it)",
    "notebooks/pandas.py": "no part of a hand-in: notebooks/pandas.py (Python could import it)",
    "sitecustomize.py": "no part of a hand-in: sitecustomize.py (Python would run it at its start)",
    "lib/extra.pth": "no part of a hand-in: lib/extra.pth (Python would run it at its start)",
    "lib/__pycache__/briefs.pyc": "no part of a hand-in: lib/__pycache__/briefs.pyc (compiled code)",
    "lib/evaluation.abi3.so": "no part of a hand-in: lib/evaluation.abi3.so (compiled code)",
    "lib/report/make/__init__.py": "hides a module behind a folder of its name: lib/report/make.py",
    "reports/demo/tables/extra.csv": "no part of a hand-in: reports/demo/tables/extra.csv",
}


def test_files_that_no_hand_in_holds_are_named(honest, tmp_path, capsys):
    files = honest | dict.fromkeys(STRANGERS, b"raise SystemExit(0)\n")
    covered_up(files)
    status, lines = verified(files, tmp_path, capsys, "--rerun", "--trust")
    assert status == 1 and {f"  {fault}" for fault in STRANGERS.values()} <= set(lines)
    assert f"== files: {len(files) - 1} listed, {len(STRANGERS)} faults" in lines
    assert lines[-1] == "== not made again: first the faults above must be gone"


def test_every_forgery_of_results_is_named(honest, tmp_path, capsys):
    for kind, (forge, fault) in FORGERIES.items():
        files = dict(honest)
        forge(files)
        covered_up(files)
        status, lines = verified(files, tmp_path, capsys, "--rerun", "--trust")
        assert status == 1 and any(line.startswith("  ") and fault in line for line in lines), (kind, lines)
        assert lines[-1] == "== not made again: first the faults above must be gone"


def test_a_forgery_that_is_not_covered_up_is_named_too(honest, tmp_path, capsys):
    files = dict(honest)
    as_value("dataset.images", 10**6)(files)
    as_file(f"{REPORT}tables/per_class.csv")(files)
    status, lines = verified(files, tmp_path, capsys)
    assert status == 1 and {
        "  changed: reports/demo/values.json",
        "  changed: reports/demo/tables/per_class.csv",
        "  01_explore: its entries in values.json or manifest.json were edited",
        "  03_best_model: tables/per_class.csv is missing or was edited",
        "  tables/per_class.csv is missing, or not the file that 03_best_model saved",
    } <= set(lines)


def test_whatever_shows_other_results_is_named(honest, tmp_path, capsys):
    files = dict(honest)
    as_text(f"{REPORT}notebooks/01_explore.ipynb", "41.0\u00a0% of a class", "91.0\u00a0% of a class")(files)
    as_text(f"{REPORT}01_explore.html", "41.0\u00a0% of a class", "81.0\u00a0% of a class")(files)
    as_file(f"{REPORT}figures/experiment_bars.png", files[f"{REPORT}figures/samples.png"] + b" ")(files)
    as_text(f"{REPORT}tables/trust.csv", "0.05", "0.01")(files)
    as_file(f"{REPORT}experimentation.pdf", files[f"{REPORT}explainability.pdf"])(files)
    as_text(f"{REPORT}explainability.html", "integrated gradients", "our gradients")(files)
    as_text(f"{REPORT}index.html", "83.3 %", "99.0 %")(files)
    as_text("reports/index.html", "83.3 %", "99.0 %")(files)
    covered_up(files)
    status, lines = verified(files, tmp_path, capsys)
    named = [line.strip() for line in lines if line.startswith("  ") and "signed" not in line and "RERUN" not in line]
    gives = "not what its template and the results beside it give"
    assert status == 1 and [line.split(",")[0] for line in named] == [
        "notebooks/01_explore.ipynb",
        "01_explore.html: not the page of notebooks/01_explore.ipynb",
        "notebooks/02_experiments.ipynb",
        "notebooks/04_explainability.ipynb",
        "reports/demo/index.html: its section at the top is not what the results give",
        "reports/index.html: its section at the top is not what the results give",
        f"reports/demo/experimentation.html: {gives}",
        f"reports/demo/experimentation.pdf: {gives}",
        f"reports/demo/experimentation.docx: {gives}",
        f"reports/demo/explainability.html: {gives}",
        f"reports/demo/explainability.pdf: {gives}",
        f"reports/demo/explainability.docx: {gives}",
    ]


# Content that no program of this project has written


def test_content_of_another_shape_ends_in_a_sentence(honest, tmp_path, capsys):
    values, notebook = f"{REPORT}values.json", f"{REPORT}notebooks/01_explore.ipynb"
    damaged = "values.json is damaged"
    for name, content, said in [
        (values, b"[" * 200_000, f"{damaged} (brackets in brackets, deeper than any file of this project)"),
        (values, b"[]", f"{damaged} (its entries must hold notebook, profile, runs, value)"),
        (
            values,
            b'{"best.test_accuracy": 0.97}',
            f"{damaged} (its entries must hold",
        ),
        (values, b'{"a": {"value": 1, "runs": ["../x"], "notebook": "n", "profile": "smoke"}}', "another shape"),
        (values, b"\xff\xfe", damaged),
        (f"{REPORT}manifest.json", b"[3]", "manifest.json is damaged (its entries must hold"),
        (PREDICTIONS, bytes(range(256)) * 50, "jo_demo.zip cannot be checked"),
        (f"{REPORT}split.csv", b"\x00" * 100, "was changed after it was written"),
        (f"{REPORT}runs/{BEST}/config.json", b"{}", "jo_demo.zip cannot be checked (RunError): Run best"),
        (f"{REPORT}runs/{BEST}/environment.json", b"[" * 200_000, "brackets in brackets"),
        (MANIFEST, b"[" * 200_000, "MANIFEST.json is damaged, or of another version of this project"),
    ]:
        files = honest | {name: content}
        if name != MANIFEST:
            covered_up_manifest(files)
        status, lines = verified(files, tmp_path, capsys)
        assert status == 2 and lines[-1].startswith("error: ") and said in lines[-1], (name, lines[-1])
    for content in (b"[]", b"{}", b"[" * 200_000):
        files = honest | {notebook: content}
        covered_up(files)
        status, lines = verified(files, tmp_path, capsys)
        assert status == 2 and "jo_demo.zip cannot be checked" in lines[-1], lines[-1]


def test_control_characters_are_spelt_out(honest, tmp_path, capsys):
    files = honest | {"lib/\x1b[2Jx.txt": b"", "lib/\u202e.txt": b"", "a\nb.txt": b""}
    as_json(
        lambda manifest: manifest.update(commit="0\x1b]0;all is well\x07\n== made again: nothing differs"), MANIFEST
    )(files)
    covered_up_manifest(files)
    status, lines = verified(files, tmp_path, capsys)
    assert status == 1 and r"made from commit 0\x1b]0;all is well\x07\n== made again: nothing differs" in lines[1]
    assert r"  no part of a hand-in: lib/\x1b[2Jx.txt" in lines and r"  no part of a hand-in: lib/\u202e.txt" in lines
    assert r"  no part of a hand-in: a\nb.txt" in lines and all(line.isprintable() for line in lines)
    lines = compare.compare_values({"a\x1b": {"value": "\x1b[2J", "runs": []}}, {}, same_machine=True)
    assert r"a\x1b  \x1b[2J    missing     differs" in compare.as_text(lines)


# Making it again


@pytest.fixture
def made(honest, tmp_path, monkeypatch):
    """Instead of executing everything: an honest copy of the report, changed as the test says."""
    asked = []

    def make_again(root, folder, **words):
        asked.append(words)
        for name, content in (honest | made.forged).items():
            if name.startswith(REPORT):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        return folder / REPORT

    made = make_again
    make_again.asked, make_again.forged = asked, {}
    monkeypatch.setattr(again, "make_again", make_again)
    for check in ("check_notebooks", "check_reports"):  # proven above
        monkeypatch.setattr(shown, check, lambda *_: [])
    monkeypatch.setattr(pack, "test_predictions", lambda folder: (honest | made.forged)[PREDICTIONS])
    return make_again


def rerun(files, made_files, made, folder, capsys):
    """Exit status, and name -> verdict of what differs, when the report that is made again is another one."""
    made.forged = {name: content for name, content in made_files.items() if files.get(name) != content}
    status, lines = verified(files, folder, capsys, "--rerun")
    shown = lines[next(number for number, line in enumerate(lines) if "== made again on" in line) + 1 :]
    verdicts = (compare.DIFFERS, compare.WITHIN, compare.MAY_FOLLOW)
    return status, {line.split()[0]: verdict for line in shown for verdict in verdicts if line.endswith(f"  {verdict}")}


def test_an_honest_hand_in_passes_and_only_its_times_may_differ(honest, made, tmp_path, capsys):
    again_made = dict(honest)
    as_value("best.train_minutes", 7.5)(again_made)
    status, differing = rerun(dict(honest), again_made, made, tmp_path, capsys)
    assert (status, differing) == (0, {})
    assert made.asked == [{"brief": "demo", "profile": "smoke", "data": ""}]


def test_what_the_rerun_does_not_give_is_named(honest, made, tmp_path, capsys):
    again_made = dict(honest)
    as_value("dataset.images", 111)(again_made)
    as_value("best.test_accuracy", 0.8)(again_made)
    as_file(f"{REPORT}figures/samples.png", png(9))(again_made)
    as_text(f"{REPORT}tables/trust.csv", "0.05", "0.01")(again_made)
    as_text(f"{REPORT}notebooks/01_explore.ipynb", "41.0\u00a0% of a class", "91.0\u00a0% of a class")(again_made)
    as_text(f"{REPORT}left_out.csv", "odd", "even")(again_made)
    as_table(lambda table: table.assign(predicted_class="bee"))(again_made)
    status, differing = rerun(dict(honest), again_made, made, tmp_path, capsys)
    assert status == 1 and differing == dict.fromkeys(
        [
            "best.test_accuracy",
            "dataset.images",
            "data/left_out.csv",
            "figures/samples.png",
            "notebooks/01_explore.ipynb",
            "predictions/answers",
            "tables/trust.csv",
        ],
        "differs",
    )


def test_another_machine_may_differ_within_limits_and_no_further(honest, made, tmp_path, capsys):
    again_made = dict(honest)
    run = f"{REPORT}runs/{BEST}/environment.json"
    as_json(lambda facts: facts.update(threads=8), run)(again_made)
    as_value("best.test_accuracy", 0.85)(again_made)
    as_value("best.epochs", 11)(again_made)
    status, differing = rerun(dict(honest), again_made, made, tmp_path, capsys)
    assert (status, differing) == (0, {"best.test_accuracy": "within limits", "best.epochs": "may follow"})
    as_value("dataset.images", 111)(again_made)
    as_value("best.test_accuracy", 0.7)(again_made)
    status, differing = rerun(dict(honest), again_made, made, tmp_path, capsys)
    assert status == 1 and differing.pop("best.epochs") == "may follow"
    assert differing == dict.fromkeys(["dataset.images", "best.test_accuracy"], "differs")
    status, lines = verified(honest, tmp_path, capsys, "--rerun")
    assert "== made again on another machine: threads differ" in lines


def test_a_hand_in_that_was_unpacked_and_packed_again_holds(honest, tmp_path, capsys):
    files = {f"jo_demo/{name}": content for name, content in honest.items()}
    files |= {"__MACOSX/jo_demo/._Makefile": b"left by a Mac", "jo_demo/.DS_Store": b"left by a file browser"}
    status, lines = verified(files, tmp_path, capsys)
    assert status == 0 and lines[0] == "jo_demo.zip: jo, brief demo, profile smoke"
    assert {f"== files: {len(honest) - 1} listed, no faults", "== code: that of this copy"} <= set(lines)
    assert "The manifest is not" in "".join(lines) and lines[-1].strip() == "RERUN=1 computes them again."
    listed = (
        next(line for line in lines if line.startswith("== must hold: ")).removeprefix("== must hold: ").split(", ")
    )
    assert {PREDICTIONS, "index.html", "experimentation.pdf", "03_best_model.html", "split.csv"} <= set(listed)


def test_a_brief_that_this_copy_lacks_is_said(honest, tmp_path, capsys):
    files = {name.replace("reports/demo/", "reports/mine/"): content for name, content in honest.items()}
    as_json(lambda manifest: manifest.update(brief="mine"), MANIFEST)(files)
    covered_up_manifest(files)
    status, lines = verified(files, tmp_path, capsys)
    assert status == 1 and any("brief mine is not one of this copy: add its file first" in line for line in lines)


def test_code_of_the_hand_in_runs_only_when_it_is_trusted(honest, made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(again, "check_shown_again", lambda *_, **__: ["index.html: shows another number"])
    files = honest | {"lib/briefs/mine.py": b"print('mine')\n"}
    as_text("lib/briefs/demo.py", "Drawn objects", "My objects")(files)
    covered_up(files)
    status, lines = verified(files, tmp_path, capsys, "--rerun")
    assert status == 2 and made.asked == []
    assert "== code: differs from this copy in lib/briefs/demo.py, lib/briefs/mine.py" in lines
    assert any(line.startswith("== written reports: not compared with the results") for line in lines)
    assert lines[-1].startswith("error: RERUN=1 would run code of this hand-in as you, on this machine: 2 of the files")
    assert "TRUST=1 lets it run. Nothing of it was run" in lines[-1]
    status, lines = verified(files, tmp_path, capsys, "--rerun", "--trust")
    assert status == 1 and len(made.asked) == 1 and "  index.html: shows another number" in lines
    assert lines[-2].startswith("== code of the hand-in was run")
