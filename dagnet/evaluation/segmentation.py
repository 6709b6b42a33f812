"""Lesion masks from a trained network, at the size of each image: one image, or folders of them.

An image (H, W, 3) is resized to the network's input as in training, the average colour is subtracted, and the network
computes from variable `input` the two score maps of `prediction` (1 skin, 2 lesion). They are resized bilinearly to
H x W (their difference is, which is the same at half the memory), and a pixel is lesion where the lesion's score is the
larger: the argmax, a tie being skin.
"""

import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import imageio.v3 as iio
import numpy as np

from dagnet import dagnn
from dagnet.data import images, imresize, isic2017
from dagnet.files import atomic
from dagnet.layers import array

from . import scoring

MASK_ENDING = "_segmentation.png"
Item = TypeVar("Item")
Result = TypeVar("Result")


def predict(net: dagnn.DagNN, image: np.ndarray) -> np.ndarray:
    """(H, W) bool lesion mask of one uint8 image (H, W, 3); for many images make a Segmenter once."""
    segmenter = Segmenter(net)
    return segmenter.masks([segmenter.prepare(image)], [image.shape[:2]])[0]


class Segmenter:
    """A trained network made ready to segment: a copy in test mode, without the loss and all else that wants labels.

    size, average: the input's (height, width), and what to subtract, a colour (3 numbers, 0..255) or an image
    (height, width, 3); by default what the network says in meta["normalization"]: imageSize, averageImage.
    ValueError: there is no variable `input` or `prediction`, or neither network nor caller says size and average.
    """

    def __init__(
        self, net: dagnn.DagNN, size: tuple[int, int] | None = None, average: Sequence[float] | np.ndarray | None = None
    ) -> None:
        self.net = _without_loss(net)
        said = net.meta.get("normalization", {})
        size_said = said.get("imageSize") if size is None else size
        average_said = said.get("averageImage") if average is None else average
        if size_said is None or average_said is None:
            missing = "imageSize" if size_said is None else "averageImage"
            raise ValueError(f"segmentation: the network's meta has no normalization.{missing}; pass size and average")
        height, width = np.ravel(size_said)[:2]
        self.size = (int(height), int(width))
        self.average = np.asarray(average_said, np.float32)
        if self.average.size == 3:
            self.average = self.average.reshape(3)
        elif self.average.shape != (*self.size, 3):
            shape = self.average.shape
            raise ValueError(
                f"segmentation: the average is {shape}; it must be 3 numbers or an image {(*self.size, 3)}"
            )

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """(h, w, 3) float32, the network's input for a uint8 image (H, W, 3)."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"segmentation: image is {image.dtype} {image.shape}; it must be uint8 (H, W, 3)")
        resized = imresize.imresize(image.astype(np.float32), self.size, method="bicubic")
        return np.clip(np.rint(resized), 0, 255) - self.average  # rounded once, as imdb keeps the images of training

    def masks(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """Bool lesion masks (H, W) of prepared images, evaluated as one batch; sizes: the (H, W) of each."""
        batch = np.stack(prepared).transpose(1, 2, 3, 0)  # (h, w, 3, n)
        self.net.eval({"input": array.to_gpu(batch) if self.net.device == "gpu" else batch})
        scores = array.to_numpy(self.net.vars["prediction"].value)
        if scores.shape[2] != 2:
            raise ValueError(f"segmentation: `prediction` is {scores.shape}; it must have 2 channels, skin and lesion")
        difference = scores[:, :, 1] - scores[:, :, 0]
        if not np.isfinite(difference).all():
            raise ValueError("segmentation: `prediction` holds NaN or infinite scores; did the training diverge?")
        return [imresize.imresize(difference[:, :, i], size, method="bilinear") > 0 for i, size in enumerate(sizes)]


def segment_files(
    segmenter: Segmenter,
    samples: Iterable[isic2017.Sample],
    folder: Path,
    batch_size: int = 6,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Write the mask of each sample's image to `folder` (ISIC_nnnnnnn_segmentation.png, 0 and 255); yields each path.

    Masks that are there already are kept (and yielded first) unless `overwrite`: an interrupted run goes on where it
    was. A mask's file is there only when it is whole. Images are read ahead while the network runs.
    ValueError: two images would get one mask's name (before any work), or an image cannot be read.
    """
    files = _mask_files(samples, folder)
    kept = [] if overwrite else [mask for mask in files if mask.exists()]
    todo = [mask for mask in files if mask not in set(kept)]
    yield from kept

    def load(mask: Path) -> tuple[np.ndarray, tuple[int, int]]:
        pixels = images.read_image(files[mask].image)
        return segmenter.prepare(pixels), (pixels.shape[0], pixels.shape[1])

    with ThreadPoolExecutor(max_workers=2) as pool:
        loaded = _ahead(pool, load, todo, depth=2 * batch_size)
        for start in range(0, len(todo), batch_size):
            chunk = todo[start : start + batch_size]
            prepared, sizes = zip(*(next(loaded) for _ in chunk), strict=True)
            for path, mask in zip(chunk, segmenter.masks(prepared, sizes), strict=True):
                write_mask(path, mask)
                yield path


def masks_there(samples: Iterable[isic2017.Sample], folder: Path) -> list[Path]:
    """The masks of these samples that are in the folder already. ValueError: two images would get one mask's name."""
    return [mask for mask in _mask_files(samples, folder) if mask.exists()]


def write_mask(path: Path, mask: np.ndarray) -> None:
    """A bool mask (H, W) as a single-channel PNG of 8 bits, lesion 255. The file appears only when whole."""
    with atomic.replacing(path) as part:
        iio.imwrite(part, mask.astype(np.uint8) * np.uint8(255), plugin="pillow", extension=".png")


def write_submission(masks: Path, archive: Path) -> int:
    """The challenge's ZIP of every ISIC_nnnnnnn_segmentation.png in folder `masks`, flat; returns how many.

    ValueError: the folder has no such mask.
    """
    files = [path for path in sorted(masks.glob("*" + MASK_ENDING)) if scoring.ISIC_NAME.match(path.name)]
    if not files:
        raise ValueError(f"{masks}: no masks to submit; their names are ISIC_nnnnnnn{MASK_ENDING}")
    with atomic.replacing(archive) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as bundle:
        for path in files:  # stored: a PNG is compressed already
            bundle.write(path, path.name)
    return len(files)


def _mask_files(samples: Iterable[isic2017.Sample], folder: Path) -> dict[Path, isic2017.Sample]:
    """Where each sample's mask goes. A name serves one image only."""
    files: dict[Path, isic2017.Sample] = {}
    for sample in samples:
        mask = folder / (sample.id + MASK_ENDING)
        if mask in files:
            raise ValueError(f"{sample.image}: its mask would replace that of {files[mask].image}; rename one of them")
        files[mask] = sample
    return files


def _ahead(pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], depth: int) -> Iterator[Result]:
    """function(item) for each item in order, `depth` of them at work or done before they are asked for."""
    pending: deque = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _without_loss(net: dagnn.DagNN) -> dagnn.DagNN:
    """A copy of the network in test mode with the layers alone on which `prediction` depends."""
    for name in ("input", "prediction"):
        if name not in net.vars:
            raise ValueError(f"segmentation: the network has no variable {name!r}; it has {', '.join(net.vars)}")
    maker = {output: layer for layer in net.layers.values() for output in layer.outputs}
    needed, wanted = set(), ["prediction"]
    while wanted:
        layer = maker.get(wanted.pop())
        if layer is not None and layer.name not in needed:
            needed.add(layer.name)
            wanted += layer.inputs
    deployed = net.copy()
    deployed.remove_layer([name for name in deployed.layers if name not in needed])
    deployed.mode = "test"
    return deployed
