"""Version 7.3 as written here: MATLAB's own layout, large arrays in pieces, damage that is noticed, a full disk."""

import errno
import os
import resource
import signal

import h5py
import numpy as np
import pytest

from dagnet.dagnn import DagNN
from dagnet.files import hdf5writer, level5writer, matfile, matvalues, netfile, writable
from dagnet.files.matvalues import StructArray
from dagnet.layers import conv
from tests.values import cell, differences, everything, write_v73


def layout(node: h5py.Group | h5py.Dataset) -> tuple:
    """All that HDF5 knows of a node, references followed: attributes, types, shapes, bytes, members."""
    attributes = {}
    for name in sorted(set(node.attrs) - {"H5PATH"}):  # the one attribute that tells a place
        made = node.attrs.get_id(name)
        kind = made.get_type()
        attributes[name] = (str(made.dtype), made.shape, str(node.attrs[name]), kind.get_class(), kind.get_size())
    if isinstance(node, h5py.Group):
        return "group", attributes, {name: layout(node[name]) for name in sorted(node)}
    if h5py.check_ref_dtype(node.dtype):
        return "references", attributes, node.shape, [layout(node.file[r]) for r in node[()].ravel()]
    return "dataset", attributes, node.shape, str(node.dtype), node[()].tobytes()


def test_a_file_that_matlab_wrote_is_written_back_with_the_same_layout_down_to_hdf5s_types(data_dir, tmp_path):
    source = data_dir / "networks/dncnn_sigma25_v73.mat"
    net = matfile.read(source)["net"]
    matfile.write(tmp_path / "a.mat", {"net": net}, "7.3")
    with h5py.File(source) as theirs, h5py.File(tmp_path / "a.mat") as ours:
        assert len(net["layers"][0]) == 33
        kinds = [file["net"].attrs.get_id("MATLAB_class").get_type() for file in (theirs, ours)]
        assert kinds[0] == kinds[1]  # how texts are padded
        assert layout(ours["net/layers"]) == layout(theirs["net/layers"])
        kind, attributes, members = layout(ours["net"])
        # of this one group MATLAB, whichever wrote the file, left out the names, which its other file has
        assert attributes.pop("MATLAB_fields")[2] == "[array([b'l', b'a', b'y', b'e', b'r', b's'], dtype='|S1')]"
        assert (kind, attributes, list(members)) == (*layout(theirs["net"])[:2], ["layers"])
        places = [dict(file["#refs#"].attrs)["H5PATH"] for file in (ours, theirs)]
        assert places == [b"/#refs#"] * 2
        assert ours["#refs#/0"].attrs["H5PATH"] == b"/#refs#/0"


@pytest.mark.parametrize("name", list(everything()))
def test_the_layout_of_every_value_is_that_of_its_description(tmp_path, name):
    value = everything()[name]
    write_v73(tmp_path / "right.mat", {"v": value})
    matfile.write(tmp_path / "a.mat", {"v": value}, "7.3")
    with h5py.File(tmp_path / "right.mat") as right, h5py.File(tmp_path / "a.mat") as ours:
        assert layout(ours["v"]) == layout(right["v"])


def test_the_file_begins_as_matlabs_do(data_dir, tmp_path):
    matfile.write(tmp_path / "a.mat", {"a": 1}, "7.3")
    ours = (tmp_path / "a.mat").read_bytes()[:520]
    theirs = (data_dir / "networks/dncnn_sigma25_v73.mat").read_bytes()[:520]
    assert ours.startswith(b"MATLAB 7.3 MAT-file") and b"HDF5 schema 1.00 ." in ours[:116]
    assert ours[116:] == theirs[116:]  # the version, the byte order, zeros, and HDF5's signature


def test_all_empty_doubles_in_cells_are_one_canonical_empty(tmp_path):
    matfile.write(tmp_path / "a.mat", {"c": cell(np.zeros((0, 0)), np.zeros((1, 0)), np.zeros((0, 0)))}, "7.3")
    with h5py.File(tmp_path / "a.mat") as file:
        first, second, third = (file[reference].name for reference in file["c"][()].ravel())
        assert first == third != second
        assert file[first].attrs["MATLAB_class"] == b"canonical empty"


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, bool, np.int16])
def test_an_array_larger_than_a_piece_is_written_in_pieces(tmp_path, monkeypatch, dtype, rng):
    monkeypatch.setattr(writable, "PIECE", 1000)
    value = (rng.random((7, 5, 3, 40)) * 100).astype(dtype)
    for version in ("7", "7.3"):
        matfile.write(tmp_path / "a.mat", {"v": value}, version)
        assert differences(matfile.read(tmp_path / "a.mat")["v"], value) == []
    with h5py.File(tmp_path / "a.mat") as file:
        assert np.prod(file["v"].chunks) * file["v"].dtype.itemsize <= 1000
        assert file["v"].compression == "gzip"  # its stream has a checksum


def test_a_bit_that_flips_in_a_parameter_is_noticed(tmp_path, rng):
    value = rng.random((30, 30))
    path = tmp_path / "a.mat"
    matfile.write(path, {"net": {"w": value}}, "7.3")
    whole = path.read_bytes()
    start = whole.index(value.tobytes(order="F")[:64])
    for at in range(start, start + value.nbytes, 501):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match=r"a\.mat: the file is damaged"):
            matfile.read(path)


def test_a_full_disk_is_named_as_such_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.mat"
    matfile.write(path, {"old": 1}, "7.3")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"a\.mat: it cannot be written \({os.strerror(errno.EFBIG)}\)"):
            matfile.write(path, {"new": np.random.default_rng(0).random((300, 300))}, "7.3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(matfile.read(path)) == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.mat"]


def test_more_fields_than_hdf5_can_name_are_refused(tmp_path):
    names = tuple(f"f{i}" for i in range(hdf5writer.MOST_FIELDS + 1))
    with pytest.raises(ValueError, match=r"a\.mat: meta\.many has 4001 fields; a MAT-file of version 7\.3 holds 4000"):
        matfile.write(tmp_path / "a.mat", {"meta": {"many": StructArray(names, (1, 0), [])}}, "7.3")
    value = StructArray(names[1:], (1, 0), [])
    matfile.write(tmp_path / "a.mat", {"many": value}, "7.3")
    assert differences(matfile.read(tmp_path / "a.mat")["many"], value) == []


@pytest.mark.slow
def test_a_network_of_more_than_2_gb_is_written_and_read_back(tmp_path):
    net = DagNN()
    net.add_layer("fc6", conv.Conv([7, 7, 512, 21500]), "x", "y", ["fc6f", "fc6b"])
    value = np.empty((7, 7, 512, 21500), np.float32)
    value.reshape(-1)[:] = np.random.default_rng(0).integers(0, 2**16, value.size, np.uint16)
    net.params["fc6f"].value, net.params["fc6b"].value = value, np.ones((21500, 1), np.float32)
    assert value.nbytes > level5writer.LARGEST
    netfile.save(net, tmp_path / "a.mat")
    assert matfile.version(tmp_path / "a.mat") == "7.3"
    read = netfile.load(tmp_path / "a.mat").params
    assert np.array_equal(read["fc6f"].value, value)
    assert matvalues.class_of(read["fc6b"].value) == "single"
