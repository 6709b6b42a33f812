"""Layers that the paper's network does not have, one by one: a step is forward and backward, and gives back y and dx."""

from typing import Any

import numpy as np

from . import work
from .work import Step

BNORM = SAMPLER = (56, 56, 256, 4)  # data (H, W, C, N)
LRN = (55, 55, 96, 4)
LRN_PARAM = (5, 1, 2e-5, 0.75)  # [n, kappa, alpha, beta] as in AlexNet


def bnorm() -> Step:
    """Batch normalisation in training, which hands its moments from forward to backward."""
    from dagnet.layers import bnorm

    block = bnorm.BatchNorm(BNORM[2])
    params = list(block.init_params(np.random.default_rng(0)))
    return work.block_step(block, work.data(BNORM), params, work.data(BNORM, 1))


def torch_bnorm(channels_last: bool) -> Step:
    """PyTorch's batch normalisation."""
    from torch import nn

    layer = nn.BatchNorm2d(BNORM[2])
    return work.torch_step(layer, *work.tensors(BNORM, BNORM, channels_last), learned=(*layer.parameters(),))


def lrn() -> Step:
    """Local response normalisation."""
    from dagnet.layers import lrn

    return work.block_step(lrn.LRN(list(LRN_PARAM)), work.data(LRN), [], work.data(LRN, 1))


def torch_lrn(channels_last: bool) -> Step:
    """PyTorch's local response normalisation, whose alpha is n times MatConvNet's."""
    from torch import nn

    n, kappa, alpha, beta = LRN_PARAM
    return work.torch_step(nn.LocalResponseNorm(int(n), n * alpha, beta, kappa), *work.tensors(LRN, LRN, channels_last))


def sampler() -> Step:
    """The bilinear sampler, on a grid as large as the image."""
    from dagnet.layers import bilinearsampler

    block = bilinearsampler.BilinearSampler()
    return work.block_step(block, work.data(SAMPLER), [], work.data(SAMPLER, 1), _points())


def torch_sampler(channels_last: bool) -> Step:
    """PyTorch's grid_sample, whose grid is (N, Ho, Wo, 2), u before v."""
    import torch

    points = torch.from_numpy(_points()).flip(0).permute(3, 1, 2, 0).contiguous()
    x, dy = work.tensors(SAMPLER, SAMPLER, channels_last)

    def layer(x: Any, points: Any) -> Any:
        return torch.nn.functional.grid_sample(x, points, align_corners=True)

    return work.torch_step(layer, x, dy, points, learned=(points,))


def _points() -> np.ndarray:
    """The sampler's grid (2, Ho, Wo, N): each image turned and shifted, and inside, since at the border the two differ."""
    h, w, _, n = SAMPLER
    v, u = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    grid = np.stack([0.7 * v - 0.2 * u + 0.05, 0.2 * v + 0.7 * u - 0.05])
    return np.repeat(grid[..., None], n, axis=3).astype(np.float32)


WORKS = {
    "bnorm": work.one_step(f"batch normalisation, {work.in_words(BNORM)}", bnorm, torch_bnorm),
    "lrn": work.one_step(f"LRN over {LRN_PARAM[0]} channels, {work.in_words(LRN)}", lrn, torch_lrn),
    "sampler": work.one_step(f"bilinear sampler, {work.in_words(SAMPLER)}", sampler, torch_sampler),
}
