"""Folders of masks against each other, by the rules under which the ISIC challenge took submissions.

A prediction belongs to a true mask if the seven digits of the mask's ISIC_nnnnnnn stand anywhere in the name of its
file. None or two such files, a mask of another size, or one that is not single channel is an error for the whole
folder, as it was for a whole submission; files that carry no number asked for are ignored.

Source    isic-challenge-scoring, load_image.py (how it behaves, not its code)
"""

import csv
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from dagnet.data import images, isic2017
from dagnet.files import atomic

from . import metrics, otsu

ISIC_NAME = re.compile(r"ISIC_(\d{7})")


@dataclass(frozen=True)
class Pair:
    """One image's true mask and the prediction for it."""

    image: str  # ISIC_nnnnnnn
    prediction: Path
    truth: Path


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image."""

    image: str  # ISIC_nnnnnnn
    scores: metrics.Scores


def score_folder(predictions: Path, truths: Path, rule: metrics.Rule = "2017") -> list[ImageScores]:
    """Scores of every true mask of a folder, by number. Errors: as match_masks and score_pair."""
    return list(score_pairs(match_masks(predictions, truths), rule))


def match_masks(predictions: Path, truths: Path) -> list[Pair]:
    """The prediction file of each true mask, by number.

    predictions, truths: folders (sub-folders are not looked at).
    ValueError: no true masks, one not named as such, two of one number, or one with no prediction or with several.
    """
    candidates = [path for path in _files(predictions) if not path.name.startswith(".")]
    true_masks: dict[str, Path] = {}
    for path in _files(truths):
        name = ISIC_NAME.search(path.stem)
        if path.suffix.lower() != ".png" or path.stem.lower().endswith("_superpixels") or path.name.startswith("."):
            continue
        if name is None:
            raise ValueError(f"{path}: a true mask must be named ISIC_nnnnnnn_segmentation.png")
        if name[1] in true_masks:
            raise ValueError(f"{path}: a second true mask of {name[0]}, beside {true_masks[name[1]].name}")
        true_masks[name[1]] = path
    if not true_masks:
        raise ValueError(f"{truths}: no true masks; their names are ISIC_nnnnnnn_segmentation.png")
    pairs = []
    for number, truth in sorted(true_masks.items()):
        found = [path for path in candidates if number in path.stem]
        if len(found) != 1:
            what = "no prediction" if not found else f"{len(found)} predictions ({', '.join(p.name for p in found)})"
            raise ValueError(f"{predictions}: {what} for {truth.name}; there must be one with {number} in its name")
        pairs.append(Pair(f"ISIC_{number}", found[0], truth))
    return pairs


def score_pairs(pairs: Iterable[Pair], rule: metrics.Rule = "2017") -> Iterator[ImageScores]:
    """Scores of matched masks, one after the other (two are read at a time), so that a caller can show progress."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield from pool.map(lambda pair: score_pair(pair, rule), pairs)


def score_pair(pair: Pair, rule: metrics.Rule = "2017") -> ImageScores:
    """Scores of one prediction file. ValueError: as metrics.scores and read_mask, naming the file."""
    return ImageScores(pair.image, _scores(read_mask(pair.prediction), pair.prediction, pair.truth, rule))


def score_otsu(samples: Iterable[isic2017.Sample], rule: metrics.Rule = "2017") -> Iterator[ImageScores]:
    """Scores of the baseline, Otsu's threshold, on images with masks. ValueError: a bad file, or one without its mask."""

    def score(sample: isic2017.Sample) -> ImageScores:
        if sample.mask is None:
            raise ValueError(f"{sample.image}: it has no mask to score against")
        prediction = otsu.segment(images.read_image(sample.image))
        return ImageScores(sample.id, _scores(prediction, sample.image, sample.mask, rule))

    with ThreadPoolExecutor(max_workers=2) as pool:
        yield from pool.map(score, samples)


def read_mask(path: Path) -> np.ndarray:
    """(H, W) uint8 or bool of a mask file, values as they are (metrics.scores judges them).

    ValueError: damaged or no image, or not single channel of 8 bits or 1.
    """
    try:
        mask = np.asarray(iio.imread(path, plugin="pillow"))
    except Exception as error:  # the decoders raise whatever they please
        raise ValueError(f"{path}: not a readable image ({error})") from error
    if mask.ndim != 2 or mask.dtype not in (np.uint8, bool):
        raise ValueError(f"{path}: {mask.dtype} {mask.shape}; a mask is a single-channel image of 8 bits, 0 and 255")
    return mask


def write_csv(path: Path, rows: Iterable[ImageScores]) -> None:
    """One line per image: its name and its scores, an empty cell for None. Replaces the file only when whole."""
    with atomic.replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *metrics.NAMES])
        for row in rows:
            values = (getattr(row.scores, name) for name in metrics.NAMES)
            writer.writerow([row.image, *("" if value is None else f"{value:.6f}" for value in values)])


def worst_and_best(rows: Iterable[ImageScores], count: int) -> tuple[list[ImageScores], list[ImageScores]]:
    """The `count` images of lowest JA (lowest first) and of highest (highest first), none in both; JA None left out."""
    ranked = sorted((row for row in rows if row.scores.JA is not None), key=lambda row: row.scores.JA or 0.0)
    count = min(count, (len(ranked) + 1) // 2)
    return ranked[:count], ranked[max(count, len(ranked) - count) :][::-1]


def _scores(prediction: np.ndarray, source: Path, truth_file: Path, rule: metrics.Rule) -> metrics.Scores:
    """metrics.scores, whose errors name the files; source is the file that the prediction comes from."""
    truth = read_mask(truth_file)
    if prediction.shape != truth.shape:
        sizes = f"{_size(prediction)} pixels; it must be {_size(truth)}"
        raise ValueError(f"{source}: the mask is {sizes} like {truth_file.name}")
    try:
        return metrics.scores(prediction, truth, rule)
    except ValueError as error:  # says "prediction: ..." or "truth: ..."
        raise ValueError(f"{source} against {truth_file}: {error}") from None


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    return sorted(path for path in folder.iterdir() if path.is_file())


def _size(mask: np.ndarray) -> str:
    return f"{mask.shape[1]}x{mask.shape[0]}"
