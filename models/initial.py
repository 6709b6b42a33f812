"""Initial values of filters. Shapes: convolution (FH, FW, C, K), transposed convolution (FH, FW, K, C).

Source    bilinear_u.m of matconvnet-fcn; initParams of matconvnet's +dagnn/Conv.m; He et al. 2015, arXiv 1502.01852
"""

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from dagnet.dagnn import DagNN


def bilinear_kernel(k: int) -> np.ndarray:
    """The k x k kernel that interpolates linearly in both directions; float32.

    With factor = floor((k+1)/2), a tap's weight falls from 1 at the centre by 1/factor a pixel. A transposed convolution of
    stride s with the kernel of k = 2s enlarges an image s times, each output pixel being a weighted mean of four.
    """
    factor = (k + 1) // 2
    centre = factor if k % 2 else factor + 0.5
    line = 1 - np.abs(np.arange(1, k + 1) - centre) / factor
    return np.outer(line, line).astype(np.float32)


def bilinear_u(k: int, groups: int, classes: int) -> np.ndarray:
    """matconvnet-fcn's bank of bilinear filters for a ConvTranspose: (k, k, 1, classes), or (k, k, classes, classes).

    With groups == classes every class has a filter of its own (num_groups = classes). Otherwise the bank maps class i to
    class i alone, and num_groups is 1: also for groups = 1 its third dimension is `classes`.
    Raises ValueError where k, groups or classes are below 1.
    """
    if min(k, groups, classes) < 1:
        raise ValueError(f"bilinear_u: k, groups, classes are {k}, {groups}, {classes}; at least 1 each is right")
    kernel = bilinear_kernel(k)
    if groups == classes:
        return np.ascontiguousarray(np.broadcast_to(kernel[:, :, None, None], (k, k, 1, classes)))
    bank = np.zeros((k, k, max(groups, classes), classes), np.float32)
    for i in range(classes):
        bank[:, :, i, i] = kernel
    return bank


def bilinear_identity(size: Sequence[int]) -> np.ndarray:
    """Filters (k, k, n, n) with which a ConvTranspose enlarges each of n channels bilinearly and mixes none.

    Raises ValueError where the size is not of that form.
    """
    fh, fw, k, c = size
    if fh != fw or k != c:
        raise ValueError(
            f"bilinear_identity: the size is {list(size)}; a square window and as many outputs as inputs are right"
        )
    return bilinear_kernel(fh)[:, :, None, None] * np.eye(k, dtype=np.float32)


def gaussian(size: Sequence[int], std: float, rng: np.random.Generator) -> np.ndarray:
    """Normally distributed filters of that size, mean 0; float32."""
    return rng.standard_normal(tuple(size), np.float32) * np.float32(std)


def he(size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Filters (FH, FW, C, K) with the deviation sqrt(2 / (FH*FW*C)): signals keep their size through a ReLU."""
    return gaussian(size, sqrt(2 / prod(size[:3])), rng)


def he_transposed(size: Sequence[int], stride: int, rng: np.random.Generator) -> np.ndarray:
    """Filters (FH, FW, K, C) of a transposed convolution with the deviation sqrt(2 / (FH*FW*C / stride^2)).

    An output pixel is a sum over only FH*FW / stride^2 taps of C channels. MatConvNet's own initParams counts FH*FW taps, so
    that its outputs start about `stride` times too small.
    """
    fh, fw, _, c = size
    return gaussian(size, sqrt(2 * stride**2 / (fh * fw * c)), rng)


def zeros(size: Sequence[int]) -> np.ndarray:
    """Filters of that size, all 0; float32."""
    return np.zeros(tuple(size), np.float32)


def bias(count: int) -> np.ndarray:
    """`count` biases of 0, a column as MatConvNet has them; float32."""
    return np.zeros((count, 1), np.float32)


def fill(net: DagNN, layer: str, values: Sequence[np.ndarray], rates: Sequence[float]) -> None:
    """Give the parameters of a layer, in order, these values and learning rates (factors on the training's rate)."""
    for name, value, rate in zip(net.layers[layer].params, values, rates, strict=True):
        net.params[name].value = value
        net.params[name].learning_rate = rate
