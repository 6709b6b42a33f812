"""The engine against MatConvNet's own record of small skip networks, and its rules on nets of our own."""

import numpy as np
import pytest

from dagnet import dagnn
from dagnet.layers import conv, relu
from dagnet.layers import sum as sum_
from dagnet.training import profile
from tests import oracles, recorded

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


def rectified_net(rng, leak=0.0):
    """Two convolutions with a ReLU each, and a third that reads what the first ReLU reads when asked."""
    net = dagnn.DagNN()
    for i, (before, after) in enumerate([("x0", "x1"), ("y1", "x2")], 1):
        block = conv.Conv([3, 3, 2, 2], pad=[1, 1, 1, 1])
        net.add_layer(f"conv{i}", block, before, after, [f"f{i}", f"b{i}"])
        net.add_layer(f"relu{i}", relu.ReLU(leak=leak), after, f"y{i}")
    net.init_params(rng)
    return net


def passed(net, rng, der="y2"):
    """What a pass forward and backward leaves in the net's output, the input's derivative and the parameters'."""
    x, dy = (np.random.default_rng(seed).standard_normal((6, 5, 2, 3)).astype(np.float32) for seed in (3, 4))
    net.eval({"x0": x}, {der: dy})
    return [net.vars[der].value, net.vars["x0"].der, *(p.der for p in net.params.values())]


def test_a_relu_runs_inside_the_convolution_that_it_alone_reads_with_the_same_results(rng):
    net = rectified_net(rng)
    net.vars["x0"].precious = True
    inside = passed(net, rng)
    for what in ("value", "der"):
        with pytest.raises(RuntimeError, match="in layer 'conv1', which ran 'relu1' inside it, to save memory"):
            getattr(net.vars["x1"], what)
    net.conserve_memory = False
    for came, right in zip(inside, passed(net, rng), strict=True):
        assert oracles.error(came, right) < 1e-6
    assert net.vars["x1"].value is not None


def test_an_outputs_value_between_is_kept_where_somebody_needs_it(rng):
    net = rectified_net(rng)
    net.vars["x1"].precious = True
    passed(net, rng)
    assert (net.vars["x1"].value < 0).any() and net.vars["x1"].der is not None
    net = rectified_net(rng)
    net.add_layer("both", sum_.Sum(), ["y2", "x2"], "z")  # x2 has two readers now
    net.vars["x2"].precious = False
    x = rng.standard_normal((6, 5, 2, 3)).astype(np.float32)
    net.eval({"x0": x})
    z = net.vars["z"].value
    net.conserve_memory = False
    net.eval({"x0": x})
    assert np.array_equal(z, net.vars["x2"].value + net.vars["y2"].value) and (net.vars["x2"].value < 0).any()


def test_a_relu_whose_convolution_is_skipped_runs_on_the_value_that_was_given(rng):
    net = rectified_net(rng)
    x1 = rng.standard_normal((6, 5, 2, 3)).astype(np.float32)
    for conserve in (True, False):
        net.conserve_memory = conserve
        net.vars["y1"].precious = True
        net.eval({"x1": x1}, {"y2": 1.0})
        assert np.array_equal(net.vars["y1"].value, np.maximum(x1, 0))
        assert np.array_equal(net.vars["x1"].der, net.vars["y1"].der * (x1 > 0))


class Capped(relu.ReLU):
    """A user's block: it is no ReLU."""

    def forward(self, inputs, params):
        return [np.minimum(super().forward(inputs, params)[0], np.float32(0.1))]


class Doubled(conv.Conv):
    """A user's convolution, whose derivatives are its own."""

    def backward(self, inputs, params, der_outputs):
        return super().backward(inputs, params, [2 * der_outputs[0]])


@pytest.mark.parametrize(("layer", "block"), [("relu1", Capped()), ("conv1", Doubled([3, 3, 2, 2], pad=[1, 1, 1, 1]))])
def test_a_block_that_is_made_of_another_one_and_does_otherwise_runs_by_itself(rng, layer, block):
    net = rectified_net(rng)
    usual = passed(net, rng)
    net.layers[layer].block = block
    own = passed(net, rng)
    assert not np.array_equal(usual[3], own[3])  # the derivative of conv1's filters
    net.conserve_memory = False
    assert all(oracles.error(a, b) < 1e-6 for a, b in zip(own, passed(net, rng), strict=True) if a is not None)


def test_a_block_is_told_whether_backward_will_follow(rng):
    told = []

    class Told(relu.ReLU):
        def forward(self, inputs, params):
            told.append(self.derivatives_follow)
            return super().forward(inputs, params)

    net = rectified_net(rng)
    net.layers["relu1"].block = Told()
    passed(net, rng)
    net.eval({"x0": rng.standard_normal((6, 5, 2, 3)).astype(np.float32)})
    assert told == [True, False]


def test_a_leaky_relu_runs_by_itself(rng):
    net = rectified_net(rng, leak=0.3)
    kept = passed(net, rng)
    net.conserve_memory = False
    assert all(np.array_equal(a, b) for a, b in zip(kept, passed(net, rng), strict=True) if a is not None)
    assert (kept[0] < 0).any()
