"""Caltech-101: the brief of Caltech-256 on its smaller sibling."""

from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.briefs.cifar10 import BRIEF as CIFAR_10
from lib.config import Augment

FROZEN = CIFAR_10.transfers["frozen"]
FINE_TUNED = CIFAR_10.transfers["fine_tuned"]
TRANSFERS = {
    "frozen": FROZEN,
    "frozen_224": FROZEN.vary("What do larger images give, without any training of the network?", image_size=224),
    "fine_tuned": FINE_TUNED.vary(
        "What does it give to train on all of the network?",
        training={"epochs": 3, "batch_size": 16, "learning_rate": 0.005},
        augment=Augment(flip=True, zoom=0.25, aspect=0.15),
    ),
}

BRIEF = CALTECH_256.replace(
    name="caltech101", title="Caltech-101 from scratch", dataset="caltech101", transfers=TRANSFERS
)
