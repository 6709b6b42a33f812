"""Writes values (matvalues) as a MAT-file of version 7: MATLAB's level-5 format, each variable a zlib stream.

SciPy's writer is not used: it loses what a round trip must keep (the shape of a 1x0 text and of an empty struct without
fields) and holds three copies of a variable; this one sends array after array straight into the file.
Source: "MAT-File Format", The MathWorks, chapter 1 (level 5).
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from . import matvalues, writable

LARGEST = 2**31 - 1  # bytes of one variable in version 7
# zlib's level 0 stores: weights are noise, of which level 1 saves 7 %. A checkpoint of 0.82 GB, written in 4 s and read in 7 s,
# took 23 s and 11 s with level 1. The stream's checksum, by which damage is found, stays.
LEVEL = 0

# data types of elements (mi...) and classes of arrays (mx...), with the numbers that the format gives them
INT8, UINT16, INT32, UINT32, MATRIX, COMPRESSED = 1, 4, 5, 6, 14, 15
CELL_CLASS, STRUCT_CLASS, CHAR_CLASS, SPARSE_CLASS = 1, 2, 4, 5
LOGICAL, COMPLEX = 0x200, 0x800
NUMERIC = {  # MATLAB's class: (array class, data type)
    "double": (6, 9),
    "single": (7, 7),
    "int8": (8, 1),
    "uint8": (9, 2),
    "int16": (10, 3),
    "uint16": (11, 4),
    "int32": (12, 5),
    "uint32": (13, 6),
    "int64": (14, 12),
    "uint64": (15, 13),
}
Part = bytes | np.ndarray  # arrays stay as they are until they are written, so that no second copy is held


class TooLarge(ValueError):
    """A variable takes more than LARGEST bytes."""


def write(file: BinaryIO, variables: Mapping[str, Any]) -> None:
    """Writes the variables to an open binary file that can seek.

    Raises ValueError, naming the variable and field, for a value that MATLAB has no class for, for a Foreign one and for a
    name that MATLAB would not accept, TooLarge for a variable of more than 2 GB: all before it writes anything.
    """
    streams = [_variable(name, value) for name, value in variables.items()]
    text = b"MATLAB 5.0 MAT-file, written by dagnet"
    file.write(text.ljust(124) + struct.pack("<H2s", 0x0100, b"IM"))
    for parts in streams:
        _write_stream(file, parts)


def _variable(name: str, value: Any) -> list[Part]:
    writable.check_name(name, "variable")
    try:
        return _array(value, name.encode(), name)
    except OverflowError as error:
        raise TooLarge(
            f"variable {name} takes more than {error} GB, and a MAT-file of version 7 holds 2 GB per variable; "
            "version 7.3 holds it"
        ) from error


def _write_stream(file: BinaryIO, parts: list[Part]) -> None:
    start = file.tell()
    file.write(bytes(8))  # the tag, known when all is written
    packer = zlib.compressobj(LEVEL)
    for part in parts:
        for data in _bytes_of(part):
            file.write(packer.compress(data))
    file.write(packer.flush())
    end = file.tell()
    file.seek(start)
    file.write(struct.pack("<II", COMPRESSED, end - start - 8))
    file.seek(end)


def _bytes_of(part: Part) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part
    else:
        for _, piece in writable.pieces(part):
            yield piece.astype(piece.dtype.newbyteorder("<"), copy=False).tobytes(order="F")


def _size(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part.nbytes


def _element(kind: int, data: Part) -> list[Part]:
    return [struct.pack("<II", kind, _size(data)), data, bytes(-_size(data) % 8)]


def _matrix(
    class_and_flags: int, shape: tuple[int, ...], name: bytes, body: list[Part], nonzeros: int = 0
) -> list[Part]:
    if max(shape) > LARGEST:
        raise OverflowError(f"{max(shape) / 2**30:.1f}")
    parts = [
        *_element(UINT32, struct.pack("<II", class_and_flags, nonzeros)),
        *_element(INT32, struct.pack(f"<{len(shape)}i", *shape)),
        *_element(INT8, name),
        *body,
    ]
    size = sum(map(_size, parts))
    if size > LARGEST:
        raise OverflowError(f"{size / 2**30:.1f}")
    return [struct.pack("<II", MATRIX, size), *parts]


def _array(value: Any, name: bytes, where: str) -> list[Part]:
    """The parts of one array of any class, down to its last field. where names it in messages."""
    kind, value = writable.form(value, where)
    if kind == "struct":
        return _struct(value, name, where)
    if kind == "cell":
        cells = [_array(element, b"", place) for element, place in writable.elements(value, where)]
        return _matrix(CELL_CLASS, value.shape, name, [part for parts in cells for part in parts])
    if kind == "char":
        return _matrix(CHAR_CLASS, value.shape, name, _element(UINT16, value))
    if kind == "sparse":
        return _sparse(value, name)
    flags, body = _numbers(value)
    array_class, _ = NUMERIC["uint8" if kind == "logical" else kind]
    return _matrix(array_class | flags, value.shape, name, body)


def _struct(value: matvalues.StructArray, name: bytes, where: str) -> list[Part]:
    # Each name takes the same number of bytes, zeros at its end.
    width = max((len(f) for f in value.fields), default=0) + 1
    body: list[Part] = [struct.pack("<HHi", INT32, 4, width)]  # a small element: type, size and value in 8 bytes
    body += _element(INT8, b"".join(f.encode().ljust(width, b"\0") for f in value.fields))
    for record, place in writable.records(value, where):
        for field in value.fields:
            body += _array(record[field], b"", f"{place}.{field}")
    return _matrix(STRUCT_CLASS, writable.shape(value.shape), name, body)


def _numbers(value: np.ndarray) -> tuple[int, list[Part]]:
    """The flags and the elements of an array of numbers or logicals."""
    if value.dtype == bool:
        return LOGICAL, _element(NUMERIC["uint8"][1], value.view(np.uint8))
    if value.dtype.kind == "c":
        _, kind = NUMERIC[matvalues.class_of(value)]
        return COMPLEX, _element(kind, value.real) + _element(kind, value.imag)
    return 0, _element(NUMERIC[matvalues.class_of(value)][1], value)


def _sparse(value: Any, name: bytes) -> list[Part]:
    flags, data = _numbers(value.data)
    body = _element(INT32, value.indices.astype(np.int32)) + _element(INT32, value.indptr.astype(np.int32)) + data
    return _matrix(SPARSE_CLASS | flags, value.shape, name, body, max(1, value.nnz))
