"""Epochs: resuming to the same numbers, what is kept, and what stops a training and how."""

import errno
import io
import json

import numpy as np
import pytest

from dagnet import simplenn
from dagnet.files import atomic, checkpoint, level5writer, matfile
from dagnet.training import passes
from tests import little, standin
from tests.little import same, values


@pytest.fixture
def source():
    return little.source()


@pytest.fixture
def go(source, tmp_path):
    """little.train into the test's own folder, from `source`."""

    def run(net, **options):
        return little.train(net, **{"exp_dir": tmp_path / "run", "get_batch": source.get_batch} | options)

    return run


def timeless(stats):
    """Statistics without what depends on the machine."""
    return {
        kind: [{n: np.asarray(v).tolist() for n, v in r.items() if n != "time"} for r in stats[kind]] for kind in stats
    }


# -- going on


def test_two_epochs_and_a_third_are_to_the_last_bit_what_three_are(go, tmp_path):
    straight, first, second = little.net(), little.net(), little.net()
    whole = go(straight, num_epochs=3, exp_dir=tmp_path / "straight")
    go(first, num_epochs=2)
    second.init_params(np.random.default_rng(99))  # whatever it holds, the checkpoint counts
    resumed = go(second, num_epochs=3)
    assert same(values(second), values(straight))
    assert timeless(resumed) == timeless(whole)
    kept = [checkpoint.load(checkpoint.path_of(tmp_path / folder, 3)) for folder in ("straight", "run")]
    assert same(kept[0].state, kept[1].state)


def test_a_killed_training_loses_its_epoch_alone_and_comes_to_the_same_numbers(go, source, tmp_path):
    straight, killed = little.net(), little.net()
    go(straight, num_epochs=3, exp_dir=tmp_path / "straight")
    calls = []

    def kill(epoch, indices, batch):
        calls.append(epoch)
        if calls.count(2) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"stopped in epoch 2; .*net-epoch-1\.mat is whole: .* with epoch 2"):
        go(killed, num_epochs=3, get_batch=little.Changed(source, kill))
    assert sorted(p.name for p in (tmp_path / "run").glob("*.mat")) == ["net-epoch-1.mat"]
    go(killed, num_epochs=3)
    assert same(values(killed), values(straight))


def test_a_half_written_checkpoint_is_passed_over(go, tmp_path):
    straight, resumed = little.net(), little.net()
    go(straight, num_epochs=2)
    last = checkpoint.path_of(tmp_path / "run", 2)
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"net-epoch-2\.mat"):
        go(resumed, num_epochs=2)
    assert same(values(resumed), values(straight))


def test_a_finished_training_is_only_read(go):
    net = little.net()
    stats = go(net, num_epochs=2)
    again = little.net()
    assert timeless(go(again, num_epochs=2)) == timeless(stats)
    assert same(values(again), values(net))


def test_worker_processes_make_the_same_training_to_the_last_bit(go, tmp_path):
    alone, shared = little.net(), little.net()
    one, two = go(alone, num_epochs=2, exp_dir=tmp_path / "alone"), go(shared, num_epochs=2, workers=2)
    assert same(values(shared), values(alone)) and timeless(one) == timeless(two)


def test_an_error_in_a_worker_names_its_image_and_what_is_kept(go, tmp_path):
    with pytest.raises(IndexError, match=r"index 77 is outside 0\.\.9") as stop:
        go(little.net(), train=[0, 1, 2, 77], workers=1)
    notes = "; ".join(stop.value.__notes__)
    assert "failed at image 77; in epoch 1, train batch" in notes and "no epoch was whole" in notes


@pytest.mark.parametrize(
    ("net", "options", "says"),
    [
        (little.net(), {}, "graph: the net is on the CPU"),
        (little.net(), {"num_sub_batches": 2}, "graph: num_sub_batches is 2; 1 is right"),
        (simplenn.SimpleNN([{"type": "softmaxloss"}]), {}, "graph: the net is a SimpleNN"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(go, net, options, says):
    with pytest.raises(ValueError, match=says):
        go(net, graph=True, **{"num_sub_batches": 1} | options)


# -- what is kept


def test_files_of_a_training(go, tmp_path):
    go(little.net(), num_epochs=2, learning_rate=[0.01, 0.001], plot_statistics=True)
    names = {"net-epoch-1.mat", "net-epoch-2.mat", "net-train.pdf", "net-train.png", "log.jsonl"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == names
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["set"], line["learning_rate"], line["num"]) for line in log] == [
        (1, "train", 0.01, 7),
        (1, "val", 0.01, 3),
        (2, "train", 0.001, 7),
        (2, "val", 0.001, 3),
    ]
    assert {"written", "time", "objective", "error", "images_per_second", "waited"} <= set(log[0])
    assert len(log[0]["accuracy"]) == 3


def test_an_epoch_that_is_run_again_stands_in_the_log_once(go, tmp_path):
    log, last = tmp_path / "run" / "log.jsonl", checkpoint.path_of(tmp_path / "run", 2)
    go(little.net(), num_epochs=2)
    first = log.read_text().splitlines()
    last.unlink()
    go(little.net(), num_epochs=3)
    again = log.read_text().splitlines()
    assert [(line["epoch"], line["set"]) for line in map(json.loads, again)] == [
        (epoch, kind) for epoch in (1, 2, 3) for kind in ("train", "val")
    ]
    assert again[:2] == first[:2]


def test_every_checkpoint_has_its_line_in_the_log(go, tmp_path, monkeypatch):
    save = checkpoint.save

    def save_and_die(*args, **options):
        save(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        go(little.net())
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 1]


def test_going_on_reads_the_checkpoint_once(go, monkeypatch):
    go(little.net())
    read, seen = matfile.read, []
    monkeypatch.setattr(matfile, "read", lambda path, *names: seen.append(path.name) or read(path, *names))
    go(little.net(), num_epochs=2)
    assert seen == ["net-epoch-1.mat"]


def test_a_checkpoint_holds_the_net_as_it_is_in_use(go, tmp_path):
    net = little.net()
    stats = go(net)
    kept = checkpoint.load(checkpoint.path_of(tmp_path / "run", 1))
    assert same(values(kept.net), values(net))
    assert not any(var.precious for var in kept.net.vars.values())
    assert kept.stats["train"][0]["objective"] == stats["train"][0]["objective"]


def test_statistics_of_a_pass_are_the_losses_averages(go):
    stats = go(little.net())
    for record in (stats["train"][0], stats["val"][0]):
        assert list(record) == ["num", "time", "objective", "error", "accuracy"]
        assert record["accuracy"].shape == (3,) and record["accuracy"][0] == pytest.approx(1 - record["error"])


def test_training_learns(go):
    stats = go(little.net(), num_epochs=12, batch_size=2, learning_rate=0.03)
    assert stats["train"][-1]["objective"] < 0.5 * stats["train"][0]["objective"]
    assert stats["val"][-1]["error"] < 0.15


def test_without_validation_there_are_no_statistics_of_it(go):
    stats = go(little.net(), val=[])
    assert stats["val"] == [] and len(stats["train"]) == 1


def test_where_validation_starts_later_its_statistics_stand_at_their_epochs(go, tmp_path):
    go(little.net(), num_epochs=2, val=[])
    stats = go(little.net(), num_epochs=4, plot_statistics=True)
    assert [record["num"] for record in stats["val"]] == [0, 0, 3, 3]
    assert np.isnan([record["objective"] for record in stats["val"][:2]]).all() and stats["val"][2]["objective"] > 0
    assert [list(record) for record in stats["val"]] == [list(stats["train"][0])] * 4
    kept = checkpoint.load(checkpoint.path_of(tmp_path / "run", 4)).stats["val"]
    assert [record["num"] for record in kept] == [0, 0, 3, 3]


# -- an epoch


def test_an_epoch_takes_epoch_size_images_drawn_anew(go, source):
    seen = []

    noting = little.Changed(source, lambda epoch, indices, batch: seen.extend(indices.tolist()))
    go(little.net(), num_epochs=2, val=[], epoch_size=4, get_batch=noting)
    first, second = set(seen[:4]), set(seen[4:])
    assert len(seen) == 8 and len(first) == len(second) == 4 and seen[:4] != seen[4:]


def test_the_seed_decides_the_numbers(go, tmp_path):
    nets = [little.net() for _ in range(3)]
    for net, seed, folder in zip(nets, (5, 5, 6), "abc", strict=True):
        go(net, random_seed=seed, exp_dir=tmp_path / folder)
    assert same(values(nets[0]), values(nets[1])) and not same(values(nets[0]), values(nets[2]))


def test_get_batchs_owner_is_told_the_epoch(go, source):
    epochs = []
    go(little.net(), num_epochs=3, post_epoch=lambda net, epoch, stats: epochs.append((epoch, source.epoch)))
    assert epochs == [(1, 1), (2, 2), (3, 3)]


def test_modes_and_derivatives_of_the_two_passes(go, monkeypatch):
    net, seen = little.net(), []
    block = net.layers["conv1"].block
    forward, backward = block.forward, block.backward
    monkeypatch.setattr(block, "forward", lambda *a: seen.append(block.mode) or forward(*a))
    monkeypatch.setattr(block, "backward", lambda *a: seen.append(block.needs_input_der) or backward(*a))
    go(net, train=range(3), val=[7], batch_size=3, num_sub_batches=1)
    assert seen == ["normal", False, "test"]


@pytest.mark.parametrize(
    ("mode", "val"), [("test", []), ("normal", [7, 8])]
)  # a pass to train, or to validate, is the last
def test_settings_of_the_net_are_given_back(go, mode, val):
    net = little.net()
    net.mode = mode
    go(net, val=val, train=range(6))  # whose last batch has two parts
    assert net.mode == mode and net.input_ders and not net.accumulate_param_ders


def test_arrays_that_others_hold_do_not_change(go):
    net = little.net()
    before = values(net)
    copies = {name: value.copy() for name, value in before.items()}
    go(net)
    assert same(before, copies) and not same(values(net), before)


def test_post_epoch_changes_the_rate_keeps_it_and_ends_the_training(go, tmp_path):
    returned = {1: None, 2: 1e-3, 3: [1.0, 1.0, 1.0, 2e-3, 3e-3], 4: None, 5: 0}
    seen = []

    def post_epoch(net, epoch, stats):
        seen.append((epoch, len(stats["train"]), checkpoint.path_of(tmp_path / "run", epoch).exists()))
        return returned[epoch]

    stats = go(little.net(), num_epochs=9, val=[], learning_rate=0.01, post_epoch=post_epoch)
    assert len(stats["train"]) == 5 and seen == [(epoch, epoch, True) for epoch in range(1, 6)]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in log] == [0.01, 0.01, 1e-3, 2e-3, 3e-3]


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (True, "post_epoch: it returned True"),
        (-1.0, "post_epoch's learning rate: it is -1"),
        ("half", "post_epoch's learning rate: it is half; a number from 0 on"),
    ],
)
def test_what_post_epoch_must_not_return_is_named(go, returned, says):
    with pytest.raises(ValueError, match=says):
        go(little.net(), post_epoch=lambda net, epoch, stats: returned)


def test_statistics_of_the_users_own_are_kept(go, tmp_path):
    def extract(net):
        norm = np.abs(net.params["predf"].value).sum()
        return passes.statistics(net) | {"norm": norm, "pair": [1, 2.5], "lone": np.array([[3]]), "none": []}

    stats = go(little.net(), extract_stats=extract)
    assert list(stats["val"][0]) == ["num", "time", "objective", "error", "accuracy", "norm", "pair", "lone", "none"]
    assert stats["val"][0]["pair"].tolist() == [1, 2.5] and isinstance(stats["val"][0]["lone"], float)
    kept = checkpoint.load(checkpoint.path_of(tmp_path / "run", 1)).stats["val"][0]
    assert kept["norm"] == stats["val"][0]["norm"] and kept["pair"].ravel().tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("statistics", "says"),
    [
        ({"note": "good"}, "extract_stats: 'note' is 'good'; a number, or an array of them, is right"),
        ({"norm": None}, "extract_stats: 'norm' is None; a number, or an array of them, is right"),
        (0.5, "extract_stats: it gave 0.5; a dict of numbers, or arrays of them, is right"),
    ],
)
def test_what_no_statistics_are_is_named(go, statistics, says):
    with pytest.raises(ValueError, match=says):
        go(little.net(), extract_stats=lambda net: statistics)


@pytest.mark.parametrize(
    "options",
    [{"solver": "adam"}, {"nesterov_update": True}, {"solver": "rmsprop", "solver_opts": {"rho": 0.5}}],
    ids=["adam", "nesterov", "rmsprop"],
)
def test_the_solver_asked_for_makes_the_steps(go, tmp_path, options):
    net, plain = little.net(), little.net()
    go(net, exp_dir=tmp_path / "asked", **options)
    go(plain, exp_dir=tmp_path / "plain")
    assert not same(values(net), values(plain))
    state = checkpoint.load(checkpoint.path_of(tmp_path / "asked", 1)).state
    assert sorted(state["predf"]) == ["m", "t", "v"] if options.get("solver") == "adam" else state["predf"].any()


def test_the_gpu_comes_to_the_numbers_of_the_cpu(gpu, go, tmp_path):
    nets = {"cpu": little.net(), "gpu": little.net()}
    for device, net in nets.items():
        net.layers["drop1"].block.rate = 0  # the two draw different masks
        net.move(device)
        go(net, num_epochs=1, exp_dir=tmp_path / device)
        go(net, num_epochs=2, exp_dir=tmp_path / device)
        net.move("cpu")
    for name, value in values(nets["cpu"]).items():
        assert np.allclose(values(nets["gpu"])[name], value, rtol=1e-3, atol=1e-5), name


def test_on_the_gpu_two_epochs_and_a_third_are_to_the_last_bit_what_three_are(gpu, go, tmp_path):
    nets = [little.net() for _ in range(3)]
    for net, epochs, folder in zip(nets, (3, 2, 3), ("straight", "run", "run"), strict=True):
        net.move("gpu")
        go(net, num_epochs=epochs, exp_dir=tmp_path / folder)
        assert all(type(value) is gpu.ndarray for value in values(net).values())
        net.move("cpu")
    assert same(values(nets[2]), values(nets[0])) and not same(values(nets[1]), values(nets[0]))
    kept = [checkpoint.load(checkpoint.path_of(tmp_path / folder, 3)) for folder in ("straight", "run")]
    assert same(kept[0].state, kept[1].state)


def test_on_the_gpu_a_step_waits_for_the_copy_of_an_earlier_batch_and_for_nothing_computed(go, tmp_path):
    waits = []
    for folder, images in (("few", 6), ("many", 60)):
        with standin.installed():
            net = little.net()
            net.move("gpu")
            go(net, train=np.arange(images) % 10, val=np.arange(images) % 10, exp_dir=tmp_path / folder)
            waits.append(dict(standin.waits))
    copies = [seen.pop("synchronize") for seen in waits]
    assert copies == [8, 80]  # two passes over so many images, three at a time, in two parts
    assert waits[0] == waits[1]


@pytest.mark.parametrize("images", [7, 6])  # the last batch is shorter, and its mask another one's, or as long
def test_on_the_gpu_a_label_out_of_range_is_named_though_later_batches_were_computed(gpu, go, source, images):
    def spoil(epoch, indices, batch):
        batch["label"][1, 2, 0, -1] = 3 if 5 in indices else 1

    net = little.net()
    net.move("gpu")
    with pytest.raises(ValueError, match=r"a label is 3, at image \d, row 1, column 2") as stop:
        go(net, train=range(images), get_batch=little.Changed(source, spoil))
    assert "no epoch was whole" in " ".join(stop.value.__notes__)


# -- what stops a training


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_stops_with_the_layers_name_and_spares_what_was_written(go, source, tmp_path):
    def grow(epoch, indices, batch):
        batch["input"] *= np.float32(1e36 if epoch == 2 else 1)

    net = little.net()
    net.params["conv1f"].value *= 100
    with pytest.raises(
        FloatingPointError, match=r"'objective' became nan: layer 'conv1' \(Conv\) is the first"
    ) as stop:
        go(net, num_epochs=3, get_batch=little.Changed(source, grow))
    notes = " ".join(stop.value.__notes__)
    assert "epoch 2, train batch 1 of 3, images " in notes and "net-epoch-1.mat is whole" in notes
    assert same(values(net), values(checkpoint.load(checkpoint.path_of(tmp_path / "run", 1)).net))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_rate_that_is_too_high_is_told_by_the_parameter(go):
    with pytest.raises(
        FloatingPointError, match=r"parameter '\w+' of layer '\w+' is not finite since an earlier update"
    ):
        go(little.net(), num_epochs=5, learning_rate=1e45)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_parameter_spoiled_by_the_last_update_is_not_kept(go, tmp_path):
    options = {
        "train": [0, 1, 2],
        "val": [],
        "learning_rate": [0.01, 1e45],
    }  # one update an epoch: no loss shows the harm
    with pytest.raises(
        FloatingPointError, match="parameter 'conv1f' of layer 'conv1' is not finite after epoch 2"
    ) as stop:
        go(little.net(), num_epochs=2, **options)
    assert "net-epoch-1.mat is whole" in stop.value.__notes__[-1]
    assert [p.name for p in (tmp_path / "run").glob("*.mat")] == ["net-epoch-1.mat"]
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text())["epoch"] == 1


@pytest.mark.parametrize("full", ["checkpoint", "log"])
def test_a_full_disk_ends_the_training_and_spares_what_was_written(go, tmp_path, monkeypatch, full):
    net, folder = little.net(), tmp_path / "run"
    go(net)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def fill(file, *rest):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    if full == "checkpoint":
        monkeypatch.setattr(level5writer, "write", fill)
    else:
        monkeypatch.setattr(atomic.os, "fsync", lambda file: fill(io.BytesIO()))
    name = "net-epoch-2.mat" if full == "checkpoint" else "log.jsonl"
    with pytest.raises(OSError, match=rf"{name}: it cannot be written \(No space left on device\)") as stop:
        go(little.net(), num_epochs=2)
    assert "net-epoch-1.mat is whole: the same call or command goes on with epoch 2" in stop.value.__notes__[-1]
    after = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert after.keys() == before.keys() and after["net-epoch-1.mat"] == before["net-epoch-1.mat"]
    monkeypatch.undo()
    assert len(go(little.net(), num_epochs=2)["train"]) == 2


def test_what_is_said_to_be_whole_is_never_a_damaged_file(go, source, tmp_path):
    go(little.net(), num_epochs=2)
    checkpoint.path_of(tmp_path / "run", 2).write_bytes(b"half")

    def kill(epoch, indices, batch):
        raise KeyboardInterrupt

    with (
        pytest.warns(UserWarning, match="passed over"),
        pytest.raises(KeyboardInterrupt, match=r"stopped in epoch 2; .*net-epoch-1\.mat is whole"),
    ):
        go(little.net(), num_epochs=2, get_batch=little.Changed(source, kill))
