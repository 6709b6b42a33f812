"""MatConvNet's calls as they stand in MATLAB code give MatConvNet's numbers, and wrong ones a clear sentence."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dagnet import matconvnet, summary
from dagnet.files import netfile
from dagnet.layers import array, catalogue, conv, loss
from dagnet.matconvnet import (
    cnn_train,
    cnn_train_dag,
    dagnn,
    release,
    rng,
    vl_argparse,
    vl_imreadjpeg,
    vl_nnconcat,
    vl_nnconv,
    vl_nnconvt,
    vl_nncrop,
    vl_nndropout,
    vl_nnloss,
    vl_nnpool,
    vl_nnrelu,
    vl_nnsoftmax,
    vl_nnsoftmaxloss,
    vl_simplenn,
    vl_simplenn_display,
    vl_simplenn_move,
    vl_simplenn_tidy,
)
from dagnet.matconvnet.dagnn import isa
from dagnet.matconvnet.table import table
from dagnet.matconvnet.training import DAG_OPTIONS, SIMPLE_OPTIONS
from dagnet.training import trainer
from tests import recorded
from tests import test_golden as golden
from tests.conftest import ROOT, golden_file, golden_root

# The fixed arguments that come before dzdy, by their names in the golden files; every other function has x alone.
FIXED = {
    "vl_nnconv": ["x", "f", "b"],
    "vl_nnconvt": ["x", "f", "b"],
    "vl_nnpool": ["x", "pool"],
    "vl_nnloss": ["x", "c"],
    "vl_nnsoftmaxloss": ["x", "c"],
    "vl_nnnormalize": ["x", "param"],
    "vl_nnspnorm": ["x", "param"],
    "vl_nnnoffset": ["x", "param"],
    "vl_nnbnorm": ["x", "g", "b"],
    "vl_nnbilinearsampler": ["x", "grid"],
    "vl_nnroipool": ["x", "rois"],
    "vl_nnpdist": ["x", "x0", "p"],
}
# What a call returns beside y, and in place of dx.
OUTPUTS = {"vl_nnbnorm": ["moments"], "vl_nnnormalizelp": ["norms"], "vl_nndropout": ["mask"]}
DERIVATIVES = {
    "vl_nnconv": ["dx", "df", "db"],
    "vl_nnconvt": ["dx", "df", "db"],
    "vl_nnconcat": ["dx1", "dx2", "dx3"],
    "vl_nnbnorm": ["dx", "dg", "db", "moments"],
    "vl_nnbilinearsampler": ["dx", "dgrid"],
    "vl_nnpdist": ["dx", "dx0"],
}


ON_DEVICE = ("instanceWeights", "moments", "mask")  # options that lie where x lies; others are numbers


def literal(case, xp):
    """The arguments of a case as its MATLAB call has them: those before dzdy, and those after it."""
    given = {name: xp.asarray(value) for name, value in vars(getattr(case, "in")).items()}
    args = golden.cell(case.args)
    if case.op == "vl_nnconcat":
        return [[given["x1"], given["x2"], given["x3"]], args[0]], []
    if case.op == "vl_nncrop":
        return [given["x"], args[0]], []
    if case.op == "vl_taccum":
        return [args[0], given["a"], args[1], given["b"]], []
    if case.op == "vl_nndropout":  # with the mask that MATLAB drew, where the file says its rate alone
        args = ["mask", given["mask"]]
    options = []
    for i in range(0, len(args), 2):
        name, *value = args[i : i + 2]
        options += [name, given.get(name, *value)] if name in ON_DEVICE else [name, *value]
    return [given[name] for name in FIXED.get(case.op, ["x"])], options


def found():
    """Every case of all operators, as parameters of the test below."""
    paths = [
        path for pattern in ("master/ops_*.mat", "releases/*/ops_loss.mat") for path in golden_root().glob(pattern)
    ]
    for path in sorted(paths):
        file = path.relative_to(golden_root()).as_posix()
        for number, case in enumerate(golden.cases(file)):
            yield pytest.param(file, number, id=f"{Path(file).with_suffix('')}-{case.name}-{case.dtype}")


@pytest.mark.parametrize(("file", "number"), list(found()))
def test_the_call_of_matlab_gives_matconvnets_numbers(file, number, xp):
    case = golden.cases(file)[number]
    operator = getattr(matconvnet, case.op)
    fixed, options = literal(case, xp)
    dzdy = xp.asarray(case.dzdy)
    with release("master" if "master/" in file else "beta25"):
        y = operator(*fixed, *options)
        ders = None if case.op == "vl_taccum" else operator(*fixed, dzdy, *options)
    ours = dict(zip(["y", *OUTPUTS[case.op]], y, strict=True)) if case.op in OUTPUTS else {"y": y}
    names = DERIVATIVES.get(case.op, ["dx"])
    ours |= dict(zip(names, ders if len(names) > 1 else [ders], strict=True))
    for name, value in golden.expected(case).items():
        if ours[name] is None:
            assert value.size == 0, name
        else:
            golden.assert_agrees(ours[name], value, golden.tolerance_of(case, name), name)


def test_every_operator_of_the_golden_files_has_its_function():
    operators = {
        case.op for path in golden_root().glob("master/ops_*.mat") for case in golden.cases(f"master/{path.name}")
    }
    assert not [op for op in operators if not hasattr(matconvnet, op)]


# -- call forms


def test_an_empty_dzdy_means_forward():
    x = np.ones((2, 2, 3, 1), np.float32)
    for empty in ([], None, np.zeros((0, 0))):
        np.testing.assert_array_equal(vl_nnrelu(x, empty, "leak", 0.1), x)


def test_names_of_options_count_in_any_case_and_as_keywords(rng):
    x, f = rng.standard_normal((7, 6, 2, 2)), rng.standard_normal((3, 3, 2, 4))
    wanted = conv.forward(x, f, stride=2, pad=[1, 0, 1, 0])
    for options in (["STRIDE", 2, "pad", [1, 0, 1, 0]], ["stride", np.array([[2.0]]), "Pad", (1, 0, 1, 0)]):
        np.testing.assert_array_equal(vl_nnconv(x, f, [], *options), wanted)
    np.testing.assert_array_equal(vl_nnconv(x, f, [], stride=2, pad=[1, 0, 1, 0]), wanted)
    np.testing.assert_array_equal(vl_nnconv(x, f, [], {"Stride": 2, "Pad": [1, 0, 1, 0]}), wanted)


def test_a_later_option_overrides_an_earlier_one(rng):
    x = rng.standard_normal((4, 4, 1, 1))
    np.testing.assert_array_equal(vl_nnpool(x, 2, "method", "avg", "method", "max"), vl_nnpool(x, 2))


def test_flags_drop_the_derivatives_that_nobody_wants(rng):
    x, f, b = rng.standard_normal((5, 5, 2, 1)), rng.standard_normal((2, 2, 2, 3)), rng.standard_normal(3)
    dzdy = np.ones((4, 4, 3, 1))
    dx, df, db = vl_nnconv(x, f, b, dzdy, "NoDerData", "NoDerBiases", "verbose", "CudnnWorkspaceLimit", np.inf)
    assert dx is None and db is None
    np.testing.assert_array_equal(df, vl_nnconv(x, f, b, dzdy)[1])
    assert vl_nnconvt(dzdy, rng.standard_normal((2, 2, 2, 3)), [], x, "noderfilters")[1] is None


def test_sizes_of_1_at_the_end_may_be_missing(rng):
    x = rng.standard_normal((5, 5, 3, 1))
    np.testing.assert_array_equal(vl_nnpool(x[..., 0], [2, 2]), vl_nnpool(x, [2, 2]))
    np.testing.assert_array_equal(vl_nnsoftmax(x[..., 0]), vl_nnsoftmax(x))


def test_concat_and_crop_derive_from_sizes_alone(rng):
    xs = [rng.standard_normal((3, 2, c, 2)) for c in (1, 4)]
    dzdy = rng.standard_normal((3, 2, 5, 2))
    sizes = [x.shape for x in xs]
    for a, b in zip(vl_nnconcat([], 3, dzdy, "inputSizes", sizes), vl_nnconcat(xs, 3, dzdy), strict=True):
        np.testing.assert_array_equal(a, b)
    x, dy = rng.standard_normal((5, 5, 3, 2)), rng.standard_normal((4, 4, 3, 2))
    np.testing.assert_array_equal(vl_nncrop([], [1, 0, 0, 1], dy, x.shape), vl_nncrop(x, [1, 0, 0, 1], dy))


def test_dropout_draws_the_same_masks_after_the_same_seed(xp):
    x = xp.ones((50, 4, 2, 3), np.float32)
    rng(3)
    y, mask = vl_nndropout(x, "rate", 0.25)
    np.testing.assert_allclose(np.unique(array.to_numpy(mask)), [0, 1 / 0.75], rtol=1e-6)
    assert not bool((mask == vl_nndropout(x, "rate", 0.25)[1]).all())
    rng(3)
    again, _ = vl_nndropout(x, "rate", 0.25)
    assert bool((again == y).all())
    assert bool((vl_nndropout(x, y, "mask", mask) == mask * y).all())


def test_the_loss_divides_by_the_images_where_master_is_followed(rng):
    x, c = rng.standard_normal((3, 3, 4, 2)), rng.integers(0, 5, (3, 3, 1, 2)).astype(float)
    whole = loss.forward(x, c)
    assert vl_nnloss(x, c) == whole
    with release("master"):
        assert vl_nnloss(x, c) == whole / 2
        assert vl_nnloss(x, c, "normalise", False) == whole
        np.testing.assert_array_equal(vl_nnsoftmaxloss(x, c, 1.0), vl_nnloss(x, c, 1.0))
    assert vl_nnloss(x, c, [], "classWeights", np.ones(4)) == whole
    release("master")
    try:
        assert vl_nnloss(x, c) == whole / 2
    finally:
        release("beta25")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda x: vl_nnpool(x, 2, "strid", 2),
            "vl_nnpool: it has no option 'strid'; one of stride, pad, method is right",
        ),
        (lambda x: vl_nnpool(x, 2, [], "stride"), "vl_nnpool: the option 'stride' came without a value"),
        (lambda x: vl_nnpool(x, 2, [], 3), "vl_nnpool: where the name of an option is right, 3 came"),
        (lambda x: vl_nnpool(x, 2, [], "stride", "2"), "an argument: '2' came where numbers are right"),
        (lambda x: vl_nnrelu(x, "leak", [1, 2]), "an argument: [1, 2] came where one number is right"),
        (lambda x: vl_nnsoftmax(x, "dim", 3), "vl_nnsoftmax: it has no option 'dim'; it has none"),
        (lambda x: vl_nndropout(x, x), "vl_nndropout: dzdy came without a mask"),
        (lambda x: release("beta99"), "'beta99' is not known"),
    ],
)
def test_a_wrong_call_is_one_clear_sentence(call, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        call(np.ones((4, 4, 2, 1)))


# -- vl_imreadjpeg


def jpegs():
    """The files of golden/master/imreadjpeg.mat, as bytes."""
    return [v.astype(np.uint8).tobytes() for v in golden.load(golden_file("master/imreadjpeg.mat"))["jpegbytes"]]


@pytest.mark.parametrize(("file", "number"), golden.found("master/imreadjpeg.mat"))
def test_images_come_as_matconvnets_call_gives_them(file, number):
    case = golden.cases(file)[number]
    images = vl_imreadjpeg(jpegs(), *golden.cell(case.args))
    for n, (ours, theirs) in enumerate(zip(images, golden.cell(case.out), strict=True)):
        golden.assert_agrees(ours, theirs, golden.TOLERANCE["single"], f"image {n}")


def test_random_crops_and_flips_are_the_same_after_the_same_seed():
    files = jpegs()
    options = ["Resize", [16, 12], "CropSize", [0.5, 0.9], "CropLocation", "random", "Flip", "Pack", "NumThreads", 2]
    assert vl_imreadjpeg(files, "prefetch", *options) == []
    rng(1)
    (first,), (second,) = vl_imreadjpeg(files, *options), vl_imreadjpeg(files, *options)
    rng(1)
    np.testing.assert_array_equal(vl_imreadjpeg(files, *options)[0], first)
    assert first.shape == (16, 12, 3, 3) and (first != second).any()


# -- vl_argparse


def test_argparse_merges_names_values_and_structs():
    opts = {"lr": 0.1, "train": {"gpus": [], "batchSize": 10}, "name": "a"}
    got = vl_argparse(opts, ["LR", 1, {"name": "b"}, "train", {"gpus": [1]}, "train.batchSize", 5])
    assert got == {"lr": 1, "train": {"gpus": [1], "batchSize": 5}, "name": "b"}
    assert opts["train"] == {"gpus": [], "batchSize": 10}
    assert vl_argparse(opts, ["train", {"gpus": 1}], "nonrecursive")["train"] == {"gpus": 1}


def test_argparse_refuses_or_returns_or_merges_what_is_unknown():
    opts = {"lr": 0.1, "train": {"gpus": []}}
    with pytest.raises(ValueError, match="there is no option 'rate'; one of lr, train is right"):
        vl_argparse(opts, ["rate", 1])
    assert vl_argparse(opts, ["rate", 1, "lr", 2, "train.x", 3], rest=True) == (
        {"lr": 2, "train": {"gpus": []}},
        ["rate", 1, "train.x", 3],
    )
    assert vl_argparse(opts, ["rate", 1], "merge")["rate"] == 1
    with pytest.raises(ValueError, match="'merges' came; 'nonrecursive' or 'merge' is right"):
        vl_argparse(opts, [], "merges")


# -- DagNN


@pytest.fixture
def net():
    """input -> conv1 -> relu1 -> pred -> objective, single precision."""
    net = dagnn.DagNN()
    net.addLayer("conv1", dagnn.Conv("size", [3, 3, 2, 4], "pad", 1), "input", "x1", ["conv1f", "conv1b"])
    net.addLayer("relu1", dagnn.ReLU(), ["x1"], ["x2"], [])
    net.addLayer(
        "pred", dagnn.Conv(size=[1, 1, 4, 3], hasBias=False), ["x2"], "prediction", "predf", "skipRebuild", True
    )
    net.addLayer("objective", dagnn.Loss("loss", "softmaxlog"), ["prediction", "label"], ["objective"])
    rng(0)
    net.initParams()
    return net


def batch(dtype=np.float32):
    random = np.random.default_rng(5)
    return random.standard_normal((5, 4, 2, 3)).astype(dtype), random.integers(0, 4, (5, 4, 1, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", ["single", "double"])
def test_the_recorded_net_built_and_run_by_matlabs_calls_gives_matconvnets_numbers(dtype):
    run = recorded.load(f"master/fcn_{dtype}.mat")
    with release("master"):
        net = dagnn.DagNN()
        for layer in run["layers"]:
            make = getattr(dagnn, layer["type"].removeprefix("dagnn."))
            properties = recorded.guessed(layer, run["params0"])
            net.addLayer(layer["name"], make(properties), layer["inputs"], layer["outputs"], layer["params"])
        for name, value in run["params0"].items():
            net.params(net.getParamIndex(name)).value = value
        net.conserveMemory = False
        first = run["batches"][0] if isinstance(run["batches"], list) else run["batches"]
        number = {"single": np.float32, "double": np.float64}[dtype]
        net.eval(["input", first["input"].astype(number), "label", first["label"].astype(number)], ["objective", 1])
    assert net.getLayerExecutionOrder() == run["executionOrder"].ravel().tolist()
    values = {name: net.vars(net.getVarIndex(name)).value for name in run["vars"]}
    ders = {name: net.params(net.getParamIndex(name)).der for name in run["params_der"]}
    assert recorded.furthest(values, run["vars"]) < recorded.TOLERANCE[dtype]
    assert recorded.furthest(ders, run["params_der"]) < recorded.TOLERANCE[dtype]


def test_indices_count_from_1_and_are_nan_for_what_is_not_there(net):
    assert [net.getLayerIndex("conv1"), net.getVarIndex("x1"), net.getParamIndex("predf")] == [1, 2, 3]
    found = net.getVarIndex(["label", "nowhere"])
    assert found[0] == 5 and np.isnan(found[1])
    assert net.layers(1).name == net.layers["conv1"].name == "conv1"
    assert net.layers(-1).name == "objective"
    assert [v.name for v in net.vars([1, 2])] == ["input", "x1"]
    assert net.getLayerExecutionOrder() == [1, 2, 3, 4]
    assert (net.getInputs(), net.getOutputs()) == (["input", "label"], ["objective"])


@pytest.mark.parametrize("index", [0, 5, -5, 1.5, float("nan")])
def test_a_number_that_no_layer_has_is_refused(net, index):
    with pytest.raises(IndexError, match="1 to 4, or -1 for the last, is right"):
        net.layers(index)


def test_fields_are_read_and_set_under_matlabs_names(net):
    net.params(net.getParamIndex("conv1f")).learningRate = 0.1
    assert net.params["conv1f"].learning_rate == 0.1
    net.layers(1).block.pad = [0, 0, 0, 0]
    assert net.layers["conv1"].block.pad == [0, 0, 0, 0]
    assert net.layers(net.getLayerIndex("pred")).block.hasBias is False
    net.vars(2).precious = True
    assert net.vars["x1"].precious
    with pytest.raises(
        AttributeError, match="Param: it has no field 'learnRate'; one of name, value, der, learningRate"
    ):
        net.params(1).learnRate = 1
    with pytest.raises(AttributeError, match=r"inputs is not set by hand; net\.setLayerInputs is right"):
        net.layers(2).inputs = ["input"]


def test_a_copied_variable_or_parameter_leaves_the_net_alone(net):
    net.getParam("conv1b").learningRate = 7
    net.getVar(1).value = np.ones((1, 1, 1, 1), np.float32)
    copy.deepcopy(net.getLayer("relu1").block).leak = 0.5
    assert net.params["conv1b"].learning_rate == 1
    assert net.vars["input"].value is None
    assert net.layers["relu1"].block.leak == 0


def test_eval_takes_lists_and_dicts_and_gives_dagnets_numbers(net):
    x, c = batch()
    net.eval(["input", x, "label", c], ["objective", 1], "holdOn", False)
    value, der = net.vars(net.getVarIndex("objective")).value, net.params(1).der
    plain = netfile.from_struct(net.saveobj())
    plain.eval({"input": x, "label": c}, {"objective": 1.0})
    assert type(plain) is not type(net)
    np.testing.assert_array_equal(value, plain.vars["objective"].value)
    np.testing.assert_array_equal(der, plain.params["conv1f"].der)
    net.accumulateParamDers = True
    net.eval({"input": x, "label": c}, {"objective": 1})
    np.testing.assert_allclose(net.params(1).der, 2 * der, rtol=1e-6)
    net.eval(["input", x, "label", c], [])
    assert net.params(1).der is not None
    net.mode = "test"
    with pytest.raises(ValueError, match="eval: it is given a list of 3; names and values in turn"):
        net.eval(["input", x, "label"])


def test_the_net_follows_the_release_in_which_it_was_made():
    x, c = batch()
    values = []
    for name in ("beta25", "master"):
        with release(name):
            net = dagnn.DagNN()
            net.addLayer("objective", dagnn.Loss(), ["x", "c"], "objective")
        net.eval(["x", x, "c", np.minimum(c, 2)])
        values.append(float(net.vars(3).value))
    assert values[0] == pytest.approx(3 * values[1], rel=1e-6)


def test_sizes_and_fields_come_in_the_order_of_vars(net):
    sizes = net.getVarSizes(["input", [5, 4, 2, 3]])
    assert sizes[net.getVarIndex("prediction") - 1] == (5, 4, 3, 3)
    fields = net.getVarReceptiveFields("input")
    assert fields[net.getVarIndex("x2") - 1].size == (3, 3)
    assert fields[net.getVarIndex("label") - 1] is None


def test_print_takes_matconvnets_options(net, capsys):
    net.print(["input", [5, 4, 2, 3]], "Format", "csv", "Layers", [], "Memory", False)
    net.print("all", True)
    printed = capsys.readouterr().out
    assert summary.report(net, {"input": (5, 4, 2, 3)}, format="csv", layers=[], memory=False) in printed
    assert summary.report(net, all=True) in printed


def test_layers_are_spliced_and_renamed_as_in_matlab(net):
    net.setLayerInputs("pred", ["x1"])
    net.removeLayer("relu1")
    assert np.isnan(net.getVarIndex("x2"))
    net.setLayerOutputs("conv1", ["y"])
    net.renameVar("x1", "y")
    net.renameLayer("conv1", "first")
    net.renameParam("conv1f", "f")
    net.setLayerParams("pred", ["g"])
    assert net.layers(1).params == ["f", "conv1b"]
    assert net.layers(2).inputs == ["y"] and net.layers(2).params == ["g"]
    with pytest.warns(UserWarning, match="the net has no variable 'nowhere' to rename"):
        net.renameVar("nowhere", "there")
    net.renameVar("nowhere", "there", "quiet", True)
    net.rebuild()
    assert net.getLayerExecutionOrder() == [1, 2, 3]


def test_a_net_is_saved_loaded_and_copied_as_what_it_is(net, tmp_path):
    netfile.save(net, tmp_path / "net.mat")
    for twin in (dagnn.DagNN.loadobj(tmp_path / "net.mat"), dagnn.DagNN.loadobj(net), net.copy()):
        assert type(twin) is dagnn.DagNN
        np.testing.assert_array_equal(twin.params(1).value, net.params(1).value)
    net.reset()
    net.move("cpu")


def test_a_simplenn_becomes_a_dagnn():
    layers = [
        {"type": "conv", "name": "conv1", "weights": [np.ones((1, 1, 2, 3), np.float32), np.zeros(3, np.float32)]},
        {"type": "softmax"},
    ]
    net = dagnn.DagNN.fromSimpleNN({"layers": layers}, "canonicalNames", True)
    assert (net.getInputs(), net.getOutputs()) == (["input"], ["prob"])
    assert type(net) is dagnn.DagNN


def test_every_block_of_the_catalogue_has_its_constructor():
    for matlab_type in catalogue.known():
        block = getattr(dagnn, matlab_type.removeprefix("dagnn."), None) or dagnn.constructor(matlab_type)
        assert isa(block(), matlab_type) and isa(block(), "dagnn.Layer")
    assert isa(dagnn.constructor("SegmentationLoss")(), "dagnn.Loss")
    assert not isa(dagnn.ReLU(), "dagnn.Conv")
    with pytest.raises(
        ValueError, match=r"dagnn\.ReLU: it has no option 'leek'; one of useShortCircuit, leak, opts is right"
    ):
        dagnn.ReLU("leek", 1)
    with pytest.raises(AttributeError, match="dagnn: there is no Convolution; DagNN or one of"):
        dagnn.Convolution


def test_a_batch_normalisation_starts_as_in_the_release():
    found = {}
    for name in ("beta18", "beta20", "beta25"):
        with release(name):
            net = dagnn.DagNN()
            net.addLayer("bn", dagnn.BatchNorm("numChannels", 2), "x", "y", ["g", "b", "m"])
            found[name] = (net.layers(1).block.epsilon, net.params(3).learningRate)
    assert found == {"beta18": (1e-3, 1), "beta20": (1e-4, 0.01), "beta25": (1e-5, 0.1)}
    assert dagnn.BatchNorm("epsilon", 0.5).epsilon == 0.5


# -- cnn_train_dag


def imdb():
    data, labels = batch()
    return {"images": {"data": data, "label": np.maximum(labels, 1), "set": np.array([[1.0, 2.0, 1.0]])}}


def get_batch(imdb, indices):
    images = imdb["images"]
    return ["input", images["data"][..., indices], "label", images["label"][..., indices]]


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
    trained, stats = cnn_train_dag(net, imdb(), get_batch, *options, plotStatistics=False)
    assert trained is net
    wanted = trainer.train(
        plain,
        lambda indices: matconvnet.dagnn.as_dict("", get_batch(imdb(), indices)),
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
        return 0 if params["epoch"] == 2 else []

    options = ["expDir", tmp_path, "batchSize", 3, "train", [0.0, 1.0], "val", np.nan, "numEpochs", 5]
    options += ["postEpochFn", after, "extractStatsFn", lambda stats, net: {**stats, "layers": len(net.layers)}]
    _, stats = cnn_train_dag(net, imdb(), get_batch, *options, "plotStatistics", False)
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
        cnn_train_dag(net, imdb(), get_batch, "expDir", tmp_path, *options)


# -- SimpleNN


def chain():
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal((3, 3, 2, 3)).astype(np.float32), np.zeros((3, 1), np.float32)]
    layers = [{"type": "conv", "weights": weights}, {"type": "dropout"}, {"type": "softmaxloss"}]
    return {"layers": layers, "meta": {}}


def test_vl_simplenn_runs_forward_and_back_by_matlabs_call():
    net = vl_simplenn_tidy(chain())
    x, _ = batch()
    net.layers[-1]["class"] = np.ones((1, 1, 1, 3), np.float32)
    res = vl_simplenn(net, x, 1, [], "mode", "test", "conserveMemory", False)
    y = vl_nnconv(x, *net.layers[0]["weights"])
    np.testing.assert_array_equal(res[1].x, y)
    assert res[-1].x == vl_nnsoftmaxloss(y, net.layers[-1]["class"])
    np.testing.assert_array_equal(res[2].dzdx, vl_nnsoftmaxloss(y, net.layers[-1]["class"], 1))
    again = vl_simplenn(
        net, x, 1, res, "skipForward", True, "accumulate", True, "mode", "test", "backPropDepth", np.inf
    )
    np.testing.assert_allclose(again[0].dzdw[0], 2 * vl_simplenn(net, x, 1, mode="test")[0].dzdw[0], rtol=1e-6)
    with release("master"):
        assert vl_simplenn_tidy(chain()).normalise
    assert vl_simplenn_move(net, "cpu") is net


def test_vl_simplenn_display_prints_what_the_summary_says(capsys):
    vl_simplenn_display(chain(), "inputSize", [5, 4, 2], "batchSize", 3)
    printed = capsys.readouterr().out
    assert printed == summary.display(vl_simplenn_tidy(chain()), input_size=[5, 4, 2], batch_size=3) + "\n"


def test_cnn_train_trains_as_the_trainer_does(tmp_path):
    def pair(imdb, indices):
        return imdb["images"]["data"][..., indices], np.asarray(indices) % 3 + 1.0

    options = ["batchSize", 2, "numEpochs", 2, "learningRate", 0.01, "plotStatistics", False]
    net, stats = cnn_train(chain(), imdb(), pair, "expDir", tmp_path / "a", *options, "backPropDepth", 3)
    plain = vl_simplenn_tidy(chain())
    wanted = trainer.train(
        plain,
        lambda indices: dict(zip(("input", "label"), pair(imdb(), indices), strict=True)),
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
        chain(), imdb(), pair, "expDir", tmp_path / "c", *options, "errorFunction", "none", "val", np.nan
    )
    assert set(other["train"][0]) == {"num", "time", "objective"}


# -- the table


def test_the_table_in_the_docs_is_what_the_code_says():
    committed = (ROOT / "docs" / "matconvnet.md").read_text(encoding="utf-8")
    assert committed == table(), "python -m dagnet.matconvnet > docs/matconvnet.md writes it anew"


def test_the_table_names_every_function_method_block_and_option():
    text = table()
    names = (
        [name for name in vars(matconvnet) if name.startswith("vl_")]
        + list(DAG_OPTIONS | SIMPLE_OPTIONS)
        + catalogue.known()
    )
    names += [name for name in vars(dagnn.DagNN) if not name.startswith("_") and name != "add_layer"]
    assert not [name for name in names if f"`{name}`" not in text and f"`{name}(" not in text]


def test_what_the_table_calls_dagnets_own_is_there():
    wanted = {
        "vl_nnconv(x, f, b, [dzdy])": "`layers.conv.forward`, `layers.conv.backward`",
        "vl_simplenn_tidy(net)": "`files.simplenn.tidy`",
        "getLayerExecutionOrder": "`execution_order`",
        "accumulateParamDers": "`accumulate_param_ders`",
        "loadobj": "`files.netfile.load`, `files.netfile.from_struct`",
    }
    rows = {line.split("`")[1]: line for line in table().splitlines() if line.startswith("| `")}
    for name, own in wanted.items():
        assert f"| {own} |" in rows[name], rows[name]


def test_the_module_prints_the_table():
    command, utf8 = [sys.executable, "-m", "dagnet.matconvnet"], os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env=utf8)
    assert done.stdout == table(), done.stderr
