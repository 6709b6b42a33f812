"""Matrix products while a CUDA graph is recorded: cuBLAS itself, as CuPy's own functions refuse to be called then.

CuPy's extension is linked to cuBLAS, so that the library's functions are found through it. While a stream records, cuBLAS must
not make memory of its own: it is given some that stays as long as the process.

Source    cuBLAS Library, "CUDA Graphs Support" and cublasSetWorkspace; setStream in cupy_backends/cuda/libs/cublas.pyx of 14.2
"""

import ctypes
import functools
from types import ModuleType
from typing import Any

from ...array import Array

WORKSPACE = 32 << 20  # bytes: what NVIDIA recommends for Hopper, and more than for those before it

_WORD, _PLACE, _STEP = ctypes.c_int, ctypes.c_void_p, ctypes.c_longlong
_SINGLE, _BATCHED = (
    [_PLACE, _WORD, _WORD],
    [_PLACE, _WORD, _WORD, _STEP],
)  # a matrix: address, type, leading dimension, stride
_BEGINNING = [_PLACE, *[_WORD] * 5, _PLACE]  # handle, turns, sizes, alpha
SIGNATURES = {
    "cublasSetStream_v2": [_PLACE, _PLACE],
    "cublasSetWorkspace_v2": [_PLACE, _PLACE, ctypes.c_size_t],
    "cublasGemmEx": [*_BEGINNING, *_SINGLE, *_SINGLE, _PLACE, *_SINGLE, _WORD, _WORD],
    "cublasGemmStridedBatchedEx": [*_BEGINNING, *_BATCHED, *_BATCHED, _PLACE, *_BATCHED, *[_WORD] * 3],
}


class Cublas:
    """The products of CuPy's module `cublas`, and its constants, for a stream that records. They may raise RuntimeError."""

    def __init__(self, cublas: ModuleType, stream: int) -> None:
        self._cublas, self._stream = cublas, stream
        self._library = library(cublas.__file__)

    def __getattr__(self, constant: str) -> Any:
        return getattr(self._cublas, constant)

    def gemmEx(self, handle: int, *args: Any) -> None:
        """As CuPy's."""
        self._call("cublasGemmEx", handle, *args)

    def gemmStridedBatchedEx(self, handle: int, *args: Any) -> None:
        """As CuPy's."""
        self._call("cublasGemmStridedBatchedEx", handle, *args)

    def _call(self, name: str, handle: int, *args: Any) -> None:
        room = workspace(self._stream)
        self._checked("cublasSetStream_v2", handle, self._stream)
        self._checked("cublasSetWorkspace_v2", handle, room.data.ptr, room.nbytes)
        self._checked(name, handle, *args)

    def _checked(self, name: str, *args: Any) -> None:
        status = getattr(self._library, name)(*args)
        if status:
            raise RuntimeError(f"{name}: cuBLAS answers with status {status} while a graph is recorded")


@functools.cache
def library(path: str | None) -> ctypes.CDLL:
    """cuBLAS, through an extension that is linked to it."""
    found = ctypes.CDLL(path)
    for name, types in SIGNATURES.items():
        getattr(found, name).argtypes = types
    return found


@functools.cache
def workspace(stream: int) -> Array:
    """Memory for cuBLAS on that stream."""
    import cupy

    return cupy.empty(WORKSPACE, "uint8")
