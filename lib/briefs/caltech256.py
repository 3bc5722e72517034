"""Caltech-256 from scratch: which choices buy accuracy, and how far a network without pretraining can go."""

from lib.config import EXPLAIN_FULL, SMOKE, Augment, Brief, Experiment, Profile, Split, Training, leave_one_out
from lib.models import Residual, SimpleCnn, Softmax

BASELINE = Experiment(
    why="How far do three convolutions with batch normalisation, pooling and one hidden layer get?",
    model=SimpleCnn(filters=(16, 32, 64), batch_norm=True),
    training=Training(epochs=8, learning_rate=0.02),
    image_size=32,
)
# Of long trainings: orthogonal steps, and half precision where the machine gains by it.
LONG = Training(
    batch_size=128,
    optimizer="muon",
    learning_rate=0.2,
    weight_decay=0.005,
    label_smoothing=0.1,
    precision="auto",
)
AUGMENT = Augment(flip=True, rotation=10, shift=0.1, zoom=0.25, aspect=0.15)
BEST = Experiment(
    why="How far do all lessons together go?",
    model=Residual(filters=(96, 192, 384), blocks=(2, 2, 2), stem_stride=4, dropout=0.2),
    training=LONG.replace(epochs=56, sizes=(56, 76)),
    augment=AUGMENT.replace(zoom=0.4, colour=0.3, cutmix=0.2),
    image_size=96,
    mirror_average=True,
)

BRIEF = Brief(
    name="caltech256",
    title="Caltech-256 from scratch",
    question="Which choices of model, input and training buy accuracy when no pretrained weights are allowed?",
    dataset="caltech256",
    asked_accuracy=0.40,
    baseline="baseline",
    best="best",
    experiments={
        "softmax": BASELINE.vary(
            "What do the pixels give without any hidden layer?",
            model=Softmax(),
            training={"learning_rate": 0.002},
        ),
        "naive": BASELINE.vary("What is lost without batch normalisation?", model={"batch_norm": False}),
        "baseline": BASELINE,
        "dropout": BASELINE.vary("Does dropout close the gap between train and val?", model={"dropout": 0.5}),
        "augment": BASELINE.vary("Do flips, small turns, shifts and zooms help more than dropout?", augment=AUGMENT),
        "wide": BASELINE.vary("Is the money better spent on width?", model={"filters": (32, 64, 128)}),
        "deep": BASELINE.vary("Or on depth?", model={"convolutions": 2}),
        "batch_256": BASELINE.vary("Does a four times larger batch cost accuracy?", training={"batch_size": 256}),
        "pixels_64": BASELINE.vary("Do the objects need more than 32 pixels?", image_size=64),
        "residual": BASELINE.vary("Do shortcuts and global pooling beat a flat stack?", model=Residual()),
        "best": BEST,
    },
    ablation=leave_one_out(BEST, epochs=0.2, filters=0.5),
    notebooks=("01_explore", "02_experiments", "03_best_model", "04_explainability"),
    reports=("experimentation", "explainability"),
    # val only chooses between models: every image it holds is one that none of them can learn from.
    split=Split(test=0.1, val=0.06),
    profiles={
        "smoke": SMOKE,
        "quick": Profile(seeds=3, ablation_seeds=2, minutes=80),
        # A third wider, the best network has 11 million parameters: for a GPU.
        "full": Profile(epochs=2.0, filters=4 / 3, seeds=5, ablation_seeds=5, minutes=1440, explain=EXPLAIN_FULL),
    },
)
