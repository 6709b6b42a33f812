"""The report's figures, drawn by matplotlib into SVG text: training curves and the histogram of JA."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Stats = Mapping[str, Sequence[Mapping[str, Any]]]

BINS = [i / 20 for i in range(21)]
COLOURS = {"train": "#1f5fff", "val": "#ff281e"}
# How the run went, not how good the network was.
NOT_CURVES = ("num", "time")
PARTS = {"accuracy": ("pixel accuracy", "mean accuracy", "mean IU")}  # SegmentationAccuracy's three numbers


def training_curves(stats: Stats) -> dict[str, str]:
    """SVG of every statistic over the epochs, training and validation in one, by the statistic's name.

    stats: {"train": [one dict an epoch], "val": [...]}, values numbers or short arrays of them, as the trainer keeps them.
    """
    curves = {name: _series(stats.get(name, ())) for name in COLOURS}
    panels = dict.fromkeys(label for series in curves.values() for label in series)
    return {panel: _curves({name: series.get(panel, []) for name, series in curves.items()}) for panel in panels}


def _curves(curves: Mapping[str, Sequence[float]]) -> str:
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(np.arange(1, len(values) + 1), values, ".-", color=COLOURS[name], label=name, lw=1.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _tidy(axes, "epoch")
    axes.legend(frameon=False, fontsize=9)
    return _svg(figure)


def histogram(values: Mapping[str, Sequence[float]], label: str = "JA") -> str:
    """SVG histogram of a score over the images, a colour for each method (three at most), its mean dashed."""
    figure = Figure(figsize=(6.6, 2.6), layout="constrained")
    axes = figure.subplots()
    for (name, scores), colour in zip(values.items(), ("#ff281e", "#777777", "#1f5fff"), strict=False):
        if len(scores):
            shown = f"{name} (mean {np.mean(scores):.3f})"
            axes.hist(scores, BINS, histtype="stepfilled", fc=colour + "33", ec=colour, label=shown)
            axes.axvline(float(np.mean(scores)), color=colour, lw=1.5, ls="--")
    axes.set_xlim(0, 1)
    axes.set_ylabel("images", fontsize=9)
    _tidy(axes, label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, loc="upper left")
    return _svg(figure)


def _series(epochs: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Statistics by the name of their panel, a value an epoch; NaN where an epoch lacks it."""
    rows = [dict(_numbers(epoch)) for epoch in epochs]
    labels = dict.fromkeys(label for row in rows for label in row)
    return {label: [row.get(label, np.nan) for row in rows] for label in labels}


def _numbers(epoch: Mapping[str, Any]) -> list[tuple[str, float]]:
    found = []
    for name, value in epoch.items():
        if name in NOT_CURVES or isinstance(value, str):
            continue
        parts = np.ravel(np.asarray(value, float))
        named = PARTS.get(name, ()) if len(parts) == len(PARTS.get(name, ())) else ()
        labels = named or ([name] if len(parts) == 1 else [f"{name} {i + 1}" for i in range(len(parts))])
        found += list(zip(labels, parts.tolist(), strict=True))
    return found


def _tidy(axes: Axes, xlabel: str) -> None:
    axes.set_xlabel(xlabel, fontsize=9)
    axes.tick_params(labelsize=9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "dagnet"}):  # the same figure gives the same text
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
