"""Time and memory of a training step, beside PyTorch where it is installed.

The work: forward, backward and SGD of VGG-16's convolutions, one image of 96x96, float32. Each contender runs in a process
of its own, in turn, so that a noisy machine is noisy for all; figures are medians over all steps of all rounds, and ratios
are to PyTorch in the memory format in which it is faster.
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

TUNED_BY_HAND = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # these would make OpenBLAS slower or faster than a user's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")


def run(args: argparse.Namespace) -> None:
    """Measure and print the table."""
    if args.json:
        arguments.check_file(args.json)
    names = [n for n in contenders.CONTENDERS if not n.startswith("PyTorch") or importlib.util.find_spec("torch")]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    turns = [name for _ in range(args.rounds) for name in names]
    for name in tqdm(turns, unit="process", desc="bench", disable=None):
        runs[name].append(_process(name, args.steps, args.threads))
    result = {
        "work": "training step of VGG-16's convolutions, 96x96, one image, float32",
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.threads} threads",
        "numpy": np.__version__,
        "torch": importlib.metadata.version("torch") if len(names) > 1 else None,
        "figures": {name: _figures(some) for name, some in runs.items()},
    }
    print(table(result))
    if args.json:
        with atomic.replacing(args.json) as part:
            part.write_text(json.dumps(result, indent=1) + "\n")


def table(result: dict[str, Any]) -> str:
    """The figures as lines of text."""
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


def _process(name: str, steps: int, threads: int) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if k not in TUNED_BY_HAND}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[variable] = str(threads)
    command = [sys.executable, "-m", "dagnet.tools.contenders", name, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it was ended with code {done.returncode} and said nothing"]
        raise RuntimeError(f"bench: the process of {name} failed: {said[-1]}")
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
