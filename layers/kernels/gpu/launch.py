"""Compiles the CUDA sources when they are first used, launches their kernels, and hands matrix products to cuBLAS.

    launch.kernel("relu", "relu_forward", x.dtype)(launch.blocks(x.size), launch.BLOCK, (x, y, x.size, leak, 1))

A kernel sees an array's memory and nothing else: arrays are C-contiguous, of the dtype that the signature names, or None where
the kernel is not to look. Numbers become what the signature names, so that Python's own are welcome.
CuPy keeps what it compiled on disk; a process that finds it there waits a few milliseconds.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import settings
from ...array import Array
from . import recording, source

BLOCK = (256,)
STATIC_SHARED = 48 << 10  # bytes of shared memory that a block has without asking
PRODUCT_SIDE, BUSY = 128, 288  # what one block makes of a matrix product; how many blocks keep a large GPU busy


class Kernel:
    """A kernel for one dtype. Called, it is launched on the current stream: kernel(grid, block, args, shared)."""

    def __init__(self, file: str, name: str, dtype: np.dtype) -> None:
        known = source.kernels(file)
        if name not in known:
            raise ValueError(f"{file}.cu: there is no kernel {name!r}; there are {', '.join(known)}")
        self.file, self.name, self.dtype, self.parameters = file, name, dtype, known[name]
        self._dtypes = [parameter.dtype(dtype) for parameter in self.parameters]  # asked at every launch
        self._function = module(file, dtype).get_function(name)

    def __call__(self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], shared: int = 0) -> None:
        """grid and block: up to three numbers; shared: bytes of dynamic shared memory. A grid without blocks does nothing.

        Raises ValueError where an argument is not what the signature names.
        """
        if len(args) != len(self.parameters):
            raise ValueError(f"{self.name}: {len(args)} arguments came; it takes {len(self.parameters)}")
        prepared = tuple(map(self._prepared, self.parameters, self._dtypes, args))
        if not all(grid):  # CuPy would launch one block
            return
        if shared > STATIC_SHARED:
            self._function.max_dynamic_shared_size_bytes = shared
        self._function(tuple(grid), tuple(block), prepared, shared_mem=shared)

    def _prepared(self, parameter: source.Parameter, dtype: np.dtype, value: Any) -> Any:
        if parameter.is_array:
            return self._array(parameter, dtype, value)
        if parameter.type == "Arrays":
            return addresses([self._array(parameter, dtype, x) for x in value])
        if parameter.is_list:
            return _by_value([_number(dtype, v) for v in value], dtype)
        return _number(dtype, value)

    def _array(self, parameter: source.Parameter, dtype: np.dtype, value: Array | None) -> Array | None:
        if value is not None and not (value.dtype == dtype and value.flags.c_contiguous):
            raise ValueError(
                f"{self.name}: {parameter.name} is {value.dtype} with strides {value.strides} and shape {value.shape}; "
                f"a C-contiguous array of {dtype} is right"
            )
        return value


@functools.cache
def kernel(file: str, name: str, dtype: Any) -> Kernel:
    """The kernel of ../file.cu for that dtype, compiled if need be. Raises ValueError where the file has none of that name."""
    return Kernel(file, name, np.dtype(dtype))


def module(file: str, dtype: np.dtype) -> Any:
    """The compiled source, CuPy's RawModule: its get_function(name) gives what launches."""
    import cupy

    return cupy.RawModule(code=source.text(file, dtype), options=("-std=c++17",))


@functools.cache
def capability() -> int:
    """The current device's compute capability, 90 for 9.0."""
    import cupy

    return int(cupy.cuda.Device().compute_capability)


def addresses(arrays: Sequence[Array]) -> np.ndarray:
    """common.cuh's Arrays."""
    return _by_value([address(x) for x in arrays], np.dtype(np.uint64))


def _by_value(values: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    """A list of common.cuh: to CuPy an array of one element, which it hands over as it is."""
    if len(values) > source.LIST:
        raise ValueError(f"launch: a list has {len(values)} elements; at most {source.LIST} are right")
    padded = np.zeros(source.LIST, dtype)
    padded[: len(values)] = values
    return padded.view(f"V{padded.nbytes}")


def _number(dtype: np.dtype, value: Any) -> np.generic:
    return dtype.type(operator.index(value) if dtype.kind in "iu" else value)


def blocks(count: int, threads: int = BLOCK[0]) -> tuple[int]:
    """A grid with a thread for each of `count` things."""
    return (-(-count // threads),)


def plane(rows: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block with a thread for each of `width` neighbouring values of so many rows.

    Within a block x runs along the values and y along rows; of the grid x along rows, of which there may be many.
    """
    x = min(BLOCK[0], 1 << max(0, width - 1).bit_length())
    y = BLOCK[0] // x
    return (-(-rows // y), -(-width // x)), (x, y)


def address(x: Array) -> int:
    """Where its memory begins."""
    return x.data.ptr


def step(*arrays: Array) -> int:
    """How many numbers of these arrays' rows a thread may take at once: 16 bytes of them where all places allow it, else 1."""
    wide = 16 // arrays[0].itemsize
    return wide if all(x.shape[-1] % wide == 0 and address(x) % 16 == 0 for x in arrays) else 1


# ---------------------------------------------------------------- matrix products


def gemm(a: Array, b: Array, out: Array, beta: float = 0.0) -> Array:
    """out = a b + beta out, of matrices (M, K), (K, N), (M, N); with beta 0 what stands in out does not matter.

    Any of them may be a transposed view or part of a wider matrix. In float32 the products are float32's unless
    settings.precision is "tf32". Raises ValueError where shapes, dtypes or the order in memory do not fit.
    """
    return gemm_batched(a[None], b[None], out[None], beta)[0]


def gemm_batched(a: Array, b: Array, out: Array, beta: float = 0.0) -> Array:
    """out[i] = a[i] b[i] + beta out[i], of stacks (B, M, K), (B, K, N), (B, M, N) as in gemm; a or b may have the stride 0."""
    (count, m, k), n = a.shape, b.shape[2]
    if b.shape != (count, k, n) or out.shape != (count, m, n) or not a.dtype == b.dtype == out.dtype:
        raise ValueError(
            f"gemm: a is {a.shape} {a.dtype}, b {b.shape} {b.dtype}, out {out.shape} {out.dtype}; (B, M, K), (B, K, N), "
            "(B, M, N) of one dtype are right"
        )
    if out.size == 0:
        return out
    turned, out_step = _order(out)
    if turned:  # cuBLAS writes columns; out seen from the other side has them
        gemm_batched(b.transpose(0, 2, 1), a.transpose(0, 2, 1), out.transpose(0, 2, 1), beta)
        return out
    blas, handle = cublas()
    if out.dtype == np.float64:
        number, compute = CUDA_R_64F, blas.CUBLAS_COMPUTE_64F
    else:
        tf32 = settings.current().precision == "tf32"
        number, compute = CUDA_R_32F, blas.CUBLAS_COMPUTE_32F_FAST_TF32 if tf32 else blas.CUBLAS_COMPUTE_32F
    factors = np.array([1, beta], out.dtype)  # read while the call lasts: CuPy's handles are in the host's pointer mode
    one = factors.ctypes.data

    def operand(x: Array, step: int) -> list[int]:
        return [address(x), number, step, *([x.strides[0] // x.itemsize] if count > 1 else [])]

    # cuBLAS counts by columns, where our rows are columns: it computes out^T = b^T a^T
    (b_turned, b_step), (a_turned, a_step) = _order(b), _order(a)
    turns = [blas.CUBLAS_OP_T if turned else blas.CUBLAS_OP_N for turned in (b_turned, a_turned)]
    factor_and_operands = (one, *operand(b, b_step), *operand(a, a_step), one + out.itemsize, *operand(out, out_step))
    sizes, way = (n, m, k), (compute, blas.CUBLAS_GEMM_DEFAULT)
    if count > 1:
        blas.gemmStridedBatchedEx(handle, *turns, *sizes, *factor_and_operands, count, *way)
    else:
        blas.gemmEx(handle, *turns, *sizes, *factor_and_operands, *way)
    return out


def shares(count: int, rows: int, columns: int, length: int) -> int:
    """In how many sums, to be added at the end, to cut the sums of so many products (rows, length) (length, columns).

    Where these are few and small, they alone would keep a few blocks of threads busy for long, and the rest of the GPU idle.
    """
    blocks = count * -(-rows // PRODUCT_SIDE) * -(-columns // PRODUCT_SIDE)
    return max(1, min(BUSY // blocks, length // PRODUCT_SIDE))


CUDA_R_32F, CUDA_R_64F = 0, 1  # of cudaDataType


def cublas() -> tuple[Any, int]:
    """cuBLAS as CuPy calls it, and CuPy's handle for the current device; each call works on the current stream."""
    from cupy.cuda import device, get_current_stream
    from cupy_backends.cuda.libs import cublas

    handle, stream = device.get_cublas_handle(), get_current_stream()
    return (recording.Cublas(cublas, stream.ptr) if stream.is_capturing() else cublas), handle


def _order(x: Array) -> tuple[bool, int]:
    """Of the last two dimensions: whether the first is the dense one, and how far the other's numbers lie apart.

    Raises ValueError where neither is dense.
    """
    rows, columns = x.shape[-2:]
    down, right = (stride // x.itemsize for stride in x.strides[-2:])
    step = max(1, columns) if rows == 1 else down
    if (right == 1 or columns == 1) and step >= columns:
        return False, step
    step = max(1, rows) if columns == 1 else right
    if (down == 1 or rows == 1) and step >= rows:
        return True, step
    raise ValueError(f"gemm: a matrix of shape {x.shape} has strides {x.strides}; one of its dimensions must be dense")
