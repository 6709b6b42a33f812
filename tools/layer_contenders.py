"""The layers that `dagnet bench` measures alone, on either side. A step is forward and backward: it returns y and dx."""

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], tuple[Any, Any]]

BNORM = SAMPLER = (56, 56, 256, 4)  # data (H, W, C, N)
LRN = (55, 55, 96, 4)
LRN_PARAM = (5, 1, 2e-5, 0.75)  # [n, kappa, alpha, beta] as in AlexNet


def dagnet_bnorm() -> Step:
    """Batch normalisation in training, which hands its moments from forward to backward."""
    from dagnet.layers import bnorm

    x, dy = _data(BNORM, 0), _data(BNORM, 1)
    layer = bnorm.BatchNorm(BNORM[2])
    params = list(layer.init_params(np.random.default_rng(0)))

    def step() -> tuple[Any, Any]:
        (y,) = layer.forward([x], params)
        (dx,), _ = layer.backward([x], params, [dy])
        return y, dx

    return step


def dagnet_lrn() -> Step:
    """Local response normalisation."""
    from dagnet.layers import lrn

    x, dy = _data(LRN, 0), _data(LRN, 1)

    def step() -> tuple[Any, Any]:
        return lrn.forward(x, param=LRN_PARAM), lrn.backward(x, dy, param=LRN_PARAM)

    return step


def dagnet_sampler() -> Step:
    """The bilinear sampler, on a grid as large as the image."""
    from dagnet.layers import bilinearsampler

    x, dy, points = _data(SAMPLER, 0), _data(SAMPLER, 1), _points()

    def step() -> tuple[Any, Any]:
        y = bilinearsampler.forward(x, points)
        dx, _ = bilinearsampler.backward(x, points, dy)
        return y, dx

    return step


def torch_layer(
    size: tuple[int, ...], make: Callable[[], Callable[..., Any]], channels_last: bool, grid: bool = False
) -> Step:
    """Forward and backward of one layer of PyTorch's, which make() makes, on data of that size (H, W, C, N)."""
    import torch

    form = torch.channels_last if channels_last else torch.contiguous_format
    x, dy = (torch.from_numpy(_data(size, seed)).permute(3, 2, 0, 1).contiguous(memory_format=form) for seed in (0, 1))
    inputs = [x]
    if grid:
        points = torch.from_numpy(_points())
        inputs.append(points.flip(0).permute(3, 1, 2, 0).contiguous())  # (N, Ho, Wo, 2), u before v
    for value in inputs:
        value.requires_grad_()
    layer = make()

    def step() -> tuple[Any, Any]:
        for value in inputs:
            value.grad = None
        y = layer(*inputs)
        y.backward(dy)
        return y, x.grad

    return step


def torch_bnorm(channels_last: bool) -> Step:
    """PyTorch's batch normalisation."""
    from torch import nn

    return torch_layer(BNORM, lambda: nn.BatchNorm2d(BNORM[2]), channels_last)


def torch_lrn(channels_last: bool) -> Step:
    """PyTorch's local response normalisation, whose alpha is n times MatConvNet's."""
    from torch import nn

    n, kappa, alpha, beta = LRN_PARAM
    return torch_layer(LRN, lambda: nn.LocalResponseNorm(int(n), n * alpha, beta, kappa), channels_last)


def torch_sampler(channels_last: bool) -> Step:
    """PyTorch's grid_sample."""
    from torch.nn.functional import grid_sample

    return torch_layer(
        SAMPLER, lambda: lambda x, points: grid_sample(x, points, align_corners=True), channels_last, True
    )


def _data(size: tuple[int, ...], seed: int) -> np.ndarray:
    """Random data (H, W, C, N) in our memory order."""
    h, w, c, n = size
    return np.random.default_rng(seed).standard_normal((n, h, w, c), np.float32).transpose(1, 2, 3, 0)


def _points() -> np.ndarray:
    """The sampler's grid (2, Ho, Wo, N): each image turned and shifted, and inside, since at the border the two differ."""
    h, w, _, n = SAMPLER
    v, u = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    grid = np.stack([0.7 * v - 0.2 * u + 0.05, 0.2 * v + 0.7 * u - 0.05])
    return np.repeat(grid[..., None], n, axis=3).astype(np.float32)


def _words(size: tuple[int, ...]) -> str:
    h, w, c, n = size
    return f"{h}x{w}x{c}, {n} images, float32"


SIDES = {
    "bnorm": (f"batch normalisation, forward and backward, {_words(BNORM)}", dagnet_bnorm, torch_bnorm),
    "lrn": (
        f"local response normalisation over {LRN_PARAM[0]} channels, forward and backward, {_words(LRN)}",
        dagnet_lrn,
        torch_lrn,
    ),
    "sampler": (f"bilinear sampler, forward and backward, {_words(SAMPLER)}", dagnet_sampler, torch_sampler),
}
