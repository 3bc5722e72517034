"""The drawn demo set: the whole road in minutes, with nothing to download."""

from lib.briefs.caltech256 import AUGMENT, LONG
from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.briefs.cifar10 import SPACE as CIFAR_10
from lib.config import (
    EXPLAIN_FULL,
    SMOKE,
    Blocks,
    Earlier,
    Experiment,
    Head,
    Part,
    Profile,
    Split,
    Training,
    Transfer,
    growing_searches,
    leave_one_out,
)
from lib.models import Residual
from lib.models.heads import LogisticRegression

# The first steps of Caltech-256's ladder; with fewer images they take smaller batches and more epochs.
STEPS = ("softmax", "baseline", "augment")
LADDER = {name: CALTECH_256.experiments[name] for name in STEPS}
BEST = Experiment(
    why="How far do all lessons together go?",
    model=Residual(filters=(32, 64, 128, 256), blocks=(1, 1, 1, 1), stem_stride=2),
    training=LONG.replace(epochs=16, batch_size=32, sizes=(48,)),
    augment=AUGMENT,
    image_size=64,
    mirror_average=True,
)
# Of what is trained many times over: the transfers and the trials of a search.
SHORT = Training(epochs=16, batch_size=32, learning_rate=0.05, weight_decay=0.005, label_smoothing=0.1)

# What was learnt on one half of the classes serves the other half, of which only a few images are known.
SOURCE_CLASSES, TARGET = tuple(range(6)), Part(classes=tuple(range(6, 12)), train_per_class=10)
SOURCE = Transfer(
    why="What does a narrow network learn from all images of the first half of the classes?",
    model=Residual(filters=(16, 32, 64, 128), blocks=(1, 1, 1, 1), stem_stride=2),
    training=SHORT,
    augment=AUGMENT,
    image_size=64,
    mirror_average=True,
    part=Part(classes=SOURCE_CLASSES),
)
TRANSFERS = {
    "source": SOURCE,
    "frozen": Head(
        why="Do its features tell the other classes apart, from ten images each?",
        backbone=Earlier("source"),
        head=LogisticRegression(),
        image_size=64,
        part=TARGET,
    ),
    "fine_tuned": SOURCE.vary(
        "What does it give to train on all of that network?",
        model=Earlier("source", trained_from="Stem"),
        starts_from="frozen",
        training={"batch_size": 16, "learning_rate": 0.01},
        part=TARGET,
    ),
    "scratch": SOURCE.vary(
        "What does the same network learn from these images alone?",
        training={"epochs": 60, "batch_size": 16},
        part=TARGET,
    ),
}

# Notebook 06 is no part of this report, which takes minutes: open it, or search with `make search BRIEF=demo`.
SPACE = CIFAR_10.replace(
    start=BEST.replace(why=CIFAR_10.start.why, training=SHORT.replace(epochs=12), image_size=48, mirror_average=False),
    trial_seconds=60,
)
SEARCHES = growing_searches(SPACE, minutes=(1, 2, 3), blocks=Blocks(start=SPACE.start, blocks=("vanilla",)), epochs=24)

BRIEF = CALTECH_256.replace(
    name="demo",
    title="Drawn objects",
    question="Which choices buy accuracy on a small set of drawn objects before busy backgrounds?",
    dataset="demo",
    asked_accuracy=None,
    baseline="baseline",
    best="best",
    experiments={
        name: experiment.replace(training=experiment.training.replace(epochs=12, batch_size=32))
        for name, experiment in LADDER.items()
    }
    | {"best": BEST},
    single_batch={  # for notebook 9, which this brief's report leaves out
        f"one_batch_{name}": LADDER[name].vary(
            f"One batch: {LADDER[name].why}", training={"epochs": 60, "learning_rate": 0.002}
        )
        for name in ("softmax", "baseline")
    },
    ablation=leave_one_out(BEST, epochs=0.3, filters=0.5),
    notebooks=(*CALTECH_256.notebooks, "05_transfer_learning"),
    transfers=TRANSFERS,
    searches=SEARCHES,
    split=Split(test=0.2, val=0.2),
    profiles={
        "smoke": SMOKE.replace(images_per_class=8),
        "quick": Profile(seeds=3, transfer_seeds=3, minutes=10),
        "full": Profile(
            epochs=3.0,
            seeds=5,
            ablation_seeds=5,
            transfer_seeds=5,
            search_minutes=60,
            minutes=120,
            explain=EXPLAIN_FULL,
        ),
    },
)
