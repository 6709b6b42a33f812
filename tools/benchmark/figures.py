"""From what the processes printed to figures: medians and spread, PyTorch's faster memory format, ratios to it."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import works

Results = dict[str, Any]  # as written into bench.json
Steps = Mapping[str, Mapping[str, Any]]  # by contender: its spread in one step of one work


def collected(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> Results:
    """Of each work: its words; `steps`, by step and contender the spread of its times; `peak_mb`, by contender the peak memory.

    runs: of each process, the contender's name and what it printed. A work has no peak where others shared its process.
    """
    times: dict[str, dict[str, dict[str, list[float]]]] = {}
    peaks: dict[str, dict[str, list[float]]] = {}
    for contender, printed in runs:
        for work, measured in printed.items():
            for step, ms in measured["ms"].items():
                times.setdefault(work, {}).setdefault(step, {}).setdefault(contender, []).extend(ms)
            if len(printed) == 1:
                peaks.setdefault(work, {}).setdefault(contender, []).append(measured["peak_mb"])
    return {
        work: {
            "what": works.WORKS[work].what,
            "steps": {step: {name: spread(ms) for name, ms in by.items()} for step, by in steps.items()},
            "peak_mb": {name: float(np.median(mb)) for name, mb in peaks.get(work, {}).items()},
        }
        for work, steps in times.items()
    }


def spread(ms: list[float]) -> dict[str, float]:
    """The median, the quartiles, the least and the most of some times, and how many there are."""
    q1, median, q3 = np.percentile(ms, [25, 50, 75]).tolist()
    return {"ms": median, "q1": q1, "q3": q3, "least": min(ms), "most": max(ms), "count": len(ms)}


def peer(step: Steps) -> str | None:
    """PyTorch in the memory format in which it is faster; None where it was not measured."""
    theirs = [name for name in step if name.startswith("PyTorch")]
    return min(theirs, key=lambda name: step[name]["ms"]) if theirs else None


def time_ratios(result: Mapping[str, Any], contender: str) -> dict[str, float]:
    """By step of a work, the contender's time as a ratio to PyTorch's faster one; {} where one of the two was not measured."""
    return {
        name: step[contender]["ms"] / step[faster]["ms"]
        for name, step in result["steps"].items()
        if contender in step and (faster := peer(step))
    }


def memory_ratio(result: Mapping[str, Any], contender: str) -> float | None:
    """The contender's peak memory as a ratio to PyTorch's, in the format in which that is faster; None as above."""
    faster = peer(next(iter(result["steps"].values())))
    peaks = result["peak_mb"]
    return peaks[contender] / peaks[faster] if contender in peaks and faster in peaks else None
