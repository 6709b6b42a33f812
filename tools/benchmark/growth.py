"""Cost as work grows: python -m dagnet.tools.benchmark.growth NAME SIDE IMAGES measures one size, and prints a line of JSON.

It evaluates the paper's network at full width, as one does to segment, and then trains it. Memory is in MB (2^20 bytes):

    libraries        what the process has when a small network was evaluated and trained, and is gone: the interpreter, the
                     libraries, the loops that numba compiled
    weights, layers  the network's parameters; the largest sum of a layer's inputs and outputs
    evaluation       the most that the process had while it evaluated, less `libraries`
    training         the most that it had while it trained, less `libraries`

ms holds the time of each timed training step, operations how many additions and multiplications one takes.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from . import contenders, memory, networks, work
from .processes import Task

if TYPE_CHECKING:
    from dagnet.dagnn import DagNN

SIDES = (96, 128, 192, 256, 320, 384)  # of one image
BATCHES = (1, 2, 4, 8, 12)  # images of
BATCH_SIDE = 128
SIZES = tuple(dict.fromkeys([(side, 1) for side in SIDES] + [(BATCH_SIDE, images) for images in BATCHES]))
SGD_OPERATIONS = 6  # a parameter: divide, decay, keep momentum, subtract, times the rate, add
MARGIN = 1.3  # evaluation is to take at most so many times layers and weights together


def measure(name: str, side: int, images: int, steps: int, width: float) -> dict[str, Any]:
    """The figures of one size, with a factor on the network's width, of a process that has done nothing else before."""
    from dagnet.layers import buffers, settings
    from dagnet.models import lesion_fcn

    settings.change(**contenders.OURS[name])

    def run(net: "DagNN", size: work.Size, steps: int) -> tuple[Any, Any]:
        batch, net.mode = networks.batch(size), "test"
        evaluation = contenders.measure({"step": lambda: net.eval({"input": batch["input"]})}, steps=1, warm=1)
        training = contenders.measure({"step": networks.training_steps(net, batch)["step"]}, steps, warm=1)
        return evaluation, training

    run(lesion_fcn.lesion_fcn(None, width=0.25, fc_width=8), (32, 32, 3, 1), 1)
    buffers.release()
    libraries = memory.now()
    net = lesion_fcn.lesion_fcn(None, width=width)
    evaluation, training = run(net, (side, side, 3, images), steps)
    sizes = net.get_var_sizes({"input": (side, side, 3, images), "label": (side, side, 1, images)})
    return {
        "name": name,
        "side": side,
        "images": images,
        "libraries": libraries,
        "weights": megabytes((parameters(net),)),
        "layers": max(sum(megabytes(sizes[v]) for v in (*r.inputs, *r.outputs)) for r in net.layers.values()),
        "evaluation": evaluation["peak_mb"] - libraries,
        "training": training["peak_mb"] - libraries,
        "ms": training["ms"]["step"],
        "operations": operations(net, sizes),
    }


def tasks(tiers: Sequence[str], threads: int) -> list[Task]:
    """A process a size and tier, the tiers in turn."""
    return [Task("growth", (tier, str(side), str(images)), threads) for side, images in SIZES for tier in tiers]


def series(points: Sequence[Mapping[str, Any]], tier: str, along: str) -> list[Mapping[str, Any]]:
    """A tier's points along "side" (one image) or "images" (of BATCH_SIDE pixels), from the smallest on."""
    fixed, value = ("images", 1) if along == "side" else ("side", BATCH_SIDE)
    chosen = [point for point in points if point["name"] == tier and point[fixed] == value]
    return sorted(chosen, key=lambda point: point[along])


def operations(net: "DagNN", sizes: Mapping[str, Sequence[float]]) -> int:
    """Multiplications and additions of a training step: of the convolutions in all passes, and of SGD with momentum."""
    from dagnet.layers import conv, convt

    total = 0
    for record in net.layers.values():
        if isinstance(record.block, conv.Conv | convt.ConvTranspose):
            slid = sizes[record.outputs[0] if isinstance(record.block, conv.Conv) else record.inputs[0]]
            passes = 3 if net.vars[record.inputs[0]].fanin else 2  # nobody asks for the image's derivative
            total += passes * 2 * prod(record.block.size) * int(slid[0] * slid[1] * slid[3])
    return total + SGD_OPERATIONS * parameters(net)


def parameters(net: "DagNN") -> int:
    """How many numbers the net has learned."""
    return sum(param.value.size for param in net.params.values() if param.value is not None)


def megabytes(size: Sequence[float]) -> float:
    """Of an array of that size in single precision."""
    return 4 * prod(size) / 2**20


def main() -> None:
    """Measure the size that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=contenders.OURS)
    parser.add_argument("side", type=int)
    parser.add_argument("images", type=int)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--width", type=float, default=1.0)
    args = parser.parse_args()
    print(json.dumps(measure(args.name, args.side, args.images, args.steps, args.width)))


if __name__ == "__main__":
    main()
