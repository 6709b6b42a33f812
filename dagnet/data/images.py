"""Image and mask files as arrays.

Images    any 8-bit JPEG, PNG, ... -> uint8 (H, W, 3), red green blue; grey is repeated, alpha dropped
Masks     one channel, two values  -> bool (H, W), True = lesion

Channels  as stored, one or three, for those who ask: read_channels, of a file or of its bytes

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
    pixels = read_channels(path)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.require(pixels, requirements=["C", "W"])  # a copy where imageio hands out a read-only array


def read_channels(source: Path | str | bytes) -> np.ndarray:
    """Read an image file, or the bytes of one, as uint8 (H, W, 1) if it is grey and (H, W, 3) otherwise.

    Raises as read_image does; the result may be read-only.
    """
    mode, pixels = _decode(source)
    if mode not in _MODES or pixels.dtype not in (np.uint8, np.bool_):
        raise ValueError(
            f"{name_of(source)}: the image is stored as {mode} ({pixels.dtype}); it must be 8-bit grey or RGB"
        )
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, :1]  # without alpha


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


def _decode(source: Path | str | bytes) -> tuple[str, np.ndarray]:
    """Mode (Pillow's name of the pixel format) and pixels of the file's first picture."""
    try:
        with iio.imopen(source, "r", plugin="pillow") as file:
            mode = file.metadata(exclude_applied=False)["mode"]
            return mode, file.read(index=0)
    except Exception as problem:  # the decoders raise whatever they please: OSError, SyntaxError, struct.error, ...
        raise _unreadable(source, problem) from problem


def name_of(source: Path | str | bytes) -> str:
    """What an error calls it: the file's path, or "<483 bytes>"."""
    return f"<{len(source)} bytes>" if isinstance(source, bytes) else str(source)


def _unreadable(source: Path | str | bytes, problem: Exception) -> Exception:
    if isinstance(problem, MemoryError | PermissionError):
        return problem
    if not isinstance(source, bytes) and not Path(source).exists():
        return FileNotFoundError(f"{source}: there is no such file")
    if (len(source) if isinstance(source, bytes) else Path(source).stat().st_size) == 0:
        return ValueError(f"{name_of(source)}: the file is empty")
    reason = "truncated" if "truncated" in str(problem).lower() else "corrupt, truncated or no image"
    return ValueError(f"{name_of(source)}: the file cannot be read as an image, it is {reason}")
