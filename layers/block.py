"""The contract of a block, the thing that a DagNN's layer runs (MatConvNet's dagnn.Layer).

A block is a dataclass whose fields are MatConvNet's properties in snake_case, and two methods that call the pure functions
of its file. It knows neither its net nor its neighbours; what it must know of the net (mode) the net sets.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from . import geometry
from .array import Array

Size = tuple[float, float, float, float]  # (H, W, C, N); NaN where unknown


class Layer:
    """The base of all blocks.

    mode             "normal" (training) or "test"; set by the net, read by DropOut, BatchNorm
    backward_uses    what backward is given as its first argument: the layer's "inputs", or its "outputs" where these
                     suffice (ReLU), so that the net may free the inputs during the forward pass
    n_inputs         how many inputs and parameters the block takes, any of these numbers; (): the block itself judges
    n_params
    rectifies        the block is max(x, 0): a layer whose output only it reads may do it in its place, in fewer passes
    can_rectify      the block has forward_rectified and backward_rectified, which do so; both are False for a subclass with
                     a forward or backward of its own that does not say otherwise
    needs_input_der  False, set by the net, where nobody asks for the inputs' derivatives (the images of a training run);
                     a block may then return None for them
    derivatives_follow   True, set by the net, where backward will follow a forward: a block may then keep, until that or
                     reset, what backward would have to compute again; backward does without it where other inputs come
    """

    mode: Literal["normal", "test"] = "normal"
    backward_uses: ClassVar[Literal["inputs", "outputs"]] = "inputs"
    n_inputs: ClassVar[tuple[int, ...]] = ()
    n_params: ClassVar[tuple[int, ...]] = ()
    rectifies: bool = False
    can_rectify: ClassVar[bool] = False
    needs_input_der: bool = True
    derivatives_follow: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        """What does otherwise than the ReLU or Conv that it is made of is to run by itself."""
        super().__init_subclass__(**options)
        if {"forward", "backward"} & vars(cls).keys():
            for name in {"rectifies", "can_rectify"} - vars(cls).keys():
                setattr(cls, name, False)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """The outputs, from the inputs and the parameters. Arguments are never written to."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """The derivatives of sum(der_outputs * outputs) for the inputs and for the parameters, in their order.

        None stands for "there is none" (labels).
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def forward_rectified(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """max(outputs, 0), where can_rectify."""
        raise NotImplementedError(f"{type(self).__name__} has no forward_rectified")

    def backward_rectified(
        self, inputs: list[Array], outputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """As backward; `outputs` are what forward_rectified gave, and der_outputs their derivatives."""
        raise NotImplementedError(f"{type(self).__name__} has no backward_rectified")

    def init_params(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Fresh values of the parameters, float32."""
        return []

    def join(self, layer: str) -> None:
        """Called once when the block enters a net, with its layer's name: what is random and has no seed yet starts from it."""

    def attach(self, params: Sequence[Any]) -> None:
        """Called once when the layer enters a net, with its Params: the place to set their train_method."""

    def output_sizes(self, input_sizes: list[Size]) -> list[Size]:
        """The outputs' sizes (H, W, C, N) from the inputs' ones; NaN in, NaN out."""
        return [input_sizes[0]]

    def receptive_fields(self, inputs: int) -> Sequence[geometry.ReceptiveField | None]:
        """For each input, what one output pixel sees of it; None where it sees nothing (an input that gives its size alone)."""
        return [geometry.IDENTITY] * inputs

    def reset(self) -> None:
        """Forget what was kept between calls (a mask, an average)."""
