"""The command line, which `make` calls too: `python -m lib --help`.

Each command is one function: its name, its docstring (the help), the options it takes, and what it does. Rooms are
imported inside: help is instant and works where nothing is installed, and an old Python 3 can read this file (so plain
annotations) and find a newer one.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

from lib import environment
from lib.environment import ROOT, become

EXAMPLES = """Options are written as make takes them, BRIEF=demo FORCE=1, or as --brief demo --force. Examples:
  make report                                            the drawn demo set: minutes, no download
  make report BRIEF=caltech101 PROFILE=quick
  make report BRIEF=folder DATA=path/to/images           your own images, one folder per class
  make train BRIEF=caltech101 EXPERIMENT=best PROFILE=full
  make report STUDENT="Your Name" STUDENT_ID=number      the title of the written reports
  make verify ZIP=reports/name_demo.zip RERUN=1
  python -m lib report --brief caltech101                the same without make
  python -m lib report --help                            more about one command

Where this Python lacks the libraries, a command makes the environment .venv and goes on in it.
VENV=folder names another one; VENV=none insists on this Python (Colab, conda); make PYTHON=python3.12 chooses it."""

SETTINGS = ("STUDENT", "STUDENT_ID", "VENV", "PYTHON")  # variables of the environment rather than options
CHECKS = {
    "style": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    # One file per process at a time, slow ones first (tests/conftest.py); three would want more memory than a laptop.
    "tests": ["pytest", "--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder", "tests"],
    "notebooks": ["pytest", "--nbval-lax", "--nbval-current-env", "notebooks"],
}


def absolute(path: str) -> str:
    """A path that means the same in every folder; "" stays."""
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def at_least_one(text: str) -> int:
    """A count as it is typed."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text!r}")
    return int(text)


DEFAULT = " (default: %(default)s)"
OPTIONS = {
    "--brief": {"default": "demo", "help": "coursework brief, a file of lib/briefs" + DEFAULT},
    "--profile": {"default": "quick", "help": "size: smoke (seconds), quick (minutes) or full" + DEFAULT},
    "--data": {"type": absolute, "default": "", "help": "folder of images, for the brief folder"},
    "--force": {"action": "store_true", "help": "run every notebook again; finished runs are still read"},
    "--at-once": {"type": at_least_one, "help": "networks to train side by side (default: 2 on a CPU, 1 on a GPU)"},
    "--experiment": {"default": "best", "help": "its name in lib/briefs, or best" + DEFAULT},
    "--seed": {"type": int, "default": 0, "help": "of weights, order and augmentation" + DEFAULT},
    "--student": {"help": "name or number, part of file names (default: $STUDENT)"},
    "zip": {"type": absolute, "help": "the file made by submission"},
    "--rerun": {"action": "store_true", "help": "make the report again with the code in the zip, and compare"},
    "--port": {"type": int, "default": 6006, "help": "of the web page" + DEFAULT},
    "--gpu": {"action": "store_true", "default": None, "help": "with the CUDA libraries as wheels (Linux)"},
    "--no-gpu": {"action": "store_false", "dest": "gpu", "help": "without them (default: as it is, or without)"},
    "--runs": {"action": "store_true", "help": "delete trained runs too: whole report folders"},
}
COMMANDS = {}


def command(*options: str, bare: bool = False):
    """Make a function a command of the same name; a bare one needs no environment."""

    def add(run):
        COMMANDS[run.__name__.replace("_", "-")] = run
        run.options, run.bare = options, bare
        return run

    return add


@command("--brief", "--profile", "--data", "--force", "--at-once")
def report(args: argparse.Namespace) -> int:
    """Make a whole report, reports/<brief>/index.html: notebooks, figures, tables, pages."""
    from lib.report import make

    try:
        make.make_report(args.brief, profile=args.profile, data=args.data, force=args.force, at_once=args.at_once)
        return 0
    except make.written.CheckFailed as failed:
        return say_faults(args.brief, str(failed).splitlines())


@command("--brief")
def check_report(args: argparse.Namespace) -> int:
    """Check that every number of the written reports comes from a run."""
    from lib import briefs
    from lib.report import written

    return say_faults(args.brief, written.check_reports(briefs.load(args.brief)))


def say_faults(brief: str, faults: list) -> int:
    """Print what is wrong with a brief's written reports; 1 if anything is, else 0."""
    for fault in faults:
        print(fault, file=sys.stderr)
    verdict = f"{len(faults)} fault{'s' * (len(faults) > 1)}" if faults else "nothing to mend"
    print(f"== check of the written reports of {brief}: {verdict}", flush=True)
    return 1 if faults else 0


@command("--brief", "--student")
def submission(args: argparse.Namespace) -> None:
    """Pack a finished report with its code, to hand in: reports/<student>_<brief>.zip."""
    from lib.report import hand_in

    student = os.environ.get("STUDENT", "") if args.student is None else args.student
    file = hand_in.write_submission(args.brief, student)
    print(f"Wrote {file} ({file.stat().st_size / 2**20:.1f} MB)")
    for doubt in hand_in.doubts(args.brief):
        print(f"note: {doubt}")


@command("zip", "--rerun", "--data")
def verify(args: argparse.Namespace) -> int:
    """Check a zip that was handed in; 1 is the status if something does not hold."""
    from lib.report import hand_in

    return 0 if hand_in.verify_submission(Path(args.zip), rerun=args.rerun, data=args.data) else 1


@command("--brief", "--profile", "--data", "--experiment", "--seed")
def train(args: argparse.Namespace) -> None:
    """Train one experiment, or continue it."""
    from lib.training import network

    network.train_one(args.brief, args.experiment, profile=args.profile, seed=args.seed, data=args.data)


@command("--brief")
def results(args: argparse.Namespace) -> None:
    """Keep a report's results table in reports/results, to commit."""
    from lib.report.results import write_evidence

    print(f"Wrote {write_evidence(args.brief).relative_to(ROOT)}")


@command("--brief", "--data")
def data(args: argparse.Namespace) -> None:
    """Get and check a brief's images, and say what was found."""
    from lib import briefs, datasets
    from lib.datasets import audit, splits

    brief = briefs.load(args.brief)
    path = Path(args.data) if args.data else None
    for name in (brief.dataset, *brief.further_datasets):
        dataset = datasets.load(name, include_clutter=brief.include_clutter, path=path)
        print(f"{dataset.title} ({dataset.source}): {dataset.root}")
        left_out = dataset.left_out
        print(f"{len(dataset.index):,} images in {len(dataset.class_names)} classes, {len(left_out):,} left out")
        for row in left_out.head(20).itertuples():
            print(f"  left out: {row.path}: {row.reason}")
        if len(left_out) > 20:
            print(f"  ... and {len(left_out) - 20:,} more")
        split = splits.make_split(dataset, brief.split, groups=audit.duplicate_groups(dataset))
        summary = audit.audit(dataset, split).summary
        for row in summary[(summary["images"] > 0) & (summary["check"] != "left out")].itertuples():
            print(f"  {row.check}: {row.images:,} {row.meaning}")


@command()
def bench(args: argparse.Namespace) -> None:
    """Measure the input pipeline beside Keras' own; writes reports/bench."""
    from lib import bench

    bench.run()


@command()
def bench_explain(args: argparse.Namespace) -> None:
    """Measure the attribution methods beside xplique and tf-keras-vis, where installed."""
    from lib.bench import explain

    explain.run()


@command()
def lab(args: argparse.Namespace) -> None:
    """Open the notebooks in JupyterLab."""
    options = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks"]
    if os.name != "nt" and os.geteuid() == 0:  # in a container there may be no other user
        options.append("--allow-root")
    become([sys.executable, "-m", "jupyterlab", *options])


@command("--brief", "--port")
def tensorboard(args: argparse.Namespace) -> None:
    """Show a brief's runs in TensorBoard."""
    from lib.config import paths

    runs = paths.runs(args.brief)
    if not runs.is_dir():
        raise ValueError(f"The brief {args.brief} has no runs yet: make its report, or train one of its experiments.")
    become([sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--port", str(args.port)])


@command()
def test(args: argparse.Namespace) -> int:
    """Check everything: style, format, tests, every notebook."""
    reports = ROOT / "build" / "test-reports"  # never into reports/
    shutil.rmtree(str(reports), ignore_errors=True)  # what an earlier run left must not help this one to pass
    os.environ["COURSEWORK_REPORTS"] = str(reports)
    return run_checks(CHECKS)


@command()
def lint(args: argparse.Namespace) -> int:
    """Check style and format."""
    return run_checks({name: CHECKS[name] for name in ("style", "format")})


@command()
def format(args: argparse.Namespace) -> int:
    """Mend style and format."""
    return run_checks({"style": ["ruff", "check", "--fix", "."], "format": ["ruff", "format", "."]})


def run_checks(checks: dict) -> int:
    """Run each, also after one has failed; 0 if none did, else 1."""
    failed = []
    for name, words in checks.items():
        print(f"== {name}: {' '.join(words)}", flush=True)
        if subprocess.call([sys.executable, "-m", *words], cwd=str(ROOT)):
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else f"== passed: {', '.join(checks)}", flush=True)
    return 1 if failed else 0


@command("--gpu", "--no-gpu", bare=True)
def setup(args: argparse.Namespace) -> None:
    """Make the environment, or check it; GPU=1 adds the CUDA libraries, GPU=0 drops them."""
    if os.environ.get("VENV") == "none":
        environment.check_at_hand(ROOT)
        print(f"Ready: {sys.executable}")
    else:
        print(f"Ready: {environment.ensure(environment.chosen_folder(), ROOT, gpu=args.gpu)}")


@command(bare=True)
def lock(args: argparse.Namespace) -> int:
    """Lock the versions of requirements.in anew, with hashes (needs uv)."""
    uv = shutil.which("uv")
    if not uv:
        raise environment.SetupError("make lock needs uv on PATH.")
    words = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    words += ["--no-emit-index-url", "--custom-compile-command", "make lock"]
    status = subprocess.call([*words, "--output-file", "requirements.txt", "requirements.in"], cwd=str(ROOT))
    words += ["--constraint", "requirements.txt", "--output-file", "requirements-gpu.txt", "requirements-gpu.in"]
    return status or subprocess.call(words, cwd=str(ROOT))


@command("--runs", bare=True)
def clean(args: argparse.Namespace) -> None:
    """Delete caches and report pages, never raw data; RUNS=1 deletes trained runs too."""
    doomed = [ROOT / "build", ROOT / "data" / "cache"]
    for cache in ("__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"):
        doomed.append(ROOT / cache)
        for room in ("lib", "tests", "notebooks"):
            doomed += ROOT.glob(f"{room}/**/{cache}")
    for report_folder in (ROOT / "reports").iterdir():
        if report_folder.is_dir() and report_folder.name not in ("results", "templates"):
            pages = [path for path in report_folder.iterdir() if path.name != "runs"]
            doomed += [report_folder] if args.runs else pages
    for path in filter(Path.exists, doomed):
        shutil.rmtree(str(path)) if path.is_dir() else path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")


def main(argv: list = None) -> int:
    """Run one command.

    Args:
        argv: words of the command line, without the program's name; None takes the real ones.

    Returns:
        Exit status: 0 done, 1 a check failed, 2 wrong use or wrong input, 130 stopped with Ctrl-C.
    """
    try:
        argv = spell_out(sys.argv[1:] if argv is None else argv)
        parser = build_parser()
        args = parser.parse_args(argv)
        if not args.command:
            parser.print_help()
            return 2
        run = COMMANDS[args.command]
        if "brief" in args and sys.version_info >= (3, 11):  # noqa: UP036 - an older one will hand over to a newer
            check_names(args)
        if not run.bare:
            environment.enter(argv)
        prepare_variables()
        return run(args) or 0
    except KeyboardInterrupt:
        print("\nStopped: finished epochs are kept; run again to continue.", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and not raised_here(error):
            raise  # a fault and not a wrong input: whoever mends it needs the traceback
        print(f"error: {error}", file=sys.stderr)
        return 2


def variables_of(options: tuple) -> dict:
    """The names that make gives to some options, and those options: AT_ONCE -> --at-once."""
    return {option.strip("-").replace("-", "_").upper(): option for option in options if option != "--no-gpu"}


def spell_out(argv: list) -> list:
    """Turn variables as make takes them into options: report BRIEF=demo FORCE=1 -> report --brief=demo --force.

    An empty value, and a variable that only other commands take, say nothing, so that `make data train SEED=1` works;
    a variable that no command takes is refused.
    """
    every, own = variables_of(OPTIONS), variables_of(getattr(COMMANDS.get("".join(argv[:1])), "options", ()))
    words, last = [], []
    for word in argv:
        name, equals, value = word.partition("=")
        option = own.get(name)
        if not equals or not re.match("[A-Z_]+$", name):
            words.append(word)
        elif name in SETTINGS:
            os.environ[name] = value
        elif name not in every:
            known = " ".join(dict.fromkeys((*every, *SETTINGS)))
            raise ValueError(f"Unknown variable {name}. Variables: {known}")
        elif not value or not option:
            continue
        elif option == "zip":
            last = ["--", value]
        elif "action" not in OPTIONS[option]:
            words.append(f"{option}={value}")
        elif value not in ("0", "no"):
            words.append(option)
        elif option == "--gpu":
            words.append("--no-gpu")
    return ["--help"] if words[:1] == ["help"] else words + last


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    layout = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    description = "Image-classification coursework: from images to a finished report."
    usage = "make COMMAND [NAME=value ...]\n       python -m lib COMMAND [--name value ...]"
    parser = argparse.ArgumentParser("python -m lib", usage, description, EXAMPLES, **layout)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="python -m lib")
    for name, run in COMMANDS.items():
        text = run.__doc__ or ""  # `python -OO` removes it
        variables = "".join(f" {name}=" for name in variables_of(run.options))
        listed = text.rstrip(".") + (f" [{variables.strip()}]" if variables else "")
        new = commands.add_parser(name, help=listed, description=text, **layout)
        for option in run.options:
            new.add_argument(option, **OPTIONS[option])
    return parser


def check_names(args: argparse.Namespace) -> None:
    """Refuse a brief, profile or experiment that does not exist, before anything slow begins; names those that do."""
    from lib import briefs

    brief = briefs.load(args.brief)
    if "profile" in args:
        brief.at(args.profile)
    if "experiment" in args and args.experiment not in ("best", *brief.experiments):
        known = ", ".join(dict.fromkeys(("best", *brief.experiments)))
        raise ValueError(f"Unknown experiment {args.experiment!r}. Experiments of {brief.name}: {known}")


def prepare_variables() -> None:
    """Set what the processes that a command starts shall see: notebooks' kernels, pytest, JupyterLab."""
    for name in ("COURSEWORK_DATA", "COURSEWORK_CACHE", "COURSEWORK_REPORTS"):
        if os.environ.get(name):  # relative ones would mean other folders there
            os.environ[name] = os.pathsep.join(absolute(folder) for folder in os.environ[name].split(os.pathsep))
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", str(ROOT))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *others])  # notebooks import lib from this very tree
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this environment's kernel, not one of the user's folder
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings stay: they say why a GPU is not used


def raised_here(error: Exception) -> bool:
    """Whether an error was raised by this package's own checks, and not inside a library."""
    frames = traceback.extract_tb(error.__traceback__)
    return Path(__file__).resolve().parent in Path(frames[-1].filename).resolve().parents


if __name__ == "__main__":
    sys.exit(main())
