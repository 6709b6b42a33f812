"""Versions 5, 6 and 7 as the format allows them: both byte orders, narrow numbers, small elements, objects, damage."""

import struct
import zlib

import numpy as np
import pytest
import scipy.sparse

from dagnet.files import matfile
from dagnet.files.matvalues import Foreign
from tests.values import cell, differences, object_file

DOUBLE, SINGLE, UINT8, INT16, CHAR, CELL, STRUCT, OBJECT, SPARSE, FUNCTION = 6, 7, 9, 10, 4, 1, 2, 3, 5, 16


class Layout:
    """Elements in one byte order, an independent statement of the format."""

    def __init__(self, order: str) -> None:
        self.order = order

    def element(self, kind: int, data: bytes) -> bytes:
        return struct.pack(self.order + "II", kind, len(data)) + data + bytes(-len(data) % 8)

    def small(self, kind: int, data: bytes) -> bytes:
        return struct.pack(self.order + "I", len(data) << 16 | kind) + data.ljust(4, b"\0")

    def numbers(self, kind: int, dtype: str, *values) -> bytes:
        return self.element(kind, np.array(values, self.order + dtype).tobytes())

    def array(self, flags: int, shape, *parts: bytes, name: str = "") -> bytes:
        head = self.numbers(6, "u4", flags, 0) + self.numbers(5, "i4", *shape)
        named = self.small(1, name.encode()) if len(name) <= 4 else self.element(1, name.encode())
        return self.element(14, head + named + b"".join(parts))

    def file(self, *variables: bytes, packed: bool = False) -> bytes:
        if packed:
            streams = [zlib.compress(v) for v in variables]
            variables = tuple(struct.pack(self.order + "II", 15, len(s)) + s for s in streams)
        start = b"MATLAB 5.0".ljust(124) + struct.pack(self.order + "H", 0x0100)
        return start + (b"IM" if self.order == "<" else b"MI") + b"".join(variables)


@pytest.fixture(params=["<", ">"])
def make(request) -> Layout:
    return Layout(request.param)


@pytest.fixture
def read(tmp_path):
    def of(content: bytes, names=None):
        (tmp_path / "a.mat").write_bytes(content)
        return matfile.read(tmp_path / "a.mat", names)

    return of


@pytest.mark.parametrize("packed", [False, True])
def test_both_byte_orders_and_versions_give_the_same_values(make, read, packed):
    inner = make.array(DOUBLE, (1, 2), make.numbers(9, "f8", 1.5, -2))
    named = make.small(5, struct.pack(make.order + "i", 2)) + make.element(1, b"a\0b\0")
    content = make.file(
        make.array(SINGLE, (2, 2), make.numbers(7, "f4", 1, 2, 3, 4), name="v"),
        make.array(CELL, (1, 1), inner, name="cell"),
        make.array(STRUCT, (1, 1), named, inner, make.array(CHAR, (1, 2), make.numbers(4, "u2", 104, 0x3A9)), name="s"),
        make.array(DOUBLE | 0x800, (1, 1), make.numbers(9, "f8", 1), make.numbers(9, "f8", -2), name="complex"),
        packed=packed,
    )
    x = np.array([[1.5, -2]])
    right = {
        "v": np.array([[1, 3], [2, 4]], "f4"),
        "cell": cell(x),
        "s": {"a": x, "b": "hΩ"},
        "complex": np.array([[1 - 2j]]),
    }
    assert differences(read(content), right) == []


def test_numbers_stored_narrowly_come_in_the_type_of_their_class(make, read):
    content = make.file(
        make.array(DOUBLE, (1, 3), make.small(2, b"\x01\x02\xff"), name="bytes"),
        make.array(DOUBLE, (1, 1), make.numbers(3, "i2", -300), name="short"),
        make.array(INT16, (1, 2), make.small(1, b"\x01\xff"), name="small"),
        make.array(DOUBLE | 0x200, (1, 2), make.small(2, b"\x01\x00"), name="flags"),
    )
    right = {"bytes": np.array([[1.0, 2, 255]]), "short": np.array([[-300.0]]), "small": np.array([[1, -1]], np.int16)}
    assert differences(read(content), right | {"flags": np.array([[True, False]])}) == []


def test_texts_may_be_stored_in_each_of_unicodes_codes(make, read):
    text, order = "Ω\U0001f600", "le" if make.order == "<" else "be"
    content = make.file(
        make.array(CHAR, (1, 3), make.element(16, text.encode()), name="utf8"),
        make.array(CHAR, (1, 6), make.element(16, text.encode()), name="bytes"),  # some count the bytes
        make.array(CHAR, (1, 3), make.element(17, text.encode(f"utf-16-{order}")), name="utf16"),
        make.array(CHAR, (1, 2), make.element(18, text.encode(f"utf-32-{order}")), name="utf32"),
        make.array(CHAR, (2, 2), make.element(16, b"acbd"), name="rows"),
    )
    values = read(content)
    assert [values[name] for name in ("utf8", "bytes", "utf16", "utf32")] == [text] * 4
    assert values["rows"].tolist() == [["a", "b"], ["c", "d"]]


def test_sparse_arrays_may_have_room_for_more(make, read):
    body = make.numbers(5, "i4", 1, 0, 9) + make.numbers(5, "i4", 0, 1, 2) + make.numbers(9, "f8", 5, 6, 99)
    value = read(make.file(make.array(SPARSE, (2, 2), body, name="s")))["s"]
    assert differences(value, scipy.sparse.csc_matrix(np.array([[0.0, 6], [5, 0]]))) == []


@pytest.mark.parametrize("rows", [(1, 2), (0, -1)])
def test_a_sparse_array_with_a_value_outside_is_damage(make, read, rows):
    body = make.numbers(5, "i4", *rows) + make.numbers(5, "i4", 0, 1, 2) + make.numbers(9, "f8", 5, 6)
    with pytest.raises(ValueError, match=r"a\.mat: the file is damaged"):
        read(make.file(make.array(SPARSE, (2, 2), body, name="s")))


def test_octaves_sparse_logicals_have_the_class_of_full_ones(make, read):
    """Octave 7.3 writes class uint8 and the flag of logicals before rows, columns and values."""
    some = make.numbers(5, "i4", 0, 0, 1) + make.numbers(5, "i4", 0, 1, 1, 3) + make.numbers(9, "f8", 1, 1, 1)
    none = make.element(5, b"") + make.numbers(5, "i4", 0, 0) + make.element(9, b"")
    content = make.file(
        make.array(UINT8 | 0x200, (2, 3), some, name="some"), make.array(UINT8 | 0x200, (4, 1), none, name="none")
    )
    flags = np.array([[True, False, True], [False, False, True]])
    right = {"some": scipy.sparse.csc_matrix(flags), "none": scipy.sparse.csc_matrix((4, 1), dtype=bool)}
    assert differences(read(content), right) == []


def test_octaves_texts_of_several_rows_have_bytes_for_elements(make, read):
    content = make.file(make.array(CHAR, (2, 3), make.element(16, "aü ".encode()[:2] + b"b\xbc1c"), name="t"))
    assert read(content)["t"].tolist() == [["a", "b", "1"], ["Ã", "¼", "c"]]


def test_a_stream_whose_tag_tells_too_large_a_size_is_read_as_far_as_it_goes(make, read):
    """As Octave 7.3 writes texts of several rows with three or four elements; the stream's checksum tells that it is whole."""
    text = bytearray(make.array(CHAR, (2, 2), make.small(16, b"acbd"), name="t"))
    text[4:8] = struct.pack(make.order + "I", len(text) - 8 + 4)
    assert read(make.file(bytes(text), packed=True))["t"].tolist() == [["a", "b"], ["c", "d"]]


def test_an_array_of_no_bytes_is_matlabs_empty_one(make, read):
    content = make.file(make.array(CELL, (1, 1), struct.pack(make.order + "II", 14, 0), name="c"))
    assert differences(read(content)["c"], cell(np.zeros((0, 0)))) == []


def test_handles_and_objects_are_named(make, read, tmp_path):
    fields = make.small(5, struct.pack(make.order + "i", 9)) + make.element(1, b"function\0")
    inside = make.array(STRUCT, (1, 1), fields, make.array(CHAR, (1, 3), make.element(16, b"sin")))
    outer = make.small(5, struct.pack(make.order + "i", 16)) + make.element(1, b"function_handle\0")
    handle = make.array(FUNCTION, (1, 1), make.array(STRUCT, (1, 1), outer, inside), name="f")
    assert read(make.file(handle)) == {"f": Foreign("function handle", "sin")}
    old = make.element(1, b"inline"), make.small(5, struct.pack(make.order + "i", 2)), make.element(1, b"a\0")
    content = make.array(OBJECT, (1, 1), *old, make.array(CHAR, (1, 1), make.element(16, b"x")), name="o")
    assert read(make.file(content)) == {"o": Foreign("object", "inline")}
    assert read(object_file("net", "dagnn.DagNN")) == {"net": Foreign("object", "dagnn.DagNN")}


def test_names_are_told_without_reading_and_what_has_none_is_no_variable(make, read, tmp_path):
    hidden = make.array(9, (1, 4), make.small(2, b"abcd"))  # where MATLAB keeps the insides of objects
    content = make.file(make.array(99, (1, 1), name="odd"), hidden, make.array(CELL, (0, 0), name="c"))
    assert list(read(content, ["c"])) == ["c"]
    assert matfile.names(tmp_path / "a.mat") == ["odd", "c"]
    with pytest.raises(ValueError, match="there is an array of class 99, which the format does not have"):
        matfile.read(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda m, v: m.file(v)[:-8], "it has 184 bytes and should have 192"),
        (lambda m, v: m.file(v) + b"abc", "it ends inside an element's header"),
        (lambda m, v: m.file(), "it ends after its header"),
        (lambda m, v: m.file(m.element(9, bytes(8))), "an element of type 9 where a variable should be"),
        (
            lambda m, v: m.file(m.array(DOUBLE, (1, 1), m.element(9, bytes(8))[:8], name="v")),
            "bytes stands where 0 are left",
        ),
        (
            lambda m, v: m.file(m.array(DOUBLE, (1, 1), m.element(33, bytes(8)), name="v")),
            "of type 33 where numbers should",
        ),
        (
            lambda m, v: m.file(m.array(CELL, (1, 1), m.element(9, bytes(8)), name="v")),
            "of type 9 where an array should",
        ),
        (lambda m, v: m.file(m.array(DOUBLE, (1, 2), m.numbers(9, "f8", 1), name="v")), "cannot reshape"),
        (
            lambda m, v: m.file(m.array(CELL, (0, 0), bytes(8), name="v")),
            "a variable has 8 bytes more than its values take",
        ),
        (lambda m, v: m.file(v, packed=True)[:-4] + b"abcd", "incorrect data check"),
        (lambda m, v: m.file(m.array(DOUBLE, (-1, -1), m.numbers(9, "f8", 1), name="v")), "of the size (-1, -1)"),
        (lambda m, v: m.file(m.array(CELL, (1 << 20, 1 << 20), name="v")), "1099511627776 arrays should stand where 0"),
        (
            lambda m, v: m.file(m.array(STRUCT, (1 << 20, 2), m.numbers(5, "i4", 2), m.element(1, b"a\0"), name="v")),
            "2097152 arrays should stand where 0",
        ),
        (
            lambda m, v: m.file(m.array(STRUCT, (1 << 30, 2), m.numbers(5, "i4", 1), m.element(1, b""), name="v")),
            "a struct array of 2147483648 elements without fields",
        ),
    ],
)
def test_damage_is_told_in_a_sentence(make, read, spoil, says):
    variable = make.array(DOUBLE, (1, 1), make.numbers(9, "f8", 1), name="v")
    assert list(read(make.file(variable))) == ["v"]
    with pytest.raises(ValueError, match=r"a\.mat: the file is damaged or cut short") as damage:
        read(spoil(make, variable))
    assert says in str(damage.value)


def test_a_stream_that_ends_too_early_or_goes_on_is_damage(make, read):
    variable = make.array(DOUBLE, (1, 1), make.numbers(9, "f8", 1), name="v")
    for spoilt in (variable[:-4], variable + bytes(8)):
        with pytest.raises(ValueError, match=r"it ends inside an element|does not end where it should"):
            read(make.file(spoilt, packed=True))
