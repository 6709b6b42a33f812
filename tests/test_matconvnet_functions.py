"""MatConvNet's functions called as in MATLAB give MatConvNet's numbers."""

import re
from pathlib import Path

import numpy as np
import pytest

from dagnet import matconvnet
from dagnet.layers import array, loss
from dagnet.matconvnet import (
    gather,
    gpuArray,
    release,
    rng,
    vl_nnbnorm,
    vl_nnconcat,
    vl_nnconv,
    vl_nnconvt,
    vl_nncrop,
    vl_nndropout,
    vl_nnloss,
    vl_nnpool,
    vl_nnroipool,
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
    options = []
    for i in range(0, len(args), 2):
        name, *value = args[i : i + 2]
        options += [name, given.get(name, *value)] if name in ON_DEVICE else [name, *value]
    return [given[name] for name in FIXED.get(case.op, ["x"])], options


def found():
    """Every case of all operators, as parameters of the test below."""
    paths = [
        path for pattern in ("master/ops_*.mat", "releases/*/ops_loss.mat") for path in golden_root().glob(pattern)
    ]
    for path in sorted(paths):
        file = path.relative_to(golden_root()).as_posix()
        for number, case in enumerate(golden.cases(file)):
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
    for name, value in golden.expected(case).items():
        if ours[name] is None:
            assert value.size == 0, name
        else:
            golden.assert_agrees(ours[name], value, golden.tolerance_of(case, name), name)


def test_every_operator_of_the_golden_files_has_its_function():
    operators = {
        case.op for path in golden_root().glob("master/ops_*.mat") for case in golden.cases(f"master/{path.name}")
    }
    assert not [op for op in operators if not hasattr(matconvnet, op)]


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
    one = vl_nncrop(x[:, :, :1, :1], 1, dy[:3, :3, :1, :1])
    np.testing.assert_array_equal(vl_nncrop([], 1, dy[:3, :3, 0, 0], [5, 5]), one)  # sizes of 1 that MATLAB dropped


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


@pytest.mark.parametrize(("name", "epsilon"), [("beta18", 1e-3), ("beta20", 1e-4), ("beta25", 1e-4), ("master", 1e-4)])
def test_vl_nnbnorm_takes_the_releases_epsilon_where_none_is_given(name, epsilon):
    with release(name):
        _, moments = vl_nnbnorm(np.ones((2, 2, 3, 1)), np.ones(3), np.zeros(3))
        _, given = vl_nnbnorm(np.ones((2, 2, 3, 1)), np.ones(3), np.zeros(3), "epsilon", 0.25)
    assert np.allclose(moments[:, 1], epsilon**0.5, rtol=1e-12) and (given[:, 1] == 0.5).all()


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


ONE = np.random.default_rng(1).standard_normal((5, 4, 3)).astype(np.float32)  # one image, in MATLAB's three dimensions
PER_CHANNEL = np.ones(3, np.float32)
GRID = np.zeros((2, 2, 3), np.float32)
ROIS = np.array([[1, 1, 1, 3, 3]], np.float32).T
CALLS = {
    "conv": lambda *dzdy: vl_nnconv(ONE, np.ones((2, 2, 3, 2), np.float32), [], *dzdy),
    "convt": lambda *dzdy: vl_nnconvt(ONE, np.ones((2, 2, 2, 3), np.float32), [], *dzdy),
    "pool": lambda *dzdy: vl_nnpool(ONE, 2, *dzdy),
    "relu": lambda *dzdy: matconvnet.vl_nnrelu(ONE, *dzdy),
    "sigmoid": lambda *dzdy: matconvnet.vl_nnsigmoid(ONE, *dzdy),
    "softmax": lambda *dzdy: vl_nnsoftmax(ONE, *dzdy),
    "dropout": lambda *dzdy: vl_nndropout(ONE, *dzdy, "mask", np.ones((5, 4, 3, 1), np.float32)),
    "concat": lambda *dzdy: vl_nnconcat([ONE, ONE], 3, *dzdy),
    "crop": lambda *dzdy: vl_nncrop(ONE, [1, 0, 0, 0], *dzdy),
    "LRN": lambda *dzdy: matconvnet.vl_nnnormalize(ONE, [3, 1, 1, 0.5], *dzdy),
    "normalizelp": lambda *dzdy: matconvnet.vl_nnnormalizelp(ONE, *dzdy),
    "spnorm": lambda *dzdy: matconvnet.vl_nnspnorm(ONE, [2, 2, 1, 1], *dzdy),
    "noffset": lambda *dzdy: matconvnet.vl_nnnoffset(ONE, [1, 0.5], *dzdy),
    "bnorm": lambda *dzdy: matconvnet.vl_nnbnorm(ONE, PER_CHANNEL, PER_CHANNEL, *dzdy),
    "pdist": lambda *dzdy: matconvnet.vl_nnpdist(ONE, ONE + 1, 2, *dzdy),
    "bilinearsampler": lambda *dzdy: matconvnet.vl_nnbilinearsampler(ONE, GRID, *dzdy),
    "roipool": lambda *dzdy: vl_nnroipool(ONE, ROIS, *dzdy),
    "loss": lambda *dzdy: vl_nnloss(ONE, np.ones((5, 4)), *dzdy),
}


def first(outputs):
    return outputs[0] if isinstance(outputs, tuple | list) else outputs


@pytest.mark.parametrize("name", CALLS)
def test_data_come_back_with_four_dimensions(name):
    y = first(CALLS[name]())
    assert y.ndim == (0 if name == "loss" else 4)
    assert first(CALLS[name](y)).shape == first(CALLS[name](y.reshape(y.shape[:3]))).shape == (5, 4, 3, 1)


@pytest.mark.parametrize("name", CALLS)
def test_a_derivative_of_another_shape_than_ys_is_told_in_one_sentence(name):
    size = "one number is" if name == "loss" else re.escape(f"y's shape {first(CALLS[name]()).shape} is")
    for shape in [(5, 4, 1), (9, 9, 9, 9)]:
        if shape[:3] != first(CALLS[name]()).shape[:3]:
            with pytest.raises(ValueError, match=rf"^{name}: dy has shape \({shape[0]}, .*\); {size} right$"):
                CALLS[name](np.ones(shape, np.float32))


@pytest.mark.parametrize(
    "name", [n for n in CALLS if n not in ("loss", "pdist", "concat", "crop")]
)  # all that multiply
def test_a_derivative_of_another_precision_is_refused(name):
    y = first(CALLS[name]())
    with pytest.raises(
        ValueError, match=rf"^{name}: .*dy is float64.*; all float32 \(MATLAB's single\) or all float64 is right"
    ):
        CALLS[name](y.astype(np.float64))


def test_words_count_in_any_case(rng):
    x, c = rng.standard_normal((4, 4, 3, 2)), rng.integers(1, 4, (4, 4, 1, 2))
    np.testing.assert_array_equal(vl_nnpool(x, 2, "Method", "AVG"), vl_nnpool(x, 2, "method", "avg"))
    rois = np.array([[1.0, 1, 1, 3, 3]]).T
    np.testing.assert_array_equal(vl_nnroipool(x, rois, "Method", "Avg"), vl_nnroipool(x, rois, "method", "avg"))
    assert vl_nnloss(x, c, "Loss", "ClassError") == vl_nnloss(x, c, "loss", "classerror")


def test_labels_may_be_a_list(rng):
    x = rng.standard_normal((1, 1, 3, 2))
    assert vl_nnloss(x, [1, 3]) == vl_nnloss(x, np.array([1.0, 3.0])) == vl_nnsoftmaxloss(x, [1, 3])
    np.testing.assert_array_equal(vl_nnloss(x, [1, 3], 1), vl_nnloss(x, np.array([1.0, 3.0]), 1))


def test_arrays_go_to_the_gpu_and_come_back(xp, rng):
    x = xp.asarray(rng.standard_normal((3, 2)))
    assert isinstance(gather(x), np.ndarray) and (gather(x) == array.to_numpy(x)).all()
    if xp is not np:
        assert type(gpuArray(gather(x))) is xp.ndarray
