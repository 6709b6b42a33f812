"""dagnet.files.matvalues: MATLAB's values in Python, and in MATLAB's words."""

import numpy as np
import pytest
import scipy.sparse

from dagnet.files import matvalues
from dagnet.files.matvalues import Foreign, StructArray

RECORDS = StructArray(("a",), (1, 2), [{"a": "x"}, {"a": "y"}])


@pytest.mark.parametrize(
    ("value", "class_name", "words"),
    [
        (np.zeros((3, 3, 1, 64), np.float32), "single", "a 3x3x1x64 single array"),
        (np.zeros((0, 0)), "double", "a 0x0 double array"),
        (np.array([[1 + 2j]]), "double", "a 1x1 double array"),
        (2.5, "double", "a 1x1 double array"),
        (True, "logical", "a 1x1 logical array"),
        (np.zeros((1, 2), bool), "logical", "a 1x2 logical array"),
        (np.int16([[3]]), "int16", "a 1x1 int16 array"),
        (scipy.sparse.csc_matrix((2, 3)), "double", "a 2x3 double array"),
        ("max", "char", "the text 'max'"),
        ("x" * 61, "char", "a long text"),
        (np.full((2, 2), "x"), "char", "a 2x2 char array"),
        (matvalues.row(["a"]), "cell", "a 1x1 cell"),
        ({"a": 1, "b": 2}, "struct", "a struct with the fields a, b"),
        ({}, "struct", "a struct without fields"),
        (RECORDS, "struct", "a 1x2 struct array"),
        (Foreign("object", "gpuArray"), "gpuArray", "a MATLAB object of class gpuArray"),
        (Foreign("object"), "", "a MATLAB object of class unknown"),
        (Foreign("function handle", "sin"), "function_handle", "a MATLAB function handle sin"),
        (Foreign("function handle"), "function_handle", "a MATLAB function handle"),
    ],
)
def test_a_value_is_told_in_matlabs_words(value, class_name, words):
    assert (matvalues.class_of(value), matvalues.describe(value)) == (class_name, words)


def test_items_are_a_cells_elements_a_list_s_or_a_bare_text():
    cell = np.array([["a", "c"], ["b", "d"]], object)
    for value, items in (
        (cell, ["a", "b", "c", "d"]),
        (["a"], ["a"]),
        ("x1", ["x1"]),
        ("", []),
        (np.zeros((0, 0)), []),
    ):
        assert matvalues.items(value) == items
    with pytest.raises(TypeError, match="it is a 1x1 double array; it must be a cell"):
        matvalues.items(np.ones((1, 1)))


def test_structs_are_one_many_or_none():
    for value, records in (({"a": 1}, [{"a": 1}]), (RECORDS, RECORDS.records), (np.zeros((0, 0)), [])):
        assert matvalues.structs(value) == records
    with pytest.raises(TypeError, match="it is the text 'x'; it must be a struct array"):
        matvalues.structs("x")
