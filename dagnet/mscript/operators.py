"""MATLAB's operators: the classes of results, implicit expansion, ranges.

Classes  double and double: double; with a single: single; with an intN: intN, rounded half away from zero and saturated; two
         different integer classes are an error. logical and char count as double. Comparisons and & | ~ give logical
Sizes    dimensions are equal, or 1 in one of the operands (implicit expansion)
Source   MATLAB's documentation, "Valid Combinations of Unlike Classes", "Arithmetic Operations", "colon"
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import limits
from .failures import MatlabError, NotSupported
from .handle import Handle
from .values import (
    String,
    chars,
    class_of,
    dims,
    fields_of,
    is_cell,
    is_char,
    is_number_like,
    is_struct,
    normal,
    numbers,
    numel,
    records,
    shape,
    structs,
    text,
    trimmed,
)

UNICODE = 4  # bytes of a character in a text, at most
CHARACTER = 24  # bytes that one takes while its number is computed with


def arithmetic_class(a: np.ndarray, b: np.ndarray, name: str) -> np.dtype:
    """The class of what an operator makes of the two; without regard to complex numbers."""
    integers = {x.dtype for x in (a, b) if x.dtype.kind in "iu"}
    if len(integers) > 1:
        raise MatlabError(
            f"Integers can only be combined with integers of the same class, or scalar doubles. ({name})",
            "MATLAB:mixedClasses",
        )
    if integers:
        return integers.pop()
    return np.dtype(np.float32 if np.float32 in (real_dtype(a), real_dtype(b)) else np.float64)


def real_dtype(x: np.ndarray) -> np.dtype:
    """The dtype of the real parts."""
    return x.real.dtype if x.dtype.kind == "c" else x.dtype


def saturated(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers as an integer class: rounded half away from zero, NaN as 0, what is too large as the largest."""
    info = np.iinfo(dtype)
    if x.dtype.kind in "iub":
        return (
            np.clip(x, info.min, info.max).astype(dtype)
            if x.dtype != dtype and x.dtype.kind != "b"
            else x.astype(dtype)
        )
    x = np.where(np.isnan(x), 0, x.real if x.dtype.kind == "c" else x)
    x = np.sign(x) * np.floor(np.abs(x) + x.dtype.type(0.5)) if np.isfinite(x).all() else _rounded(x)
    result = np.clip(x, float(info.min), float(info.max))
    top, bottom = result >= float(info.max), result <= float(info.min)
    result = np.where(top | bottom, 0, result).astype(dtype)
    result[top], result[bottom] = info.max, info.min
    return result


def _rounded(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), np.sign(x) * np.floor(np.abs(np.where(np.isfinite(x), x, 0)) + 0.5), x)


def as_class(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers as another class, by MATLAB's rules."""
    if x.dtype == dtype:
        return x
    if dtype.kind in "iu":
        return saturated(x, dtype)
    if dtype.kind == "b":
        if x.dtype.kind in "fc" and np.isnan(x).any():
            raise MatlabError("NaN's cannot be converted to logicals.", "MATLAB:nologicalnan")
        return x != 0
    if x.dtype.kind == "c":
        return x.astype(np.result_type(dtype, np.complex64))
    return x.astype(dtype)


def aligned(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two with equally many dimensions, so that NumPy expands them as MATLAB does. Raises MatlabError if it cannot."""
    if a.shape == b.shape:
        limits.room(a.shape, 8)
        return a, b
    n = max(a.ndim, b.ndim)
    first, second = a.shape + (1,) * (n - a.ndim), b.shape + (1,) * (n - b.ndim)
    if any(p != q and 1 not in (p, q) for p, q in zip(first, second, strict=True)):
        raise MatlabError(
            f"Arrays have incompatible sizes for this operation: {dims(a)} and {dims(b)}.",
            "MATLAB:sizeDimensionsMustMatch",
        )
    limits.room([q if p == 1 else p for p, q in zip(first, second, strict=True)], 8)
    return a.reshape(first), b.reshape(second)


def operand(value: Any, name: str) -> np.ndarray:
    """A value as an operator takes it. Raises MatlabError for what is no number, logical or char."""
    if not is_number_like(value):
        raise MatlabError(
            f"Operator '{name}' is not supported for operands of type '{class_of(value)}'.", "MATLAB:UndefinedFunction"
        )
    return numbers(value)


def elementwise(a: np.ndarray, b: np.ndarray, name: str, function: Callable[..., Any]) -> np.ndarray:
    """function of the elements, in the class that MATLAB gives it."""
    dtype = arithmetic_class(a, b, name)
    a, b = aligned(a, b)
    with np.errstate(all="ignore"):
        if dtype.kind not in "iu":
            return normal(np.asarray(function(as_class(a, dtype), as_class(b, dtype))))
        wide = np.longdouble if dtype.itemsize == 8 else np.float64
        return normal(saturated(np.asarray(function(a.astype(wide), b.astype(wide))), dtype))


def power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a .^ b; a fraction as the exponent of a negative number gives complex numbers."""
    if a.dtype.kind == "f" and b.dtype.kind == "f" and (a < 0).any() and (b != np.floor(b)).any():
        result = np.power(a.astype(np.result_type(a, np.complex64)), b)
        return result if result.imag.any() else result.real
    return np.power(a, b)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a * b"""
    if a.size == 1 or b.size == 1:
        return elementwise(a, b, "*", operator.mul)
    if a.ndim > 2 or b.ndim > 2 or a.shape[1] != b.shape[0]:
        raise MatlabError(
            f"Incorrect dimensions for matrix multiplication: {dims(a)} and {dims(b)}. The number of columns in the first "
            "matrix must match the number of rows in the second.",
            "MATLAB:innerdim",
        )
    dtype = arithmetic_class(a, b, "*")
    if dtype.kind in "iu":
        raise MatlabError(
            "MTIMES (*) is not fully supported for integer classes. At least one argument must be scalar."
        )
    limits.room((a.shape[0], b.shape[1]), 16)
    limits.spend(a.size * b.shape[1] / 10_000)
    return as_class(a, dtype) @ as_class(b, dtype)


def left_division(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a \\ b: of matrices, the solution of a * x = b, by least squares where a is not square."""
    if a.size == 1:
        return elementwise(b, a, "\\", operator.truediv)
    if a.ndim > 2 or b.ndim > 2 or a.shape[0] != b.shape[0]:
        raise MatlabError(f"Matrix dimensions must agree: {dims(a)} and {dims(b)}.", "MATLAB:dimagree")
    dtype = arithmetic_class(a, b, "\\")
    a, b = as_class(a, dtype), as_class(b, dtype)
    limits.spend(a.size * max(a.shape) / 1000)
    try:
        return np.linalg.solve(a, b) if a.shape[0] == a.shape[1] else np.linalg.lstsq(a, b)[0]
    except np.linalg.LinAlgError:
        raise MatlabError("Matrix is singular to working precision.", "MATLAB:singularMatrix") from None


def right_division(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b"""
    return elementwise(a, b, "/", operator.truediv) if b.size == 1 else left_division(b.T, a.T).T


def matrix_power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a ^ b"""
    if a.size == 1 and b.size == 1:
        return elementwise(a, b, "^", power)
    if b.size != 1 or a.ndim > 2 or a.shape[0] != a.shape[1]:
        raise MatlabError("Incorrect dimensions for raising a matrix to a power: it must be square, the power scalar.")
    exponent = float(b.item().real)
    if exponent != int(exponent):
        raise NotSupported("a power of a matrix that is no whole number is not known here")
    limits.spend(a.size * a.shape[0] / 1000)
    return np.linalg.matrix_power(as_class(a, arithmetic_class(a, b, "^")), int(exponent))


ELEMENTWISE = {
    "+": operator.add,
    "-": operator.sub,
    ".*": operator.mul,
    "./": operator.truediv,
    ".\\": lambda a, b: b / a,
    ".^": power,
}
MATRIX = {"*": product, "/": right_division, "\\": left_division, "^": matrix_power}
COMPARISONS = {
    "==": operator.eq,
    "~=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LOGICAL = {"&": np.logical_and, "|": np.logical_or}


def binary(name: str, a: Any, b: Any) -> Any:
    """a <name> b. Raises MatlabError for classes or sizes that do not go together."""
    if isinstance(a, String) or isinstance(b, String):
        return _strings(name, a, b)
    if isinstance(a, Handle) and isinstance(b, Handle) and name in ("==", "~="):
        return np.array([[(a is b) == (name == "==")]])
    x, y = operand(a, name), operand(b, name)
    if name in ELEMENTWISE:
        return elementwise(x, y, name, ELEMENTWISE[name])
    if name in MATRIX:
        return MATRIX[name](x, y)
    x, y = aligned(x, y)
    if name in LOGICAL:
        return normal(LOGICAL[name](as_class(x, np.dtype(bool)), as_class(y, np.dtype(bool))))
    if name not in ("==", "~="):  # complex numbers are ordered by their real parts
        x, y = x.real, y.real
    if {x.dtype.kind, y.dtype.kind} == {"i", "f"} and 8 in (x.dtype.itemsize, y.dtype.itemsize):
        x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    return normal(COMPARISONS[name](x, y))


def _strings(name: str, a: Any, b: Any) -> Any:
    if name == "+":
        parts = [v if isinstance(v, (str, String)) else None for v in (a, b)]
        if None not in parts:
            return String("".join(text(p, "+") for p in parts))
    elif name in COMPARISONS and all(isinstance(v, (str, String)) for v in (a, b)):
        return np.array([[COMPARISONS[name](text(a, name), text(b, name))]])
    raise NotSupported(f"the operator {name} for a string in double quotes and a {class_of(b)} is not known here")


def negative(value: Any) -> Any:
    x = operand(value, "-")
    if x.dtype.kind == "b":
        x = x.astype(np.float64)
    return saturated(-x.astype(np.longdouble), x.dtype) if x.dtype.kind in "iu" else -x


def positive(value: Any) -> Any:
    x = operand(value, "+")
    return x.astype(np.float64) if x.dtype.kind == "b" else x


def negation(value: Any) -> Any:
    return ~as_class(operand(value, "~"), np.dtype(bool))


def transpose(value: Any, conjugate: bool = False) -> Any:
    """value.' or, where it is conjugated, value'"""
    if len(shape(value)) > 2:
        raise MatlabError("Transpose on ND array is not defined. Use PERMUTE instead.", "MATLAB:transpose:NDArray")
    if isinstance(value, str):
        return value if len(value) == 1 or not value else chars(np.array([[ord(c)] for c in value], np.uint32))
    if isinstance(value, np.ndarray):
        return normal(value.conj().T if conjugate and value.dtype.kind == "c" else value.T)
    if isinstance(value, dict) or numel(value) == 1:
        return value
    return structs(value.fields, records(value).T)


PREFIX = {"-": negative, "+": positive, "~": negation}
POSTFIX = {"'": lambda value: transpose(value, True), ".'": transpose}


def colon(start: Any, step: Any, stop: Any) -> Any:
    """start:step:stop, whose class is an integer's or single if one of them is, and char if start and stop are.

    Values are counted from both ends, so that both are exact. Source: MathWorks' answer 1-4FLI96, "colonop".
    """
    ends = [operand(v, ":") for v in (start, step, stop)]
    if any(e.size == 0 for e in ends):
        return np.zeros((1, 0))
    dtype = arithmetic_class(ends[0].ravel()[:1], ends[2].ravel()[:1], ":")
    if ends[1].dtype.kind in "iu" or (ends[1].dtype == np.float32 and dtype.kind == "f"):
        dtype = ends[1].dtype
    a, d, b = (float(e.ravel(order="F")[0].real) for e in ends)
    if not all(map(np.isfinite, (a, d))) or b != b:
        raise MatlabError("Maximum variable size allowed by the program is exceeded.", "MATLAB:pmaxsize")
    if d == 0 or (b - a) * d < 0:
        return np.zeros((1, 0), dtype)
    if not np.isfinite(b):
        limits.room((1, 1 << 62))
    found = _counted(a, d, b)
    if is_char(start) and is_char(stop):
        return chars(found)
    return as_class(found, dtype)


def _counted(a: float, d: float, b: float) -> np.ndarray:
    tolerance = 2 * np.finfo(float).eps * max(abs(a), abs(b))
    sign = np.sign(d)
    if a == int(a) and d == int(d):
        n = int((b - a) // d)
    else:
        n = round((b - a) / d)
        n -= int(sign * (a + n * d - b) > tolerance)
    last = a + n * d
    if sign * (last - b) > -tolerance:
        last = b
    limits.room((1, n + 1))
    k = np.arange(n + 1, dtype=np.float64)
    found = np.where(k <= n / 2, a + k * d, last - (n - k) * d)
    if n % 2 == 0:
        found[n // 2] = (a + last) / 2
    return found.reshape(1, -1)


def concatenated(values: list[Any], axis: int) -> Any:
    """[a, b] along axis 1, [a; b] along axis 0, cat() along others: the class is the strongest of the parts'.

    A struct array takes structs of the same fields, a cell takes cells and, as elements, everything else; then an integer (the
    first's class), char, single, double, logical. [] (0x0) is left out. Raises MatlabError for parts that do not fit.
    """
    if any(isinstance(v, String) for v in values):
        raise NotSupported("an array of strings in double quotes is not known here; single quotes make a char array")
    if len(values) == 1 and not isinstance(values[0], Handle):
        return values[0]
    if any(is_cell(v) for v in values):
        parts = [v if is_cell(v) else _boxed(v) for v in values if is_cell(v) or shape(v) != (0, 0)]
        return _joined(parts, axis, np.empty((0, 0), object))
    if any(is_struct(v) for v in values):
        return _joined_structs([v for v in values if not (isinstance(v, np.ndarray) and v.size == 0)], axis)
    unfit = next((v for v in values if not is_number_like(v)), None)
    if unfit is not None:
        raise NotSupported(f"an array of several {class_of(unfit)} values is not known here; a cell holds them")
    if axis == 1 and all(isinstance(v, str) for v in values):
        limits.room((1, sum(map(len, values))), UNICODE)
        return "".join(values)
    if any(is_char(v) for v in values):
        limits.room((1, sum(map(numel, values))), CHARACTER)
    arrays = [numbers(v) for v in values]
    integers = [a.dtype for a in arrays if a.dtype.kind in "iu"]
    if any(is_char(v) for v in values):
        joined = _joined([a for a in arrays if a.shape != (0, 0)], axis, np.zeros((0, 0)))
        return chars(joined)
    if integers:
        dtype = integers[0]
    elif any(real_dtype(a) == np.float32 for a in arrays):
        dtype = np.dtype(np.float32)
    elif any(a.dtype.kind != "b" for a in arrays):
        dtype = np.dtype(np.float64)
    else:
        dtype = np.dtype(bool)
    kept = [as_class(a, dtype) for a in arrays if a.shape != (0, 0)]
    return _joined(kept, axis, np.zeros((0, 0), dtype))


def _boxed(value: Any) -> np.ndarray:
    box = np.empty((1, 1), object)
    box[0, 0] = value
    return box


def _joined(arrays: list[np.ndarray], axis: int, nothing: np.ndarray) -> np.ndarray:
    if axis < 2 and len(arrays) > 1:  # 1x0 and 0x1 vanish beside what has elements, as they do in MATLAB
        arrays = [a for a in arrays if a.size or max(a.shape) > 1 or _fits(a, arrays, axis)] or arrays[:1]
    if not arrays:
        return nothing
    n = max(axis + 1, *(a.ndim for a in arrays))
    padded = [a.reshape(a.shape + (1,) * (n - a.ndim)) for a in arrays]
    first: tuple[int, ...] = padded[0].shape
    for a in padded[1:]:
        other: tuple[int, ...] = a.shape
        if any(p != q for k, (p, q) in enumerate(zip(first, other, strict=True)) if k != axis):
            kind = {0: "vertically", 1: "horizontally"}.get(axis, f"along dimension {axis + 1}")
            raise MatlabError(
                f"Dimensions of arrays being concatenated {kind} are not consistent: {dims(arrays[0])} and {dims(a)}.",
                "MATLAB:catenate:dimensionMismatch",
            )
    size: list[int] = list(first)
    size[axis] = sum(a.shape[axis] for a in padded)
    limits.room(size, padded[0].dtype)
    joined = np.concatenate(padded, axis)
    return joined.reshape(trimmed(joined.shape))


def _fits(a: np.ndarray, others: list[np.ndarray], axis: int) -> bool:
    return all(
        p == q for o in others for k, (p, q) in enumerate(zip(a.shape, o.shape, strict=False)) if k != axis and o.size
    )


def _joined_structs(values: list[Any], axis: int) -> Any:
    if not all(is_struct(v) for v in values):
        raise MatlabError("A struct array is made of structs alone; one of the parts is none.")
    names = fields_of(values[0])
    parts = []
    for value in values:
        if set(fields_of(value)) != set(names):
            raise MatlabError(
                "Names of fields in structure arrays being concatenated do not match: "
                f"{', '.join(names)} and {', '.join(fields_of(value))}.",
                "MATLAB:catenate:structFieldBad",
            )
        array = records(value)
        ordered = [{name: record[name] for name in names} for record in array.ravel(order="F")]
        part = np.empty(len(ordered), object)
        part[:] = ordered
        parts.append(part.reshape(array.shape, order="F"))
    joined = _joined([p for p in parts if p.shape != (0, 0)], axis, np.empty((0, 0), object))
    return structs(names, joined)
