"""dagnet.layers.kernels: which twins serve which arrays, and when the plain code is to run."""

import sys

import numpy as np
import pytest

from dagnet.layers import kernels, settings


@pytest.fixture
def twins(monkeypatch):
    """serving() with numba and with a twin for every op, which says what was asked for."""
    monkeypatch.setattr(kernels, "has_numba", lambda: True)
    monkeypatch.setattr(kernels, "_twins", lambda device, op: f"{device}/{op}")


def test_numpy_arrays_of_one_precision_are_served_by_the_cpu(twins):
    single, double = np.ones(3, np.float32), np.ones(3)
    assert kernels.serving("pool", single) == kernels.serving("pool", double, double) == "cpu/pool"
    assert kernels.serving("pool", single, double) is None
    assert kernels.serving("pool", np.ones(3, int)) is None


def test_the_plain_code_runs_where_fast_is_off_or_numba_is_missing(twins, monkeypatch):
    x = np.ones(3)
    with settings.using(fast=False):
        assert kernels.serving("pool", x) is None
    monkeypatch.setattr(kernels, "has_numba", lambda: False)
    assert kernels.serving("pool", x) is None


def test_a_numba_that_cannot_be_loaded_is_named_and_done_without(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setitem(sys.modules, "numba", None)  # import numba raises ImportError
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: object())
    with pytest.warns(UserWarning, match="numba cannot be loaded"):
        assert not kernels.has_numba.__wrapped__()


def test_an_op_without_a_twin_is_served_by_none(monkeypatch):
    monkeypatch.setattr(kernels, "has_numba", lambda: True)
    assert kernels.serving("no such op", np.ones(3)) is None
