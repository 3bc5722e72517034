"""Caltech-101: the brief of Caltech-256 on its smaller sibling."""

from lib.briefs.caltech256 import BEST
from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.briefs.cifar10 import ENSEMBLES, FINE_TUNED, FROZEN, HEADS, SCRATCH
from lib.config import Augment

# Beside the brief, which allows no pretrained weights: what they would have given.
TRANSFERS = HEADS | {
    "frozen_160": FROZEN.vary("What do larger images give, without any training of the network?", image_size=160),
    "frozen_224": FROZEN.vary("And images of the size that it was trained on?", image_size=224),
    "fine_tuned": FINE_TUNED.vary(
        "What does it give to train on all of the network?",
        training={"epochs": 3, "batch_size": 16, "learning_rate": 0.005},
        augment=Augment(flip=True, zoom=0.25, aspect=0.15),
    ),
    "scratch": SCRATCH.replace(
        model=BEST.model, training=BEST.training.replace(epochs=3), augment=BEST.augment, image_size=96
    ),
    **ENSEMBLES,
}

BRIEF = CALTECH_256.replace(
    name="caltech101",
    title="Caltech-101 from scratch",
    dataset="caltech101",
    transfers=TRANSFERS,
    notebooks=(*CALTECH_256.notebooks, "05_transfer_learning"),
)
