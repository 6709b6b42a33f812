"""Epochs: resuming to the same numbers, what is kept, what stops a training and how, and MatConvNet's own checkpoints."""

import json
import shutil

import numpy as np
import pytest

from dagnet import DagNN
from dagnet.data import batches
from dagnet.files import checkpoint
from dagnet.layers import array, bnorm, concat, conv, dropout, loss, relu, segmentation
from dagnet.training import passes, trainer
from tests import recorded
from tests.conftest import golden_file


class Changed:
    """get_batch of a source, with something done to each batch: change(epoch, indices, batch)."""

    def __init__(self, source, change):
        self.source, self.change, self.epoch = source, change, 0

    def __call__(self, indices):
        self.source.epoch = self.epoch
        batch = self.source.get_batch(indices)
        self.change(self.epoch, indices, batch)
        return batch


def small_net():
    """Convolution, batch normalisation, ReLU, DropOut, prediction; losses with one and with three averages."""
    net = DagNN()
    net.add_layer("conv1", conv.Conv([3, 3, 3, 4], pad=1), "input", "x1", ["conv1f", "conv1b"])
    net.add_layer("bn1", bnorm.BatchNorm(4), "x1", "x2", ["bn1m", "bn1b", "bn1x"])
    net.add_layer("relu1", relu.ReLU(), "x2", "x3")
    net.add_layer("drop1", dropout.DropOut(0.5), "x3", "x4")
    net.add_layer("concat", concat.Concat(), ["x4", "x3"], "x5")
    net.add_layer("pred", conv.Conv([1, 1, 8, 2]), "x5", "prediction", ["predf", "predb"])
    net.add_layer("objective", segmentation.SegmentationLoss(), ["prediction", "label"], "objective")
    net.add_layer("error", loss.Loss("classerror"), ["prediction", "label"], "error")
    net.add_layer("accuracy", segmentation.SegmentationAccuracy(), ["prediction", "label"], "accuracy")
    net.init_params(np.random.default_rng(0))
    return net


@pytest.fixture
def source():
    """Ten little images whose brighter half is class 2, turned and flipped anew in each epoch."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (10, 6, 6)).astype(np.uint8) + 1
    images = (rng.integers(0, 100, (10, 6, 6, 3)) + 100 * (labels[..., None] - 1)).astype(np.uint8)
    return batches.Batches(images, labels, [100, 100, 100], augment=batches.Augment())


@pytest.fixture
def go(source, tmp_path, monkeypatch):
    """trainer.train on the little images with settings that are quick, and no curves drawn; keywords override them."""
    monkeypatch.setattr(trainer.plots, "draw", lambda stats, folder: None)

    def run(net, **options):
        settings = {"train": range(7), "val": [7, 8, 9], "batch_size": 3, "num_sub_batches": 2, "num_epochs": 1}
        settings |= {"exp_dir": tmp_path / "run", "learning_rate": 0.01}
        get_batch = options.pop("get_batch", source.get_batch)
        return trainer.train(net, get_batch, **settings | options)

    return run


def values(net):
    return {name: param.value for name, param in net.params.items()}


def same(a, b):
    """Whether two dicts of arrays are equal to the last bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def timeless(stats):
    """Statistics without what depends on the machine."""
    return {
        kind: [{n: np.asarray(v).tolist() for n, v in r.items() if n != "time"} for r in stats[kind]] for kind in stats
    }


# -- going on


def test_two_epochs_and_a_third_are_to_the_last_bit_what_three_are(go, tmp_path):
    straight, first, second = small_net(), small_net(), small_net()
    whole = go(straight, num_epochs=3, exp_dir=tmp_path / "straight")
    go(first, num_epochs=2)
    second.init_params(np.random.default_rng(99))  # whatever it holds, the checkpoint counts
    resumed = go(second, num_epochs=3)
    assert same(values(second), values(straight))
    assert timeless(resumed) == timeless(whole)
    kept = [checkpoint.load(checkpoint.path_of(tmp_path / folder, 3)) for folder in ("straight", "run")]
    assert same(kept[0].state, kept[1].state)


def test_a_killed_training_loses_its_epoch_alone_and_comes_to_the_same_numbers(go, source, tmp_path):
    straight, killed = small_net(), small_net()
    go(straight, num_epochs=3, exp_dir=tmp_path / "straight")
    calls = []

    def kill(epoch, indices, batch):
        calls.append(epoch)
        if calls.count(2) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"stopped in epoch 2; .*net-epoch-1\.mat is whole: .* with epoch 2"):
        go(killed, num_epochs=3, get_batch=Changed(source, kill))
    assert sorted(p.name for p in (tmp_path / "run").glob("*.mat")) == ["net-epoch-1.mat"]
    go(killed, num_epochs=3)
    assert same(values(killed), values(straight))


def test_a_half_written_checkpoint_is_passed_over(go, tmp_path):
    straight, resumed = small_net(), small_net()
    go(straight, num_epochs=2)
    last = checkpoint.path_of(tmp_path / "run", 2)
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"net-epoch-2\.mat"):
        go(resumed, num_epochs=2)
    assert same(values(resumed), values(straight))


def test_a_finished_training_is_only_read(go):
    net = small_net()
    stats = go(net, num_epochs=2)
    again = small_net()
    assert timeless(go(again, num_epochs=2)) == timeless(stats)
    assert same(values(again), values(net))


@pytest.mark.parametrize("release", ["beta25", "master"])
def test_matconvnets_checkpoint_leads_to_its_next_epoch(release, tmp_path):
    run = recorded.load(f"releases/{release}/resume.mat")
    shutil.copy(golden_file(f"releases/{release}/net-epoch-2.mat"), tmp_path)
    net, stats = _train_as_recorded(run, release, tmp_path, 3, run["batches_epoch3"])
    assert recorded.furthest(values(net), run["params_epoch3"]) < recorded.TOLERANCE["single"]
    _compare_stats(stats, run["stats_epoch3"])
    state = dict.fromkeys(net.params, 0.0) | checkpoint.load(checkpoint.path_of(tmp_path, 3)).state
    theirs = dict(zip(net.params, run["state_epoch3"]["solverState"], strict=True))
    noise = theirs.pop("conv1b")  # a bias before a batch normalisation: its derivative is 0 but for rounding
    assert np.abs(state["conv1b"] - noise).max() < 1e-6
    assert recorded.furthest(state, theirs) < recorded.TOLERANCE["single"]
    net.mode = "test"
    net.vars["prediction"].precious = True
    net.eval({"input": recorded.inputs(*_images(run), run["test_index"], "single")["input"]})
    assert recorded.distance(net.vars["prediction"].value, run["test_prediction"]) < 2e-5


@pytest.mark.parametrize("release", ["beta25", "master"])
def test_a_whole_training_gives_matconvnets_numbers(release, tmp_path):
    run = recorded.load(f"releases/{release}/resume.mat")
    net, stats = _train_as_recorded(run, release, tmp_path, 2, run["batches_epoch1to2"])
    assert recorded.furthest(values(net), run["params_epoch2"]) < recorded.TOLERANCE["single"]
    _compare_stats(stats, {kind: records[:2] for kind, records in run["stats_epoch3"].items()})


def _images(run):
    return run["imdb"]["data"], run["imdb"]["labels"]


def _train_as_recorded(run, release, folder, num_epochs, calls):
    """The training of resume.mat, in whose recorded order get_batch hands out the images."""
    net = recorded.build(run, "single")
    options = {name: np.ravel(value).tolist() for name, value in recorded.settings(run["opts"]).items()}
    order = iter(calls)

    def get_batch(indices):
        call = next(order)
        assert call.size == len(indices)
        return recorded.inputs(*_images(run), call, "single")

    sets = run["imdb"]["set"].ravel()
    stats = trainer.train(
        net,
        get_batch,
        train=np.flatnonzero(sets == 1),
        val=np.flatnonzero(sets == 2),
        exp_dir=folder,
        num_epochs=num_epochs,
        batch_size=int(options["batchSize"][0]),
        learning_rate=options["learningRate"],
        momentum=options["momentum"][0],
        weight_decay=options["weightDecay"][0],
        profile=release,
    )
    assert next(order, None) is None
    return net, stats


def _compare_stats(ours, theirs):
    for kind in ("train", "val"):
        for a, b in zip(ours[kind], theirs[kind], strict=True):
            assert list(a) == list(b)
            assert recorded.furthest({n: a[n] for n in ("num", "objective", "error")}, _without(b, "time")) < 5e-6


def _without(record, name):
    return {n: np.squeeze(v) for n, v in record.items() if n != name}


# -- what is kept


def test_files_of_a_training(go, tmp_path, monkeypatch):
    monkeypatch.undo()  # curves are drawn
    go(small_net(), num_epochs=2, learning_rate=[0.01, 0.001])
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


def test_a_checkpoint_holds_the_net_as_it_is_in_use(go, tmp_path):
    net = small_net()
    stats = go(net)
    kept = checkpoint.load(checkpoint.path_of(tmp_path / "run", 1))
    assert same(values(kept.net), values(net))
    assert not any(var.precious for var in kept.net.vars.values())
    assert kept.stats["train"][0]["objective"] == stats["train"][0]["objective"]


def test_statistics_of_a_pass_are_the_losses_averages(go):
    stats = go(small_net())
    for record in (stats["train"][0], stats["val"][0]):
        assert list(record) == ["num", "time", "objective", "error", "accuracy"]
        assert record["accuracy"].shape == (3,) and record["accuracy"][0] == pytest.approx(1 - record["error"])


def test_training_learns(go):
    stats = go(small_net(), num_epochs=12, batch_size=2, learning_rate=0.03)
    assert stats["train"][-1]["objective"] < 0.5 * stats["train"][0]["objective"]
    assert stats["val"][-1]["error"] < 0.15


def test_without_validation_there_are_no_statistics_of_it(go):
    stats = go(small_net(), val=[])
    assert stats["val"] == [] and len(stats["train"]) == 1


# -- an epoch


def test_batches_are_cut_into_interleaved_sub_batches():
    cut = passes.plan(np.arange(7), 4, 3)
    assert [[part.tolist() for part in batch] for batch in cut] == [[[0, 3], [1], [2]], [[4], [5], [6]]]


def test_an_empty_sub_batch_is_left_out():
    assert [[part.tolist() for part in batch] for batch in passes.plan(np.arange(4), 3, 2)] == [[[0, 2], [1]], [[3]]]


@pytest.mark.parametrize("name", ["short_last_sub2", "empty_sub", "subbatch3_odd"])
def test_sub_batches_are_those_of_matconvnet(name):
    run = recorded.load("releases/beta25/sgd.mat")
    (variant,) = (v for v in run["variants"] if v["name"] == name)
    options = recorded.settings(variant["opts"])
    sub_batches = int(options["numSubBatches"].item())
    done = 0
    for step in variant["steps"]:
        calls = [c.ravel() for c in variant["batches"][done : int(step["nbatches"].item())]]
        done += len(calls)
        batch = np.empty(sum(map(len, calls)))
        for s, call in enumerate(calls):
            batch[s::sub_batches] = call
        (cut,) = passes.plan(batch, int(options["batchSize"].item()), sub_batches)
        assert [part.tolist() for part in cut] == [call.tolist() for call in calls]


def test_an_epoch_takes_epoch_size_images_drawn_anew(go, source):
    seen = []

    noting = Changed(source, lambda epoch, indices, batch: seen.extend(indices.tolist()))
    go(small_net(), num_epochs=2, val=[], epoch_size=4, get_batch=noting)
    first, second = set(seen[:4]), set(seen[4:])
    assert len(seen) == 8 and len(first) == len(second) == 4 and seen[:4] != seen[4:]


def test_the_seed_decides_the_numbers(go, tmp_path):
    nets = [small_net() for _ in range(3)]
    for net, seed, folder in zip(nets, (5, 5, 6), "abc", strict=True):
        go(net, random_seed=seed, exp_dir=tmp_path / folder)
    assert same(values(nets[0]), values(nets[1])) and not same(values(nets[0]), values(nets[2]))


def test_get_batchs_owner_is_told_the_epoch(go, source):
    epochs = []
    go(small_net(), num_epochs=3, on_epoch=lambda epoch, stats: epochs.append((epoch, source.epoch)))
    assert epochs == [(1, 1), (2, 2), (3, 3)]


def test_modes_and_derivatives_of_the_two_passes(go, monkeypatch):
    net, seen = small_net(), []
    block = net.layers["conv1"].block
    forward, backward = block.forward, block.backward
    monkeypatch.setattr(block, "forward", lambda *a: seen.append(block.mode) or forward(*a))
    monkeypatch.setattr(block, "backward", lambda *a: seen.append(block.needs_input_der) or backward(*a))
    go(net, train=range(3), val=[7], batch_size=3, num_sub_batches=1)
    assert seen == ["normal", False, "test"]


def test_settings_of_the_net_are_given_back(go):
    net = small_net()
    net.mode = "test"
    go(net)
    assert net.mode == "test" and net.input_ders and not net.accumulate_param_ders


def test_arrays_that_others_hold_do_not_change(go):
    net = small_net()
    before = values(net)
    copies = {name: value.copy() for name, value in before.items()}
    go(net)
    assert same(before, copies) and not same(values(net), before)


def test_on_epoch_can_end_the_training(go):
    stats = go(small_net(), num_epochs=9, on_epoch=lambda epoch, stats: epoch < 2)
    assert len(stats["train"]) == 2


@pytest.mark.gpu
def test_the_gpu_comes_to_the_numbers_of_the_cpu(go, tmp_path):
    try:
        array.cupy_module()
    except RuntimeError as error:
        pytest.skip(str(error))
    nets = {"cpu": small_net(), "gpu": small_net()}
    for device, net in nets.items():
        net.layers["drop1"].block.rate = 0  # the two draw different masks
        net.move(device)
        go(net, num_epochs=1, exp_dir=tmp_path / device)
        go(net, num_epochs=2, exp_dir=tmp_path / device)
        net.move("cpu")
    for name, value in values(nets["cpu"]).items():
        assert np.allclose(values(nets["gpu"])[name], value, rtol=1e-3, atol=1e-5), name


# -- what stops a training


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_stops_with_the_layers_name_and_spares_what_was_written(go, source, tmp_path):
    def grow(epoch, indices, batch):
        batch["input"] *= np.float32(1e36 if epoch == 2 else 1)

    net = small_net()
    net.params["conv1f"].value *= 100
    with pytest.raises(
        FloatingPointError, match=r"'objective' became nan: layer 'conv1' \(Conv\) is the first"
    ) as stop:
        go(net, num_epochs=3, get_batch=Changed(source, grow))
    notes = " ".join(stop.value.__notes__)
    assert "epoch 2, train batch 1 of 3, images " in notes and "net-epoch-1.mat is whole" in notes
    assert same(values(net), values(checkpoint.load(checkpoint.path_of(tmp_path / "run", 1)).net))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_rate_that_is_too_high_is_told_by_the_parameter(go):
    with pytest.raises(
        FloatingPointError, match=r"parameter '\w+' of layer '\w+' is not finite since an earlier update"
    ):
        go(small_net(), num_epochs=5, learning_rate=1e45)


def test_an_input_that_is_not_finite_is_named(go, source):
    def poison(epoch, indices, batch):
        batch["input"][0, 0, 0, 0] = np.nan

    with pytest.raises(FloatingPointError, match="the input 'input' that get_batch gave is not finite"):
        go(small_net(), get_batch=Changed(source, poison))


def test_a_validation_loss_that_is_not_finite_stops_too(go, source):
    def poison(epoch, indices, batch):
        batch["input"] *= np.float32(np.nan if 7 in indices else 1)

    with pytest.raises(FloatingPointError) as stop:
        go(small_net(), get_batch=Changed(source, poison))
    assert "val batch 1 of 1" in stop.value.__notes__[0]


def test_an_error_of_a_layer_says_in_which_batch(go, source):
    def mislabel(epoch, indices, batch):
        batch["label"][...] = 3

    with pytest.raises(ValueError, match="a label is 3") as stop:
        go(small_net(), get_batch=Changed(source, mislabel))
    assert "in layer 'objective'" in stop.value.__notes__[0] and "train batch 1 of 3" in stop.value.__notes__[1]


def test_a_folder_that_cannot_be_written_is_refused_before_training(go, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="nothing can be written there"):
        go(small_net(), exp_dir=tmp_path / "file" / "run")


def test_a_network_too_large_for_its_checkpoint_is_refused_before_training(go, tmp_path):
    net = small_net()
    net.params["predf"].value = np.broadcast_to(np.float32(0), (7, 7, 4096, 4096))  # takes no memory
    with pytest.raises(ValueError, match=r"parameters take 3\.06 GiB.*the largest is 'predf' \(7, 7, 4096, 4096\)"):
        go(net)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_network_is_refused(go):
    go(small_net())
    other = small_net()
    other.params["conv1f"].value = np.zeros((3, 3, 3, 5), np.float32)
    with pytest.raises(
        ValueError, match=r"net-epoch-1\.mat: its network is another one: parameter 'conv1f' is \(3, 3, 3, 4"
    ):
        go(other, num_epochs=2)


def test_an_earlier_training_is_neither_continued_nor_overwritten_by_mistake(go):
    go(small_net())
    with pytest.raises(FileExistsError, match=r"net-epoch-1\.mat of an earlier training; resume=True"):
        go(small_net(), resume=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": []}, "no image to train on"),
        ({"train": [0.5]}, "a row of whole numbers is right"),
        ({"batch_size": 0}, "batch_size: it is 0"),
        ({"num_sub_batches": 0}, "num_sub_batches: it is 0"),
        ({"epoch_size": 0}, "epoch_size: it is 0"),
        ({"num_epochs": -1}, "num_epochs: it is -1"),
        ({"learning_rate": []}, "learning_rate: it is"),
        ({"learning_rate": -1}, "learning_rate: it is -1"),
        ({"profile": "beta99"}, "profile: 'beta99' is not known; one of beta25, master is right"),
    ],
)
def test_arguments_that_do_not_fit_are_named(go, options, message):
    with pytest.raises(ValueError, match=message):
        go(small_net(), **options)


def test_a_net_without_values_is_refused(go):
    net = small_net()
    net.params["predf"].value = None
    with pytest.raises(ValueError, match="parameter 'predf': it has no value"):
        go(net)
