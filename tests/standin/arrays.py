"""The stand-in's ndarray."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import calls, ufuncs
from .freeze import frozen

FROZEN = frozen()
ATTRIBUTES = ("dtype", "itemsize", "nbytes", "ndim", "size", "strides")
UFUNCS = {  # of the operators with two operands
    **{"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "power", "divmod": "divmod", "and": "bitwise_and", "or": "bitwise_or"},
    **{"xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift", "matmul": "matmul"},
}
ORDER = ("less", "less_equal", "greater", "greater_equal")
COMPARISONS = {"eq": "equal", "ne": "not_equal", **dict(zip(("lt", "le", "gt", "ge"), ORDER, strict=True))}
UNARY = {"neg": "negative", "pos": "positive", "invert": "invert", "abs": "absolute"}
DTYPES = frozenset("?bBhHiIlLqQefdFD")
METADATA = (np.shape, np.ndim, np.size)  # of NumPy's functions those that look at no value


class ndarray(calls.Held):
    """An array "on the device"."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    def __init__(self, shape: Any, dtype: Any = float, *, order: str = "C") -> None:
        self._held = np.empty(shape, checked(dtype), order=order)  # type: ignore[call-overload]

    @classmethod
    def _of(cls, values: Any) -> "ndarray":
        made = cls.__new__(cls)
        made._held = np.asarray(values)
        if made._held.dtype.char not in DTYPES:
            checked(made._held.dtype)
        return made

    # -- what CuPy's arrays refuse

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly"
        )

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        if function in METADATA:
            return function(args[0]._held)
        raise TypeError(f"np.{function.__name__} met an array on the GPU; xp.{function.__name__} is right")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Number of NumPy's + array comes here, and is right; all else does that says np. or meets NumPy's arrays."""
        if method == "__call__" and not kwargs and isinstance(inputs[0], np.generic):
            return ufuncs.named(ufunc.__name__)(*inputs)
        raise TypeError(
            f"np.{ufunc.__name__} met an array on the GPU; move all to one device, and write xp.{ufunc.__name__}"
        )

    # -- what makes the host wait

    def get(
        self, stream: Any = None, order: str = "C", out: np.ndarray | None = None, blocking: bool = True
    ) -> np.ndarray:
        """A copy on the CPU, in C order unless `order` says otherwise."""
        return self._got("get", order) if out is None else _filled(out, self._got("get", order))

    def _got(self, what: str, order: str = "C") -> np.ndarray:
        calls.wait(what)
        return np.array(self._held, order=order)  # type: ignore[call-overload]

    def item(self) -> Any:
        """The one number, on the CPU."""
        return self._got("item").item()

    def tolist(self) -> Any:
        """Lists of numbers, on the CPU."""
        return self._got("tolist").tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """The values' bytes, on the CPU."""
        return self._got("tobytes").tobytes(order)

    def __bool__(self) -> bool:
        return bool(self._got("bool"))

    def __float__(self) -> float:
        return float(self._number("float"))

    def __int__(self) -> int:
        return int(self._number("int"))

    def __complex__(self) -> complex:
        return complex(self._number("complex"))

    def _number(self, what: str) -> Any:
        if self.ndim:
            raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
        return self._got(what).item()

    def __format__(self, spec: str) -> str:
        return format(self._got("format") if self.ndim else self._got("format").item(), spec)

    def __repr__(self) -> str:
        return repr(self._got("repr"))

    def __str__(self) -> str:
        return str(self._got("str"))

    def __reduce__(self) -> Any:
        return _sent_back, (self._got("pickle"),)

    # -- what it is made of

    @property
    def shape(self) -> tuple[int, ...]:
        return self._held.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._held = np.reshape(self._held, shape, copy=False)

    @property
    def flags(self) -> "Flags":
        return Flags(self._held)

    @property
    def T(self) -> "ndarray":
        return self._of(self._held.T)

    @property
    def mT(self) -> "ndarray":
        return self._of(self._held.mT)

    @property
    def real(self) -> "ndarray":
        return self._of(self._held.real)

    @property
    def imag(self) -> "ndarray":
        return self._of(self._held.imag)

    @property
    def base(self) -> "ndarray | None":
        return None if self._held.base is None else self._of(self._held.base)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator["ndarray"]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> "ndarray":
        return self.copy()

    def __deepcopy__(self, memo: Any) -> "ndarray":
        return self.copy()

    # -- items

    def __getitem__(self, index: Any) -> Any:
        if _is_mask(index):
            calls.wait("mask")  # how many values there will be
        return calls.run("getitem", lambda i: self._held[i], (_index(index),), {}, this=self)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray | list | tuple):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if _is_mask(index):
            calls.wait("mask")

        def put(index: Any, value: Any) -> None:
            self._held[index] = value

        calls.run("setitem", put, (_index(index), value), {}, this=self)

    # -- methods that are not NumPy's

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Copies an array of NumPy's to here."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape or not self.flags.c_contiguous:
            raise ValueError(f"{arr.dtype} {arr.shape} cannot be set to an array {self.dtype} {self.shape}")
        self._held[...] = arr

    def scatter_add(self, slices: Any, value: Any) -> None:
        """Adds in place, where a place is named twice, twice."""
        np.add.at(self._held, calls.inside(_index(slices)), calls.inside(value))


class Flags:
    """Those of NumPy's flags that CuPy has."""

    def __init__(self, values: np.ndarray) -> None:
        self.c_contiguous, self.f_contiguous = values.flags.c_contiguous, values.flags.f_contiguous
        self.owndata = values.flags.owndata
        self.fnc, self.forc = values.flags.fnc, values.flags.forc

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


def checked(dtype: Any) -> np.dtype:
    """The dtype. Raises ValueError for one that CuPy lacks: objects, text, times, long doubles."""
    dtype = np.dtype(dtype)
    if dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


def _filled(out: np.ndarray, values: np.ndarray) -> np.ndarray:
    out[...] = values
    return out


def _sent_back(values: np.ndarray) -> ndarray:
    return ndarray._of(values)


def _index(index: Any) -> Any:
    """An index without NumPy's arrays, which CuPy would copy to the device unasked."""
    for one in index if isinstance(index, tuple) else (index,):
        if isinstance(one, np.ndarray):
            raise TypeError(f"Unsupported type {type(one)} as an index of an array on the GPU")
    return index


def _is_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(one, ndarray) and one.dtype == bool for one in parts)


calls.wrap = ndarray._of
OPERANDS = (ndarray, *calls.NUMBERS, np.ndarray, list, type(None))  # the last three are looked at to refuse them

# -- operators and methods, by their names


def _binary(name: str, ufunc: str, kind: str) -> Callable:
    function = ufuncs.named(ufunc)

    def operate(self: ndarray, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            return NotImplemented
        operands = (other, self) if kind == "r" else (self, other)
        return function(*operands, **({"out": self} if kind == "i" else {}))

    operate.__name__ = f"__{kind}{name}__"
    return operate


def _unary(ufunc: str) -> Callable:
    function = ufuncs.named(ufunc)
    return lambda self: function(self)


def _method(name: str) -> Callable:
    taken = calls.Parameters(f"ndarray.{name}", FROZEN["methods"][name])

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        taken.check(args, kwargs)
        if not hasattr(np.ndarray, name):
            raise NotImplementedError(f"the stand-in for CuPy lacks ndarray.{name}, which CuPy has")
        if name in ("nonzero", "compress"):
            calls.wait(name)
        if name == "astype":
            checked(args[0] if args else kwargs["dtype"])
        keeps = name in ("astype", "ravel", "reshape", "flatten") or (name == "copy" and bool(args or kwargs))
        return calls.run(f"ndarray.{name}", getattr(self._held, name), args, kwargs, keeps_order=keeps, this=self)

    method.__name__ = name
    return method


for _name in ATTRIBUTES:
    setattr(ndarray, _name, property(lambda self, name=_name: getattr(self._held, name)))
for _name, _of in UFUNCS.items():
    for _kind in ("", "r", "i"):
        if f"__{_kind}{_name}__" in FROZEN["special"]:
            setattr(ndarray, f"__{_kind}{_name}__", _binary(_name, _of, _kind))
for _name, _of in COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _binary(_name, _of, ""))
for _name, _of in UNARY.items():
    setattr(ndarray, f"__{_name}__", _unary(_of))
for _name in FROZEN["methods"]:
    if not hasattr(ndarray, _name):
        setattr(ndarray, _name, _method(_name))
