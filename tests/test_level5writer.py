"""Version 7 as written here: large arrays are neither copied nor refused too late, and SciPy and damage agree."""

import tracemalloc

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from dagnet.files import matfile, writable
from tests.values import differences


def test_a_variable_of_more_than_2_gb_is_refused_where_version_7_is_asked_for_before_anything_is_written(tmp_path):
    huge = np.broadcast_to(np.float32(0), (2**15, 2**14))  # 2 GB for MATLAB, four bytes here
    with pytest.raises(ValueError, match=r"variable net takes more than 2\.0 GB.*version 7\.3 holds it"):
        matfile.write(tmp_path / "a.mat", {"net": {"w": huge}}, "7")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(2**31, 0), (0, 1, 2**32)])
def test_a_size_beyond_31_bits_is_refused_too(tmp_path, shape):
    with pytest.raises(ValueError, match=r"variable v takes more than"):
        matfile.write(tmp_path / "a.mat", {"v": np.empty(shape, np.int8)}, "7")


@pytest.mark.parametrize("version", ["7", "7.3"])
def test_a_large_array_is_written_without_a_second_copy(tmp_path, monkeypatch, version):
    monkeypatch.setattr(writable, "PIECE", 1 << 16)
    value = np.zeros((40, 50, 500), np.float64)  # 8 MB; its order in memory is not MATLAB's
    tracemalloc.start()
    matfile.write(tmp_path / "a.mat", {"v": value}, version)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < value.nbytes / 4


def test_scipy_reads_the_same(tmp_path, rng):
    values = {"a": rng.random((3, 4, 2)), "z": np.array([[1 + 2j, 3]]), "b": np.array([[True, False]])}
    for bits in (8, 16, 32, 64):
        for dtype in (np.dtype(f"int{bits}"), np.dtype(f"uint{bits}")):
            values[dtype.name] = np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max]], dtype)
    values |= {"single": np.array([[-1.5, np.inf]], np.float32), "sparse": np.eye(3)}
    matfile.write(tmp_path / "a.mat", values | {"sparse": scipy.sparse.csc_matrix(values["sparse"])})
    read = scipy.io.loadmat(tmp_path / "a.mat")
    read["sparse"] = read["sparse"].toarray()
    assert all(np.array_equal(read[name], value) for name, value in values.items())


def test_numbers_with_the_high_byte_first_are_written_with_the_low_one_first(tmp_path):
    matfile.write(tmp_path / "a.mat", {"v": np.array([[1.5, -2]], ">f8")})
    assert differences(matfile.read(tmp_path / "a.mat")["v"], np.array([[1.5, -2]])) == []
