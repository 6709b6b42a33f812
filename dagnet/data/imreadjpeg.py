"""Images as a network in training wants them: read, cropped, resized, flipped, recoloured (MatConvNet's vl_imreadjpeg).

Shapes    a file -> (H, W, 3) single, 0 .. 255, red green blue, (H, W, 1) for a grey one; packed: (H, W, 3, N), grey repeated
Order     1. Output size: the file's own; S: the shorter side is S, halves rounded up; [H W]: that.
          2. Crop: a rectangle of the output's shape times an anisotropy a, exp of an even draw between the logs of its range:
             W sqrt(a) wide and H / sqrt(a) high. It is made as large as fits, times sqrt of an even draw between the squares of
             crop_size's range, and rounded to pixels. An anisotropy of 0 stretches: the crop has the file's own shape.
             It lies at the centre, half a pixel too many going to the bottom and right, or at any place alike.
          3. Resize, vertically and then horizontally: output pixel i (from 0) looks at alpha i + (alpha - 1) / 2 + offset with
             alpha = crop / output, in single precision; a kernel of resampling.py, widened by alpha when shrinking, whose taps
             outside the file take its border pixels. (Those outside the crop alone take what is there.)
          4. Flip, with probability 1/2: left is right.
          5. Colours: plus B w, w three normal draws, minus the average; then each channel's distances from its mean times
             1 - C .. 1 + C; then each pixel's distances from the mean of its channels times 1 - S .. 1 + S.
Source    the documentation of vl_imreadjpeg; held against its output, which has no random case (tests/test_golden.py)

Every image has its own random numbers, always drawn and in one order: with the same seed, an image has the same crop whatever
else is asked for, and however many threads read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dagnet.data import images, resampling
from dagnet.layers import array, geometry

Source = Path | str | bytes
NUMBERS = ("crop_size", "crop_anisotropy", "subtract_average", "brightness", "contrast", "saturation")


def imreadjpeg(
    files: Source | Sequence[Source],
    *,
    pack: bool = False,
    num_threads: int = 1,
    seed: int | np.random.Generator | None = None,
    **recipe: Any,
) -> list[np.ndarray] | np.ndarray:
    """The images of these files (or of the bytes of files; JPEG and whatever else images.read_image reads), in their order.

    pack         one array (H, W, 3, N), in memory N, H, W, C, in place of a list; all outputs must be of one size
    num_threads  how many files are read at a time
    seed         a number or a generator makes the random choices repeatable
    recipe       what is done to each image: the options of Recipe
    Raises FileNotFoundError, or ValueError for a file that is damaged (with its name) or an option that is not right.
    """
    steps = Recipe(**recipe)
    if not isinstance(num_threads, int | np.integer) or num_threads < 1:
        raise ValueError(f"imreadjpeg: num_threads is {num_threads!r}; a whole number from 1 on is right")
    sources = [files] if isinstance(files, Source) else list(files)
    if strangers := [source for source in sources if not isinstance(source, Source)]:
        raise ValueError(f"imreadjpeg: {strangers[0]!r} stands for a file; a path, or the bytes of a file, is right")
    try:
        streams = np.random.default_rng(seed).spawn(len(sources))
    except (TypeError, ValueError) as error:
        raise ValueError(f"imreadjpeg: seed is {seed!r}; a whole number from 0 on, or a generator, is right") from error
    with ThreadPoolExecutor(num_threads) as pool:
        read = list(pool.map(lambda source, rng: steps.follow(source, rng, spread=pack), sources, streams))
    return _packed(read, sources) if pack else read


def prefetch(*args: Any, **options: Any) -> Future[list[np.ndarray] | np.ndarray]:
    """imreadjpeg in the background: at once a Future, whose result() is what imreadjpeg returns or raises."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(imreadjpeg, *args, **options)
    pool.shutdown(wait=False)
    return future


@dataclass(eq=False)
class Recipe:
    """What is done to an image, in the order above. Raises ValueError for an option that is not right.

    resize            None, S or (H, W)
    crop_size         a number in (0, 1], or the range (min, max) of the crop's side in parts of the largest one
    crop_anisotropy   a number or a range (min, max); above 1 the crop is wider than the output's shape, 0 stretches
    crop_location     "center" or "random"
    flip              whether to flip at random
    subtract_average  one number, one a channel, or an image of the output's size, (H, W) for grey ones
    brightness        B: 3 x 3, or a number, which stands for that times the unit matrix
    contrast          C, and saturation S, both from 0 to 1
    interpolation     "box", "bilinear", "bicubic", "lanczos2" or "lanczos3"
    """

    resize: Any = None
    crop_size: Any = 1
    crop_anisotropy: Any = 1
    crop_location: str = "center"
    flip: bool = False
    subtract_average: Any = 0
    brightness: Any = 0
    contrast: float = 0
    saturation: float = 0
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.resize is not None:
            geometry.positive_pair(self.resize, "imreadjpeg: resize")
            self.resize = [int(side) for side in np.ravel(self.resize)]
        given = {name: geometry.finite(getattr(self, name), f"imreadjpeg: {name}") for name in NUMBERS}
        average, matrix = given["subtract_average"].astype(np.float32), given["brightness"]
        if average.ndim == 2 and average.size > 3:
            average = average[:, :, None]
        low, high = self.crop_size = _range(given["crop_size"])
        least, most = self.crop_anisotropy = _range(given["crop_anisotropy"])
        for name, right, rule in (
            ("crop_size", 0 < low <= high <= 1, "above 0 and at most 1, (min, max) or one number,"),
            ("crop_anisotropy", 0 < least <= most < math.inf or least == most == 0, "(min, max), one number, or 0,"),
            ("crop_location", self.crop_location in ("center", "random"), "'center' or 'random'"),
            (
                "subtract_average",
                average.size in (1, 3) or average.shape[2:] in ((1,), (3,)),
                "one number, three, or an image",
            ),
            ("brightness", matrix.shape == (3, 3) or matrix.size == 1, "one number or 3 x 3"),
            *((name, _is_part(given[name]), "a number from 0 to 1") for name in ("contrast", "saturation")),
            ("interpolation", self.interpolation in resampling.KERNELS, "one of " + ", ".join(resampling.KERNELS)),
        ):
            if not right:
                value = getattr(self, name)
                came = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
                raise ValueError(f"imreadjpeg: {name} is {came}; {rule} is right")
        self.subtract_average = average if average.size > 3 else np.resize(average, (1, 1, 3))
        self.brightness = matrix if matrix.size > 1 else matrix.item() * np.eye(3)
        self.contrast, self.saturation = given["contrast"].item(), given["saturation"].item()

    def follow(self, source: Source, rng: np.random.Generator, spread: bool = False) -> np.ndarray:
        """The image (H, W, C) of one file; with `spread` a grey one has three channels."""
        flip, anisotropy, extent, down, across, contrast, saturation = rng.random(7)
        normal = rng.standard_normal(3)
        image = images.read_channels(source)
        size = image.shape[:2]
        output = self._output(size)
        crop = self._crop(size, output, anisotropy, extent)
        for axis, chance in enumerate((down, across)):
            free = size[axis] - crop[axis]
            offset = int(chance * (free + 1)) if self.crop_location == "random" else free // 2
            weights = _weights(size[axis], output[axis], crop[axis], offset, self.interpolation)
            image = resampling.apply(weights, image, axis, np.dtype(np.float32))
        if self.flip and flip < 0.5:
            image = image[:, ::-1]
        if spread and image.shape[2] == 1:
            image = image.repeat(3, axis=2)
        return self._recoloured(image, normal, _between(contrast, -1, 1), _between(saturation, -1, 1), source)

    def _output(self, size: Sequence[int]) -> Sequence[int]:
        """(H, W) of the output, for a file of that size."""
        if self.resize is None or len(self.resize) == 2:
            return self.resize or size
        return [math.floor(self.resize[0] * side / min(size) + 0.5) for side in size]

    def _crop(self, size: Sequence[int], output: Sequence[int], anisotropy: float, extent: float) -> list[int]:
        """(H, W) of the crop; the last two are draws from 0 to 1."""
        if self.crop_anisotropy == (0, 0):
            wanted = [float(side) for side in size]
        else:
            low, high = map(math.log, self.crop_anisotropy)
            root = math.exp(_between(anisotropy, low, high) / 2)
            wanted = [output[0] / root, output[1] * root]
        low, high = self.crop_size
        scale = min(side / want for side, want in zip(size, wanted, strict=True))
        scale *= math.sqrt(_between(extent, low**2, high**2))
        return [max(math.floor(scale * want + 0.5), 1) for want in wanted]

    def _recoloured(
        self, image: np.ndarray, normal: np.ndarray, contrast: float, saturation: float, source: Source
    ) -> np.ndarray:
        """The image with its colours changed; contrast and saturation from -1 to 1."""
        channels = image.shape[2]
        average = self.subtract_average[:, :, :channels]
        if average.shape not in (image.shape, (1, 1, channels)):
            raise ValueError(
                f"imreadjpeg: subtract_average has shape {self.subtract_average.shape} and {images.name_of(source)} comes out "
                f"as {image.shape}; an image of that size, or one number a channel, is right"
            )
        image = image + ((self.brightness @ normal)[:channels] - average).astype(np.float32)
        for amount, axes in ((self.contrast * contrast, (0, 1)), (self.saturation * saturation, 2)):
            if amount:
                mean = image.mean(axis=axes, keepdims=True, dtype=np.float64)
                image = (mean + (1 + amount) * (image - mean)).astype(np.float32)
        return image


def _range(numbers: np.ndarray) -> tuple[float, float]:
    """A number as the range from it to itself, a pair as it is; anything else as a range that is none."""
    return (numbers.flat[0].item(), numbers.flat[-1].item()) if numbers.size in (1, 2) else (math.nan, math.nan)


def _is_part(number: np.ndarray) -> bool:
    return number.size == 1 and 0 <= number.item() <= 1


def _between(draw: float, low: float, high: float) -> float:
    """A draw from 0 to 1 as one from low to high."""
    return low + draw * (high - low)


def _weights(n_in: int, n_out: int, crop: int, offset: int, kernel: str) -> Any:
    """The matrix (n_out, n_in) that makes n_out pixels of the `crop` ones from `offset` on."""
    alpha = np.float32(crop / n_out)
    beta = np.float32(0.5 * (float(alpha) - 1) + offset)
    # Rounded to single once, as in MatConvNet: where a box just reaches a pixel, it shows.
    u = (float(alpha) * np.arange(n_out) + float(beta)).astype(np.float32).astype(float)
    return resampling.matrix(u, n_in, kernel, 1 / max(float(alpha), 1), lambda index: index.clip(0, n_in - 1))


def _packed(read: Sequence[np.ndarray], sources: Sequence[Source]) -> np.ndarray:
    """The images (H, W, 3) as one array (H, W, 3, N). Raises ValueError where their sizes differ, or there are none."""
    if not read:
        raise ValueError("imreadjpeg: there are no files to pack; at least one is right")
    packed = array.empty(np, (*read[0].shape, len(read)), np.float32)
    for n, (image, source) in enumerate(zip(read, sources, strict=True)):
        if image.shape != read[0].shape:
            raise ValueError(
                f"imreadjpeg: {images.name_of(sources[0])} comes out as {read[0].shape} and {images.name_of(source)} as "
                f"{image.shape}; to pack them, give resize as (H, W)"
            )
        packed[..., n] = image
    return packed
