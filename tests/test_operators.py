"""dagnet.mscript.operators: the classes and sizes of results, as MATLAB's documentation states them."""

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.mscript import MatlabError, NotSupported, operators
from tests.snippets import FAILED, double, run, same


def of(kind, values):
    return np.atleast_2d(np.asarray(values, kind))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("single(1) + 2", of("f4", 3)),
        ("int8(5) + 2.5", of("i1", 8)),
        ("int8(100) + 100", of("i1", 127)),
        ("int8(-100) - 100", of("i1", -128)),
        ("uint8(3) - 5", of("u1", 0)),
        ("int8(7) / 2", of("i1", 4)),  # 3.5, away from zero
        ("int8(-7) / 2", of("i1", -4)),
        ("int32(10) / 4", of("i4", 3)),
        ("uint8(1) / 0", of("u1", 255)),
        ("int8(0) / 0", of("i1", 0)),
        ("int8(3) * single(2)", of("i1", 6)),
        ("uint8(200) * 0.5", of("u1", 100)),
        ("true + true", of("f8", 2)),
        ("-true", of("f8", -1)),
        ("'a' + 1", of("f8", 98)),
        ("'ab' + 'ab'", of("f8", [194, 196])),
        ("true * single(2)", of("f4", 2)),
        ("-int8(-128)", of("i1", 127)),
        ("-uint8(4)", of("u1", 0)),
        ("int64(2)^53 + 1", of("i8", 2**53 + 1)),
        ("5 / 0", of("f8", np.inf)),
        ("1:int8(2):5", of("i1", [1, 3, 5])),
        ("1:single(2):5", of("f4", [1, 3, 5])),
        ("int8([1 2]) .* [2 100]", of("i1", [2, 127])),
        ("[1 2 3] + [10; 20]", of("f8", [[11, 12, 13], [21, 22, 23]])),
        ("ones(2, 1, 'single') * 2", of("f4", [[2], [2]])),
        ("single(1):3", of("f4", [1, 2, 3])),
        ("int8(1):3", of("i1", [1, 2, 3])),
        ("0.1:0.1:0.5", of("f8", [0.1, 0.2, 0.3, 0.4, 0.5])),
        ("5:1", np.zeros((1, 0))),
        ("1 == single(1)", of("?", True)),
        ("'abc' == 'abd'", of("?", [True, True, False])),
        ("~[2 0]", of("?", [False, True])),
        ("3 & [1 0]", of("?", [True, False])),
        ("[int8(1) 2.7]", of("i1", [1, 3])),
        ("[single(1) 2]", of("f4", [1, 2])),
        ("[true 2]", of("f8", [1, 2])),
        ("['a' 66]", "aB"),
        ("[int8(100) int16(300)]", of("i1", [100, 127])),
        ("[1 'a' true]", "\x01a\x01"),
        ("2 ^ -1", of("f8", 0.5)),
        ("[1 1; 0 1] ^ 3", of("f8", [[1, 3], [0, 1]])),
        ("[2 0; 0 4] \\ [2; 4]", of("f8", [[1], [1]])),
        ("int8(2) .^ 7", of("i1", 127)),
        ("(-8) ^ 2", of("f8", 64)),
        ("max(3, 4)", of("f8", 4)),
    ],
)
def test_results_have_the_class_and_value_that_matlab_states(expression, value):
    assert same(f"r = {expression};", value)


@pytest.mark.parametrize(
    "expression",
    [
        "int8(1) + int16(1)",
        "{1} + 1",
        "struct() + 1",
        "[1 2] + [1 2 3]",
        "[1 2 3] * [1 2 3]",
        "[1 2] & [1 2 3]",
        "~{1}",
        "[1 2; 3]",
        "['ab'; 'c']",
        "[struct('a', 1), struct('b', 1)]",
        "[1 2 3]' * int8([1 2])",
        "reshape(1:8, 2, 2, 2)'",
        "NaN & true",
    ],
)
def test_what_matlab_refuses_is_an_error(expression):
    assert run(f"r = {expression};") is FAILED


def test_a_root_of_a_negative_number_is_complex():
    assert run("r = (-8) ^ (1/3);").dtype.kind == "c"
    assert run("r = isreal(sqrt(-1));").item() is False


def test_an_integer_is_rounded_half_away_from_zero_and_saturated():
    x = np.array([[-0.5, 0.5, 1.5, 2.5, -1.5, 300, -300, np.nan, np.inf, -np.inf, 126.5]])
    assert operators.saturated(x, np.dtype("i1")).tolist() == [[-1, 1, 2, 3, -2, 127, -128, 0, 127, -128, 127]]
    assert operators.saturated(np.array([[2.0**63, -(2.0**63)]]), np.dtype("i8")).tolist() == [[2**63 - 1, -(2**63)]]


def test_a_range_is_exact_at_both_ends():
    found = run("r = 0:0.1:1;")
    assert found.shape == (1, 11) and found[0, -1] == 1 and found[0, 5] == 0.5
    assert run("r = 0.9:-0.1:0;")[0, -1] == 0


def test_an_error_names_both_sizes():
    with pytest.raises(MatlabError, match="1x2 and 1x3"):
        operators.binary("+", double([1, 2]), double([1, 2, 3]))


def test_strings_in_double_quotes_are_joined_and_compared_by_their_text():
    assert run('r = "a" + "b";').value == "ab"
    assert same('r = "a" == "a";', of("?", True))
    assert same("r = strcmp(\"a\", 'a');", of("?", True))
    assert same('r = numel("abc");', 1)
    with pytest.raises(NotSupported, match="double quotes"):
        run('r = ["a" "b"];')
