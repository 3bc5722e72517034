"""Multinomial logistic regression on the pixels."""

from dataclasses import dataclass
from typing import ClassVar

from lib.models.family import Family


@dataclass(frozen=True)
class Softmax(Family):
    """No hidden layer: the floor that every network must beat."""

    grey: bool = False  # see the mean of the three channels

    name: ClassVar[str] = "softmax"

    def features(self, x):
        from lib.models import blocks

        return blocks.flat_pixels(x, grey=self.grey)
