"""The works that `dagnet bench` measures: each is the same computation on dagnet's side and on PyTorch's.

A side makes its steps by name: {"step": f} for a training step, {"forward": f, "dX": g, "dW": h} for a convolution. A step
is what the clock runs around; all that it needs was made before. Works of one group share a process.
"""

from typing import NamedTuple

from . import convolutions, layers, networks, other_layers
from .work import Work


class Group(NamedTuple):
    """Works that a contender does in one process, and how many steps of each are timed after how many that warm up."""

    works: dict[str, Work]
    steps: int
    warm: int = 2
    exact: bool = False  # whether dagnet's exact convolutions are a contender too
    on_one_thread: bool = False  # whether it is measured on one thread too


GROUPS = {
    "step": Group({"step": networks.VGG_STEP}, steps=8, exact=True, on_one_thread=True),
    "paper": Group({"paper": networks.PAPER_STEP}, steps=2, warm=1),
    "segment": Group({"segment": networks.SEGMENTATION}, steps=3, warm=1),
    "conv": Group(convolutions.WORKS, steps=5, exact=True),
    "layers": Group(
        layers.WORKS | other_layers.WORKS, steps=20, warm=20
    ),  # a process is slow in its first tenths of a second
}
WORKS: dict[str, Work] = {name: work for group in GROUPS.values() for name, work in group.works.items()}


def chosen(names: list[str]) -> dict[str, list[str]]:
    """The works that are named, by group; a group's name stands for all of its works."""
    wanted = {work for name in names for work in (GROUPS[name].works if name in GROUPS else [name])}
    found = {group: [work for work in GROUPS[group].works if work in wanted] for group in GROUPS}
    return {group: members for group, members in found.items() if members}
