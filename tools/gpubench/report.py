"""The figures of a GPU (or of the CPU, in a trial) as Markdown: the step, its parts, its memory, each layer, the ratios.

A speed is a ratio to PyTorch's time in the same precision, in the memory format in which it is faster: 2 is twice as fast.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .counts import Unit

PARTS = ("step", "forward", "forward and backward", "update")
GOALS = {"float32": (1.0, 1.0), "TF32": (0.8, 1.0)}  # the speed at least, and the memory at most, in a ratio to PyTorch
PAPER_STEPS = 20 * 2000 / 6  # of the paper's training: epochs, images, images a batch
Known = Mapping[str, Any]  # see running.collect


def text(known: Known, units: Mapping[str, Unit]) -> str:
    """All of it."""
    options = known["options"]
    what = f"{options['images']} images of {options['side']}x{options['side']}"
    width = "full width" if options["width"] == 1 else f"{options['width']:g} of its width"
    parts = [
        f"# The paper's training step on {known['machine'].get('device', 'an unknown device')}",
        f"{what}, {width}: {known['flops'] / 1e9:.0f} GFLOP, at least {known['bytes'] / 1e9:.1f} GB moved. "
        + ", ".join(
            f"{name} {value}" for name, value in known["machine"].items() if value is not None and name != "device"
        ),
        *_told(known),
        "## Step",
        _table(("", "ms", "least", "most", "TFLOP/s", "memory, MB", "speed", "memory"), _step_rows(known)),
    ]
    if known["steps"]:
        parts.append(_table(("ms", *PARTS), _part_rows(known)))
    if goals := list(_goals(known)):
        parts += ["## Goals", _table(("", "speed", "goal", "memory", "goal", "20 epochs, minutes"), goals)]
    if known["ceilings"]:
        parts += ["## The machine", _table(("", "product, TFLOP/s", "copy, TB/s"), _ceiling_rows(known))]
    if known["layers"]:
        names = _names(known["layers"].values())
        head = ("layer", "GFLOP", *(f"{name}, ms" for name in names), *(f"speed, {p}" for p in GOALS))
        parts += [
            "## Layers, forward and backward",
            _table(head, _layer_rows(known, units, names, "forward and backward")),
        ]
        parts += ["## Layers, forward", _table(head, _layer_rows(known, units, names, "forward"))]
    return "\n\n".join(parts)


def precision_of(name: str) -> str:
    """ "float32" or "TF32" of a contender's name."""
    return "TF32" if "TF32" in name else "float32"


def peer(times: Mapping[str, float], precision: str) -> float | None:
    """PyTorch's least time in that precision."""
    theirs = [ms for name, ms in times.items() if name.startswith("PyTorch") and precision_of(name) == precision]
    return min(theirs) if theirs else None


def speed(times: Mapping[str, float], name: str) -> float | None:
    """How many times as fast as PyTorch the contender is; None where one of the two is not known."""
    theirs = peer(times, precision_of(name))
    return theirs / times[name] if theirs and name in times else None


def _told(known: Known) -> list[str]:
    told = []
    if not any(name.startswith("PyTorch") for name in known["steps"]):
        told.append("PyTorch was not measured, so there are no ratios.")
    told += [f"Failed: {task}: {problem}." for task, problem in known["failed"].items()]
    if known["left_out"]:
        told.append(f"Left out, as the limit of {known['limit']:.0f} s was near: {', '.join(known['left_out'])}.")
    return told


def _step_times(known: Known, part: str = "step") -> dict[str, float]:
    return {name: parts[part]["ms"] for name, parts in known["steps"].items() if part in parts}


def _memory_ratio(known: Known, name: str) -> float | None:
    """To PyTorch's in the same precision, in the memory format in which it is faster."""
    times = _step_times(known)
    theirs = {n: ms for n, ms in times.items() if n.startswith("PyTorch") and precision_of(n) == precision_of(name)}
    if not theirs or name not in times:
        return None
    its = known["steps"][min(theirs, key=lambda n: theirs[n])].get("mb")
    ours = known["steps"][name].get("mb")
    return ours / its if ours and its else None


def _step_rows(known: Known) -> Iterable[tuple[str, ...]]:
    times = _step_times(known)
    for name in times:
        step = known["steps"][name]
        figures = (step["step"][what] for what in ("ms", "least", "most"))
        rate = known["flops"] / step["step"]["ms"] / 1e9
        memory = f"{step['mb']:.0f}" if "mb" in step else ""
        yield name, *_shown(*figures), *_shown(rate), memory, *_shown(speed(times, name), _memory_ratio(known, name))


def _part_rows(known: Known) -> Iterable[tuple[str, ...]]:
    for name, parts in known["steps"].items():
        yield name, *_shown(*(parts[part]["ms"] if part in parts else None for part in PARTS))


def _goals(known: Known) -> Iterable[tuple[str, ...]]:
    times = _step_times(known)
    for name in (name for name in times if name.startswith("dagnet")):
        least, most = GOALS[precision_of(name)]
        minutes = PAPER_STEPS * times[name] / 60e3
        yield name, *_shown(speed(times, name), least, _memory_ratio(known, name), most, minutes)


def _ceiling_rows(known: Known) -> Iterable[tuple[str, ...]]:
    for name, found in known["ceilings"].items():
        yield (
            precision_of(name),
            *_shown(*(found[what] / 1e12 if what in found else None for what in ("product", "copy"))),
        )


def _layer_rows(known: Known, units: Mapping[str, Unit], names: list[str], part: str) -> Iterable[tuple[str, ...]]:
    for unit, by_name in known["layers"].items():
        times = {name: parts[part]["ms"] for name, parts in by_name.items() if part in parts}
        flops = units[unit].flops[0] if part == "forward" else sum(units[unit].flops)
        speeds = (speed(times, f"dagnet {precision}") for precision in GOALS)
        yield unit, *_shown(flops / 1e9, *(times.get(name) for name in names), *speeds)


def _names(found: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for by_name in found for name in by_name))


def _shown(*values: float | None) -> tuple[str, ...]:
    """With three digits that count."""
    return tuple("" if v is None else f"{v:.0f}" if v >= 100 else f"{v:.3g}" for v in values)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
