"""dagnet.layers.kernels.winograd and its tiles, as matrix products and as numba's loops: against convolution by products."""

import numpy as np
import pytest
from dagnet.layers.kernels import tiles, winograd
from hypothesis import given, strategies
from hypothesis import settings as hypothesis

from dagnet.layers import array, conv, kernels, settings
from tests import oracles

TIERS = ["plain", pytest.param("fast", marks=pytest.mark.skipif(not kernels.has_numba(), reason="numba is missing"))]
every_tier = pytest.mark.parametrize("tier", TIERS)
TOLERANCE = {np.float32: 8e-6, np.float64: 3e-14}  # of the largest number; 5e-6 is reached with 512 channels


def passes(size, k, pad, dtype, algorithm, rectify=False, seed=0):
    """y, dx, dw, db of a 3x3 convolution in double precision by products, or in dtype by the algorithm."""
    rng = np.random.default_rng(seed)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (size, (3, 3, size[2], k), (k, 1)))
    size = size[0] + pad[0] + pad[1] - 2, size[1] + pad[2] + pad[3] - 2, k, size[3]
    dy = rng.standard_normal(size).astype(dtype)
    if algorithm == "products":
        x, w, b, dy = (a.astype(np.float64) for a in (x, w, b, dy))
    y = conv.forward(x, w, b, pad=pad, rectify=rectify, algorithm=algorithm)
    return [y, *conv.backward(x, w, b, dy, pad=pad, algorithm=algorithm)]


def agree(size, k, pad, dtype, tier, rectify=False):
    with settings.using(fast=tier == "fast"):
        ours = passes(size, k, pad, dtype, "winograd", rectify)
    for mine, right in zip(ours, passes(size, k, pad, dtype, "products", rectify), strict=True):
        assert mine.dtype == dtype
        assert oracles.error(mine, right) < TOLERANCE[dtype]


@every_tier
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("size", "k", "pad"),
    [
        ((8, 8, 4, 2), 4, (1, 1, 1, 1)),
        ((9, 7, 3, 2), 5, (0, 1, 2, 1)),  # odd sizes, a pad on every side of its own
        ((5, 6, 2, 1), 3, (2, 2, 2, 2)),
        ((3, 3, 1, 1), 1, (0, 0, 0, 0)),  # one pixel, one channel
        ((1, 1, 1, 1), 1, (1, 1, 1, 1)),
        ((2, 3, 2, 1), 2, (5, 4, 3, 6)),  # windows that see nothing but the pad
        ((13, 10, 70, 3), 130, (1, 1, 1, 1)),  # more channels than a block, and not a whole number of blocks
        ((30, 33, 20, 2), 24, (1, 1, 1, 1)),  # many tiles
    ],
)
def test_all_passes_agree_with_products_in_double_precision(size, k, pad, dtype, tier):
    agree(size, k, pad, dtype, tier)


@every_tier
@hypothesis(max_examples=25, deadline=None, derandomize=True)
@given(
    size=strategies.tuples(*[strategies.integers(1, 14)] * 2, strategies.integers(1, 6), strategies.integers(1, 3)),
    k=strategies.integers(1, 6),
    pad=strategies.tuples(*[strategies.integers(0, 2)] * 4),
    rectify=strategies.booleans(),
)
def test_any_size_and_pad_agrees_with_products(tier, size, k, pad, rectify):
    pad = pad if size[0] + pad[0] + pad[1] >= 3 and size[1] + pad[2] + pad[3] >= 3 else (1, 1, 1, 1)
    agree(size, k, pad, np.float32, tier, rectify)


@every_tier
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bytes_of_tiles", [1, 20_000, 1 << 40])
def test_threads_and_parts_of_any_number_give_the_same(monkeypatch, tier, threads, bytes_of_tiles):
    size, k, pad = (21, 18, 10, 2), 12, (1, 1, 1, 1)
    right = passes(size, k, pad, np.float64, "products")
    with settings.using(fast=tier == "fast", threads=threads):
        work = winograd._tier(np.zeros(1, np.float32))
        for module, name in ((work, "CACHE"), (winograd, "TILES")):
            monkeypatch.setattr(module, name, bytes_of_tiles)
        for width in (4, 64):
            monkeypatch.setattr(work, "WIDTH", width)
            for mine, wanted in zip(passes(size, k, pad, np.float64, "winograd"), right, strict=True):
                assert oracles.error(mine, wanted) < TOLERANCE[np.float64]


@every_tier
def test_many_channels_stay_within_the_documented_error(tier):
    agree((12, 12, 512, 1), 256, (1, 1, 1, 1), np.float32, tier)


@every_tier
def test_the_same_arrays_give_the_same_bits(tier):
    with settings.using(fast=tier == "fast", threads=2):
        one, two = (passes((17, 16, 20, 2), 24, (1, 1, 1, 1), np.float32, "winograd") for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, two, strict=True))


@every_tier
@pytest.mark.parametrize("order", [np.asfortranarray, array.channels_last, lambda a: np.flip(np.flip(a, 0).copy(), 0)])
def test_any_memory_order_is_accepted_and_nothing_is_written_to(rng, tier, order):
    x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in ((9, 8, 4, 2), (3, 3, 4, 6), (9, 8, 6, 2)))
    with settings.using(fast=tier == "fast"):
        right = conv.backward(x, w, None, dy, pad=1, algorithm="winograd")[:2]
        given_ = [order(a) for a in (x, w, dy)]
        before = [a.copy() for a in given_]
        again = conv.backward(given_[0], given_[1], None, given_[2], pad=1, algorithm="winograd")[:2]
    assert all((a == b).all() for a, b in zip(right, again, strict=True))
    assert all((a == b).all() for a, b in zip(given_, before, strict=True))


@every_tier
def test_a_relu_within_passes_nan_on_as_the_plain_one_does(tier):
    x, w = np.full((4, 4, 1, 1), np.nan, np.float32), np.ones((3, 3, 1, 1), np.float32)
    with settings.using(fast=tier == "fast"):
        y = conv.forward(x, w, None, pad=1, rectify=True, algorithm="winograd")
    assert np.isnan(y).all()


def test_the_three_matrices_compute_a_correlation_of_four_places(rng):
    d, g = rng.standard_normal(6), rng.standard_normal(3)
    made = tiles.SUMS @ ((tiles.FILTERS @ g) * (tiles.WINDOWS @ d))
    np.testing.assert_allclose(made, [d[i : i + 3] @ g for i in range(4)], rtol=1e-13, atol=1e-14)


@every_tier
def test_where_the_channels_end_a_block_is_filled_up_with_zeros(rng, tier):
    work = tiles if tier == "plain" else kernels._twins("cpu", "tiles")
    dy = rng.standard_normal((1, 4, 4, 5))
    z = np.full((2, 36, 1, 3), np.nan)
    work.gather_der(dy, z, 0, 1, 0, (1, 1))
    assert (z[1, ..., 2] == 0).all() and (z[1, ..., :2] != 0).any() and z[0].all()
