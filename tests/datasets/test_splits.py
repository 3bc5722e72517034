"""Splits: stratified, seeded, without leaks, faithful to the layout, stored with a checksum."""

import dataclasses
import hashlib
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.config import Split as SplitConfig
from lib.datasets import DataError, Dataset, splits
from lib.datasets.audit.pairs import groups
from lib.datasets.dataset import checksum_of
from lib.datasets.splits import make_split, take, take_part


def make_dataset(counts, *, roles=None, equal=(), prefix=""):
    """A data set without files: `counts` images per class; `equal` are groups of rows with the same bytes."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    sums = [hashlib.sha256(f"image {row}".encode()).hexdigest() for row in range(len(labels))]
    for first, *others in equal:
        for row in others:
            sums[row] = sums[first]
    index = pd.DataFrame(
        {
            "path": [f"{prefix}c{label}/{row}.jpg" for row, label in enumerate(labels)],
            "label": labels,
            "class_name": [f"c{label}" for label in labels],
            "sha256": sums,
            "role": roles or [""] * len(labels),
        }
    )
    names = tuple(f"c{label}" for label in range(len(counts)))
    left_out = pd.DataFrame(columns=["path", "reason"])
    return Dataset("toy", "Toy", Path("."), index, names, left_out, "drawn", "", "", checksum_of(index))


def per_class(dataset, rows):
    return np.bincount(dataset.index["label"].to_numpy()[rows], minlength=len(dataset.class_names)).tolist()


def paths_of(dataset, rows):
    return set(dataset.index["path"].iloc[rows])


def test_every_row_has_one_side_and_classes_give_their_share():
    dataset = make_dataset([100, 40, 25])
    split = make_split(dataset, SplitConfig())
    assert per_class(dataset, split.test) == [10, 4, 3]  # a tenth, halves upwards
    assert per_class(dataset, split.val) == [9, 4, 2]  # a tenth of the rest
    assert sorted([*split.train, *split.val, *split.test]) == list(range(165))
    assert len(split.unused) == 0
    for rows in (split.train, split.val, split.test):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()


def test_small_classes():
    dataset = make_dataset([1, 2, 3, 4])
    split = make_split(dataset, SplitConfig())
    assert per_class(dataset, split.test) == [0, 0, 1, 1]
    assert per_class(dataset, split.val) == [0, 0, 1, 1]
    assert per_class(dataset, split.train) == [1, 2, 1, 2]


def test_large_shares_leave_something_to_train_on():
    dataset = make_dataset([3, 4, 10])
    split = make_split(dataset, SplitConfig(test=0.5, val=0.5))
    assert per_class(dataset, split.test) == [1, 2, 5]
    assert per_class(dataset, split.val) == [1, 1, 3]


def test_a_set_that_cannot_fill_every_part_is_refused():
    most = "a class must have 3 different images .* and the largest class here, c1, has 2$"
    with pytest.raises(DataError, match=f"Toy is too small: val and test would be empty, as {most}"):
        make_split(make_dataset([1, 2]), SplitConfig())
    with pytest.raises(DataError, match=f"Toy is too small: val would be empty, as {most}"):
        make_split(make_dataset([2, 3], roles=["train", "test", "train", "train", "test"]), SplitConfig())
    with pytest.raises(DataError, match=f"val and test would be empty, as {most}"):
        make_split(make_dataset([1, 5], equal=[(1, 2, 3, 4)]), SplitConfig())
    assert per_class(make_dataset([1, 3]), make_split(make_dataset([1, 3]), SplitConfig()).test) == [0, 1]


def test_every_setting_changes_the_result():
    dataset = make_dataset([50, 50])
    base = make_split(dataset, SplitConfig())
    for changed in (SplitConfig(seed=1), SplitConfig(test=0.2), SplitConfig(val=0.2)):
        assert make_split(dataset, changed).checksum != base.checksum
    assert make_split(dataset, SplitConfig()).checksum == base.checksum
    assert set(make_split(dataset, SplitConfig(seed=1)).test) != set(base.test)
    assert set(base.test) <= set(make_split(dataset, SplitConfig(test=0.2)).test)


def test_numbers_per_class_fill_test_from_what_training_leaves_and_val_from_what_both_leave():
    counts = [2, 6, 31, 40, 80, 83, 435]
    dataset, protocol = make_dataset(counts), SplitConfig(train_per_class=30, test_per_class=50)
    split = make_split(dataset, protocol)
    assert per_class(dataset, split.test) == [0, 1, 1, 10, 50, 50, 50]
    assert per_class(dataset, split.val) == [0, 1, 3, 3, 3, 3, 3]
    assert per_class(dataset, split.train) == [2, 4, 27, 27, 27, 30, 30]
    assert per_class(dataset, split.unused) == [0, 0, 0, 0, 0, 0, 352]
    draws = [make_split(dataset, protocol.replace(seed=seed)) for seed in range(5)]
    assert len({tuple(draw.test) for draw in draws}) == 5 and draws[0].checksum == split.checksum
    assert split.checksum.startswith("0f696e65d1752017")
    without_val = make_split(dataset, protocol.replace(val=0.01))
    assert without_val.test.tolist() == split.test.tolist()  # what chooses does not change what judges
    laid_out = make_dataset([100], roles=["train"] * 80 + ["test"] * 20)
    split = make_split(laid_out, protocol)
    assert [len(rows) for rows in (split.train, split.val, split.test, split.unused)] == [30, 3, 20, 47]


def test_numbers_per_class_hold_where_images_belong_together():
    dataset, groups = make_dataset([60, 60, 40]), np.arange(160)
    groups[60:120] = np.arange(60)  # each image of the second class shows a photograph of the first one
    groups[[0, 1, 2, 3]], groups[[120, 121]] = 0, 120  # near copies within a class
    groups[[60, 61, 62, 63]] = 0
    for seed in range(5):
        split = make_split(dataset, SplitConfig(train_per_class=20, test_per_class=30, seed=seed), groups=groups)
        parts = {role: getattr(split, role) for role in ("train", "val", "test")}
        assert {role: per_class(dataset, rows) for role, rows in parts.items()} == {
            "train": [20, 20, 18],
            "val": [2, 2, 2],
            "test": [30, 30, 19],
        }
        assert sum(len({*groups[rows]}) for rows in parts.values()) == len({*groups[np.concatenate([*parts.values()])]})
    order = np.random.default_rng(0).permutation(160)
    renamed = dataset.index.iloc[order].assign(path=[f"{row}.jpg" for row in range(160)]).reset_index(drop=True)
    other = dataclasses.replace(dataset, index=renamed)
    again = make_split(other, SplitConfig(train_per_class=20, test_per_class=30, seed=4), groups=groups[order])
    drawn = [set(data.index["sha256"].iloc[rows]) for data, rows in ((dataset, split.test), (other, again.test))]
    assert drawn[0] == drawn[1]


def test_drawn_rows_are_the_same_on_every_machine():
    split = make_split(make_dataset([10, 10]), SplitConfig(test=0.2))
    assert split.test.tolist() == [2, 3, 13, 17]
    assert split.checksum.startswith("da50a7fbe6b13bf3")


def test_draw_follows_the_bytes_and_not_names_or_order():
    dataset = make_dataset([30, 30])
    drawn = set(dataset.index["sha256"].iloc[make_split(dataset, SplitConfig()).test])
    order = np.random.Generator(np.random.PCG64(0)).permutation(60)
    shuffled = dataset.index.iloc[order].reset_index(drop=True)
    shuffled["path"] = [f"renamed/{row}.jpg" for row in range(60)]
    other = Dataset("toy", "Toy", Path("."), shuffled, dataset.class_names, dataset.left_out, "", "", "", "")
    assert set(shuffled["sha256"].iloc[make_split(other, SplitConfig()).test]) == drawn


def test_equal_images_stay_on_one_side():
    groups = [(0, 1, 2), (5, 25), (21, 22)]  # the second lies in two classes
    dataset = make_dataset([20, 20], equal=groups)
    for seed in range(20):
        split = make_split(dataset, SplitConfig(seed=seed, test=0.3, val=0.3))
        for group in groups:
            sides = [rows for rows in (split.train, split.val, split.test) if set(group) & set(rows)]
            assert len(sides) == 1
            assert set(group) <= set(sides[0])
        assert len(split.train) + len(split.val) + len(split.test) == 40


def test_class_of_equal_images_only_trains():
    dataset = make_dataset([3, 10], equal=[(0, 1, 2)])
    assert per_class(dataset, make_split(dataset, SplitConfig()).train)[0] == 3


def test_groups_stay_on_one_side():
    together = [(0, 1, 2), (5, 25), (21, 22)]  # the second lies in two classes
    dataset, groups = make_dataset([20, 20]), np.arange(40)
    for rows in together:
        groups[list(rows)] = rows[0]
    for seed in range(20):
        split = make_split(dataset, SplitConfig(seed=seed, test=0.3, val=0.3), groups=groups)
        for rows in together:
            assert sum(bool(set(rows) & set(side)) for side in (split.train, split.val, split.test)) == 1
        assert len(split.train) + len(split.val) + len(split.test) == 40


def test_groups_of_one_change_nothing_and_numbers_do_not_matter():
    dataset = make_dataset([30, 30], equal=[(0, 1), (3, 40)])
    groups = np.arange(60)
    groups[[1, 40]] = 0, 3  # equal images belong together
    usual = make_split(dataset, SplitConfig())
    assert make_split(dataset, SplitConfig(), groups=groups).checksum == usual.checksum
    assert make_split(dataset, SplitConfig(), groups=1000 - groups).checksum == usual.checksum


def test_a_group_counts_as_one_image():
    groups = np.arange(20)
    groups[:10] = 0
    split = make_split(make_dataset([10, 10]), SplitConfig(test=0.3, val=0.3), groups=groups)
    assert per_class(make_dataset([10, 10]), split.train)[0] == 10  # one picture only trains
    assert per_class(make_dataset([10, 10]), split.test)[1] == 3
    with pytest.raises(ValueError, match=r"one number per image, 20. Received: shape \(9,\)"):
        make_split(make_dataset([10, 10]), SplitConfig(), groups=np.arange(9))


def test_groups_do_not_touch_what_the_layout_fixes():
    roles = (["train"] * 20 + ["test"] * 5) * 2
    dataset, groups = make_dataset([25, 25], roles=roles), np.arange(50)
    groups[[0, 20, 1]] = 0  # two of train and one of test
    for seed in range(10):
        split = make_split(dataset, SplitConfig(seed=seed, val=0.3), groups=groups)
        assert split.test.tolist() == [20, 21, 22, 23, 24, 45, 46, 47, 48, 49]
        assert len({0, 1} & set(split.val)) in (0, 2) and len(split.unused) == 0


def test_what_the_layout_fixes_is_kept_and_the_rest_is_carved_from_train():
    roles = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    split = make_split(make_dataset([5, 5], roles=roles), SplitConfig())
    assert (split.train.tolist(), split.val.tolist(), split.test.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7], [8, 9])
    for fixed, carved in (("test", "val"), ("val", "test")):
        dataset = make_dataset([25, 25], roles=(["train"] * 20 + [fixed] * 5) * 2)
        before = dataset.index.copy()
        split = make_split(dataset, SplitConfig())
        assert getattr(split, fixed).tolist() == [20, 21, 22, 23, 24, 45, 46, 47, 48, 49]
        assert per_class(dataset, getattr(split, carved)) == [2, 2]
        assert per_class(dataset, split.train) == [18, 18]
        pd.testing.assert_frame_equal(dataset.index, before)
    plain = make_split(make_dataset([20, 20]), SplitConfig())
    laid_out = make_split(make_dataset([20, 20], roles=["train"] * 40), SplitConfig())
    assert (laid_out.test.tolist(), laid_out.val.tolist()) == (plain.test.tolist(), plain.val.tolist())


def test_equal_images_on_two_sides_of_the_layout_are_not_trained_on():
    roles = (["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 2
    equal = [(0, 8), (1, 6), (7, 9), (2, 19)]  # train-test, train-val, val-test, train-test of another class
    split = make_split(make_dataset([10, 10], roles=roles, equal=equal), SplitConfig())
    assert split.unused.tolist() == [0, 1, 2, 7]
    assert split.test.tolist() == [8, 9, 18, 19]
    assert split.val.tolist() == [6, 16, 17]


def test_equal_image_of_a_fixed_test_is_not_carved_into_val():
    roles = (["train"] * 8 + ["test"] * 2) * 2
    dataset = make_dataset([10, 10], roles=roles, equal=[(0, 8), (1, 18)])
    for seed in range(10):
        split = make_split(dataset, SplitConfig(seed=seed, val=0.5))
        assert split.unused.tolist() == [0, 1]
        assert not {0, 1} & set(split.val)


def test_table(tmp_path):
    dataset = make_dataset([10, 10])
    split = make_split(dataset, SplitConfig())
    table = split.to_frame(dataset)
    assert list(table.columns) == ["path", "label", "role"]
    assert table["path"].tolist() == dataset.index["path"].tolist()
    assert np.flatnonzero(table["role"] == "test").tolist() == split.test.tolist()
    with pytest.raises(DataError, match="made for other images than those of toy: 20 against 19 rows"):
        split.to_frame(make_dataset([10, 9]))
    with pytest.raises(DataError, match="or other contents"):
        split.to_frame(make_dataset([10, 10], equal=[(0, 1)]))
    with pytest.raises(DataError, match="or other contents"):
        split.to_frame(make_dataset([10, 10], prefix="moved/"))


def test_saved_and_read_again(tmp_path):
    dataset = make_dataset([10, 10], roles=(["train"] * 8 + ["test"] * 2) * 2, equal=[(0, 8)])
    split = make_split(dataset, SplitConfig())
    split.save(tmp_path / "report" / "split.csv")
    again = splits.read_split(tmp_path / "report" / "split.csv")
    for name in ("train", "val", "test", "unused"):
        rows, expected = getattr(again, name), getattr(split, name)
        assert rows.dtype == np.int64
        assert rows.tolist() == expected.tolist()
    assert again.checksum == split.checksum
    pd.testing.assert_frame_equal(again.to_frame(dataset), split.to_frame(dataset))
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["split.csv"]


def test_names_that_look_like_numbers_or_gaps_are_kept(tmp_path):
    dataset = make_dataset([3, 3])
    dataset.index["path"] = ["001", "NA", "", "nan", 'a,"b"', " 1.0 "]
    split = make_split(dataset, SplitConfig())
    split.save(tmp_path / "split.csv")
    assert splits.read_split(tmp_path / "split.csv").table["path"].tolist() == dataset.index["path"].tolist()


def test_changed_file_is_refused(tmp_path):
    file = tmp_path / "split.csv"
    make_split(make_dataset([10, 10]), SplitConfig()).save(file)
    text = file.read_text()
    file.write_text(text.replace("test", "train", 1))
    with pytest.raises(DataError, match="split.csv was changed after it was written"):
        splits.read_split(file)
    file.write_text(text.partition("\n")[2])
    with pytest.raises(DataError, match="was changed after it was written"):
        splits.read_split(file)
    with pytest.raises(DataError, match="cannot be read"):
        splits.read_split(tmp_path / "missing.csv")
    file.write_text(text, newline="\r\n")  # what git does on Windows is no change
    assert len(splits.read_split(file).table) == 20
    splits.write_table(tmp_path / "other.csv", pd.DataFrame({"a": [1]}))
    with pytest.raises(DataError, match="other.csv is not a split"):
        splits.read_split(tmp_path / "other.csv")


def test_take_some_of_each_class():
    dataset = make_dataset([50, 20, 3])
    sample = take(dataset, 10, 0)
    assert per_class(sample, np.arange(len(sample.index))) == [10, 10, 3]
    assert sample.index.index.tolist() == list(range(23))
    assert sample.index["label"].is_monotonic_increasing
    assert sample.checksum != dataset.checksum
    assert sample.class_names == dataset.class_names
    assert len(dataset.index) == 73


def test_larger_sample_contains_the_smaller_and_seeds_differ():
    dataset = make_dataset([50, 50])
    small, large = take(dataset, 5, 0), take(dataset, 20, 0)
    assert set(small.index["path"]) < set(large.index["path"])
    assert set(take(dataset, 5, 1).index["path"]) != set(small.index["path"])
    assert take(dataset, 5, 0).checksum == small.checksum
    assert take(dataset, None, 0) is dataset
    assert take(dataset, 50, 0).checksum == dataset.checksum
    with pytest.raises(ValueError, match="images_per_class must be positive. Received: 0"):
        take(dataset, 0, 0)
    split = make_split(take(dataset, 4, 0), SplitConfig())
    assert (len(split.train), len(split.val), len(split.test)) == (4, 2, 2)


def test_take_keeps_roles_in_proportion():
    roles = (["train"] * 80 + ["val"] * 10 + ["test"] * 10) * 2
    dataset = make_dataset([100, 100], roles=roles)
    sample = take(dataset, 20, 0).index
    assert sample.groupby(["label", "role"]).size().tolist() == [2, 16, 2, 2, 16, 2]
    assert take(dataset, 4, 0).index.groupby(["label", "role"]).size().tolist() == [1, 2, 1, 1, 2, 1]


def test_a_part_keeps_roles_and_renumbers_its_classes():
    dataset = make_dataset([20, 30, 40, 10], equal=[(21, 22)])
    split = make_split(dataset, SplitConfig(test=0.2, val=0.2))
    part, of_part = take_part(dataset, split, classes=(2, 0))
    assert part.class_names == ("c2", "c0") and set(part.index["label"]) == {0, 1}
    assert per_class(part, np.arange(len(part.index))) == [40, 20]
    assert part.index["class_name"].tolist() == [part.class_names[label] for label in part.index["label"]]
    for role in ("train", "val", "test"):
        rows = getattr(split, role)
        rows = rows[dataset.index["class_name"].iloc[rows].isin(["c0", "c2"])]
        assert paths_of(part, getattr(of_part, role)) == paths_of(dataset, rows)
    assert part.checksum not in ("", dataset.checksum) and of_part.checksum != split.checksum
    assert take_part(dataset, split, classes=(0, 2))[0].checksum != part.checksum


def test_fewer_images_train_and_a_larger_number_contains_the_smaller():
    dataset = make_dataset([30, 30, 3], equal=[(0, 1), (4, 5, 6)])
    split = make_split(dataset, SplitConfig(test=0.2, val=0.2))
    chosen = {}
    for count in (1, 3, 10):
        part, of_part = take_part(dataset, split, train_per_class=count)
        trained = per_class(dataset, split.train)
        assert per_class(part, of_part.train) == [min(count, number) for number in trained]
        assert len(of_part.val) == len(split.val) and len(of_part.test) == len(split.test)
        chosen[count] = paths_of(part, of_part.train)
    assert chosen[1] < chosen[3] < chosen[10] < paths_of(dataset, split.train)
    part, of_part = take_part(dataset, split, train_per_class=1000)
    assert paths_of(part, of_part.train) == paths_of(dataset, split.train)


def test_a_part_that_cannot_be_is_refused():
    dataset = make_dataset([20, 20, 2])
    split = make_split(dataset, SplitConfig())
    for options, said in (
        ({"classes": (0, 3)}, "toy has the classes 0 to 2. Received: 3"),
        ({"classes": (-1, 0)}, "toy has the classes 0 to 2. Received: -1"),
        ({"train_per_class": 0}, r"Toy: train would be empty with the classes \[0, 1, 2\]"),
        ({"classes": (2,)}, r"Toy: val and test would be empty with the classes \[2\]"),
    ):
        with pytest.raises(DataError, match=said):
            take_part(dataset, split, **options)


def test_eight_times_the_images_take_nowhere_near_64_times_the_time():
    """Equal bytes, the split and a sample of a thousand and of eight thousand images of each of five classes."""
    seconds = []
    for count in (1000, 8000):
        dataset = make_dataset([count] * 5, equal=[(row, row + 1) for row in range(0, 5 * count, 50)])
        best = []
        for _ in range(2):
            started = time.process_time()
            grouped = groups(np.zeros((0, 2), np.int64), dataset.index["sha256"])
            make_split(dataset, SplitConfig(test=0.1, val=0.1), groups=grouped).to_frame(dataset)
            take(dataset, count // 2, 0)
            best.append(time.process_time() - started)
        seconds.append(min(best))
    assert seconds[1] < 24 * seconds[0]
