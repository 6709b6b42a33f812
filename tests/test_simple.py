"""vl_simplenn_display: the numbers of VGG-16 as published, and of layers of every kind."""

import csv

import numpy as np
import pytest

from dagnet import summary
from dagnet.files import matfile, simplenn
from dagnet.files.matvalues import row


def table(text):
    """Layer -> {label -> cell}, and {label -> cell} of the totals."""
    first, second = text.split("\n\n")
    rows = list(csv.reader(first.splitlines()))
    cells = {name: {r[0]: r[i] for r in rows} for i, name in enumerate(rows[2])}
    return cells, dict(csv.reader(second.splitlines()))


@pytest.fixture
def net():
    def weights(*shapes):
        return row([np.ones(shape, np.float32) for shape in shapes])

    layers = [
        {"type": "conv", "name": "c", "weights": weights((3, 5, 3, 8), (1, 8)), "pad": 1.0, "dilate": 2.0},
        {"type": "relu", "name": "r"},
        {"type": "pool", "name": "p", "pool": 2.0, "stride": 2.0, "method": "avg"},
        {"type": "convt", "name": "u", "weights": weights((4, 4, 2, 8), (1, 4)), "upsample": 2.0, "numGroups": 2.0},
        {"type": "mystery", "name": "m"},
    ]
    return {"layers": row(layers), "meta": {"normalization": {"imageSize": np.array([[20.0, 24.0, 3.0]])}}}


def test_a_column_tells_window_field_data_and_memory(net):
    cells, totals = table(summary.display(net, format="csv", batch_size=2))
    assert list(cells["c"].values()) == (
        ["1", "conv", "c", "3x5", "3", "2", "8", "1", "1", "5x9", "2x4", "1", "18", "8", "2", "20KB", "1KB"]
    )
    assert list(cells["c"])[:6] == ["layer", "type", "name", "support", "filt dim", "filt dilat"]
    assert list(cells["c"])[6:12] == ["num filts", "stride", "pad", "rf size", "rf offset", "rf stride"]
    assert list(cells["n/a"].values()) == ["0", "input", *["n/a"] * 10, "20x24", "3", "2", "11KB", "0B"]
    assert list(cells["r"].values())[3:9] == ["n/a"] * 6
    assert list(cells["p"].values())[3:9] == ["2", "n/a", "n/a", "n/a", "2", "0"]
    assert cells["p"]["type"] == "apool" and cells["p"]["stride"] == "2"
    assert list(cells["u"].values())[3:9] == ["4", "4", "1", "4", "1/2", "crop 0"] and cells["u"]["data depth"] == "4"
    assert cells["n/a"]["data size"] == "20x24" and cells["n/a"]["data num"] == "2"
    assert cells["m"]["data size"] == "?" and cells["m"]["type"] == "mystery"
    assert totals["parameter memory"] == f"{4 * (3 * 5 * 3 * 8 + 8 + 4 * 4 * 2 * 8 + 4) / 1024:.0f}KB"


@pytest.mark.parametrize(
    ("method", "kind"), [({}, "mpool"), ({"method": "max"}, "mpool"), ({"method": "avg"}, "apool")]
)
def test_a_pools_type_tells_its_method(net, method, kind):
    net["layers"] = row([{"type": "pool", "name": "p", "pool": 2.0} | method])
    assert table(summary.display(net, format="csv"))[0]["p"]["type"] == kind


def test_a_struct_and_the_simplenn_of_it_give_the_same(net):
    assert summary.display(net) == summary.display(simplenn.tidy(net))


def test_another_input_size_counts(net):
    cells, _ = table(summary.display(net, format="csv", input_size=(42, 44)))
    assert cells["c"]["data size"] == "40x38"


def test_rules_part_the_groups_of_rows(net):
    lines = summary.display(net).splitlines()
    assert [i for i, line in enumerate(lines) if line.startswith("---")] == [3, 10, 14, 18]
    assert lines[-2].startswith("parameter memory|")


def test_latex_has_a_cell_for_each_layer(net):
    lines = [line for line in summary.display(net, format="latex").splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in lines] == [6] * 17 + [1, 1]


def test_vgg16_is_displayed_as_it_is_published(data_dir):
    struct = matfile.read(data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat")
    cells, totals = table(summary.display(struct, format="csv"))
    assert [cells["pool5"][label] for label in ("rf size", "rf stride", "rf offset", "data size")] == (
        ["212", "32", "16.5", "7"]
    )
    assert cells["conv3_2"]["param mem"] == "2MB" and totals == {"parameter memory": "56MB", "data memory": "110MB"}


def test_a_net_without_layers_shows_its_input_alone():
    cells, _ = table(summary.display({"layers": row([]), "meta": {}}, format="csv"))
    assert list(cells) == ["name", "n/a"]


def test_what_is_no_simplenn_is_refused():
    with pytest.raises(ValueError, match="a SimpleNN is right"):
        summary.display({"layers": 3.0})
