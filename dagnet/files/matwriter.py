"""Writes values (matvalues) as a MAT-file of version 7: MATLAB's level-5 format, each variable a zlib stream.

SciPy's writer is not used: it loses what a round trip must keep (the shape of a 1x0 text and of an empty struct without
fields) and holds three copies of a variable; this one sends array after array straight into the file.
Source: "MAT-File Format", The MathWorks, chapter 1 (level 5).
"""

import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse

from . import matvalues

LARGEST = 2**31 - 1  # bytes of one variable in version 7
PIECE = 1 << 24  # bytes that go through zlib at a time, so that no second copy of a large array arises there
# zlib's level 0 stores: weights are noise, of which level 1 saves 7 %. A checkpoint of 0.82 GB, written in 4 s and read in 7 s,
# took 23 s and 11 s with level 1. The stream's checksum, by which damage is found, stays.
LEVEL = 0
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")

# data types of elements (mi...) and classes of arrays (mx...), with the numbers that the format gives them
INT8, UINT16, INT32, UINT32, MATRIX, COMPRESSED = 1, 4, 5, 6, 14, 15
CELL_CLASS, STRUCT_CLASS, CHAR_CLASS, SPARSE_CLASS = 1, 2, 4, 5
LOGICAL, COMPLEX = 0x200, 0x800
NUMERIC = {  # NumPy's dtype: (array class, data type)
    "f8": (6, 9),
    "f4": (7, 7),
    "i1": (8, 1),
    "u1": (9, 2),
    "i2": (10, 3),
    "u2": (11, 4),
    "i4": (12, 5),
    "u4": (13, 6),
    "i8": (14, 12),
    "u8": (15, 13),
}
Part = bytes | np.ndarray  # arrays stay as they are until they are written, so that no second copy is held


def write(file: BinaryIO, variables: Mapping[str, Any]) -> None:
    """Writes the variables to an open binary file that can seek.

    Raises ValueError, naming the variable and field, for a value that MATLAB has no class for, for a Foreign one, for a
    name that MATLAB would not accept, and for a variable of more than 2 GB.
    """
    text = b"MATLAB 5.0 MAT-file, written by dagnet"
    file.write(text.ljust(124) + struct.pack("<H2s", 0x0100, b"IM"))
    for name, value in variables.items():
        _write_stream(file, _variable(name, value))


def check(variables: Mapping[str, Any]) -> None:
    """Raises ValueError where write would, and writes nothing: values are only looked at."""
    for name, value in variables.items():
        _variable(name, value)


def _variable(name: str, value: Any) -> list[Part]:
    _check_name(name, "variable")
    try:
        return _array(value, name.encode(), name)
    except OverflowError as error:
        raise ValueError(
            f"variable {name} takes more than {error} GB, and a MAT-file of version 7 holds 2 GB per variable; "
            "a network of this size needs fewer or narrower layers to be exchanged with MATLAB in this version"
        ) from error


def _write_stream(file: BinaryIO, parts: Iterable[Part]) -> None:
    start = file.tell()
    file.write(bytes(8))  # the tag, known when all is written
    packer = zlib.compressobj(LEVEL)
    for part in parts:
        data = memoryview(part if isinstance(part, bytes) else part.tobytes(order="F"))
        for at in range(0, len(data), PIECE):
            file.write(packer.compress(data[at : at + PIECE]))
    file.write(packer.flush())
    end = file.tell()
    file.seek(start)
    file.write(struct.pack("<II", COMPRESSED, end - start - 8))
    file.seek(end)


def _size(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part.nbytes


def _element(kind: int, data: Part) -> list[Part]:
    return [struct.pack("<II", kind, _size(data)), data, bytes(-_size(data) % 8)]


def _matrix(
    class_and_flags: int, shape: tuple[int, ...], name: bytes, body: list[Part], nonzeros: int = 0
) -> list[Part]:
    if len(shape) < 2:  # a vector is a row, as for MATLAB's own [1 2 3]
        shape = (1, *shape) if shape else (1, 1)
    while len(shape) > 2 and shape[-1] == 1:  # MATLAB knows no trailing dimensions of size 1
        shape = shape[:-1]
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
    if isinstance(value, dict):
        return _struct(tuple(value), (1, 1), [value], name, where)
    if isinstance(value, matvalues.StructArray):
        return _struct(value.fields, value.shape, value.records, name, where)
    if isinstance(value, str):
        return _chars(np.array([list(value)], "U1") if value else np.empty((0, 0), "U1"), name, where)
    if scipy.sparse.issparse(value):
        return _sparse(value, name)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        value = np.asarray(value, None if isinstance(value, (bool, complex, np.generic)) else np.float64)
    if not isinstance(value, np.ndarray):
        if isinstance(value, matvalues.Foreign):
            raise ValueError(f"{where} is {value}, which only MATLAB can write; remove it first")
        raise ValueError(f"{where} is of Python's type {type(value).__name__}, for which MATLAB has no class")
    if value.dtype == object:
        cells = [_array(v, b"", f"{where}{{{i + 1}}}") for i, v in enumerate(value.ravel(order="F"))]
        return _matrix(CELL_CLASS, value.shape, name, [part for parts in cells for part in parts])
    if value.dtype.kind == "U" and value.dtype.itemsize <= 4:
        return _chars(value, name, where)
    return _numeric(value, name, where)


def _struct(
    fields: tuple[str, ...], shape: tuple[int, ...], records: list[dict[str, Any]], name: bytes, where: str
) -> list[Part]:
    for field in fields:
        _check_name(field, f"{where}: field")
    width = max((len(f) for f in fields), default=0) + 1  # each name takes the same number of bytes, zeros at its end
    body: list[Part] = [struct.pack("<HHi", INT32, 4, width)]  # a small element: type, size and value in 8 bytes
    body += _element(INT8, b"".join(f.encode().ljust(width, b"\0") for f in fields))
    for i, record in enumerate(records):
        at = where if len(records) == 1 else f"{where}({i + 1})"
        for field in fields:
            body += _array(record[field], b"", f"{at}.{field}")
    return _matrix(STRUCT_CLASS, shape, name, body)


def _chars(value: np.ndarray, name: bytes, where: str) -> list[Part]:
    codes = np.vectorize(ord, otypes=["<u4"])(value) if value.size else np.empty(value.shape, "<u2")
    if codes.size and codes.max() > 0xFFFF:
        raise ValueError(f"{where} holds the character {chr(codes.max())!r}; a MAT-file has no room beyond U+FFFF")
    return _matrix(CHAR_CLASS, codes.shape, name, _element(UINT16, codes.astype("<u2")))


def _numeric(value: np.ndarray, name: bytes, where: str) -> list[Part]:
    if value.dtype == bool:
        return _matrix(NUMERIC["u1"][0] | LOGICAL, value.shape, name, _element(NUMERIC["u1"][1], value.view(np.uint8)))
    if value.dtype.kind == "c" and value.dtype.itemsize <= 16:
        half = np.dtype(f"f{value.dtype.itemsize // 2}").str[1:]
        body = _element(NUMERIC[half][1], value.real) + _element(NUMERIC[half][1], value.imag)
        return _matrix(NUMERIC[half][0] | COMPLEX, value.shape, name, body)
    if value.dtype.str[1:] not in NUMERIC:
        raise ValueError(
            f"{where} is an array of {value.dtype}; MATLAB has no such class, convert it to float32 or float64"
        )
    array_class, kind = NUMERIC[value.dtype.str[1:]]
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return _matrix(array_class, value.shape, name, _element(kind, little))


def _sparse(value: Any, name: bytes) -> list[Part]:
    columns = scipy.sparse.csc_matrix(value)
    flag, data = (LOGICAL, columns.data.view(np.uint8)) if columns.dtype == bool else (0, columns.data.astype("<f8"))
    kind = NUMERIC[data.dtype.str[1:]][1]
    body = _element(INT32, columns.indices.astype("<i4")) + _element(INT32, columns.indptr.astype("<i4"))
    body += _element(kind, data)
    return _matrix(SPARSE_CLASS | flag, columns.shape, name, body, max(1, columns.nnz))


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{what} {name!r} is no MATLAB name: use a letter, then letters, digits and _, 63 at most")
