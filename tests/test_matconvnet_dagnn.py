"""A DagNN under MATLAB's names does what MatConvNet's does."""

import numpy as np
import pytest

from dagnet import summary
from dagnet.files import netfile
from dagnet.layers import catalogue
from dagnet.matconvnet import dagnn, release
from dagnet.matconvnet.dagnn import isa
from tests import ported, recorded


@pytest.fixture
def net():
    return ported.net()


@pytest.mark.parametrize("dtype", ["single", "double"])
def test_the_recorded_net_built_and_run_by_matlabs_calls_gives_matconvnets_numbers(dtype):
    run = recorded.load(f"master/fcn_{dtype}.mat")
    with release("master"):
        net = dagnn.DagNN()
        for layer in run["layers"]:
            make = getattr(dagnn, layer["type"].removeprefix("dagnn."))
            properties = recorded.guessed(layer, run["params0"])
            net.addLayer(layer["name"], make(properties), layer["inputs"], layer["outputs"], layer["params"])
        for name, value in run["params0"].items():
            net.params(net.getParamIndex(name)).value = value
        net.conserveMemory = False
        first = run["batches"][0] if isinstance(run["batches"], list) else run["batches"]
        number = {"single": np.float32, "double": np.float64}[dtype]
        net.eval(["input", first["input"].astype(number), "label", first["label"].astype(number)], ["objective", 1])
    assert net.getLayerExecutionOrder() == run["executionOrder"].ravel().tolist()
    values = {name: net.vars(net.getVarIndex(name)).value for name in run["vars"]}
    ders = {name: net.params(net.getParamIndex(name)).der for name in run["params_der"]}
    assert recorded.furthest(values, run["vars"]) < recorded.TOLERANCE[dtype]
    assert recorded.furthest(ders, run["params_der"]) < recorded.TOLERANCE[dtype]


def test_eval_takes_lists_and_dicts_and_gives_dagnets_numbers(net):
    x, c = ported.batch()
    net.eval(["input", x, "label", c], ["objective", 1], "holdOn", False)
    value, der = net.vars(net.getVarIndex("objective")).value, net.params(1).der
    plain = netfile.from_struct(net.saveobj())
    plain.eval({"input": x, "label": c}, {"objective": 1.0})
    assert type(plain) is not type(net)
    np.testing.assert_array_equal(value, plain.vars["objective"].value)
    np.testing.assert_array_equal(der, plain.params["conv1f"].der)
    net.accumulateParamDers = True
    net.eval({"input": x, "label": c}, {"objective": 1})
    np.testing.assert_allclose(net.params(1).der, 2 * der, rtol=1e-6)
    net.eval(["input", x, "label", c], [])
    assert net.params(1).der is not None
    net.mode = "test"
    with pytest.raises(ValueError, match="eval: it is given a list of 3; names and values in turn"):
        net.eval(["input", x, "label"])


def test_the_net_follows_the_release_in_which_it_was_made():
    x, c = ported.batch()
    values = []
    for name in ("beta25", "master"):
        with release(name):
            net = dagnn.DagNN()
            net.addLayer("objective", dagnn.Loss(), ["x", "c"], "objective")
        net.eval(["x", x, "c", np.minimum(c, 2)])
        values.append(float(net.vars(3).value))
    assert values[0] == pytest.approx(3 * values[1], rel=1e-6)


def test_sizes_and_fields_come_in_the_order_of_vars(net):
    sizes = net.getVarSizes(["input", [5, 4, 2, 3]])
    assert sizes[net.getVarIndex("prediction") - 1] == (5, 4, 3, 3)
    fields = net.getVarReceptiveFields("input")
    assert fields[net.getVarIndex("x2") - 1].size == (3, 3)
    assert fields[net.getVarIndex("label") - 1] is None


def test_print_takes_matconvnets_options(net, capsys):
    net.print(["input", [5, 4, 2, 3]], "Format", "csv", "Layers", [], "Memory", False)
    net.print("all", True, "MaxNumColumns", 3)
    printed = capsys.readouterr().out
    assert summary.report(net, {"input": (5, 4, 2, 3)}, format="csv", layers=[], memory=False) in printed
    assert summary.report(net, all=True, max_num_columns=3) in printed


def test_layers_are_spliced_and_renamed_as_in_matlab(net):
    net.setLayerInputs("pred", ["x1"])
    net.removeLayer("relu1")
    assert np.isnan(net.getVarIndex("x2"))
    net.setLayerOutputs("conv1", ["y"])
    net.renameVar("x1", "y")
    net.renameLayer("conv1", "first")
    net.renameParam("conv1f", "f")
    net.setLayerParams("pred", ["g"])
    assert net.layers(1).params == ["f", "conv1b"]
    assert net.layers(2).inputs == ["y"] and net.layers(2).params == ["g"]
    for rename, kind in ((net.renameLayer, "layer"), (net.renameVar, "variable"), (net.renameParam, "parameter")):
        with pytest.warns(UserWarning, match=f"the net has no {kind} 'nowhere' to rename"):
            rename("nowhere", "there")
        rename("nowhere", "there", "quiet", True)
        rename("nowhere", "there", "quiet")
    net.rebuild()
    assert net.getLayerExecutionOrder() == [1, 2, 3]


def test_a_net_is_saved_loaded_and_copied_as_what_it_is(net, tmp_path):
    netfile.save(net, tmp_path / "net.mat")
    for twin in (dagnn.DagNN.loadobj(tmp_path / "net.mat"), dagnn.DagNN.loadobj(net), net.copy()):
        assert type(twin) is dagnn.DagNN
        np.testing.assert_array_equal(twin.params(1).value, net.params(1).value)
    net.reset()
    net.move("cpu")


def test_a_simplenn_becomes_a_dagnn():
    layers = [
        {"type": "conv", "name": "conv1", "weights": [np.ones((1, 1, 2, 3), np.float32), np.zeros(3, np.float32)]},
        {"type": "softmax"},
    ]
    net = dagnn.DagNN.fromSimpleNN({"layers": layers}, "canonicalNames", True)
    assert (net.getInputs(), net.getOutputs()) == (["input"], ["prob"])
    assert type(net) is dagnn.DagNN


def test_every_block_of_the_catalogue_has_its_constructor():
    for matlab_type in catalogue.known():
        block = getattr(dagnn, matlab_type.removeprefix("dagnn."), None) or dagnn.constructor(matlab_type)
        assert isa(block(), matlab_type) and isa(block(), "dagnn.Layer")
    assert isa(dagnn.constructor("SegmentationLoss")(), "dagnn.Loss")
    assert not isa(dagnn.ReLU(), "dagnn.Conv")
    with pytest.raises(
        ValueError, match=r"dagnn\.ReLU: it has no option 'leek'; one of useShortCircuit, leak, opts is right"
    ):
        dagnn.ReLU("leek", 1)
    with pytest.raises(AttributeError, match="dagnn: there is no Convolution; DagNN or one of"):
        dagnn.Convolution


def test_a_batch_normalisation_starts_as_in_the_release():
    found = {}
    for name in ("beta18", "beta20", "beta25"):
        with release(name):
            net = dagnn.DagNN()
            net.addLayer("bn", dagnn.BatchNorm("numChannels", 2), "x", "y", ["g", "b", "m"])
            found[name] = (net.layers(1).block.epsilon, net.params(3).learningRate)
    assert found == {"beta18": (1e-3, 1), "beta20": (1e-4, 0.01), "beta25": (1e-5, 0.1)}
    assert dagnn.BatchNorm("epsilon", 0.5).epsilon == 0.5


def test_print_takes_an_empty_list_for_the_sizes(net, capsys):
    for empty in ([], {}, None):
        net.print(empty, "all", True)
        assert capsys.readouterr().out == summary.report(net, all=True) + "\n"


def test_sizes_may_be_arrays(net):
    sizes = net.getVarSizes({"input": np.array([[5.0, 4.0, 2.0, 3.0]])})
    np.testing.assert_array_equal(sizes, net.getVarSizes(["input", [5, 4, 2, 3]]))
    assert all(isinstance(side, int) for side in sizes[1])


def test_a_constructor_stands_for_its_block_as_in_matlab(net):
    net.addLayer("relu2", dagnn.ReLU, "prediction", "x3")
    assert isa(net.layers(-1).block, "dagnn.ReLU")


def test_a_property_that_a_net_does_not_have_is_refused(net):
    net.meta, net.conserveMemory, net.mode, net.input_ders = {}, False, "test", False
    assert not net.conserve_memory
    with pytest.raises(AttributeError, match="net: it has no property 'conservememory'; conserveMemory, mode, meta"):
        net.conservememory = False
