"""Pickled tables of arrays read without running anything: what a pickle asks for is compared with a short list.

A pickle is a program: unpickling an unknown one can run any command. The few callables that CIFAR's files need are
replaced by plain recorders here, so that not even NumPy sees what the file says before it was checked.
"""

import io
import math
import pickle
import pickletools
from pathlib import Path

import numpy as np

from lib.datasets.errors import DataError

MAX_BYTES = 500 * 10**6  # the largest official file has 155 MB
BYTES = "u1"  # NumPy's code for the only kind of array that is needed


class _PickledType:
    """What `numpy.dtype(code)` would be."""

    def __init__(self, code):
        self.code = code

    def __setstate__(self, state):
        pass  # byte order and alignment, which single bytes do not have


class _PickledArray:
    """What a pickled `numpy.ndarray` would be: its state, not yet looked at."""

    state = None

    def __setstate__(self, state):
        self.state = state


class _Recorder:
    """A callable that a pickle can neither look into nor change."""

    __slots__ = ("_make",)

    def __init__(self, make):
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments):
        return self._make(*arguments)

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError("it tries to change what reads it")


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


def _is_new_array(kind, shape, code):
    return _PickledArray()


ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
ADMITTED = {
    **{(module, "_reconstruct"): _is_new_array for module in ARRAYS},
    ("numpy", "ndarray"): None,  # only named, never called
    ("numpy", "dtype"): lambda code, *flags: _PickledType(code),
    ("_codecs", "encode"): _encode,  # how Python 3 writes bytes for Python 2
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _Recorder(ADMITTED[module, name])

    def persistent_load(self, key):
        raise pickle.UnpicklingError("it refers to objects outside the file")


def read_pickle(path: Path) -> dict[str, object]:
    """Read a pickled dictionary of lists, text and arrays of bytes, as CIFAR-10 and CIFAR-100 consist of.

    Args:
        path: the file.

    Returns:
        Its entries: arrays as NumPy arrays, text as str, everything else as it is.

    Raises:
        DataError: if the file asks for anything else, or is damaged. Nothing of it has been run then.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES / 1e6:.0f} MB: it was not read.")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        _check_memory(data)
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dictionary")
        return {_text(key): _value(value) for key, value in content.items()}
    except DataError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise DataError(f"{path} was not read: {str(error) or type(error).__name__}. Copy it again.") from error


def _check_memory(data: bytes) -> None:
    """Refuse a pickle that asks for more memory than its own size warrants, before it gets any."""
    for code, argument, _ in pickletools.genops(data):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > len(data):
            raise pickle.UnpicklingError("it numbers more objects than it can hold")
        if code.name in ("EXT1", "EXT2", "EXT4", "NEXT_BUFFER"):
            raise pickle.UnpicklingError("it refers to objects outside the file")


def _value(value: object) -> object:
    if isinstance(value, _PickledArray):
        return _array(value)
    if isinstance(value, list):
        return [_text(element) for element in value]
    return _text(value)


def _text(value: object) -> object:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _array(pickled: _PickledArray) -> np.ndarray:
    """The array, once shape, type and bytes agree."""
    _, shape, kind, by_columns, content = pickled.state
    if _text(kind.code) != BYTES or not isinstance(content, bytes) or not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"it holds an array of type {_text(kind.code)!r}")
    if math.prod(shape) != len(content):
        raise pickle.UnpicklingError(f"an array of shape {tuple(shape)} has {len(content):,} bytes")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_columns else "C")
