"""The audit finds what is planted, and nothing in a clean set; what it saw is stored until something changes."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest
from pictures import picture, recoloured, shifted
from PIL import Image

from lib import datasets
from lib.config import Split
from lib.datasets import DataError, splits
from lib.datasets import audit as room
from lib.datasets.audit import audit, duplicate_groups, notes
from lib.datasets.audit.findings import leaks

SHARES = Split(test=0.2, val=0.2)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def fill(root, *, classes=("cat", "dog"), each=12, suffix="png"):
    for label, name in enumerate(classes):
        for number in range(each):
            save(root / name / f"{number:02d}.{suffix}", picture(100 * label + number))


def load(root):
    return datasets.load("folder", path=root)


def audited(dataset, *, groups=True):
    together = duplicate_groups(dataset) if groups else None
    return audit(dataset, splits.make_split(dataset, SHARES, groups=together))


def pairs_of(result, check):
    found = result.findings[result.findings["check"] == check]
    return {frozenset(pair) for pair in zip(found["path"], found["other"], strict=True)}


def count_of(result, check):
    return int(result.summary.set_index("check")["images"][check])


@pytest.fixture
def root(tmp_path, own_folders):
    fill(tmp_path / "set")
    return tmp_path / "set"


def test_a_clean_set_has_nothing_but_its_balance(root):
    result = audited(load(root))
    assert result.findings.empty
    assert set(result.counts.values()) == {0}
    assert result.summary["images"].tolist() == [0] * (len(result.summary) - 1) + [12]
    assert "leak in the official split" not in set(result.summary["check"])
    assert result.summary["meaning"].iloc[-1] == "images of the smallest class, dog; cat has 1.0 times that"


def test_equal_files_and_conflicting_labels_are_found(root):
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "00.png").read_bytes())
    (root / "dog" / "other.png").write_bytes((root / "cat" / "01.png").read_bytes())
    result = audited(load(root))
    assert pairs_of(result, "same bytes") == {
        frozenset({"cat/00.png", "cat/copy.png"}),
        frozenset({"cat/01.png", "dog/other.png"}),
    }
    assert pairs_of(result, "same bytes, other label") == {frozenset({"cat/01.png", "dog/other.png"})}
    assert (result.counts["same_bytes"], result.counts["conflicting_labels"], result.counts["leaks"]) == (4, 2, 0)
    assert result.counts["near_duplicates"] == 0  # equal ones are not counted again


def test_near_duplicates_are_found_and_stay_on_one_side(root):
    image = picture(7)
    save(root / "cat" / "a.png", recoloured(image))
    save(root / "cat" / "b.jpg", image, quality=40)
    save(root / "cat" / "c.png", shifted(image, 2))
    save(root / "cat" / "d.png", np.asarray(Image.fromarray(image).resize((120, 96))))
    save(root / "dog" / "e.png", recoloured(picture(3)))
    dataset = load(root)
    result = audited(dataset)
    copies = {"cat/07.png", "cat/a.png", "cat/b.jpg", "cat/c.png", "cat/d.png"}
    near = pairs_of(result, "near duplicate")
    assert set().union(*near) == copies | {"cat/03.png", "dog/e.png"}
    assert pairs_of(result, "near duplicate, other label") == {frozenset({"cat/03.png", "dog/e.png"})}
    assert result.counts["leaks"] == 0
    groups = duplicate_groups(dataset)
    assert len(set(groups[dataset.index["path"].isin(copies)])) == 1
    assert len(set(groups)) == len(dataset.index) - 5


def test_leaks_of_a_split_without_groups_are_named(root):
    for number in range(12):
        save(root / "cat" / f"copy {number}.png", recoloured(picture(number)))
    dataset = load(root)
    together, apart = audited(dataset), audited(dataset, groups=False)
    assert together.counts["leaks"] == 0
    found = apart.findings[apart.findings["check"] == "leak in this split"]
    assert apart.counts["leaks"] == len(found) > 0
    assert set(found["role"]) <= {"val", "test"} and set(found["other_role"]) <= {"train", "val"}
    assert (found["value"] > 0.6).all()


def test_leaks_of_an_official_split_are_counted_and_its_test_part_stays(tmp_path, own_folders):
    root = tmp_path / "set"
    fill(root / "train")
    for number in range(4):
        save(root / "test" / "cat" / f"{number}.png", picture(500 + number))
        save(root / "test" / "dog" / f"{number}.png", picture(600 + number))
    (root / "test" / "dog" / "equal.png").write_bytes((root / "train" / "cat" / "05.png").read_bytes())
    save(root / "test" / "cat" / "near.png", recoloured(picture(2)))
    dataset = load(root)
    split = splits.make_split(dataset, SHARES, groups=duplicate_groups(dataset))
    result = audit(dataset, split)
    official = result.findings[result.findings["check"] == "leak in the official split"]
    links = dict(zip(official["path"], official["other"], strict=True))
    assert links == {"test/dog/equal.png": "train/cat/05.png", "test/cat/near.png": "train/cat/02.png"}
    assert dataset.index["path"].iloc[split.unused].tolist() == ["train/cat/05.png"]
    assert len(split.test) == 10
    # The equal image is out of training; the near one may have come to val with its copy, or be trained on.
    here = result.findings[result.findings["check"] == "leak in this split"]
    assert here["path"].tolist() == ["test/cat/near.png"]


def test_odd_images_are_found(root):
    rng = np.random.default_rng(0)
    grey = np.asarray(Image.fromarray(picture(900)).convert("L"))
    save(root / "cat" / "one channel.png", grey)
    save(root / "cat" / "grey.png", np.stack([np.asarray(Image.fromarray(picture(901)).convert("L"))] * 3, axis=-1))
    save(root / "cat" / "dark.png", picture(902) // 6)
    save(root / "dog" / "bright.png", 255 - picture(903) // 60)
    save(root / "dog" / "blank.png", np.full((64, 80, 3), (200, 40, 90), np.uint8))
    save(root / "dog" / "soft.png", cv2.GaussianBlur(picture(905), (0, 0), 6))
    save(root / "dog" / "large.png", rng.integers(0, 255, (900, 900, 3), dtype=np.uint8))
    save(root / "dog" / "long.png", picture(904, width=400, height=60))
    (root / "dog" / "notes.txt").write_text("not an image")
    result = audited(load(root))
    found = {check: set(part["path"]) for check, part in result.findings.groupby("check")}
    assert found["one channel"] == {"cat/one channel.png"}
    assert found["grey picture"] == {"cat/one channel.png", "cat/grey.png"}
    assert "cat/dark.png" in found["dark"] and "dog/bright.png" in found["overexposed"]
    assert found["blurry"] == {"dog/soft.png"} and "dog/blank.png" in found["little information"]
    assert {"dog/large.png"} == found["odd size"] - {"dog/long.png"}
    assert found["odd aspect ratio"] == {"dog/long.png"}
    assert found["left out"] == {"dog/notes.txt"} and count_of(result, "left out") == 1
    scores = result.findings.set_index(["check", "path"])["value"]
    assert scores["dark", "cat/dark.png"] < 0.32 and np.isnan(scores["one channel", "cat/one channel.png"])


def test_what_most_images_have_is_counted_but_not_listed(tmp_path, own_folders):
    for label, name in enumerate(("a", "b")):
        for number in range(6):
            save(tmp_path / "set" / name / f"{number}.png", picture(10 * label + number)[..., 0])
    result = audited(load(tmp_path / "set"))
    assert result.counts["grey"] == 12 and count_of(result, "one channel") == 12
    assert "grey picture" not in set(result.findings["check"])


def test_an_array_data_set_is_audited(root):
    dataset = load(root)
    pixels = np.stack([np.asarray(dataset.open_image(row)) for row in range(len(dataset.index))])
    pixels[3] = recoloured(pixels[5])
    index = dataset.index.assign(path=[f"train#{row:05d}" for row in range(len(pixels))])
    arrays = dataclasses.replace(dataset, name="arrays", index=index, arrays={"train": pixels}, checksum="other")
    assert pairs_of(audited(arrays), "near duplicate") == {frozenset({"train#00003", "train#00005"})}


def test_the_same_photograph_is_known_by_its_file_name(root):
    (root / "cat").rename(root / "Faces")
    (root / "dog").rename(root / "Faces_easy")
    dataset = dataclasses.replace(load(root), name="caltech101")
    split = splits.make_split(dataset, SHARES, groups=duplicate_groups(dataset))
    result = audit(dataset, split)
    assert count_of(result, "same photograph") == 24
    assert result.counts["leaks"] == 0
    roles = split.table.assign(file=split.table["path"].str.partition("/")[2]).groupby("file")["role"].nunique()
    assert (roles == 1).all()
    assert audited(dataset, groups=False).counts["leaks"] > 0


def test_what_was_seen_is_stored_until_images_or_what_looks_at_them_change(root, monkeypatch):
    first = audited(load(root))
    monkeypatch.setattr(room, "take_notes", lambda *_, **__: pytest.fail("looked again"))
    again = audited(load(root))
    pd.testing.assert_frame_equal(again.findings, first.findings)
    pd.testing.assert_frame_equal(again.summary, first.summary)
    with pytest.raises(pytest.fail.Exception, match="looked again"):
        audited(load(root).keep(np.arange(20)))
    monkeypatch.setattr(room, "LIBRARIES", ("numpy",))
    with pytest.raises(pytest.fail.Exception, match="looked again"):
        audited(load(root))


def test_groups_alone_need_no_properties(root, own_folders, monkeypatch):
    save(root / "cat" / "99.png", recoloured(picture(0)))
    dataset = load(root)
    with monkeypatch.context() as patch:
        patch.setattr(notes, "_properties", lambda *_, **__: pytest.fail("looked at properties"))
        alone = duplicate_groups(dataset, audited=False)
    assert len(set(alone)) == len(alone) - 1
    assert [file.stem.rpartition("-")[2] for file in (own_folders / "cache" / "audit").iterdir()] == ["pairs"]
    np.testing.assert_array_equal(duplicate_groups(dataset), alone)
    assert audited(dataset).counts["near_duplicates"] == 2


def test_a_damaged_store_is_made_again(root, own_folders):
    first = audited(load(root))
    for file in (own_folders / "cache" / "audit").iterdir():
        file.write_text("damaged")
    pd.testing.assert_frame_equal(audited(load(root)).summary, first.summary)


def test_an_image_that_has_gone_is_named(root):
    dataset = load(root)
    (root / "dog" / "03.png").unlink()
    with pytest.raises(DataError, match="03.png"):
        duplicate_groups(dataset)


def test_leaks_by_hand():
    # 0, 1: equal; 2 near 0; 3 near 4; 5, 6: equal.
    sums = pd.Series(["a", "a", "b", "c", "d", "e", "e"])
    pairs = pd.DataFrame({"row": [0, 3], "other": [2, 4], "similarity": [0.8, 0.9], "relation": "near duplicate"})
    roles = np.array(["train", "test", "val", "val", "test", "unused", "test"])
    found = leaks(sums, pairs, roles).itertuples(index=False, name=None)
    assert list(found) == [
        (1, 0, 1.0, "same bytes"),
        (2, 0, 0.8, "near duplicate"),
        (4, 3, 0.9, "near duplicate"),  # test in val
    ]
    assert leaks(sums, pairs, np.array([""] * 7)).empty
    assert leaks(sums, pairs.iloc[:0], np.array(["test"] * 7)).empty
    # A link of one copy holds for the other: 1 (train) is equal to 0 and so near to 2 (test).
    roles = np.array(["unused", "train", "test", "train", "train", "train", "train"])
    assert leaks(sums, pairs, roles)[["row", "other"]].values.tolist() == [[2, 1]]
