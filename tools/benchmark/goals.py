"""What dagnet is to reach beside PyTorch, in one place, and how far it is."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from . import convolutions, figures

TIERS = ("dagnet plain", "dagnet fast")
HARD = {"dagnet plain": 1.5, "dagnet fast": 1.0}  # what a training step must not exceed


class Goal(NamedTuple):
    """At most so many times PyTorch's time (or memory) in every step of these works, for dagnet plain and dagnet fast."""

    what: str
    works: tuple[str, ...]
    plain: float
    fast: float
    quantity: Literal["time", "memory"] = "time"
    hard: bool = False

    def limit(self, tier: str) -> float:
        """The goal of that tier."""
        return self.plain if tier == "dagnet plain" else self.fast


GOALS = (
    Goal("training step, VGG-16's convolutions, 96x96, N=1", ("step",), 1.5, 0.95, hard=True),
    Goal("training step, the paper's network, 128x128, batch 6, full width", ("paper",), 1.5, 0.9, hard=True),
    Goal("forward only (segmentation at 384x384), the paper's network", ("segment",), 1.4, 0.9),
    Goal(
        "each 3x3 layer of VGG at 96, 48, 24 pixels, N=2, forward / dX / dW",
        tuple(name for name, (side, *_) in zip(convolutions.WORKS, convolutions.LAYERS, strict=True) if side >= 24),
        1.6,
        1.0,
    ),
    Goal("peak memory of the process, the paper's training step", ("paper",), 0.8, 0.9, "memory"),
    Goal("transposed convolution 64x64 stride 32", ("convt",), 1.5, 1.0),
    Goal("max pooling", ("pool",), 1.5, 1.0),
    Goal("softmax loss", ("loss",), 1.5, 1.0),
    Goal("ReLU", ("relu",), 1.5, 1.0),
)


class Verdict(NamedTuple):
    """How a tier stands to a goal: the ratios by work and step, in words, and whether all of them meet it."""

    ratios: dict[str, float]
    words: str
    met: bool


def verdict(goal: Goal, tier: str, results: Mapping[str, Any]) -> Verdict | None:
    """None where one of the goal's works was not measured, or not beside PyTorch."""
    ratios = ratios_of(goal, tier, results)
    if not ratios or {place.split()[0] for place in ratios} != set(goal.works):
        return None
    limit, worst = goal.limit(tier), max(ratios, key=ratios.__getitem__)
    met = [ratio <= limit for ratio in ratios.values()]
    words = "met" if all(met) else "not met"
    if goal.hard and not all(met) and ratios[worst] <= HARD[tier]:
        words = f"not met, but within {HARD[tier]}"
    if len(ratios) > 1:
        words += f" ({sum(met)} of {len(met)}; worst: {worst})"
    return Verdict(ratios, words, all(met))


def ratios_of(goal: Goal, tier: str, results: Mapping[str, Any]) -> dict[str, float]:
    """The ratios that the goal is about, of what was measured, by "WORK STEP"."""
    measured = [work for work in goal.works if work in results]
    if goal.quantity == "memory":
        found = {work: figures.memory_ratio(results[work], tier) for work in measured}
        return {work: ratio for work, ratio in found.items() if ratio is not None}
    return {
        f"{work} {step}": ratio for work in measured for step, ratio in figures.time_ratios(results[work], tier).items()
    }
