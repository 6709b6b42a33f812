"""The layers' sums as bare loops in float64: slow, obvious, and written apart from the layers' own code.

Arrays are NumPy's, of any dtype, four-dimensional: data (H, W, C, N), filters (FH, FW, C, K). Options are in full: a stride
(vertical, horizontal), a pad or crop (top, bottom, left, right). A result is float64. Every function X has an X_backward,
which takes dy after X's arrays and returns the derivatives in their order.
"""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from dagnet.layers import array

Pair = tuple[int, int]
Four = tuple[int, int, int, int]


def error(ours: array.Array, oracle: np.ndarray) -> float:
    """max|a - b| / max|b| of a layer's array, of any device, against an oracle's; the shapes must be equal."""
    ours = array.to_numpy(ours)
    assert ours.shape == oracle.shape, f"ours has shape {ours.shape}, the oracle's {oracle.shape}"
    return float(np.abs(ours - oracle).max() / max(np.abs(oracle).max(), 1e-300))


def window(size: int, taps: int, stride: int, before: int, after: int, dilate: int = 1) -> list[list[tuple[int, int]]]:
    """Along one direction: for each output position, the pairs (tap, pixel) whose pixel exists."""
    count = (size + before + after - ((taps - 1) * dilate + 1)) // stride + 1
    return [
        [(t, i * stride - before + t * dilate) for t in range(taps) if 0 <= i * stride - before + t * dilate < size]
        for i in range(count)
    ]


# Convolution and its transposed


def conv(x, w, b=None, stride: Pair = (1, 1), pad: Four = (0, 0, 0, 0), dilate: Pair = (1, 1)) -> np.ndarray:
    """y[i,j,k,n] = b[k] + sum over taps and channels of w times x."""
    rows, columns = _conv_windows(x, w, stride, pad, dilate)
    y = np.zeros((len(rows), len(columns), w.shape[3], x.shape[3]))
    if b is not None:
        y += np.asarray(b, float).reshape(1, 1, -1, 1)
    for place, filter_place, pixel in _conv_terms(x, w, rows, columns):
        y[place] += float(w[filter_place]) * float(x[pixel])
    return y


def conv_backward(x, w, b, dy, stride: Pair = (1, 1), pad: Four = (0, 0, 0, 0), dilate: Pair = (1, 1)):
    """dx, dw, db: each term of y hands on dy to the two that it multiplied."""
    rows, columns = _conv_windows(x, w, stride, pad, dilate)
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for place, filter_place, pixel in _conv_terms(x, w, rows, columns):
        dx[pixel] += float(w[filter_place]) * float(dy[place])
        dw[filter_place] += float(x[pixel]) * float(dy[place])
    db = None if b is None else np.asarray(dy, float).sum(axis=(0, 1, 3)).reshape(np.shape(b))
    return dx, dw, db


def _conv_windows(x, w, stride: Pair, pad: Four, dilate: Pair):
    rows = window(x.shape[0], w.shape[0], stride[0], pad[0], pad[1], dilate[0])
    columns = window(x.shape[1], w.shape[1], stride[1], pad[2], pad[3], dilate[1])
    return rows, columns


def _conv_terms(x, w, rows, columns) -> Iterator[tuple[tuple, tuple, tuple]]:
    """The places in y, w and x of every product in the sum; filter k of group g reads the channels g*FC ..."""
    (_, _, c, n), (_, _, fc, filters) = x.shape, w.shape
    per_group = filters // (c // fc)
    for (i, row), (j, column), k, image in product(enumerate(rows), enumerate(columns), range(filters), range(n)):
        for (p, v), (q, u), channel in product(row, column, range(fc)):
            yield (i, j, k, image), (p, q, channel, k), (v, u, (k // per_group) * fc + channel, image)


def convt(x, w, b=None, upsample: Pair = (1, 1), crop: Four = (0, 0, 0, 0), groups: int = 1) -> np.ndarray:
    """y[up*i + p - top, up*j + q - left, k] += w[p,q,k,c] * x[i,j,c], then + b[k]. Filters (FH, FW, K, C)."""
    y = np.zeros(_convt_size(x, w, upsample, crop, groups))
    for place, filter_place, pixel in _convt_terms(x, w, y.shape, upsample, crop, groups):
        y[place] += float(w[filter_place]) * float(x[pixel])
    return y if b is None else y + np.asarray(b, float).reshape(1, 1, -1, 1)


def convt_backward(x, w, b, dy, upsample: Pair = (1, 1), crop: Four = (0, 0, 0, 0), groups: int = 1):
    """dx, dw, db."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for place, filter_place, pixel in _convt_terms(x, w, dy.shape, upsample, crop, groups):
        dx[pixel] += float(w[filter_place]) * float(dy[place])
        dw[filter_place] += float(x[pixel]) * float(dy[place])
    db = None if b is None else np.asarray(dy, float).sum(axis=(0, 1, 3)).reshape(np.shape(b))
    return dx, dw, db


def _convt_size(x, w, upsample: Pair, crop: Four, groups: int) -> Four:
    yh = upsample[0] * (x.shape[0] - 1) + w.shape[0] - crop[0] - crop[1]
    yw = upsample[1] * (x.shape[1] - 1) + w.shape[1] - crop[2] - crop[3]
    return yh, yw, w.shape[2] * groups, x.shape[3]


def _convt_terms(x, w, y_size: Four, upsample: Pair, crop: Four, groups: int) -> Iterator[tuple[tuple, tuple, tuple]]:
    """The places in y, w and x of every product; input channel c is of group c // (C/G), which makes the outputs g*K ..."""
    (h, wd, c, n), (fh, fw, k, _) = x.shape, w.shape
    for i, j, channel, image in product(range(h), range(wd), range(c), range(n)):
        group = channel // (c // groups)
        for p, q, out in product(range(fh), range(fw), range(k)):
            v, u = upsample[0] * i + p - crop[0], upsample[1] * j + q - crop[2]
            if 0 <= v < y_size[0] and 0 <= u < y_size[1]:
                yield (v, u, group * k + out, image), (p, q, out, channel), (i, j, channel, image)


# Pooling


def pool(x, size: Pair, stride: Pair = (1, 1), pad: Four = (0, 0, 0, 0), method: str = "max") -> np.ndarray:
    """The maximum or mean over the pixels of each window that exist."""
    y = np.zeros((*_pool_positions(x, size, stride, pad), *x.shape[2:]))
    for place, pixels in _pool_windows(x, size, stride, pad):
        values = [float(x[pixel]) for pixel in pixels]
        y[place] = max(values) if method == "max" else sum(values) / len(values)
    return y


def pool_backward(
    x, size: Pair, dy, stride: Pair = (1, 1), pad: Four = (0, 0, 0, 0), method: str = "max"
) -> np.ndarray:
    """dx. Of equal maxima the first takes all, and _pool_windows goes column by column."""
    dx = np.zeros(x.shape)
    for place, pixels in _pool_windows(x, size, stride, pad):
        if method == "max":
            best = pixels[0]
            for pixel in pixels[1:]:
                if x[pixel] > x[best]:
                    best = pixel
            dx[best] += float(dy[place])
        else:
            for pixel in pixels:
                dx[pixel] += float(dy[place]) / len(pixels)
    return dx


def _pool_lines(x, size: Pair, stride: Pair, pad: Four):
    rows = window(x.shape[0], size[0], stride[0], pad[0], pad[1])
    columns = window(x.shape[1], size[1], stride[1], pad[2], pad[3])
    return rows, columns


def _pool_positions(x, size: Pair, stride: Pair, pad: Four) -> Pair:
    rows, columns = _pool_lines(x, size, stride, pad)
    return len(rows), len(columns)


def _pool_windows(x, size: Pair, stride: Pair, pad: Four) -> Iterator[tuple[tuple, list[tuple]]]:
    """The place in y of every window and its places in x, column by column and from top to bottom."""
    rows, columns = _pool_lines(x, size, stride, pad)
    for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
        for c, n in product(range(x.shape[2]), range(x.shape[3])):
            yield (i, j, c, n), [(v, u, c, n) for _, u in column for _, v in row]


def roipool(x, rois, method: str = "max", subdivisions: Pair = (1, 1), transform=((1, 0, 0), (0, 1, 0))) -> np.ndarray:
    """The maximum or mean over the pixels of each bin of each region; 0 where it has none. transform is 2 x 3."""
    y = np.zeros((*subdivisions, x.shape[2], rois.shape[1]))
    for place, pixels in _roi_bins(x, rois, subdivisions, transform):
        values = [float(x[pixel]) for pixel in pixels]
        y[place] = max(values) if method == "max" else sum(values) / len(values)
    return y


def roipool_backward(
    x, rois, dy, method: str = "max", subdivisions: Pair = (1, 1), transform=((1, 0, 0), (0, 1, 0))
) -> np.ndarray:
    """dx. Of equal maxima the first takes all, and _roi_bins goes column by column."""
    dx = np.zeros(x.shape)
    for place, pixels in _roi_bins(x, rois, subdivisions, transform):
        best = max(pixels, key=lambda pixel: x[pixel])  # the first of equals
        for pixel in [best] if method == "max" else pixels:
            dx[pixel] += float(dy[place]) / (1 if method == "max" else len(pixels))
    return dx


def _roi_bins(x, rois, subdivisions: Pair, transform) -> Iterator[tuple[tuple, list[tuple]]]:
    """The place in y of every bin that has pixels and its places in x, column by column and from top to bottom."""
    (h, w, channels, _), (sh, sw) = x.shape, subdivisions
    for k, (image, *corners) in enumerate(rois.T.tolist()):
        ends = []
        for u, v in (corners[:2], corners[2:]):
            moved = [a * u + b * v + c for a, b, c in transform]
            ends.append([int(math.copysign(math.floor(abs(m) + 0.5), m)) - 1 for m in moved])
        (left, top), (right, bottom) = ends
        height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
        for i, j, c in product(range(sh), range(sw), range(channels)):
            rows = range(top + i * height // sh, top - (-(i + 1) * height // sh))
            columns = range(left + j * width // sw, left - (-(j + 1) * width // sw))
            pixels = [(v, u, c, int(image) - 1) for u in columns for v in rows if 0 <= v < h and 0 <= u < w]
            if pixels:
                yield (i, j, c, k), pixels


# Sampling


def bilinearsampler(x, grid) -> np.ndarray:
    """The mean of the four pixels around each position, weighted by closeness."""
    y = np.zeros((*grid.shape[1:3], x.shape[2], grid.shape[3]))
    for place, pixel, (down, across), _ in _sampled(x, grid):
        y[place] += down * across * float(x[pixel])
    return y


def bilinearsampler_backward(x, grid, dy) -> tuple[np.ndarray, np.ndarray]:
    """dx, dgrid: each term of y is a product of three, and each of them gets what the other two make of dy."""
    dx, dgrid = np.zeros(x.shape), np.zeros(grid.shape)
    for place, pixel, (down, across), (down_slope, across_slope) in _sampled(x, grid):
        i, j, _, m = place
        dx[pixel] += down * across * float(dy[place])
        dgrid[0, i, j, m] += down_slope * across * float(x[pixel]) * float(dy[place])
        dgrid[1, i, j, m] += down * across_slope * float(x[pixel]) * float(dy[place])
    return dx, dgrid


def _sampled(x, grid) -> Iterator[tuple[tuple, tuple, tuple[float, float], tuple[float, float]]]:
    """Every term of y: its place in y and in x, its factors down and across, and their slopes in the grid's numbers."""
    (h, w, channels, n), (_, ho, wo, no) = x.shape, grid.shape
    for i, j, m in product(range(ho), range(wo), range(no)):
        v, u = ((float(g) + 1) / 2 * (size - 1) for g, size in zip(grid[:, i, j, m], (h, w), strict=True))
        if v < 0 or u < 0:
            continue
        top, left = math.floor(v), math.floor(u)
        for p, q, c in product((0, 1), (0, 1), range(channels)):
            if top + p < h and left + q < w:
                factors = [1 - abs(v - (top + p)), 1 - abs(u - (left + q))]
                slopes = [(2 * p - 1) * (h - 1) / 2, (2 * q - 1) * (w - 1) / 2]
                yield (i, j, c, m), (top + p, left + q, c, m // (no // n)), tuple(factors), tuple(slopes)


def affine_grid(a, ho: int, wo: int) -> np.ndarray:
    """grid[0] = a1 v + a2 u + a5, grid[1] = a3 v + a4 u + a6, from a (1, 1, 6, N)."""
    grid = np.zeros((2, ho, wo, a.shape[3]))
    for place, k, factor in _affine_terms(grid):
        grid[place] += factor * float(a[0, 0, k, place[3]])
    return grid


def affine_grid_backward(a, dgrid) -> np.ndarray:
    """da."""
    da = np.zeros(a.shape)
    for place, k, factor in _affine_terms(dgrid):
        da[0, 0, k, place[3]] += factor * float(dgrid[place])
    return da


def _affine_terms(grid) -> Iterator[tuple[tuple, int, float]]:
    """Every term of the grid: its place, which number it has (from 0), and what that is multiplied by."""
    _, ho, wo, n = grid.shape
    for i, j, image in product(range(ho), range(wo), range(n)):
        v = 1.0 if ho == 1 else -1 + 2 * i / (ho - 1)
        u = 1.0 if wo == 1 else -1 + 2 * j / (wo - 1)
        for row, numbers in enumerate([(0, 1, 4), (2, 3, 5)]):
            for k, factor in zip(numbers, (v, u, 1.0), strict=True):
                yield (row, i, j, image), k, factor


# One value at a time


def relu(x, leak: float = 0.0) -> np.ndarray:
    """max(x, 0) + leak * min(x, 0)."""
    return _each(lambda v: v if v > 0 else leak * v, x)


def relu_backward(x, dy, leak: float = 0.0) -> np.ndarray:
    """dy times 1 or leak."""
    return _each(lambda v, d: d if v > 0 else leak * d, x, dy)


def sigmoid(x) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return _each(lambda v: 1 / (1 + math.exp(-v)), x)


def sigmoid_backward(x, dy) -> np.ndarray:
    """dy * y * (1 - y)."""
    return _each(lambda v, d: d * math.exp(-v) / (1 + math.exp(-v)) ** 2, x, dy)


def taccum(alpha: float, a, beta: float, b) -> np.ndarray:
    """alpha * a + beta * b."""
    return _each(lambda u, v: alpha * u + beta * v, *np.broadcast_arrays(a, b))


def _each(f, *arrays) -> np.ndarray:
    result = np.zeros(arrays[0].shape)
    for place in np.ndindex(result.shape):
        result[place] = f(*(float(a[place]) for a in arrays))
    return result


# Along the channels


def softmax(x) -> np.ndarray:
    """exp(x_c) / sum_k exp(x_k)."""
    y = np.zeros(x.shape)
    for i, j, c, n in np.ndindex(x.shape):
        y[i, j, c, n] = 1 / sum(math.exp(float(x[i, j, k, n]) - float(x[i, j, c, n])) for k in range(x.shape[2]))
    return y


def softmax_backward(x, dy) -> np.ndarray:
    """dx_c = sum_k dy_k * dy_k/dx_c, with the softmax's full table of slopes y_k * ((k = c) - y_c)."""
    y, dx = softmax(x), np.zeros(x.shape)
    for i, j, c, n in np.ndindex(x.shape):
        for k in range(x.shape[2]):
            dx[i, j, c, n] += float(dy[i, j, k, n]) * y[i, j, k, n] * ((k == c) - y[i, j, c, n])
    return dx


def loss(x, c, kind: str = "softmaxlog", weights=None, top_k: int = 5, threshold: float = 0.0) -> float:
    """sum of w * t(x, c): c and weights are (H, W, 1, N), for the losses of attributes (H, W, C, N); not divided by N."""
    total = 0.0
    for place, label, weight in _labelled(c, weights):
        if kind in ATTRIBUTE_LOSSES:
            total += weight * ATTRIBUTE_LOSSES[kind](float(x[place]), label, threshold)
        else:
            total += weight * _class_loss(
                [float(v) for v in x[place[0], place[1], :, place[3]]], label - 1, kind, top_k
            )
    return total


def loss_backward(x, c, dy: float = 1.0, kind: str = "softmaxlog", weights=None) -> np.ndarray:
    """dx."""
    dx = np.zeros(x.shape)
    for place, label, weight in _labelled(c, weights):
        if kind in ATTRIBUTE_SLOPES:
            dx[place] = dy * weight * ATTRIBUTE_SLOPES[kind](float(x[place]), label)
        elif kind not in ATTRIBUTE_LOSSES:
            i, j, _, n = place
            dx[i, j, :, n] = [dy * weight * v for v in _class_slope([float(v) for v in x[i, j, :, n]], label - 1, kind)]
    return dx


ATTRIBUTE_LOSSES = {
    "logistic": lambda x, c, threshold: math.log(1 + math.exp(-c * x)),
    "binarylog": lambda x, c, threshold: -math.log(x if c > 0 else 1 - x),
    "hinge": lambda x, c, threshold: max(0, 1 - c * x),
    "binaryerror": lambda x, c, threshold: float((x > threshold) - (x < threshold) != c),
}
ATTRIBUTE_SLOPES = {
    "logistic": lambda x, c: -c * math.exp(-c * x) / (1 + math.exp(-c * x)),
    "binarylog": lambda x, c: -1 / x if c > 0 else 1 / (1 - x),
    "hinge": lambda x, c: -c if c * x < 1 else 0,
}


def _class_loss(scores: list[float], label: int, kind: str, top_k: int) -> float:
    others = scores[:label] + scores[label + 1 :]
    if kind == "topkerror":
        order = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
        return float(label not in order[:top_k])
    return {
        "softmaxlog": lambda: math.log(sum(math.exp(s - scores[label]) for s in scores)),
        "log": lambda: -math.log(scores[label]),
        "classerror": lambda: float(scores.index(max(scores)) != label),
        "mhinge": lambda: max(0, 1 - scores[label]),
        "mshinge": lambda: max(0, 1 - scores[label] + max(others)),
    }[kind]()


def _class_slope(scores: list[float], label: int, kind: str) -> list[float]:
    """dt/dx_k for every k."""
    own, others = scores[label], scores[:label] + scores[label + 1 :]
    rival = next(k for k, s in enumerate(scores) if k != label and s == max(others))
    slope = [0.0] * len(scores)
    if kind == "softmaxlog":
        slope = [1 / sum(math.exp(s - score) for s in scores) - (k == label) for k, score in enumerate(scores)]
    elif kind == "log":
        slope[label] = -1 / max(own, 1e-8)
    elif kind == "mhinge":
        slope[label] = -float(own < 1)
    elif kind == "mshinge" and own - max(others) < 1:
        slope[label], slope[rival] = -1.0, 1.0
    return slope


def _labelled(c, weights) -> Iterator[tuple[tuple, int, float]]:
    """The place, label and weight of every label that is not 0."""
    for place in np.ndindex(c.shape):
        if c[place] != 0:
            yield place, int(c[place]), 1.0 if weights is None else float(weights[place])


# Normalisation and distance: y by the docstring's sums, dx from every term's own slope


def noffset(x, alpha: float, beta: float) -> np.ndarray:
    """x_k - alpha * (sum_q x_q^2)^beta."""
    y = np.zeros(x.shape)
    for i, j, k, n in np.ndindex(x.shape):
        y[i, j, k, n] = x[i, j, k, n] - alpha * sum(float(v) ** 2 for v in x[i, j, :, n]) ** beta
    return y


def noffset_backward(x, dy, alpha: float, beta: float) -> np.ndarray:
    """dx: each y_k is read by x_k and, through the sum, by every x_q."""
    dx = np.asarray(dy, float).copy()
    for i, j, k, n in np.ndindex(x.shape):
        size = sum(float(v) ** 2 for v in x[i, j, :, n])
        for q in range(x.shape[2]):
            dx[i, j, q, n] -= dy[i, j, k, n] * alpha * beta * size ** (beta - 1) * 2 * x[i, j, q, n]
    return dx


def spnorm(x, param) -> np.ndarray:
    """x * (1 + alpha * mean of x^2 over the window)^-beta."""
    y = np.zeros(x.shape)
    for place, pixels in _spnorm_windows(x, param):
        y[place] = x[place] * (1 + param[2] * sum(float(x[p]) ** 2 for p in pixels) / len(pixels)) ** -param[3]
    return y


def spnorm_backward(x, dy, param) -> np.ndarray:
    """dx: each y is moved by its own x and by all those of its window."""
    _, _, alpha, beta = param
    dx = np.zeros(x.shape)
    for place, pixels in _spnorm_windows(x, param):
        size = 1 + alpha * sum(float(x[p]) ** 2 for p in pixels) / len(pixels)
        dx[place] += dy[place] * size**-beta
        for p in pixels:
            dx[p] -= dy[place] * x[place] * beta * size ** (-beta - 1) * alpha * 2 * x[p] / len(pixels)
    return dx


def _spnorm_windows(x, param) -> Iterator[tuple[tuple, list[tuple]]]:
    (h, w, _, _), (ph, pw, _, _) = x.shape, param
    for i, j, c, n in np.ndindex(x.shape):
        rows = [v for v in range(i - (ph - 1) // 2, i - (ph - 1) // 2 + ph) if 0 <= v < h]
        columns = [u for u in range(j - (pw - 1) // 2, j - (pw - 1) // 2 + pw) if 0 <= u < w]
        yield (i, j, c, n), [(v, u, c, n) for v in rows for u in columns]


def normalizelp(x, p: int, epsilon: float, dimensions) -> tuple[np.ndarray, np.ndarray]:
    """x / L and L, the norms, with size 1 along the dimensions (1..4)."""
    y, norms = np.zeros(x.shape), np.zeros([1 if d + 1 in dimensions else size for d, size in enumerate(x.shape)])
    for place in np.ndindex(x.shape):
        norms[_along(place, dimensions)] += float(x[place]) ** p
    norms = (norms + epsilon) ** (1 / p)
    for place in np.ndindex(x.shape):
        y[place] = x[place] / norms[_along(place, dimensions)]
    return y, norms


def normalizelp_backward(x, dy, p: int, epsilon: float, dimensions) -> np.ndarray:
    """dx: y is moved by its own x, and by all those of its norm."""
    norms, dx = normalizelp(x, p, epsilon, dimensions)[1], np.zeros(x.shape)
    for place, other in product(np.ndindex(x.shape), np.ndindex(x.shape)):
        norm = norms[_along(place, dimensions)]
        if place == other:
            dx[other] += dy[place] / norm
        if _along(place, dimensions) == _along(other, dimensions):
            dx[other] -= dy[place] * x[place] / norm**2 * norm ** (1 - p) * float(x[other]) ** (p - 1)
    return dx


def _along(place: tuple, dimensions) -> tuple:
    """Where the norm of a place stands."""
    return tuple(0 if d + 1 in dimensions else index for d, index in enumerate(place))


def pdist(x, x0, p: float, no_root: bool = False, weights=None) -> np.ndarray:
    """(sum_c |x_c - x0_c|^p)^(1/p), times the weight; x0 of x's shape."""
    y = np.zeros((*x.shape[:2], 1, x.shape[3]))
    for i, j, _, n in np.ndindex(y.shape):
        total = sum(abs(float(a) - float(b)) ** p for a, b in zip(x[i, j, :, n], x0[i, j, :, n], strict=True))
        y[i, j, 0, n] = (total if no_root else total ** (1 / p)) * (1 if weights is None else weights[i, j, 0, n])
    return y


def pdist_backward(x, x0, dy, p: float, no_root: bool = False, weights=None) -> np.ndarray:
    """dx, where no distance is 0."""
    y, dx = pdist(x, x0, p), np.zeros(x.shape)
    for i, j, c, n in np.ndindex(x.shape):
        d = float(x[i, j, c, n]) - float(x0[i, j, c, n])
        slope = p * abs(d) ** (p - 1) * math.copysign(1, d)
        if not no_root:  # y = S^(1/p), so dy/dS = y^(1-p) / p
            slope *= y[i, j, 0, n] ** (1 - p) / p
        dx[i, j, c, n] = dy[i, j, 0, n] * slope * (1 if weights is None else weights[i, j, 0, n])
    return dx


# Moving values about


def concat(xs, dim: int = 3) -> np.ndarray:
    """One input after the other along dimension dim = 1..4."""
    size = list(xs[0].shape)
    size[dim - 1] = sum(x.shape[dim - 1] for x in xs)
    y = np.zeros(size)
    for x, place, goal in _concat_places(xs, dim):
        y[goal] = x[place]
    return y


def concat_backward(xs, dy, dim: int = 3) -> list[np.ndarray]:
    """The dx_i."""
    ders = [np.zeros(x.shape) for x in xs]
    for dx, place, goal in _concat_places(ders, dim):
        dx[place] = dy[goal]
    return ders


def _concat_places(xs, dim: int) -> Iterator[tuple[np.ndarray, tuple, tuple]]:
    before = 0
    for x in xs:
        for place in np.ndindex(x.shape):
            yield x, place, (*place[: dim - 1], place[dim - 1] + before, *place[dim:])
        before += x.shape[dim - 1]


def crop(x, sides: Four) -> np.ndarray:
    """y[i,j] = x[i + top, j + left]."""
    top, bottom, left, right = sides
    y = np.zeros((x.shape[0] - top - bottom, x.shape[1] - left - right, *x.shape[2:]))
    for i, j, c, n in np.ndindex(y.shape):
        y[i, j, c, n] = x[i + top, j + left, c, n]
    return y


def crop_backward(x, sides: Four, dy) -> np.ndarray:
    """dx."""
    dx = np.zeros(x.shape)
    for i, j, c, n in np.ndindex(dy.shape):
        dx[i + sides[0], j + sides[2], c, n] = dy[i, j, c, n]
    return dx


def approximate_lrn(x, param) -> np.ndarray:
    """LRN with MatConvNet's approximate power, in x's precision."""
    _, kappa, alpha, beta = param
    return x * _approximate_power(kappa + alpha * _over_window(x * x, param[0]), -beta)


def approximate_lrn_backward(x, dy, param) -> np.ndarray:
    """dx."""
    n, kappa, alpha, beta = param
    size = kappa + alpha * _over_window(x * x, n)
    power = _approximate_power(size, -beta)
    inner = _over_window((dy * x * power / size)[:, :, ::-1], n)[:, :, ::-1]  # over the k whose window holds q
    return dy * power - 2 * alpha * beta * x * inner


def _over_window(x, n) -> np.ndarray:
    """For each channel k the sum over k - floor((n-1)/2) .. k + ceil((n-1)/2)."""
    total, channels = np.zeros_like(x), x.shape[2]
    for k in range(channels):
        total[:, :, k] = x[:, :, max(0, k - int(n - 1) // 2) : k + int(n) // 2 + 1].sum(axis=2)
    return total


def _approximate_power(base, exponent: float) -> np.ndarray:
    """base^exponent as MatConvNet's CPU code for LRN takes it, up to 0.4 % away from the power: 2^(exponent * log2 base).

    The base is 2^k * m with 1 <= m < 2, and log2 m is the cubic with log2's values and slopes at 1 and 2; of the product, the
    whole part is exact and 2^f of the rest, 0 <= f < 1, the cubic with 2^f's values and slopes at 0 and 1. All in base's
    precision, in which infinity is taken for 2^128 or 2^1024, whose bits it has.
    """
    half, k = np.frexp(np.where(np.isinf(base), 0.5, base))
    k = np.where(np.isinf(base), np.finfo(base.dtype).maxexp + 1, k)
    log2 = (k - 1).astype(base.dtype) + _hermite(2 * half - 1, (0, 1), (1 / math.log(2), 0.5 / math.log(2)))
    whole, rest = np.divmod(exponent * log2, 1)
    return np.ldexp(_hermite(rest, (1, 2), (math.log(2), 2 * math.log(2))), whole.astype(int))


def _hermite(t, values, slopes):
    """The cubic with these values and slopes at t = 0 and t = 1."""
    (a, b), (s, r) = values, slopes
    return a + t * (s + t * (3 * (b - a) - 2 * s - r + t * (2 * (a - b) + s + r)))
