"""dagnet bench's layers and convolutions: what is compared computes the same."""

import numpy as np
import pytest
from dagnet.tools.benchmark import convolutions, layers, other_layers

SIZES = {
    "BNORM": (7, 6, 8, 2),
    "LRN": (7, 6, 8, 2),
    "SAMPLER": (7, 6, 8, 2),
    "POOL": (8, 6, 5, 2),
    "RELU": (8, 6, 5, 2),
}
SIZES |= {"LOSS": (8, 6, 3, 2), "CONVT": (3, 2, 2, 2)}


def same(ours, theirs, batch_of_filters=False):
    theirs = theirs.detach()
    if theirs.ndim == 4:
        theirs = theirs.permute(2, 3, 1, 0)
    theirs = theirs.numpy().reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("work", [*layers.WORKS, *other_layers.WORKS])
def test_both_sides_of_a_layer_compute_the_same(work, channels_last, monkeypatch):
    pytest.importorskip("torch")
    for name, size in SIZES.items():
        for module in (layers, other_layers):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(layers, "STRIDE", 4)
    _, ours, theirs = (layers.WORKS | other_layers.WORKS)[work]
    for a, b in zip(ours()["forward and backward"](), theirs(channels_last)["forward and backward"](), strict=True):
        same(a, b)


@pytest.mark.parametrize("channels_last", [False, True])
def test_both_sides_of_a_convolution_compute_the_same_in_each_pass(channels_last):
    pytest.importorskip("torch")
    ours, theirs = convolutions.ours(6, 4, 5), convolutions.theirs(6, 4, 5, channels_last)
    same(ours["forward"](), theirs["forward"]())
    same(ours["dX"](), theirs["dX"]()[0])
    for a, b in zip(ours["dW"](), theirs["dW"]()[1:], strict=True):
        same(a, b)


def test_the_first_layer_is_not_asked_for_the_derivative_of_the_image():
    assert list(convolutions.ours(6, 3, 4)) == ["forward", "dW"]
