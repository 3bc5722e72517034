"""The command line and the Makefile on it: help at once, wrong names refused with the right ones, one-line errors."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

import lib.__main__ as command_line
from lib import briefs, environment
from lib.__main__ import COMMANDS, build_parser, main, raised_here, spell_out
from lib.config import paths
from lib.environment import checks

NAMES = ["report", "check-report", "submission", "verify", "train", "search", "predict", "results", "data", "bench"]
NAMES += ["bench-explain", "bench-train", "lab", "tensorboard", "mlflow", "doctor", "colab", "test", "lint", "format"]
NAMES += ["setup", "lock", "clean"]


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
    assert all(f"\n    {name}" in answer.stdout for name in NAMES)
    assert "[BRIEF= PROFILE= DATA= FORCE=" in answer.stdout and "Examples:" in answer.stdout


def test_each_command_has_its_own_help(capsys):
    assert list(COMMANDS) == NAMES
    for name in NAMES:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        assert f"usage: python -m lib {name}" in printed and COMMANDS[name].__doc__ in printed


def test_help_does_not_need_docstrings():
    command = [sys.executable, "-OO", "-S", "-m", "lib", "--help"]
    assert subprocess.run(command, cwd=paths.ROOT, capture_output=True).returncode == 0


def test_no_command_shows_the_help(capsys):
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_a_number_of_networks_is_a_number(capsys):
    for typed in ("0", "-1", "two", "1.5", "²"):
        with pytest.raises(SystemExit) as stop:
            main(["report", f"--at-once={typed}"])
        assert stop.value.code == 2
        assert "a whole number of at least 1" in capsys.readouterr().err
    assert build_parser().parse_args(["report", "--at-once", "3"]).at_once == 3


def test_a_switch_is_on_or_off(capsys):
    for words, force in ([], False), (["--force"], True), (["--force=yes"], True), (["--force", "0"], False):
        assert build_parser().parse_args(["report", *words]).force == force
    with pytest.raises(SystemExit):
        main(["report", "--force", "demo"])
    assert "must be 1 or 0. Received: 'demo'" in capsys.readouterr().err


def test_wrong_names_are_refused_with_the_valid_ones(capsys):
    cases = [
        (["report", "--brief", "dmo"], "error: Unknown brief 'dmo'. Briefs: caltech101, "),
        (["report", "--profile", "quik"], "error: Unknown profile 'quik'. Profiles: smoke, quick, full"),
        (["train", "EXPERIMENT=bst"], "error: Unknown experiment 'bst'. Did you mean best? Experiments: best, "),
        (["tensorboard", "--brief", ""], "error: Unknown brief ''. Briefs: caltech101, "),
        (["report", "BREIF=demo"], "error: Unknown variable 'BREIF'. Did you mean BRIEF? Variables: BRIEF, PROFILE, "),
        (["reprot", "BRIEF=demo"], "error: Unknown command 'reprot'. Did you mean report? Commands: report, check-"),
        (["xyz"], "error: Unknown command 'xyz'. Commands: report, check-report, "),
    ]
    for words, message in cases:
        assert main(words) == 2
        printed = capsys.readouterr().err
        assert printed.startswith(message)
        assert printed.count("\n") == 1


def test_every_experiment_of_a_brief_can_be_asked_for():
    for brief in map(briefs.load, briefs.names()):
        for experiment in ("best", *brief.experiments, *brief.ablation, *brief.transfers):
            command_line.check_options("train", brief=brief.name, experiment=experiment, data=".")


def test_what_cannot_be_done_is_refused_before_an_environment_is_made(tmp_path):
    cases = [
        (["report", "--brief", "dmo"], "error: Unknown brief 'dmo'"),
        (["report", "BRIEF=folder"], "error: report BRIEF=folder needs DATA=path/to/images, a folder with one folder"),
        (["train", "BRIEF=folder", "DATA=/no"], "error: The folder of images does not exist. Received: DATA=/no"),
        (["predict", "BRIEF=demo"], "error: predict needs DATA=path/to/images, the folder of what is to be predicted."),
        (["predict", "BRIEF=folder"], "error: predict needs DATA=path/to/images, the folder of what is to be"),
        (["predict", "DATA=/no"], "error: The folder of images does not exist. Received: DATA=/no"),
        (["predict", "EXPERIMENT=bst"], "error: Unknown experiment 'bst'. Did you mean best?"),
        (["verify"], "error: verify needs ZIP=file.zip, made by submission. Received: none"),
        (["verify", "ZIP=/no"], "error: verify needs ZIP=file.zip, made by submission. Received: /no"),
        (["submission"], "error: STUDENT must be a name or number: make submission STUDENT=name."),
    ]
    for words, message in cases:
        answer = bare_python(*words, VENV=str(tmp_path / "venv"), STUDENT="")
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr.startswith(message) and answer.stderr.count("\n") == 1
    assert not (tmp_path / "venv").exists()


def test_a_bare_python_is_refused_where_it_is_insisted_on():
    answer = bare_python("report", VENV="none")
    assert answer.returncode == 2
    assert "-m pip install tensorflow==2." in answer.stderr
    assert "Traceback" not in answer.stderr


def test_defaults_of_the_commands():
    parse = build_parser().parse_args
    assert vars(parse(["report"])) == {
        "command": "report", "brief": "demo", "profile": "quick", "data": "", "force": False, "at_once": None,
    }  # fmt: skip
    train = parse(["train", "--seed", "3"])
    assert (train.brief, train.experiment, train.profile, train.seed) == ("demo", "best", "quick", 3)
    assert [parse(["setup", *words]).gpu for words in ([], ["--gpu"], ["--gpu=0"])] == [None, True, False]
    assert [parse(["clean", *words]).runs for words in ([], ["--runs"])] == [False, True]
    assert parse(["tensorboard", "--port", "7000"]).port == 7000


def test_a_data_folder_means_the_same_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert build_parser().parse_args(["report", "--data", "pets"]).data == str(tmp_path / "pets")


def test_how_a_command_ends(monkeypatch, capsys):
    def bench():
        if errors[-1]:
            raise errors[-1]

    monkeypatch.setitem(COMMANDS, "bench", bench)
    cases = [
        (None, 0, ""),
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "\nStopped: finished epochs are kept; run again to continue.\n"),
    ]
    errors = []
    for error, status, printed in cases:
        errors.append(error)
        assert main(["bench"]) == status
        said = capsys.readouterr().err
        assert said.endswith(printed) and "Traceback" not in said
    errors.append(ValueError("a fault of this file, which is not in lib, keeps its traceback"))
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
    gone_on = []
    monkeypatch.setattr(environment, "become", gone_on.append)
    monkeypatch.setattr(environment, "ensure", lambda folder, root: folder / "python")
    monkeypatch.setattr(environment, "differences", lambda root, extras: {"keras": "3.0"})
    environment.enter(["report"])
    assert not gone_on
    monkeypatch.setattr(environment, "differences", lambda root, extras: {"keras": None})
    monkeypatch.setattr(sys, "prefix", "elsewhere")
    monkeypatch.setenv("PYTHONPATH", "of the cluster")
    environment.enter(["report"])
    assert "PYTHONPATH" not in os.environ
    assert gone_on == [[str(paths.ROOT / ".venv" / "python"), "-m", "lib", "report"]]


def test_venv_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("VENV")
    assert environment.chosen_folder() == paths.ROOT / ".venv"
    monkeypatch.setenv("VENV", str(tmp_path))
    assert environment.chosen_folder() == tmp_path


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
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command_line.prepare_variables()
    assert os.environ["COURSEWORK_DATA"] == f"{tmp_path / 'one'}{os.pathsep}/two"
    assert os.environ["COURSEWORK_REPORTS"] == str(tmp_path / "three")
    assert os.environ["PYTHONPATH"] == f"{paths.ROOT}{os.pathsep}/four"
    command_line.prepare_variables()
    assert os.environ["PYTHONPATH"] == f"{paths.ROOT}{os.pathsep}/four"  # once, however often
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"  # the caller's choice stays
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert os.environ["PYTHONIOENCODING"].endswith(":backslashreplace")


def test_tensorboard_without_runs_says_what_to_do(own_folders, capsys):
    assert main(["tensorboard", "PROFILE=full"]) == 2
    assert "error: demo has no runs of the profile full yet: make its report" in capsys.readouterr().err


def test_predict_without_a_run_says_how_to_train_it(own_folders, photo_folder, capsys):
    assert main(["predict", "BRIEF=caltech101", f"DATA={photo_folder}"]) == 2
    words = "make train BRIEF=caltech101 EXPERIMENT=best PROFILE=quick"
    assert capsys.readouterr().err.endswith(f"has no finished run of best at profile quick: {words}\n")


def test_doctor_says_in_five_lines_what_trainings_run_on(capsys):
    assert main(["doctor", "BRIEF=demo", "PROFILE=smoke"]) == 0
    lines = capsys.readouterr().out.splitlines()
    patterns = [
        "device +[CG]PU, .+",
        r"precision +\w+, XLA o(n|ff)",
        r"threads +\d+ of \d+ cores, \d trainings at once",
    ]
    patterns += [r"versions +python 3\.\S+, tensorflow 2\.\S+, keras 3\.\S+, numpy 2\.\S+"]
    patterns += [
        r"first step +\d+\.\d s with building the graph, then \d+ ms each \(32 images of 64 px, best of demo, smoke\)"
    ]
    assert len(lines) == 5
    for pattern, line in zip(patterns, lines, strict=True):
        assert re.fullmatch(pattern, line)


def test_data_says_what_was_found(photo_folder, own_folders, capsys):
    (photo_folder / "apple" / "cut.jpg").write_bytes(b"")
    assert main(["data", "--brief", "folder", "--data", str(photo_folder)]) == 0
    printed = capsys.readouterr().out
    assert "18 images in 3 classes, 1 left out" in printed
    assert "  left out: apple/cut.jpg: " in printed and "  class balance: 6 images of the smallest class" in printed


def test_a_console_that_cannot_print_a_name_gets_it_spelt_out(photo_folder, own_folders):
    """Letters that ASCII lacks, and names that are no text at all."""
    (photo_folder / "apple").rename(photo_folder / "caf\u00e9 \u732b")
    for name in ("caf\u00e9 \u732b/cut.jpg", "boat/\udce9.jpg"):
        (photo_folder / name).write_bytes(b"")
    command = [sys.executable, "-m", "lib", "data", "BRIEF=folder", f"DATA={photo_folder}"]
    settings = os.environ | {"PYTHONIOENCODING": "ascii"}
    answer = subprocess.run(command, cwd=paths.ROOT, capture_output=True, env=settings)
    assert answer.returncode == 0 and b"Traceback" not in answer.stderr
    assert b"left out: caf\\xe9 \\u732b/cut.jpg" in answer.stdout and b"boat/\\udce9.jpg" in answer.stdout


def test_every_check_runs_and_the_failed_ones_are_named(capfd):
    both = {"first": ["json.tool", "no such file"], "second": ["this"]}
    assert checks.run_checks(both) == 1
    printed = capfd.readouterr().out
    assert "Beautiful is better than ugly" in printed
    assert printed.endswith("== failed: first\n")
    assert checks.run_checks({"second": ["this"]}) == 0
    assert capfd.readouterr().out.endswith("== passed: second\n")


def test_tests_write_their_reports_elsewhere(monkeypatch, tmp_path, capfd):
    old = tmp_path / "build" / "test-reports" / "demo" / "values.json"
    old.parent.mkdir(parents=True)
    old.touch()
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    show = "import os; print(os.environ['COURSEWORK_REPORTS'])"
    monkeypatch.setattr(checks, "CHECKS", {"variables": ["timeit", "-n1", "-r1", show]})
    monkeypatch.setenv("COURSEWORK_REPORTS", "mine")
    monkeypatch.setenv("PYTHONPATH", "")
    assert main(["test"]) == 0
    assert str(tmp_path / "build" / "test-reports") in capfd.readouterr().out.splitlines()
    assert not old.exists()


def test_clean_keeps_data_and_evidence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    kept = ["data/raw/demo/a.jpg", "data/README.md", "reports/README.md", "reports/results/demo.csv", "lib/a.py"]
    kept += ["reports/templates/note.md", "reports/templates/demo/note.md"]
    trained = ["reports/demo/runs/best-1/model.keras"]
    gone = ["build/x", "data/cache/y", "reports/demo/index.html", "reports/demo/figures/z.png", ".pytest_cache/v"]
    gone += ["lib/__pycache__/a.pyc", "lib/briefs/__pycache__/b.pyc", "notebooks/.ipynb_checkpoints/n.ipynb"]
    for name in kept + trained + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for words, left in ([], {*kept, *trained}), (["--runs"], {*kept}):
        assert main(["clean", *words]) == 0
        assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == left
        assert "deleted " in capsys.readouterr().out
        assert main(["clean", *words]) == 0  # nothing left to do
        assert capsys.readouterr().out == ""


UV = """#!{python}
import sys
from pathlib import Path
with open("asked", "a") as asked:
    print(*sys.argv[1:], file=asked)
packages = ["cat==1", "owl==2 ; python_version == '3.12'"]
if sys.argv[-1] != "requirements.in":
    packages = ["cat==1", "cat-food==1", "owl==2"]
entries = [f"{{package}} \\\\\\n    --hash=sha256:0\\n    # via cat\\n" for package in packages]
Path(sys.argv[sys.argv.index("--output-file") + 1]).write_text("# make lock\\n" + "".join(entries))
"""


def test_lock_asks_for_uv_and_keeps_of_an_extra_what_it_adds(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert main(["lock"]) == 2
    assert capsys.readouterr().err == "error: make lock needs uv on PATH.\n"
    uv = tmp_path / "uv"
    uv.write_text(UV.format(python=sys.executable), encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["lock"]) == 0
    base, gpu, *extras = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert base.endswith("--output-file requirements.txt requirements.in") and "--generate-hashes" in base
    assert gpu.endswith("--constraint requirements.txt --output-file requirements-gpu.txt requirements-gpu.in")
    assert [line.split("--constraint ", 1)[1] for line in extras] == [
        "requirements.txt --output-file requirements-ray.txt requirements-ray.in",
        "requirements.txt --constraint requirements-ray.txt"
        " --output-file requirements-mlflow.txt requirements-mlflow.in",
    ]
    for name, kept in (("gpu", ["cat==1", "cat-food==1", "owl==2"]), ("mlflow", ["cat-food==1", "owl==2"])):
        text = (tmp_path / f"requirements-{name}.txt").read_text(encoding="utf-8")
        assert re.findall(r"^(\S+==.+) \\\n    --hash=sha256:0\n    # via cat$", text, re.MULTILINE) == kept
        assert text.startswith("# make lock\n") and text.count("==") == len(kept)


def make(*words, **variables):
    if not shutil.which("make"):
        pytest.skip("make is not installed here")
    command = ["make", f"PYTHON={sys.executable}", "VENV=none", *words]
    of_make = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    of_make |= {"BRIEF", "PROFILE", "DATA", "EXPERIMENT", "SEED", "PORT", "GPU"}
    settings = {name: value for name, value in os.environ.items() if name not in of_make}  # this may be `make test`
    settings |= variables
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, env=settings)


def test_make_alone_lists_what_can_be_asked_for():
    answer = make()
    assert answer.returncode == 0 and answer.stdout == make("help").stdout
    assert all(f"\n    {name}" in answer.stdout for name in NAMES)
    assert all(len(line) <= 120 for line in answer.stdout.splitlines())


def passed_on(*words, **variables):
    """The options that a goal of make becomes."""
    command = shlex.split(make("-n", *words, **variables).stdout)
    assert command[0] == "exec" and command[2:4] == ["-m", "lib"]  # a signal to make reaches Python
    return spell_out(command[4:])


def test_make_passes_its_variables_on(monkeypatch):
    for name in ("STUDENT", "STUDENT_ID", "VENV"):
        monkeypatch.setenv(name, "none")  # and as they were afterwards
    words = ["PROFILE=smoke", "DATA=my photos", "EXPERIMENT=deep", "SEED=4", "BRIEF=caltech101"]
    common = {"--brief=caltech101", "--profile=smoke", "--data=my photos"}
    assert passed_on("report") == ["report"]
    assert set(passed_on("report", *words, "FORCE=1")) == {"report", *common, "--force=1"}
    assert passed_on("report", "AT_ONCE=1", "FORCE=", "BRIEF=") == ["report", "--at-once=1"]
    assert set(passed_on("train", *words)) == {"train", *common, "--experiment=deep", "--seed=4"}
    assert set(passed_on("predict", *words)) == {"predict", *common, "--experiment=deep"}
    setups = [passed_on("setup", *word)[1:] for word in ([], ["GPU=1"], ["GPU=0"], ["GPU=no"])]
    assert setups == [[], ["--gpu=1"], ["--gpu=0"], ["--gpu=no"]]
    assert [build_parser().parse_args(["setup", *words]).gpu for words in setups] == [None, True, False, False]
    assert passed_on("tensorboard", "PORT=7000") == ["tensorboard", "--port=7000"]
    assert passed_on("clean", "RUNS=1") == ["clean", "--runs=1"]
    assert passed_on("lint", "BRIEF=demo") == ["lint"]  # `make lint report BRIEF=demo` is asked for so
    assert passed_on("submission", "STUDENT=Zoë 'Z' Doe") == ["submission"]
    assert os.environ["STUDENT"] == "Zoë 'Z' Doe"
    assert passed_on("verify", "ZIP=-my file.zip") == ["verify", "--zip=-my file.zip"]
    assert set(passed_on("verify", "ZIP=x.zip", "RERUN=1", "DATA=my photos")) == {
        "verify", "--data=my photos", "--rerun=1", "--zip=x.zip",
    }  # fmt: skip
    assert passed_on("report", "--", BRIEF="folder", STUDENT="Zoë") == ["report", "--brief=folder"]
    monkeypatch.setenv("COURSEWORK_DATA", "before")
    assert passed_on("report", "COURSEWORK_DATA=my sets") == ["report"]
    assert os.environ["COURSEWORK_DATA"] == "my sets"


def test_make_hands_refusals_on():
    cases = [
        (("report", "BRIEF=dmo"), "error: Unknown brief 'dmo'. Briefs: caltech101"),
        (("report", "BREIF=demo"), "error: Unknown variable 'BREIF'. Did you mean BRIEF?"),
        (("BREIF=demo",), "error: Unknown variable 'BREIF'. Did you mean BRIEF?"),
        (("reprot",), "error: Unknown command 'reprot'. Did you mean report?"),
    ]
    for words, message in cases:
        answer = make(*words)
        assert answer.returncode == 2
        assert answer.stderr.startswith(message)
        assert "Traceback" not in answer.stderr
