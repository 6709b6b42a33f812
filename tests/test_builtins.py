"""dagnet.mscript.builtins: functions by topic, with the values that MATLAB's documentation states."""

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.mscript import MatlabError, NotSupported, Refused, ScriptError
from dagnet.mscript.builtins import table
from tests.snippets import FAILED, cell, double, run, same

TRUE, FALSE = np.array([[True]]), np.array([[False]])
STATED = {
    "shapes": [
        ("size(zeros(3, 4, 2))", [3, 4, 2]),
        ("size(zeros(3, 4), 1)", 3),
        ("size(zeros(3, 4, 1, 1))", [3, 4]),
        ("size(permute(zeros(2, 3, 4), [3 1 2]))", [4, 2, 3]),
        ("size(squeeze(zeros(1, 1, 5)))", [5, 1]),
        ("size(cat(4, zeros(2), zeros(2)))", [2, 2, 1, 2]),
        ("reshape(1:6, [], 2)", [[1, 4], [2, 5], [3, 6]]),
        ("numel('hello')", 5),
        ("length(zeros(2, 5))", 5),
        ("repmat([1 2], 2, 1)", [[1, 2], [1, 2]]),
        ("kron([1 2], [1 1])", [1, 1, 2, 2]),
        ("linspace(0, 1, 3)", [0, 0.5, 1]),
        ("logspace(-2, -4, 3)", [0.01, 0.001, 0.0001]),
        ("eye(2)", [[1, 0], [0, 1]]),
        ("diag([1 2])", [[1, 0], [0, 2]]),
        ("fliplr([1 2 3])", [3, 2, 1]),
        ("circshift([1 2 3 4], 1)", [4, 1, 2, 3]),
        ("sub2ind([2 3], 2, 3)", 6),
        ("bsxfun(@minus, [5 6], [1; 2])", [[4, 5], [3, 4]]),
        ("bsxfun(@(a, b) a + b, [1 2], [10; 20])", [[11, 12], [21, 22]]),
        ("isempty(zeros(0, 3))", TRUE),
        ("accumarray([1; 2; 1], 1)", [[2], [1]]),
    ],
    "numbers": [
        ("mod(-1, 3)", 2),
        ("mod(5, 0)", 5),
        ("mod(-5, -3)", -2),
        ("rem(-1, 3)", -1),
        ("mod(4.5, 2)", 0.5),
        ("round(-0.5)", -1),
        ("round(1234, -2)", 1200),
        ("fix(-1.9)", -1),
        ("floor(-1.5)", -2),
        ("sign([-2 0 3])", [-1, 0, 1]),
        ("max([1 NaN 3])", 3),
        ("max([1 2; 3 0], [], 2)", [[2], [3]]),
        ("max([1 2; 3 0], [], 1)", [3, 2]),
        ("min([4 2 8])", 2),
        ("max(3, [1 5])", [3, 5]),
        ("sum([1 2; 3 4])", [4, 6]),
        ("sum([1 2; 3 4], 2)", [[3], [7]]),
        ("sum([])", 0),
        ("prod([])", 1),
        ("mean([1 2 3 6])", 3),
        ("cumsum([1 2 3])", [1, 3, 6]),
        ("any([0 0; 0 1])", np.array([[False, True]])),
        ("all([])", TRUE),
        ("any([])", FALSE),
        ("sum(int8([100 100]))", np.array([[127]], np.int8)),
        ("sum(single(3))", np.array([[3]], np.float32)),
        ("mean(int8([1 2]))", 1.5),
        ("find([0 1 0 1])", [2, 4]),
        ("sort([3 1 2], 'descend')", [3, 2, 1]),
        ("unique([3 1 1])", [1, 3]),
        ("ismember(3, [1 2 3])", TRUE),
        ("setdiff([1 2 3], [2])", [1, 3]),
        ("norm([3 4])", 5),
        ("std([2 4])", np.sqrt(2)),
        ("isequal([1 2], [1 2])", TRUE),
        ("isequal('a', 97)", TRUE),
        ("isequal(struct('a', 1, 'b', 2), struct('b', 2, 'a', 1))", TRUE),
        ("idivide(int32(7), int32(2))", np.array([[3]], np.int32)),
        ("bitand(12, 10)", 8),
        ("class(5 > 3)", "logical"),
        ("class(@sin)", "function_handle"),
        ("isa(int8(1), 'integer')", TRUE),
        ("isa(1, 'float')", TRUE),
        ("isreal('a')", TRUE),
        ("isnan([1 NaN])", np.array([[False, True]])),
        ("intmax", np.array([[2**31 - 1]], np.int32)),
        ("double('a')", 97),
        ("logical([2 0])", np.array([[True, False]])),
    ],
    "texts": [
        ("strcmp({'a', 'b'}, 'a')", np.array([[True, False]])),
        ("strcmp('a', 1)", FALSE),
        ("strrep('abcabc', 'b', 'XX')", "aXXcaXXc"),
        ("strsplit('a/b/c', '/')", cell("a", "b", "c")),
        ("strjoin({'x', 'y'}, ', ')", "x, y"),
        ("strcat('a ', 'b')", "ab"),
        ("strcat({'a '}, 'b')", cell("a b")),
        ("upper('relu')", "RELU"),
        ("strtrim('  a ')", "a"),
        ("regexprep('conv1', 'conv(\\d)', 'c$1')", "c1"),
        ("regexp('conv5_3', '\\d', 'match')", cell("5", "3")),
        ("regexp('conv5_3', 'conv(\\d)_(\\d)', 'tokens', 'once')", cell("5", "3")),
        ("regexp('abc', 'b')", 2),
        ("isempty(regexp('abc', 'x', 'once'))", TRUE),
        ("regexp('k1=v1', '(?<key>\\w+)=(?<val>\\w+)', 'names')", {"key": "k1", "val": "v1"}),
        ("strfind('abcab', 'ab')", [1, 4]),
        ("startsWith('conv1', 'conv')", TRUE),
        ("endsWith({'a.m', 'b'}, '.m')", np.array([[True, False]])),
        ("fullfile('a', 'b', 'c.mat')", "a/b/c.mat"),
        ("fullfile('a/', '/b')", "a/b"),
        ("str2double('1e3')", 1000),
        ("str2num('[1 2]')", [1, 2]),
        ("num2str(5)", "5"),
        ("['a'; 'b']'", "ab"),
        ("lower({'A', 'B'})", cell("a", "b")),
        ("sprintf('%d', 7)", "7"),
        ("validatestring('gau', {'gaussian', 'xavier'})", "gaussian"),
        ("isspace('a b')", np.array([[False, True, False]])),
    ],
    "containers": [
        ("struct('a', {{1, 2}})", {"a": cell(1, 2)}),
        ("numel(struct('a', {1, 2}))", 2),
        ("size(struct('a', {}))", [0, 0]),
        ("fieldnames(struct('b', 1, 'a', 2))", cell("b", "a").T),
        ("isfield(struct('a', 1), {'a', 'b'})", np.array([[True, False]])),
        ("rmfield(struct('a', 1, 'b', 2), 'a')", {"b": double(2)}),
        ("struct2cell(struct('a', 1))", cell(1)),
        ("cell2struct({1; 'x'}, {'a', 'b'}, 1)", {"a": double(1), "b": "x"}),
        ("num2cell([1 2])", cell(1, 2)),
        ("cell2mat({1 2; 3 4})", [[1, 2], [3, 4]]),
        ("cellfun(@numel, {'ab', 'c'})", [2, 1]),
        ("cellfun(@(x) x * 2, {1, 2}, 'UniformOutput', false)", cell(2, 4)),
        ("cellfun('isempty', {[], 1})", np.array([[True, False]])),
        ("arrayfun(@(s) s.a, struct('a', {4, 5}))", [4, 5]),
        ("structfun(@(x) x + 1, struct('a', 1, 'b', 2))", [[2], [3]]),
        ("cellfun(@(x) error('q'), {1}, 'ErrorHandler', @(e, x) -x)", -1),
        ("func2str(@(x) x + 1)", "@(x) x + 1"),
        ("feval(@plus, 1, 2)", 3),
        ("isempty({})", TRUE),
        ("iscellstr({'a', 1})", FALSE),
        ("getfield(struct('a', struct('b', 3)), 'a', 'b')", 3),
        ("setfield(struct('a', 1), 'a', 5)", {"a": double(5)}),
    ],
}


@pytest.mark.parametrize(
    ("call", "value"), [c for group in STATED.values() for c in group], ids=lambda v: v if isinstance(v, str) else ""
)
def test_functions_give_what_matlab_states(call, value):
    assert same(f"r = {call};", value)


@pytest.mark.parametrize(
    "call",
    [
        "reshape(1:6, 4, 2)",
        "permute([1 2], [1 1])",
        "cellfun(@(x) [x x], {1, 2})",
        "cellfun(@(x) x, {1, 'a'})",
        "cellfun(@numel, [1 2])",
        "cell2mat({1, 'a'})",
        "struct('a', {1, 2}, 'b', {1, 2, 3})",
        "struct('a')",
        "rmfield(struct('a', 1), 'b')",
        "strrep(1, 'a', 'b')",
        "upper(5)",
        "int8({1})",
        "zeros(2, 'nosuch')",
        "validatestring('q', {'a', 'b'})",
        "sqrt(int8(4))",
        "numel()",
        "floor(1, 2)",
        "cat(1, [1 2], [1 2 3])",
        "str2num('system(1)')",
        "regexp('a', '(')",
    ],
)
def test_wrong_arguments_are_errors_that_a_script_can_catch(call):
    assert run(f"r = {call};") is FAILED


def test_several_outputs_come_in_matlabs_order():
    assert same("[m, k] = min([4 2 8]); r = [m k];", [2, 2])
    assert same("[s, k] = sort([3 1 2]); r = [s; k];", [[1, 2, 3], [2, 3, 1]])
    assert same("[u, i, j] = unique([5 3 5]); r = j';", [2, 1, 2])
    assert same("[t, k] = ismember({'b', 'z'}, {'a', 'b'}); r = k;", [2, 0])
    assert same("[r, c] = find([0 1; 1 0]); r = [r c];", [[2, 1], [1, 2]])
    assert same("[a, b] = size(zeros(2, 3, 4)); r = [a b];", [2, 12])
    assert same("[x, y] = meshgrid(1:2, 1:3); r = size(x);", [3, 2])
    assert same("[x, y] = ndgrid(1:2, 1:3); r = size(x);", [2, 3])
    assert same("[d, n, e] = fileparts('/a/b/net.mat'); r = [d '|' n '|' e];", "/a/b|net|.mat")
    assert same("[a, b] = strtok('x=1', '='); r = b;", "=1")
    assert same("r = {max([3 1])};", cell(3))  # outputs that nobody asked for are none
    assert same("r = fullfile(fileparts('a/b.m'), 'c');", "a/c")


def test_random_numbers_come_down_the_columns_of_one_stream():
    first = run("rng(4); r = rand(2, 3);")
    assert np.array_equal(first.ravel(order="F"), run("rng(4); r = rand(1, 6);").ravel())
    assert np.array_equal(run("rng(4); a = rand; r = rand;"), first[1:2, :1])
    assert run("r = randn(100, 100, 'single');").dtype == np.float32
    drawn = run("r = randn(300, 300);")
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.02
    assert set(run("r = randi(3, 1, 200);").ravel()) == {1, 2, 3}
    assert sorted(run("r = randperm(5);").ravel()) == [1, 2, 3, 4, 5]


def test_rand_is_matlabs_own_for_a_seed():
    # The first three of rng(1, 'twister'), and rng('default')'s, in MATLAB's documentation and examples
    assert np.allclose(run("rng(1); r = rand(1, 3);"), [[0.4170, 0.7203, 0.0001]], atol=5e-5)
    assert np.allclose(run("rng('default'); r = rand(1, 5);"), [[0.8147, 0.9058, 0.1270, 0.9134, 0.6324]], atol=5e-5)


def test_a_seed_begins_the_stream_anew_and_a_state_can_be_kept():
    assert same("rng(3); a = rand; rng(3); r = double(a == rand);", 1)
    assert same("rng(3); s = rng; a = rand; rng(s); r = double(a == rand);", 1)
    assert same("randn('seed', 2); a = randn; randn('seed', 2); r = double(a == randn);", 1)


@pytest.mark.parametrize("number", ["2.5", "NaN", "Inf", "2i"])
def test_where_a_whole_number_is_right_no_other_is_taken(number):
    assert run(f"r = blanks({number});") is FAILED


def test_a_map_holds_values_by_reference():
    assert same("m = containers.Map(); n = m; n('a') = 3; r = m('a');", 3)
    assert same("m = containers.Map({'b', 'a'}, {1, 2}); r = m.keys();", cell("a", "b"))
    assert same("m = containers.Map({'b', 'a'}, {1, 2}); r = isKey(m, 'b');", TRUE)
    assert run("m = containers.Map(); r = m('none');") is FAILED
    assert same(
        "m = containers.Map({'b', 'a'}, {1, 2}); r = isKey(m, {'b', 'q', 'a'});", np.array([[True, False, True]])
    )
    assert same("m = containers.Map(); s.x = 1; m('a') = s; r = m('a').x;", 1)
    assert run("m = containers.Map(); s.x = 1; m('a') = s; m('a').x = 2; r = 1;") is FAILED  # only one level, in MATLAB


def test_what_exists_is_told_as_matlab_tells_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("")
    assert same("x = 1; r = exist('x');", 1)
    assert same("r = [exist('file.txt') exist('folder') exist('nothing') exist('folder', 'dir')];", [2, 7, 0, 7])
    assert same("r = exist('nothing', 'file');", 0)


def test_an_exception_can_be_made_thrown_and_read():
    assert same("try, throw(MException('a:b', 'n %d', 3)); catch e, r = [e.identifier ' ' e.message]; end", "a:b n 3")
    assert same("try, error('a:b', 'x'); catch e, r = class(e); end", "MException")
    assert same("try, assert(false, 'no %s', 'way'); catch e, r = e.message; end", "no way")
    assert same("try, f = @(x) x; f(1, 2); catch e, r = e.identifier; end", "MATLAB:TooManyInputs")


def test_an_expression_that_could_run_for_ever_is_refused():
    with pytest.raises(Refused, match="for ever"):
        run("r = regexp('aaaa', '(a*)*b');")


def test_what_is_left_out_is_named_and_not_guessed():
    for call in ("unique([1 2; 1 2], 'rows')", "num2str(1i)", "sprintf('%tx', 1)", "[1 2; 3 4] ^ 0.5"):
        with pytest.raises(NotSupported, match="not known here"):
            run(f"r = {call};")
    with pytest.raises(Refused):
        run("f = str2func('@(x) x');")


def test_arguments_of_the_wrong_kind_are_told_with_name_and_line():
    with pytest.raises(
        ScriptError, match=r"line 2: `r = ind2sub\(5\);`: ind2sub: it does not take what came \(1x1 double\)"
    ):
        run("x = 1;\nr = ind2sub(5);")


@pytest.mark.parametrize("call", ["double(1, true)", "eq(1, 1, 1)", "iscell(1, 2)", "sum(1, 2, 3)"])
def test_too_many_arguments_are_an_error(call):
    assert "too many input arguments" in run(f"try, {call}; catch e, r = e.message; end")


def test_every_builtin_counts_its_arguments():
    for name in ("floor", "upper", "fieldnames"):
        with pytest.raises(MatlabError, match="not enough input arguments"):
            table.TABLE[name](None, [], 1)
