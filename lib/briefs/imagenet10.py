"""Ten classes of ImageNet: one network in seven versions, each with one more idea than the one before."""

from lib.briefs.caltech256 import AUGMENT
from lib.briefs.cifar10 import FINE_TUNED, FROZEN, SCRATCH
from lib.config import EXPLAIN_FULL, EXPLAIN_SMOKE, Brief, Ensemble, Experiment, Profile, Split, Training
from lib.models import ConvBlocks, Residual, SimpleCnn, Softmax

# Training ends where the smoothed loss on val does; the epochs are the most there may be.
STOPPING = {"early_stopping": "smoothed", "patience": 6, "schedule": "plateau"}

V1 = Experiment(
    why="How far do three convolutions with pooling and one hidden layer get?",
    model=SimpleCnn(filters=(16, 32, 64)),
    training=Training(epochs=30, learning_rate=0.02).replace(**STOPPING),
    image_size=64,
)
V2 = V1.vary("v2: does batch normalisation help the same network?", model={"batch_norm": True})
V3 = V2.vary("v3: does dropout hold it back from learning by heart?", model={"dropout": 0.5})
V4 = V3.vary(
    "v4: do two convolutions a stage, pooled globally, do more with fewer parameters?",
    model=ConvBlocks(dropout=0.2),
)
V5 = V4.vary("v5: do changed copies of the images replace the ones that are missing?", augment=AUGMENT)
V6 = V5.vary("v6: do shortcuts let it learn faster?", model=Residual(blocks=(2, 2, 2), dropout=0.2))
V7 = V6.vary(
    "v7: do more filters, weight decay and soft labels pay once it no longer learns by heart?",
    model={"filters": (32, 64, 128)},
    training={"weight_decay": 0.005, "label_smoothing": 0.1},
)

BRIEF = Brief(
    name="imagenet10",
    title="Ten classes of ImageNet",
    question="What does each of seven versions of a network add, and what does it cost?",
    dataset="imagenet10",
    baseline="v1",
    best="v7",
    experiments={
        "softmax": V1.vary(
            "What do the pixels give without any hidden layer?",
            model=Softmax(),
            training={"learning_rate": 0.002},
        ),
        **dict(v1=V1, v2=V2, v3=V3, v4=V4, v5=V5, v6=V6, v7=V7),
    },
    notebooks=("01_explore", "02_experiments", "03_best_model", "04_explainability", "05_transfer_learning"),
    # No honest transfer: the network has seen these images. It shows how far that carries.
    transfers={
        "frozen": FROZEN,
        "fine_tuned": FINE_TUNED.vary(
            "What does it give to train on all of the network?", training={"epochs": 4}, augment=AUGMENT
        ),
        "scratch": SCRATCH.replace(model=V7.model, augment=AUGMENT, image_size=64).vary(
            "What does an own network learn from the same images?", training={"epochs": 12}
        ),
        "blend": Ensemble(why="Do both know more together?", of=("frozen", "fine_tuned"), how="blend"),
    },
    split=Split(test=0.1, val=0.1),
    profiles={
        "smoke": Profile(images_per_class=12, epochs=0.01, filters=0.1, seeds=1, minutes=5, explain=EXPLAIN_SMOKE),
        "quick": Profile(seeds=2, minutes=80),
        "full": Profile(epochs=3.0, filters=2.0, seeds=5, minutes=1440, explain=EXPLAIN_FULL),
    },
)
