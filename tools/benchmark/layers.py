"""The paper's layers but for convolutions, one by one: a step is forward and backward, and gives back y and dx."""

from typing import Any

import numpy as np

from . import work
from .work import Size, Step

POOL = RELU = (128, 128, 64, 6)  # the paper's network in training at 128x128, batch 6: conv1_2's output
LOSS = (384, 384, 2, 6)  # and at 384x384: its scores
CONVT = (12, 12, 2, 6)  # what up5 and up6 enlarge there
STRIDE = 32


def pool() -> Step:
    """Max pooling, 2x2 with stride 2."""
    from dagnet.layers import pool

    return work.block_step(
        pool.Pooling(pool_size=[2, 2], stride=[2, 2]), work.data(POOL), [], work.data(_halved(POOL), 1)
    )


def torch_pool(channels_last: bool) -> Step:
    """PyTorch's max pooling."""
    from torch import nn

    return work.torch_step(nn.MaxPool2d(2), *work.tensors(POOL, _halved(POOL), channels_last))


def relu() -> Step:
    """The rectified linear unit."""
    from dagnet.layers import relu

    return work.block_step(relu.ReLU(), work.data(RELU), [], work.data(RELU, 1))


def torch_relu(channels_last: bool) -> Step:
    """PyTorch's."""
    from torch import nn

    return work.torch_step(nn.ReLU(), *work.tensors(RELU, RELU, channels_last))


def softmaxloss() -> Step:
    """Softmax and its logarithmic loss, summed over the pixels."""
    from dagnet.layers import loss

    return work.block_step(loss.Loss("softmaxlog"), work.data(LOSS), [], np.ones((), np.float32), _labels())


def torch_softmaxloss(channels_last: bool) -> Step:
    """PyTorch's cross_entropy."""
    import torch

    labels = torch.from_numpy(_labels()[:, :, 0].transpose(2, 0, 1).astype(np.int64) - 1)

    def layer(x: Any) -> Any:
        return torch.nn.functional.cross_entropy(x, labels, reduction="sum")

    return work.torch_step(layer, work.tensor(work.data(LOSS), channels_last), torch.tensor(1.0))


def convt() -> Step:
    """Transposed convolution."""
    from dagnet.layers import convt

    w, b = _filters()
    block = convt.ConvTranspose([*w.shape], upsample=[STRIDE] * 2, crop=[STRIDE // 2] * 4)
    return work.block_step(block, work.data(CONVT), [w, b], work.data(_enlarged(CONVT), 1))


def torch_convt(channels_last: bool) -> Step:
    """PyTorch's."""
    import torch

    w, b = _filters()
    filters, biases = work.tensor(w, channels_last), torch.from_numpy(b.ravel())

    def layer(x: Any) -> Any:
        return torch.nn.functional.conv_transpose2d(x, filters, biases, stride=STRIDE, padding=STRIDE // 2)

    return work.torch_step(layer, *work.tensors(CONVT, _enlarged(CONVT), channels_last), learned=(filters, biases))


def _halved(size: Size) -> Size:
    h, w, c, n = size
    return h // 2, w // 2, c, n


def _enlarged(size: Size) -> Size:
    h, w, c, n = size
    return STRIDE * h, STRIDE * w, c, n


def _filters() -> tuple[np.ndarray, np.ndarray]:
    """w (FH, FW, K, C) and b of the transposed convolution."""
    rng, c = np.random.default_rng(2), CONVT[2]
    return rng.standard_normal((2 * STRIDE, 2 * STRIDE, c, c), np.float32), rng.standard_normal((c, 1), np.float32)


def _labels() -> np.ndarray:
    """Labels (H, W, 1, N) of 1 ... C."""
    h, w, c, n = LOSS
    return np.random.default_rng(2).integers(1, c + 1, (h, w, 1, n)).astype(np.float32)


WORKS = {
    "convt": work.one_step(f"transposed convolution 64x64, stride 32, {work.in_words(CONVT)}", convt, torch_convt),
    "pool": work.one_step(f"max pooling, {work.in_words(POOL)}", pool, torch_pool),
    "loss": work.one_step(f"softmax loss, {work.in_words(LOSS)}", softmaxloss, torch_softmaxloss),
    "relu": work.one_step(f"ReLU, {work.in_words(RELU)}", relu, torch_relu),
}
