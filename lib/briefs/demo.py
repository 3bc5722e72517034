"""The drawn demo set: the whole road in minutes, with nothing to download."""

from lib.briefs.caltech256 import BRIEF as CALTECH_256
from lib.config import Profile, Split

BRIEF = CALTECH_256.replace(
    name="demo",
    title="Drawn objects",
    question="Which choices buy accuracy on a small set of drawn objects with busy backgrounds?",
    dataset="demo",
    asked_accuracy=None,
    split=Split(test=0.2, val=0.1),
    profiles={
        "smoke": Profile(images_per_class=8, epochs=0.01, filters=0.1, seeds=1, minutes=5),
        "quick": Profile(seeds=3, minutes=10),
        "full": Profile(epochs=2.0, seeds=5, minutes=60),
    },
)
