"""dagnet.mscript.printf: sprintf, num2str, mat2str and int2str, as MATLAB's documentation states them."""

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.mscript import NotSupported, printf
from tests.snippets import FAILED, double, run


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("'%d', 3", "3"),
        ("'%d', 1.5", "1.500000e+00"),  # "a value with a fraction turns %d into %e"
        ("'%i', pi", "3.141593e+00"),
        ("'%d', 1e10", "10000000000"),
        ("'%d', 2^53", "9007199254740992"),
        ("'%s', pi", "3.141593e+00"),
        ("'%s', 72", "H"),
        ("'%d', 'abc'", "979899"),
        ("'%x', 3.5", "3.500000e+00"),
        ("'%d, ', [1 2 3]", "1, 2, 3, "),
        ("'%d,%d;', 1, 2, 3", "1,2;3,"),
        ("'%s=%d ', 'a', 1, 'bc', 2", "a=1 bc=2 "),
        ("'%s-%s', 'a'", "a-"),
        ("'%s', [72 105]", "Hi"),
        ("'%5.2f|', pi", " 3.14|"),
        ("'%-6s|', 'ab'", "ab    |"),
        ("'%06d', 42", "000042"),
        ("'%+.1e', 12345", "+1.2e+04"),
        ("'%g', 1e-5", "1e-05"),
        ("'%G', 1e-10", "1E-10"),
        ("'%.3s', 'abcdef'", "abc"),
        ("'%c', 'abc'", "abc"),
        ("'%c%c', 'ab'", "ab"),
        ("'%*d', 4, 7", "   7"),
        ("'%d%%', 50", "50%"),
        ("'%d', NaN", "NaN"),
        ("'%f', -Inf", "-Inf"),
        ("'%5d|', Inf", "  Inf|"),
        ("'%d', true", "1"),
        ("'%d', int8(-7)", "-7"),
        ("'%f', single(0.5)", "0.500000"),
        ("'hello\\n'", "hello\n"),
        ("'\\x41\\101\\\\'", "AA\\"),
        ("'%d', []", ""),
        ("'a%db', []", "ab"),
        ("'%s', ''", ""),
        ("'conv%d_%d', [1 2]", "conv1_2"),
        ("'%s', 'it''s'", "it's"),
        ("'%ld %lu', 1, 2", "1 2"),
        ("'no'", "no"),
        ("'%d'", ""),
    ],
)
def test_sprintf_writes_what_matlab_writes(arguments, text):
    found = run(f"r = sprintf({arguments});")
    assert (found if isinstance(found, str) else "") == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("pi", "3.1416"),
        ("3", "3"),
        ("-0.5", "-0.5"),
        ("123456789", "123456789"),
        ("1234.56789", "1234.5679"),
        ("1e-5", "1e-05"),
        ("1e23", "1e+23"),
        ("NaN", "NaN"),
        ("-Inf", "-Inf"),
        ("pi, 8", "3.1415927"),
        ("10, '%05d'", "00010"),
        ("[1 2 3]", "1  2  3"),
        ("[1.5 2]", "1.5           2"),
        ("true", "1"),
        ("'text'", "text"),
        ("single(3.14159)", "3.1416"),
        ("uint8(200)", "200"),
        ("[]", ""),
        ("-[1 20]", "-1  -20"),
    ],
)
def test_num2str_writes_what_matlab_writes(arguments, text):
    assert run(f"r = num2str({arguments});") == text


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("mat2str([3.85 2.91; 7.74 8.99])", "[3.85 2.91;7.74 8.99]"),
        ("mat2str([1 2 3])", "[1 2 3]"),
        ("mat2str(pi, 3)", "3.14"),
        ("mat2str([true false])", "[true false]"),
        ("mat2str('abc')", "'abc'"),
        ("mat2str([])", "zeros(0,0)"),
        ("mat2str(5)", "5"),
        ("int2str(3.7)", "4"),
        ("int2str([2.2 3.5])", "2  4"),
    ],
)
def test_matrices_and_whole_numbers_are_written_as_matlab_writes_them(call, text):
    assert run(f"r = {call};") == text


def test_rows_of_different_lengths_are_filled_with_blanks():
    found = run("r = num2str([1; 100]);")
    assert found.shape == (2, 3)
    assert ["".join(line) for line in found.tolist()] == ["  1", "100"]


@pytest.mark.parametrize(
    "call", ["sprintf('%d', {1})", "sprintf({1})", "num2str({1})", "sprintf('%99999d', 1)", "mat2str({1})"]
)
def test_what_is_neither_number_nor_text_is_an_error(call):
    assert run(f"r = {call};") is FAILED


def test_a_conversion_that_is_not_known_is_named():
    with pytest.raises(NotSupported, match="'%y'"):
        printf.sprintf("%y", [double(1)])


def test_escapes_of_the_format_are_done_and_those_of_arguments_are_not():
    assert printf.sprintf("a\\t%s", ["b\\t"]) == "a\tb\\t"
    assert printf.escaped("\\q") == "\\q"
    assert np.array_equal(run("r = double(sprintf('\\n'));"), double(10))
