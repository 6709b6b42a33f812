"""Whole trainings as MatConvNet ran them: its numbers epoch by epoch, and its own checkpoint gone on from."""

import shutil

import numpy as np
import pytest

from dagnet.files import checkpoint
from dagnet.training import trainer
from tests import recorded
from tests.conftest import golden_file


@pytest.mark.parametrize("release", ["beta25", "master"])
def test_matconvnets_checkpoint_leads_to_its_next_epoch(release, tmp_path):
    run = recorded.load(f"releases/{release}/resume.mat")
    shutil.copy(golden_file(f"releases/{release}/net-epoch-2.mat"), tmp_path)
    net, stats = _train_as_recorded(run, release, tmp_path, 3, run["batches_epoch3"])
    assert recorded.furthest(_values(net), run["params_epoch3"]) < recorded.TOLERANCE["single"]
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
    assert recorded.furthest(_values(net), run["params_epoch2"]) < recorded.TOLERANCE["single"]
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


def _values(net):
    return {name: param.value for name, param in net.params.items()}
