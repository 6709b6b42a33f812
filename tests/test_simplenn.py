"""A SimpleNN runs as vl_simplenn runs it: MatConvNet's own numbers, what is kept and what is freed, and what stops it."""

import numpy as np
import pytest

from dagnet import SimpleNN, simplenn
from dagnet.files.simplenn import from_simplenn
from dagnet.layers import bnorm, noffset, pdist, softmax, spnorm
from dagnet.simplenn import run
from tests import recorded, recorded_simplenn
from tests.test_golden import PASSED, RAN

TOLERANCE = {"single": 2e-6, "double": 1e-13}


def array(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def filters(fh, fw, c, k):
    return [array(fh, fw, c, k), array(1, k)]


CONV = {"type": "conv", "weights": filters(3, 3, 2, 4), "pad": 1}
LABELS = np.array([1.0, 3.0])
X = array(5, 6, 2, 2)


def chain() -> SimpleNN:
    """One of nearly everything, on X."""
    return SimpleNN(
        [
            CONV,
            {"type": "bnorm", "weights": [array(4, 1) + 2, array(4, 1), abs(array(4, 2)) + 1]},
            {"type": "relu", "leak": 0.1},
            {"type": "pool", "pool": [3, 2], "stride": 2, "pad": 1, "method": "avg"},
            {"type": "dropout", "rate": 0.25},
            {"type": "convt", "weights": [array(2, 2, 3, 4), array(1, 3)], "upsample": 2},
            {"type": "sigmoid"},
            {"type": "lrn"},
            {"type": "conv", "weights": filters(6, 6, 3, 3)},
            {"type": "softmaxloss", "class": LABELS},
        ]
    )


def values(res):
    return [None if r.x is None else r.x.copy() for r in res]


# ---------------------------------------------------------------- MatConvNet's numbers


def agrees(ours, theirs, tolerance, scale=0.0) -> bool:
    """Shapes, kinds of non-finite values, and finite values up to tolerance times the largest, or times `scale`."""
    assert recorded.trimmed(ours.shape) == recorded.trimmed(theirs.shape) and ours.dtype == theirs.dtype
    ours = ours.reshape(theirs.shape)
    finite = np.isfinite(theirs)
    largest = max(np.abs(theirs[finite]).max(initial=0), scale)
    close = np.abs(ours[finite] - theirs[finite]) <= tolerance * largest
    return bool(close.all()) and np.array_equal(ours[~finite], theirs[~finite], equal_nan=True)


@pytest.fixture(params=["single", "double"])
def golden(request, monkeypatch):
    """The recorded numbers, the net, and the tolerance."""
    recorded_simplenn.use_approximate_power(monkeypatch)
    numbers = recorded_simplenn.load(request.param)
    return numbers, recorded_simplenn.build(numbers), TOLERANCE[request.param]


def count(name, good: bool):
    RAN[recorded_simplenn.FILE] += 1
    assert good, name
    PASSED[recorded_simplenn.FILE] += 1


def test_values_and_derivatives_agree_with_matconvnet(golden):
    numbers, net, tolerance = golden
    res = run(net, numbers["x"], dzdy=1.0)
    for i, (x, dzdx, dzdw) in enumerate(zip(numbers["res_x"], numbers["res_dzdx"], numbers["res_dzdw"], strict=True)):
        count(f"res({i + 1}).x", agrees(res[i].x, x, tolerance))
        count(f"res({i + 1}).dzdx", agrees(res[i].dzdx, dzdx, tolerance))
        assert len(res[i].dzdw) == (len(dzdw) if isinstance(dzdw, list) else 0)
        for j, theirs in enumerate(dzdw if isinstance(dzdw, list) else []):
            # Sums that cancel are held to the size of their terms. Behind conv1's biases comes a batch normalisation, so
            # that their derivative is 0; of its multipliers MatConvNet's own single numbers are 3e-6 from its double ones.
            cancels = (i, j) == (0, 1) or ((i, j) == (1, 0) and tolerance > 1e-10)
            terms = np.abs(res[i + 1].dzdx).sum(axis=(0, 1, 3)).max() if cancels else 0.0
            count(f"res({i + 1}).dzdw{{{j + 1}}}", agrees(res[i].dzdw[j], theirs, tolerance, terms))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_layers_in_test_mode_agree_with_matconvnet(golden):
    """Each layer alone, on MatConvNet's input: moments of 0 fill the recorded run with infinities and NaNs."""
    numbers, net, tolerance = golden
    for i, (x, y) in enumerate(zip(numbers["test_res_x"], numbers["test_res_x"][1:], strict=False)):
        part = SimpleNN([net.layers[i]])
        part.normalise = True
        ours = run(part, x, mode="test")[1].x
        if np.isnan(x).any() and net.layers[i]["type"] == "relu":
            ours = np.nan_to_num(ours)  # MATLAB's max of NaN and 0 is 0; here NaN is passed on
        count(f"res({i + 2}).x in test mode", agrees(ours, y, tolerance))


# ---------------------------------------------------------------- what a layer means


def test_a_chain_computes_what_its_dagnn_computes():
    net = chain()
    res = run(net, X, dzdy=1.0)
    dag = from_simplenn(net)
    dag.conserve_memory = False
    drop = dag.layers["layer5"].block
    drop.mask, drop.frozen = res[5].aux, True
    dag.eval({"x0": X, "label": LABELS}, {"x10": 1.0})
    for i, result in enumerate(res):
        assert np.array_equal(result.x, dag.vars[f"x{i}"].value)
        assert np.array_equal(result.dzdx, dag.vars[f"x{i}"].der)
    ders = [der for result in res for der in result.dzdw]
    assert all(np.array_equal(a, p.der) for a, p in zip(ders, dag.params.values(), strict=True))


def test_the_derivative_of_a_chain_is_the_slope_of_its_loss():
    net, step, direction = chain(), 1e-6, array(*X.shape, seed=1)
    dzdx = run(net, X, dzdy=1.0)[0].dzdx
    losses = []
    for sign in (1, -1):
        net.seed()  # the same mask of dropout
        losses.append(run(net, X + sign * step * direction)[-1].x)
    net.seed()
    dzdx = run(net, X, dzdy=1.0)[0].dzdx
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(np.sum(dzdx * direction), rel=1e-6)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"type": "spnorm", "param": [3, 3, 0.5, 0.5]}, spnorm.forward(X, param=(3, 3, 0.5, 0.5))),
        ({"type": "noffset", "param": [1, 0.5]}, noffset.forward(X, param=(1, 0.5))),
        ({"type": "softmax"}, softmax.forward(X)),
        ({"type": "pdist", "class": X[:1, :1], "p": 1}, pdist.forward(X, X[:1, :1], 1)),
        (
            {"type": "pdist", "class": -X, "aggregate": True, "noRoot": True, "instanceWeights": abs(X[:, :, :1])},
            pdist.forward(X, -X, 2, aggregate=True, no_root=True, instance_weights=abs(X[:, :, :1])),
        ),
    ],
    ids=["spnorm", "noffset", "softmax", "pdist", "pdist weighted"],
)
def test_a_layer_does_what_the_function_does_that_it_names(layer, expected):
    res = run(SimpleNN([layer]), X, dzdy=np.ones(expected.shape))
    assert np.array_equal(res[1].x, expected)
    assert res[0].dzdx.shape == X.shape
    if "instanceWeights" not in layer:  # which a DagNN would take as one more input
        dag = from_simplenn(SimpleNN([layer]))
        dag.eval({"x0": X} | ({"label": layer["class"]} if "class" in layer else {}))
        assert np.array_equal(dag.vars["x1"].value, expected)


def test_a_loss_is_vl_nnloss_with_its_default_and_divides_in_master_alone():
    scores = array(4, 3, 3, 2)
    net = SimpleNN([{"type": "loss", "class": np.array([[1, 3]])}])
    summed = run(net, scores)[1].x
    net.normalise = True
    assert run(net, scores)[1].x == pytest.approx(summed / 2)
    log_probability = -np.log(softmax.forward(scores))
    assert summed == pytest.approx(log_probability[:, :, 0, 0].sum() + log_probability[:, :, 2, 1].sum())


def test_the_second_channel_of_a_softmaxlosss_labels_weighs_pixels():
    scores, labels = array(2, 2, 3, 1), np.ones((2, 2, 2, 1))
    labels[:, :, 1] = 0
    labels[0, 1, :, 0] = 2, 5
    res = run(SimpleNN([{"type": "softmaxloss", "class": labels}]), scores, dzdy=1.0)
    assert res[1].x == pytest.approx(-5 * np.log(softmax.forward(scores)[0, 1, 1, 0]))
    assert np.count_nonzero(res[0].dzdx[..., 0].any(axis=2)) == 1


def test_of_a_batch_of_one_the_labels_may_lack_the_last_dimension():
    scores, labels = array(2, 2, 3, 1), np.ones((2, 2, 2, 1))
    labels[:, :, 1] = array(2, 2, 1)
    losses = [run(SimpleNN([{"type": "softmaxloss", "class": c}]), scores)[1].x for c in (labels, labels[..., 0])]
    assert losses[0] == losses[1]


def test_a_batch_normalisation_of_one_channel_runs():
    x, weights = array(3, 3, 1, 2), [array(1), array(1), abs(array(1, 2))]
    assert np.array_equal(
        run(SimpleNN([{"type": "bnorm", "weights": weights}]), x)[1].x, bnorm.forward(x, *weights[:2], epsilon=1e-5)[0]
    )


def test_in_test_mode_batch_normalisation_takes_its_third_weight_and_dropout_rests():
    net = chain()
    res = run(net, X, mode="test")
    g, b, moments = net.layers[1]["weights"]
    assert np.array_equal(res[2].x, bnorm.forward(res[1].x, g, b, moments=moments)[0])
    assert res[5].x is res[4].x and res[5].aux is None


@pytest.mark.parametrize("times", [1, 2])
def test_moments_come_as_a_derivative_times_the_images_in_the_releases(times):
    net = SimpleNN([{"type": "bnorm", "weights": [np.ones(2), np.zeros(2)], "epsilon": 0.5}])
    assert net.scale_moments_by_images  # unless it is told otherwise
    net.scale_moments_by_images = times == 2
    res = run(net, X, dzdy=X)
    assert np.array_equal(res[0].dzdw[2], times * bnorm.batch_moments(X, 0.5))


# ---------------------------------------------------------------- custom layers


def test_a_custom_layer_is_two_functions():
    def forward(layer, res_i, res_i1):
        res_i1.x = layer["factor"] * res_i.x
        res_i1.aux = "kept"
        return res_i1

    def backward(layer, res_i, res_i1):
        assert res_i1.aux == "kept"
        res_i.dzdx = layer["factor"] * res_i1.dzdx
        res_i.dzdw = [np.sum(res_i.x * res_i1.dzdx)]
        return res_i

    net = SimpleNN(
        [CONV, {"type": "custom", "factor": 3.0, "forward": forward, "backward": backward}, {"type": "relu"}]
    )
    res = run(net, X, dzdy=X.mean() * np.ones((5, 6, 4, 2)), conserve_memory=True)
    plain = run(SimpleNN([CONV, {"type": "relu"}]), X, dzdy=3 * X.mean() * np.ones((5, 6, 4, 2)))
    assert np.allclose(res[3].x, 3 * plain[2].x)
    assert np.allclose(res[0].dzdx, plain[0].dzdx)
    assert len(res[1].dzdw) == 1


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({}, "its forward is None; a function forward(layer, res_i, res_i1) is right"),
        (
            {"forward": lambda layer, a, b: None},
            "its forward returned a NoneType; res_i1, brought up to date, is right",
        ),
    ],
)
def test_a_custom_layer_that_is_not_right_is_named(functions, message):
    with pytest.raises(ValueError) as error:
        run(SimpleNN([{"type": "custom", "name": "mine"} | functions]), X)
    assert message in str(error.value)
    assert error.value.__notes__ == ["in layer 1 'mine' (custom), input (5, 6, 2, 2)"]


# ---------------------------------------------------------------- going back


def test_conserving_memory_changes_no_derivative_for_weights():
    every = run(chain(), X, dzdy=1.0)
    few = run(chain(), X, dzdy=1.0, conserve_memory=True)
    assert all(
        np.array_equal(a, b) for r, s in zip(every, few, strict=True) for a, b in zip(r.dzdw, s.dzdw, strict=True)
    )
    assert np.array_equal(every[0].dzdx, few[0].dzdx)
    assert [r.x is None for r in few] == [False, *[True] * 9, False]


def test_a_relu_goes_back_from_its_output_and_its_input_is_freed_on_the_way_forward():
    seen = []

    def look(layer, res_i, res_i1):
        res_i1.x = res_i.x
        seen[:] = [r.x is None for r in res]
        return res_i1

    def back(layer, res_i, res_i1):
        res_i.dzdx = res_i1.dzdx
        return res_i

    net = SimpleNN(
        [{"type": "sigmoid"}, {"type": "relu"}, {"type": "relu"}, {"type": "custom", "forward": look, "backward": back}]
    )
    res = [simplenn.Result() for _ in range(5)]
    run(net, X, dzdy=X, res=res, conserve_memory=True)
    assert seen == [False, True, False, False, False]
    assert res[0].dzdx is not None


def test_without_a_way_back_only_the_output_and_what_is_precious_stay():
    net = chain()
    net.layers[3]["precious"] = True
    res = run(net, X, conserve_memory=True)
    assert [i for i, r in enumerate(res) if r.x is not None] == [4, 10]
    res = run(net, X, dzdy=1.0, conserve_memory=True)
    assert [i for i, r in enumerate(res) if r.dzdx is not None] == [0, 4, 10]


@pytest.mark.parametrize("kind", ["softmaxloss", "loss"])
def test_losses_stay_whatever_is_conserved(kind):
    net = SimpleNN([{"type": kind, "class": LABELS[:, None]}, {"type": "relu"}])
    res = run(net, array(1, 1, 3, 2), conserve_memory=True)
    assert [r.x is None for r in res] == [True, False, False]


def test_the_way_back_ends_at_its_depth():
    whole, part = run(chain(), X, dzdy=1.0), run(chain(), X, dzdy=1.0, back_prop_depth=3, conserve_memory=True)
    assert [i for i, r in enumerate(part) if r.dzdw] == [8]
    assert np.array_equal(part[7].dzdx, whole[7].dzdx)
    assert part[6].dzdx is None and part[3].x is None  # and what lies before it need not be kept


def test_each_layer_tells_how_long_it_took():
    res = run(chain(), X, dzdy=1.0, sync=True)
    assert all(0 <= r.time < 60 and 0 <= r.backward_time < 60 for r in res)


def test_derivatives_accumulate_over_parts_of_a_batch():
    net = SimpleNN([CONV, {"type": "relu"}, {"type": "conv", "weights": filters(5, 6, 4, 3)}, {"type": "loss"}])
    net.layers[-1]["class"] = LABELS
    whole = run(net, X, dzdy=1.0)
    res = None
    for image in (0, 1):
        net.layers[-1]["class"] = LABELS[image : image + 1]
        res = run(net, X[..., image : image + 1], dzdy=1.0, res=res, accumulate=True)
    for r, s in zip(whole, res, strict=True):
        assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(r.dzdw, s.dzdw, strict=True))
    again = run(net, X[..., 1:], dzdy=1.0, res=res)
    assert not np.allclose(again[0].dzdw[0], whole[0].dzdw[0])  # without accumulate they are replaced


def test_the_way_forward_can_be_skipped():
    net = chain()
    whole = run(net, X, dzdy=1.0)
    res = run(chain(), X)
    before = values(res)
    res[5].aux = whole[5].aux  # the other net drew another mask
    for i, r in enumerate(res):
        r.x = whole[i].x
    run(net, None, dzdy=1.0, res=res, skip_forward=True)
    assert np.array_equal(res[0].dzdx, whole[0].dzdx)
    assert len(before) == len(res)


def test_without_values_there_is_no_way_back():
    net = SimpleNN([CONV, {"type": "relu"}])
    res = run(net, X, conserve_memory=True)
    with pytest.raises(ValueError, match="there is nothing to go back from: a value is missing") as error:
        run(net, None, dzdy=1.0, res=res, skip_forward=True)
    assert error.value.__notes__ == ["in layer 1 'layer1' (conv), input none"]


def test_the_inputs_derivative_is_spared_where_nobody_asks():
    net = SimpleNN([CONV])
    net.input_ders = False
    res = run(net, X, dzdy=1.0)
    assert res[0].dzdx is None and len(res[0].dzdw) == 2


# ---------------------------------------------------------------- the net


def test_masks_follow_from_the_seed_and_go_on_from_run_to_run():
    nets = [SimpleNN([{"type": "dropout"}, {"type": "dropout"}]) for _ in range(3)]
    nets[2].seed(1, 5)
    masks = [[r.aux for _ in range(2) for r in run(net, X)[1:]] for net in nets]
    assert all(np.array_equal(a, b) for a, b in zip(masks[0], masks[1], strict=True))
    different = [*masks[0], *masks[2]]
    assert all(not np.array_equal(a, b) for i, a in enumerate(different) for b in different[:i])


def test_a_layer_may_be_changed_between_runs():
    net = SimpleNN([{"type": "dropout"}])
    run(net, X)
    net.layers[0]["rate"] = 0.0
    assert np.array_equal(run(net, X)[1].x, X)


@pytest.mark.parametrize("bare", [{}, {"name": "layer2", "weights": []}, {"name": "layer2", "precious": False}])
def test_layers_may_be_added_later_as_bare_as_they_are(bare):
    net = SimpleNN([])
    net.layers += [CONV, {"type": "relu"} | bare]
    assert np.array_equal(run(net, X, conserve_memory=True)[-1].x, run(SimpleNN(net.layers), X)[-1].x)
    assert net.layers[1]["name"] == "layer2"


def test_a_dagnn_takes_over_the_nets_release():
    net = chain()
    net.normalise, net.scale_moments_by_images = True, False
    blocks = [record.block for record in from_simplenn(net).layers.values()]
    assert blocks[-1].normalise is True and blocks[1].scale_moments_by_images is False


def test_a_copy_is_a_net_of_its_own():
    net = chain()
    other = net.copy()
    other.layers[0]["weights"][0][...] = 0
    other.meta["name"] = "other"
    assert net.layers[0]["weights"][0].any() and not net.meta


def test_a_net_tells_what_it_is():
    net = SimpleNN([CONV, {"type": "relu"}])
    assert repr(net) == "SimpleNN(2 layers with 76 values: conv relu)"


def test_neither_weights_nor_input_are_written_to():
    net, x = chain(), X.copy()
    before = [w.copy() for layer in net.layers for w in layer["weights"]]
    run(net, x, dzdy=1.0, conserve_memory=True)
    assert np.array_equal(x, X)
    assert all(
        np.array_equal(a, b) for a, b in zip(before, (w for la in net.layers for w in la["weights"]), strict=True)
    )


def test_on_the_gpu_a_chain_computes_the_same(gpu):
    from dagnet.layers.array import to_gpu, to_numpy

    net = chain()
    del net.layers[4]  # dropout draws other masks there
    expected = run(net, X, dzdy=1.0)
    net.move("gpu")
    res = run(net, to_gpu(X), dzdy=1.0, sync=True)
    assert np.allclose(to_numpy(res[0].dzdx), expected[0].dzdx, rtol=1e-10)
    with pytest.raises(ValueError, match="x: it is a numpy array and the net is on the gpu"):
        run(net, X)
    net.move("cpu")
    assert np.array_equal(run(net, X)[-1].x, expected[-1].x)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([{"type": "relu"}], {"mode": "train"}, "run: mode is 'train'; 'normal' or 'test' is right"),
        ([{"type": "relu"}], {"res": []}, "run: res has 0 results; 2, one more than the net has layers, are right"),
        ([{"type": "relu"}], {"skip_forward": True}, "run: res has none results; 2,"),
        ([{"type": "loss"}], {}, "it is a loss layer without labels; set its field 'class'"),
        (
            [CONV | {"weights": []}],
            {},
            "layers{1} 'layer1': it is a conv layer with 0 weights; it must have its weights",
        ),
        (
            [{"type": "conv", "weights": [np.zeros((0, 0)), array(1, 4)]}],
            {},
            "layers{1} 'layer1': it is a conv layer with 2 weights; it must have its weights",
        ),
        ([CONV | {"pad": [1, 2, 3]}], {}, "layers{1} 'layer1': Conv: pad: it is [1, 2, 3]"),
        ([{"type": "relu"}], {"dzdy": np.ones(3)}, "the derivative for the net's output has shape (3,)"),
        ([{"name": "nothing"}], {}, "layers{1} has no type; a field `type` with a text is right"),
        ([{"type": "conv", "weights": ["f"]}], {}, "layers{1} has a str among its weights; arrays are right"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(layers, options, message):
    with pytest.raises(ValueError) as error:
        run(SimpleNN(layers), X, **options)
    assert message in str(error.value)


def test_an_input_that_is_no_array_is_refused():
    with pytest.raises(ValueError, match="run: x: it is a list; a NumPy or CuPy array"):
        run(SimpleNN([{"type": "relu"}]), [1.0])


def test_a_layer_of_a_type_that_nobody_knows_says_how_to_supply_it():
    with pytest.raises(NotImplementedError, match=r"'SubP' is not known here; catalogue\.register") as error:
        run(SimpleNN([CONV, {"type": "SubP", "name": "down"}]), X)
    assert error.value.__notes__ == ["in layer 2 'down' (SubP), input (5, 6, 4, 2)"]


def test_a_layer_that_does_not_fit_its_input_is_named():
    with pytest.raises(ValueError) as error:
        run(SimpleNN([{"type": "relu"}, CONV]), X[:, :, :1])
    assert error.value.__notes__ == ["in layer 2 'layer2' (conv), input (5, 6, 1, 2)"]
