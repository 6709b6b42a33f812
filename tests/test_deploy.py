"""A deployed network computes what the trained one computes in test mode, without what only training needs."""

import numpy as np
import pytest
from dagnet.layers.array import to_gpu

from dagnet import DagNN, SimpleNN
from dagnet.deploy import deploy
from dagnet.files.simplenn import from_simplenn
from dagnet.layers import bnorm, conv, convt, dropout, loss, relu, softmax
from dagnet.layers import sum as sum_
from dagnet.simplenn import run

X = np.random.default_rng(0).standard_normal((6, 5, 4, 2))


def array(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def moments(channels):
    return [array(channels, 1), array(channels, 2)[:, :1], abs(array(channels, 2)) + 0.5]


def chain() -> SimpleNN:
    return SimpleNN(
        [
            {"type": "conv", "weights": [array(3, 3, 4, 6), array(1, 6)], "learningRate": [1, 2], "momentum": [1]},
            {"type": "bnorm", "weights": moments(6)},
            {"type": "relu"},
            {"type": "conv", "weights": [array(1, 1, 3, 4)], "learningRate": [1.0]},  # two groups, no biases
            {"type": "bnorm", "weights": moments(4)},
            {"type": "dropout"},
            {"type": "convt", "weights": [array(2, 2, 3, 4), array(6, 1)], "numGroups": 2.0, "upsample": 2},
            {"type": "bnorm", "weights": moments(6)},
            {"type": "softmaxloss"},
        ]
    )


def test_a_chain_loses_what_only_training_needs():
    made = deploy(chain())
    assert [layer["type"] for layer in made.layers] == ["conv", "relu", "conv", "convt", "softmax"]
    assert made.layers[-1]["name"] == "prob" and "momentum" not in made.layers[0]
    assert [np.size(layer["learningRate"]) for layer in made.layers if "learningRate" in layer] == [2, 2]


def test_a_deployed_chain_computes_the_same_and_the_trained_one_stays():
    net = chain()
    before = [w.copy() for layer in net.layers for w in layer["weights"]]
    y = run(deploy(net), X)[-1].x
    net.layers[-1]["type"] = "softmax"
    assert np.allclose(y, run(net, X, mode="test")[-1].x, rtol=1e-12)
    assert all(
        np.array_equal(a, b) for a, b in zip(before, (w for la in net.layers for w in la["weights"]), strict=True)
    )


def test_on_the_gpu_a_chain_is_deployed_alike(gpu):
    net = chain()
    y = run(deploy(net), X)[-1].x
    net.move("gpu")
    made = deploy(net)
    assert made.device == "gpu"
    np.testing.assert_allclose(run(made, to_gpu(X))[-1].x.get(), y, rtol=1e-12)


def test_single_precision_stays_single():
    net = chain()
    for layer in net.layers:
        layer["weights"] = [w.astype(np.float32) for w in layer["weights"]]
    assert {w.dtype for layer in deploy(net).layers for w in layer["weights"]} == {np.dtype(np.float32)}


def test_a_normalisation_that_no_convolution_precedes_stays():
    net = SimpleNN(
        [{"type": "bnorm", "weights": moments(4)}, {"type": "relu"}, {"type": "bnorm", "weights": moments(4)}]
    )
    made = deploy(net)
    assert [layer["type"] for layer in made.layers] == ["bnorm", "relu", "bnorm"]  # and no loss, so no softmax
    graph = deploy(from_simplenn(net))
    assert [type(r.block) for r in graph.layers.values()] == [bnorm.BatchNorm, relu.ReLU, bnorm.BatchNorm]


def test_a_graph_of_the_same_layers_is_deployed_alike():
    made = deploy(from_simplenn(chain(), canonical_names=True))
    assert [type(r.block) for r in made.layers.values()] == [
        conv.Conv,
        relu.ReLU,
        conv.Conv,
        convt.ConvTranspose,
        softmax.SoftMax,
    ]
    assert made.inputs == ["input"] and made.outputs == ["prob"]
    made.eval({"input": X})
    assert np.allclose(made.vars["prob"].value, run(deploy(chain()), X)[-1].x, rtol=1e-12)


def graph() -> DagNN:
    """conv1 is read twice, conv2 and conv3 share filters, conv4 may be folded; a loss, an error, and another net's output."""
    net = DagNN()
    net.add_layer("conv1", conv.Conv([1, 1, 4, 3], has_bias=False), "input", "a", ["f1"])
    net.add_layer("bn1", bnorm.BatchNorm(3), "a", "b", ["m1", "b1", "x1"])
    net.add_layer("sum", sum_.Sum(), ["a", "b"], "c")
    net.add_layer("conv2", conv.Conv([1, 1, 3, 3], has_bias=False), "c", "d", ["f2"])
    net.add_layer("bn2", bnorm.BatchNorm(3), "d", "e", ["m2", "b2", "x2"])
    net.add_layer("conv3", conv.Conv([1, 1, 3, 3], has_bias=False), "e", "f", ["f2"])
    net.add_layer("conv4", conv.Conv([1, 1, 3, 3], has_bias=False), "f", "g", ["f4"])
    net.add_layer("bn4", bnorm.BatchNorm(3), "g", "h", ["m4", "conv4b", "x4"])
    net.add_layer("drop", dropout.DropOut(), "h", "scores")
    net.add_layer("error", loss.Loss("classerror"), ["scores", "label"], "error")
    net.add_layer("objective", loss.Loss(), ["scores", "label"], "objective")
    for name, record in net.layers.items():
        if name.startswith("bn"):
            for p, w in zip(record.params, moments(3), strict=True):
                net.params[p].value = w
        elif record.params:
            net.params[record.params[0]].value = array(*record.block.size)
    return net


def test_in_a_graph_what_others_read_or_share_is_not_folded():
    net = graph()
    made = deploy(net)
    assert list(made.layers) == ["conv1", "bn1", "sum", "conv2", "bn2", "conv3", "conv4", "prob"]
    assert made.layers["conv4"].params == ["f4", "conv4b_"]  # conv4b is taken
    assert made.inputs == ["input"] and made.outputs == ["prob"] and made.mode == "test"
    made.eval({"input": X})
    net.mode = "test"
    net.vars["scores"].precious = True
    net.eval({"input": X})
    assert np.allclose(made.vars["prob"].value, softmax.forward(net.vars["scores"].value), rtol=1e-12)
    assert len(net.layers) == 11 and "label" in net.vars


def test_a_net_that_has_a_prob_already_is_refused():
    net = graph()
    net.add_layer("softmax", softmax.SoftMax(), "scores", "prob")
    with pytest.raises(ValueError, match="deploy: the net has a variable 'prob', and the scores 'g' need one"):
        deploy(net)
