"""DagNN files: what MATLAB wrote loads, what we write is what MATLAB would write, and mistakes are named."""

import copy
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from dagnet.dagnn import DagNN
from dagnet.files import matfile, matvalues, netfile
from dagnet.layers import block, bnorm, catalogue, concat, conv, convt, dropout, loss, pool, relu, segmentation
from dagnet.layers import sum as sum_
from dagnet.models import fcn, lesion_fcn, vgg16
from tests.conftest import golden_file
from tests.values import differences, everything, object_file, octave, same, write_v73


@pytest.fixture
def net(rng) -> DagNN:
    """A small net with a block of most kinds, its parameters set."""
    net = DagNN()
    net.add_layer("conv1", conv.Conv([3, 3, 2, 4], pad=[1, 0, 1, 2]), "input", "x1", ["conv1f", "conv1b"])
    net.add_layer("bn1", bnorm.BatchNorm(4), "x1", "x2", ["bn1m", "bn1b", "bn1x"])
    net.add_layer("relu1", relu.ReLU(leak=0.1), "x2", "x3")
    net.add_layer("pool1", pool.Pooling("avg", [2, 2], stride=[2, 2]), "x3", "x4")
    net.add_layer("up", convt.ConvTranspose([4, 4, 1, 4], False, [2, 2], [1, 1, 1, 1]), "x4", "x5", "upf")
    net.add_layer("drop", dropout.DropOut(0.25), "x5", "x6")
    net.add_layer("join", concat.Concat(), ["x5", "x6"], "x7")
    net.add_layer("sum", sum_.Sum(), ["x7", "x7"], "x8")
    net.add_layer("objective", loss.Loss(opts=["instanceWeights", 2.0]), ["x8", "label"], "objective")
    net.init_params(rng)
    net.params["conv1b"].learning_rate = 2.0
    net.params["conv1b"].weight_decay = 0.0
    net.vars["x4"].precious = True
    net.meta = {
        "normalization": {"averageImage": np.ones((1, 1, 3), np.float32)},
        "classes": {"name": matvalues.row("ab")},
    }
    return net


def struct_of(net: DagNN) -> dict:
    return copy.deepcopy(netfile.to_struct(net))


def quietly(path) -> DagNN:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return netfile.load(path)


# ---------------------------------------------------------------- what MATLAB wrote


FILES = [
    "damp_dncnn17_sigma20to40.mat",
    "dncnn_sigma25_bnorm_v73.mat",
    "dncnn_sigma25_v73.mat",
    "ffdnet_gray.mat",
    "lapsrn_text_net-epoch-995.mat",
    "lapsrn_x2.mat",
    "mnist_dagnn.mat",
    "oneclick_mnist_net-epoch-50.mat",
    "text_small_net-epoch-1.mat",
    "vdcfnet.mat",
]


@pytest.mark.parametrize("name", FILES)
def test_every_network_that_matlab_wrote_loads_with_all_its_parameters(data_dir, name):
    net = quietly(data_dir / "networks" / name)
    assert all(p.value is not None for p in net.params.values())
    assert len(net.layers) >= 6


@pytest.mark.parametrize("version", ["7", "7.3"])
@pytest.mark.parametrize("name", ["mnist_dagnn.mat", "lapsrn_x2.mat", "lapsrn_text_net-epoch-995.mat"])
def test_a_dagnn_that_matlab_wrote_is_written_back_bit_for_bit(data_dir, tmp_path, name, version):
    path = data_dir / "networks" / name
    netfile.save(quietly(path), tmp_path / "again.mat", version=version)
    written = matfile.read(path)
    struct = written.get("net", written)
    again = matfile.read(tmp_path / "again.mat")
    assert set(again) == set(struct)
    assert [line for part in struct for line in differences(again[part], struct[part], part)] == []


RELEASES = ["beta18", "beta20", "beta23", "beta25", "master"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_dagnn_of_any_release_is_written_back_bit_for_bit_with_that_releases_properties(tmp_path, release):
    path = golden_file(f"releases/{release}/net-epoch-2.mat")
    netfile.save(netfile.load(path), tmp_path / "again.mat")
    assert differences(matfile.read(tmp_path / "again.mat"), matfile.read(path)["net"]) == []


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_network_is_written_for_a_release_with_the_properties_that_this_release_writes(tmp_path, release):
    theirs = matfile.read(golden_file(f"releases/{release}/net-epoch-2.mat"))["net"]["layers"]
    net = netfile.load(golden_file("releases/beta25/net-epoch-2.mat"))
    for record in net.layers.values():
        record.in_file = {}
        if isinstance(record.block, loss.Loss):
            record.block.normalise = release == "master"
        if isinstance(record.block, bnorm.BatchNorm):
            record.block.epsilon = {"beta18": 1e-3, "beta20": 1e-4}.get(release, 1e-5)
    netfile.save(net, tmp_path / "a.mat", release=release)
    for ours, right in zip(matfile.read(tmp_path / "a.mat")["layers"], theirs, strict=True):
        assert ours["type"] == right["type"]
        assert {n: ours["block"][n] for n in sorted(ours["block"])}.keys() == right["block"].keys()  # Octave sorts them
        assert all(same(ours["block"][name], value) for name, value in right["block"].items())


def test_a_file_of_an_old_release_gets_the_properties_of_the_release_that_is_asked_for(tmp_path):
    net = netfile.load(golden_file("releases/beta18/net-epoch-2.mat"))
    netfile.save(net, tmp_path / "a.mat", release="beta25")
    blocks = {record["name"]: record["block"] for record in matfile.read(tmp_path / "a.mat")["layers"]}
    assert list(blocks["bn1"]) == ["numChannels", "epsilon", "opts"]
    assert same(blocks["bn1"]["epsilon"], np.array([[1e-3]]))
    assert same(blocks["conv1"]["dilate"], np.ones((1, 2)))


def test_what_a_release_cannot_run_is_refused_with_the_layer_and_the_release_that_can(net, tmp_path):
    with pytest.raises(
        ValueError, match=r"layer 'bn1'\.block\.epsilon: beta18 does not know it .* 0\.001; beta20 is right"
    ):
        netfile.save(net, tmp_path / "a.mat", release="beta18")
    with pytest.raises(ValueError, match="release: it is 'beta17'; beta18, beta20, beta23, beta24, beta25, master are"):
        netfile.save(net, tmp_path / "a.mat", release="beta17")
    assert not list(tmp_path.iterdir())


def test_batch_normalisation_without_epsilon_is_beta18s(tmp_path):
    net = netfile.load(golden_file("releases/beta18/net-epoch-2.mat"))
    assert net.layers["bn1"].block.epsilon == 1e-3


def test_learning_rates_of_moments_come_from_the_file_and_their_method_from_the_block():
    net = netfile.load(golden_file("releases/beta20/net-epoch-2.mat"))
    assert net.params["bn1x"].learning_rate == 0.01
    assert net.params["bn1x"].train_method == "average"


def test_fields_at_the_top_in_a_variable_net_and_in_version_73_give_the_same_net(net, tmp_path):
    struct = struct_of(net)
    matfile.write(tmp_path / "top.mat", struct | {"classes": "something else in the file"})
    matfile.write(tmp_path / "net.mat", {"net": struct, "stats": 1})
    write_v73(tmp_path / "73.mat", matfile.read(tmp_path / "net.mat"))
    for name in ("top.mat", "net.mat", "73.mat"):
        assert same(written(netfile.to_struct(netfile.load(tmp_path / name))), written(struct))


def written(struct: dict) -> dict:
    """The struct once it went through a file: Python's numbers and texts have become MATLAB's."""
    with tempfile.TemporaryDirectory() as folder:
        matfile.write(Path(folder) / "a.mat", struct)
        return matfile.read(Path(folder) / "a.mat")


# ---------------------------------------------------------------- save and load


def test_load_of_save_is_the_identity(net, tmp_path):
    netfile.save(net, tmp_path / "a.mat")
    again = netfile.load(tmp_path / "a.mat")
    assert list(again.layers) == list(net.layers)
    for name, record in net.layers.items():
        assert again.layers[name] == record
    for name, param in net.params.items():
        other = again.params[name]
        assert (other.learning_rate, other.weight_decay, other.train_method) == (
            param.learning_rate,
            param.weight_decay,
            param.train_method,
        )
        assert same(other.value, param.value)
    assert [v.precious for v in again.vars.values()] == [v.precious for v in net.vars.values()]
    assert same(again.meta, written({"meta": net.meta})["meta"])


SIZED = ("dagnn.Conv", "dagnn.ConvTranspose", "dagnn.Scale")

ODD = {  # what a file may hold that means the same as what is written otherwise: (part, record, field, value)
    "a pad of integers": ("layers", 0, "pad", np.array([[1, 0, 1, 2]], np.int32)),
    "a pad that stands upright": ("layers", 0, "pad", np.array([[1.0], [0], [1], [2]])),
    "a flag that is a double": ("layers", 0, "hasBias", np.ones((1, 1))),
    "no options, as []": ("layers", 8, "opts", np.zeros((0, 0))),
    "no options, as a 1x0 cell": ("layers", 0, "opts", np.empty((1, 0), object)),
    "options that stand upright": ("layers", 8, "opts", matvalues.row(["threshold", np.ones((1, 1), np.float32)]).T),
    "a leak in single": ("layers", 2, "leak", np.array([[0.1]], np.float32)),
    "no number of channels": ("layers", 1, "numChannels", np.zeros((0, 0))),
    "a rate in single": ("params", 1, "learningRate", np.array([[0.1]], np.float32)),
    "a decay that is a flag": ("params", 1, "weightDecay", np.array([[True]])),
    "no value, in single": ("params", 3, "value", np.zeros((0, 1), np.float32)),
    "precious as a double": ("vars", 2, "precious", np.ones((1, 1))),
    "no parameters, as a 1x0 cell": ("layers", 2, "params", np.empty((1, 0), object)),
    "inputs that stand upright": ("layers", 6, "inputs", matvalues.row(["x5", "x6"]).T),
    "no block, as []": ("layers", 7, "block", np.zeros((0, 0))),
    "a property of 2015": ("layers", 6, "numInputs", np.full((1, 1), 2.0)),
}


@pytest.mark.parametrize("oddity", ODD)
def test_what_means_the_same_is_written_back_as_it_stood_in_the_file(net, tmp_path, oddity):
    struct = written(struct_of(net))
    part, i, field, value = ODD[oddity]
    record = struct[part].records[i]
    (record if field in record else record["block"])[field] = value
    matfile.write(tmp_path / "odd.mat", struct)
    again = netfile.load(tmp_path / "odd.mat")
    assert differences(written(netfile.to_struct(again)), struct) == []
    assert differences(written(netfile.to_struct(copy.deepcopy(again))), struct) == []


def test_what_was_changed_since_loading_is_written_and_the_rest_as_it_stood(net, tmp_path):
    struct = written(struct_of(net))
    first = struct["layers"].records[0]["block"]
    first["pad"], first["stride"] = first["pad"].astype(np.int32), first["stride"].astype(np.int32)
    struct["params"].records[0]["learningRate"] = np.array([[0.1]], np.float32)
    del struct["layers"].records[8]["block"]["ignoreAverage"]
    matfile.write(tmp_path / "a.mat", struct)
    again = netfile.load(tmp_path / "a.mat")
    again.layers["conv1"].block.pad = [2, 2, 2, 2]
    again.params["conv1f"].learning_rate = 0.5
    again.vars["x1"].precious = True
    again.layers["objective"].block.ignore_average = True
    again.set_layer_inputs("sum", ["x7", "x5"])
    assert differences(written(netfile.to_struct(again)), struct) == [
        "vars(2).precious: other elements",
        "params(1).learningRate: ndarray float64 (1, 1), not ndarray float32 (1, 1)",
        "layers(1).block.pad: ndarray float64 (1, 4), not ndarray int32 (1, 4)",
        "layers(8).inputs{2}: 'x5', not 'x7'",
        "layers(9).block: a struct with ['loss', 'opts', 'ignoreAverage'], not a struct with ['loss', 'opts']",
    ]


def test_the_order_of_variables_and_parameters_is_the_files(net, tmp_path):
    net.rename_var("x5", "first_of_all")
    struct = written(struct_of(net))
    for part in ("vars", "params"):
        struct[part].records.reverse()
    matfile.write(tmp_path / "a.mat", struct)
    again = netfile.load(tmp_path / "a.mat")
    assert list(again.params) == list(net.params)[::-1]
    assert differences(written(netfile.to_struct(again)), struct) == []


@pytest.mark.parametrize("meta", [{}, np.zeros((0, 0)), matvalues.StructArray((), (1, 0), []), everything()])
@pytest.mark.parametrize("version", ["7", "7.3"])
def test_meta_of_any_content_comes_back(net, tmp_path, meta, version):
    struct = written(struct_of(net)) | {"meta": meta}
    matfile.write(tmp_path / "a.mat", struct)
    netfile.save(netfile.load(tmp_path / "a.mat"), tmp_path / "b.mat", version=version)
    assert differences(matfile.read(tmp_path / "b.mat")["meta"], meta) == []


def test_a_method_of_training_that_the_block_does_not_set_is_kept(net, tmp_path):
    netfile.save(net, tmp_path / "a.mat")
    assert "trainMethod" not in matfile.read(tmp_path / "a.mat")["params"].fields  # MatConvNet's own files have none
    net.params["bn1x"].train_method, net.params["conv1f"].train_method = "gradient", "average"
    netfile.save(net, tmp_path / "a.mat")
    again = netfile.load(tmp_path / "a.mat")
    assert [p.train_method for p in again.params.values()] == [p.train_method for p in net.params.values()]


@pytest.mark.parametrize("version", ["7", "7.3"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: vgg16.vgg16(width=1 / 64),
        lambda: fcn.fcn8s(fcn.fcn16s(fcn.fcn32s(vgg16.vgg16(width=1 / 64), 3))),
        lambda: lesion_fcn.lesion_fcn(vgg16.vgg16(width=1 / 64), fc_width=8),
    ],
    ids=["vgg16", "fcn", "lesion_fcn"],
)
def test_a_network_built_here_is_the_same_after_saving_and_loading(tmp_path, rng, make, version):
    net = make()
    net.init_params(rng)
    netfile.save(net, tmp_path / "a.mat", version=version)
    again = netfile.load(tmp_path / "a.mat")
    assert list(again.layers.items()) == list(net.layers.items())
    assert list(again.vars) == list(net.vars)
    assert differences(written(netfile.to_struct(again)), written(netfile.to_struct(net))) == []
    for name, param in net.params.items():
        assert again.params[name].value.shape == param.value.shape, name


@pytest.mark.parametrize("matlab_type", catalogue.known())
def test_every_block_of_the_catalogue_comes_back_and_is_written_alike_again(tmp_path, matlab_type):
    made = catalogue.from_matlab(matlab_type, {"size": np.array([[1.0, 1, 2, 3]])} if matlab_type in SIZED else {})
    net = DagNN()
    inputs = [f"x{i}" for i in range((made.n_inputs or (1,))[0])]
    net.add_layer("l", made, inputs, "y", [f"p{i}" for i in range((made.n_params or (0,))[-1])])
    netfile.save(net, tmp_path / "a.mat")
    again = netfile.load(tmp_path / "a.mat")
    assert again.layers["l"] == net.layers["l"]
    again.layers["l"].in_file = {}  # what is written does not come from memory alone
    netfile.save(again, tmp_path / "b.mat")
    assert (tmp_path / "b.mat").read_bytes() == (tmp_path / "a.mat").read_bytes()


def test_a_loaded_net_computes_what_the_saved_one_computes(net, tmp_path, rng):
    net.mode = "test"
    net.params["bn1x"].value[:] = [0.5, 2.0]
    x = rng.standard_normal((9, 8, 2, 3)).astype(np.float32)
    netfile.save(net, tmp_path / "a.mat")
    again = netfile.load(tmp_path / "a.mat")
    again.mode = "test"
    for n in (net, again):
        n.eval({"input": x})
    assert np.array_equal(again.vars["x8"].value, net.vars["x8"].value)


def test_what_is_written_has_matlabs_classes_shapes_and_order(net, tmp_path):
    netfile.save(net, tmp_path / "a.mat")
    struct = matfile.read(tmp_path / "a.mat")
    assert list(struct) == ["vars", "params", "layers", "meta"]
    assert struct["layers"].fields == ("name", "type", "inputs", "outputs", "params", "block")
    assert struct["layers"].shape == (1, 9)
    first, bn = struct["layers"].records[0]["block"], struct["layers"].records[1]["block"]
    assert list(first) == ["size", "hasBias", "opts", "pad", "stride", "dilate"]
    assert same(first["pad"], np.array([[1.0, 0, 1, 2]]))
    assert same(first["hasBias"], np.array([[True]]))
    assert same(first["opts"], matvalues.row(["cuDNN"]))
    assert list(bn) == ["numChannels", "epsilon", "opts"]
    assert list(struct["layers"].records[3]["block"]) == ["method", "poolSize", "opts", "pad", "stride", "dilate"]
    assert same(struct["layers"].records[7]["block"], {})
    assert same(struct["layers"].records[7]["params"], np.empty((0, 0), object))
    assert list(struct["layers"].records[8]["block"]) == ["loss", "ignoreAverage", "opts"]
    assert same(struct["params"].records[1]["learningRate"], np.array([[2.0]]))
    assert struct["params"].records[1]["value"].shape == (4, 1)
    assert struct["params"].records[0]["value"].dtype == np.float32
    assert same(struct["vars"].records[4], {"name": "x4", "precious": np.array([[True]])})


def test_normalise_is_written_where_it_is_on_since_only_master_knows_it(net, tmp_path):
    net.layers["objective"].block.normalise = True
    netfile.save(net, tmp_path / "a.mat")
    assert list(matfile.read(tmp_path / "a.mat")["layers"].records[8]["block"])[-1] == "normalise"
    assert netfile.load(tmp_path / "a.mat").layers["objective"].block.normalise is True


def test_properties_of_a_base_class_come_after_the_blocks_own(tmp_path):
    net = DagNN()
    net.add_layer("acc", segmentation.SegmentationAccuracy(n_classes=21), ["x", "label"], "acc")
    netfile.save(net, tmp_path / "a.mat")
    layers = matfile.read(tmp_path / "a.mat")["layers"]  # one layer: a struct
    assert layers["type"] == "SegmentationAccuracy"
    assert list(layers["block"]) == ["nClasses", "loss", "ignoreAverage", "opts"]
    assert netfile.load(tmp_path / "a.mat").layers["acc"].block.n_classes == 21


def test_octave_reads_a_saved_net_with_the_right_classes(net, tmp_path):
    netfile.save(net, tmp_path / "a.mat")
    said = octave(
        "s = load('a.mat'); b = s.layers(1).block; "
        "printf('%s\\n', strjoin(fieldnames(s)', ' '), class(b.hasBias), class(b.pad), num2str(b.pad), class(b.opts), "
        "class(s.params(1).value), num2str(size(s.params(1).value)), num2str(size(s.layers)), "
        "strjoin(s.layers(7).inputs, ' '), num2str(size(s.layers(7).inputs)), class(s.vars(5).precious), "
        "num2str(size(s.params(2).value)), num2str(s.params(2).learningRate), s.layers(9).block.loss, "
        "class(s.layers(8).block), num2str(numel(fieldnames(s.layers(8).block))), s.meta.classes.name{2})",
        tmp_path,
    )
    assert said.split("\n")[:-1] == [
        "vars params layers meta",
        "logical",
        "double",
        "1  0  1  2",
        "cell",
        "single",
        "3  3  2  4",
        "1  9",
        "x5 x6",
        "1  2",
        "logical",
        "4  1",
        "2",
        "softmaxlog",
        "struct",
        "0",
        "b",
    ]


# ---------------------------------------------------------------- blocks that nobody knows


def test_unknown_blocks_are_named_in_one_warning_and_kept(data_dir):
    with pytest.warns(UserWarning) as caught:
        net = netfile.load(data_dir / "networks/lapsrn_x2.mat")
    assert len(caught) == 1
    assert "lapsrn_x2.mat" in str(caught[0].message)
    assert "dagnn.vllab_dag_loss (layer level1_L1_loss)" in str(caught[0].message)
    assert "catalogue.register" in str(caught[0].message)
    assert net.layers["level1_L1_loss"].block.fields["loss_type"] == "L1"


def test_a_registered_class_takes_the_place_of_an_unknown_block(net, tmp_path, monkeypatch, recwarn):
    @dataclass
    class MyBlock(block.Layer):
        step_size: float = 1.0
        names: list = field(default_factory=list)

    net.add_layer(
        "mine", catalogue.Unknown("MyBlock", {"stepSize": 0.5, "names": matvalues.row(["a", "b"])}), "x8", "y"
    )
    netfile.save(net, tmp_path / "a.mat")
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    catalogue.register("MyBlock", MyBlock)
    again = netfile.load(tmp_path / "a.mat")
    assert again.layers["mine"].block == MyBlock(0.5, ["a", "b"])
    assert not recwarn
    netfile.save(again, tmp_path / "b.mat")
    assert same(matfile.read(tmp_path / "b.mat"), matfile.read(tmp_path / "a.mat"))


def test_a_loss_that_its_user_wrote_is_supplied_and_written_back_bit_for_bit(data_dir, tmp_path, monkeypatch, recwarn):
    @dataclass
    class LapSRNLoss(loss.Loss):
        weight: float = field(default=1.0, metadata={"matlab": "lambda"})
        loss_type: str = field(default="L2", metadata={"matlab": "loss_type"})

    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    catalogue.register("dagnn.vllab_dag_loss", LapSRNLoss)
    net = netfile.load(data_dir / "networks/lapsrn_x2.mat")
    assert not recwarn
    assert net.layers["level1_L1_loss"].block == LapSRNLoss(weight=1, loss_type="L1")
    netfile.save(net, tmp_path / "a.mat")
    assert same(matfile.read(tmp_path / "a.mat"), matfile.read(data_dir / "networks/lapsrn_x2.mat")["net"])


# ---------------------------------------------------------------- bad input


def changed(net: DagNN, tmp_path, change) -> str:
    """The message of loading net's struct after a change to it."""
    struct = written(struct_of(net))
    struct = change(struct) or struct
    matfile.write(tmp_path / "bad.mat", struct)
    with pytest.raises(ValueError) as error:
        netfile.load(tmp_path / "bad.mat")
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/bad.mat: ")
    assert "\n" not in message
    return message


def test_an_unknown_property_of_a_known_block_is_an_error_that_names_file_layer_and_field(net, tmp_path):
    message = changed(net, tmp_path, lambda s: s["layers"].records[0]["block"].update(dialte=np.ones((1, 2))))
    assert "layers(1) 'conv1'" in message
    assert "'dialte'" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s["layers"].records[2].update(name=np.zeros((0, 0))),
            r"layers(3).name is a 0x0 double array; a text",
        ),
        (
            lambda s: s["layers"].records[2].update(inputs=np.ones((1, 1))),
            "layers(3) 'relu1'.inputs: it is a 1x1 double",
        ),
        (lambda s: s["layers"].records[2].update(block="x"), "layers(3) 'relu1'.block is the text 'x'; a struct"),
        (lambda s: s["layers"].records[2].update(name="conv1"), "layers(3) 'conv1': "),
        (lambda s: s["layers"].records[3]["block"].update(dilate=np.ones((1, 2)) * 2), "'pool1'.block.dilate is not 1"),
        (
            lambda s: s["params"].records[0].update(value="x"),
            "params(1) 'conv1f'.value is the text 'x'; a numeric array",
        ),
        (
            lambda s: s["params"].records[0].update(learningRate=np.ones((1, 2))),
            "params(1) 'conv1f'.learningRate is a 1x2",
        ),
        (lambda s: s.update(layers=np.ones((2, 2))), "layers: it is a 2x2 double array; it must be a struct array"),
        (lambda s: s.update(meta=matvalues.row("a")), "meta is a 1x1 cell; a struct is right"),
        (lambda s: {"net": s | {"extra": 1}}, "a DagNN has no field extra"),
        (lambda s: {"net": {"weights": 1}}, "net is a struct with the fields weights; a struct with a field `layers`"),
        (lambda s: {"images": s["params"]}, "it holds no network, only images (struct)"),
    ],
)
def test_what_is_not_as_matconvnet_writes_it_is_named_with_its_place(net, tmp_path, change, message):
    assert message in changed(net, tmp_path, change)


def test_files_without_vars_params_and_old_properties_load(net, tmp_path):
    struct = written(struct_of(net))
    struct["layers"].records[6]["block"]["numInputs"] = np.ones((1, 1))
    matfile.write(tmp_path / "a.mat", {"layers": struct["layers"]})
    again = netfile.load(tmp_path / "a.mat")
    assert list(again.layers) == list(net.layers)
    assert all(p.value is None for p in again.params.values())


def test_a_parameter_that_no_layer_uses_is_dropped_as_matconvnet_drops_it(net):
    struct = struct_of(net)
    struct["params"].records.append(struct["params"].records[0] | {"name": "stranger"})
    assert list(netfile.from_struct(struct).params) == list(net.params)


@pytest.mark.parametrize("name", ["net", "dag"])
def test_an_object_in_place_of_a_struct_gets_matlabs_remedy(tmp_path, name):
    (tmp_path / "a.mat").write_bytes(object_file(name, "dagnn.DagNN"))
    remedy = r"a MATLAB object of class dagnn\.DagNN.*net = net\.saveobj\(\); save\('file\.mat', '-struct', 'net'\)"
    with pytest.raises(ValueError, match=remedy):
        netfile.load(tmp_path / "a.mat")


def test_a_net_that_cannot_be_written_leaves_the_old_file(net, tmp_path):
    netfile.save(net, tmp_path / "a.mat")
    before = (tmp_path / "a.mat").read_bytes()
    handle = matvalues.Foreign("function handle", "myLoss")
    net.add_layer("custom", catalogue.Unknown("custom", {"forward": handle}), "x8", "y")
    with pytest.raises(ValueError, match=r"a\.mat: layers\(10\)\.block\.forward is a MATLAB function handle myLoss"):
        netfile.save(net, tmp_path / "a.mat")
    assert (tmp_path / "a.mat").read_bytes() == before
