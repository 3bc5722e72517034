"""A report that was damaged, ran out of room, was begun twice, or is told to end: one sentence, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from nbformat.v4 import new_code_cell
from own_command import OWN, own_brief
from small_disk import DAMAGES, damage, small_disk
from tiny_notebooks import tiny_notebook, write

from lib.config import paths
from lib.config.files import FolderError, locked
from lib.report import notebooks, pages, results, written
from lib.report.make import make_report
from lib.report.notebooks import freshness

SAVES = """\
import pandas as pd
results.save_value("own.images", 18)
results.save_table("own", pd.DataFrame({"word": ["a" * 300_000]}), caption="It.")
"""
SLEEPS = """\
import time
from pathlib import Path
from lib.report.pages import tensorboard
from lib.training import workers
with tensorboard.serve(Path(DATA)):
    Path(DATA, "..", "kernel").touch()
    workers.share(time.sleep, [600, 600], count=2)
"""
PATIENCE = 120


@pytest.fixture
def photos(own_folders, photo_folder, monkeypatch):
    """Photos to report on, by one notebook that trains nothing."""
    (own_folders / "notebooks").mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", own_folders / "notebooks")
    monkeypatch.setattr("lib.briefs.folder.BRIEF", own_brief())
    write(tiny_notebook(new_code_cell(SAVES), name=OWN), paths.NOTEBOOKS, OWN)
    return photo_folder


def make(photos):
    return make_report("folder", profile="smoke", data=photos)


HOLDER = """
import os, signal, sys
from pathlib import Path
from lib.config.files import locked
with locked(Path(sys.argv[1]), title="it"):
    print("held", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.notebook
def test_a_report_is_made_again_where_it_is_damaged_and_not_twice_at_once(photos, capsys, monkeypatch):
    folder = make(photos).parent
    values, table = results.read_values(folder), (folder / "tables" / "own.csv").read_bytes()
    (folder / "written.json").touch()
    names = ("values.json", "manifest.json", "written.json", f"notebooks/{OWN}.json")
    for name, way in zip(names, ("cut", "other", "empty", "other"), strict=True):
        damage(folder / name, way)
    capsys.readouterr()
    make(photos)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "folder/values.json is damaged: the notebooks that fill it run again",
        "folder/manifest.json is damaged: the notebooks that fill it run again",
        f"{OWN}: running (not made yet)",
        "folder/written.json is damaged: the written reports are made again",
    ]
    assert results.read_values(folder) == values and (folder / "tables" / "own.csv").read_bytes() == table
    command, told = [sys.executable, "-c", HOLDER, folder / ".lock"], []
    with subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"

        def tell(text, **_):
            told.append(text)
            if len(told) == 1:
                time.sleep(0.5)
                assert holder.poll() is None
                holder.stdin.write("\n")  # it is killed, and the system takes the lock back
                holder.stdin.flush()

        monkeypatch.setattr("builtins.print", tell)
        make(photos)
    waiting = "Another process works on the report of folder: waiting for its end"
    assert told == [waiting, f"{OWN}: unchanged, reused (force with FORCE=1)"]


def test_no_damaged_record_ends_in_a_traceback(own_folders, capsys):
    opened = results.open_results("folder", notebook=OWN, profile="smoke")
    folder = opened.folder
    with freshness.recording(OWN, folder, made_from={"a": "b"}):
        opened.save_value("own.images", 18)
        opened.save_table("own", results.pd.DataFrame({"a": [1]}), caption="It.")
        (folder / "notebooks").mkdir()
    entry = {"title": "A note", "words": 3, "text": "", "files": {}}
    (folder / "written.json").write_text(json.dumps({"note": entry}))
    (folder / "index.html").touch()
    record = folder / "notebooks" / f"{OWN}.json"
    whole = {file: file.read_bytes() for file in (*folder.glob("*.json"), record)}
    assert len(whole) == 4 and results.read_values(folder) and freshness.read_record(OWN, folder)
    for content in (b"[]", b"[1]", b'"text"', b"null", b'{"a": [1]}', b'{"a": {"b": 1}}', b"\xff", *DAMAGES):
        for file in whole:
            damage(file, content) if content in DAMAGES else file.write_bytes(content)
            if file.name == "written.json":
                assert written.titles(folder) == {}
            elif file == record:
                assert freshness.reason_to_run(OWN, folder, made_from={"a": "b"}, waiting=[]) == "not made yet"
            elif (file.name, content) != ("manifest.json", b"[]"):  # a list of no figures
                read = results.read_values if file.name == "values.json" else results.read_manifest
                with pytest.raises(ValueError, match=r"is damaged \(.*\): `make report` makes it again"):
                    read(folder)
                capsys.readouterr()
                assert ("folder/index.html" in pages.write_overview().read_text()) == (file.name != "values.json")
                assert ("left out of the list of reports" in capsys.readouterr().out) == (file.name == "values.json")
                results.drop_damaged(folder)
                assert not file.exists() and read(folder) == type(read(folder))()
            file.write_bytes(whole[file])


@pytest.mark.notebook
def test_a_full_disk_is_one_sentence_and_room_lets_the_report_go_on(photos, monkeypatch):
    expected = {"own.images": {"value": 18, "runs": [], "notebook": OWN, "profile": "smoke"}}
    disk = photos.parent / "disk"
    with small_disk(disk, "40k") as remount:
        monkeypatch.setenv("COURSEWORK_REPORTS", str(disk))
        full = "No room is left on the disk of .*: make room there and run it again"
        for options, reason in (("size=8k", full), ("size=200k", full), ("ro", "cannot be written to: allow it")):
            remount(options)
            with pytest.raises((FolderError, notebooks.NotebookError), match=reason) as caught:
                make(photos)
            assert str(disk) in str(caught.value)
        remount("rw,size=64m")
        values = results.read_values(make(photos).parent)
        assert {name: values[name] for name in expected} == expected


def test_a_protected_cache_is_one_sentence(photos, monkeypatch):
    disk = photos.parent / "disk"
    with small_disk(disk, "1m") as remount:
        monkeypatch.setenv("COURSEWORK_CACHE", str(disk))
        remount("ro")
        with pytest.raises(ValueError, match="cannot be written to") as caught:
            make(photos)
        assert str(disk) in str(caught.value)


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.notebook
@pytest.mark.parametrize("ending", ["make is told to end", "python is killed"])
def test_nothing_outlives_a_report_that_is_ended(photos, ending):
    """Make, Python, the kernel of a notebook, and what that has started: TensorBoard and two trainers."""
    write(tiny_notebook(new_code_cell(SLEEPS), name=OWN), paths.NOTEBOOKS, OWN)
    # For the quotes, make asks a shell.
    python = f'"{sys.executable}" {paths.ROOT / "tests" / "own_command.py"} {paths.NOTEBOOKS}'
    command = ["make", "report", "BRIEF=folder", "PROFILE=smoke", f"DATA={photos}", f"PYTHON={python}", "VENV=none"]
    settings = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    first = subprocess.Popen(command, cwd=paths.ROOT, env=settings, stderr=subprocess.PIPE, text=True)
    kernel, end = photos.parent / "kernel", time.monotonic() + PATIENCE
    started = []
    while not kernel.exists() or len(started) < 6:  # one of them counts what the trainers share
        assert first.poll() is None and time.monotonic() < end
        time.sleep(0.2)
        started = psutil.Process(first.pid).children(recursive=True)
    if ending == "make is told to end":
        first.send_signal(signal.SIGTERM)
    else:
        next(one for one in started if one.name() not in ("sh", "bash", "dash")).kill()
    _, said = first.communicate(timeout=PATIENCE)
    _, left = psutil.wait_procs(alive(started), timeout=30)
    assert not alive(left)
    assert ("Stopped: finished epochs are kept" in said) == (ending == "make is told to end")
    assert "Traceback" not in said, said
    with locked(paths.report("folder") / ".lock", title="the report"):
        pass
