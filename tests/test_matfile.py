"""MAT-files: what comes back is what was there, from every version, and damage is told in one sentence."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagnet.files import level5writer, matfile, matvalues
from dagnet.files.matvalues import Foreign, StructArray
from tests.values import KINDS, cell, differences, everything, facts, octave, same, write_v73


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


FILES = [
    "damp_dncnn17_sigma20to40.mat",
    "dncnn_sigma25_bnorm_v73.mat",
    "dncnn_sigma25_v73.mat",
    "ffdnet_gray.mat",
    "lapsrn_x2.mat",
    "mnist_dagnn.mat",
    "oneclick_mnist_net-epoch-50.mat",
    "text_small_net-epoch-1.mat",
    "vdcfnet.mat",
]


def test_doubles_that_were_stored_as_bytes_come_back_as_doubles(data_dir):
    block = matfile.read(data_dir / "networks/mnist_dagnn.mat")["layers"].records[0]["block"]
    assert block["pad"].dtype == np.float64
    assert block["hasBias"].dtype == bool


def test_function_handles_are_named_beside_what_can_be_read(data_dir):
    net = matfile.read(data_dir / "networks/text_small_net-epoch-1.mat")["net"]
    assert net["layers"][0, 5]["forward"] == Foreign("function handle", "addCustomLossLayer/forward")


def test_only_the_variables_asked_for_are_read(tmp_path):
    variables = {"net": {"a": "x"}, "state": np.ones((2, 2))}
    matfile.write(tmp_path / "a.mat", variables)
    write_v73(tmp_path / "b.mat", variables)
    for name in ("a.mat", "b.mat"):
        assert same(matfile.read(tmp_path / name, ["net", "other"]), {"net": {"a": "x"}})


shapes = st.sampled_from([(0, 0), (1, 0), (0, 3), (1, 1), (1, 2), (3, 1), (2, 2), (2, 0, 2), (1, 1, 2), (2, 1, 1, 3)])
some_shapes = st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (1, 1, 2)])


def bits(dtype, shape, seed):
    """Any bits at all, NaN of every kind among them."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).view(dtype).reshape(shape)


def flags(shape, seed):
    return bits("u1", shape, seed) > 99


seeds = st.integers(0, 99)
numbers = st.builds(bits, st.sampled_from(KINDS), shapes, seeds) | st.builds(flags, shapes, seeds)
# version 7.3 has no complex empties
numbers |= st.builds(bits, st.sampled_from(["c8", "c16"]), st.sampled_from([(1, 1), (3, 2), (2, 1, 2)]), seeds)
# NUL and halves of characters among them
characters = st.builds(lambda shape, seed: matvalues.text(bits("u2", shape, seed)), shapes, seeds)
texts = st.sampled_from(["", "x", "größe", "\0", "a\0", "\U0001f600", "\ud800"]) | characters
sparse = st.builds(lambda shape, seed: scipy.sparse.csc_matrix(flags(shape, seed) * 1.5), st.just((3, 2)), seeds)
names = st.sampled_from(["a", "B_1", "long" * 12])


@st.composite
def cells(draw, inner):
    cell = np.empty(draw(some_shapes), object)
    for index in np.ndindex(*cell.shape):
        cell[index] = draw(inner)
    return cell


@st.composite
def struct_arrays(draw, inner):
    shape, fields = draw(some_shapes), draw(st.lists(names, unique=True))
    records = [{field: draw(inner) for field in fields} for _ in range(np.prod(shape))]
    return matvalues.struct(fields, shape, records)


values = st.recursive(
    numbers | texts | sparse,
    lambda inner: st.dictionaries(names, inner, max_size=3) | cells(inner) | struct_arrays(inner),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(value=values)
def test_any_nesting_is_the_same_in_all_versions(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("any") / "a.mat"
    for write in (matfile.write, lambda path, values: matfile.write(path, values, "7.3"), write_v73):
        write(path, {"v": value})
        assert differences(matfile.read(path)["v"], value) == []


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
        matfile.write(path, variables, version)
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
    ("name", "version"),
    [
        *((name, "7") for name in FILES),
        ("vdcfnet.mat", "7.3"),
        ("mnist_dagnn.mat", "7.3"),
        ("text_small_net-epoch-1.mat", "7.3"),
    ],
)
def test_what_matlab_wrote_is_written_back_bit_for_bit_whatever_it_is(data_dir, tmp_path, name, version):
    """At the level of values: what a SimpleNN holds too. What only MATLAB can write is left out."""
    values = without_foreign(matfile.read(data_dir / "networks" / name))
    matfile.write(tmp_path / "a.mat", values, version)
    again = matfile.read(tmp_path / "a.mat")
    assert sorted(again) == sorted(values)
    assert [line for n in values for line in differences(again[n], values[n], n)] == []


def without_foreign(value):
    if isinstance(value, dict):
        return {n: without_foreign(v) for n, v in value.items() if not isinstance(v, Foreign)}
    if isinstance(value, np.ndarray) and value.dtype == object:
        cell = np.empty(value.shape, object)
        for index, element in np.ndenumerate(value):
            cell[index] = without_foreign(element)
        return cell
    return value


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
        "f = sparse([1 0 1; 0 0 1]) > 0; g = 'größe'; h = uint8([0 255]); i = [NaN Inf -0]; j = false(0, 3);"
        "for v = {'-v7', '-v6'}; save(v{1}, ['o' v{1}], 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'); end;"
        "k = ['ab'; 'cd']; save('-v7', 'k.mat', 'k')",
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
        "f": scipy.sparse.csc_matrix(np.array([[True, False, True], [False, False, True]])),
        "g": "größe",
        "h": np.array([[0, 255]], np.uint8),
        "i": np.array([[np.nan, np.inf, -0.0]]),
        "j": np.zeros((0, 3), bool),
    }
    for name in ("o-v7", "o-v6"):
        assert differences(matfile.read(tmp_path / name), right) == []
    assert matfile.read(tmp_path / "k.mat")["k"].tolist() == [["a", "b"], ["c", "d"]]
