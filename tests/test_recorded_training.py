"""Trainings as MatConvNet ran them: every recorded run of every release, step by step, and through the trainer's files."""

import dataclasses
import shutil

import numpy as np
import pytest

from dagnet.files import checkpoint, matfile, matvalues
from dagnet.layers import bnorm
from dagnet.training import profile, trainer
from tests import recorded
from tests.conftest import golden_file

pytestmark = pytest.mark.usefixtures("exact")
SGD = (
    recorded.found("master/sgd.mat")
    + recorded.found("releases/*/sgd.mat")
    + recorded.found("releases/*/bnorm_train.mat")
)
NETS = [
    run
    for files in ("master/fcn_*.mat", "releases/*/fcn_*.mat", "releases/*/segloss_*.mat")
    for run in recorded.found(files)
]
RESUMED = recorded.found("releases/*/resume.mat")


# -- step by step


@pytest.mark.parametrize(("file", "name"), SGD + NETS)
def test_every_step_is_matconvnets(file, name):
    replay, tolerance = recorded.Replay(file, name), recorded.TOLERANCE[recorded.precision_of(file)]
    with recorded.counted(file, len(replay.variant["steps"])):
        for step in replay:
            assert max(replay.distances(step).values()) < tolerance, replay.distances(step)
        if "test_prediction" in replay.variant:
            assert recorded.distance(replay.test_prediction(), replay.variant["test_prediction"]) < tolerance


# Every rule of the table, another release's in its place, and a recorded run that must tell.
MISTAKES = [
    ("master", {"normalise": False}, "sgd", "plain", "losses"),
    ("beta25", {"normalise": True}, "sgd", "plain", "losses"),
    ("master", {"divide_by": "images"}, "sgd", "short_last_sub2", "values"),
    ("beta18", {"divide_by": "sub-batches"}, "sgd", "plain", "values"),
    ("master", {"moments_times_n": True}, "sgd", "plain", "derivatives"),
    ("beta23", {"moments_times_n": False}, "sgd", "plain", "derivatives"),
    ("beta23", {"average_over": "pixels"}, "sgd", "plain", "averages"),
    ("beta25", {"average_over": "images"}, "sgd", "plain", "averages"),
    ("beta18", {"keeps_momentum": True}, "sgd", "short_last", "values"),
    ("beta20", {"keeps_momentum": True}, "sgd", "short_last", "values"),
    ("beta23", {"keeps_momentum": False}, "sgd", "short_last", "values"),
    ("beta18", {"epsilon": 1e-4}, "bnorm_train", "batch3", "values"),
]


@pytest.mark.parametrize(("release", "wrong", "file", "name", "what"), MISTAKES)
def test_a_rule_mistaken_for_anothers_is_seen(release, wrong, file, name, what, monkeypatch):
    monkeypatch.setitem(profile.PROFILES, release, dataclasses.replace(profile.find(release), **wrong))
    replay = recorded.Replay(f"releases/{release}/{file}.mat", name)
    assert max(replay.distances(step)[what] for step in replay) > 1e-3


@pytest.mark.parametrize("release", ["beta23", "beta25", "master"])
def test_without_save_solver_state_each_epoch_starts_at_0(release):
    replay = recorded.Replay(f"releases/{release}/sgd.mat", "nosave_momentum")
    replay.recipe.save_solver_state = True
    assert max(replay.distances(step)["values"] for step in replay) > 1e-3


def test_an_idle_parameter_keeps_nothing_from_beta23_on(monkeypatch):
    monkeypatch.setitem(profile.PROFILES, "beta25", dataclasses.replace(profile.find("beta25"), skips_idle=False))
    replay = recorded.Replay("releases/beta25/fcn_double.mat", "once")
    *_, last = replay
    assert replay.recipe.state["up3f"].size > 1 and last["momentum"]["up3f"].size == 1


# -- what a new net has


@pytest.mark.parametrize("release", recorded.RELEASES)
@pytest.mark.parametrize("file", ["sgd", "bnorm_train", "resume"])
def test_new_batch_normalisations_are_the_releases(release, file):
    run = recorded.load(f"releases/{release}/{file}.mat")
    net = recorded.build(run, "double", release)
    profile.set_defaults(net, release)
    for record in net.layers.values():
        if isinstance(record.block, bnorm.BatchNorm):
            moments = net.params[record.params[2]]
            assert moments.learning_rate == run["lrmult"][moments.name]
            assert moments.train_method == run["trainMethod"][moments.name] == "average"
            assert record.block.epsilon == run.get("epsilon", record.block.epsilon)


@pytest.mark.parametrize("release", recorded.RELEASES)
def test_one_call_of_a_batch_normalisation_is_the_releases(release):
    run = recorded.load(f"releases/{release}/bnorm_train.mat")
    net, call = recorded.build(run, "double", release), run["single"]
    profile.apply(net, release)
    net.conserve_memory = False
    net.eval(recorded.inputs(*recorded.images(run), call["index"], "double"), {"objective": 1.0})
    ours = {name: net.vars[name].value for name in ("c1", "b1", "objective")}
    ours |= {f"der_{name}": net.params[name].der for name in ("x1", "g1", "b1")}
    assert recorded.furthest(ours, {name: call[name] for name in ours}) < 1e-12
    moments = bnorm.batch_moments(ours["c1"], run["epsilon"].item())
    assert recorded.distance(moments, call["vl_nnbnorm_moments"]) < 1e-12


# -- through the trainer: batches cut, schedules, statistics, checkpoints


@pytest.mark.parametrize("release", recorded.RELEASES)
def test_matconvnets_checkpoint_leads_to_its_next_epoch(release, tmp_path):
    run = recorded.load(f"releases/{release}/resume.mat")
    shutil.copy(golden_file(f"releases/{release}/net-epoch-2.mat"), tmp_path)
    net, stats = trained(run, release, tmp_path, 3, run["batches_epoch3"])
    assert recorded.furthest(values(net), run["params_epoch3"]) < recorded.TOLERANCE["single"]
    compare_stats(stats, run["stats_epoch3"])
    compare_state(net, tmp_path, run, release)
    for name, rate in run["learningRate_after_load"].items():
        assert net.params[name].learning_rate == rate
        assert net.params[name].train_method == run["trainMethod_after_load"][name]
    net.mode = "test"
    net.vars["prediction"].precious = True
    net.eval({"input": recorded.inputs(*recorded.images(run), run["test_index"], "single")["input"]})
    assert recorded.distance(net.vars["prediction"].value, run["test_prediction"]) < recorded.TOLERANCE["single"]


def compare_state(net, folder, run, release):
    written = matfile.read(checkpoint.path_of(folder, 3))
    assert list(written) == ["net", *(["state"] if "state_epoch3" in run else []), "dagnet", "stats"]
    assert written["dagnet"] == {"profile": release}
    if "state_epoch3" not in run:
        return
    (field, *_), (theirs, *_) = zip(*run["state_epoch3"].items(), strict=True)
    assert list(written["state"]) == list(run["state_epoch3"]) == [field, "stats"]
    state = dict.fromkeys(net.params, 0.0) | checkpoint.load(checkpoint.path_of(folder, 3)).state
    theirs = dict(zip(net.params, theirs, strict=True))
    noise = theirs.pop("conv1b")  # a bias before a batch normalisation: its derivative is 0 but for rounding
    assert np.abs(state["conv1b"] - noise).max() < 1e-6
    assert recorded.furthest(state, theirs) < recorded.TOLERANCE["single"]


@pytest.mark.parametrize(("file", "name"), RESUMED)
def test_a_whole_training_gives_matconvnets_numbers(file, name, tmp_path):
    run = recorded.load(file)
    with recorded.counted(file, 4):  # two epochs of two batches
        net, stats = trained(run, recorded.release_of(file), tmp_path, 2, run["batches_epoch1to2"])
        assert recorded.furthest(values(net), run["params_epoch2"]) < recorded.TOLERANCE["single"]
        compare_stats(stats, {kind: records[:2] for kind, records in run["stats_epoch3"].items()})


@pytest.mark.parametrize("release", recorded.RELEASES)
def test_a_checkpoint_of_ours_has_the_fields_of_the_releases(release, tmp_path):
    run = recorded.load(f"releases/{release}/resume.mat")
    trained(run, release, tmp_path, 2, run["batches_epoch1to2"])
    ours = matfile.read(checkpoint.path_of(tmp_path, 2))
    theirs = matfile.read(golden_file(f"releases/{release}/net-epoch-2.mat"))
    assert [name for name in ours if name != "dagnet"] == list(theirs)
    assert list(ours.get("state", ())) == list(theirs.get("state", ()))
    for kind in ("train", "val"):
        assert ours["stats"][kind].fields == theirs["stats"][kind].fields
    for a, b in zip(*(matvalues.structs(file["net"]["layers"]) for file in (ours, theirs)), strict=True):
        assert list(a) == list(b) and set(a["block"]) == set(b["block"])  # Octave sorts an object's properties


@pytest.mark.parametrize(("file", "name"), SGD)
def test_every_epoch_of_the_trainer_is_matconvnets(file, name, tmp_path):
    release, run = recorded.release_of(file), recorded.load(file)
    variant = recorded.variant(run, name)
    last = {}  # of each epoch, its last step
    for number, step in enumerate(variant["steps"]):
        last[int(step["epoch"].item()) if "epoch" in step else 1 + number * 3 // len(variant["steps"])] = step
    options = recorded.options_of(run, variant)
    sets = {"imdb": run["imdb"] | {"set": np.isin(np.arange(run["imdb"]["data"].shape[3]) + 1, options["train"])}}
    net, stats = trained(run | sets, release, tmp_path, 3, variant["batches"], options, "double")
    assert len(last) == 3
    for epoch, step in last.items():
        kept = checkpoint.load(checkpoint.path_of(tmp_path, epoch))
        assert recorded.furthest(values(kept.net), step["params"]) < 1e-12
        theirs = recorded.numbers_of(step)
        assert recorded.furthest(dict.fromkeys(net.params, 0.0) | kept.state, theirs["kept"]) < 1e-12
        assert recorded.furthest(stats["train"][epoch - 1], theirs["averages"]) < 1e-12
        if name == "nosave_momentum":
            assert not kept.state and np.size(step["state"]) == 0


# -- helpers


def trained(run, release, folder, num_epochs, calls, options=None, dtype="single"):
    """A recorded net after a training in whose recorded order get_batch hands out the images."""
    net = recorded.build(run, dtype, release)
    options = options or recorded.options_of(run, run)
    order = iter(calls)

    def get_batch(indices):
        call = next(order)
        assert call.size == len(indices)
        return recorded.inputs(*recorded.images(run), call, dtype)

    sets = np.ravel(run["imdb"]["set"])
    stats = trainer.train(
        net,
        get_batch,
        train=np.flatnonzero(sets == 1),
        val=np.flatnonzero(sets == 2),
        exp_dir=folder,
        num_epochs=num_epochs,
        batch_size=int(options["batchSize"][0]),
        num_sub_batches=int(options["numSubBatches"][0]),
        epoch_size=int(options["epochSize"][0]) if "epochSize" in options else None,
        learning_rate=options["learningRate"],
        weight_decay=options["weightDecay"][0],
        solver=recorded.solver(options),
        save_solver_state=bool(options["saveSolverState"][0]),
        profile=release,
        plot_statistics=False,
    )
    assert next(order, None) is None
    return net, stats


def compare_stats(ours, theirs):
    for kind in ("train", "val"):
        for a, b in zip(ours[kind], theirs[kind], strict=True):
            assert list(a) == list(b)
            wanted = {name: np.squeeze(value) for name, value in b.items() if name != "time"}
            assert recorded.furthest(a, wanted) < 5e-6


def values(net):
    return {name: param.value for name, param in net.params.items()}
