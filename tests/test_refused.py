"""dagnet.mscript.refused: a stranger's script can neither write, start, reach out, nor run for ever."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet import mscript
from dagnet.files import matfile
from dagnet.mscript import LimitReached, Limits, Refused, ScriptError, refused
from tests.snippets import run


@pytest.mark.parametrize(
    "code",
    [
        "system('touch made');",
        "!touch made",
        "unix('touch made');",
        "x = 1; save('made', 'x');",
        "save made",
        "fid = fopen('made', 'w');",
        "eval('r = 1;');",
        "evalc('r = 1;');",
        "mkdir('made');",
        "delete('kept');",
        "delete kept",
        "urlwrite('http://localhost/x', 'made');",
        "websave('made', 'http://localhost/x');",
        "untar('http://localhost/x.tar');",
        "imwrite(zeros(3), 'made');",
        "f = @system; f('touch made');",
        "feval('system', 'touch made');",
        "feval(@delete, 'kept');",
        "cellfun(@delete, {'kept'});",
        "cellfun('delete', {'kept'}, 'UniformOutput', false);",
        "f = str2func('delete'); f('kept');",
        "f = str2func('@(x) delete(x)'); f('kept');",
        "java.lang.System.exit(0);",
        "try, system('touch made'); catch, end",
        "movefile('kept', 'made');",
        "load('kept');",
        "load kept -ascii",
        "x = load('kept.txt');",
    ],
)
def test_what_is_refused_is_not_done(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("kept").write_text("kept")
    Path("kept.txt").write_text("1 2 3")
    for name in ("run", "Popen", "call"):
        monkeypatch.setattr(subprocess, name, lambda *a, **k: pytest.fail("a process was started"))
    with pytest.raises((Refused, ScriptError)):
        run(code)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept", "kept.txt"]


def test_a_refusal_names_the_function_the_reason_and_the_line():
    with pytest.raises(Refused, match=r"line 2: `system\('ls'\);`: system is refused: it starts processes"):
        run("x = 1;\nsystem('ls');")


def test_every_refused_name_has_a_reason_and_no_builtin():
    assert all(reason.startswith("it ") for reason in refused.REASONS.values())
    assert not set(refused.REASONS) & set(mscript.check.table.TABLE)


DOWNLOAD = """
opts.path = fullfile('data', 'models', 'vgg.mat');
if ~exist(opts.path, 'file')
  fprintf('downloading\\n');
  mkdir(fileparts(opts.path));
  urlwrite('http://host/vgg.mat', opts.path);
end
net = load(opts.path);
r = net.x;
"""


def test_a_download_is_explained_and_not_performed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused) as failure:
        run(DOWNLOAD)
    assert "put 'data/models/vgg.mat' there by hand (it comes from http://host/vgg.mat)" in str(failure.value)
    assert "--weights" in str(failure.value)
    assert not list(tmp_path.iterdir())


def test_a_download_is_not_needed_where_the_file_is_there_or_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "mine.mat"
    matfile.write(weights, {"x": np.array([[7.0]])})
    assert run(DOWNLOAD, weights=weights).item() == 7
    (tmp_path / "data" / "models").mkdir(parents=True)
    matfile.write(tmp_path / "data" / "models" / "vgg.mat", {"x": np.array([[8.0]])})
    assert run(DOWNLOAD).item() == 8


def test_weights_stand_for_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "mine.mat"
    matfile.write(weights, {"x": np.array([[7.0]])})
    code = "a = exist('data', 'dir'); b = load(fullfile('data', 'vgg')); r = [a b.x];"
    assert run(code, weights=weights).tolist() == [[0, 7]]


def test_weights_stand_for_one_file_alone(tmp_path):
    weights = tmp_path / "mine.mat"
    matfile.write(weights, {"x": np.array([[7.0]])})
    found = run("a = load('vgg.mat'); try, load('other.mat'); catch e, r = e.message; end", weights=weights)
    assert "'other.mat': it is not there" in found


@pytest.mark.parametrize(
    "code",
    [
        "while true, end",
        "for i = 1:1e9, end",
        "x = zeros(1e6, 1e6);",
        "x = 1; while 1, x = [x x]; end",
        "x = 'a'; while 1, x = [x x]; end",
        "x = 'aa'; while 1, x = strrep(x, 'a', 'aa'); end",
        "x = {}; x{1e10} = 1;",
        "x(1e10).a = 1;",
        "x = repmat('a', 1e6, 1e6);",
        "x = repmat({1}, 1e5, 1e5);",
        "x = 1:1e12;",
        "x = 1:Inf;",
        "c = {}; while 1, c{end + 1} = zeros(1000); end",
        "x = ones(1e5, 1) + ones(1, 1e6);",
        "x = ones(1e5, 1) * ones(1, 1e6);",
        "x = rand(1e5, 1e6);",
        "x = linspace(0, 1, 1e12);",
        "x = num2cell(zeros(1e4, 5e4));",
        "x = cell(1e5, 1e5);",
        "x = kron(ones(1e4), ones(1e4));",
        "f = @(f) f(f); f(f);",
        "x = repmat('a', 1, 5000); r = regexp(x, 'a*a*a*a*b', 'match');",
        "x = repmat('a', 1, 40); r = regexp(x, '(a+)+$', 'match');",
        "x = repmat('a', 1, 40); r = regexp(x, '(a|aa)+$', 'match');",
        "x = {}; while 1, x{end + 1} = x; end",
        "x = sprintf('%d,', ones(1000));",
        "x = sum(zeros(0, 1e10));",
        "x = reshape([], 0, 1e10); x = any(x);",
        "x = repmat(zeros(0, 1), 1, 1e10); x = any(x);",
        "x = cell(0, 1e10);",
        "x = zeros(1e10, 0); x(1:2, :) = [];",
        "x = num2str(ones(1000));",
        "x = mat2str(ones(1000));",
        "x = dec2bin(1, 1e9);",
        "x = strsplit(repmat('a,', 1, 1e6), ',');",
        "x = 1; while 1, x = {x}; end",
        "s = struct(); while 1, s.a = s; end",
        "m = containers.Map(); while 1, m('a') = {m}; n = containers.Map(); n('b') = {m}; m = n; end",
        "x = {1}; y = {1}; for k = 1:60, x = {x, x}; y = {y, y}; end, r = isequal(x, y);",
    ],
)
def test_nothing_runs_for_ever_or_fills_the_memory(code):
    with pytest.raises((LimitReached, Refused)):
        run(code, limits=Limits(instructions=100_000, memory=200 << 20))


def test_a_folder_to_be_made_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"mkdir is refused: .*make 'data/exp' by hand and run again"):
        run("d = fullfile('data', 'exp'); if ~exist(d, 'dir'), mkdir(d); end")
    (tmp_path / "data" / "exp").mkdir(parents=True)
    assert run("d = fullfile('data', 'exp'); if ~exist(d, 'dir'), mkdir(d); end, r = 1;").item() == 1


def test_cells_are_nested_as_deeply_as_can_be_freed():
    assert run("x = {}; for k = 1:98, x = {x}; end, r = iscell(x);").item()
    with pytest.raises(LimitReached, match="its cells and structs are nested more than 100 deep"):
        run("x = {}; for k = 1:200, x = {x}; end")
    with pytest.raises(LimitReached, match="nested more than 100 deep"):
        run("s.a = 1; for k = 1:200, [t, s.a] = deal(1, s); end")


def test_a_text_takes_no_more_memory_than_it_may():
    with pytest.raises(LimitReached, match="a 1x4194304 array has no room"):
        run("x = 'a'; for k = 1:22, x = [x x]; end", limits=Limits(memory=16_000_000))
    with pytest.raises(LimitReached, match="a 1x1048577 array has no room"):
        run("x = repmat('a', 1, 2^20); x = [x 98];", limits=Limits(memory=16_000_000))


def test_arrays_that_are_gone_give_their_room_back():
    code = "for k = 1:100, x = zeros(1000, 1000); end, r = 1;"
    assert run(code, limits=Limits(memory=40 << 20)).item() == 1
