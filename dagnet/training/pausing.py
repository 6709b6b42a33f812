"""Stopping inside an epoch before a limit of time, and going on there to the same numbers.

What a pass has come to by then is more than parameters and what the solver keeps: the losses' averages so far, and how far the
generators of dropout are. Those are told by the shapes of the masks drawn, which are drawn again and dropped: so a generator
may be any library's, on either device.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.layers import array, dropout, loss

if TYPE_CHECKING:
    from .progress import Progress

COUNTED = ("average", "num_averaged", "confusion")  # of a loss's attributes, those that grow with every batch
BYTES_A_SECOND = 100e6  # that a checkpoint is written with, until one has been


class TimeIsUp(Exception):
    """The training was stopped before its limit of time, and all is kept to go on; the message says how."""


class Deadline:
    """When a training is to be over, all written. saving: the seconds that writing a checkpoint is thought to take."""

    def __init__(self, seconds: float, bytes_kept: int) -> None:
        self._end = time.monotonic() + seconds
        self.saving = 1 + bytes_kept / BYTES_A_SECOND

    @property
    def left(self) -> float:
        """Seconds until then, at least a millionth."""
        return max(self._end - time.monotonic(), 1e-6)

    def is_near(self, seconds: float) -> bool:
        """Whether so many seconds more would leave no time for a checkpoint."""
        return time.monotonic() + seconds + self.saving > self._end


@dataclass(frozen=True)
class Standing:
    """How far a pass is: batches and images that are done, seconds they took and that were waited for, and by layer what losses
    have counted, as (dtype, list), and the shapes of the masks that dropout has drawn. Plain values, which JSON keeps."""

    kind: Literal["train", "val"]
    batches: int
    images: int
    seconds: float
    waited: float
    counted: dict[str, dict[str, Any]]
    drawn: dict[str, Any]

    @classmethod
    def of(cls, net: DagNN, kind: Literal["train", "val"], progress: "Progress") -> "Standing":
        """Where the net stands in a pass."""
        counted, drawn = {}, {}
        for record in net.layers.values():
            if isinstance(record.block, loss.Loss):
                values = {name: getattr(record.block, name, None) for name in COUNTED}
                counted[record.name] = {name: _plain(value) for name, value in values.items() if value is not None}
            elif isinstance(record.block, dropout.DropOut):
                drawn[record.name] = record.block.drawn
        return cls(kind, progress.batches, progress.images, progress.seconds, progress.waited, counted, drawn)

    def restore(self, net: DagNN) -> None:
        """Let the net, seeded as the epoch began, stand there again."""
        for name, values in self.counted.items():
            for attribute, value in values.items():
                setattr(net.layers[name].block, attribute, _value(value, net.device))
        like = next(iter(net.params.values())).value
        for name, shapes in self.drawn.items():
            net.layers[name].block.redraw(array.module_of(like), shapes)


def _plain(value: Any) -> Any:
    """A number as it is, an array as its dtype and its list."""
    if isinstance(value, int | float):
        return value
    numbers = array.to_numpy(value)
    return [numbers.dtype.name, numbers.tolist()]


def _value(plain: Any, device: str) -> Any:
    if not isinstance(plain, list):
        return plain
    return array.mover(device)(np.array(plain[1], plain[0]))
