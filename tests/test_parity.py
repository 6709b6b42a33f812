"""dagnet parity: MatConvNet's own runs agree; each known mistake, planted, is found at its layer and named."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dagnet.tools.parity import MATLAB

from dagnet import DagNN, SimpleNN, simplenn
from dagnet.files import matfile, netfile
from dagnet.layers import algorithms, bnorm, catalogue, conv, dropout, loss, lrn, pool, relu, segmentation, sigmoid
from tests import dumps, recorded_simplenn
from tests.test_matfile import octave
from tests.verbs import call, cut_short, refused

MEAN = np.array([123.68, 116.779, 103.939], np.float32)
DER = {"objective": 1.0}
OCTAVE = Path(__file__).parent / "octave"


@pytest.mark.parametrize("dtype", ["single", "double"])
@pytest.mark.parametrize(
    ("file", "release"),
    [("master/fcn", "master"), *((f"releases/{r}/fcn", r) for r in ("beta18", "beta20", "beta23", "beta25", "master"))],
)
def test_matconvnet_s_own_run_is_within_tolerance(file, release, dtype, tmp_path, capsys):
    net, dump = dumps.golden(f"{file}_{dtype}.mat", dtype, release)
    code, out, err = call(capsys, "parity", *dumps.write(tmp_path, net, dump), "--profile", release)
    assert (code, err) == (0, "")
    assert "All 94 arrays are within tolerance" in out and "Hint" not in out
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("dtype", ["single", "double"])
def test_matconvnet_s_own_simplenn_differs_in_the_power_of_its_lrn_alone(dtype, tmp_path, monkeypatch, capsys):
    files = dumps.write(tmp_path, *dumps.golden_simplenn(dtype))
    code, out, _ = call(capsys, "parity", *files, "--profile", "master", "--json", tmp_path / "parity.json")
    found = json.loads((tmp_path / "parity.json").read_text())
    (lrn_layer,) = {array["layer"] for array in found["arrays"] if array["alone"] and not array["alone"]["ok"]}
    hints = [(hint["where"], hint["cause"], hint["sure"]) for hint in found["hints"]]
    assert code == 1 and hints == [(lrn_layer, "power", False)], out
    recorded_simplenn.use_approximate_power(monkeypatch)
    code, out, _ = call(capsys, "parity", *files, "--profile", "master")
    assert code == 0 and "arrays are within tolerance" in out, out


def test_a_simplenn_s_batch_normalisation_keeps_its_epsilon(tmp_path, rng, capsys):
    """MatConvNet's examples set 1e-4, which fromSimpleNN does not copy; a dump of the SimpleNN itself has it."""
    ones = np.ones((2, 1), np.float32)
    bn = {"type": "bnorm", "name": "bn", "weights": [ones, 0 * ones, np.zeros((2, 2), np.float32)], "epsilon": 1e-4}
    net, x = SimpleNN([bn]), 1e-2 * rng.standard_normal((5, 4, 2, 3), np.float32)
    res = simplenn.run(net, x, np.ones_like(x))
    ders = {f"bn{letter}": der for letter, der in zip("mbx", res[0].dzdw, strict=True)}
    variables = {f"x{i}": (r.x, r.dzdx) for i, r in enumerate(res)}
    dump = dumps.struct("normal", {"x0": x}, {"x1": np.ones_like(x)}, variables, ders)
    code, out, _ = call(capsys, "parity", *dumps.write(tmp_path, net, dump))
    assert code == 0 and "All 7 arrays are within tolerance" in out, out


# -- a network with one of everything


def network(dtype=np.float32) -> DagNN:
    """Convolution, batch normalisation, ReLU, LRN, pooling, dropout, prediction, loss."""
    net = DagNN()
    net.add_layer("conv1", conv.Conv([3, 3, 3, 6], pad=1), "input", "x1", ["conv1f", "conv1b"])
    net.add_layer("bn1", bnorm.BatchNorm(6), "x1", "x2", ["bn1m", "bn1b", "bn1x"])
    net.add_layer("relu1", relu.ReLU(), "x2", "x3")
    net.add_layer("norm1", lrn.LRN([3, 1, 0.5, 0.75]), "x3", "x4")
    net.add_layer("pool1", pool.Pooling("avg", [3, 3], [0, 1, 0, 1], [2, 2]), "x4", "x5")
    net.add_layer("conv2", conv.Conv([3, 3, 6, 5], pad=1), "x5", "x6", ["conv2f", "conv2b"])
    net.add_layer("drop1", dropout.DropOut(0.4), "x6", "x7")
    net.add_layer("pred", conv.Conv([1, 1, 5, 3]), "x7", "prediction", ["predf", "predb"])
    net.add_layer("objective", loss.Loss(), ["prediction", "label"], "objective")
    rng = np.random.default_rng(0)
    for name, block in ((name, record.block) for name, record in net.layers.items()):
        for param, value in zip(net.layers[name].params, block.init_params(rng), strict=True):
            net.params[param].value = (value + 0.1 * rng.random(value.shape)).astype(dtype)
    net.params["bn1x"].value = np.stack([rng.normal(50, 9, 6), rng.uniform(60, 90, 6)], axis=1).astype(dtype)
    net.meta["normalization"] = {"imageSize": np.array([[8.0, 10, 3]]), "averageImage": MEAN.reshape(1, 1, 3)}
    return net


def images(dtype=np.float32) -> dict[str, np.ndarray]:
    """Two images, their mean subtracted, and labels 0..3 of the prediction's size."""
    rng = np.random.default_rng(1)
    image = (rng.integers(0, 256, (8, 10, 3, 2)) - MEAN.reshape(1, 1, 3, 1)).astype(dtype)
    return {"input": image, "label": rng.integers(0, 4, (4, 5, 1, 2)).astype(dtype)}


@pytest.mark.parametrize("mode", ["normal", "test"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_clean_pair_agrees_and_gives_no_hint(mode, dtype, tmp_path, capsys):
    net = network(dtype)
    net.mode = mode
    dump = dumps.record(net, images(dtype), DER)
    code, out, err = call(capsys, "parity", *dumps.write(tmp_path, net, dump))
    assert (code, err) == (0, "") and "Hint" not in out and "within tolerance" in out


def test_a_pass_forward_alone_is_compared_too(tmp_path, capsys):
    net = network()
    net.mode = "test"
    code, out, _ = call(capsys, "parity", *dumps.write(tmp_path, net, dumps.record(net, images())))
    assert code == 0 and "derivatives of nothing" in out and "d x1" not in out


def test_convolutions_are_run_by_matrix_products_alone(tmp_path, monkeypatch, capsys):
    net = network()
    files = dumps.write(tmp_path, net, dumps.record(net, images(), DER))
    seen, choose = [], algorithms.choose
    monkeypatch.setattr(algorithms, "choose", lambda *given: seen.append(choose(*given)) or seen[-1])
    assert call(capsys, "parity", *files)[0] == 0
    assert seen and {choice.why for choice in seen} == {"settings.exact"}


# -- seeded faults


@dataclass
class Pair:
    """The network that MATLAB ran, ours, what MATLAB recorded, what it was run on, and inputs that a user brings."""

    theirs: DagNN
    ours: DagNN
    given: dict
    shown: dict | None = None  # what the dump says that the inputs were
    said_mode: str = ""
    brought: dict | None = None


@dataclass
class Rounded(lrn.LRN):
    """An LRN whose power is off by up to 0.4 %, as a function of the number that is raised."""

    def forward(self, inputs, params):
        (y,) = super().forward(inputs, params)
        return [(y * (1 + 0.004 * np.sin(40 * inputs[0] ** 2))).astype(y.dtype)]


@dataclass
class Edge(pool.Pooling):
    """Average pooling that counts the zeros beyond the border."""

    def forward(self, inputs, params):
        return [pool.forward(np.pad(inputs[0], ((0, 1), (0, 1), (0, 0), (0, 0))), 3, stride=2, method="avg")]


@dataclass
class Padded(conv.Conv):
    """A convolution that continues the image over its border, in one of NumPy's ways."""

    way: str = ""

    def forward(self, inputs, params):
        around = np.pad(inputs[0], ((1, 1), (1, 1), (0, 0), (0, 0)), self.way)
        return [conv.forward(around.astype(inputs[0].dtype), *params)]


FAULTS = {}


def fault(layer, cause, says):
    def add(plant):
        FAULTS[plant.__name__] = (plant, layer, cause, says)
        return plant

    return add


@fault("pool1", "pooling", "rounded up (ceil) in MATLAB")
def floor_for_ceil(pair):
    pair.ours.layers["pool1"].block.pad = [0, 0, 0, 0]


@fault("pool1", "pooling", "rounded down (floor) in MATLAB")
def ceil_for_floor(pair):
    pair.theirs.layers["pool1"].block.pad = [0, 0, 0, 0]
    pair.given["label"] = pair.given["label"][:3, :4]


@fault("pool1", "border", "pad is [1, 0, 1, 0] in MATLAB and [0, 1, 0, 1] here")
def pad_on_the_other_side(pair):
    pair.theirs.layers["pool1"].block.pad = [1, 0, 1, 0]


@fault("pool1", "border", "zeros that count")
def average_over_the_border(pair):
    pair.theirs.layers["pool1"].block = Edge("avg", [3, 3], [0, 1, 0, 1], [2, 2])


@fault("conv2", "border", "its edge again")
def border_continued(pair):
    pair.theirs.layers["conv2"].block = Padded([3, 3, 6, 5], pad=1, way="edge")


@fault("conv2", "border", "pad is [4, 2, 3, 3] in MATLAB and [3, 3, 3, 3] here")
def pad_of_a_dilated_convolution(pair):
    for net, pad in ((pair.theirs, [4, 2, 3, 3]), (pair.ours, [3, 3, 3, 3])):
        net.layers["conv2"].block.pad, net.layers["conv2"].block.dilate = pad, [3, 3]


@fault("conv1", "border", "it differs only within 1 pixel of the border")
def border_of_an_unknown_kind(pair):
    pair.theirs.layers["conv1"].block = Padded([3, 3, 3, 6], pad=1, way="reflect")


@fault("pool1", "pooling", "the method is 'max'")
def method(pair):
    pair.theirs.layers["pool1"].block.method = "max"


@fault("conv1", "channel order", "reverse order (RGB and BGR)")
def filters_for_bgr(pair):
    pair.ours.params["conv1f"].value = pair.ours.params["conv1f"].value[:, :, ::-1].copy()


@fault("input", "channel order", "reverse order (RGB and BGR)")
def image_as_bgr(pair):
    pair.brought = {"input": pair.given["input"][:, :, ::-1]}


@fault("conv1", "mean", "the mean image's colour (123.68, 116.779, 103.939) is not subtracted here")
def dumped_before_the_mean_was_subtracted(pair):
    pair.shown = {"input": pair.given["input"] + MEAN.reshape(1, 1, 3, 1)}


@fault("input", "mean", "the mean image's colour (123.68, 116.779, 103.939) is not subtracted here")
def mean_not_subtracted(pair):
    pair.brought = {"input": pair.given["input"] + MEAN.reshape(1, 1, 3, 1)}


@fault("input", "range", "0..1")
def image_in_0_1(pair):
    pair.brought = {"input": pair.given["input"] / 255}


@fault("bn1", "moments", "the second moment here is the variance, and sigma is right: its root")
def moments_as_variance(pair):
    pair.theirs.mode = "test"
    pair.ours.params["bn1x"].value[:, 1] **= 2


@fault("bn1", "moments", "MATLAB took the square of the second moment")
def moments_squared_there(pair):
    pair.theirs.mode = "test"
    pair.theirs.params["bn1x"].value[:, 1] **= 2


@fault("bn1", "release", "epsilon is 0.001 in MATLAB and 1e-05 here")
def epsilon_of_beta18(pair):
    pair.theirs.layers["bn1"].block.epsilon = 1e-3
    for net in (pair.theirs, pair.ours):
        net.params["conv1f"].value *= 1e-4


@fault("norm1", "power", "only the power differs")
def power(pair):
    pair.theirs.layers["norm1"].block = Rounded([3, 1, 0.5, 0.75])


@fault("norm1", "alpha", "which is Caffe's, divided by the 3 channels")
def alpha_of_caffe(pair):
    pair.theirs.layers["norm1"].block.param = [3, 1, 0.5 / 3, 0.75]


@fault("bn1", "mode", "MATLAB ran in mode 'test', this run in mode 'normal'")
def mode_test_missing(pair):
    pair.theirs.mode = "test"
    pair.said_mode = "normal"


@fault("drop1", "mode", "MATLAB ran in mode 'test', this run in mode 'normal'")
def mode_test_missing_without_bnorm(pair):
    for net in (pair.theirs, pair.ours):
        net.remove_layer("bn1")
        net.rename_var("x2", "x1")
    mode_test_missing(pair)


@fault("bn1", "mode", "MATLAB ran in mode 'normal', this run in mode 'test'")
def mode_normal_missing(pair):
    pair.said_mode = "test"


@fault("conv2", "transposed", "height and width of its filters are exchanged")
def filters_transposed(pair):
    pair.ours.params["conv2f"].value = pair.ours.params["conv2f"].value.swapaxes(0, 1).copy()


@fault("conv2", "flipped", "turned by 180 degrees")
def filters_flipped(pair):
    pair.ours.params["conv2f"].value = pair.ours.params["conv2f"].value[::-1, ::-1].copy()


@fault("conv1", "parameters", "every layer with parameters is off, and none without")
def parameters_of_another_epoch(pair):
    for param in pair.ours.params.values():
        param.value = param.value * param.value.dtype.type(1.01)


@fault("input", "transposed", "height and width are exchanged")
def image_transposed(pair):
    pair.brought = {"input": pair.given["input"].swapaxes(0, 1)}


@fault("objective", "labels", "count from 0 here and from 1 in MATLAB")
def labels_dumped_from_0(pair):
    pair.given["label"] = np.maximum(pair.given["label"], 1)
    pair.shown = {"label": pair.given["label"] - 1}


@fault("objective", "labels", "count from 1 here and from 0 in MATLAB")
def labels_from_0_in_matlab(pair):
    pair.given["label"] = np.minimum(pair.given["label"], 2)
    pair.shown = {"label": pair.given["label"] + 1}


@fault("label", "labels", "count from 0")
def labels_brought_from_0(pair):
    pair.given["label"] = np.maximum(pair.given["label"], 1)
    pair.brought = {"label": pair.given["label"] - 1}


@fault("objective", "release", "divides the loss by the number of images; --profile master is right")
def loss_of_master(pair):
    pair.theirs.layers["objective"].block.normalise = True


@fault("bn1", "release", "not multiplied by the number of images")
def moments_of_master(pair):
    pair.theirs.layers["bn1"].block.scale_moments_by_images = False


@fault("accuracy", "classes", "its means over 21 classes")
def classes_of_fcn(pair):
    for net, classes in ((pair.theirs, 21), (pair.ours, None)):
        block = segmentation.SegmentationAccuracy(n_classes=classes)
        net.add_layer("accuracy", block, ["prediction", "label"], "accuracy")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_mistake_is_found_at_its_layer_and_named(name, dtype, tmp_path, capsys):
    plant, layer, cause, says = FAULTS[name]
    pair = Pair(network(dtype), network(dtype), images(dtype))
    plant(pair)
    dump = dumps.record(pair.theirs, pair.given, DER)
    for variable, shown in (pair.shown or {}).items():
        dump = dumps.shown(dump, variable, shown)
    dump["mode"] = pair.said_mode or dump["mode"]
    words = [*dumps.write(tmp_path, pair.ours, dump), "--json", tmp_path / "parity.json"]
    if pair.brought:
        np.savez(tmp_path / "own.npz", **pair.brought)
        words += ["--inputs", tmp_path / "own.npz"]
    code, out, err = call(capsys, "parity", *words)
    assert (code, err) == (1, "")
    found = json.loads((tmp_path / "parity.json").read_text())
    first = found["first"]["layer"] or found["first"]["array"]
    hints = [(hint["where"], hint["cause"]) for hint in found["hints"]]
    assert first == layer and hints[0] == (layer, cause), out
    assert says in found["hints"][0]["text"] and says in out
    assert hints[1:] == ([("drop1", "mode")] if cause == "mode" and layer != "drop1" else []), hints


def test_of_two_mistakes_in_one_layer_the_greater_is_named_as_one_that_comes_nearer(tmp_path, capsys):
    ours = network()
    ours.params["conv2f"].value = (1.001 * ours.params["conv2f"].value.swapaxes(0, 1)).astype(np.float32)
    files = dumps.write(tmp_path, ours, dumps.record(network(), images(), DER))
    code, out, _ = call(capsys, "parity", *files, "--json", tmp_path / "parity.json")
    (hint,) = json.loads((tmp_path / "parity.json").read_text())["hints"]
    assert code == 1 and (hint["where"], hint["cause"], hint["sure"]) == ("conv2", "transposed", False)
    assert 20 * hint["after"] < hint["before"] and "; then it is nearer: 0.00" in out


# -- what is wrong with the files


def test_the_matlab_side_is_printed(capsys):
    code, out, _ = call(capsys, "parity", "--matlab")
    assert code == 0 and out == MATLAB.read_text() and len(out.splitlines()) < 40
    assert out.startswith("function dump = dagnet_dump(")


def test_no_files_no_dump_and_other_names_are_refused(tmp_path, capsys):
    net, dump = dumps.write(tmp_path, network(), dumps.record(network(), images(), DER))
    assert refused(call(capsys, "parity", net), "dagnet parity net.mat dump.mat")
    assert refused(call(capsys, "parity", net, net), "net.mat", "it holds no dump", "dagnet parity --matlab")
    assert refused(call(capsys, "parity", net, dump, "--tolerance", 0), "a positive number")
    np.savez(tmp_path / "own.npz", image=np.zeros((8, 10, 3, 2)))
    own = call(capsys, "parity", net, dump, "--inputs", tmp_path / "own.npz")
    assert refused(own, "it holds 'image'", "input, label")
    cut_short(tmp_path / "own.npz")
    assert refused(call(capsys, "parity", net, dump, "--inputs", tmp_path / "own.npz"), "own.npz", "no .npz file")
    (tmp_path / "own.npz").write_bytes(b"")
    assert refused(call(capsys, "parity", net, dump, "--inputs", tmp_path / "own.npz"), "own.npz", "no .npz file")
    np.save(tmp_path / "own.npy", np.zeros(3))
    (tmp_path / "own.npy").rename(tmp_path / "own.npz")
    assert refused(call(capsys, "parity", net, dump, "--inputs", tmp_path / "own.npz"), "own.npz", "no .npz file")
    matfile.write(tmp_path / "own.mat", {**images(), "name": "no array"})
    assert call(capsys, "parity", net, dump, "--inputs", tmp_path / "own.mat")[0] == 0
    np.savez(tmp_path / "own.npz")
    assert refused(call(capsys, "parity", net, dump, "--inputs", tmp_path / "own.npz"), "it holds no arrays", "label")
    assert refused(call(capsys, "parity", net, dump, "--html", net), "net.mat: it is the file to read")
    assert refused(call(capsys, "parity", net, dump, "--html", "a", "--json", "a"), "both are a; two files are right")
    cut_short(dump)
    assert refused(call(capsys, "parity", net, dump), "dump.mat", "damaged or cut short")


def test_a_block_of_one_s_own_runs_where_it_is_defined(tmp_path, monkeypatch, capsys):
    code = "from dataclasses import dataclass\nfrom dagnet.layers import relu\n@dataclass\nclass Mine(relu.ReLU):\n    pass\n"
    (tmp_path / "block_of_parity.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    net = DagNN()
    net.add_layer("mine", catalogue.Unknown("Mine", {}), "x", "y")
    x = np.float32([[-1, 2]])
    files = dumps.write(tmp_path, net, dumps.struct("test", {"x": x}, {}, {"x": (x, None), "y": (x.clip(0), None)}, {}))
    assert refused(call(capsys, "parity", *files), "the block 'Mine' is not known here")
    code, out, _ = call(capsys, "parity", *files, "--define", "Mine=block_of_parity:Mine")
    assert code == 0 and "All 2 arrays" in out


def test_a_variable_that_the_net_does_not_have_is_out_of_tolerance(tmp_path, capsys):
    dump = dumps.record(network(), images(), DER)
    dumps.value(dump, "x5")["name"] = "pooled"
    code, out, _ = call(capsys, "parity", *dumps.write(tmp_path, network(), dump))
    assert code == 1 and "pooled: the net has no variable of that name" in out and "Not in the dump: x5" in out


def test_a_tolerance_of_one_s_own_lets_the_approximate_power_pass(tmp_path, capsys):
    theirs = network()
    theirs.layers["norm1"].block = Rounded([3, 1, 0.5, 0.75])
    files = dumps.write(tmp_path, network(), dumps.record(theirs, images(), DER))
    assert call(capsys, "parity", *files)[0] == 1
    assert call(capsys, "parity", *files, "--tolerance", "5e-3")[0] == 0


def test_mode_can_be_said_in_place_of_the_dump(tmp_path, capsys):
    net = network()
    net.mode = "test"
    dump = dumps.record(net, images(), DER)
    dump["mode"] = "normal"
    files = dumps.write(tmp_path, net, dump)
    assert call(capsys, "parity", *files)[0] == 1
    assert call(capsys, "parity", *files, "--mode", "test")[0] == 0


# -- the MATLAB side, in Octave


def scaled(folder) -> None:
    """The network that tests/octave's stand-ins run, as a file net.mat."""
    net = DagNN()
    net.add_layer("conv", conv.Conv([1, 1, 1, 1]), "x", "x1", ["convf", "convb"])
    net.add_layer("sigmoid", sigmoid.Sigmoid(), "x1", "y")
    net.params["convf"].value, net.params["convb"].value = np.full((1, 1, 1, 1), 2, np.float32), np.float32([[-0.5]])
    netfile.save(net, folder / "net.mat")


INPUTS = f"addpath('{OCTAVE}', '{MATLAB.parent}'); x = single(reshape(-5:6, 3, 4)); dy = x + 2; "


def test_what_octave_dumps_of_a_dagnn_agrees(tmp_path, capsys):
    """Whatever training left in the net; and it stays as it was."""
    scaled(tmp_path)
    octave(
        INPUTS + "net = MockNet(); net.mode = 'test'; dagnet_dump(net, {'x', x}, [], 'forward.mat'); "
        "dagnet_dump(net, {'x', x}, {'y', dy}, 'both.mat', 'normal'); "
        "assert(net.conserveMemory && net.accumulateParamDers && strcmp(net.mode, 'test'))",
        tmp_path,
    )
    for file, mode, arrays in (("forward.mat", "test", 3), ("both.mat", "normal", 8)):
        code, out, err = call(capsys, "parity", tmp_path / "net.mat", tmp_path / file)
        assert (code, err) == (0, "") and f"All {arrays} arrays are within tolerance" in out and f"mode {mode}" in out


def test_what_octave_dumps_of_a_simplenn_agrees(tmp_path, capsys):
    octave(
        INPUTS + "conv = struct('type', 'conv', 'weights', {{single(2), single(-0.5)}}); "
        "net = struct('layers', {{conv, struct('type', 'sigmoid')}}); save('net.mat', '-v7', '-struct', 'net'); "
        "dagnet_dump(net, x, [], 'forward.mat', 'test'); dagnet_dump(net, x, dy, 'both.mat')",
        tmp_path,
    )
    for file, mode, arrays in (("forward.mat", "test", 3), ("both.mat", "normal", 8)):
        code, out, err = call(capsys, "parity", tmp_path / "net.mat", tmp_path / file)
        assert (code, err) == (0, "") and f"All {arrays} arrays are within tolerance" in out and f"mode {mode}" in out


def test_a_network_without_its_parameters_is_told_by_name(tmp_path, capsys):
    net = network()
    dump = dumps.record(net, images(), DER)
    net.params["conv2b"].value = None
    code, out, err = call(capsys, "parity", *dumps.write(tmp_path, net, dump))
    assert (code, err) == (1, "") and "its parameter 'conv2b' has no value" in out
