"""dagnet.layers.bilinearsampler: where samples fall, borders, several grids an image; against loops and slopes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnet.layers import array, bilinearsampler, gradcheck, grid
from tests import oracles


def operands(rng, size, grid_size, dtype=np.float64):
    """x, and a grid whose positions reach over every border by a pixel and a half, and keep away from pixels' centres."""
    x = rng.standard_normal(size)
    pixels = np.stack([rng.integers(-2, s + 1, grid_size) + rng.uniform(0.1, 0.9, grid_size) for s in size[:2]])
    extent = np.maximum(np.array(size[:2]) - 1, 1).reshape(2, 1, 1, 1)
    return x.astype(dtype), (2 * pixels / extent - 1).astype(dtype)


def identity(xp, n, ho, wo, dtype=np.float64):
    numbers = xp.asarray([1, 0, 0, 1, 0, 0] * n, dtype).reshape(n, 6).T
    return grid.forward(numbers.reshape(1, 1, 6, n), (ho, wo))


def at(xp, size, *positions):
    """The grid (2, P, 1, 1) of these positions (v, u), in pixels from 0, over an image of that size."""
    rows = [[2 * p / (s - 1) - 1 for p in line] for line, s in zip(zip(*positions, strict=True), size, strict=True)]
    return xp.asarray(rows).reshape(2, -1, 1, 1)


@pytest.mark.parametrize(
    ("size", "grid_size"),
    [((5, 6, 3, 2), (4, 3, 2)), ((5, 6, 2, 2), (3, 4, 6)), ((2, 9, 1, 1), (7, 1, 3)), ((4, 3, 2, 3), (1, 1, 3))],
)
def test_backward_is_the_slope_of_forward(xp, rng, size, grid_size):
    operands_ = [xp.asarray(a) for a in operands(rng, size, grid_size)]
    gradcheck.check(bilinearsampler.BilinearSampler(), operands_, [], rng)


@given(
    st.tuples(*[st.integers(1, 7)] * 2, st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(1, 5)] * 2, st.integers(1, 3)),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_sizes_agree_with_bare_loops(size, grid_size):
    rng = np.random.default_rng(sum(size))
    x, g = operands(rng, size, (*grid_size[:2], grid_size[2] * size[3]))
    y = bilinearsampler.forward(x, g)
    assert oracles.error(y, oracles.bilinearsampler(x, g)) < 1e-14
    dy = rng.standard_normal(y.shape)
    ours, theirs = bilinearsampler.backward(x, g, dy), oracles.bilinearsampler_backward(x, g, dy)
    assert max(oracles.error(m, o) for m, o in zip(ours, theirs, strict=True)) < 1e-12


def test_the_identity_grid_gives_the_image_itself(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 6, 3, 2)))
    assert xp.allclose(bilinearsampler.forward(x, identity(xp, 2, 5, 6)), x, rtol=0, atol=1e-14)


def test_the_grids_first_number_is_vertical_and_its_second_horizontal(xp):
    x = xp.arange(12.0).reshape(3, 4, 1, 1)
    y = bilinearsampler.forward(x, xp.asarray([-1.0, 1.0]).reshape(2, 1, 1, 1))
    assert float(y[0, 0, 0, 0]) == 3  # the first row's last pixel


def test_half_way_between_four_pixels_lies_their_mean(xp):
    x = xp.asarray([[1.0, 2.0], [3.0, 10.0]])
    assert float(bilinearsampler.forward(x, xp.zeros((2, 1, 1, 1)))[0, 0, 0, 0]) == 4


def test_the_image_fades_out_after_its_last_pixels_and_ends_sharply_before_its_first(xp):
    x = xp.full((3, 5, 1, 1), 8.0)
    after = at(xp, (3, 5), (2.25, 1), (1, 4.5), (2.25, 4.5), (3.5, 2), (1, 5.1))
    assert bilinearsampler.forward(x, after).ravel().tolist() == pytest.approx([6, 4, 3, 0, 0], abs=1e-12)
    before = at(xp, (3, 5), (-0.01, 1), (1, -0.01), (-0.5, 4.5), (-7, -7))
    assert bilinearsampler.forward(x, before).ravel().tolist() == [0, 0, 0, 0]
    for der in bilinearsampler.backward(x, before, xp.ones((4, 1, 1, 1))):
        assert not der.any()


def test_on_a_pixels_centre_the_slope_is_the_one_towards_the_next_pixel(xp):
    x = xp.asarray([[0.0, 1.0, 5.0, 5.0]]).reshape(1, 4, 1, 1)
    positions = xp.asarray([[0.0] * 4, [-1.0, -1 / 3, 1 / 3, 1.0]]).reshape(2, 1, 4, 1)
    _, dgrid = bilinearsampler.backward(x, positions, xp.ones((1, 4, 1, 1)))
    assert array.to_numpy(dgrid)[1].ravel().tolist() == pytest.approx([1.5, 6, 0, -7.5])


def test_of_several_grids_an_image_the_first_ones_are_the_first_images(xp, rng):
    x, g = (xp.asarray(a) for a in operands(rng, (5, 6, 3, 2), (4, 3, 6)))
    dy = xp.asarray(rng.standard_normal((4, 3, 3, 6)))
    y, (dx, dgrid) = bilinearsampler.forward(x, g), bilinearsampler.backward(x, g, dy)
    for n, mine in ((0, slice(0, 3)), (1, slice(3, 6))):
        one = x[..., n : n + 1]
        each = [bilinearsampler.backward(one, g[..., m : m + 1], dy[..., m : m + 1]) for m in range(6)[mine]]
        assert (y[..., mine] == bilinearsampler.forward(one, g[..., mine])).all()
        assert (dgrid[..., mine] == xp.concatenate([d for _, d in each], axis=3)).all()
        assert xp.allclose(dx[..., n : n + 1], sum(d for d, _ in each), rtol=0, atol=1e-14)


@pytest.mark.parametrize("order", [lambda a: a.T.copy().T, array.channels_last, lambda a: a.copy()])
def test_any_memory_order_is_accepted_and_the_common_one_comes_back_in_the_same_dtype(xp, rng, order):
    x, g = (order(xp.asarray(a)) for a in operands(rng, (5, 6, 3, 2), (4, 3, 4), np.float32))
    before = x.copy(), g.copy()
    y = bilinearsampler.forward(x, g)
    made = (y, *bilinearsampler.backward(x, g, order(y)))
    for one in made:
        assert one.dtype == np.float32
        assert one.transpose(3, 0, 1, 2).flags.c_contiguous
    assert (x == before[0]).all() and (g == before[1]).all()
    assert (y == bilinearsampler.forward(*before)).all()


def test_a_position_that_is_no_number_makes_a_sample_that_is_none_so_that_training_can_stop(xp, rng):
    x, g = (xp.asarray(a) for a in operands(rng, (5, 6, 3, 1), (2, 2, 1)))
    g[0, 1, 1, 0], g[1, 0, 0, 0] = np.nan, 1e30
    with warnings.catch_warnings(action="error"):
        y = bilinearsampler.forward(x, g)
        bilinearsampler.backward(x, g, xp.ones(y.shape))
    assert xp.isnan(y[1, 1]).all() and not y[0, 0].any() and xp.isfinite(y[:, 0]).all()


def test_no_images_make_no_samples_and_empty_derivatives(xp):
    x, g = xp.zeros((5, 6, 3, 0)), xp.zeros((2, 4, 4, 0))
    assert bilinearsampler.forward(x, g).shape == (4, 4, 3, 0)
    assert [d.shape for d in bilinearsampler.backward(x, g, xp.zeros((4, 4, 3, 0)))] == [x.shape, g.shape]


@pytest.mark.parametrize(
    ("grid_shape", "message"),
    [
        ((3, 4, 4, 2), r"bilinearsampler: grid has shape \(3, 4, 4, 2\); \(2, Ho, Wo, No\) is right"),
        ((2, 4, 4, 3), "bilinearsampler: there are 3 grids and 2 images; a multiple of 2 grids is right"),
    ],
)
def test_grids_that_do_not_fit_are_refused(grid_shape, message):
    with pytest.raises(ValueError, match=message):
        bilinearsampler.forward(np.zeros((5, 6, 3, 2)), np.zeros(grid_shape))


def test_a_derivative_of_another_shape_and_mixed_precisions_are_refused():
    x, g = np.zeros((5, 6, 3, 2)), np.zeros((2, 4, 3, 2))
    with pytest.raises(ValueError, match=r"dy has shape \(4, 3, 3, 1\); y's shape \(4, 3, 3, 2\) is right"):
        bilinearsampler.backward(x, g, np.zeros((4, 3, 3, 1)))
    with pytest.raises(ValueError, match="bilinearsampler: x is float64, grid is float32"):
        bilinearsampler.forward(x, g.astype(np.float32))
    with pytest.raises(ValueError, match="bilinearsampler: x is float64, grid is float64, dy is float32"):
        bilinearsampler.backward(x, g, np.zeros((4, 3, 3, 2), np.float32))


def test_sizes_of_1_at_the_end_may_be_missing(xp, rng):
    x, g = (xp.asarray(a) for a in operands(rng, (5, 6, 1, 1), (4, 3, 1)))
    dy = xp.asarray(rng.standard_normal((4, 3, 1, 1)))
    assert (bilinearsampler.forward(x[:, :, 0, 0], g[..., 0]) == bilinearsampler.forward(x, g)).all()
    short, whole = (
        bilinearsampler.backward(x[:, :, 0, 0], g[..., 0], dy[:, :, 0, 0]),
        bilinearsampler.backward(x, g, dy),
    )
    assert all(a.shape == b.shape and (a == b).all() for a, b in zip(short, whole, strict=True))


def test_the_blocks_output_has_the_grids_size_and_number_and_xs_channels():
    block = bilinearsampler.BilinearSampler()
    assert block.output_sizes([(5, 6, 3, 2), (2, 4, 3, 6)]) == [(4, 3, 3, 6)]
    assert all(np.isnan(field.size).all() for field in block.receptive_fields(2))
