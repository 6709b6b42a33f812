"""A block tried once on inputs, forward and backward, and held to the contract of block.Layer.

What it returns has the right form, number, size and type, and no argument has been written to: a forward that works in place
gives backward, and the layers beside it, other values than they were made for, which no finite difference shows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import array, block
from .array import Array

Outputs = Callable[[Array], Sequence[Array]]  # a function of one array, others staying as they are


class GradientError(AssertionError):
    """backward is not the slope of forward, or one of the two breaks the contract; the message says where."""


class Trial:
    """A block with inputs and parameters, its derivatives for random der_outputs, and its outputs when one array changes.

    arrays       "input 0", "input 1", ..., "param 0", ...
    projection   the der_outputs
    ders         by the names of arrays, what backward returned; None where there is none
    Raises GradientError where the block breaks the contract.
    """

    def __init__(
        self, layer: block.Layer, inputs: Sequence[Array], params: Sequence[Array], rng: np.random.Generator
    ) -> None:
        self.layer, self._count = layer, len(inputs)
        self.arrays = {f"input {i}": x for i, x in enumerate(inputs)} | {f"param {i}": p for i, p in enumerate(params)}
        layer.derivatives_follow = True  # as in a step of training
        with _untouched("forward", self.arrays):
            outputs = layer.forward(list(inputs), list(params))
        self._check_outputs(outputs)
        xp = array.module_of(*inputs)
        self.projection = [xp.asarray(rng.standard_normal(y.shape)) for y in outputs]
        seen = outputs if layer.backward_uses == "outputs" else list(inputs)
        made = {f"output {i}": y for i, y in enumerate(outputs)}
        started = {f"der_output {i}": r for i, r in enumerate(self.projection)}
        with _untouched("backward", self.arrays | made | started):
            found = layer.backward(list(seen), list(params), list(self.projection))
        layer.derivatives_follow = False
        self.ders = dict(zip(self.arrays, _derivatives(found, len(inputs), len(params)), strict=True))

    def differentiable(self) -> list[str]:
        """The arrays for which backward returns a derivative."""
        return [name for name, der in self.ders.items() if der is not None]

    def derivative(self, name: str) -> np.ndarray:
        """What backward returned for the array.

        Raises GradientError where it is none, or of another shape or type, ValueError where the array is not float64.
        """
        x, der = self.arrays[name], self.ders[name]
        if x.dtype != np.float64:
            raise ValueError(f"gradcheck: {name} is {x.dtype}; float64 is right")
        if der is None:
            raise GradientError(
                f"gradcheck: backward returns no derivative for {name}; one of shape {x.shape} is right"
            )
        if der.shape != x.shape:
            raise GradientError(f"gradcheck: the derivative for {name} has shape {der.shape}; {x.shape} is right")
        if der.dtype != x.dtype:
            raise GradientError(f"gradcheck: the derivative for {name} is {der.dtype}; {x.dtype}, as it is, is right")
        return array.to_numpy(der)

    def outputs_of(self, name: str) -> Outputs:
        """The outputs as a function of that array."""

        def outputs(changed: Array) -> list[Array]:
            values = list((self.arrays | {name: changed}).values())
            return self.layer.forward(values[: self._count], values[self._count :])

        return outputs

    def _check_outputs(self, outputs: Any) -> None:
        if not isinstance(outputs, (list, tuple)):
            raise GradientError(f"gradcheck: forward returns a {type(outputs).__name__}; a list of arrays is right")
        double = all(x.dtype == np.float64 for x in self.arrays.values())
        for i, y in enumerate(outputs):
            dtype = getattr(y, "dtype", type(y).__name__)
            if not hasattr(y, "dtype") or (double and dtype != np.float64):
                raise GradientError(f"gradcheck: output {i} is {dtype}; float64, as the inputs are, is right")


def _derivatives(found: Any, inputs: int, params: int) -> list[Array | None]:
    """What backward returned, in one list."""
    if not (isinstance(found, (list, tuple)) and len(found) == 2 and all(isinstance(d, (list, tuple)) for d in found)):
        raise GradientError(
            "gradcheck: backward does not return two lists; the inputs' derivatives and the parameters' are right"
        )
    for ders, what, right in ((found[0], "input", inputs), (found[1], "param", params)):
        if len(ders) != right:
            raise GradientError(
                f"gradcheck: backward returns {len(ders)} derivatives for {right} {what}{'s' * (right != 1)}; one each, "
                "or None, is right"
            )
    return [*found[0], *found[1]]


@contextmanager
def _untouched(who: str, arrays: Mapping[str, Array]) -> Iterator[None]:
    """Raises GradientError where the block has written to one of the arrays."""
    before = {name: values.copy() for name, values in arrays.items()}
    yield
    for name, values in arrays.items():
        if not array.module_of(values).array_equal(values, before[name], equal_nan=True):
            raise GradientError(f"gradcheck: {who} writes to {name}; a new array is right")
