"""dagnet.mscript.check: all that would not run, at once and with its line, and nothing else."""

import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.mscript import check

SCRIPT = """function net = lab(varargin)
opts.width = 4 ;
opts = vl_argparse(opts, varargin) ;
net = their_start(opts) ;
names = cellfun(@(layer) their_name(layer, opts), net.layers, 'UniformOutput', false) ;
h = @their_handle ;
system('ls') ;
p = their.package.call(3) ;
spmd, q = 1 ; end
if ~exist('vgg.mat', 'file')
  mkdir('models') ;
  urlwrite('http://host/vgg.mat', 'vgg.mat') ;
end
z = local(names) ;

function r = local(x)
r = numel(x) + beside(x) + inner ;
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "beside.m").write_text("function r = beside(x)\nr = deeper(x) ;\n")
    path = tmp_path / "lab.m"
    path.write_text(SCRIPT)
    return path


def test_everything_is_listed_at_once(script):
    found = [(f.place.line, f.name) for f in check.check(script) if not f.condition]
    assert found == [
        (4, "their_start"),
        (5, "their_name"),
        (6, "their_handle"),
        (7, "system"),
        (8, "their"),
        (9, ""),
        (17, "inner"),
        (2, "deeper"),
    ]


def test_a_finding_says_file_line_text_and_remedy(script):
    first = check.check(script)[0]
    assert str(first).startswith(f"{script}, line 4: `net = their_start(opts) ;`: 'their_start' is neither")
    assert "--define their_start=module:function" in str(first)
    assert check.check(script)[-1].place.file.endswith("beside.m")


def test_a_download_step_is_marked_as_only_taken_where_the_file_is_missing(script):
    guarded = [f for f in check.check(script) if f.condition]
    assert [f.name for f in guarded] == ["mkdir", "urlwrite"]
    assert "only where that file is not there" in str(guarded[0])


def test_what_is_defined_is_not_listed(script):
    names = ("their_start", "their_name", "their_handle", "their.package.call", "inner", "deeper")
    left = check.check(script, dict.fromkeys(names, print))
    assert [f.name for f in left if not f.condition] == ["system", ""]


def test_a_file_without_fault_gives_no_findings(tmp_path):
    path = tmp_path / "fine.m"
    path.write_text(
        "function r = fine(varargin)\nglobal G\npersistent p\n[a, ~] = size(varargin);\nfor k = 1:3, x(k).y = k; end\n"
        "f = @(u, v) u + v + a;\ntry, r = f(1, 2); catch err, disp(err.message); end\nclear x\n"
        "r = helper() + G + p + inner();\n"
        "if 0, never_(1); elseif r, r = 2; end\n"
        "function w = inner(), w = end_of; end\nend_of = 1;\nend\nfunction r = helper()\nr = 1;\nend\n"
    )
    assert check.check(path) == []


def test_text_that_is_no_matlab_is_a_finding(tmp_path):
    (tmp_path / "broken.m").write_text("function broken()\nx = (1;\n")
    path = tmp_path / "lab.m"
    path.write_text("function lab()\nbroken();\n")
    (found,) = check.check(path)
    assert found.place.file.endswith("broken.m") and "not MATLAB" in found.why


def test_variables_of_a_file_that_is_loaded_are_not_guessed_about(tmp_path):
    path = tmp_path / "lab.m"
    path.write_text("load('vgg.mat');\nnet = layers;\n")
    assert check.check(path) == []


def test_what_keeps_nothing_from_running_is_told_apart(tmp_path):
    path = tmp_path / "lab.m"
    path.write_text(
        "function lab\nnet.layers = {} ;\nimdb = read_all() ;\ntrainer = @cnn_train ;\n"
        "net = trainer(net, imdb, @(imdb, k) batch(imdb, k)) ;\nshow(net) ;\nend\n"
        "function imdb = read_all()\nimdb = imread('a.png') ;\nend\n"
        "function x = batch(imdb, k)\nx = their_batch(imdb, k) ;\nend\n"
        "function idle()\ngca ;\nend\n"
        "function show(net)\nvl_tshow(net) ;\nbeside() ;\nend\n"
    )
    (tmp_path / "beside.m").write_text("function beside\ndrawing ;\n")
    left_out = "left out: the network does not hang on it"
    assert [(f.name, f.condition) for f in check.check(path)] == [
        ("imread", left_out),
        ("their_batch", left_out),
        ("gca", "only in idle, which nothing here calls"),
        ("vl_tshow", left_out),
        ("drawing", left_out),
    ]
    path.write_text(path.read_text().replace("net.layers = {}", "net.layers = {read_all()}"))
    assert [f.name for f in check.check(path) if not f.condition] == ["imread"]
