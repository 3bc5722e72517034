"""A tiny experiment on the photos of `conftest.photos`, trained as any other: what several test files share."""

from lib.config import Augment, Brief, Experiment, Profile, Split, Training
from lib.datasets import splits
from lib.models import Residual
from lib.training.jobs import run_job
from lib.training.network import NetworkJob
from lib.training.open_brief import OpenBrief

TINY = Experiment(
    why="Does training work?",
    model=Residual(filters=(4, 8), blocks=(1, 1), stem_stride=2, dropout=0.2),
    training=Training(epochs=4, batch_size=4, learning_rate=0.01, weight_decay=0.001, sizes=(12,)),
    augment=Augment(flip=True, shift=0.1, colour=0.2, cutmix=0.5),
    image_size=16,
    mirror_average=True,
)
LONG = TINY.replace(training=TINY.training.replace(epochs=30))


def opened(photos, **experiments) -> OpenBrief:
    """A brief on the photos, with the experiment `tiny` and further ones."""
    brief = Brief(
        name="tests",
        title="Photos",
        question="Does it run?",
        dataset="folder",
        baseline="tiny",
        best="tiny",
        experiments={"tiny": TINY, **experiments},
        profiles={name: Profile() for name in ("smoke", "quick", "full")},
    )
    return OpenBrief(brief, "quick", photos, splits.make_split(photos, Split(test=0.2, val=0.2)))


def job(photos, experiment=TINY, *, name="tiny", seed=0) -> NetworkJob:
    """The job of an experiment on the photos."""
    return NetworkJob(opened(photos, **{name: experiment}), name, experiment, seed)


def train(photos, experiment=TINY, *, name="tiny", seed=0):
    """The run of an experiment on the photos."""
    return run_job(job(photos, experiment, name=name, seed=seed))
