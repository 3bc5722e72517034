"""Published results: complete rows with their source, for data sets that exist."""

import csv

import pytest

from lib import datasets
from lib.config import paths
from lib.datasets import published


def rows():
    with (paths.DATA / "published.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['data_set']}: {row['result']}")
def test_every_row_is_whole(row):
    assert row["data_set"] in datasets.names()
    assert 0 < float(row["accuracy"]) < 100
    assert row["spread"] == "" or 0 < float(row["spread"]) < 10
    assert row["pretrained"] in ("yes", "no")
    assert all(row[name] for name in ("result", "measured on", "protocol", "source"))


def test_results_of_one_data_set_come_with_their_spread():
    table = published.results("caltech256")
    assert list(table.columns) == list(published.COLUMNS)
    assert table["accuracy (%)"].iloc[0] == "38.8 ± 1.4"
    assert table["pretrained"].tolist() == sorted(table["pretrained"])
    assert table.index.tolist() == list(range(len(table)))


def test_a_data_set_without_results_has_no_rows():
    assert published.results("demo").empty
