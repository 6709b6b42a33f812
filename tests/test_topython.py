"""A network as Python: the function that is written builds the same network, and ruff format leaves it as it is."""

import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dagnet import DagNN, mscript
from dagnet.files import fields, matvalues, netfile, writable
from dagnet.layers import block, catalogue, conv
from dagnet.mscript import origins, pythontext, topython, values
from dagnet.mscript.draws import FEWEST, Draw
from dagnet.simplenn import SimpleNN
from tests import little

SCRIPTS = Path(__file__).parent / "scripts"
EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
RUFF = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
SMALL = "'model', 'vgg-f', 'width', 1/32, 'batchNormalization', true"

# script, what is called
CASES = {
    "paper": (EXAMPLES / "lesion_fcn.m", "lesion_fcn('fcWidth', 16)"),
    "fcn8": (EXAMPLES / "fcn8_init.m", "fcn8_init(fcn16_init(fcn32_init()))"),
    "mnist": (SCRIPTS / "mnist_init.m", None),
    "mnist dagnn": (SCRIPTS / "mnist_init.m", "mnist_init('networkType', 'dagnn')"),
    "cifar": (SCRIPTS / "cifar_init.m", "cifar_init('networkType', 'dagnn')"),
    "nin": (SCRIPTS / "nin_init.m", None),
    "imagenet": (SCRIPTS / "imagenet_init.m", f"imagenet_init({SMALL})"),
    "imagenet dagnn": (SCRIPTS / "imagenet_init.m", f"imagenet_init({SMALL}, 'networkType', 'dagnn')"),
    "xavier": (SCRIPTS / "imagenet_init.m", "imagenet_init('width', 1/32, 'weightInitMethod', 'xavier')"),
    "resnet": (SCRIPTS / "resnet_init.m", "resnet_init('sections', [1 2 1 1], 'width', 8)"),
    "inception": (SCRIPTS / "inception_init.m", "inception_init('width', 0.25, 'modules', 1)"),
    "toy": (SCRIPTS / "toy_data.m", "toy_network()"),
    "fast rcnn": (SCRIPTS / "fast_rcnn_init.m", None),
    "stn": (SCRIPTS / "stn_init.m", "stn_init([60 60])"),
}


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    return little.vgg16_file(tmp_path_factory.mktemp("vgg") / "vgg.mat")


@pytest.fixture(scope="module")
def written(vgg, tmp_path_factory):
    """Of a case: its network, and the Python written of it. All in one folder, which ruff looks at once."""
    folder, made = tmp_path_factory.mktemp("python"), {}
    for name, (path, call) in CASES.items():
        done = mscript.execute(path, call, weights=vgg, output=io.StringIO())
        loaded = netfile.load(vgg, canonical_names=True) if done.loaded else None
        text = topython.source(done.network, "build", path.name, loaded, done.draws)
        (folder / f"{name.replace(' ', '_')}.py").write_text(text, encoding="utf-8")
        made[name] = (done.network, text)
    return folder, made


def built(text, *args):
    """What the function of the text returns."""
    space = {}
    exec(compile(text, "<written>", "exec"), space)
    return space["build"](*args)


def assert_same_settings(one, other):
    """The same layers, order, options, names, multipliers, meta; parameters of the same sizes and deviations."""
    assert type(one) is type(other)
    structs = [netfile.to_struct(net) for net in (one, other)]
    for a, b in zip(*[matvalues.structs(s.pop("params", values.empty())) for s in structs], strict=True):
        assert_same_value(a.pop("value"), b.pop("value"), a["name"])
        assert writable.same(a, b), a["name"]
    if isinstance(one, SimpleNN):
        for a, b in zip(*(matvalues.items(s.pop("layers")) for s in structs), strict=True):
            for k, (x, y) in enumerate(zip(*(matvalues.items(layer.pop("weights")) for layer in (a, b)), strict=True)):
                assert_same_value(x, y, f"{a['name']} {k}")
            assert writable.same(dict(sorted(a.items())), dict(sorted(b.items()))), a["name"]
    else:
        assert one.execution_order == other.execution_order
    assert structs[0].keys() == structs[1].keys()
    for part in structs[0]:
        assert writable.same(structs[0][part], structs[1][part]), part


def assert_same_value(a, b, name):
    assert (a.shape, a.dtype) == (b.shape, b.dtype), name
    if a.size < FEWEST or (a == a.flat[0]).all():
        np.testing.assert_array_equal(a, b, err_msg=name)
    else:
        assert b.std() == pytest.approx(a.std(), rel=5 / np.sqrt(a.size)), name


@pytest.mark.parametrize("name", CASES)
def test_the_python_that_is_written_builds_the_same_network(written, vgg, name):
    net, text = written[1][name]
    takes_file = "path: str" in text
    assert takes_file == (name in ("paper", "fcn8", "fast rcnn"))
    assert_same_settings(net, built(text, *([vgg] if takes_file else [])))


def test_values_of_a_file_come_from_it_again(written, vgg):
    net, text = written[1]["fcn8"]
    again = built(text, vgg)
    for name, param in net.params.items():
        np.testing.assert_array_equal(param.value, again.params[name].value, err_msg=name)
    assert 'file.meta["normalization"]["averageImage"]' in text


def test_random_values_are_drawn_anew_from_a_seed(written):
    text = written[1]["resnet"][1]
    one, same, other = (built(text, seed).params["conv1_f"].value for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()
    assert "net.init_params(rng)" in text


def test_ruff_leaves_what_is_written_as_it_is(written):
    if RUFF is None:
        pytest.skip("ruff is absent")
    for width in ("88", "120"):
        command = [RUFF, "format", "--isolated", "--check", "--diff", "--line-length", width, written[0]]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    command = [RUFF, "check", "--isolated", "--select", "E4,E7,E9,F,I,UP", written[0]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@dataclass
class Brighten(block.Layer):
    by_factor: float = 1.0


def test_blocks_of_ones_own_and_unknown_ones_are_written(monkeypatch):
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    catalogue.register("Brighten", Brighten)
    net = DagNN()
    net.add_layer("b", Brighten(2.5), "x", "y")
    net.add_layer("u", catalogue.Unknown("Theirs", {"alpha": np.array([[1.0, 2]]), "name": "z"}), "y", "z")
    text = topython.source(net, "build", "net.m")
    assert "from tests import test_topython" in text and "test_topython.Brighten(by_factor=2.5)" in text
    assert_same_settings(net, built(text))


def test_orders_multipliers_and_methods_that_differ_are_said():
    net = little.net()
    for table in (net.vars, net.params):
        first = next(iter(table))
        table[first] = table.pop(first)
    net.params["predf"].learning_rate, net.params["predb"].weight_decay = 0.25, 0.0
    net.params["predb"].train_method = "average"
    made_constant(net)
    assert_same_settings(net, built(topython.source(net, "build", "net.m")))


def test_two_layers_may_share_their_parameters():
    net = DagNN()
    for k in range(2):
        net.add_layer(f"c{k}", conv.Conv([3, 3, 2, 2]), f"x{k}", f"x{k + 1}", ["f", "b"])
    net.init_params(np.random.default_rng(0))
    made_constant(net)
    assert_same_settings(net, built(topython.source(net, "build", "net.m")))


def made_constant(net):
    for k, param in enumerate(net.params.values()):
        param.value[...] = k


def test_meta_of_every_class_is_written():
    net = DagNN()
    cell = np.empty((2, 2), object)
    cell[:] = [["a", np.array([[1.0]])], [np.zeros((0, 0)), {"b": True}]]
    net.meta = {
        "numbers": np.array([[1.0, 2.5, np.nan, -np.inf]]),
        "rates": np.array([[0.1] * 30 + [0.01] * 30]),
        "curve": np.logspace(-2, -4, 60)[None],
        "column": np.arange(5.0)[:, None],
        "single": np.ones((2, 3), np.float32),
        "flags": np.array([[True, False]]),
        "bytes": np.array([[3]], np.uint8),
        "names": matvalues.row(["it's", 'a "b"', "c\\d"]),
        "one": matvalues.row([np.array([[1.0]])]),
        "cell": cell,
        "none": matvalues.row([]),
        "empty": np.zeros((0, 0)),
        "text": "a text",
        "structs": matvalues.struct_array(("a", "b"), [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]),
        "deep": {"er": {"est": np.array([[7.0]])}},
    }
    again = built(topython.source(net, "build", "net.m"))
    for name, value in net.meta.items():
        assert writable.same(fields.to_matlab(value), fields.to_matlab(again.meta[name])), name


# -- where values come from


def normal(shape, scale=1.0, offset=0.0, dtype=np.float32):
    return (np.random.default_rng(0).standard_normal(shape) * scale + offset).astype(dtype)


def said(value, *draws):
    """Python for the value, after those draws, each with its kind."""
    made = [Draw.of(kind, values) for kind, values in draws]
    return str(origins.Origins(pythontext.Writer(), {}, made).text("f", value))


BANK = (5, 5, 8, 8)
DRAWN = ("normal", normal(BANK, dtype=np.float64))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((3, 3, 1, 8), np.float32), "np.zeros((3, 3, 1, 8), np.float32)"),
        (np.full((40, 1), 0.5), "np.full((40, 1), 0.5, np.float64)"),
        (np.array([[1], [0], [2]], np.float32), "np.array([1.0, 0.0, 2.0], np.float32).reshape(3, 1)"),
        (np.array([[1.0, 2.0]]), "np.array([1.0, 2.0], np.float64).reshape(1, 2)"),
        (normal(BANK, 0.05), "rng.normal(0, 0.05, (5, 5, 8, 8)).astype(np.float32)"),
        (normal(BANK, -0.05, 1), "rng.normal(1.0, 0.05, (5, 5, 8, 8)).astype(np.float32)"),
        (normal(BANK, 0.1), "initial.he([5, 5, 8, 8], rng)"),
        (normal(BANK, 0.1, dtype=np.float64), "rng.normal(0, 0.1, (5, 5, 8, 8)).astype(np.float64)"),
    ],
)
def test_a_value_is_said_by_where_it_comes_from(value, says):
    assert said(value, ("uniform", normal((8, 25, 8))), DRAWN) == says


def test_uniform_values_have_their_ends():
    drawn = np.random.default_rng(1).random((40, 40))
    assert said((drawn * 2 - 1) * 0.3, ("uniform", drawn)) == "rng.uniform(-0.3, 0.3, (40, 40)).astype(np.float64)"


def one_changed(value):
    value[4, 4, 7, 6] += 0.05
    return value


@pytest.mark.parametrize(
    "value",
    [
        normal(BANK) ** 3,
        one_changed(normal(BANK, 0.05)),
        normal(BANK, 0.05)[::-1],
        normal(BANK, 0.05)[:, :, [1, 0, *range(2, 8)]],
        normal((200, 1), 0.05),
        np.random.default_rng(5).standard_normal(BANK),
    ],
)
def test_values_that_were_not_drawn_so_are_not_guessed(value):
    with pytest.raises(
        ValueError, match=r"parameter 'f': its .* values are neither constant, drawn at random, bilinear nor"
    ):
        said(value, DRAWN)


def test_one_changed_value_of_many_shows():
    drawn = np.random.default_rng(0).standard_normal((100, 100, 50))
    value = (drawn * 0.01).astype(np.float32)
    assert Draw.of("normal", drawn).scale(value) == (pytest.approx(0.01), 0)
    value[51, 7, 3] = 0.04
    assert Draw.of("normal", drawn).scale(value) is None


def test_a_name_must_be_pythons():
    with pytest.raises(ValueError, match="'my-net' cannot be a function's name"):
        topython.source(DagNN(), "my-net", "net.m")
    with pytest.raises(ValueError, match="'np' is what the module imports"):
        topython.source(DagNN(), "np", "net.m")


def test_a_function_may_be_called_as_a_layers_module_is():
    net = DagNN()
    net.add_layer("c", conv.Conv([3, 3, 2, 2], has_bias=False), "x", "y", "f")
    space = {}
    exec(topython.source(net, "conv", "net.m"), space)
    assert_same_settings(net, space["conv"]())
