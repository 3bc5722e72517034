"""The marker's tool: changed, missing and added files are named, lies are found, and a zip is opened with care."""

import hashlib
import io
import json
import shutil
import stat
import zipfile

import pandas as pd
import pytest
from small_report import change_value, make_small_report

from lib.__main__ import main
from lib.report import hand_in
from lib.report.hand_in import verify
from lib.report.hand_in.pack import MANIFEST, zip_bytes


@pytest.fixture
def files(own_folders):
    """Name -> bytes of everything in a sound hand-in."""
    make_small_report()
    with zipfile.ZipFile(hand_in.write_submission("demo", "jo")) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def zipped(files, tmp_path, name="jo_demo.zip"):
    (tmp_path / name).write_bytes(zip_bytes(files))
    return tmp_path / name


def check(files, tmp_path, capsys):
    """Whether a hand-in holds, and what is printed."""
    capsys.readouterr()
    return hand_in.verify_submission(zipped(files, tmp_path)), capsys.readouterr().out.splitlines()


def listed_anew(files):
    """The files with a manifest that lists them as they are now: a lie that no checksum finds."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
        if name != MANIFEST
    }
    return files | {MANIFEST: json.dumps(manifest).encode()}


def test_a_sound_hand_in_holds(files, tmp_path, capsys):
    holds, lines = check(files, tmp_path, capsys)
    assert holds
    assert lines[0] == "jo_demo.zip: jo, brief demo, profile smoke"
    assert lines[1].startswith("made from commit ")
    assert lines[2:] == [f"== files: {len(files) - 1} listed, no faults", "== code: that of this copy"]


def test_changed_missing_and_added_files_are_named(files, tmp_path, capsys):
    changed = dict(files)
    changed["reports/demo/values.json"] += b" "
    del changed["reports/demo/figures/curves.png"]
    changed["lib/extra.py"] = b"x = 1\n"
    changed[".DS_Store"] = b"left by a file browser"
    holds, lines = check(changed, tmp_path, capsys)
    assert not holds
    assert lines[2:-1] == [
        "  missing: reports/demo/figures/curves.png",
        "  not listed: lib/extra.py",
        "  changed: reports/demo/values.json",
        f"== files: {len(files) - 1} listed, 3 faults",
    ]
    assert lines[-1] == "== code: differs from this copy in lib/extra.py"


def test_an_accuracy_that_the_predictions_do_not_give_is_found(files, tmp_path, capsys):
    values = json.loads(files["reports/demo/values.json"])
    values["best.test_accuracy"]["value"] = 0.99
    lie = listed_anew(files | {"reports/demo/values.json": json.dumps(values).encode()})
    holds, lines = check(lie, tmp_path, capsys)
    assert not holds
    assert "  jo_test_preds.csv gives a test accuracy of 0.6667, the report states 0.9900" in lines
    predictions = pd.read_csv(io.BytesIO(files["jo_test_preds.csv"])).drop(columns="true_class")
    unlabelled = listed_anew(lie | {"jo_test_preds.csv": predictions.to_csv(index=False).encode()})
    holds, lines = check(unlabelled, tmp_path, capsys)
    assert not holds and "  jo_test_preds.csv lacks the column true_class or predicted_class" in lines


def test_a_hand_in_that_was_unpacked_and_packed_again_holds(files, tmp_path, capsys):
    again = {f"jo_demo/{name}": content for name, content in files.items()}
    again["__MACOSX/jo_demo/._Makefile"] = b"left by a Mac"
    assert check(again, tmp_path, capsys)[0]


def test_changed_code_is_named(files, tmp_path, capsys):
    many = {name: content for name, content in files.items() if not name.startswith("lib/figures/")}
    many |= {"lib/briefs/demo.py": b"x = 1\n", "lib/briefs/mine.py": b"y = 2\n"}
    holds, lines = check(listed_anew(many), tmp_path, capsys)
    assert holds and lines[-1].startswith("== code: differs from this copy in lib/briefs/demo.py, lib/briefs/mine.py, ")
    assert " more" in lines[-1]


def test_a_manifest_that_is_none_is_refused(files, tmp_path):
    for change in (
        {"brief": "../../etc"},
        {"brief": 3},
        {"student": "../jo"},
        {"profile": "quick; reboot"},
        {"format": 2},
        {"files": []},
        {"files": {"lib": "x"}},
    ):
        manifest = json.loads(files[MANIFEST]) | change
        with pytest.raises(ValueError, match="MANIFEST.json is damaged, or of another version of this project"):
            hand_in.verify_submission(zipped(files | {MANIFEST: json.dumps(manifest).encode()}, tmp_path))


def test_what_is_no_hand_in_is_refused(files, tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    others = {"made by hand.zip": {"report.pdf": b"x"}, "broken.zip": files | {MANIFEST: b"{"}}
    messages = {"text.zip": "is not a zip", "made by hand.zip": "holds no MANIFEST.json", "broken.zip": "is damaged"}
    for name, held in others.items():
        zipped(held, tmp_path, name)
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message):
            hand_in.verify_submission(tmp_path / name)
    with pytest.raises(ValueError, match="ZIP must be a file. Received: .*nowhere.zip"):
        hand_in.verify_submission(tmp_path / "nowhere.zip")


def test_a_path_that_leads_out_is_not_opened(files, tmp_path):
    for name in ("../escape.py", "/escape.py", "lib/../../escape.py", "C:/escape.py"):
        with pytest.raises(ValueError, match="path that leads out of its folder"):
            hand_in.verify_submission(zipped(files | {name: b"x"}, tmp_path))
        assert not list(tmp_path.rglob("escape.py"))


def test_a_link_two_files_of_one_name_and_a_bomb_are_not_opened(files, tmp_path, monkeypatch):
    file = zipped(files, tmp_path)
    with zipfile.ZipFile(file, "a") as packed:
        link = zipfile.ZipInfo("lib/link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="holds a link or a device: 'lib/link.py'"):
        hand_in.verify_submission(file)
    file = zipped(files, tmp_path)
    with zipfile.ZipFile(file, "a") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("lib/__main__.py", "import os")
    with pytest.raises(ValueError, match="holds the name '__main__.py' twice"):
        hand_in.verify_submission(file)
    monkeypatch.setattr("lib.datasets.fetch.archives.MIN_LIMIT", 10**6)
    with pytest.raises(ValueError, match="grows to more than 20 times its size"):
        hand_in.verify_submission(zipped({"zeros": bytes(10**8)}, tmp_path))


# Making it again


@pytest.fixture
def made_again(monkeypatch):
    """Instead of executing everything: what a changed or unchanged copy of the report would be."""
    asked = []

    def make_again(root, folder, **words):
        asked.append(words)
        shutil.copytree(root / "reports" / "demo", folder / "demo")
        for name, value in made_again.changes.items():
            change_value(folder / "demo", name, value)
        if made_again.threads:
            for file in folder.rglob("environment.json"):
                file.write_text(json.dumps(json.loads(file.read_text()) | {"threads": made_again.threads}))
        return folder / "demo"

    make_again.changes, make_again.threads, make_again.asked = {}, None, asked
    made_again = make_again
    monkeypatch.setattr(verify, "_make_again", make_again)
    return make_again


def run_again(files, tmp_path, capsys):
    capsys.readouterr()
    status = main(["verify", "--zip", str(zipped(files, tmp_path)), "--rerun"])
    return status, capsys.readouterr().out.splitlines()


def test_a_report_that_repeats_passes(files, tmp_path, capsys, monkeypatch, made_again):
    monkeypatch.setenv("VENV", "none")
    made_again.changes = {"best.train_minutes": 7.5}
    status, lines = run_again(files, tmp_path, capsys)
    assert status == 0 and made_again.asked == [{"brief": "demo", "profile": "smoke", "data": ""}]
    assert lines[-3:] == [
        "== made again on the same machine and versions",
        "7 compared: 1 not compared, 6 same",
        "== nothing differs that must not",
    ]


def test_what_does_not_repeat_is_shown_and_fails(files, tmp_path, capsys, monkeypatch, made_again):
    monkeypatch.setenv("VENV", "none")
    made_again.changes = {"best.test_accuracy": 0.6, "dataset.images": 11}
    status, lines = run_again(files, tmp_path, capsys)
    assert status == 1
    assert [line.split() for line in lines[-5:-2]] == [
        ["name", "handed", "in", "made", "again", "verdict"],
        ["best.test_accuracy", "0.666667", "0.6", "differs"],
        ["dataset.images", "12", "11", "differs"],
    ]
    assert lines[-1] == "== 2 differ that must not"


def test_another_machine_may_differ_within_limits(files, tmp_path, capsys, monkeypatch, made_again):
    monkeypatch.setenv("VENV", "none")
    made_again.threads, made_again.changes = 8, {"best.test_accuracy": 0.65, "best.experiment": "deep"}
    status, lines = run_again(files, tmp_path, capsys)
    assert status == 0
    assert "== made again on another machine: threads differ" in lines
    assert any(line.endswith("within limits") for line in lines) and any(line.endswith("may follow") for line in lines)
    made_again.changes["dataset.images"] = 11
    assert run_again(files, tmp_path, capsys)[0] == 1


def test_files_that_are_not_those_of_the_manifest_are_not_executed(files, tmp_path, capsys, monkeypatch, made_again):
    monkeypatch.setenv("VENV", "none")
    status, lines = run_again(files | {"lib/report/__init__.py": b"print('mine')"}, tmp_path, capsys)
    assert status == 1 and made_again.asked == []
    assert lines[-1] == "== not made again: first the files must be those of the manifest"


def test_the_code_of_the_hand_in_is_executed_with_this_machines_data(tmp_path, monkeypatch):
    root, raw = tmp_path / "opened", tmp_path / "my raw data"
    (root / "lib").mkdir(parents=True)
    raw.mkdir()
    code = """\
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["COURSEWORK_REPORTS"]) / "demo"
folder.mkdir(parents=True)
facts = {name: os.environ[name] for name in ("COURSEWORK_DATA", "COURSEWORK_CACHE", "VENV")}
(folder / "values.json").write_text(json.dumps({"facts": [__file__, sys.argv[1:], os.getcwd(), facts]}))
"""
    (root / "lib" / "__init__.py").touch()
    (root / "lib" / "__main__.py").write_text(code)
    monkeypatch.setenv("COURSEWORK_DATA", str(raw))
    monkeypatch.setenv("COURSEWORK_REPORTS", "elsewhere")
    made = verify._make_again(root, tmp_path / "again", brief="demo", profile="quick", data="")
    file, words, folder, facts = json.loads((made / "values.json").read_text())["facts"]
    assert file == str(root / "lib" / "__main__.py") and folder == str(root)
    assert words == ["report", "--brief", "demo", "--profile", "quick"]
    assert facts["COURSEWORK_DATA"].split(":")[-1] == str(raw) and facts["VENV"] == "none"
    assert facts["COURSEWORK_CACHE"] == str(tmp_path / "again" / "cache")
    (root / "lib" / "__main__.py").write_text("raise SystemExit(2)")
    with pytest.raises(ValueError, match="could not be made again: see the lines above. Exit status 2"):
        verify._make_again(root, tmp_path / "third", brief="demo", profile="quick", data="x")
