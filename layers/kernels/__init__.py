"""Fast twins of what the layer files compute: loops that numba compiles for the CPU (cpu/), CUDA for the GPU (*.cu, gpu/).

The layer file stays the reference: each twin gives its plain code's numbers, and tests hold it to that.
"""

import functools
import importlib
import importlib.util
import warnings
from types import ModuleType

import numpy as np

from .. import array, settings
from ..array import Array

FLOATS = (np.float32, np.float64)


def serving(op: str, *arrays: Array) -> ModuleType | None:
    """The module of fast twins for `op` where these arrays live; None where there is none, and the plain code is to run.

    On the CPU twins need numba and settings.fast. All arrays are to be of one dtype, float32 or float64.
    """
    if len({a.dtype for a in arrays}) != 1 or arrays[0].dtype not in FLOATS:
        return None
    if array.module_of(*arrays) is np:
        return _twins("cpu", op) if settings.current().fast and has_numba() else None
    return _twins("gpu", op)


@functools.cache
def has_numba() -> bool:
    """Whether numba, the extra `fast`, is installed; a warning says so where it is and cannot be loaded."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        importlib.import_module("numba")
    except ImportError as error:  # a NumPy newer than it knows, say
        warnings.warn(
            f"dagnet: numba cannot be loaded ({error}), so that the plain code runs, which is slower", stacklevel=2
        )
        return False
    return True


@functools.cache
def _twins(device: str, op: str) -> ModuleType | None:
    name = f"{__name__}.{device}.{op}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None
