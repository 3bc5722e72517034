"""Our speed beside the peers': what every benchmark measures, and how its rounds are put together.

The routes of a benchmark take turns in one process, and the median over the rounds counts: another program that uses
the machine for a while then meets them all.
"""

import gc
import statistics
import threading
import time
from collections.abc import Iterator

import pandas as pd
import psutil

COLUMNS = ["route", "case", "seconds", "images_per_second", "peak_mb"]


def measure(batches: Iterator[int]) -> tuple[float, int, float]:
    """Time one pass over a route, which gives the number of images of each batch; the first value is not timed.

    Returns seconds, images in that time, and the most memory taken beyond that at the start, in 2**20 bytes.
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
    """One row per route and case: seconds for all images, images_per_second (the median), peak_mb (the largest).

    Args:
        taken: what `measure` gave in each round, by route and case.
        images: how many there are.
    """
    rows = []
    for (route, case), passes in taken.items():
        speed = statistics.median(count / seconds for seconds, count, _ in passes)
        rows.append((route, case, images / speed, speed, max(memory for _, _, memory in passes)))
    return pd.DataFrame(rows, columns=COLUMNS)
