"""Six classes of small images in memory, and a brief whose transfers go from one half of them to the other."""

import hashlib

import numpy as np
import pandas as pd

from lib.config import Brief, Earlier, Experiment, Head, Part, Profile, Split, Training, Transfer
from lib.datasets import Dataset, splits
from lib.datasets.dataset import checksum_of
from lib.models import Residual
from lib.models.heads import DenseHead, Forest, LogisticRegression
from lib.training.open_brief import OpenBrief
from lib.transfer.plan import transfer_job

SHORT = Training(epochs=2, batch_size=8, learning_rate=0.01)
OTHERS = Part(classes=(3, 4, 5))
SCRATCH = Transfer(
    "What does one half teach?",
    model=Residual(filters=(4, 8), blocks=(1, 1)),
    training=SHORT,
    image_size=16,
    part=Part(classes=(0, 1, 2)),
)
HEAD = Head(
    "Is it of use?",
    backbone=Earlier("scratch"),
    head=LogisticRegression(strengths=(0.01, 1.0)),
    image_size=16,
    part=OTHERS,
)
TUNED = Transfer(
    "And trained further?",
    model=Earlier("scratch", trained_from="Block_8"),
    starts_from="head",
    training=SHORT,
    image_size=16,
    part=OTHERS,
)
TRANSFERS = {
    "scratch": SCRATCH,
    "head": HEAD,
    "dense": HEAD.vary("?", head=DenseHead(units=(8, 6), training=SHORT.replace(epochs=3)), folds=2),
    "forest": HEAD.vary("?", head=Forest(trees=5), folds=2),
    "tuned": TUNED,
}


def dataset(*, per_class: int = 16, side: int = 16, classes: int = 6, shuffled: bool = False) -> Dataset:
    """Noise with a tint of its own for each class; or with labels that say nothing."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(classes), per_class)
    pixels = rng.integers(0, 120, (len(labels), side, side, 3), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[..., label % 3] += np.uint8(60 + 60 * (label // 3 % 2))
    if shuffled:
        labels = rng.permutation(labels)
    index = pd.DataFrame(
        {
            "path": [f"all#{row:05d}" for row in range(len(labels))],
            "label": labels,
            "class_name": [f"c{label}" for label in labels],
            "sha256": [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels],
            "role": "",
        }
    )
    left_out, names = pd.DataFrame(columns=["path", "reason"]), tuple(f"c{label}" for label in range(classes))
    facts = {"source": "drawn", "licence": "", "citation": "", "checksum": checksum_of(index)}
    return Dataset("tints", "Tints", None, index, names, left_out, **facts, arrays={"all": pixels})


def brief(transfers: dict, **profile) -> Brief:
    first = Experiment(why="?", model=Residual(filters=(4,), blocks=(1,)), image_size=8)
    profiles = dict.fromkeys(("smoke", "quick", "full"), Profile(**profile))
    fields = {"name": "tests", "title": "Tints", "question": "Does it pass on?", "dataset": "tints"}
    fields |= {"baseline": "first", "best": "first", "experiments": {"first": first}}
    return Brief(**fields, profiles=profiles, transfers=transfers)


def opened(transfers: dict = TRANSFERS, images: Dataset | None = None, *, profile: str = "quick", **sizes) -> OpenBrief:
    images = images or dataset()
    split = splits.make_split(images, Split(test=0.25, val=0.25))
    return OpenBrief(brief(transfers, **sizes), profile, images, split)


def job(name: str, transfers: dict = TRANSFERS, images: Dataset | None = None, *, seed: int = 0):
    return transfer_job(opened(transfers, images), name, seed=seed)
