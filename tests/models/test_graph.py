"""The graph for TensorBoard: one scope a block, unique names, nothing that only fills the picture."""

import keras
import pytest
import tensorflow as tf

from lib.config import Experiment, Training
from lib.models import ConvBlocks, LayerList, Residual, SimpleCnn, Softmax
from lib.models.graph import graph_def, layer_sizes, networks

FAMILIES = [
    Softmax(),
    SimpleCnn(filters=(4, 8), convolutions=2, batch_norm=True, dropout=0.5),
    ConvBlocks(filters=(4, 8), convolutions=2, dropout=0.5),
    ConvBlocks(filters=(4, 8), convolutions=2, dropout=0.5, stem=4, early_pooling=True),
    Residual(filters=(4, 8), blocks=(1, 2), dropout=0.5),
]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda model: model.name)
def graph(request):
    return graph_def(request.param.build(3, image_size=16))


def test_names_are_unique_and_inputs_exist(graph):
    names = [node.name for node in graph.node]
    assert len(names) == len(set(names))
    inputs = {name.lstrip("^").split(":")[0] for node in graph.node for name in node.input}
    assert inputs <= set(names)
    assert not [node for node in graph.node if node.op == "NoOp"]
    assert not [name for name in names if "__" in name]


def test_the_top_level_holds_blocks_and_no_model(graph):
    top = {node.name.split("/")[0] for node in graph.node}
    assert {"image", "logits"} <= top
    assert not top & {"softmax", "simple_cnn", "conv_blocks", "residual"}


def scopes(family, prefix: str) -> set[str]:
    """Names one level below a scope."""
    graph = graph_def(family.build(3, image_size=16))
    inside = [node.name for node in graph.node if node.name.startswith(f"{prefix}/")]
    return {name.removeprefix(f"{prefix}/").split("/")[0] for name in inside}


def test_a_block_opens_to_its_layers():
    expected = {"conv", "batchnorm", "relu", "dropout", "pool"}
    flat, deep = ConvBlocks(filters=(4, 8), convolutions=1, dropout=0.5), ConvBlocks(filters=(4, 8), dropout=0.5)
    assert scopes(flat, "Block_4") == expected
    assert scopes(deep, "Block_8") == {"unit_1", "unit_2", "dropout", "pool"}
    assert scopes(deep, "Block_8/unit_2") == {"conv", "batchnorm", "relu"}
    assert scopes(flat.replace(dropout=0.0), "Block_4") == expected - {"dropout"}


def test_residual_blocks_nest():
    family = Residual(filters=(4, 8), blocks=(1, 2))
    assert scopes(family, "Block_8") == {"block_1", "block_2"}
    assert {"unit_1", "unit_2", "shortcut_conv", "add"} <= scopes(family, "Block_8/block_1")


def test_each_network_of_a_ladder_is_built_once():
    small = Experiment(why="Small?", model=Softmax(), image_size=8)
    ladder = {"small": small, "large": small.replace(image_size=16), "long": small.replace(training=Training(epochs=9))}
    found = networks(ladder, 3)
    assert {names: sum(parameters for *_, parameters in boxes) for names, boxes in found.items()} == {
        "small, long": (8 * 8 * 3 + 1) * 3,
        "large": (16 * 16 * 3 + 1) * 3,
    }


def test_any_flat_keras_model_will_do():
    image = keras.Input((4, 4, 3), name="image")
    x = keras.layers.Conv2D(2, 3, name="conv")(image)
    x = keras.layers.Conv2D(2, 1, name="conv_1")(x)  # a name that looks like Keras' own numbering
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="net")
    top = {node.name.split("/")[0] for node in graph_def(model).node}
    assert {"image", "conv", "conv_1", "pool"} <= top


class Scoped(keras.layers.Layer):
    """A layer with a scope of its own inside."""

    def call(self, x):
        with tf.name_scope("b"):
            return tf.nn.relu(x)


def test_two_nodes_of_one_name_are_refused():
    image = keras.Input((4, 4, 3), name="image")
    x = Scoped(name="a")(image)
    model = keras.Model(image, keras.layers.ReLU(name="a__b")(x), name="net")
    with pytest.raises(ValueError, match="two nodes of the graph have one name; give the layers .* different names"):
        graph_def(model)


def test_the_table_of_layers_says_what_goes_in_and_out():
    layers = ("conv 4 5", "relu", "max", "dropout 0.25", "flatten", "dense 6")
    rows = layer_sizes(LayerList(layers=layers).build(3, image_size=10))
    assert [row["layer"] for row in rows][:3] == ["rescale", "Block_1__conv", "Block_1__relu"]
    conv, relu, pool, dropout, flat, dense, logits = rows[1:]
    assert conv["kernel"] == "5 × 5" and conv["extras"] == "strides 1, valid padding" and conv["parameters"] == 304
    assert (conv["input"], conv["output"]) == ("10 × 10 × 3", "6 × 6 × 4") and relu["kernel"] == relu["extras"] == ""
    assert (pool["kind"], pool["kernel"], pool["output"]) == ("MaxPooling2D", "2 × 2", "3 × 3 × 4")
    assert dropout["extras"] == "rate 0.25" and (flat["output"], dense["output"], logits["output"]) == ("36", "6", "3")
