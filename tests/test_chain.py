"""A SimpleNN in the trainer: MatConvNet's recorded cnn_train, errors, checkpoints that either side goes on from."""

import numpy as np
import pytest

from dagnet import SimpleNN, simplenn
from dagnet.files import checkpoint, matfile, matvalues, netfile
from dagnet.files.simplenn import from_simplenn
from dagnet.training import chain, trainer
from tests import little, recorded, recorded_simplenn
from tests.test_golden import PASSED, RAN
from tests.values import octave

TOLERANCE = {"single": 5e-6, "double": 1e-12}


def net(**first) -> SimpleNN:
    """Convolution, batch normalisation, ReLU, dropout, prediction and loss, for the little images."""
    rng = np.random.default_rng(0)

    def bank(*shape):
        return [rng.standard_normal(shape).astype(np.float32) / 4, np.zeros((1, shape[3]), np.float32)]

    moments = [np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32), np.zeros((4, 2), np.float32)]
    return SimpleNN(
        [
            {"type": "conv", "weights": bank(3, 3, 3, 4), "pad": 1} | first,
            {"type": "bnorm", "weights": moments, "learningRate": [2, 1, 0.05], "weightDecay": [0, 0]},
            {"type": "relu"},
            {"type": "dropout", "rate": 0.25},
            {"type": "conv", "weights": bank(1, 1, 4, 2)},
            {"type": "softmaxloss"},
        ]
    )


@pytest.fixture
def go(tmp_path, capsys):
    """trainer.train on the little images with settings that are quick; keywords override them."""

    def train(a_net, **options):
        settings = {"train": range(7), "val": [7, 8, 9], "exp_dir": tmp_path, "num_epochs": 2, "batch_size": 3}
        settings |= {"learning_rate": 0.01, "plot_statistics": False, "get_batch": little.source().get_batch} | options
        return trainer.train(a_net, settings.pop("get_batch"), **settings)

    return train


def weights(a_net: SimpleNN) -> list[np.ndarray]:
    return [w for layer in a_net.layers for w in layer["weights"]]


def same(a: SimpleNN, b: SimpleNN) -> bool:
    return all(np.array_equal(v, w) for v, w in zip(weights(a), weights(b), strict=True))


# ---------------------------------------------------------------- MatConvNet's numbers


@pytest.mark.parametrize("dtype", ["single", "double"])
def test_three_epochs_of_cnn_train_agree_with_matconvnet(dtype, go, monkeypatch):
    recorded_simplenn.use_approximate_power(monkeypatch)
    numbers = recorded_simplenn.load(dtype)
    a_net = recorded_simplenn.build(numbers)
    a_net.layers[1] |= {
        "learningRate": [1, 1, 0.05],
        "weightDecay": [0, 0, 0],
    }  # of these the file does not tell either
    x, c = numbers["x"], numbers["c"].ravel()
    options = {name: value.item() for name, value in numbers["train"].items()}
    stats = go(
        a_net,
        get_batch=lambda indices: {"input": x[..., indices], "label": c[indices]},
        train=range(4),
        val=(),
        num_epochs=3,
        batch_size=int(options["batchSize"]),
        learning_rate=options["learningRate"],
        momentum=options["momentum"],
        weight_decay=options["weightDecay"],
        profile="master",
    )
    ours = {
        "objective": np.array([[record["objective"] for record in stats["train"]]]),
        "top1err": np.array([[record["top1err"] for record in stats["train"]]]),
    }
    theirs = {name: numbers[name] for name in ours}  # both are recorded in single precision
    for i, (layer, final) in enumerate(zip(a_net.layers, numbers["final_weights"], strict=True)):
        for j, w in enumerate(final):
            ours[f"weights {i} {j}"], theirs[f"weights {i} {j}"] = layer["weights"][j], w
    for name, value in ours.items():
        RAN[recorded_simplenn.FILE] += 1
        tolerance = TOLERANCE[dtype if name.startswith("weights") else "single"]
        assert recorded.distance(value, theirs[name]) <= tolerance, name
        PASSED[recorded_simplenn.FILE] += 1


def test_a_simplenn_trains_as_its_dagnn_does_bit_by_bit(go, tmp_path):
    a_net = net()
    graph = from_simplenn(a_net)
    graph.rename_var("x0", "input")
    graph.rename_var("x6", "objective")
    records = go(a_net, exp_dir=tmp_path / "chain", num_sub_batches=2)
    go(graph, exp_dir=tmp_path / "graph", num_sub_batches=2)
    values = [p.value for p in graph.params.values()]
    assert all(np.array_equal(w, v) for w, v in zip(weights(a_net), values, strict=True))
    assert list(records["val"][0]) == ["objective", "top1err", "top5err", "num", "time"]


# ---------------------------------------------------------------- errors


def results(scores):
    from dagnet.simplenn import Result

    return [Result(x=scores), Result()]


def test_multiclass_counts_pixels_whose_class_is_not_first_or_among_five():
    scores = np.arange(7.0)[None, None, :, None] * np.ones((1, 3, 1, 2))  # class 7 first, then 6, 5 ...
    labels = np.array([7, 3, 2, 7, 0, 1]).reshape(1, 3, 1, 2)
    assert chain.multiclass(labels, results(scores)) == [3, 2]
    assert chain.multiclass(np.array([7, 1]), results(scores)) == [3, 3]  # one label an image
    assert chain.multiclass(labels, results(scores[:, :, :2])[:1] + results(scores[:, :, :7])) == [3, 2]


def test_a_second_channel_of_the_labels_weighs_errors():
    scores = np.ones((1, 2, 2, 1))
    labels = np.array([[[2, 0.5], [2, 3.0]]])[..., None]
    assert chain.multiclass(labels, results(scores)) == [3.5, 0]


def test_binary_counts_scores_of_the_wrong_sign():
    scores = np.array([1.0, -1, 2, 0]).reshape(1, 1, 1, 4)
    assert chain.binary(np.array([1, 1, -1, -1]).reshape(1, 1, 1, 4), results(scores)) == [2]


def test_errors_may_be_a_function_of_the_users(go):
    stats = go(chain.Chain(net(), lambda labels, res: [labels.size, res[-2].x.shape[3]], ["pixels", "images"]))
    assert [(r["pixels"], r["images"]) for r in stats["train"]] == [(36, 1), (36, 1)]
    stats = chain.Chain(net(), "none").statistics()
    assert stats == {"objective": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("roc",), "error_function: 'roc' is not known; multiclass, binary, none, or a function, is right"),
        ((lambda labels, res: 1,), "error_labels: error_function is a function; names of the numbers that it gives"),
    ],
)
def test_error_functions_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError) as error:
        chain.Chain(net(), *options)
    assert message in str(error.value)


def test_a_net_without_layers_is_refused():
    with pytest.raises(ValueError, match="chain: the net has no layers"):
        chain.Chain(SimpleNN([]))


def test_errors_without_a_name_are_refused(go):
    with pytest.raises(ValueError, match="error_function: it gave 2 numbers, and error_labels are one"):
        go(chain.Chain(net(), "multiclass", ["one"]))


def test_a_batch_without_labels_is_refused(go):
    with pytest.raises(ValueError, match="get_batch: it gave input and no label; input and label are right"):
        go(net(), get_batch=lambda indices: {"input": np.ones((6, 6, 3, len(indices)), np.float32)})


# ---------------------------------------------------------------- training


def test_layers_beyond_the_depth_of_the_way_back_stay_as_they_are(go):
    a_net, before = net(), weights(net())
    go(chain.Chain(a_net, back_prop_depth=2), val=())
    assert [np.array_equal(a, b) for a, b in zip(before, weights(a_net), strict=True)] == [True] * 5 + [False] * 2


def test_the_nets_settings_come_back(go):
    a_net = net()
    go(a_net)
    assert a_net.input_ders is True and a_net.layers[4]["precious"] is True


def test_values_that_parameters_are_given_are_those_that_run():
    a_net = net()
    wrapped = chain.Chain(a_net)
    wrapped.conserve_memory = False
    wrapped.params["layer1f"].value = value = 2 * wrapped.params["layer1f"].value
    x, labels = np.ones((6, 6, 3, 2), np.float32), np.ones(2)
    wrapped.eval({"input": x, "label": labels}, {"objective": 1.0})
    assert a_net.layers[0]["weights"][0] is value
    assert np.array_equal(wrapped.vars["x1"].value, simplenn.run(a_net, x)[1].x)
    wrapped.reset()
    assert wrapped.vars["x1"].value is None and wrapped.params["layer1f"].der is None


def test_variables_are_named_as_in_a_converted_net_but_for_the_ends():
    wrapped, graph = chain.Chain(net()), from_simplenn(net())
    names = [name for name in graph.vars if name != "label"]
    assert [name for name in wrapped.vars if name != "label"] == ["input", *names[1:-1], "objective"]
    assert wrapped.layers["layer1"].inputs == ["input"]


def test_arrays_that_others_hold_stay_as_they_are(go):
    a_net = net()
    held, before = weights(a_net), [w.copy() for w in weights(a_net)]
    go(a_net)
    assert all(np.array_equal(a, b) for a, b in zip(held, before, strict=True))
    assert not np.array_equal(weights(a_net)[0], before[0])


def test_a_resumed_training_comes_to_the_same_numbers(go, tmp_path):
    whole, part, rest = net(), net(), net()
    go(whole, exp_dir=tmp_path / "whole", num_epochs=4)
    go(part, exp_dir=tmp_path / "part", num_epochs=2)
    stats = go(rest, exp_dir=tmp_path / "part", num_epochs=4)
    assert same(whole, rest)
    assert len(stats["train"]) == 4
    done = net()
    go(done, exp_dir=tmp_path / "part", num_epochs=4)  # nothing is left to do but to load
    assert same(done, rest)


def test_a_checkpoint_is_laid_out_as_cnn_trains_own(go, tmp_path, data_dir):
    go(net(), num_epochs=1)
    ours, theirs = (
        matfile.read(path)
        for path in (tmp_path / "net-epoch-1.mat", data_dir / "networks/oneclick_mnist_net-epoch-50.mat")
    )
    assert list(ours) == ["net", "state", "dagnet", "stats"]
    for kind in ("train", "val"):
        assert list(ours["stats"][kind]) == list(theirs["stats"][kind].fields)
    assert list(ours["state"]) == list(theirs["state"])
    kept = [cell.shape for cell in ours["state"]["solverState"].ravel()]
    assert kept == [(1, 2), (1, 3), (1, 0), (1, 0), (1, 2), (1, 0)]
    assert ours["state"]["solverState"].shape == (1, 6)
    assert np.array_equal(ours["state"]["solverState"][0, 1][0, 2], np.zeros((1, 1)))  # of moments nothing is kept
    ours, theirs = (matvalues.items(values["net"]["layers"]) for values in (ours, theirs))
    for our, their in ((ours[2], theirs[2]), (ours[-1], theirs[-1])):  # ReLU, softmaxloss
        assert (our["type"], set(our)) == (their["type"], set(their))
        assert [field for field in our if field != "type"] == [field for field in their if field != "type"]
    assert ours[2]["learningRate"].shape == theirs[2]["learningRate"].shape == (1, 0)


def test_octave_reads_the_checkpoint_as_cnn_train_does(go, tmp_path):
    go(net(), num_epochs=2)
    said = octave(
        "load('net-epoch-2.mat', 'net', 'state', 'stats'); c = net.layers{1}; s = state.solverState; printf('%s\\n', "
        "class(net.layers), num2str(size(net.layers)), strjoin(fieldnames(c)', ' '), class(c.weights{1}), "
        "num2str(size(c.weights{1})), num2str(size(s)), num2str(size(s{1})), class(s{1}{2}), num2str(size(s{3})), "
        "class(net.layers{5}.precious), num2str(net.layers{5}.precious), num2str([stats.train.num]), "
        "num2str(numel(net.layers{6}.class)))",
        tmp_path,
    )
    assert said.split("\n")[:-1] == [
        "cell",
        "1  6",
        "type weights pad name precious stride dilate opts learningRate weightDecay",
        "single",
        "3  3  3  4",
        "1  6",
        "1  2",
        "single",
        "1  0",
        "logical",
        "1",
        "7  7",
        "108",  # the last labels: three validation images of 6x6
    ]


def test_training_goes_on_from_matlabs_own_checkpoint(go, tmp_path, data_dir):
    source = data_dir / "networks/oneclick_mnist_net-epoch-50.mat"
    (tmp_path / "net-epoch-50.mat").write_bytes(source.read_bytes())
    a_net = netfile.load_simplenn(source)
    images = np.random.default_rng(0).random((28, 28, 1, 4), np.float32)
    size = a_net.layers[-2]["weights"][1].size
    before, momentum = weights(a_net), checkpoint.load(source).state["layer1f"]
    rate = 1e-3
    chain_ = chain.Chain(a_net.copy())
    stats = go(
        a_net,
        get_batch=lambda i: {"input": images[..., i], "label": i % size + 1},
        train=range(4),
        val=(),
        num_epochs=51,
        batch_size=4,
        learning_rate=rate,
        weight_decay=0.0,
    )
    assert len(stats["train"]) == 51
    chain_.eval({"input": images, "label": np.arange(4) % size + 1}, {"objective": 1.0})
    step = rate * (0.9 * momentum - chain_.params["layer1f"].der / 4)
    assert np.allclose(weights(a_net)[0] - before[0], step, atol=1e-7) and np.abs(step).max() > 1e-5


def test_custom_layers_train_and_are_kept_by_their_names(go, tmp_path):
    a_net = net()
    a_net.layers[-1] = {"type": "custom", "forward": squares, "backward": slope}
    stats = go(chain.Chain(a_net, "none"), num_epochs=6, learning_rate=1e-3)
    assert stats["train"][-1]["objective"] < stats["train"][0]["objective"]
    last = matvalues.items(matfile.read(tmp_path / "net-epoch-6.mat")["net"]["layers"])[-1]
    assert last["forward"] == "tests.test_chain.squares"


def squares(layer, res_i, res_i1):
    res_i1.x = ((res_i.x - layer["class"]) ** 2).sum()
    return res_i1


def slope(layer, res_i, res_i1):
    res_i.dzdx = 2 * (res_i.x - layer["class"])
    return res_i


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_names_the_layer(go):
    a_net = net()
    a_net.layers[4]["weights"][1][...] = np.inf
    with pytest.raises(FloatingPointError, match="parameter 'layer5b' of layer 'layer5' is not finite"):
        go(a_net)
    a_net = net()
    a_net.layers[1]["weights"][0][...] = 3e38
    with pytest.raises(FloatingPointError, match="'objective' became nan: layer 'layer"):
        go(a_net)


def test_on_the_gpu_a_chain_trains_alike_and_goes_on(gpu, go, tmp_path):
    nets = {device: net() for device in ("cpu", "gpu")}
    for device, a_net in nets.items():
        a_net.layers[3]["rate"] = 0.0  # the two draw different masks
        for epochs in (1, 2):
            a_net.move(device)
            go(a_net, num_epochs=epochs, exp_dir=tmp_path / device)
        a_net.move("cpu")
    for ours, theirs in zip(weights(nets["gpu"]), weights(nets["cpu"]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
