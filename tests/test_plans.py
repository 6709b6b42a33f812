"""dagnet show --plan: each convolution's algorithm is the one that runs."""

import itertools

import numpy as np
import pytest

from dagnet.layers import algorithms, im2col, settings
from dagnet.models import lesion_fcn, vgg16
from dagnet.summary import plans

SIZES = {"input": (96, 96, 3, 1)}


def rows(text):
    """By layer the algorithms of forward, dX and dW, as they stand in the columns."""
    _, _, heads, *lines = text.splitlines()
    places = [heads.index(name) for name in ("forward", "dX", "dW", "why")]
    return {
        line.split()[0]: [line[a:b].strip() for a, b in itertools.pairwise(places)] + [line[places[3] :]]
        for line in lines
    }


@pytest.mark.parametrize("choices", [{"fast": True}, {"fast": False}, {"exact": True}])
def test_the_algorithms_are_those_that_are_chosen_under_the_settings_that_hold(choices):
    net = vgg16.vgg16(vgg16.CONVOLUTIONS)
    with settings.using(**choices):
        shown = rows(plans.plan(net, SIZES))
        assert len(shown) == 13
        forward, dx, dw, why = shown["conv3_2"]
        of = im2col.Plan.of((24, 24, 256, 1), np.empty((3, 3, 256, 256), np.float32), None, 1, 1, 1)
        for name, algorithm in (("forward", forward), ("dx", dx), ("dw", dw)):
            choice = algorithms.choose(of, name, np.float32)
            assert algorithm == choice.algorithm and choice.why in why


def test_nobody_asks_for_the_derivative_of_the_images():
    shown = rows(plans.plan(vgg16.vgg16(vgg16.CONVOLUTIONS), SIZES))
    assert shown["conv1_1"][1] == "" and shown["conv1_2"][1] != ""


def test_what_is_no_3x3_window_says_so():
    shown = rows(plans.plan(lesion_fcn.lesion_fcn(None, width=1 / 32, fc_width=8), SIZES))
    assert shown["fc6"][:3] == ["products"] * 3 and "3x3" in shown["fc6"][3]


def test_the_settings_stand_above():
    with settings.using(exact=True, fast=False, threads=3):
        head = plans.plan(vgg16.vgg16(vgg16.CONVOLUTIONS), SIZES).splitlines()[0]
    assert head == "Convolutions on the CPU, without numba's loops, exact, 3 threads"


def test_without_sizes_there_is_nothing_to_choose():
    assert "No convolution" in plans.plan(vgg16.vgg16(vgg16.CONVOLUTIONS), {})
