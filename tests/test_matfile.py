"""MAT-files: what comes back is what was there, from every version, and damage is told in one sentence."""

import itertools
import shutil
import struct
import subprocess

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dagnet.files import level5writer, matfile, matvalues
from dagnet.files.matvalues import Foreign, StructArray


def same(a, b) -> bool:
    """Equal in class, shape, fields and their order, and every bit."""
    if type(a) is not type(b) and not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, StructArray):
        alike = (a.fields, a.shape, len(a)) == (b.fields, b.shape, len(b))
        return alike and all(same(x, y) for x, y in zip(a, b, strict=True))
    if scipy.sparse.issparse(a):
        return a.dtype == b.dtype and a.shape == b.shape and a.nnz == b.nnz and not (a != b).nnz
    if not isinstance(a, np.ndarray):
        return a == b
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    if a.dtype == object:
        return all(same(x, y) for x, y in zip(a.flat, b.flat, strict=True))
    return a.tobytes(order="F") == b.tobytes(order="F")


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
        mark(place.create_dataset(name, data=np.array(shape, np.uint64)), class_name, empty=np.uint8(1))
        return place[name]

    def reference(element):
        refs = file.require_group("#refs#")
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
        mark(group, "logical" if value.dtype == bool else "double", sparse=np.uint64(value.shape[0]))
        if value.nnz:
            put_v73(file, group, "data", value.data.reshape(-1, 1))
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


@pytest.mark.parametrize("version", ["7", "7.3"])
@pytest.mark.parametrize("name", list(everything()))
def test_every_value_written_is_read_back_bit_for_bit(tmp_path, name, version):
    value = everything()[name]
    matfile.write(tmp_path / "a.mat", {name: value}, version)
    assert matfile.version(tmp_path / "a.mat") == version
    assert same(matfile.read(tmp_path / "a.mat"), {name: value})


@pytest.mark.parametrize("name", list(everything()))
def test_version_73_gives_the_same_values_as_version_7(tmp_path, name):
    value = everything()[name]
    write_v73(tmp_path / "a.mat", {name: value})
    assert same(matfile.read(tmp_path / "a.mat"), {name: value})


def test_scipys_files_of_version_5_and_7_give_the_same_values(tmp_path):
    values = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([[True, False]]), "c": "text", "d": cell("x", "")}
    for compressed in (False, True):
        scipy.io.savemat(tmp_path / "a.mat", values, do_compression=compressed)
        assert same(matfile.read(tmp_path / "a.mat"), values)


def test_doubles_that_were_stored_as_bytes_come_back_as_doubles(data_dir):
    block = matfile.read(data_dir / "networks/mnist_dagnn.mat")["layers"].records[0]["block"]
    assert block["pad"].dtype == np.float64
    assert block["hasBias"].dtype == bool


def test_matlabs_own_73_file_gives_rows_and_axes_in_matlabs_order(data_dir):
    net = matfile.read(data_dir / "networks/dncnn_sigma25_v73.mat")["net"]
    first = net["layers"][0, 0]
    assert net["layers"].shape == (1, 33)
    assert list(first)[:4] == ["type", "weights", "stride", "pad"]
    assert first["type"] == "conv"
    assert [w.shape for w in first["weights"][0]] == [(3, 3, 1, 64), (64, 1)]
    assert first["weights"][0, 0].dtype == np.float32
    assert same(first["pad"], np.ones((1, 1)))
    assert same(first["opts"], np.empty((0, 0), object))
    assert same(first["precious"], np.array([[False]]))


def test_class_objects_and_function_handles_are_named_beside_what_can_be_read(data_dir):
    net = matfile.read(data_dir / "networks/dncnn_sigma25_bnorm_v73.mat")["net"]
    assert net["layers"][0, 48]["class"] == Foreign("object", "gpuArray")
    assert net["layers"][0, 3]["weights"].shape == (1, 3)
    net = matfile.read(data_dir / "networks/text_small_net-epoch-1.mat")["net"]
    assert net["layers"][0, 5]["forward"] == Foreign("function handle", "addCustomLossLayer/forward")


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


def test_a_variable_that_is_an_object_keeps_its_name_and_class(tmp_path):
    (tmp_path / "a.mat").write_bytes(object_file("net", "dagnn.DagNN"))
    assert matfile.read(tmp_path / "a.mat") == {"net": Foreign("object", "dagnn.DagNN")}


def test_only_the_variables_asked_for_are_read(tmp_path):
    variables = {"net": {"a": "x"}, "state": np.ones((2, 2))}
    matfile.write(tmp_path / "a.mat", variables)
    write_v73(tmp_path / "b.mat", variables)
    for name in ("a.mat", "b.mat"):
        assert same(matfile.read(tmp_path / name, ["net", "other"]), {"net": {"a": "x"}})


def test_python_numbers_lists_of_dimension_one_and_trailing_ones_become_what_matlab_would_hold(tmp_path):
    written = {
        "a": 3,
        "b": True,
        "c": 2.5,
        "d": np.arange(3.0),
        "e": np.ones((2, 2, 1, 1), np.float32),
        "f": np.float32(1),
    }
    matfile.write(tmp_path / "a.mat", written)
    right = {"a": np.array([[3.0]]), "b": np.array([[True]]), "c": np.array([[2.5]]), "d": np.array([[0.0, 1.0, 2.0]])}
    right |= {"e": np.ones((2, 2), np.float32), "f": np.ones((1, 1), np.float32)}
    assert same(matfile.read(tmp_path / "a.mat"), right)


numbers = st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.bool_]).flatmap(
    lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=3))
)
values = st.recursive(
    numbers | st.text(st.characters(codec="latin-1", min_codepoint=1), max_size=4),
    lambda inner: (
        st.dictionaries(st.sampled_from(["a", "B_1", "long" * 12]), inner, max_size=3)
        | st.lists(inner, max_size=3).map(matvalues.row)
        | st.lists(st.fixed_dictionaries({"x": inner, "y": inner}), max_size=3).map(
            lambda r: matvalues.struct_array(("x", "y"), [{"x": one["x"], "y": one["y"]} for one in r])
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(value=values)
def test_any_nesting_is_the_same_in_all_versions(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("any")
    matfile.write(folder / "a.mat", {"v": value})
    write_v73(folder / "b.mat", {"v": value})
    assert same(matfile.read(folder / "a.mat")["v"], value)
    assert same(matfile.read(folder / "b.mat")["v"], value)


# ---------------------------------------------------------------- bad input


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.mat: there is no such file"):
        matfile.read(tmp_path / "absent.mat")


def test_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(OSError, match=f"{tmp_path}: it cannot be read"):
        matfile.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", bytes(1000), b"\x1f\x8b" + bytes(200)])
def test_what_is_no_mat_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mat: this is no MAT-file"):
        matfile.read(tmp_path / "a.mat")


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_a_file_cut_short_anywhere_is_refused_by_name(tmp_path, version):
    variables = {"net": {"w": np.random.default_rng(0).random((30, 30)), "name": "x"}, "stats": np.ones((3, 3))}
    path = tmp_path / "a.mat"
    if version == "7.3":
        write_v73(path, variables)
    else:
        scipy.io.savemat(path, variables, do_compression=version == "7")
    whole = path.read_bytes()
    for length in np.linspace(128, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.mat: (the file is damaged or cut short|this is no MAT-file)"):
            matfile.read(path)


def test_flipped_bytes_are_noticed_and_the_file_named(tmp_path):
    path = tmp_path / "a.mat"
    matfile.write(path, {"w": np.random.default_rng(0).random((30, 30))})
    whole = bytearray(path.read_bytes())
    for at in range(400, 6000, 700):
        damaged = whole.copy()
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.mat: the file is damaged"):
            matfile.read(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": {"f": Foreign("function handle", "sin")}}, r"a\.f is a MATLAB function handle sin, which only MATLAB"),
        ({"a": cell("x", None)}, r"a\{2\} is of Python's type NoneType"),
        ({"a": {"2nd": 1}}, r"a: field '2nd' is no MATLAB name"),
        ({"über": 1}, "variable 'über' is no MATLAB name"),
        ({"a": np.array([["\U0001f600", "x"]])}, "a holds the character"),
        ({"a": np.zeros(3, np.float16)}, "a is an array of float16"),
        ({"a": np.array(["two", "words"])}, "a is an array of texts"),
    ],
)
def test_what_matlab_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, value, message):
    path = tmp_path / "a.mat"
    matfile.write(path, {"old": 1})
    with pytest.raises(ValueError, match=message):
        matfile.write(path, value)
    assert list(matfile.read(path)) == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.mat"]


def test_a_variable_of_more_than_2_gb_is_refused_where_version_7_is_asked_for_before_anything_is_written(tmp_path):
    huge = np.broadcast_to(np.float32(0), (2**15, 2**14))  # 2 GB for MATLAB, four bytes here
    with pytest.raises(ValueError, match=r"variable net takes more than 2\.0 GB.*version 7\.3 holds it"):
        matfile.write(tmp_path / "a.mat", {"net": {"w": huge}}, "7")
    assert not list(tmp_path.iterdir())


def test_a_variable_too_large_for_version_7_makes_the_file_one_of_version_73(tmp_path, monkeypatch):
    variables = {"net": {"w": np.arange(5000.0).reshape(50, 100), "name": "x"}, "stats": np.ones((3, 3))}
    matfile.write(tmp_path / "a.mat", variables)
    assert matfile.version(tmp_path / "a.mat") == "7"
    monkeypatch.setattr(level5writer, "LARGEST", 40_000)
    matfile.write(tmp_path / "a.mat", variables)
    assert matfile.version(tmp_path / "a.mat") == "7.3"
    assert same(matfile.read(tmp_path / "a.mat"), variables)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mat"]


def test_a_version_that_is_not_written_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.mat: version is '7\.2'; '7' or '7\.3' is right"):
        matfile.write(tmp_path / "a.mat", {"a": 1}, "7.2")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/a\.mat: it cannot be written"):
        matfile.write(tmp_path / "file/a.mat", {"a": 1})
    (tmp_path / "folder.mat").mkdir()
    with pytest.raises(OSError, match=r"folder\.mat: it cannot be written"):
        matfile.write(tmp_path / "folder.mat", {"a": 1})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.mat"]


# ---------------------------------------------------------------- Octave, a second reader and writer


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


OCTAVE_DIFFERS = {  # what its reader does otherwise than MATLAB's
    "no_row_text": "char 0x0 0 0 0",
    "sparse_flags": "double 1x2 0 1 0",
    "no_sparse": "double 0x3 0 1 0",
    "half_a_character": None,
    "with_nul": None,
    "text_block": None,
}


def test_octave_reads_what_we_write_with_the_right_classes_shapes_and_fields(tmp_path):
    values = {name: value for name, value in everything().items() if OCTAVE_DIFFERS.get(name, "") is not None}
    matfile.write(tmp_path / "a.mat", values)
    said = octave(
        "s = load('a.mat'); for n = fieldnames(s)'; v = s.(n{1}); f = {}; if isstruct(v); f = fieldnames(v)'; end; "
        "printf('%s %s\\n', n{1}, strjoin([{class(v), strjoin(arrayfun(@num2str, size(v), 'UniformOutput', false), 'x'), "
        "num2str(islogical(v)), num2str(issparse(v)), num2str(iscomplex(v))}, f], ' ')); end;"
        "printf('%s\\n', num2str([s.grid(1:3).a]), num2str(s.grid(4).a), s.layers{1}.name)",
        tmp_path,
    ).splitlines()
    right = [f"{name} {OCTAVE_DIFFERS.get(name) or facts(value)}" for name, value in values.items()]
    assert said == [*right, "0  1  2", "3", "conv1"]


def test_octave_reads_the_arrays_of_a_file_of_version_73(tmp_path):
    """Cells of MATLAB's version 7.3 it does not read at all, whoever wrote them."""
    big = np.arange(20_000, dtype=np.float32).reshape(10, 20, 100)
    matfile.write(tmp_path / "a.mat", {"small": np.arange(6.0).reshape(2, 3), "big": big, "s": {"x": big}}, "7.3")
    said = octave(
        "s = load('a.mat'); printf('%s\\n', num2str(s.small(2, :)), num2str(size(s.big)), "
        "num2str(s.big(3, 4, 5)), num2str(s.s.x(10, 20, 100)))",
        tmp_path,
    )
    assert said.splitlines() == ["3  4  5", "10   20  100", str(int(big[2, 3, 4])), "19999"]


def test_what_octave_writes_comes_back(tmp_path):
    octave(
        "a = struct('x', {1, 'two', {3, true}}); b = single(reshape(1:24, 2, 3, 4)); c = {}; d = ''; e = struct(); "
        "f = @(x) x + 1; save('-v7', 'a.mat', 'a', 'b', 'c', 'd', 'e'); save('-v6', 'b.mat', 'a', 'b', 'c', 'd', 'e')",
        tmp_path,
    )
    right = {
        "a": StructArray(
            ("x",),
            (1, 3),
            [{"x": np.ones((1, 1))}, {"x": "two"}, {"x": cell(np.full((1, 1), 3.0), np.array([[True]]))}],
        ),
        "b": np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4, order="F"),
        "c": np.empty((0, 0), object),
        "d": "",
        "e": {},
    }
    for name in ("a.mat", "b.mat"):
        assert same(matfile.read(tmp_path / name), right)
