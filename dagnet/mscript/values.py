"""The values of a running script: those of dagnet.files.matvalues, and what no file holds.

    "text" in double quotes           String
    @name                             FunctionHandle
    @(x) ...                          Anonymous, with the variables that it captured
    an object                         Handle

A char array is a str where it is a row or '' (0x0), else an array of single characters. Every array has two dimensions at least
and none of size 1 at its end after these.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from dagnet.files import matvalues
from dagnet.files.matvalues import StructArray, struct

from . import limits, syntax
from .failures import LimitReached, MatlabError
from .handle import Handle


class ColonType:
    """The : of x(:, 1)."""

    def __repr__(self) -> str:
        return ":"


COLON = ColonType()


@dataclass(frozen=True)
class String:
    """A string scalar, which holds its text as one element."""

    value: str


@dataclass(frozen=True, eq=False)
class FunctionHandle:
    """@name. `function` is the script's own function where it has one of that name, `frame` the scope of a nested one."""

    name: str
    function: syntax.Function | None = None
    frame: Any = None


@dataclass(frozen=True, eq=False)
class Anonymous:
    """@(parameters) body, in the scope of the function it was written in."""

    node: syntax.Lambda
    captured: dict[str, Any] = field(repr=False)
    frame: Any = field(repr=False)


Function = FunctionHandle | Anonymous


def number(value: float) -> np.ndarray:
    return np.array([[value]], np.float64)


def logical(value: bool) -> np.ndarray:
    return np.array([[value]], bool)


def empty() -> np.ndarray:
    """[]"""
    return np.zeros((0, 0))


def row(values: Iterable[float]) -> np.ndarray:
    return np.array([list(values)], np.float64)


def cell(items: Sequence[Any], shape: Sequence[int] | None = None) -> np.ndarray:
    """A cell of these values, in MATLAB's order; a row where no shape is given."""
    flat = np.empty(len(items), object)
    for i, item in enumerate(items):
        flat[i] = item
    return flat.reshape((1, len(items)) if shape is None else tuple(shape), order="F")


def shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        return (1, len(value)) if value else (0, 0)
    if isinstance(value, (np.ndarray, StructArray)):
        return value.shape
    return value.shape() if isinstance(value, Handle) else (1, 1)


def numel(value: Any) -> int:
    return prod(shape(value))


def dims(value: Any) -> str:
    """'2x3', for messages."""
    return "x".join(str(n) for n in shape(value))


def class_of(value: Any) -> str:
    if isinstance(value, String):
        return "string"
    if isinstance(value, (FunctionHandle, Anonymous)):
        return "function_handle"
    return value.class_name if isinstance(value, Handle) else matvalues.class_of(value)


def is_cell(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def is_char(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "U")


def is_struct(value: Any) -> bool:
    return isinstance(value, (dict, StructArray))


def is_numeric(value: Any) -> bool:
    """Whether it is of a numeric class, which neither char nor logical is."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiuc"


def is_number_like(value: Any) -> bool:
    """Whether arithmetic takes it: a number, a logical, a char."""
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype != object)


def is_text(value: Any) -> bool:
    """Whether it is one text: a char row, '', or a string."""
    return isinstance(value, (str, String)) or (is_char(value) and value.shape == (1, 0))


def trimmed(sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes without 1s at the end, at least two of them."""
    sizes = tuple(int(n) for n in sizes)
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes = sizes[:-1]
    return (*sizes, *(1,) * (2 - len(sizes)))


def normal(array: np.ndarray) -> Any:
    """An array of any number of dimensions as a value; a row of characters as str."""
    sizes = trimmed(array.shape)
    if sizes != array.shape:
        array = array.reshape(sizes)
    return chars(array) if array.dtype.kind == "U" else array


def characters(value: Any) -> np.ndarray:
    """A char array as an array of single characters."""
    if isinstance(value, np.ndarray):
        return value
    return np.frombuffer(value.encode("utf-32-le", "surrogatepass"), "<U1").reshape(shape(value))


def codes(value: Any) -> np.ndarray:
    """A char array's numbers, as uint32."""
    return np.ascontiguousarray(characters(value)).view(np.uint32)


def chars(array: np.ndarray) -> Any:
    """An array of characters, or of their numbers, as MATLAB's char."""
    if array.dtype.kind != "U":
        array = np.ascontiguousarray(array.astype(np.uint32)).view("U1")
    if array.shape == (0, 0) or (array.ndim == 2 and array.shape[0] == 1 and array.size):
        return np.ascontiguousarray(array).tobytes().decode("utf-32-le", "surrogatepass")
    return array


def numbers(value: Any) -> np.ndarray:
    """What arithmetic computes with: a char's numbers as double, everything else as it is. The caller has checked the class."""
    return codes(value).astype(np.float64) if is_char(value) else value


def scalar(value: Any, who: str) -> float:
    """The one number that the value is. Raises MatlabError for anything else."""
    if not is_number_like(value) or numel(value) != 1:
        raise MatlabError(f"{who}: one number is right, a {dims(value)} {class_of(value)} came")
    return numbers(value).item()


def whole(value: Any, who: str) -> int:
    """The same, as an int. Raises MatlabError for fractions too."""
    found = scalar(value, who)
    if isinstance(found, complex) or found != found or found in (np.inf, -np.inf) or int(found) != found:
        raise MatlabError(f"{who}: a whole number is right, {found} came")
    return int(found)


def text(value: Any, who: str) -> str:
    """The text that the value is. Raises MatlabError for anything else."""
    if isinstance(value, String):
        return value.value
    if not is_text(value):
        raise MatlabError(f"{who}: a text is right, a {dims(value)} {class_of(value)} came")
    return value if isinstance(value, str) else ""


def texts(value: Any, who: str) -> list[str]:
    """The texts of a cell, or the one text."""
    if is_cell(value):
        return [text(item, who) for item in value.ravel(order="F")]
    return [text(value, who)]


def truth(value: Any) -> bool:
    """Whether `if` goes in: all of it true, and not empty. Raises MatlabError for what is neither number, logical nor char."""
    if not is_number_like(value):
        raise MatlabError(f"Conversion to logical from {class_of(value)} is not possible.")
    found = numbers(value)
    if found.dtype.kind in "fc" and np.isnan(found).any():
        raise MatlabError("NaN's cannot be converted to logicals.", "MATLAB:nologicalnan")
    return bool(found.size) and bool((found != 0).all())


def records(value: Any) -> np.ndarray:
    """The dicts of a struct or struct array, in its shape."""
    found = [value] if isinstance(value, dict) else value.records
    return cell(found, shape(value))


def fields_of(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else value.fields


def structs(fields: Sequence[str], of: np.ndarray) -> Any:
    """The struct array of these dicts."""
    return struct(tuple(fields), trimmed(of.shape), list(of.ravel(order="F")))


def check_nesting(value: Any) -> None:
    """Raises LimitReached for cells and structs that are nested too deeply."""
    level = _containers([value])
    for _ in range(limits.NESTED):
        if not level:
            return
        level = _containers(item for container in level for item in _inner(container))
    raise LimitReached(f"its cells and structs are nested more than {limits.NESTED} deep")


def _containers(items: Iterable[Any]) -> list[Any]:
    """The cells and structs among the items, each once."""
    found = {id(item): item for item in items if is_cell(item) or is_struct(item)}
    return list(found.values())


def _inner(container: Any) -> Iterable[Any]:
    if isinstance(container, np.ndarray):
        limits.spend(container.size / limits.PER_INSTRUCTION)
        return container.flat
    return [item for record in records(container).flat for item in record.values()]


def elements(value: Any) -> list[Any]:
    """Each element as a value of its own, in MATLAB's order: of a cell, 1x1 cells."""
    limits.room(shape(value), np.dtype(object))
    if isinstance(value, str):
        return list(value)
    if isinstance(value, StructArray):
        return list(value.records)
    if isinstance(value, np.ndarray):
        flat = value.ravel(order="F")
        return [normal(flat[i : i + 1].reshape(1, 1)) for i in range(flat.size)]
    return [value]


def same(a: Any, b: Any) -> bool:
    """isequal: the same size and the same elements; numbers, logicals and chars count by their number."""
    limits.spend(1)
    if isinstance(a, String) or isinstance(b, String):
        return is_text(a) and is_text(b) and text(a, "") == text(b, "")
    if shape(a) != shape(b):
        return False
    if is_number_like(a) and is_number_like(b):
        return bool(np.array_equal(numbers(a), numbers(b)))
    if is_cell(a) and is_cell(b):
        return all(same(x, y) for x, y in zip(a.flat, b.flat, strict=True))
    if is_struct(a) and is_struct(b):
        if set(fields_of(a)) != set(fields_of(b)):
            return False
        pairs = zip(records(a).flat, records(b).flat, strict=True)
        return all(same(x[name], y[name]) for x, y in pairs for name in x)
    if isinstance(a, FunctionHandle) and isinstance(b, FunctionHandle):
        return a.name == b.name
    return a is b
