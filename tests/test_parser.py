"""dagnet.mscript.parser: MATLAB's layout, quotes, commands and comments; what is no MATLAB is told with its line."""

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.mscript import NotMatlab, NotSupported, parser
from tests.snippets import cell, double, run, same


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("r = [1 -2];", [1, -2]),
        ("r = [1 - 2];", [-1]),
        ("r = [1 , -2 + 3];", [1, 1]),
        ("a = 3; r = [a' 1];", [3, 1]),
        ("a = 3; r = [a', 1]';", [[3], [1]]),
        ("r = [1 2\n 3 4];", [[1, 2], [3, 4]]),
        ("r = [1 2 ... the rest\n 3];", [1, 2, 3]),
        ("r = [1 2; ...\n 3 4];", [[1, 2], [3, 4]]),
        ("r = 1 + ...\n 2;", 3),
        ("x = {1, 'a' ; ...\n 2, 'b'}; r = x{2, 1};", 2),
        ("%{\nr = 5;\n%}\nr = 6;", 6),
        ("r = 7; % r = 8", 7),
        ("if 1, r = 2, end", 2),
        ("x = [1 2 3]; r = x(2)';", 2),
        ("r = [1 2 % first\n 3 4]; ", [[1, 2], [3, 4]]),
        ("r = [1, 2, ....\n 3];", [1, 2, 3]),
        ("if 0, r = 1 ; else r = 2 ; end", 2),
        ("x = {[], 1}; r = find(~cellfun(@isempty, x));", 2),
        ("f = @(~, y) y; r = f(1, 2);", 2),
        ("f = @() 3; r = f() + 1;", 4),
        ("r = 1; if r == 1 r = 2; end", 2),
        ("x = 3; r = [x(1)' x'];", [3, 3]),
        ("r = {1, ...\n     2}; r = r{2};", 2),
        ("r = 1; % é", 1),
        ("r = max(...\n  1, ...\n  2) ;", 2),
        ("if 0\n  unknown_(1) ;\nend\nr = 1 ;", 1),
        ("r = [ 1 , 2 ,...\n3 ] ;", [1, 2, 3]),
        ("function_ = 2 ; r = function_ ;", 2),
        ("r = 1e3;", 1000),
        ("r = .5;", 0.5),
        ("r = 3.;", 3),
        ("f = @(x)x.^2; r = f(3);", 9),
        ("x.y = 4; r = x.('y');", 4),
        ("r = 1;;; r = 2;", 2),
        ("for(k = 1:3) r = k; end", 3),
        ("x = 3;\r\nr = x;\r\n", 3),
    ],
)
def test_layout_means_what_it_means_in_matlab(code, value):
    assert same(code, value)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("r = 'it''s';", "it's"),
        ("r = 'a % b';", "a % b"),
        ("r = 'say \"x\"';", 'say "x"'),
        ("r = ['a' ... b\n 'c'];", "ac"),
        ("r = '\\n';", "\\n"),
        ('r = sprintf("a-%d", 1);', None),
        ('r = char("it\'s");', "it's"),
    ],
)
def test_texts_are_taken_as_they_stand(code, text):
    found = run(code)
    assert getattr(found, "value", found) == ("a-1" if text is None else text)


def test_a_command_calls_the_function_with_its_words():
    assert same("x = 1; y = 2; clear x; r = exist('x', 'var');", 0)
    assert same("hold on\nformat long\nr = 1;", 1)


def test_what_starts_with_a_variable_is_no_command():
    assert same("x = 5; x -1; r = ans;", 4)
    assert same("x = 5; x', r = ans;", 5)


def test_functions_may_end_with_end_or_not(tmp_path):
    for end in ("", "end\n"):
        path = tmp_path / "f.m"
        path.write_text(f"function r = f(x)\nr = g(x);\n{end}function y = g(x)\ny = x;\n{end}")
        assert list(parser.parse(path).functions) == ["f", "g"]


def test_a_files_first_comment_and_blank_lines_are_passed_over(tmp_path):
    path = tmp_path / "f.m"
    path.write_text("% F  help\n%   more\n\nfunction r = f()\nr = 1;\n")
    assert parser.parse(path).main.name == "f"


def test_latin_1_is_read(tmp_path):
    path = tmp_path / "f.m"
    path.write_bytes("r = 1; % Größe".encode("latin-1"))
    assert parser.parse(path).main.name == ""


@pytest.mark.parametrize(
    ("code", "line"), [("x = 1;\ny = (2;\n", 2), ("if 1\n x = 2;\n", 1), ("x = [1 2;\n", 1), ("x = 3 +;\n", 1)]
)
def test_what_is_no_matlab_is_told_with_file_and_line(code, line):
    with pytest.raises(NotMatlab) as failure:
        parser.parse_text(code, "net.m")
    assert failure.value.place.file == "net.m"
    assert failure.value.place.text == code.split("\n")[failure.value.place.line - 1].strip()
    assert failure.value.place.line >= line


@pytest.mark.parametrize(
    "code", ["classdef A\nend\n", "spmd\nx = 1;\nend\n", "function f(x)\narguments\n x double\nend\nend\nf(1)\n"]
)
def test_a_construct_that_is_not_known_is_named_when_it_is_reached(code):
    with pytest.raises(NotSupported, match="not known here"):
        run(code)


def test_deep_nesting_is_told_and_does_not_crash():
    with pytest.raises(NotMatlab, match="nested too deeply"):
        parser.parse_text("x = " + "(" * 20000 + "1" + ")" * 20000 + ";\n", "deep.m")


def test_a_cell_of_functions_and_texts_keeps_its_parts():
    found = run("r = {@(x) x + 1, 'abc', 1 -1};")
    assert found.shape == (1, 4)
    assert np.array_equal(found[0, 3], double(-1))
    assert found[0, 1] == "abc"
    assert cell("a").shape == (1, 1)
