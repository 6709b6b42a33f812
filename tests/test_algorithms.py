"""dagnet.layers.algorithms: what is chosen for a convolution, by shapes and settings, and that a layer's own choice counts."""

import numpy as np
import pytest
from dagnet.layers.kernels import winograd

from dagnet.layers import algorithms, conv, kernels, settings


def plan_of(size, k, window=(3, 3), **options):
    w = np.zeros((*window, size[2] // options.pop("groups", 1), k), np.float32)
    return conv.Plan.of(
        size, w, None, options.pop("stride", 1), options.pop("pad", 1), options.pop("dilate", 1), **options
    )


VGG = plan_of((48, 48, 128, 1), 256)


@pytest.mark.parametrize("pass_", ["forward", "dx", "dw"])
@pytest.mark.parametrize("fast", [True, False])
def test_vggs_layers_of_single_precision_are_done_by_winograd(pass_, fast):
    with settings.using(fast=fast):
        choice = algorithms.choose(VGG, pass_, np.float32)
    loops = fast and kernels.has_numba()
    assert choice == algorithms.Choice("winograd", "by numba's loops" if loops else "by matrix products")


@pytest.mark.parametrize(
    ("plan", "dtype", "chosen", "says"),
    [
        (VGG, np.float32, {"exact": True}, "settings.exact"),
        (VGG, np.float64, {}, "float64"),
        (plan_of((48, 48, 128, 1), 256, (1, 1)), np.float32, {}, "not 3x3"),
        (plan_of((48, 48, 128, 1), 256, stride=2), np.float32, {}, "not 3x3"),
        (plan_of((48, 48, 128, 1), 256, dilate=2), np.float32, {}, "not 3x3"),
        (plan_of((48, 48, 128, 1), 256, groups=2), np.float32, {}, "not 3x3"),
        (plan_of((6, 6, 512, 1), 512), np.float32, {}, "few pixels: 36 in 4 tiles"),
        (plan_of((96, 96, 3, 1), 64), np.float32, {}, "few channels: 3 to 64"),
        (plan_of((96, 96, 16, 1), 16), np.float32, {"fast": False}, "few channels: 16 to 16"),
        (plan_of((24, 24, 32, 1), 32), np.float32, {"fast": False}, "few channels: 32 to 32"),
        (plan_of((96, 96, 128, 0), 64), np.float32, {}, "few pixels: 0"),
        (plan_of((48, 48, 128, 1), 256, algorithm="products"), np.float32, {}, "fixed for this layer"),
    ],
)
def test_products_are_chosen_where_winograd_would_not_pay_or_not_do(plan, dtype, chosen, says):
    with settings.using(**chosen):
        choice = algorithms.choose(plan, "forward", dtype)
        assert algorithms.serving(plan, "forward", np.zeros(1, dtype)) is None
    assert choice.algorithm == "products" and choice.why.startswith(says)


def test_one_tile_is_not_called_tiles():
    assert algorithms.choose(plan_of((4, 4, 512, 1), 512), "forward", np.float32).why == "few pixels: 16 in 1 tile"


def test_a_layers_own_choice_counts_before_settings_and_shapes(rng, monkeypatch):
    block = conv.Conv([3, 3, 2, 4], pad=1)
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((5, 6, 2, 1), (3, 3, 2, 4), (4, 1)))
    (right,) = block.forward([x], [w, b])
    asked = []
    forward = winograd.forward
    monkeypatch.setattr(winograd, "forward", lambda *given: asked.append(given) or forward(*given))
    block.algorithm = "winograd"
    with settings.using(exact=True):
        (y,) = block.forward([x], [w, b])
    assert len(asked) == 1
    np.testing.assert_allclose(y, right, atol=1e-5)


def test_a_layers_choice_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"windows of \(1, 1\), .*; windows of 3x3, stride 1, dilate 1 and one group"):
        algorithms.choose(plan_of((4, 4, 2, 1), 2, (1, 1), algorithm="winograd"), "dw", np.float32)
    with pytest.raises(ValueError, match="algorithm is 'fft'; auto, products or winograd is right"):
        conv.forward(np.zeros((4, 4, 2, 1)), np.zeros((3, 3, 2, 2)), pad=1, algorithm="fft")


def test_exact_gives_the_same_bits_with_and_without_numba(rng):
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((16, 16, 32, 2), (3, 3, 32, 32)))
    with settings.using(exact=True):
        one = conv.forward(x, w, pad=1)
        with settings.using(fast=False):
            assert (conv.forward(x, w, pad=1) == one).all()
    assert algorithms.serving(conv.Plan.of(x.shape, w, None, 1, 1, 1), "forward", np.zeros(1, np.float32)) is not None
