"""What a work is, random data for it on either side, and how a layer's step is made.

dagnet's blocks are called as a net calls them; PyTorch's as its users do, by autograd.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Step = Callable[[], Any]
Size = tuple[int, int, int, int]  # (H, W, C, N)


class Work(NamedTuple):
    """What is measured, in words; dagnet's steps; PyTorch's, channels_last or contiguous."""

    what: str
    ours: Callable[[], dict[str, Step]]
    theirs: Callable[[bool], dict[str, Step]]


def data(size: Size, seed: int = 0) -> np.ndarray:
    """Random float32 data (H, W, C, N) in dagnet's memory order."""
    h, w, c, n = size
    return np.random.default_rng(seed).standard_normal((n, h, w, c), np.float32).transpose(1, 2, 3, 0)


def tensor(x: np.ndarray, channels_last: bool) -> Any:
    """The same values as PyTorch's (N, C, H, W), in one of its memory formats."""
    import torch

    form = torch.channels_last if channels_last else torch.contiguous_format
    return torch.from_numpy(x).permute(3, 2, 0, 1).contiguous(memory_format=form)


def in_words(size: Size) -> str:
    """56x56x256, 4 images."""
    h, w, c, n = size
    return f"{h}x{w}x{c}, {n} image{'s' if n > 1 else ''}"


def tensors(size: Size, output: Size, channels_last: bool) -> tuple[Any, Any]:
    """x and dy as PyTorch's tensors."""
    return tensor(data(size), channels_last), tensor(data(output, 1), channels_last)


def block_step(block: Any, x: np.ndarray, params: list[np.ndarray], dy: np.ndarray, *others: np.ndarray) -> Step:
    """Forward and backward of one of dagnet's blocks; others: inputs beside x."""
    block.derivatives_follow = True  # as in a step of training

    def step() -> tuple[Any, Any]:
        (y,) = block.forward([x, *others], params)
        ders, _ = block.backward([y] if block.backward_uses == "outputs" else [x, *others], params, [dy])
        return y, ders[0]

    return step


def torch_step(layer: Callable[..., Any], x: Any, dy: Any, *others: Any, learned: tuple[Any, ...] = ()) -> Step:
    """Forward and backward of one of PyTorch's layers; learned: what has derivatives beside x."""
    for value in (x, *learned):
        value.requires_grad_()

    def step() -> tuple[Any, Any]:
        for value in (x, *learned):
            value.grad = None
        y = layer(x, *others)
        y.backward(dy)
        return y, x.grad

    return step


def one_step(what: str, ours: Callable[[], Step], theirs: Callable[[bool], Step]) -> Work:
    """Forward and backward as one step."""
    return Work(
        what,
        lambda: {"forward and backward": ours()},
        lambda channels_last: {"forward and backward": theirs(channels_last)},
    )
