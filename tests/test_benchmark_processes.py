"""Processes of contenders: their environment, their last line, what is kept of them."""

import json
import os
import subprocess

import pytest
from dagnet.tools.benchmark import machine, processes
from dagnet.tools.benchmark.processes import Finished, Task

TASK = Task("contenders", ("dagnet plain", "relu"), 3)


def test_threads_are_as_asked_for_and_hand_tuning_of_openblas_is_left_out(monkeypatch):
    seen = {}
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    def run(words, *, env, **_):
        seen.update(env, words=words)
        return subprocess.CompletedProcess(words, 0, 'a library greets\n{"a": 1}\n', "")

    monkeypatch.setattr(subprocess, "run", run)
    assert processes.output(TASK) == {"a": 1}
    assert seen["words"][1:] == ["-m", "dagnet.tools.benchmark.contenders", "dagnet plain", "relu"]
    assert "OPENBLAS_CORETYPE" not in seen and seen["PATH"] == os.environ["PATH"]
    assert [seen[name] for name in processes.THREADS] == ["3"] * 3


def test_what_has_finished_is_kept_until_it_is_forgotten(tmp_path):
    path = tmp_path / "kept.json"
    Finished(path, {"rounds": 1}).add(TASK, {"a": 1})
    again = Finished(path, {"rounds": 1})
    assert again.get(TASK) == {"a": 1} and again.get(TASK._replace(round=2)) is None
    assert Finished(path, {"rounds": 2}).get(TASK) is None
    again.forget()
    again.forget()
    assert not path.exists()


def test_without_a_file_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = Finished(None, {})
    finished.add(TASK, 1)
    finished.forget()
    assert len(finished) == 1 and not list(tmp_path.iterdir())


def test_the_machine_is_told_with_its_versions_and_the_kernels_of_its_blas():
    found = json.loads(json.dumps(machine.describe()))
    words = machine.in_words(found, 2)
    assert found["processor"] in words and "2 threads" in words and f"NumPy {found['numpy']}" in words
    assert found["blas"] and all("(" in blas for blas in found["blas"])


@pytest.mark.parametrize("absent", ["torch", "numba"])
def test_what_is_not_installed_is_said(absent):
    shown = {"torch": "no PyTorch", "numba": "no numba"}[absent]
    assert shown in machine.in_words(machine.describe() | {absent: None}, 1)


def test_another_state_of_the_code_is_another_fingerprint(tmp_path):
    (tmp_path / "a.py").write_text("1")
    before = machine.fingerprint(tmp_path)
    (tmp_path / "a.txt").write_text("1")
    assert machine.fingerprint(tmp_path) == before
    (tmp_path / "a.py").write_text("2")
    assert machine.fingerprint(tmp_path) != before
