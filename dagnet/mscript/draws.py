"""What a script drew at random, remembered in a few numbers each, so that what became of it can be recognised.

A parameter that is a * draw + b was drawn from the distribution that the draw is of, with that scale; one whose values were
changed in any other way since then is no such thing.
"""

from dataclasses import dataclass

import numpy as np

SAMPLE = 4096  # values that are remembered of a draw, spread over it
FEWEST = 17  # of fewer values, each can as well be said
SINGLE = 1e-6  # how far single precision rounds values, with some room


@dataclass(frozen=True)
class Draw:
    """kind: "normal" (mean 0, deviation 1), "uniform" (0 to 1), or "initParams"; then of the values some, and their sum."""

    kind: str
    count: int
    sample: np.ndarray
    total: float

    @classmethod
    def of(cls, kind: str, values: np.ndarray) -> "Draw":
        """Remembers these values, in MATLAB's order."""
        flat = values.ravel(order="F")
        return cls(kind, flat.size, _sampled(flat), float(flat.sum(dtype=np.float64)))

    def scale(self, values: np.ndarray) -> tuple[float, float] | None:
        """a and b where the values are a * draw + b, as far as single precision tells; else None."""
        if values.size != self.count or self.count < FEWEST or not np.ptp(self.sample):
            return None
        flat = values.ravel(order="F")
        a, b = np.polyfit(self.sample, sample := _sampled(flat), 1).tolist()
        largest = abs(a) * float(abs(self.sample).max()) + abs(b)
        if abs(a) < SINGLE * abs(sample).max() or abs(a * self.sample + b - sample).max() > SINGLE * largest:
            return None
        # one value changed shows in the sum
        room = 0.01 * abs(a) + SINGLE * (abs(a * self.total) + abs(b) * self.count)
        wrong = abs(flat.sum(dtype=np.float64) - a * self.total - b * self.count)
        return (a, b if abs(b) > SINGLE * largest else 0.0) if wrong < room else None


def _sampled(flat: np.ndarray) -> np.ndarray:
    return flat[:: max(1, flat.size // SAMPLE)].astype(np.float64)
