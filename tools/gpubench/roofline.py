"""The roofline plot: each layer's speed over its operations a byte, under what the machine's products and copies allow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .counts import Unit
from .report import precision_of

COLOURS = {"dagnet": "#1f5fff", "PyTorch": "#d9822b"}
MARKS = {"float32": "o", "TF32": "^"}
NEAR = 1.08  # a label's width, as a ratio of intensities
ROOFS = {"float32": "-", "TF32": "--"}


class Point(NamedTuple):
    """A contender in a unit: operations a byte, and operations a second."""

    name: str
    unit: str
    intensity: float
    rate: float


def draw(known: Mapping[str, Any], units: Mapping[str, Unit], path: Path) -> None:
    """Writes a PNG. Layers without operations, such as pooling, are not on it; contiguous PyTorch is not either."""
    figure = Figure(figsize=(11, 7), dpi=120, layout="constrained")
    axes = figure.subplots()
    points = [point for point in _points(known, units) if point.rate > 0]
    reach = np.array(
        [min([1.0, *(p.intensity for p in points)]) / 2, max([1000.0, *(p.intensity for p in points)]) * 2]
    )
    for name, found in known["ceilings"].items():
        _roof(axes, reach, precision_of(name), found)
    for name in dict.fromkeys(point.name for point in points):
        its = [point for point in points if point.name == name]
        side, _, precision = name.partition(" ")
        intensity, rate = [p.intensity for p in its], [p.rate / 1e12 for p in its]
        axes.plot(intensity, rate, MARKS[precision], color=COLOURS[side], ms=7, alpha=0.8, label=name)
    for names, x, y in _labels(points):
        label = ", ".join(names) if len(names) < 4 else f"{names[0]} ... {names[-1]}"
        place = axes.annotate(label, (x, y / 1e12), (0, -7), textcoords="offset points", ha="center", va="top")
        place.set(rotation=90, fontsize=7, color="#444444")
    axes.set_xscale("log")
    axes.set_yscale("log")
    if points:  # below them is room for their names
        axes.set_ylim(min(point.rate for point in points) / 8e12)
    axes.set_xlabel("operations a byte that must be moved, forward and backward")
    axes.set_ylabel("TFLOP/s, operations counted as the layer's sum has them")
    options = known["options"]
    where = known["machine"].get("device", "an unknown device")
    axes.set_title(f"{where}: {options['images']} images of {options['side']}x{options['side']}", fontsize=11)
    axes.grid(True, which="major", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    figure.savefig(path, format="png")


def _points(known: Mapping[str, Any], units: Mapping[str, Unit]) -> list[Point]:
    found = []
    for unit, by_name in known["layers"].items():
        flops, moved = sum(units[unit].flops), sum(units[unit].bytes)
        for name, parts in by_name.items():
            if "forward and backward" in parts and not name.endswith("contiguous"):
                found.append(Point(name, unit, flops / moved, 1e3 * flops / parts["forward and backward"]["ms"]))
    return found


def _roof(axes: Axes, reach: np.ndarray, precision: str, found: Mapping[str, float]) -> None:
    """What the copy's bytes and the product's operations allow."""
    if "product" not in found or "copy" not in found:
        return
    ridge = found["product"] / found["copy"]
    x = np.sort(np.append(reach, ridge))
    y = np.minimum(x * found["copy"], found["product"]) / 1e12
    rates = f"{found['product'] / 1e12:.3g} TFLOP/s, {found['copy'] / 1e12:.3g} TB/s"
    axes.plot(x, y, color="#222222", lw=1.3, ls=ROOFS[precision], label=f"the machine in {precision}: {rates}")


def _labels(points: list[Point]) -> list[tuple[list[str], float, float]]:
    """The names of units that stand nearly above each other, together, and where they go: below the lowest of their points."""
    found: list[tuple[list[str], float, float]] = []
    for point in sorted(points, key=lambda point: point.intensity):
        if found and point.intensity < NEAR * found[-1][1]:
            names, x, y = found[-1]
            found[-1] = [*names, point.unit], x, min(y, point.rate)
        else:
            found.append(([point.unit], point.intensity, point.rate))
    return [(sorted(set(names)), x, y) for names, x, y in found]
