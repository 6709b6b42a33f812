"""The curves of a training, net-train.pdf and net-train.png, as cnn_train_dag draws them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dagnet.files import atomic

from . import progress

Stats = Mapping[str, Sequence[Mapping[str, Any]]]


def draw(stats: Stats, folder: Path) -> None:
    """Writes net-train.pdf and net-train.png into a folder: a panel a statistic, in alphabetical order, over the epochs.

    stats: {"train": [one dict an epoch], "val": [...]}, as trainer.train returns them. A statistic of several numbers has a
    panel for each, `acc[1]` ... (MatConvNet draws the first alone). Raises OSError where the folder cannot be written.
    """
    curves = {kind: _curves(records) for kind, records in stats.items() if records}
    panels = sorted({name for lines in curves.values() for name in lines})
    if not panels:
        return
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), dpi=120)
    figure.subplots_adjust(
        left=0.13 / columns, right=1 - 0.04 / columns, bottom=0.16 / rows, top=1 - 0.1 / rows, wspace=0.22, hspace=0.42
    )
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for name, axes in zip(panels, grid, strict=False):
        for kind, lines in curves.items():
            if name in lines:
                axes.plot(np.arange(1, len(lines[name]) + 1), lines[name], "o-", label=kind, markersize=4)
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(True, alpha=0.4)
        axes.legend()
    for axes in list(grid):
        axes.set_axis_off()
    for suffix in ("pdf", "png"):
        with atomic.replacing(folder / f"net-train.{suffix}") as part:
            figure.savefig(part, format=suffix)


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Each number of each statistic over the epochs, by the name of its panel."""
    lines: dict[str, list[float]] = {}
    for name in records[0]:
        if name in progress.NOT_STATISTICS:
            continue
        rows = [np.ravel(record[name]) for record in records]  # MATLAB's are empty for an epoch without such a pass
        parts = max(map(len, rows))
        for i in range(parts):
            line = [float(row[i]) if i < len(row) else math.nan for row in rows]
            lines[name if parts == 1 else f"{name}[{i + 1}]"] = line
    return lines
