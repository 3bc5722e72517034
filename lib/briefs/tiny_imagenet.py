"""Tiny-ImageNet: an own network at 32 and at 64 pixels."""

from lib.briefs.caltech256 import AUGMENT, LONG
from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.briefs.cifar10 import BLOCKS, FINE_TUNED, FROZEN, SCRATCH, SPACE
from lib.config import EXPLAIN_FULL, SMOKE, Augment, Cost, Experiment, Profile, Split, Training
from lib.config.experiment import leave_one_out
from lib.config.search import growing_searches
from lib.config.transfer import Earlier, Part
from lib.models import AlexNet, LayerList, Residual, Xception
from lib.models.heads import DenseHead

# Task 1: 18 layers, Adam. At half the side bilinear resizing takes the mean of 2 x 2 pixels, as the cache does.
OWN_32 = Experiment(
    why="What do 18 layers learn from images made half as large?",
    model=LayerList(
        layers=("conv 32", "norm", "relu", "conv 64", "norm", "relu", "max", "conv 128", "norm", "relu", "max")
        + ("conv 256", "norm", "relu", "max", "flatten", "dropout 0.3"),
        padding="same",
    ),
    training=Training(epochs=20, optimizer="adamw", learning_rate=0.0003),
    image_size=32,
)
SLOW = {"learning_rate": 0.00001, "schedule": "constant"}  # as in an earlier answer, which trained ten times as long
# The ladder of Caltech-256; most steps look at 32 pixels, where the images have 64.
RESIDUAL = CALTECH_256.experiments["residual"]
STEPS = ("softmax", "baseline", "augment", "wide", "deep", "pixels_64", "residual")
BEST = Experiment(
    why="How far do all lessons together go?",
    model=Residual(filters=(64, 128, 256), stem_stride=2),
    training=LONG.replace(epochs=20, sizes=(40, 52)),
    augment=AUGMENT,
    image_size=64,
    mirror_average=True,
)
# AdamW learns more slowly at 0.001 and 0.003. The last maps of 64 pixels are one place: a larger grid would copy it.
ALEXNET = Experiment(
    why="What does AlexNet give on 64 pixels, with dense layers of a quarter of their width?",
    model=AlexNet(weights="random", grid=1, units=1024, trained_from="Block_1"),
    training=Training(epochs=20, optimizer="adamw", learning_rate=0.0005),
    augment=Augment(flip=True, shift=0.1),
    image_size=64,
)

# Another network has seen these images; of CIFAR-10 neither it nor the own one, `source`, has seen any.
BOTTLENECK = FROZEN.vary("What do bottleneck features give to a linear layer?", backbone=Xception(), image_size=71)
CIFAR_10 = Part(dataset="cifar10")
OWN = BEST.scale(epochs=0.5, filters=0.5)
TRANSFERS = {
    "frozen": BOTTLENECK,
    "dense": BOTTLENECK.vary("Do hidden layers read more out of them?", head=DenseHead()),
    "cifar10_frozen": BOTTLENECK.vary("What do the same features give on CIFAR-10?", part=CIFAR_10),
    "cifar10_fine_tuned": FINE_TUNED.vary(
        "What does it give to train on the upper layers, once a head has been fitted?",
        model=Xception(trained_from="block13"),
        starts_from="cifar10_frozen",
        image_size=71,
        part=CIFAR_10,
    ),
    "source": SCRATCH.vary(
        "What does an own, smaller network learn from the images of this brief?",
        model=OWN.model,
        training=OWN.training,
        augment=AUGMENT,
        image_size=64,
    ),
    "cifar10_own": FROZEN.vary(
        "What do its features give on CIFAR-10?", backbone=Earlier("source"), image_size=64, part=CIFAR_10
    ),
    "cifar10_own_fine_tuned": FINE_TUNED.vary(
        "And with more training on all of that network?",
        model=Earlier("source", trained_from="Stem"),
        starts_from="cifar10_own",
        image_size=64,
        part=CIFAR_10,
    ),
    "cifar10_scratch": SCRATCH.replace(part=CIFAR_10),
}

BRIEF = CALTECH_256.replace(
    name="tiny_imagenet",
    title="Tiny-ImageNet from scratch",
    question="What do half the pixels cost, and how far does an own network go with 200 classes of small photographs?",
    dataset="tiny_imagenet",
    asked_accuracy=None,
    reports=("team_report",),
    baseline="baseline",
    best="best",
    experiments={name: CALTECH_256.experiments[name] for name in STEPS}
    | {
        "own_32": OWN_32,
        "own_64": OWN_32.vary("And from all their pixels?", image_size=64),
        "own_32_slow": OWN_32.vary("What is learnt at the rate of an earlier answer?", training=SLOW),
        "own_64_slow": OWN_32.vary("Does that rate hide what pixels are worth?", training=SLOW, image_size=64),
        "residual_64": RESIDUAL.vary("Do shortcuts gain more from 64 pixels?", image_size=64),
        "alexnet": ALEXNET,
        "best": BEST,
    },
    costs={
        "alexnet_224": Cost(
            why="What would an epoch of the whole AlexNet on enlarged images cost?",
            large=ALEXNET.replace(model=AlexNet(weights="random", trained_from="Block_1"), image_size=224),
            small=ALEXNET,
            num_classes=200,
            epoch=100_000,
        ),
    },
    ablation=leave_one_out(BEST, epochs=0.2, filters=0.5),
    further_datasets=("cifar10",),
    notebooks=(*CALTECH_256.notebooks, "05_transfer_learning", "06_architecture_search"),
    transfers=TRANSFERS,
    filters_of=AlexNet(),
    searches=growing_searches(SPACE, minutes=(1, 3, 9), blocks=BLOCKS, epochs=20),
    split=Split(val=0.1),  # the official val is `test`: its labels are the only public ones
    profiles={
        "smoke": SMOKE,
        "quick": Profile(images_per_class=100, seeds=2, ablation_seeds=2, transfer_per_class=50, minutes=80),
        "full": Profile(epochs=4.0, seeds=3, ablation_seeds=3, search_minutes=60, minutes=1440, explain=EXPLAIN_FULL),
    },
)
