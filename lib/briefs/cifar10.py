"""CIFAR-10: the ladder of experiments on ten classes of 32 x 32 pixels."""

from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.briefs.caltech256 import LONG
from lib.config import EXPLAIN_FULL, SMOKE, Augment, Ensemble, Experiment, Head, Profile, Split, Training, Transfer
from lib.config.experiment import leave_one_out
from lib.config.search import Blocks, Space, growing_searches
from lib.models import ConvBlocks, Lite0, Residual
from lib.models.heads import DenseHead, Forest, LogisticRegression

STEPS = ("softmax", "naive", "baseline", "dropout", "augment", "wide", "deep", "batch_256", "residual")
AUGMENT = Augment(flip=True, shift=0.12)  # what is usual on 32 pixels: mirrored, and moved by up to four of them
SMALL = Experiment(
    why="How far does a narrow network with shortcuts go?",
    model=Residual(filters=(48, 96, 192), stem_stride=2),
    training=Training(epochs=20, learning_rate=0.1, weight_decay=0.005, label_smoothing=0.1),
    augment=AUGMENT,
    mirror_average=True,
)
BEST = SMALL.replace(
    why="How far do all lessons together go?",
    model=ConvBlocks(filters=(64, 320, 320), stem=32, early_pooling=True),
    training=LONG.replace(epochs=66, batch_size=512),
    augment=AUGMENT.replace(zoom=0.2, colour=0.2, cutmix=0.5),
    shift_average=1,
)
FROZEN = Head(
    why="What do features of another network give, read by one linear layer?",
    backbone=Lite0(),
    head=LogisticRegression(),
)
FINE_TUNED = Transfer(
    why="What does it give to train on all of the network?",
    model=Lite0(trained_from="Stem"),
    starts_from="frozen",
    training=Training(epochs=8, batch_size=32, learning_rate=0.01, weight_decay=0.001, label_smoothing=0.1),
    augment=AUGMENT,
    image_size=96,
    mirror_average=True,
)
SCRATCH = Transfer(
    why="What does an own network learn from the same images in about the same minutes?",
    model=SMALL.model,
    training=SMALL.training.replace(epochs=48),
    augment=AUGMENT,
    mirror_average=True,
)
HEADS = {  # a stack is fitted on what each of them says of the training images that it has not seen
    "frozen": FROZEN.replace(folds=5),
    "dense": FROZEN.vary("Do hidden layers read more out of the features?", head=DenseHead(), folds=5),
    "forest": FROZEN.vary("Does a random forest?", head=Forest(), folds=5),
}
MEAN = Ensemble(why="Do the heads know more together, each counting the same?", of=tuple(HEADS))
ENSEMBLES = {
    "mean": MEAN,
    "blend": MEAN.replace(why="And with weights that val chooses?", how="blend"),
    "stack": MEAN.replace(why="And with a model fitted on their predictions?", how="stack"),
}

# Each trial is short; what is found is trained again for longer.
SPACE = Space(
    start=SMALL.vary(
        "Which network of this space does best after a few epochs?", training={"epochs": 6}, mirror_average=False
    ),
    families=(Residual(), ConvBlocks()),
    choices={
        "model.width": (8, 16, 32, 48),
        "model.stages": (2, 3, 4),
        "model.blocks": (1, 2),
        "model.convolutions": (1, 2),
        "model.stem_stride": (1, 2),
        "model.dropout": (0.0, 0.2, 0.4),
        "training.learning_rate": (0.02, 0.05, 0.1, 0.2),
        "augment.cutmix": (0.0, 0.5),
    },
    trial_seconds=150,
    max_parameters=5_000_000,
)
BLOCKS = Blocks(start=SPACE.start, trial_seconds=150, max_parameters=30_000_000)

BRIEF = CALTECH_256.replace(
    name="cifar10",
    title="CIFAR-10 from scratch",
    question="Which choices of model and training buy accuracy when the images have only 32 x 32 pixels?",
    dataset="cifar10",
    asked_accuracy=None,
    reports=(),
    baseline="baseline",
    best="best",
    experiments={name: CALTECH_256.experiments[name] for name in STEPS}
    | {
        "augment": CALTECH_256.experiments["baseline"].vary("Do flips and small shifts help?", augment=AUGMENT),
        "best": BEST,
    },
    ablation=leave_one_out(BEST, epochs=0.2, filters=0.5),
    notebooks=(*CALTECH_256.notebooks, "05_transfer_learning", "06_architecture_search"),
    transfers={
        **HEADS,
        "frozen_71": FROZEN.vary("Are images of 71 pixels enough for it?", image_size=71),
        "frozen_160": FROZEN.vary("Do enlarged images say more?", image_size=160),
        "cut_11": FROZEN.vary(
            "Are the features better where the network is cut earlier?", backbone={"cut": "Block_11__add"}
        ),
        "cut_5": FROZEN.vary("And earlier still?", backbone={"cut": "Block_5__add"}),
        "fine_tuned": FINE_TUNED,
        "scratch": SCRATCH,
        **ENSEMBLES,
    },
    searches=growing_searches(SPACE, minutes=(1, 3, 9), blocks=BLOCKS, epochs=20),
    split=Split(val=0.1),  # the official test part stays; `val` is carved from the training images
    profiles={
        "smoke": SMOKE.replace(images_per_class=12),
        "quick": Profile(images_per_class=2000, seeds=2, ablation_seeds=2, transfer_per_class=1000, minutes=80),
        "full": Profile(seeds=5, ablation_seeds=5, search_minutes=60, minutes=1440, explain=EXPLAIN_FULL),
    },
)
