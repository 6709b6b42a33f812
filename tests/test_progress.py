"""What is printed while a pass runs, and the curves that are drawn."""

import re
import sys

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.training import plots, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def run(clock, seconds, images=4, kind="train"):
    """A pass whose batches take these seconds."""
    with progress.Progress(kind, 1, len(seconds)) as told:
        for taken in seconds:
            clock[0] += taken
            told.batch_done(images, lambda: {"num": 1, "time": 2, "objective": 0.6931, "acc": np.array([0.25, 0.5])})
    return told


def test_a_line_is_as_matconvnet_prints_it(clock, capsys):
    run(clock, [2.0, 2.0, 0.5])
    line = "train: epoch 01:   3/  3: 2.7 (8.0) Hz acc: 0.250 0.500 objective: 0.693\n"
    assert capsys.readouterr().out == line


def test_lines_come_now_and_then_and_at_the_end(clock, capsys):
    run(clock, [1.0] * 100, kind="val")
    places = re.findall(r"val: epoch 01: +(\d+)/100", capsys.readouterr().out)
    assert places == ["31", "62", "93", "100"]


def test_slow_first_batches_are_left_out_of_the_average(clock):
    told = run(clock, [10.0, 10.0, 10.0, 1.0, 1.0])
    assert told.speed == pytest.approx(4.0) and told.seconds == pytest.approx(32.0) and told.images == 20


def test_few_batches_are_averaged_with_the_first(clock):
    assert run(clock, [2.0, 2.0]).speed == pytest.approx(2.0)


def test_in_a_terminal_there_is_a_bar_and_one_line(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    run(clock, [1.0] * 50)
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and "50/ 50" in out
    assert "train: epoch 01:" in err


def test_statistics_are_asked_for_only_when_they_are_shown(clock):
    asked = []
    with progress.Progress("train", 1, 10) as told:
        for _ in range(10):
            clock[0] += 1.0
            told.batch_done(1, lambda: asked.append(1) or {})
    assert len(asked) == 1


def epochs(n, **statistics):
    return [{"num": 5.0, "time": 1.0} | {k: v * (0.9**i) for k, v in statistics.items()} for i in range(n)]


def test_curves_are_drawn_a_panel_a_statistic(tmp_path, monkeypatch):
    figures = []
    new = plots.Figure
    monkeypatch.setattr(plots, "Figure", lambda *a, **k: figures.append(new(*a, **k)) or figures[-1])
    statistics = {"objective": 0.7, "error": 0.4, "acc": np.array([0.5, 0.6])}
    plots.draw({"train": epochs(3, **statistics), "val": epochs(2, objective=0.7)}, tmp_path)
    shown = [axes for axes in figures[0].axes if axes.axison]
    assert [axes.get_title() for axes in shown] == ["acc[1]", "acc[2]", "error", "objective"]
    train, val = shown[3].lines
    assert [train.get_label(), val.get_label()] == ["train", "val"]
    assert train.get_xydata().tolist() == pytest.approx(np.array([[1, 0.7], [2, 0.63], [3, 0.567]]))
    assert len(val.get_xydata()) == 2 and len(shown[2].lines) == 1
    assert iio.imread(tmp_path / "net-train.png").min() == 0
    assert (tmp_path / "net-train.pdf").read_bytes().startswith(b"%PDF")
    assert {p.name for p in tmp_path.iterdir()} == {"net-train.png", "net-train.pdf"}


def test_an_epoch_of_matlabs_without_a_pass_is_a_gap_in_its_curve(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        plots.Figure,
        "subplots",
        lambda figure, *a, new=plots.Figure.subplots, **k: drawn.append(new(figure, *a, **k)) or drawn[-1],
    )
    nothing = {"num": np.zeros(0), "time": np.zeros(0), "acc": np.zeros(0)}
    plots.draw({"train": [], "val": [nothing, {"num": 1.0, "time": 1.0, "acc": np.array([0.5, 0.6])}]}, tmp_path)
    curves = [axes.lines[0].get_ydata() for axes in drawn[0].flat]
    assert np.array_equal(curves, [[np.nan, 0.5], [np.nan, 0.6]], equal_nan=True)


def test_without_a_statistic_nothing_is_drawn(tmp_path):
    plots.draw({"train": epochs(2), "val": []}, tmp_path)
    assert not list(tmp_path.iterdir())
