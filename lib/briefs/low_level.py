"""Fully connected networks, twice: by hand-written TensorFlow on Fashion-MNIST, by Keras on notMNIST."""

from lib.config import (
    EXPLAIN_FULL,
    SMOKE,
    Augment,
    Brief,
    Experiment,
    Perceptron,
    Profile,
    Split,
    Training,
)
from lib.models import Mlp, Softmax

# Part A, by hand: gradient descent at rate 0.01, as the coursework asks.
TEN_CLASSES = Perceptron(
    "What do 300 and 100 hidden units learn in 40 epochs of small batches?", dataset="fashion_mnist"
)
BINARY = TEN_CLASSES.vary("How well are sneakers told from ankle boots?", classes=(7, 9), hidden=(100,), epochs=20)

# For the research note: a deeper network, where both methods have something to do.
PLAIN = Perceptron(
    "What does a deeper network learn without help?",
    dataset="notmnist",
    hidden=(100, 100, 100, 100, 100),
    learning_rate=0.1,
    batch_size=128,
    epochs=3,
)
ADAM = PLAIN.vary("And with Adam?", update="adam", learning_rate=0.001)

# Part B, by Keras: layers are counted by their weights, so 200-10 has two.
BASELINE = Experiment(
    why="What does a network of 600, 400 and 200 hidden units reach without any regularisation?",
    model=Mlp(units=(600, 400, 200), grey=True),
    training=Training(epochs=10, batch_size=256, learning_rate=0.05),
    image_size=28,
)
DEEPEST = BASELINE.vary("And with a fourth hidden layer?", model={"units": (600, 400, 200, 100)})
AUGMENT = Augment(rotation=8, shift=0.06, zoom=0.08, shear=5, fill="constant")
# What is never seen twice alike can be seen for long, by a network of twice the width.
BEST = BASELINE.vary(
    "How far do the lessons together go?",
    model={"units": (1200, 800, 400), "batch_norm": True, "dropout": 0.2},
    training={"epochs": 160, "learning_rate": 0.1, "weight_decay": 0.01, "label_smoothing": 0.1},
    augment=AUGMENT.replace(rotation=12, shift=0.1, zoom=0.15, shear=10, aspect=0.15),
)


def penalised(experiment: Experiment, layers: str) -> dict[str, Experiment]:
    """One of the two deepest networks with dropout at two rates, and with an L1 or L2 penalty that can be felt."""
    changes = {
        "dropout_20": ("dropping a fifth of the units", {"dropout": 0.2}),
        "dropout_50": ("dropping half of the units", {"dropout": 0.5}),
        "l1": ("an L1 penalty", {"l1": 1e-3}),
        "l2": ("an L2 penalty", {"l2": 1e-2}),
    }
    return {
        f"{layers}_{name}": experiment.vary(f"Does {what} narrow the gap of {layers} layers?", model=model)
        for name, (what, model) in changes.items()
    }


BRIEF = Brief(
    name="low_level",
    title="Fully connected networks by hand",
    question="What is inside a training step, what does the batch size do, and which regularisation closes the gap?",
    dataset="notmnist",
    further_datasets=("fashion_mnist",),
    stand_in="letters",
    notebooks=("01_explore", "07_low_level_tensorflow", "08_regularisation"),
    reports=("research_note",),
    perceptrons={
        "binary": BINARY,
        "binary_hard": BINARY.vary("And T-shirts from shirts?", classes=(0, 6)),
        "ten_classes": TEN_CLASSES,
        "batch_128": TEN_CLASSES.vary("What do larger batches change?", batch_size=128),
        "batch_512": TEN_CLASSES.vary("And larger ones?", batch_size=512),
        "batch_4096": TEN_CLASSES.vary("And larger ones?", batch_size=4096),
        "full_batch": TEN_CLASSES.vary("What does one step an epoch, over all images, reach?", batch_size=None),
        "batch_512_scaled": TEN_CLASSES.vary(
            "Does a rate that grows with the batch make up for fewer steps?", batch_size=512, learning_rate=0.16
        ),
        "batch_128_fast": TEN_CLASSES.vary("What does a still higher rate buy?", batch_size=128, learning_rate=0.1),
        "full_batch_fast": TEN_CLASSES.vary("And for the full batch?", batch_size=None, learning_rate=0.2),
        "plain": PLAIN,
        "batch_norm": PLAIN.vary("And with batch normalisation?", batch_norm=True),
        "adam": ADAM,
        "uncorrected": ADAM.vary("And Adam without its bias correction?", bias_correction=False),
    },
    baseline="four_layers",
    best="best",
    experiments={
        "softmax": BASELINE.vary(
            "What do the pixels give without a hidden layer?",
            model=Softmax(grey=True),
            training={"learning_rate": 0.005},
        ),
        "two_layers": BASELINE.vary("What does one hidden layer add?", model={"units": (200,)}),
        "three_layers": BASELINE.vary("And a second one?", model={"units": (400, 200)}),
        "four_layers": BASELINE,
        "five_layers": DEEPEST,
        **penalised(BASELINE, "four"),
        **penalised(DEEPEST, "five"),
        "four_batch_norm": BASELINE.vary("Does batch normalisation help by itself?", model={"batch_norm": True}),
        "four_augment": BASELINE.vary("Do small turns and shifts of the letters help more?", augment=AUGMENT),
        "best": BEST,
    },
    split=Split(test=0.1, val=0.1),
    profiles={
        "smoke": SMOKE.replace(images_per_class=30, epochs=0.05),
        "quick": Profile(seeds=3, minutes=20),
        "full": Profile(seeds=10, perceptron_seeds=3, minutes=240, explain=EXPLAIN_FULL),
    },
)
