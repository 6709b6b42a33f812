"""Values of MATLAB for tests: of every class, their differences field by field, files in MATLAB's layout, and Octave."""

import itertools
import shutil
import struct
import subprocess
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.sparse

from dagnet.files import matvalues
from dagnet.files.matvalues import StructArray


def differences(a: Any, b: Any, at: str = "") -> list[str]:
    """Where two values differ in class, shape, fields and their order, or any bit: a line for each, with its place."""
    found, right = describe(a), describe(b)
    if found != right:
        return [f"{at or 'the value'}: {found}, not {right}"]
    if isinstance(a, dict):
        return [line for key in a for line in differences(a[key], b[key], f"{at}.{key}" if at else key)]
    if isinstance(a, StructArray):
        places = (f"{at}({i + 1})" for i in range(len(a)))
        return [line for x, y, place in zip(a, b, places, strict=True) for line in differences(x, y, place)]
    if scipy.sparse.issparse(a):
        parts = ((a.data, b.data), (a.indices, b.indices), (a.indptr, b.indptr))
        return [line for x, y in parts for line in differences(x, y, at)]
    if not isinstance(a, np.ndarray):
        return [] if a == b else [f"{at}: {a!r}, not {b!r}"]
    if a.dtype == object:
        pairs = zip(a.ravel(order="F"), b.ravel(order="F"), strict=True)
        return [line for i, (x, y) in enumerate(pairs) for line in differences(x, y, f"{at}{{{i + 1}}}")]
    return [] if a.tobytes(order="F") == b.tobytes(order="F") else [f"{at}: other elements"]


def describe(value: Any) -> str:
    """All that must be the same before elements are compared."""
    if isinstance(value, dict):
        return f"a struct with {list(value)}"
    if isinstance(value, StructArray):
        return f"a struct array {value.shape} of {len(value)} with {list(value.fields)}"
    if isinstance(value, np.ndarray) or scipy.sparse.issparse(value):
        return f"{type(value).__name__} {value.dtype} {value.shape}"
    return type(value).__name__


def same(a: Any, b: Any) -> bool:
    """Whether there is no difference."""
    return not differences(a, b)


def cell(*values):
    return matvalues.row(values)


KINDS = ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


def everything() -> dict:
    """A value of each class and of each kind of emptiness."""
    rng = np.random.default_rng(1)
    numbers = {f"x_{t}": (rng.random((2, 3)) * 100).astype(t) for t in KINDS}
    inner = {"name": "conv1", "weights": cell(rng.random((3, 3, 2, 4), np.float32), np.zeros((4, 1), np.float32))}
    return {
        "numbers": numbers,
        "filters": rng.random((5, 4, 3, 2), np.float32),
        "flag": np.array([[True]]),
        "flags": np.array([[True, False], [False, True], [True, True]]),
        "text": "softmaxlog",
        "unicode": "größe Ω",
        "lines": np.array([list("ab"), list("cd"), list("ef")]),
        "layers": cell(inner, {"name": "relu1", "weights": np.empty((0, 0), object)}, "text"),
        "column": np.array([["a"], [np.ones((1, 1))]], object),
        "nested": cell(cell(np.zeros((1, 0))), cell()),
        "records": StructArray(("a", "b"), (1, 3), [{"a": np.full((1, 1), i * 1.0), "b": "x" * i} for i in range(3)]),
        "grid": StructArray(("a",), (2, 2), [{"a": np.full((1, 1), i * 1.0)} for i in range(4)]),
        "nothing": np.zeros((0, 0)),
        "no_single": np.zeros((3, 0), np.float32),
        "no_flag": np.zeros((0, 1), bool),
        "no_text": "",
        "no_row_text": np.empty((1, 0), "U1"),
        "no_cell": np.empty((1, 0), object),
        "no_records": StructArray(("a", "b"), (1, 0), []),
        "fieldless": {},
        "deep": {"block": {"opts": {}, "sub": {"x": np.ones((1, 1))}}},
        "complex": np.array([[1 - 2j, np.inf, np.nan * 1j]]),
        "complex_single": np.array([[1 - 2j], [3]], np.complex64),
        "extremes": cell(
            np.array([[2**63 - 1, -(2**63)]]), np.array([[2**64 - 1]], np.uint64), np.array([[-0.0, np.nan]])
        ),
        "with_nul": "a\0b\0",
        "beyond_16_bits": "\U0001f600",
        "half_a_character": "\ud800",
        "text_block": np.array([[list("ab")], [list("cd")]]),
        "no_text_rows": np.empty((3, 0), "U1"),
        "flag_block": np.ones((1, 2, 3), bool),
        "fieldless_row": StructArray((), (1, 3), [{}, {}, {}]),
        "no_fieldless": StructArray((), (0, 0), []),
        "no_records_column": StructArray(("a",), (0, 1), []),
        "one_in_a_cell": cell(cell(cell(""))),
        "sparse": scipy.sparse.csc_matrix(np.array([[0, 2.5, 0], [0, 0, -1]])),
        "sparse_flags": scipy.sparse.csc_matrix(np.array([[True, False]])),
        "sparse_complex": scipy.sparse.csc_matrix(np.array([[0, 2.5j]])),
        "sparse_zeros": scipy.sparse.csc_matrix((3, 4)),
        "no_sparse": scipy.sparse.csc_matrix((0, 3), dtype=bool),
    }


KEYS = itertools.count()


def put_v73(file: h5py.File, place: h5py.Group, name: str, value) -> None:
    """Writes a value as MATLAB 7.3 lays it out: an independent statement of that layout."""

    def mark(node, class_name, **attrs):
        node.attrs["MATLAB_class"] = np.bytes_(class_name)
        for key, attribute in attrs.items():
            node.attrs[f"MATLAB_{key}"] = attribute

    def empty(shape, class_name):
        decode = {"logical": {"int_decode": np.int32(1)}, "char": {"int_decode": np.int32(2)}}.get(class_name, {})
        mark(place.create_dataset(name, data=np.array(shape, np.uint64)), class_name, empty=np.uint8(1), **decode)
        return place[name]

    def reference(element):
        refs = file.require_group("#refs#")
        if isinstance(element, np.ndarray) and element.shape == (0, 0) and element.dtype == np.float64:
            if "a" not in refs:
                mark(refs.create_dataset("a", data=np.zeros(2, np.uint64)), "canonical empty", empty=np.uint8(1))
            return refs["a"].ref
        key = f"r{next(KEYS)}"
        put_v73(file, refs, key, element)
        return refs[key].ref

    def references(elements, shape):
        table = np.empty(shape, h5py.ref_dtype)
        for index, element in zip(np.ndindex(shape[::-1]), elements, strict=True):
            table[index[::-1]] = reference(element)
        return table.T

    def fields_of(names):
        out = np.empty(len(names), object)
        out[:] = [np.array([c.encode() for c in n], "S1") for n in names]
        return out

    def keep_order(node, names):
        node.attrs.create("MATLAB_fields", fields_of(names), dtype=h5py.vlen_dtype(np.dtype("S1")))

    if isinstance(value, str):
        codes = list(
            struct.unpack(
                f"<{len(value.encode('utf-16-le', 'surrogatepass')) // 2}H", value.encode("utf-16-le", "surrogatepass")
            )
        )
        if not codes:
            empty((0, 0), "char")
            return
        mark(place.create_dataset(name, data=np.array([codes], np.uint16).T), "char", int_decode=np.int32(2))
    elif scipy.sparse.issparse(value):
        group = place.create_group(name)
        decode = {"int_decode": np.int32(1)} if value.dtype == bool else {}
        mark(group, "logical" if decode else "double", sparse=np.uint64(value.shape[0]), **decode)
        if value.nnz:
            pairs = [("real", "f8"), ("imag", "f8")]
            group["data"] = value.data.view(np.uint8 if decode else pairs if value.dtype.kind == "c" else np.float64)
            group["ir"] = value.indices.astype(np.uint64)
        group["jc"] = value.indptr.astype(np.uint64)
    elif isinstance(value, dict):
        if not value:
            empty((1, 1), "struct")
            return
        group = place.create_group(name)
        mark(group, "struct")
        keep_order(group, list(value))
        for field, element in value.items():
            put_v73(file, group, field, element)
    elif isinstance(value, StructArray):
        if not len(value) or not value.fields:
            node = empty(value.shape, "struct")
            if value.fields:
                keep_order(node, value.fields)
            return
        group = place.create_group(name)
        mark(group, "struct")
        keep_order(group, value.fields)
        for field in value.fields:
            group.create_dataset(field, data=references([r[field] for r in value], value.shape), dtype=h5py.ref_dtype)
    elif value.dtype == object:
        if not value.size:
            empty(value.shape, "cell")
            return
        data = references(value.ravel(order="F"), value.shape)
        mark(place.create_dataset(name, data=data, dtype=h5py.ref_dtype), "cell")
    else:
        names = {"b": "logical", "U": "char", "f4": "single", "f8": "double", "c16": "double", "c8": "single"}
        class_name = names.get(value.dtype.kind) or names.get(value.dtype.str[1:]) or value.dtype.name
        if not value.size:
            empty(value.shape, class_name)
            return
        decode = {"b": {"int_decode": np.int32(1)}, "U": {"int_decode": np.int32(2)}}.get(value.dtype.kind, {})
        if value.dtype.kind == "U":
            value = np.vectorize(ord, otypes=[np.uint16])(value)
        if value.dtype.kind == "b":
            value = value.astype(np.uint8)
        if value.dtype.kind == "c":
            pairs = np.empty(value.shape, [("real", value.real.dtype), ("imag", value.real.dtype)])
            pairs["real"], pairs["imag"] = value.real, value.imag
            value = pairs
        squeezed = {"chunks": True, "compression": "gzip"} if value.size > 8 else {}
        mark(place.create_dataset(name, data=value.T, **squeezed), class_name, **decode)


def write_v73(path, variables) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            put_v73(file, file, name, value)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H2s", 0x0200, b"IM"))


def octave(code: str, folder) -> str:
    if shutil.which("octave") is None:
        pytest.skip("Octave is not installed")
    run = subprocess.run(
        ["octave", "--no-gui", "--norc", "--quiet", "--eval", code], capture_output=True, text=True, cwd=folder
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def facts(value) -> str:
    """What MATLAB says of a value: class, size, logical, sparse, complex, field names."""
    if isinstance(value, str):  # Octave counts the bytes of UTF-8
        return f"char 1x{len(value.encode())} 0 0 0" if value else "char 0x0 0 0 0"
    kind, size = matvalues.class_of(value), "x".join(map(str, getattr(value, "shape", (1, 1))))
    flags = (kind == "logical", scipy.sparse.issparse(value), getattr(value, "dtype", np.dtype(bool)).kind == "c")
    fields = value if isinstance(value, dict) else getattr(value, "fields", ())
    return " ".join([kind, size, *(str(int(flag)) for flag in flags), *fields])


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def object_file(name: str, class_name: str) -> bytes:
    """A MAT-file of version 6 whose only variable is an object of a class."""
    inside = element(6, struct.pack("<II", 13, 0)) + element(5, struct.pack("<ii", 6, 1)) + element(1, b"")
    inside += element(6, struct.pack("<6I", 0xDD000000, 2, 1, 1, 1, 1))
    body = element(6, struct.pack("<II", 17, 0)) + b"".join(
        element(1, part.encode()) for part in (name, "MCOS", class_name)
    )
    return b"MATLAB 5.0".ljust(124) + struct.pack("<H2s", 0x0100, b"IM") + element(14, body + element(14, inside))
