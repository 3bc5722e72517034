"""The command line, which `make` calls too: `python -m lib --help`.

Rooms are imported inside the commands: help is instant and works where nothing is installed, and an old Python 3 can
read this file (so plain annotations) and find a newer one.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path

from lib import commands, environment
from lib.commands import ROOT

EXAMPLES = """examples:
  python -m lib report                                         the drawn demo set: minutes, no download
  python -m lib report --brief caltech101
  python -m lib report --brief folder --data path/to/images    your own images, one folder a class
  python -m lib train --brief caltech101 --experiment best --profile full
  python -m lib COMMAND --help                                 more about one command

Where this Python lacks the libraries, a command makes the environment .venv and goes on in it.
The variable VENV names another folder for it; VENV=none insists on this Python (Colab, conda)."""

PROFILE_HELP = "size: smoke (seconds), quick (minutes on two cores) or full (what the brief asks)"


def main(argv: list = None) -> int:
    """Run one command.

    Args:
        argv: words of the command line, without the program's name; None takes the real ones.

    Returns:
        Exit status: 0 done, 1 a check failed, 2 wrong use or wrong input, 130 stopped with Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = build_parser()
    args = parser.parse_args(argv)
    if not args.command:
        parser.print_help()
        return 2
    try:
        if "brief" in args and sys.version_info >= (3, 11):  # noqa: UP036 - an older one will hand over to a newer
            commands.check_names(args)
        if args.command != "setup":
            enter_environment(argv)
        return args.run(args) or 0
    except KeyboardInterrupt:
        print("\nStopped: finished epochs are kept; run again to continue.", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and not raised_here(error):
            raise  # a fault and not a wrong input: whoever mends it needs the traceback
        print(f"error: {error}", file=sys.stderr)
        return 2


def raised_here(error: Exception) -> bool:
    """Whether an error was raised by this package's own checks, and not inside a library."""
    frames = traceback.extract_tb(error.__traceback__)
    return ROOT / "lib" in Path(frames[-1].filename).resolve().parents


def enter_environment(argv: list) -> None:
    """Return in a Python that has the libraries, or go on in another process that runs the same command.

    Raises:
        SetupError: if there is no such Python and none can be made.
    """
    chosen = os.environ.get("VENV", "")
    if chosen == "none":
        environment.check_at_hand(ROOT)
        return
    if sys.version_info < (3, 11):  # noqa: UP036 - see the top of this file
        commands.become([environment.find_python(), "-m", "lib", *argv])
    folder = commands.venv_folder()
    inside = Path(sys.prefix).resolve() == folder.resolve()
    if not inside and not chosen and not environment.compare_at_hand(ROOT)[0]:
        return
    python = environment.ensure(folder, ROOT)
    if not inside:
        for name in ("PYTHONHOME", "PYTHONPATH"):  # clusters set these, and other packages would hide the locked ones
            os.environ.pop(name, None)
        commands.become([str(python), "-m", "lib", *argv])


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    layout = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    description = "Image-classification coursework: from images to a finished report."
    parser = argparse.ArgumentParser(prog="python -m lib", description=description, epilog=EXAMPLES, **layout)
    doors = parser.add_subparsers(dest="command", metavar="COMMAND")

    def door(run, text: str, example: str = "") -> argparse.ArgumentParser:
        epilog = f"example:\n  python -m lib {example}" if example else ""
        name = run.__name__.replace("_", "-")
        new = doors.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog, **layout)
        new.set_defaults(run=run)
        return new

    add_report_commands(door)
    new = door(
        commands.train,
        "train one experiment of a brief, or continue it",
        "train --brief caltech101 --experiment best --profile full --seed 0",
    )
    add_brief(new, profile="quick")
    new.add_argument("--experiment", default="best", help="its name in lib/briefs, or best (default: %(default)s)")
    new.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: %(default)s)")
    add_brief(door(commands.results, "keep a report's results table in reports/results, to commit"), data=False)
    add_brief(door(commands.data, "get and check a brief's images, and say what was found", "data --brief caltech101"))
    door(commands.bench, "measure the input pipeline beside Keras' own; writes reports/bench")
    door(commands.bench_explain, "measure the attribution methods beside xplique and tf-keras-vis, where installed")
    door(commands.lab, "open the notebooks in JupyterLab")
    new = door(commands.tensorboard, "show a brief's runs in TensorBoard", "tensorboard --brief demo")
    add_brief(new, data=False)
    new.add_argument("--port", type=int, default=6006, help="of the web page (default: %(default)s)")
    door(commands.test, "run all checks: style, format, tests, every notebook")
    new = door(commands.lint, "check style and format")
    new.add_argument("--fix", action="store_true", help="mend what can be mended")
    new = door(commands.setup, "make the environment, or check it", "setup --gpu")
    gpu = new.add_mutually_exclusive_group()
    gpu.add_argument("--gpu", action="store_true", default=None, help="with the CUDA libraries as wheels (Linux)")
    gpu.add_argument("--no-gpu", dest="gpu", action="store_false", help="without them (default: as it is, or without)")
    new = door(commands.clean, "delete caches and report pages; trained runs and raw data stay")
    new.add_argument("--runs", action="store_true", help="delete trained runs too: whole report folders")
    return parser


def at_least_one(text: str) -> int:
    """A count as it is typed."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text!r}")
    return int(text)


def add_report_commands(door) -> None:
    """The commands about reports: making, checking, packing and verifying one."""
    new = door(commands.report, "make a brief's whole report: notebooks, figures, tables, pages", "report --brief demo")
    add_brief(new, profile="quick")
    new.add_argument("--force", action="store_true", help="run every notebook again; finished runs are still read")
    text = "networks to train side by side (default: 2 on a CPU, 1 on a GPU)"
    new.add_argument("--at-once", type=at_least_one, metavar="N", help=text)
    text = "check that every number of the written reports comes from a run"
    add_brief(door(commands.check_report, text, "check-report --brief demo"), data=False)
    new = door(commands.submission, "pack a finished report with its code, to hand in", "submission --student s1234567")
    add_brief(new, data=False)
    student = os.environ.get("STUDENT", "")
    new.add_argument("--student", default=student, help="name or number, part of file names (default: $STUDENT)")
    new = door(commands.verify, "check a zip that was handed in", "verify s1234567_demo.zip --rerun")
    new.add_argument("zip", type=commands.absolute, help="the file made by submission")
    new.add_argument("--rerun", action="store_true", help="make the report again with the code in the zip, and compare")
    new.add_argument("--data", type=commands.absolute, default="", help="folder of images, for the brief folder")


def add_brief(parser: argparse.ArgumentParser, profile: str = "", data: bool = True) -> None:
    """Options that choose a brief, its size (with `profile` as default) and its images."""
    parser.add_argument("--brief", default="demo", help="coursework brief, a file of lib/briefs (default: %(default)s)")
    if profile:
        parser.add_argument("--profile", default=profile, help=f"{PROFILE_HELP} (default: %(default)s)")
    if data:
        parser.add_argument("--data", type=commands.absolute, default="", help="folder of images, for the brief folder")


if __name__ == "__main__":
    sys.exit(main())
