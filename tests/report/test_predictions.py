"""Predictions for any folder of images: those of the run itself, what is left out, and what is refused."""

import shutil

import numpy as np
import pandas as pd
import pytest

from lib.config import paths
from lib.report import make, predictions
from lib.training.network import network_job
from lib.training.open_brief import open_brief

WANTED = {"name": "best", "profile": "smoke"}


def test_a_folder_is_predicted_as_the_run_predicts_its_own_images(photo_folder, own_folders, capsys, monkeypatch):
    monkeypatch.setattr(predictions, "PORTION", 5)  # several pieces, one of them without an image
    monkeypatch.setattr(predictions, "BATCH", 2)
    run = make.train_one("folder", **WANTED, data=str(photo_folder))
    opened = open_brief("folder", "smoke", str(photo_folder))
    network_job(opened, "best").predict_test()
    target = own_folders / "new" / "deep"
    shutil.copytree(photo_folder, target)
    for number in range(6):
        (target.parent / f"{number}.png").write_bytes(b"")
    (target / "round").symlink_to(target.parent)  # a way in a circle
    file = predictions.predict_folder("folder", **WANTED, folder=target.parent, student="Ana Cruz")
    assert file == paths.report("folder") / "Ana_Cruz_test_preds.csv"
    table = pd.read_csv(file)
    assert tuple(table.columns) == predictions.COLUMNS
    index = opened.dataset.index
    assert set(table["image"]) == {f"deep/{path}" for path in index["path"]}
    rows, _, probabilities = run.predictions("test")
    found = table.set_index("image").loc["deep/" + index["path"].iloc[rows]]
    assert list(found["predicted_class"]) == [
        opened.dataset.class_names[place] for place in probabilities.argmax(axis=1)
    ]
    assert np.allclose(found["confidence"], probabilities.max(axis=1), atol=1e-5)
    left_out = pd.read_csv(file.with_name("Ana_Cruz_test_preds_left_out.csv"))
    assert left_out.to_numpy().tolist() == [[f"{number}.png", "zero bytes"] for number in range(6)]
    said = capsys.readouterr().out
    assert f"{run.id} predicted {len(index)} images" in said and "left out: 0.png: zero bytes" in said
    assert f"of {len(index)} in folders named after a class" in said

    part, kept, lost = predictions.unlabelled_or_test(opened, run, run.load_model())
    assert (part, lost) == ("held-out", 0)
    assert list(kept["image"]) == list(index["path"].iloc[rows])
    assert list(kept["predicted_class"]) == list(found["predicted_class"])

    (run.folder / "model.keras").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="no finished run of best at profile smoke: make train BRIEF=folder"):
        predictions.predict_folder("folder", **WANTED, folder=target)
    assert len(pd.read_csv(file)) == len(table)  # the earlier ones stay


def test_what_cannot_be_predicted_is_said_in_one_sentence(own_folders, photo_folder):
    empty = own_folders / "empty"
    (empty / "deeper").mkdir(parents=True)
    cases = [
        ("demo", "best", empty, "There is no image in .*empty or its sub-folders"),
        ("demo", "best", own_folders / "no", "cannot be read: No such file or directory"),
        (
            "demo",
            "best",
            photo_folder,
            "demo has no finished run of best at profile quick: make train BRIEF=demo",
        ),
        ("cifar100", "blend", photo_folder, "blend combines stored predictions of frozen, forest, "),
        ("cifar100", "forest", photo_folder, "forest is a forest on features and no network"),
    ]
    for brief, name, folder, message in cases:
        with pytest.raises(ValueError, match=message):
            predictions.predict_folder(brief, name, profile="quick", folder=folder)
    with pytest.raises(ValueError, match="STUDENT must be a name or number"):
        predictions.predict_folder("demo", "best", profile="quick", folder=photo_folder, student="../me")
    assert not list(paths.reports().glob("**/*.csv"))
