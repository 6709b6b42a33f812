"""Reads and writes MATLAB's .mat files: versions 5, 6, 7 through SciPy, 7.3 (an HDF5 file) through h5py.

What a file holds comes as the plain values that matvalues lists, the same from every version.
"""

import os
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import scipy.io.matlab
import scipy.sparse

from . import atomic, matwriter
from .matvalues import Foreign, StructArray

HDF5_START = b"\x89HDF\r\n\x1a\n"


def read(path: str | os.PathLike, names: Collection[str] | None = None) -> dict[str, Any]:
    """The variables of a .mat file by name, or only those of names that it holds.

    Raises FileNotFoundError or another OSError where there is no file or it may not be read, ValueError where it is no
    MAT-file of version 5 to 7.3 or is damaged.
    """
    path = Path(path)
    start = _start_of(path)
    reader = _read_hdf5 if HDF5_START in (start[:8], start[512:520]) else _read_level5
    if reader is _read_level5 and start[126:128] not in (b"IM", b"MI"):
        raise ValueError(f"{path}: this is no MAT-file of version 5, 6, 7 or 7.3 (it begins with {start[:16]!r})")
    try:
        return reader(path, names)
    except (MemoryError, KeyboardInterrupt):
        raise
    except np.exceptions.ComplexWarning as error:
        raise ValueError(
            f"{path}: it holds complex numbers, which are read from version 7.3 only (save -v7.3)"
        ) from error
    except Exception as error:  # SciPy and h5py meet damage with a dozen kinds of error, from zlib's to TypeError
        raise ValueError(f"{path}: the file is damaged or cut short ({type(error).__name__}: {error})") from error


def write(path: str | os.PathLike, variables: Mapping[str, Any]) -> None:
    """Writes the variables (values as in matvalues) as a MAT-file of version 7.

    The file is written beside its place and renamed when whole: whatever happens, path holds the old file or the new.
    Raises OSError where path cannot be written, ValueError for values that a MAT-file cannot hold.
    """
    with atomic.replacing(path) as part:
        try:
            with part.open("wb") as file:
                matwriter.write(file, variables)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except OSError as error:
        raise type(error)(f"{path}: it cannot be read ({error.strerror})") from error


# ---------------------------------------------------------------- versions 5, 6, 7


def _read_level5(path: Path, names: Collection[str] | None) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # SciPy is about to lose the imaginary part
        found = scipy.io.loadmat(
            path,
            variable_names=names,
            mat_dtype=True,  # without it doubles come as the integers they were stored as, and logicals as uint8
            chars_as_strings=False,  # with it the shape of empty and of multi-row texts is lost
            uint16_codec="utf-16-le" if _check_whole(path) == "<" else "utf-16-be",  # its default reads bytes
        )
    variables = {}
    for name, value in found.items():
        if name.startswith("__"):
            continue
        if isinstance(value, scipy.io.matlab.MatlabOpaque):  # SciPy misses the name of such a variable: it is inside
            name = value["s0"].ravel()[0].decode() or name
        variables[name] = _from_scipy(value)
    return variables


def _check_whole(path: Path) -> str:
    """Walks over the file's elements, whose sizes must lead exactly to its end; returns its byte order, "<" or ">".

    SciPy sees neither a file that ends too early between two elements nor one that goes on after the last.
    Raises EOFError.
    """
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:] == b"IM" else ">"
        size = path.stat().st_size
        at = 128
        while at < size:
            file.seek(at)
            tag = file.read(8)
            if len(tag) < 8:
                raise EOFError("it ends inside an element's header")
            at += 8 + int(np.frombuffer(tag, order + "u4")[1])
        if at != size or size == 128:
            raise EOFError(f"it has {size} bytes and should have {at}" if size > 128 else "it ends after the header")
    return order


def _from_scipy(value: Any) -> Any:
    if isinstance(value, scipy.io.matlab.MatlabOpaque):
        return Foreign("object", value["s2"].ravel()[0].decode())
    if isinstance(value, scipy.io.matlab.MatlabFunction):
        return Foreign("function handle", _function_name(value))
    if isinstance(value, scipy.io.matlab.MatlabObject):
        return Foreign("object", value.classname)
    if scipy.sparse.issparse(value):
        return scipy.sparse.csc_matrix(value)
    if value.dtype.names is not None:
        fields = value.dtype.names
        records = [{f: _from_scipy(element[f]) for f in fields} for element in value.ravel(order="F")]
        return _struct(fields, value.shape, records)
    if value.dtype == object:
        if value.size and all(element is None for element in value.flat):  # so SciPy shows a struct without fields
            return _struct((), value.shape, [{} for _ in range(value.size)])
        cell = np.empty(value.shape, object)
        for index in np.ndindex(value.shape):
            cell[index] = _from_scipy(value[index])
        return cell
    if value.dtype.kind == "U":
        return _text(value)
    return value


def _function_name(value: Any) -> str:
    try:
        inside = _from_scipy(np.asarray(value))["function_handle"]
        return str(inside["function"])
    except (KeyError, TypeError, IndexError, AttributeError):
        return ""  # an anonymous function, or one stored by a release that stores it otherwise


# ---------------------------------------------------------------- version 7.3


def _read_hdf5(path: Path, names: Collection[str] | None) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        # "#refs#" holds the elements of cells, "#subsystem#" the objects: neither is a variable
        wanted = [n for n in file if not n.startswith("#") and (names is None or n in names)]
        return {name: _from_hdf5(file[name]) for name in wanted}


def _from_hdf5(node: h5py.Group | h5py.Dataset) -> Any:
    """The value of a node: its class stands in an attribute, its axes are reversed (HDF5's last one is the fastest)."""
    class_name = _decode(node.attrs.get("MATLAB_class", ""))
    if class_name == "function_handle":
        return Foreign("function handle")
    if "MATLAB_object_decode" in node.attrs:
        return Foreign("object", class_name)
    if "MATLAB_sparse" in node.attrs:
        return _sparse(node, class_name)
    if isinstance(node, h5py.Group):
        return _struct_from_group(node)
    if node.attrs.get("MATLAB_empty", 0):
        return _empty(node, class_name)
    if h5py.check_ref_dtype(node.dtype) is not None:
        cell = np.empty(node.shape[::-1], object)
        for index, reference in np.ndenumerate(node[()].T):
            cell[index] = _from_hdf5(node.file[reference])
        return cell
    values = node[()].T
    if values.dtype.names == ("real", "imag"):
        return values["real"] + 1j * values["imag"].astype(np.result_type(values["imag"], np.complex64))
    if class_name == "char":
        return _text(values.astype(np.uint32).view("<U1"))
    return values.astype(bool) if class_name == "logical" else values


def _struct_from_group(group: h5py.Group) -> dict[str, Any] | StructArray:
    fields = tuple(_decode(b"".join(f)) for f in group.attrs.get("MATLAB_fields", ())) or tuple(group)
    columns = {}
    for field in fields:
        node = group[field]
        if isinstance(node, h5py.Group) or "MATLAB_class" in node.attrs:
            return {f: _from_hdf5(group[f]) for f in fields}
        columns[field] = node[()].T  # of a struct array each field is a bare array of references
    shape = next(iter(columns.values())).shape if columns else (1, 1)
    flat = {field: column.ravel(order="F") for field, column in columns.items()}
    records = [{f: _from_hdf5(group.file[flat[f][i]]) for f in fields} for i in range(int(np.prod(shape)))]
    return _struct(fields, shape, records)


def _empty(node: h5py.Dataset, class_name: str) -> Any:
    """An empty array, which stands in the file as its size alone (and a 1x1 struct without fields likewise)."""
    shape = tuple(int(n) for n in node[()].ravel())
    if class_name == "struct":
        fields = tuple(_decode(b"".join(f)) for f in node.attrs.get("MATLAB_fields", ()))
        return _struct(fields, shape, [{} for _ in range(int(np.prod(shape)))])
    if class_name == "char":
        return _text(np.empty(shape, "U1"))
    dtypes = {
        "cell": object,
        "logical": bool,
        "single": np.float32,
        "double": np.float64,
        "canonical empty": np.float64,
    }
    return np.empty(shape, dtypes[class_name] if class_name in dtypes else np.dtype(class_name))


def _sparse(group: h5py.Group, class_name: str) -> Any:
    rows = int(group.attrs["MATLAB_sparse"])
    starts = group["jc"][()].astype(np.int32)
    data, at = (group[n][()] if n in group else np.empty(0) for n in ("data", "ir"))
    values = data.astype(bool) if class_name == "logical" else data
    return scipy.sparse.csc_matrix((values, at.astype(np.int32), starts), (rows, len(starts) - 1))


# ---------------------------------------------------------------- both


def _struct(
    fields: tuple[str, ...], shape: tuple[int, ...], records: list[dict[str, Any]]
) -> dict[str, Any] | StructArray:
    return records[0] if shape == (1, 1) else StructArray(tuple(fields), tuple(shape), records)


def _text(characters: np.ndarray) -> str | np.ndarray:
    row_of_some = characters.ndim == 2 and characters.shape[0] == 1 and characters.size > 0
    return "".join(characters.ravel()) if row_of_some or characters.shape == (0, 0) else characters


def _decode(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
