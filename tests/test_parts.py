"""dagnet.layers.parts: every pixel is met once, threads or none, and what goes wrong in a thread is heard of."""

import threading

import numpy as np
import pytest

from dagnet.layers import parts


@pytest.fixture
def small(monkeypatch):
    """Parts of a few pixels, and rows of a few numbers, so that small arrays have many of both."""
    monkeypatch.setattr(parts, "PART_BYTES", 500)
    monkeypatch.setattr(parts, "ROW", 16)


@pytest.fixture(params=[1, 3])
def workers(request, monkeypatch):
    monkeypatch.setattr(parts, "threads", lambda: request.param)
    return request.param


@pytest.mark.parametrize("channels", [1, 3, 16, 50])
@pytest.mark.parametrize("pixels", [0, 1, 7, 100, 1001])
def test_every_pixel_is_met_once_by_its_channels_vector(xp, rng, small, workers, pixels, channels):
    x, v = xp.asarray(rng.standard_normal((pixels, channels))), xp.asarray(rng.standard_normal(channels))
    y = xp.full_like(x, 7)

    def work(x, y, v):
        y += x * v

    parts.run(work, parts.of([x, y], [v]))
    assert xp.allclose(y, 7 + x * v, rtol=1e-15)


def test_without_vectors_a_row_is_a_pixel(xp, rng, small):
    x = xp.asarray(rng.standard_normal((1001, 3)))
    assert all(part.shape[1] == 3 for (part,) in parts.of([x]))
    assert sum(len(part) for (part,) in parts.of([x])) == 1001


def test_parts_fit_the_cache(small):
    sizes = [part.nbytes for part, _ in parts.of([np.zeros((1001, 3))], [np.zeros(3)])]
    assert len(sizes) > 40 and max(sizes) <= 500


def test_results_come_in_the_parts_order(workers):
    assert parts.run(lambda a: a, [(i,) for i in range(50)]) == list(range(50))
    assert parts.run(lambda a: a, []) == []


def test_two_threads_work_at_the_same_time(monkeypatch):
    monkeypatch.setattr(parts, "threads", lambda: 2)
    both = threading.Barrier(2, timeout=20)  # passes only where two stand at it together
    assert len(parts.run(lambda a: both.wait(), [(0,), (1,)])) == 2


def test_an_error_in_a_part_is_raised(workers):
    def work(a):
        if a == 20:
            raise ValueError("part 20")

    with pytest.raises(ValueError, match="part 20"):
        parts.run(work, [(i,) for i in range(50)])


def test_blas_threads_bound_ours(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = parts.threads()
    assert cores >= 1
    for name, value, right in [
        ("OMP_NUM_THREADS", "1", 1),
        ("OPENBLAS_NUM_THREADS", "1", 1),
        ("OMP_NUM_THREADS", "", cores),
    ]:
        with monkeypatch.context() as context:
            context.setenv(name, value)
            assert parts.threads() == right
