"""dagnet.files.fields: Python's values as MATLAB holds them."""

import numpy as np
import pytest

from dagnet.files import fields
from tests.values import cell, differences

NOTHING = np.zeros((0, 0))


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (None, NOTHING),
        ([1, 2.5], np.array([[1, 2.5]])),
        ((3,), np.array([[3.0]])),
        ([], cell()),
        ([True, 2], cell(True, 2)),
        (["topK", 3], cell("topK", 3)),
        ([[1, 2], None], cell(np.array([[1.0, 2]]), NOTHING)),
        ({"a": None, "b": {"c": [1]}}, {"a": NOTHING, "b": {"c": np.array([[1.0]])}}),
        ("text", "text"),
        (np.arange(3, dtype=np.int8), np.arange(3, dtype=np.int8)),
    ],
)
def test_numbers_become_rows_other_lists_cells_and_none_the_empty_array(value, right):
    assert differences(fields.to_matlab(value), right) == []


def test_a_parameter_of_k_values_is_a_column_and_none_the_empty_array():
    assert differences(fields.column(np.arange(3.0)), np.array([[0.0], [1], [2]])) == []
    assert differences(fields.column(np.ones((1, 3))), np.ones((1, 3))) == []
    assert differences(fields.column(None), NOTHING) == []
