"""Tiny-ImageNet and ten classes of ImageNet, in every layout that they come in."""

import shutil

import numpy as np
import pytest
import small_data_sets as small

from lib.config import Split
from lib.datasets import DataError, load, splits
from lib.datasets.readers.imagenet import TEN, TEN_OF_TINY


def get(name, **options):
    return load(name, **options)


def reasons(data):
    return dict(data.left_out.itertuples(index=False, name=None))


TWO = {"n01443537": "goldfish, Carassius auratus", "n02106662": "German shepherd, Alsatian"}
COUNT = "this copy holds {} usable images, the official one 110,000"


# Tiny-ImageNet


def test_tiny_imagenet(raw):
    root = small.tiny_imagenet(raw, per_class=4, wnids=TWO)
    data = get("tiny_imagenet")
    assert data.root == root
    assert data.source == "unverified copy"
    assert data.class_names == ("goldfish", "German shepherd")
    assert data.index["role"].value_counts().to_dict() == {"train": 8, "test": 4}
    val = data.index[data.index["role"] == "test"].set_index("path")["class_name"]
    assert val["val/images/val_2.JPEG"] == "goldfish"
    assert val["val/images/val_3.JPEG"] == "German shepherd"
    assert reasons(data) == {"test": "3 images without labels", ".": COUNT.format(12)}
    assert data.unlabelled == tuple(f"test/images/test_{row}.JPEG" for row in range(3))
    assert data.open_image(data.unlabelled[0]).size == (64, 64)


def test_boxes(raw):
    small.tiny_imagenet(raw, per_class=4, wnids=TWO)
    data = get("tiny_imagenet")
    assert list(data.boxes.columns) == ["path", "x0", "y0", "x1", "y1"]
    assert len(data.boxes) == 12
    assert set(data.boxes["path"]) == set(data.index["path"])
    boxes = data.boxes.set_index("path")
    assert boxes.loc["train/n02106662/images/n02106662_3.JPEG"].tolist() == [3, 1, 63, 47]
    assert boxes.loc["val/images/val_2.JPEG"].tolist() == [0, 0, 2, 62]
    part = data.keep(np.array([0, 11]))
    assert part.boxes["path"].tolist() == part.index["path"].tolist()


def test_archive_is_found(raw):
    made = small.tiny_imagenet(raw.parent / "made", wnids=TWO)
    for name in ("tiny-imagenet-200.zip", "tiny-imagenet-10.tar.gz", "Tiny_ImageNet.zip"):
        archive = small.pack(made, raw / name)
        assert len(get("tiny_imagenet").index) == 12
        archive.unlink()


def test_val_sorted_into_class_folders(raw):
    """Many scripts move the images of val into folders, to suit loaders that know nothing else."""
    root = small.tiny_imagenet(raw, wnids=TWO)
    lines = (root / "val" / "val_annotations.txt").read_text().splitlines()
    for name, wnid in (line.split("\t")[:2] for line in lines):
        (root / "val" / wnid / "images").mkdir(parents=True, exist_ok=True)
        (root / "val" / "images" / name).rename(root / "val" / wnid / "images" / name)
    shutil.rmtree(root / "val" / "images")
    (root / "val" / "val_annotations.txt").unlink()
    data = get("tiny_imagenet")
    assert data.index[data.index["role"] == "test"]["class_name"].value_counts().to_dict() == {
        "goldfish": 2,
        "German shepherd": 2,
    }


def test_odd_entries_are_left_out_with_the_reason(raw):
    root = small.tiny_imagenet(raw, wnids=TWO)
    notes = root / "val" / "val_annotations.txt"
    lines = notes.read_text().splitlines()
    lines[0] = lines[0].replace("val_0", "val_90")  # val_0 has no label, val_90 no image
    lines += [lines[1].replace("n02106662", "n01443537"), "val_91.JPEG\tn01443537\t0\t0\t9\t9"]
    lines[3] = lines[3].replace("n02106662", "n09999999")
    notes.write_text("\n".join(lines))
    boxes = root / "train" / "n01443537" / "n01443537_boxes.txt"
    boxes.write_text("n01443537_0.JPEG\t1\t2\t3\nn01443537_1.JPEG\t9\t9\t3\t3\nn01443537_2.JPEG\t1\t2\t3\t4\n")
    (root / "train" / "n01443537" / "notes.txt").write_text("?")
    small.save_image(root / "train" / "n00000001" / "images" / "1.jpg", np.zeros((8, 8), np.uint8))
    with (root / "wnids.txt").open("a") as file:
        file.write("\nn00000002\n")
    data = get("tiny_imagenet")
    found = reasons(data)
    assert found.pop(".") == COUNT.format(9)
    assert found == {
        "train/n00000001": "class that wnids.txt does not name",
        "train/n00000002": "named in wnids.txt, but missing",
        "train/n01443537/notes.txt": "beside the folder images",
        "train/n01443537/n01443537_boxes.txt": "line 2 is no box: n01443537_1.JPEG 9 9 3 3",
        "val/images/val_0.JPEG": "no label in val_annotations.txt",
        "val/images/val_1.JPEG": "two labels in val_annotations.txt",
        "val/images/val_3.JPEG": "of a class without training images: n09999999",
        "val/images/val_90.JPEG": "named in val_annotations.txt, but missing",
        "val/images/val_91.JPEG": "named in val_annotations.txt, but missing",
        "test": "3 images without labels",
    }
    assert len(data.left_out[data.left_out["reason"].str.startswith("line ")]) == 2
    goldfish = data.boxes["path"].str.contains("train/n01443537")
    assert data.boxes["path"][goldfish].tolist() == ["train/n01443537/images/n01443537_2.JPEG"]


def test_names_that_two_classes_share(raw):
    small.tiny_imagenet(raw, wnids={"n02012849": "crane", "n03126707": "crane", "n01443537": "goldfish"})
    assert get("tiny_imagenet").class_names == ("goldfish", "crane (n02012849)", "crane (n03126707)")


def test_without_words_and_wnids(raw):
    root = small.tiny_imagenet(raw, wnids=TWO)
    (root / "words.txt").unlink()
    (root / "wnids.txt").unlink()
    assert get("tiny_imagenet").class_names == tuple(TWO)


# ten classes


def test_ten_classes_of_the_coursework(raw):
    small.imagenet10(raw, per_class=4)
    (raw / "imagenet10" / "test_preds.csv").write_text("unknown0.JPEG,3\n")  # a student's predictions are no labels
    data = get("imagenet10")
    assert data.class_names == tuple(TEN)
    assert data.index["role"].value_counts().to_dict() == {"train": 40}
    assert data.unlabelled == tuple(sorted(f"test_set/unknown{row}.JPEG" for row in range(10)))
    assert reasons(data) == {
        "test_set": "10 images without labels",
        "test_preds.csv": "beside the folders train_set and test_set",
    }
    split = splits.make_split(data, Split())
    assert min(map(len, (split.train, split.val, split.test))) >= 10


def test_labels_of_the_coursework_in_a_csv_file(raw):
    root = small.imagenet10(raw)
    for heading, labels in (("image_name,class\n", range(9)), ("", list(TEN))):
        rows = [f"test_set/unknown{row}.JPEG,{labels[row]}" for row in range(9)]
        (root / "test_labels.csv").write_text(heading + "\n".join(rows))
        data = get("imagenet10")
        test = data.index[data.index["role"] == "test"].set_index("path")
        assert test.loc["test_set/unknown3.JPEG", "class_name"] == "cat"
        assert len(test) == 9
        assert data.unlabelled == ("test_set/unknown9.JPEG",)
        assert reasons(data) == {"test_set/unknown9.JPEG": "no label in test_labels.csv"}


def test_labels_are_compared_composed(raw):
    root = small.imagenet10(raw)
    (root / "train_set" / "cat").rename(root / "train_set" / "cha\u0302t")
    (root / "test_set" / "unknown0.JPEG").rename(root / "test_set" / "e\u0301t\u00e9.JPEG")
    for name, label in (("\u00e9te\u0301.JPEG", "ch\u00e2t"), ("e\u0301t\u00e9.JPEG", "cha\u0302t")):
        (root / "test_labels.csv").write_text(f"{name},{label}", encoding="utf-8")
        test = get("imagenet10").index.query("role == 'test'")
        assert test["class_name"].tolist() == ["ch\u00e2t"]


def test_labels_that_name_no_class(raw):
    root = small.imagenet10(raw)
    for rows in ("name,class\nunknown0.JPEG,zebra", "name,class\nunknown0.JPEG,10", "unknown0.JPEG"):
        (root / "test_labels.csv").write_text(rows)
        with pytest.raises(DataError, match="test_labels.csv: row [12] (names no class|must hold a file name)"):
            get("imagenet10")


def test_tiny_imagenet_gives_ten_of_its_classes(raw):
    small.tiny_imagenet(raw, wnids=small.WNIDS | TWO)
    data = get("imagenet10")
    assert data.class_names == tuple(small.WNIDS[wnid].partition(",")[0] for wnid in sorted(small.WNIDS))
    assert set(small.WNIDS) == set(TEN_OF_TINY)
    assert data.index["role"].value_counts().to_dict() == {"train": 40, "test": 20}
    assert reasons(data) == {"test": "3 images without labels"}
    assert set(data.boxes["path"]) == set(data.index["path"])


def imagenet(folder, wnids):
    """The layout of ImageNet itself: one folder per class, without a folder images in it."""
    for number, wnid in enumerate(wnids):
        for part, count in {"train": 3, "val": 1}.items():
            for row, image in enumerate(small.pixels(np.full(count, number), (40, 50, 3), seed=100 * number + count)):
                small.save_image(folder / part / wnid / f"{part}_{row}.JPEG", image)
    words = "".join(f"{wnid} {wnid[-3:]}-word, more\n" for wnid in wnids)
    (folder / "LOC_synset_mapping.txt").write_text(words)
    return folder


def test_imagenet_layout(raw):
    ten = [numbers[-1] for numbers in TEN.values()]  # mug and drill by their numbers among the 1,000 classes
    imagenet(raw / "ImageNet", [*ten, "n01440764"])
    data = get("imagenet10")
    assert len(data.class_names) == 10
    assert "251-word" not in data.class_names
    assert data.index["role"].value_counts().to_dict() == {"train": 30, "test": 10}
