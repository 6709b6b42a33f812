"""net.layers(i), net.vars(i) and net.params(i) are read and set as in MATLAB."""

import copy

import numpy as np
import pytest

from tests import ported


@pytest.fixture
def net():
    return ported.net()


def test_indices_count_from_1_and_are_nan_for_what_is_not_there(net):
    assert [net.getLayerIndex("conv1"), net.getVarIndex("x1"), net.getParamIndex("predf")] == [1, 2, 3]
    found = net.getVarIndex(["label", "nowhere"])
    assert found[0] == 5 and np.isnan(found[1])
    assert net.layers(1).name == net.layers["conv1"].name == "conv1"
    assert net.layers(-1).name == "objective"
    assert [v.name for v in net.vars([1, 2])] == ["input", "x1"]
    assert net.getLayerExecutionOrder() == [1, 2, 3, 4]
    assert (net.getInputs(), net.getOutputs()) == (["input", "label"], ["objective"])


@pytest.mark.parametrize("index", [0, 5, -5, 1.5, float("nan")])
def test_a_number_that_no_layer_has_is_refused(net, index):
    with pytest.raises(IndexError, match="1 to 4, or -1 for the last, is right"):
        net.layers(index)


def test_fields_are_read_and_set_under_matlabs_names(net):
    net.params(net.getParamIndex("conv1f")).learningRate = 0.1
    assert net.params["conv1f"].learning_rate == 0.1
    net.layers(1).block.pad = [0, 0, 0, 0]
    assert net.layers["conv1"].block.pad == [0, 0, 0, 0]
    assert net.layers(net.getLayerIndex("pred")).block.hasBias is False
    net.vars(2).precious = True
    assert net.vars["x1"].precious
    with pytest.raises(
        AttributeError, match="Param: it has no field 'learnRate'; one of name, value, der, learningRate"
    ):
        net.params(1).learnRate = 1
    with pytest.raises(AttributeError, match=r"inputs is not set by hand; net\.setLayerInputs is right"):
        net.layers(2).inputs = ["input"]


def test_a_copied_variable_or_parameter_leaves_the_net_alone(net):
    net.getParam("conv1b").learningRate = 7
    net.getVar(1).value = np.ones((1, 1, 1, 1), np.float32)
    copy.deepcopy(net.getLayer("relu1").block).leak = 0.5
    assert net.params["conv1b"].learning_rate == 1
    assert net.vars["input"].value is None
    assert net.layers["relu1"].block.leak == 0


def test_a_blocks_properties_are_set_as_its_constructor_takes_them(net):
    block = net.layers(1).block
    block.pad, block.stride, block.size = np.array([[1.0, 2.0]]), 2.0, [3, 3, 2]
    assert (block.pad, block.stride, block.size) == ([1, 1, 2, 2], [2, 2], [3, 3, 2, 1])
    with pytest.raises(ValueError, match="Conv: stride: it is \\[0, 0\\]; at least 1 is right"):
        block.stride = 0
    assert block.stride == [2, 2]
    loss = net.layers(-1).block
    net.layers["objective"].block.average = 5.0
    loss.loss = "log"
    assert (loss.loss, loss.average) == ("log", 5.0)


def test_a_block_gives_initial_values_as_in_matlab(net):
    filters, biases = net.layers(1).block.initParams()
    assert filters.shape == (3, 3, 2, 4) and filters.any() and not biases.any()


def test_a_layer_tells_the_numbers_of_what_it_reads_makes_and_learns(net):
    layer = net.layers(net.getLayerIndex("objective"))
    assert (layer.inputIndexes, layer.outputIndexes, layer.paramIndexes) == ([4, 5], [6], [])
    assert net.layers(1).paramIndexes == [1, 2]
    assert copy.deepcopy(layer).inputIndexes == [4, 5]


def test_several_entries_and_all_of_them_come_as_lists(net):
    assert [p.learningRate for p in net.params(":")] == [1, 1, 1]
    for several in ([2, 3], range(2, 4), np.array([2.0, 3.0])):
        assert [v.name for v in net.vars(several)] == ["x1", "x2"]


def test_a_name_in_the_place_of_a_number_is_told_where_it_belongs(net):
    with pytest.raises(
        IndexError, match=r"net\.params\('conv1f'\): a number is right; by name it is net\.params\['conv1f'\]"
    ):
        net.params("conv1f")


@pytest.mark.parametrize(
    ("table", "name", "method"),
    [
        ("layers", "name", "renameLayer"),
        ("layers", "inputs", "setLayerInputs"),
        ("layers", "outputs", "setLayerOutputs"),
        ("layers", "params", "setLayerParams"),
        ("vars", "name", "renameVar"),
        ("params", "name", "renameParam"),
    ],
)
def test_what_the_graph_depends_on_is_not_set_by_hand(net, table, name, method):
    with pytest.raises(AttributeError, match=rf"{name} is not set by hand; net\.{method} is right"):
        setattr(getattr(net, table)(1), name, "x")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_block_is_one_of_its_own(net, copied):
    twin = copied(net.layers(1).block)
    twin.pad = 2
    assert (twin.pad, net.layers(1).block.pad) == ([2, 2, 2, 2], [1, 1, 1, 1])
