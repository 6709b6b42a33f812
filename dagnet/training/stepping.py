"""The derivatives of a batch, by one launch where the GPU allows it: forward and backward as a CUDA graph, see layers.replay.

The solver's step is launched by itself, since it takes numbers that change (the learning rate, Adam's count of steps).
"""

import warnings
from collections.abc import Mapping
from typing import Any

from dagnet.dagnn import DagNN
from dagnet.layers import dropout, loss, replay, settings
from dagnet.layers.array import Array
from dagnet.layers.kernels.gpu import launch

from . import pausing

# The parameters' derivatives, the objectives' values, and for each DropOut the shapes of the masks that it drew.
Made = tuple[dict[str, Array | None], dict[str, Array | None], list[list[tuple[int, ...]]]]


class Stepper:
    """Does as net.eval(inputs, der_outputs) does, as far as a training sees it: derivatives, objectives, what losses count.

    Raises ValueError for a net on the CPU, and where a block is not one of dagnet's: what it does on the host would not be
    repeated.
    """

    def __init__(self, net: DagNN, der_outputs: Mapping[str, float]) -> None:
        if net.device != "gpu":
            raise ValueError("graph: the net is on the CPU; net.move('gpu') before is right")
        for record in net.layers.values():
            if not type(record.block).__module__.startswith("dagnet.layers."):
                raise ValueError(
                    f"graph: layer '{record.name}' is a {type(record.block).__name__}, which is not dagnet's: what it does on "
                    "the host would not be repeated; training without a graph is right"
                )
        blocks = [record.block for record in net.layers.values()]
        self._losses = [block for block in blocks if isinstance(block, loss.Loss)]
        self._dropouts = [block for block in blocks if isinstance(block, dropout.DropOut)]
        self._net, self._der_outputs = net, der_outputs
        self._counts: dict[tuple[int, str], Array] = {}  # where a loss counts, by its place and the attribute's name
        self._replay = replay.Replay(self._compute)

    def derive(self, inputs: Mapping[str, Array]) -> None:
        """Leaves the derivatives in net.params and the objectives in net.vars. Warns, once, where no graph can be recorded."""
        drawn = [list(block.drawn) for block in self._dropouts]
        said = self._replay.refused
        ders, objectives, shapes = self._replay(inputs, self._key())
        for name, der in ders.items():
            self._net.params[name].der = der
        for name, value in objectives.items():
            self._net.vars[name].put("value", value)
        # Recording calls a DropOut without drawing a mask, and a graph draws one without calling it.
        for block, before, more in zip(self._dropouts, drawn, shapes, strict=True):
            block.drawn[:] = before + more
        if self._replay.refused and not said:
            warnings.warn(self._replay.refused, stacklevel=2)

    def _compute(self, inputs: Mapping[str, Array]) -> Made:
        net, drawn = self._net, [len(block.drawn) for block in self._dropouts]
        net.eval(inputs, self._der_outputs)
        return (
            {param.name: param.der for param in net.params.values()},
            {name: net.vars[name].held["value"] for name in self._der_outputs},
            [block.drawn[before:] for block, before in zip(self._dropouts, drawn, strict=True)],
        )

    def _key(self) -> tuple[Any, ...]:
        """What the launches depend on: the settings, and where parameters, what losses count, and generators' states lie."""
        generators = [generator for block in self._dropouts for generator in block.generators]
        places = [launch.address(param.value) for param in self._net.params.values()]
        for number, block in enumerate(self._losses):
            for name in pausing.COUNTED:
                value, mine = getattr(block, name, None), self._counts.get((number, name))
                if mine is not None and (value is None or isinstance(value, int | float)):  # it was reset
                    mine.fill(value or 0)
                    setattr(block, name, value := mine)
                if value is not None and not isinstance(value, int | float):
                    self._counts[number, name] = value
                    places.append(launch.address(value))
        return settings.current(), *generators, *places
