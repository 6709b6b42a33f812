"""MatConvNet's vl_imreadjpeg in its call form, over data.imreadjpeg.

    images = vl_imreadjpeg(files, "Resize", [224, 224], "Pack", "Flip", "NumThreads", 4)
    vl_imreadjpeg(others, "Pack", "Prefetch")              # begins to read the next ones, and comes back at once
    ...
    images = vl_imreadjpeg(others, "Pack")                 # waits for what is left of that

Source    MatConvNet manual, vl_imreadjpeg
"""

from concurrent.futures import Future
from typing import Any

import numpy as np

from dagnet.data import imreadjpeg
from dagnet.layers import array
from dagnet.layers.array import Array

from .calling import matlab, number, numbers, stream

# What the last prefetch that nobody has asked for yet was called with, and what it reads.
_ahead: tuple[dict[str, Any], Future] | None = None


@matlab
def vl_imreadjpeg(
    files: Any,
    *,
    numThreads: int = 1,
    prefetch: bool = False,
    pack: bool = False,
    gpu: bool = False,
    resize: Any = None,
    cropAnisotropy: Any = 1,
    cropSize: Any = 1,
    cropLocation: str = "center",
    flip: bool = False,
    subtractAverage: Any = 0,
    brightness: Any = 0,
    contrast: float = 0,
    saturation: float = 0,
    interpolation: str = "bilinear",
) -> list[Array]:
    """The images, a list: with pack, of one array; with prefetch [] at once, and what is read goes to the next call for it.

    That is one with the same files and options. Its random choices are those that it would have made without prefetch.
    """
    global _ahead
    wanted = {
        "files": [files] if isinstance(files, imreadjpeg.Source) else list(files),
        "pack": bool(pack),
        "resize": None if resize is None else numbers(resize),
        "crop_anisotropy": numbers(cropAnisotropy),
        "crop_size": numbers(cropSize),
        "crop_location": cropLocation.lower(),
        "flip": bool(flip),
        "subtract_average": np.asarray(subtractAverage),
        "brightness": np.asarray(brightness),
        "contrast": number(contrast),
        "saturation": number(saturation),
        "interpolation": interpolation.lower(),
    }
    if not prefetch and _ahead is not None and all(np.array_equal(wanted[name], _ahead[0][name]) for name in wanted):
        reading, _ahead = _ahead[1], None
    else:
        reading = imreadjpeg.prefetch(**wanted, num_threads=number(numThreads), seed=stream().spawn(1)[0])
    if prefetch:
        _ahead = wanted, reading
        return []
    found = [reading.result()] if pack else reading.result()
    return [array.to_gpu(image) for image in found] if gpu else list(found)
