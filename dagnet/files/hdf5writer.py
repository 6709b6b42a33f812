"""Writes values (matvalues) as a MAT-file of version 7.3: an HDF5 file in MATLAB's layout, which has no limit of 2 GB.

    MATLAB              HDF5, axes reversed                              attributes
    numbers             dataset, complex ones a pair (real, imag)        MATLAB_class
    logical, char       dataset of uint8, uint16                         and MATLAB_int_decode 1, 2
    cell                dataset of references into the group #refs#      and, in #refs#, H5PATH
    struct 1x1          group, a member a field                          and MATLAB_fields
    struct array        group, a dataset of references a field           and MATLAB_fields
    empty, fieldless    dataset with the size                            and MATLAB_empty 1
    sparse              group of data, ir, jc                            and MATLAB_sparse, the number of rows
Before the HDF5 part stands a block of 512 bytes that begins as every MAT-file does.
Source    files that MATLAB wrote
"""

import io
import itertools
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import matvalues, writable

BLOCK = 512  # bytes before the HDF5 part
# From so many bytes on an array goes through zlib, as in MATLAB's files, though at level 0, which stores: as in version 7,
# the stream's checksum is wanted, by which damage is found. For less its index would take more room than the numbers.
CHECKED = 256
MOST_FIELDS = 4000  # what the names' references take must fit into the 64 KB of an HDF5 attribute


def write(path: Path, variables: Mapping[str, Any]) -> None:
    """Writes the variables to a new file, one dataset after the other, large ones in pieces.

    Raises OSError where it cannot be written, ValueError, naming the variable and field, for what MATLAB cannot hold.
    """
    with _Sink(path, "w+") as sink:
        try:
            with h5py.File(sink, "w", userblock_size=BLOCK, libver=("earliest", "v108")) as made:
                writer = _Writer(made, sink)
                for name, value in variables.items():
                    writable.check_name(name, "variable")
                    writer.put(made, name, value, name)
        finally:
            sink.raise_kept()
        sink.seek(0)
        sink.write(b"MATLAB 7.3 MAT-file, written by dagnet. HDF5 schema 1.00 .".ljust(116))
        sink.write(struct.pack("<QH2s", 0, 0x0200, b"IM"))
        sink.raise_kept()


class _Sink(io.FileIO):
    """A file for HDF5 to write to, which keeps a full disk to itself until HDF5 has closed it.

    HDF5 cannot close a file whose end it cannot write, and takes the process down with it when that ends.
    """

    _kept: OSError | None = None

    def raise_kept(self) -> None:
        """Raises the first error, if there was one."""
        if self._kept is not None:
            raise self._kept

    def write(self, data: Any) -> int:
        """Writes all of data, or keeps the error and lets go of it."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self._kept is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self._kept = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Sets the size, or keeps the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._kept = self._kept or error
            return size or 0


class _Writer:
    def __init__(self, file: h5py.File, sink: _Sink) -> None:
        self._file, self._sink, self._numbers = file, sink, itertools.count()

    def put(self, place: h5py.Group, name: str, value: Any, where: str) -> None:
        """Writes a value, down to its last field, as the member `name` of a group. `where` names it in messages."""
        self._sink.raise_kept()
        kind, value = writable.form(value, where)
        shape = writable.shape(value.shape)
        if (0 in shape and kind != "sparse") or (kind == "struct" and not value.fields):
            node = place.create_dataset(name, data=np.array(shape, np.uint64))
            _mark(node, kind, MATLAB_empty=np.uint8(1))
            if kind == "struct" and value.fields:
                _name_fields(node, value.fields, where)
        elif kind == "struct":
            self._put_struct(place.create_group(name), value, where)
        elif kind == "cell":
            references = [self._refer(element, at) for element, at in writable.elements(value, where)]
            _mark(_put_references(place, name, references, shape), kind)
        elif kind == "sparse":
            self._put_sparse(place.create_group(name), value)
        else:
            _mark(_put_numbers(place, name, value), kind)

    def _put_struct(self, group: h5py.Group, value: matvalues.StructArray, where: str) -> None:
        _mark(group, "struct")
        _name_fields(group, value.fields, where)
        for field in value.fields:
            cells = [(record[field], f"{at}.{field}") for record, at in writable.records(value, where)]
            if len(cells) == 1:
                self.put(group, field, *cells[0])
            else:
                _put_references(group, field, [self._refer(*cell) for cell in cells], writable.shape(value.shape))

    def _put_sparse(self, group: h5py.Group, value: Any) -> None:
        _mark(group, matvalues.class_of(value.data), MATLAB_sparse=np.uint64(value.shape[0]))
        if value.nnz:
            _put_numbers(group, "data", value.data)
            group["ir"] = value.indices.astype(np.uint64)
        group["jc"] = value.indptr.astype(np.uint64)

    def _refer(self, value: Any, where: str) -> h5py.Reference:
        """A reference to the value, which is put into #refs#."""
        if "#refs#" not in self._file:
            _put_text(self._file.create_group("#refs#"), "H5PATH", "/#refs#")
        refs = self._file["#refs#"]
        if isinstance(value, np.ndarray) and value.shape == (0, 0) and value.dtype == np.float64:
            if "a" not in refs:  # all [] are this one
                _mark(
                    refs.create_dataset("a", data=np.zeros(2, np.uint64)), "canonical empty", MATLAB_empty=np.uint8(1)
                )
            return refs["a"].ref
        name = str(next(self._numbers))
        self.put(refs, name, value, where)
        made = refs[name]
        _put_text(made, "H5PATH", f"/#refs#/{name}")
        return made.ref


def _mark(node: h5py.Group | h5py.Dataset, kind: str, **attributes: Any) -> None:
    _put_text(node, "MATLAB_class", kind)
    if kind in ("logical", "char"):
        attributes["MATLAB_int_decode"] = np.int32(1 if kind == "logical" else 2)
    for name, value in attributes.items():
        node.attrs[name] = value


def _put_text(node: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    """An attribute in the one form of HDF5's text types that MATLAB uses."""
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(text))
    made = h5py.h5a.create(node.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    made.write(np.array(text.encode()), mtype=kind)


def _name_fields(node: h5py.Group | h5py.Dataset, fields: tuple[str, ...], where: str) -> None:
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"{where} has {len(fields)} fields; a MAT-file of version 7.3 holds {MOST_FIELDS} of a struct")
    names = np.empty(len(fields), object)
    names[:] = [np.frombuffer(field.encode(), "S1") for field in fields]
    node.attrs.create("MATLAB_fields", names, dtype=h5py.vlen_dtype(np.dtype("S1")))


def _put_references(
    place: h5py.Group, name: str, references: list[h5py.Reference], shape: tuple[int, ...]
) -> h5py.Dataset:
    table = np.empty(len(references), object)
    table[:] = references
    return place.create_dataset(name, data=table.reshape(shape[::-1]), dtype=h5py.ref_dtype)


def _put_numbers(place: h5py.Group, name: str, value: np.ndarray) -> h5py.Dataset:
    """An array's dataset, written piece by piece, so that no second copy arises."""
    if value.dtype == bool:
        value = value.view(np.uint8)
    if value.dtype.kind == "c":
        half = np.dtype(f"f{value.dtype.itemsize // 2}")
        value = value.view([("real", half), ("imag", half)])
    if value.nbytes < CHECKED:
        return place.create_dataset(name, data=value.T)
    chunks = writable.box(value.shape, value.itemsize)[::-1]
    made = place.create_dataset(
        name, value.shape[::-1], value.dtype, chunks=chunks, compression="gzip", compression_opts=0
    )
    for where, piece in writable.pieces(value):
        made[where[::-1]] = piece.T
    return made
