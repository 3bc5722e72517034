"""The command line, which `make` calls too: `python -m lib --help`.

Each command is one function: its name, its docstring (the help), its parameters (the options it takes), and what it
does. Rooms are imported inside: help is instant and works where nothing is installed, and an old Python 3 can read this
file (so plain annotations) and find a newer one.
"""

import argparse
import difflib
import inspect
import os
import re
import shutil
import signal
import sys
import traceback
from pathlib import Path

from lib import environment
from lib.environment import FOLDERS, ROOT, absolute, become, prepare_variables
from lib.environment.checks import format, lint, test

EXAMPLES = """Options are written as make takes them, BRIEF=demo FORCE=1, or as --brief demo --force. Examples:
  make report                                            the drawn demo set: minutes, no download
  make report BRIEF=caltech101 PROFILE=quick
  make report BRIEF=folder DATA=path/to/images           your own images, one folder per class
  make train BRIEF=caltech101 EXPERIMENT=best PROFILE=full
  make train BRIEF=caltech101 TRACK=mlflow               its curves in MLflow too, after make setup EXTRAS=mlflow
  make report BRIEF=caltech101 ON=ray                    on a cluster of Ray, after make setup EXTRAS=ray
  make predict BRIEF=caltech101 DATA=path/to/images      what a trained network says of any images
  make report STUDENT="Your Name" STUDENT_ID=number      the title of the written reports
  make submission STUDENT=name                           the name in the file name
  make verify ZIP=reports/name_demo.zip RERUN=1          made again, and compared

Where this Python lacks the libraries, a command makes the environment .venv and goes on in it.
VENV=folder names another one; VENV=none insists on this Python (Colab, conda); make PYTHON=python3.12 chooses it."""

# Variables rather than options.
SETTINGS = ("STUDENT", "STUDENT_ID", "VENV", "PYTHON", "CHIEF", "ON", "TRACK", "TORCH", *FOLDERS)
# A name in an error must not move the cursor; an old Python cannot read `lib.config.names`, which knows more signs.
CONTROL = {code: ascii(chr(code))[1:-1] for code in (*range(10), *range(11, 32), *range(127, 160))}


def at_least_one(text: str) -> int:
    """A count as it is typed."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text!r}")
    return int(text)


def on_or_off(text: str) -> bool:
    """A switch as it is typed."""
    if text not in ("1", "yes", "true", "0", "no", "false"):
        raise argparse.ArgumentTypeError(f"must be 1 or 0. Received: {text!r}")
    return text in ("1", "yes", "true")


DEFAULT = " (default: %(default)s)"
SWITCH = {"type": on_or_off, "nargs": "?", "const": True, "default": False, "metavar": "0|1"}
OPTIONS = {
    "brief": {"default": "demo", "help": "coursework brief, a file of lib/briefs" + DEFAULT},
    "profile": {"default": "quick", "help": "size: smoke (seconds), quick (minutes) or full" + DEFAULT},
    "data": {"type": absolute, "default": "", "help": "folder of images: of the brief folder, or those to predict"},
    "force": dict(SWITCH, help="run every notebook again; finished runs are still read"),
    "at_once": {"type": at_least_one, "help": "networks to train side by side (default: 2 on a CPU, 1 on a GPU)"},
    "experiment": {"default": "best", "help": "its name in lib/briefs, or best" + DEFAULT},
    "minutes": {"type": float, "help": "of the search (default: its own, at this profile)"},
    "workers": {"type": at_least_one, "default": 1, "help": "processes; with several, other trials come each time"},
    "seed": {"type": int, "default": 0, "help": "of weights, order and augmentation" + DEFAULT},
    "zip": {"type": absolute, "default": "", "help": "the file made by submission"},
    "rerun": dict(SWITCH, help="make the report again, and compare"),
    "trust": dict(SWITCH, help="let code of the zip run that is not the same in this copy"),
    "repository": {"default": "", "help": "https address of your copy (default: that of git's remote origin)"},
    "port": {"type": int, "default": 6006, "help": "of the web page" + DEFAULT},
    "gpu": dict(SWITCH, default=None, help="1: with the CUDA libraries (Linux), 0: without (default: as it is)"),
    "extras": {"choices": ("ray", "mlflow", "ray,mlflow", "none"), "help": "packages to add (default: as it is)"},
    "runs": dict(SWITCH, help="delete trained runs too: whole report folders"),
}


def report(brief: str, profile: str, data: str, force: bool, at_once: int) -> int:
    """Make a whole report, reports/<brief>/index.html: notebooks, figures, tables, pages."""
    from lib.report import make

    try:
        make.make_report(brief, profile=profile, data=data, force=force, at_once=at_once)
        return 0
    except make.written.CheckFailed as failed:
        return say_faults(brief, str(failed).splitlines())


def check_report(brief: str) -> int:
    """Check that every number of the written reports comes from a run."""
    from lib import briefs
    from lib.report import written

    return say_faults(brief, written.check_reports(briefs.load(brief)))


def say_faults(brief: str, faults: list) -> int:
    """Print what is wrong with a brief's written reports; 1 if anything is, else 0."""
    for fault in faults:
        print(fault.translate(CONTROL), file=sys.stderr)
    verdict = f"{len(faults)} fault{'s' * (len(faults) > 1)}" if faults else "nothing to mend"
    print(f"== check of the written reports of {brief}: {verdict}", flush=True)
    return 1 if faults else 0


def submission(brief: str) -> None:
    """Pack a finished report with its code, to hand in: reports/<STUDENT>_<brief>.zip."""
    from lib.report import hand_in

    with environment.ticking("the zip"):
        file = hand_in.write_submission(brief, os.environ.get("STUDENT", ""))
        print(f"Wrote {file} ({file.stat().st_size / 2**20:.1f} MB)", flush=True)
        for doubt in hand_in.doubts(brief):
            print(f"note: {doubt}")


def verify(zip: str, rerun: bool, trust: bool, data: str) -> int:
    """Check a zip that was handed in; RERUN=1 makes its report again and compares, TRUST=1 with its own code."""
    from lib.report import hand_in

    return 0 if hand_in.verify_submission(Path(zip), rerun=rerun, trust=trust, data=data) else 1


def train(brief: str, profile: str, data: str, experiment: str, seed: int) -> None:
    """Train one experiment or transfer, or continue it."""
    from lib.report import make

    make.train_one(brief, experiment, profile=profile, seed=seed, data=data)


def predict(brief: str, profile: str, data: str, experiment: str) -> None:
    """Predict the images of any folder by a finished run: reports/<brief>/<STUDENT>_test_preds.csv."""
    from lib.report import predictions

    options = {"profile": profile, "folder": Path(data), "student": os.environ.get("STUDENT", "")}
    predictions.predict_folder(brief, experiment, **options)


def search(brief: str, profile: str, experiment: str, minutes: float, seed: int, workers: int) -> None:
    """Search a network: EXPERIMENT, or a brief's longest search; CHIEF=host:port adds workers to one of WORKERS=2."""
    from lib.search import jobs

    job = jobs.named_search(brief, experiment, profile=profile, seed=seed, minutes=minutes)
    jobs.run_search(job, workers=workers, chief=os.environ.get("CHIEF", ""))


def results(brief: str) -> None:
    """Keep a report's results tables in reports/results, to commit."""
    from lib.report.results import write_evidence

    print("Wrote", *(file.relative_to(ROOT) for file in write_evidence(brief)))


def data(brief: str, data: str) -> None:
    """Get and check a brief's images and pretrained weights, and say what was found."""
    from lib import briefs, datasets
    from lib.datasets import audit
    from lib.transfer import answers

    opened, path = briefs.load(brief), Path(data) if data else None
    for name in (opened.dataset, *opened.further_datasets):
        dataset = datasets.load(name, include_clutter=opened.include_clutter, path=path)
        print("\n".join(audit.describe(dataset, opened.split)))
    sys.stdout.writelines(f"{line}\n" for line in answers.fetch(opened))


def bench() -> None:
    """Measure the input pipeline beside Keras' own; writes reports/bench."""
    from lib.bench import input_pipeline

    input_pipeline.run()


def bench_explain() -> None:
    """Measure the attribution methods beside xplique and tf-keras-vis, where installed."""
    from lib.bench import explain

    explain.run()


def bench_train() -> None:
    """Measure a training step beside Keras and PyTorch, where installed or TORCH=environment has it."""
    from lib.bench import train_step

    train_step.run()


def lab() -> None:
    """Open the notebooks in JupyterLab."""
    options = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks"]
    if os.name != "nt" and os.geteuid() == 0:  # in a container there may be no other user
        options.append("--allow-root")
    become([sys.executable, "-m", "jupyterlab", *options])


def tensorboard(brief: str, profile: str, port: int) -> int:
    """Show a brief's runs of one profile in TensorBoard."""
    from lib.training.tensorboard import show

    return show(brief, profile, port=port)


def mlflow(brief: str, port: int) -> int:
    """Log a brief's finished runs in MLflow and show them; with TRACK=mlflow, trainings log themselves."""
    from lib.training.mlflow import show

    return show(brief, port=port)


def doctor(brief: str, profile: str) -> None:
    """Say what trainings run on here, and how long a brief's first step takes."""
    from lib.training import doctor

    print(doctor.examine(brief, profile))


def colab(repository: str) -> None:
    """Write the address of your copy into the notebooks, and badges that open them in Colab into README.md."""
    from lib.report.notebooks.colab import write_address

    print(f"Notebooks and README.md lead to {write_address(repository)}: commit and push them.")


def setup(gpu: bool, extras: str) -> None:
    """Make the environment, or check it; GPU=1 adds the CUDA libraries and EXTRAS= others, GPU=0 and none drop them."""
    names = extras.split(",") if extras else []
    if os.environ.get("VENV") == "none":
        environment.check_at_hand(ROOT, extras=[name for name in environment.EXTRAS if name in names])
        print(f"Ready: {sys.executable}")
    else:
        print(f"Ready: {environment.ensure(environment.chosen_folder(), ROOT, gpu=gpu, extras=names)}")


def lock() -> int:
    """Lock the versions of requirements.in anew, with hashes (needs uv)."""
    return environment.lock_versions(ROOT)


def clean(runs: bool) -> None:
    """Delete caches and report pages, never raw data; RUNS=1 deletes trained runs too."""
    doomed, rooms = [ROOT / "build", ROOT / "data" / "cache"], ("lib", "tests", "notebooks")
    for cache in ("__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"):
        doomed += [ROOT / cache, *(path for room in rooms for path in ROOT.glob(f"{room}/**/{cache}"))]
    for report_folder in (ROOT / "reports").iterdir():
        if report_folder.is_dir() and report_folder.name not in ("results", "templates"):
            doomed += [report_folder] if runs else [path for path in report_folder.iterdir() if path.name != "runs"]
    for path in filter(Path.exists, doomed):
        shutil.rmtree(str(path)) if path.is_dir() else path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")


# In the order of the help.
FUNCTIONS = (report, check_report, submission, verify, train, search, predict, results, data, bench, bench_explain)
FUNCTIONS += (bench_train, lab, tensorboard, mlflow, doctor, colab, test, lint, format, setup, lock, clean)
COMMANDS = {run.__name__.replace("_", "-"): run for run in FUNCTIONS}
WITHOUT_ENVIRONMENT = ("setup", "lock", "clean")


def main(argv: list = None) -> int:
    """Run a command; the exit status is 0 done, 1 a check failed, 2 wrong use or wrong input, 130 stopped by Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has no need of it; a console may lack letters of a name
            stream.reconfigure(errors="backslashreplace")
    try:
        argv = spell_out(sys.argv[1:] if argv is None else argv)
        parser = build_parser()
        options = vars(parser.parse_args(argv))
        command = options.pop("command")
        if not command:
            parser.print_help()
            return 2
        if sys.version_info >= (3, 11):  # noqa: UP036 - an older one hands over to a newer
            check_options(command, **options)
        if command not in WITHOUT_ENVIRONMENT:
            asked = {command, os.environ.get("TRACK"), "ray" if os.environ.get("ON") else ""}
            environment.enter(argv, [name for name in environment.EXTRAS if name in asked])
        prepare_variables()
        return COMMANDS[command](**options) or 0
    except KeyboardInterrupt:
        print("\nStopped: finished epochs are kept; run again to continue.", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and not raised_here(error):
            raise  # a fault and not a wrong input: whoever mends it needs the traceback
        print(f"error: {str(error).translate(CONTROL)}", file=sys.stderr)
        return 2


def options_of(command: str) -> list:
    """Names of the options that a command takes."""
    return list(inspect.signature(COMMANDS[command]).parameters) if command in COMMANDS else []


def spell_out(argv: list) -> list:
    """Turn variables as make takes them into options: report AT_ONCE=2 -> report --at-once=2.

    An empty variable, and one that only other commands take, say nothing, so that `make data train SEED=1` works.
    """
    known, words = [name.upper() for name in OPTIONS], []
    for word in argv:
        name, _, value = word.partition("=")
        if not re.match("[A-Z_]+=", word):
            words.append(word)
        elif name in SETTINGS:
            os.environ[name] = value
        elif name not in known:
            check_name("variable", name, [*known, *SETTINGS])
        elif value and name.lower() in options_of(argv[0]):
            words.append("--" + name.lower().replace("_", "-") + "=" + value)
    if words and not words[0].startswith("-"):
        check_name("command", words[0], [*COMMANDS, "help"])
    return ["--help"] if words[:1] == ["help"] else words


def check_name(kind: str, name: str, known) -> None:
    """Refuse a name that is not known; the ValueError says which one was probably meant, and all there are."""
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(f"Unknown {kind} {name!r}.{meant} {kind.capitalize()}s: {', '.join(known)}")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    layout = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    description = "Image-classification coursework: from images to a finished report."
    usage = "make COMMAND [NAME=value ...]\n       python -m lib COMMAND [--name value ...]"
    parser = argparse.ArgumentParser("python -m lib", usage, description, EXAMPLES, **layout)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="python -m lib")
    for command, run in COMMANDS.items():
        text, options = run.__doc__ or "", options_of(command)  # `python -OO` removes docstrings
        variables = " ".join(f"{name.upper()}=" for name in options)
        listed = f"{text.rstrip('.')} [{variables}]" if variables else text.rstrip(".")
        new = commands.add_parser(command, help=listed, description=text, **layout)
        for name in options:
            new.add_argument("--" + name.replace("_", "-"), **OPTIONS[name])
    return parser


def check_options(command: str, brief: str = "", profile: str = "quick", experiment: str = "best", **others) -> None:
    """Refuse what cannot be done before anything slow begins: names that do not exist, files that are not there."""
    if "brief" in options_of(command):
        from lib import briefs

        loaded = briefs.load(brief)
        loaded.at(profile)
        names = ("best", *loaded.experiments, *loaded.ablation, *loaded.transfers, *loaded.searches)
        check_name("experiment", experiment, dict.fromkeys(names))
        if command == "predict" and not others["data"]:
            raise ValueError("predict needs DATA=path/to/images, the folder of what is to be predicted.")
        if "data" in others and loaded.dataset == "folder" and not others["data"]:
            raise ValueError(f"{command} BRIEF={brief} needs DATA=path/to/images, a folder with one folder per class.")
    check_name("tracker", os.environ.get("TRACK") or "mlflow", ["mlflow"])
    if others.get("data") and not os.path.exists(others["data"]):
        raise ValueError(f"The folder of images does not exist. Received: DATA={others['data']}")
    if "zip" in others and not os.path.isfile(others["zip"]):
        raise ValueError(f"{command} needs ZIP=file.zip, made by submission. Received: {others['zip'] or 'none'}")
    if command == "submission" and not os.environ.get("STUDENT", "").strip():
        raise ValueError("STUDENT must be a name or number: make submission STUDENT=name. Received: none")


def raised_here(error: Exception) -> bool:
    """Whether an error was raised by this package's own checks, and not inside a library."""
    frames = traceback.extract_tb(error.__traceback__)
    return Path(__file__).resolve().parent in Path(frames[-1].filename).resolve().parents


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started ends with this process
    sys.exit(main())
