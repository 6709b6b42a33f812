"""dagnet.parity.compare and runs: how far, how far is too far, and what each layer does alone."""

import numpy as np
import pytest

from dagnet import DagNN
from dagnet.files import matfile
from dagnet.layers import bnorm, concat, conv, dropout, pool, relu
from dagnet.layers import sum as sum_
from dagnet.parity import compare, dump, hints, measures
from tests import dumps


def loaded(folder, struct) -> dump.Dump:
    """The dump as it comes from a file."""
    matfile.write(folder / "dump.mat", {"dump": struct})
    return dump.load(folder / "dump.mat")


def by_label(result: compare.Comparison) -> dict[str, compare.Row]:
    return {row.label: row for row in result.rows}


# -- how far


def test_a_measure_is_what_it_says():
    b = np.array([[3.0, 4.0]], np.float32)
    far = measures.measure(b + np.float32([[0, 0.5]]), b)
    assert (far.max_abs, far.relative) == (0.5, 0.125)
    assert far.ulps == 0.5 / 2.0**-21  # from 4 on, singles lie 2^-21 apart
    assert far.off_cosine == pytest.approx(1 - (9 + 18) / (5 * np.hypot(3, 4.5)))
    assert measures.measure(b.astype(float) + 2.0**-50, b.astype(float)).ulps == 1
    for whole in (np.uint8, bool):  # labels, masks
        assert measures.measure(np.array([0.0, 1]), np.array([1, 1], whole)).ulps == 2.0**52


def test_equal_arrays_are_at_no_distance_whatever_they_hold():
    for values in ([0.0, 0.0], [np.nan, 1], [np.inf, -np.inf], []):
        far = measures.measure(np.array(values), np.array(values))
        assert (far.max_abs, far.relative, far.off_cosine, far.ulps, far.problem) == (0, 0, 0, 0, "")


def test_where_nan_stands_is_said():
    one, nan = np.ones(2), np.array([1, np.nan])
    assert measures.measure(nan, one).problem == "NaN or infinite here"
    assert measures.measure(one, nan).problem == "NaN or infinite in MATLAB"
    assert measures.measure(nan, nan[::-1]).problem == "NaN or infinite here and in MATLAB"


def test_what_cannot_be_compared_says_why():
    b = np.ones((2, 3, 1, 1))
    assert measures.measure(None, b).problem == "not computed here"
    assert measures.measure(np.ones((3, 2, 1, 1)), b).problem == "size 3x2, MATLAB's 2x3"
    assert measures.measure(np.full((2, 3), np.nan), b).problem == "NaN or infinite here"
    assert measures.measure(np.ones((2, 3, 1, 1)), np.full((2, 3), np.inf)).relative == np.inf


def test_trailing_sizes_of_one_and_how_a_vector_lies_count_for_nothing():
    assert measures.measure(np.ones((2, 3, 1, 1)), np.ones((2, 3))).max_abs == 0
    assert measures.measure(np.ones((4, 1)), np.ones((1, 4, 1, 1))).max_abs == 0


def test_a_difference_from_zeros_has_no_relative_size():
    far = measures.measure(np.full(3, 0.1), np.zeros(3))
    assert (far.max_abs, far.relative, far.off_cosine) == (0.1, np.inf, 1)


# -- how far is too far


def chain(*layers, dtype=np.float32) -> DagNN:
    """Layers in a row, x0 to xN, with random parameters."""
    net, rng = DagNN(), np.random.default_rng(0)
    for i, layer in enumerate(layers):
        values = layer.init_params(rng)
        names = [f"p{i}_{j}" for j in range(len(values))]
        net.add_layer(f"layer{i}", layer, f"x{i}", f"x{i + 1}", names)
        for name, value in zip(names, values, strict=True):
            net.params[name].value = (value + 0.1 * rng.standard_normal(value.shape)).astype(dtype)
    return net


def twins(folder, net, x, spoil=None):
    """The comparison of a net with its own dump, spoiled."""
    y = net.outputs[0]
    shape = net.get_var_sizes({"x0": x.shape})[y]
    dy = np.random.default_rng(1).standard_normal(shape).astype(x.dtype)
    struct = dumps.record(net, {"x0": x}, {y: dy})
    if spoil:
        spoil(struct)
    return compare.compare(net, loaded(folder, struct))


def test_a_bias_whose_derivative_cancels_is_measured_against_its_terms(tmp_path, rng):
    net = chain(conv.Conv([3, 3, 2, 4], pad=1), bnorm.BatchNorm(4))
    x = rng.standard_normal((9, 8, 2, 3)).astype(np.float32)

    def other_rounding(struct):
        der = dumps.value(struct, "p0_1")["der"]
        der[...] = -der  # rounding is all that it holds

    row = by_label(twins(tmp_path, net, x, other_rounding))["d p0_1"]
    assert row.whole.relative > 1 and row.ok

    def wrong(struct):
        dumps.value(struct, "p0_1")["der"][...] += 1e-3

    assert not by_label(twins(tmp_path, net, x, wrong))["d p0_1"].ok


def test_tolerance_grows_with_depth_end_to_end_but_not_alone(tmp_path, rng):
    net = chain(relu.ReLU(), relu.ReLU(), relu.ReLU())
    rows = by_label(twins(tmp_path, net, rng.standard_normal((2, 2, 1, 1)).astype(np.float32)))
    assert [rows[f"x{i}"].allowed_whole for i in (1, 2, 3)] == pytest.approx([2e-6, 4e-6, 6e-6])
    assert [rows[f"d x{i}"].allowed_whole for i in (2, 1, 0)] == pytest.approx([8e-6, 10e-6, 12e-6])
    assert {rows[f"x{i}"].allowed_alone for i in (1, 2, 3)} == {2e-6}


def test_tolerance_grows_with_the_root_of_the_number_of_products_beyond_1024(tmp_path, rng):
    net = chain(conv.Conv([3, 3, 256, 2], pad=1), conv.Conv([1, 1, 2, 2]))
    rows = by_label(twins(tmp_path, net, rng.standard_normal((40, 40, 256, 1)).astype(np.float32)))
    alone = {label: rows[label].allowed_alone for label in ("x1", "x2", "d p0_0", "d p1_1")}
    ways = {"x1": 3 * 3 * 256, "x2": 1024, "d p0_0": 40 * 40, "d p1_1": 40 * 40}
    assert alone == pytest.approx({label: 2e-6 * np.sqrt(n) / 32 for label, n in ways.items()})


def test_zeros_on_both_sides_are_within_tolerance_and_no_decision_that_differs(tmp_path):
    net = chain(relu.ReLU(), relu.ReLU())
    result = twins(tmp_path, net, -np.ones((2, 3, 1, 1)))
    assert result.ok and not result.flips and by_label(result)["d x0"].largest == 0


def test_double_precision_is_held_to_more(tmp_path, rng):
    net = chain(conv.Conv([1, 1, 2, 2]), dtype=np.float64)
    x = rng.standard_normal((3, 3, 2, 1))

    def off(struct):
        dumps.value(struct, "x1")["value"] *= 1 + 1e-12

    assert twins(tmp_path, net, x).ok
    assert [row.label for row in twins(tmp_path, net, x, off).bad] == ["x1"]


def one_flip(tmp_path, decides):
    """A run whose x1 is by rounding at another side of a corner than MATLAB's; in all else they agree."""
    net = chain(conv.Conv([1, 1, 1, 1], has_bias=False), *decides)
    net.params["p0_0"].value[...] = 1
    x = np.random.default_rng(2).uniform(0.5, 2, (40, 40, 1, 4)).astype(np.float32)
    x[7, 7, 0, 0], x[7, 8, 0, 0] = 1e-9, -1e-9
    theirs = net.copy()
    theirs.params["p0_0"].value[...] = 1
    y = net.outputs[0]
    shape = net.get_var_sizes({"x0": x.shape})[y]
    dy = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    near = x.copy()
    near[7, 7, 0, 0], near[7, 8, 0, 0] = -1e-9, 1e-9
    struct = dumps.record(theirs, {"x0": near}, {y: dy})
    return compare.compare(net, loaded(tmp_path, dumps.shown(struct, "x0", x)))


def test_a_relu_that_rounding_decided_is_counted_and_excused_by_direction(tmp_path):
    result = one_flip(tmp_path, [relu.ReLU()])
    rows = by_label(result)
    assert result.flips == {"layer1": 2}
    far = rows["d x1"].whole
    assert far.relative > rows["d x1"].allowed_whole and far.off_cosine > 0 and rows["d x1"].decided == 2
    assert rows["d x1"].whole_ok == (far.off_cosine <= compare.DECIDED)
    assert rows["x2"].decided == rows["d x2"].decided == 0  # values, and what lies behind it, are not excused


def test_behind_the_relu_that_decided_otherwise_derivatives_are_not_excused(tmp_path):
    rows = by_label(one_flip(tmp_path, [relu.ReLU(), pool.Pooling("avg", [1, 1])]))
    assert [rows[f"d x{i}"].decided for i in range(4)] == [2, 2, 0, 0]


def test_the_excuse_ends_where_the_direction_does():
    far = measures.Measure(0.5, 0.5, 2 * compare.DECIDED, 1e6)
    row = compare.Row("a", "ReLU", "der", "x", (3,), far, None, 1e-5, 1e-5, 1.0, 1.0, decided=3)
    assert not row.ok
    row.whole = measures.Measure(0.5, 0.5, compare.DECIDED / 2, 1e6)
    assert row.ok
    row.decided = 0
    assert not row.ok


# -- alone


def test_an_early_mistake_is_not_seen_in_later_layers_alone(tmp_path, rng):
    net = chain(conv.Conv([3, 3, 2, 3]), relu.ReLU(), pool.Pooling("avg", [2, 2]), conv.Conv([1, 1, 3, 2]))
    x = rng.standard_normal((6, 6, 2, 2)).astype(np.float32)
    struct = dumps.record(net, {"x0": x}, {"x4": np.ones((3, 3, 2, 2), np.float32)})
    net.params["p0_0"].value[0, 0, 0, 0] += 1
    result = compare.compare(net, loaded(tmp_path, struct))
    assert {row.layer for row in result.rows if not row.alone_ok} == {"layer0"}
    assert {row.layer for row in result.rows if not row.whole_ok} == {f"layer{i}" for i in range(4)}
    assert result.first_bad().layer == "layer0"


def test_a_derivative_to_which_several_layers_add_is_their_sum(tmp_path, rng):
    net = DagNN()
    net.add_layer("left", conv.Conv([1, 1, 2, 2], has_bias=False), "x", "x1", ["f"])
    net.add_layer("right", conv.Conv([1, 1, 2, 2], has_bias=False), "x", "x2", ["f"])
    net.add_layer("sum", sum_.Sum(), ["x1", "x2", "x1"], "y")
    net.params["f"].value = rng.standard_normal((1, 1, 2, 2))
    x, dy = rng.standard_normal((3, 4, 2, 1)), rng.standard_normal((3, 4, 2, 1))
    result = compare.compare(net, loaded(tmp_path, dumps.record(net, {"x": x}, {"y": dy})))
    rows = by_label(result)
    assert result.ok and all(rows[label].alone is not None for label in ("d x", "d x1", "d x2", "d f"))


def test_a_sum_of_which_one_part_could_not_run_is_not_compared_with_the_rest(tmp_path, rng):
    net = DagNN()
    net.add_layer("left", relu.ReLU(), "x", "x1")
    net.add_layer("right", conv.Conv([1, 1, 2, 2], has_bias=False), "x", "x2", ["f"])
    net.add_layer("sum", sum_.Sum(), ["x1", "x2"], "y")
    net.params["f"].value = rng.standard_normal((1, 1, 2, 2))
    struct = dumps.record(net, {"x": rng.standard_normal((3, 4, 2, 1))}, {"y": np.ones((3, 4, 2, 1))})
    net.params["f"].value = rng.standard_normal((1, 1, 3, 2))
    result = compare.compare(net, loaded(tmp_path, struct))
    assert by_label(result)["d x"].alone is None and {row.layer for row in result.rows if not row.alone_ok} == {"right"}


def test_what_the_dump_does_not_hold_is_made_up_for_by_ours(tmp_path, rng):
    net = chain(conv.Conv([3, 3, 2, 3]), relu.ReLU(), conv.Conv([1, 1, 3, 2]))
    x = rng.standard_normal((6, 6, 2, 2)).astype(np.float32)

    def without(struct):
        dumps.value(struct, "x1")["value"] = dumps.value(struct, "x1")["der"] = dumps.EMPTY

    result = twins(tmp_path, net, x, without)
    rows = by_label(result)
    assert result.ok and result.not_dumped == ["x1"]
    assert rows["x2"].alone is not None and rows["x2"].allowed_alone == rows["x2"].allowed_whole


def test_a_dropout_takes_the_mask_that_matlab_drew(tmp_path, rng):
    net = chain(relu.ReLU(), dropout.DropOut(0.3), conv.Conv([1, 1, 2, 2]))
    net.layers["layer1"].block.seed(5)
    # half of it 0 after the ReLU: there derivatives tell the mask
    x = rng.standard_normal((6, 6, 2, 2)).astype(np.float32)
    struct = dumps.record(net, {"x0": x}, {"x3": np.ones((6, 6, 2, 2), np.float32)})
    net.layers["layer1"].block.seed(6)
    assert compare.compare(net, loaded(tmp_path, struct)).ok


def test_a_mask_that_cannot_be_known_is_asked_for(tmp_path, rng):
    net = chain(relu.ReLU(), dropout.DropOut(0.3), relu.ReLU())
    struct = dumps.record(net, {"x0": rng.standard_normal((6, 6, 2, 2))})
    dumps.value(struct, "x1")["value"] = dumps.EMPTY
    with pytest.raises(ValueError, match=r"layer 'layer1': the dump lacks 'x1' or 'x2', so the mask .* is not known"):
        compare.compare(net, loaded(tmp_path, struct))


def test_an_input_that_matlab_had_from_before_is_given_here_too(tmp_path, rng):
    """MatConvNet keeps what an input held where eval is not given it anew."""
    net = DagNN()
    net.add_layer("sum", sum_.Sum(), ["x", "mask"], "y")
    struct = dumps.record(net, {"x": rng.standard_normal((3, 4, 2, 1)), "mask": rng.standard_normal((3, 4, 2, 1))})
    struct["inputs"] = struct["inputs"][:, :2]
    found = loaded(tmp_path, struct)
    result = compare.compare(net, found)
    assert list(found.inputs) == ["x"] and result.ok and set(by_label(result)) == {"x", "mask", "y"}
    brought = {"x": found.inputs["x"] + 1}
    assert [hint.where for hint in hints.find(net, found, compare.compare(net, found, brought), brought)] == ["x"]


def test_a_dump_of_another_net_is_refused_by_the_name_that_is_missing(tmp_path, rng):
    net = chain(relu.ReLU())
    struct = dumps.record(net, {"x0": rng.standard_normal((3, 4, 2, 1))}, {"x1": 1.0})
    found = loaded(tmp_path, struct)
    net.rename_var("x1", "y")
    with pytest.raises(
        ValueError, match=r"dump.derOutputs: the net has no variable 'x1', only y; the network that was"
    ):
        compare.compare(net, found)
    net.rename_var("x0", "x")
    with pytest.raises(ValueError, match=r"dump.inputs: the net has no variable 'x0', only x; the network that was"):
        compare.compare(net, found)


@pytest.mark.parametrize(("dtype", "says"), [(np.float32, "single .* is double"), (np.float64, "double .* is single")])
def test_a_dump_in_another_precision_is_refused_in_one_sentence(dtype, says, tmp_path, rng):
    net = chain(conv.Conv([1, 1, 2, 2]))
    theirs = chain(conv.Conv([1, 1, 2, 2]), dtype=np.float64)
    x = rng.standard_normal((3, 3, 2, 1))
    if dtype == np.float64:
        net, theirs, x = theirs, net, x.astype(np.float32)
    with pytest.raises(ValueError, match=f"layer 'layer0': its parameter 'p0_0' is {says}; the network as it was"):
        compare.compare(net, loaded(tmp_path, dumps.record(theirs, {"x0": x})))


def test_other_parameters_are_told_from_two_layers_on_and_where_none_without_parameters_is_off(tmp_path, rng):
    x = rng.standard_normal((6, 6, 2, 2))

    def causes(*changed, factor=1.0):
        net = chain(conv.Conv([1, 1, 2, 2]), relu.ReLU(), conv.Conv([1, 1, 2, 2]), dtype=np.float64)
        found = loaded(tmp_path, dumps.record(net, {"x0": x}))
        for name in changed:
            net.params[name].value = net.params[name].value * 1.3
        net.layers["layer1"].block.leak = 1 - factor
        return [(hint.where, hint.cause) for hint in hints.find(net, found, compare.compare(net, found))]

    assert causes("p0_0", "p2_0") == [("layer0", "parameters")]
    assert causes("p0_0") == causes("p2_0") == causes("p0_0", "p2_0", factor=0.5) == []


def test_a_run_that_stops_is_compared_as_far_as_it_came(tmp_path, rng):
    net = DagNN()
    net.add_layer("pool", pool.Pooling("max", [2, 2], stride=[2, 2]), "x", "x1")
    net.add_layer("up", pool.Pooling("max", [1, 1], stride=[2, 2]), "x", "x2")
    net.add_layer("concat", concat.Concat(), ["x1", "x2"], "y")
    struct = dumps.record(net, {"x": rng.standard_normal((6, 6, 2, 1))})
    net.layers["pool"].block.pad = [1, 1, 1, 1]
    found = loaded(tmp_path, struct)
    result = compare.compare(net, found)
    assert "in layer 'concat'" in result.stopped and result.first_bad().layer == "pool"
    assert [(h.where, h.cause) for h in hints.find(net, found, result)] == [("pool", "border")]
