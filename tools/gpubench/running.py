"""Runs the contenders' processes one after another within a limit of time, and writes all that is known after each.

What does not fit into the time is left out, and what fails is told with its last words: neither ends the rest.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from dagnet.files import atomic
from dagnet.layers import array

from . import contenders, counts, report, roofline

LEAST_SECONDS = 15.0  # a process that would have less is not begun
WRITING_SECONDS = 10.0
TIME_UP = "its time was up"  # what it had measured by then counts
FULL = {"side": 384, "images": 6, "width": 1.0}  # the paper's step
Results = dict[str, Any]  # see collect


class Task(NamedTuple):
    """What a process does: which contender, and which of contenders.TASKS."""

    name: str
    task: str

    def __str__(self) -> str:
        return f"{self.task} of {self.name}"


def tasks(with_torch: bool) -> list[Task]:
    """All there is to measure, what matters most first: where the time is short, the last are left out."""
    ours, theirs = list(contenders.OURS), list(contenders.THEIRS) if with_torch else []
    plain = [name for name in (*ours, *theirs) if "," not in name]
    found = [Task(ours[0], "machine")]
    found += [Task(name, "step") for name in (*plain, *(name for name in theirs if name not in plain))]
    found += [Task(name, "ceilings") for name in plain if name in ours]
    found += [Task(name, "layers") for name in plain]
    return found + [Task(name, "step") for name in ours if name not in plain]


def run(out: Path, seconds: float, options: Mapping[str, Any], todo: Sequence[Task]) -> Results:
    """Measure what fits into so many seconds; write gpu.json, gpu.md and roofline.png to `out`, again after each process.

    options   of the contenders' processes, by their names: place, side, images, width, product, seconds
    """
    end = time.monotonic() + seconds - WRITING_SECONDS
    results: Results = {"options": dict(options), "limit": seconds, "printed": {}, "failed": {}, "left_out": []}
    with tqdm(todo, unit="process", desc="bench --gpu", disable=None) as bar:
        for task in bar:
            bar.set_postfix_str(str(task))
            left = end - time.monotonic()
            if left < LEAST_SECONDS and results["printed"]:
                results["left_out"].append(str(task))
                continue
            printed, problem = output(task, options, left)
            results["printed"][str(task)] = printed
            if problem == TIME_UP:
                results["left_out"].append(f"the rest of {task}")
            elif problem:
                results["failed"][str(task)] = problem
            write(out, results)
    write(out, results)
    return results


def measure(out: Path, seconds: float) -> bool:
    """`dagnet bench --gpu`: all tasks at full size, and the table printed; whether no process failed.

    Raises RuntimeError where there is no GPU or no CuPy.
    """
    array.cupy_module()
    end = time.monotonic() + seconds
    todo = tasks(with_torch=_torch_sees_the_gpu())
    results = run(out, end - time.monotonic(), {"place": "gpu"} | FULL, todo)
    print((out / "gpu.md").read_text())
    print(f"written: {', '.join(str(path) for path in sorted(out.iterdir()))}")
    return not results["failed"]


def _torch_sees_the_gpu() -> bool:
    """Asked in a process of its own: PyTorch would take a part of the GPU's memory here."""
    question = "import torch; raise SystemExit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", question], capture_output=True).returncode == 0


def output(task: Task, options: Mapping[str, Any], seconds: float) -> tuple[list[dict[str, Any]], str | None]:
    """What a process printed, and, where it failed or was ended after so many seconds, why."""
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", f"{__package__}.contenders", *task, *words]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        problem = None
        try:
            printed, _ = process.communicate(timeout=max(seconds, 1.0))
        except subprocess.TimeoutExpired:
            problem = TIME_UP
            _end(process)
            printed, _ = process.communicate()
        except BaseException:
            _end(process)
            raise
        if process.returncode and not problem:
            errors.seek(0)
            said = errors.read().strip().splitlines() or [f"it ended with code {process.returncode} and said nothing"]
            problem = said[-1]
    return list(_lines(printed)), problem


def collect(results: Results) -> Results:
    """By what was measured: machine; ceilings by precision; steps by contender and part; layers by unit, contender and part.

    Times are {"ms": the median, "least": ..., "most": ...}; a contender's steps have "mb" too.
    """
    found: Results = {"machine": {}, "ceilings": {}, "steps": {}, "layers": {}}
    for task, lines in results["printed"].items():
        name = task.partition(" of ")[2]
        for line in lines:
            if "machine" in line:
                found["machine"] = line["machine"]
            elif "ceiling" in line:
                found["ceilings"].setdefault(name, {})[line["ceiling"]] = line["per_second"]
            elif "unit" in line:
                unit = found["layers"].setdefault(line["unit"], {})
                unit.setdefault(name, {})[line["part"]] = _spread(line["ms"])
            else:
                step = found["steps"].setdefault(name, {})
                step[line["part"]] = _spread(line["ms"])
                if "mb" in line:
                    step["mb"] = line["mb"]
    return found


def write(out: Path, results: Results) -> None:
    """gpu.json, gpu.md, and roofline.png where there are ceilings."""
    found, options = collect(results), results["options"]
    net = counts.network(options["width"])
    units = {unit.name: unit for unit in counts.units(net, options["side"], options["images"])}
    flops, moved = counts.totals(list(units.values()), counts.weights(net))
    known = {**results, **found, "flops": flops, "bytes": moved}
    with atomic.replacing(out / "gpu.json") as part:
        part.write_text(json.dumps(known, indent=1) + "\n")
    with atomic.replacing(out / "gpu.md") as part:
        part.write_text(report.text(known, units) + "\n")
    if found["ceilings"]:
        with atomic.replacing(out / "roofline.png") as part:
            roofline.draw(known, units, part)


def _lines(printed: str) -> list[dict[str, Any]]:
    """The whole lines of JSON; the last one may have been cut short."""
    found = []
    for line in printed.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _spread(ms: Sequence[float]) -> dict[str, float]:
    return {"ms": float(np.median(ms)), "least": min(ms), "most": max(ms)}


def _end(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
