"""dagnet show: what is in the paper's network and in real files, and what is wrong with a file."""

import re
import shutil
import warnings
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest

from dagnet import summary
from dagnet.files import matfile, netfile
from tests.verbs import SPOILED_NETS, call, refused, segmenting_net


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return segmenting_net(tmp_path_factory.mktemp("show") / "net.mat")


def test_layers_sizes_parameters_memory_and_fields_are_shown(net, capsys):
    code, out, err = call(capsys, "show", net)
    assert (code, err) == (0, "")
    assert "DagNN of 53 layers" in out and "one colour, 150 150 150" in out
    assert re.search(r"^conv1_1 +Conv +3x3x3x2 +1 +1 +32x32x2x1 +3 ", out, re.MULTILINE)
    assert re.search(r"^up6 +ConvTranspose .* 32x32x2x1 +467 ", out, re.MULTILINE)
    assert re.search(r"^parameters +[\d,]+ values +[\d.]+ KB$", out, re.MULTILINE)
    assert "objective  prediction label" in out
    assert max(map(len, out.splitlines())) <= 120


def test_another_size_is_computed_through_all_layers(net, capsys):
    assert "64x96x2x1" in call(capsys, "show", net, "--size", 64, 96)[1]
    assert "64x96x2x5" in call(capsys, "show", net, "--size", 64, 96, 3, 5)[1]


def test_the_plan_says_how_each_convolution_will_run(net, capsys):
    code, out, err = call(capsys, "show", net, "--plan", "--size", 64, 64)
    assert (code, err) == (0, "") and "numba" in out.splitlines()[0]
    assert re.search(r"^conv1_2 +3x3x2x2 +64x64x2x1 +products +products +products +few channels", out, re.MULTILINE)


@pytest.mark.parametrize("size", ["32", "0 32", "-1 32", "1 2 3 4 5"])
def test_a_size_that_is_none_is_refused(net, capsys, size):
    assert refused(call(capsys, "show", net, "--size", *size.split()), "input size", "are right")


def test_a_size_that_does_not_fit_the_network_names_what_differs(net, capsys):
    assert refused(call(capsys, "show", net, "--size", 33, 47), "concat", "(34, 48, 2, 1) and (36, 48, 2, 1)")


def test_vgg16_is_shown_as_it_is_published(data_dir, capsys):
    code, out, err = call(capsys, "show", data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat")
    assert (code, err) == (0, "")
    assert "DagNN of 31 layers, 32 variables, 26 parameters" in out
    assert "x0 224x224x3x1" in out and "123.7 116.8 103.9" in out
    assert re.search(r"^conv5_3 +Conv +3x3x512x512 +1 +1 +14x14x512x1 +196 +16 ", out, re.MULTILINE)
    assert "parameters     14,714,688 values   56.1 MB" in out


NETWORKS = {  # of ../shared/data/networks: layers, values of the parameters, whether a layer is not known
    "damp_dncnn17_sigma20to40.mat": (49, 558_977, False),
    "dncnn_sigma25_bnorm_v73.mat": (49, 558_977, False),
    "dncnn_sigma25_v73.mat": (33, 555_137, False),
    "ffdnet_gray.mat": (32, 485_316, True),
    "lapsrn_text_net-epoch-995.mat": (28, 407_441, True),
    "lapsrn_x2.mat": (28, 407_441, True),
    "mnist_dagnn.mat": (8, 431_080, False),
    "oneclick_mnist_net-epoch-50.mat": (8, 76_865, False),
    "text_small_net-epoch-1.mat": (6, 9_857, True),
    "vdcfnet.mat": (6, 15_808, False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_real_network_is_shown(data_dir, capsys, name):
    layers, values, unknown = NETWORKS[name]
    code, out, err = call(capsys, "show", data_dir / "networks" / name)
    assert code == 0 and f"DagNN of {layers} layers" in out and f" {values:,} values" in out
    assert ("not known and not runnable" in out) == unknown
    lines = err.splitlines()
    assert len(lines) == unknown and all(line.startswith("dagnet: note: ") and name in line for line in lines)
    assert max(map(len, out.splitlines())) <= 120


def test_a_file_that_does_not_say_its_input_s_size_is_shown_with_the_way_to_say_it(data_dir, capsys):
    file = data_dir / "networks/mnist_dagnn.mat"
    out = call(capsys, "show", file)[1]
    assert "an input of unknown size" in out and out.rstrip().endswith("--size 224 224, shows the sizes.")
    out = call(capsys, "show", file, "--size", 28, 28)[1]
    assert "data 28x28x1x1" in out and "1x1x10x1" in out and "--size" not in out


@pytest.mark.parametrize("form", ["ascii", "latex", "csv", "dot"])
def test_all_that_matconvnet_prints_is_printed_in_its_forms(net, capsys, form):
    code, out, err = call(capsys, "show", net, "--format", form)
    loaded = netfile.load(net)
    assert (code, err) == (0, "")
    assert out == summary.report(loaded, summary.input_sizes(loaded), format=form, all=True) + "\n"


def names_drawn(file):
    """The layers' and the inputs' and outputs' names in an SVG file, which must be well-formed."""
    root = ElementTree.parse(file).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return Counter(span.text for span in root.iter("{http://www.w3.org/2000/svg}tspan"))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_real_network_is_drawn_with_each_layer_once(data_dir, tmp_path, capsys, name):
    file = data_dir / "networks" / name
    code, _, err = call(
        capsys, "show", file, "--svg", tmp_path / "net.svg", "--dot", tmp_path / "net.dot", "--size", 32, 32
    )
    assert code == 0, err
    with warnings.catch_warnings(action="ignore"):
        net = netfile.load(file)
    assert names_drawn(tmp_path / "net.svg") == Counter([*net.layers, *net.inputs, *net.outputs])
    assert all(f'"layer_{layer}"' in (tmp_path / "net.dot").read_text() for layer in net.layers)


def test_the_picture_tells_the_sizes(net, tmp_path, capsys):
    assert call(capsys, "show", net, "--svg", tmp_path / "new" / "net.svg", "--size", 64, 32)[0] == 0
    assert "prediction 64x32x2x1" in (tmp_path / "new" / "net.svg").read_text()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["net.svg"]


def test_graphviz_draws_what_its_suffix_says(net, tmp_path, capsys):
    if not shutil.which("dot"):
        pytest.skip("graphviz is not installed")
    assert call(capsys, "show", net, "--dot", tmp_path / "net.png")[0] == 0
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    assert refused(call(capsys, "show", net, "--dot", tmp_path / "net.xyz"), "graphviz", "xyz")
    assert not (tmp_path / "net.xyz").exists()


def test_without_graphviz_the_way_out_is_said_and_no_file_is_left(net, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(call(capsys, "show", net, "--dot", tmp_path / "net.svg"), "graphviz is not installed", "without it")
    assert call(capsys, "show", net, "--svg", tmp_path / "net.svg", "--dot", tmp_path / "net.dot")[0] == 0
    assert call(capsys, "show", net, "--dot", tmp_path / "net")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net", "net.dot", "net.svg"]
    assert (tmp_path / "net").read_text() == (tmp_path / "net.dot").read_text()


# -- what is wrong


@pytest.mark.parametrize("fault", SPOILED_NETS)
def test_a_spoiled_file_is_named(net, tmp_path, capsys, fault):
    spoil, says = SPOILED_NETS[fault]
    shutil.copy(net, tmp_path / "bad.mat")
    spoil(tmp_path / "bad.mat")
    result = call(capsys, "show", tmp_path / "bad.mat")
    assert refused(result, tmp_path / "bad.mat", says) and result[1] == ""


@pytest.mark.parametrize("kept", [100, 600, 3000, 1_000_000, -1])
def test_an_hdf5_file_cut_short_is_named(data_dir, tmp_path, capsys, kept):
    whole = (data_dir / "networks/dncnn_sigma25_v73.mat").read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[:kept])
    assert refused(call(capsys, "show", tmp_path / "cut.mat"), "cut.mat")
    assert refused(call(capsys, "show", tmp_path / "cut.mat", "--svg", tmp_path / "cut.mat"), "it is the file to read")


def test_a_folder_and_an_image_are_no_network(tmp_path, capsys):
    assert refused(call(capsys, "show", tmp_path), tmp_path, "Is a directory")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    assert refused(call(capsys, "show", tmp_path / "a.jpg"), "a.jpg", "no MAT-file")


def test_a_file_without_a_network_says_what_it_holds(tmp_path, capsys):
    matfile.write(tmp_path / "data.mat", {"images": np.zeros((2, 2))})
    assert refused(call(capsys, "show", tmp_path / "data.mat"), "data.mat", "images (double)")
