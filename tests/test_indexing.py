"""dagnet.mscript.indexing: reading, assignment that converts and grows, deletion, as MATLAB's documentation states them."""

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.mscript import indexing
from dagnet.mscript.values import COLON
from tests.snippets import FAILED, alike, cell, double, run, same

EMPTY = np.zeros((0, 0))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("A = reshape(1:12, 3, 4); r = A(8);", 8),
        ("A = reshape(1:12, 3, 4); r = A(3, 2);", 6),
        ("A = reshape(1:12, 3, 4); r = A(1:2, [1 end]);", [[1, 10], [2, 11]]),
        ("A = reshape(1:12, 3, 4); r = A(end, :);", [3, 6, 9, 12]),
        ("A = reshape(1:12, 3, 4); r = A(A > 10);", [[11], [12]]),
        ("A = 1:5; r = A(A > 3);", [4, 5]),
        ("A = 1:5; r = A([1; 2]);", [1, 2]),
        ("A = [1 2; 3 4]; r = A([1; 2]);", [[1], [3]]),
        ("A = [1 2; 3 4]; r = A([1 2]);", [1, 3]),
        ("A = 1:3; r = A([1 2; 3 1]);", [[1, 2], [3, 1]]),
        ("A = reshape(1:24, 2, 3, 4); r = A(2, 5);", 10),
        ("A = reshape(1:24, 2, 3, 4); r = size(A(:, :));", [2, 12]),
        ("A = reshape(1:24, 2, 3, 4); r = A(end);", 24),
        ("A = reshape(1:24, 2, 3, 4); r = size(A(:, 1, :));", [2, 1, 4]),
        ("A = 5; r = A(1, 1, 1);", 5),
        ("A = 5; r = A([1 1 1]);", [5, 5, 5]),
        ("s = 'hello'; r = s([1 end]);", "ho"),
        ("s = 'hello'; r = s(end:-1:1);", "olleh"),
        ("c = {1, 'a', [1 2]}; r = c{2};", "a"),
        ("c = {1, 'a'}; r = c(2);", cell("a")),
        ("c = {1, 2, 3}; r = [c{:}];", [1, 2, 3]),
        ("s.a.b = {1, {5}}; r = s.a.b{2}{1};", 5),
        ("s = struct('a', {1, 2, 3}); r = [s.a];", [1, 2, 3]),
        ("s = struct('a', {1, 2, 3}); r = s(2).a;", 2),
    ],
)
def test_reading_gives_what_matlab_states(code, value):
    assert same(code, value)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("r = 1:3; r(5) = 9;", [1, 2, 3, 0, 9]),
        ("r = (1:2)'; r(3) = 9;", [[1], [2], [9]]),
        ("r = []; r(2, 3) = 1;", [[0, 0, 0], [0, 0, 1]]),
        ("r = []; r(:, end + 1) = [1; 2];", [[1], [2]]),
        ("r = eye(2); r(:, 3) = 7;", [[1, 0, 7], [0, 1, 7]]),
        ("r = zeros(2, 3); r(:) = 1:6;", [[1, 3, 5], [2, 4, 6]]),
        ("r = 1:3; r(2) = [];", [1, 3]),
        ("r = eye(3); r(:, 2) = [];", [[1, 0], [0, 0], [0, 1]]),
        ("r = [1 2; 3 4]; r(2) = [];", [1, 2, 4]),
        ("r = [1 2 3]; r([]) = [];", [1, 2, 3]),
        ("r = 1:3; r(logical([1 0 1])) = [];", [2]),
        ("x = [5 6]; x(:) = 0; r = x;", [0, 0]),
        ("r = 'abc'; r(2) = 'X';", "aXc"),
        ("r = 'abc'; r(2) = 65;", "aAc"),
        ("r = zeros(1, 2); r(1) = 'a';", [97, 0]),
        ("r = zeros(1, 2); r(1) = single(2);", [2, 0]),  # the left side keeps its class
        ("r = zeros(1, 2); r(1) = int8(2);", [2, 0]),
        ("r = {}; r{2} = 'x';", cell(EMPTY, "x")),
        ("r = {1, 2, 3}; r(2) = [];", cell(1, 3)),
        ("r = {1, 2}; r{1} = [];", cell(EMPTY, 2)),
        ("r = {1, 2}; r(1) = {'a'};", cell("a", 2)),
        ("x = 1:5; x([1 3]) = x([3 1]); r = x;", [3, 2, 1, 4, 5]),
        ("x = zeros(2, 2); x(1, :) = [5 6]; x(:, 1) = [7; 8]; r = x;", [[7, 6], [8, 0]]),
        ("x = eye(2); x(:, :, 2) = 3; r = size(x);", [2, 2, 2]),
        ("x.a(2).b{3} = 7; r = x.a(2).b{3};", 7),
        ("x(3).a = 1; r = isempty(x(1).a);", np.array([[True]])),
        ("f = zeros(2, 2, 2, 2); f(:, :, 2, 2) = [1 2; 3 4]; r = f(:, :, 2, 2);", [[1, 2], [3, 4]]),
    ],
)
def test_assignment_and_deletion_leave_what_matlab_states(code, value):
    assert same(code, value)


@pytest.mark.parametrize(
    "code",
    [
        "A = 1:3; r = A(0);",
        "A = 1:3; r = A(1.5);",
        "A = 1:3; r = A(4);",
        "A = eye(2); r = A(3, 1);",
        "A = eye(2); A(:, 1) = [1 2 3];",
        "A = 1:3; A([1 2]) = [1 2 3];",
        "A = eye(2); A(7) = 1;",
        "A = eye(2); A(1, 1) = [];",
        "A = 1:3; A(5) = [];",
        "A = 1:3; r = A{1};",
        "A = 1:3; r = A.x;",
        "c = {1}; c(2) = 5;",
        "A = 1:3; A(2) = {1};",
        "s = struct('a', 1); r = s.b;",
        "s = struct('a', {1, 2}); s.a = 5;",
        "s = struct('a', {1, 2}); s(1) = struct('b', 1);",
        "A = 1:3; A.x = 1;",
        "A = 1:3; A{1} = 1;",
        "c = {1, 2}; r = c{:}.x;",
        "c = {}; r = c{1};",
        "c = {}; r = [c{:}] + c{:};",
        "A = 1:3; r = A({1});",
        "x.a = {1, 2}; x.a{:}.b = 1;",
        "q(1) = [];",
    ],
)
def test_what_matlab_refuses_is_an_error(code):
    assert run(code) is FAILED


def test_assignment_changes_a_copy():
    assert same("a = [1 2]; b = a; b(1) = 9; r = a;", [1, 2])
    assert same("a.x = {1}; b = a; b.x{1} = 9; r = a.x{1};", 1)
    before = double([1, 2, 3])
    indexing.assigned(before, [double(2)], double(9))
    assert before.tolist() == [[1, 2, 3]]


def test_a_colon_reads_columns_one_after_the_other():
    value = np.arange(1.0, 7).reshape(2, 3)
    assert alike(indexing.read(value, [COLON]), double([1, 4, 2, 5, 3, 6]).T)


def test_an_error_says_how_many_there_are():
    assert same("try, x = 1:3; x(7); catch e, r = e.identifier; end", "MATLAB:badsubscript")
    message = run("try, x = 1:3; x(7); catch e, r = e.message; end")
    assert "must not exceed 3" in message
