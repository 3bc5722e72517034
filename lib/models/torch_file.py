"""PyTorch's files of weights read without PyTorch, and without running anything that such a file asks for.

Both formats hold pickles, and a pickle is a program. They are read by a restricted unpickler that answers the four
names that arrays of numbers need; everything else is refused.
"""

import io
import pickle
import pickletools
import zipfile
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.config.names import printable
from lib.models.weights import WeightsError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the format before PyTorch 1.6
KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}
MAX_BYTES = 2 * 10**9


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name, from a file that `torch.save(model.state_dict(), ...)` wrote, in the old format or as a zip.

    Args:
        path: the file; where it comes from the net, compare its checksum first.

    Returns:
        Arrays float32 or int64 in the order of the file, with the axes of PyTorch: kernels are (out, in, H, W).

    Raises:
        WeightsError: if the file is cut, damaged, or holds or asks for anything else; nothing in it was executed.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES / 1e9:.0f} GB")
        data = path.read_bytes()
        tensors, storages = (_read_zip if data[:4] == b"PK\x03\x04" else _read_old)(data)
        return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}
    except Exception as error:  # damaged pickles raise nearly anything
        reason = printable(error)[:300] or type(error).__name__
        raise WeightsError(f"{path} was not read as a file of PyTorch weights: {reason}.") from error


class _Storage(NamedTuple):
    kind: str
    key: str
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple
    strides: tuple


class _Dict(dict):
    """Stands for an OrderedDict; what a pickle sets on it besides its items, PyTorch's version numbers, is dropped."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream):
        super().__init__(stream)
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return _Dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, strides, *flags: _Tensor(storage, offset, size, strides)
        if module == "torch" and name in KINDS:
            return KINDS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid):
        word, kind, key, _, count, *view = pid
        plain = word == "storage" and kind in KINDS.values() and type(key) is str and type(count) is int
        if not plain or count < 0 or view not in ([], [None]):
            raise pickle.UnpicklingError("it names a storage in an unknown way")
        storage = _Storage(kind, key, count)
        if self.storages.setdefault(key, storage) != storage:
            raise pickle.UnpicklingError(f"it names the storage {key} with two sizes")
        return storage


def _load(stream: io.BytesIO) -> tuple[object, dict[str, _Storage]]:
    """The next pickle of a stream, and the storages that it names."""
    start, size = stream.tell(), stream.getbuffer().nbytes
    for code, argument, _ in pickletools.genops(stream):  # the unpickler would take memory for that many objects
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > size:
            raise pickle.UnpicklingError("it numbers more objects than it can hold")
    end = stream.tell()
    stream.seek(start)
    unpickler = _Unpickler(io.BytesIO(stream.read(end - start)))
    return unpickler.load(), unpickler.storages


def _read_old(data: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Five pickles in a row, then for each storage its length and its numbers."""
    stream = io.BytesIO(data)
    if [_load(stream)[0], _load(stream)[0]] != [MAGIC, PROTOCOL]:
        raise ValueError("it is a pickle of another kind")
    system = _load(stream)[0]
    if type(system) is not dict or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    (tensors, named), (keys, _) = _load(stream), _load(stream)
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(named):
        raise ValueError("its storages are not those of its arrays")
    storages, position = {}, stream.tell()
    for key in keys:
        kind, _, count = named[key]
        start, position = position + 8, position + 8 + count * np.dtype(kind).itemsize
        if position > len(data):
            raise ValueError(f"it is cut: {len(data):,} bytes of at least {position:,}")
        if int.from_bytes(data[start - 8 : start], "little") != count:
            raise ValueError(f"the storage {key} has another length than its arrays say")
        storages[key] = np.frombuffer(data, kind, count, start)
    if position != len(data):
        raise ValueError(f"it has {len(data) - position:,} bytes behind its last number")
    return _checked(tensors), storages


def _read_zip(data: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """`<name>/data.pkl`, and each storage as `<name>/data/<key>`, not compressed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
            raise ValueError("it is compressed, which PyTorch's files are not")
        root = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
        if len(root) != 1:
            raise ValueError("it is a zip file without one data.pkl")
        if f"{root[0]}byteorder" in members and archive.read(f"{root[0]}byteorder") != b"little":
            raise ValueError("its numbers are not little-endian")
        tensors, named = _load(io.BytesIO(archive.read(f"{root[0]}data.pkl")))
        storages = {}
        for key, (kind, _, count) in named.items():
            name = f"{root[0]}data/{key}"
            if name not in members or members[name].file_size != count * np.dtype(kind).itemsize:
                raise ValueError(f"the storage {key} is missing or has another length than its arrays say")
            storages[key] = np.frombuffer(archive.read(name), kind)
    return _checked(tensors), storages


def _checked(tensors: object) -> dict[str, _Tensor]:
    if not isinstance(tensors, dict):
        raise ValueError(f"it holds a {type(tensors).__name__}, not a dictionary of arrays")
    for name, tensor in tensors.items():
        if type(name) is not str or type(tensor) is not _Tensor or type(tensor.storage) is not _Storage:
            raise ValueError("it holds other things than arrays with names")
    return tensors


def _array(name: str, tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """One array, copied out of its storage; PyTorch's arrays may lie there in any order of their axes."""
    flat, (_, offset, size, strides) = storages[tensor.storage.key], tensor
    tuples = type(size) is tuple and type(strides) is tuple and len(size) == len(strides)
    if not tuples or not all(type(number) is int and number >= 0 for number in (offset, *size, *strides)):
        raise ValueError(f"the array {name} has an impossible shape")
    last = offset + sum((length - 1) * stride for length, stride in zip(size, strides, strict=True))
    if prod(size) > len(flat) or prod(size) and last >= len(flat):
        raise ValueError(f"the array {name} reaches beyond its {len(flat):,} numbers")
    steps = [flat.itemsize * stride for stride in strides]
    return np.array(np.lib.stride_tricks.as_strided(flat[offset:], size, steps, writeable=False), order="C")
