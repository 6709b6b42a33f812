"""What is told of a pass while it runs: a bar in a terminal, else now and then a line as MatConvNet prints it.

train: epoch 01:   3/ 10: 12.3 (11.9) Hz waited: 4% objective: 0.693     images a second on average (and now), the share of the
                                                                         time that was waited for batches, averages so far
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from .pausing import Standing

SECONDS_BETWEEN_LINES = 30.0
OUTLIERS = (
    3  # batches at the start that are slow (memory is fetched, kernels are built) and are left out of the average
)
NOTABLE = 0.01  # share of the time that was waited for batches, from which on it is told
NOT_STATISTICS = ("num", "time")

Statistics = Mapping[str, Any]


class Progress:
    """Tells how a pass over `batches` batches goes; use as a context manager.

    waited    seconds since the pass began, or went on, that what computes had no batch to compute on
    standing  what an earlier run has done of the pass
    """

    def __init__(
        self,
        kind: str,
        epoch: int,
        batches: int,
        waited: Callable[[], float] = lambda: 0.0,
        standing: Standing | None = None,
    ) -> None:
        self._waited, self._waited_before = waited, standing.waited if standing else 0.0
        self._title, self._batches = f"{kind}: epoch {epoch:02d}", batches
        self._done, self._images = (standing.batches, standing.images) if standing else (0, 0)
        self._outliers = self._done + OUTLIERS
        self._last = self._told = time.perf_counter()
        self._start = self._last - (standing.seconds if standing else 0.0)
        self._after_outliers = (self._last, self._images)  # when, and how many images were done
        self._now = 0.0
        show = sys.stderr.isatty()
        self._bar = tqdm(total=batches, initial=self._done, desc=self._title, leave=False) if show else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def seconds(self) -> float:
        """Since the pass began, up to its last batch."""
        return self._last - self._start

    @property
    def waited(self) -> float:
        """Seconds of those without a batch."""
        return self._waited_before + self._waited()

    @property
    def batches(self) -> int:
        """How many are done."""
        return self._done

    @property
    def images(self) -> int:
        """How many were in the batches so far."""
        return self._images

    @property
    def speed(self) -> float:
        """Images a second on average, the first batches left out once there are others."""
        since, images = self._after_outliers
        return (self._images - images) / max(self._last - since, 1e-9)

    def batch_done(self, images: int, statistics: Callable[[], Statistics]) -> None:
        """Counts a batch, and shows where the pass stands if it is time to; only then are the statistics asked for."""
        now = time.perf_counter()
        if self._done == self._outliers:
            self._after_outliers = (self._last, self._images)
        self._now = images / max(now - self._last, 1e-9)
        self._done, self._images, self._last = self._done + 1, self._images + images, now
        if self._done == self._batches:
            if self._bar is not None:
                self._bar.close()
            last = statistics()
            self._last = time.perf_counter()  # a GPU was still at it until the statistics could be read
            print(self._line(last), flush=True)
        elif self._bar is not None:
            if now - self._told > 0.5:
                self._told = now
                self._bar.set_postfix_str(self._facts(statistics()), refresh=False)
            self._bar.update()
        elif now - self._told > SECONDS_BETWEEN_LINES:
            self._told = now
            print(self._line(statistics()), flush=True)

    def _line(self, statistics: Statistics) -> str:
        return f"{self._title}: {self._done:3d}/{self._batches:3d}: {self._facts(statistics)}"

    def _facts(self, statistics: Statistics) -> str:
        told = [f"{self.speed:.1f} ({self._now:.1f}) Hz"]
        if (share := self.waited / max(self.seconds, 1e-9)) >= NOTABLE:
            told.append(f"waited: {share:.0%}")
        for name in sorted(set(statistics) - set(NOT_STATISTICS)):
            told.append(f"{name}: " + " ".join(f"{v:.3f}" for v in np.ravel(statistics[name])))
        return " ".join(told)
