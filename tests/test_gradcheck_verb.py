"""dagnet gradcheck: every block is right, also on its corners; what is wrong is named; networks and blocks of one's own."""

import re

import numpy as np
import pytest

from dagnet import DagNN, gradcheck
from dagnet.files import netfile
from dagnet.layers import array, catalogue, concat, conv, loss, pool, relu
from tests import little
from tests.verbs import call, refused


def rows(out: str) -> dict[tuple[str, str], list[str]]:
    """By block and array, the other columns of the table."""
    lines = [re.split(r" {2,}", line.strip()) for line in out.splitlines()[1:] if "  " in line]
    return {(line[0], line[1]): line[2:] for line in lines}


@pytest.mark.parametrize("words", [[], ["--size", 5, 4, 3, 1, "--seed", 7, "--rounded"]])
def test_all_derivatives_of_all_blocks_are_right(words, capsys):
    code, out, err = call(capsys, "gradcheck", "all", *words)
    assert (code, err) == (0, "") and "All derivatives are right." in out and "WRONG" not in out
    for name in catalogue.known():
        assert re.search(rf"^{name.removeprefix('dagnn.')} ", out, re.MULTILINE), name


def test_corners_are_counted_where_inputs_meet_them(capsys):
    code, out, _ = call(capsys, "gradcheck", "all", "--rounded")
    assert code == 0, out
    corners = {block for (block, _), row in rows(out).items() if len(row) == 5}
    assert {"ReLU", "Pooling method=max", "ROIPooling method=max", "Loss loss=hinge", "Loss loss=mhinge"} <= set(
        corners
    )
    assert not {"Pooling method=avg", "Conv", "SoftMax"} & corners


def test_properties_are_matlab_s_or_ours(capsys):
    for words in (["method=avg", "poolSize=3", "stride=2,1"], ["method=avg", "pool_size=[3,3]", "stride=[2,1]"]):
        code, out, _ = call(capsys, "gradcheck", "dagnn.Pooling", *words, "--size", 7, 6, 4, 2)
        assert code == 0 and "method=avg poolSize=" in out and "7x6x4x2      336" in out


def test_true_and_false_are_matlab_s_words_and_a_size_of_two_numbers_is_height_and_width(capsys):
    right = {"true": ["input 0", "param 0", "param 1"], "false": ["input 0", "param 0"]}
    for word, arrays in right.items():
        found = rows(call(capsys, "gradcheck", "Conv", f"hasBias={word}", "--size", 5, 3)[1])
        assert [array for _, array in found] == arrays and next(iter(found.values()))[0] == "5x3x4x2"


def test_samples_are_looked_at_in_place_of_all(capsys):
    assert re.search(r"7x6x4x2       12 ", call(capsys, "gradcheck", "Sigmoid", "--samples", 12)[1])


# -- a block of one's own

BLOCKS = """
from dataclasses import dataclass
import numpy as np
from dagnet.layers import block

@dataclass
class Cubed(block.Layer):
    factor: float = 3.0
    n_inputs = (1,)

    def forward(self, inputs, params):
        return [inputs[0] ** 3]

    def backward(self, inputs, params, der_outputs):
        dx = self.factor * inputs[0] ** 2 * der_outputs[0]
        return [dx if self.factor else dx.ravel()], []

@dataclass
class Rectified(block.Layer):  # in place, without a derivative, or with noise
    how: str = ""
    n_inputs = (1,)

    def forward(self, inputs, params):
        x = inputs[0] if self.how == "place" else inputs[0].copy()
        x[x < 0] = 0
        if self.how == "noise":
            x += np.random.default_rng().random()
        return [x]

    def backward(self, inputs, params, der_outputs):
        return [None if self.how == "none" else (inputs[0] > 0) * der_outputs[0]], []
"""


@pytest.fixture
def blocks(tmp_path, monkeypatch) -> None:
    """The current folder holds these blocks as a module; what is registered is forgotten afterwards."""
    (tmp_path / "blocks_of_mine.py").write_text(BLOCKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))


@pytest.mark.usefixtures("blocks")
def test_a_block_of_one_s_own_is_right_or_wrong(capsys):
    define = ("--define", "Cubed=blocks_of_mine:Cubed")
    assert call(capsys, "gradcheck", "Cubed", *define)[0] == 0
    code, out, _ = call(capsys, "gradcheck", "Cubed", "factor=3.01", *define)
    assert code == 1 and re.search(r"WRONG at \d+, most at \(", out) and "1 array has a wrong derivative." in out
    code, out, _ = call(capsys, "gradcheck", "Cubed", "factor=0", *define)
    assert code == 1 and "WRONG: gradcheck: the derivative for input 0 has shape (336,); (7, 6, 4, 2) is right" in out
    assert refused(call(capsys, "gradcheck", "Cubed", "--define", "Cubed=blocks_of_mine:Cube"), "Cube", "dataclass")
    assert refused(call(capsys, "gradcheck", "Cubed", "--define", "Cubed"), "TYPE=MODULE:CLASS")


@pytest.mark.usefixtures("blocks")
def test_a_block_that_breaks_the_contract_is_wrong_whatever_its_slopes(tmp_path, capsys):
    define = ("--define", "Rectified=blocks_of_mine:Rectified")
    assert call(capsys, "gradcheck", "Rectified", *define)[0] == 0
    for how, says in (
        ("place", "WRONG: .* forward writes to input 0"),
        ("noise", "WRONG: .* other outputs when it runs"),
    ):
        code, out, _ = call(capsys, "gradcheck", "Rectified", f"how={how}", *define)
        assert code == 1 and re.search(says, out) and "1 array has a wrong derivative." in out
    code, out, _ = call(capsys, "gradcheck", "Rectified", "how=none", *define)
    assert code == 0 and "7x6x4x2" in out and "no derivative\n\nThere was no derivative to look at." in out
    net = DagNN()
    net.add_layer("conv", conv.Conv([1, 1, 1, 1], has_bias=False), "x", "x1", ["f"])
    net.add_layer("mine", catalogue.find("Rectified")("none"), "x1", "y")
    net.params["f"].value = np.ones((1, 1, 1, 1), np.float32)
    for how, code, says in (("none", 0, "no derivative"), ("noise", 1, "WRONG"), ("", 0, "right")):
        net.layers["mine"].block.how = how
        netfile.save(net, tmp_path / "net.mat")
        found, out, _ = call(capsys, "gradcheck", tmp_path / "net.mat", "--size", 3, 3)
        assert found == code and says in out.splitlines()[1], out


# -- networks


def test_a_network_s_inputs_and_parameters_are_right(tmp_path, capsys):
    netfile.save(little.net(), tmp_path / "net.mat")
    code, out, err = call(capsys, "gradcheck", tmp_path / "net.mat", "--size", 6, 5, 3, 2)
    assert (code, err) == (0, "")
    arrays = {array: row[0] for (_, array), row in rows(out).items()}
    assert arrays["input"] == "6x5x3x2" and arrays["conv1f"] == "3x3x3x4"
    assert {"bn1m", "bn1b", "predf", "predb", "conv1b"} <= set(arrays)
    assert not {"bn1x", "label"} & set(arrays)  # averaged; given


def test_on_the_gpu_a_network_s_derivatives_are_right_too(gpu, rng):
    net = gradcheck.in_double(little.net())
    net.move("gpu")
    made = gradcheck.random_inputs(net, {"input": (6, 5, 3, 2)}, {}, rng, rounded=False)
    inputs = {name: array.to_gpu(x) for name, x in made.items()}
    found = list(gradcheck.examine(net, inputs, rng, samples=5, tolerance=1e-6))
    assert {"input", "conv1f", "bn1m", "predb"} <= {name for name, _, _ in found}
    assert all(finding.checked and not finding.wrong for _, _, finding in found)


def corner_net() -> DagNN:
    """A ReLU and a maximum, whose sum of equal halves meets corners everywhere."""
    net = DagNN()
    net.add_layer("conv", conv.Conv([1, 1, 1, 1], has_bias=False), "x", "x1", ["f"])
    net.add_layer("relu", relu.ReLU(), "x1", "x2")
    net.add_layer("pool", pool.Pooling("max", [2, 2], stride=[1, 1]), "x1", "x3")
    net.add_layer("pooled", pool.Pooling("max", [2, 2], stride=[1, 1]), "x2", "x4")
    net.add_layer("concat", concat.Concat(), ["x3", "x4"], "y")
    net.params["f"].value = np.ones((1, 1, 1, 1), np.float32)
    return net


def test_corners_inside_a_network_are_no_errors(tmp_path, capsys):
    netfile.save(corner_net(), tmp_path / "net.mat")
    code, out, _ = call(capsys, "gradcheck", tmp_path / "net.mat", "--size", 6, 6, "--rounded", "--samples", 36)
    assert code == 0, out
    assert int(rows(out)["net.mat", "x"][3]) > 3


def test_inputs_may_be_brought(tmp_path, capsys):
    netfile.save(little.net(), tmp_path / "net.mat")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", input=rng.standard_normal((4, 4, 3, 1)), label=rng.integers(0, 3, (4, 4)))
    code, out, _ = call(capsys, "gradcheck", tmp_path / "net.mat", "--inputs", tmp_path / "own.npz")
    assert code == 0 and "4x4x3x1" in out and "label" not in out


def scored(name: str) -> DagNN:
    """A convolution of one channel to two and a loss."""
    net = DagNN()
    net.add_layer("conv", conv.Conv([1, 1, 1, 2], has_bias=False), "x", "x1", ["f"])
    net.add_layer("loss", loss.Loss(name), ["x1", "c"], "y")
    net.params["f"].value = np.array([1.0, -2]).reshape(1, 1, 1, 2)
    return net


@pytest.mark.parametrize("name", ["softmaxlog", "logistic"])
def test_labels_are_made_for_an_image_that_is_brought_as_matlab_keeps_it(name, tmp_path, capsys, rng):
    netfile.save(scored(name), tmp_path / "net.mat")
    np.savez(tmp_path / "own.npz", x=rng.standard_normal((5, 4)))
    code, out, _ = call(capsys, "gradcheck", tmp_path / "net.mat", "--inputs", tmp_path / "own.npz")
    assert code == 0 and {array for _, array in rows(out)} == {"x", "f"} and "5x4x1x1" in out


def test_of_a_network_s_outputs_those_count_that_have_a_derivative(tmp_path, capsys, rng):
    netfile.save(scored("classerror"), tmp_path / "net.mat")
    words = (tmp_path / "net.mat", "--size", 3, 3)
    assert refused(call(capsys, "gradcheck", *words), "outputs: none of the net's (y) has a derivative")

    class Spoilt(loss.Loss):
        def backward(self, inputs, params, der_outputs):
            (dx, none), ders = super().backward(inputs, params, der_outputs)
            return [1.1 * dx, none], ders

    net = little.net()
    net.layers["objective"].block = Spoilt()
    inputs = {"input": rng.standard_normal((6, 5, 3, 2)), "label": rng.integers(1, 3, (6, 5, 1, 2)).astype(float)}
    found = {name: finding for name, _, finding in gradcheck.examine(gradcheck.in_double(net), inputs, rng, 4, 1e-6)}
    assert all(
        finding.wrong for name, finding in found.items() if name != "conv1b"
    )  # which batch normalisation takes away


def test_what_cannot_be_looked_at_is_refused_in_one_line(tmp_path, capsys):
    netfile.save(little.net(), tmp_path / "net.mat")
    assert refused(call(capsys, "gradcheck", "Poolig"), "'Poolig' is known; Pooling, ROIPooling, `all`")
    assert refused(call(capsys, "gradcheck", "Xyzzy"), "'Xyzzy' is known; ", " Concat, ", " Sum, ")
    assert refused(call(capsys, "gradcheck", "Pooling", "methd=avg"), "no property 'methd'", "poolSize")
    assert refused(call(capsys, "gradcheck", "Pooling", "avg"), "'avg' is no property", "NAME=VALUE")
    assert refused(call(capsys, "gradcheck", "all", "method=avg"), "name a block")
    assert refused(call(capsys, "gradcheck", "ReLU", "--size", 3), "two to four numbers")
    assert refused(call(capsys, "gradcheck", tmp_path / "net.mat"), "net.mat", "--size H W")
    assert refused(call(capsys, "gradcheck", tmp_path / "net.mat", "a=1"), "takes no properties")
    assert refused(call(capsys, "gradcheck", tmp_path / "none.mat"), "no such file")


def test_half_of_the_samples_are_taken_where_the_derivative_is_not_zero(rng):
    der = np.zeros(1000)
    der[::200] = 1
    for samples in (1, 4, 10):
        places = gradcheck._sample(der, samples, rng)
        assert len(set(places)) == samples and np.count_nonzero(der[places]) >= (samples + 1) // 2
    assert len(gradcheck._sample(der, 5000, rng)) == 1000 and len(gradcheck._sample(np.zeros(3), 2, rng)) == 2
