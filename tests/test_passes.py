"""One pass over images: how batches are cut, and what stops it."""

import numpy as np
import pytest

from dagnet.layers import settings
from dagnet.summary import memory
from dagnet.training import passes, profile, solvers
from tests import little, recorded


def one_pass(net, change, *, images=range(7), kind="train", rate=0.01, objective="objective"):
    """A pass over the little images, with change(epoch, indices, batch) done to each batch."""
    recipe = passes.Recipe(profile.apply(net, "beta25"), solvers.SGD(0.9), {}, 3, 2, 1e-4, {objective: 1.0})
    return passes.run(net, little.Changed(little.source(), change), recipe, kind, 1, np.asarray(images), rate)


def unchanged(epoch, indices, batch):
    pass


# -- memory


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_training_holds_is_the_peak_of_a_step_and_what_the_solver_keeps(dtype):
    net = little.net()
    for param in net.params.values():
        param.value = param.value.astype(dtype)
    inputs = little.source().get_batch([1, 2])
    held = sum(param.value.nbytes for param in net.params.values())
    peak = memory.peaks(net, {"input": (6, 6, 3, 2), "label": (6, 6, 1, 2)}).training * np.dtype(dtype).itemsize // 4
    for solver, kept in ((solvers.SGD(), 1), (solvers.Adam(), 2)):
        recipe = passes.Recipe(profile.find("beta25"), solver, {}, 2, 1, 0.0, {"objective": 1.0})
        assert passes._bytes_of_step(net, recipe, inputs) == peak + kept * held + settings.current().scratch


# -- batches


def test_batches_are_cut_into_interleaved_sub_batches():
    cut = passes.plan(np.arange(7), 4, 3)
    assert [[part.tolist() for part in batch] for batch in cut] == [[[0, 3], [1], [2]], [[4], [5], [6]]]


def test_an_empty_sub_batch_is_left_out():
    assert [[part.tolist() for part in batch] for batch in passes.plan(np.arange(4), 3, 2)] == [[[0, 2], [1]], [[3]]]


@pytest.mark.parametrize("release", recorded.RELEASES)
@pytest.mark.parametrize("name", ["short_last_sub2", "empty_sub", "subbatch3_odd"])
def test_sub_batches_are_those_of_matconvnet(release, name):
    run = recorded.load(f"releases/{release}/sgd.mat")
    variant = recorded.variant(run, name)
    options = recorded.options_of(run, variant)
    batch_size, sub_batches = (int(options[what][0]) for what in ("batchSize", "numSubBatches"))
    done = 0
    for step in variant["steps"]:
        calls = [c.ravel() for c in variant["batches"][done : int(step["nbatches"].item())]]
        done += len(calls)
        batch = np.empty(sum(map(len, calls)))
        for s, call in enumerate(calls):
            batch[s::sub_batches] = call
        (cut,) = passes.plan(batch, batch_size, sub_batches)
        assert [part.tolist() for part in cut] == [call.tolist() for call in calls]


# -- statistics


def one_pass_noting(profile_name):
    """What is seen of a parameter by extract_stats at the end of a pass, and the parameter before and after it."""
    net = little.net()
    recipe = passes.Recipe(profile.apply(net, profile_name), solvers.SGD(0.9), {}, 10, 1, 1e-4, {"objective": 1.0})
    recipe.extract_stats = lambda net: {"sum": net.params["predf"].value.sum(dtype=np.float64)}
    before = recipe.extract_stats(net)["sum"]
    outcome = passes.run(net, little.source().get_batch, recipe, "train", 1, np.arange(7), 0.1)
    return outcome.record["sum"], before, recipe.extract_stats(net)["sum"]


def test_statistics_are_taken_after_the_update_but_in_beta18():
    seen, before, after = one_pass_noting("beta18")
    assert seen == before != after
    for name in ("beta20", "beta25"):
        seen, before, after = one_pass_noting(name)
        assert seen == after != before


def test_a_loss_that_is_not_to_be_averaged_is_no_statistic_and_the_others_are_means_over_all_images():
    net, noted = little.net(), []
    one_pass(net, unchanged)
    net.layers["error"].block.ignore_average = True

    def note(epoch, indices, batch):
        noted.append(len(indices))

    outcome = one_pass(net, note, images=[7, 8, 9, 0], kind="val")
    assert noted == [2, 1, 1] and list(outcome.record) == ["num", "time", "objective", "accuracy"]
    single = [one_pass(net, note, images=[i], kind="val").record["objective"] for i in (7, 8, 9, 0)]
    assert outcome.record["objective"] == pytest.approx(np.mean(single), rel=1e-6)


def test_after_a_pass_the_net_holds_parameters_alone():
    net = little.net()
    for kind in ("train", "val"):
        one_pass(net, unchanged, kind=kind)
        assert all(var.held == {"value": None, "der": None} for var in net.vars.values())
        assert net.layers["objective"].block.num_averaged == 0


# -- what stops it


def test_an_input_that_is_not_finite_is_named():
    def poison(epoch, indices, batch):
        batch["input"][0, 0, 0, 0] = np.nan

    says = "training: 'objective' became nan: the input 'input' that get_batch gave is not finite"
    with pytest.raises(FloatingPointError, match=says):
        one_pass(little.net(), poison)


def test_an_objective_of_many_numbers_stops_too():
    def poison_without_labels(epoch, indices, batch):
        batch["input"][0, 0, 0, 0] = np.nan
        del batch["label"]

    net = little.net()
    net.remove_layer(["objective", "error", "accuracy"])
    with pytest.raises(FloatingPointError, match="training: 'prediction' became not finite: the input 'input'"):
        one_pass(net, poison_without_labels, objective="prediction")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_validation_loss_that_is_not_finite_stops_too():
    def poison(epoch, indices, batch):
        batch["input"] *= np.float32(np.nan)

    with pytest.raises(FloatingPointError) as stop:
        one_pass(little.net(), poison, images=[7, 8, 9], kind="val")
    assert "val batch 1 of 1" in stop.value.__notes__[0]


def test_a_batch_that_is_no_dict_is_named():
    recipe = passes.Recipe(profile.find("beta25"), solvers.SGD(0.9), {}, 3, 1, 1e-4, {"objective": 1.0})
    with pytest.raises(ValueError, match=r"get_batch: it gave a tuple; a dict, name -> array \(H, W, C, N\), is right"):
        passes.run(little.net(), lambda indices: (1, 2), recipe, "train", 1, np.arange(3), 0.1)


def test_an_error_of_a_layer_says_in_which_batch():
    def mislabel(epoch, indices, batch):
        batch["label"][...] = 3

    with pytest.raises(ValueError, match="a label is 3") as stop:
        one_pass(little.net(), mislabel)
    assert "in layer 'objective'" in stop.value.__notes__[0] and "train batch 1 of 3" in stop.value.__notes__[1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_parameter_that_the_last_update_spoiled_stops_a_pass_that_trains():
    with pytest.raises(FloatingPointError, match=r"parameter '\w+' of layer '\w+' is not finite after epoch 1"):
        one_pass(little.net(), unchanged, images=[0, 1, 2], rate=1e45)
