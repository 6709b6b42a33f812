"""The pictures of the benchmark: each bar and curve is where its figure is."""

import pytest
from dagnet.tools.benchmark import chart, curves, growth

from tests.test_benchmark_figures import result
from tests.test_benchmark_growth import point

WORKS = {
    "paper": result((50.0, 60.0, 100.0, 100.0), step=(300, 80, 100, 120)),
    "conv96_64_64": result(forward=(150, 90, 100, 120), dX=(150, 90, 100, 120)),
    "convt": result(step=(50, 90, 100, 120)),
}


def test_a_row_is_a_step_or_a_memory_with_its_goals():
    others, convolutions = chart.rows(WORKS).values()
    assert [(row.ratios, row.limits) for row in others] == [
        ({"dagnet plain": 3.0, "dagnet fast": 0.8}, {"dagnet plain": 1.5, "dagnet fast": 0.9}),
        ({"dagnet plain": 0.5, "dagnet fast": 0.6}, {"dagnet plain": 0.8, "dagnet fast": 0.9}),
        ({"dagnet plain": 0.5, "dagnet fast": 0.9}, {"dagnet plain": 1.5, "dagnet fast": 1.0}),
    ]
    assert [row.what for row in convolutions] == ["a work, forward", "a work, dX"]


def test_bars_are_as_long_as_ratios_up_to_the_edge_and_a_missed_goal_is_red():
    left, right = chart.drawn(WORKS).axes
    assert [bar.get_width() for bar in left.patches] == [chart.EDGE, 0.8, 0.5, 0.6, 0.5, 0.9]
    assert [(text.get_text(), text.get_color() == chart.MISSED) for text in left.texts][:2] == [
        ("3.00", True),
        ("0.80", False),
    ]
    assert len(right.patches) == 4 and left.get_ylim() == right.get_ylim()


@pytest.mark.parametrize("names", [("convt",), ("convt", "conv96_64_64")])
def test_the_legend_has_room_beside_one_panel_and_two(names):
    figure = chart.drawn({name: WORKS[name] for name in names})
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.width


def test_without_ratios_or_points_there_is_no_picture():
    alone = result(step=(1, 1, 1, 1))
    for name in ("PyTorch channels_last", "PyTorch contiguous"):
        alone["steps"]["step"].pop(name)
    assert chart.drawn({"step": alone}) is None and curves.drawn([]) is None


@pytest.mark.parametrize("tiers", [("dagnet plain",), ("dagnet plain", "dagnet fast")])
def test_curves_show_times_beside_what_operations_alone_would_make_of_the_first(tiers):
    sizes = [(96, 1), (128, 1), (192, 1), (128, 2)]
    points = [point(tier, s, n, operations=s * s * n, ms=[s * n]) for tier in tiers for s, n in sizes]
    time_by_side, _, memory_by_side, memory_by_batch = curves.drawn(points).axes
    measured, expected = time_by_side.lines[:2]
    assert list(measured.get_ydata()) == [96, 128, 192]
    assert list(expected.get_ydata()) == pytest.approx([96, 96 * (128 / 96) ** 2, 96 * 4])
    assert len(memory_by_side.lines) == len(memory_by_batch.lines) == 2 * len(tiers) + 1
    assert list(memory_by_side.lines[-1].get_ydata()) == pytest.approx([growth.MARGIN * 14] * 3)
