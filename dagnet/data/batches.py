"""Batches for the trainer: images minus their mean and labels, prepared ahead of time, turned and flipped if asked.

Shapes    input (H, W, 3, N) float32, label (H, W, 1, N) float32 with 1 = skin, 2 = lesion, 0 = ignore;
          memory lies as N,H,W,C and is shown through transpose(1, 2, 3, 0), so that the layers need no copy
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np

from .workers import Workers

Batch = dict[str, np.ndarray]


class Images(Protocol):
    """What Batches reads from: a NumPy array, a memory map, or imdb.Joined."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Augment:
    """What may happen to a training image; the paper uses none of it.

    flips          mirrored left to right, or not
    quarter_turns  turned by 0, 90, 180 or 270 degrees (square images only)
    scale          enlarged or shrunk by up to this factor, about a random place; 1 = off
                   (bilinear; what shrinking uncovers repeats the border and gets label 0)
    """

    flips: bool = True
    quarter_turns: bool = True
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.scale < 1:
            raise ValueError(f"augment: scale is {self.scale}; it must be at least 1 (1.25 means 0.8 to 1.25)")

    def __call__(self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """image (H, W, 3) and label (H, W), changed alike."""
        if self.flips and rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        if self.quarter_turns:
            turns = int(rng.integers(4))
            image, label = np.rot90(image, turns), np.rot90(label, turns)
        if self.scale > 1:
            factor = self.scale ** rng.uniform(-1, 1)
            image, label = _zoom(image, label, factor, rng.uniform(-1, 1, 2))
        return image, label


class Batches:
    """Makes the batches of an image database.

    images, labels  n images uint8 (H, W, 3) and n labels uint8 (H, W), as in imdb.Imdb
    average         mean to subtract: three numbers in any shape, or an image (H, W, 3)
    augment         what may happen to the images in `augmented`, None = nothing
    augmented       indices of the images that may be changed (the training set); None = all
    seed, epoch     decide, with an image's index, what happens to it: the same three give the same numbers, in
                    whatever order and however often they are asked for, so that a resumed run equals an unbroken one.
                    The trainer sets `epoch` when an epoch starts.
    """

    def __init__(
        self,
        images: Images,
        labels: Images,
        average: np.ndarray | Sequence[float],
        *,
        augment: Augment | None = None,
        augmented: Collection[int] | np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        height, width = _refuse_unfit(images, labels)
        if augment and augment.quarter_turns and height != width:
            raise ValueError(f"batches: images are {height}x{width}; quarter turns need square ones")
        self.images, self.labels = images, labels
        self.average = _average(average, height, width)
        self.augment, self.seed, self.epoch = augment, seed, 0
        self._augmented = None if augmented is None else {int(i) for i in augmented}

    def __len__(self) -> int:
        return len(self.images)

    def get_batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """{"input": (H, W, 3, N), "label": (H, W, 1, N)} of the images at these indices, counted from 0.

        Raises IndexError for an index outside 0..n-1.
        """
        height, width = self.images.shape[1:3]
        inputs = np.empty((len(indices), height, width, 3), np.float32)
        labels = np.empty((len(indices), height, width, 1), np.float32)
        for place, index in enumerate(int(i) for i in indices):
            if not 0 <= index < len(self):
                raise IndexError(f"batches: index {index} is outside 0..{len(self) - 1} (Python counts from 0)")
            image, label = self.images[index], self.labels[index]
            if self.augment and (self._augmented is None or index in self._augmented):
                rng = np.random.default_rng((self.seed, self.epoch, index))
                image, label = self.augment(image, label, rng)
            for channel in range(3):  # NumPy's inner loop is then a row long, and not three numbers
                np.subtract(image[..., channel], self.average[..., channel], out=inputs[place, :, :, channel])
            labels[place, :, :, 0] = label
        return {"input": inputs.transpose(1, 2, 3, 0), "label": labels.transpose(1, 2, 3, 0)}


class Prefetch:
    """Prepares the coming batches while the consumer computes: in a thread, or in worker processes, which that thread awaits.

        with Prefetch(batches.get_batch, index_lists) as coming:
            for batch in coming: ...
        coming.waited      seconds that the consumer stood waiting

    At most `depth` finished batches wait in memory, and with workers one or two more in each of them. An exception in
    get_batch is raised to the consumer, at the batch where it happened. Leaving the block early ends the thread, and the
    workers' processes.
    """

    def __init__(
        self,
        get_batch: Callable[[Sequence[int] | np.ndarray], Batch],
        index_lists: Iterable[Sequence[int] | np.ndarray],
        depth: int = 2,
        workers: Workers | None = None,
    ) -> None:
        self._get_batch, self._index_lists, self._workers = get_batch, list(index_lists), workers
        self._left = len(self._index_lists)
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._prepare, name="prefetch", daemon=True)
        self.waited = 0.0

    def __enter__(self) -> Prefetch:
        if self._workers is not None and not self._workers.load(self._get_batch):
            self._workers = None
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        early = kind is not None or self._left > 0  # then workers are still at batches that nobody will fetch
        if early and self._workers is not None:
            self._workers.kill()  # the thread may wait for them
        while self._thread.is_alive():  # the thread may stand before a full queue
            self._drop_one()
            self._thread.join(timeout=0.01)
        if early and self._workers is not None:
            self._workers.stop()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._left == 0:
            raise StopIteration
        if self._thread.ident is None:
            raise RuntimeError(
                "prefetch: nothing is prepared yet; write `with Prefetch(...) as coming:` around the loop"
            )
        start = time.perf_counter()
        batch = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(batch, BaseException):
            self._left = 0
            raise batch
        self._left -= 1
        return batch

    def _prepare(self) -> None:
        try:
            lists = self._index_lists
            for batch in self._workers.batches(lists) if self._workers else map(self._get_batch, lists):
                self._ready.put(batch)
                if self._stop.is_set():
                    return
        except BaseException as problem:  # whatever it is, it belongs to the consumer
            self._ready.put(problem)

    def _drop_one(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._ready.get_nowait()


def _refuse_unfit(images: Images, labels: Images) -> tuple[int, int]:
    """(H, W) of the images."""
    if len(images.shape) != 4 or images.shape[3] != 3 or images.shape[0] == 0:
        raise ValueError(f"batches: images have shape {images.shape}; it must be (n, H, W, 3) with n at least 1")
    if images.shape[:3] != labels.shape:
        raise ValueError(f"batches: labels have shape {labels.shape}; with these images it must be {images.shape[:3]}")
    return images.shape[1], images.shape[2]


def _average(average: np.ndarray | Sequence[float], height: int, width: int) -> np.ndarray:
    mean = np.asarray(average, np.float32)
    if mean.size == 3:  # 1x1x3, 3x1 and 1x3 all occur in networks' files
        return mean.reshape(3)
    if mean.shape == (height, width, 3):
        return mean
    raise ValueError(f"batches: average has shape {mean.shape}; it must be three numbers or ({height}, {width}, 3)")


def _zoom(image: np.ndarray, label: np.ndarray, factor: float, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge by factor about a place in -1..1 (each dimension) that keeps the picture and the frame overlapping."""
    rows, columns = (_source(n, factor, where) for n, where in zip(label.shape, place, strict=True))
    blended = _blend(_blend(image.astype(np.float32), rows, 0), columns, 1)
    inside = [(x > -0.5) & (x < n - 0.5) for x, n in zip((rows, columns), label.shape, strict=True)]
    nearest = [np.clip(np.rint(x).astype(np.intp), 0, n - 1) for x, n in zip((rows, columns), label.shape, strict=True)]
    return blended, np.where(np.outer(*inside), label[np.ix_(*nearest)], 0)


def _source(n: int, factor: float, where: float) -> np.ndarray:
    """Input positions, from 0, of n output pixels."""
    middle = (n - 1) / 2
    return (np.arange(n) - middle) / factor + middle + where * (n / 2) * abs(1 - 1 / factor)


def _blend(image: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along one axis; outside, the border repeats."""
    positions = np.clip(positions, 0, image.shape[axis] - 1)
    below = np.floor(positions).astype(np.intp)
    above = np.minimum(below + 1, image.shape[axis] - 1)
    weight = (positions - below).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    return np.take(image, below, axis) * (1 - weight) + np.take(image, above, axis) * weight
