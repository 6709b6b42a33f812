"""Sums, extremes, orders along a dimension: sum prod mean max min any all cumsum sort find ...

Without a dimension it is the first that is not 1; sums of 0x0 are one number.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import operators
from ..failures import MatlabError
from ..values import chars, is_cell, is_char, is_text, normal, numbers, numel, text, texts, whole
from .table import builtin, pure

if TYPE_CHECKING:
    from ..interpreter import Interpreter


def axis_of(x: np.ndarray, dim: Any, who: str) -> int:
    """The axis, from 0, that a dimension from 1 names; without one, the first that is not 1."""
    if dim is None:
        return next((k for k, n in enumerate(x.shape) if n != 1), 0)
    axis = whole(dim, who) - 1
    if axis < 0:
        raise MatlabError(f"{who}: a dimension from 1 on is right, {axis + 1} came")
    return axis


def spread(x: np.ndarray, axis: int) -> np.ndarray:
    """x with that axis, 1 long if it has none there."""
    return x.reshape(x.shape + (1,) * (axis + 1 - x.ndim))


def reduced(value: Any, dim: Any, who: str, function: Callable[..., np.ndarray]) -> Any:
    """function(x, axis, keepdims) along the dimension; 'all' takes everything."""
    x = operators.positive(value) if who not in ("any", "all") else operators.operand(value, who)
    if dim is not None and is_text(dim):
        if text(dim, who) != "all":
            raise MatlabError(f"{who}: {text(dim, who)!r} is not known here; a dimension or 'all' is right")
        x, dim = x.reshape(-1, 1), None
    if dim is not None and numel(dim) > 1:
        for d in sorted(numbers(dim).ravel().tolist()):
            x = np.asarray(reduced(x, np.array([[d]]), who, function))
        return x
    if dim is None and x.shape == (0, 0):
        x = x.reshape(0, 1)
    axis = axis_of(x, dim, who)
    with np.errstate(all="ignore"):
        return normal(function(spread(x, axis), axis=axis, keepdims=True))


def _summed(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def of(x: np.ndarray, axis: int, keepdims: bool) -> np.ndarray:
        if x.dtype.kind in "iu":
            return operators.saturated(function(x.astype(np.longdouble), axis=axis, keepdims=keepdims), x.dtype)
        return function(x, axis=axis, keepdims=keepdims)

    return of


def mean_of(x: np.ndarray, axis: int, keepdims: bool) -> np.ndarray:
    x = x.astype(np.float64) if x.dtype.kind in "iu" else x
    return x.sum(axis=axis, keepdims=keepdims) / x.dtype.type(x.shape[axis])


def median_of(x: np.ndarray, axis: int, keepdims: bool) -> np.ndarray:
    return (
        np.median(x, axis=axis, keepdims=keepdims)
        if x.shape[axis]
        else np.full_like(x.sum(axis, keepdims=True), np.nan)
    )


for _name, _function in {
    "sum": _summed(np.sum),
    "prod": _summed(np.prod),
    "mean": mean_of,
    "median": median_of,
    "any": lambda x, axis, keepdims: np.any((x != 0) & (x == x), axis=axis, keepdims=keepdims),
    "all": lambda x, axis, keepdims: np.all(x != 0, axis=axis, keepdims=keepdims),
}.items():
    pure(_name)(lambda value, dim=None, *, _name=_name, _function=_function: reduced(value, dim, _name, _function))


def _spread_about(name: str, root: bool) -> None:
    def called(value: Any, weight: Any = None, dim: Any = None) -> Any:
        whole_sample = weight is not None and numel(weight) and whole(weight, name) == 1

        def of(x: np.ndarray, axis: int, keepdims: bool) -> np.ndarray:
            free = 0 if whole_sample or x.shape[axis] == 1 else 1
            found = np.var(x, axis=axis, keepdims=keepdims, ddof=free)
            return np.sqrt(found) if root else found

        return reduced(value, dim, name, of)

    pure(name)(called)


_spread_about("std", True)
_spread_about("var", False)


def _running(name: str, function: Callable[..., np.ndarray]) -> None:
    def called(value: Any, dim: Any = None) -> Any:
        x = operators.positive(value)
        axis = axis_of(x, dim, name)
        found = function(spread(x, axis), axis=axis)
        return normal(operators.saturated(found, x.dtype) if x.dtype.kind in "iu" else found)

    pure(name)(called)


_running("cumsum", np.cumsum)
_running("cumprod", np.cumprod)
_running("cummax", np.maximum.accumulate)
_running("cummin", np.minimum.accumulate)


def _extreme(name: str, larger: bool) -> None:
    pair = np.fmax if larger else np.fmin
    arg, of = (np.nanargmax, np.fmax.reduce) if larger else (np.nanargmin, np.fmin.reduce)

    def called(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
        if len(args) > 1 and numel(args[1]):
            a, b = (operators.operand(v, name) for v in args[:2])
            return [operators.elementwise(a, b, name, pair)]
        x = operators.positive(args[0]) if not isinstance(args[0], np.ndarray) else operators.operand(args[0], name)
        dim = args[2] if len(args) > 2 else None
        if dim is not None and is_text(dim):
            x, dim = x.reshape((-1, 1), order="F"), None
        axis = axis_of(x, dim, name)
        x = spread(x, axis)
        if x.shape[axis] == 0:
            return [np.zeros(x.shape, x.dtype), np.zeros(x.shape)]
        if x.dtype.kind == "c":
            raise MatlabError(f"{name}: complex numbers are not known here")
        found = of(x, axis=axis, keepdims=True)
        if nargout < 2:
            return [normal(found)]
        nothing = np.isnan(x).all(axis=axis, keepdims=True) if x.dtype.kind == "f" else np.zeros(found.shape, bool)
        where = arg(np.where(nothing, 0, x), axis=axis, keepdims=True) + 1.0
        return [normal(found), normal(np.where(nothing, 1.0, where))]

    builtin(name)(called)


_extreme("max", True)
_extreme("min", False)


@builtin("sort")
def sort(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """[sorted, order] = sort(x, dim, 'ascend' | 'descend'); NaN counts as the largest; of equals the first stays first."""
    value = args[0]
    words = [text(a, "sort").lower() for a in args[1:] if is_text(a)]
    dim = next((a for a in args[1:] if not is_text(a)), None)
    down = "descend" in words
    if is_cell(value):
        items = texts(value, "sort")
        places = sorted(range(len(items)), key=items.__getitem__, reverse=down)
        found = value.ravel(order="F")[places].reshape(value.shape, order="F")
        return [found, (np.array(places, float) + 1).reshape(value.shape, order="F")]
    x = operators.operand(value, "sort")
    axis = axis_of(x, dim, "sort")
    x = spread(x, axis)
    if down:
        n = x.shape[axis]
        order = n - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis=axis, kind="stable")
    found = np.take_along_axis(x, order, axis)
    return [chars(found) if is_char(value) else normal(found), normal(order + 1.0)]


@builtin("find")
def find(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    x = operators.operand(args[0], "find")
    places = np.flatnonzero(x.ravel(order="F"))
    if len(args) > 1:
        count = whole(args[1], "find")
        last = len(args) > 2 and text(args[2], "find") == "last"
        places = places[-count:] if last else places[:count]
    flat = (1, -1) if x.ndim == 2 and x.shape[0] == 1 and x.shape[1] != 1 else (-1, 1)
    if x.shape == (0, 0) or (x.shape == (1, 1) and not places.size):
        flat = (0, 0)
    if nargout < 2:
        return [(places + 1.0).reshape(flat)]
    rows = max(x.shape[0], 1)
    found = [places % rows + 1.0, places // rows + 1.0, x.ravel(order="F")[places]]
    return [f.reshape(flat) for f in found]


@pure("nnz")
def nnz(value: Any) -> Any:
    return np.array([[float(np.count_nonzero(operators.operand(value, "nnz")))]])


@pure("diff")
def diff(value: Any, order: Any = None, dim: Any = None) -> Any:
    x = operators.positive(value)
    axis = axis_of(x, dim, "diff")
    return normal(np.diff(spread(x, axis), 1 if order is None or not numel(order) else whole(order, "diff"), axis))


@pure("norm")
def norm(value: Any, kind: Any = None) -> Any:
    x = operators.positive(value)
    order: Any = 2
    if kind is not None:
        order = {"fro": "fro", "inf": np.inf}.get(text(kind, "norm").lower()) if is_text(kind) else numbers(kind).item()
    vector = 1 in x.shape
    flat = x.ravel() if vector else x
    return np.array([[np.linalg.norm(flat, 2 if vector and order == "fro" else order)]]).astype(x.dtype)


@pure("dot")
def dot(a: Any, b: Any) -> Any:
    x, y = operators.positive(a), operators.positive(b)
    if 1 in x.shape and 1 in y.shape:
        x, y = x.reshape(-1, 1, order="F"), y.reshape(-1, 1, order="F")
    return reduced(operators.binary(".*", x, y), None, "sum", np.sum)
