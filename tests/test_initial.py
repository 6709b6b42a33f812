import numpy as np
import pytest

from dagnet.layers import convt
from dagnet.models import initial


def test_bilinear_u_has_one_kernel_a_class_where_groups_and_classes_agree():
    bank = initial.bilinear_u(4, 3, 3)
    line = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
    assert bank.shape == (4, 4, 1, 3)
    assert bank.dtype == np.float32
    for i in range(3):
        np.testing.assert_array_equal(bank[:, :, 0, i], np.outer(line, line))


def test_bilinear_u_is_a_diagonal_bank_otherwise():
    bank = initial.bilinear_u(3, 1, 2)
    line = np.array([0.5, 1, 0.5], np.float32)
    assert bank.shape == (3, 3, 2, 2)
    np.testing.assert_array_equal(bank[:, :, 0, 0], np.outer(line, line))
    np.testing.assert_array_equal(bank[:, :, 1, 1], np.outer(line, line))
    assert not bank[:, :, 0, 1].any()
    assert not bank[:, :, 1, 0].any()


def test_bilinear_u_refuses_an_empty_kernel():
    with pytest.raises(ValueError, match=r"bilinear_u: k, groups, classes are 0, 1, 1; at least 1"):
        initial.bilinear_u(0, 1, 1)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_bilinear_identity_enlarges_a_plane_to_that_plane(factor):
    y, x = np.mgrid[:6, :5].astype(np.float32)
    planes = np.stack([y + 2 * x, 3 - x], axis=2)[..., None]
    big = convt.forward(
        planes, initial.bilinear_identity([2 * factor, 2 * factor, 2, 2]), None, upsample=factor, crop=factor // 2
    )
    # pixel i of the small image has its centre at factor * i + (factor - 1) / 2 of the large one
    y, x = (np.mgrid[: 6 * factor, : 5 * factor] - (factor - 1) / 2) / factor
    inside = slice(factor, -factor)
    assert big.shape == (6 * factor, 5 * factor, 2, 1)
    np.testing.assert_allclose(big[inside, inside, 0, 0], (y + 2 * x)[inside, inside], atol=1e-5)
    np.testing.assert_allclose(big[inside, inside, 1, 0], (3 - x)[inside, inside], atol=1e-5)


def test_a_bilinear_identity_has_as_many_outputs_as_inputs():
    with pytest.raises(ValueError, match="as many outputs as inputs"):
        initial.bilinear_identity([4, 4, 2, 3])


def test_he_filters_have_the_deviation_of_their_fan_in(rng):
    filters = initial.he([3, 3, 64, 128], rng)
    assert filters.dtype == np.float32
    assert filters.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.02)


@pytest.mark.parametrize("stride", [2, 8])
def test_he_for_transposed_convolutions_doubles_the_variance_whatever_the_stride(rng, stride):
    x = rng.standard_normal((8, 8, 32, 2)).astype(np.float32)
    w = initial.he_transposed([2 * stride, 2 * stride, 32, 32], stride, rng)
    y = convt.forward(x, w, None, upsample=stride, crop=stride // 2)
    assert y[stride:-stride, stride:-stride].var() == pytest.approx(2, rel=0.15)


def test_gaussian_filters_are_the_same_for_the_same_generator():
    one, two = (initial.gaussian([1, 1, 4, 2], 0.01, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (1, 1, 4, 2)
    assert 0 < np.abs(one).max() < 0.1
