"""dagnet.layers.dropout: masks, seeds, test mode, freezing."""

import copy

import numpy as np
import pytest

from dagnet.layers import array, dropout, gradcheck

SHAPE = (20, 30, 16, 3)


def data(xp, rng, dtype=np.float32):
    return array.channels_last(xp.asarray(rng.standard_normal(SHAPE), dtype))


@pytest.mark.parametrize("rate", [0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mask_holds_zeros_at_the_rate_and_else_one_over_the_rest(xp, rng, rate, dtype):
    x = data(xp, rng, dtype)
    y, mask = dropout.forward(x, rate, xp.random.default_rng(1))
    values = array.to_numpy(mask)
    assert y.dtype == mask.dtype == dtype
    assert set(np.unique(values)) <= {dtype(0), dtype(1 / (1 - rate))}
    assert np.mean(values == 0) == pytest.approx(rate, abs=0.01)  # 28,800 draws: 0.003 is one standard deviation
    assert (y == mask * x).all()


def test_the_mean_of_the_masks_is_one(xp):
    x = xp.ones(SHAPE)
    y, _ = dropout.forward(x, 0.3, xp.random.default_rng(1))
    assert float(y.mean()) == pytest.approx(1, abs=0.02)


def test_backward_is_the_slope_of_forward(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 5, 3, 2)))
    block = dropout.DropOut(rate=0.4)
    block.forward([x], [])
    block.frozen = True  # one mask for both sides of the difference
    gradcheck.check(block, [x], [], rng)


def test_a_given_mask_is_used(xp, rng):
    x, mask = data(xp, rng), data(xp, rng)
    y, same = dropout.forward(x, mask=mask)
    assert same is mask
    assert (y == mask * x).all()
    assert (dropout.backward(mask, x) == mask * x).all()


def test_the_same_seed_gives_the_same_masks_and_another_seed_others(xp, rng):
    x, block = data(xp, rng), dropout.DropOut()
    runs = []
    for seed in (7, 7, np.random.SeedSequence(8)):
        block.seed(seed)
        runs.append([block.forward([x], [])[0] for _ in range(2)])
    first, again, other = runs
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != first[1]).any()  # a new mask at each call
    assert (first[0] != other[0]).any()


def test_a_block_that_nobody_seeded_starts_from_0_alone_and_from_its_layers_name_in_a_net(xp, rng):
    x = data(xp, rng)

    def first_mask(seed=None, layer=None):
        block = dropout.DropOut()
        if seed is not None:
            block.seed(seed)
        if layer is not None:
            block.join(layer)
        block.forward([x], [])
        return block.mask

    assert (first_mask() == first_mask(seed=0)).all()
    assert (first_mask(layer="drop6") == first_mask(layer="drop6")).all()
    assert (first_mask(layer="drop6") != first_mask(layer="drop7")).any()
    for seed in (0, 5):
        assert (first_mask(seed, "drop6") == first_mask(seed)).all()  # a seed that was given stands


def test_a_copys_masks_start_anew_from_the_same_seed(xp, rng):
    x, block = data(xp, rng), dropout.DropOut()
    block.seed(7)
    first, second = (block.forward([x], [])[0] for _ in range(2))
    twin = copy.deepcopy(block)
    assert (twin.forward([x], [])[0] == first).all()
    assert (block.forward([x], [])[0] != second).any()  # the block itself goes on


def test_one_generator_serves_all_masks_of_a_seed(xp, rng, monkeypatch):
    x, block, made = data(xp, rng), dropout.DropOut(), []
    make = xp.random.default_rng
    monkeypatch.setattr(xp.random, "default_rng", lambda seed: made.append(seed) or make(seed))
    for seed in (7, 8):
        block.seed(seed)
        for _ in range(3):
            block.forward([x], [])
    assert made == [7, 8]


def test_single_and_double_precision_drop_the_same_values(xp, rng):
    x = data(xp, rng, np.float64)
    masks = [dropout.draw(v, 0.5, xp.random.default_rng(3)) for v in (x, x.astype(np.float32))]
    assert (masks[0] == masks[1]).all()


def test_in_test_mode_the_input_passes_unchanged(xp, rng):
    x, block = data(xp, rng), dropout.DropOut()
    block.mode = "test"
    assert block.forward([x], [])[0] is x
    assert block.backward([x], [], [x]) == ([x], [])


def test_a_frozen_block_uses_its_mask_again_and_reset_thaws_it(xp, rng):
    x, block = data(xp, rng), dropout.DropOut(frozen=True)
    (first,) = block.forward([x], [])  # there is no mask yet: one is drawn
    assert (block.forward([x], [])[0] == first).all()
    block.reset()
    assert block.mask is None and not block.frozen
    assert (block.forward([x], [])[0] != first).any()


def test_the_memory_order_of_the_input_is_kept(xp, rng):
    x = data(xp, rng)
    y, mask = dropout.forward(x, 0.5, xp.random.default_rng(1))
    assert y.strides == mask.strides == x.strides


@pytest.mark.parametrize("rate", [-0.1, 1, 2, float("nan")])
def test_a_rate_that_is_no_probability_below_one_is_refused(rng, rate):
    with pytest.raises(ValueError, match=f"dropout: rate is {rate}"):
        dropout.forward(np.zeros((1, 1, 1, 1)), rate, rng)


def test_a_mask_of_another_shape_is_refused(rng):
    with pytest.raises(ValueError, match=r"the mask has shape \(1, 1, 1, 1\); x's shape \(2, 2, 2, 1\) is right"):
        dropout.forward(np.zeros((2, 2, 2, 1)), mask=np.zeros((1, 1, 1, 1)))


def test_without_a_mask_and_a_generator_it_says_so():
    with pytest.raises(ValueError, match="neither a mask nor a generator rng"):
        dropout.forward(np.zeros((2, 2, 2, 1)), 0.5)


def test_backward_before_forward_says_so():
    with pytest.raises(ValueError, match="DropOut: there is no mask"):
        dropout.DropOut().backward([np.zeros((1, 1, 1, 1))], [], [np.zeros((1, 1, 1, 1))])


def test_bytes_are_refused(rng):
    with pytest.raises(ValueError, match="dropout: x is uint8; all float32"):
        dropout.forward(np.zeros((2, 2, 2, 1), np.uint8), 0.5, rng)


def test_a_block_that_redraws_what_another_drew_goes_on_like_it(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 5, 3, 2)))
    one, other = dropout.DropOut(0.5), dropout.DropOut(0.5)
    one.seed(7), other.seed(7)
    for images in (2, 1, 2):
        one.forward([x[..., :images]], [])
    assert one.drawn == [(2, 4, 5, 3), (1, 4, 5, 3), (2, 4, 5, 3)]
    other.redraw(xp, one.drawn)
    assert other.drawn == one.drawn
    assert (one.forward([x], [])[0] == other.forward([x], [])[0]).all()
    one.seed(7)
    assert one.drawn == []
