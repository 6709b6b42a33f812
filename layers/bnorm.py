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

from . import array, block
from .array import Array


def forward(
    x: Array, g: Array, b: Array, *, moments: Array | None = None, epsilon: float = 1e-4
) -> tuple[Array, Array]:
    """y and the moments used. Raises ValueError where dtypes differ, or g, b or moments do not fit x's channels."""
    array.check_floats("bnorm", x=x, g=g, b=b, moments=moments)
    xp = array.module_of(x, g, b, moments)
    pixels = _pixels(x)
    _check(pixels.shape[1], g, b, moments)
    if moments is None:
        moments = batch_moments(x, epsilon)
    mu, sigma = moments[:, 0], moments[:, 1]
    y = array.empty(xp, array.four_d(x).shape, x.dtype)
    slope = g.reshape(-1) / sigma
    _pixels(y)[...] = (pixels - mu) * slope + b.reshape(-1)
    return y.reshape(x.shape), moments


def backward(
    x: Array, g: Array, b: Array, dy: Array, *, moments: Array | None = None, epsilon: float = 1e-4
) -> tuple[Array, Array, Array, Array]:
    """dx, dg, db and the moments used; dg and db have the shapes of g and b. Raises ValueError as forward does."""
    array.check_floats("bnorm", x=x, g=g, b=b, dy=dy, moments=moments)
    xp = array.module_of(x, g, b, dy, moments)
    pixels, dy = _pixels(x), _pixels(dy)
    _check(pixels.shape[1], g, b, moments)
    if moments is None:
        moments = batch_moments(x, epsilon)
    mu, sigma = moments[:, 0], moments[:, 1]
    m = pixels.shape[0]
    xhat = (pixels - mu) / sigma
    db = dy.sum(axis=0, dtype=np.float64).astype(x.dtype)
    dg = (dy * xhat).sum(axis=0, dtype=np.float64).astype(x.dtype)
    dx = array.empty(xp, array.four_d(x).shape, x.dtype)
    _pixels(dx)[...] = (g.reshape(-1) / sigma) * (dy - db / m - xhat * (dg / m))
    return dx.reshape(x.shape), dg.reshape(g.shape), db.reshape(b.shape), moments


def batch_moments(x: Array, epsilon: float) -> Array:
    """[mu, sigma] (C, 2) of x (H, W, C, N)."""
    xp = array.module_of(x)
    pixels = _pixels(x)
    mu = pixels.mean(axis=0, dtype=np.float64).astype(x.dtype)
    variance = xp.square(pixels - mu).mean(axis=0, dtype=np.float64)
    return xp.stack([mu, xp.sqrt(variance + epsilon).astype(x.dtype)], axis=1)


def _pixels(x: Array) -> Array:
    """x as (N*H*W, C): no copy where x has our memory order."""
    x = array.base(array.four_d(x))
    return x.reshape(-1, x.shape[3])


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
        self._moments: Array | None = None

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
        if self.mode == "test":
            y, _ = forward(x, g, b, moments=moments)
        else:
            y, self._moments = forward(x, g, b, epsilon=self.epsilon)
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; dg, db and the batch's moments."""
        (x,), (g, b, _), (dy,) = inputs, params, der_outputs
        dx, dg, db, moments = backward(x, g, b, dy, moments=self._moments, epsilon=self.epsilon)
        self._moments = None
        images = array.four_d(x).shape[3] if self.scale_moments_by_images else 1
        return [dx], [dg, db, moments * images]

    def init_params(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Ones, zeros, zeros. Raises ValueError where num_channels is not set."""
        c = self.num_channels
        if c < 1:
            raise ValueError(f"BatchNorm: num_channels is {c}; the number of x's channels is right")
        return [np.ones((c, 1), np.float32), np.zeros((c, 1), np.float32), np.zeros((c, 2), np.float32)]
