"""Cost as work grows: operations are counted right, and memory stays in its bounds."""

import json

import numpy as np
import pytest
from dagnet.tools.benchmark import contenders, growth, memory, processes, tables

from dagnet import dagnn
from dagnet.layers import conv, convt
from dagnet.models import lesion_fcn

SIDE, IMAGES, WIDTH = 192, 2, 0.25


def point(name="dagnet plain", side=96, images=1, **changes):
    usual = {"libraries": 90.0, "weights": 10.0, "layers": 4.0, "evaluation": 15.0, "training": 50.0}
    return {
        "name": name,
        "side": side,
        "images": images,
        "ms": [2.0, 1.0, 3.0],
        "operations": 10**9,
        **usual,
        **changes,
    }


def test_operations_are_two_for_each_weight_at_each_place_and_pass():
    net = dagnn.DagNN()
    net.add_layer("c", conv.Conv([3, 3, 2, 4], pad=[1] * 4, stride=[2, 2]), "input", "x", ["f", "b"])
    net.add_layer("up", convt.ConvTranspose([4, 4, 5, 4], upsample=[2, 2], crop=[1] * 4), "x", "y", ["uf", "ub"])
    net.init_params(np.random.default_rng(0))
    sizes = net.get_var_sizes({"input": (6, 8, 2, 3)})
    convolution = 2 * 2 * (3 * 3 * 2 * 4) * (3 * 4 * 3)  # two passes: nobody asks for the image's derivative
    transposed = 3 * 2 * (4 * 4 * 5 * 4) * (3 * 4 * 3)  # at each pixel of what it enlarges
    solver = growth.SGD_OPERATIONS * (3 * 3 * 2 * 4 + 4 + 4 * 4 * 5 * 4 + 5)
    assert growth.operations(net, sizes) == convolution + transposed + solver


def test_operations_grow_as_pixels_and_as_images():
    net = lesion_fcn.lesion_fcn(None, width=1 / 32, fc_width=8)
    counts = [
        growth.operations(net, net.get_var_sizes({"input": (side, side, 3, n), "label": (side, side, 1, n)}))
        - growth.SGD_OPERATIONS * growth.parameters(net)
        for side, n in ((32, 1), (64, 1), (32, 3))
    ]
    assert counts[1] == 4 * counts[0] and counts[2] == 3 * counts[0]


@pytest.mark.skipif(not memory.FORGET.exists(), reason="this system does not tell the peak of a part of a process")
@pytest.mark.parametrize("tier", list(contenders.OURS))
def test_evaluation_takes_at_most_1_3_times_two_neighbouring_layers_and_the_weights(tier, tmp_path):
    """In a process of its own, as the benchmark measures it; at a quarter of the network's width."""
    words = (tier, str(SIDE), str(IMAGES), "--steps=1", f"--width={WIDTH}")
    found = processes.output(processes.Task("growth", words, 1))
    pixels = SIDE**2 * IMAGES
    assert found["layers"] == pytest.approx(2 * 4 * 16 * pixels / 2**20)  # conv1_2 reads and makes 16 channels
    assert found["evaluation"] > found["weights"]
    assert found["evaluation"] <= growth.MARGIN * (found["layers"] + found["weights"])
    assert found["training"] > 3 * found["weights"] and len(found["ms"]) == 1


def test_a_series_is_one_tier_s_along_one_quantity():
    points = [point(side=s, images=n) for s, n in ((384, 1), (96, 1), (128, 4), (128, 1))] + [point("dagnet fast")]
    assert [p["side"] for p in growth.series(points, "dagnet plain", "side")] == [96, 128, 384]
    assert [p["images"] for p in growth.series(points, "dagnet plain", "images")] == [1, 4]


def test_the_table_sets_time_beside_operations_and_memory_beside_its_bound():
    points = [point(), point(side=192, ms=[6.0], operations=4 * 10**9)]
    row = [cell.strip() for cell in tables.of_growth(json.loads(json.dumps(points))).splitlines()[-1].split("|")][1:-1]
    assert row == ["dagnet plain", "1 of 192x192", "4", "6", "667", "0.75", "50", "15", "1.07", "1.25"]


def test_the_peak_starts_anew_when_it_is_forgotten():
    big = np.ones(64 << 17)
    high = memory.peak()
    assert high >= big.nbytes / 2**20
    del big
    memory.forget_peak()
    assert memory.now() <= memory.peak() < high - 32 if memory.FORGET.exists() else memory.peak() == high
