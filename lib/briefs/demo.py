"""The drawn demo set: the whole road in minutes, with nothing to download."""

from lib.briefs.caltech256 import AUGMENT
from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.config import Experiment, Model, Profile, Split, Training

BASELINE = Experiment(
    why="How far do three convolutions with batch normalisation, pooling and one hidden layer get?",
    model=Model("simple_cnn", filters=(16, 32, 64), blocks=(1, 1, 1), batch_norm=True),
    training=Training(epochs=12, batch_size=32, learning_rate=0.02),
    image_size=32,
)

BRIEF = CALTECH_256.replace(
    name="demo",
    title="Drawn objects",
    question="Which choices buy accuracy on a small set of drawn objects before busy backgrounds?",
    dataset="demo",
    asked_accuracy=None,
    baseline="baseline",
    best="best",
    experiments={
        "softmax": BASELINE.vary(
            "What do the pixels give without any hidden layer?",
            model={"name": "softmax", "batch_norm": False},
            training={"learning_rate": 0.002},
        ),
        "naive": BASELINE.vary("What is lost without batch normalisation?", model={"batch_norm": False}),
        "baseline": BASELINE,
        "dropout": BASELINE.vary("Does dropout close the gap between train and val?", model={"dropout": 0.5}),
        "augment": BASELINE.vary("Do flips, small turns, shifts and zooms help more than dropout?", augment=AUGMENT),
        "pixels_64": BASELINE.vary("Do the objects need more than 32 pixels?", image_size=64),
        "residual": BASELINE.vary("Do shortcuts and global pooling beat a flat stack?", model={"name": "residual"}),
        "best": Experiment(
            why="How far do all lessons together go?",
            model=Model("residual", filters=(32, 64, 128, 256), blocks=(1, 1, 1, 1), stem_stride=2, batch_norm=True),
            training=Training(
                epochs=24, batch_size=32, learning_rate=0.05, weight_decay=0.005, label_smoothing=0.1, sizes=(48,)
            ),
            augment=AUGMENT,
            image_size=64,
            mirror_average=True,
        ),
    },
    split=Split(test=0.2, val=0.2),
    profiles={
        "smoke": Profile(images_per_class=8, epochs=0.01, filters=0.1, seeds=1, minutes=5),
        "quick": Profile(seeds=3, minutes=10),
        "full": Profile(epochs=3.0, seeds=5, minutes=120),
    },
)
