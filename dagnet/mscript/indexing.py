"""Indices: x(i, j), x{i}, x.f; assignment that converts and grows; deletion.

Indices count from 1, along columns first. One index counts through all elements; the last of several through all the
dimensions that are left. A logical index picks where it is true. Nothing here changes its arguments: assignment gives a copy.

Source   MATLAB's documentation, "Array Indexing", "Access Data in Cell Array", "Structure Arrays"
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from dagnet.files.matvalues import StructArray

from . import limits
from .failures import MatlabError, NotSupported
from .operators import as_class
from .values import (
    COLON,
    cell,
    characters,
    chars,
    class_of,
    codes,
    empty,
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
    trimmed,
)

Index = Any  # a value, or COLON


def positions(index: Index, extent: int) -> np.ndarray:
    """The places that an index names, from 0, in the index's own shape. They may lie beyond the extent."""
    if index is COLON or (isinstance(index, str) and index == ":"):
        return np.arange(extent).reshape(-1, 1)
    if not is_number_like(index):
        raise MatlabError(f"Array indices must be numeric or logical; a {class_of(index)} came.", "MATLAB:badsubscript")
    if isinstance(index, np.ndarray) and index.dtype == bool:
        found = np.flatnonzero(index.ravel(order="F"))
        return found.reshape(1, -1) if index.ndim == 2 and index.shape[0] == 1 else found.reshape(-1, 1)
    places = numbers(index)
    if places.dtype.kind in "fc":
        whole = places.real.astype(np.int64) if np.isfinite(places).all() else None
        if whole is None or (whole != places).any():
            raise MatlabError("Array indices must be positive integers or logical values.", "MATLAB:badsubscript")
        places = whole
    if places.size and places.min() < 1:
        raise MatlabError(
            "Index in position 1 is invalid. Array indices must be positive integers or logical values.",
            "MATLAB:index:out_of_bounds_value",
        )
    return places.astype(np.int64) - 1


def opened(value: Any) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """A value's elements as an array, and what makes such a value of an array again."""
    if is_struct(value):
        names = fields_of(value)
        return records(value), lambda array: structs(names, array)
    if is_char(value):
        return characters(value), normal
    if isinstance(value, np.ndarray):
        return value, normal
    return cell([value], (1, 1)), _single


def _single(array: np.ndarray) -> Any:
    if array.size != 1:
        raise MatlabError("An object or a function handle cannot be part of an array here.")
    return array.item()


def read(value: Any, indices: Sequence[Index]) -> Any:
    """value(indices). Raises MatlabError for what is not there."""
    array, closed = opened(value)
    if not indices:
        return value
    if len(indices) == 1:
        return closed(_read_linear(array, indices[0]))
    array = folded(array, len(indices))
    for axis, index in enumerate(indices):
        if index is COLON:
            continue
        extent = array.shape[axis] if axis < array.ndim else 1
        where = positions(index, extent).ravel(order="F")
        if where.size and where.max() >= extent:
            raise MatlabError(
                f"Index in position {axis + 1} exceeds array bounds. Index must not exceed {extent}.",
                "MATLAB:badsubscript",
            )
        if axis >= array.ndim:
            array = array.reshape((*array.shape, 1))
        limits.room([*array.shape[:axis], where.size, *array.shape[axis + 1 :]], array.dtype)
        array = np.take(array, where, axis)
    return closed(array)


def folded(array: np.ndarray, count: int) -> np.ndarray:
    """The array with `count` dimensions at most: the last takes all that are left."""
    if count >= array.ndim:
        return array
    return array.reshape((*array.shape[: count - 1], -1 if array.size else prod(array.shape[count - 1 :])), order="F")


def _read_linear(array: np.ndarray, index: Index) -> np.ndarray:
    if index is COLON:
        return array.reshape((array.size, 1), order="F")
    where = positions(index, array.size)
    if where.size and where.max() >= array.size:
        raise MatlabError(
            f"Index exceeds the number of array elements. Index must not exceed {array.size}.", "MATLAB:badsubscript"
        )
    if where.size == 1:
        found = array[np.unravel_index(int(where.item()), array.shape, order="F")]
        result = np.empty((1, 1), array.dtype)
        result[0, 0] = found
        return result
    limits.room(where.shape, array.dtype)
    found = array.ravel(order="F")[where]
    if _is_vector(array.shape) and _is_vector(where.shape) and array.size != 1:
        return found.reshape((1, -1) if array.shape[0] == 1 else (-1, 1))
    return found


def _is_vector(sizes: tuple[int, ...]) -> bool:
    return len(sizes) == 2 and 1 in sizes


def contents(value: Any, indices: Sequence[Index]) -> list[Any]:
    """value{indices}: the elements of a cell, one after the other."""
    if not is_cell(value):
        raise MatlabError(
            f"Brace indexing is not supported for variables of this type ({class_of(value)}).",
            "MATLAB:cellRefFromNonCell",
        )
    return list(read(value, indices).ravel(order="F"))


def field(value: Any, name: str) -> list[Any]:
    """value.name: of a struct array, each element's."""
    if not is_struct(value):
        raise MatlabError(
            f"Dot indexing is not supported for variables of this type ({class_of(value)}), so it has no '{name}'.",
            "MATLAB:structRefFromNonStruct",
        )
    if name not in fields_of(value):
        raise MatlabError(f'Unrecognized field name "{name}".', "MATLAB:nonExistentField")
    return [record[name] for record in records(value).ravel(order="F")]


def extents(value: Any, count: int) -> list[int]:
    """The sizes that `count` indices count through, of None those of []: the last one takes all that are left."""
    sizes = (0, 0) if value is None else shape(value)
    found = [*sizes[: count - 1], prod(sizes[count - 1 :])] if count else []
    return found + [1] * (count - len(found))


def has(value: Any, indices: Sequence[Index]) -> bool:
    """Whether value(indices) is there, so that it can be read."""
    if value is None:
        return False
    for index, extent in zip(indices, extents(value, len(indices)), strict=True):
        where = positions(index, extent)
        if where.size and where.max() >= extent:
            return False
    return True


def with_field(value: Any, name: str, new: Any) -> Any:
    """value after value.name = new. None and [] become a struct."""
    if value is None or (numel(value) == 0 and not is_cell(value)):
        blank = dict.fromkeys(fields_of(value), None) if is_struct(value) else {}
        return {key: empty() for key in blank} | {name: new}
    if isinstance(value, dict):
        return {**value, name: new}
    if isinstance(value, StructArray):
        raise MatlabError("Scalar structure required for this assignment.", "MATLAB:scalarStructRequired")
    raise MatlabError(
        f"Unable to perform assignment because dot indexing is not supported for variables of this type "
        f"({class_of(value)}).",
        "MATLAB:structAssToNonStruct",
    )


def with_contents(value: Any, indices: Sequence[Index], new: Any) -> Any:
    """value after value{indices} = new. None and [] become a cell."""
    if value is None or (numel(value) == 0 and not is_cell(value) and not is_struct(value)):
        value = np.empty((0, 0), object)
    if not is_cell(value):
        raise MatlabError(
            "Unable to perform assignment because brace indexing is not supported for variables of this type "
            f"({class_of(value)}).",
            "MATLAB:cellAssToNonCell",
        )
    return assigned(value, indices, cell([new], (1, 1)))


def assigned(value: Any, indices: Sequence[Index], new: Any) -> Any:
    """value after value(indices) = new: new is converted to value's class, and value grows where it must.

    None is a variable that is not there yet; like [] it takes new's class. Raises MatlabError where sizes or classes do not
    fit.
    """
    if value is None or (numel(value) == 0 and isinstance(value, np.ndarray) and value.dtype == np.float64):
        if not (is_struct(new) or isinstance(new, (str, np.ndarray))):
            return _only(new, indices)
        value = _blank(new, (0, 0) if value is None else value.shape)
    array, part, closed, fill = _matched(value, new)
    if not indices:
        raise MatlabError("An assignment needs indices between its parentheses.")
    place = _place_linear if len(indices) == 1 else _place
    return closed(place(array, indices, part, fill))


def _only(new: Any, indices: Sequence[Index]) -> Any:
    if any(index is COLON or positions(index, 1).tolist() != [[0]] for index in indices):
        raise NotSupported(f"an array of several {class_of(new)} values is not known here; a cell holds them")
    return new


def _blank(like: Any, sizes: tuple[int, ...]) -> Any:
    if is_struct(like):
        return StructArray(fields_of(like), sizes, [])
    if is_char(like):
        return chars(np.zeros(sizes, np.uint32))
    return np.zeros(sizes, np.float64 if like.dtype == bool else like.dtype)


def _matched(value: Any, new: Any) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], Any], Any]:
    """The elements of both in value's class, what makes a value of them, and what fills gaps."""
    if is_struct(value):
        if not is_struct(new):
            raise MatlabError(f"Conversion to struct from {class_of(new)} is not possible.", "MATLAB:invalidConversion")
        names = list(fields_of(value)) + [n for n in fields_of(new) if n not in fields_of(value)]
        if numel(value) and set(names) != set(fields_of(value)) & set(fields_of(new)):
            raise MatlabError(
                "Subscripted assignment between dissimilar structures: "
                f"{', '.join(fields_of(value))} and {', '.join(fields_of(new))}.",
                "MATLAB:heterogeneousStrucAssignment",
            )
        whole = {name: empty() for name in names}
        ordered = [{name: r.get(name, whole[name]) for name in names} for r in records(new).ravel(order="F")]
        return records(value), cell(ordered, shape(new)), lambda array: structs(names, array), whole
    if is_cell(value):
        if not is_cell(new):
            raise MatlabError(f"Conversion to cell from {class_of(new)} is not possible.", "MATLAB:invalidConversion")
        return value, new, normal, empty()
    if not isinstance(value, (str, np.ndarray)):
        array, _ = opened(value)
        return array, opened(new)[0], _single, None
    if not is_number_like(new):
        raise MatlabError(
            f"Conversion to {class_of(value)} from {class_of(new)} is not possible.", "MATLAB:invalidConversion"
        )
    if is_char(value):
        part = codes(new) if is_char(new) else as_class(new, np.dtype(np.uint16)).astype(np.uint32)
        return codes(value), part, chars, 0
    part, value = numbers(new), numbers(value)
    if part.dtype.kind == "c" and value.dtype.kind == "f":
        value = as_class(value, np.dtype(np.float64)).astype(np.result_type(value.dtype, np.complex64))
    return value, part.astype(value.dtype) if value.dtype.kind == "c" else as_class(part, value.dtype), normal, 0


def _grown(array: np.ndarray, sizes: Sequence[int], fill: Any) -> np.ndarray:
    """A copy of at least these sizes; gaps are filled."""
    sizes = list(sizes)
    if not array.size:
        array = array.reshape((0,) * len(sizes))
    array = array.reshape(array.shape + (1,) * (len(sizes) - array.ndim))
    if list(array.shape) == sizes:
        limits.spend(array.size / limits.PER_INSTRUCTION)
        return array.copy(order="K")
    limits.room(sizes, array.dtype)
    result = np.empty(sizes, array.dtype)
    if isinstance(fill, (dict, np.ndarray)):
        box = np.empty(1, object)
        box[0] = fill
        result[...] = box.reshape((1,) * len(sizes))
    else:
        result[...] = fill
    old: tuple[int, ...] = array.shape
    result[tuple(slice(n) for n in old)] = array
    return result


def _place_linear(array: np.ndarray, indices: Sequence[Index], part: np.ndarray, fill: Any) -> np.ndarray:
    where = positions(indices[0], array.size)
    if part.size not in (1, where.size):
        raise MatlabError(
            "Unable to perform assignment because the left and right sides have a different number of elements: "
            f"{where.size} and {part.size}.",
            "MATLAB:matrix:singleSubscriptNumelMismatch",
        )
    if where.size == 0:
        return array
    top = int(where.max()) + 1
    sizes = array.shape
    if top > array.size:
        if array.ndim == 2 and (array.shape[0] == 1 or (array.shape[0] == 0 and array.shape[1] != 1)):
            sizes = (1, top)
        elif array.ndim == 2 and array.shape[1] == 1:
            sizes = (top, 1)
        else:
            raise MatlabError("Attempted to grow array along ambiguous dimension.", "MATLAB:subsassigndimmismatch")
    result = _grown(array, sizes, fill)
    at = np.unravel_index(where.ravel(order="F"), result.shape, order="F")
    result[at] = (
        part.ravel(order="F") if part.size > 1 else part.reshape(-1)[0] if part.dtype != object else part.ravel()
    )
    return result


def _place(array: np.ndarray, indices: Sequence[Index], part: np.ndarray, fill: Any) -> np.ndarray:
    count = len(indices)
    full = array.shape
    array = folded(array, count)
    extents = [*array.shape, *(1,) * (count - array.ndim)]
    if any(extents):
        where = [positions(index, extent).ravel(order="F") for index, extent in zip(indices, extents, strict=True)]
    else:
        where = _in_nothing(indices, part)
    lengths = [len(w) for w in where]
    nothing = 0 in lengths and part.size < 2
    if not nothing and part.size != 1 and [n for n in lengths if n != 1] != [n for n in part.shape if n != 1]:
        raise MatlabError(
            f"Unable to perform assignment because the size of the left side is {'-by-'.join(map(str, lengths))} and the "
            f"size of the right side is {'-by-'.join(map(str, part.shape))}.",
            "MATLAB:subsassigndimmismatch",
        )
    sizes = [max(extent, int(w.max(initial=-1)) + 1) for extent, w in zip(extents, where, strict=True)]
    if count < len(full) and sizes[-1] > extents[-1]:
        raise MatlabError("Attempted to grow array along ambiguous dimension.", "MATLAB:subsassigndimmismatch")
    result = _grown(array, sizes, fill)
    limits.spend(prod(lengths) / limits.PER_INSTRUCTION)
    if not nothing:
        result[np.ix_(*where)] = part.reshape(lengths, order="F") if part.size != 1 else part.reshape((1,) * count)
    return result.reshape(full, order="F") if count < len(full) else result.reshape(trimmed(result.shape))


def _in_nothing(indices: Sequence[Index], part: np.ndarray) -> list[np.ndarray]:
    """The places in an array of no sizes at all: each : is as long as the next dimension of what comes."""
    offered = [n for n in part.shape if n != 1]
    where = []
    for index in indices:
        if index is COLON:
            where.append(np.arange(offered.pop(0) if offered else 1))
            continue
        where.append(positions(index, 0).ravel(order="F"))
        if where[-1].size != 1:
            offered = offered[1:]
    return where


def deleted(value: Any, indices: Sequence[Index]) -> Any:
    """value after value(indices) = []. Raises MatlabError unless whole slices go."""
    array, closed = opened(value)
    if len(indices) == 1:
        return closed(_delete_linear(array, indices[0]))
    array = folded(array, len(indices))
    extents = [*array.shape, *(1,) * (len(indices) - array.ndim)]
    where = [np.unique(positions(i, n)) for i, n in zip(indices, extents, strict=True)]
    named = [k for k, index in enumerate(indices) if index is not COLON]
    if any(where[k].size == 0 for k in named):
        return value
    partial = [k for k in named if len(where[k]) != extents[k] or where[k][-1] >= extents[k]]
    if len(partial) > 1:
        raise MatlabError("A null assignment can have only one non-colon index.", "MATLAB:subsdeldimmismatch")
    axis = (partial or named or [0])[0]
    if where[axis].size and where[axis][-1] >= extents[axis]:
        raise MatlabError("Matrix index is out of range for deletion.", "MATLAB:subsdeldimmismatch")
    return closed(np.delete(array.reshape(extents), where[axis], axis))


def _delete_linear(array: np.ndarray, index: Index) -> np.ndarray:
    if index is COLON:
        return array.reshape(-1)[:0].reshape(0, 0)
    where = np.unique(positions(index, array.size))
    if where.size and where[-1] >= array.size:
        raise MatlabError("Matrix index is out of range for deletion.", "MATLAB:subsdeldimmismatch")
    if not where.size:
        return array
    left = np.delete(array.ravel(order="F"), where)
    return left.reshape((-1, 1) if array.ndim == 2 and array.shape[1] == 1 and array.shape[0] != 1 else (1, -1))
