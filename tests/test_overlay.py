"""Contours drawn on images, and the contact sheet."""

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.evaluation import overlay
from dagnet.evaluation.overlay import BLUE, RED, Picture

GREY = np.full((100, 140, 3), 128, np.uint8)


def box(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = (100, 140)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(pixels.astype(int) - colour) < 40).all(axis=2)


def test_the_outline_of_the_truth_is_blue_and_of_the_prediction_red():
    pixels = overlay.draw(GREY, box(20, 80, 20, 60), box(20, 80, 80, 120))
    for colour, left, right in ((BLUE, 20, 60), (RED, 80, 120)):
        rows, columns = np.nonzero(near(pixels, colour))
        assert set(range(25, 75)) <= set(rows)
        assert abs(columns.min() - left) <= 2
        assert abs(columns.max() - right) <= 2
        assert np.array_equal(
            pixels[30:70, left + 6 : right - 6], GREY[30:70, left + 6 : right - 6]
        )  # inside is untouched
    assert np.array_equal(pixels[:10], GREY[:10])


def test_where_both_agree_red_lies_within_blue():
    mask = box(20, 80, 40, 100)
    across = overlay.draw(GREY, mask, mask)[50, 34:46].astype(int)
    blue_not_red = across[:, 2] - across[:, 0]
    middle = np.abs(across - RED).sum(axis=1).argmin()
    assert np.abs(across[middle] - RED).max() < 60
    assert blue_not_red[:middle].max() > 60
    assert blue_not_red[middle + 1 :].max() > 60


def test_lines_keep_their_width_however_large_the_original():
    widths = []
    for factor in (1, 6):
        size = (100 * factor, 140 * factor)
        mask = box(20 * factor, 80 * factor, 40 * factor, 100 * factor, size)
        pixels = overlay.draw(np.full((*size, 3), 128, np.uint8), mask, None, longest=140)
        assert pixels.shape == (100, 140, 3)
        widths.append(np.abs(pixels[50, 30:50].astype(int) - 128).max(axis=1).sum() / (BLUE[2] - 128))
    assert widths == pytest.approx([overlay.TRUTH_WIDTH] * 2, abs=0.5)


def test_a_small_image_is_not_enlarged():
    assert overlay.draw(GREY[:30, :40], None, None, longest=400).shape == (30, 40, 3)


@pytest.mark.parametrize("mask", [np.zeros((100, 140), bool), np.ones((100, 140), bool), None])
def test_a_mask_without_an_outline_draws_nothing(mask):
    assert np.array_equal(overlay.draw(GREY, mask, mask), GREY)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"the mask is \(50, 50\) and the image \(100, 140\)"):
        overlay.draw(GREY, box(1, 5, 1, 5, (50, 50)), None)


def test_the_sheet_shows_every_picture_pixel_for_pixel_in_order(tmp_path, rng):
    pictures = [Picture(rng.integers(0, 256, (60 - 5 * i, 50 + i, 3), dtype=np.uint8), f"number {i}") for i in range(5)]
    overlay.contact_sheet(tmp_path / "sheet.png", pictures, columns=3, title="Five")
    sheet = iio.imread(tmp_path / "sheet.png")[:, :, :3]
    corners = []
    for picture in pictures:
        h, w = picture.pixels.shape[:2]
        windows = np.lib.stride_tricks.sliding_window_view(sheet[:, :, 0], (1, 8))[:, :, 0]
        candidates = np.argwhere((windows == picture.pixels[0, :8, 0]).all(axis=2))
        (corner,) = [(y, x) for y, x in candidates if np.array_equal(sheet[y : y + h, x : x + w], picture.pixels)]
        corners.append(corner)
    assert max(y for y, _ in corners[:3]) + 60 < min(y for y, _ in corners[3:])  # two rows
    assert corners[0][1] < corners[1][1] < corners[2][1]
    (only,) = tmp_path.iterdir()
    assert only.name == "sheet.png"


def test_the_caption_and_the_title_are_drawn(tmp_path):
    white = Picture(np.full((40, 90, 3), 255, np.uint8), "JA 0.5")
    dark = {}
    for title in ("", "Worst"):
        overlay.contact_sheet(tmp_path / "sheet.png", [white], title=title)
        sheet = iio.imread(tmp_path / "sheet.png")
        dark[title] = int((sheet[:, :, 0] < 128).sum())
    assert 0 < dark[""] < dark["Worst"]


def test_a_sheet_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"sheet\.png: no pictures"):
        overlay.contact_sheet(tmp_path / "sheet.png", [])
