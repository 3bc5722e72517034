"""The benchmark of the input pipeline, run for real on a few small images, and its arithmetic by hand."""

import time

import numpy as np
import pandas as pd
import pytest

from lib import bench
from lib.bench import input_pipeline
from lib.config import paths
from lib.datasets import Dataset

# What Keras' ImageDataGenerator calls was moved within SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:Please import .* from the .scipy.ndimage. namespace:DeprecationWarning")


@pytest.fixture
def source(photos, tmp_path, monkeypatch) -> input_pipeline.Source:
    """Eighteen images in batches of four."""
    monkeypatch.setattr(input_pipeline, "BATCH_SIZE", 4)
    (tmp_path / "links").mkdir()
    return input_pipeline.Source(photos, input_pipeline.link_images(photos, tmp_path / "links"), 8)


def test_links_are_the_images_of_the_index_by_class(photos: Dataset, photo_folder, tmp_path):
    (photo_folder / "apple" / "stray.jpg").write_bytes(b"not indexed")
    folder = tmp_path / "links"
    folder.mkdir()
    assert input_pipeline.link_images(photos, folder) == folder
    links = sorted(path for path in folder.rglob("*.jpg"))
    assert [link.parent.name for link in links] == ["000"] * 6 + ["001"] * 6 + ["002"] * 6
    for link, path in zip(links, photos.index["path"], strict=True):
        assert link.read_bytes() == (photos.root / path).read_bytes()


def test_each_route_reads_all_images(source, capsys):
    read = {
        input_pipeline.image_data_generator: [4, 4, 4, 4, 2],
        input_pipeline.random_layers: [4, 4, 4, 4, 2],
        input_pipeline.cached: [4] * 4 * input_pipeline.EPOCHS,  # full batches only
        input_pipeline.from_directory: [0, 4, 4, 4, 4, 2],
        input_pipeline.filling_the_cache: [0, 18],
        input_pipeline.streamed: [0, 4, 4, 4, 4, 2],
    }
    assert set(read) == set(input_pipeline.ROUTES.values())
    for route, counts in read.items():
        assert list(route(source)) == counts
        assert capsys.readouterr().out == ""


def test_the_clock_starts_after_the_first_value(monkeypatch):
    now = iter([10.0, 12.5])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(now))
    seconds, images, memory = bench.measure(iter([64, 64, 32]))
    assert (seconds, images) == (2.5, 96) and memory >= 0


def test_memory_taken_on_the_way_is_seen():
    def hungry():
        yield 0
        block = np.ones(2**23)  # 64 MB
        time.sleep(0.1)
        yield int(block[0])

    assert 60 < bench.measure(hungry())[2] < 200


def test_summary_takes_medians_of_speed_and_the_largest_memory():
    taken = {("a", "x"): [(1.0, 100, 5.0), (4.0, 100, 7.0), (2.0, 100, 6.0)], ("b", "x"): [(1.0, 500, 0.0)]}
    table = bench.summarise(taken, images=200)
    assert list(table.columns) == ["route", "case", "seconds", "images_per_second", "peak_mb"]
    assert table.values.tolist() == [["a", "x", 4.0, 50.0, 7.0], ["b", "x", 0.4, 500.0, 0.0]]


def test_bars_are_met_or_missed():
    speeds = {"ImageDataGenerator": 300, "image_dataset_from_directory + layers": 800, "ours, cached": 3600}
    speeds |= {"image_dataset_from_directory": 2000, "ours, filling the cache": 2000, "ours, streamed": 1500}
    rows = [(route, case, 1.0, speeds[route], 0.0) for route, case in input_pipeline.ROUTES]
    assert input_pipeline.judge(pd.DataFrame(rows, columns=bench.COLUMNS)) == [
        "augmented: ours, cached is 12.0 times as fast as ImageDataGenerator (at least 10 asked: met)",
        "augmented: ours, cached is 4.5 times as fast as image_dataset_from_directory + layers "
        "(at least 5 asked: missed)",
        "first pass: ours, filling the cache is 1.0 times as fast as image_dataset_from_directory "
        "(at least 1 asked: met)",
        "first pass: ours, streamed is 0.8 times as fast as image_dataset_from_directory (at least 1 asked: missed)",
    ]


def test_a_whole_benchmark(photos, monkeypatch, capsys):
    monkeypatch.setattr(input_pipeline, "BATCH_SIZE", 4)
    table = input_pipeline.run(photos, size=8, rounds=1)
    stored = pd.read_csv(paths.reports() / "bench" / "input_pipeline.csv")
    assert stored.columns.tolist() == bench.COLUMNS and len(stored) == len(input_pipeline.ROUTES) == 6
    assert stored["route"].tolist() == table["route"].tolist()
    assert (stored[["seconds", "images_per_second"]] > 0).all(axis=None) and (stored["peak_mb"] >= 0).all()
    np.testing.assert_allclose(stored["seconds"] * stored["images_per_second"], 18)
    printed = capsys.readouterr().out
    assert "photos: 18 images at 8 px, median of 1 rounds" in printed
    assert printed.count("asked: m") == 4 and all(route in printed for route in stored["route"])
    assert [path.name for path in (paths.cache() / "pixels").iterdir()]  # the cache proper; nothing else is left
    assert [path.name for path in (paths.reports() / "bench").iterdir()] == ["input_pipeline.csv"]


def test_the_demo_set_stands_in_where_caltech_101_is_not_at_hand(own_folders, monkeypatch):
    monkeypatch.setattr(paths, "RAW", own_folders / "raw")

    def ask(name, **options):
        raise LookupError(name, options)

    monkeypatch.setattr(input_pipeline.datasets, "load", ask)
    with pytest.raises(LookupError, match="'demo', {'include_clutter': True}"):
        input_pipeline.run()
    for name in ("accordion", "airplanes"):
        (own_folders / "raw" / "101_ObjectCategories" / name).mkdir(parents=True)
    with pytest.raises(LookupError, match="'caltech101', {'include_clutter': True}"):
        input_pipeline.run()
