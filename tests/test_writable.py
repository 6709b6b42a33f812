"""What a value is to MATLAB: its class and shape, whether two are alike, and the pieces that a large one is written in."""

import numpy as np
import pytest
import scipy.sparse

from dagnet.files import matfile, writable
from dagnet.files.matvalues import Foreign
from tests.values import cell, everything, same


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


@pytest.mark.parametrize("name", list(everything()))
def test_a_value_is_like_itself_and_unlike_every_other(name):
    values, again = everything(), everything()
    assert [other for other in values if writable.same(values[name], again[other])] == [name]


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        (3, np.array([[3.0]]), True),
        (3, np.array([[3]]), False),
        (True, np.array([[True]]), True),
        ([1.0], [1.0], None),
        (np.arange(3.0), np.array([[0.0, 1, 2]]), True),
        (np.ones((2, 2, 1)), np.ones((2, 2)), True),
        (0.0, -0.0, False),
        (np.nan, np.nan, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        (Foreign("object", "x"), Foreign("object", "x"), True),
        (Foreign("object", "x"), 1, False),
        (cell("a"), cell("b"), False),
        ("", np.zeros((0, 0)), False),
    ],
)
def test_values_are_alike_that_would_be_written_alike(a, b, alike):
    if alike is None:
        with pytest.raises(ValueError, match="a value is of Python's type list, for which MATLAB has no class"):
            writable.same(a, b)
    else:
        assert writable.same(a, b) is writable.same(b, a) is alike


def test_zeros_stored_in_a_sparse_array_and_elements_given_twice_are_written_as_matlab_holds_them():
    value = scipy.sparse.csc_matrix(([1.0, 2.0, 0.0], [1, 1, 0], [0, 2, 3]), (2, 2))
    kind, made = writable.form(value, "s")
    assert (kind, made.data.tolist(), made.indices.tolist()) == ("sparse", [3.0], [1])
    assert value.nnz == 3  # the argument stays as it was


@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 7), (100, 3), (3, 100), (2, 3, 4, 50), (1, 1, 1, 999), (0, 4), (4, 0, 2)]
)
def test_pieces_follow_each_other_in_matlabs_order_and_are_the_whole(monkeypatch, shape):
    monkeypatch.setattr(writable, "PIECE", 64)
    value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    pieces = list(writable.pieces(value))
    assert b"".join(piece.tobytes(order="F") for _, piece in pieces) == value.tobytes(order="F")
    assert all(piece.nbytes <= 64 and same(value[place], piece) for place, piece in pieces)
    assert len(pieces) <= max(1, 2 * value.nbytes // 33)
