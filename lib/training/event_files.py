"""Scalars and graphs read back from TensorBoard's event files, so that a report draws what TensorBoard shows.

TensorFlow is not needed, and its seconds of import are not spent: TensorBoard brings a reader of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.util import tensor_util

from lib.training.runs import Run

# Per folder of a run: name of the scalar in TensorBoard, without `epoch_`, and its column in history.csv.
SCALARS = {
    "train": {"loss": "loss", "accuracy": "accuracy", "learning_rate": "learning_rate"},
    "validation": {"loss": "val_loss", "accuracy": "val_accuracy"},
}


class EventFileError(ValueError):
    """An event file is damaged, or lacks what was asked of it."""


def read_history(run: Run) -> pd.DataFrame:
    """The epochs of a run as TensorBoard has them: the columns of `Run.history` but for image size and seconds.

    Args:
        run: a trained run.

    Returns:
        One row per epoch: epoch, loss, accuracy, learning_rate, val_loss, val_accuracy; float32 in the files.

    Raises:
        EventFileError: if a scalar is missing, the epochs of two differ, or a file is damaged.
    """
    columns = {}
    for part, names in SCALARS.items():
        scalars = read_scalars(run.folder / part)
        for scalar, column in names.items():
            if f"epoch_{scalar}" not in scalars:
                raise EventFileError(f"{run.id} has no event file with epoch_{scalar} in {part}/. Run it again.")
            columns[column] = scalars[f"epoch_{scalar}"]
    if len({tuple(column.index) for column in columns.values()}) > 1:
        raise EventFileError(f"the scalars of {run.id} have different epochs: the run was cut short. Run it again.")
    return pd.DataFrame(columns).rename_axis("epoch").reset_index()


def read_scalars(folder: Path) -> dict[str, pd.Series]:
    """All scalars of the event files in one folder: tag -> float64 values by step, the later one if written twice.

    Raises:
        EventFileError: if a file is damaged.
    """
    found: dict[str, dict[int, float]] = {}
    for event in _events(folder):
        for value in event.summary.value:
            if value.HasField("tensor") and not value.tensor.tensor_shape.dim:
                found.setdefault(value.tag, {})[event.step] = float(tensor_util.make_ndarray(value.tensor))
    return {tag: pd.Series(values, dtype="float64").sort_index() for tag, values in found.items()}


def read_graph(run: Run) -> dict[str, list[str]]:
    """The boxes of a run's graph as TensorBoard's Graphs page shows them when it opens.

    Returns:
        Name of each box, in the order of the graph's nodes -> names of what is directly inside; none in a single node.

    Raises:
        EventFileError: if the run has no graph, or the file is damaged.
    """
    for event in _events(run.folder / "graph"):
        if event.graph_def:
            boxes: dict[str, dict[str, None]] = {}
            for node in GraphDef.FromString(event.graph_def).node:
                top, *inside = node.name.split("/")
                boxes.setdefault(top, {}).update(dict.fromkeys(inside[:1]))
            return {name: list(inside) for name, inside in boxes.items()}
    raise EventFileError(f"{run.id} has no graph for TensorBoard. Run it again.")


def _events(folder: Path) -> Iterator[Event]:
    for file in sorted(folder.glob("events.out.tfevents.*")):
        reader = PyRecordReader_New(str(file))
        try:
            while True:
                reader.GetNext()
                yield Event.FromString(reader.curr_event)
        except errors.OutOfRangeError:
            continue
        except errors.DataLossError as error:
            if "truncated" not in str(error):  # a killed process leaves its last record short
                raise EventFileError(f"{file} is damaged: the run must be made again.") from error
