"""dagnet.layers.im2col: parts and shares cover all there is, once."""

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis import settings as hypothesis

from dagnet.layers import conv, im2col, settings


def plan_of(size, k=4, window=(3, 3), stride=1, pad=1):
    return conv.Plan.of(size, np.zeros((*window, size[2], k)), None, stride, pad, 1)


@given(
    size=strategies.tuples(*[strategies.integers(1, 20)] * 2, strategies.integers(1, 2), strategies.integers(0, 5)),
    k=strategies.integers(1, 9),
    threads=strategies.integers(1, 4),
    least=strategies.integers(1, 300),
)
@hypothesis(max_examples=50, deadline=None, derandomize=True)
def test_shares_cover_each_pixel_and_channel_once(size, k, threads, least):
    plan = plan_of(size, k)
    im2col.LEAST_WORK, im2col.LEAST_PIXELS, before = 1, least, (im2col.LEAST_WORK, im2col.LEAST_PIXELS)
    try:
        with settings.using(threads=threads):
            shares = plan.shares(np, k)
    finally:
        im2col.LEAST_WORK, im2col.LEAST_PIXELS = before
    counted = np.zeros((size[3], *plan.output[:2], k), int)
    for (images, lines), channels in shares:
        counted[images, lines, :, channels] += 1
    assert (counted == 1).all()


@pytest.mark.parametrize("pad", [0, [2, 1, 0, 3]])
@pytest.mark.parametrize("lines", [slice(0, 1), slice(1, 3), slice(0, 3)])
def test_a_strip_is_that_part_of_the_padded_input(rng, pad, lines):
    plan = plan_of((7, 6, 2, 2), window=(3, 2), stride=2, pad=pad)
    x = rng.standard_normal((2, 7, 6, 2))
    top, bottom, left, right = plan.pad
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    strip = plan.strip(x, (slice(1, 2), lines))
    assert (strip == padded[1:, 2 * lines.start : 2 * lines.stop + 1]).all()


def test_one_by_one_windows_are_the_pixels_themselves(rng):
    x = rng.standard_normal((2, 4, 5, 3))
    plan = plan_of((4, 5, 3, 2), window=(1, 1), pad=0)
    columns = plan.columns(x, (slice(0, 2), slice(0, 4)), plan.groups()[0])
    assert np.shares_memory(columns, x) and (columns == x.reshape(-1, 3)).all()


def test_lines_that_read_a_line_are_found_from_it():
    plan = plan_of((9, 4, 1, 1), window=(3, 3), stride=2, pad=[1, 0, 1, 1])
    for p in range(3):
        for line in range(9):
            readers, places = plan.readers(slice(line, line + 1), p)
            wanted = [i for i in range(plan.output[0]) if 2 * i + p - 1 == line]
            assert list(range(readers.start, readers.stop)) == wanted and list(places) == [0] * len(wanted)
