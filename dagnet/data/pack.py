"""A pack: the challenge's images and masks in files small enough to carry to a machine without a network.

    PACK/images-1.zip, images-2.zip ...   each below 60 MB; unzipped into one folder they are the challenge's own folders
    PACK/pack.json                        the index: the size, and of each file its bytes, its SHA-256 and its samples

Each image goes with its mask in the shorter of two forms: both files as they are, or both resized to size x size as imdb
resizes them, the image as WebP without loss, the mask as PNG of one bit. Training at that size sees the same numbers from
either form as from the folders that were packed. What a resized image has lost is its own size: it is segmented and
scored at size x size, not as large as the challenge scored it, and a pack that holds one serves no other size.

Measured on 20 of the training images, 512x512 JPEG, 384x384 from them; bytes an image: as they are 19,684; uint8 442,368, zlib
223,921, PNG 139,308, WebP without loss 97,863; JPEG of quality 95 would be 39,320, and up to 8 of 255 off.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
from tqdm import tqdm

from dagnet.files import atomic

from . import imdb, isic2017

INDEX = "pack.json"
MOST_BYTES = 60_000_000  # of a file
_FORMAT = 1
Index = dict[str, Any]  # format, size, files: by name, bytes, sha256, and of a zip samples, a list of entries
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: the same images make the same file


class Entry(NamedTuple):
    """What the index says of a sample: which it is, the bytes of the files that were packed, and in which of the two forms."""

    split: str
    id: str
    image_bytes: int
    mask_bytes: int
    resized: bool


class Packed(NamedTuple):
    """A sample's entry, and its members: their names in the challenge's folders and what is in them."""

    entry: Entry
    members: list[tuple[str, bytes]]

    @property
    def bytes(self) -> int:
        """What the members take."""
        return sum(len(content) for _, content in self.members)


def write(folder: Path, splits: Mapping[str, Sequence[isic2017.Sample]], size: int) -> None:
    """Write the samples of each split to a pack, with a progress bar; goes on after the last whole file of an earlier run.

    Raises ValueError where the folder holds a pack of other images or of another size, and for an image that cannot be read;
    OSError where the folder cannot be written.
    """
    samples = [(split, sample) for split, of_split in splits.items() for sample in of_split]
    index: Index = _read(folder) if is_pack(folder) else {"format": _FORMAT, "size": size, "files": {}}
    done = entries(index)
    if index["size"] != size or [e[:4] for e in done] != [_facts(*one) for one in samples[: len(done)]]:
        raise ValueError(f"{folder}: it holds a pack of other images or of another size; another folder is right")
    bar = tqdm(total=len(samples), initial=len(done), desc="pack", unit="image", disable=None)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            left: Iterator[Packed] = pool.map(lambda one: _packed(one[0], one[1], size), samples[len(done) :])
            number = 1 + sum("samples" in file for file in index["files"].values())
            while first := next(left, None):
                name = f"images-{number}.zip"
                with atomic.replacing(folder / name) as part:
                    held, next_one = _fill(part, itertools.chain([first], left), bar)
                    index["files"][name] = {**_measured(part), "samples": held}
                _write_index(folder, index)
                left = itertools.chain([next_one] if next_one else [], left)
                number += 1
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for all images that are still queued
            raise


def add(folder: Path, name: str) -> None:
    """Take a file that lies in the pack's folder, such as a network's, into its index. Raises ValueError for one too large."""
    index, measured = _read(folder), _measured(folder / name)
    if measured["bytes"] >= MOST_BYTES:
        raise ValueError(f"{folder / name}: it has {measured['bytes']} bytes; below {MOST_BYTES} is right in a pack")
    index["files"][name] = measured
    _write_index(folder, index)


def is_pack(folder: Path) -> bool:
    """Whether this is the folder of a pack."""
    return (folder / INDEX).is_file()


def entries(index: Index) -> list[Entry]:
    """Of all samples that an index tells of, in their order."""
    return [Entry(*row) for file in index["files"].values() for row in file.get("samples", ())]


def check(folder: Path) -> Index:
    """Read every file again, with a progress bar; the index, where all are as they were written.

    Raises FileNotFoundError or ValueError, naming the first file that is missing or damaged.
    """
    index = _read(folder)
    for name, wanted in tqdm(index["files"].items(), "check the pack", unit="file", disable=None):
        found = _measured(folder / name)
        if any(found[fact] != wanted[fact] for fact in found):
            raise ValueError(f"{folder / name}: it is damaged, or another pack's: its bytes are not those in {INDEX}")
    return index


def unpack(folder: Path, out: Path, size: int) -> Path:
    """Check a pack and make the challenge's folders in `out`, for training at size x size; returns out.

    Files that are there as they should be stay as they are. Raises as check does, and ValueError where images were resized to
    another size.
    """
    index = check(folder)
    resized = sum(entry.resized for entry in entries(index))
    if resized and index["size"] != size:
        raise ValueError(
            f"{folder}: {resized} of its images were resized to {index['size']}x{index['size']}; that size is right, and "
            f"{size} was asked for"
        )
    for name, file in index["files"].items():
        if "samples" in file:
            with zipfile.ZipFile(folder / name) as archive:
                for member in archive.infolist():
                    place = out / member.filename
                    if not (place.is_file() and place.stat().st_size == member.file_size):
                        with atomic.replacing(place) as part, archive.open(member) as source, part.open("wb") as target:
                            shutil.copyfileobj(source, target)
    return out


# ---------------------------------------------------------------- details


def _packed(split: str, sample: isic2017.Sample, size: int) -> Packed:
    """A sample in the shorter of its two forms."""
    image, mask = isic2017.read(sample)
    small, labels = imdb.resized(image, mask, size)
    whole = [(_place(split, "Data", sample.image.name), sample.image.read_bytes())]
    less = [(_place(split, "Data", f"{sample.id}.webp"), _encoded(small, ".webp", lossless=True, method=4))]
    if sample.mask is not None and labels is not None:
        whole.append((_place(split, "Part1_GroundTruth", sample.mask.name), sample.mask.read_bytes()))
        less.append(
            (_place(split, "Part1_GroundTruth", f"{sample.id}_segmentation.png"), _encoded(labels == 2, ".png"))
        )
    facts = _facts(split, sample)
    return min(Packed(Entry(*facts, False), whole), Packed(Entry(*facts, True), less), key=lambda packed: packed.bytes)


def _encoded(pixels: np.ndarray, ending: str, **options: Any) -> bytes:
    return iio.imwrite("<bytes>", pixels, plugin="pillow", extension=ending, **options)


def _fill(path: Path, samples: Iterable[Packed], bar: tqdm) -> tuple[list[Entry], Packed | None]:
    """Write a zip of samples until it is full or none is left: what it holds, and the sample that had no room."""
    held: list[Entry] = []
    taken = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # stored: images are compressed already
        for sample in samples:
            taken += sample.bytes + 300 * len(sample.members)  # what a zip adds to a member, and more
            if held and taken > MOST_BYTES:
                return held, sample
            for name, content in sample.members:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
            held.append(sample.entry)
            bar.update()
    return held, None


def _place(split: str, part: str, name: str) -> str:
    return f"ISIC-2017_{split}_{part}/{name}"


def _facts(split: str, sample: isic2017.Sample) -> tuple[str, str, int, int]:
    """The first fields of a sample's entry, which tell whether it is the one that was packed."""
    return split, sample.id, sample.image.stat().st_size, sample.mask.stat().st_size if sample.mask else 0


def _measured(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"bytes": file.seek(0, io.SEEK_END), "sha256": digest}
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: this file of the pack is missing; all that {INDEX} names are right") from None


def _read(folder: Path) -> Index:
    try:
        index = json.loads((folder / INDEX).read_text())
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']}, and {_FORMAT} is known")
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder}: it is no pack: there is no {INDEX} in it; dagnet pack makes one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / INDEX}: it is no index of a pack, or damaged ({error})") from error
    return index


def _write_index(folder: Path, index: Index) -> None:
    with atomic.replacing(folder / INDEX) as part:
        part.write_text(json.dumps(index) + "\n")
