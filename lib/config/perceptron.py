"""A fully connected network fitted by hand-written TensorFlow: no Keras layer, optimizer or loss."""

from dataclasses import dataclass

from lib.config.base import Config


@dataclass(frozen=True)
class Perceptron(Config):
    """What `low_level` fits: the network, its images and its way of descending."""

    why: str
    dataset: str  # whose images
    classes: tuple[int, ...] = ()  # two class numbers make a binary classifier with one logit; none takes all classes
    hidden: tuple[int, ...] = (300, 100)  # ReLU units of each hidden layer
    batch_norm: bool = False  # after each hidden layer's product, before its ReLU
    update: str = "gradient_descent"  # gradient_descent or adam
    bias_correction: bool = True  # adam: whether its running means are corrected for starting at zero
    learning_rate: float = 0.01  # constant
    batch_size: int | None = 32  # None takes all images at once: full batch
    epochs: int = 40

    def rules(self) -> dict[str, bool]:
        counts = (*self.hidden, self.epochs, *([] if self.batch_size is None else [self.batch_size]))
        return {
            "why says what the training asks": bool(self.why.strip()),
            "classes holds two different class numbers, or none": len(self.classes) == len(set(self.classes)) in (0, 2),
            "hidden, batch_size and epochs are positive": min(counts) > 0,
            "update is gradient_descent or adam": self.update in ("gradient_descent", "adam"),
            "learning_rate is positive": self.learning_rate > 0,
        }

    def scale(self, *, epochs: float, filters: float) -> "Perceptron":
        """The same training with its epochs and widths times a factor: what a profile makes of it."""
        hidden = tuple(max(4, round(units * filters)) for units in self.hidden)
        return self.replace(epochs=max(1, round(self.epochs * epochs)), hidden=hidden)

    def vary(self, why: str, **changes) -> "Perceptron":
        """The same training with some settings changed.

        Args:
            why: the question the change answers, one line.
            **changes: fields of Perceptron.

        Raises:
            ValueError: if a setting does not exist or has a wrong type.
        """
        return self.replace(why=why, **changes)
