"""Files as PyTorch writes them, opcode by opcode: its pickles are made here without PyTorch."""

import io
import pickle
import struct
import zipfile

import numpy as np

from lib.models.torch_file import MAGIC, PROTOCOL

PROTO = b"\x80\x02"
RNG = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": RNG.normal(size=(4, 3, 2, 5)).astype(np.float32),
    "conv.bias": RNG.normal(size=4).astype(np.float32),
    "bn.num_batches_tracked": np.array(7),
}
# Strides of conv.weight as PyTorch keeps them after a conversion: its storage is in the order (H, W, in, out).
ORDERS = {"conv.weight": (2, 3, 1, 0)}


def word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def row(values) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key: str, size, strides, *, count: int, offset: int = 0, kind: str = "FloatStorage", view: bytes = b"N"):
    """The opcodes of one array; `view` stands in the old format only."""
    storage = b"(" + word("storage") + f"ctorch\n{kind}\n".encode() + word(key) + word("cpu") + number(count) + view
    flags = b"\x89" + b"ccollections\nOrderedDict\n)R"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return rebuild + storage + b"tQ" + number(offset) + row(size) + row(strides) + flags + b"tR"


def state_dict(items: dict[str, bytes]) -> bytes:
    """A pickled OrderedDict with the attribute that PyTorch sets on it."""
    body = b"".join(word(name) + value for name, value in items.items())
    return PROTO + b"ccollections\nOrderedDict\nq\x00)Rq\x01(" + body + b"u}" + word("_metadata") + b"}sb."


def stored(arrays, *, view: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The pickle of arrays, and the bytes of each storage."""
    items, storages = {}, {}
    for position, (name, array) in enumerate(arrays.items()):
        order = ORDERS.get(name, tuple(range(array.ndim)))
        flat, key = np.array(array.transpose(order), order="C"), str(100 + position)
        strides = np.empty(array.ndim, int)
        strides[list(order)] = [step // array.itemsize for step in flat.strides]
        kind = "FloatStorage" if array.dtype == np.float32 else "LongStorage"
        options = {"count": array.size, "kind": kind, "view": view}
        items[name] = tensor(key, array.shape, map(int, strides), **options)
        storages[key] = flat.tobytes()
    return state_dict(items), storages


def old_format(pickled: bytes, storages: dict[str, bytes], *, itemsizes=None, keys=None) -> bytes:
    system = pickle.dumps({"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}, 2)
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2) + system + pickled
    tail = pickle.dumps(list(storages) if keys is None else keys, 2)
    for key, content in storages.items():
        tail += struct.pack("<q", len(content) // (itemsizes or {}).get(key, 4)) + content
    return head + tail


def zip_format(pickled: bytes, storages: dict[str, bytes], *, method=zipfile.ZIP_STORED, order=b"little") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("net/data.pkl", pickled)
        archive.writestr("net/byteorder", order)
        for key, content in storages.items():
            archive.writestr(f"net/data/{key}", content)
        archive.writestr("net/version", "3\n")
    return stream.getvalue()


def both_formats(arrays) -> tuple[bytes, bytes]:
    sizes = {str(100 + position): array.itemsize for position, array in enumerate(arrays.values())}
    return old_format(*stored(arrays, view=b"N"), itemsizes=sizes), zip_format(*stored(arrays, view=b""))


def alexnet_arrays(units: int, rng) -> dict[str, np.ndarray]:
    """A random state dict with torchvision's names, shapes and order."""
    shapes = {"features.0": (64, 3, 11, 11), "features.3": (192, 64, 5, 5), "features.6": (384, 192, 3, 3)}
    shapes |= {"features.8": (256, 384, 3, 3), "features.10": (256, 256, 3, 3), "classifier.1": (units, 256 * 36)}
    shapes |= {"classifier.4": (units, units), "classifier.6": (1000, units)}
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.weight"] = (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        arrays[f"{name}.bias"] = rng.normal(size=shape[0]).astype(np.float32) / 10
    return arrays
