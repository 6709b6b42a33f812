"""The picture as SVG: well-formed whatever the names, each layer once, the colours that occur explained."""

from collections import Counter
from xml.etree import ElementTree

import pytest

from dagnet import dagnn, summary
from dagnet.layers import bnorm, catalogue, conv, relu, sigmoid
from dagnet.models import lesion_fcn, vgg16
from tests.conftest import ROOT
from tests.test_dot import ODD, SVG
from tests.test_summary import net as net  # a fixture

HEAD = 4  # the line of the file that counts values


def texts(svg):
    """All lines of text, as they are read."""
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(SVG + "text")]


def names(svg):
    return Counter(span.text for span in ElementTree.fromstring(svg).iter(SVG + "tspan"))


def test_each_layer_input_and_output_is_named_once(net):
    assert names(summary.svg(net)) == Counter([*net.layers, *net.inputs, *net.outputs])


def test_boxes_tell_windows_and_lines_tell_sizes(net):
    told = texts(summary.svg(net, {"input": (32, 48, 3, 2)}))
    assert "conv1 Conv" in told and "3x5x3x8 pad 1x1x2x2" in told and "max 2x2 stride 2" in told
    assert "4x4x8x8 stride 1/2 crop 1" in told
    assert "x2 32x48x8x2" in told and "x3 16x24x8x2" in told and "32x48x3x2" in told
    assert not any(line.startswith("x1 ") for line in told)  # goes from convolution to ReLU within a box
    net.layers["up1"].block.crop = [0, 0, 0, 0]
    assert "4x4x8x8 stride 1/2" in texts(summary.svg(net))


def test_lines_tell_their_variable_to_who_points_at_them(net):
    titles = Counter(t.text for t in ElementTree.fromstring(summary.svg(net)).iter(SVG + "title"))
    assert titles["x2 size unknown"] == 0 and titles["x2 ?x?x8x?"] == 2


def test_the_legend_explains_the_colours_that_occur_and_no_others(net):
    told = texts(summary.svg(net))
    assert told[0] == "6 layers, 1,400 values in 4 parameters"
    assert told[1:6] == ["convolution", "transposed convolution", "pooling", "joining", "loss or measure"]
    assert "other" not in told and "not known" not in told
    net.add_layer("mine", catalogue.Unknown("MyBlock", {}), "x3", "m")
    assert "not known" in texts(summary.svg(net)) and "mine MyBlock" in texts(summary.svg(net))


@pytest.mark.parametrize("name", [*ODD, "bell\x07", "<script>", "]]>", "a" * 300])
def test_odd_names_leave_it_well_formed(name):
    net = dagnn.DagNN()
    net.add_layer(name, catalogue.Unknown(name, {}), name, name + "2", name)
    shown = name.replace("\x07", "?")
    assert names(summary.svg(net)) == Counter([shown, shown, shown + "2"])


def test_layers_that_only_change_numbers_share_a_box_unless_others_read_between():
    def chain(*more):
        net = dagnn.DagNN()
        net.add_layer("relu0", relu.ReLU(), "x", "x0")
        net.add_layer("conv", conv.Conv([1, 1, 1, 1]), "x0", "x1", ["f", "b"])
        net.add_layer("bn", bnorm.BatchNorm(1), "x1", "x2", ["g", "h", "m"])
        net.add_layer("relu", relu.ReLU(), "x2", "x3")
        for i, name in enumerate(more):
            net.add_layer(f"more{i}", relu.ReLU(), name, f"y{i}")
        return len(list(ElementTree.fromstring(summary.svg(net)).iter(SVG + "path"))) - 1  # the tip is a path too

    assert chain() == 3  # x, relu0, conv with bn and relu, x3
    assert chain("x1") == 3 + 3  # conv -> bn and more0, more0 -> y0
    assert chain("x", "x2") == 3 + 2 + 3


def test_a_variable_that_two_layers_make_and_one_that_is_read_twice_are_drawn():
    net = dagnn.DagNN()
    net.add_layer("one", relu.ReLU(), "a", "x")
    net.add_layer("two", relu.ReLU(), "b", "x")
    net.add_layer("sum", catalogue.Unknown("Sum2", {}), ["x", "x"], ["y", "z"])
    titles = [t.text for t in ElementTree.fromstring(summary.svg(net)).iter(SVG + "title")]
    assert Counter(title.split()[0] for title in titles) == {"a": 1, "b": 1, "x": 2, "y": 1, "z": 1}


def test_what_two_layers_make_or_one_of_two_outputs_is_read_in_a_box_of_its_own():
    net = dagnn.DagNN()
    for name in ("a", "b"):
        net.add_layer(name, conv.Conv([1, 1, 1, 1]), name, f"{name}1", [f"{name}f", f"{name}b"])
        net.add_layer(f"{name}r", relu.ReLU(), f"{name}1", "x")
    net.add_layer("r", relu.ReLU(), "x", "y")
    net.add_layer("two", catalogue.Unknown("Two", {}), "c", ["u", "v"])
    net.add_layer("ur", relu.ReLU(), "u", "w")
    titles = Counter(t.text.split()[0] for t in ElementTree.fromstring(summary.svg(net)).iter(SVG + "title"))
    assert titles == Counter(["a", "a1", "b", "b1", "x", "x", "y", "c", "u", "v", "w"])


def test_a_legend_that_is_wider_than_the_picture_goes_on_in_the_next_line(net):
    net.add_layer("mine", catalogue.Unknown("MyBlock", {}), "x3", "m")
    net.add_layer("end", sigmoid.Sigmoid(), "label", "n")
    root = ElementTree.fromstring(summary.svg(net))
    (first, *keys), width = root.find(SVG + "g").findall(SVG + "text"), float(root.get("width"))
    assert first.text.startswith("8 layers") and len(keys) == 7
    assert all(float(key.get("x")) + 6.1 * len(key.text) <= width for key in keys)
    assert len({key.get("y") for key in keys}) > 1


def test_a_net_without_layers_is_a_picture_too():
    assert texts(summary.svg(dagnn.DagNN())) == ["0 layers, 0 values in 0 parameters"]


def test_the_picture_of_the_papers_network_is_what_is_drawn():
    """Where the drawing has changed on purpose: summary.svg(lesion_fcn.lesion_fcn(None), these sizes), and a line's end."""
    net = vgg16.vgg16(vgg16.CONVOLUTIONS)
    lesion_fcn.define(net, lesion_fcn.Recipe())
    drawn = summary.svg(net, {"input": (384, 384, 3, 1), "label": (384, 384, 1, 1)})
    kept = (ROOT / "docs/pictures/lesion_fcn.svg").read_text().splitlines()
    assert "134,309,938 values" in kept[HEAD]  # this net has none
    assert kept[:HEAD] + kept[HEAD + 1 :] == drawn.splitlines()[:HEAD] + drawn.splitlines()[HEAD + 1 :]


def test_text_fits_its_box(net):
    """By the widths of DejaVu Sans, which is among the widest that a browser may choose."""
    font_manager = pytest.importorskip("matplotlib.textpath")
    from matplotlib.font_manager import FontProperties

    net.rename_layer("conv1", "WMWM_conv_with_a_long_name")
    root = ElementTree.fromstring(summary.svg(net, {"input": (32, 48, 3, 2)}))
    group = root.findall(SVG + "g")[1]
    box = None
    for element in group:
        if element.tag == SVG + "rect":
            box = float(element.get("x")), float(element.get("x")) + float(element.get("width"))
        elif element.tag == SVG + "text":
            words = "".join(element.itertext())
            bold = element.find(SVG + "tspan") is not None
            font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
            size = 10 if "small" in element.get("class", "") else 12
            width = font_manager.TextPath((0, 0), words, size=size, prop=font).get_extents().width
            x = float(element.get("x"))
            assert box[0] <= x - width / 2 and x + width / 2 <= box[1], words
