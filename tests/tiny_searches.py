"""Tiny searches on the tinted images of `tiny_transfers`: what several test files share."""

from dataclasses import dataclass

import tiny_transfers

from lib.config import Experiment, Found, Search, Space, Training
from lib.inputs.cache import open_images
from lib.models.family import Family
from lib.training.fit import Data
from lib.training.open_brief import OpenBrief


@dataclass(frozen=True)
class Dot(Family):
    """One dense layer, built in no time; it can be told to fail."""

    units: int = 4
    fault: str = ""

    name = "dot"

    def features(self, x):
        from keras import layers

        if self.fault:
            raise {"memory": MemoryError, "name": KeyError, "value": ValueError}[self.fault]("at once")
        return layers.Dense(self.units)(layers.Flatten()(x))


START = Experiment(
    why="?",
    model=Dot(),
    training=Training(epochs=3, batch_size=16, learning_rate=0.01, schedule="constant"),
    image_size=16,
)
SPACE = Space(start=START, choices={"model.units": (4, 8), "training.learning_rate": (0.01, 0.1)}, order="random")


def data() -> Data:
    """All images of the brief."""
    whole = opened()
    return Data(lambda side: open_images(whole.dataset, size=side), whole.split.train, whole.split.val)


def opened(space: Space = SPACE, *, minutes: float = 1.0) -> OpenBrief:
    """A brief with the search `short`, and `found` by it."""
    whole = tiny_transfers.opened()
    searches = {
        "short": Search(why="?", space=space, minutes=minutes),
        "found": Found(why="?", search="short", epochs=2),
    }
    return OpenBrief(whole.brief.replace(searches=searches), "quick", whole.dataset, whole.split)
