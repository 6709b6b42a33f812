"""dagnet.layers.parts: every pixel is met once, threads or none."""

import numpy as np
import pytest

from dagnet.layers import array, parts, settings, threads


@pytest.fixture
def small(monkeypatch):
    """Parts of a few pixels, and rows of a few numbers, so that small arrays have many of both."""
    monkeypatch.setattr(parts, "PART_BYTES", 500)
    monkeypatch.setattr(parts, "ROW", 16)


@pytest.fixture(params=[1, 3])
def workers(request):
    with settings.using(threads=request.param):
        yield request.param


@pytest.mark.parametrize("channels", [1, 3, 16, 50])
@pytest.mark.parametrize("pixels", [0, 1, 7, 100, 1001])
def test_every_pixel_is_met_once_by_its_channels_vector(xp, rng, small, workers, pixels, channels):
    x, v = xp.asarray(rng.standard_normal((pixels, channels))), xp.asarray(rng.standard_normal(channels))
    y = xp.full_like(x, 7)

    def work(x, y, v):
        y += x * v

    threads.run(work, parts.of([x, y], [v]))
    assert xp.allclose(y, 7 + x * v, rtol=1e-15)


def test_without_vectors_a_row_is_a_pixel(xp, rng, small):
    x = xp.asarray(rng.standard_normal((1001, 3)))
    assert all(part.shape[1] == 3 for (part,) in parts.of([x]))
    assert sum(len(part) for (part,) in parts.of([x])) == 1001


def test_parts_fit_the_cache(small):
    x = np.zeros((1001, 3))
    for cut in (parts.of([x]), parts.of([x], [np.zeros(3)])):
        sizes = [part[0].nbytes for part in cut]
        assert len(sizes) > 40 and max(sizes) <= 500


@pytest.mark.parametrize("shape", [(0, 3), (1,), (7, 11, 3, 2), (1001, 3)])
@pytest.mark.parametrize("order", ["C", "F", "channels last", "with gaps", "two orders"])
def test_every_element_is_met_once_beside_its_own(xp, rng, small, workers, shape, order):
    x, y = xp.asarray(rng.standard_normal(shape)), xp.full(shape, 7.0)
    if order == "F":
        x, y = xp.asfortranarray(x), xp.asfortranarray(y)
    elif order == "channels last" and x.ndim == 4:
        x, y = array.channels_last(x), array.channels_last(y)
    elif order == "with gaps":
        y = xp.full((2 * shape[0], *shape[1:]), 7.0)[::2]
    elif order == "two orders":
        x = xp.asfortranarray(x)

    def work(x, y):
        y += x

    threads.run(work, parts.elements(x, y))
    assert (y == 7 + x).all()


def test_elements_come_in_pieces_that_fit_the_cache_whatever_their_order(small):
    x = array.channels_last(np.zeros((20, 11, 3, 2)))
    sizes = [part.nbytes for (part,) in parts.elements(x)]
    assert len(sizes) > 20 and max(sizes) <= 500


@pytest.mark.parametrize("channels", [1, 2, 3, 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_is_copied_whatever_its_order_and_neighbours(xp, rng, small, workers, channels, dtype):
    x = xp.asarray(rng.standard_normal((5, 7, channels + 2, 2)), dtype)
    for source in (x, array.channels_last(x), xp.asfortranarray(x)):
        for goal in (xp.zeros(x.shape, dtype), array.zeros(xp, x.shape, dtype), array.zeros(xp, x.shape, np.float64)):
            parts.copy(goal[1:, 2:, 1 : 1 + channels], source[:-1, :-2, 2 : 2 + channels])
            assert (goal[1:, 2:, 1 : 1 + channels] == source[:-1, :-2, 2 : 2 + channels]).all()
            assert not (goal[0].any() or goal[:, :2].any() or goal[:, :, 0].any() or goal[:, :, 1 + channels :].any())


def test_nothing_is_copied_where_there_is_nothing(xp):
    for shape in [(0, 2, 3, 1), (2, 2, 0, 1), (2, 2, 3, 0)]:
        parts.copy(array.empty(xp, shape, np.float32), array.empty(xp, shape, np.float32))
