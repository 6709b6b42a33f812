"""The twins in PyTorch compute what dagnet's networks compute."""

import numpy as np
import pytest

from dagnet.layers import segmentation
from dagnet.models import lesion_fcn, vgg16

torch = pytest.importorskip("torch")
torch_networks = pytest.importorskip("dagnet.tools.benchmark.torch_networks")

SCORED = [f"{layer}{k}" for layer in ("score", "up") for k in range(1, 7)]


@pytest.fixture
def nets(rng):
    """dagnet's net in double precision, the twin with its values, and a batch (H, W, C, N) with its labels."""
    net = lesion_fcn.lesion_fcn(None, width=1 / 32, fc_width=8, dropout=0.0)
    for param in net.params.values():
        param.value = rng.standard_normal(param.value.shape) * (0.3 if param.value.size > 2 else 1)
    twin = torch_networks.LesionFCN(width=1 / 32, fc_width=8, dropout=0.0).double()
    for theirs, ours in pairs(net, twin):
        theirs.data = torch.from_numpy(as_theirs(ours.value))
    image = rng.standard_normal((64, 32, 3, 3))
    label = rng.integers(0, 3, (64, 32, 1, 3)).astype(float)
    return net, twin, image, label


def pairs(net, twin):
    """The twin's parameters and dagnet's, layer by layer."""
    convolutions = [m for m in twin.stages.modules() if isinstance(m, torch.nn.Conv2d)] + [twin.fc[0], twin.fc[3]]
    modules = [*convolutions, *twin.scores, *twin.ups, twin.predict]
    names = [name for name in net.layers if name.startswith(("conv", "fc"))] + [*SCORED, "predict"]
    for module, name in zip(modules, names, strict=True):
        yield from zip((module.weight, module.bias), map(net.params.__getitem__, net.layers[name].params), strict=True)


def as_theirs(value):
    """A bank of filters (FH, FW, C, K), or (FH, FW, K, C) of a transposed convolution, or a bias, in PyTorch's order."""
    return value.transpose(3, 2, 0, 1).copy() if value.ndim == 4 else value.ravel()


def images(x):
    return torch.from_numpy(x.transpose(3, 2, 0, 1).copy())


def test_scores_loss_and_all_derivatives_are_those_of_dagnet(nets):
    net, twin, image, label = nets
    net.vars["objective"].precious = True
    net.eval({"input": image, "label": label}, {"objective": 1.0})
    scores, labels = twin(images(image)), images(label)[:, 0].long()
    objective = torch_networks.segmentation_loss(scores, labels)
    objective.backward()
    ours = net.vars["prediction"].value.transpose(3, 2, 0, 1)
    np.testing.assert_allclose(ours, scores.detach(), rtol=0, atol=1e-9 * np.abs(ours).max())
    assert objective.item() == pytest.approx(float(net.vars["objective"].value), rel=1e-6)  # its weights are single
    for theirs, param in pairs(net, twin):
        theirs, ours = theirs.grad.numpy(), as_theirs(param.der)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max(), err_msg=param.name)
    counts = segmentation.confusion(net.vars["prediction"].value, label, 2)
    assert (torch_networks.confusion(scores, labels).numpy() == counts).all()


def test_a_step_moves_every_parameter_and_gives_back_the_loss(nets):
    _, twin, image, label = nets
    before = [p.detach().clone() for p in twin.parameters()]
    step = torch_networks.training_step(twin, images(image), images(label)[:, 0].long(), rate=1e-2)
    assert step() > 0
    assert all((p != was).any() for p, was in zip(twin.parameters(), before, strict=True))


def test_at_full_width_it_has_dagnet_s_layers():
    net = vgg16.vgg16(vgg16.CONVOLUTIONS)
    sizes = [record.block.size for record in net.layers.values() if record.params]
    stages = torch_networks.vgg16_convolutions()
    convolutions = [m for m in stages.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [[3, 3, m.in_channels, m.out_channels] for m in convolutions] == [list(size) for size in sizes]
    assert torch_networks.FACTORS == lesion_fcn.FACTORS
