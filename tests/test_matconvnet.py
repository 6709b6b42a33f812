"""MatConvNet's calls as they stand in MATLAB code give MatConvNet's numbers, and wrong ones a clear sentence."""

import re
from pathlib import Path

import numpy as np
import pytest

from dagnet import matconvnet
from dagnet.layers import array, conv, loss
from dagnet.matconvnet import (
    release,
    rng,
    vl_argparse,
    vl_nnconcat,
    vl_nnconv,
    vl_nnconvt,
    vl_nncrop,
    vl_nndropout,
    vl_nnloss,
    vl_nnpool,
    vl_nnrelu,
    vl_nnsoftmax,
    vl_nnsoftmaxloss,
)
from tests import test_golden as golden
from tests.conftest import golden_root

# The fixed arguments that come before dzdy, by their names in the golden files; every other function has x alone.
FIXED = {
    "vl_nnconv": ["x", "f", "b"],
    "vl_nnconvt": ["x", "f", "b"],
    "vl_nnpool": ["x", "pool"],
    "vl_nnloss": ["x", "c"],
    "vl_nnsoftmaxloss": ["x", "c"],
    "vl_nnnormalize": ["x", "param"],
    "vl_nnspnorm": ["x", "param"],
    "vl_nnnoffset": ["x", "param"],
    "vl_nnbnorm": ["x", "g", "b"],
    "vl_nnbilinearsampler": ["x", "grid"],
    "vl_nnroipool": ["x", "rois"],
    "vl_nnpdist": ["x", "x0", "p"],
}
# What a call returns beside y, and in place of dx.
OUTPUTS = {"vl_nnbnorm": ["moments"], "vl_nnnormalizelp": ["norms"], "vl_nndropout": ["mask"]}
DERIVATIVES = {
    "vl_nnconv": ["dx", "df", "db"],
    "vl_nnconvt": ["dx", "df", "db"],
    "vl_nnconcat": ["dx1", "dx2", "dx3"],
    "vl_nnbnorm": ["dx", "dg", "db", "moments"],
    "vl_nnbilinearsampler": ["dx", "dgrid"],
    "vl_nnpdist": ["dx", "dx0"],
}


ON_DEVICE = ("instanceWeights", "moments", "mask")  # options that lie where x lies; others are numbers


def literal(case, xp):
    """The arguments of a case as its MATLAB call has them: those before dzdy, and those after it."""
    given = {name: xp.asarray(value) for name, value in vars(getattr(case, "in")).items()}
    args = golden.cell(case.args)
    if case.op == "vl_nnconcat":
        return [[given["x1"], given["x2"], given["x3"]], args[0]], []
    if case.op == "vl_nncrop":
        return [given["x"], args[0]], []
    if case.op == "vl_taccum":
        return [args[0], given["a"], args[1], given["b"]], []
    if case.op == "vl_nndropout":  # with the mask that MATLAB drew, where the file says its rate alone
        args = ["mask", given["mask"]]
    options = [part for name in args[::2] if name in ON_DEVICE for part in (name, given[name])]
    rest = [part for i in range(0, len(args), 2) if args[i] not in ON_DEVICE for part in args[i : i + 2]]
    return [given[name] for name in FIXED.get(case.op, ["x"])], rest + options


def found():
    """The cases of all operators that have a function here, as parameters of the test below."""
    paths = [
        path for pattern in ("master/ops_*.mat", "releases/*/ops_loss.mat") for path in golden_root().glob(pattern)
    ]
    for path in sorted(paths):
        file = path.relative_to(golden_root()).as_posix()
        for number, case in enumerate(golden.cases(file)):
            if golden.is_here(golden.function_of(case)):
                yield pytest.param(file, number, id=f"{Path(file).with_suffix('')}-{case.name}-{case.dtype}")


@pytest.mark.parametrize(("file", "number"), list(found()))
def test_the_call_of_matlab_gives_matconvnets_numbers(file, number, xp):
    case = golden.cases(file)[number]
    operator = getattr(matconvnet, case.op)
    fixed, options = literal(case, xp)
    dzdy = xp.asarray(case.dzdy)
    with release("master" if "master/" in file else "beta25"):
        y = operator(*fixed, *options)
        ders = None if case.op == "vl_taccum" else operator(*fixed, dzdy, *options)
    ours = dict(zip(["y", *OUTPUTS[case.op]], y, strict=True)) if case.op in OUTPUTS else {"y": y}
    names = DERIVATIVES.get(case.op, ["dx"])
    ours |= dict(zip(names, ders if len(names) > 1 else [ders], strict=True))
    for name, value in (vars(case.out) | vars(case.der) if hasattr(case.der, "__dict__") else vars(case.out)).items():
        if ours[name] is None:
            assert value.size == 0, name
        else:
            golden.assert_agrees(ours[name], value, golden.tolerance_of(case, name), name)


# -- call forms


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


def test_flags_drop_the_derivatives_that_nobody_wants(rng):
    x, f, b = rng.standard_normal((5, 5, 2, 1)), rng.standard_normal((2, 2, 2, 3)), rng.standard_normal(3)
    dzdy = np.ones((4, 4, 3, 1))
    dx, df, db = vl_nnconv(x, f, b, dzdy, "NoDerData", "NoDerBiases", "verbose", "CudnnWorkspaceLimit", np.inf)
    assert dx is None and db is None
    np.testing.assert_array_equal(df, vl_nnconv(x, f, b, dzdy)[1])
    assert vl_nnconvt(dzdy, rng.standard_normal((2, 2, 2, 3)), [], x, "noderfilters")[1] is None


def test_sizes_of_1_at_the_end_may_be_missing(rng):
    x = rng.standard_normal((5, 5, 3, 1))
    np.testing.assert_array_equal(vl_nnpool(x[..., 0], [2, 2]), vl_nnpool(x, [2, 2]))
    np.testing.assert_array_equal(vl_nnsoftmax(x[..., 0]), vl_nnsoftmax(x))


def test_concat_and_crop_derive_from_sizes_alone(rng):
    xs = [rng.standard_normal((3, 2, c, 2)) for c in (1, 4)]
    dzdy = rng.standard_normal((3, 2, 5, 2))
    sizes = [x.shape for x in xs]
    for a, b in zip(vl_nnconcat([], 3, dzdy, "inputSizes", sizes), vl_nnconcat(xs, 3, dzdy), strict=True):
        np.testing.assert_array_equal(a, b)
    x, dy = rng.standard_normal((5, 5, 3, 2)), rng.standard_normal((4, 4, 3, 2))
    np.testing.assert_array_equal(vl_nncrop([], [1, 0, 0, 1], dy, x.shape), vl_nncrop(x, [1, 0, 0, 1], dy))


def test_dropout_draws_the_same_masks_after_the_same_seed(xp):
    x = xp.ones((50, 4, 2, 3), np.float32)
    rng(3)
    y, mask = vl_nndropout(x, "rate", 0.25)
    np.testing.assert_allclose(np.unique(array.to_numpy(mask)), [0, 1 / 0.75], rtol=1e-6)
    assert not bool((mask == vl_nndropout(x, "rate", 0.25)[1]).all())
    rng(3)
    again, _ = vl_nndropout(x, "rate", 0.25)
    assert bool((again == y).all())
    assert bool((vl_nndropout(x, y, "mask", mask) == mask * y).all())


def test_the_loss_divides_by_the_images_where_master_is_followed(rng):
    x, c = rng.standard_normal((3, 3, 4, 2)), rng.integers(0, 5, (3, 3, 1, 2)).astype(float)
    whole = loss.forward(x, c)
    assert vl_nnloss(x, c) == whole
    with release("master"):
        assert vl_nnloss(x, c) == whole / 2
        assert vl_nnloss(x, c, "normalise", False) == whole
        np.testing.assert_array_equal(vl_nnsoftmaxloss(x, c, 1.0), vl_nnloss(x, c, 1.0))
    assert vl_nnloss(x, c, [], "classWeights", np.ones(4)) == whole
    release("master")
    try:
        assert vl_nnloss(x, c) == whole / 2
    finally:
        release("beta25")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda x: vl_nnpool(x, 2, "strid", 2),
            "vl_nnpool: it has no option 'strid'; one of stride, pad, method is right",
        ),
        (lambda x: vl_nnpool(x, 2, [], "stride"), "vl_nnpool: the option 'stride' came without a value"),
        (lambda x: vl_nnpool(x, 2, [], 3), "vl_nnpool: where the name of an option is right, 3 came"),
        (lambda x: vl_nnsoftmax(x, "dim", 3), "vl_nnsoftmax: it has no option 'dim'; it has none"),
        (lambda x: vl_nndropout(x, x), "vl_nndropout: dzdy came without a mask"),
        (lambda x: release("beta99"), "'beta99' is not known"),
    ],
)
def test_a_wrong_call_is_one_clear_sentence(call, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        call(np.ones((4, 4, 2, 1)))


# -- vl_argparse


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
    assert vl_argparse(opts, ["rate", 1, "lr", 2, "train.x", 3], rest=True) == (
        {"lr": 2, "train": {"gpus": []}},
        ["rate", 1, "train.x", 3],
    )
    assert vl_argparse(opts, ["rate", 1], "merge")["rate"] == 1
    with pytest.raises(ValueError, match="'merges' came; 'nonrecursive' or 'merge' is right"):
        vl_argparse(opts, [], "merges")
