"""dagnet.layers.windows: what a line of windows reads, and its cuts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnet.layers import geometry, windows


@st.composite
def lines(draw):
    window, stride, size = (draw(st.integers(1, most)) for most in (5, 6, 12))
    before, after = draw(st.integers(0, window - 1)), draw(st.integers(0, window - 1))
    after += max(0, window - size - before - after)  # the window fits
    after = min(after, window - 1)
    size = max(size, window - before - after)
    return windows.Line(1, size, window, stride, before, geometry.slide(size, window, stride, before, after, "test"))


def read(line):
    """The pixels of each window, in order, from taps(), and those that taps() calls the first."""
    found, firsts = [[] for _ in range(line.positions)], {}
    for tap, (_, pixels), (_, at), first in line.taps():
        for i, pixel in zip(range(line.positions)[at], range(line.size)[pixels], strict=True):
            assert pixel == i * line.stride - line.before + tap
            found[i].append(pixel)
            if first:
                firsts[i] = pixel
    return found, firsts


def right(line):
    starts = [i * line.stride - line.before for i in range(line.positions)]
    return [[p for p in range(start, start + line.window) if 0 <= p < line.size] for start in starts]


@settings(max_examples=100, deadline=None)
@given(lines())
def test_taps_lead_through_each_window_and_know_its_first_pixel(line):
    found, firsts = read(line)
    assert found == right(line)
    assert [firsts[i] for i in range(line.positions)] == [window[0] for window in found]
    assert line.counts == [len(window) for window in found]
    held = [sum(p in window for window in found) for p in range(line.size)]
    assert not line.apart or max(held) <= 1
    assert line.tiled == (line.stride == line.window and min(held) == 1)


@settings(max_examples=100, deadline=None)
@given(lines(), st.integers(1, 4))
def test_cuts_hold_the_windows_of_the_whole_and_where_these_are_apart_each_pixel_once(line, step):
    seen = []
    for first in range(0, line.positions, step):
        own, cut = line.cut(first, min(first + step, line.positions))
        pixels = range(line.size)[own]
        assert cut.size == len(pixels)
        assert [[pixels[p] for p in window] for window in read(cut)[0]] == right(line)[first : first + step]
        seen.extend(pixels)
    assert not line.apart or seen == list(range(line.size))


def test_a_part_is_made_of_whole_images_or_of_rows_of_one():
    line = windows.Line(1, 6, 2, 2, 0, 3)
    x, y, sizes = np.zeros((3, 6, 6, 2)), np.zeros((3, 3, 3, 2)), []
    windows.share(lambda x, y, *_: sizes.append((x.shape[:2], y.shape[:2])), x, y, rows=line, columns=line)
    assert sizes == [((3, 6), (3, 3))]
