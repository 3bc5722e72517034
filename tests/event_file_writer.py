"""Small event files of TensorBoard, written without TensorFlow."""

import struct

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.util.tensor_util import make_tensor_proto


def record(event):
    """One event as a record of an event file."""
    content = event.SerializeToString()
    length = struct.pack("<Q", len(content))
    sums = [struct.pack("<I", masked_crc32c(part)) for part in (length, content)]
    return length + sums[0] + content + sums[1]


def scalar(step, **values):
    """A record with the scalars of one step, by tag."""
    event = Event(step=step, wall_time=1.8e9 + step)
    for tag, value in values.items():
        entry = event.summary.value.add(tag=tag, tensor=make_tensor_proto(value, dtype="float32"))
        entry.metadata.plugin_data.plugin_name = "scalars"
    return record(event)


def graph_of(*names):
    """A record with a graph: a chain of nodes."""
    graph = GraphDef()
    for before, name in zip([None, *names], names, strict=False):
        graph.node.add(name=name, op="Identity", input=[before] if before else [])
    return record(Event(graph_def=graph.SerializeToString()))


def write(folder, *records, name="events.out.tfevents.1"):
    """Write an event file; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"".join(records))
    return folder / name
