"""The figures as tables in Markdown, which a terminal shows as well."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import figures, goals, growth, machine

Results = Mapping[str, Any]


def report(results: Results) -> str:
    """The machine, and a table of all that was measured."""
    works, threads = results["works"], results["threads"]
    rounds = "one process" if results["rounds"] == 1 else f"{results['rounds']} processes"
    turns = f"Each contender in {rounds} of its own, in turn; medians over all steps, and quartiles."
    parts = [machine.in_words(results["machine"], threads)]
    if not results["machine"]["torch"]:
        parts.append(
            "PyTorch is not installed, so there are no ratios, no goals that they meet or miss, and no bench.png."
        )
    if goals_of := of_goals(works):
        parts.append(f"## Goals\n\n{goals_of}")
    if works:
        parts.append(f"## Time\n\nMilliseconds. {turns}\n\n{of_times(works)}")
    if memory := of_memory(works):
        words = (
            "MB (2^20 bytes), libraries included; PyTorch's process has loaded dagnet and SciPy too, which is 32 MB."
        )
        parts.append(f"## Peak memory of the process\n\n{words}\n\n{memory}")
    if results["on_one_thread"]:
        parts.append(f"## From one thread to {threads}\n\n{of_scaling(works, results['on_one_thread'], threads)}")
    if results["growth"]:
        words = "The paper's network at full width; memory in MB, less what the process has without a network."
        parts.append(f"## As work grows\n\n{words}\n\n{of_growth(results['growth'])}")
    return "\n\n".join(parts)


def of_goals(results: Results) -> str:
    """Each goal of these works, how near each tier is (the largest ratio to PyTorch), and whether it is met.

    "" where no work of a goal was measured beside PyTorch.
    """
    rows = []
    for goal in goals.GOALS:
        if not any(goals.ratios_of(goal, tier, results) for tier in goals.TIERS):
            continue
        cells = [goal.what]
        for tier in goals.TIERS:
            found = goals.verdict(goal, tier, results)
            cells += [
                f"{goal.limit(tier):g}",
                f"{max(found.ratios.values()):.2f}" if found else "",
                found.words if found else "not measured",
            ]
        rows.append(cells)
    heads = ["at most so many times PyTorch's", "plain: goal", "is", "", "fast: goal", "is", ""]
    return markdown(heads, rows) if rows else ""


def of_times(results: Results) -> str:
    """Of each step of each work every contender's median and quartiles in ms, and the ratios to PyTorch."""
    names = contenders(results)
    tiers = [name for name in names if name.startswith("dagnet")]
    rows = []
    for result in results.values():
        ratios = {tier: figures.time_ratios(result, tier) for tier in tiers}
        for step, times in result["steps"].items():
            faster = (figures.peer(times) or "").removeprefix("PyTorch ")
            cells = [_spread(times[name]) if name in times else "" for name in names]
            beside = [f"{ratios[tier][step]:.2f}" if step in ratios[tier] else "" for tier in tiers]
            rows.append([_named(result, step), *cells, faster, *beside])
    return markdown(["", *names, "PyTorch is faster in", *(f"{tier} / PyTorch" for tier in tiers)], rows)


def of_memory(results: Results) -> str:
    """The peak memory of the processes that did one work alone, in MB, and the ratios to PyTorch; "" where there is none."""
    alone = {work: result for work, result in results.items() if result["peak_mb"]}
    names = contenders(alone)
    tiers = [name for name in names if name.startswith("dagnet")]
    rows = []
    for result in alone.values():
        cells = [f"{result['peak_mb'][name]:.0f}" if name in result["peak_mb"] else "" for name in names]
        ratios = [figures.memory_ratio(result, tier) for tier in tiers]
        rows.append([result["what"], *cells, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)])
    return markdown(["", *names, *(f"{tier} / PyTorch" for tier in tiers)], rows) if rows else ""


def of_scaling(results: Results, on_one: Results, threads: int) -> str:
    """How many times faster each contender is on all its threads than on one."""
    rows = []
    for work, result in on_one.items():
        for step, alone in result["steps"].items():
            for name in alone:
                together = results[work]["steps"][step][name]
                gain = f"{alone[name]['ms'] / together['ms']:.2f}"
                rows.append([_named(result, step), name, _spread(alone[name]), _spread(together), gain])
    return markdown(["", "", "1 thread, ms", f"{threads} threads, ms", "times faster"], rows)


def of_growth(points: Sequence[Mapping[str, Any]]) -> str:
    """Of each size and tier the time beside the operations, both from the smallest of its row of sizes on, and the memory."""
    rows = []
    for along in ("side", "images"):
        for tier in goals.TIERS:
            sizes = growth.series(points, tier, along)
            for point in sizes:
                time, operations = (
                    value(point) / value(sizes[0]) for value in (_median, lambda point: point["operations"])
                )
                allowed = point["layers"] + point["weights"]
                rows.append(
                    [
                        tier,
                        f"{point['images']} of {point['side']}x{point['side']}",
                        f"{point['operations'] / 1e9:.0f}",
                        f"{_median(point):.0f}",
                        f"{point['operations'] / _median(point) / 1e6:.0f}",
                        f"{time / operations:.2f}",
                        f"{point['training']:.0f}",
                        f"{point['evaluation']:.0f}",
                        f"{point['evaluation'] / allowed:.2f}",
                        f"{(point['evaluation'] - point['weights']) / point['layers']:.2f}",
                    ]
                )
    heads = ["", "images", "GFLOP", "ms", "GFLOP/s", "time / operations, from the smallest on", "training, MB"]
    heads += ["evaluation, MB", "/ (layers + weights)", "(- weights) / layers"]
    return markdown(heads, rows)


def contenders(results: Results) -> list[str]:
    """All that were measured somewhere, in their order."""
    return list(dict.fromkeys(name for r in results.values() for step in r["steps"].values() for name in step))


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are as wide as what stands in them."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def _named(result: Mapping[str, Any], step: str) -> str:
    """The work, and its step where it has several."""
    return f"{result['what']}, {step}" if len(result["steps"]) > 1 else result["what"]


def _median(point: Mapping[str, Any]) -> float:
    return float(np.median(point["ms"]))


def _spread(times: Mapping[str, float]) -> str:
    digits = 2 if times["ms"] < 10 else 1 if times["ms"] < 1000 else 0
    return f"{times['ms']:.{digits}f} ({times['q1']:.{digits}f}-{times['q3']:.{digits}f})"
