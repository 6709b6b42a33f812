"""The ranges of what a SimpleNN computed."""

import imageio.v3 as iio
import numpy as np

from dagnet import SimpleNN
from dagnet.simplenn import run
from dagnet.summary import diagnosis

X = np.array([[1.0, -3], [2, 4]]).reshape(2, 2, 1, 1)


def net() -> SimpleNN:
    weights = [np.array([2.0, -1]).reshape(1, 1, 1, 2), np.array([[0.0, 1]])]
    return SimpleNN([{"type": "relu"}, {"type": "conv", "weights": weights}])


def test_ranges_are_least_mean_and_greatest_of_each_layer():
    a_net = net()
    found = diagnosis.ranges(a_net, run(a_net, X, dzdy=1.0))
    assert found == {
        "x": [(-3, 1, 4), (0, 1.75, 4), (-3, 1.375, 8)],
        "dzdx": [(0, 0.75, 1), (1, 1, 1), (1, 1, 1)],
        "weights 1": [None, (-1, 0.5, 2)],
        "dzdw 1": [None, (7, 7, 7)],
        "weights 2": [None, (0, 0.5, 1)],
        "dzdw 2": [None, (4, 4, 4)],
    }


def test_what_was_freed_has_no_range():
    a_net = net()
    found = diagnosis.ranges(a_net, run(a_net, X, conserve_memory=True))
    assert found["x"] == [None, None, (-3, 1.375, 8)] and found["dzdx"] == found["dzdw 1"] + [None] == [None] * 3


def test_a_picture_has_a_panel_for_each(tmp_path):
    a_net = net()
    diagnosis.diagnose(a_net, run(a_net, X, dzdy=1.0), tmp_path / "a.png")
    diagnosis.diagnose(a_net, run(a_net, X), tmp_path / "b.png")
    diagnosis.diagnose(SimpleNN([]), [], tmp_path / "none.svg")
    six, three = (iio.imread(tmp_path / name) for name in ("a.png", "b.png"))
    assert six.shape[1] == three.shape[1] and six.shape[0] > three.shape[0]
    assert (six < 128).any() and (tmp_path / "none.svg").stat().st_size


def test_a_panel_has_three_curves_a_title_and_an_axis(tmp_path):
    a_net = net()
    res = run(a_net, X, dzdy=1.0)
    diagnosis.diagnose(a_net, res, tmp_path / "a.png")
    image = iio.imread(tmp_path / "a.png")[..., :3]
    for colour in ((31, 119, 180), (255, 127, 14), (44, 160, 44)):  # matplotlib's first three
        assert (image == colour).all(axis=2).sum() > 100
    diagnosis.diagnose(a_net, res, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(
        encoding="utf-8"
    )  # where what is written stands in a comment beside its outlines
    for word, count in (("least", 1), ("mean", 1), ("greatest", 1), ("dzdw 2", 1), ("x", 1), ("res", 2), ("layer", 4)):
        assert text.count(f"<!-- {word} -->") == count, word
