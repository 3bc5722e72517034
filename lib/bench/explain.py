"""The attribution methods measured beside xplique and tf-keras-vis, where those are installed: `make bench-explain`.

Every method is measured twice: the first time that it explains a model, where all that is built and compiled counts
too, and once more. The routes take turns, and the median over the rounds counts. TensorFlow is imported by `run`.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from lib import briefs
from lib.bench import measure, summarise
from lib.bench.peers import MODULES, OURS, Settings, installed, make_explainer, offers
from lib.config import paths
from lib.config.files import replacing
from lib.datasets.drawn.objects import OBJECTS, draw_image
from lib.explain.methods import METHODS
from lib.training.device import import_tensorflow
from lib.training.runs import Run

FIRST, AGAIN = "first call", "again"


@dataclass(frozen=True, eq=False)
class Subject:
    """What every route explains."""

    name: str
    load: Callable  # gives the model, as new, each time
    images: np.ndarray  # (N, S, S, 3) float32, which is what the others take
    classes: np.ndarray  # (N,) int


def run(subject: Subject | None = None, *, rounds: int = 5, settings: Settings | None = None) -> pd.DataFrame:
    """Measure every method by every route, print the table and write `reports/bench/explain.csv`.

    Args:
        subject: model and images; by default the demo's best model and 64 drawn images of 64 x 64.
        rounds: how often each route is measured.
        settings: of the methods, the same for every route.

    Returns:
        One row per route and case, e.g. "grad_cam, again": route, case, seconds for all images, images_per_second, and
        peak_mb, the most memory (in 2**20 bytes) that the process took beyond what it had when the route began.
    """
    import_tensorflow()
    subject = subject or find_subject()
    routes, taken = installed(), {}
    for number in range(1, rounds + 1):
        for case in METHODS:
            print(f"round {number} of {rounds}: {case}", flush=True)
            for route in (route for route in routes if offers(route, case)):
                for when, pass_ in measure_both(route, case, subject, settings or Settings()).items():
                    taken.setdefault((route, f"{case}, {when}"), []).append(pass_)
    table = summarise(taken, images=len(subject.images))
    with replacing(paths.reports() / "bench" / "explain.csv") as partial:
        table.to_csv(partial, index=False)
    size = " x ".join(map(str, subject.images.shape[1:3]))
    print(f"\n{subject.name}: {len(subject.images)} images of {size}, median of {rounds} rounds\n")
    print(f"{table.round(3).to_string(index=False)}\n")
    missing = [route for route in MODULES if route not in routes]
    print("\n".join([*judge(table), *(f"{route} is not installed here: not measured" for route in missing)]))
    return table


def measure_both(route: str, case: str, subject: Subject, settings: Settings) -> dict:
    """Seconds, images and memory of a first and of a second call."""
    explainers = []

    def call() -> Iterator[int]:
        model = None if explainers else subject.load()
        yield 0
        if not explainers:  # what it takes to make one counts to the first call
            explainers.append(make_explainer(route, case, model, settings))
        explainers[0](subject.images, subject.classes)
        yield len(subject.images)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other libraries
        return {FIRST: measure(call()), AGAIN: measure(call())}


def judge(table: pd.DataFrame) -> list[str]:
    """One line per case that others have too: how many times as fast ours is; of second calls also what is asked."""
    lines = []
    for case, rows in table.groupby("case", sort=False):
        speed = rows.set_index("route")["images_per_second"]
        others = speed.drop(OURS)
        if len(others):
            ratio, name = speed[OURS] / others.max(), others.idxmax()
            asked = f" (at least 1 asked: {'met' if ratio >= 1 else 'missed'})"
            lines.append(f"{case}: {OURS} is {ratio:.2f} times as fast as {name}{asked if AGAIN in case else ''}")
    return lines


def find_subject(*, count: int = 64) -> Subject:
    """The demo's best model, trained where a run of it is at hand, and `count` newly drawn images of its classes."""
    experiment = briefs.load("demo").experiments["best"]
    model, size, names = experiment.model, experiment.image_size, sorted(OBJECTS)
    classes = np.arange(count) % len(names)
    drawn = [draw_image(names[label], 9000 + number // len(names))[0] for number, label in enumerate(classes)]
    images = np.stack([np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BOX)) for image in drawn])
    finished = [Run(folder) for folder in sorted(paths.runs("demo").glob("best-seed*")) if Run(folder).finished]
    if finished:
        name, load = f"the demo's best model ({finished[-1].id})", finished[-1].load_model
    else:
        name, load = "the demo's best model, untrained", lambda: model.build(len(names), image_size=size)
    return Subject(name, load, images.astype(np.float32), classes)
