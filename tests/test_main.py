"""The command line and the Makefile on it: help at once, wrong names refused with the right ones, one-line errors."""

import os
import shlex
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lib import commands, environment
from lib.__main__ import build_parser, enter_environment, main, raised_here
from lib.config import paths

COMMANDS = ["report", "check-report", "submission", "verify", "train", "results", "data", "bench", "bench-explain"]
COMMANDS += ["lab", "tensorboard", "test", "lint", "setup", "clean"]
TARGETS = ["report", "check-report", "submission", "verify", "test", "lint", "format", "lab", "tensorboard"]
TARGETS += ["results", "data", "train", "bench", "bench-explain", "setup"]
TARGETS += ["lock", "clean"]


@pytest.fixture(autouse=True)
def python_at_hand(monkeypatch):
    """Commands stay in the Python that runs the tests."""
    monkeypatch.setenv("VENV", "none")


def bare_python(*words, **variables):
    """Run `python -m lib` in a Python that sees the standard library only."""
    command = [sys.executable, "-S", "-m", "lib", *words]
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, env=settings)


def test_help_needs_nothing_installed():
    answer = bare_python("--help")
    assert answer.returncode == 0
    assert all(f"\n    {name}" in answer.stdout for name in COMMANDS)
    assert "examples:" in answer.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_own_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: python -m lib {name}" in capsys.readouterr().out


def test_no_command_shows_the_help(capsys):
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_networks_is_a_number(typed, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["report", f"--at-once={typed}"])
    assert stop.value.code == 2
    assert "a whole number of at least 1" in capsys.readouterr().err
    assert build_parser().parse_args(["report", "--at-once", "3"]).at_once == 3


def test_an_unknown_command_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["repot"])
    assert stop.value.code == 2
    assert "'repot'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "--brief", "dmo"], "error: Unknown brief 'dmo'. Briefs: caltech101, "),
        (["report", "--profile", "quik"], "error: Unknown profile 'quik'. Profiles: smoke, quick, full"),
        (["train", "--profile", "ful"], "error: Unknown profile 'ful'. Profiles: smoke, quick, full"),
        (["train", "--experiment", "bst"], "error: Unknown experiment 'bst'. Experiments of demo: best, "),
        (["data", "--brief", "caltech"], "error: Unknown brief 'caltech'. Briefs: caltech101, "),
        (["tensorboard", "--brief", ""], "error: Unknown brief ''. Briefs: caltech101, "),
    ],
)
def test_wrong_names_are_refused_with_the_valid_ones(words, message, capsys):
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(message)
    assert printed.count("\n") == 1


def test_wrong_names_are_refused_before_an_environment_is_made(tmp_path):
    answer = bare_python("report", "--brief", "dmo", VENV=str(tmp_path / "venv"))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: Unknown brief 'dmo'")
    assert not (tmp_path / "venv").exists()


def test_a_bare_python_is_refused_where_it_is_insisted_on():
    answer = bare_python("report", VENV="none")
    assert answer.returncode == 2
    assert "lacks tensorflow, keras, tensorboard, numpy" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_defaults_of_the_commands():
    parse = build_parser().parse_args
    assert vars(parse(["report"])) | {"run": 0} == {
        "command": "report", "run": 0, "brief": "demo", "profile": "quick", "data": "", "force": False,
        "at_once": None,
    }  # fmt: skip
    train = parse(["train", "--seed", "3"])
    assert (train.brief, train.experiment, train.profile, train.seed) == ("demo", "best", "quick", 3)
    assert [parse(["setup", *words]).gpu for words in ([], ["--gpu"], ["--no-gpu"])] == [None, True, False]
    assert [parse(["clean", *words]).runs for words in ([], ["--runs"])] == [False, True]
    assert [parse(["lint", *words]).fix for words in ([], ["--fix"])] == [False, True]
    assert parse(["tensorboard", "--port", "7000"]).port == 7000


def test_a_data_folder_means_the_same_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert build_parser().parse_args(["report", "--data", "pets"]).data == str(tmp_path / "pets")


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (None, 0, ""),
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "\nStopped: finished epochs are kept; run again to continue.\n"),
    ],
)
def test_how_a_command_ends(monkeypatch, capsys, error, status, printed):
    def bench(args):
        if error:
            raise error

    monkeypatch.setattr(commands, "bench", bench)
    assert main(["bench"]) == status
    assert capsys.readouterr().err.endswith(printed)
    assert "Traceback" not in printed


def test_an_error_of_a_library_keeps_its_traceback(monkeypatch):
    def bench(args):
        raise ValueError("a fault of this file, which is not in lib")

    monkeypatch.setattr(commands, "bench", bench)
    with pytest.raises(ValueError, match="a fault of this file"):
        main(["bench"])


def test_raised_here_looks_at_the_last_frame():
    from lib import briefs

    errors = []
    for cause in (lambda: briefs.load("no such brief"), lambda: int("no number")):
        try:
            cause()
        except ValueError as error:
            errors.append(error)
    assert [raised_here(error) for error in errors] == [True, False]


def test_a_python_with_the_libraries_is_used_as_it_is(monkeypatch):
    monkeypatch.delenv("VENV")
    monkeypatch.setattr(commands, "become", lambda command: pytest.fail(f"went on in {command}"))
    assert not environment.compare_at_hand(paths.ROOT)[0]
    enter_environment(["report"])


def test_venv_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("VENV")
    assert commands.venv_folder() == paths.ROOT / ".venv"
    monkeypatch.setenv("VENV", str(tmp_path))
    assert commands.venv_folder() == tmp_path


def test_setup_warns_and_installs_nothing_with_venv_none(capsys):
    assert main(["setup"]) == 0
    assert capsys.readouterr().out == f"Ready: {sys.executable}\n"


def test_variables_of_started_processes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSEWORK_DATA", f"one{os.pathsep}/two")
    monkeypatch.setenv("COURSEWORK_REPORTS", "three")
    monkeypatch.setenv("PYTHONPATH", "/four")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "")
    commands.prepare_variables()
    assert os.environ["COURSEWORK_DATA"] == f"{tmp_path / 'one'}{os.pathsep}/two"
    assert os.environ["COURSEWORK_REPORTS"] == str(tmp_path / "three")
    assert os.environ["PYTHONPATH"] == f"{paths.ROOT}{os.pathsep}/four"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"  # the caller's choice stays


def test_tensorboard_without_runs_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSEWORK_REPORTS", str(tmp_path))
    assert main(["tensorboard"]) == 2
    assert "error: The brief demo has no runs yet" in capsys.readouterr().err


def test_data_says_what_was_found(photo_folder, own_folders, capsys):
    (photo_folder / "apple" / "cut.jpg").write_bytes(b"")
    assert main(["data", "--brief", "folder", "--data", str(photo_folder)]) == 0
    printed = capsys.readouterr().out
    assert "18 images in 3 classes, 1 left out" in printed
    assert "  left out: apple/cut.jpg: " in printed and "  class balance: 6 images of the smallest class" in printed


def test_every_check_runs_and_the_failed_ones_are_named(capfd):
    checks = {"first": ["json.tool", "no such file"], "second": ["this"]}
    assert commands.run_checks(checks) == 1
    printed = capfd.readouterr().out
    assert "Beautiful is better than ugly" in printed
    assert printed.endswith("== failed: first\n")
    assert commands.run_checks({"second": ["this"]}) == 0
    assert capfd.readouterr().out.endswith("== passed: second\n")


def test_tests_write_their_reports_elsewhere(monkeypatch, tmp_path, capfd):
    old = tmp_path / "build" / "test-reports" / "demo" / "values.json"
    old.parent.mkdir(parents=True)
    old.touch()
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    show = "import os; print(os.environ['COURSEWORK_REPORTS'])"
    monkeypatch.setattr(commands, "CHECKS", {"variables": ["timeit", "-n1", "-r1", show]})
    monkeypatch.setenv("COURSEWORK_REPORTS", "mine")
    monkeypatch.setenv("PYTHONPATH", "")
    assert main(["test"]) == 0
    assert str(tmp_path / "build" / "test-reports") in capfd.readouterr().out.splitlines()
    assert not old.exists()


@pytest.mark.parametrize("runs", [False, True])
def test_clean_keeps_data_and_evidence(tmp_path, monkeypatch, runs, capsys):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    kept = ["data/raw/demo/a.jpg", "data/README.md", "reports/README.md", "reports/results/demo.csv", "lib/a.py"]
    kept += ["reports/templates/note.md", "reports/templates/demo/note.md"]
    trained = ["reports/demo/runs/best-1/model.keras"]
    gone = ["build/x", "data/cache/y", "reports/demo/index.html", "reports/demo/figures/z.png", ".pytest_cache/v"]
    gone += ["lib/__pycache__/a.pyc", "lib/briefs/__pycache__/b.pyc", "notebooks/.ipynb_checkpoints/n.ipynb"]
    for name in kept + trained + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    commands.clean(SimpleNamespace(runs=runs))
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*kept, *([] if runs else trained)}
    assert "deleted build" in capsys.readouterr().out
    commands.clean(SimpleNamespace(runs=runs))  # nothing left to do


def make(*words):
    if not shutil.which("make"):
        pytest.skip("make is not installed here")
    command = ["make", f"PYTHON={sys.executable}", "VENV=none", *words]
    of_make = {
        "MAKEFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "MFLAGS",
        "BRIEF",
        "PROFILE",
        "DATA",
        "EXPERIMENT",
        "SEED",
        "GPU",
    }
    settings = {name: value for name, value in os.environ.items() if name not in of_make}  # this may be `make test`
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, env=settings)


def test_make_alone_lists_the_targets():
    answer = make()
    assert answer.returncode == 0
    assert [line.split()[1] for line in answer.stdout.splitlines() if line.startswith("  make ")] == TARGETS
    assert all(len(line) <= 120 for line in answer.stdout.splitlines())


def passed_on(*words):
    """What make would hand to `python -m lib`."""
    return shlex.split(make("-n", *words).stdout)[3:]


def test_make_passes_its_variables_on():
    words = ["BRIEF=caltech101", "PROFILE=smoke", "DATA=my photos", "EXPERIMENT=deep", "SEED=4"]
    common = ["--brief", "caltech101", "--profile", "smoke", "--data", "my photos"]
    assert passed_on("report") == ["report"]
    assert passed_on("report", *words, "FORCE=1") == ["report", *common, "--force"]
    assert passed_on("report", "AT_ONCE=1") == ["report", "--at-once", "1"]
    assert passed_on("train", *words) == ["train", *common, "--experiment", "deep", "--seed", "4"]
    assert [passed_on("setup", *word) for word in ([], ["GPU=1"], ["GPU=0"])] == [
        ["setup"],
        ["setup", "--gpu"],
        ["setup", "--no-gpu"],
    ]
    assert passed_on("tensorboard", "PORT=7000") == ["tensorboard", "--port", "7000"]
    assert passed_on("clean", "RUNS=1") == ["clean", "--runs"]
    assert passed_on("submission", "BRIEF=folder", "STUDENT=Zoë 'Z' Doe") == ["submission", "--brief", "folder"]
    assert passed_on("verify", "ZIP=my file.zip") == ["verify", "--", "my file.zip"]
    options = ["ZIP=x.zip", "RERUN=1", "DATA=my photos"]
    assert passed_on("verify", *options) == ["verify", "--data", "my photos", "--rerun", "--", "x.zip"]


def test_make_refuses_a_misspelt_variable():
    answer = make("report", "BREIF=demo")
    assert answer.returncode == 2
    assert "Unknown variable BREIF. Variables: BRIEF PROFILE DATA" in answer.stderr


def test_make_hands_the_refusal_on():
    answer = make("report", "BRIEF=dmo")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: Unknown brief 'dmo'. Briefs: caltech101")
    assert "Traceback" not in answer.stderr
