import numpy as np
import pytest

from dagnet import dagnn, summary
from dagnet.layers import catalogue, concat, conv, convt, loss, pool, relu
from dagnet.summary import facts, overview


@pytest.fixture
def net(rng):
    net = dagnn.DagNN()
    net.add_layer("conv1", conv.Conv([3, 5, 3, 8], pad=[1, 1, 2, 2]), "input", "x1", ["f", "b"])
    net.add_layer("relu1", relu.ReLU(), "x1", "x2")
    net.add_layer("pool1", pool.Pooling("max", [2, 2], stride=[2, 2]), "x2", "x3")
    net.add_layer(
        "up1", convt.ConvTranspose([4, 4, 8, 8], upsample=[2, 2], crop=[1, 1, 1, 1]), "x3", "x4", ["uf", "ub"]
    )
    net.add_layer("both", concat.Concat(), ["x2", "x4"], "x5")
    net.add_layer("objective", loss.Loss(), ["x5", "label"], "objective")
    net.init_params(rng)
    return net


def rows(text, layer):
    """The cells of a layer's two rows."""
    return [line.split() for line in text.splitlines() if line.split()[:1] == [layer]]


def test_rows_tell_windows_sizes_and_receptive_fields(net):
    text = summary.table(net, {"input": (32, 48, 3, 2)})
    window, wiring = rows(text, "conv1")
    assert window == ["conv1", "Conv", "3x5x3x8", "1", "1x1x2x2", "32x48x8x2", "3x5", "1", "1"]
    assert wiring == ["conv1", "input", "x1", "f", "b", "368", "1.44", "KB"]
    assert rows(text, "pool1")[0] == ["pool1", "Pooling", "2x2", "2", "0", "16x24x8x2", "4x6", "2", "1.5"]
    assert rows(text, "up1")[0][2:7] == ["4x4x8x8", "1/2", "crop", "1", "32x48x8x2"]
    assert rows(text, "both")[1] == ["both", "x2", "x4", "x5"]


def test_totals_count_every_value_once_at_four_bytes(net):
    net.add_layer("conv2", conv.Conv([3, 5, 3, 8], pad=[1, 1, 2, 2]), "input", "y", ["f", "b"])  # conv1's parameters
    text = summary.table(net, {"input": (32, 48, 3, 2), "label": (32, 48, 1, 2)})
    params = 3 * 5 * 3 * 8 + 8 + 4 * 4 * 8 * 8 + 8
    variables = 2 * (32 * 48 * (3 + 8 + 8 + 8 + 16 + 1 + 8) + 16 * 24 * 8 + 1)
    total = params + variables
    assert rows(text, "parameters") == [["parameters", f"{params:,}", "values", "5.47", "KB"]]
    assert rows(text, "variables")[0][1] == f"{variables:,}"
    assert rows(text, "together") == [["together", f"{total:,}", "values", f"{total * 4 / 2**10:.3g}", "KB"]]


def test_a_variable_of_unknown_size_is_counted_out_aloud(net):
    assert "(without 1 of unknown size)" in summary.table(net, {"input": (32, 48, 3, 2)})


def test_no_line_is_wider_than_a_terminal(net):
    net.rename_layer("conv1", "a_layer_whose_name_" + "goes_on_and_" * 6 + "on")
    net.rename_var("x2", "a_variable_whose_name_" + "goes_on_and_" * 6 + "on")
    net.rename_param("f", "a_parameter_whose_name_" + "goes_on_and_" * 6 + "on")
    lines = summary.table(net, {"input": (32, 48, 3, 2)}).splitlines()
    assert max(map(len, lines)) == overview.COLUMNS
    assert any("…" in line for line in lines)


def test_unknown_blocks_are_named_and_do_not_stop_the_rest(net):
    net.add_layer("mine", catalogue.Unknown("MyBlock", {"p": 2.0}), "x3", "m")
    net.add_layer("conv9", conv.Conv([1, 1, 8, 4]), "m", "x9", ["f9", "b9"])
    text = summary.table(net, {"input": (32, 48, 3, 2)})
    assert "not known and not runnable: 'mine' (MyBlock)" in text
    assert rows(text, "mine")[0] == ["mine", "MyBlock", "?x?x?x?"]
    assert rows(text, "conv9")[0][-1] == "?x?x4x?"
    assert rows(text, "pool1")[0][5] == "16x24x8x2"


def test_the_net_itself_is_left_alone(net):
    net.mode = "test"
    before = net.layers["conv1"].block
    summary.table(net)
    assert net.layers["conv1"].block is before
    assert before.mode == "test"
    assert "mode test" in summary.table(net)


@pytest.mark.parametrize(
    ("meta", "size"),
    [
        ({}, {}),
        ({"normalization": {"imageSize": np.array([[224.0, 200.0, 3.0]])}}, {"input": (224, 200, 3, 1)}),
        ({"normalization": {"imageSize": np.array([[224.0, 200.0, 3.0, 10.0]])}}, {"input": (224, 200, 3, 1)}),
        *(
            ({"normalization": {"imageSize": odd}}, {})
            for odd in (
                np.zeros((1, 3)),
                np.array([[np.nan, 3, 3]]),
                np.array([[np.inf, 3]]),
                "big",
                None,
                np.zeros((0, 0)),
            )
        ),
        ({"inputs": {"name": "data", "size": np.array([[96.0, 64.0, 3.0, 10.0]])}}, {"input": (96, 64, 3, 1)}),
    ],
)
def test_the_input_size_is_what_the_file_says(net, meta, size):
    net.meta = meta
    assert summary.input_sizes(net) == size
    assert summary.table(net) == summary.table(net, size)
    assert rows(summary.table(net), "conv1")[0][5] == (
        "x".join(map(str, (*size["input"][:2], 8, 1))) if size else "?x?x8x?"
    )


def test_a_given_size_is_completed_by_the_first_filters_channels_and_one_image(net):
    assert summary.input_sizes(net, (40, 30)) == {"input": (40, 30, 3, 1)}
    assert summary.input_sizes(net, (40, 30, 3, 6)) == {"input": (40, 30, 3, 6)}
    with pytest.raises(ValueError, match=r"input size: it is \[40\]; two to four numbers"):
        summary.input_sizes(net, (40,))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "mean image: none in meta.normalization.averageImage"),
        (np.array([[123.68, 116.779, 103.939]]), "mean image: one colour, 123.7 116.8 103.9 (1x3)"),
        (np.arange(224.0).reshape(224, 1, 1).repeat(3, 2), "mean image: a picture of 224x1x3, on average 111.5"),
    ],
)
def test_the_mean_images_form_is_told(net, image, words):
    net.meta = {"normalization": {"averageImage": image}}
    assert words in summary.table(net)


def test_an_input_that_the_net_has_not_is_refused(net):
    with pytest.raises(KeyError, match="inputs"):
        summary.table(net, {"inputs": (32, 48, 3, 2)})


def test_the_memory_of_passes_is_told_where_sizes_are_known(net):
    sizes = {"input": (32, 48, 3, 2)}
    found = summary.peaks(net, sizes)
    told = [" ".join(line.split()) for line in summary.table(net, sizes).splitlines() if " takes " in line]
    test, test_kept, training, training_kept = (
        "{:.3g} {}".format(*facts.scaled(size))
        for size in (found.test, found.test_kept, found.training, found.training_kept)
    )
    assert told == [
        f"a pass in test mode takes {test} at its peak ({test_kept} without conserve_memory)",
        f"a step of training takes {training} at its peak ({training_kept} without conserve_memory)",
    ]
    assert " takes " not in summary.table(net)
