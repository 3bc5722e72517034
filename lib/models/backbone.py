"""What every pretrained network has: published weights, layers to cut it at, and a part that stays as it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib.models.family import Family
from lib.models.weights import Weights, WeightsError


@dataclass(frozen=True)
class Backbone(Family):
    """Base of the pretrained families: a network cut at one of its layers, whose output are the features.

    A backbone has `network`, which draws it, `published`, which says whose weights these are, and its own `load`.
    """

    weights: str = "imagenet"  # or random: the same network untrained, e.g. for a comparison or a test
    cut: str = ""  # the layer whose output are the features
    trained_from: str = ""  # the first layer, or block, that is trained; empty: all of it is frozen
    flatten: bool = False  # maps at the cut become one row of all values, else the mean of each channel

    cuts: ClassVar[tuple[str, ...]]  # layers to cut at, from the image on
    smallest: ClassVar[int]  # pixels per side
    pixel_scale: ClassVar[float | tuple[float, ...]] = 1.0  # what its weights expect is scale * pixel + offset, where
    pixel_offset: ClassVar[float | tuple[float, ...]] = 0.0  # three numbers are those of red, green and blue

    @property
    def any_size(self) -> bool:
        return not self.flatten

    def rules(self) -> dict[str, bool]:
        return {
            "weights is imagenet or random": self.weights in ("imagenet", "random"),
            f"cut is one of {', '.join(self.cuts)}": self.cut in self.cuts,
        }

    def smallest_side(self) -> int:
        return self.smallest

    def sources(self) -> list[Path]:
        here = ("backbone.py", "torch_file.py", "weights.py")
        return [*super().sources(), *(Path(__file__).with_name(name) for name in here)]

    def check(self, num_classes: int, image_size: int | None) -> None:
        import keras

        super().check(num_classes, image_size)
        if keras.config.image_data_format() != "channels_last":
            raise ValueError(
                f"{self.name} reads images (height, width, channels), and Keras is set to channels first: change "
                "image_data_format in keras.json to channels_last."
            )

    def network(self, x, *, top: bool):
        """Keras tensor of scaled pixels (B, S, S, 3) -> output of the last layer to cut at; with `top` 1000 logits."""
        raise NotImplementedError

    def published(self, *, top: bool = False) -> Weights:
        """The file of its weights; with `top` the one that has the layers of the 1000 classes too."""
        raise NotImplementedError

    def load(self, model, file: Path) -> None:
        """Put the weights of a checked file, here one of Keras, into the network that `network` drew."""
        model.load_weights(file)

    def fetch(self) -> str:
        """Get its weights ahead of a run; one line says whose they are, or why they cannot be had."""
        if self.weights == "random":
            return f"{self.name}: random weights, nothing to get"
        try:
            source = self.published()
            return f"{self.name}: {source.find()}, trained by {source.trained_by}; licence: {source.licence}"
        except WeightsError as error:
            return f"{self.name}: {error}"

    def build(self, num_classes: int, *, image_size: int | None = None):
        """The network with new logits on its features; arguments and result are those of `Family.build`.

        Batch normalisation is frozen whatever is trained: its layers keep weights and statistics under `fit` too.

        Raises:
            ValueError: as `Family.build`, or if there is no layer `trained_from`.
            WeightsError: if the weights cannot be had or are not what they should be.
        """
        import keras

        self.check(num_classes, image_size)
        features = self.extractor(image_size=image_size)
        logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features.output)
        return keras.Model(features.input, logits, name=self.name)

    def extractor(self, *, image_size: int | None = None):
        """The network up to its cut.

        Args:
            image_size: side of the images in pixels; None accepts any size, where the family pools globally.

        Returns:
            Flat functional `keras.Model`: (B, S, S, 3) uint8 or float in [0, 255] -> (B, F) features.

        Raises:
            ValueError, WeightsError: as `build`.
        """
        whole = self._whole(image_size, top=False)
        return up_to(whole, whole.get_layer(self.cut).output, trained_from=self.trained_from, flatten=self.flatten)

    def with_own_head(self, *, image_size: int | None = None):
        """The whole network as it was trained, frozen: (B, S, S, 3) pixels -> (B, 1000) logits.

        Its classes are those of ImageNet's challenge in the order of their sorted wnids.

        Raises:
            ValueError, WeightsError: as `build`.
        """
        model = self._whole(image_size, top=True)
        model.trainable = False
        return model

    def _whole(self, image_size: int | None, *, top: bool):
        import keras

        self.check(1000, image_size)
        file = self.published(top=top).find() if self.weights == "imagenet" else None
        image = keras.Input((image_size, image_size, 3), name="image")
        x = keras.layers.Rescaling(self.pixel_scale, self.pixel_offset, name="rescale")(image)
        model = keras.Model(image, self.network(x, top=top), name=self.name)
        if file is not None:
            self.load(model, file)
        return model


def up_to(whole, maps, *, trained_from: str = "", flatten: bool = False):
    """A network up to the output of one of its layers, which becomes (B, F) features; frozen up to a layer or block.

    Batch normalisation is frozen everywhere.

    Raises:
        ValueError: if there is no layer or block `trained_from`.
    """
    import keras

    if len(maps.shape) == 4:
        pool = keras.layers.Flatten if flatten else keras.layers.GlobalAveragePooling2D
        maps = pool(name="features")(maps)
    model = keras.Model(whole.input, maps, name=whole.name)
    names = [layer.name for layer in model.layers]
    # `Block_3` is the block of `Block_3__add`, and `block3` that of `block3_add`
    blocks = [name.partition("__" if "__" in name else "_")[0] for name in names]
    first = next((i for i in range(len(names)) if trained_from in (names[i], blocks[i])), None)
    if trained_from and first is None:
        raise ValueError(
            f"{whole.name} has no layer or block {trained_from!r} up to its cut to be trained from. "
            f"Blocks: {', '.join(dict.fromkeys(blocks[2:]))}"
        )
    for number, layer in enumerate(model.layers):
        layer.trainable = bool(trained_from) and number >= first
    for layer in model.layers:  # last: what makes a whole model trainable switches them on again
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model


def assign(model, arrays: dict, *, name_of: Callable[[str], str]) -> None:
    """Put arrays with the names, axes and order of PyTorch into the layers of a Keras model.

    Args:
        model: flat model; its layers need not be all that the arrays have.
        arrays: numpy arrays by name, e.g. of `torch_file.read_state_dict`.
        name_of: the layer's name in PyTorch, from its name in the model.

    Raises:
        WeightsError: if an array is missing or has another shape.
    """
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    words = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
    words |= {"moving_variance": "running_var"}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{name_of(layer.name)}.{words.get(variable.name, variable.name)}"
            array = arrays.get(name)
            if array is None:
                raise WeightsError(f"The weights of {model.name} lack the array {name}.")
            order = (2, 3, 0, 1) if "Depthwise" in type(layer).__name__ else axes.get(array.ndim)
            if len(order or ()) != array.ndim or array.transpose(order).shape != tuple(variable.shape):
                raise WeightsError(
                    f"The array {name} of the weights of {model.name} does not fit {layer.name}, which needs "
                    f"{tuple(variable.shape)} in Keras' order of axes. Received: {array.shape} in PyTorch's"
                )
            variable.assign(array.transpose(order))
