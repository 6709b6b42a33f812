"""Is backward the slope of forward? Central differences say so, for any block, yours included.

    from dagnet.layers import gradcheck
    gradcheck.check(MyBlock(), inputs=[x], params=[w, b], rng=np.random.default_rng(0))

Take a random number r for every output value and let f = sum(r * outputs). backward with der_outputs = r gives df/dx for every
value x of every input and parameter. Beside it stands  (f(x + step) - f(x - step)) / (2 step),  whose own error is about
step^2: in float64, with step 1e-5, agreement to 1e-6 is agreement.

Corners   Where the two disagree, a corner of f (a ReLU at 0, a tie of maxima, a margin) may be the reason, and then neither is
          wrong. `examine` looks again with smaller steps. If they agree there, the corner lay beside x. If the slopes to the
          left and to the right differ however small the step, x lies on the corner, and what lies between the two is right
          (for each output: where several meet a corner, one may take its left slope and another its right one).
          All else is an error. A step serves only where the rounding of the outputs, whose size is known, is far below what
          it is to tell apart. `check`, for tests, takes a corner for an error: its inputs are to stay away from corners.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from . import array, block
from .array import Array
from .trial import GradientError, Outputs, Trial

STEP = 1e-5
SMALLER = (1e-6, 1e-7)
REPEATED = 1e-12  # how far, relative, two runs of forward on the same inputs may be apart
ROUNDING = 2 * float(np.finfo(np.float64).eps)

Place = tuple[int, ...]


@dataclass
class Wrong:
    """A value whose derivative is not the slope: where, what backward says, the slopes of forward to its left and right."""

    place: Place
    der: float
    left: float
    right: float


@dataclass
class Finding:
    """What was found for one array.

    checked   how many of its values were looked at
    error     max|a - b| / max|b| over those that lie on no corner
    corners   how many lie on a corner, or beside one, with a derivative that is right there
    wrong     those whose derivative is wrong
    """

    checked: int = 0
    error: float = 0.0
    corners: int = 0
    wrong: list[Wrong] = field(default_factory=list)


def check(
    layer: block.Layer,
    inputs: Sequence[Array],
    params: Sequence[Array],
    rng: np.random.Generator,
    tolerance: float = 1e-6,
    differentiable: Sequence[str] | None = None,
) -> float:
    """The worst error, max|a - b| / max|b| per array, of the block's derivatives against central differences.

    inputs, params   float64 arrays of either device; keep them small: forward runs twice for every value
    differentiable   which to look at, "input 0", "param 2", ...; otherwise all for which backward returns a derivative
    Raises GradientError where an error is above the tolerance or the block breaks the contract of block.Layer, and
    ValueError where an array to look at is not float64.
    """
    trial = Trial(layer, inputs, params, rng)
    worst = 0.0
    for name in trial.differentiable() if differentiable is None else differentiable:
        x, der = trial.arrays[name], trial.derivative(name)
        look = Look(trial.outputs_of(name), x, trial.projection)
        slope = np.empty(x.shape)
        for place in np.ndindex(x.shape):
            slope[place] = look.slopes(place, STEP).middle
        worst = max(worst, _compare(name, der, slope, tolerance))
    return worst


class Slopes(NamedTuple):
    """Of f at a place: to the left, to the right; the least and the most that subgradients come to, each output taking the
    one or the other of its own; and what rounding may have added."""

    left: float
    right: float
    least: float
    most: float
    noise: float

    @property
    def middle(self) -> float:
        """By central differences."""
        return (self.left + self.right) / 2


class Look:
    """The slopes of f = sum(projection * outputs) in one array. Raises GradientError where f changes from run to run."""

    def __init__(self, outputs: Outputs, x: Array, projection: Sequence[Array]) -> None:
        self.outputs, self.x, self.projection = outputs, x, projection
        self._middle = outputs(x)
        for value, again in zip(self._middle, outputs(x), strict=True):
            if float(abs(again - value).sum()) > REPEATED * float(abs(value).sum()):
                raise GradientError(
                    "gradcheck: forward gives other outputs when it runs again on the same inputs; a block whose random "
                    "numbers are held fast, as a frozen DropOut's mask is, is right"
                )

    def slopes(self, place: Place, step: float) -> Slopes:
        """The slopes at x[place], by a step to each side."""
        above, below = self.x.copy(), self.x.copy()
        above[place] += step
        below[place] -= step
        left = right = least = most = squares = 0.0
        ends = zip(self.projection, self._middle, self.outputs(below), self.outputs(above), strict=True)
        for r, middle, low, high in ends:
            xp = array.module_of(middle)
            before, after = r * (middle - low), r * (high - middle)
            left, right = left + float(before.sum()), right + float(after.sum())
            least += float(xp.minimum(before, after).sum())
            most += float(xp.maximum(before, after).sum())
            squares += float((((r * middle) ** 2) * (high != low)).sum())
        return Slopes(left / step, right / step, least / step, most / step, ROUNDING * squares**0.5 / step)

    def is_corner(self, place: Place, der: float, off: float, allowed: float) -> bool:
        """Whether a derivative that is `off` the slope at STEP is right all the same, as smaller steps show."""
        corner = False
        for step in SMALLER:
            seen = self.slopes(place, step)
            if seen.noise > off / 4:
                break
            if abs(der - seen.middle) <= allowed + seen.noise:
                return True
            between = seen.least - allowed - seen.noise <= der <= seen.most + allowed + seen.noise
            corner = between and seen.most - seen.least >= off
        return corner


def examine(
    outputs: Outputs,
    x: Array,
    der: np.ndarray,
    projection: Sequence[Array],
    places: Iterable[Place] | None = None,
    tolerance: float = 1e-6,
) -> Finding:
    """Whether `der` is the slope of sum(projection * outputs) at these places of x (all, unless given), corners told apart."""
    look, found = Look(outputs, x, projection), Finding()
    seen = [(place, look.slopes(place, STEP)) for place in (np.ndindex(x.shape) if places is None else places)]
    scale = max([STEP, *(abs(slopes.middle) for _, slopes in seen)])
    for place, slopes in seen:
        found.checked += 1
        off = abs(float(der[place]) - slopes.middle)
        agrees = off <= tolerance * scale + slopes.noise
        if not agrees and look.is_corner(place, float(der[place]), off, tolerance * scale):
            found.corners += 1
            continue
        found.error = max(found.error, off / scale) if off == off else float("nan")
        if not agrees:
            found.wrong.append(Wrong(place, float(der[place]), slopes.left, slopes.right))
    return found


def _compare(name: str, der: np.ndarray, slope: np.ndarray, tolerance: float) -> float:
    if der.size == 0:
        return 0.0
    difference = np.abs(der - slope)
    error = float(difference.max() / max(np.abs(slope).max(), STEP))
    if not error <= tolerance:  # so that NaN is an error too
        worst = np.unravel_index(np.argmax(difference), slope.shape)
        place = tuple(int(i) for i in worst)
        raise GradientError(
            f"gradcheck: the derivative for {name} is off by {error:.2g} of its largest value, most at {place}: "
            f"backward says {der[worst]:.9g}, the slope of forward is {slope[worst]:.9g}; at most {tolerance:g} is right"
        )
    return error
