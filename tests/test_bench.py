"""dagnet bench: the table, the figures written, contenders that fail."""

import importlib.util
import json
import subprocess

import pytest

from dagnet.tools import bench, contenders
from tests.verbs import call, refused


@pytest.fixture
def without_torch(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))


def figures(ms, peak_mb):
    return {"ms": ms, "least": ms - 1, "most": ms + 1, "peak_mb": peak_mb, "processes": 1}


def test_ratios_are_to_pytorch_in_the_format_in_which_it_is_faster():
    measured = {
        "dagnet": figures(300.0, 500.0),
        "PyTorch, channels_last": figures(200.0, 1000.0),
        "PyTorch, contiguous": figures(250.0, 800.0),
    }
    lines = bench.table({"work": "a step", "machine": "this", "numpy": "2", "figures": measured}).splitlines()
    assert lines[0] == "a step; this; NumPy 2"
    assert lines[2].split() == ["dagnet", "300.0", "299.0", "301.0", "500", "1.50", "0.50"]
    assert lines[3].split()[-2:] == ["1.00", "1.00"] and lines[4].split()[-2:] == ["1.25", "0.80"]
    assert lines[5] == "time and memory: as a ratio to PyTorch, channels_last"


def test_a_figure_is_the_median_over_all_steps_of_all_rounds():
    runs = [{"ms": [5.0, 1.0, 2.0], "peak_mb": 100.0}, {"ms": [3.0, 4.0], "peak_mb": 300.0}]
    assert bench._figures(runs) == {"ms": 3.0, "least": 1.0, "most": 5.0, "peak_mb": 200.0, "processes": 2}


def test_without_pytorch_its_own_figures_are_printed_and_written(tmp_path, capsys, without_torch):
    file = tmp_path / "a/bench.json"
    options = ["--rounds", 1, "--steps", 1, "--threads", 1, "--json", file]
    code, out, _ = call(capsys, "bench", "--work", "lrn", "step", *options)
    assert code == 0 and out.count("PyTorch is not installed") == 2 and "1 threads" in out
    results = json.loads(file.read_text())
    assert list(results) == ["lrn", "step"]
    for name, table in zip(results, out.split("\n\n"), strict=True):
        assert list(results[name]["figures"]) == ["dagnet"] and results[name]["torch"] is None
        measured = results[name]["figures"]["dagnet"]
        assert measured["ms"] > 1 and 40 < measured["peak_mb"] < 4000
        assert table.startswith(contenders.WORKS[name].what)
        assert f"{measured['ms']:.1f}" in table.splitlines()[3]


def test_every_work_is_measured_unless_some_are_named(capsys, monkeypatch, without_torch):
    asked = []
    monkeypatch.setattr(bench, "_process", lambda *a: asked.append(a) or {"ms": [1.0], "peak_mb": 1.0})
    assert call(capsys, "bench", "--rounds", 2)[0] == 0
    assert [(work, name) for work, name, *_ in asked] == [(work, "dagnet") for work in contenders.WORKS for _ in "12"]
    assert refused(call(capsys, "bench", "--work", "conv"), "--work", "invalid choice: 'conv'")


@pytest.mark.slow
def test_beside_pytorch_each_contender_has_a_line(tmp_path, capsys):
    pytest.importorskip("torch")
    code, out, _ = call(capsys, "bench", "--rounds", 1, "--steps", 1, "--json", tmp_path / "bench.json")
    assert code == 0 and out.count("as a ratio to PyTorch") == len(contenders.WORKS)
    results = json.loads((tmp_path / "bench.json").read_text())
    for name, work in contenders.WORKS.items():
        assert list(results[name]["figures"]) == list(work.contenders())


@pytest.mark.parametrize(
    ("stderr", "says"), [("Traceback\nImportError: no torch\n", "ImportError: no torch"), ("", "ended with code -9")]
)
def test_a_contender_that_fails_is_named_with_what_it_said(capsys, monkeypatch, without_torch, stderr, says):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -9, "", stderr))
    assert refused(call(capsys, "bench"), "the process of dagnet (step) failed", says)


@pytest.mark.parametrize("option", ["--rounds", "--steps", "--threads"])
def test_none_of_something_is_refused(capsys, option):
    assert refused(call(capsys, "bench", option, 0), f"{option}: it is '0'")


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was measured first"))
    assert refused(call(capsys, "bench", "--json", tmp_path), tmp_path, "it is a folder")
