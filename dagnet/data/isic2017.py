"""ISIC 2017 Part 1 (lesion segmentation) in the challenge's own folders, and plain folders of images.

    ROOT/ISIC-2017_Training_Data/ISIC_0000000.jpg
    ROOT/ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png     (or _Segmentation.png)

and the same for Validation and Test_v2. ROOT may hold these folders itself or in one folder more, and each may hold a
folder of its own name, as unzip programs make them. Superpixel images and tables that lie beside are not looked at.

Bad files are found before training starts: `find` sees what is missing or there twice, `check` what headers tell, and
`read`, which `imdb.load` calls for every sample before it returns, the rest.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from . import images

SPLITS = ("Training", "Validation", "Test_v2")
OnBad = Literal["error", "skip"]

_IMAGE = re.compile(r"(ISIC_\d{7})\.(?i:jpe?g|webp)")  # webp: out of a pack
_MASK = re.compile(r"(ISIC_\d{7})_(?i:segmentation\.png)")
_ANY_IMAGE = re.compile(r"(?!\.)(.+)\.(?:jpe?g|png|bmp|tiff?|webp)", re.IGNORECASE)
_NO_PHOTOGRAPH = re.compile(r".*_(?:superpixels|segmentation)\.png", re.IGNORECASE)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """One image file and its mask file, if it has one. id is the file's name without ending, such as ISIC_0000000."""

    id: str
    image: Path
    mask: Path | None = None


def find(root: Path | str, split: str, *, masks: bool = True, on_bad: OnBad = "error") -> list[Sample]:
    """The samples of one split, ordered by id.

    masks=False looks for images only. An image without a mask, with two masks, or that is there twice, is an error
    or, with on_bad="skip", left out and logged. Raises ValueError naming the file, and FileNotFoundError for a folder
    that is missing or holds no images.
    """
    if split not in SPLITS:
        raise ValueError(f"isic2017: split is {split!r}; it must be one of {', '.join(SPLITS)}")
    data = _unwrapped(_folder(Path(root), f"ISIC-2017_{split}_Data"), _IMAGE)
    found = _by_id(data, _IMAGE)
    if not found:
        raise FileNotFoundError(f"{data}: no image ISIC_nnnnnnn.jpg in this folder")
    truth = {}
    if masks:
        truth = _by_id(_unwrapped(_folder(Path(root), f"ISIC-2017_{split}_Part1_GroundTruth"), _MASK), _MASK)

    samples, problems = [], {}
    for name, image_files in sorted(found.items()):
        mask_files = truth.get(name, [])
        if len(image_files) > 1:
            problems[name] = f"{image_files[1]}: a second image of {name}, beside {image_files[0].name}; keep one"
        elif len(mask_files) > 1:
            problems[name] = f"{mask_files[1]}: a second mask of {name}, beside {mask_files[0].name}; keep one"
        elif masks and not mask_files:
            problems[name] = f"{image_files[0]}: its mask {name}_segmentation.png is missing"
        else:
            samples.append(Sample(name, image_files[0], mask_files[0] if masks else None))
    settle(problems, on_bad)
    return samples


def images_in(path: Path | str) -> list[Sample]:
    """The images of a plain folder, or one image file, as samples without masks, ordered by id.

    Raises FileNotFoundError for a missing or empty folder, ValueError for two images of one name (their masks would
    overwrite each other).
    """
    path = Path(path)
    if path.is_file():
        return [Sample(path.stem, path)]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such folder or image")
    path = _unwrapped(path, _ANY_IMAGE)
    found = {k: v for k, v in _by_id(path, _ANY_IMAGE).items() if not _NO_PHOTOGRAPH.fullmatch(v[0].name)}
    if not found:
        raise FileNotFoundError(f"{path}: no image (.jpg, .png, .bmp, .tif, .webp) in this folder")
    for name, files in found.items():
        if len(files) > 1:
            raise ValueError(f"{files[1]}: a second image named {name}, beside {files[0].name}; rename one")
    return [Sample(name, files[0]) for name, files in sorted(found.items())]


def read(sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
    """The whole image uint8 (H, W, 3) and mask bool (H, W), None without a mask file.

    Raises as images.read_image and images.read_mask do, and ValueError for a mask of another size than the image.
    """
    image = images.read_image(sample.image)
    if sample.mask is None:
        return image, None
    mask = images.read_mask(sample.mask)
    _refuse_other_size(sample, image.shape[:2], mask.shape)
    return image, mask


def check(samples: Iterable[Sample], *, decode: bool = False, on_bad: OnBad = "error") -> list[Sample]:
    """The samples whose files are good: headers readable, mask of the image's size; with decode, every pixel read.

    Headers take about a millisecond an image. A bad sample is an error or, with on_bad="skip", left out and logged.
    Raises ValueError naming the first bad file and how many more there are.
    """
    samples = list(samples)
    look: Callable[[Sample], object] = read if decode else _look_at_headers
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sentences = list(pool.map(lambda sample: problem_of(sample, look), samples))
    settle({s.id: sentence for s, sentence in zip(samples, sentences, strict=True) if sentence}, on_bad)
    return [s for s, sentence in zip(samples, sentences, strict=True) if not sentence]


def problem_of(sample: Sample, look: Callable[[Sample], object] = read) -> str | None:
    """What is wrong with a sample's files, in one sentence, or None."""
    try:
        look(sample)
    except (ValueError, OSError) as problem:
        return str(problem)
    return None


def settle(problems: Mapping[str, str], on_bad: OnBad) -> None:
    """End a search for bad samples, given a sentence for each id: raise ValueError, or log every sentence ("skip")."""
    if on_bad == "skip":
        for sentence in problems.values():
            log.warning("skipped: %s", sentence)
    elif problems:
        first, *others = problems.values()
        names = list(problems)[1:6]
        more = f" (and {len(others)} more: {', '.join(names)}{', ...' if len(others) > 5 else ''})" if others else ""
        raise ValueError(first + more)


def _look_at_headers(sample: Sample) -> None:
    size = images.size_of(sample.image)
    if sample.mask is not None:
        _refuse_other_size(sample, size, images.size_of(sample.mask))


def _refuse_other_size(sample: Sample, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
    if image != mask:
        raise ValueError(
            f"{sample.mask}: the mask is {mask[0]}x{mask[1]} (rows x columns) and its image {sample.image.name} is "
            f"{image[0]}x{image[1]}; they must be of one size"
        )


def _by_id(folder: Path, pattern: re.Pattern[str]) -> dict[str, list[Path]]:
    """Files whose whole name fits the pattern, by its first group."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        match = pattern.fullmatch(path.name)
        if match and path.is_file():
            found.setdefault(match[1], []).append(path)
    return found


def _folder(root: Path, name: str) -> Path:
    """The folder of that name (in any case): root itself, beside root, in root, or one folder further down."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: there is no such folder")
    places = [root.resolve(), *_subfolders(root), *(deep for near in _subfolders(root) for deep in _subfolders(near))]
    if root.resolve().name.lower().startswith("isic-2017_"):
        places += _subfolders(root.resolve().parent)
    for place in places:
        if place.name.lower() == name.lower():
            return place
    raise FileNotFoundError(f"{root}: no folder {name} in it; unzip the challenge's archive {name}.zip there")


def _subfolders(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and p.name != "__MACOSX" and not p.name.startswith(".")]


def _unwrapped(folder: Path, pattern: re.Pattern[str]) -> Path:
    """The folder, or the only folder inside it where it holds no fitting file itself, as some unzip programs make it."""
    inner = _subfolders(folder)
    return inner[0] if len(inner) == 1 and not _by_id(folder, pattern) else folder
