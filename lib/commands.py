"""What the commands of `python -m lib` do, each a function of its parsed arguments.

As in `__main__`, rooms are imported inside and annotations are plain.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lib import environment

ROOT = Path(__file__).resolve().parent.parent  # as paths.ROOT; an old Python cannot read lib.paths

CHECKS = {
    "style": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "tests": ["pytest", "--numprocesses=2", "tests"],  # more would want more memory than a laptop has
    "notebooks": ["pytest", "--nbval-lax", "--nbval-current-env", "notebooks"],
}
CACHES = ("__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints")


def absolute(path: str) -> str:
    """A path that means the same in every folder; "" stays."""
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def venv_folder() -> Path:
    """Folder of the environment: `$VENV`, else `.venv`."""
    return ROOT / os.path.expanduser(os.environ.get("VENV") or ".venv")


def become(command: list) -> None:
    """Let another program take this one's place, so that Ctrl-C reaches that one alone; does not return."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    sys.exit(subprocess.call(command))


def check_names(args: argparse.Namespace) -> None:
    """Refuse a brief, profile or experiment that does not exist, before anything slow begins.

    Raises:
        ValueError: names the ones that do.
    """
    from lib import briefs

    brief = briefs.load(args.brief)
    if "profile" in args:
        brief.at(args.profile)
    if "experiment" in args and args.experiment not in ("best", *brief.experiments):
        known = ", ".join(dict.fromkeys(("best", *brief.experiments)))
        raise ValueError(f"Unknown experiment {args.experiment!r}. Experiments of {brief.name}: {known}")


def setup(args: argparse.Namespace) -> None:
    """Make the environment, or check the Python at hand with VENV=none."""
    if os.environ.get("VENV") == "none":
        environment.check_at_hand(ROOT)
        python = sys.executable
    else:
        python = environment.ensure(venv_folder(), ROOT, gpu=args.gpu)
    print(f"Ready: {python}")


def report(args: argparse.Namespace) -> int:
    """Execute a brief's notebooks, and write and check its reports and pages."""
    prepare_variables()
    from lib.report import make

    try:
        make.make_report(args.brief, profile=args.profile, data=args.data, force=args.force, at_once=args.at_once)
    except make.written.CheckFailed as failed:
        return say_faults(args.brief, str(failed).splitlines())
    return 0


def check_report(args: argparse.Namespace) -> int:
    """Check a brief's written reports as they stand."""
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


def results(args: argparse.Namespace) -> None:
    """Keep a finished report's results table where git sees it."""
    from lib.report import results

    print(f"Wrote {results.write_evidence(args.brief).relative_to(ROOT)}")


def submission(args: argparse.Namespace) -> None:
    """Pack a finished report to hand in."""
    from lib.report import hand_in

    file = hand_in.write_submission(args.brief, args.student)
    print(f"Wrote {file} ({file.stat().st_size / 2**20:.1f} MB)")
    for doubt in hand_in.doubts(args.brief):
        print(f"note: {doubt}")


def verify(args: argparse.Namespace) -> int:
    """Check a report that was handed in; 1 if something does not hold."""
    prepare_variables()
    from lib.report import hand_in

    return 0 if hand_in.verify_submission(Path(args.zip), rerun=args.rerun, data=args.data) else 1


def train(args: argparse.Namespace) -> None:
    """Train one experiment."""
    prepare_variables()
    from lib.training import network

    network.train_one(args.brief, args.experiment, profile=args.profile, seed=args.seed, data=args.data)


def data(args: argparse.Namespace) -> None:
    """Load a brief's images, getting them where need be, look at each of them, and print what was found."""
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


def bench(args: argparse.Namespace) -> None:
    """Measure the input pipeline."""
    prepare_variables()
    from lib import bench

    bench.run()


def bench_explain(args: argparse.Namespace) -> None:
    """Measure the attribution methods."""
    prepare_variables()
    from lib.bench import explain

    explain.run()


def lab(args: argparse.Namespace) -> None:
    """Open JupyterLab on the notebooks."""
    prepare_variables()
    options = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks"]
    if os.name != "nt" and os.geteuid() == 0:  # in a container there may be no other user
        options.append("--allow-root")
    become([sys.executable, "-m", "jupyterlab", *options])


def tensorboard(args: argparse.Namespace) -> None:
    """Show a brief's runs."""
    prepare_variables()
    from lib.config import paths

    runs = paths.runs(args.brief)
    if not runs.is_dir():
        raise ValueError(f"The brief {args.brief} has no runs yet: make its report, or train one of its experiments.")
    become([sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--port", str(args.port)])


def test(args: argparse.Namespace) -> int:
    """Run all checks; reports are written under build/, never into reports/."""
    prepare_variables()
    reports = ROOT / "build" / "test-reports"
    shutil.rmtree(reports, ignore_errors=True)  # what an earlier run left must not help this one to pass
    os.environ["COURSEWORK_REPORTS"] = str(reports)
    return run_checks(CHECKS)


def lint(args: argparse.Namespace) -> int:
    """Check style and format, or mend them."""
    if args.fix:
        return run_checks({"style": ["ruff", "check", "--fix", "."], "format": ["ruff", "format", "."]})
    return run_checks({name: CHECKS[name] for name in ("style", "format")})


def clean(args: argparse.Namespace) -> None:
    """Delete what minutes bring back; trained runs only when asked, raw data and the environment never."""
    doomed = [ROOT / "build", ROOT / "data" / "cache"]
    for cache in CACHES:
        doomed.append(ROOT / cache)
        for room in ("lib", "tests", "notebooks"):
            doomed += ROOT.glob(f"{room}/**/{cache}")
    for report_folder in (ROOT / "reports").iterdir():
        if report_folder.is_dir() and report_folder.name not in ("results", "templates"):
            pages = [path for path in report_folder.iterdir() if path.name != "runs"]
            doomed += [report_folder] if args.runs else pages
    for path in filter(Path.exists, doomed):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")


def prepare_variables() -> None:
    """Set what the processes that a command starts shall see: notebooks' kernels, pytest, JupyterLab."""
    for name in ("COURSEWORK_DATA", "COURSEWORK_CACHE", "COURSEWORK_REPORTS"):
        if os.environ.get(name):  # relative ones would mean other folders there
            os.environ[name] = os.pathsep.join(absolute(folder) for folder in os.environ[name].split(os.pathsep))
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *others])  # notebooks import lib from this very tree
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this environment's kernel, not one of the user's folder
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings stay: they say why a GPU is not used


def run_checks(checks: dict) -> int:
    """Run each, also after one has failed; 0 if none did, else 1."""
    failed = []
    for name, words in checks.items():
        print(f"== {name}: {' '.join(words)}", flush=True)
        if subprocess.call([sys.executable, "-m", *words], cwd=str(ROOT)):
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else f"== passed: {', '.join(checks)}", flush=True)
    return 1 if failed else 0
