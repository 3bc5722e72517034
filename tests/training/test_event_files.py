"""lib.training.event_files: what TensorBoard shows is what history.csv says, and damage is found."""

import struct
import subprocess
import sys

import pandas as pd
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.util.tensor_util import make_tensor_proto
from tiny_training import train

from lib.config import paths
from lib.models import graph
from lib.training import event_files
from lib.training.event_files import EventFileError
from lib.training.runs import Run


def record(event):
    content = event.SerializeToString()
    length = struct.pack("<Q", len(content))
    sums = [struct.pack("<I", masked_crc32c(part)) for part in (length, content)]
    return length + sums[0] + content + sums[1]


def scalar(step, **values):
    event = Event(step=step, wall_time=1.8e9 + step)
    for tag, value in values.items():
        entry = event.summary.value.add(tag=tag, tensor=make_tensor_proto(value, dtype="float32"))
        entry.metadata.plugin_data.plugin_name = "scalars"
    return record(event)


def graph_of(*names):
    """An event with a chain of nodes."""
    graph = GraphDef()
    for before, name in zip([None, *names], names, strict=False):
        graph.node.add(name=name, op="Identity", input=[before] if before else [])
    return record(Event(graph_def=graph.SerializeToString()))


def write(folder, *records, name="events.out.tfevents.1"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"".join(records))
    return folder / name


def test_event_files_hold_what_history_holds(photos):
    run = train(photos)
    columns = ["epoch", "loss", "accuracy", "learning_rate", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(event_files.read_history(run), run.history()[columns], rtol=1e-6)
    boxes = event_files.read_graph(run)
    drawn = [name for name, *_ in graph.blocks(run.load_model())]
    assert set(drawn) <= set(boxes) and boxes["Block_4"] == ["block_1"]


def test_scalars_are_read_in_the_order_of_their_steps(tmp_path):
    write(tmp_path, scalar(3, loss=0.5), scalar(1, loss=2, accuracy=0.25), scalar(3, loss=0.75))
    write(tmp_path, scalar(2, loss=1), name="events.out.tfevents.2")
    write(tmp_path / "below", scalar(9, loss=9))
    found = event_files.read_scalars(tmp_path)
    assert found["loss"].to_dict() == {1: 2.0, 2: 1.0, 3: 0.75} and found["accuracy"].to_dict() == {1: 0.25}
    assert event_files.read_scalars(tmp_path / "nowhere") == {}


def test_what_is_not_a_single_number_is_no_scalar(tmp_path):
    event = Event(step=0)
    event.summary.value.add(tag="row", tensor=make_tensor_proto([1.0, 2.0]))
    event.summary.value.add(tag="nothing")
    write(tmp_path, record(event))
    assert event_files.read_scalars(tmp_path) == {}


@pytest.mark.parametrize("cut", [1, 4, 9, 20])
def test_the_record_that_a_killed_process_left_short_is_left_out(tmp_path, cut):
    file = write(tmp_path, scalar(1, loss=2), scalar(2, loss=1))
    file.write_bytes(file.read_bytes()[:-cut])
    assert event_files.read_scalars(tmp_path)["loss"].to_dict() == {1: 2.0}


@pytest.mark.parametrize("place", [2, 9, 20, -2])
def test_a_changed_byte_is_found(tmp_path, place):
    file = write(tmp_path, scalar(1, loss=2))
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(EventFileError, match=r"events.out.tfevents.1 is damaged at byte \d+"):
        event_files.read_scalars(tmp_path)


def test_a_run_without_its_scalars_or_its_graph_is_refused_by_name(tmp_path):
    run = Run(tmp_path / "tiny-seed0-1")
    every = {"epoch_loss": 1, "epoch_accuracy": 0.5, "epoch_learning_rate": 0.1}
    with pytest.raises(EventFileError, match="tiny-seed0-1 has no event file with epoch_loss in train/"):
        event_files.read_history(run)
    write(run.folder / "train", scalar(1, **every), scalar(2, **every))
    with pytest.raises(EventFileError, match="no event file with epoch_loss in validation/"):
        event_files.read_history(run)
    write(run.folder / "validation", scalar(1, epoch_loss=1, epoch_accuracy=0.5))
    with pytest.raises(EventFileError, match="tiny-seed0-1 have different epochs"):
        event_files.read_history(run)
    with pytest.raises(EventFileError, match="tiny-seed0-1 has no graph"):
        event_files.read_graph(run)


def test_a_graph_is_read_as_boxes_in_order(tmp_path):
    graph = graph_of("image", "Block_8/conv/kernel", "Block_8/relu", "Block_8/conv/out", "logits/MatMul")
    write(tmp_path / "graph", record(Event(step=0)), graph)
    expected = {"image": [], "Block_8": ["conv", "relu"], "logits": ["MatMul"]}
    assert list(event_files.read_graph(Run(tmp_path)).items()) == list(expected.items())


def test_tensorflow_is_not_needed():
    code = "import sys; from lib.training import event_files; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=False).returncode == 0
