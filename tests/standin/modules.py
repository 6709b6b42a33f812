"""The stand-in's modules: cupy and its functions and ufuncs, cupy.random, cupy.cuda, cupyx.scipy.sparse, by cupy14.json."""

import functools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from . import calls, cuda, sparse, ufuncs
from .arrays import FROZEN, checked, ndarray

KEEPS_ORDER = {"asfortranarray", "copy", "nan_to_num", "empty_like", "zeros_like", "ones_like", "full_like"}
ALWAYS_WAIT = {
    *("nonzero", "flatnonzero", "argwhere", "extract", "compress", "bincount", "unravel_index", "ravel_multi_index"),
    *("unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "histogram", "array_equiv"),
}
MAKE_ARRAYS = {  # of shapes and numbers
    *("arange", "empty", "eye", "full", "identity", "indices", "linspace", "logspace", "ones", "tri", "zeros"),
    *("bartlett", "blackman", "hamming", "hanning", "kaiser", "diag_indices", "tril_indices", "triu_indices"),
}
ON_THE_DEVICE = {"allclose", "array_equal", "array_equiv", "count_nonzero"}  # numbers in NumPy, arrays here
TELL = {  # of shapes and types, not of values
    *("broadcast_shapes", "can_cast", "common_type", "iscomplexobj", "isrealobj", "isscalar", "issctype", "issubdtype"),
    *(
        "min_scalar_type",
        "ndim",
        "promote_types",
        "result_type",
        "shape",
        "size",
        "isdtype",
        "base_repr",
        "binary_repr",
    ),
}
JOIN = {
    "concatenate",
    "concat",
    "stack",
    "hstack",
    "vstack",
    "dstack",
    "column_stack",
}  # arrays, and not lists of numbers
KERNELS = ("ElementwiseKernel", "RawKernel", "RawModule", "ReductionKernel", "fuse", "vectorize")


def function(name: str, parameters: str, numpys: Callable | None, prefix: str = "") -> Callable:
    """A function of CuPy's by that name, with CuPy's parameters, computed by NumPy's."""
    taken = calls.Parameters(f"cupy.{prefix}{name}", parameters)

    def call(*args: Any, **kwargs: Any) -> Any:
        taken.check(args, kwargs)
        if numpys is None:
            raise NotImplementedError(f"the stand-in for CuPy lacks cupy.{prefix}{name}, which CuPy has")
        if prefix != "Generator.":
            _check_arguments(name, args, kwargs)
        if name in ALWAYS_WAIT or (name == "where" and len(args) == 1):
            calls.wait(name)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("blocking", "stream")}
        made = calls.run(prefix + name, numpys, args, kwargs, keeps_order=name in KEEPS_ORDER)
        return ndarray._of(made) if name in ON_THE_DEVICE and not isinstance(made, ndarray) else made

    call.__name__ = call.__qualname__ = name
    return call


def _check_arguments(name: str, args: tuple, kwargs: Mapping[str, Any]) -> None:
    """Raises TypeError where no array of CuPy's came, or lists came in the place of arrays; ValueError for a dtype it lacks."""
    if kwargs.get("dtype") is not None:
        checked(kwargs["dtype"])
    if name in JOIN and not all(isinstance(one, ndarray) for one in (args[0] if args else next(iter(kwargs.values())))):
        raise TypeError(f"cupy.{name}: arrays of CuPy's are right, and not all are")
    if name not in MAKE_ARRAYS and name not in TELL and not calls.arrays_in((*args, *kwargs.values())):
        raise TypeError(f"cupy.{name}: no array of CuPy's came")


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: str | None = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """An array on the device, of one there, NumPy's, or lists of numbers or of arrays; those of NumPy's get C or F order."""
    values, is_here = obj, not isinstance(obj, ndarray)
    if isinstance(obj, list | tuple):
        values = np.array(calls.inside(obj) if calls.arrays_in(obj) else obj)
    values = np.asarray(values._held if isinstance(values, ndarray) else values)
    checked(values.dtype if dtype is None else dtype)
    order = order or "K"
    if is_here and order in "KA":
        order = "F" if values.flags.f_contiguous and not values.flags.c_contiguous else "C"
    made = np.array(values, dtype, copy=None if not copy and not is_here else copy, order=order, ndmin=ndmin)  # type: ignore
    return obj if not is_here and made is values else ndarray._of(made)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    """a on the device; itself where it is there already, in that order and of that dtype."""
    if isinstance(a, ndarray):
        made = np.asarray(a._held, dtype, order)  # type: ignore[call-overload]
        return a if made is a._held and not copy else ndarray._of(made.copy("K") if copy else made)
    return array(a, dtype, True, order)


def ascontiguousarray(a: ndarray, dtype: Any = None) -> ndarray:
    """a in C order; itself where it is so already."""
    if not isinstance(a, ndarray):
        raise TypeError(f"Argument 'a' has incorrect type (expected cupy.ndarray, got {type(a).__name__})")
    return asarray(a, dtype, "C")


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    """a on the CPU."""
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a, order=order)  # type: ignore[call-overload]


def get_array_module(*args: Any) -> ModuleType:
    """cupy where an argument is an array of CuPy's, else numpy."""
    import cupy

    return cupy if any(isinstance(a, ndarray) for a in args) else np


class Generator:
    """CuPy's random Generator: fewer methods than NumPy's, other numbers."""

    def __init__(self, seed: Any) -> None:
        if isinstance(seed, ndarray):
            raise TypeError("a seed of default_rng is a number or a SeedSequence")
        self._numpys = np.random.Generator(np.random.Philox(seed))

    def __getattr__(self, name: str) -> Callable:
        if name not in FROZEN["generator"]:
            raise AttributeError(f"'Generator' object has no attribute {name!r}")
        return function(name, FROZEN["generator"][name], getattr(self._numpys, name, None), "Generator.")


def default_rng(seed: Any = None) -> Generator:
    """A generator from a number or a SeedSequence."""
    return Generator(seed)


def kernel(name: str) -> Callable:
    """What would compile a kernel of one's own."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"cupy.{name}: the stand-in for CuPy launches no kernels")

    return refuse


@functools.cache
def members() -> dict[str, Any]:
    """What the module cupy has, but for modules."""
    own = {f.__name__: f for f in (array, asarray, ascontiguousarray, asnumpy, get_array_module)}
    own |= {"asanyarray": asarray, "ndarray": ndarray, "matmul": ufuncs.named("matmul"), "ufunc": ufuncs.Ufunc}
    own |= {name: kernel(name) for name in KERNELS}
    own |= {"get_default_memory_pool": cuda.MemoryPool}
    return {
        **{name: getattr(np, name) for name in FROZEN["numpys"]},
        **{name: ufuncs.named(name) for name in FROZEN["ufuncs"] if hasattr(np, name)},
        **functions("functions", np),
        **own,
        "__version__": f"{FROZEN['version']}.0.0",
    }


@functools.cache
def functions(place: str, numpys: ModuleType, prefix: str = "") -> dict[str, Callable]:
    """The functions that cupy14.json has in that place, computed by those of a module of NumPy's."""
    return {name: function(name, text, getattr(numpys, name, None), prefix) for name, text in FROZEN[place].items()}


def made() -> dict[str, ModuleType]:
    """All modules by name, new."""
    cupy = _module("cupy", **members())
    cupy.cuda = cuda.made()
    cupy.random = _module("cupy.random", default_rng=default_rng, Generator=Generator)
    cupy.linalg = _module("cupy.linalg", **functions("linalg", np.linalg, "linalg."))
    tricks = functions("lib.stride_tricks", np.lib.stride_tricks, "lib.stride_tricks.")
    cupy.lib = _module("cupy.lib", stride_tricks=_module("cupy.lib.stride_tricks", **tricks))
    cupyx = _module("cupyx", scatter_add=lambda a, slices, value: a.scatter_add(slices, value))
    cupyx.scipy = _module("cupyx.scipy")
    cupyx.scipy.sparse = _module("cupyx.scipy.sparse", csr_matrix=sparse.csr_matrix, csc_matrix=sparse.csc_matrix)
    modules = [cupy, cupy.cuda, cupy.cuda.memory, cupy.cuda.runtime, cupy.random, cupy.linalg]
    modules += [cupy.lib, cupy.lib.stride_tricks, cupyx, cupyx.scipy, cupyx.scipy.sparse]
    return {module.__name__: module for module in modules}


class _Module(ModuleType):
    """A module that says, of a name it has not, whether CuPy has it."""

    def __getattr__(self, name: str) -> Any:
        known = FROZEN["others"] if self.__name__ == "cupy" else FROZEN.get(self.__name__.removeprefix("cupy."), ())
        if name in known or (self.__name__ == "cupy" and name in FROZEN["ufuncs"]):
            raise NotImplementedError(f"the stand-in for CuPy lacks {self.__name__}.{name}, which CuPy has")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _module(name: str, **members: Any) -> Any:
    module = _Module(name)
    module.__path__ = []  # so that what is below it can be imported
    module.__dict__.update(members)
    return module
