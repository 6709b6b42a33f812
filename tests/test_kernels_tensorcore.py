"""dagnet.layers.kernels.gpu.tensorcore: TF32's convolution against the plain code on rounded numbers, and where it is used.

The emulator's plain twins stand for the tensor cores and the copies under way: see tensorcore.cu.
"""

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import launch, tensorcore

from dagnet.layers import array, conv, settings
from tests import oracles, test_conv
from tests.test_kernels_conv import plain
from tests.test_kernels_winograd import launched  # noqa: F401  # a fixture

EXACT = 1e-5  # of numbers that are TF32's already: what adding them up in single precision costs


def tf32(x):
    """x with ten bits behind the point, in double precision."""
    bits = x.astype(np.float32).view(np.uint32) + np.uint32(0x1000)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32).astype(float)


@pytest.fixture
def busy(emulated, monkeypatch):
    """A GPU that little work keeps busy."""
    monkeypatch.setattr(tensorcore, "LEAST_BLOCKS", 1)


@pytest.mark.parametrize(
    ("size", "k", "pad", "rectify"),
    [
        ((5, 6, 16, 1), 4, [1, 1, 1, 1], False),  # less than a block
        ((9, 8, 32, 2), 84, [1, 1, 1, 1], True),  # blocks of pixels that end within a row, of filters that are not full
        ((7, 7, 16, 3), 68, [0, 2, 3, 1], False),
    ],
)
def test_forward_is_the_convolution_of_rounded_numbers(on_gpu, rng, size, k, pad, rectify):
    x, w, b = test_conv.operands(rng, size, (3, 3, size[2], k), np.float32)
    y = (
        on_gpu(tensorcore)
        .forward(conv.Plan.of(size, w, b, 1, pad, 1), array.base(x), w, b, rectify)
        .transpose(1, 2, 3, 0)
    )
    right = plain(conv.forward, tf32(x), tf32(w), b.astype(float), pad=pad, rectify=rectify)
    assert oracles.error(y, right) < EXACT


@pytest.mark.parametrize("pad", [[1, 1, 1, 1], [0, 2, 3, 1]])
def test_dx_is_the_derivative_of_rounded_numbers(on_gpu, rng, pad):
    x, w, b = test_conv.operands(rng, (7, 9, 20, 2), (3, 3, 20, 32), np.float32)
    plan = conv.Plan.of(x.shape, w, b, 1, pad, 1)
    dy = rng.standard_normal(plan.output).astype(np.float32)
    dx = on_gpu(tensorcore).data_derivative(plan, array.base(dy), w).transpose(1, 2, 3, 0)
    right = plain(conv.backward, x.astype(float), tf32(w), None, tf32(dy), pad=pad)[0]
    assert oracles.error(dx, right) < EXACT


@pytest.mark.parametrize(
    ("size", "k", "pad", "blocks"),
    [
        ((9, 9, 16, 1), 4, [1, 1, 1, 1], 1),  # one sum, long enough for all stages
        ((7, 5, 16, 2), 84, [1, 1, 1, 1], 8),  # cut in shares, of which the last is shorter
        ((4, 20, 16, 1), 132, [0, 2, 3, 1], 9),
    ],
)
def test_dw_is_the_derivative_of_rounded_numbers(on_gpu, rng, monkeypatch, size, k, pad, blocks):
    monkeypatch.setattr(tensorcore, "BLOCKS", blocks)
    x, w, b = test_conv.operands(rng, size, (3, 3, size[2], k), np.float32)
    plan = conv.Plan.of(size, w, b, 1, pad, 1)
    dy = rng.standard_normal(plan.output).astype(np.float32)
    dw = on_gpu(tensorcore).filter_derivative(plan, array.base(x), array.base(dy))
    right = plain(conv.backward, tf32(x), w.astype(float), None, tf32(dy), pad=pad)[1]
    assert oracles.error(dw, right) < EXACT


def test_sums_of_dw_stay_within_the_scratch():
    for pixels, channels in ((100_000, (64, 64)), (3456, (512, 512)), (7, (16, 16))):
        for scratch in (1, 10_000_000, 1 << 28):
            with settings.using(scratch=scratch):
                slabs, each = tensorcore._slabs(pixels, *channels)
            shares = -(-slabs // each)
            assert each >= 1 and slabs * 16 >= pixels
            assert shares == 1 or shares * 9 * 4 * np.prod(channels) <= scratch


def test_arrays_at_odd_addresses_are_left_to_others(rng, busy):
    x, w, b = test_conv.operands(rng, (4, 5, 16, 1), (3, 3, 16, 16), np.float32)
    plan, pixels = conv.Plan.of(x.shape, w, b, 1, 1, 1), array.base(x)
    shifted = np.empty(x.size + 1, np.float32)[1:].reshape(pixels.shape)
    with settings.using(precision="tf32"):
        assert tensorcore.serves(plan, pixels, pixels.copy())
        assert not tensorcore.serves(plan, shifted)
        assert not tensorcore.serves(plan, pixels, shifted)


def test_filters_at_any_address_are_accepted(on_gpu, rng):
    x, w, b = test_conv.operands(rng, (3, 3, 16, 1), (3, 3, 16, 4), np.float32)
    shifted = np.empty(w.size + 1, np.float32)[1:].reshape(w.shape)
    shifted[...] = w
    plan = conv.Plan.of(x.shape, w, b, 1, 1, 1)
    y = on_gpu(tensorcore).forward(plan, array.base(x), w, b, False)
    assert (y == on_gpu(tensorcore).forward(plan, array.base(x), shifted, b, False)).all()


def test_nan_is_passed_on(on_gpu, rng):
    x, w, b = test_conv.operands(rng, (1, 5, 16, 1), (3, 3, 16, 4), np.float32)
    x[0, 0, 3] = np.nan
    y = on_gpu(tensorcore).forward(conv.Plan.of(x.shape, w, b, 1, 1, 1), array.base(x), w, b, True)
    assert np.isnan(y[0, 0]).sum(axis=1).tolist() == [4, 4, 0, 0, 0]


def layer(rng, dtype=np.float32, size=(4, 5, 32, 1), filters=(3, 3, 32, 16), precision="tf32", exact=False, **options):
    """A convolution's forward and dx; its arrays and results."""
    x, w, b = test_conv.operands(rng, size, filters, dtype)
    options = {"pad": 1} | options
    with settings.using(precision=precision, exact=exact):
        y = conv.forward(x, w, b, **options)
        return conv.backward(x, w, b, y, **options)


def test_layers_of_3x3_take_it_in_tf32(rng, busy, launched):  # noqa: F811
    layer(rng)
    assert launched == {"tensorcore"}


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "float32"},
        {"exact": True},
        {"dtype": float},
        {"stride": 2},
        {"dilate": [2, 1]},
        {"filters": (3, 1, 32, 16)},
        {"filters": (3, 3, 16, 16)},  # two groups
        {"filters": (3, 3, 32, 24)},
        {"size": (4, 5, 24, 1), "filters": (3, 3, 24, 16)},
    ],
)
def test_others_are_done_by_matrix_products(rng, busy, launched, options):  # noqa: F811
    layer(rng, **options)
    assert launched == {"conv"}


def test_it_is_left_out_on_older_gpus_and_where_there_is_little_to_do(rng, busy, launched, monkeypatch):  # noqa: F811
    with monkeypatch.context() as patch:
        patch.setattr(launch, "capability", lambda: 75)
        layer(rng)
    monkeypatch.setattr(tensorcore, "LEAST_BLOCKS", 2)
    layer(rng)
    assert launched == {"conv"}
