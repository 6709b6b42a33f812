"""Whole scripts of the kinds that people start from, run as they are: the network that MATLAB would have built.

tests/scripts has one of each of MatConvNet's examples, docs/examples matconvnet-fcn's and the paper's; all written anew. They
are held to dagnet's own models, and to what the papers say of their networks.
"""

from math import prod, sqrt
from pathlib import Path

import numpy as np
import pytest

from dagnet import mscript
from dagnet.files import matvalues, netfile, writable
from dagnet.layers import catalogue
from dagnet.models import fcn, initial, lesion_fcn
from dagnet.simplenn import SimpleNN
from tests import little

SCRIPTS = Path(__file__).parent / "scripts"
EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"


def run(name, *args, function=None, **options):
    return mscript.run(SCRIPTS / f"{name}.m", function, *args, **options)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    return little.vgg16_file(tmp_path_factory.mktemp("vgg") / "vgg.mat")


def assert_same(one, other, ignored=()):
    """Two DagNNs have the same layers, order, options, variables, multipliers and meta, and parameters of the same values."""
    structs = [netfile.to_struct(net) for net in (one, other)]
    for part in ("layers", "vars", "params"):
        theirs, ours = (matvalues.structs(struct[part]) for struct in structs)
        assert [record["name"] for record in theirs] == [record["name"] for record in ours]
        for a, b in zip(theirs, ours, strict=True):
            different = [field for field in a if not writable.same(a[field], b[field])]
            assert not different or (part, a["name"]) in ignored, f"{part} {a['name']}: {different}"
    assert one.execution_order == other.execution_order
    theirs, ours = (dict(sorted(struct["meta"].items())) for struct in structs)
    assert writable.same(theirs, ours)


# -- matconvnet-fcn's, and the paper's network


def blank_opts(net):
    """opts choose among programs on a GPU, and no result depends on them; dagnet's models leave them at their defaults."""
    for record in net.layers.values():
        if hasattr(record.block, "opts") and record.block.opts[:1] in ([], ["cuDNN"], ["cudnnworkspacelimit"]):
            record.block.opts = []
    return net


def test_the_papers_network_as_a_script_is_the_models_network(vgg):
    script = mscript.run(EXAMPLES / "lesion_fcn.m", None, "fcWidth", 16, weights=vgg)
    model = lesion_fcn.lesion_fcn(vgg, fc_width=16)
    drawn = [("params", name) for name in ("fc6f", "fc7f", "predictf")]
    assert_same(script, model, drawn)
    for _, name in drawn:
        theirs, ours = script.params[name], model.params[name]
        assert (theirs.value.shape, theirs.value.dtype) == (ours.value.shape, ours.value.dtype)
        assert (theirs.learning_rate, theirs.weight_decay) == (ours.learning_rate, ours.weight_decay)
        assert theirs.value.std() == pytest.approx(ours.value.std(), rel=0.5)


def test_a_file_without_fc6_serves_the_papers_network_too(data_dir):
    real = next((data_dir / "vgg16").glob("*.mat"))
    script = mscript.run(EXAMPLES / "lesion_fcn.m", None, "fcWidth", 16, weights=real)
    assert_same(script, lesion_fcn.lesion_fcn(real, fc_width=16), [("params", n) for n in ("fc6f", "fc7f", "predictf")])


def test_matconvnet_fcns_three_scripts_are_the_models_three(vgg, tmp_path):
    script, model = mscript.run(EXAMPLES / "fcn32_init.m", weights=vgg), fcn.fcn32s(vgg)
    assert script.layers["deconv32"].block.opts == ["cudnnworkspacelimit", 512 * 1024**2]
    assert_same(blank_opts(script), blank_opts(model))
    for step, theirs in (("fcn16_init", fcn.fcn16s), ("fcn8_init", fcn.fcn8s)):
        script, model = mscript.run(EXAMPLES / f"{step}.m", None, script), theirs(model)
        assert_same(blank_opts(script), blank_opts(model))


@pytest.mark.parametrize(("k", "groups", "classes"), [(4, 1, 21), (5, 1, 3), (64, 21, 21), (8, 2, 2)])
def test_bilinear_filters_are_the_models_filters(k, groups, classes):
    found = mscript.run(EXAMPLES / "bilinear_u.m", None, k, groups, classes)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, initial.bilinear_u(k, groups, classes))


# -- MatConvNet's SimpleNNs


def kinds(net):
    return " ".join(layer["type"] for layer in net.layers)


def test_mnists_network_has_batch_normalisation_in_place_of_biases():
    net = run("mnist_init")
    assert isinstance(net, SimpleNN)
    assert kinds(net) == "conv bnorm pool conv bnorm pool conv bnorm relu conv softmaxloss"
    assert net.layers[0]["weights"][0].shape == (5, 5, 1, 20) and net.layers[0]["weights"][1].size == 0
    assert [w.shape for w in net.layers[4]["weights"]] == [(50, 1), (50, 1), (50, 2)]
    np.testing.assert_array_equal(net.layers[1]["learningRate"], [[1, 1, 0.05]])
    np.testing.assert_array_equal(net.meta["inputSize"], [[28, 28, 1]])
    assert net.meta["trainOpts"]["batchSize"] == 100
    assert kinds(run("mnist_init", "batchNormalization", False)) == "conv pool conv pool conv relu conv softmaxloss"


def test_mnists_network_as_a_dagnn_has_its_errors():
    net = run("mnist_init", "networkType", "dagnn")
    assert net.inputs == ["input", "label"] and net.outputs == ["objective", "error", "top5err"]
    assert not net.layers["layer1"].block.has_bias and net.layers["layer1"].params == ["layer1f"]
    assert net.params["layer2x"].learning_rate == pytest.approx(0.05)
    assert net.params["layer2m"].weight_decay == 0
    top5 = net.layers["top5err"]
    assert (top5.block.loss, top5.block.opts, top5.inputs) == ("topkerror", ["topk", 5], ["prediction", "label"])


def test_cifars_network_has_its_rates():
    net = run("cifar_init", "networkType", "dagnn")
    convs = [r for r in net.layers.values() if catalogue.name_of(r.block) == "dagnn.Conv"]
    assert [r.block.size for r in convs] == [
        [5, 5, 3, 32],
        [5, 5, 32, 32],
        [5, 5, 32, 64],
        [4, 4, 64, 64],
        [1, 1, 64, 10],
    ]
    rates = [[net.params[p].learning_rate for p in r.params] for r in convs]
    np.testing.assert_allclose(rates, [[0.1, 2]] * 4 + [[0.01, 0.2]])
    pools = [r.block for r in net.layers.values() if catalogue.name_of(r.block) == "dagnn.Pooling"]
    assert [(p.method, p.pad) for p in pools] == [("max", [0, 1, 0, 1]), ("avg", [0, 1, 0, 1]), ("avg", [0, 1, 0, 1])]
    schedule = net.meta["trainOpts"]["learningRate"]
    assert schedule.shape == (1, 45) and net.meta["trainOpts"]["numEpochs"] == 45


def test_network_in_network_has_the_papers_blocks():
    net = run("nin_init", "networkType", "dagnn")
    sizes = [r.block.size for r in net.layers.values() if catalogue.name_of(r.block) == "dagnn.Conv"]
    assert [s[3] for s in sizes] == [192, 160, 96, 192, 192, 192, 192, 192, 10]
    assert [s[0] for s in sizes] == [5, 1, 1, 5, 1, 1, 3, 1, 1]
    assert list(net.layers)[-3:] == ["pool3", "loss", "error"]
    assert net.get_var_sizes({"input": (32, 32, 3, 2)})["prediction"] == (1, 1, 10, 2)
    assert net.params["conv9b"].learning_rate == pytest.approx(1)


@pytest.mark.parametrize(
    ("model", "convolutions", "fc6"),
    [
        ("alexnet", [(11, 3, 96), (5, 48, 256), (3, 256, 384), (3, 192, 384), (3, 192, 256)], (6, 256)),
        ("vgg-f", [(11, 3, 64), (5, 64, 256), (3, 256, 256), (3, 256, 256), (3, 256, 256)], (6, 256)),
        ("vgg-m", [(7, 3, 96), (5, 96, 256), (3, 256, 512), (3, 512, 512), (3, 512, 512)], (6, 512)),
        ("vgg-s", [(7, 3, 96), (5, 96, 256), (3, 256, 512), (3, 512, 512), (3, 512, 512)], (6, 512)),
    ],
)
def test_imagenets_networks_have_the_published_filters(model, convolutions, fc6):
    width = 1 / 16
    net = run("imagenet_init", "model", model, "width", width, "networkType", "dagnn")
    sizes = {r.name: r.block.size for r in net.layers.values() if catalogue.name_of(r.block) == "dagnn.Conv"}
    wanted = [[k, k, c if c == 3 else int(c * width), int(n * width)] for k, c, n in convolutions]
    assert [sizes[f"conv{i}"] for i in range(1, 6)] == wanted
    k, deep = fc6
    assert sizes["fc6"] == [k, k, int(deep * width), 256] and sizes["fc8"] == [1, 1, 256, 1000]
    side = int(net.meta["inputSize"][0, 0])
    assert net.get_var_sizes({"input": (side, side, 3, 1)})["prediction"] == (1, 1, 1000, 1)
    assert sum(name.startswith("norm") for name in net.layers) == (2 if model != "vgg-s" else 1)
    assert net.params["fc6b"].weight_decay == 0 and net.params["fc6b"].learning_rate == 2


def test_vgg_vd_16_with_batch_normalisation_has_neither_dropout_nor_lrn():
    net = run("imagenet_init", "model", "vgg-vd-16", "width", 1 / 32, "batchNormalization", True)
    types = kinds(net).split()
    assert types.count("conv") == 16 and types.count("bnorm") == 15 and types.count("pool") == 5
    assert not {"dropout", "normalize"} & set(types)
    assert [layer["name"] for layer in net.layers if layer["type"] == "conv"][-4:] == ["conv5_3", "fc6", "fc7", "fc8"]
    assert net.meta["trainOpts"]["learningRate"].shape == (1, 20)
    np.testing.assert_allclose(net.meta["trainOpts"]["learningRate"][0, [0, -1]], [1e-1, 1e-4])


def test_xavier_is_uniform_and_the_last_layer_a_tenth():
    net = run("imagenet_init", "model", "vgg-f", "width", 1 / 16, "weightInitMethod", "xavier")
    convs = [layer["weights"][0] for layer in net.layers if layer["type"] == "conv"]
    ends = [sqrt(3 / prod(w.shape[:3])) for w in convs]
    ends[-1] /= 10
    for w, end in zip(convs, ends, strict=True):
        assert 0.97 * end < abs(w).max() <= end
        assert w.std() == pytest.approx(end / sqrt(3), rel=0.05)


def test_an_unknown_model_is_the_scripts_own_error():
    with pytest.raises(mscript.MatlabError, match=r"imagenet_init\.m, line \d+: .*: Unknown model 'lenet'"):
        run("imagenet_init", "model", "lenet")


def test_the_toy_networks_function_is_called_by_name():
    net = run("toy_data", function="toy_network")
    assert kinds(net) == "conv relu pool conv relu conv softmaxloss"
    dag = run("toy_data", "networkType", "dagnn", "kinds", 4, function="toy_network")
    assert dag.layers["layer6"].block.size == [10, 10, 10, 4] and "error" in dag.layers


# -- MatConvNet's DagNNs


def test_resnet_50_has_its_25557032_parameters():
    net = run("resnet_init")
    learned = {name: p.value.size for name, p in net.params.items() if not name.endswith("_bn_m")}
    assert sum(learned.values()) == 25_557_032  # torchvision's resnet50 has as many
    assert sum(name.endswith("_conv") for name in net.layers) == 53
    assert net.layers["conv3_1b_conv"].block.stride == [2, 2] and net.layers["conv3_2b_conv"].block.stride == [1, 1]
    assert net.layers["conv2_1_sum"].inputs == ["conv2_1_adapt_conv_bn", "conv2_1c_bn"]
    sizes = net.get_var_sizes({"input": (224, 224, 3, 1)})
    assert sizes["conv5_3"] == (7, 7, 2048, 1) and sizes["prediction"] == (1, 1, 1000, 1)
    moments = net.params["conv1_bn_m"]
    assert (moments.train_method, moments.learning_rate, moments.value.shape) == ("average", 0.1, (64, 2))


def test_inceptions_branches_meet():
    net = run("inception_init", "width", 0.25, "modules", 2)
    assert net.layers["inc_b"].inputs == ["inc_b_1_1", "inc_b_2_2", "inc_b_3_3", "inc_b_4_1"]
    sizes = net.get_var_sizes({"input": (224, 224, 3, 1)})
    assert sizes["inc_b"][2] == sum(net.layers[f"inc_b_{b}"].block.size[3] for b in ("1_1", "2_2", "3_3", "4_1"))
    assert net.layers["inc_a_4_1"].inputs == ["inc_a_p4"]
    assert net.outputs == ["objective", "probability"]
    decays = {net.params[p].weight_decay for p in net.layers["conv2_bn"].params}
    assert decays == {0} and net.params["conv2_s"].learning_rate == pytest.approx(0.05)
    assert net.meta["normalization"]["averageImage"].shape == (1, 1, 3)
    with pytest.raises(mscript.MatlabError, match="unknown option widht"):
        run("inception_init", "widht", 2)


def test_fast_rcnn_reads_regions_where_vgg_16_had_its_last_pool(vgg, capsys):
    net = run("fast_rcnn_init", weights=vgg)
    assert "piecewise: 1" in capsys.readouterr().out
    assert net.inputs == ["x0", "rois", "label", "targets", "instance_weights"]
    assert net.layers["fc6"].inputs == ["xRP"] and "pool5" not in net.layers and "prob" not in net.layers
    pooling = net.layers["roipool"]
    assert (pooling.block.subdivisions, pooling.block.transform, pooling.inputs[1]) == ([7, 7], 1 / 16, "rois")
    assert net.execution_order.index("roipool") < net.execution_order.index("fc6")
    assert net.layers["predbbox"].inputs == net.layers["predcls"].inputs
    assert net.params["predbboxf"].value.shape == (1, 1, 64, 84)
    assert net.params["predclsf"].value.std() == pytest.approx(0.01, rel=0.1)
    assert {p.learning_rate for n, p in net.params.items() if n.endswith("b")} == {2}
    assert net.params["fc7b"].weight_decay == 0 and net.params["fc7f"].weight_decay == 1


def test_the_spatial_transformer_starts_as_the_identity():
    net = run("stn_init", [60, 60])
    np.testing.assert_array_equal(net.params["affineb"].value.ravel(), [1, 0, 0, 1, 0, 0])
    assert not net.params["affinef"].value.any() and net.params["affinef"].weight_decay == 0
    assert net.params["affineb"].learning_rate == pytest.approx(0.1)
    rng = np.random.default_rng(0)
    x = rng.random((60, 60, 1, 2), np.float32)
    net.vars["seen"].precious = True
    net.eval({"input": x, "label": np.ones((1, 1, 1, 2), np.float32)})
    np.testing.assert_allclose(net.vars["seen"].value, x, atol=1e-5)
    assert run("stn_init", [60, 60], False).layers["conv7x32"].inputs == ["input"]


# -- random values


def test_a_seed_gives_the_same_values_and_another_gives_others():
    one, same, other = (run("resnet_init", "sections", [1, 1, 1, 1], "width", 8, seed=seed) for seed in (3, 3, 4))
    assert all((one.params[p].value == same.params[p].value).all() for p in one.params)
    assert (one.params["conv1_f"].value != other.params["conv1_f"].value).any()


def test_initial_values_have_matconvnets_distribution():
    net = run("resnet_init", "sections", [1, 1, 1, 1], "width", 16)
    for name in ("conv1_f", "conv4_1b_f", "prediction_f"):
        value = net.params[name].value
        he = sqrt(2 / prod(value.shape[:3]))
        assert value.std() == pytest.approx(he, rel=5 / sqrt(2 * value.size))
        assert abs(value.mean()) < 5 * he / sqrt(value.size)
    assert (net.params["conv1_bn_w"].value == 1).all() and not net.params["conv1_bn_m"].value.any()


# -- what a script may not do, and what it does besides


def test_a_script_ends_where_it_would_train_its_network(vgg):
    with pytest.warns(UserWarning, match=r"toy_data\.m, line 15: .*: here the script would train its network"):
        net = run("toy_data", "networkType", "dagnn", weights=vgg)
    assert net.outputs == ["objective", "error"]


def test_a_download_is_explained_and_not_performed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        mscript.Refused, match=r"put 'data/models/imagenet-vgg-verydeep-16\.mat' there by hand.*--weights"
    ):
        mscript.run(EXAMPLES / "fcn32_init.m")
    assert not list(tmp_path.iterdir())
