"""dagnet.mscript.limits: what a budget counts, and what it forgets again."""

import gc

import numpy as np
import pytest

from dagnet.mscript.limits import Budget, LimitReached, Limits, room, within


def test_instructions_run_out():
    budget = Budget(Limits(instructions=10))
    budget.spend(10)
    with pytest.raises(LimitReached, match=r"more than 10 instructions; Limits\(instructions"):
        budget.spend(1)


def test_an_array_costs_instructions_by_its_size():
    budget = Budget(Limits(instructions=1000))
    budget.room((100, 100), 8)
    assert budget.left == 1000 - 10


def test_what_lives_counts_and_what_is_gone_does_not():
    budget = Budget(Limits(memory=1_000_000))
    value = np.zeros(100_000)
    budget.follow(value)
    budget.follow(value)
    budget.follow(value[1:])
    assert budget.held == 800_000
    with pytest.raises(LimitReached, match="a 200x200 array has no room"):
        budget.room((200, 200), 8)
    del value
    gc.collect()
    assert budget.held == 0
    budget.room((200, 200), 8)


def test_outside_of_a_run_there_is_always_room():
    room((10**9, 10**9))
    with within(Budget(Limits(memory=1000))), pytest.raises(LimitReached):
        room((10**9, 10**9))


def test_a_cell_costs_more_than_its_pointers():
    budget = Budget(Limits(memory=10_000))
    budget.room((500, 1), np.dtype(np.float64))
    with pytest.raises(LimitReached):
        budget.room((500, 1), np.dtype(object))
