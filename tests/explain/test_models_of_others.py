"""Models that were not made here: files of Keras 2, the networks that come with Keras, models inside models."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from lib.explain.attributions.grad_cam import grad_cam
from lib.explain.network.layers import read_layers
from lib.explain.network.logits import explained_at, read_logits
from lib.explain.scoring.pointing_game import compare_layers

RNG = np.random.default_rng(0)


def keras_2_file(path, layers_of: list[tuple], weights: dict) -> None:
    """An .h5 as Keras 2 writes it: layers (kind, name, settings), one after the other, and the weights of some."""
    first = {"batch_input_shape": [None, 12, 12, 3], "dtype": "float32", "sparse": False, "ragged": False}
    rows, before = [], []
    for kind, name, settings in [("InputLayer", "input_1", first), *layers_of]:
        config = {"name": name, **settings}
        rows.append({"class_name": kind, "config": config, "name": name, "inbound_nodes": before})
        before = [[[name, 0, 0, {}]]]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [[rows[-1]["name"], 0, 0]]}
    config = {"class_name": "Functional", "config": {"name": "model", "trainable": True, "layers": rows, **ends}}
    with h5py.File(path, "w") as file:
        file.attrs.update({"backend": "tensorflow", "keras_version": "2.15.0", "model_config": json.dumps(config)})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [row["name"] for row in rows]
        for row in rows:
            own = group.create_group(row["name"])
            names = {f"{row['name']}/{part}:0": values for part, values in weights.get(row["name"], {}).items()}
            own.attrs["weight_names"] = list(names)
            for name, values in names.items():
                own[name] = values.astype(np.float32)


def test_a_file_of_keras_2_is_explained_at_its_logits(tmp_path):
    conv = {"filters": 4, "kernel_size": [3, 3], "activation": "relu", "data_format": "channels_last"}
    steps = [("Rescaling", "rescale", {"scale": 1 / 255, "offset": 0.0}), ("Conv2D", "conv", conv)]
    steps += [("BatchNormalization", "norm", {"axis": [3]})]
    steps += [("GlobalAveragePooling2D", "pool", {}), ("Dense", "last", {"units": 3, "activation": "softmax"})]
    kernel, head = RNG.normal(size=(3, 3, 3, 4)), RNG.random((4, 3))
    norm = {"gamma": np.ones(4), "beta": np.ones(4), "moving_mean": np.zeros(4), "moving_variance": np.ones(4)}
    weights = {"conv": {"kernel": kernel, "bias": np.zeros(4)}, "norm": norm}
    keras_2_file(tmp_path / "old.h5", steps, weights | {"last": {"kernel": head, "bias": np.zeros(3)}})
    model = keras.models.load_model(tmp_path / "old.h5", compile=False)
    np.testing.assert_allclose(model.get_layer("last").kernel, head, rtol=1e-6)
    images = RNG.integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
    graph = read_logits(model)
    outputs = graph.read(images, ["pool", graph.output.step])
    np.testing.assert_allclose(outputs[graph.output.step], outputs["pool"] @ head.astype(np.float32), rtol=1e-5)
    assert explained_at(model) == "The model ends in probabilities (last); it is explained at the logits before them."
    assert grad_cam(model, images, 1).max() == 1


@pytest.mark.parametrize(
    ("family", "size", "options"),
    [
        ("VGG16", 32, {}),
        ("ResNet50", 32, {}),
        ("InceptionV3", 75, {}),
        ("Xception", 71, {}),
        ("MobileNetV2", 32, {"alpha": 0.35}),
        ("DenseNet121", 32, {}),
        ("EfficientNetB0", 32, {}),
        ("ConvNeXtTiny", 32, {}),
    ],
)
def test_networks_that_come_with_keras_are_explained_at_their_logits(family, size, options):
    make = getattr(keras.applications, family)
    options = options | {"weights": None, "classes": 4, "classifier_activation": keras.ops.softmax}
    model = make(input_shape=(size, size, 3), **options)
    images = RNG.integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    graph = read_logits(model)
    place, end = graph.find_spatial(), graph.output.step
    (before,) = graph.steps[end].inputs
    outputs = read_layers(model).read(images, [place, before, end])  # with the softmax
    logits = graph.run({before: outputs[before]}, [end])[end]  # without
    np.testing.assert_allclose(graph.link(logits), outputs[end], atol=1e-5)
    assert min(outputs[place].shape[1:3]) > 1 and np.ptp(logits) > 1.1 * np.ptp(outputs[end])
    assert explained_at(model) == f"The model ends in probabilities ({end}); it is explained at the logits before them."
    if len(graph.steps) < 100:  # a pass back through more of them takes long to be traced
        assert grad_cam(model, images, 1).shape == (1, size, size)


def test_layers_of_models_inside_models_are_compared():
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="a2")(layers.Conv2D(4, 3, name="a1")(image / 255.0))
    backbone = keras.Model(image, x, name="backbone")
    head = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(3, activation=keras.ops.softmax)])
    image, masks = keras.Input((12, 12, 3)), np.ones((2, 12, 12), bool)
    images = RNG.integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
    for model in (
        keras.Model(image, head(backbone(image))),
        keras.Sequential([keras.Input((12, 12, 3)), backbone, head]),
    ):
        assert list(read_layers(model).steps)[1:3] == ["backbone/a1", "backbone/a2"]
        table = compare_layers(model, images, 0, masks=masks)
        assert table["layer"].tolist() == ["backbone/a1"] * 2 + ["backbone/a2"] * 2
        assert table["side"].tolist() == [10, 10, 8, 8] and (table["hit"] == 1).all()
