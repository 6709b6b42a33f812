"""Transposed convolution, or deconvolution (MatConvNet vl_nnconvt, dagnn.ConvTranspose).

Shapes    x, dx (H, W, C, N)    w, dw (FH, FW, K, C)    b, db K*G values    y, dy (YH, YW, K*G, N)
          YH = up_v * (H-1) + FH - top - bottom, and YW alike; G = num_groups
Forward   y[up*i + p - top, up*j + q - left, k, n] += x[i,j,c,n] * w[p,q,k,c], then + b[k]
Backward  It is the adjoint of a convolution from y's side to x's side, with the filters w, stride up and pad crop; so
          forward is that convolution's dX, dx is its forward pass, and dw is its dw with x and dy exchanged.
Groups    group g reads the input channels g*C/G ..., and makes the output channels g*K ...
Source    MatConvNet manual, section 4.2; vl_nnconvt.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from . import array, block, conv, geometry, parts
from .array import Array
from .geometry import Numbers


def forward(
    x: Array, w: Array, b: Array | None = None, *, upsample: Numbers = 1, crop: Numbers = 0, num_groups: int = 1
) -> Array:
    """y (YH, YW, K*G, N). Raises ValueError where the shapes do not fit."""
    array.check_floats("convt", x=x, w=w, b=b)
    x, w = array.four_d(x), array.four_d(w)
    plan = _adjoint(x.shape, w, b, upsample, crop, num_groups)
    y = conv.data_derivative(plan, array.base(x), w)
    if b is not None and b.size:
        for rows, added in parts.of([array.base(y).reshape(-1, plan.input[2])], [b.ravel()]):
            rows += added
    return y


def backward(
    x: Array,
    w: Array,
    b: Array | None,
    dy: Array,
    *,
    upsample: Numbers = 1,
    crop: Numbers = 0,
    num_groups: int = 1,
) -> tuple[Array, Array, Array | None]:
    """dx (H, W, C, N), dw and db, shaped like w and b; db is None where there is no b.

    Raises ValueError where shapes do not fit.
    """
    array.check_floats("convt", x=x, w=w, b=b, dy=dy)
    x, filters = array.four_d(x), array.four_d(w)
    plan = _adjoint(x.shape, filters, b, upsample, crop, num_groups)
    dy = array.derivative("convt", dy, plan.input)
    rows = array.base(dy)
    dx = conv.forward(dy, filters, stride=plan.stride, pad=plan.pad)
    dw = conv.filter_derivative(plan, rows, array.base(x), filters).reshape(w.shape)
    return dx, dw, conv.bias_derivative(rows, b)


def _adjoint(
    size: tuple[int, int, int, int], w: Array, b: Array | None, upsample: Numbers, crop: Numbers, num_groups: int
) -> conv.Plan:
    """The plan of the convolution that goes from y's side to x's side."""
    (h, width, c, n), (fh, fw, k, fd) = size, w.shape
    if fd != c or num_groups < 1 or c % num_groups:
        raise ValueError(
            f"convt: w has shape {w.shape}, x has {c} channels and there are {num_groups} groups; w's fourth dimension must "
            "equal x's channels, and the groups must divide them"
        )
    if b is not None and b.size not in (0, k * num_groups):
        raise ValueError(f"convt: b has {b.size} values; {k * num_groups} (one an output channel), or none, is right")
    upsample = geometry.positive_pair(upsample, "convt: upsample")
    crop = geometry.four(crop, "convt: crop")
    yh, yw = _enlarged((h, width), (fh, fw), upsample, crop)
    return conv.Plan.of((yh, yw, k * num_groups, n), w, None, upsample, crop, 1)


def _enlarged(
    size: tuple[geometry.Length, geometry.Length], window: Sequence[int], upsample: Sequence[int], crop: Sequence[int]
) -> tuple[geometry.Length, geometry.Length]:
    """(YH, YW); NaN where unknown. Raises ValueError where the crop leaves nothing."""
    top, bottom, left, right = crop
    yh = upsample[0] * (size[0] - 1) + window[0] - top - bottom
    yw = upsample[1] * (size[1] - 1) + window[1] - left - right
    if yh < 1 or yw < 1:
        raise ValueError(
            f"convt: crop is {list(crop)} and leaves an output of {yh} x {yw} pixels; a smaller crop is right"
        )
    return yh, yw


@dataclass
class ConvTranspose(block.Layer):
    """Parameters: filters (FH, FW, K, C) and, with has_bias, K*G biases."""

    size: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    has_bias: bool = True
    upsample: list[int] = field(default_factory=lambda: [1, 1])
    crop: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    num_groups: int = 1
    opts: list = field(default_factory=lambda: ["cuDNN"])

    n_inputs, n_params = (1,), (1, 2)

    def __post_init__(self) -> None:
        self.size = [int(v) for v in [*self.size, 1, 1, 1, 1][:4]]
        self.upsample = list(geometry.positive_pair(self.upsample, "ConvTranspose: upsample"))
        self.crop = list(geometry.four(self.crop, "ConvTranspose: crop"))
        self.num_groups = int(self.num_groups)

    def _options(self) -> dict[str, Any]:
        return {"upsample": self.upsample, "crop": self.crop, "num_groups": self.num_groups}

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x and the parameters w [, b]."""
        return [forward(inputs[0], *params, **self._options())]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; dw [, db]."""
        w, b = (*params, None)[:2]
        dx, *ders = backward(inputs[0], w, b, der_outputs[0], **self._options())
        return [dx], ders[: len(params)]

    def init_params(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Filters with the deviation sqrt(2 / (FH*FW*C)), biases 0 (MatConvNet's ConvTranspose.initParams).

        MatConvNet makes K biases also where there are groups and the operator needs K*G; here there are K*G.
        """
        fh, fw, k, c = self.size
        filters = rng.standard_normal((fh, fw, k, c), np.float32) * np.float32(sqrt(2 / (fh * fw * c)))
        return [filters, np.zeros((k * self.num_groups, 1), np.float32)][: 1 + self.has_bias]

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(YH, YW, K*G, N)]; MatConvNet's own getOutputSizes reports K channels also where there are groups."""
        h, w, _, n = input_sizes[0]
        yh, yw = _enlarged((h, w), self.size[:2], self.upsample, self.crop)
        return [(yh, yw, self.size[2] * self.num_groups, n)]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """Fields with the stride 1/upsample (MatConvNet manual, section 3)."""
        fh, fw, up, crop = self.size[0], self.size[1], self.upsample, (self.crop[0], self.crop[2])
        return [
            geometry.ReceptiveField(
                size=((fh - 1) / up[0] + 1, (fw - 1) / up[1] + 1),
                stride=(1 / up[0], 1 / up[1]),
                offset=((2 * crop[0] - fh + 1) / (2 * up[0]) + 1, (2 * crop[1] - fw + 1) / (2 * up[1]) + 1),
            )
        ]
