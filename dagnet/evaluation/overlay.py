"""Contours on images in the manner of the paper's figure 3, truth blue and prediction red, singly and on a sheet.

Lines are drawn at the size of the picture, not of the original, and antialiased, so that they stay crisp when small.
The red line is the thinner one: where both agree it is red with a blue rim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from dagnet.data import imresize
from dagnet.files import atomic

BLUE, RED = (30, 90, 255), (255, 40, 30)
TRUTH_WIDTH, PREDICTION_WIDTH = 3.2, 1.6  # pixels of the picture
CAPTION = 170  # pixels that a caption takes


@dataclass(frozen=True)
class Picture:
    """An image with its contours drawn, uint8 (H, W, 3), and what stands under it."""

    pixels: np.ndarray
    caption: str


def draw(image: np.ndarray, truth: np.ndarray | None, prediction: np.ndarray | None, longest: int = 400) -> np.ndarray:
    """The image, its longer side reduced to `longest` pixels at most, with the contours of both masks; uint8 (h, w, 3).

    image: uint8 (H, W, 3); truth, prediction: bool (H, W), or None to draw none.
    ValueError: a mask of another size than the image's.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    canvas = imresize.imresize(image, size).astype(np.float32)
    for mask, colour, line in ((truth, BLUE, TRUTH_WIDTH), (prediction, RED, PREDICTION_WIDTH)):
        if mask is None:
            continue
        if mask.shape != image.shape[:2]:
            raise ValueError(f"overlay: the mask is {mask.shape} and the image {image.shape[:2]}; they must be equal")
        cover = np.clip((line + 1) / 2 - np.abs(_distance(mask, size)), 0, 1)[:, :, None]
        canvas += cover * (np.array(colour, np.float32) - canvas)
    return np.rint(canvas).astype(np.uint8)


def contact_sheet(path: Path, pictures: Sequence[Picture], columns: int = 4, title: str = "") -> None:
    """Write the pictures as one PNG, row by row in their order, each pixel for pixel over its caption.

    ValueError: no pictures.
    """
    if not pictures:
        raise ValueError(f"{path}: no pictures to put on the sheet")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    cell_h = max(picture.pixels.shape[0] for picture in pictures)
    cell_w = max(CAPTION, *(picture.pixels.shape[1] for picture in pictures))
    gap, line, head = 12, 26, 40 if title else 0  # pixels, as everything here
    width, height = columns * (cell_w + gap) + gap, rows * (cell_h + line + gap) + gap + head
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    figure.text(gap / width, 1 - head / 2 / height, title, va="center", fontsize=13, weight="bold")
    for i, picture in enumerate(pictures):
        h, w = picture.pixels.shape[:2]
        left = gap + (i % columns) * (cell_w + gap)
        top = head + gap + (i // columns) * (cell_h + line + gap)
        figure.figimage(picture.pixels, left + (cell_w - w) // 2, height - top - h - (cell_h - h) // 2)
        middle, under = left + cell_w / 2, top + cell_h + line / 2
        figure.text(middle / width, 1 - under / height, picture.caption, ha="center", va="center", fontsize=10)
    with atomic.replacing(path) as part:
        figure.savefig(part, format="png")


def _distance(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Signed distance in pixels of the picture to the mask's outline, positive inside; far away where there is none."""
    small = imresize.imresize(mask.astype(np.float32), size, method="bilinear") > 0.5
    if small.all() or not small.any():
        return np.full(size, np.inf)
    inside = ndimage.distance_transform_edt(small) - 0.5
    outside = ndimage.distance_transform_edt(~small) - 0.5
    # A light blur rounds off the staircase of pixels.
    return ndimage.gaussian_filter(np.where(small, inside, -outside), 0.7)
