"""net.print: which tables, with which numbers, and MatConvNet's own sizes and fields in them."""

import csv

import numpy as np
import pytest

from dagnet import summary
from dagnet.layers import catalogue, relu
from tests import recorded
from tests.test_summary import net as net  # a fixture

SIZES = {"input": (32, 48, 3, 2), "label": (32, 48, 1, 2)}


def tables(text):
    """The tables of a csv: label of the first row -> {column -> {label of the row -> cell}}."""
    found = {}
    for block in text.split("\n\n"):
        (first, *names), *rows = csv.reader(block.splitlines())
        found[first] = {name: {row[0]: row[i] for row in rows} for i, name in enumerate(names, 1)}
    return found


def test_every_layer_parameter_and_variable_is_told(net):
    told = tables(summary.report(net, SIZES, format="csv", all=True))
    assert list(told) == ["func", "param", "var", "", "rf in 'input'", "rf in 'label'"]
    assert told["func"]["conv1"] == {
        "type": "Conv",
        "inputs": "input",
        "outputs": "x1",
        "params": "f b",
        "pad": "1x1x2x2",
        "stride": "1",
    }
    assert told["func"]["up1"]["pad"] == told["func"]["relu1"]["stride"] == "n/a"
    assert told["func"]["both"]["inputs"] == "x2 x4"
    assert told["param"]["f"] == {"dims": "3x5x3x8", "mem": "1KB", "fanout": "1"}
    assert told["param"]["b"]["dims"] == "8x1"
    assert told["var"]["x3"] == {"dims": "16x24x8x2", "mem": "24KB", "fanin": "1", "fanout": "1"}
    assert told["var"]["x2"]["fanout"] == "2" and told["var"]["input"]["fanin"] == "0"
    assert told["rf in 'input'"]["x3"] == {"size": "4x6", "stride": "2", "offset": "1.5"}
    assert told["rf in 'label'"]["x3"]["size"] == "n/a"


def test_totals_are_the_bytes_of_all_parameters_and_variables(net):
    told = tables(summary.report(net, SIZES, format="csv"))[""]
    params = 4 * (3 * 5 * 3 * 8 + 8 + 4 * 4 * 8 * 8 + 8)
    variables = 4 * 2 * (32 * 48 * (3 + 8 + 8 + 8 + 16 + 1) + 16 * 24 * 8 + 1)
    wanted = {"params": params, "vars": variables, "total": params + variables}
    assert {name: cells["mem"] for name, cells in told.items()} == {n: f"{v / 1024:.0f}KB" for n, v in wanted.items()}


def test_sizes_bring_the_variables_and_all_brings_the_rest(net):
    def labels(*args, **options):
        return list(tables(summary.report(net, *args, format="csv", **options)))

    assert labels() == ["func", ""]
    assert labels(SIZES) == ["func", "var", ""]
    assert labels(SIZES, memory=False, vars=(), params="*") == ["func", "param"]
    assert labels(SIZES, dependencies=True) == ["func", "var", "", "rf in 'input'", "rf in 'label'"]
    assert labels(SIZES, all=True, dependencies=False, layers=()) == ["param", "var", ""]


def test_a_format_that_is_none_is_told_all_that_are(net):
    with pytest.raises(ValueError, match="format: it is 'html'; one of ascii, latex, csv, dot, digraph is right"):
        summary.report(net, format="html")


def test_chosen_names_alone_are_told(net):
    text = summary.report(net, SIZES, format="csv", layers="pool1", params=["b"], vars=["x3", "x1"])
    told = tables(text)
    assert [list(told[first]) for first in ("func", "param", "var")] == [["pool1"], ["b"], ["x3", "x1"]]
    with pytest.raises(KeyError, match="no layer 'pool2'"):
        summary.report(net, layers="pool2")


def test_sizes_and_receptive_fields_are_matconvnets_own():
    run = recorded.load("master/fcn_single.mat")
    net = recorded.build(run, "single", "master")
    sizes = {name: value.shape for name, value in run["batches"][0].items()}
    told = tables(summary.report(net, sizes, format="csv", all=True))
    assert set(told["var"]) == set(run["varSizes"])
    for name, size in run["varSizes"].items():
        dims = [float(v) for v in told["var"][name]["dims"].split("x")]
        assert np.broadcast_to(dims, 4).tolist() == size.ravel().tolist()
    for name, field in run["receptiveFields"].items():
        for what, value in field.items():
            cell = told["rf in 'input'"][name][what]
            if cell not in ("n/a", "?"):
                assert np.broadcast_to([float(v) for v in cell.split("x")], 2).tolist() == value.ravel().tolist()
            else:
                assert not value.size or np.isnan(value).all()


def test_unknown_blocks_and_sizes_are_told_with_question_marks(net):
    net.add_layer("mine", catalogue.Unknown("MyBlock", {"p": 2.0}), "x3", "m")
    told = tables(summary.report(net, {"input": SIZES["input"]}, format="csv"))
    assert told["func"]["mine"]["type"] == "MyBlock"
    assert told["var"]["m"] == {"dims": "?", "mem": "?", "fanin": "1", "fanout": "0"}


def test_a_parameter_without_a_value_counts_nothing(net):
    net.params["f"].value = None
    told = tables(summary.report(net, format="csv", params="f"))
    assert told["param"]["f"]["dims"] == "0" and told["param"]["f"]["mem"] == "0B"


def test_a_row_of_numbers_is_a_column_as_matlab_shows_it(net):
    net.params["b"].value = net.params["b"].value.ravel()
    assert tables(summary.report(net, format="csv", params="b"))["param"]["b"]["dims"] == "8x1"


def test_the_default_is_ascii_wrapped_at_18_columns(net):
    for i in range(20):
        net.add_layer(f"r{i}", relu.ReLU(), f"y{i}", f"y{i + 1}")
    lines = [line for line in summary.report(net).splitlines() if line.strip().startswith("func|")]
    assert [line.count("|") - 1 for line in lines] == [18, 8]
