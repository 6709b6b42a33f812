"""Reads MAT-files of versions 5, 6 and 7, MATLAB's level-5 format, as values (matvalues).

SciPy's reader is not used: it loses what a round trip must keep (complex numbers beside doubles, logical sparse arrays, empty
structs without fields, NUL in a text) and sees no file that is cut between two elements.
Octave's files are read too, with what they have of their own: a sparse logical array has the class of a full one, a text of
several rows has UTF-8's bytes for elements, and one of three or four elements is said to be 4 bytes longer than it is (which
is overlooked in version 7, where the stream tells, as Octave does; version 6 it cannot read itself).
Source    "MAT-File Format", The MathWorks, chapter 1 (level 5); what it leaves open (function handles, objects) from files
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from . import matvalues
from .matvalues import Foreign

HEADER = 128  # bytes, the last two of them "IM" or, of a machine that stores the high byte first, "MI"
PIECE = 1 << 16  # bytes that are read and unpacked at a time

# data types of elements (mi...): the numbers that the format gives them, and NumPy's name
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1"}
TYPES |= {17: "u2", 18: "u4"}
INT32, MATRIX, COMPRESSED, UTF8, UTF32 = 5, 14, 15, 16, 18
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17  # classes of arrays (mx...)
NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
LOGICAL, COMPLEX = 0x200, 0x800
Order = Literal["<", ">"]  # of a number's bytes
Shape = tuple[int, ...]


def read(path: Path, names: Collection[str] | None = None) -> dict[str, Any]:
    """The variables of a file by name, or only those of `names`.

    Raises EOFError, ValueError, zlib.error and others where it is damaged.
    """
    variables = {}
    for name, flags, shape, source in _heads(path):
        # In a variable without a name MATLAB keeps the insides of objects.
        if name and (names is None or name in names):
            variables[name] = _body(source, flags, shape)
            source.finish()
    return variables


def names(path: Path) -> list[str]:
    """The names of a file's variables, whose values are not read. Raises as read does."""
    return [name for name, *_ in _heads(path) if name]


def _heads(path: Path) -> Iterator[tuple[str, int, Shape, "_Plain"]]:
    """Name, class and flags, and shape of each variable, and where to go on reading."""
    with path.open("rb") as file:
        order: Order = "<" if file.read(HEADER)[-2:] == b"IM" else ">"
        for kind, size in _elements(file, order, path.stat().st_size):
            source = _Unpacked(file, size, order) if kind == COMPRESSED else _Plain(file, size, order)
            if kind == COMPRESSED:
                kind, source.left = source.tag.unpack(source.read(8))
            if kind != MATRIX:
                raise ValueError(f"there is an element of type {kind} where a variable should be")
            flags, shape, name = _head(source)
            yield name, flags, shape, source


def _elements(file: BinaryIO, order: Order, size: int) -> Iterator[tuple[int, int]]:
    """Type and size of each element, the file standing at its data; their sizes must lead exactly to the file's end."""
    at = HEADER
    while at < size or at == HEADER:
        file.seek(at)
        tag = file.read(8)
        if len(tag) < 8:
            raise EOFError("it ends inside an element's header" if tag else "it ends after its header")
        kind, length = struct.unpack(order + "II", tag)
        at += 8 + length
        if at > size:
            raise EOFError(f"it has {size} bytes and should have {at}")
        yield kind, length


class _Plain:
    """Bytes of a file, `left` of them."""

    def __init__(self, file: BinaryIO, size: int, order: Order) -> None:
        self._file, self._packed, self.left = file, size, size
        self._buffer, self._at = b"", 0
        self.tag = struct.Struct(order + "II")
        self.dtypes = {kind: np.dtype(code).newbyteorder(order) for kind, code in TYPES.items()}

    def read(self, size: int) -> bytearray:
        """The next bytes. Raises EOFError where there are not so many."""
        if size > self.left:
            raise EOFError(f"an element of {size} bytes stands where {self.left} are left")
        self.left -= size
        data = bytearray(self._buffer[self._at : self._at + size])
        self._at += len(data)
        if len(data) < size:
            done = len(data)
            data.extend(bytes(size - done))
            while done < size:
                self._buffer = self._more()
                if not self._buffer:
                    raise EOFError("it ends inside an element")
                self._at = min(len(self._buffer), size - done)
                data[done : done + self._at] = memoryview(self._buffer)[: self._at]
                done += self._at
        return data

    def _more(self) -> bytes:
        piece = self._file.read(min(PIECE, self._packed))
        self._packed -= len(piece)
        return piece

    def finish(self) -> None:
        """Called when all is read. Raises where something is left or wrong."""
        if self.left:
            raise ValueError(f"a variable has {self.left} bytes more than its values take")


class _Unpacked(_Plain):
    """Bytes of a zlib stream, unpacked as they are asked for, so that a large array is held once."""

    def __init__(self, file: BinaryIO, size: int, order: Order) -> None:
        super().__init__(file, size, order)
        self._stream = zlib.decompressobj()
        self.left = 8  # the tag of the one element inside, which tells how many bytes follow

    def _more(self) -> bytes:
        while not self._stream.eof:
            packed = self._stream.unconsumed_tail or super()._more()
            if not packed:
                break
            if piece := self._stream.decompress(packed, PIECE):
                return piece
        return b""

    def finish(self) -> None:
        """As above, but the stream, which has a checksum, is asked: Octave's tag may tell too large a size."""
        if self._at < len(self._buffer) or self._more() or not self._stream.eof:
            raise EOFError("a variable's stream does not end where it should")


# ---------------------------------------------------------------- elements


def _element(source: _Plain) -> tuple[int, bytearray]:
    """An element's type and data."""
    tag = source.read(8)
    kind, size = source.tag.unpack(tag)
    if kind >> 16:  # so few bytes that they stand in the tag
        return kind & 0xFFFF, tag[4 : 4 + (kind >> 16)]
    data = source.read(size)
    if size % 8:
        source.read(min(-size % 8, source.left))
    return kind, data


def _array(source: _Plain) -> tuple[int, np.ndarray]:
    """The type and the numbers of an element, one after the other and of native byte order."""
    kind, data = _element(source)
    if kind not in TYPES:
        raise ValueError(f"there is an element of type {kind} where numbers should be")
    values = np.frombuffer(data, source.dtypes[kind])
    return kind, values if values.dtype.isnative else values.astype(TYPES[kind])


def _text(source: _Plain) -> str:
    return _element(source)[1].decode()


def _matrix(source: _Plain) -> Any:
    kind, size = source.tag.unpack(source.read(8))
    if kind != MATRIX:
        raise ValueError(f"there is an element of type {kind} where an array should be")
    if not size:
        return np.zeros((0, 0))
    flags, shape, _ = _head(source)
    return _body(source, flags, shape)


def _head(source: _Plain) -> tuple[int, Shape, str]:
    """An array's class and flags, shape (an object has none) and name."""
    flags = int(_array(source)[1][0])
    shape = () if flags & 0xFF == OPAQUE else tuple(_array(source)[1].tolist())
    if min(shape, default=0) < 0:
        raise ValueError(f"there is an array of the size {shape}")
    return flags, shape, _text(source)


def _body(source: _Plain, flags: int, shape: Shape) -> Any:
    kind, count = flags & 0xFF, math.prod(shape)
    if kind == CELL:
        _check_room(source, count)
        cell = np.empty(count, object)
        for i in range(count):
            cell[i] = _matrix(source)
        return cell.reshape(shape, order="F")
    if kind in (STRUCT, OBJECT):
        class_name = _text(source) if kind == OBJECT else ""
        value = _struct(source, shape, count)
        return Foreign("object", class_name) if kind == OBJECT else value
    if kind == CHAR:
        return matvalues.text(_codes(source, shape))
    if kind == SPARSE:
        return _sparse(source, _array(source)[1], flags, shape)
    if kind == FUNCTION:
        return Foreign("function handle", _function_name(_matrix(source)))
    if kind == OPAQUE:
        _text(source)  # "MCOS"
        class_name = _text(source)
        _matrix(source)
        return Foreign("object", class_name)
    if kind not in NUMERIC:
        raise ValueError(f"there is an array of class {kind}, which the format does not have")
    stored, values = _array(source)
    if flags & LOGICAL and stored == INT32:  # logicals are bytes; these are the rows of Octave's sparse ones
        return _sparse(source, values, flags, shape)
    return _numbers(source, values, flags, NUMERIC[kind]).reshape(shape, order="F")


def _check_room(source: _Plain, count: int) -> None:
    """Raises EOFError where so many arrays cannot follow: each has a tag of 8 bytes."""
    if 8 * count > source.left:
        raise EOFError(f"{count} arrays should stand where {source.left} bytes are left")


def _numbers(source: _Plain, real: np.ndarray, flags: int, dtype: str) -> np.ndarray:
    """The numbers of an array in the type of its class: in the file they may have a narrower one that holds them."""
    if flags & LOGICAL:
        return real.astype(bool)
    if not flags & COMPLEX:
        return real.astype(dtype, copy=False)
    value = np.empty(real.shape, np.result_type(dtype, np.complex64))
    value.real, value.imag = real, _array(source)[1]
    return value


def _struct(source: _Plain, shape: Shape, count: int) -> Any:
    width = int(_array(source)[1][0])
    names = _element(source)[1]
    fields = [names[at : at + width].split(b"\0")[0].decode() for at in range(0, len(names), width)]
    _check_room(source, count * len(fields))
    if not fields and count > matvalues.MOST_FIELDLESS:
        raise ValueError(f"there is a struct array of {count} elements without fields")
    records = [{field: _matrix(source) for field in fields} for _ in range(count)]
    return matvalues.struct(fields, shape, records)


def _codes(source: _Plain, shape: Shape) -> np.ndarray:
    kind, codes = _array(source)
    if kind == UTF32 or (kind == UTF8 and (shape[0] == 1 or len(codes) != math.prod(shape))):
        text = codes.tobytes().decode("utf-8" if kind == UTF8 else "utf-32")
        codes = np.frombuffer(text.encode("utf-16-le"), "<u2").astype(np.uint16)
        if len(codes) != math.prod(shape):  # some writers count the bytes
            shape = (1, len(codes))
    return codes.astype(np.uint16).reshape(shape, order="F")


def _sparse(source: _Plain, at: np.ndarray, flags: int, shape: Shape) -> Any:
    """A sparse array whose rows have been read."""
    starts = _array(source)[1]
    values = _numbers(source, _array(source)[1], flags, "f8")
    used = int(starts[-1])  # there may be room for more
    return matvalues.sparse(values[:used], at[:used], starts, shape)


def _function_name(inside: Any) -> str:
    handle = inside.get("function_handle") if isinstance(inside, dict) else None
    name = handle.get("function") if isinstance(handle, dict) else None
    # Anonymous functions have none, and some releases store it otherwise.
    return name if isinstance(name, str) else ""
