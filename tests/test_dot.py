"""The graph for graphviz: every node and edge of it, and names that its language would read as its own."""

import json
import shutil
import subprocess
from collections import Counter
from xml.etree import ElementTree

import pytest

from dagnet import dagnn, summary
from dagnet.layers import catalogue, relu
from dagnet.summary import dot
from tests.test_summary import net as net  # a fixture

SVG = "{http://www.w3.org/2000/svg}"
ODD = ["a|b{c}<d>", 'quo"ted', "back\\", "sp ace  two", "&lt;", "ünï", "->", "x;y", "\\N", "digraph"]


def read(text):
    """What graphviz makes of it: (nodes by name, edges as pairs of names, attributes of edges)."""
    if not shutil.which("dot"):
        pytest.skip("graphviz is not installed")
    done = subprocess.run(["dot", "-Tjson0"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    graph = json.loads(done.stdout)
    names = [node["name"] for node in graph["objects"]]
    edges = {(names[e["tail"]], names[e["head"]]): e for e in graph["edges"]}
    return {node["name"]: node for node in graph["objects"]}, edges


def test_nodes_and_edges_wear_matconvnets_dress(net):
    nodes, edges = read(summary.report(net, {"input": (32, 48, 3, 2)}, format="dot"))
    assert set(nodes) == {f"var_{v}" for v in net.vars} | {f"par_{p}" for p in net.params} | {
        f"layer_{name}" for name in net.layers
    }
    assert nodes["layer_conv1"]["label"] == "{ conv1 | dagnn.Conv }"
    assert nodes["var_x1"]["label"] == "{ x1 | 32x48x8x2 }" and nodes["par_f"]["label"] == "{ f | 3x5x3x8 }"
    dress = {
        kind: nodes[name]["fillcolor"] for kind, name in (("var", "var_x1"), ("par", "par_f"), ("f", "layer_conv1"))
    }
    assert dress == {"var": "beige", "par": "lightsteelblue", "f": "tomato"}
    assert len(edges) == sum(len(r.inputs + r.outputs + r.params) for r in net.layers.values())
    assert ("var_x2", "layer_both") in edges and edges["par_f", "layer_conv1"]["weight"] == "1"
    assert edges["layer_conv1", "var_x1"]["weight"] == "10"


@pytest.mark.parametrize("name", ODD)
def test_odd_names_stay_one_node_and_one_label(name):
    net = dagnn.DagNN()
    net.add_layer(name, catalogue.Unknown(name, {}), name, name + "2", name)
    nodes, edges = read(summary.report(net, format="dot"))
    assert len(nodes) == 4 and len(edges) == 3
    assert all(node["label"].count(" | ") == 1 for node in nodes.values())
    drawn = ElementTree.fromstring(dot.drawn(summary.report(net, format="dot"), "svg"))
    read_off = Counter("".join(text.itertext()).replace("\xa0", " ").strip() for text in drawn.iter(SVG + "text"))
    assert read_off == {name: 4, name + "2": 1, "?x?x?x?": 2, "0x0": 1}  # layer, type, variable, parameter


def test_digraph_is_another_word_for_dot(net):
    assert summary.report(net, format="digraph") == summary.report(net, format="dot")


def test_a_block_of_a_class_that_nobody_registered_shows_its_class():
    class Mine(relu.ReLU):
        pass

    net = dagnn.DagNN()
    net.add_layer("m", Mine(), "x", "y")
    assert "{ m | Mine }" in summary.report(net, format="dot")
