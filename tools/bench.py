"""Time and memory of whole networks and single layers, beside PyTorch where it is installed.

The works: training steps of VGG-16's convolutions (step) and of the paper's network (paper), segmentation by it (segment),
VGG-16's 3x3 layers in all three passes (conv), other layers (layers), and what a training step and an evaluation of the
paper's network cost as images and batches grow (growth). The contenders: dagnet on NumPy and SciPy's BLAS (plain), with the
kernels that numba compiles (fast), with convolutions by matrix products alone (exact); PyTorch in both its memory formats.
Each contender runs in processes of its own, in turn, so that a noisy machine is noisy for all. Figures are medians over all
steps of all rounds, with quartiles; ratios are to PyTorch in the memory format in which it is faster. All of it takes about a
quarter of an hour on two free cores.

With --gpu: the paper's step at full size and each of its layers, in float32 and TF32; docs/measured/gpu.md says how.
"""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

from dagnet.files import atomic

from . import arguments
from .benchmark import chart, contenders, curves, figures, goals, growth, processes, tables, works
from .benchmark.processes import Finished, Task
from .gpubench import running

WORKS = [*works.GROUPS, "growth"]
UNFINISHED = "bench-unfinished.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    members = [work for work in works.WORKS if work not in works.GROUPS]
    parser.add_argument(
        "--work",
        nargs="+",
        choices=[*WORKS, *members],
        default=WORKS,
        metavar="WORK",
        help=f"what to measure: {', '.join(WORKS)}, or single ones of conv and layers: {', '.join(members)} (default: all)",
    )
    parser.add_argument(
        "--rounds",
        type=arguments.positive,
        default=5,
        metavar="N",
        help="processes of each contender (default %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=arguments.positive,
        default=2,
        metavar="N",
        help="threads of dagnet, BLAS and PyTorch (default %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="one round, two steps of each: a first look")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write bench.md, bench.json, bench.png and growth.png here (with --gpu, where it must be given: gpu.md, gpu.json, "
        "roofline.png); a run that was stopped goes on with the same command",
    )
    parser.add_argument(
        "--gpu", action="store_true", help="measure the paper's step and its layers on the GPU instead, at full size"
    )
    parser.add_argument(
        "--time-limit",
        type=arguments.duration,
        default=480.0,
        metavar="T",
        help="with --gpu: leave out what does not fit into so long (default 8m)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, and write all of it where that is asked for. 1 where a measurement on the GPU failed."""
    if args.gpu and args.out is None:
        raise ValueError("--gpu: --out FOLDER is missing; a folder for the tables and the plot is right")
    if args.out:
        arguments.check_folder(args.out)
    if args.gpu:
        return 0 if running.measure(args.out, args.time_limit) else 1
    rounds = 1 if args.quick else args.rounds
    settings = {
        "machine": processes.output(Task("machine", (), args.threads)),
        "threads": args.threads,
        "rounds": rounds,
    }
    finished = Finished(args.out / UNFINISHED if args.out else None, settings)
    if len(finished):
        print(f"{args.out}: going on after {len(finished)} processes that have finished")
    try:
        printed = processes.run(tasks(args, rounds), finished)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("the same command goes on from here" if args.out else "") from stop
    results = {**settings, **_results(printed, args.threads)}
    text = tables.report(results)
    print(text)
    if args.out:
        _write(args.out, results, text)
        finished.forget()
    return 0


def tasks(args: argparse.Namespace, rounds: int) -> list[Task]:
    """All processes to run, in their order: contenders in turn, round after round."""
    found = []
    for name, members in works.chosen(args.work).items():
        group = works.GROUPS[name]
        steps = f"--steps={2 if args.quick else group.steps}", f"--warm={group.warm}"
        threads = [args.threads, 1] if group.on_one_thread and args.threads > 1 else [args.threads]
        found += [
            Task("contenders", (contender, *members, *steps), count, turn)
            for turn in range(1, rounds + 1)
            for count in threads
            for contender in _contenders(group)
        ]
    if "growth" in args.work:
        found += growth.tasks([tier for tier in goals.TIERS if _runs(tier)], args.threads)
    return found


def _contenders(group: works.Group) -> list[str]:
    """The group's contenders that can run here."""
    ours = [name for name in contenders.OURS if group.exact or name != "dagnet exact"]
    return [name for name in (*ours, *contenders.THEIRS) if _runs(name)]


def _runs(contender: str) -> bool:
    """Whether what it needs is installed."""
    needs = "torch" if contender in contenders.THEIRS else "numba" if contender == "dagnet fast" else "numpy"
    return importlib.util.find_spec(needs) is not None


def _results(printed: dict[Task, Any], threads: int) -> dict[str, Any]:
    """The figures of all works, of those that were measured on one thread too, and of growth."""

    def on(count: int) -> figures.Results:
        runs = (task for task in printed if task.module == "contenders" and task.threads == count)
        return figures.collected((task.words[0], printed[task]) for task in runs)

    points = [found for task, found in printed.items() if task.module == "growth"]
    return {"works": on(threads), "on_one_thread": on(1) if threads > 1 else {}, "growth": points}


def _write(folder: Path, results: dict[str, Any], text: str) -> None:
    """bench.json, bench.md, and the pictures of what was measured."""
    with atomic.replacing(folder / "bench.json") as part:
        part.write_text(json.dumps(results, indent=1) + "\n")
    with atomic.replacing(folder / "bench.md") as part:
        part.write_text(f"{text}\n")
    for name, figure in (("bench", chart.drawn(results["works"])), ("growth", curves.drawn(results["growth"]))):
        if figure:
            with atomic.replacing(folder / f"{name}.png") as part:
                figure.savefig(part, format="png")
