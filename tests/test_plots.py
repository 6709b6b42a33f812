"""The report's figures: which curves are drawn, and what they say."""

import xml.etree.ElementTree as ET

import numpy as np

from dagnet.evaluation import plots

SVG = "{http://www.w3.org/2000/svg}"


def epochs(n: int, **more: object) -> list[dict]:
    return [
        {"objective": 1 / (1 + i), "accuracy": np.array([0.9, 0.8, 0.7]), "time": 3.0, "num": 6, **more}
        for i in range(n)
    ]


def lines_of(svg: str) -> int:
    """How many lines of data a figure of curves holds: one group per line, the grid's and the legend's left out."""
    root = ET.fromstring(svg)
    (axes,) = [group for group in root.iter(f"{SVG}g") if group.get("id") == "axes_1"]
    return len([group for group in axes if (group.get("id") or "").startswith("line2d_")])


def test_every_statistic_has_its_curve_and_times_have_none():
    curves = plots.training_curves({"train": epochs(3), "val": epochs(3)})
    assert list(curves) == ["objective", "pixel accuracy", "mean accuracy", "mean IU"]
    assert all(lines_of(svg) == 2 for svg in curves.values())


def test_numbers_of_an_unknown_statistic_are_counted():
    assert list(plots.training_curves({"train": [{"error": [0.5, 0.2], "note": "x"}]})) == ["error 1", "error 2"]


def test_a_statistic_that_only_training_has_or_that_one_epoch_lacks_is_still_drawn():
    curves = plots.training_curves({"train": [*epochs(2), {"objective": 0.1}], "val": [{"objective": 0.3}]})
    assert {"objective", "mean IU"} <= set(curves)


def test_no_epochs_make_no_curves():
    assert plots.training_curves({"train": [], "val": []}) == {}
    assert plots.training_curves({}) == {}


def test_the_same_numbers_make_the_same_text():
    stats = {"train": epochs(4), "val": epochs(4)}
    assert plots.training_curves(stats) == plots.training_curves(stats)
    assert plots.histogram({"net": [0.1, 0.9]}) == plots.histogram({"net": [0.1, 0.9]})


def test_a_histogram_grows_with_its_methods_and_bears_an_empty_one():
    one, two = plots.histogram({"net": [0.2, 0.8, 0.9]}), plots.histogram({"net": [0.2, 0.8, 0.9], "Otsu": [0.1, 0.3]})
    patches = [svg.count('id="patch_') for svg in (one, two)]
    assert patches[0] < patches[1]
    ET.fromstring(plots.histogram({"net": []}))
