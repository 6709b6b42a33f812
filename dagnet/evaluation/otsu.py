"""Otsu's threshold: the baseline that a trained network has to beat.

The grey level that splits the histogram of an image into the two most distant classes; in dermoscopy the darker class
is the lesion.

Source    N. Otsu, "A threshold selection method from gray-level histograms", 1979; MATLAB rgb2gray and graythresh
"""

import numpy as np


def segment(image: np.ndarray) -> np.ndarray:
    """(H, W) bool lesion mask of a uint8 image (H, W, 3) or (H, W). An image of one grey level has no lesion."""
    grey = _grey(image)
    threshold = _threshold(np.bincount(grey.ravel(), minlength=256))
    return np.zeros(grey.shape, bool) if threshold is None else grey <= threshold


def _grey(image: np.ndarray) -> np.ndarray:
    """Luma of Rec. 601, rounded (MATLAB rgb2gray)."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"otsu: image is {image.dtype} {image.shape}; it must be uint8 (H, W, 3) or (H, W)")
    if image.ndim == 2:
        return image
    red, green, blue = np.moveaxis(image, 2, 0)
    grey = 299 * red.astype(np.uint32)
    grey += 587 * green.astype(np.uint32)
    grey += 114 * blue.astype(np.uint32)
    return ((grey + 500) // 1000).astype(np.uint8)


def _threshold(counts: np.ndarray) -> float | None:
    """The level (the dark class is at most this) of the largest variance between classes; of several, their mean."""
    share = counts / counts.sum()
    weight = np.cumsum(share)  # of the dark class, for every threshold
    moment = np.cumsum(share * np.arange(256))
    two_classes = (weight > 0) & (weight < 1 - 1e-12)
    if not two_classes.any():
        return None
    variance = np.zeros(256)
    w, m = weight[two_classes], moment[two_classes]
    variance[two_classes] = (moment[-1] * w - m) ** 2 / (w * (1 - w))
    return float(np.mean(np.flatnonzero(variance >= variance.max() * (1 - 1e-12))))
