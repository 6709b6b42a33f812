"""Image and mask files as arrays.

Images    any 8-bit JPEG, PNG, ... -> uint8 (H, W, 3), red green blue; grey is repeated, alpha dropped
Masks     one channel, two values  -> bool (H, W), True = lesion

Pixels are taken as they lie in the file: a rotation in the EXIF header is NOT applied. MATLAB's imread does not apply it
either, and the challenge's masks were drawn and are scored on the stored grid, so a turned image would miss its mask.
"""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


def read_image(path: Path | str) -> np.ndarray:
    """Read an image as uint8 (H, W, 3).

    Raises FileNotFoundError, or ValueError for a file that is truncated, no image, not 8-bit, or not grey or RGB.
    """
    mode, pixels = _decode(path)
    if mode not in _MODES or pixels.dtype not in (np.uint8, np.bool_):
        raise ValueError(f"{path}: the image is stored as {mode} ({pixels.dtype}); it must be 8-bit grey or RGB")
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] < 3:  # grey, or grey and alpha
        pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
    return np.require(pixels[:, :, :3], requirements=["C", "W"])  # a copy where imageio hands out a read-only array


def read_mask(path: Path | str) -> np.ndarray:
    """Read a mask as bool (H, W): of its two values the larger one is True.

    A mask of one value only must be all 0 (no lesion) or all 255 (nothing else).
    Raises FileNotFoundError, or ValueError for a file that is truncated, has several channels or other values.
    """
    mode, pixels = _decode(path)
    if pixels.ndim != 2:
        raise ValueError(f"{path}: the mask has {pixels.shape[2]} channels ({mode}); it must have one")
    if pixels.dtype == np.bool_:
        return pixels.copy()
    low, high = pixels.min(), pixels.max()
    if low == high:
        if low not in (0, 255):
            raise ValueError(f"{path}: every pixel of the mask is {low}; a mask of one value must be all 0 or all 255")
        return pixels == 255
    lesion = pixels == high
    if not (lesion | (pixels == low)).all():
        values = np.unique(pixels)
        shown = ", ".join(str(v) for v in values[:5]) + (", ..." if values.size > 5 else "")
        raise ValueError(f"{path}: the mask has {values.size} values ({shown}); it must have two, 0 and 255")
    return lesion


def size_of(path: Path | str) -> tuple[int, int]:
    """(H, W) of an image file, from its header alone. Raises as read_image does for a file without a readable header."""
    try:
        shape = iio.improps(path, plugin="pillow", index=0).shape
    except Exception as problem:
        raise _unreadable(path, problem) from problem
    return shape[0], shape[1]


def _decode(path: Path | str) -> tuple[str, np.ndarray]:
    """Mode (Pillow's name of the pixel format) and pixels of the file's first picture."""
    try:
        with iio.imopen(path, "r", plugin="pillow") as file:
            mode = file.metadata(exclude_applied=False)["mode"]
            return mode, file.read(index=0)
    except Exception as problem:  # the decoders raise whatever they please: OSError, SyntaxError, struct.error, ...
        raise _unreadable(path, problem) from problem


def _unreadable(path: Path | str, problem: Exception) -> Exception:
    if isinstance(problem, MemoryError | PermissionError):
        return problem
    if not Path(path).exists():
        return FileNotFoundError(f"{path}: there is no such file")
    if Path(path).stat().st_size == 0:
        return ValueError(f"{path}: the file is empty")
    reason = "truncated" if "truncated" in str(problem).lower() else "corrupt, truncated or no image"
    return ValueError(f"{path}: the file cannot be read as an image, it is {reason}")
