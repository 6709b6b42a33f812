"""cuBLAS's matrix products with NumPy, called as cupy_backends.cuda.libs.cublas is: matrices lie in columns, at addresses."""

import ctypes

import numpy as np

CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_GEMM_DEFAULT = -1
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_64F = 68, 77, 70
DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64)}  # of cudaDataType


def gemmEx(
    handle, transa, transb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, compute_type, algo
):
    """C = alpha op(A) op(B) + beta C, with op(A) m x k and op(B) k x n."""
    assert algo == CUBLAS_GEMM_DEFAULT
    assert a_type == b_type == c_type
    dtype = DTYPES[a_type]
    assert compute_type in ((CUBLAS_COMPUTE_64F,) if a_type else (CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32))
    alpha, beta = (float(np.frombuffer(ctypes.string_at(at, dtype.itemsize), dtype)[0]) for at in (alpha, beta))
    left = _columns(a, dtype, *((k, m) if transa else (m, k)), lda)
    right = _columns(b, dtype, *((n, k) if transb else (k, n)), ldb)
    goal = _columns(c, dtype, m, n, ldc)
    if compute_type == CUBLAS_COMPUTE_32F_FAST_TF32:
        left, right = _tf32(left), _tf32(right)
    product = dtype.type(alpha) * ((left.T if transa else left) @ (right.T if transb else right))
    goal[...] = product + dtype.type(beta) * goal if beta else product


def gemmStridedBatchedEx(
    handle, transa, transb, m, n, k, alpha, a, a_type, lda, stride_a, b, b_type, ldb, stride_b, beta,
    c, c_type, ldc, stride_c, count, compute_type, algo,
):  # fmt: skip
    """gemmEx for each i of count, on matrices that lie i times the strides (in numbers) further on."""
    size = DTYPES[a_type].itemsize
    for i in range(count):
        places = (at + i * stride * size for at, stride in ((a, stride_a), (b, stride_b), (c, stride_c)))
        at_a, at_b, at_c = places
        gemmEx(
            handle, transa, transb, m, n, k, alpha, at_a, a_type, lda, at_b, b_type, ldb, beta, at_c, c_type, ldc,
            compute_type, algo,
        )  # fmt: skip


def _columns(address: int, dtype: np.dtype, rows: int, columns: int, step: int) -> np.ndarray:
    """The matrix whose columns begin `step` numbers apart; cuBLAS refuses a step below the rows."""
    assert step >= max(1, rows), f"the leading dimension is {step} and there are {rows} rows"
    if not rows * columns:
        return np.zeros((rows, columns), dtype)
    length = (columns - 1) * step + rows
    numbers = np.ctypeslib.as_array((ctypes.c_byte * (length * dtype.itemsize)).from_address(address)).view(dtype)
    return np.lib.stride_tricks.as_strided(numbers, (rows, columns), (dtype.itemsize, step * dtype.itemsize))


def _tf32(x: np.ndarray) -> np.ndarray:
    """float32 rounded to TF32's ten bits behind the point."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
