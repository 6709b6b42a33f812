"""A contender's process: python -m dagnet.tools.gpubench.contenders NAME TASK. Prints a line of JSON for all that it measured.

A line is printed as soon as it is known: where the process is ended, what it has printed counts.
    machine    {"machine": {...}}: names and versions
    ceilings   {"ceiling": "product" or "copy", "per_second": operations or bytes}
    step       {"part": "step", "ms": [...]} and its parts; after "step" with "mb", the memory of the device
    layers     {"unit": "conv1_1", "part": "forward", "ms": [...]} for each unit and part
"""

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dagnet.layers import settings

from . import counts, work

# dagnet's precision and whether a CUDA graph launches its step; of PyTorch TF32 and channels_last; by the name in the tables.
OURS: dict[str, tuple[settings.Precision, bool]] = {
    "dagnet float32": ("float32", False),
    "dagnet TF32": ("tf32", False),
    "dagnet float32, graph": ("float32", True),
    "dagnet TF32, graph": ("tf32", True),
}
THEIRS = {
    "PyTorch float32": (False, True),
    "PyTorch TF32": (True, True),
    "PyTorch float32, contiguous": (False, False),
    "PyTorch TF32, contiguous": (True, False),
}
TASKS = ("machine", "ceilings", "step", "layers")


def side(name: str, place: str) -> Any:
    """The contender of that name. Raises RuntimeError where there is no GPU and place is "gpu"."""
    if name in OURS:
        from .ours import Ours

        return Ours(place, *OURS[name])
    from .theirs import Theirs

    return Theirs(place, *THEIRS[name])


def measure(args: argparse.Namespace) -> None:
    """Do the task."""
    if args.task == "machine":
        _say(machine=_machine(args.place))
        return
    contender = side(args.name, args.place)
    size = (args.side, args.side, 3, args.images)
    if args.task == "ceilings":
        for name, (step, amount) in contender.ceilings(args.product).items():
            _say(ceiling=name, per_second=1e3 * amount / min(work.times(step, contender.wait, args.seconds)))
    elif args.task == "step":
        for part, step in contender.training(size, args.width).items():
            ms = work.times(step, contender.wait, 8 * args.seconds)
            _say(part=part, ms=ms, **({"mb": contender.memory()} if part == "step" else {}))
    else:
        net = counts.network(args.width)
        for unit in counts.units(net, args.side, args.images):
            for part, step in contender.layer(unit, net.layers[unit.name].block).items():
                _say(unit=unit.name, part=part, ms=work.times(step, contender.wait, args.seconds))


def main() -> None:
    """Reads the arguments, and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*OURS, *THEIRS])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--place", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--product", type=int, default=8192, help="side of the matrices of the ceiling's product")
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="for each measurement; a step's have eight times as long"
    )
    measure(parser.parse_args())


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def _machine(place: str) -> dict[str, Any]:
    from dagnet.layers import device

    versions = {name: _version(name) for name in ("dagnet", "numpy", "torch")}
    described = device.described() if place == "gpu" else {"device": platform.processor() or platform.machine()}
    return {**described, "python": platform.python_version(), **versions}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
