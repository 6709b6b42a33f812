"""The rule of update, against its formula and against MatConvNet's recorded runs."""

import numpy as np
import pytest

from dagnet.graph import Param
from dagnet.training import solvers
from tests import recorded

# Variants that plain SGD with momentum is to reproduce; the others have solvers of their own.
VARIANTS = {
    "master/sgd.mat": [
        "plain",
        "subbatch2",
        "subbatch3_odd",
        "partial_last",
        "lrschedule",
        "nomomentum_nodecay",
    ],
    "releases/beta25/sgd.mat": [
        "plain",
        "short_last",
        "short_last_sub2",
        "empty_sub",
        "subbatch3_odd",
        "lrschedule",
        "nomomentum_nodecay",
        "epochsize",
    ],
}
VARIANTS["releases/master/sgd.mat"] = VARIANTS["releases/beta25/sgd.mat"]
VARIANTS["releases/beta25/bnorm_train.mat"] = ["batch3", "batch3_sub2", "batch5_sub3"]
VARIANTS["releases/master/bnorm_train.mat"] = VARIANTS["releases/beta25/bnorm_train.mat"]


def parameter(rng, shape=(3, 3, 4, 5), **settings):
    value, der = (rng.standard_normal(shape) for _ in range(2))
    return Param("p", value, der, fanout=1, **settings)


def test_a_step_is_the_formula(rng):
    param = parameter(rng, learning_rate=0.5, weight_decay=2.0)
    w, d, m = param.value.copy(), param.der.copy(), rng.standard_normal(param.value.shape)
    state = {"p": m.copy()}
    solvers.update([param], solvers.SGD(0.8), state, divisor=3, learning_rate=0.1, weight_decay=0.01)
    m = 0.8 * m - (d / 3 + 0.01 * 2.0 * w)
    assert np.allclose(state["p"], m, rtol=1e-14)
    assert np.allclose(param.value, w + 0.1 * 0.5 * m, rtol=1e-14)


def test_pieces_make_no_difference(rng, monkeypatch):
    whole, pieces = parameter(rng, (7, 50)), None
    pieces = Param("p", whole.value.copy(), whole.der.copy(), fanout=1)
    solvers.update([whole], solvers.SGD(), {}, divisor=1, learning_rate=0.1, weight_decay=0.1)

    def small_pieces(xp, *arrays):
        flat = [a.reshape(-1) for a in arrays]
        for i in range(0, flat[0].size, 99):
            parts = [a[i : i + 99] for a in flat]
            yield *parts, np.empty(parts[0].size)

    monkeypatch.setattr(solvers, "_chunks", small_pieces)
    solvers.update([pieces], solvers.SGD(), {}, divisor=1, learning_rate=0.1, weight_decay=0.1)
    assert np.array_equal(whole.value, pieces.value)


def test_an_array_of_more_than_one_piece_is_updated_to_its_end():
    n = 3 * 2**16 + 17
    param = Param("p", np.zeros(n, np.float32), np.ones(n, np.float32), fanout=1)
    solvers.update([param], solvers.SGD(), {}, divisor=2, learning_rate=1.0, weight_decay=0.0)
    assert (param.value == -0.5).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_values_change_in_place_and_keep_their_dtype(rng, order):
    value = np.asarray(rng.standard_normal((3, 4)), np.float32, order=order)
    param = Param("p", value, np.ones((3, 4), np.float32), fanout=1)
    before = value.copy()
    state = {}
    solvers.update([param], solvers.SGD(), state, divisor=1, learning_rate=0.1, weight_decay=0.1)
    assert param.value.dtype == state["p"].dtype == np.float32
    assert (param.value != before).all()
    assert (param.value is value) == (order == "C")


def test_a_parameter_without_rate_and_decay_is_left_alone(rng):
    param = parameter(rng, learning_rate=0.0, weight_decay=0.0)
    before, state = param.value.copy(), {}
    solvers.update([param], solvers.SGD(), state, divisor=1, learning_rate=1, weight_decay=1)
    assert np.array_equal(param.value, before) and not state


def test_without_a_rate_but_with_decay_the_momentum_moves_and_the_value_does_not(rng):
    param = parameter(rng, learning_rate=0.0)
    before, state = param.value.copy(), {}
    solvers.update([param], solvers.SGD(), state, divisor=1, learning_rate=1, weight_decay=1)
    assert np.array_equal(param.value, before) and state["p"].any()


def test_a_parameter_without_a_derivative_stays(rng):
    param = parameter(rng)
    param.der, before = None, param.value.copy()
    solvers.update([param], solvers.SGD(), {}, divisor=1, learning_rate=1, weight_decay=1)
    assert np.array_equal(param.value, before)


def test_moments_are_averaged_over_layers_at_a_rate_of_their_own(rng):
    param = parameter(rng, train_method="average", learning_rate=0.1)
    param.fanout = 2
    w, d, state = param.value.copy(), param.der, {}
    solvers.update([param], solvers.SGD(), state, divisor=6, learning_rate=1e-9, weight_decay=1)
    assert np.allclose(param.value, 0.9 * w + 0.1 * d / 12, rtol=1e-14) and not state


def test_an_unknown_train_method_is_named(rng):
    param = parameter(rng, train_method="averge")
    with pytest.raises(
        ValueError, match="parameter 'p': its train_method is 'averge'; 'gradient' or 'average' is right"
    ):
        solvers.update([param], solvers.SGD(), {}, divisor=1, learning_rate=1, weight_decay=1)


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in VARIANTS.items() for name in names])
def test_recorded_runs_are_reproduced(file, name):
    run = recorded.load(file)
    (variant,) = (v for v in run["variants"] if v["name"] == name)
    replay = recorded.Replay(run, "double", "beta25" if "beta25" in file else "master", variant)
    for step in replay:
        assert recorded.furthest(replay.values, step["params"]) < 1e-12
        assert recorded.furthest(replay.ders, step["der"]) < 1e-12
        assert recorded.furthest(replay.memory, step.get("state", {})) < 1e-12
        assert recorded.distance(replay.net.vars["objective"].value, step["loss_last_subbatch"]) < 1e-12
        if "avg_objective" in step:
            block = replay.net.layers["objective"].block
            assert recorded.distance(block.average, step["avg_objective"]) < 1e-12
            assert block.num_averaged == step["numAveraged"]
    if "test_prediction" in variant:
        assert recorded.distance(replay.test_prediction(), variant["test_prediction"]) < 1e-12


@pytest.mark.parametrize("release", ["beta25", "master"])
@pytest.mark.parametrize("dtype", ["single", "double"])
@pytest.mark.parametrize("kind", ["fcn", "segloss"])
@pytest.mark.parametrize("sub_batches", [1, 2])
def test_recorded_segmentation_nets_are_reproduced(release, dtype, kind, sub_batches):
    run = recorded.load(f"releases/{release}/{kind}_{dtype}.mat")
    replay = recorded.Replay(run, dtype, release, run["sub2"] if sub_batches == 2 else run)
    tolerance = recorded.TOLERANCE[dtype]
    blocks = {record.outputs[0]: record.block for record in replay.net.layers.values()}
    for step in replay:
        assert recorded.furthest(replay.values, step["params"]) < tolerance
        assert recorded.distance(replay.net.vars["objective"].value, step["loss"]) < tolerance
        assert recorded.distance(replay.net.vars["error"].value, step["err"]) < tolerance
        for name, average in step["average"].items():
            assert recorded.distance(blocks[name].average, average) < tolerance
            assert blocks[name].num_averaged == step["numAveraged"][name]
        assert recorded.furthest(replay.ders, step.get("params_der", {})) < tolerance
        assert recorded.furthest(replay.memory, step.get("momentum", {})) < tolerance


@pytest.mark.parametrize("release", ["beta25", "master"])
def test_a_profile_mistaken_for_the_other_is_seen(release):
    other = {"beta25": "master", "master": "beta25"}[release]
    run = recorded.load(f"releases/{release}/sgd.mat")
    (variant,) = (v for v in run["variants"] if v["name"] == "short_last_sub2")
    replay = recorded.Replay(run, "double", other, variant)
    last = list(replay)[-1]
    assert recorded.furthest(replay.values, last["params"]) > 1e-3
