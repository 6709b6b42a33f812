"""dagnet bench's whole networks: a step of dagnet's and one of PyTorch's change the parameters alike."""

import numpy as np
import pytest
from dagnet.tools.benchmark import networks, work

from dagnet.models import lesion_fcn
from tests.test_benchmark_torch_networks import as_theirs, pairs

torch = pytest.importorskip("torch")

SIZE = (64, 32, 3, 2)


def test_a_step_of_training_moves_the_parameters_as_pytorch_s_does(monkeypatch):
    from dagnet.tools.benchmark import torch_networks

    monkeypatch.setattr(networks, "PAPER", SIZE)
    monkeypatch.setattr(networks, "RATE", 1e-2)
    twin = torch_networks.LesionFCN(width=1 / 32, fc_width=8, dropout=0.0)
    net = lesion_fcn.lesion_fcn(None, width=1 / 32, fc_width=8, dropout=0.0)
    net.params["conv1_1f"].learning_rate = 1.0  # otherwise lower, as its inputs are 0..255
    before = []
    for theirs, ours in pairs(net, twin):
        theirs.data = torch.from_numpy(as_theirs(ours.value).copy())
        before.append(theirs.data.numpy().copy())
    monkeypatch.setattr(torch_networks, "LesionFCN", lambda: twin)
    ours, theirs = networks.training_steps(net, networks.batch(SIZE))["step"], networks.torch_paper_step(True)["step"]
    for _ in range(2):
        ours()
        theirs()
    for (theirs, ours), start in zip(pairs(net, twin), before, strict=True):
        moved = theirs.detach().numpy() - start
        np.testing.assert_allclose(as_theirs(ours.value) - start, moved, rtol=0, atol=2e-3 * np.abs(moved).max())


@pytest.mark.parametrize("side", [networks.vgg_step, lambda: networks.torch_vgg_step(False)])
def test_the_convolutions_train_on_either_side(side, monkeypatch):
    monkeypatch.setattr(networks, "VGG", (32, 32, 3, 1))
    side()["step"]()


def test_segmentation_leaves_out_the_loss_and_gives_scores(monkeypatch):
    make = lesion_fcn.lesion_fcn
    monkeypatch.setattr(lesion_fcn, "lesion_fcn", lambda vgg: make(vgg, width=1 / 32, fc_width=8))
    monkeypatch.setattr(networks, "PHOTO", (32, 32, 3, 1))
    evaluated = []
    monkeypatch.setattr("dagnet.dagnn.DagNN.eval", lambda net, inputs: evaluated.append((net, inputs)))
    networks.segmentation()["forward"]()
    ((net, inputs),) = evaluated
    assert net.outputs == ["prediction"] and net.mode == "test"
    np.testing.assert_array_equal(inputs["input"], work.data((32, 32, 3, 1)))
