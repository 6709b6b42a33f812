"""Networks that others trained in MATLAB reach here the quality they are known for: importer and engine together.

They are real data (../shared/data/networks or $DAGNET_DATA); without them these tests skip. All images that the known
figures are means over are used, whole, but where a test says that it takes one image.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.dagnn import DagNN
from dagnet.files import netfile
from dagnet.layers import block, catalogue

SIGMA = 25 / 255


@pytest.fixture
def networks(data_dir) -> Path:
    return data_dir / "networks"


def load(path: Path) -> DagNN:
    """The net in test mode, without the warnings about its custom layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = netfile.load(path)
    net.mode = "test"
    return net


def psnr(y: np.ndarray, truth: np.ndarray, peak: float = 1.0) -> float:
    return 10 * np.log10(peak**2 / np.mean((y.astype(np.float64) - truth) ** 2))


def noisy_image(networks: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey image (H, W) of set12 in 0..1, and the same with Gaussian noise of sigma 25."""
    image = iio.imread(networks / f"set12/{number:02d}.png") / 255
    noise = np.random.default_rng(number).standard_normal(image.shape)
    return image, (image + SIGMA * noise).astype(np.float32)


def output(net: DagNN, var: str, **inputs: np.ndarray) -> np.ndarray:
    """The variable's value (H, W), from one grey image (H, W) as input."""
    net.eval({name: value[:, :, None, None] for name, value in inputs.items()})
    return net.vars[var].value[:, :, 0, 0]


def test_mnist_is_98_35_percent_right(networks):
    data = np.load(networks / "mnist_test.npz")
    net = load(networks / "mnist_dagnn.mat")
    right = 0
    for start in range(0, 2000, 500):
        net.eval({"data": data["images"][..., start : start + 500] / np.float32(255)})
        scores = net.vars["ip2"].value
        right += np.sum(scores.argmax(2).ravel() + 1 == data["labels"].ravel()[start : start + 500])
    assert right == 1967


@pytest.mark.parametrize(("name", "decibels"), [("butterfly", 34.23), ("bird", 42.69)])
def test_lapsrn_doubles_the_resolution_as_well_as_its_authors_say(networks, name, decibels):
    data = np.load(networks / f"set5_{name}_y.npz")
    net = load(networks / "lapsrn_x2.mat")
    y = 255 * output(net, "level1_output", LR=data["low_resolution"] / np.float32(255))
    inner = np.s_[2:-2, 2:-2]
    assert psnr(y[inner], data["ground_truth"][inner], 255) == pytest.approx(decibels, abs=0.006)


def test_dncnn_takes_the_noise_away(networks):
    net = load(networks / "dncnn_sigma25_v73.mat")
    before, after = [], []
    for number in range(1, 8):
        image, noisy = noisy_image(networks, number)
        before.append(psnr(noisy, image))
        after.append(psnr(noisy - output(net, net.outputs[0], x0=noisy), image))
    assert np.mean(before) == pytest.approx(20.18, abs=0.05)
    assert np.mean(after) == pytest.approx(30.37, abs=0.06)  # the noise is drawn anew here


@pytest.mark.parametrize(
    ("name", "decibels"), [("dncnn_sigma25_bnorm_v73.mat", 33.0), ("damp_dncnn17_sigma20to40.mat", 32.9)]
)
def test_dncnn_with_batch_normalisation_takes_the_noise_away_in_test_mode(networks, name, decibels):
    net = load(networks / name)
    image, noisy = noisy_image(networks, 2)  # one image; the same network without batch normalisation reaches 33.0
    denoised = noisy - output(net, "x48", x0=noisy)  # x48 feeds the loss, which has no label and so does not run
    assert psnr(denoised, image) == pytest.approx(decibels, abs=0.15)


@dataclass
class SubP(block.Layer):
    """FFDNet's own layer: scale 0.5 deals 2x2 pixels to four channels, column by column; scale 2 puts them back."""

    scale: float = 1.0

    def forward(self, inputs, params):
        (x,) = inputs
        h, w, c, n = x.shape
        if self.scale < 1:
            pixels = x.reshape(h // 2, 2, w // 2, 2, c, n).transpose(0, 2, 3, 1, 4, 5)
            return [pixels.reshape(h // 2, w // 2, 4 * c, n)]
        pixels = x.reshape(h, w, 2, 2, c // 4, n).transpose(0, 3, 1, 2, 4, 5)
        return [pixels.reshape(2 * h, 2 * w, c // 4, n)]


@dataclass
class NoiseLevel(block.Layer):
    """FFDNet's other layer, `concat`: one more channel, with the noise's standard deviation."""

    sigma: float = SIGMA

    def forward(self, inputs, params):
        (x,) = inputs
        return [np.concatenate([x, np.full_like(x[:, :, :1], self.sigma)], axis=2)]


def test_ffdnet_runs_with_blocks_that_the_user_supplies(networks, monkeypatch):
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    catalogue.register("SubP", SubP)
    catalogue.register("concat", NoiseLevel)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = netfile.load(networks / "ffdnet_gray.mat")
    image, noisy = noisy_image(networks, 2)  # one image
    assert psnr(output(net, net.outputs[0], x0=noisy), image) == pytest.approx(33.2, abs=0.15)


def test_ffdnet_without_its_blocks_says_which_are_missing(networks):
    net = load(networks / "ffdnet_gray.mat")
    with pytest.raises(NotImplementedError, match=r"'SubP'.*catalogue\.register"):
        net.eval({"x0": np.zeros((8, 8, 1, 1), np.float32)})


def test_vdcfnet_runs_and_its_response_normalisation_is_the_textbooks_formula(networks):
    net = load(networks / "vdcfnet.mat")
    net.vars["x5"].precious = True
    image = iio.imread(networks / "set12/01.png")[:125, :125, None, None].astype(np.float32) - 120
    net.eval({"x0": np.repeat(image, 3, axis=2)})
    x, y = net.vars["x5"].value, net.vars["x6"].value
    assert y.shape == (125, 125, 32, 1)
    window = x[60, 70, 8:13, 0].astype(np.float64)  # five channels around channel 10
    assert y[60, 70, 10, 0] == pytest.approx(window[2] * (1 + 2e-5 * np.sum(window**2)) ** -0.75, rel=1e-5)


def test_oneclick_gives_each_of_its_65_classes_a_score_and_with_a_label_a_loss(networks):
    net = load(networks / "oneclick_mnist_net-epoch-50.mat")
    mean = net.meta["normalization"]["averageImage"].astype(np.float32)
    net.vars["x7"].precious = True
    net.eval({"x0": mean[:, :, None, None], "label": np.full((1, 1, 1, 1), 3, np.float32)})
    scores = net.vars["x7"].value
    assert scores.shape == (1, 1, 65, 1)
    loss = np.log(np.sum(np.exp(scores.astype(np.float64)))) - scores[0, 0, 2, 0]
    assert np.ravel(net.vars["x8"].value) == pytest.approx(loss, rel=1e-5)
