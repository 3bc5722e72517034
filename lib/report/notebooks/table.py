"""What each notebook needs and promises. To add a notebook, add its file to `notebooks/` and its entry here."""

from dataclasses import dataclass, field
from pathlib import Path

from lib.explain.methods import METHODS
from lib.report import results

SCORES = ("test_accuracy", "test_top5_accuracy", "test_cross_entropy", "test_balanced_accuracy")
BEST = tuple(f"best.{name}" for name in ("experiment", "parameters", *SCORES, "train_minutes"))
DATA_VALUES = ("dataset.images", "dataset.classes", "dataset.left_out", "split.train", "split.val", "split.test")
DATA_FILES = ("split.csv", "left_out.csv", "audit.csv")
EXPERIMENTS_TABLE = "tables/experiments.csv"


@dataclass(frozen=True)
class Notebook:
    """What one notebook needs and promises."""

    jobs: tuple[str, ...] = ()  # kinds of jobs that come before it, names of `PLANS` in lib.report.make
    values: tuple[str, ...] = ()  # names in values.json that other tools rely on
    # More names, where the value of the key is true.
    values_if: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Files in the report folder that other tools rely on. One that is written without `Results` must stand here, since
    # the report keeps and hands in no other.
    files: tuple[str, ...] = ()


NOTEBOOKS = {
    "01_explore": Notebook(values=DATA_VALUES, files=DATA_FILES),
    "02_experiments": Notebook(jobs=("experiments",), files=(EXPERIMENTS_TABLE,)),
    "03_best_model": Notebook(jobs=("experiments", "draws"), values=BEST),
    "04_explainability": Notebook(
        jobs=("experiments",),
        values=("explain.masks", "explain.best_method"),
        # Where the data set knows where its objects are, each method is asked to point at them.
        values_if={"explain.masks": tuple(f"explain.pointing_game.{pointer}" for pointer in ("centre", *METHODS))},
    ),
    "05_transfer_learning": Notebook(
        jobs=("experiments", "transfers", "costs"),
        values=("transfer.notice", "transfer.test_accuracy"),
        files=("tables/transfers.csv",),
    ),
    "06_architecture_search": Notebook(
        jobs=("experiments", "searches"), values=("search.verdict",), files=("tables/searches.csv",)
    ),
    "07_low_level_tensorflow": Notebook(jobs=("by_hand",)),
    "08_regularisation": Notebook(jobs=("experiments", "by_hand"), values=BEST, files=(EXPERIMENTS_TABLE,)),
    "09_overfitting": Notebook(jobs=("experiments", "single_batch")),
}


def entry(name: str) -> Notebook:
    """The entry of a notebook; one without an entry needs and promises nothing."""
    return NOTEBOOKS.get(name, Notebook())


def missing(name: str, folder: Path) -> list[str]:
    """Values and files that other tools rely on, and that a notebook has not left in a report folder."""
    values, notebook = results.read_values(folder), entry(name)
    promised = list(notebook.values)
    for condition, names in notebook.values_if.items():
        promised += names if values.get(condition, {}).get("value") else ()
    lacking = [value for value in promised if value not in values]
    return lacking + [file for file in notebook.files if not (folder / file).exists()]


def check_promises(name: str, folder: Path) -> None:
    """Check that a notebook left in the report folder what other tools rely on."""
    lacking = missing(name, folder)
    if lacking:
        saved = ", ".join(results.read_values(folder))
        raise ValueError(f"{name} must save {', '.join(lacking)}: other tools rely on it. Received: {saved}")
