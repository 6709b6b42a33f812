"""SimpleNN: files of every age become today's layout, and the DagNN that MatConvNet would make of them."""

import copy
import warnings

import numpy as np
import pytest

from dagnet import SimpleNN
from dagnet.files import checkpoint, matfile, matvalues, netfile, simplenn
from dagnet.layers import catalogue, conv, lrn
from dagnet.simplenn import run
from tests.values import same

ONE = np.ones((1, 1))


def numbers(*values) -> np.ndarray:
    return np.array([values], np.float64)


def weights(*shapes) -> np.ndarray:
    rng = np.random.default_rng(3)
    return matvalues.row([rng.standard_normal(shape).astype(np.float32) for shape in shapes])


def chain(*layers: dict, **fields) -> dict:
    return {"layers": matvalues.row([{"name": f"l{i + 1}"} | layer for i, layer in enumerate(layers)]), **fields}


CONV = {"type": "conv", "weights": weights((3, 3, 2, 4), (1, 4)), "pad": ONE, "stride": numbers(2, 1)}
BNORM = {"type": "bnorm", "weights": weights((4, 1), (4, 1), (4, 2)), "epsilon": ONE * 1e-3}
POOL = {"type": "pool", "method": "max", "pool": numbers(2, 2), "stride": ONE * 2, "pad": numbers(0, 1, 0, 1)}
SOFTMAX, LOSS = {"type": "softmax"}, {"type": "softmaxloss"}


def dag(*layers: dict, **options):
    return simplenn.from_simplenn(chain(*layers), **options)


# ---------------------------------------------------------------- tidy


def test_filters_and_biases_become_weights_and_defaults_are_filled_in():
    old = {"type": "conv", "filters": np.ones((3, 3, 1, 2), np.float32), "biases": np.zeros((1, 2), np.float32)}
    (layer,) = simplenn.tidy({"layers": matvalues.row([old])}).layers
    assert list(layer) == ["type", "weights", "name", "precious", "pad", "stride", "dilate", "opts"]
    assert [w.shape for w in layer["weights"]] == [(3, 3, 1, 2), (1, 2)]
    assert (layer["name"], layer["pad"], layer["stride"], layer["dilate"]) == ("layer1", 0, 1, 1)
    assert layer["precious"] is False


def test_each_type_gets_its_defaults():
    wanted = {
        "conv": {"pad": 0, "stride": 1, "dilate": 1, "opts": []},
        "convt": {"crop": 0, "upsample": 1, "numGroups": 1, "opts": []},
        "pool": {"pad": 0, "stride": 1, "opts": []},
        "normalize": {"param": [[5, 1, 2e-5, 0.75]]},
        "lrn": {"param": [[5, 1, 2e-5, 0.75]]},
        "bnorm": {"epsilon": 1e-5},
        "relu": {"leak": 0},
        "dropout": {"rate": 0.5},
        "pdist": {"noRoot": False, "aggregate": False, "p": 2, "epsilon": 1e-3, "instanceWeights": []},
        "sigmoid": {},
        "softmaxloss": {},
    }
    layers = simplenn.tidy(chain(*({"type": kind} for kind in wanted))).layers
    common = {"type", "weights", "name", "precious"}
    for layer, defaults in zip(layers, wanted.values(), strict=True):
        assert {n: np.asarray(v).tolist() for n, v in layer.items() if n not in common} == defaults, layer["type"]


def test_normalize_is_the_old_name_of_lrn():
    net = dag(
        {"type": "normalize", "param": numbers(3, 2, 0.1, 0.5)}, {"type": "lrn", "param": numbers(3, 2, 0.1, 0.5)}
    )
    assert net.layers["l1"].block == net.layers["l2"].block == lrn.LRN([3, 2, 0.1, 0.5])


def test_batch_normalisation_without_moments_gets_zeros():
    for old in (weights((4, 1), (4, 1)), weights((4, 1), (4, 1), (0, 0))):
        (layer,) = simplenn.tidy(chain(BNORM | {"weights": old})).layers
        assert same(layer["weights"][2], np.zeros((4, 2), np.float32))


def test_classes_and_normalization_move_into_meta_and_the_rest_of_the_top_goes():
    net = chain(SOFTMAX, classes={"name": matvalues.row(["cat"])}, normalization={"interpolation": "bicubic"}, extra=1)
    meta = simplenn.tidy(net).meta
    assert meta == {"classes": net["classes"], "normalization": {"interpolation": "bicubic"}}


def test_border_becomes_crop_size():
    normalization = {"imageSize": numbers(224, 224, 3), "border": numbers(32, 32)}
    meta = simplenn.tidy(chain(SOFTMAX, normalization=normalization)).meta
    assert meta["normalization"]["cropSize"].tolist() == [[0.875, 0.875]]
    given = normalization | {"cropSize": numbers(1, 1)}
    assert simplenn.tidy(chain(SOFTMAX, normalization=given)).meta["normalization"]["cropSize"].tolist() == [[1, 1]]


def test_tidy_leaves_its_argument_as_it_is():
    net = chain({"type": "normalize"}, meta={"inputs": {"name": "data"}}, normalization={"border": ONE})
    before = copy.deepcopy(net)
    simplenn.tidy(net).meta["inputs"]["name"] = "other"
    simplenn.from_simplenn(net)
    assert same(net, before)


def test_tidying_twice_is_tidying_once():
    once = simplenn.to_struct(
        simplenn.tidy(chain(CONV, BNORM, POOL, SOFTMAX, normalization={"border": ONE, "imageSize": ONE}))
    )
    assert same(simplenn.to_struct(simplenn.tidy(once)), once)


# ---------------------------------------------------------------- from_simplenn


def test_names_are_those_that_matconvnet_gives():
    net = dag(CONV, BNORM, {"type": "relu", "leak": ONE * 0.2}, POOL, {"type": "dropout"}, LOSS)
    assert list(net.layers) == ["l1", "l2", "l3", "l4", "l5", "l6"]
    assert list(net.params) == ["l1f", "l1b", "l2m", "l2b", "l2x"]
    assert [(r.inputs, r.outputs) for r in net.layers.values()] == [
        (["x0"], ["x1"]),
        (["x1"], ["x2"]),
        (["x2"], ["x3"]),
        (["x3"], ["x4"]),
        (["x4"], ["x5"]),
        (["x5", "label"], ["x6"]),
    ]
    first, pooling = net.layers["l1"].block, net.layers["l4"].block
    assert (first.size, first.has_bias, first.pad, first.stride) == ([3, 3, 2, 4], True, [1, 1, 1, 1], [2, 1])
    assert (pooling.method, pooling.pool_size, pooling.pad, pooling.stride) == ("max", [2, 2], [0, 1, 0, 1], [2, 2])
    assert net.layers["l3"].block.leak == 0.2
    assert net.layers["l6"].block.loss == "softmaxlog"


def test_epsilon_is_the_default_as_in_matconvnet():
    assert dag(CONV, BNORM).layers["l2"].block.epsilon == 1e-5


def test_rates_and_decays_are_copied_weight_by_weight():
    factors = {"learningRate": numbers(1, 2), "weightDecay": numbers(1, 0)}
    net = dag(CONV | factors, BNORM | {"learningRate": numbers(2, 1, 0.05), "weightDecay": numbers(0.5, 0.5)})
    rates = {p.name: (p.learning_rate, p.weight_decay, p.train_method) for p in net.params.values()}
    assert rates == {
        "l1f": (1, 1, "gradient"),
        "l1b": (2, 0, "gradient"),
        "l2m": (2, 0.5, "gradient"),
        "l2b": (1, 0.5, "gradient"),
        "l2x": (0.05, 0, "average"),
    }


def test_a_convolution_without_biases_has_one_parameter():
    for weights_ in (weights((1, 1, 2, 3)), weights((1, 1, 2, 3), (0, 0))):
        net = dag(CONV | {"weights": weights_})
        assert list(net.params) == ["l1f"]
        assert net.layers["l1"].block.has_bias is False


def test_a_transposed_convolution_keeps_its_options():
    layer = {"type": "convt", "weights": weights((4, 4, 1, 2), (1, 1)), "upsample": ONE * 2, "crop": ONE}
    block = dag(layer).layers["l1"].block
    assert (block.size, block.upsample, block.crop, block.num_groups) == ([4, 4, 1, 2], [2, 2], [1, 1, 1, 1], 1)


def test_trailing_dimensions_that_matlab_dropped_come_back():
    net = dag(CONV | {"weights": weights((3, 3, 64), (1, 1))})
    assert net.layers["l1"].block.size == [3, 3, 64, 1]
    assert net.params["l1f"].value.shape == (3, 3, 64, 1)


def test_two_losses_get_two_labels():
    assert dag(SOFTMAX, LOSS, LOSS, {"type": "loss"}).inputs == ["x0", "label", "label1", "label2"]


def test_canonical_names():
    net = dag(CONV, SOFTMAX, canonical_names=True)
    assert list(net.vars) == ["input", "prediction", "prob"]
    net = dag(CONV, LOSS, canonical_names=True)
    assert set(net.vars) == {"input", "prediction", "label", "objective"}


def test_a_file_loads_with_canonical_names_where_asked(tmp_path):
    matfile.write(tmp_path / "a.mat", {"net": chain(CONV, SOFTMAX)})
    matfile.write(tmp_path / "top.mat", chain(CONV, SOFTMAX))
    for name in ("a.mat", "top.mat"):
        assert netfile.load(tmp_path / name, canonical_names=True).outputs == ["prob"]
        assert netfile.load(tmp_path / name).outputs == ["x2"]
    assert netfile.from_struct(chain(CONV, SOFTMAX)).outputs == ["x2"]


def test_classes_and_normalization_stand_beside_the_layers_in_old_files(tmp_path):
    old = {"classes": {"name": matvalues.row(["cat", "dog"])}, "normalization": {"imageSize": numbers(8, 8, 3)}}
    matfile.write(tmp_path / "old.mat", chain(CONV, **old))
    assert same(netfile.load(tmp_path / "old.mat").meta, old)
    assert same(netfile.load_simplenn(tmp_path / "old.mat").meta, old)


def test_meta_inputs_follow_the_name_of_the_first_input():
    net = simplenn.from_simplenn(chain(CONV, meta={"inputs": {"name": "data", "size": ONE}}), canonical_names=True)
    assert net.meta["inputs"]["name"] == "input"


def test_a_conversion_computes_what_the_layers_compute(rng):
    x = rng.standard_normal((6, 5, 2, 2)).astype(np.float32)
    net = dag(CONV, {"type": "relu"})
    net.eval({"x0": x})
    f, b = CONV["weights"][0]
    assert np.array_equal(net.vars["x2"].value, np.maximum(conv.forward(x, f, b, pad=1, stride=[2, 1]), 0))


def test_a_converted_net_is_saved_as_a_dagnn_and_loads_as_the_same(tmp_path):
    net = dag(CONV, BNORM, POOL, LOSS)
    netfile.save(net, tmp_path / "dag.mat")
    again = netfile.load(tmp_path / "dag.mat")
    assert dict(again.layers) == dict(net.layers)
    assert all(same(p.value, again.params[p.name].value) for p in net.params.values())


# ---------------------------------------------------------------- what MatConvNet refuses


def test_custom_layers_are_kept_with_their_fields_and_weights_and_named_once():
    custom = {"type": "SubP", "scale": ONE / 2, "weights": weights((2, 2)), "precious": False}
    with pytest.warns(UserWarning, match=r"net: .*SubP \(layer l1, l2\)") as caught:
        net = dag(custom, custom)
    assert len(caught) == 1
    assert net.layers["l1"].block == catalogue.Unknown("SubP", {"scale": ONE / 2})
    assert list(net.params) == ["l11", "l21"]
    with pytest.raises(NotImplementedError, match=r"SubP.*catalogue\.register"):
        net.eval({"x0": np.ones((2, 2, 1, 1), np.float32)})


def test_a_registered_type_runs(monkeypatch):
    from dagnet.layers.relu import ReLU

    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    catalogue.register("clip", ReLU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = dag({"type": "clip", "leak": ONE / 4})
    net.eval({"x0": -np.ones((1, 1, 1, 1), np.float32)})
    assert net.vars["x1"].value == -0.25


# ---------------------------------------------------------------- the mean


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1), (1, 3), (224, 224, 3)])
def test_the_rgb_mean_comes_out_of_every_shape_of_average_image(shape):
    rgb = np.array([123.68, 116.779, 103.939], np.float32)
    image = np.broadcast_to(rgb, shape) if len(shape) == 3 else rgb.reshape(shape)
    mean = simplenn.average_rgb({"normalization": {"averageImage": image}})
    assert np.allclose(mean, rgb, rtol=1e-6)
    assert mean.shape == (3,)


@pytest.mark.parametrize("image", [None, np.zeros((0, 0)), np.ones((20, 20)), "none"])
def test_what_is_no_rgb_mean_is_refused(image):
    meta = {"normalization": {"averageImage": image}} if image is not None else {}
    with pytest.raises(ValueError, match=r"meta\.normalization\.averageImage is .*; an RGB mean of 3 values or"):
        simplenn.average_rgb(meta)


def test_vggs_mean_is_its_authors(data_dir):
    net = netfile.load(data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat")
    assert np.allclose(simplenn.average_rgb(net.meta), [123.68, 116.779, 103.939])
    assert list(net.layers)[-1] == "pool5"
    assert list(net.params)[:2] == ["conv1_1f", "conv1_1b"]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({"layers": ONE}, "net: a SimpleNN is right: a struct whose field `layers` is a cell of structs"),
        ({"layers": matvalues.row(["conv"])}, "net: a SimpleNN is right"),
        (chain({"size": ONE}), "net: layers{1} has no type"),
        (chain(SOFTMAX, {"type": "conv"}), "net: layers{2} 'l2': it is a conv layer with 0 weights"),
        (chain(BNORM | {"weights": weights((4, 1))}), "net: layers{1} 'l1': it is a bnorm layer with 1 weights"),
        (chain({"type": "pool"}), "net: layers{1} 'l1': it is a pool layer without the field 'pool'"),
        (chain(CONV | {"weights": matvalues.row(["x"])}), "net: layers{1} 'l1'.weights{1} is the text 'x'"),
        (chain(CONV | {"weights": ONE}), "net: layers{1} 'l1'.weights: it is a 1x1 double array; it must be a cell"),
        (chain(CONV | {"pad": numbers(1, 2, 3)}), "net: layers{1} 'l1': "),
        (chain(SOFTMAX | {"name": "a"}, SOFTMAX | {"name": "a"}), "net: layers{2} 'a': "),
        (
            chain(CONV | {"weights": matvalues.row([matvalues.Foreign("object", "gpuArray")])}),
            "weights{1} is a MATLAB object of class gpuArray; in MATLAB run net.move('cpu') or vl_simplenn_move",
        ),
    ],
)
def test_what_is_no_right_simplenn_is_named_with_its_layer(net, message):
    with pytest.raises(ValueError) as error:
        simplenn.from_simplenn(net)
    assert message in str(error.value)


def test_a_file_is_named_in_the_error(tmp_path):
    matfile.write(tmp_path / "a.mat", {"net": chain({"type": "pool"})})
    with pytest.raises(ValueError, match=r"a\.mat: layers\{1\} 'l1': it is a pool layer"):
        netfile.load(tmp_path / "a.mat")


# ---------------------------------------------------------------- as what it is


def test_a_file_gives_its_simplenn_and_saves_as_tidy_makes_it(tmp_path):
    old = {"type": "conv", "filters": np.ones((3, 3, 2), np.float32), "biases": ONE.astype(np.float32), "name": "conv1"}
    matfile.write(
        tmp_path / "old.mat", {"net": chain(old, POOL, BNORM, {"type": "dropout"}, LOSS, classes={"name": "a"})}
    )
    net = netfile.load_simplenn(tmp_path / "old.mat")
    assert net.layers[0]["weights"][0].shape == (3, 3, 2, 1)
    netfile.save(net, tmp_path / "new.mat")
    values = matfile.read(tmp_path / "new.mat")
    assert list(values) == ["layers", "meta"]
    layers = matvalues.items(values["layers"])
    assert values["layers"].shape == (1, 5)
    assert list(layers[0]) == ["name", "type", "weights", "precious", "pad", "stride", "dilate", "opts"]
    assert [w.shape for w in matvalues.items(layers[0]["weights"])] == [(3, 3, 2), (1, 1)]
    assert same(layers[1]["pad"], POOL["pad"])
    assert layers[0]["opts"].shape == layers[1]["weights"].shape == (0, 0)
    assert (layers[0]["precious"].dtype, layers[0]["pad"].dtype) == (np.bool_, np.float64)
    assert values["meta"] == {"classes": {"name": "a"}}


def test_a_saved_simplenn_loads_and_saves_as_the_same(tmp_path):
    net = simplenn.tidy(chain(CONV, BNORM, {"type": "normalize"}, POOL, {"type": "pdist"}, LOSS, meta={"a": ONE}))
    netfile.save(net, tmp_path / "a.mat")
    again = netfile.load_simplenn(tmp_path / "a.mat")
    netfile.save(again, tmp_path / "b.mat")
    assert same(matfile.read(tmp_path / "a.mat"), matfile.read(tmp_path / "b.mat"))
    assert all(np.array_equal(a, b) for a, b in zip(again.layers[1]["weights"], net.layers[1]["weights"], strict=True))


def test_layers_that_were_added_bare_are_converted_and_saved_as_tidy_makes_them():
    net = simplenn.tidy(chain())
    net.layers.append({"type": "relu"})
    assert list(simplenn.from_simplenn(net).layers) == ["layer1"]
    net.layers.append({"type": "softmax"})
    assert [layer["name"] for layer in matvalues.items(simplenn.to_struct(net)["layers"])] == ["layer1", "layer2"]


def test_a_dagnn_is_no_simplenn(tmp_path):
    netfile.save(dag(CONV), tmp_path / "dag.mat")
    with pytest.raises(ValueError, match=r"dag\.mat: it holds a DagNN; load is right"):
        netfile.load_simplenn(tmp_path / "dag.mat")


def test_functions_of_python_are_saved_as_their_names(tmp_path):
    net = SimpleNN([{"type": "custom", "name": "mine", "forward": chain}])
    netfile.save(net, tmp_path / "a.mat")
    again = netfile.load_simplenn(tmp_path / "a.mat")
    assert again.layers[0]["forward"] == "tests.test_files_simplenn.chain"
    with pytest.raises(ValueError, match=r"its forward is tests\.test_files_simplenn\.chain; a function forward"):
        run(again, np.ones((1, 1, 1, 1)))


NETWORKS = {  # by file: the size of an input that fits it
    "damp_dncnn17_sigma20to40.mat": (21, 18, 1, 2),
    "dncnn_sigma25_v73.mat": (21, 18, 1, 2),
    "oneclick_mnist_net-epoch-50.mat": (28, 28, 1, 2),
    "vdcfnet.mat": (21, 18, 3, 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_others_computes_as_a_simplenn_what_it_computes_as_a_dagnn(data_dir, rng, name):
    chain_ = netfile.load_simplenn(data_dir / "networks" / name)
    chain_.layers = [layer for layer in chain_.layers if layer["type"] not in ("loss", "softmaxloss")]
    graph = simplenn.from_simplenn(chain_)
    graph.mode = "test"
    x = rng.standard_normal(NETWORKS[name]).astype(np.float32)
    graph.eval({"x0": x})
    y = run(chain_, x, mode="test")[-1].x
    assert np.isfinite(y).all() and y.std() > 0
    assert np.array_equal(y, graph.vars[graph.outputs[0]].value)


@pytest.mark.parametrize("name", [*NETWORKS, "dncnn_sigma25_bnorm_v73.mat", "ffdnet_gray.mat"])
def test_all_that_a_network_of_others_holds_stands_in_the_saved_file_in_the_same_order(data_dir, tmp_path, name):
    path = data_dir / "networks" / name
    netfile.save(netfile.load_simplenn(path), tmp_path / "again.mat")
    ours, theirs = (
        matvalues.items(v["layers"]) for v in (matfile.read(tmp_path / "again.mat"), matfile.read(path)["net"])
    )
    for our, their in zip(ours, theirs, strict=True):
        if isinstance(their.get("class"), matvalues.Foreign):
            del their["class"]  # labels of the last batch, on the GPU
        assert list(our)[: len(their)] == list(their)
        assert all(same(our[field], value) for field, value in their.items())


def test_a_checkpoint_that_matlab_wrote_is_written_back_bit_by_bit(data_dir, tmp_path):
    path = data_dir / "networks/oneclick_mnist_net-epoch-50.mat"
    net, found = netfile.load_simplenn(path), checkpoint.load(path)
    checkpoint.save(tmp_path / "again.mat", net, found.state, found.stats, state_field=found.state_field)
    assert same(matfile.read(tmp_path / "again.mat"), matfile.read(path))


def test_a_function_handle_of_matlab_is_named_where_it_would_run_or_be_saved(data_dir, tmp_path):
    net = netfile.load_simplenn(data_dir / "networks/text_small_net-epoch-1.mat")
    handle = "a MATLAB function handle addCustomLossLayer/forward"
    with pytest.raises(ValueError, match=f"its forward is {handle}; a function forward"):
        run(net, np.ones((64, 64, 1, 1), np.float32))
    with pytest.raises(ValueError, match=rf"layers\{{6\}}\.forward is {handle}, which only MATLAB can write"):
        netfile.save(net, tmp_path / "a.mat")
