"""The input pipeline measured beside Keras' own, on the same images, in one process: `make bench`.

The routes take turns, and the median over the rounds counts: another program that uses the machine for a while then
meets them all. TensorFlow is imported, quietly, by `run`.
"""

import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil

from lib import datasets
from lib.bench import routes
from lib.config import paths
from lib.datasets import Dataset
from lib.datasets.catalogue import find
from lib.datasets.fetch.acquire import find_here
from lib.inputs.cache import open_images
from lib.training.device import import_tensorflow

COLUMNS = ["route", "case", "seconds", "images_per_second", "peak_mb"]
AUGMENTED, FIRST_PASS = "augmented", "first pass"


ROUTES: dict[tuple[str, str], Callable[[routes.Source], Iterator[int]]] = {
    ("ImageDataGenerator", AUGMENTED): routes.image_data_generator,
    ("image_dataset_from_directory + layers", AUGMENTED): routes.random_layers,
    ("ours, cached", AUGMENTED): routes.cached,
    ("image_dataset_from_directory", FIRST_PASS): routes.from_directory,
    ("ours, filling the cache", FIRST_PASS): routes.filling_the_cache,
    ("ours, streamed", FIRST_PASS): routes.streamed,
}
BARS = (  # ours, theirs, case, and how many times as fast ours must be
    ("ours, cached", "ImageDataGenerator", AUGMENTED, 10),
    ("ours, cached", "image_dataset_from_directory + layers", AUGMENTED, 5),
    ("ours, filling the cache", "image_dataset_from_directory", FIRST_PASS, 1),
    ("ours, streamed", "image_dataset_from_directory", FIRST_PASS, 1),
)


def run(dataset: Dataset | None = None, *, size: int = 64, rounds: int = 3) -> pd.DataFrame:
    """Measure every route, print the table and write `reports/bench/input_pipeline.csv`.

    Args:
        dataset: images to read; by default Caltech-101 where it needs no download, else the demo set.
        size: side in pixels to which every route resizes.
        rounds: how often each route is measured.

    Returns:
        One row per route: route, case, seconds for all images, images_per_second, and peak_mb, the most memory (in
        2**20 bytes) that the process took beyond what it had when the route began.
    """
    import_tensorflow()
    if dataset is None:
        name = "caltech101" if find_here(find("caltech101")) else "demo"
        dataset = datasets.load(name, include_clutter=True)
    taken = {key: [] for key in ROUTES}
    with tempfile.TemporaryDirectory() as folder:
        source = routes.Source(dataset, routes.link_images(dataset, Path(folder)), size)
        open_images(dataset, size=size)
        for number in range(1, rounds + 1):
            for (route, case), batches in ROUTES.items():
                print(f"round {number} of {rounds}: {route}, {case}", flush=True)
                taken[route, case].append(measure(batches(source)))
    table = summarise(taken, images=len(dataset.index))
    target = paths.reports() / "bench" / "input_pipeline.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"\n{dataset.title}: {len(dataset.index):,} images at {size} px, median of {rounds} rounds\n")
    print(f"{table.round(1).to_string(index=False)}\n")
    print("\n".join(judge(table)))
    return table


def measure(batches: Iterator[int]) -> tuple[float, int, float]:
    """Time one pass over a route.

    Args:
        batches: gives the number of images of each batch; the clock starts after the first value.

    Returns:
        Seconds, images read in that time, and the most memory taken beyond that at the start, in 2**20 bytes.
    """
    process, ended = psutil.Process(), threading.Event()
    gc.collect()
    samples = [process.memory_info().rss]

    def sample():
        while not ended.wait(0.02):
            samples.append(process.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        next(batches)
        started = time.perf_counter()
        images = sum(batches)
        seconds = time.perf_counter() - started
    finally:
        ended.set()
        thread.join()
    samples.append(process.memory_info().rss)
    return seconds, images, (max(samples) - samples[0]) / 2**20


def summarise(taken: dict[tuple[str, str], list[tuple[float, int, float]]], *, images: int) -> pd.DataFrame:
    """The median speed of each route, the time for all images at that speed, and the largest memory of all rounds."""
    rows = []
    for (route, case), passes in taken.items():
        speed = statistics.median(count / seconds for seconds, count, _ in passes)
        rows.append((route, case, images / speed, speed, max(memory for _, _, memory in passes)))
    return pd.DataFrame(rows, columns=COLUMNS)


def judge(table: pd.DataFrame) -> list[str]:
    """One line per bar: how many times as fast, what is asked, met or missed."""
    speed = table.set_index(["route", "case"])["images_per_second"]
    lines = []
    for ours, theirs, case, asked in BARS:
        ratio = speed[ours, case] / speed[theirs, case]
        verdict = "met" if ratio >= asked else "missed"
        lines.append(f"{case}: {ours} is {ratio:.1f} times as fast as {theirs} (at least {asked:g} asked: {verdict})")
    return lines
