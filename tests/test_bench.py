"""dagnet bench: what is measured in which order, what is written, going on after a stop, contenders that fail."""

import importlib.util
import json
import subprocess
from types import SimpleNamespace

import pytest
from dagnet.tools.benchmark import processes, works

from dagnet.tools import bench
from tests.verbs import call, refused

SETTINGS = {"threads": 2, "quick": False}
INSTALLED = {"torch", "numba"}


@pytest.fixture
def installed(monkeypatch):
    """Lets just these of torch and numba be found, whether they are installed or not."""
    find = importlib.util.find_spec

    def only(*names):
        found = {name: find("json") if name in names else None for name in INSTALLED}
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: found[name] if name in found else find(name, *rest)
        )

    return only


@pytest.fixture
def measured(monkeypatch):
    """The tasks whose processes were to run; each prints its one work's times, the machine what it is."""
    asked, output = [], processes.output

    def printed(task):
        if task.module == "machine":
            return output(task)
        asked.append(task)
        names = [word for word in task.words if word in works.WORKS]
        return {work: {"ms": {"step": [2.0, 3.0]}, "peak_mb": 100.0} for work in names}

    monkeypatch.setattr(processes, "output", printed)
    return asked


def test_contenders_take_turns_and_those_that_are_not_installed_stay_away(installed):
    installed("numba")
    tasks = bench.tasks(SimpleNamespace(work=["relu", "pool"], **SETTINGS), 2)
    group = works.GROUPS["layers"]
    words = ("pool", "relu", f"--steps={group.steps}", f"--warm={group.warm}")
    wanted = [("dagnet plain", 1), ("dagnet fast", 1), ("dagnet plain", 2), ("dagnet fast", 2)]
    assert tasks == [processes.Task("contenders", (name, *words), 2, turn) for name, turn in wanted]
    installed("torch")
    names = [task.words[0] for task in bench.tasks(SimpleNamespace(work=["conv"], **SETTINGS), 1)]
    assert names == ["dagnet plain", "dagnet exact", "PyTorch channels_last", "PyTorch contiguous"]


def test_the_step_is_measured_on_one_thread_too(installed):
    installed()
    tasks = bench.tasks(SimpleNamespace(work=["step"], **SETTINGS), 1)
    assert [(task.words[0], task.threads) for task in tasks] == [
        (name, threads) for threads in (2, 1) for name in ("dagnet plain", "dagnet exact")
    ]
    alone = bench.tasks(SimpleNamespace(work=["step"], threads=1, quick=False), 1)
    assert [task.threads for task in alone] == [1, 1]


def test_growth_is_measured_in_every_tier_at_every_size(installed):
    installed("numba", "torch")
    tasks = bench.tasks(SimpleNamespace(work=["growth"], **SETTINGS), 5)
    assert [task.words for task in tasks[:3]] == [
        ("dagnet plain", "96", "1"),
        ("dagnet fast", "96", "1"),
        ("dagnet plain", "128", "1"),
    ]
    assert ("dagnet fast", "128", "12") in [task.words for task in tasks]


def test_without_pytorch_its_own_figures_are_printed_and_written(tmp_path, capsys, installed):
    installed()
    out = tmp_path / "a/b"
    code, text, _ = call(capsys, "bench", "--work", "lrn", "--quick", "--threads", 1, "--out", out)
    assert code == 0 and "1 threads" in text and "PyTorch" in text and "dagnet plain" in text
    assert sorted(path.name for path in out.iterdir()) == ["bench.json", "bench.md"]
    assert (out / "bench.md").read_text().strip() in text
    results = json.loads((out / "bench.json").read_text())
    figures = results["works"]["lrn"]["steps"]["forward and backward"]
    assert list(figures) == ["dagnet plain"] and figures["dagnet plain"]["count"] == 2
    assert figures["dagnet plain"]["ms"] > 0.5 and 40 < results["works"]["lrn"]["peak_mb"]["dagnet plain"] < 4000


@pytest.mark.slow
def test_beside_pytorch_every_contender_of_every_work_has_figures_and_a_bar(tmp_path, capsys):
    pytest.importorskip("torch")
    code, _, _ = call(capsys, "bench", "--quick", "--out", tmp_path)
    results = json.loads((tmp_path / "bench.json").read_text())
    assert code == 0 and list(results["works"]) == list(works.WORKS) and results["growth"]
    for group in works.GROUPS.values():
        for work in group.works:
            for step in results["works"][work]["steps"].values():
                assert list(step) == bench._contenders(group)
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("bench.png", "growth.png"))


def test_a_run_that_was_stopped_goes_on_with_the_same_command(tmp_path, capsys, installed, measured, monkeypatch):
    installed()
    words = ("bench", "--work", "lrn", "relu", "--rounds", 3, "--threads", 1, "--out", tmp_path)
    answer = processes.output

    def stopped(task):
        if len(measured) == 2:
            raise KeyboardInterrupt
        return answer(task)

    monkeypatch.setattr(processes, "output", stopped)
    code, _, err = call(capsys, *words)
    assert code == 130 and "the same command goes on" in err and len(measured) == 2
    monkeypatch.setattr(processes, "output", answer)
    code, out, _ = call(capsys, *words)
    assert code == 0 and "after 2 processes" in out and len(measured) == 3
    assert (
        json.loads((tmp_path / "bench.json").read_text())["works"]["relu"]["steps"]["step"]["dagnet plain"]["count"]
        == 6
    )
    assert not (tmp_path / bench.UNFINISHED).exists()
    call(capsys, *words)
    assert len(measured) == 6  # what is whole is measured anew


def test_what_is_left_of_a_run_with_other_settings_is_not_used(tmp_path, capsys, installed, measured):
    installed()
    left = {"settings": {"rounds": 3}, "finished": {"contenders dagnet plain relu": 1}}
    (tmp_path / bench.UNFINISHED).write_text(json.dumps(left))
    _, out, _ = call(capsys, "bench", "--work", "relu", "--rounds", 1, "--out", tmp_path)
    assert len(measured) == 1 and "going on" not in out


def test_an_unknown_work_is_refused_with_those_that_are_known(capsys):
    assert refused(
        call(capsys, "bench", "--work", "convolve"), "--work", "invalid choice: 'convolve'", "growth", "bnorm"
    )


@pytest.mark.parametrize(
    ("stderr", "says"), [("Traceback\nImportError: no torch\n", "ImportError: no torch"), ("", "ended with code -9")]
)
def test_a_contender_that_fails_is_named_with_what_it_said(capsys, monkeypatch, stderr, says):
    failing = subprocess.CompletedProcess([], -9, "", stderr)
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda words, **rest: run(words, **rest) if "machine" in words[2] else failing
    )
    assert refused(call(capsys, "bench", "--work", "lrn"), "the process of dagnet plain lrn", says)


@pytest.mark.parametrize("option", ["--rounds", "--threads"])
def test_none_of_something_is_refused(capsys, option):
    assert refused(call(capsys, "bench", option, 0), f"{option}: it is '0'")


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was measured first"))
    (tmp_path / "file").touch()
    assert refused(call(capsys, "bench", "--out", tmp_path / "file"), tmp_path, "is a file")
