"""The numbers of MatConvNet itself: every case of the files found, forward and every derivative.

max|a - b| / max|b| per array is at most 2e-6 in single and 1e-13 in double precision. Copies and choices of values (max
pooling, plain ReLU, concat, crop, sum) agree exactly. LRN may differ by 5e-3: MatConvNet's CPU code approximates its power.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.io

from dagnet.data import imreadjpeg
from dagnet.layers import (
    array,
    bilinearsampler,
    bnorm,
    catalogue,
    concat,
    conv,
    convt,
    crop,
    dropout,
    loss,
    lrn,
    noffset,
    normalizelp,
    pdist,
    pool,
    relu,
    roipool,
    sigmoid,
    softmax,
    spnorm,
    taccum,
)
from tests.conftest import golden_root

pytestmark = pytest.mark.usefixtures("exact")
TOLERANCE = {"single": 2e-6, "double": 1e-13}
LRN_TOLERANCE = 5e-3

Arrays = dict[str, Any]


# Reading ----------------------------------------------------------------------------------------------------------------


def load(path: Path) -> dict[str, Any]:
    """The variables of a .mat file, structs as namespaces and cells of one element opened."""
    mat = scipy.io.loadmat(path, struct_as_record=False, mat_dtype=True)
    return {name: plain(value) for name, value in mat.items() if not name.startswith("__")}


@cache
def cases(file: str) -> list[SimpleNamespace]:
    """The cases of a file under golden_root()."""
    return cell(load(golden_root() / file)["cases"])


def plain(value: Any) -> Any:
    """A struct as a namespace, a cell as a list, a text as str; arrays as they are."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        values = [plain(v) for v in value.ravel()]
        return values[0] if len(values) == 1 else values
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value.item())
    if hasattr(value, "_fieldnames"):
        return SimpleNamespace(**{name: plain(getattr(value, name)) for name in value._fieldnames})
    return value


def cell(value: Any) -> list[Any]:
    """A cell as a list, also where it has one element or none."""
    if isinstance(value, list):
        return value
    return [] if isinstance(value, np.ndarray) and value.size == 0 else [value]


# Running an operator ----------------------------------------------------------------------------------------------------

SNAKE = {
    "numGroups": "num_groups",
    "instanceWeights": "instance_weights",
    "topK": "top_k",
    "noRoot": "no_root",
    "exponent": "p",
}


def keywords(args: list[Any]) -> Arrays:
    """MATLAB's name, value, ... as keyword options; numbers as Python's, arrays of more than four numbers as they are."""
    return {SNAKE.get(name, name): simple(value) for name, value in zip(args[::2], args[1::2], strict=True)}


def simple(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.size > 4:
        return value
    numbers = [int(v) if float(v).is_integer() else v for v in value.ravel().tolist()]
    return numbers[0] if len(numbers) == 1 else numbers


def windowed(operator: Any) -> Callable:
    def run(a: Arrays, args: list[Any], dy: Any) -> Arrays:
        options, b = keywords(args), a["b"] if a["b"].size else None
        dx, df, db = operator.backward(a["x"], a["f"], b, dy, **options)
        return {"y": operator.forward(a["x"], a["f"], b, **options), "dx": dx, "df": df, "db": db}

    return run


def pooling(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    options, size = keywords(args), array.to_numpy(a["pool"])
    return {"y": pool.forward(a["x"], size, **options), "dx": pool.backward(a["x"], size, dy, **options)}


def pointwise(operator: Any) -> Callable:
    def run(a: Arrays, args: list[Any], dy: Any) -> Arrays:
        options = keywords(args)
        return {"y": operator.forward(a["x"], **options), "dx": operator.backward(a["x"], dy, **options)}

    return run


def concatenation(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    xs, dim = [a["x1"], a["x2"], a["x3"]], int(args[0].item())
    ders = concat.backward(xs, dy, dim=dim)
    return {"y": concat.forward(xs, dim=dim), **{f"dx{i + 1}": dx for i, dx in enumerate(ders)}}


def cropping(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    return {"y": crop.forward(a["x"], args[0]), "dx": crop.backward(a["x"], args[0], dy)}


def dropping(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    y, mask = dropout.forward(a["x"], mask=a["mask"])
    return {"y": y, "dx": dropout.backward(mask, dy)}


def accumulation(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    alpha, beta = (value.item() for value in args)
    first = a["a"] if a["a"].size > 1 else a["a"].item()
    return {"y": taccum.forward(alpha, first, beta, a["b"])}


def normalising(operator: Any) -> Callable:
    def run(a: Arrays, args: list[Any], dy: Any) -> Arrays:
        param = array.to_numpy(a["param"]).ravel()
        return {"y": operator.forward(a["x"], param=param), "dx": operator.backward(a["x"], dy, param=param)}

    return run


def normalisation_by_norm(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    options = {"spatial": True} if args == ["spatial"] else keywords(args)
    if "dimensions" in options:
        options["dimensions"] = np.ravel(options["dimensions"])
    y, norms = normalizelp.forward(a["x"], **options)
    return {"y": y, "norms": norms, "dx": normalizelp.backward(a["x"], dy, **options)}


def distance(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    options, p = keywords(args), a["p"].item()
    if "instance_weights" in options:
        options["instance_weights"] = array.module_of(a["x"]).asarray(options["instance_weights"])
    dx, dx0 = pdist.backward(a["x"], a["x0"], p, dy, **options)
    return {"y": pdist.forward(a["x"], a["x0"], p, **options), "dx": dx, "dx0": dx0}


def batch_normalisation(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    options: Arrays = {"moments": a.get("moments")}
    if "epsilon" in args[::2]:
        options["epsilon"] = keywords(args)["epsilon"]
    y, moments = bnorm.forward(a["x"], a["g"], a["b"], **options)
    dx, dg, db, again = bnorm.backward(a["x"], a["g"], a["b"], dy, **options)
    np.testing.assert_array_equal(array.to_numpy(again), array.to_numpy(moments))
    return {"y": y, "dx": dx, "dg": dg, "db": db} | ({} if "moments" in a else {"moments": moments})


def losing(a: Arrays, args: list[Any], dy: Any, *, normalise: bool) -> Arrays:
    options = {"normalise": normalise} | keywords(args)
    if "instance_weights" in options:
        options["instance_weights"] = a["instanceWeights"]
    return {"y": loss.forward(a["x"], a["c"], **options), "dx": loss.backward(a["x"], a["c"], dy, **options)}


def old_loss(a: Arrays, args: list[Any], dy: Any, *, normalise: bool) -> Arrays:
    y = loss.softmaxloss(a["x"], a["c"], normalise=normalise)
    return {"y": y, "dx": loss.softmaxloss_backward(a["x"], a["c"], dy, normalise=normalise)}


def sampling(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    dx, dgrid = bilinearsampler.backward(a["x"], a["grid"], dy)
    return {"y": bilinearsampler.forward(a["x"], a["grid"]), "dx": dx, "dgrid": dgrid}


def region_pooling(a: Arrays, args: list[Any], dy: Any) -> Arrays:
    options = dict(zip(args[::2], args[1::2], strict=True))
    return {
        "y": roipool.forward(a["x"], a["rois"], **options),
        "dx": roipool.backward(a["x"], a["rois"], dy, **options),
    }


def image_options(args: list[Any]) -> Arrays:
    """imreadjpeg's options from vl_imreadjpeg's; Pack alone is a word without a value."""
    pairs = [v for v in args if not isinstance(v, str) or v != "Pack"]
    options: Arrays = {"pack": len(pairs) < len(args)}
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        options[re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()] = value if isinstance(value, str) else value.ravel()
    return options


OPERATORS: dict[str, Callable] = {
    "vl_nnconv": windowed(conv),
    "vl_nnconvt": windowed(convt),
    "vl_nnpool": pooling,
    "vl_nnrelu": pointwise(relu),
    "vl_nnsigmoid": pointwise(sigmoid),
    "vl_nnsoftmax": pointwise(softmax),
    "vl_nnconcat": concatenation,
    "vl_nncrop": cropping,
    "vl_nndropout": dropping,
    "vl_taccum": accumulation,
    "vl_nnnormalize": normalising(lrn),
    "vl_nnnormalizelp": normalisation_by_norm,
    "vl_nnnoffset": normalising(noffset),
    "vl_nnspnorm": normalising(spnorm),
    "vl_nnpdist": distance,
    "vl_nnbnorm": batch_normalisation,
    "vl_nnbilinearsampler": sampling,
    "vl_nnroipool": region_pooling,
    "vl_nnloss": losing,
    "vl_nnsoftmaxloss": old_loss,
}

# Blocks of dagblocks.mat: the file holds values only; these are the properties with which they come out.
BLOCKS: dict[str, Arrays] = {
    "Conv": {"size": [3, 2, 4, 3], "stride": [2, 1], "pad": [1, 0, 2, 1]},
    "Conv_dilate": {"size": [3, 3, 4, 2], "hasBias": False, "dilate": 2, "pad": 2},
    "ConvTranspose": {"size": [4, 4, 3, 4], "upsample": 2, "crop": [1, 1, 0, 2]},
    "Pooling_max": {"poolSize": [3, 2], "stride": 2, "pad": [1, 0, 0, 0]},
    "Pooling_avg": {"method": "avg", "poolSize": [2, 3], "stride": 2, "pad": [1, 1, 1, 0]},
    "ReLU_leak": {"leak": 0.2},
    "Crop": {"crop": [1, 2]},
    "LRN": {"param": [5, 1, 0.2, 0.75]},
    "NormOffset": {"param": [0.7, 0.5]},
    "SpatialNorm": {"param": [3, 3, 0.3, 0.6]},
    "BatchNorm": {"numChannels": 4, "epsilon": 1e-5},
    "AffineGridGenerator": {"Ho": 5, "Wo": 4},
    "UniformScalingGridGenerator": {"Ho": 5, "Wo": 4},
    "ROIPooling": {"subdivisions": [2, 2]},
    "Loss_softmaxlog": {"normalise": True},
    "Loss_logistic": {"normalise": True, "loss": "logistic"},
}


# Comparing --------------------------------------------------------------------------------------------------------------


def assert_agrees(ours: Any, theirs: np.ndarray, tolerance: float, what: str) -> None:
    ours = array.to_numpy(ours)
    assert bare(ours.shape) == bare(theirs.shape), f"{what}: ours has shape {ours.shape}, theirs {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{what}: ours is {ours.dtype}, theirs {theirs.dtype}"
    if theirs.size == 0:
        return
    worst = np.abs(ours.reshape(theirs.shape).astype(np.float64) - theirs).max()
    allowed = tolerance * np.abs(theirs).max()
    assert worst <= allowed, f"{what}: off by {worst:.3g}; at most {allowed:.3g} is right"


def bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the sizes of 1 at the end, which MATLAB drops at will; nothing is (0,)."""
    if 0 in shape:
        return (0,)
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def expected(case: SimpleNamespace) -> Arrays:
    """What MatConvNet made: y and its fellows, and the derivatives. Its topkerror counts in double; ours has x's dtype."""
    theirs = vars(case.out) | (vars(case.der) if isinstance(case.der, SimpleNamespace) else {})
    if case.name.startswith("topkerror"):
        theirs["y"] = theirs["y"].astype(theirs["dx"].dtype)
    return theirs


def tolerance_of(case: SimpleNamespace, name: str) -> float:
    exact = case.op in ("vl_nnconcat", "vl_nncrop") or (
        name == "y" and case.name.startswith(("max_", "roipool_max_", "relu_leak0"))
    )
    if case.op == "vl_nnnormalize":
        return LRN_TOLERANCE
    return 0 if exact and case.name != "relu_leak0.1" else TOLERANCE[case.dtype]


# Which cases there are --------------------------------------------------------------------------------------------------

RAN: Counter[str] = Counter()
PASSED: Counter[str] = Counter()


def found(pattern: str) -> list[Any]:
    """Every case of all files that fit the pattern: one whose function nobody knows fails, for it is not left out."""
    parameters = []
    for path in sorted(golden_root().glob(pattern)):
        file = path.relative_to(golden_root()).as_posix()
        for number, case in enumerate(cases(file)):
            dtype = f"-{case.dtype}" if hasattr(case, "dtype") else ""
            name = getattr(case, "name", number)
            parameters.append(pytest.param(file, number, id=f"{Path(file).with_suffix('')}-{name}{dtype}"))
    return parameters


def golden_summary() -> list[str]:
    """A line for each file: how many cases ran and passed."""
    return [f"{file}: {ran} ran, {PASSED[file]} passed" for file, ran in RAN.items()]


# The tests --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "number"), found("master/ops_*.mat") + found("releases/*/ops_loss.mat"))
def test_operator_agrees_with_matconvnet(file, number, xp):
    case = cases(file)[number]
    RAN[file] += 1
    inputs = {name: xp.asarray(value) for name, value in vars(getattr(case, "in")).items()}
    options = {"normalise": "master/" in file} if case.op in ("vl_nnloss", "vl_nnsoftmaxloss") else {}
    ours = OPERATORS[case.op](inputs, cell(case.args), xp.asarray(case.dzdy), **options)
    for name, value in expected(case).items():
        if ours[name] is None:
            assert value.size == 0, f"{name}: ours is None, theirs has shape {value.shape}"
        else:
            assert_agrees(ours[name], value, tolerance_of(case, name), name)
    PASSED[file] += 1


@pytest.mark.parametrize(("file", "number"), found("master/imreadjpeg.mat"))
def test_images_are_read_as_matconvnet_reads_them(file, number):
    case = cases(file)[number]
    RAN[file] += 1
    jpegs = [v.astype(np.uint8).tobytes() for v in load(golden_root() / file)["jpegbytes"]]
    ours, theirs = imreadjpeg.imreadjpeg(jpegs, **image_options(cell(case.args))), cell(case.out)
    for n, (a, b) in enumerate(zip(ours if isinstance(ours, list) else [ours], theirs, strict=True)):
        assert_agrees(a, b, TOLERANCE["single"] if len(case.args) else 0, f"image {n}")  # decoding is exact
    PASSED[file] += 1


@pytest.mark.parametrize(("file", "number"), found("master/dagblocks.mat"))
def test_block_agrees_with_matconvnet(file, number, xp):
    case = cases(file)[number]
    RAN[file] += 1
    block = catalogue.from_matlab(case.type, BLOCKS.get(case.name, {}))
    if case.name == "DropOut_test":
        block.mode = "test"
    if case.name == "BatchNorm":
        block.scale_moments_by_images = False  # master's
    if case.name == "Loss_weighted":
        block = catalogue.from_matlab(case.type, {"normalise": True, "opts": ["instanceWeights", weights_of(case, xp)]})
    tolerance = LRN_TOLERANCE if case.name == "LRN" else 1e-13
    inputs, params = ([xp.asarray(v) for v in cell(values)] for values in (case.inputs, case.params))

    block.forward(inputs, params)
    (y,) = block.forward(inputs, params)  # twice, as the file's averages were made
    seen = [y] if block.backward_uses == "outputs" else inputs
    der_inputs, der_params = block.backward(seen, params, [xp.asarray(case.dzdy)])

    assert_agrees(y, case.out, tolerance, "y")
    sizes = block.output_sizes([array.four_d(x).shape for x in inputs])
    assert [tuple(size) for size in sizes] == [tuple(case.varSize.ravel())]
    for kind, ours, theirs in (("input", der_inputs, case.din), ("param", der_params, case.dparams)):
        for i, (a, b) in enumerate(zip(ours, cell(theirs), strict=True)):
            if a is None:
                assert b.size == 0
            else:
                if case.type.endswith("GridGenerator"):
                    a = a.astype(np.float32)  # MatConvNet keeps this one in single precision, whatever its input is in
                assert_agrees(a, b, tolerance, f"derivative of {kind} {i}")
    if hasattr(case, "average"):
        assert_agrees(xp.asarray(block.average), case.average, tolerance, "average")
        assert float(block.num_averaged) == case.numAveraged
    if hasattr(case, "out_test"):
        block.mode = "test"
        assert_agrees(block.forward(inputs, params)[0], case.out_test, tolerance, "y in test mode")
    PASSED[file] += 1


def weights_of(case, xp):
    """The instance weights of a case that does not hold them: what its derivative was multiplied by; y then proves them."""
    x, c = (xp.asarray(v) for v in case.inputs)
    unweighted = loss.backward(x, c, float(case.dzdy.item()), normalise=True)
    return xp.asarray(case.din[0][:, :, :1]) / unweighted[:, :, :1]
