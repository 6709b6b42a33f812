"""Reads MAT-files of version 7.3, HDF5 files in MATLAB's layout, as values (matvalues).

A variable is a dataset or a group whose attribute MATLAB_class names its class; its axes are reversed, since HDF5's last one
is the fastest. Source    files that MATLAB wrote
"""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.sparse

from . import matvalues
from .matvalues import DTYPES, Foreign, StructArray


class NotMatlab(ValueError):
    """It is an HDF5 file of another program."""


def read(path: Path, names: Collection[str] | None = None) -> dict[str, Any]:
    """The variables of a file by name, or only those of `names`.

    Raises NotMatlab, and whatever h5py raises where it is damaged.
    """
    with h5py.File(path, "r") as file:
        return {name: _value(file[name]) for name in _variables(file) if names is None or name in names}


def names(path: Path) -> list[str]:
    """The names of a file's variables, whose values are not read. Raises as read does."""
    with h5py.File(path, "r") as file:
        return _variables(file)


def _variables(file: h5py.File) -> list[str]:
    # "#refs#" holds the elements of cells, "#subsystem#" the objects: neither is a variable
    names = [name for name in file if not name.startswith("#")]
    if names and not any("MATLAB_class" in file[name].attrs for name in names):
        raise NotMatlab(f"this is an HDF5 file, but not MATLAB's: its '{names[0]}' has no class of MATLAB's")
    return names


def _value(node: h5py.Group | h5py.Dataset) -> Any:
    class_name = _decode(node.attrs.get("MATLAB_class", ""))
    if class_name == "function_handle":
        return Foreign("function handle")
    if "MATLAB_object_decode" in node.attrs:
        return Foreign("object", class_name)
    if "MATLAB_sparse" in node.attrs:
        return _sparse(node, class_name)
    if isinstance(node, h5py.Group):
        return _struct(node)
    if node.attrs.get("MATLAB_empty", 0):
        return _empty(node, class_name)
    if h5py.check_ref_dtype(node.dtype) is not None:
        cell = np.empty(node.shape[::-1], object)
        for index, reference in np.ndenumerate(node[()].T):
            cell[index] = _value(node.file[reference])
        return cell
    values = node[()].T
    if class_name == "char":
        return matvalues.text(values.astype(np.uint16))
    return _numbers(values, class_name)


def _numbers(values: np.ndarray, class_name: str) -> np.ndarray:
    """An array in the type of its class and in native byte order."""
    if values.dtype.names == ("real", "imag"):
        made = np.empty(values.shape, np.result_type(values.dtype["real"].newbyteorder("="), np.complex64))
        made.real, made.imag = values["real"], values["imag"]
        return made
    return values.astype(DTYPES.get(class_name, values.dtype.newbyteorder("=")), copy=False)


def _fields(node: h5py.Group | h5py.Dataset) -> tuple[str, ...]:
    return tuple(_decode(b"".join(f)) for f in node.attrs.get("MATLAB_fields", ()))


def _struct(group: h5py.Group) -> dict[str, Any] | StructArray:
    fields = _fields(group) or tuple(group)
    columns = {}
    for field in fields:
        node = group[field]
        if isinstance(node, h5py.Group) or "MATLAB_class" in node.attrs:
            return {f: _value(group[f]) for f in fields}
        columns[field] = node[()].T  # of a struct array each field is a bare array of references
    shape = next(iter(columns.values())).shape if columns else (1, 1)
    flat = {field: column.ravel(order="F") for field, column in columns.items()}
    records = [{f: _value(group.file[flat[f][i]]) for f in fields} for i in range(int(np.prod(shape)))]
    return matvalues.struct(fields, shape, records)


def _empty(node: h5py.Dataset, class_name: str) -> Any:
    """An empty array, which stands in the file as its size alone, as does a struct array without fields."""
    shape = tuple(int(n) for n in node[()].ravel())
    if (0 not in shape and class_name != "struct") or math.prod(shape) > matvalues.MOST_FIELDLESS:
        raise ValueError(f"an empty array has the size {shape}")
    if class_name == "struct":
        return matvalues.struct(_fields(node), shape, [{} for _ in range(math.prod(shape))])
    if class_name == "char":
        return matvalues.text(np.empty(shape, np.uint16))
    if class_name == "cell":
        return np.empty(shape, object)
    return np.empty(shape, np.float64 if class_name == "canonical empty" else DTYPES[class_name])


def _sparse(group: h5py.Group, class_name: str) -> scipy.sparse.csc_matrix:
    rows, starts = int(group.attrs["MATLAB_sparse"]), group["jc"][()].astype(np.int32)
    if "data" not in group:  # it holds zeros alone
        return scipy.sparse.csc_matrix((rows, len(starts) - 1), dtype=DTYPES[class_name])
    values = _numbers(group["data"][()].ravel(), class_name)
    return matvalues.sparse(values, group["ir"][()].ravel(), starts, (rows, len(starts) - 1))


def _decode(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
