"""Generated dermoscopic images of skin lesions, with their true masks: data for a machine that has none.

They hold what makes real images hard (the paper's figure 1): low contrast, irregular and obscure borders, lesions of any
size and colour; hairs, ruler marks, colour charts, ink, air bubbles, dark corners. A threshold on the grey value takes
hairs, charts and corners for lesion and faint lesions for skin; a network can learn better.

How an image comes to be: light falls on skin; the lesion's pigments take their part of each colour away (Beer-Lambert:
colour = skin * exp(-density * absorption)), so that dark and pale lesions have natural hues; what lies on the skin
(bubbles, ink, charts, rulers, hairs) is laid over; the instrument adds dark corners, blur and noise.

Coordinates x, y run from -1 to 1 over the image, so that one seed gives the same picture at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from tqdm import tqdm

from dagnet.files import atomic

from . import imresize

Canvas = np.ndarray  # (size, size, 3) float, 0..1
Field = np.ndarray  # (size, size) float

_SKIN = np.array(  # light, pink, beige, tanned, brown, greyish: mean colours as dermatoscopes show them
    [
        [232, 205, 192],
        [226, 176, 160],
        [214, 182, 160],
        [205, 160, 134],
        [176, 132, 108],
        [190, 178, 172],
        [205, 148, 140],
    ]
)
_PIGMENTS = np.array(  # absorption of red, green, blue: melanin (brown), deep melanin (blue-grey), blood (red)
    [[0.58, 1.0, 1.4], [1.0, 1.05, 0.95], [0.3, 1.0, 0.9]]
)
_CHARTS = np.array(
    [
        [70, 190, 190],
        [60, 120, 190],
        [60, 150, 90],
        [225, 190, 60],
        [190, 60, 60],
        [45, 45, 50],
        [120, 80, 60],
        [90, 90, 150],
    ]
)
_HAIRS = np.array([[38, 26, 22], [62, 42, 32], [20, 17, 18], [110, 84, 60]])
_INK = np.array([98, 72, 158])


def dataset(n: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n images uint8 (n, size, size, 3) and their masks bool (n, size, size); another seed, other lesions."""
    if n < 1:
        raise ValueError(f"phantom: n is {n}; it must be at least 1")
    images = np.empty((n, size, size, 3), np.uint8)
    masks = np.empty((n, size, size), bool)
    for i in range(n):
        images[i], masks[i] = sample((seed, i), size)
    return images, masks


def write_split(root: Path | str, split: str, n: int, size: int, seed: int) -> None:
    """Write n images and masks as the challenge's folders hold them (see isic2017), with a progress bar in a terminal.

    Files that are there are kept: the same arguments give the same files. Raises OSError where root cannot be written.
    """
    images, masks = (Path(root) / f"ISIC-2017_{split}_{part}" for part in ("Data", "Part1_GroundTruth"))
    for i in tqdm(range(n), f"generating {split}", unit=" images", disable=None):
        name = f"ISIC_{i:07d}"
        files = images / f"{name}.jpg", masks / f"{name}_segmentation.png"
        if all(file.exists() for file in files):
            continue
        image, mask = sample((seed, i), size)
        for file, pixels, options in (
            (files[0], image, {"quality": 95}),
            (files[1], np.where(mask, 255, 0).astype(np.uint8), {}),
        ):
            with atomic.replacing(file) as part:
                iio.imwrite(part, pixels, plugin="pillow", extension=file.suffix, **options)  # type: ignore[call-overload]


def sample(seed: int | Sequence[int], size: int) -> tuple[np.ndarray, np.ndarray]:
    """One image uint8 (size, size, 3) and its mask bool (size, size), True = lesion."""
    if size < 16:
        raise ValueError(f"phantom: size is {size}; it must be at least 16")
    rng = np.random.default_rng(seed)
    skin = _skin(rng, size)
    depth, radius, centre = _lesion_depth(rng, size)
    image = skin * _transmitted(rng, depth, radius)
    mask = depth > 0
    if rng.random() < 0.25:
        _add_bubbles(rng, image)
    if rng.random() < 0.15:
        _add_ink(rng, image, centre)
    if rng.random() < 0.22:
        mask &= ~_add_chart(rng, image, centre, radius)
    if rng.random() < 0.35:
        _add_ruler(rng, image, centre)
    if rng.random() < 0.6:
        _add_hairs(rng, image)
    if rng.random() < 0.3:
        mask &= ~_add_dark_corners(rng, image)
    image += rng.normal(0, 1, image.shape) * rng.uniform(0.002, 0.012)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8), mask


def _grid(size: int) -> tuple[Field, Field]:
    """x (1, size) and y (size, 1) of the pixels' centres."""
    x = (2 * np.arange(size) + 1) / size - 1
    return x[None, :], x[:, None]


def _noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 1) -> Field:
    """Smooth noise of standard deviation near 1 whose largest spots are 2 / cells wide; each octave halves them."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        spots = rng.normal(size=(cells << octave, cells << octave))
        total += imresize.imresize(spots, (size, size)) * 0.6**octave
    return total / max(total.std(), 1e-6)


def _smoothstep(x: Field) -> Field:
    return 0.5 + 0.5 * np.tanh(x)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number, every factor equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _skin(rng: np.random.Generator, size: int) -> Canvas:
    """Skin of one person under uneven light: blotches of blood, pores, freckles."""
    x, y = _grid(size)
    tone = rng.dirichlet(np.full(len(_SKIN), 0.2)) @ _SKIN / 255
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.14) * (x * np.cos(angle) + y * np.sin(angle))
    falloff = rng.uniform(0, 0.22) * (x**2 + y**2) / 2
    pores = rng.uniform(0.005, 0.03) * _noise(rng, size, 48, octaves=2)
    light = np.exp(slope - falloff + pores + rng.uniform(0.0, 0.05) * _noise(rng, size, 3, octaves=2))
    blood = rng.uniform(0.01, 0.055) * _noise(rng, size, 4, octaves=4)
    density = blood[:, :, None] * _PIGMENTS[2] + _freckles(rng, size)[:, :, None] * _PIGMENTS[0]
    return tone * light[:, :, None] * np.exp(-density)


def _freckles(rng: np.random.Generator, size: int) -> Field:
    """Density of the small brown spots that are not the lesion."""
    x, y = _grid(size)
    density = np.zeros((size, size))
    for _ in range(rng.poisson(1.5)):
        cx, cy, radius = rng.uniform(-1, 1), rng.uniform(-1, 1), _between(rng, 0.01, 0.06)
        density += rng.uniform(0.05, 0.35) * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2))
    return density


def _lesion_depth(rng: np.random.Generator, size: int) -> tuple[Field, float, np.ndarray]:
    """How far inside the border each pixel lies (negative outside), about in units of x; the mean radius; the centre."""
    x, y = _grid(size)
    radius = _between(rng, 0.22, 0.75)
    centre = rng.uniform(-1, 1, 2) * max(0.05, 0.6 - 0.75 * radius)
    irregular = rng.uniform(0.03, 0.22)
    depth = _blob(rng, x - centre[0], y - centre[1], radius, irregular)
    if rng.random() < 0.3:  # a second lobe
        angle = rng.uniform(0, 2 * np.pi)
        cx, cy = centre + 0.75 * radius * np.array([np.cos(angle), np.sin(angle)])
        depth = np.maximum(depth, _blob(rng, x - cx, y - cy, radius * rng.uniform(0.35, 0.6), irregular))
    depth += radius * irregular * (0.35 * _noise(rng, size, 7, octaves=2))
    return depth, radius, centre


def _blob(rng: np.random.Generator, dx: Field, dy: Field, radius: float, irregular: float) -> Field:
    """Depth inside a turned ellipse whose border waves."""
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.62, 1.0)
    u = (dx * np.cos(turn) + dy * np.sin(turn)) * np.sqrt(flat)
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / np.sqrt(flat)
    angle = np.arctan2(v, u)
    wave = sum(rng.normal() * irregular / k**0.8 * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 8))
    return radius * np.maximum(1 + wave, 0.45) - np.hypot(u, v)


def _transmitted(rng: np.random.Generator, depth: Field, radius: float) -> Canvas:
    """What the lesion lets through of each colour, 0..1: pigments of varying density, soft at the border."""
    size = len(depth)
    soft = radius * _between(rng, 0.03, 0.22)
    ragged = depth + 0.5 * soft * _noise(rng, size, 20, octaves=2)
    inside = _smoothstep(1.5 * ragged / soft)
    core = np.clip(depth / radius, 0, 1)
    strength = _between(rng, 0.18, 1.3)
    texture = np.exp(rng.uniform(0.1, 0.4) * _noise(rng, size, 4, octaves=4) + _pattern(rng, size))
    density = strength * inside * texture * (1 + rng.uniform(-0.35, 1.0) * core)
    mixture = np.array([1.0, rng.uniform(0, 0.5) ** 2, rng.uniform(0, 0.8) ** 2])
    places = [mixture[k] * np.exp(0.6 * _noise(rng, size, 3, octaves=2)) for k in range(3)]
    shares = np.stack(places, axis=2) / np.sum(places, axis=0)[:, :, None]
    absorbed = density[:, :, None] * (shares @ _PIGMENTS)
    halo = rng.uniform(0, 0.12) * np.exp(np.minimum(depth, 0) / (0.5 * radius))  # reddened skin around it
    return np.exp(-absorbed - halo[:, :, None] * _PIGMENTS[2])


def _pattern(rng: np.random.Generator, size: int) -> Field:
    """Pigment network, globules, or nothing: the fine structure of a lesion, to be added to the density's logarithm."""
    kind = rng.integers(3)
    spots = _noise(rng, size, int(rng.integers(18, 34)))
    amount = rng.uniform(0.15, 0.6)
    if kind == 0:
        return amount * (0.8 - np.abs(spots))  # ridges where the noise changes sign make a net
    if kind == 1:
        return amount * _smoothstep(3 * (spots - 0.8))
    return np.zeros_like(spots)


def _stroke(size: int, points: np.ndarray, width: float | np.ndarray) -> Field:
    """Coverage 0..1 of a thin line through points (n, 2) of x, y; width in units of x, one or one a point."""
    n = 2 + int(np.abs(np.diff(points, axis=0)).sum(axis=0).max() * size)  # about half a pixel apart
    at, known = np.linspace(0, 1, n), np.linspace(0, 1, len(points))
    px, py = ((np.interp(at, known, points[:, k]) + 1) * size / 2 - 0.5 for k in (0, 1))
    radius = np.interp(at, known, np.broadcast_to(width, len(points))) * size / 4
    cover = np.zeros((size, size))
    reach = int(np.ceil(radius.max() + 0.5))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            ix, iy = np.rint(px).astype(int) + dx, np.rint(py).astype(int) + dy
            near = np.clip(radius + 0.5 - np.hypot(ix - px, iy - py), 0, 1) * np.minimum(1, 2 * radius)
            seen = (near > 0) & (ix >= 0) & (iy >= 0) & (ix < size) & (iy < size)
            np.maximum.at(cover, (iy[seen], ix[seen]), near[seen])
    return cover


def _lay(image: Canvas, cover: Field, colour: np.ndarray) -> None:
    """Paint a colour (3,) or a picture, 0..1, over the image where cover is 1."""
    image += cover[:, :, None] * (colour - image)


def _add_hairs(rng: np.random.Generator, image: Canvas) -> None:
    size = len(image)
    colour = _HAIRS[rng.integers(len(_HAIRS))] / 255
    main, spread = rng.uniform(0, np.pi), rng.uniform(0.2, 1.5)
    width = _between(rng, 0.01, 0.028)
    cover = np.zeros((size, size))
    for _ in range(1 + rng.poisson(_between(rng, 2, 16))):
        angle = main + spread * rng.normal()
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        middle, length, bend = rng.uniform(-1, 1, 2), rng.uniform(0.3, 1.4), rng.normal(0, 0.3)
        t = np.linspace(-1, 1, 24)[:, None]
        points = middle + length * t * along + bend * (1 - t**2) * across + 0.08 * rng.normal() * t**3 * across
        taper = width * rng.uniform(0.6, 1.2) * (1 - 0.6 * np.linspace(0, 1, 24) ** 3)
        cover = np.maximum(cover, _stroke(size, points, taper))
    _lay(image, cover * rng.uniform(0.7, 0.95), colour)


def _add_ruler(rng: np.random.Generator, image: Canvas, centre: np.ndarray) -> None:
    """A line with ticks, as dermatoscopes engrave it, on the side away from the lesion."""
    size = len(image)
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    side = -1.0 if across @ centre > 0 else 1.0
    start = side * rng.uniform(0.62, 0.88) * across + rng.uniform(-0.3, 0.1) * along
    spacing, width, tick = rng.uniform(0.07, 0.16), rng.uniform(0.012, 0.03), rng.uniform(0.05, 0.1)
    places = np.arange(-12, 13) * spacing
    first, last = sorted(rng.integers(0, 25, 2))
    first, last = (min(first, 8), max(last, 16))
    cover = _stroke(size, start + np.outer(places[[first, last]], along), width)
    for i in range(first, last + 1):
        foot = start + places[i] * along
        length = tick * (1.8 if i % 5 == 0 else 1.0)
        cover = np.maximum(cover, _stroke(size, np.stack([foot, foot - side * length * across]), width))
    _lay(image, cover * rng.uniform(0.75, 0.95), np.full(3, rng.uniform(0.05, 0.2)))


def _add_chart(rng: np.random.Generator, image: Canvas, centre: np.ndarray, radius: float) -> np.ndarray:
    """A round colour patch that reaches in from the edge away from the lesion; returns where it lies, bool."""
    size = len(image)
    x, y = _grid(size)
    away = np.arctan2(-centre[1], -centre[0]) + rng.normal(0, 0.5)
    own = rng.uniform(0.4, 0.9)
    distance = max(own + 1.05 * radius, rng.uniform(0.6, 0.95) + own - centre @ [np.cos(away), np.sin(away)])
    cx, cy = centre + distance * np.array([np.cos(away), np.sin(away)])
    colour = _CHARTS[rng.integers(len(_CHARTS))] / 255 * rng.uniform(0.75, 1.15)
    weave = 1 + 0.06 * _noise(rng, size, 40, octaves=2) + 0.08 * _noise(rng, size, 2)
    cover = np.clip((own - np.hypot(x - cx, y - cy)) * size / 2 + 0.5, 0, 1)
    _lay(image, cover, colour * weave[:, :, None])
    return cover > 0.5


def _add_ink(rng: np.random.Generator, image: Canvas, centre: np.ndarray) -> None:
    """Scribbles of a surgical marker on the skin, in the corner opposite to the lesion."""
    size = len(image)
    corner = -np.where(centre >= 0, 1.0, -1.0) * rng.uniform(0.7, 1.0, 2)
    angle, n = rng.uniform(0, np.pi), int(rng.integers(10, 26))
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    reach = rng.uniform(0.08, 0.22) * np.where(np.arange(n) % 2, 1, -1) * rng.uniform(0.5, 1, n)  # to and fro
    points = corner + np.outer(reach, across) + np.outer(np.linspace(-0.3, 0.3, n) + rng.normal(0, 0.03, n), along)
    cover = _stroke(size, points, rng.uniform(0.02, 0.04))
    patchy = np.clip(0.65 + 0.3 * _noise(rng, size, 24), 0.1, 0.95)
    _lay(image, cover * patchy, _INK / 255 * rng.uniform(0.7, 1.1))


def _add_bubbles(rng: np.random.Generator, image: Canvas) -> None:
    """Air in the immersion fluid: bright rims, darker on the far side, each with a glint."""
    x, y = _grid(len(image))
    main = rng.uniform(-0.9, 0.9, 2)
    for _ in range(1 + rng.poisson(5)):
        cx, cy = main + rng.normal(0, 0.4, 2)
        radius = _between(rng, 0.02, 0.13)
        away = np.hypot(x - cx, y - cy)
        rim = np.exp(-(((away - radius) / (0.16 * radius + 0.008)) ** 2))
        lit = 0.5 - 0.6 * ((x - cx) + (y - cy)) / np.maximum(away, 1e-6)  # light comes from the upper left
        glint = np.exp(-((x - cx + 0.4 * radius) ** 2 + (y - cy + 0.4 * radius) ** 2) / (0.25 * radius) ** 2)
        image += (0.16 * rim * lit + 0.35 * glint + 0.03 * (away < radius))[:, :, None]


def _add_dark_corners(rng: np.random.Generator, image: Canvas) -> np.ndarray:
    """The round opening of the dermatoscope, or black bars above and below; returns what is hidden, bool."""
    x, y = _grid(len(image))
    black = rng.uniform(0.01, 0.06)
    if rng.random() < 0.2:
        shown = _smoothstep((rng.uniform(0.8, 0.95) - np.abs(y)) / 0.01) + 0 * x
    else:
        cx, cy = rng.normal(0, 0.06, 2)
        shown = _smoothstep((rng.uniform(0.98, 1.3) - np.hypot(x - cx, y - cy)) / _between(rng, 0.01, 0.12))
    image *= shown[:, :, None]
    image += black * (1 - shown[:, :, None])
    return shown < 0.5
