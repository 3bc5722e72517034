"""All absolute paths of the project; nothing else in `lib` builds one from `__file__`.

Papermill runs notebooks in the caller's folder, nbval and nbconvert in `notebooks/`: only absolute paths agree.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LIB = ROOT / "lib"
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
RAW = DATA / "raw"
WEIGHTS = DATA / "weights"


def raw_folders() -> list[Path]:
    """Folders searched for raw data: `data/raw`, then each entry of `$COURSEWORK_DATA`."""
    return [RAW, *_named("COURSEWORK_DATA")]


def weights_folders() -> list[Path]:
    """Folders searched for pretrained weights: `data/weights`, then each entry of `$COURSEWORK_WEIGHTS`."""
    return [WEIGHTS, *_named("COURSEWORK_WEIGHTS")]


def _named(variable: str) -> list[Path]:
    entries = os.environ.get(variable, "").split(os.pathsep)
    return [Path(entry).expanduser().resolve() for entry in entries if entry]


def cache() -> Path:
    """Folder for everything that can be made again (`$COURSEWORK_CACHE`, else `data/cache`)."""
    return Path(os.environ.get("COURSEWORK_CACHE") or DATA / "cache").resolve()


def reports() -> Path:
    """Folder that holds one report folder per brief (`$COURSEWORK_REPORTS`, else `reports`)."""
    return Path(os.environ.get("COURSEWORK_REPORTS") or ROOT / "reports").resolve()


def report(brief: str) -> Path:
    """Report folder of one brief: values, tables, figures, pages and runs."""
    return reports() / brief


def runs(brief: str) -> Path:
    """Run folders of one brief."""
    return report(brief) / "runs"
