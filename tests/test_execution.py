"""The engine against MatConvNet's own record of small skip networks, and its rules on nets of our own."""

import numpy as np
import pytest

from dagnet.training import profile
from tests import recorded

MEASURED = recorded.files("master/fcn_*.mat") + recorded.files("releases/*/fcn_*.mat")  # with sizes and fields
FILES = MEASURED + recorded.files("releases/*/segloss_*.mat")


@pytest.fixture(params=FILES)
def file(request):
    return request.param


@pytest.fixture
def run(file):
    return recorded.load(file)


@pytest.fixture
def net(run, file):
    net = recorded.build(run, recorded.precision_of(file), recorded.release_of(file))
    profile.apply(net, recorded.release_of(file))
    return net


@pytest.fixture
def batch(run, file):
    """The batch that was recorded variable by variable."""
    dtype = recorded.precision_of(file)
    if "evalIndex" in run:
        return recorded.inputs(*recorded.images(run), run["evalIndex"], dtype)
    return recorded.as_inputs(run["batches"][0], dtype)


@pytest.fixture
def tolerance(file):
    return recorded.TOLERANCE[recorded.precision_of(file)]


def test_layers_run_in_matconvnets_order(run, net):
    names = [layer["name"] for layer in run["layers"]]
    assert net.execution_order == [names[int(i) - 1] for i in run["executionOrder"].ravel()]


def test_every_variable_and_every_derivative_is_matconvnets(run, net, batch, tolerance):
    net.conserve_memory = False
    net.eval(batch, {"objective": 1})
    values = {name: var.value for name, var in net.vars.items()}
    ders = {name: var.der for name, var in net.vars.items()}
    assert recorded.furthest(values, run["vars"]) < tolerance
    wanted = {name: der for name, der in run["vars_der"].items() if der.size}
    assert recorded.furthest(ders, wanted) < tolerance
    assert not [name for name in run["vars_der"] if name not in wanted and ders[name] is not None]
    assert recorded.furthest({p.name: p.der for p in net.params.values()}, run["params_der"]) < tolerance


def test_freeing_memory_changes_no_derivative_of_a_parameter(run, net, batch, tolerance):
    net.eval(batch, {"objective": 1})
    assert recorded.furthest({p.name: p.der for p in net.params.values()}, run["params_der"]) < tolerance


@pytest.mark.parametrize("file", MEASURED)
def test_sizes_of_variables_are_matconvnets(run, net, batch):
    sizes = net.get_var_sizes({name: value.shape for name, value in batch.items()})
    for name, size in run["varSizes"].items():
        assert list(sizes[name]) == size.ravel().tolist(), name


@pytest.mark.parametrize("file", MEASURED)
def test_receptive_fields_are_matconvnets(run, net):
    fields = net.get_var_receptive_fields("input")
    for name, wanted in run["receptiveFields"].items():
        ours = fields[name]
        if not isinstance(wanted, dict) or not wanted["size"].size:
            assert ours is None, name
            continue
        for what in ("size", "stride", "offset"):
            assert np.array_equal(getattr(ours, what), wanted[what].ravel(), equal_nan=True), (name, what)
