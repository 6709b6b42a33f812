"""Time and memory of a training step and of single layers, beside PyTorch where it is installed.

The works: forward, backward and SGD of VGG-16's convolutions; forward and backward of batch normalisation, of local response
normalisation, of the bilinear sampler. Each contender runs in a process of its own, in turn, so that a noisy machine is noisy
for all; figures are medians over all steps of all rounds, and ratios are to PyTorch in the memory format in which it is faster.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from dagnet.files import atomic

from . import arguments, contenders
from .gpubench import running

TUNED_BY_HAND = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # these would make OpenBLAS slower or faster than a user's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument(
        "--work",
        nargs="+",
        choices=contenders.WORKS,
        default=list(contenders.WORKS),
        metavar="WORK",
        help=f"what to measure: {', '.join(contenders.WORKS)} (default: all)",
    )
    parser.add_argument(
        "--rounds",
        type=arguments.positive,
        default=5,
        metavar="N",
        help="processes of each contender (default %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=arguments.positive,
        default=5,
        metavar="N",
        help="timed steps of each process (default %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=arguments.positive,
        default=2,
        metavar="N",
        help="threads of BLAS and PyTorch (default %(default)s)",
    )
    parser.add_argument(
        "--gpu", action="store_true", help="measure the paper's step and its layers on the GPU instead, at full size"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="with --gpu: where gpu.md, gpu.json, roofline.png go"
    )
    parser.add_argument(
        "--time-limit",
        type=arguments.duration,
        default=480.0,
        metavar="T",
        help="with --gpu: leave out what does not fit into so long (default 8m)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")


def run(args: argparse.Namespace) -> int:
    """Measure and print the tables. 1 where a measurement on the GPU failed, else 0."""
    if args.gpu:
        if args.out is None:
            raise ValueError("--gpu: --out FOLDER is missing; a folder for the tables and the plot is right")
        arguments.check_folder(args.out)
        return 0 if running.measure(args.out, args.time_limit) else 1
    if args.json:
        arguments.check_file(args.json)
    torch = importlib.metadata.version("torch") if importlib.util.find_spec("torch") else None
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {
        work: {name: [] for name in contenders.WORKS[work].contenders() if torch or not name.startswith("PyTorch")}
        for work in args.work
    }
    turns = [(work, name) for work, names in runs.items() for _ in range(args.rounds) for name in names]
    for work, name in tqdm(turns, unit="process", desc="bench", disable=None):
        runs[work][name].append(_process(work, name, args.steps, args.threads))
    results = {
        work: {
            "work": contenders.WORKS[work].what,
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.threads} threads",
            "numpy": np.__version__,
            "torch": torch,
            "figures": {name: _figures(some) for name, some in names.items()},
        }
        for work, names in runs.items()
    }
    print("\n\n".join(map(table, results.values())))
    if args.json:
        with atomic.replacing(args.json) as part:
            part.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def table(result: dict[str, Any]) -> str:
    """A work's figures as lines of text."""
    figures = result["figures"]
    peers = [name for name in figures if name.startswith("PyTorch")]
    peer = min(peers, key=lambda name: figures[name]["ms"]) if peers else None
    lines = [f"{result['work']}; {result['machine']}; NumPy {result['numpy']}"]
    if peer is None:
        lines.append("PyTorch is not installed, so there is no ratio")
    lines.append(f"{'':<26}{'ms':>8}{'least':>8}{'most':>8}{'peak MB':>9}{'time':>8}{'memory':>8}")
    for name, f in figures.items():
        ratios = ""
        if peer is not None:
            ratios = f"{f['ms'] / figures[peer]['ms']:8.2f}{f['peak_mb'] / figures[peer]['peak_mb']:8.2f}"
        lines.append(f"{name:<26}{f['ms']:8.1f}{f['least']:8.1f}{f['most']:8.1f}{f['peak_mb']:9.0f}{ratios}")
    if peer is not None:
        lines.append(f"time and memory: as a ratio to {peer}")
    return "\n".join(lines)


def _process(work: str, name: str, steps: int, threads: int) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if k not in TUNED_BY_HAND}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[variable] = str(threads)
    command = [sys.executable, "-m", "dagnet.tools.contenders", work, name, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it was ended with code {done.returncode} and said nothing"]
        raise RuntimeError(f"bench: the process of {name} ({work}) failed: {said[-1]}")
    return json.loads(done.stdout)


def _figures(runs: list[dict[str, Any]]) -> dict[str, float]:
    times = [ms for run in runs for ms in run["ms"]]
    return {
        "ms": median(times),
        "least": min(times),
        "most": max(times),
        "peak_mb": median(run["peak_mb"] for run in runs),
        "processes": len(runs),
    }
