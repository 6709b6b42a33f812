"""Structs and cells: struct, fieldnames, isfield, rmfield, num2cell, struct2cell, deal ..., and containers.Map."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dagnet.files.matvalues import StructArray

from .. import indexing, operators
from ..failures import MatlabError
from ..handle import Handle
from ..values import (
    cell,
    class_of,
    elements,
    empty,
    fields_of,
    is_cell,
    is_char,
    is_struct,
    is_text,
    logical,
    normal,
    number,
    records,
    scalar,
    shape,
    structs,
    text,
    texts,
    trimmed,
    whole,
)
from .table import builtin, pure

if TYPE_CHECKING:
    from ..interpreter import Interpreter


@pure("struct")
def struct(*args: Any) -> Any:
    """struct('a', 1, 'b', {{2}}): a cell gives each element its own value, so that {{...}} is one cell; {} makes 0 elements."""
    if not args:
        return {}
    if len(args) == 1:
        if is_struct(args[0]):
            return args[0]
        if isinstance(args[0], np.ndarray) and args[0].size == 0:
            return StructArray((), (0, 0), [])
        if isinstance(args[0], Handle):
            return {name: args[0].get(name) for name in args[0].properties()}
    if len(args) % 2:
        raise MatlabError("Field and value input arguments must come in pairs.", "MATLAB:StructRefArgs")
    names = [text(name, "struct") for name in args[::2]]
    values = args[1::2]
    sizes = {v.shape for v in values if is_cell(v) and v.size != 1}
    if len(sizes) > 1:
        raise MatlabError(
            "Array dimensions of input do not match: the cells that struct takes must be of one size.",
            "MATLAB:dimsMustMatch",
        )
    size = sizes.pop() if sizes else (1, 1)
    count = int(np.prod(size))
    columns = []
    for value in values:
        items = list(value.ravel(order="F")) if is_cell(value) else [value]
        columns.append(items * count if len(items) == 1 else items)
    made = [dict(zip(names, parts, strict=True)) for parts in zip(*columns, strict=True)] if count else []
    return structs(list(dict.fromkeys(names)), cell(made, size))


@pure("fieldnames")
def fieldnames(value: Any) -> Any:
    if isinstance(value, Handle):
        names = list(value.properties())
    elif is_struct(value):
        names = list(fields_of(value))
    else:
        raise MatlabError("fieldnames: a struct or an object is right.", "MATLAB:fieldnames:InvalidInput")
    return cell(names, (len(names), 1))


@pure("numfields")
def numfields(value: Any) -> Any:
    return number(len(fields_of(value)) if is_struct(value) else 0)


@pure("isfield")
def isfield(value: Any, name: Any) -> Any:
    known = fields_of(value) if is_struct(value) else ()
    if is_cell(name):
        return np.array([is_text(n) and text(n, "isfield") in known for n in name.ravel()], bool).reshape(name.shape)
    return logical(is_text(name) and text(name, "isfield") in known)


@pure("rmfield")
def rmfield(value: Any, name: Any) -> Any:
    names = texts(name, "rmfield")
    missing = [n for n in names if n not in fields_of(value)]
    if missing:
        raise MatlabError(f"A field named '{missing[0]}' doesn't exist.", "MATLAB:rmfield:InvalidFieldname")
    left = [n for n in fields_of(value) if n not in names]
    kept = [{n: record[n] for n in left} for record in records(value).ravel(order="F")]
    return structs(left, cell(kept, shape(value)))


@pure("setfield")
def setfield(value: Any, *steps: Any) -> Any:
    *path, new = steps
    name, rest = text(path[0], "setfield"), path[1:]
    if not rest:
        return indexing.with_field(value, name, new)
    inner = value.get(name, {}) if isinstance(value, dict) else {}
    return indexing.with_field(value, name, setfield(inner, *rest, new))


@pure("getfield")
def getfield(value: Any, *path: Any) -> Any:
    for step in path:
        if is_cell(step):
            value = indexing.read(value, list(step.ravel()))
        elif isinstance(value, Handle):
            value = value.get(text(step, "getfield"))
        else:
            value = indexing.field(value, text(step, "getfield"))[0]
    return value


@pure("orderfields")
def orderfields(value: Any) -> Any:
    names = sorted(fields_of(value))
    return structs(names, cell([{n: r[n] for n in names} for r in records(value).ravel(order="F")], shape(value)))


@pure("struct2cell")
def struct2cell(value: Any) -> Any:
    names = fields_of(value)
    found = [record[n] for record in records(value).ravel(order="F") for n in names]
    return normal(cell(found, (len(names), *shape(value))))


@pure("cell2struct")
def cell2struct(value: Any, fields: Any, dim: Any = None) -> Any:
    axis = 0 if dim is None else whole(dim, "cell2struct") - 1
    names = texts(fields, "cell2struct")
    moved = np.moveaxis(value, axis, 0)
    if moved.shape[0] != len(names):
        raise MatlabError("Number of field names must match number of fields in new structure.")
    rest = moved.shape[1:]
    flat = moved.reshape((len(names), -1), order="F")
    made = [{n: flat[i, k] for i, n in enumerate(names)} for k in range(flat.shape[1])]
    return structs(names, cell(made, trimmed(rest)))


@pure("num2cell")
def num2cell(value: Any) -> Any:
    return cell(elements(value), shape(value))


@pure("cell2mat")
def cell2mat(value: Any) -> Any:
    if not value.size:
        return empty()
    if len({class_of(item) for item in value.flat}) > 1 or any(is_cell(item) for item in value.flat):
        raise MatlabError(
            "All contents of the input cell array must be of the same data type.", "MATLAB:cell2mat:MixedDataTypes"
        )
    lines = [operators.concatenated(list(line), 1) for line in value.reshape(value.shape[0], -1, order="F")]
    return operators.concatenated(lines, 0)


@builtin("deal")
def deal(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if len(args) == 1:
        return args * max(1, nargout)
    if len(args) != max(1, nargout):
        raise MatlabError(
            "The number of outputs should match the number of inputs.", "MATLAB:deal:narginNargoutMismatch"
        )
    return args


class Map(Handle):
    """containers.Map: keys are texts or numbers; they are listed in order."""

    class_name = "containers.Map"

    def __init__(self, entries: dict[Any, Any], key_type: str, value_type: str) -> None:
        self.entries = entries
        self.key_type = key_type
        self.value_type = value_type

    def methods(self) -> tuple[str, ...]:
        return ("keys", "values", "isKey", "remove", "length", "numel")

    def properties(self) -> tuple[str, ...]:
        return ("Count", "KeyType", "ValueType")

    def shape(self) -> tuple[int, ...]:
        return (len(self.entries), 1)

    def get(self, name: str) -> Any:
        if name in self.properties():
            return {
                "Count": np.array([[len(self.entries)]], np.uint64),
                "KeyType": self.key_type,
                "ValueType": self.value_type,
            }[name]
        return super().get(name)

    def key(self, value: Any) -> Any:
        return text(value, "a key of the map") if self.key_type == "char" else scalar(value, "a key of the map")

    def index(self, args: list[Any]) -> Any:
        key = self.key(args[0])
        if key not in self.entries:
            raise MatlabError(
                f"The specified key is not present in this container: {key}.", "MATLAB:Containers:Map:NoKey"
            )
        return self.entries[key]

    def assign_index(self, args: list[Any], value: Any) -> None:
        self.entries[self.key(args[0])] = value

    def call(self, name: str, args: list[Any], nargout: int) -> list[Any]:
        order = sorted(self.entries)
        if name == "keys":
            return [cell([k if isinstance(k, str) else number(k) for k in order])]
        if name == "values":
            chosen = [self.key(k) for k in args[0].ravel(order="F")] if args else order
            return [cell([self.entries[k] for k in chosen])]
        if name == "isKey":
            if is_cell(args[0]):
                return [np.array([self.key(k) in self.entries for k in args[0].ravel()], bool).reshape(args[0].shape)]
            same_kind = is_char(args[0]) == (self.key_type == "char")
            return [logical(same_kind and self.key(args[0]) in self.entries)]
        if name == "remove":
            for key in args[0].ravel() if is_cell(args[0]) else args[:1]:
                self.index([key])
                del self.entries[self.key(key)]
            return [self]
        return [number(len(self.entries))]


@builtin("containers.Map")
def new_map(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """containers.Map(), containers.Map(keys, values), containers.Map('KeyType', 'char', 'ValueType', 'any')"""
    options: dict[str, str] = {}
    rest = list(args)
    words = ("keytype", "valuetype", "uniformvalues")
    while len(rest) > 1 and is_text(rest[-2]) and text(rest[-2], "containers.Map").lower() in words:
        name, given = text(rest[-2], "containers.Map").lower(), rest[-1]
        options[name] = text(given, "containers.Map") if is_text(given) else ""
        rest = rest[:-2]
    if not rest:
        return [Map({}, options.get("keytype", "char"), options.get("valuetype", "any"))]
    keys = list(rest[0].ravel(order="F")) if is_cell(rest[0]) else [rest[0]]
    values = [rest[1]]
    if is_cell(rest[0]) and (len(keys) > 1 or is_cell(rest[1])):
        values = list(rest[1].ravel(order="F")) if is_cell(rest[1]) else elements(rest[1])
    if len(keys) != len(values):
        raise MatlabError(
            f"The number of keys and values must match: {len(keys)} and {len(values)} came.", "MATLAB:Containers:Map"
        )
    made = Map({}, "char" if all(is_text(k) for k in keys) else "double", "any")
    for key, value in zip(keys, values, strict=True):
        made.assign_index([key], value)
    return [made]
