"""dagnet.layers.kernels.cpu.loops: numba's code is kept, works where it cannot be kept, and compiling is announced once."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba")

from dagnet.layers.kernels.cpu import loops

SOURCE = """
from dagnet.layers.kernels.cpu import loops

@loops.compiled
def double(x):
    for i in range(len(x)):
        x[i] = 2 * x[i]

@loops.compiled(fastmath={"contract"})
def half(x):
    for i in range(len(x)):
        x[i] = x[i] / 2
"""
RUN = """
import numpy as np, kept
x = np.ones(3)
kept.double(x); kept.half(x); kept.double(x)
print(x.tolist())
"""


def started(folder):
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r})\n{RUN}"], capture_output=True, text=True
    )


def test_compiling_is_said_once_and_loading_from_the_cache_not_at_all(tmp_path):
    (tmp_path / "kept.py").write_text(SOURCE)
    first, second = started(tmp_path), started(tmp_path)
    assert first.stdout == second.stdout == "[2.0, 2.0, 2.0]\n"
    assert first.stderr.count("dagnet: numba compiles the fast kernels once") == first.stderr.count("\n") == 1
    assert second.stderr == ""


def test_where_no_folder_can_be_written_the_loop_is_compiled_all_the_same_and_that_is_said(
    tmp_path, monkeypatch, capsys
):
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    monkeypatch.setattr(loops.word, "said", False)
    monkeypatch.setattr(loops.word, "kept", True)
    (tmp_path / "unkept.py").write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("unkept", tmp_path / "unkept.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = np.ones(2)
    module.double(x)
    assert x.tolist() == [2, 2]
    assert "kernels in every run" in (said := capsys.readouterr().err) and "NUMBA_CACHE_DIR" in said


def test_a_division_by_zero_is_no_error():
    loop = loops.compiled(lambda x: x / 0.0)
    assert loop(1.0) == np.inf


def test_a_loop_lets_go_of_the_interpreters_lock():
    assert loops.compiled(lambda x: x).targetoptions["nogil"]
