"""dagnet.layers.kernels: steps of gradient descent in one go, against the plain code."""

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import launch

from dagnet import graph
from dagnet.layers import settings
from dagnet.training import solvers


def parameters(rng, dtype, sizes):
    return [[rng.standard_normal(size).astype(dtype) for size in sizes] for _ in range(3)]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_parameters_move_as_one_by_one(twins, rng, dtype, nesterov):
    sizes = [1, (3, 3, 5, 7), 8192, 8193, 20000, (4, 1), 0, 5, *[3] * 70]
    w, m, d = parameters(rng, dtype, sizes)
    decays, rates = rng.random(len(sizes)) * 0.1, rng.random(len(sizes))
    plain, kept = [x.copy() for x in w], [x.copy() for x in m]
    options = {"scale": 0.25, "momentum": 0.9, "nesterov": nesterov}
    twins("sgd").step(w, m, d, decays=list(decays), rates=list(rates), **options)
    solver = solvers.SGD(momentum=0.9, nesterov=nesterov)
    for i in range(len(sizes)):
        solver.step(plain[i], d[i], kept[i], scale=0.25, decay=decays[i], rate=rates[i])
        tolerance = 1e-6 if dtype == np.float32 else 1e-14
        assert np.allclose(w[i], plain[i], tolerance, tolerance)
        assert np.allclose(m[i], kept[i], tolerance, tolerance)


def test_arrays_that_begin_anywhere_are_taken(twins, rng):
    whole = rng.standard_normal((3, 40)).astype(np.float32)
    w, m, d = whole[0, 1:35], whole[1, 2:36], whole[2, 4:38]
    g = d * np.float32(0.5)
    expected = w + np.float32(0.1) * (np.float32(0.9) * m - g)
    twins("sgd").step([w], [m], [d], decays=[0], rates=[0.1], scale=0.5, momentum=0.9, nesterov=False)
    assert np.allclose(w, expected, 1e-6, 1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_an_update_runs_through_the_gpus_kernel(emulated, rng, nesterov):
    def trained():
        draw = np.random.default_rng(1)
        params = [graph.Param(name) for name in "abc"]
        state = {}
        for _ in range(3):
            for param in params:
                param.value = draw.standard_normal((3, 4), np.float32) if param.value is None else param.value
                param.der = draw.standard_normal((4, 3), np.float32).T
            solvers.update(params, solver, state, divisor=2, learning_rate=0.1, weight_decay=0.01)
        return [*(p.value for p in params), *state.values()]

    solver = solvers.SGD(nesterov=nesterov)
    with settings.using(fast=False):
        plain = trained()
    for ours, theirs in zip(trained(), plain, strict=True):
        assert np.allclose(ours, theirs, 1e-6, 1e-6)


def test_a_list_that_a_kernel_cannot_take_is_refused(emulated):
    with pytest.raises(ValueError, match="65 elements; at most 64"):
        launch._by_value([0] * 65, np.dtype(np.int64))
