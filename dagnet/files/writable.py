"""What the writers of MAT-files share: a value as MATLAB holds it, or one sentence why MATLAB cannot hold it.

Python's own numbers, vectors and texts are taken beside matvalues' values: 3 is a 1x1 double, a vector is a row.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import scipy.sparse

from . import matvalues

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
PIECE = 1 << 24  # bytes of an array that are copied at a time, so that no second copy of a large one arises


def form(value: Any, where: str) -> tuple[str, Any]:
    """The value's class, "sparse" for a sparse one, and the value in MATLAB's shape.

    "struct" comes with a StructArray, 1x1 included; "cell" with an object array; "char" with UTF-16 codes (uint16); "sparse"
    with a csc_matrix of float64, complex128 or bool, its indices sorted; other classes with an array of native byte order.
    Raises ValueError, beginning with `where`, for a value that MATLAB has no class for and for a Foreign one.
    """
    if isinstance(value, dict):
        value = matvalues.StructArray(tuple(value), (1, 1), [value])
    if isinstance(value, matvalues.StructArray):
        for field in value.fields:
            check_name(field, f"{where}: field")
        return "struct", value
    if isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "U"):
        return "char", _codes(value, where)
    if scipy.sparse.issparse(value):
        return "sparse", _sparse(value)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        value = np.asarray(value, None if isinstance(value, (bool, complex, np.generic)) else np.float64)
    if isinstance(value, matvalues.Foreign):
        raise ValueError(f"{where} is {value}, which only MATLAB can write; remove it first")
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{where} is of Python's type {type(value).__name__}, for which MATLAB has no class")
    value = value.reshape(shape(value.shape))
    if value.dtype == object:
        return "cell", value
    if value.dtype.str[1:] not in matvalues.CLASSES:
        raise ValueError(
            f"{where} is an array of {value.dtype}; MATLAB has no such class, convert it to float32 or float64"
        )
    return matvalues.CLASSES[value.dtype.str[1:]], value.astype(value.dtype.newbyteorder("="), copy=False)


def check(variables: Mapping[str, Any]) -> None:
    """Raises ValueError, naming variable and field, for what no version of a MAT-file holds; only looks at the values."""
    for name, value in variables.items():
        check_name(name, "variable")
        _check(value, name)


def same(a: Any, b: Any) -> bool:
    """Whether two values would be written alike: class, shape, fields and their order, and every bit."""
    if isinstance(a, matvalues.Foreign) or isinstance(b, matvalues.Foreign):
        return a == b
    (kind, a), (other, b) = form(a, "a value"), form(b, "a value")
    if kind != other or shape(a.shape) != shape(b.shape):
        return False
    if kind == "struct":
        pairs = zip(a.records, b.records, strict=True)
        return a.fields == b.fields and all(same(x[f], y[f]) for x, y in pairs for f in a.fields)
    if kind == "cell":
        return all(same(x, y) for x, y in zip(a.flat, b.flat, strict=True))
    if kind == "sparse":
        return all(same(getattr(a, part), getattr(b, part)) for part in ("indptr", "indices", "data"))
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def check_name(name: Any, what: str) -> None:
    """Raises ValueError for a name that MATLAB would not accept."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{what} {name!r} is no MATLAB name: use a letter, then letters, digits and _, 63 at most")


def shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """MATLAB's shape for NumPy's: two dimensions at least, a vector is a row, and no trailing sizes of 1 beyond those."""
    if len(shape) < 2:
        return (1, *shape) if shape else (1, 1)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def elements(cell: np.ndarray, where: str) -> Iterator[tuple[Any, str]]:
    """A cell's elements in MATLAB's order, each with its place for messages."""
    for i, element in enumerate(cell.ravel(order="F")):
        yield element, f"{where}{{{i + 1}}}"


def records(struct: matvalues.StructArray, where: str) -> Iterator[tuple[dict[str, Any], str]]:
    """A struct array's records, each with its place for messages."""
    for i, record in enumerate(struct.records):
        yield record, where if len(struct) == 1 else f"{where}({i + 1})"


def box(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape of the parts in which `pieces` cuts an array of some elements."""
    sizes, taken = [1] * len(shape), itemsize
    for axis, n in enumerate(shape):
        if taken * n > PIECE:
            parts = -(-n // max(1, PIECE // taken))
            sizes[axis] = -(-n // parts)  # parts of about the same size
            break
        sizes[axis], taken = max(n, 1), taken * max(n, 1)
    return tuple(sizes)


def pieces(value: np.ndarray) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """An array in parts of at most PIECE bytes that follow each other in MATLAB's order, each with its place."""
    sizes = box(value.shape, value.itemsize)
    starts = [range(0, n, size) for n, size in zip(value.shape, sizes, strict=True)]
    for corner in itertools.product(*reversed(starts)):
        place = tuple(slice(at, at + size) for at, size in zip(reversed(corner), sizes, strict=True))
        yield place, value[place]


# ---------------------------------------------------------------- details


def _check(value: Any, where: str) -> None:
    kind, value = form(value, where)
    if kind == "cell":
        for element, place in elements(value, where):
            _check(element, place)
    elif kind == "struct":
        for record, place in records(value, where):
            for field in value.fields:
                _check(record[field], f"{place}.{field}")


def _codes(value: str | np.ndarray, where: str) -> np.ndarray:
    if isinstance(value, str):
        row = np.frombuffer(value.encode("utf-16-le", "surrogatepass"), "<u2").astype(np.uint16)
        return row.reshape(1, -1) if value else row.reshape(0, 0)
    if value.dtype.itemsize > 4:
        raise ValueError(f"{where} is an array of texts; a cell of texts, or an array of single characters, is right")
    codes = np.array(value, "U1", order="C").view(np.uint32)
    if codes.size and codes.max() > 0xFFFF:
        raise ValueError(
            f"{where} holds the character {chr(codes.max())!r}; its elements go up to U+FFFF, a text holds it"
        )
    return codes.astype(np.uint16).reshape(shape(value.shape))


def _sparse(value: Any) -> scipy.sparse.csc_matrix:
    dtype = bool if value.dtype == bool else np.complex128 if value.dtype.kind == "c" else np.float64
    columns = scipy.sparse.csc_matrix(value, dtype=dtype, copy=True)
    columns.sum_duplicates()
    columns.eliminate_zeros()  # MATLAB stores none
    return columns
