"""The drawn demo set: the whole road in minutes, with nothing to download."""

from lib.briefs.caltech256 import AUGMENT
from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.config import EXPLAIN_FULL, EXPLAIN_SMOKE, Experiment, Profile, Split, Training, leave_one_out
from lib.models import Residual

# The first steps of Caltech-256's ladder; with fewer images they take smaller batches and more epochs.
STEPS = ("softmax", "baseline", "augment")
LADDER = {name: CALTECH_256.experiments[name] for name in STEPS}
BEST = Experiment(
    why="How far do all lessons together go?",
    model=Residual(filters=(32, 64, 128, 256), blocks=(1, 1, 1, 1), stem_stride=2),
    training=Training(
        epochs=24, batch_size=32, learning_rate=0.05, weight_decay=0.005, label_smoothing=0.1, sizes=(48,)
    ),
    augment=AUGMENT,
    image_size=64,
    mirror_average=True,
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
        name: experiment.replace(training=experiment.training.replace(epochs=12, batch_size=32))
        for name, experiment in LADDER.items()
    }
    | {"best": BEST},
    ablation=leave_one_out(BEST, epochs=1 / 3, filters=0.5),
    split=Split(test=0.2, val=0.2),
    profiles={
        "smoke": Profile(images_per_class=8, epochs=0.01, filters=0.1, minutes=5, explain=EXPLAIN_SMOKE),
        "quick": Profile(seeds=3, ablation_seeds=2, minutes=10),
        "full": Profile(epochs=3.0, seeds=5, ablation_seeds=5, minutes=120, explain=EXPLAIN_FULL),
    },
)
