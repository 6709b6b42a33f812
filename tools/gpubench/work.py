"""What a side of the comparison offers, and how its steps are timed."""

import math
import resource
import time
from collections.abc import Callable
from typing import Any

from .counts import Size, Unit

Step = Callable[[], Any]
RATE = 1e-6  # a random network stays what it is
LEAST_SECONDS = 0.01  # of what is timed in one go: what is shorter is repeated in between
SAMPLES = 3, 20  # at least, at most


class Side:
    """dagnet or PyTorch in one of their ways; Ours and Theirs say what the methods do."""

    def wait(self) -> None:
        """Until all is computed."""
        raise NotImplementedError

    def memory(self) -> float:
        """MB that this process has taken."""
        raise NotImplementedError

    def training(self, size: Size, width: float) -> dict[str, Step]:
        """The paper's step on a batch of that size (H, W, C, N), by name with its parts."""
        raise NotImplementedError

    def layer(self, unit: Unit, block: Any) -> dict[str, Step]:
        """ "forward", and "forward and backward"."""
        raise NotImplementedError


def times(step: Step, wait: Callable[[], None], seconds: float) -> list[float]:
    """Milliseconds of the step, for about so many seconds; the first two runs, which compile and choose, are not counted."""
    for _ in range(2):
        step()
        wait()
    start = time.perf_counter()
    step()
    wait()
    once = time.perf_counter() - start
    repeats = max(1, math.ceil(LEAST_SECONDS / max(once, 1e-7)))
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < SAMPLES[0] or (len(found) < SAMPLES[1] and time.perf_counter() < end):
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        wait()
        found.append(1e3 * (time.perf_counter() - start) / repeats)
    return found


def resident_mb() -> float:
    """The most resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
