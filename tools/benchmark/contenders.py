"""A contender's process: python -m dagnet.tools.benchmark.contenders NAME WORK [WORK ...] --steps N --warm N.

It does one work after another, and prints one line of JSON: of each work the milliseconds of every timed step by name, and
the most memory that the process had in them.
"""

import argparse
import json
import time
from typing import Any

from . import memory, works
from .work import Step, Work

Choices = dict[str, bool]

# dagnet as settings.change makes it, under the name in the tables.
OURS: dict[str, Choices] = {
    "dagnet plain": {"fast": False},
    "dagnet fast": {"fast": True},
    "dagnet exact": {"exact": True},
}
# PyTorch, and whether its data is channels_last.
THEIRS = {"PyTorch channels_last": True, "PyTorch contiguous": False}


def steps_of(work: Work, name: str) -> dict[str, Step]:
    """The work's steps, by their names, as that contender does them."""
    if name in THEIRS:
        return work.theirs(THEIRS[name])
    from dagnet.layers import settings

    settings.change(**OURS[name])
    return work.ours()


def measure(made: dict[str, Step], steps: int, warm: int) -> dict[str, Any]:
    """By their names the milliseconds of each of the steps, and the most memory in MB that the process had while they ran.

    Neither counts what warms up: the first steps, in which numba may compile.
    """
    ms: dict[str, list[float]] = {}
    peaks = []
    for name, step in made.items():
        for _ in range(warm):
            step()
        memory.forget_peak()
        ms[name] = [_timed(step) for _ in range(steps)]
        peaks.append(memory.peak())
    return {"ms": ms, "peak_mb": max(peaks)}


def _timed(step: Step) -> float:
    start = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Measure the contender that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*OURS, *THEIRS])
    parser.add_argument("works", nargs="+", choices=works.WORKS)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warm", type=int, default=2)
    args = parser.parse_args()
    found = {work: measure(steps_of(works.WORKS[work], args.name), args.steps, args.warm) for work in args.works}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
