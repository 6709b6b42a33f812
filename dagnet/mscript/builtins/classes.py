"""Classes: double single int8 ... logical char, class, isa, and what asks for one."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dagnet.files.matvalues import DTYPES as FILE_DTYPES

from .. import operators, printf
from ..failures import MatlabError
from ..handle import Handle
from ..values import (
    Anonymous,
    FunctionHandle,
    String,
    cell,
    chars,
    class_of,
    codes,
    is_cell,
    is_char,
    is_number_like,
    is_numeric,
    is_struct,
    logical,
    numbers,
    shape,
    text,
)
from .table import builtin, pure

if TYPE_CHECKING:
    from ..interpreter import Interpreter

DTYPES = {name: np.dtype(dtype) for name, dtype in FILE_DTYPES.items()}
GROUPS = {
    "numeric": {"double", "single", *(n for n in DTYPES if "int" in n)},
    "float": {"double", "single"},
    "integer": {n for n in DTYPES if "int" in n},
}


def converted(value: Any, name: str) -> Any:
    """The numbers as that class. Raises MatlabError for what holds no numbers."""
    if isinstance(value, String) and name == "double":
        return printf_number(value.value)
    if not is_number_like(value):
        raise MatlabError(f"Conversion to {name} from {class_of(value)} is not possible.", "MATLAB:invalidConversion")
    return operators.as_class(numbers(value), DTYPES[name])


def printf_number(words: str) -> Any:
    """What double("1.5") is."""
    try:
        return np.array([[float(words)]])
    except ValueError:
        return np.array([[np.nan]])


for _name in (n for n in DTYPES if n != "logical"):
    pure(_name)(lambda value, *, _name=_name: converted(value, _name))


@pure("logical")
def to_logical(value: Any) -> Any:
    if is_char(value):
        raise MatlabError("Conversion to logical from char is not possible.", "MATLAB:invalidConversion")
    return converted(value, "logical")


@pure("cast")
def cast(value: Any, name: Any) -> Any:
    return converted(value, text(name, "cast"))


@pure("char")
def to_char(*values: Any) -> Any:
    """char(65:70), char('a', 'bcd'), char({'a', 'bcd'}): rows, filled with blanks."""
    if len(values) == 1 and not is_cell(values[0]):
        (value,) = values
        if isinstance(value, String):
            return value.value
        return value if is_char(value) else chars(operators.operand(value, "char").astype(np.uint32))
    lines: list[str] = []
    for value in values:
        for item in value.ravel(order="F") if is_cell(value) else [value]:
            item = to_char(item)
            lines += [item] if isinstance(item, str) else ["".join(map(chr, line)) for line in codes(item).tolist()]
    return printf.rows(lines)


@pure("cellstr")
def cellstr(value: Any) -> Any:
    if is_cell(value):
        return value
    if isinstance(value, (str, String)):
        return cell([text(value, "cellstr")])
    return cell(["".join(map(chr, line)).rstrip(" ") for line in codes(value).tolist()], (shape(value)[0], 1))


pure("class")(class_of)


@pure("isa")
def isa(value: Any, name: Any) -> Any:
    asked = text(name, "isa")
    if isinstance(value, Handle):
        return logical(value.is_a(asked))
    return logical(class_of(value) == asked or class_of(value) in GROUPS.get(asked, ()))


for _name, _test in {
    "isnumeric": is_numeric,
    "isfloat": lambda v: isinstance(v, np.ndarray) and v.dtype.kind in "fc",
    "isinteger": lambda v: isinstance(v, np.ndarray) and v.dtype.kind in "iu",
    "islogical": lambda v: isinstance(v, np.ndarray) and v.dtype == bool,
    "ischar": is_char,
    "iscell": is_cell,
    "isstruct": is_struct,
    "iscellstr": lambda v: is_cell(v) and all(is_char(item) for item in v.flat),
    "isreal": lambda v: not is_cell(v) and not is_struct(v) and not (isinstance(v, np.ndarray) and v.dtype.kind == "c"),
    "is_function_handle": lambda v: isinstance(v, (FunctionHandle, Anonymous)),
    "isobject": lambda v: isinstance(v, Handle),
    "ishandle": lambda v: False,
    "issparse": lambda v: False,
}.items():
    pure(_name)(lambda value, *, _test=_test: logical(_test(value)))

pure("gather", "gpuArray", "full")(lambda value: value)  # a definition knows one memory


@builtin("isprop")
def isprop(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [logical(isinstance(args[0], Handle) and text(args[1], "isprop") in args[0].properties())]


@builtin("ismethod")
def ismethod(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [logical(isinstance(args[0], Handle) and text(args[1], "ismethod") in args[0].methods())]


@pure("isvalid")
def isvalid(value: Any) -> Any:
    return logical(isinstance(value, Handle))
