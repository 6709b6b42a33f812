"""The engine against MatConvNet's own record of a small skip network (master/fcn_*.mat), and its rules on nets of our own."""

import numpy as np
import pytest

from dagnet.training import passes, profile, solvers
from tests import recorded

DTYPES = ["single", "double"]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.fixture
def run(dtype):
    return recorded.load(f"master/fcn_{dtype}.mat")


@pytest.fixture
def net(run, dtype):
    net = recorded.build(run, dtype)
    profile.apply(net, "master")
    return net


def batch(run, step, dtype):
    number = {"single": np.float32, "double": np.float64}[dtype]
    return {name: value.astype(number) for name, value in run["batches"][step].items()}


def test_layers_run_in_matconvnets_order(run, net):
    names = [layer["name"] for layer in run["layers"]]
    assert net.execution_order == [names[int(i) - 1] for i in run["executionOrder"].ravel()]


def test_every_variable_and_every_derivative_is_matconvnets(run, net, dtype):
    net.conserve_memory = False
    net.eval(batch(run, 0, dtype), {"objective": 1})
    values = {name: var.value for name, var in net.vars.items()}
    ders = {name: var.der for name, var in net.vars.items()}
    without = {name for name, der in run["vars_der"].items() if not der.size}
    assert set(run["vars"]) == set(values) and {name for name, der in ders.items() if der is None} == without
    assert recorded.furthest(values, run["vars"]) < recorded.TOLERANCE[dtype]
    wanted = {name: der for name, der in run["vars_der"].items() if der.size}
    assert recorded.furthest(ders, wanted) < recorded.TOLERANCE[dtype]
    assert (
        recorded.furthest({p.name: p.der for p in net.params.values()}, run["params_der"]) < recorded.TOLERANCE[dtype]
    )


def test_freeing_memory_changes_no_derivative_of_a_parameter(run, net, dtype):
    net.eval(batch(run, 0, dtype), {"objective": 1})
    assert (
        recorded.furthest({p.name: p.der for p in net.params.values()}, run["params_der"]) < recorded.TOLERANCE[dtype]
    )


def test_sizes_of_variables_are_matconvnets(run, net):
    first = run["batches"][0]
    sizes = net.get_var_sizes({name: value.shape for name, value in first.items()})
    assert {name: list(size) for name, size in sizes.items()} == {
        n: s.ravel().tolist() for n, s in run["varSizes"].items()
    }


def test_receptive_fields_are_matconvnets(run, net):
    fields = net.get_var_receptive_fields("input")
    for name, wanted in run["receptiveFields"].items():
        ours = fields[name]
        if not isinstance(wanted, dict) or not wanted["size"].size:
            assert ours is None, name
            continue
        for what in ("size", "stride", "offset"):
            assert np.array_equal(getattr(ours, what), wanted[what].ravel(), equal_nan=True), (name, what)


def test_six_training_steps_are_matconvnets(run, net, dtype):
    settings = {name: value.item() for name, value in run["train"].items()}
    rules = profile.find("master")
    recipe = passes.Recipe(
        rules, solvers.SGD(settings["momentum"]), {}, 3, 1, settings["weightDecay"], {"objective": 1.0}
    )
    ders = {}
    for number, step in enumerate(run["steps"]):
        before = {name: param.value.copy() for name, param in net.params.items()}
        passes.train_batch(net, [batch(run, number, dtype)], recipe, 3, settings["learningRate"])
        losses = [net.vars[name].value for name in ("objective", "error")]
        assert recorded.distance(losses[0], step["loss"].squeeze()) < recorded.TOLERANCE[dtype]
        assert recorded.distance(losses[1], step["err"].squeeze()) < recorded.TOLERANCE[dtype]
        values = {name: param.value for name, param in net.params.items()}
        assert recorded.furthest(values, step["params"]) < recorded.TOLERANCE[dtype]
        assert any((values[name] != before[name]).any() for name in values)
        ders = {name: param.der for name, param in net.params.items()}
    assert recorded.furthest(ders, run["steps"][-1]["params_der"]) < recorded.TOLERANCE[dtype]
    assert recorded.furthest(recipe.state, run["steps"][-1]["momentum"]) < recorded.TOLERANCE[dtype]
