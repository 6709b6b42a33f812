"""MATLAB's ways to call a function are understood, and wrong ones told in a clear sentence."""

import re

import numpy as np
import pytest

from dagnet.layers import conv
from dagnet.matconvnet import release, vl_argparse, vl_nnconv, vl_nndropout, vl_nnpool, vl_nnrelu, vl_nnsoftmax


def test_an_empty_dzdy_means_forward():
    x = np.ones((2, 2, 3, 1), np.float32)
    for empty in ([], None, np.zeros((0, 0))):
        np.testing.assert_array_equal(vl_nnrelu(x, empty, "leak", 0.1), x)


def test_names_of_options_count_in_any_case_and_as_keywords(rng):
    x, f = rng.standard_normal((7, 6, 2, 2)), rng.standard_normal((3, 3, 2, 4))
    wanted = conv.forward(x, f, stride=2, pad=[1, 0, 1, 0])
    for options in (["STRIDE", 2, "pad", [1, 0, 1, 0]], ["stride", np.array([[2.0]]), "Pad", (1, 0, 1, 0)]):
        np.testing.assert_array_equal(vl_nnconv(x, f, [], *options), wanted)
    np.testing.assert_array_equal(vl_nnconv(x, f, [], stride=2, pad=[1, 0, 1, 0]), wanted)
    np.testing.assert_array_equal(vl_nnconv(x, f, [], {"Stride": 2, "Pad": [1, 0, 1, 0]}), wanted)


def test_a_later_option_overrides_an_earlier_one(rng):
    x = rng.standard_normal((4, 4, 1, 1))
    np.testing.assert_array_equal(vl_nnpool(x, 2, "method", "avg", "method", "max"), vl_nnpool(x, 2))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda x: vl_nnpool(x, 2, "strid", 2),
            "vl_nnpool: it has no option 'strid'; one of stride, pad, method is right",
        ),
        (lambda x: vl_nnpool(x, 2, [], "stride"), "vl_nnpool: the option 'stride' came without a value"),
        (lambda x: vl_nnpool(x, 2, [], 3), "vl_nnpool: where the name of an option is right, 3 came"),
        (lambda x: vl_nnpool(x, 2, [], "stride", "2"), "an argument: '2' came where numbers are right"),
        (lambda x: vl_nnrelu(x, "leak", [1, 2]), "an argument: [1, 2] came where one number is right"),
        (lambda x: vl_nnsoftmax(x, "dim", 3), "vl_nnsoftmax: it has no option 'dim'; it has none"),
        (lambda x: vl_nndropout(x, x), "vl_nndropout: dzdy came without a mask"),
        (lambda x: release("beta99"), "'beta99' is not known"),
    ],
)
def test_a_wrong_call_is_one_clear_sentence(call, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        call(np.ones((4, 4, 2, 1)))


def test_argparse_merges_names_values_and_structs():
    opts = {"lr": 0.1, "train": {"gpus": [], "batchSize": 10}, "name": "a"}
    got = vl_argparse(opts, ["LR", 1, {"name": "b"}, "train", {"gpus": [1]}, "train.batchSize", 5])
    assert got == {"lr": 1, "train": {"gpus": [1], "batchSize": 5}, "name": "b"}
    assert opts["train"] == {"gpus": [], "batchSize": 10}
    assert vl_argparse(opts, ["train", {"gpus": 1}], "nonrecursive")["train"] == {"gpus": 1}


def test_argparse_refuses_or_returns_or_merges_what_is_unknown():
    opts = {"lr": 0.1, "train": {"gpus": []}}
    with pytest.raises(ValueError, match="there is no option 'rate'; one of lr, train is right"):
        vl_argparse(opts, ["rate", 1])
    assert vl_argparse(opts, ["rate", 1, "lr", 2, "train", {"x": 3, "y": 4}], rest=True) == (
        {"lr": 2, "train": {"gpus": []}},
        ["rate", 1, "train.x", 3, "train.y", 4],
    )
    assert vl_argparse(opts, ["rate", 1], "merge")["rate"] == 1
    with pytest.raises(ValueError, match="'merges' came; 'nonrecursive' or 'merge' is right"):
        vl_argparse(opts, [], "merges")
