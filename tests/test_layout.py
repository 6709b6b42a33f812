"""Random graphs and known ones: boxes stand apart, lines lead down, through no box and along no other line."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from dagnet.summary import layout


def graph(seed):
    """Boxes and lines at random; a box's lines leave from up to three ports, and reach from the next box to far ones."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 14))
    boxes = [layout.Box(*rng.uniform(10, 120, 2)) for _ in range(n)]
    share = rng.choice([0.15, 0.4, 0.8])
    keys = {(i, j, int(rng.integers(0, 3))) for i in range(n) for j in range(i + 1, n) if rng.random() < share}
    return boxes, [layout.Line(*key) for key in sorted(keys)]


def rectangle(box):
    return box.x - box.width / 2, box.y, box.x + box.width / 2, box.y + box.height


def enters(one, two, rect):
    """Whether a stretch along an axis passes through the inside of a rectangle."""
    left, top, right, bottom = rect
    (x0, x1), (y0, y1) = sorted((one[0], two[0])), sorted((one[1], two[1]))
    return x0 < right - 0.01 and left + 0.01 < x1 and y0 < bottom - 0.01 and top + 0.01 < y1


def shared(a, b):
    """The length that two stretches, each along an axis, have in common; those side by side within a pixel count."""
    for axis in (0, 1):
        flat_a, flat_b = abs(a[0][axis] - a[1][axis]) < 1e-6, abs(b[0][axis] - b[1][axis]) < 1e-6
        if flat_a and flat_b and abs(a[0][axis] - b[0][axis]) < 1:
            other = 1 - axis
            (p, q), (r, s) = sorted((a[0][other], a[1][other])), sorted((b[0][other], b[1][other]))
            return min(q, s) - max(p, r)
    return 0.0


def stretches(line):
    return list(pairwise(line.points))


@pytest.mark.parametrize("seed", range(80))
def test_boxes_stand_apart_and_within_the_picture(seed):
    boxes, lines = graph(seed)
    width, height = layout.arrange(boxes, lines)
    for (a, b, c, d), (e, f, g, h) in combinations(map(rectangle, boxes), 2):
        assert c <= e or g <= a or d <= f or h <= b
    for left, top, right, bottom in map(rectangle, boxes):
        assert left >= -1e-6 and top >= 0 and right <= width + 1e-6 and bottom <= height + 1e-6
    for line in lines:
        assert all(-1e-6 <= x <= width + 1e-6 and 0 <= y <= height + 1e-6 for x, y in line.points)


@pytest.mark.parametrize("seed", range(80))
def test_lines_lead_down_from_box_to_box_and_through_none(seed):
    boxes, lines = graph(seed)
    layout.arrange(boxes, lines)
    for line in lines:
        (x0, y0), (x1, y1) = line.points[0], line.points[-1]
        source, target = rectangle(boxes[line.source]), rectangle(boxes[line.target])
        assert y0 == source[3] and source[0] < x0 < source[2]
        assert y1 == target[1] and target[0] < x1 < target[2]
        for one, two in stretches(line):
            assert two[1] >= one[1] and (one[0] == two[0] or one[1] == two[1])
            assert not any(enters(one, two, rectangle(box)) for box in boxes)


@pytest.mark.parametrize("seed", range(80))
def test_lines_of_different_things_never_run_along_each_other(seed):
    boxes, lines = graph(seed)
    layout.arrange(boxes, lines)
    for a, b in combinations(lines, 2):
        if (a.source, a.port) != (b.source, b.port):
            assert max(shared(s, t) for s in stretches(a) for t in stretches(b)) < 0.01


def test_a_chain_is_one_straight_line():
    boxes = [layout.Box(width, 20) for width in (30, 90, 50)]
    lines = [layout.Line(0, 1), layout.Line(1, 2)]
    layout.arrange(boxes, lines)
    assert len({box.x for box in boxes}) == 1 and [len(line.points) for line in lines] == [2, 2]
    assert [box.row for box in boxes] == [0, 1, 2]


def crossings(lines):
    """How often an upright stretch of one line meets a level one of another."""
    count = 0
    for a, b in combinations(lines, 2):
        for s, t in [(s, t) for s in stretches(a) for t in stretches(b)]:
            for up, level in ((s, t), (t, s)):
                if up[0][0] == up[1][0] and level[0][1] == level[1][1]:
                    (left, right), y = sorted((level[0][0], level[1][0])), level[0][1]
                    count += left < up[0][0] < right and up[0][1] < y < up[1][1]
    return count


def test_lines_of_random_graphs_cross_no_more_often_than_when_this_was_written():
    graphs = [graph(seed) for seed in range(25)]
    for boxes, lines in graphs:
        layout.arrange(boxes, lines)
    assert sum(crossings(lines) for _, lines in graphs) <= 2343


def test_nested_skips_do_not_cross():
    boxes = [layout.Box(80, 20) for _ in range(9)]
    chain = [layout.Line(i, i + 1) for i in range(8)]
    skips = [layout.Line(3, 8), layout.Line(2, 8), layout.Line(1, 8), layout.Line(4, 6)]
    layout.arrange(boxes, chain + skips)
    assert crossings(chain + skips) == 0
    assert [line.column for line in skips] == [2, 3, 4, 1]


def test_branches_stand_side_by_side():
    boxes = [layout.Box(80, 20) for _ in range(5)]
    lines = [layout.Line(0, k) for k in (1, 2, 3)] + [layout.Line(k, 4) for k in (1, 2, 3)]
    layout.arrange(boxes, lines)
    assert [box.row for box in boxes] == [0, 1, 1, 1, 2] and crossings(lines) == 0
    assert sorted(box.column for box in boxes[1:4]) == [0, 1, 2]


def test_nothing_has_no_size():
    assert layout.arrange([], []) == (layout.LANE, 0)
