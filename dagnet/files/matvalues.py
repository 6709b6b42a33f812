"""How a value of MATLAB looks in Python, the same whatever file it came from.

    MATLAB                                   here
    struct, 1x1                              dict, in the order of its fields
    struct array of any other size           StructArray
    cell                                     numpy object array of the same shape
    char row, and '' (0x0)                   str
    any other char array                     numpy array of single characters (dtype U1) of the same shape
    logical                                  numpy bool array
    double, single, int8 ... uint64          numpy float64, float32, int8 ... uint64 array
    complex double, single                   numpy complex128, complex64 array
    sparse double, logical                   scipy.sparse csc_matrix
    function handle, object of a class       Foreign: it can be named, but neither used nor written

Arrays have MATLAB's shape, so two dimensions at least, and empty ones keep it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

CLASSES = {  # NumPy's dtype, as dtype.str names it without the byte order: MATLAB's class
    "b1": "logical",
    "f8": "double",
    "f4": "single",
    "c16": "double",
    "c8": "single",
    "i1": "int8",
    "u1": "uint8",
    "i2": "int16",
    "u2": "uint16",
    "i4": "int32",
    "u4": "uint32",
    "i8": "int64",
    "u8": "uint64",
}
# Without complex ones, which are pairs in files.
DTYPES = {name: np.dtype(code) for code, name in CLASSES.items() if code[0] != "c"}

# Structs without fields take no bytes in a file, however many: where one tells of more of them, it is damaged.
MOST_FIELDLESS = 1 << 20


@dataclass
class StructArray:
    """A MATLAB struct array that is not 1x1; records are in MATLAB's order (first index fastest)."""

    fields: tuple[str, ...]
    shape: tuple[int, ...]
    records: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.records)


@dataclass(frozen=True)
class Foreign:
    """What only MATLAB itself can read and write.

    kind        "function handle" or "object"
    class_name  the object's class; of a handle the function's name, where the file tells it
    """

    kind: str
    class_name: str = ""

    def __str__(self) -> str:
        if self.kind == "object":
            return f"a MATLAB object of class {self.class_name or 'unknown'}"
        return f"a MATLAB {self.kind} {self.class_name}".rstrip()


def struct(fields: Sequence[str], shape: Sequence[int], records: list[dict[str, Any]]) -> dict[str, Any] | StructArray:
    """A struct array of any shape, which if 1x1 is the struct itself."""
    return records[0] if tuple(shape) == (1, 1) else StructArray(tuple(fields), tuple(shape), records)


def sparse(values: np.ndarray, rows: np.ndarray, starts: np.ndarray, shape: Sequence[int]) -> scipy.sparse.csc_matrix:
    """A sparse array from its values, their rows, and where in these each column starts.

    Raises ValueError where a row or column lies outside, which SciPy would find out by writing to memory that is not its.
    """
    made = scipy.sparse.csc_matrix((values, rows.astype(np.int32), starts.astype(np.int32)), shape)
    made.check_format(full_check=True)
    return made


def text(codes: np.ndarray) -> str | np.ndarray:
    """A char array from its UTF-16 codes, in MATLAB's shape."""
    if codes.shape == (0, 0) or (codes.ndim == 2 and codes.shape[0] == 1 and codes.size):
        return codes.astype("<u2").tobytes().decode("utf-16-le", "surrogatepass")
    return np.ascontiguousarray(codes, np.uint32).view("U1")


def structs(value: Any) -> list[dict[str, Any]]:
    """The records of a struct or struct array; an empty [] or {} has none.

    Raises TypeError for anything else.
    """
    if isinstance(value, dict):
        return [value]
    if isinstance(value, StructArray):
        return value.records
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    raise TypeError(f"it is {describe(value)}; it must be a struct array")


def items(value: Any) -> list[Any]:
    """The elements of a cell in MATLAB's order, or of a list. A bare string counts as one element, an empty array as none.

    Raises TypeError for anything else.
    """
    if isinstance(value, np.ndarray) and (value.dtype == object or value.size == 0):
        return list(value.ravel(order="F"))
    if isinstance(value, list):
        return list(value)
    if isinstance(value, str):
        return [value] if value else []
    raise TypeError(f"it is {describe(value)}; it must be a cell")


def struct_array(fields: Sequence[str], records: Sequence[dict[str, Any]]) -> dict[str, Any] | StructArray:
    """A 1xN struct array, which for N = 1 is the struct itself. Each record has exactly these fields."""
    return struct(fields, (1, len(records)), [dict(record) for record in records])


def row(values: Sequence[Any]) -> np.ndarray:
    """A 1xN cell; the empty one is 0x0, MATLAB's {}."""
    cell = np.empty((1, len(values)) if len(values) else (0, 0), object)
    for i, value in enumerate(values):
        cell[0, i] = value
    return cell


def describe(value: Any) -> str:
    """The value in MATLAB's words, for messages: "a 3x3x1x64 single array"."""
    if isinstance(value, Foreign):
        return str(value)
    if isinstance(value, dict):
        return f"a struct with the fields {', '.join(value)}" if value else "a struct without fields"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else "a long text"
    shape = "x".join(str(n) for n in getattr(value, "shape", (1, 1)))
    if isinstance(value, StructArray):
        return f"a {shape} struct array"
    return f"a {shape} {class_of(value)}" + ("" if class_of(value) == "cell" else " array")


def class_of(value: Any) -> str:
    """The value's class as MATLAB's class() names it."""
    if isinstance(value, Foreign):
        return value.class_name if value.kind == "object" else "function_handle"
    if isinstance(value, (dict, StructArray)):
        return "struct"
    if isinstance(value, str):
        return "char"
    dtype = np.dtype(getattr(value, "dtype", bool if isinstance(value, bool) else np.float64))
    return {"U": "char", "O": "cell"}.get(dtype.kind) or CLASSES.get(dtype.str[1:], dtype.name)
