"""NumPy or CuPy: one way to ask which, one memory order for all data.

Every array that a person sees has MatConvNet's shape (H, W, C, N). In memory its numbers lie in the order N, H, W, C, so
that the channels of a pixel are neighbours and a matrix product reads pixels as rows without a copy; the shape a person
sees is the transposed view. Filters (FH, FW, C, K) in C order are then the (FH*FW*C) x K operand of that product.

Besides device.py and kernels/ this is the only file that knows CuPy; where CuPy is not installed, all else works.
"""

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse

from . import buffers

Array = Any  # numpy.ndarray or cupy.ndarray: the two share no base class
COUNTED_APART = 4096  # counts that the GPU keeps at a time


def module_of(*arrays: Array) -> ModuleType:
    """The module (numpy or cupy) whose arrays these are; None, numbers and lists are passed over.

    Raises TypeError where NumPy and CuPy arrays meet: a hidden copy over the bus would hide a mistake.
    """
    cupy = sys.modules.get("cupy")  # an array of CuPy exists only where CuPy has been imported
    if cupy is None:
        return np
    on_gpu = [isinstance(a, cupy.ndarray) for a in arrays if isinstance(a, (np.ndarray, cupy.ndarray))]
    if not any(on_gpu):
        return np
    if not all(on_gpu):
        raise TypeError("arrays: some are on the GPU (CuPy) and some on the CPU (NumPy); move all to one device first")
    return cupy


def check_floats(who: str, **arrays: Array | None) -> None:
    """Raises ValueError, naming `who` and the argument, unless the arrays are all float32 or all float64 (None is passed)."""
    dtypes = {name: a.dtype for name, a in arrays.items() if a is not None}
    if len(set(dtypes.values())) > 1 or not all(d in (np.float32, np.float64) for d in dtypes.values()):
        came = ", ".join(f"{name} is {dtype}" for name, dtype in dtypes.items())
        raise ValueError(f"{who}: {came}; all float32 (MATLAB's single) or all float64 is right")


def check_repeats(what: str, a: Array, size: Sequence[int]) -> None:
    """Raises ValueError, naming `what`, unless a is (H, W, C, N) of that size or has 1 in places, to be repeated there."""
    came = a.shape + (1,) * (4 - a.ndim)
    if len(came) != 4 or any(length not in (1, most) for length, most in zip(came, size, strict=True)):
        raise ValueError(f"{what} has shape {tuple(a.shape)}; {tuple(size)}, each of the sizes may be 1, is right")


def empty(xp: ModuleType, shape: Sequence[int], dtype: Any) -> Array:
    """An uninitialised (H, W, C, N) array whose memory order is N, H, W, C."""
    h, w, c, n = shape
    return flat(xp, (n, h, w, c), dtype).transpose(1, 2, 3, 0)


def zeros(xp: ModuleType, shape: Sequence[int], dtype: Any) -> Array:
    """An (H, W, C, N) array of zeros whose memory order is N, H, W, C."""
    zeros = empty(xp, shape, dtype)
    zeros[...] = 0
    return zeros


def flat(xp: ModuleType, shape: Sequence[int], dtype: Any) -> Array:
    """An uninitialised array in C order, of any number of dimensions, on the CPU out of reused memory."""
    return buffers.empty(shape, dtype) if xp is np else xp.empty(shape, dtype)


def empty_like(x: Array) -> Array:
    """An uninitialised array of x's shape, dtype and memory order, which CuPy's own operations would not keep."""
    if not isinstance(x, np.ndarray):
        return module_of(x).empty_like(x)
    axes = memory_axes(x)
    fresh = buffers.empty([x.shape[axis] for axis in axes], x.dtype)
    return fresh.transpose([axes.index(axis) for axis in range(x.ndim)])


def memory_axes(x: Array) -> list[int]:
    """x's axes in the order in which they lie in memory, the one with the largest steps first: x.transpose(axes) is in C order,
    where x has no gaps."""
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))


def counts(places: Array, length: int) -> Array:
    """How often each of the whole numbers 0..length-1 is among `places` (M,); on the GPU without a look at what they are."""
    xp = module_of(places)
    if xp is np:
        return np.bincount(places, minlength=length)
    # CuPy's bincount reads the largest place back, for which the host would wait. Rows of counts are kept and added at the
    # end, as threads that add to one place wait for each other.
    rows = max(1, COUNTED_APART // max(1, length))
    found = xp.zeros(rows * length, np.int64)
    xp.add.at(found, places + length * (xp.arange(len(places)) % rows), 1)
    return found.reshape(rows, length).sum(axis=0)


def kept(old: Any, new: Array) -> Array:
    """`new`; on the GPU where `old` lies, if it has its shape and dtype, since what a CUDA graph goes on from may not move."""
    if module_of(new) is np or type(old) is not type(new) or (old.shape, old.dtype) != (new.shape, new.dtype):
        return new
    old[...] = new
    return old


def four_d(x: Array) -> Array:
    """x with trailing dimensions of size 1 up to four, which MATLAB drops: (H, W) is (H, W, 1, 1).

    Raises ValueError where x has more than four dimensions.
    """
    if x.ndim > 4:
        raise ValueError(f"array: it has shape {x.shape}, and data has at most four dimensions (H, W, C, N)")
    return x.reshape(x.shape + (1,) * (4 - x.ndim)) if x.ndim < 4 else x


def derivative(who: str, dy: Array, size: Sequence[int]) -> Array:
    """dy with all its four dimensions. Raises ValueError, naming `who`, unless it has the size (H, W, C, N) of y."""
    dy = four_d(dy)
    if dy.shape != tuple(size):
        right = "one number" if np.prod(size) == 1 else f"y's shape {tuple(size)}"
        raise ValueError(f"{who}: dy has shape {dy.shape}; {right} is right")
    return dy


def base(x: Array) -> Array:
    """The values of x (H, W, C, N) as a C-contiguous array (N, H, W, C); no copy where x has that memory order."""
    return module_of(x).ascontiguousarray(x.transpose(3, 0, 1, 2))


def channels_last(x: Array) -> Array:
    """x (H, W, C, N) in the memory order N, H, W, C; no copy where it has it already."""
    return base(four_d(x)).transpose(1, 2, 3, 0)


def power(x: Array, exponent: float) -> Array:
    """x ** exponent for x >= 0; for quarters up to 2 by products and square roots, which are many times faster.

    x is in C order, as CuPy's operations would make it. The result may be x itself.
    """
    xp = module_of(x)
    quarters = 4 * abs(exponent)
    if not 0 < quarters <= 8 or quarters != int(quarters):
        return x**exponent
    whole, rest = divmod(int(quarters), 4)
    factors = [x] * whole
    if rest:
        root = xp.sqrt(x)
        factors += [root] if rest == 2 else [xp.sqrt(root)] if rest == 1 else [root, xp.sqrt(root)]
    y = factors[0]
    for factor in factors[1:]:
        y = y * factor
    return y if exponent > 0 else 1 / y


def sparse(values: Array, columns: Array, starts: Array, shape: tuple[int, int]) -> Array:
    """A sparse matrix of that shape: row i holds values[starts[i] : starts[i + 1]] in the columns that stand beside them.

    A column named twice in a row counts twice. It is SciPy's or CuPy's; M.dot(dense) and M.T.dot(dense) are products.
    """
    if module_of(values, columns, starts) is np:
        return scipy.sparse.csr_array((values, columns, starts), shape=shape)
    from cupyx.scipy.sparse import csr_matrix

    return csr_matrix((values, columns, starts), shape=shape)


def to_numpy(x: Array) -> np.ndarray:
    """x on the CPU, in the same memory order; no copy where it is there already."""
    return np.asarray(x) if isinstance(x, np.ndarray | np.generic) else _in_memory_order(x, lambda packed: packed.get())


def to_gpu(x: Array) -> Array:
    """x as a CuPy array on the current GPU, in the same memory order; no copy where it is there already.

    Raises RuntimeError where CuPy or a GPU is missing, with the remedy.
    """
    cupy = cupy_module()
    return x if isinstance(x, cupy.ndarray) else _in_memory_order(np.asarray(x), cupy.asarray)


def mover(device: str) -> Callable[[Array], Array]:
    """to_gpu for "gpu", to_numpy for "cpu". Raises ValueError for another word, RuntimeError as to_gpu does."""
    if device not in ("cpu", "gpu"):
        raise ValueError(f"move: it was given {device!r}; 'cpu' or 'gpu' is right")
    if device == "gpu":
        cupy_module()
    return to_gpu if device == "gpu" else to_numpy


def wait_for_gpu() -> None:
    """Until all that was given to the current GPU is done: what a clock must wait for."""
    cupy_module().cuda.get_current_stream().synchronize()


def _in_memory_order(x: Array, move: Callable[[Array], Array]) -> Array:
    """move(x), in x's memory order; `move` itself, CuPy's from device to device, makes C order of what is in another one."""
    axes = memory_axes(x)
    moved = move(module_of(x).asarray(x.transpose(axes), order="C"))
    return moved.transpose([axes.index(axis) for axis in range(x.ndim)])


def cupy_module() -> ModuleType:
    """CuPy, when it is installed and finds a GPU.

    Raises RuntimeError otherwise, naming what is missing and the remedy.
    """
    try:
        import cupy
    except ImportError as error:
        fault = (
            "is not installed" if error.name == "cupy" else f"cannot be loaded ({str(error).strip().splitlines()[0]})"
        )
        raise RuntimeError(
            f"GPU: CuPy {fault}; dagnet with the extra for your CUDA is right: pip install 'dagnet[cuda13x]' (or cuda12x)"
        ) from error
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise RuntimeError(_no_gpu(runtime.driverGetVersion(), runtime.runtimeGetVersion(), error)) from error
    if count == 0:
        raise RuntimeError(f"GPU: CuPy sees no NVIDIA device; {_WHERE_TO_LOOK}")
    return cupy


_WHERE_TO_LOOK = "nvidia-smi lists those there are, and CUDA_VISIBLE_DEVICES may hide them"


def _no_gpu(driver: int, needed: int, error: Exception) -> str:
    """Why CUDA finds no device. The versions are those of the CUDA that the driver serves (0: there is none) and CuPy's own."""
    if driver == 0:
        return "GPU: this machine has no NVIDIA driver; a machine with an NVIDIA GPU and its driver is right"
    if driver < needed:
        return (
            f"GPU: the NVIDIA driver serves CUDA {_version(driver)} and CuPy was made for CUDA {_version(needed)}; a newer "
            "driver, or dagnet with the extra for an older CUDA (pip install 'dagnet[cuda12x]'), is right"
        )
    return f"GPU: CuPy finds no device that it can use ({error}); {_WHERE_TO_LOOK}"


def _version(number: int) -> str:
    """CUDA's 13020 as 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"
