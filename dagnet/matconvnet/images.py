"""MatConvNet's vl_imreadjpeg in its call form, over data.imreadjpeg.

    images = vl_imreadjpeg(files, "Resize", [224, 224], "Pack", "Flip", "NumThreads", 4)

Source    MatConvNet manual, vl_imreadjpeg
"""

from typing import Any

import numpy as np

from dagnet.data import imreadjpeg
from dagnet.layers import array
from dagnet.layers.array import Array

from .calling import matlab, number, numbers, stream


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
    """The images, a list: with pack, of one array. prefetch reads nothing yet: the call that asks for the images does."""
    if prefetch:
        return []
    images = imreadjpeg.imreadjpeg(
        files,
        pack=bool(pack),
        num_threads=number(numThreads),
        seed=stream(),
        resize=None if resize is None else numbers(resize),
        crop_anisotropy=numbers(cropAnisotropy),
        crop_size=numbers(cropSize),
        crop_location=cropLocation,
        flip=bool(flip),
        subtract_average=np.asarray(subtractAverage),
        brightness=np.asarray(brightness),
        contrast=number(contrast),
        saturation=number(saturation),
        interpolation=interpolation,
    )
    found = [images] if pack else images
    return [array.to_gpu(image) for image in found] if gpu else list(found)
