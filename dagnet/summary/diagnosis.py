"""MatConvNet's vl_simplenn_diagnose: the least, mean and greatest values of a run of a SimpleNN, as numbers and as curves.

    res = simplenn.run(net, x, dzdy=1.0)
    diagnosis.ranges(net, res)["dzdw 1"]        for each layer (least, mean, greatest), None where it has no such values
    diagnosis.diagnose(net, res, "run.png")     a panel for each of them

What grows or dies away from layer to layer, and whether steps are small beside what they change, is seen at a glance.
Source    matlab/simplenn/vl_simplenn_diagnose.m of 1.0-beta25
"""

import os
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from dagnet.files import atomic
from dagnet.layers.array import Array
from dagnet.simplenn import Result, SimpleNN

Range = tuple[float, float, float]  # least, mean, greatest


def ranges(net: SimpleNN, res: Sequence[Result]) -> dict[str, list[Range | None]]:
    """By what they are ranges of, a list of them: `x` and `dzdx` of res, one more than there are layers; `weights 1`, `dzdw 1`
    (filters), `weights 2`, `dzdw 2` (biases) ... of the layers.
    """
    found = {"x": _ranges(r.x for r in res), "dzdx": _ranges(r.dzdx for r in res)}
    for j in range(max((len(layer["weights"]) for layer in net.layers), default=0)):
        found[f"weights {j + 1}"] = _ranges(_at(layer["weights"], j) for layer in net.layers)
        found[f"dzdw {j + 1}"] = _ranges(_at(r.dzdw, j) for r in res[:-1])
    return found


def diagnose(net: SimpleNN, res: Sequence[Result], path: str | os.PathLike) -> None:
    """Draws ranges into a file, a PNG, PDF or SVG by its name's end. What has no values has no panel.

    Raises OSError where path cannot be written.
    """
    panels = {name: found for name, found in ranges(net, res).items() if any(found)}
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(10, 1 + 2.6 * rows), dpi=120, layout="constrained")
    grid = figure.subplots(max(1, rows), 2, squeeze=False).flat
    for (name, found), axes in zip(panels.items(), grid, strict=False):
        places = [i for i, one in enumerate(found) if one]
        curves = zip(("least", "mean", "greatest"), np.array([found[i] for i in places]).T, strict=True)
        for label, curve in curves:
            axes.plot(places, curve, "o-", label=label, markersize=3)
        axes.set(title=name, xlabel="res" if name in ("x", "dzdx") else "layer", xlim=(-0.5, len(net.layers) + 0.5))
        axes.grid(True, alpha=0.4)
    for axes in list(grid):
        axes.set_axis_off()
    if panels:
        figure.axes[0].legend()
    with atomic.replacing(path) as part:
        figure.savefig(part, format=os.fspath(path).rpartition(".")[2])


def _ranges(arrays: Iterable[Array | None]) -> list[Range | None]:
    return [None if a is None or not a.size else (float(a.min()), float(a.mean()), float(a.max())) for a in arrays]


def _at(arrays: Sequence[Array | None], j: int) -> Array | None:
    return arrays[j] if j < len(arrays) else None
