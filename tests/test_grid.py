"""dagnet.layers.grid: affine and scaling grids; against loops, slopes and each other."""

import numpy as np
import pytest

from dagnet.layers import array, catalogue, gradcheck, grid
from tests import oracles

every_size = pytest.mark.parametrize("size", [(5, 4), (1, 3), (2, 1), (1, 1)])


def as_affine(a):
    """The numbers (1, 1, 6, N) of the affine maps that scalings (1, 1, 3, N) are."""
    s, ty, tx = a[0, 0]
    none = np.zeros_like(s)
    return np.stack([s, none, none, s, ty, tx]).reshape(1, 1, 6, -1)


@every_size
def test_affine_grids_agree_with_bare_loops(xp, rng, size):
    a, dgrid = rng.standard_normal((1, 1, 6, 3)), rng.standard_normal((2, *size, 3))
    assert oracles.error(grid.forward(xp.asarray(a), size), oracles.affine_grid(a, *size)) < 1e-15
    da = grid.backward(xp.asarray(a), size, xp.asarray(dgrid))
    assert oracles.error(da, oracles.affine_grid_backward(a, dgrid)) < 1e-14


@every_size
def test_scalings_agree_with_bare_loops_over_the_affine_maps_that_they_are(xp, rng, size):
    a, dgrid = rng.standard_normal((1, 1, 3, 3)), rng.standard_normal((2, *size, 3))
    assert oracles.error(grid.forward(xp.asarray(a), size), oracles.affine_grid(as_affine(a), *size)) < 1e-15
    six = oracles.affine_grid_backward(as_affine(a), dgrid)[0, 0]
    three = np.stack([six[0] + six[3], six[4], six[5]]).reshape(a.shape)
    assert oracles.error(grid.backward(xp.asarray(a), size, xp.asarray(dgrid)), three) < 1e-14


@pytest.mark.parametrize(
    "block", [grid.AffineGridGenerator(4, 3), grid.UniformScalingGridGenerator(3, 5)], ids=lambda b: type(b).__name__
)
def test_backward_is_the_slope_of_forward_and_sizes_are_foretold(xp, rng, block):
    a = xp.asarray(rng.standard_normal((1, 1, block.numbers, 2)))
    gradcheck.check(block, [a], [], rng)
    assert block.output_sizes([a.shape]) == [block.forward([a], [])[0].shape]
    assert np.isnan(block.receptive_fields(1)[0].stride).all()


def test_a_grids_corners_are_the_corners_of_the_image(xp):
    g = grid.forward(xp.asarray([1.0, 0, 0, 1, 0, 0]).reshape(1, 1, 6, 1), (3, 5))[..., 0]
    assert g[:, 0, 0].tolist() == [-1, -1] and g[:, 2, 4].tolist() == [1, 1] and g[:, 2, 0].tolist() == [1, -1]


def test_single_precision_stays_single_and_no_argument_is_written_to(xp, rng):
    a = xp.asarray(rng.standard_normal((1, 1, 6, 2)), np.float32)
    before = a.copy()
    g = grid.forward(a, (3, 4))
    assert g.dtype == np.float32 and g.transpose(3, 0, 1, 2).flags.c_contiguous
    assert grid.backward(a, (3, 4), g).dtype == np.float32
    assert (a == before).all()


def test_blocks_keep_their_size_under_matlabs_names():
    block = catalogue.from_matlab("dagnn.AffineGridGenerator", {"Ho": np.array([[7.0]]), "Wo": 5})
    assert catalogue.to_matlab(block) == {"Ho": 7, "Wo": 5}


def test_numbers_of_the_other_kind_are_refused_by_the_blocks():
    with pytest.raises(
        ValueError, match=r"UniformScalingGridGenerator: its input has shape .* \(1, 1, 3, N\) is right"
    ):
        grid.UniformScalingGridGenerator(3, 3).forward([np.zeros((1, 1, 6, 1))], [])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="grid: a is int64; all float32"):
        grid.forward(np.zeros((1, 1, 6, 1), np.int64), (3, 3))
    with pytest.raises(ValueError, match="grid: a is float64, dgrid is float32"):
        grid.backward(np.zeros((1, 1, 6, 1)), (3, 3), np.zeros((2, 3, 3, 1), np.float32))
    with pytest.raises(ValueError, match=r"grid: a has shape \(1, 1, 5, 1\)"):
        grid.forward(np.zeros((1, 1, 5, 1)), (3, 3))
    with pytest.raises(ValueError, match=r"grid: Ho and Wo: it is \[0, 0\]; at least 1 is right"):
        grid.AffineGridGenerator().forward([np.zeros((1, 1, 6, 1))], [])
    with pytest.raises(ValueError, match=r"grid: dy has shape \(2, 3, 3, 2\); y's shape \(2, 3, 3, 1\) is right"):
        grid.backward(np.zeros((1, 1, 6, 1)), (3, 3), np.zeros((2, 3, 3, 2)))


def test_sizes_may_be_matlabs_doubles_and_maps_may_lack_their_n_or_be_none(xp, rng):
    a, dgrid = xp.asarray(rng.standard_normal((1, 1, 6))), xp.asarray(rng.standard_normal((2, 3, 4)))
    assert (grid.forward(a, (3.0, 4.0)) == grid.forward(a[..., None], (3, 4))).all()
    assert grid.backward(a, (3.0, 4.0), dgrid).shape == (1, 1, 6, 1)
    none = xp.zeros((1, 1, 3, 0))
    assert grid.forward(none, (3, 4)).shape == (2, 3, 4, 0)
    assert grid.backward(none, (3, 4), xp.zeros((2, 3, 4, 0))).shape == none.shape


def test_any_memory_order_of_the_numbers_gives_the_same_grids(xp, rng):
    a = xp.asarray(rng.standard_normal((1, 1, 6, 2)))
    assert (grid.forward(a, (3, 4)) == grid.forward(array.channels_last(a), (3, 4))).all()
