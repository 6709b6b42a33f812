"""Worker processes: the same batches as without them, their errors, and their end."""

import os
import signal
import time

import numpy as np
import pytest

from dagnet.data import batches, imdb, workers
from tests import little

LISTS = [[0, 1, 2], [5], [3, 4, 9, 7], [8], [2, 6], [1, 1]]


def fail_at_seven(indices):
    if 7 in indices:
        raise ValueError("it is bad")
    return {"input": np.asarray(indices)}


def die_at_seven(indices):
    if 7 in indices:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"input": np.asarray(indices)}


def talk(indices):
    print("a batch is made")
    return {"input": np.asarray(indices)}


def name_of_process(indices):
    return {"input": np.array([os.getpid()])}


def sleep(indices):
    time.sleep(30)


class Stubborn(Exception):
    """An error that does not survive the way to another process."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def fail_stubbornly(indices):
    raise Stubborn("this", "that")


def give_what_cannot_be_sent(indices):
    return {"input": lambda: 0}


@pytest.fixture(scope="module")
def two():
    """Two workers, which stay where a test does not end them."""
    with workers.Workers(2) as started:
        yield started


def made(get_batch, lists, pool):
    with batches.Prefetch(get_batch, lists, workers=pool) as coming:
        return list(coming)


def test_batches_are_those_of_a_thread_to_the_last_bit_and_in_their_order_and_memory_order(two):
    source = little.source()
    for source.epoch in (1, 2):
        pairs = list(zip(made(source.get_batch, LISTS, two), made(source.get_batch, LISTS, None), strict=True))
        for theirs, ours in pairs:
            assert theirs.keys() == ours.keys()
            for name, array in ours.items():
                assert theirs[name].tobytes("A") == array.tobytes("A") and theirs[name].dtype == array.dtype
                assert theirs[name].transpose(3, 0, 1, 2).flags.c_contiguous and theirs[name].flags.writeable
    assert len(pairs) == len(LISTS)


def test_all_workers_work_and_stay_for_the_next_pass(two):
    first, second = (
        [batch["input"].item() for batch in made(name_of_process, [[i] for i in range(9)], two)] for _ in range(2)
    )
    assert first == second == (first[:2] * 5)[:9] and len(set(first)) == 2 and os.getpid() not in first


def test_an_error_names_its_image_and_the_batches_before_it_came(two):
    with (
        batches.Prefetch(fail_at_seven, LISTS, workers=two) as coming,
        pytest.raises(ValueError, match="it is bad") as stop,
    ):
        got = []
        for batch in coming:
            got.append(batch["input"].tolist())
    assert got == LISTS[:2]
    assert stop.value.__notes__ == ["get_batch failed at image 7"]
    assert "in fail_at_seven" in str(stop.value.__cause__)
    assert len(made(talk, LISTS, two)) == len(LISTS)  # others are started for the next pass


def test_an_error_or_a_batch_that_cannot_be_sent_is_told(two):
    with pytest.raises(RuntimeError, match=r"^Stubborn: this and that"):
        made(fail_stubbornly, LISTS, two)
    with pytest.raises(Exception, match="pickle"):
        made(give_what_cannot_be_sent, LISTS, two)


def test_a_worker_that_dies_is_told_with_the_images_that_it_was_at(two):
    says = r"get_batch: worker process 1 of 2 died at images 3, 4, 9, 7 \(exit code -9\); fewer workers"
    with pytest.raises(RuntimeError, match=says):
        made(die_at_seven, LISTS, two)


def test_what_get_batch_prints_does_not_get_among_the_batches(two, capfd):
    assert len(made(talk, LISTS, two)) == len(LISTS)
    out, err = capfd.readouterr()
    assert not out and err.count("a batch is made") == len(LISTS)


def test_a_thread_makes_the_batches_of_what_cannot_be_copied(two):
    here = []
    with pytest.warns(UserWarning, match="get_batch: worker processes are not used, it cannot be copied to them"):
        made(lambda indices: here.append(indices), LISTS, two)
    assert here == LISTS


def test_a_thread_makes_the_batches_of_what_workers_do_not_find(two, monkeypatch):
    def stranger(indices):
        return {"input": np.asarray(indices)}

    stranger.__module__, stranger.__qualname__ = "__main__", "stranger"
    monkeypatch.setattr("__main__.stranger", stranger, raising=False)
    with pytest.warns(UserWarning, match=r"they cannot load it \(.*stranger"):
        assert len(made(stranger, LISTS, two)) == len(LISTS)


def test_without_workers_nothing_is_loaded_and_nothing_is_said():
    with workers.Workers(0) as none:
        assert none.load(talk) is False


def test_leaving_early_ends_them_at_once_whatever_they_do():
    with workers.Workers(2) as started:
        start = time.perf_counter()
        with batches.Prefetch(sleep, LISTS, workers=started):
            processes = list(started._running)
        assert time.perf_counter() - start < 20
    assert len(processes) == 2 and all(process.poll() is not None for process in processes)


def test_leaving_the_block_ends_them():
    with workers.Workers(1) as started:
        made(talk, LISTS, started)
        (process,) = started._running
        assert process.poll() is None
    assert process.poll() is not None


def test_ctrl_c_does_not_reach_them(two):
    made(talk, LISTS, two)
    processes = list(two._running)
    for process in processes:
        process.send_signal(signal.SIGINT)
    assert len(made(talk, LISTS, two)) == len(LISTS)
    assert two._running == processes and all(process.poll() is None for process in processes)


def test_they_end_when_their_parent_does():
    with workers.Workers(1) as started:
        made(talk, LISTS, started)
        (process,) = started._running
        process.stdin.close()  # what the system does when the parent is killed
        assert process.wait(timeout=20) == 0


def test_a_memory_map_goes_as_the_name_of_its_file(tmp_path, rng):
    whole = rng.integers(0, 255, (7, 50, 50, 4), np.uint8)
    np.save(tmp_path / "cache.npy", whole)
    mapped = np.load(tmp_path / "cache.npy", mmap_mode="r")
    joined = imdb.Joined([mapped[2:, ::-1, :, :3], mapped[..., 3:]])
    parts = workers._packed(joined)
    assert sum(part.nbytes for part in parts) < 1000 and b"cache.npy" in bytes(parts[0])
    there = workers._unpacked([np.frombuffer(part, np.uint8) for part in parts])
    assert np.array_equal(there[3], whole[5, ::-1, :, :3]) and np.array_equal(there[5], whole[0, ..., 3:])
    assert np.shares_memory(there._parts[0], there._parts[0].base) and not there._parts[0].flags.writeable


def test_a_memory_map_that_differs_from_its_file_goes_as_it_is(tmp_path):
    np.save(tmp_path / "cache.npy", np.zeros(3))
    changed = np.load(tmp_path / "cache.npy", mmap_mode="c")
    changed[1] = 5
    for x in (changed, changed * 2):
        parts = workers._packed(x)
        assert np.array_equal(workers._unpacked([np.frombuffer(part, np.uint8) for part in parts]), x)
