"""Recorded work on the GPU: what is repeated, what is recorded anew, and where it is given up; on the fake of CuPy."""

import numpy as np
import pytest

from dagnet.layers import replay
from tests import fakecupy
from tests.fakecupy import Stream


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.installed(monkeypatch)


class Doubling:
    """Work that a host launches: y = factor x; counts how often the host was at it, and in which pool arrays were made."""

    def __init__(self, factor=2.0):
        self.factor, self.calls, self.pools = factor, 0, []

    def __call__(self, inputs):
        self.calls += 1
        self.pools.append(fakecupy.MemoryPool.current)
        x, y, factor = inputs["x"], np.empty_like(inputs["x"]), self.factor
        Stream.current.launch(lambda: np.multiply(x, factor, out=y))
        return y


def there(values):
    return np.asarray(values, np.float32).view(fakecupy.ndarray)


def result(made):
    Stream.current.synchronize()
    return np.array(made).tolist()


def test_results_are_those_of_plain_runs_and_the_host_is_at_it_three_times(cupy):
    work = Doubling()
    step = replay.Replay(work)
    for i in range(7):
        assert result(step({"x": there([i, i + 1])})) == [2 * i, 2 * i + 2]
        assert step.recorded == (i >= replay.PLAIN_RUNS)
    assert work.calls == replay.PLAIN_RUNS + 1 and step.refused is None


def test_a_graph_has_a_pool_and_inputs_of_its_own(cupy):
    work = Doubling()
    step = replay.Replay(work)
    cupy.pool.kept = 1 << 20
    for i in range(3):
        x = there([i])
        made = step({"x": x})
        x[...] = 99  # once launched, on the current stream, what the caller's memory holds is no matter
        Stream.current.synchronize()
    assert cupy.pool.kept == 0  # what plain runs used is free for the graph's
    assert work.pools[:2] == [None, None] and work.pools[2].__self__ is step._graph[1] is not cupy.pool
    assert step({"x": there([5])}) is made


def test_all_graphs_of_a_step_are_recorded_on_one_stream(cupy):
    streams = []

    def work(inputs):
        if Stream.current.is_capturing():
            streams.append(Stream.current)
        return inputs["x"]

    step = replay.Replay(work)
    for key in (1, 2):
        for _ in range(4):
            step({"x": there([1])}, key)
    assert len(streams) == 2 and streams[0] is streams[1]


@pytest.mark.parametrize("change", ["shape", "dtype", "key"])
def test_another_key_or_shape_is_run_plainly_and_then_recorded_anew(cupy, change):
    work = Doubling()
    step = replay.Replay(work)
    for _ in range(3):
        step({"x": there([1])}, "a")
    other = {"shape": there([1, 2]), "dtype": np.ones(1).view(fakecupy.ndarray), "key": there([1])}[change]
    key = "b" if change == "key" else "a"
    recorded = []
    for _ in range(3):
        assert result(step({"x": other}, key)) == (2 * np.asarray(other)).tolist()
        recorded.append(step.recorded)
    assert recorded == [False, False, True]


def test_a_step_that_waits_for_the_gpu_is_launched_piece_by_piece_and_why_is_told(cupy):
    work = Doubling()

    def reads_back(inputs):
        y = work(inputs)
        Stream.current.synchronize()
        return y

    step = replay.Replay(reads_back)
    for i in range(5):
        assert result(step({"x": there([i])})) == [2 * i]
    assert work.calls == 6  # five, and the recording that failed
    assert step.refused == (
        "steps are launched piece by piece, since no CUDA graph could be recorded of them: cudaErrorStreamCaptureUnsupported: "
        "operation not permitted when stream is capturing"
    )
    assert not step.recorded and fakecupy.MemoryPool.current is None and Stream.current.null


def test_ctrl_c_while_recording_ends_the_recording(cupy):
    def interrupted(inputs):
        if Stream.current.is_capturing():
            raise KeyboardInterrupt
        return inputs["x"]

    step = replay.Replay(interrupted)
    for _ in range(2):
        step({"x": there([1])})
    with pytest.raises(KeyboardInterrupt):
        step({"x": there([1])})
    assert Stream.current.null and not Stream.current.is_capturing()
