"""Batch normalisation (MatConvNet vl_nnbnorm, dagnn.BatchNorm).

Shapes    x, y, dx, dy (H, W, C, N); g, b, dg, db C numbers each, of any shape; moments (C, 2) = [mu, sigma]
Forward   mu_c    = mean of x over H, W, N
          sigma_c = sqrt(mean of (x - mu_c)^2 over H, W, N + epsilon)      divided by m = H*W*N, not by m - 1
          y       = g_c * xhat + b_c,  xhat = (x - mu_c) / sigma_c
          Moments that are given are taken as they are, and epsilon plays no part.
Backward  db_c = sum of dy,  dg_c = sum of dy * xhat   over H, W, N
          dx   = g_c / sigma_c * (dy - db_c / m - xhat * dg_c / m)
          Given moments are differentiated as if they were the batch's own, as in MatConvNet.
Source    MatConvNet manual, 4.7; vl_nnbnorm.m, +dagnn/BatchNorm.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import array, block, kernels, parts, threads
from .array import Array

FEW = 64  # rows whose sum in single precision is off by a few units in the last place at most


def forward(
    x: Array, g: Array, b: Array, *, moments: Array | None = None, epsilon: float = 1e-4
) -> tuple[Array, Array]:
    """y and the moments used. Raises ValueError where dtypes differ, or g, b or moments do not fit x's channels."""
    array.check_floats("bnorm", x=x, g=g, b=b, moments=moments)
    xp = array.module_of(x, g, b, moments)
    pixels = _pixels(x)
    _check(pixels.shape[1], g, b, moments)
    if len(pixels) and (fast := kernels.serving("bnorm", x)):
        y, moments = fast.forward(pixels, *map(_vector, (g, b)), moments, epsilon)
        return _as_data(y, x), moments
    if moments is None:
        moments, shift, mean = _moments(pixels, epsilon)
        slope = g.reshape(-1) / moments[:, 1]
        offset = b.reshape(-1) - slope * mean
    else:
        shift, slope, offset = moments[:, 0], g.reshape(-1) / moments[:, 1], b.reshape(-1)
    y = array.empty_like(pixels)

    def finish(x: Array, y: Array, shift: Array, slope: Array, offset: Array) -> None:
        xp.subtract(x, shift, out=y)
        y *= slope
        y += offset

    threads.run(finish, parts.of([pixels, y], [shift, slope, offset]))
    return _as_data(y, x), moments


def backward(
    x: Array, g: Array, b: Array, dy: Array, *, moments: Array | None = None, epsilon: float = 1e-4
) -> tuple[Array, Array, Array, Array]:
    """dx, dg, db and the moments used; dg and db have the shapes of g and b.

    Raises ValueError as forward does, and where dy has not y's shape.
    """
    array.check_floats("bnorm", x=x, g=g, b=b, dy=dy, moments=moments)
    xp = array.module_of(x, g, b, dy, moments)
    pixels, dy = _pixels(x), _pixels(array.derivative("bnorm", dy, array.four_d(x).shape))
    m, channels = pixels.shape
    _check(channels, g, b, moments)
    if m and (fast := kernels.serving("bnorm", x)):
        dx, dg, db, moments = fast.backward(pixels, _vector(g), dy, moments, epsilon)
        return _as_data(dx, x), dg.reshape(g.shape), db.reshape(b.shape), moments
    if moments is None:
        moments, _, _ = _moments(pixels, epsilon)
    mu, sigma = moments[:, 0], moments[:, 1]

    def sums(x: Array, dy: Array, mu: Array) -> tuple[Array, Array]:
        return _sums(dy, channels), _sums(_minus(x, mu), channels, dy)

    db, dg = _total(threads.run(sums, parts.of([pixels, dy], [mu])))
    dg = dg / sigma
    means = (db / m).astype(x.dtype)
    slope, scale = (dg / (m * sigma)).astype(x.dtype), g.reshape(-1) / sigma
    dx = array.empty_like(pixels)

    def finish(x: Array, dy: Array, dx: Array, mu: Array, slope: Array, means: Array, scale: Array) -> None:
        xp.subtract(x, mu, out=dx)
        dx *= slope  # xhat * dg / m
        dx += means
        xp.subtract(dy, dx, out=dx)
        dx *= scale

    threads.run(finish, parts.of([pixels, dy, dx], [mu, slope, means, scale]))
    dg, db = dg.astype(x.dtype).reshape(g.shape), db.astype(x.dtype).reshape(b.shape)
    return _as_data(dx, x), dg, db, moments


def batch_moments(x: Array, epsilon: float) -> Array:
    """[mu, sigma] (C, 2) of x (H, W, C, N)."""
    return _moments(_pixels(x), epsilon)[0]


def _moments(pixels: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """The moments, a shift near each channel's mean, and the mean of x - shift.

    Sums of x - shift and of its squares lose no digits, as those of x would where its mean is large beside its deviation.
    """
    xp, (m, channels) = array.module_of(pixels), pixels.shape
    shift = pixels[:: max(1, m // 256)].mean(axis=0, dtype=np.float64).astype(pixels.dtype)

    def sums(x: Array, shift: Array) -> tuple[Array, Array]:
        centred = _minus(x, shift)
        return _sums(centred, channels), _sums(centred, channels, centred)

    total, squares = _total(threads.run(sums, parts.of([pixels], [shift])))
    mean = total / m
    sigma = xp.sqrt(xp.maximum(squares / m - mean * mean, 0) + epsilon)
    return xp.stack([shift + mean, sigma], axis=1).astype(pixels.dtype), shift, mean.astype(pixels.dtype)


def _minus(x: Array, mu: Array) -> Array:
    """x - mu, in reused memory."""
    return array.module_of(x).subtract(x, mu, out=array.empty_like(x))


def _sums(a: Array, channels: int, b: Array | None = None) -> Array:
    """The channels' sums of a, or of a * b, in float64. On the CPU the few rows of a part are summed in a's dtype first."""
    xp = array.module_of(a)
    if xp is not np or len(a) > FEW:
        return (a if b is None else a * b).sum(axis=0, dtype=np.float64)
    sums = a.sum(axis=0) if b is None else np.einsum("ij,ij->j", a, b)
    return sums.reshape(-1, channels).sum(axis=0, dtype=np.float64)


def _total(results: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The parts' pairs of sums, added up."""
    first, second = zip(*results, strict=True)
    return sum(first), sum(second)


def _pixels(x: Array) -> Array:
    """x as (N*H*W, C): no copy where x has our memory order."""
    x = array.base(array.four_d(x))
    return x.reshape(-1, x.shape[3])


def _as_data(pixels: Array, like: Array) -> Array:
    """What _pixels made of an array of that shape, as that array."""
    h, w, c, n = array.four_d(like).shape
    return pixels.reshape(n, h, w, c).transpose(1, 2, 3, 0)


def _vector(p: Array) -> Array:
    """C numbers of any shape as (C,), side by side."""
    return array.module_of(p).ascontiguousarray(p.reshape(-1))


def _check(channels: int, g: Array, b: Array, moments: Array | None) -> None:
    for name, p in (("multipliers", g), ("biases", b)):
        if p.size != channels:
            raise ValueError(f"bnorm: there are {p.size} {name} and x has {channels} channels; one a channel is right")
    if moments is not None and moments.shape != (channels, 2):
        raise ValueError(f"bnorm: moments are {moments.shape}; ({channels}, 2), x's channels by [mu, sigma], is right")


@dataclass
class BatchNorm(block.Layer):
    """Parameters: multipliers (C, 1), biases (C, 1), moments (C, 2), always all three.

    In mode "test" the moments given as the third parameter are used; else the batch's own, which backward returns as the
    third "derivative": the solver averages them into the parameter (train_method "average").

    scale_moments_by_images   True: that third one is multiplied by N, because the releases' solver divides by the batch
                              size; False: it is not (MatConvNet's master). Set by the training profile, not saved.
    """

    num_channels: int = 0
    epsilon: float = 1e-5
    opts: list[Any] = field(default_factory=lambda: ["NoCuDNN"])

    n_inputs, n_params = (1,), (3,)
    scale_moments_by_images = True  # no annotation: it is no property of MatConvNet's

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the moments of the last batch."""
        self._kept: tuple[Array | None, Array | None] = None, None  # x and its moments

    def attach(self, params: Sequence[Any]) -> None:
        """Moments are averaged, not learned, at a rate of 0.1."""
        if len(params) != 3:
            raise ValueError(
                f"BatchNorm: it is given {len(params)} parameters; three (multipliers, biases, moments) are right"
            )
        params[2].train_method = "average"
        params[2].learning_rate = 0.1

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x and the parameters g, b, moments."""
        (x,), (g, b, moments) = inputs, params
        self.reset()
        if self.mode == "test":
            return [forward(x, g, b, moments=moments)[0]]
        y, moments = forward(x, g, b, epsilon=self.epsilon)
        if self.derivatives_follow:
            self._kept = x, moments
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; dg, db and the batch's moments."""
        (x,), (g, b, _), (dy,), (seen, moments) = inputs, params, der_outputs, self._kept
        self.reset()
        moments = moments if seen is x else None
        dx, dg, db, moments = backward(x, g, b, dy, moments=moments, epsilon=self.epsilon)
        images = array.four_d(x).shape[3] if self.scale_moments_by_images else 1
        return [dx], [dg, db, moments * images]

    def init_params(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Ones, zeros, zeros. Raises ValueError where num_channels is not set."""
        c = self.num_channels
        if c < 1:
            raise ValueError(f"BatchNorm: num_channels is {c}; the number of x's channels is right")
        return [np.ones((c, 1), np.float32), np.zeros((c, 1), np.float32), np.zeros((c, 2), np.float32)]
