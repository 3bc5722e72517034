"""lib.report.hand_in: what goes into the zip, what never does, and that the same report gives the same bytes."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from page_reader import Tags
from small_report import BASELINE, BEST, CLASSES, MACHINE, change_value, finish, make_small_report

from lib.__main__ import main
from lib.config import paths
from lib.report import hand_in, pages
from lib.report.hand_in import pack
from lib.report.hand_in.pack import MANIFEST, file_name_of, zip_bytes
from lib.report.results import read_values


@pytest.fixture
def folder(own_folders):
    """The folder of a finished report."""
    return finish(make_small_report())


def opened(file):
    """Name -> bytes of everything in a zip."""
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_a_hand_in_holds_code_notebooks_reports_predictions_and_environment(folder):
    file = hand_in.write_submission("demo", "s1234567")
    assert file == paths.reports() / "s1234567_demo.zip"
    held = opened(file)
    expected = {"Makefile", "README.md", "environment.yml", "requirements.txt", "requirements.in", "pyproject.toml"}
    expected |= {"lib/__main__.py", "lib/briefs/demo.py", "lib/report/pages/style.css", "notebooks/01_explore.ipynb"}
    expected |= {"s1234567_test_preds.csv", "MANIFEST.json", "reports/index.html"}
    report = {"index.html", "values.json", "manifest.json", "split.csv", "01_explore.html", "figures/curves.png"}
    report |= {"notebooks/03_best_model.ipynb", "notebooks/03_best_model.json", "tables/experiments.csv"}
    report |= {"experimentation.html", "experimentation.pdf", "experimentation.docx", f"runs/{BEST}/history.csv"}
    assert expected | {f"reports/demo/{name}" for name in report} <= set(held)
    assert held["reports/demo/values.json"] == (folder / "values.json").read_bytes()
    every = {f"reports/demo/{file.relative_to(folder).as_posix()}" for file in folder.rglob("*") if file.is_file()}
    left_out = {Path(name).name for name in every - set(held)}
    assert left_out == {"model.keras", "checkpoint.npz", "predictions_test.npz"}


def test_every_file_of_the_project_that_a_report_needs_goes_in():
    packed = set(pack.project_files())
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *pack.FOLDERS, "data"]
    in_git = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    if in_git.returncode:
        pytest.skip("not a git repository, e.g. a downloaded archive")
    needed = {name for name in in_git.stdout.splitlines() if (paths.ROOT / name).is_file()}
    assert needed <= packed
    assert not {name for name in packed if name.startswith(("tests/", "data/raw", ".git", "reports/results"))}


@pytest.mark.parametrize("git", [True, False])
def test_what_lies_about_is_left_out(tmp_path, own_folders, monkeypatch, git):
    root = tmp_path / "project"
    for folder in ("lib", "notebooks"):
        (root / folder).mkdir(parents=True)
    kept = ["lib/__init__.py", "lib/briefs/mine.py", "notebooks/01_explore.ipynb", "Makefile", "requirements.txt"]
    planted = ["lib/photo.jpg", "lib/weights.keras", "lib/state.npz", "lib/__pycache__/a.pyc", "lib/deep/model.h5"]
    planted += [
        "notebooks/mine.py",
        "reports/templates/mine.py",
        "lib/.hidden/notes.md",
        "notebooks/.ipynb_checkpoints/01_explore.ipynb",
        "notebooks/cat.png",
    ]
    planted += ["data/raw/cat.jpg", "data/cache/x.npy", "reports/demo/values.json", ".env", "secret.md"]
    for name in kept + planted:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    if git:
        (root / ".gitignore").write_text("__pycache__/\n.ipynb_checkpoints/\n.hidden\nignored.py\n")
        (root / "lib/ignored.py").write_text("x")
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    else:
        monkeypatch.setattr(pack.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(OSError("no git here")))
    monkeypatch.setattr(paths, "ROOT", root)
    assert set(pack.project_files()) == set(kept)


def test_of_a_report_only_what_it_lists_goes_in(folder):
    before = set(pack.report_files("demo", folder))
    planted = [
        "figures/stray.png",
        "tables/stray.csv",
        "stray.csv",
        "photo.jpg",
        "notes.html",
        "notebooks/01_explore.log",
    ]
    planted += [f"runs/{BEST}/graph/events.out.tfevents.1", "runs/old-seed0-1/config.json", "runs/old-seed0-1/x.npz"]
    for name in planted:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert set(pack.report_files("demo", folder)) == before
    assert {name for name in before if name.startswith("reports/demo/runs/")} == {
        f"reports/demo/runs/{run}/{name}" for run in (BEST, BASELINE) for name in pages.RUN_FILES
    }


def test_predictions_name_image_truth_guess_and_confidence(folder):
    table = pd.read_csv(io.BytesIO(pack.test_predictions(folder)))
    assert table.to_dict("list") == {
        "image": ["ant/0.jpg", "bee/0.jpg", "cat & dog/0.jpg"],
        "true_class": CLASSES,
        "predicted_class": ["ant", "bee", "ant"],
        "confidence": [0.8, 0.7, 0.6],
    }


def test_links_of_the_packed_site_lead_somewhere(folder, tmp_path):
    (paths.report("caltech101")).mkdir()
    (paths.report("caltech101") / "index.html").write_text("another report, not handed in")
    with zipfile.ZipFile(hand_in.write_submission("demo", "jo")) as packed:
        packed.extractall(tmp_path / "unpacked")
    for page in ("index.html", "demo/index.html"):
        page = tmp_path / "unpacked" / "reports" / page
        links = [tag["href"] for tag in Tags(page.read_text(encoding="utf-8")).all("a")]
        assert [link for link in links if not link.startswith("#") and not (page.parent / link).exists()] == []
        assert not any("caltech101" in link for link in links)


def test_the_manifest_lists_every_file_and_the_machine(folder):
    held = opened(hand_in.write_submission("demo", "jo"))
    manifest = json.loads(held.pop(MANIFEST))
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in held.items()
    }
    assert manifest["files"]["Makefile"]["bytes"] == len(held["Makefile"])
    facts = {name: manifest[name] for name in ("student", "brief", "profile", "format")}
    assert facts == {"student": "jo", "brief": "demo", "profile": "smoke", "format": 1}
    assert {name: manifest["machine"][name] for name in MACHINE} == MACHINE and manifest["machine"]["device"] is None


def test_the_same_report_gives_the_same_bytes(folder, tmp_path):
    first = hand_in.write_submission("demo", "jo").read_bytes()
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)
    for file in folder.rglob("*"):
        os.utime(file, (0, 0))
    assert hand_in.write_submission("demo", "jo").read_bytes() == first
    change_value(folder, "best.parameters", 1)
    assert hand_in.write_submission("demo", "jo").read_bytes() != first
    assert zip_bytes({"b": b"2", "a": b"1"}) == zip_bytes({"a": b"1", "b": b"2"})


def test_names_of_students():
    for student, name in {
        "s1234567": "s1234567",
        "Zoë Müller": "Zoë_Müller",
        "Zoe\u0308": "Zoë",
        "  Ana  de la Cruz ": "Ana_de_la_Cruz",
        "Sean O'Brien": "Sean_OBrien",
        "陈伟": "陈伟",
        "किरण": "किरण",
        "j.smith-2": "j.smith-2",
    }.items():
        assert file_name_of(student) == name


def test_names_that_are_no_names_are_refused(folder):
    paths_and_options = ["", " ", "..", "../../etc", "/etc/passwd", "a/b", "a\\b", "C:x", ".hidden", "-rf", "jo."]
    for student in [*paths_and_options, "jo\x00", "jo\u202etxt", "x" * 61, "$(reboot)", "a*b", 'a"b', "jo😀"]:
        with pytest.raises(ValueError, match="STUDENT must be a name or number of at most 60 letters"):
            hand_in.write_submission("demo", student)
    assert not list(paths.reports().parent.rglob("*.zip"))


def test_what_is_doubtful_is_said(folder, monkeypatch, capsys):
    monkeypatch.setenv("VENV", "none")
    monkeypatch.setenv("STUDENT", "Ana Cruz")
    monkeypatch.setattr("lib.report.written.check_reports", lambda brief: ["note.md:3: typed number 93", "another"])
    assert main(["submission", "--brief", "demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Wrote {paths.reports() / 'Ana_Cruz_demo.zip'} (")
    assert lines[1].startswith("note: This is a smoke run")
    assert lines[2] == "note: The written reports have 2 faults, the first: note.md:3: typed number 93"
    assert len(lines) == 3
    (paths.reports() / "mine.py").write_text("x = 1")
    monkeypatch.setattr(paths, "NOTEBOOKS", paths.reports())
    assert hand_in.doubts("demo")[2:] == ["Not handed in, as code belongs in lib: notebooks/mine.py"]
    monkeypatch.delenv("STUDENT")
    assert main(["submission", "--brief", "demo"]) == 2
    assert "error: STUDENT must be a name or number" in capsys.readouterr().err


def test_an_unfinished_report_or_one_of_other_code_is_refused(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("lib.report.notebooks.freshness.code", lambda: "another")
        with pytest.raises(ValueError, match="report of demo was made with other code than is in lib now: run `make"):
            hand_in.write_submission("demo", "jo")
    values = read_values(folder)
    del values["best.test_accuracy"]
    (folder / "values.json").write_text(json.dumps(values))
    for name in ("experimentation.pdf", "03_best_model.html", "split.csv"):
        (folder / name).unlink()
        with pytest.raises(ValueError, match=f"The report of demo is not finished: run `make .* It lacks .*{name}"):
            hand_in.write_submission("demo", "jo")
    with pytest.raises(ValueError, match=r"It lacks .*, best\.test_accuracy$"):
        hand_in.write_submission("demo", "jo")
    assert not list(paths.reports().glob("*.zip"))
