"""MatConvNet's functions vl_nn* under their own names, a line or two each over dagnet.layers.

    y = vl_nnX(x, ...)                   forward
    dx = vl_nnX(x, ..., dzdy, ...)       backward: dzdy, shaped like y, is the derivative of the objective z for y

What calls look like stands in calling.py. Data are (H, W, C, N); trailing sizes of 1 may be missing, as MATLAB drops them, and
are there in what comes back. Defaults are MatConvNet's. What does not fit raises ValueError.
Source    MatConvNet manual, 4; vl_nn*.m of 1.0-beta25
"""

from collections.abc import Sequence
from typing import Any

from dagnet.layers import (
    array,
    bilinearsampler,
    bnorm,
    concat,
    conv,
    convt,
    crop,
    dropout,
    loss,
    lrn,
    noffset,
    normalizelp,
    pdist,
    pool,
    relu,
    roipool,
    sigmoid,
    softmax,
    spnorm,
    taccum,
)
from dagnet.layers.array import Array

from .calling import beside, current_release, is_empty, matlab, number, numbers, stream

Numbers = Any  # a number, or a list or array of them
Options = dict[str, Any]


@matlab
def vl_nnconv(
    x: Array,
    f: Array,
    b: Array,
    dzdy: Array | None = None,
    *,
    stride: Numbers = 1,
    pad: Numbers = 0,
    dilate: Numbers = 1,
    noDerData: bool = False,
    noDerFilters: bool = False,
    noDerBiases: bool = False,
) -> Any:
    """y;  [dx, df, db] with dzdy, None where noDer... is given. f = []: identity filters; b = []: no biases."""
    f, b = array.module_of(x).zeros(0, x.dtype) if is_empty(f) else f, None if is_empty(b) else b
    options: Options = {"stride": numbers(stride), "pad": numbers(pad), "dilate": numbers(dilate)}
    if dzdy is None:
        return conv.forward(x, f, b, **options)
    ders = conv.backward(x, f, b, dzdy, need_dx=not noDerData, **options)
    return _without(ders, noDerData, noDerFilters, noDerBiases)


@matlab
def vl_nnconvt(
    x: Array,
    f: Array,
    b: Array,
    dzdy: Array | None = None,
    *,
    upsample: Numbers = 1,
    crop: Numbers = 0,
    numGroups: int = 1,
    noDerData: bool = False,
    noDerFilters: bool = False,
    noDerBiases: bool = False,
) -> Any:
    """y;  [dx, df, db] with dzdy, None where noDer... is given. b = []: no biases."""
    b = None if is_empty(b) else b
    options: Options = {"upsample": numbers(upsample), "crop": numbers(crop), "num_groups": number(numGroups)}
    if dzdy is None:
        return convt.forward(x, f, b, **options)
    return _without(convt.backward(x, f, b, dzdy, **options), noDerData, noDerFilters, noDerBiases)


@matlab
def vl_nnpool(
    x: Array, pool_: Numbers, dzdy: Array | None = None, *, stride: Numbers = 1, pad: Numbers = 0, method: str = "max"
) -> Array:
    """y;  dx with dzdy. The method is "max" or "avg"."""
    options: Options = {"stride": numbers(stride), "pad": numbers(pad), "method": method.lower()}
    window = numbers(pool_)
    return pool.forward(x, window, **options) if dzdy is None else pool.backward(x, window, dzdy, **options)


@matlab
def vl_nnrelu(x: Array, dzdy: Array | None = None, *, leak: float = 0) -> Array:
    """y;  dx with dzdy, where y may stand for x."""
    slope = number(leak)
    return relu.forward(x, leak=slope) if dzdy is None else relu.backward(x, dzdy, leak=slope)


@matlab
def vl_nnsigmoid(x: Array, dzdy: Array | None = None) -> Array:
    """y;  dx with dzdy."""
    return sigmoid.forward(x) if dzdy is None else sigmoid.backward(x, dzdy)


@matlab
def vl_nnsoftmax(x: Array, dzdy: Array | None = None) -> Array:
    """y;  dx with dzdy."""
    return softmax.forward(x) if dzdy is None else softmax.backward(x, dzdy)


@matlab
def vl_nndropout(x: Array, dzdy: Array | None = None, *, rate: float = 0.5, mask: Array | None = None) -> Any:
    """[y, mask];  dx with dzdy and the mask. Masks are drawn from the stream that rng(seed) starts."""
    if dzdy is None:
        return dropout.forward(x, number(rate), stream(x), mask=mask)
    if mask is None:
        raise ValueError("vl_nndropout: dzdy came without a mask; 'mask' and the one that forward returned are right")
    return dropout.backward(mask, dzdy)


@matlab
def vl_nnconcat(
    inputs: Sequence[Array], dim: int = 3, dzdy: Array | None = None, *, inputSizes: Sequence[Numbers] | None = None
) -> Any:
    """y;  the list of dx_i with dzdy, where inputSizes may stand for the inputs."""
    axis = number(dim)
    if dzdy is None:
        return concat.forward(inputs, dim=axis)
    return concat.backward(inputs if inputSizes is None else [_sized(s, dzdy) for s in inputSizes], dzdy, dim=axis)


@matlab
def vl_nncrop(x: Array, crop_: Numbers, dzdy: Array | None = None, inputSize: Numbers = None) -> Array:
    """y;  dx with dzdy, where inputSize may stand for x. The crop is [top bottom left right]."""
    if dzdy is None:
        return crop.forward(x, numbers(crop_))
    return crop.backward(x if inputSize is None else _sized(inputSize, dzdy), numbers(crop_), dzdy)


@matlab
def vl_nnnormalize(x: Array, param: Numbers, dzdy: Array | None = None) -> Array:
    """y;  dx with dzdy. param is [N kappa alpha beta]; alpha is not divided by N."""
    return lrn.forward(x, param=numbers(param)) if dzdy is None else lrn.backward(x, dzdy, param=numbers(param))


@matlab
def vl_nnnormalizelp(
    x: Array,
    dzdy: Array | None = None,
    *,
    p: int = 2,
    exponent: int = 2,
    epsilon: float = 0.01,
    dimensions: Numbers = 3,
    spatial: bool = False,
    norms: Array | None = None,
) -> Any:
    """[y, norms];  dx with dzdy. exponent is another name of p; spatial stands for the dimensions [1 2]."""
    options: Options = {
        "p": number(p) if number(p) != 2 else number(exponent),
        "epsilon": number(epsilon),
        "dimensions": numbers(dimensions),
        "spatial": bool(spatial),
        "norms": norms,
    }
    return normalizelp.forward(x, **options) if dzdy is None else normalizelp.backward(x, dzdy, **options)


@matlab
def vl_nnspnorm(x: Array, param: Numbers, dzdy: Array | None = None) -> Array:
    """y;  dx with dzdy. param is [PH PW alpha beta]."""
    return spnorm.forward(x, param=numbers(param)) if dzdy is None else spnorm.backward(x, dzdy, param=numbers(param))


@matlab
def vl_nnnoffset(x: Array, param: Numbers, dzdy: Array | None = None) -> Array:
    """y;  dx with dzdy. param is [alpha beta]."""
    return noffset.forward(x, param=numbers(param)) if dzdy is None else noffset.backward(x, dzdy, param=numbers(param))


@matlab
def vl_nnbnorm(
    x: Array,
    g: Array,
    b: Array,
    dzdy: Array | None = None,
    *,
    epsilon: float | None = None,
    moments: Array | None = None,
) -> Any:
    """[y, moments];  [dx, dg, db, moments] with dzdy. Moments are (C, 2): [mu sigma]. epsilon is 1e-4: see release."""
    options: Options = {
        "epsilon": current_release().bnorm_epsilon if epsilon is None else number(epsilon),
        "moments": moments,
    }
    return bnorm.forward(x, g, b, **options) if dzdy is None else bnorm.backward(x, g, b, dzdy, **options)


@matlab
def vl_nnloss(
    x: Array,
    c: Array,
    dzdy: Array | float | None = None,
    *,
    loss_: str = "softmaxlog",
    instanceWeights: Array | None = None,
    classWeights: Array | None = None,
    threshold: float = 0.0,
    topK: int = 5,
    normalise: bool | None = None,
) -> Array:
    """y;  dx with dzdy. normalise is false in the releases and true in master: see release. classWeights have no effect."""
    options: Options = {
        "loss": loss_.lower(),
        "instance_weights": instanceWeights,
        "threshold": number(threshold),
        "top_k": number(topK),
        "normalise": current_release().normalise if normalise is None else bool(normalise),
    }
    c = beside(c, x)
    return loss.forward(x, c, **options) if dzdy is None else loss.backward(x, c, dzdy, **options)


@matlab
def vl_nnsoftmaxloss(x: Array, c: Array, dzdy: Array | float | None = None) -> Array:
    """y;  dx with dzdy. It divides by the number of images where vl_nnloss does: see release."""
    c, normalise = beside(c, x), current_release().normalise
    if dzdy is None:
        return loss.softmaxloss(x, c, normalise=normalise)
    return loss.softmaxloss_backward(x, c, dzdy, normalise=normalise)


@matlab
def vl_nnpdist(
    x: Array,
    x0: Array,
    p: float,
    dzdy: Array | float | None = None,
    *,
    noRoot: bool = False,
    epsilon: float = 1e-6,
    aggregate: bool = False,
    instanceWeights: Array | None = None,
) -> Any:
    """y;  [dx, dx0] with dzdy."""
    options: Options = {
        "no_root": bool(noRoot),
        "epsilon": number(epsilon),
        "aggregate": bool(aggregate),
        "instance_weights": instanceWeights,
    }
    power = number(p)
    return pdist.forward(x, x0, power, **options) if dzdy is None else pdist.backward(x, x0, power, dzdy, **options)


@matlab
def vl_nnroipool(
    x: Array,
    rois: Array,
    dzdy: Array | None = None,
    *,
    method: str = "max",
    subdivisions: Numbers = 1,
    transform: Numbers = 1,
) -> Array:
    """y;  dx with dzdy. rois are (5, K): image, then the corners u0 v0 u1 v1, all from 1."""
    matrix = array.to_numpy(transform) if hasattr(transform, "dtype") else transform
    options: Options = {"method": method.lower(), "subdivisions": numbers(subdivisions), "transform": matrix}
    return roipool.forward(x, rois, **options) if dzdy is None else roipool.backward(x, rois, dzdy, **options)


@matlab
def vl_nnbilinearsampler(x: Array, grid: Array, dzdy: Array | None = None) -> Any:
    """y;  [dx, dgrid] with dzdy. The grid is (2, Ho, Wo, No): vertical, horizontal, from -1 to 1."""
    return bilinearsampler.forward(x, grid) if dzdy is None else bilinearsampler.backward(x, grid, dzdy)


@matlab
def vl_taccum(alpha: Numbers, a: Array, beta: Numbers, b: Array) -> Array:
    """alpha * a + beta * b, a new array (MatConvNet's, on a GPU, is a's own)."""
    return taccum.forward(number(alpha), a, number(beta), b)


def _without(ders: Sequence[Array | None], *dropped: bool) -> tuple[Array | None, ...]:
    """The derivatives, None in place of those that nobody wants."""
    return tuple(None if drop else der for der, drop in zip(ders, dropped, strict=True))


def _sized(size: Numbers, like: Array) -> Array:
    """An array of that size where only its shape counts."""
    return array.module_of(like).broadcast_to(like.ravel()[:1], (*numbers(size), 1, 1, 1, 1)[:4])
