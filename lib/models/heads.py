"""What is fitted on features: logistic regression, dense layers, a random forest; settings beside what they build."""

from dataclasses import dataclass, field
from typing import ClassVar

from lib.config import FeatureModel, Training


@dataclass(frozen=True)
class HeadNetwork(FeatureModel):
    """Base of the heads that are networks."""

    def logits(self, features, num_classes: int):
        """Keras tensor (B, F) -> (B, num_classes)."""
        raise NotImplementedError

    def build(self, num_classes: int, *, features: int):
        """The head alone: `keras.Model` from (B, features) float32 to (B, num_classes) float32 logits."""
        import keras

        x = keras.Input((features,), name="features")
        return keras.Model(x, self.logits(x, num_classes), name=self.name)


@dataclass(frozen=True)
class LogisticRegression(HeadNetwork):
    """One linear layer, fitted to the end by L-BFGS on features of zero mean and unit spread."""

    strengths: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01)  # inverse L2 penalties, of which val chooses one

    name: ClassVar[str] = "logistic"

    def rules(self) -> dict[str, bool]:
        return {"strengths are positive": min(self.strengths, default=0) > 0}

    def logits(self, features, num_classes: int):
        from keras import layers

        return layers.Dense(num_classes, dtype="float32", name="logits")(features)


@dataclass(frozen=True)
class DenseHead(HeadNetwork):
    """Dense layers with ReLU and dropout, batch norm after the first one, as the CIFAR-100 brief has them."""

    units: tuple[int, ...] = (512, 256)
    dropout: tuple[float, ...] = (0.3, 0.4)
    training: Training = field(
        default_factory=lambda: Training(epochs=8, optimizer="adamw", learning_rate=0.001, schedule="cosine")
    )

    name: ClassVar[str] = "dense"

    def rules(self) -> dict[str, bool]:
        return {
            "units has one layer at least, and as many numbers as dropout": len(self.units) == len(self.dropout) > 0,
            "training.sizes is for images": not self.training.sizes,
            "units are positive and dropout lies in [0, 1)": min(self.units, default=0) > 0
            and all(0 <= rate < 1 for rate in self.dropout),
        }

    def scale(self, epochs: float) -> "DenseHead":
        """The same head with its epochs times a factor, if that makes them fewer."""
        few = max(1, round(self.training.epochs * min(1.0, epochs)))
        return self.replace(training=self.training.replace(epochs=few))

    def logits(self, features, num_classes: int):
        from keras import layers

        x = features
        for number, (units, rate) in enumerate(zip(self.units, self.dropout, strict=True), start=1):
            name = f"Dense_{number}__"
            x = layers.Dense(units, name=f"{name}dense")(x)
            x = layers.ReLU(name=f"{name}relu")(x)
            x = layers.BatchNormalization(name=f"{name}batchnorm")(x) if number == 1 else x
            x = layers.Dropout(rate, name=f"{name}dropout")(x)
        return layers.Dense(num_classes, dtype="float32", name="logits")(x)


@dataclass(frozen=True)
class Forest(FeatureModel):
    """A random forest (Breiman 2001) of scikit-learn."""

    trees: int = 200

    name: ClassVar[str] = "forest"

    def rules(self) -> dict[str, bool]:
        return {"trees is positive": self.trees > 0}

    def scale(self, epochs: float) -> "Forest":
        """A smaller forest, if the factor makes it one; at least four trees."""
        return self.replace(trees=max(4, round(self.trees * min(1.0, epochs))))
