"""The figures as a bar chart: each tier's time and memory as a ratio to PyTorch's, with the goals."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from . import figures, goals

COLOURS = {"dagnet plain": "#8fb0ee", "dagnet fast": "#1f5fff"}
GOAL, MISSED, DARK = "#e0281e", "#c01a12", "#333333"
EDGE = 2.0  # longer bars are cut off here; their numbers tell
BAR = 0.36  # of a row


class Row(NamedTuple):
    """What is compared, and by tier the ratio and the goal."""

    what: str
    ratios: dict[str, float]
    limits: dict[str, float]


def drawn(works: Mapping[str, Any]) -> Figure | None:
    """A row a step of a work, a bar a tier, and a stroke over it where its goal is; the 3x3 layers have a panel of their own.

    works: as figures.collected makes it. None where nothing was measured beside PyTorch.
    """
    panels = rows(works)
    if not panels:
        return None
    most = max(map(len, panels.values()))
    figure = Figure(figsize=(6.6 * len(panels), 1.3 + 0.36 * most), dpi=110, layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False).flat
    for axes, (title, panel) in zip(grid, panels.items(), strict=True):
        _panel(axes, panel, most)
        axes.set_title(title, fontsize=9.5)
    handles = [Line2D([], [], color=colour, lw=7, label=tier) for tier, colour in COLOURS.items()]
    handles.append(Line2D([], [], color=DARK, lw=1, label="PyTorch, in its faster memory format"))
    handles.append(Line2D([], [], color=GOAL, lw=2, label="goal (a red number misses it)"))
    columns = 2 * len(panels)  # as many as the width has room for
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=9)
    return figure


def rows(works: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The panels' rows by their titles, of all that was measured beside PyTorch."""
    others: list[Row] = []
    convolutions: list[Row] = []
    for work, result in works.items():
        into = convolutions if work.startswith("conv") and work != "convt" else others
        for step in result["steps"]:
            ratios = {tier: figures.time_ratios(result, tier).get(step) for tier in COLOURS}
            detail = f", {step}" if into is convolutions else ""
            into.append(_row(result["what"].removeprefix("3x3 convolution, ") + detail, work, "time", ratios))
        if result["peak_mb"]:
            ratios = {tier: figures.memory_ratio(result, tier) for tier in COLOURS}
            others.append(_row("its peak memory", work, "memory", ratios))
    titled = {"networks, other layers": others, "VGG-16's 3x3 layers, 2 images": convolutions}
    compared = {title: [row for row in panel if row.ratios] for title, panel in titled.items()}
    return {title: panel for title, panel in compared.items() if panel}


def _row(what: str, work: str, quantity: str, ratios: Mapping[str, float | None]) -> Row:
    goal = next((goal for goal in goals.GOALS if work in goal.works and goal.quantity == quantity), None)
    limits = {tier: goal.limit(tier) for tier in goals.TIERS} if goal else {}
    return Row(what, {tier: ratio for tier, ratio in ratios.items() if ratio is not None}, limits)


def _panel(axes: Axes, panel: list[Row], most: int) -> None:
    """Rows of equal height in all panels; each bar's number stands in a column at the right."""
    for place, row in enumerate(panel):
        for t, tier in enumerate(COLOURS):
            if tier not in row.ratios:
                continue
            y, ratio, limit = place + (t - 0.5) * BAR, row.ratios[tier], row.limits.get(tier, np.inf)
            axes.barh(y, min(ratio, EDGE), 0.92 * BAR, color=COLOURS[tier])
            if np.isfinite(limit):
                axes.plot([limit] * 2, [y - BAR / 2, y + BAR / 2], color=GOAL, lw=2)
            colour = DARK if ratio <= limit else MISSED
            axes.text(1.04 * EDGE, y, f"{ratio:.2f}", va="center", fontsize=7.5, color=colour)
    axes.axvline(1, color=DARK, lw=1, zorder=0.5)
    axes.set_yticks(range(len(panel)), [_broken(row.what) for row in panel], fontsize=8)
    axes.set_ylim(most - 0.5, -0.6)
    axes.set_xlim(0, EDGE)
    axes.set_xlabel("ratio to PyTorch: shorter is faster, or smaller", fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.2)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _broken(what: str) -> str:
    """In two lines where it is long."""
    first, _, rest = what.partition(", ")
    return f"{first},\n{rest}" if rest and len(what) > 30 else what
