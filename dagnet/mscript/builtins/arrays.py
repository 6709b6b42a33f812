"""Making and shaping arrays: zeros size reshape permute cat repmat linspace meshgrid ...; of cells and structs too."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import indexing, limits, operators
from ..failures import MatlabError
from ..values import (
    class_of,
    logical,
    normal,
    number,
    numbers,
    numel,
    row,
    same,
    scalar,
    shape,
    text,
    trimmed,
    whole,
)
from .classes import DTYPES
from .randoms import sizes
from .reductions import axis_of, spread
from .table import builtin, pure

if TYPE_CHECKING:
    from ..interpreter import Interpreter


def _filled(name: str, fill: Any) -> None:
    def called(*args: Any) -> Any:
        size, kind, like = sizes(args, name)
        if kind and kind not in DTYPES:
            raise MatlabError(f"{name}: the class '{kind}' is not known")
        dtype = DTYPES[kind] if kind else np.dtype(np.float64) if like is None else numbers(like).dtype
        limits.room(size, dtype)
        return np.full(size, fill, dtype)

    pure(name)(called)


for _name, _fill in {"zeros": 0, "ones": 1, "nan": np.nan, "NaN": np.nan, "inf": np.inf, "Inf": np.inf}.items():
    _filled(_name, _fill)


def _logicals(name: str, fill: bool) -> None:
    def called(*args: Any) -> Any:
        size, _, _ = sizes(args, name)
        limits.room(size, 1)
        return np.full(size, fill)

    pure(name)(called)


_logicals("true", True)
_logicals("false", False)
pure("pi")(lambda: number(np.pi))
for _name in ("i", "j", "1i"):
    pure(_name)(lambda: np.array([[1j]]))


@pure("cell")
def cell(*args: Any) -> Any:
    size, _, _ = sizes(args, "cell")
    if not args:
        size = (0, 0)
    limits.room(size, 64)
    made = np.empty(size, object)
    for i in np.ndindex(size):
        made[i] = np.zeros((0, 0))
    return made


@pure("eye")
def eye(*args: Any) -> Any:
    size, kind, _ = sizes(args, "eye")
    limits.room(size)
    return np.eye(*size[:2], dtype=DTYPES[kind or "double"])


@pure("intmax")
def intmax(kind: Any = "int32") -> Any:
    dtype = DTYPES[text(kind, "intmax")]
    return np.array([[np.iinfo(dtype).max]], dtype)


@pure("intmin")
def intmin(kind: Any = "int32") -> Any:
    dtype = DTYPES[text(kind, "intmin")]
    return np.array([[np.iinfo(dtype).min]], dtype)


@pure("realmax")
def realmax(kind: Any = "double") -> Any:
    return np.array([[np.finfo(DTYPES[text(kind, "realmax")]).max]])


@pure("realmin")
def realmin(kind: Any = "double") -> Any:
    return np.array([[np.finfo(DTYPES[text(kind, "realmin")]).tiny]])


@pure("flintmax")
def flintmax(kind: Any = "double") -> Any:
    return number(2.0**53) if text(kind, "flintmax") == "double" else np.array([[2.0**24]], np.float32)


# sizes


@builtin("size")
def size(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    found = [float(n) for n in shape(args[0])]
    if len(args) > 1:
        wanted = [int(d) for a in args[1:] for d in numbers(a).ravel(order="F").tolist()]
        if any(d < 1 for d in wanted):
            raise MatlabError("Dimension argument must be a positive integer scalar within indexing range.")
        picked = [found[d - 1] if d <= len(found) else 1.0 for d in wanted]
        return [number(n) for n in picked] if nargout > 1 else [row(picked)]
    if nargout < 2:
        return [row(found)]
    padded = found + [1.0] * (nargout - len(found))
    return [number(n) for n in padded[: nargout - 1]] + [number(prod(padded[nargout - 1 :]))]


pure("numel")(lambda value, *indices: number(numel(value)))
pure("length")(lambda value: number(max(shape(value)) if numel(value) else 0))
pure("ndims")(lambda value: number(len(shape(value))))
pure("isempty")(lambda value: logical(numel(value) == 0))
pure("isscalar")(lambda value: logical(numel(value) == 1))
pure("isvector")(lambda value: logical(len(shape(value)) == 2 and 1 in shape(value) and numel(value) > 0))
pure("isrow")(lambda value: logical(len(shape(value)) == 2 and shape(value)[0] == 1))
pure("iscolumn")(lambda value: logical(len(shape(value)) == 2 and shape(value)[1] == 1))
pure("ismatrix")(lambda value: logical(len(shape(value)) == 2))


@pure("isequal", "isequaln")
def isequal(first: Any, *others: Any) -> Any:
    return logical(all(same(first, other) for other in others))


# shapes


@pure("reshape")
def reshape(value: Any, *args: Any) -> Any:
    """reshape(x, [2 3]), reshape(x, 2, 3), reshape(x, 2, [])"""
    count = numel(value)
    if len(args) == 1:
        asked: list[int | None] = [int(n) for n in numbers(args[0]).ravel(order="F").tolist()]
    else:
        asked = [whole(a, "reshape") if numel(a) else None for a in args]
    known = prod(n for n in asked if n is not None)
    if asked.count(None) > 1 or len(asked) < 2:
        raise MatlabError("reshape: sizes, of which one may be [], are right.", "MATLAB:getReshapeDims:unknownDim")
    if None in asked and (known == 0 or count % known):
        raise MatlabError(
            f"Product of known dimensions, {known}, not divisible into total number of elements, {count}.",
            "MATLAB:getReshapeDims:notDivisible",
        )
    wanted = [count // known if n is None else n for n in asked]
    if prod(wanted) != count:
        raise MatlabError(
            "Number of elements must not change. Use [] as one of the size inputs to automatically calculate the appropriate "
            f"size for that dimension: {count} elements for {'x'.join(map(str, wanted))}.",
            "MATLAB:getReshapeDims:notSameNumel",
        )
    if count == 0:
        limits.room(wanted)  # zeros(0, 1) becomes 0x1e10
    array, closed = indexing.opened(value)
    return closed(array.reshape(trimmed(wanted), order="F"))


def _order(value: Any, order: Any, who: str) -> list[int]:
    axes = [int(n) - 1 for n in numbers(order).ravel(order="F").tolist()]
    if sorted(axes) != list(range(len(axes))) or len(axes) < len(shape(value)):
        raise MatlabError(f"{who}: ORDER must contain each dimension once, at least {len(shape(value))} of them.")
    return axes


@pure("permute")
def permute(value: Any, order: Any) -> Any:
    axes = _order(value, order, "permute")
    array, closed = indexing.opened(value)
    return closed(spread(array, len(axes) - 1).transpose(axes))


@pure("ipermute")
def ipermute(value: Any, order: Any) -> Any:
    return permute(value, row(np.argsort(_order(value, order, "ipermute")) + 1.0))


@pure("squeeze")
def squeeze(value: Any) -> Any:
    sizes_ = shape(value)
    if len(sizes_) <= 2:
        return value
    array, closed = indexing.opened(value)
    return closed(array.reshape(trimmed([n for n in sizes_ if n != 1]), order="F"))


@pure("cat")
def cat(dim: Any, *values: Any) -> Any:
    return operators.concatenated(list(values), whole(dim, "cat") - 1) if values else np.zeros((0, 0))


pure("horzcat")(lambda *values: operators.concatenated(list(values), 1) if values else np.zeros((0, 0)))
pure("vertcat")(lambda *values: operators.concatenated(list(values), 0) if values else np.zeros((0, 0)))


@pure("repmat")
def repmat(value: Any, *args: Any) -> Any:
    times, _, _ = sizes(args, "repmat")
    array, closed = indexing.opened(value)
    n = max(array.ndim, len(times))
    array = spread(array, n - 1)
    times = (*times, *(1,) * (n - len(times)))
    limits.room([a * t for a, t in zip(array.shape, times, strict=True)], array.dtype)
    return closed(np.tile(array, times))


@pure("kron")
def kron(a: Any, b: Any) -> Any:
    limits.room((numel(a), numel(b)))
    return np.kron(operators.positive(a), operators.positive(b))


@pure("linspace")
def linspace(start: Any, stop: Any, count: Any = None) -> Any:
    n = 100 if count is None else max(1, int(scalar(count, "linspace")))
    limits.room((1, n))
    a, b = operators.positive(start), operators.positive(stop)
    kind = np.float32 if np.float32 in (a.dtype, b.dtype) else np.float64
    return (
        np.linspace(a.item(), b.item(), n).astype(kind).reshape(1, -1)
        if n > 1
        else operators.as_class(b, np.dtype(kind))
    )


@pure("logspace")
def logspace(start: Any, stop: Any, count: Any = None) -> Any:
    return 10.0 ** linspace(start, stop, number(50) if count is None else count)


def _grid(values: Sequence[Any], order: Any) -> list[Any]:
    vectors = [operators.positive(v).ravel(order="F") for v in values]
    limits.room([v.size for v in vectors])
    return [np.array(g) for g in np.meshgrid(*vectors, indexing=order)]


@builtin("meshgrid")
def meshgrid(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    args = args * 2 if len(args) == 1 else args
    return _grid(args if len(args) == 2 else args[:3], "xy")


@builtin("ndgrid")
def ndgrid(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return _grid(args * max(2, nargout) if len(args) == 1 else args, "ij")


@pure("diag")
def diag(value: Any, offset: Any = None) -> Any:
    x = operators.operand(value, "diag")
    k = 0 if offset is None else whole(offset, "diag")
    if 1 in x.shape:
        limits.room((x.size, x.size))
        return np.diag(x.ravel(), k)
    return np.diag(x, k).reshape(-1, 1)


pure("triu")(lambda value, k=None: np.triu(numbers(value), 0 if k is None else whole(k, "triu")))
pure("tril")(lambda value, k=None: np.tril(numbers(value), 0 if k is None else whole(k, "tril")))


def _flipped(value: Any, axis: int) -> Any:
    array, closed = indexing.opened(value)
    return closed(np.flip(spread(array, axis), axis))


@pure("flip", "flipdim")
def flip(value: Any, dim: Any = None) -> Any:
    array, _ = indexing.opened(value)
    return _flipped(value, axis_of(array, dim, "flip"))


pure("fliplr")(lambda value: _flipped(value, 1))
pure("flipud")(lambda value: _flipped(value, 0))


@pure("rot90")
def rot90(value: Any, times: Any = None) -> Any:
    return normal(np.rot90(numbers(value), 1 if times is None else whole(times, "rot90")))


@pure("circshift")
def circshift(value: Any, by: Any, dim: Any = None) -> Any:
    array, closed = indexing.opened(value)
    steps = [int(n) for n in numbers(by).ravel().tolist()]
    axes = list(range(len(steps))) if len(steps) > 1 else [axis_of(array, dim, "circshift")]
    return closed(np.roll(array, steps, axes))


@pure("sub2ind")
def sub2ind(size: Any, *subscripts: Any) -> Any:
    extents = [int(n) for n in numbers(size).ravel().tolist()]
    places = np.zeros(shape(subscripts[0]))
    step = 1
    for k, subscript in enumerate(subscripts):
        if (numbers(subscript) > extents[k]).any() or (numbers(subscript) < 1).any():
            raise MatlabError("Out of range subscript.", "MATLAB:sub2ind:IndexOutOfRange")
        places = places + (numbers(subscript) - 1) * step
        step *= extents[k]
    return places + 1.0


@builtin("ind2sub")
def ind2sub(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    extents = [int(n) for n in numbers(args[0]).ravel().tolist()]
    count = max(1, nargout)
    extents = [*extents[: count - 1], prod(extents[count - 1 :])] + [1] * (count - len(extents))
    left = numbers(args[1]).astype(np.int64) - 1
    if (left >= prod(extents)).any():
        raise MatlabError("Index out of range.", "MATLAB:ind2sub:IndexOutOfRange")
    found = []
    for n in extents[:count]:
        found.append(left % n + 1.0)
        left = left // n
    return found


@pure("accumarray")
def accumarray(subscripts: Any, values: Any, size: Any = None) -> Any:
    where = numbers(subscripts).astype(np.int64) - 1
    if where.shape[1] == 1:
        where = np.hstack([where, np.zeros_like(where)])
    extents = (
        [int(n) for n in numbers(size).ravel()] if size is not None and numel(size) else list(where.max(axis=0) + 1)
    )
    limits.room(extents)
    total = np.zeros(extents)
    np.add.at(total, tuple(where.T), np.broadcast_to(numbers(values).ravel(order="F"), len(where)))
    return total


@builtin("bsxfun")
def bsxfun(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """bsxfun(@plus, a, b): the operators expand by themselves; another function is given both, expanded."""
    a, b = (operators.operand(v, "bsxfun") for v in args[1:3])
    first, second = operators.aligned(a, b)
    if (getattr(args[0], "name", None) or "") in (
        "plus",
        "minus",
        "times",
        "rdivide",
        "power",
        "max",
        "min",
        "eq",
        "rem",
        "mod",
    ):
        return interpreter.call(args[0], [a, b], 1)
    return interpreter.call(args[0], [normal(np.array(v)) for v in np.broadcast_arrays(first, second)], 1)


@pure("inv")
def inv(value: Any) -> Any:
    return operators.left_division(operators.positive(value), np.eye(shape(value)[0]))


@pure("det")
def det(value: Any) -> Any:
    return np.array([[np.linalg.det(operators.positive(value))]])


@pure("trace")
def trace(value: Any) -> Any:
    return np.array([[np.trace(operators.positive(value))]])


def described(value: Any) -> str:
    """'2x3 double', for messages."""
    return f"{'x'.join(map(str, shape(value)))} {class_of(value)}"
