"""dagnet bench --gpu: counts, the table and the plot from invented figures; both sides and the processes, on the CPU."""

import importlib.util
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from dagnet.tools.gpubench import contenders, counts, report, roofline, running, work
from PIL import Image

from tests.verbs import call, refused

SMALL = {"place": "cpu", "side": 32, "images": 2, "width": 1 / 32, "product": 64, "seconds": 0.0}


@pytest.fixture(scope="module")
def paper():
    """The paper's units at full size, and how many numbers the network learns."""
    net = counts.network()
    return counts.units(net, 384, 6), counts.weights(net)


# -- what there is to compute and to move


def test_the_papers_step_has_2241_gflop_and_moves_12_gb(paper):
    units, weights = paper
    flops, moved = counts.totals(units, weights)
    assert round(flops / 1e9) == 2241 and round(moved / 1e9, 1) == 12.3 and round(4 * weights / 1e6) == 537
    by_name = {unit.name: unit for unit in units}
    assert round(sum(by_name["fc6"].flops) / 1e9) == 533
    assert round(sum(sum(u.flops) for u in units if u.filters[:2] == (3, 3)) / 1e9) == 1621


def test_units_are_the_layers_that_compute_with_their_relus(paper):
    units, _ = paper
    kinds = [unit.kind for unit in units]
    assert {kind: kinds.count(kind) for kind in kinds} == {"conv": 22, "pool": 5, "convt": 6, "loss": 1}
    assert sum(unit.relu for unit in units) == 15 and [unit.name for unit in units if unit.first] == ["conv1_1"]


def test_operations_and_bytes_of_a_layer_are_those_counted_by_hand():
    unit = counts.Unit("conv", "conv", (4, 5, 3, 2), (4, 5, 7, 2), (3, 3, 3, 7), 1, relu=True)
    x, y, w = 4 * 5 * 3 * 2 * 4, 4 * 5 * 7 * 2 * 4, 3 * 3 * 3 * 7 * 4
    assert unit.flops == (2 * 4 * 5 * 2 * 189, 4 * 4 * 5 * 2 * 189)
    assert unit.bytes == (x + w + y, (y + w + x + 2 * y) + (x + y + w))
    assert counts.Unit("a", "conv", unit.x, unit.y, unit.filters, 1, first=True).flops == (15120, 15120)
    assert counts.Unit("p", "pool", (4, 4, 8, 1), (2, 2, 8, 1)).bytes == (512 + 128 + 32,) * 2
    assert counts.Unit("l", "loss", (4, 4, 2, 1), (1, 1, 1, 1)).bytes == (128 + 64, 2 * 128 + 64)


# -- the two sides


def side(name):
    if name.startswith("PyTorch"):
        pytest.importorskip("torch")
    return contenders.side(name, "cpu")


@pytest.mark.parametrize("name", [name for name in (*contenders.OURS, *contenders.THEIRS) if "graph" not in name])
def test_every_unit_and_part_runs_on_either_side(name):
    contender, net = side(name), counts.network(1 / 32)
    for unit in counts.units(net, 32, 2):
        steps = contender.layer(unit, net.layers[unit.name].block)
        assert list(steps) == ["forward", "forward and backward"]
        for step in steps.values():
            step()
    training = contender.training((32, 32, 3, 2), 1 / 32)
    assert list(training) == list(report.PARTS)
    for step in training.values():
        step()
    contender.wait()
    assert contender.memory() > 10


def test_our_layers_keep_for_backward_what_they_keep_in_a_step_of_training():
    ours, net = side("dagnet float32"), counts.network(1 / 32)
    for unit in counts.units(net, 32, 2):
        if unit.kind in ("pool", "loss"):
            block = net.layers[unit.name].block
            ours.layer(unit, block)["forward"]()
            assert block._kept is not None and block._kept[1] is not None


def test_a_graph_is_asked_for_on_a_gpu_alone():
    with pytest.raises(ValueError, match="graph: the net is on the CPU"):
        side("dagnet float32, graph").training((32, 32, 3, 2), 1 / 32)


def test_both_sides_compute_on_the_same_shapes():
    torch = pytest.importorskip("torch")
    ours, theirs, net = side("dagnet float32"), side("PyTorch float32"), counts.network(1 / 32)
    for unit in counts.units(net, 32, 2):
        block = net.layers[unit.name].block
        made = ours.layer(unit, block)["forward"]()[0], theirs.layer(unit, block)["forward"]()
        shapes = np.shape(made[0]), tuple(made[1].shape)
        if unit.kind == "loss":
            assert made[0].size == made[1].numel() == 1
        else:
            assert shapes[0] == unit.y and tuple(np.take(shapes[1], [2, 3, 1, 0])) == unit.y
            assert isinstance(made[1], torch.Tensor)


def test_a_step_is_timed_after_two_runs_and_what_is_short_is_repeated():
    runs, waits = [], []
    found = work.times(lambda: runs.append(1), lambda: waits.append(1), seconds=0)
    assert len(found) == 3 and all(0 <= ms < 1 for ms in found)
    assert len(runs) > 100 and len(waits) == 2 + 1 + 3
    runs.clear()
    slow = work.times(lambda: runs.append(time.sleep(0.011)), lambda: None, seconds=0)
    assert len(runs) == 3 + 3 and min(slow) >= 11


# -- invented figures: what the table and the plot make of them


def spread(ms):
    return {"ms": ms, "least": ms, "most": ms}


@pytest.fixture
def invented(paper):
    """Results such as running.collect makes, of figures that nothing has measured, and the units."""
    units = {unit.name: unit for unit in paper[0]}
    flops, moved = counts.totals(*paper)
    rates = {"dagnet float32": 45e12, "dagnet TF32": 150e12, "PyTorch float32": 30e12, "PyTorch TF32": 200e12}
    layers = {}
    for name, unit in units.items():
        for k, (contender, rate) in enumerate(rates.items()):
            seconds = max(sum(unit.flops) / rate, sum(unit.bytes) / 2e12) * (1.3 + 0.1 * k)
            parts = {"forward": spread(1e3 * seconds / 3), "forward and backward": spread(1e3 * seconds)}
            layers.setdefault(name, {})[contender] = parts
    return {
        "options": {"side": 384, "images": 6, "width": 1.0},
        "machine": {"device": "no device, INVENTED FIGURES", "numpy": "2", "torch": None},
        "limit": 480,
        "failed": {},
        "left_out": [],
        "flops": flops,
        "bytes": moved,
        "ceilings": {
            "dagnet float32": {"product": 50e12, "copy": 2.6e12},
            "dagnet TF32": {"product": 350e12, "copy": 2.6e12},
        },
        "steps": {
            "dagnet float32": {"step": spread(50.0), "forward": spread(17.0), "mb": 3000.0},
            "dagnet TF32": {"step": spread(30.0), "mb": 3000.0},
            "PyTorch float32": {"step": spread(70.0), "mb": 4000.0},
            "PyTorch float32, contiguous": {"step": spread(60.0), "mb": 5000.0},
            "PyTorch TF32": {"step": spread(20.0), "mb": 4000.0},
        },
        "layers": layers,
    }, units


def cells(text, begins):
    """The cells of the table's first line that begins with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {begins} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_speeds_and_memory_are_ratios_to_pytorchs_faster_format_in_the_same_precision(invented):
    text = report.text(*invented)
    assert cells(text, "dagnet float32") == ["dagnet float32", "50", "50", "50", "44.8", "3000", "1.2", "0.6"]
    assert cells(text, "dagnet TF32")[6:] == ["0.667", "0.75"]
    assert cells(text, "PyTorch float32")[6:] == ["0.857", "0.8"] and cells(text, "PyTorch TF32")[6:] == ["1", "1"]
    goals = text[text.index("## Goals") :]
    assert cells(goals, "dagnet float32")[1:] == ["1.2", "1", "0.6", "1", "5.56"]
    assert cells(goals, "dagnet TF32")[1:5] == ["0.667", "0.8", "0.75", "1"]
    layers = text[text.index("## Layers, forward and backward") :]
    fc6 = cells(layers, "fc6")
    assert fc6[1] == "533" and float(fc6[6]) == pytest.approx(45 / 30 * 1.5 / 1.3, rel=1e-2)
    assert "torch" not in text.splitlines()[2] and "INVENTED" in text


def test_the_table_does_with_what_is_there(invented):
    known, units = invented
    bare = known | {"steps": {"dagnet float32": {"step": spread(50.0)}}, "layers": {}, "ceilings": {}}
    text = report.text(
        bare | {"failed": {"step of PyTorch TF32": "no kernel image"}, "left_out": ["layers of x"]}, units
    )
    assert "PyTorch was not measured" in text and "Failed: step of PyTorch TF32: no kernel image." in text
    assert "Left out, as the limit of 480 s was near: layers of x." in text
    assert cells(text, "dagnet float32")[-3:] == ["", "", ""] and "Layers" not in text
    assert report.text(bare | {"steps": {}, "machine": {}}, units).startswith(
        "# The paper's training step on an unknown"
    )


def test_the_plot_shows_every_layer_that_computes_under_the_machines_roofs(invented, tmp_path):
    known, units = invented
    points = roofline._points(known, units)
    computing = [unit for unit in units.values() if unit.filters]
    assert len([p for p in points if p.rate > 0]) == 4 * len(computing)
    (point,) = (p for p in points if p[:2] == ("dagnet float32", "fc6"))
    unit = units["fc6"]
    assert point.intensity == sum(unit.flops) / sum(unit.bytes) and point.rate == pytest.approx(45e12 / 1.3)
    labels = roofline._labels([p for p in points if p.rate > 0])
    assert sorted(name for names, *_ in labels for name in names) == sorted(unit.name for unit in computing)
    assert ["conv4_2", "conv4_3"] in [names for names, *_ in labels]
    roofline.draw(known, units, tmp_path / "roofline.png")
    roofline.draw(known | {"layers": {}}, units, tmp_path / "empty.png")
    full, empty = (
        np.array(Image.open(tmp_path / name).convert("RGB")).astype(int) for name in ("roofline.png", "empty.png")
    )
    coloured = [(np.ptp(pixels, axis=2) > 60).sum() for pixels in (full, empty)]
    assert full.shape == (840, 1320, 3) and coloured[0] > 3000 > 300 > coloured[1]


# -- the processes


def test_all_tasks_run_in_processes_and_what_they_print_is_written(tmp_path, monkeypatch):
    todo = [running.Task("dagnet float32", task) for task in contenders.TASKS]
    results = running.run(tmp_path, 300, SMALL, todo)
    assert results["failed"] == {} and results["left_out"] == []
    assert {path.name for path in tmp_path.iterdir()} == {"gpu.json", "gpu.md", "roofline.png"}
    known = json.loads((tmp_path / "gpu.json").read_text())
    assert set(known["steps"]["dagnet float32"]) == {*report.PARTS, "mb"}
    units = counts.units(counts.network(1 / 32), 32, 2)
    assert list(known["layers"]) == [unit.name for unit in units]
    assert set(known["ceilings"]["dagnet float32"]) == {"product", "copy"} and known["machine"]["numpy"]
    assert "PyTorch was not measured" in (tmp_path / "gpu.md").read_text()


def test_what_does_not_fit_into_the_time_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "output", lambda task, options, left: ([{"machine": {}}], None))
    results = running.run(tmp_path, 20, SMALL, running.tasks(with_torch=True))
    assert list(results["printed"]) == ["machine of dagnet float32"]
    assert results["left_out"][:2] == ["step of dagnet float32", "step of dagnet TF32"]
    assert "Left out, as the limit of 20 s was near: step of dagnet float32" in (tmp_path / "gpu.md").read_text()


def test_a_process_that_was_cut_short_is_left_out_in_part_and_has_not_failed(tmp_path, monkeypatch):
    printed = [{"part": "step", "ms": [5.0, 7.0, 6.0], "mb": 10.0}]
    monkeypatch.setattr(running, "output", lambda task, options, left: (printed, running.TIME_UP))
    results = running.run(tmp_path, 300, SMALL, [running.Task("dagnet float32", "step")])
    assert results["failed"] == {} and results["left_out"] == ["the rest of step of dagnet float32"]
    assert cells((tmp_path / "gpu.md").read_text(), "dagnet float32")[1:4] == ["6", "5", "7"]


def process(monkeypatch, program):
    """Lets running.output start a Python program in place of a contender."""
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: popen([sys.executable, "-c", program], **options))
    return lambda seconds: running.output(running.Task("dagnet float32", "step"), {}, seconds)


def test_a_process_whose_time_is_up_is_ended_and_what_it_printed_counts(monkeypatch):
    program = 'import time; print(\'{"part": "step", "ms": [1]}\', flush=True); print(\'{"pa\', end=\'\', flush=True); '
    begun = time.monotonic()
    printed, problem = process(monkeypatch, program + "time.sleep(60)")(2.0)
    assert printed == [{"part": "step", "ms": [1]}] and problem == running.TIME_UP
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("program", "says"),
    [("raise SystemError('no kernel image')", "SystemError: no kernel image"), ("exit(3)", "it ended with code 3")],
)
def test_a_process_that_fails_is_told_with_its_last_words(monkeypatch, program, says):
    printed, problem = process(monkeypatch, program)(60)
    assert printed == [] and says in problem


def test_what_matters_most_comes_first_and_without_pytorch_all_is_dagnets():
    assert [task.task for task in running.tasks(True)[:7]] == ["machine"] + ["step"] * 6
    assert all(task.name.startswith("dagnet") for task in running.tasks(False))
    assert len(set(running.tasks(True))) == len(running.tasks(True)) == 1 + 6 + 2 + 4 + 2
    assert [t.task for t in running.tasks(False)] == [
        "machine",
        "step",
        "step",
        "ceilings",
        "ceilings",
        "layers",
        "layers",
        "step",
        "step",
    ]


# -- the verb


def test_the_verb_needs_a_folder_and_a_gpu(capsys, tmp_path):
    assert refused(call(capsys, "bench", "--gpu"), "--out FOLDER is missing")
    if importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is installed")
    assert refused(call(capsys, "bench", "--gpu", "--out", tmp_path / "out"), "CuPy is not installed")
    assert not (tmp_path / "out").exists()


def test_the_verb_measures_at_full_size_and_ends_with_1_where_something_failed(capsys, tmp_path, monkeypatch):
    asked = []

    def run(out, seconds, options, todo):
        asked.append((seconds, options))
        out.mkdir()
        (out / "gpu.md").write_text("the table")
        return {"failed": {"step of dagnet TF32": "why"}}

    monkeypatch.setattr(running, "run", run)
    monkeypatch.setattr(running.array, "cupy_module", lambda: None)
    code, out, _ = call(capsys, "bench", "--gpu", "--out", tmp_path / "out", "--time-limit", "7m")
    assert code == 1 and "the table" in out and "gpu.md" in out
    ((seconds, options),) = asked
    assert 300 < seconds <= 420 and options == {"place": "gpu", "side": 384, "images": 6, "width": 1.0}


@pytest.mark.gpu
def test_a_short_run_on_the_gpu_measures_both_precisions(tmp_path):
    try:
        running.array.cupy_module()
    except RuntimeError as error:
        pytest.skip(str(error))
    results = running.run(tmp_path, 300, SMALL | {"place": "gpu", "side": 64}, running.tasks(with_torch=False))
    assert results["failed"] == {} and results["left_out"] == []
