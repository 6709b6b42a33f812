"""The image database: every image of the training and validation sets at the network's size, and its labels.

As in MatConvNet, one database holds all sets and `set` says which image belongs to which (1 = training, 2 = validation).

Decoding and resizing happens once: `load` keeps the resized images of a set in one file, from which every later epoch
and run starts at once. The file's name holds a key made of the images' and masks' names, sizes and dates and of the size
asked for, so that a file made from anything else is never used. It is written beside and then renamed: a file that is
there is whole.

Cache     .npy of uint8 (n, size, size, 4): red, green, blue and label (1 = skin, 2 = lesion; 0 everywhere = bad sample),
          memory-mapped when read
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from dagnet.files import atomic

from . import imresize, isic2017

TRAIN, VAL = 1, 2
_FORMAT = 1  # part of the key: raise it when resizing or the file's layout changes


class Joined:
    """Several arrays one after the other, read like one array along the first dimension, without a copy."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(f"imdb: index {index} is outside 0..{len(self) - 1} (Python counts from 0)")
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part][index - int(self._ends[part])]


@dataclass
class Imdb:
    """Images and labels of all sets, at one size.

    images  uint8 (H, W, 3) each, n of them        labels  uint8 (H, W) each: 1 = skin, 2 = lesion
    ids     n names                                set     uint8 (n,): 1 = training, 2 = validation, 0 = left out
    """

    images: Joined
    labels: Joined
    ids: list[str]
    set: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """Indices of the training images, from 0."""
        return np.flatnonzero(self.set == TRAIN)

    @property
    def val(self) -> np.ndarray:
        """Indices of the validation images, from 0."""
        return np.flatnonzero(self.set == VAL)

    def average(self) -> np.ndarray:
        """Mean colour of the training images, float32 (3,): what to subtract when no pretrained network says."""
        sums = [self.images[i].mean(axis=(0, 1), dtype=np.float64) for i in self.train]
        return np.mean(sums, axis=0).astype(np.float32)


def load(
    train: Sequence[isic2017.Sample],
    val: Sequence[isic2017.Sample],
    size: int,
    cache_dir: Path | str,
    *,
    on_bad: isic2017.OnBad = "error",
) -> Imdb:
    """The database of two sets at size x size, from cache_dir or made now, with a progress bar in a terminal.

    Images are resized bicubically with antialiasing (in floating point, rounded once), masks by nearest neighbour; both
    lose their aspect, as in the paper. A bad file (see isic2017.read) is an error, raised after all files were looked
    at, or with on_bad="skip" is logged and belongs to no set.
    Raises ValueError naming the bad file, and OSError where cache_dir cannot be written.
    """
    if size < 1:
        raise ValueError(f"imdb: size is {size}; it must be at least 1")
    folder = Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    arrays, sets = [], []
    for name, number, samples in (("train", TRAIN, train), ("val", VAL, val)):
        if samples:
            _refuse_without_mask(samples)
            arrays.append(_resized(name, list(samples), size, folder))
            sets.append(np.where(_good(arrays[-1], samples, on_bad), number, 0).astype(np.uint8))
    if not arrays:
        raise ValueError("imdb: no samples at all; give at least one training image")
    ids = [sample.id for sample in (*train, *val)]
    return Imdb(Joined([a[..., :3] for a in arrays]), Joined([a[..., 3] for a in arrays]), ids, np.concatenate(sets))


def resized(image: np.ndarray, mask: np.ndarray | None, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Image uint8 (size, size, 3) and labels uint8 (size, size), None without a mask, as load makes them of a file's."""
    pixels = imresize.imresize(image, (size, size), dtype=np.float32)  # in single: rounded once
    labels = None if mask is None else 1 + imresize.imresize(mask, (size, size), "nearest").astype(np.uint8)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), labels


def from_arrays(
    train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray], names: Sequence[str] = ()
) -> Imdb:
    """A database of arrays in memory, such as generated lesions: (images uint8 (n,H,W,3), masks bool (n,H,W)) of each set.

    Raises ValueError where images and masks do not fit each other, or names are not one for each image.
    """
    for images, masks in (train, val):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or images.shape[:3] != masks.shape:
            raise ValueError(
                f"imdb: images are {images.dtype} {images.shape} and masks {masks.shape}; they must be uint8 (n, H, W, 3) "
                "and (n, H, W)"
            )
    n_train, n_val = len(train[0]), len(val[0])
    ids = list(names) or [f"image{i:06d}" for i in range(n_train + n_val)]
    if len(ids) != n_train + n_val:
        raise ValueError(f"imdb: {len(ids)} names for {n_train + n_val} images; there must be one for each")
    labels = [1 + np.asarray(masks, bool).astype(np.uint8) for _, masks in (train, val)]
    which = np.repeat(np.array([TRAIN, VAL], np.uint8), (n_train, n_val))
    return Imdb(Joined([train[0], val[0]]), Joined(labels), ids, which)


def _refuse_without_mask(samples: Iterable[isic2017.Sample]) -> None:
    for sample in samples:
        if sample.mask is None:
            raise ValueError(f"{sample.image}: no mask given for this image; training and validation need one")


def _resized(name: str, samples: list[isic2017.Sample], size: int, folder: Path) -> np.ndarray:
    """The set's cache, memory-mapped; made first where it is not there."""
    path = folder / f"{name}-{size}-{_key(samples, size)}.npy"
    if not path.exists():
        _make(path, samples, size)
    return np.load(path, mmap_mode="r")


def _key(samples: Iterable[isic2017.Sample], size: int) -> str:
    everything: list[object] = [_FORMAT, size]
    for sample in samples:
        for path in filter(None, (sample.image, sample.mask)):
            stat = path.stat()
            everything.append((sample.id, str(path.resolve()), stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:16]


def _make(path: Path, samples: list[isic2017.Sample], size: int) -> None:
    """Write the cache, in the samples' order."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(samples), size, size, 4)}
    with atomic.replacing(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        _write_all(file, samples, size)


def _write_all(file: BinaryIO, samples: list[isic2017.Sample], size: int) -> None:
    # Threads suffice: decoding and the sums of imresize run outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows: Iterator[np.ndarray] = pool.map(lambda sample: _row(sample, size), samples)
        try:
            for row in tqdm(rows, f"resizing to {size}x{size}", len(samples), unit=" images", disable=None):
                file.write(row.tobytes())
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for all images that are still queued
            raise


def _row(sample: isic2017.Sample, size: int) -> np.ndarray:
    """Resized image and labels, uint8 (size, size, 4); all zero for a bad sample."""
    row = np.zeros((size, size, 4), np.uint8)
    try:
        image, mask = isic2017.read(sample)
    except (ValueError, OSError):
        return row  # what is wrong is told by _good, which reads the file again, now and whenever the cache is used
    row[..., :3], labels = resized(image, mask, size)
    assert labels is not None
    row[..., 3] = labels
    return row


def _good(array: np.ndarray, samples: Sequence[isic2017.Sample], on_bad: isic2017.OnBad) -> np.ndarray:
    """bool (n,): which samples are good; the others are settled as on_bad says."""
    good = array[:, 0, 0, 3] != 0
    bad = [sample for sample, is_good in zip(samples, good, strict=True) if not is_good]
    isic2017.settle(
        {s.id: isic2017.problem_of(s) or f"{s.image}: the file was bad and changed since" for s in bad}, on_bad
    )
    if on_bad == "skip" and not good.any():
        raise ValueError(f"{samples[0].image}: this and all {len(samples)} images of the set are bad")
    return good
