"""Cost as work grows, as curves: time of a training step beside its operations, memory of training and evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import growth
from .chart import COLOURS, DARK

Points = Sequence[Mapping[str, Any]]


def drawn(points: Points) -> Figure | None:
    """At the left one image grows, at the right a batch does; above time, below memory. None where there are no points."""
    if not points:
        return None
    figure = Figure(figsize=(10.4, 7.4), dpi=110, layout="constrained")
    (side_time, batch_time), (side_memory, batch_memory) = figure.subplots(2, 2)
    for axes, below, along in ((side_time, side_memory, "side"), (batch_time, batch_memory, "images")):
        for tier, colour in COLOURS.items():
            series = growth.series(points, tier, along)
            if series:
                _time(axes, series, along, tier, colour)
                _memory(below, series, along, tier, colour, last=tier == _tiers(points)[-1])
        words = "side of one image, pixels" if along == "side" else f"images of {growth.BATCH_SIDE}x{growth.BATCH_SIDE}"
        for panel, what in ((axes, "training step, ms"), (below, "memory, MB")):
            panel.set(xlabel=words, ylabel=what)
            panel.set_ylim(bottom=0)
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(frameon=False, fontsize=8)
    return figure


def _tiers(points: Points) -> list[str]:
    return [tier for tier in COLOURS if any(point["name"] == tier for point in points)]


def _time(axes: Axes, series: Points, along: str, tier: str, colour: str) -> None:
    """The times, and how they would grow with the operations from the smallest size on."""
    at = [point[along] for point in series]
    ms = np.array([np.median(point["ms"]) for point in series])
    operations = np.array([point["operations"] for point in series], float)
    axes.plot(at, ms, "o-", color=colour, label=tier, ms=4)
    axes.plot(at, ms[0] * operations / operations[0], ":", color=colour, label=f"{tier}, if it grew as the operations")


def _memory(axes: Axes, series: Points, along: str, tier: str, colour: str, last: bool) -> None:
    at = [point[along] for point in series]
    axes.plot(at, [point["training"] for point in series], "o-", color=colour, label=f"training, {tier}", ms=4)
    axes.plot(at, [point["evaluation"] for point in series], "s--", color=colour, label=f"evaluation, {tier}", ms=4)
    if last:  # the same for every tier
        limit = [growth.MARGIN * (point["layers"] + point["weights"]) for point in series]
        label = f"{growth.MARGIN} x (two neighbouring layers + weights)"
        axes.plot(at, limit, "-", color=DARK, lw=1, label=label)
