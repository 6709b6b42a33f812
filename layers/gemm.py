"""Matrix products of NumPy arrays that add to what is there.

NumPy's matmul can neither add to its result nor take part of a wider matrix without a copy; BLAS's gemm can, and SciPy hands it
out (scipy.linalg.cython_blas).

Shapes    a (M, K), b (K, N), out (M, N): float32 or float64, rows or columns of any distance, so long as along one of the two
          dimensions the numbers lie side by side (out: along the second)
Formula   out = a b + beta out
Source    the reference BLAS, sgemm and dgemm
"""

import ctypes
from typing import Any

import numpy as np
import scipy.linalg.cython_blas as blas


def _routine(name: str, number: type) -> Any:
    """BLAS's gemm as a function, which lets go of the interpreter's lock while it runs."""
    api, capsule = ctypes.pythonapi, blas.__pyx_capi__[name]
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = api.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    scalar: Any = ctypes.POINTER(number)  # type: ignore[type-var]
    whole, place = ctypes.POINTER(ctypes.c_int), ctypes.c_void_p
    takes: list[Any] = [ctypes.c_char_p] * 2 + [whole] * 3 + [scalar, place, whole, place, whole, scalar, place, whole]
    return ctypes.CFUNCTYPE(None, *takes)(pointer(capsule, api.PyCapsule_GetName(capsule)))


ROUTINES = {
    np.dtype(np.float32): (_routine("sgemm", ctypes.c_float), ctypes.c_float),
    np.dtype(np.float64): (_routine("dgemm", ctypes.c_double), ctypes.c_double),
}


def add(a: np.ndarray, b: np.ndarray, out: np.ndarray, beta: float = 0.0) -> np.ndarray:
    """out = a b + beta out, in this thread, or on the GPU. With beta 0 what stands in out does not matter, NaN neither.

    Raises ValueError where shapes or dtypes do not fit, or numbers lie in no order that BLAS knows.
    """
    if not isinstance(out, np.ndarray):  # CuPy's: cuBLAS shares the work itself
        out[...] = beta * out + a @ b if beta else a @ b
        return out
    (m, k), n = a.shape, b.shape[1]
    if b.shape[0] != k or out.shape != (m, n) or not a.dtype == b.dtype == out.dtype:
        raise ValueError(
            f"gemm: a is {a.shape} {a.dtype}, b {b.shape} {b.dtype}, out {out.shape} {out.dtype}; (M, K), (K, N), (M, N) of "
            "one dtype are right"
        )
    routine, number = ROUTINES[a.dtype]
    if not (m and n):
        return out
    if not k:
        out[...] = beta * out if beta else 0
        return out
    (a_turned, a_step), (b_turned, b_step), (turned, step) = _order(a), _order(b), _order(out)
    if turned:  # BLAS writes columns; out seen from the other side has them
        return add(b.T, a.T, out.T, beta).T
    # BLAS counts by columns, where our rows are columns: it computes out^T = b^T a^T
    whole = ctypes.c_int
    routine(
        b"T" if b_turned else b"N",
        b"T" if a_turned else b"N",
        whole(n),
        whole(m),
        whole(k),
        number(1),
        b.ctypes.data,
        whole(b_step),
        a.ctypes.data,
        whole(a_step),
        number(beta),
        out.ctypes.data,
        whole(step),
    )
    return out


def _order(a: np.ndarray) -> tuple[bool, int]:
    """Whether the numbers of a column, not of a row, lie side by side; and from one row (or column) to the next, how many."""
    size, (rows, columns) = a.itemsize, a.shape
    down, along = a.strides
    if (along == size or columns == 1) and (rows == 1 or (down >= size * columns and not down % size)):
        return False, max(down // size if rows > 1 else columns, columns, 1)
    if (down == size or rows == 1) and (columns == 1 or (along >= size * rows and not along % size)):
        return True, max(along // size if columns > 1 else rows, rows, 1)
    raise ValueError(
        f"gemm: an array of shape {a.shape} has the strides {a.strides}; numbers side by side along one dimension are right"
    )
