"""dagnet.layers.concat: along every dimension, against bare loops and finite differences."""

import numpy as np
import pytest

from dagnet.layers import array, concat, gradcheck
from tests import oracles

every_dim = pytest.mark.parametrize("dim", [1, 2, 3, 4])


def inputs(xp, rng, dim, dtype=np.float64):
    """Three arrays (4, 3, 2, 2) whose size along dim is 1, 2 and 3."""
    shapes = [tuple(length if d == dim - 1 else size for d, size in enumerate((4, 3, 2, 2))) for length in (1, 2, 3)]
    return [xp.asarray(rng.standard_normal(shape), dtype) for shape in shapes]


@every_dim
def test_forward_is_exactly_what_bare_loops_say(xp, rng, dim):
    xs = inputs(xp, rng, dim)
    y = concat.forward(xs, dim=dim)
    assert (array.to_numpy(y) == oracles.concat([array.to_numpy(x) for x in xs], dim)).all()


@every_dim
def test_backward_is_exactly_what_bare_loops_say(xp, rng, dim):
    xs = inputs(xp, rng, dim)
    dy = xp.asarray(rng.standard_normal(concat.forward(xs, dim=dim).shape))
    expected = oracles.concat_backward([array.to_numpy(x) for x in xs], array.to_numpy(dy), dim)
    for ours, right in zip(concat.backward(xs, dy, dim=dim), expected, strict=True):
        assert (array.to_numpy(ours) == right).all()


@every_dim
def test_backward_is_the_slope_of_forward(xp, rng, dim):
    gradcheck.check(concat.Concat(dim=dim), inputs(xp, rng, dim), [], rng)


@every_dim
def test_results_have_the_common_memory_order_and_the_inputs_dtype(xp, rng, dim):
    xs = inputs(xp, rng, dim, np.float32)
    y = concat.forward(xs, dim=dim)
    for made in (y, *concat.backward(xs, y, dim=dim)):
        assert made.dtype == np.float32
        assert made.transpose(3, 0, 1, 2).flags.c_contiguous


def test_dimensions_that_matlab_drops_are_put_back(xp, rng):
    xs = [xp.asarray(rng.standard_normal((4, 5))) for _ in range(2)]
    assert concat.forward(xs).shape == (4, 5, 2, 1)
    assert concat.forward(xs, dim=4).shape == (4, 5, 1, 2)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3, 2, 1\) and \(4, 4, 2, 1\) differ beyond dimension 3"):
        concat.forward([np.zeros((4, 3, 2, 1)), np.zeros((4, 4, 2, 1))])


@pytest.mark.parametrize("dim", [0, 5, 1.5])
def test_a_dimension_that_does_not_exist_is_refused(dim):
    with pytest.raises(ValueError, match=f"dim is {dim}; 1, 2, 3 or 4"):
        concat.forward([np.zeros((4, 3, 2, 1))] * 2, dim=dim)


def test_no_inputs_at_all_are_refused():
    with pytest.raises(ValueError, match="concat: no input came"):
        concat.forward([])


def test_a_derivative_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"dy has shape \(4, 3, 2, 1\); y's shape \(4, 3, 4, 1\) is right"):
        concat.backward([np.zeros((4, 3, 2, 1))] * 2, np.zeros((4, 3, 2, 1)))


@every_dim
def test_the_blocks_output_size_is_the_size_of_its_output(rng, dim):
    xs = inputs(np, rng, dim)
    block = concat.Concat(dim)
    assert block.output_sizes([x.shape for x in xs]) == [block.forward(xs, [])[0].shape]


def test_unknown_sizes_stay_unknown():
    nan = float("nan")
    ((h, w, c, n),) = concat.Concat().output_sizes([(nan, 5, 2, 1), (4, 5, nan, 1)])
    assert np.isnan(h) and np.isnan(c) and (w, n) == (5, 1)


def test_fields_are_one_pixel_unless_pixels_are_laid_side_by_side():
    assert [f.size for f in concat.Concat(3).receptive_fields(2)] == [(1, 1), (1, 1)]
    assert np.isnan(concat.Concat(1).receptive_fields(1)[0].size).all()


def test_bytes_and_mixed_precisions_are_refused():
    x = np.zeros((4, 3, 2, 1))
    with pytest.raises(ValueError, match="concat: x1 is float64, x2 is float32; all float32"):
        concat.forward([x, x.astype(np.float32)])
    with pytest.raises(ValueError, match="concat: x1 is uint8, x2 is uint8"):
        concat.forward([x.astype(np.uint8)] * 2)
