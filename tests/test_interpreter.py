"""dagnet.mscript.interpreter: statements, functions, scopes, errors; scripts as labs write them."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet import mscript
from dagnet.mscript import LimitReached, Limits, MatlabError, NotSupported, ScriptError, interpreter, parser
from tests.snippets import cell, double, run, same


def function(tmp_path, text, name="f", *args, **options):
    """What the file's main function gives."""
    path = tmp_path / f"{name}.m"
    path.write_text(text)
    return mscript.run(path, None, *args, **options)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("r = 0; for i = [1 2; 3 4], r = r + i(1) * i(2); end", 11),
        ("r = ''; for c = {'a', 'b'}, r = [r c{1}]; end", "ab"),
        ("r = 0; for s = struct('a', {1, 2}), r = r + s.a; end", 3),
        ("r = 0; while true, r = r + 1; if r == 3, break, end, end", 3),
        ("r = 0; for i = 1:4, if mod(i, 2), continue, end, r = r + i; end", 6),
        ("r = 0; for i = zeros(1, 0), r = 1; end", 0),
        ("r = 5; if [], r = 1; elseif 0, r = 2; else, r = 3; end", 3),
        ("switch lower('Gaussian'), case 'gaussian', r = 1; case {'xavier', 'x'}, r = 2; otherwise, r = 3; end", 1),
        ("switch 'x', case {'xavier', 'x'}, r = 2; otherwise, r = 3; end", 2),
        ("switch 7, case {1, 7}, r = 2; otherwise, r = 3; end", 2),
        ("switch 7, case 'a', r = 2; end, r = 4;", 4),
        ("try, error('net:bad', 'size %d', 3); catch err, r = err.message; end", "size 3"),
        ("try, error('net:bad', 'size %d', 3); catch err, r = err.identifier; end", "net:bad"),
        ("try, error('just %d'); catch err, r = err.message; end", "just %d"),
        ("try, x = undefinedvar_; undefinedvar_ = 1; catch err, r = 1; end", 1),
        ("try, try, error('a'); catch e, rethrow(e); end, catch f, r = f.message; end", "a"),
        ("try, error(struct('message', 'm', 'identifier', 'a:b')); catch e, r = e.identifier; end", "a:b"),
        ("r = 0; try, r = 1; catch, r = 2; end", 1),
        ("3; r = ans + 1;", 4),
        ("[m, i] = max([3 9 2]); r = [m i];", [9, 2]),
        ("[~, i] = max([3 9 2]); r = i;", 2),
        ("[a, b] = deal(1, 2); r = a + b;", 3),
        ("c = {}; [c{1:2}] = deal(1, 2); r = c;", cell(1, 2)),
        ("c = {1, 2}; [a, b] = c{:}; r = b;", 2),
        ("r = 0; if false || (true && ~isempty('a')), r = 1; end", 1),
        ("x = []; r = 0; if isempty(x) || x(1) > 3, r = 1; end", 1),
    ],
)
def test_statements_do_what_they_do_in_matlab(code, value):
    assert same(code, value)


def test_functions_take_and_give_any_number(tmp_path):
    text = """
    function r = f(varargin)
    [a, b] = g(varargin{:});
    r = {nargin, a, b, h()};
    function varargout = g(first, varargin)
    varargout = {numel(varargin), nargout};
    function r = h(x)
    r = 'none';
    if nargin > 0, r = x; end
    """
    found = function(tmp_path, text, "f", 1, "a", [1, 2])
    assert [v if isinstance(v, str) else v.item() for v in found.ravel()] == [3, 2, 2, "none"]


def test_a_functions_variables_are_its_own(tmp_path):
    text = "function r = f()\nx = 1;\ng();\nr = x;\nfunction g()\nx = 2;\n"
    assert function(tmp_path, text).item() == 1


def test_a_nested_function_shares_the_outer_ones_variables(tmp_path):
    text = """
    function out = f()
    net.layers = {};
    last.var = 'input';
    function add(name, varargin)
      args.relu = true;
      net.layers{end+1} = struct('name', name, 'input', last.var);
      last.var = name;
    end
    for s = 1:2
      add(sprintf('conv%d', s), 'x');
    end
    net.last = last.var;
    net.seen = exist('args', 'var');
    out = {net};
    end
    """
    net = function(tmp_path, text).item()
    assert net["last"] == "conv2"
    assert [layer["input"] for layer in net["layers"].ravel()] == ["input", "conv1"]
    assert net["seen"].item() == 0  # a nested function's own variables stay in it


def test_handles_of_nested_functions_keep_their_variables(tmp_path):
    text = """
    function r = f()
    count = 0;
    function up(), count = count + 1; end
    h = @up;
    h(); h();
    r = count;
    end
    """
    assert function(tmp_path, text).item() == 2


def test_an_anonymous_function_reaches_nested_functions_and_their_variables(tmp_path):
    text = """
    function r = f()
    total = 0;
    function add(x), total = total + x; end
    g = @(x) add(x);
    cellfun(g, {1, 2, 4});
    r = total;
    end
    """
    assert function(tmp_path, text).item() == 7


def test_persistent_and_global_variables_stay(tmp_path):
    text = """
    function r = f()
    global G
    G = 10;
    r = [count() count() count() other()];
    function r = count()
    persistent n
    if isempty(n), n = 0; end
    n = n + 1; r = n;
    function r = other()
    global G
    r = G;
    """
    assert function(tmp_path, text).tolist() == [[1, 2, 3, 10]]


def test_files_beside_the_script_are_called(tmp_path):
    (tmp_path / "double_it.m").write_text(
        "function r = double_it(x)\nr = helper(x);\nfunction r = helper(x)\nr = 2 * x;\n"
    )
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "hidden.m").write_text("function r = hidden()\nr = 5;\n")
    assert function(tmp_path, "function r = f()\nr = double_it(3) + hidden();\n").item() == 11


def test_a_script_beside_the_script_has_its_variables(tmp_path):
    (tmp_path / "setup_opts.m").write_text("opts.width = 4;\n")
    assert function(tmp_path, "function r = f()\nsetup_opts;\nr = opts.width;\n").item() == 4


def test_a_function_of_the_file_can_be_asked_for(tmp_path):
    path = tmp_path / "f.m"
    path.write_text("function r = f()\nr = 1;\nfunction r = g(x)\nr = x + 1;\n")
    assert mscript.run(path, "g", 4).item() == 5
    assert mscript.run(path, "g", 4, nargout=1).item() == 5
    with pytest.raises(NotSupported, match="it has f, g"):
        mscript.run(path, "h")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("function r = f()\nr = g(1, 2);\nfunction r = g(x)\nr = x;\n", "Too many input"),
        ("function r = f()\n[a, b] = g();\nfunction r = g()\nr = 1;\n", "Too many output"),
        ("function r = f()\nr = g();\nfunction r = g()\nx = 1;\n", "'r' .* not assigned"),
        ("function r = f()\nr = g();\nfunction g()\nx = 1;\n", "Too many output"),
        ("function r = f()\nr = g();\nfunction r = g(x)\nr = x;\n", "'x'"),
    ],
)
def test_calls_with_wrong_numbers_are_errors(tmp_path, text, words):
    with pytest.raises(MatlabError, match=words):
        function(tmp_path, text)


def test_an_error_names_file_line_and_text(tmp_path):
    text = "function r = f()\nx = 1:3;\n\n  r = x(9);\n"
    with pytest.raises(MatlabError) as failure:
        function(tmp_path, text)
    assert str(failure.value).startswith(f"{tmp_path / 'f.m'}, line 4: `r = x(9);`: Index exceeds")


def test_an_error_within_a_call_names_the_innermost_line(tmp_path):
    text = "function r = f()\nr = g();\nfunction r = g()\nerror('no %s', 'way');\n"
    with pytest.raises(MatlabError, match=r"line 4: `error.*no way"):
        function(tmp_path, text)


@pytest.mark.parametrize("name", ["quux", "some.pack.age"])
def test_what_is_not_known_is_named_with_the_way_to_supply_it(tmp_path, name):
    with pytest.raises(NotSupported) as failure:
        function(tmp_path, f"function r = f()\nr = 1;\nr = {name}(3);\n")
    assert failure.value.place.line == 3
    assert f"--define {name}=module:function" in str(failure.value)


def test_try_does_not_hide_what_is_not_known(tmp_path):
    with pytest.raises(NotSupported, match="quux"):
        run("try, r = quux(3); catch, r = 1; end")


def test_a_defined_function_is_called_with_matlabs_values():
    assert same_with("r = twice(4);", 8, define={"twice": lambda x: 2 * x})
    assert same_with("r = lab.width();", 3, define={"lab.width": lambda: 3})
    assert same_with("[a, b] = two(); r = a + b;", 3, define={"two": lambda: (1, 2)})
    assert same_with("r = hypot_(3, 4);", 5, define={"hypot_": "numpy:hypot"})
    with pytest.raises(ValueError, match="module:function is right"):
        run("r = 1;", define={"x": "math.hypot"})


def same_with(code, value, **options):
    return np.array_equal(run(code, **options), double(value))


def test_an_error_of_dagnets_own_is_told_with_the_line():
    def fails():
        raise ValueError("conv: it has no option 'q'")

    with pytest.raises(ScriptError, match=r"line 2: `r = fails\(\);`: conv: it has no option 'q'"):
        run("x = 1;\nr = fails();", define={"fails": fails})


def test_without_a_semicolon_the_value_is_written():
    out = StringIO()
    machine = interpreter.Interpreter(Path(), output=out)
    file = parser.parse_text("x = 3\ny = 'a'\nz = [1 2];\ndisp(pi)\nfprintf('%d\\n', 7)", "s.m")
    machine.run_script(file.main)
    assert out.getvalue() == "x = 3\ny = a\n3.1416\n7\n"


def test_anonymous_functions_capture_values_when_they_are_made():
    assert same("k = 2; f = @(x) k * x; k = 9; r = f(3);", 6)
    assert same("f = @(varargin) numel(varargin); r = f(1, 2, 3);", 3)
    assert same("f = @(x) cellfun(@(y) y + x, {1, 2}); r = f(10);", [11, 12])


IDIOMS = """
function out = init(varargin)
opts.scale = 1 ; opts.weightInitMethod = 'xavier' ; opts.bn = true ;
for k = 1:2:numel(varargin), opts.(varargin{k}) = varargin{k+1} ; end
net.layers = {} ;
net = add_block(net, opts, '1', 3, 3, 3, 8, 2, [0 1 0 1]) ;
net = add_block(net, opts, '2', 3, 3, 8, 4, 1, 1) ;
net.layers(end) = [] ; % the last relu
net.layers{end}.name = 'last' ;
net.layers = horzcat(net.layers(1:2), struct('type', 'dropout', 'rate', 0.5), net.layers(3:end)) ;
net.meta.trainOpts.learningRate = logspace(-2, -4, 3) ;
net.meta.normalization.imageSize = [227, 227, 3] ;
net.meta.normalization.cropSize = net.meta.normalization.imageSize(1) / 256 ;
net.meta.inputSize = [net.meta.normalization.imageSize, 32] ;
net.names = cellfun(@(l) l.type, net.layers, 'UniformOutput', false) ;
net.convs = find(cellfun(@(l) strcmp(l.type, 'conv'), net.layers)) ;
out = {net} ; % in a cell, so that it comes as it is

function net = add_block(net, opts, id, h, w, in, out, stride, pad)
net.layers{end+1} = struct('type', 'conv', 'name', sprintf('%s%s', 'conv', id), ...
                           'weights', {{init_weight(opts, h, w, in, out, 'single'), ...
                             ones(out, 1, 'single')*0.1}}, ...
                           'stride', stride, ...
                           'pad', pad, ...
                           'opts', {{'CudnnWorkspaceLimit', 1024}}) ;
if opts.bn
  net.layers{end+1} = struct('type', 'bnorm', 'weights', {{ones(out, 1, 'single'), zeros(out, 1, 'single')}}) ;
end
net.layers{end+1} = struct('type', 'relu', 'name', sprintf('relu%s',id)) ;

function weights = init_weight(opts, h, w, in, out, type)
switch lower(opts.weightInitMethod)
  case 'gaussian'
    sc = 0.01/opts.scale ;
    weights = randn(h, w, in, out, type)*sc;
  case {'xavier', 'xavierimproved'}
    sc = sqrt(3/(h*w*in)) ;
    weights = (rand(h, w, in, out, type)*2 - 1)*sc ;
  otherwise
    error('Unknown weight initialization method''%s''', opts.weightInitMethod) ;
end
"""


def test_an_initialiser_in_matconvnets_manner_makes_its_structs(tmp_path):
    net = function(tmp_path, IDIOMS, "init", seed=3).item()
    assert list(net["names"].ravel()) == ["conv", "bnorm", "dropout", "relu", "conv", "bnorm"]
    assert net["convs"].tolist() == [[1, 5]]
    first = net["layers"][0, 0]
    assert first["weights"].shape == (1, 2) and first["weights"][0, 0].shape == (3, 3, 3, 8)
    assert first["weights"][0, 0].dtype == np.float32 and first["weights"][0, 1].shape == (8, 1)
    assert np.abs(first["weights"][0, 0]).max() <= np.sqrt(3 / 27)
    assert first["opts"].shape == (1, 2) and first["opts"][0, 0] == "CudnnWorkspaceLimit"
    assert first["pad"].tolist() == [[0, 1, 0, 1]]
    assert net["layers"][0, -1]["name"] == "last"
    assert net["meta"]["inputSize"].tolist() == [[227, 227, 3, 32]]
    assert net["meta"]["normalization"]["cropSize"].item() == 227 / 256
    with pytest.raises(MatlabError, match="Unknown weight initialization method'other'"):
        function(tmp_path, IDIOMS, "init", "weightInitMethod", "other")


def test_the_same_seed_gives_the_same_numbers(tmp_path):
    first, again, other = (
        function(tmp_path, IDIOMS, "init", seed=s).item()["layers"][0, 0]["weights"][0, 0] for s in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_loop_without_end_is_stopped():
    with pytest.raises(LimitReached, match="instructions"):
        run("while true, end", limits=Limits(instructions=10_000))


def test_recursion_without_end_is_stopped(tmp_path):
    with pytest.raises(LimitReached, match="recursion"):
        function(tmp_path, "function r = f()\nr = f();\n")
    count = "function r = f(n)\nif nargin < 1, n = 9; end, r = n;\nif n > 0, r = f(n - 1); end\n"
    assert function(tmp_path, count, limits=Limits(recursion=10)).item() == 0
    with pytest.raises(LimitReached, match="deeper than 9"):
        function(tmp_path, count, limits=Limits(recursion=9))
    with pytest.raises(LimitReached, match="recursion"):
        run("f = @(g) g(g); r = f(f);")
