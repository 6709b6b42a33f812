"""Version 7.3 as MATLAB and others write it: chunks, filters, byte orders, shared references, what only MATLAB can read."""

import h5py
import numpy as np
import pytest
import scipy.sparse

from dagnet.files import matfile
from dagnet.files.matvalues import Foreign, StructArray
from tests.values import cell, differences


@pytest.fixture
def file(tmp_path):
    """An HDF5 file to fill, and `file.read()`, which closes it and reads its variables."""
    made = h5py.File(tmp_path / "a.mat", "w", userblock_size=512)

    def read(names=None):
        made.close()
        return matfile.read(tmp_path / "a.mat", names)

    made.read = read
    yield made
    made.close()


def put(place: h5py.Group, name: str, data, class_name: str = "double", attributes=None, **options) -> h5py.Dataset:
    node = place.create_dataset(name, data=data, **options)
    for key, value in {"MATLAB_class": np.bytes_(class_name), **(attributes or {})}.items():
        node.attrs[key] = value
    return node


def name_fields(node, *fields: str) -> None:
    names = np.empty(len(fields), object)
    names[:] = [np.array(list(f), "S1") for f in fields]
    node.attrs.create("MATLAB_fields", names, dtype=h5py.vlen_dtype(np.dtype("S1")))


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (2, 1, 3)},
        {"chunks": (1, 2, 2), "compression": "gzip", "compression_opts": 3},
        {"chunks": (4, 3, 5), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": True, "maxshape": (None, None, None)},
    ],
)
def test_arrays_in_chunks_and_through_filters_come_whole(file, options):
    value = np.arange(60, dtype=np.float32).reshape(5, 3, 4)
    put(file, "v", value.T, "single", **options)
    assert differences(file.read()["v"], value) == []


def test_numbers_with_the_high_byte_first_come_in_the_machines_order(file):
    put(file, "v", np.array([[1.5, -2]], ">f8"))
    put(file, "n", np.array([[1, 2]], ">i2"), "int16")
    pairs = np.array([[(1, 2)]], [("real", ">f4"), ("imag", ">f4")])
    put(file, "z", pairs, "single")
    put(file, "t", np.array([[97], [0x3A9]], ">u2"), "char", {"MATLAB_int_decode": np.int32(2)})
    right = {
        "n": np.array([[1], [2]], np.int16),
        "t": "aΩ",
        "v": np.array([[1.5], [-2]]),
        "z": np.array([[1 + 2j]], "c8"),
    }
    assert differences(file.read(), right) == []


def test_infinite_parts_of_complex_numbers_stay_apart(file):
    put(file, "z", np.array([[(np.inf, -0.0), (0.0, np.nan)]], [("real", "f8"), ("imag", "f8")]))
    z = file.read()["z"]
    assert (z.real.ravel()[0], z.real.ravel()[1]) == (np.inf, 0) and np.signbit(z.imag[0, 0]) and np.isnan(z.imag[1, 0])


def test_flags_are_logical_whatever_integer_holds_them(file):
    for name, dtype in (("a", np.uint8), ("b", np.int8), ("c", np.uint16)):
        put(file, name, np.array([[1, 0, 1]], dtype), "logical", {"MATLAB_int_decode": np.int32(1)})
    right = np.array([[True], [False], [True]])
    assert differences(file.read(), {"a": right, "b": right, "c": right}) == []


@pytest.mark.parametrize(
    "class_name", ["double", "single", "logical", "char", "cell", "struct", "int8", "uint8", "int64", "canonical empty"]
)
@pytest.mark.parametrize("shape", [(0, 0), (1, 0), (3, 0), (2, 0, 4)])
def test_empties_of_every_class_keep_class_and_shape(file, class_name, shape):
    put(file, "v", np.array(shape, np.uint64), class_name, {"MATLAB_empty": np.uint8(1)})
    value = file.read()["v"]
    dtypes = {"single": "f4", "logical": "?", "char": "U1", "cell": "O", "int8": "i1", "uint8": "u1", "int64": "i8"}
    right = np.empty(shape, dtypes.get(class_name, "f8"))
    if class_name == "struct":
        right = StructArray((), shape, [])
    if class_name == "char" and shape == (0, 0):
        right = ""
    assert differences(value, right) == []


@pytest.mark.parametrize(
    ("class_name", "shape"), [("struct", (1 << 30, 9)), ("double", (1 << 30, 9)), ("cell", (1, 1))]
)
def test_an_empty_array_of_a_size_that_is_not_empty_is_damage(file, class_name, shape):
    put(file, "v", np.array(shape, np.uint64), class_name, {"MATLAB_empty": np.uint8(1)})
    with pytest.raises(ValueError, match=r"a\.mat: the file is damaged .* an empty array has the size"):
        file.read()


def test_an_hdf5_file_of_another_program_is_told_apart_from_damage(file):
    """As Octave's `save -hdf5` makes it: a group for each variable."""
    file.create_group("net")["type"] = np.bytes_("scalar struct")
    with pytest.raises(
        ValueError, match=r"a\.mat: this is an HDF5 file, but not MATLAB's: its 'net' .* '-v7' is right"
    ):
        file.read()


def test_a_reference_may_be_shared_and_lead_to_any_place(file):
    refs = file.create_group("#refs#")
    shared = put(refs, "b", np.ones((1, 1)))
    inner = put(refs, "c", np.array([[shared.ref], [shared.ref]], h5py.ref_dtype), "cell")
    put(file, "v", np.array([[shared.ref], [inner.ref]], h5py.ref_dtype), "cell")
    one = np.ones((1, 1))
    assert differences(file.read(), {"v": cell(one, cell(one, one))}) == []


def test_struct_arrays_are_datasets_of_references_and_structs_their_fields(file):
    refs = file.create_group("#refs#")
    texts = [put(refs, f"t{i}", np.array([[97 + i]], np.uint16), "char").ref for i in range(6)]
    group = file.create_group("s")
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    name_fields(group, "z", "a")
    for field in ("a", "z"):
        group[field] = np.array(texts, h5py.ref_dtype).reshape(3, 2)
    lone = file.create_group("lone")
    lone.attrs["MATLAB_class"] = np.bytes_("struct")
    name_fields(lone, "second", "first")
    put(lone, "first", np.array([texts[:2]], h5py.ref_dtype).T, "cell")
    put(lone, "second", np.ones((1, 1)))
    right = StructArray(("z", "a"), (2, 3), [{"z": t, "a": t} for t in "abcdef"])
    assert differences(file.read(["s"])["s"], right) == []


def test_a_struct_of_one_whose_first_field_is_a_cell_is_no_struct_array(file):
    refs = file.create_group("#refs#")
    text = put(refs, "t", np.array([[97]], np.uint16), "char")
    lone = file.create_group("lone")
    lone.attrs["MATLAB_class"] = np.bytes_("struct")
    put(lone, "a", np.array([[text.ref]], h5py.ref_dtype), "cell")
    put(lone, "b", np.ones((1, 1)))
    assert differences(file.read(), {"lone": {"a": cell("a"), "b": np.ones((1, 1))}}) == []


def test_without_names_of_fields_they_come_as_hdf5_orders_them(file):
    group = file.create_group("s")
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    put(group, "b", np.ones((1, 1)))
    put(group, "a", np.ones((1, 1)))
    assert list(file.read()["s"]) == ["a", "b"]


def test_a_group_without_members_is_a_struct_without_fields(file):
    file.create_group("s").attrs["MATLAB_class"] = np.bytes_("struct")
    assert file.read() == {"s": {}}


def test_texts_may_hold_nul_and_more_than_two_dimensions(file):
    put(file, "t", np.array([[97], [0], [98], [0]], np.uint16), "char", {"MATLAB_int_decode": np.int32(2)})
    put(file, "u", np.full((2, 3, 2), 120, np.uint16), "char", {"MATLAB_int_decode": np.int32(2)})
    assert differences(file.read(), {"t": "a\0b\0", "u": np.full((2, 3, 2), "x")}) == []


def test_sparse_arrays_come_back(file):
    value = scipy.sparse.csc_matrix(np.array([[0, 2.5, 0], [0, 0, -1]]))
    group = file.create_group("s")
    group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(2)
    group["data"], group["ir"], group["jc"] = value.data, value.indices.astype("u8"), value.indptr.astype("u8")
    assert differences(file.read()["s"], value) == []


def test_a_sparse_array_with_a_value_outside_is_damage(file):
    group = file.create_group("s")
    group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(2)
    group["data"], group["ir"], group["jc"] = np.ones(1), np.array([2], "u8"), np.array([0, 1], "u8")
    with pytest.raises(ValueError, match=r"a\.mat: the file is damaged"):
        file.read()


def test_what_only_matlab_can_read_is_named_beside_what_can_be_read(file):
    group = file.create_group("handle")
    group.attrs["MATLAB_class"] = np.bytes_("function_handle")
    put(group, "function_handle", np.ones((1, 1)))
    put(file, "net", np.ones((1, 6), np.uint32), "dagnn.DagNN", {"MATLAB_object_decode": np.int32(3)})
    put(file.create_group("#subsystem#"), "MCOS", np.ones((1, 6), np.uint32), "FileWrapper__")
    put(file, "x", np.ones((1, 1)))
    right = {"handle": Foreign("function handle"), "net": Foreign("object", "dagnn.DagNN"), "x": np.ones((1, 1))}
    assert differences(file.read(), right) == []


def test_names_are_told_without_reading(file, tmp_path):
    put(file, "b", np.ones((1, 1)))
    put(file, "a", np.ones((1, 1)), "a class that nobody knows", {"MATLAB_empty": np.uint8(1)})
    file.create_group("#refs#")
    file.close()
    assert matfile.names(tmp_path / "a.mat") == ["a", "b"]


def test_matlabs_own_file_gives_rows_and_axes_in_matlabs_order(data_dir):
    net = matfile.read(data_dir / "networks/dncnn_sigma25_v73.mat")["net"]
    first = net["layers"][0, 0]
    assert net["layers"].shape == (1, 33)
    assert list(first)[:4] == ["type", "weights", "stride", "pad"]
    assert first["type"] == "conv"
    assert [w.shape for w in first["weights"][0]] == [(3, 3, 1, 64), (64, 1)]
    assert first["weights"][0, 0].dtype == np.float32
    part = {name: first[name] for name in ("pad", "opts", "precious")}
    right = {"pad": np.ones((1, 1)), "opts": np.empty((0, 0), object), "precious": np.array([[False]])}
    assert differences(part, right) == []


def test_an_object_on_the_gpu_is_named_and_the_rest_is_read(data_dir):
    net = matfile.read(data_dir / "networks/dncnn_sigma25_bnorm_v73.mat")["net"]
    assert net["layers"][0, 48]["class"] == Foreign("object", "gpuArray")
    assert net["layers"][0, 3]["weights"].shape == (1, 3)
