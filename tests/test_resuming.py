"""Going on from a checkpoint: the release's rules that it remembers, the solver's memory, and what is no fit."""

import re

import numpy as np
import pytest

from dagnet.files import checkpoint, matfile, matvalues
from dagnet.layers import conv
from dagnet.training import profile, resuming, solvers
from tests import little, recorded
from tests.conftest import golden_file
from tests.little import same, values

# -- the profile


def test_a_checkpoint_remembers_its_profile(tmp_path):
    nets = little.net(), little.net()
    for epochs in (1, 2):
        little.train(nets[0], tmp_path / "told twice", num_epochs=epochs, profile="master")
    little.train(nets[1], tmp_path / "told once", num_epochs=1, profile="master")
    little.train(nets[1], tmp_path / "told once", num_epochs=2)
    assert same(values(nets[0]), values(nets[1]))
    assert checkpoint.load(checkpoint.path_of(tmp_path / "told once", 2)).profile == "master"


def test_beta25_is_followed_where_nothing_is_said(tmp_path):
    little.train(little.net(), tmp_path)
    assert checkpoint.load(checkpoint.path_of(tmp_path, 1)).profile == "beta25"
    little.train(little.net(), tmp_path, num_epochs=2, profile="beta24")  # the same rules


def test_a_profile_that_contradicts_the_checkpoints_is_refused(tmp_path):
    little.train(little.net(), tmp_path)
    says = rf"profile: {re.escape(str(tmp_path))}/net-epoch-1\.mat was trained with beta25 and master is asked for; beta25, or"
    with pytest.raises(ValueError, match=says):
        little.train(little.net(), tmp_path, num_epochs=2, profile="master")


@pytest.mark.parametrize("release", recorded.RELEASES)
def test_a_checkpoint_of_matconvnet_remembers_none(release):
    path = golden_file(f"releases/{release}/net-epoch-2.mat")
    found = path, checkpoint.load(path)
    assert found[1].profile is None
    assert resuming.profile_name(None, found) == "beta25"
    assert resuming.profile_name("beta18", found) == "beta18"


def test_a_profile_of_the_checkpoint_that_is_not_known_is_named_with_the_file(tmp_path):
    little.train(little.net(), tmp_path)
    path = checkpoint.path_of(tmp_path, 1)
    matfile.write(path, matfile.read(path) | {"dagnet": {"profile": "beta99"}})
    with pytest.raises(ValueError, match=r"net-epoch-1\.mat: profile: 'beta99' is not known; one of beta18"):
        little.train(little.net(), tmp_path, num_epochs=2)


@pytest.mark.parametrize(
    ("release", "options", "says"),
    [
        ("beta18", {"solver": "adam"}, "solver: beta18 had none; profile beta25 or master, or plain SGD, is right"),
        ("beta23", {"solver": lambda w, kept, g, opts, rate: (w, kept)}, "solver: beta23 had none"),
        ("beta20", {"nesterov_update": True}, "nesterov_update: beta20 had none; profile beta23 or beta25 or master"),
    ],
)
def test_what_a_release_did_not_have_is_refused(tmp_path, release, options, says):
    with pytest.raises(ValueError, match=says):
        little.train(little.net(), tmp_path, profile=release, **options)


def test_a_net_that_the_release_could_not_load_is_refused_before_the_first_epoch(tmp_path):
    with pytest.raises(ValueError, match=r"layer 'bn1'\.block\.epsilon: beta18 does not know it and works with 0\.001"):
        little.train(little.net(), tmp_path, profile="beta18")
    net = little.net()
    profile.set_defaults(net, "beta18")
    little.train(net, tmp_path, profile="beta18")
    layers = matvalues.structs(matfile.read(checkpoint.path_of(tmp_path, 1))["net"]["layers"])
    assert set(layers[1]["block"]) == {"numChannels"}


# -- the solver


WAYS = [{"solver": name} for name in solvers.SOLVERS] + [{"profile": name} for name in profile.PROFILES]


@pytest.mark.parametrize("options", WAYS, ids=lambda options: next(iter(options.values())))
def test_in_every_way_two_epochs_and_a_third_are_to_the_last_bit_what_three_are(options, tmp_path):
    straight, resumed = little.net(), little.net()
    for net in (straight, resumed):
        profile.set_defaults(net, options.get("profile", "beta25"))
    little.train(straight, tmp_path / "straight", num_epochs=3, **options)
    for epochs in (2, 3):
        little.train(resumed, tmp_path / "resumed", num_epochs=epochs, **options)
    assert same(values(straight), values(resumed))
    kept = [checkpoint.load(checkpoint.path_of(tmp_path / folder, 3)).state for folder in ("straight", "resumed")]
    assert same(*kept)


def test_a_function_of_the_users_goes_on_with_what_it_kept(tmp_path):
    def counting(w, kept, g, opts, rate):
        kept = kept or {"steps": 0.0, "sum": np.zeros_like(g)}
        return w - rate * g / (1 + kept["steps"]), {"steps": kept["steps"] + 1, "sum": kept["sum"] + g}

    straight, resumed = little.net(), little.net()
    little.train(straight, tmp_path / "straight", num_epochs=2, solver=counting)
    for epochs in (1, 2):
        little.train(resumed, tmp_path / "resumed", num_epochs=epochs, solver=counting)
    assert same(values(straight), values(resumed))
    kept = checkpoint.load(checkpoint.path_of(tmp_path / "resumed", 2)).state["predf"]
    assert np.ravel(kept["steps"]) == 6 and kept["sum"].shape == resumed.params["predf"].value.shape


def test_another_solvers_checkpoint_is_refused(tmp_path):
    little.train(little.net(), tmp_path)
    says = r"net-epoch-1\.mat: what the solver keeps of parameter 'conv1f': it holds an array, and Adam keeps m, v"
    with pytest.raises(ValueError, match=says):
        little.train(little.net(), tmp_path, num_epochs=2, solver="adam")


def test_who_keeps_nothing_may_change_the_solver(tmp_path):
    little.train(little.net(), tmp_path)
    little.train(little.net(), tmp_path, num_epochs=2, solver="adam", save_solver_state=False)
    assert not checkpoint.load(checkpoint.path_of(tmp_path, 2)).state


def test_without_save_solver_state_nothing_is_kept_and_a_resumed_training_is_the_same(tmp_path):
    straight, resumed = little.net(), little.net()
    little.train(straight, tmp_path / "straight", num_epochs=2, save_solver_state=False)
    for epochs in (1, 2):
        little.train(resumed, tmp_path / "resumed", num_epochs=epochs, save_solver_state=False)
    assert same(values(straight), values(resumed))
    path = checkpoint.path_of(tmp_path / "resumed", 2)
    assert matfile.read(path)["state"]["solverState"].shape == (0, 0) and not checkpoint.load(path).state


# -- the rest


def test_post_epoch_is_asked_again_so_that_a_resumed_training_has_the_same_rates(tmp_path):
    def post_epoch(net, epoch, stats):
        return 0 if epoch == 4 else 0.01 / 2**epoch

    straight, resumed = little.net(), little.net()
    little.train(straight, tmp_path / "straight", num_epochs=9, post_epoch=post_epoch)
    for epochs in (2, 9, 9):
        stats = little.train(resumed, tmp_path / "resumed", num_epochs=epochs, post_epoch=post_epoch)
    assert same(values(straight), values(resumed)) and len(stats["train"]) == 4


def test_the_parameters_own_rates_and_decays_are_the_checkpoints(tmp_path):
    straight, first, second = little.net(), little.net(), little.net()
    for net in (straight, first):
        net.params["predf"].learning_rate, net.params["predf"].weight_decay = 0.25, 30.0
    little.train(straight, tmp_path / "straight", num_epochs=2)
    little.train(first, tmp_path / "resumed", num_epochs=1)
    little.train(second, tmp_path / "resumed", num_epochs=2)
    assert (second.params["predf"].learning_rate, second.params["predf"].weight_decay) == (0.25, 30)
    assert same(values(straight), values(second))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    little.train(little.net(), tmp_path)
    other = little.net()
    other.params["conv1f"].value = np.zeros((3, 3, 3, 5), np.float32)
    with pytest.raises(
        ValueError, match=r"net-epoch-1\.mat: its network is another one: parameter 'conv1f' is \(3, 3, 3, 4"
    ):
        little.train(other, tmp_path, num_epochs=2)


def test_a_parameter_that_is_on_one_side_alone_is_named(tmp_path):
    def with_another():
        net = little.net()
        net.add_layer(
            "one", conv.Conv([1, 1, 8, 1]), "x5", "one", ["onef", "oneb"]
        )  # of one filter: its file drops the 1
        net.init_params(np.random.default_rng(0), ["one"])
        return net

    little.train(with_another(), tmp_path / "more")
    little.train(little.net(), tmp_path / "less")
    assert len(little.train(with_another(), tmp_path / "more", num_epochs=2)["train"]) == 2
    with pytest.raises(
        ValueError, match=r"parameter 'onef' is \(1, 1, 8\) there and absent here; give another exp_dir"
    ):
        little.train(little.net(), tmp_path / "more", num_epochs=3)
    with pytest.raises(
        ValueError, match=r"parameter 'onef' is absent there and \(1, 1, 8\) here; give another exp_dir"
    ):
        little.train(with_another(), tmp_path / "less", num_epochs=2)


def test_statistics_of_other_epochs_or_of_no_numbers_are_refused_with_the_files_name(tmp_path):
    little.train(little.net(), tmp_path, num_epochs=2)
    checkpoint.path_of(tmp_path, 1).rename(checkpoint.path_of(tmp_path, 7))
    with pytest.raises(
        ValueError, match=r"net-epoch-7\.mat: it holds the statistics of 1 epochs; as many as its name says"
    ):
        little.train(little.net(), tmp_path, num_epochs=8)
    path = checkpoint.path_of(tmp_path, 7).rename(tmp_path / "net-epoch-01.mat")
    checkpoint.path_of(tmp_path, 2).unlink()
    assert len(little.train(little.net(), tmp_path, num_epochs=2)["train"]) == 2
    checkpoint.path_of(tmp_path, 2).unlink()
    record = matvalues.structs(matfile.read(path)["stats"]["train"])[0] | {"note": "good"}
    stats = {kind: matvalues.struct_array(list(record), [record]) for kind in ("train", "val")}
    matfile.write(path, matfile.read(path) | {"stats": stats})
    with pytest.raises(ValueError, match=r"net-epoch-01\.mat: its statistics are not all numbers: .*'good'"):
        little.train(little.net(), tmp_path, num_epochs=2)


def test_an_earlier_training_is_neither_continued_nor_overwritten_by_mistake(tmp_path):
    little.train(little.net(), tmp_path)
    with pytest.raises(FileExistsError, match=r"net-epoch-1\.mat of an earlier training; resume=True"):
        little.train(little.net(), tmp_path, resume=False)
