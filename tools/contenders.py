"""The contenders of `dagnet bench`, each run in a process of its own: python -m dagnet.tools.contenders WORK NAME.

Works: one training step (forward, backward, SGD with momentum) of VGG-16's 13 convolutions with ReLU and pooling; or forward
and backward of one layer alone. Float32, random values. Prints one line of JSON: milliseconds of each step, peak memory of the
process in MB.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import layer_contenders

Step = Callable[[], Any]
SIDE = 96
CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: pooling


def dagnet_step() -> Step:
    """One step of dagnet on NumPy."""
    from dagnet.models import vgg16
    from dagnet.training import solvers

    net = vgg16.vgg16(vgg16.CONVOLUTIONS)
    rng = np.random.default_rng(0)
    net.init_params(rng)
    net.input_ders = False
    image = rng.standard_normal((SIDE, SIDE, 3, 1), np.float32)
    solver = solvers.SGD(momentum=0.9)
    state: solvers.State = {}

    def step() -> None:
        net.eval({"input": image}, {"x31": 1e-3})
        solvers.update(net.params.values(), solver, state, divisor=1, learning_rate=1e-4, weight_decay=1e-4)

    return step


def torch_step(channels_last: bool) -> Step:
    """One step of PyTorch on the CPU, in one of its memory formats."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    before = 3
    for channels in CHANNELS:
        if channels:
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
        else:
            layers.append(nn.MaxPool2d(2))
    form = torch.channels_last if channels_last else torch.contiguous_format
    model = nn.Sequential(*layers).to(memory_format=form)  # type: ignore[call-overload]
    image = torch.randn(1, 3, SIDE, SIDE).contiguous(memory_format=form)
    rule = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        rule.zero_grad()
        y = model(image)
        y.backward(torch.full_like(y, 1e-3))
        rule.step()

    return step


class Work(NamedTuple):
    """What is measured, in words, and how to make a step of it: dagnet's, and PyTorch's in one of its memory formats."""

    what: str
    dagnet: Callable[[], Step]
    torch: Callable[[bool], Step]

    def contenders(self) -> dict[str, Callable[[], Step]]:
        """The makers by the contenders' names."""
        return {
            "dagnet": self.dagnet,
            "PyTorch, channels_last": lambda: self.torch(True),
            "PyTorch, contiguous": lambda: self.torch(False),
        }


WORKS = {
    "step": Work(f"training step of VGG-16's convolutions, {SIDE}x{SIDE}, one image, float32", dagnet_step, torch_step),
    **{name: Work(*sides) for name, sides in layer_contenders.SIDES.items()},
}


def measure(step: Step, steps: int, warm: int = 2) -> dict[str, list[float] | float]:
    """Milliseconds of each step after warming up, and the process's peak memory in MB."""
    for _ in range(warm):
        step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return {"ms": times, "peak_mb": peak_memory()}


def peak_memory() -> float:
    """Peak resident memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, does not count what the parent had before this process was its own
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def main() -> None:
    """Measure the contender that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("name")
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    print(json.dumps(measure(WORKS[args.work].contenders()[args.name](), args.steps)))


if __name__ == "__main__":
    main()
