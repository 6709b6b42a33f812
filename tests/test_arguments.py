"""What a training cannot do with is said before its first epoch, in one sentence that names the argument."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from dagnet.files import checkpoint
from dagnet.layers import relu
from dagnet.training import arguments, trainer
from tests import little


def untouched(indices):
    raise AssertionError("the first epoch has begun")


@pytest.fixture
def refusal(tmp_path):
    """What trainer.train says to a net and options, before it asks for a batch."""

    def of(net, kind=ValueError, **options):
        settings = {"train": range(7), "val": [7, 8], "exp_dir": tmp_path / "run", "num_epochs": 1} | options
        with pytest.raises(kind) as refused:
            trainer.train(net, **{"get_batch": untouched} | settings)
        assert not hasattr(refused.value, "__notes__")  # no epoch was told of
        return str(refused.value)

    return of


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": []}, "train: there is no image to train on"),
        ({"train": [0.5]}, "train: it is a float64 array of shape (1,); a row of whole numbers is right"),
        ({"batch_size": 0}, "batch_size: it is 0; a whole number from 1 on is right"),
        ({"batch_size": 2.5}, "batch_size: it is 2.5; a whole number from 1 on is right"),
        ({"num_sub_batches": 0}, "num_sub_batches: it is 0; a whole number from 1 on is right"),
        ({"epoch_size": 0}, "epoch_size: it is 0; a whole number from 1 on is right"),
        ({"num_epochs": -1}, "num_epochs: it is -1; a whole number from 0 on is right"),
        ({"random_seed": -1}, "random_seed: it is -1; a whole number from 0 on is right"),
        ({"learning_rate": []}, "learning_rate: it is []; a number from 0 on, or one for each epoch, is right"),
        ({"learning_rate": -1}, "learning_rate: it is -1; a number from 0 on, or one for each epoch, is right"),
        ({"learning_rate": np.inf}, "learning_rate: it is inf; a number from 0 on, or one for each epoch, is right"),
        ({"train": [[1, 2]]}, "train: it is a int64 array of shape (1, 2); a row of whole numbers is right"),
        ({"val": 7}, "val: it is a int64 array of shape (); a row of whole numbers is right"),
        ({"learning_rate": "low"}, "learning_rate: it is low; a number from 0 on, or one for each epoch, is right"),
        ({"learning_rate": None}, "learning_rate: it is None; a number from 0 on, or one for each epoch, is right"),
        ({"weight_decay": np.inf}, "weight_decay: it is inf; a number from 0 on is right"),
        ({"weight_decay": "none"}, "weight_decay: it is none; a number from 0 on is right"),
        ({"get_batch": "images"}, "get_batch: it is 'images'; a function is right"),
        ({"get_batch": None}, "get_batch: it is None; a function is right"),
        ({"extract_stats": 3}, "extract_stats: it is 3; a function is right"),
        ({"post_epoch": 3}, "post_epoch: it is 3; a function is right"),
        ({"der_outputs": "objective"}, "der_outputs: it is 'objective'; a dict such as {'objective': 1} is right"),
        (
            {"der_outputs": {"objective": None}},
            "der_outputs: the weight of 'objective': it is None; finite numbers are right",
        ),
        ({"momentum": 1.5}, "momentum: it is 1.5; a number from 0 on and below 1 is right"),
        ({"momentum": -1}, "momentum: it is -1; a number from 0 on and below 1 is right"),
        ({"momentum": np.nan}, "momentum: it is nan; a number from 0 on and below 1 is right"),
        ({"weight_decay": -1}, "weight_decay: it is -1; a number from 0 on is right"),
        ({"weight_decay": np.nan}, "weight_decay: it is nan; a number from 0 on is right"),
        (
            {"profile": "beta99"},
            "profile: 'beta99' is not known; one of beta18, beta20, beta23, beta24, beta25, master is right",
        ),
        (
            {"der_outputs": {"loss": 1.0}},
            "der_outputs: the net has no variable 'loss'; its outputs are objective, error, accuracy",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(refusal, options, message):
    assert refusal(little.net(), **options) == message


def test_a_net_without_the_usual_objective_is_told_its_outputs(refusal):
    net = little.net()
    net.rename_var("objective", "dice")
    assert refusal(net) == "der_outputs: the net has no variable 'objective'; its outputs are dice, error, accuracy"


def test_a_net_without_values_is_refused(refusal):
    net = little.net()
    net.params["predf"].value = None
    assert refusal(net).startswith("parameter 'predf': it has no value")


@pytest.mark.parametrize("dtype", [np.float16, np.int32])
def test_parameters_that_matlab_cannot_train_on_are_refused(refusal, dtype):
    net = little.net()
    net.params["predf"].value = net.params["predf"].value.astype(dtype)
    assert refusal(net) == f"parameter 'predf': it is {np.dtype(dtype)}; float32 or float64 is right"


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"my key": 1}, "net.meta: field 'my key' is no MATLAB name"),
        ({1: "one"}, "net.meta: field 1 is no MATLAB name"),
        ({"half": np.zeros(2, np.float16)}, "net.meta.half is an array of float16; MATLAB has no such class"),
        ({"now": {"at": object()}}, "net.meta.now.at is of Python's type object, for which MATLAB has no class"),
    ],
)
def test_meta_that_no_checkpoint_can_hold_is_refused(refusal, meta, message):
    net = little.net()
    net.meta = meta
    assert refusal(net).startswith(message)


def test_a_block_that_no_checkpoint_can_name_is_refused_by_its_layer(refusal):
    @dataclass
    class Mine(relu.ReLU):
        pass

    net = little.net()
    net.layers["relu1"].block = Mine()
    assert refusal(net).startswith("layer 'relu1' cannot be saved: catalogue: the class Mine is not registered")


def test_a_loss_whose_name_no_statistics_can_have_is_refused(refusal):
    net = little.net()
    net.rename_var("error", "class error")
    assert "field 'class error' is no MATLAB name" in refusal(net)


def test_another_loss_than_in_the_epochs_before_is_refused(refusal, tmp_path):
    net = little.net()
    stats = {"train": [{"num": 7.0, "time": 1.0, "objective": 0.5}], "val": []}
    checkpoint.save(checkpoint.path_of(tmp_path / "run", 1), net, {}, stats)
    assert "each epoch must have the same statistics, as the first one has num, time, objective" in refusal(
        net, num_epochs=2
    )


@pytest.fixture
def disk(monkeypatch):
    """Sets how many GiB are free."""

    def has_left(gib):
        monkeypatch.setattr(arguments.shutil, "disk_usage", lambda folder: SimpleNamespace(free=gib * 2**30))

    return has_left


def test_a_disk_without_room_for_a_checkpoint_is_named_before_the_first_epoch(refusal, tmp_path, disk):
    disk(0)
    assert refusal(little.net()).startswith(
        f"exp_dir {tmp_path / 'run'}: a checkpoint takes 0.00 GiB and its disk has 0.00"
    )


def test_a_network_of_more_than_2_gib_needs_nothing_but_room(disk, tmp_path):
    net = little.net()
    net.params["predf"].value = np.broadcast_to(np.float32(0), (7, 7, 4096, 4096))  # takes no memory
    disk(6.2)
    arguments.check_room(net, tmp_path)
    disk(6)
    with pytest.raises(ValueError, match=r"takes 6\.13 GiB and its disk has 6\.00 GiB left; another exp_dir"):
        arguments.check_room(net, tmp_path)
    with pytest.raises(ValueError, match=r"takes 9\.19 GiB"):
        arguments.check_room(net, tmp_path, kept=2)  # adam's


@pytest.mark.parametrize(("options", "takes"), [({}, 2), ({"solver": "adam"}, 3), ({"save_solver_state": False}, 1)])
def test_what_the_solver_keeps_takes_room_too(refusal, disk, options, takes):
    net = little.net()
    net.params["predf"].value = np.zeros((1, 1, 8, 2**19), np.float32)  # 1/64 GiB
    disk(0)
    assert f"a checkpoint takes {takes / 64:.2f} GiB" in refusal(net, **options)


def test_a_folder_that_cannot_be_written_is_refused(refusal, tmp_path):
    (tmp_path / "file").write_text("")
    said = refusal(little.net(), OSError, exp_dir=tmp_path / "file" / "run")
    assert said.startswith(f"exp_dir {tmp_path / 'file' / 'run'}: nothing can be written there")


def test_a_folder_that_takes_no_files_is_refused(refusal, tmp_path, monkeypatch):
    def denied(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(arguments.tempfile, "TemporaryFile", denied)
    said = refusal(little.net(), PermissionError)
    assert said == f"exp_dir {tmp_path / 'run'}: nothing can be written there (Permission denied)"
