"""dagnet.mscript.precedence: MATLAB's own table of operators, expression by expression."""

import pytest

pytest.importorskip("tree_sitter_matlab")

from tests.snippets import run, same


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("-2^2", -4),
        ("2^-1", 0.5),
        ("2^-1^2", 0.25),
        ("2^3^2", 64),
        ("-2.^2", -4),
        ("[1 2]'.^2", [[1], [4]]),
        ("-[1 2]'", [[-1], [-2]]),
        ("1:3+1", [1, 2, 3, 4]),
        ("2*3:7", [6, 7]),
        ("1+2*3", 7),
        ("6/2*3", 9),
        ("2\\6", 3),
        ("1 - 2 - 3", -4),
        ("- -3", 3),
        ("2*-3", -6),
        ("1./4", 0.25),
    ],
)
def test_numbers_bind_as_in_matlab(expression, value):
    assert same(f"r = {expression};", value)


@pytest.mark.parametrize(
    ("expression", "same_as"),
    [
        ("~1 == 0", "(~1) == 0"),
        ("1 | 0 & 0", "1 | (0 & 0)"),
        ("true || false && false", "true || (false && false)"),
        ("1 == 1 & 0", "(1 == 1) & 0"),
        ("3 > 2 > 1", "(3 > 2) > 1"),
        ("1:3 == 1:3", "(1:3) == (1:3)"),
        ("~0 * 2", "(~0) * 2"),
        ("2 + 1 < 4", "(2 + 1) < 4"),
        ("0 & 0 | 1", "(0 & 0) | 1"),
    ],
)
def test_comparisons_and_logic_bind_as_in_matlab(expression, same_as):
    assert same(f"r = {expression};", run(f"r = {same_as};"))


def test_an_anonymous_function_takes_all_that_follows():
    assert same("f = @(x) x + 1 == 3 & true; r = f(2);", run("r = true;"))
