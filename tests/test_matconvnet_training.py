"""cnn_train_dag and cnn_train called as in MATLAB train as the trainer does."""

import numpy as np
import pytest

from dagnet import SimpleNN, matconvnet
from dagnet.files import netfile
from dagnet.matconvnet import cnn_train, cnn_train_dag, dagnn, vl_simplenn_tidy
from dagnet.training import trainer
from tests import ported


@pytest.fixture
def net():
    return ported.net()


def test_cnn_train_dag_trains_as_the_trainer_does(net, tmp_path):
    plain = netfile.from_struct(net.saveobj())
    options = [
        "expDir",
        tmp_path / "a",
        "batchSize",
        2,
        "numEpochs",
        2,
        {"learningRate": [0.1, 0.01]},
        "weightdecay",
        0,
    ]
    trained, stats = cnn_train_dag(net, ported.imdb(), ported.get_batch, *options, plotStatistics=False)
    assert trained is net
    wanted = trainer.train(
        plain,
        lambda indices: matconvnet.dagnn.as_dict("", ported.get_batch(ported.imdb(), indices)),
        train=[0, 2],
        val=[1],
        exp_dir=tmp_path / "b",
        batch_size=2,
        num_epochs=2,
        learning_rate=[0.1, 0.01],
        weight_decay=0,
        plot_statistics=False,
    )
    for name, param in plain.params.items():
        np.testing.assert_array_equal(net.params[name].value, param.value)
    assert [r["objective"] for r in stats["val"]] == [r["objective"] for r in wanted["val"]]


def test_an_epoch_ends_with_the_users_function_and_statistics(net, tmp_path):
    seen = []

    def after(net, params, state):
        seen.append((params["epoch"], params["batchSize"], len(state["stats"]["train"])))
        assert params["imdb"].keys() == {"images"} and params["getBatch"] is ported.get_batch
        return 0 if params["epoch"] == 2 else []

    options = ["expDir", tmp_path, "batchSize", 3, "train", [0.0, 1.0], "val", np.nan, "numEpochs", 5]
    options += ["postEpochFn", after, "extractStatsFn", lambda stats, net: {**stats, "layers": len(net.layers)}]
    _, stats = cnn_train_dag(net, ported.imdb(), ported.get_batch, *options, "plotStatistics", False)
    assert seen == [(1, 3, 1), (2, 3, 2)]
    assert [r["layers"] for r in stats["train"]] == [4, 4]
    assert stats["train"][0]["num"] == 2 and not stats["val"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["batchsiz", 3], "cnn_train_dag: it has no option 'batchsiz'; one of expDir, continue, batchSize"),
        (["gpus", [1, 2]], "training: gpus names 2 GPUs; one, or none, is right"),
        (["derOutputs", ["objective"]], "cnn_train_dag: derOutputs: it is given a list of 1"),
        (["train", np.nan], "train: there is no image to train on"),
    ],
)
def test_a_wrong_option_of_the_training_is_named(net, tmp_path, options, says):
    with pytest.raises(ValueError, match=says):
        cnn_train_dag(net, ported.imdb(), ported.get_batch, "expDir", tmp_path, *options)


def test_cnn_train_trains_as_the_trainer_does(tmp_path):
    def pair(imdb, indices):
        return imdb["images"]["data"][..., indices], np.asarray(indices) % 3 + 1.0

    options = ["batchSize", 2, "numEpochs", 2, "learningRate", 0.01, "plotStatistics", False]
    net, stats = cnn_train(ported.chain(), ported.imdb(), pair, "expDir", tmp_path / "a", *options, "backPropDepth", 3)
    plain = vl_simplenn_tidy(ported.chain())
    wanted = trainer.train(
        plain,
        lambda indices: dict(zip(("input", "label"), pair(ported.imdb(), indices), strict=True)),
        train=[0, 2],
        val=[1],
        exp_dir=tmp_path / "b",
        num_epochs=2,
        batch_size=2,
        learning_rate=0.01,
        weight_decay=0.0005,
        plot_statistics=False,
    )
    np.testing.assert_array_equal(net.layers[0]["weights"][0], plain.layers[0]["weights"][0])
    assert [r["top1err"] for r in stats["val"]] == [r["top1err"] for r in wanted["val"]]
    _, other = cnn_train(
        ported.chain(), ported.imdb(), pair, "expDir", tmp_path / "c", *options, "errorFunction", "none", "val", np.nan
    )
    assert set(other["train"][0]) == {"num", "time", "objective"}


def test_numbers_of_options_may_be_arrays_as_in_a_mat_file(net, tmp_path):
    one = lambda v: np.array([[float(v)]])  # noqa: E731
    twin = ported.net()
    options = {
        "plotStatistics": False,
        "numSubBatches": one(2),
        "momentum": one(0.5),
        "epochSize": one(2),
        "randomSeed": one(3),
    }
    options |= {
        "numEpochs": one(2),
        "batchSize": one(2),
        "learningRate": np.array([[0.1, 0.01]]),
        "weightDecay": one(0.1),
    }
    cnn_train_dag(net, ported.imdb(), ported.get_batch, options, "expDir", tmp_path / "a")
    options = {"plotStatistics": False, "numSubBatches": 2, "momentum": 0.5, "epochSize": 2, "randomSeed": 3}
    options |= {"numEpochs": 2, "batchSize": 2, "learningRate": [0.1, 0.01], "weightDecay": 0.1}
    cnn_train_dag(twin, ported.imdb(), ported.get_batch, options, "expDir", tmp_path / "b")
    np.testing.assert_array_equal(net.params(1).value, twin.params(1).value)


@pytest.mark.parametrize(
    ("batch", "came"), [(np.ones((1, 1, 1, 2)), "a ndarray"), ((1, 2, 3), "3 values"), (["input"], "1 values")]
)
def test_a_batch_of_a_simplenn_is_images_and_labels(tmp_path, batch, came):
    with pytest.raises(ValueError, match=f"getBatch: it returned {came}; images and labels, two arrays, are right"):
        cnn_train(ported.chain(), ported.imdb(), lambda imdb, indices: batch, "expDir", tmp_path)


@pytest.mark.parametrize("imdb", [{"images": {}}, {}, None])
def test_an_imdb_without_sets_is_told_unless_the_options_name_the_images(net, tmp_path, imdb):
    get_batch = lambda _, indices: ported.get_batch(ported.imdb(), indices)  # noqa: E731
    with pytest.raises(ValueError, match=r'imdb: it has no imdb\["images"\]\["set"\]; that, or the options'):
        cnn_train_dag(net, imdb, get_batch, "expDir", tmp_path)
    options = ["expDir", tmp_path, "train", [0], "val", [1], "numEpochs", 1, "plotStatistics", False]
    cnn_train_dag(net, imdb, get_batch, *options)


@pytest.mark.parametrize(("gpus", "place"), [([], []), (1, ["gpu"]), ([1], ["gpu"])])
def test_a_gpu_that_is_named_takes_the_net(tmp_path, monkeypatch, gpus, place):
    moved, given = [], []
    monkeypatch.setattr(trainer, "train", lambda net, get_batch, **options: given.append(net))
    for kind in (dagnn.DagNN, SimpleNN):
        monkeypatch.setattr(kind, "move", lambda net, device: moved.append(device))
    cnn_train_dag(ported.net(), ported.imdb(), ported.get_batch, "gpus", gpus)
    cnn_train(ported.chain(), ported.imdb(), ported.get_batch, "gpus", gpus, "conserveMemory", False)
    assert moved == 2 * place
    assert not given[1].conserve_memory and cnn_train(ported.chain(), ported.imdb(), None) and given[2].conserve_memory
