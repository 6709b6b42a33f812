"""DagNN: running forward and backward, what is freed and when, derivatives that meet, sizes, copies."""

import numpy as np
import pytest

from dagnet import DagNN
from dagnet.layers import array, concat, conv, dropout, loss, pool, relu
from dagnet.layers import sum as sum_layer


def small_net(seed=0):
    """input -> conv1 -> relu1 -> conv2 -> prediction -> objective, in float32."""
    net = DagNN()
    net.add_layer("conv1", conv.Conv([3, 3, 2, 4], pad=1), "input", "x1", ["conv1f", "conv1b"])
    net.add_layer("relu1", relu.ReLU(), "x1", "x2")
    net.add_layer("conv2", conv.Conv([1, 1, 4, 3]), "x2", "prediction", ["conv2f", "conv2b"])
    net.add_layer("objective", loss.Loss(), ["prediction", "label"], "objective")
    net.init_params(np.random.default_rng(seed))
    return net


def batch(rng, n=2):
    label = rng.integers(1, 4, (6, 5, 1, n)).astype(np.float32)
    return {"input": rng.standard_normal((6, 5, 2, n), np.float32), "label": label}


def test_values_and_derivatives_are_there_when_all_is_kept(rng):
    net = small_net()
    net.conserve_memory = False
    net.eval(batch(rng), {"objective": 1})
    for name, shape in {
        "input": (6, 5, 2, 2),
        "x1": (6, 5, 4, 2),
        "x2": (6, 5, 4, 2),
        "prediction": (6, 5, 3, 2),
    }.items():
        assert net.vars[name].value.shape == net.vars[name].der.shape == shape
    assert {p.name: p.der.shape for p in net.params.values()} == {p.name: p.value.shape for p in net.params.values()}


def test_memory_is_freed_but_for_outputs_and_what_is_precious(rng):
    net = small_net()
    net.mode = "test"
    net.vars["x2"].precious = True
    net.eval(batch(rng))
    assert net.vars["objective"].value is not None and net.vars["x2"].value.shape == (6, 5, 4, 2)
    with pytest.raises(
        RuntimeError, match=r"value of variable 'prediction' was freed after layer 'objective' had read it"
    ):
        net.vars["prediction"].value
    with pytest.raises(RuntimeError, match=r"net.vars\['x1'\].precious = True"):
        net.vars["x1"].value


def test_the_loss_of_a_training_step_can_be_read(rng):
    net = small_net()
    net.eval(batch(rng), {"objective": 1})
    assert net.vars["objective"].value > 0


def test_freeing_changes_no_derivative(rng):
    inputs = batch(rng)
    kept, freed = small_net(), small_net()
    kept.conserve_memory = False
    for net in (kept, freed):
        net.eval(inputs, {"objective": 1})
    for name in kept.params:
        assert np.array_equal(kept.params[name].der, freed.params[name].der)
    assert np.array_equal(kept.vars["input"].der, freed.vars["input"].der)


def test_relus_input_goes_during_the_forward_pass_and_what_backward_needs_stays(rng):
    net = small_net()
    seen = {}
    block = net.layers["objective"].block
    run = block.forward

    def spy(inputs, params):
        seen.update({name: var.held["value"] is not None for name, var in net.vars.items()})
        return run(inputs, params)

    block.forward = spy
    net.eval(batch(rng), {"objective": 1})
    assert not seen["x1"] and seen["x2"] and seen["input"] and seen["prediction"]


def test_a_variable_that_another_layer_reads_survives_relus_shortcut(rng):
    """MatConvNet frees it and then finds an empty input; here it is kept."""
    net = DagNN()
    net.add_layer("conv", conv.Conv([1, 1, 2, 2], has_bias=False), "input", "x", "f")
    net.add_layer("conv2", conv.Conv([1, 1, 2, 2], has_bias=False), "x", "z", "g")
    net.add_layer("relu", relu.ReLU(), "x", "y")
    net.add_layer("sum", sum_layer.Sum(), ["y", "z"], "out")
    net.init_params(rng)
    x = rng.standard_normal((3, 3, 2, 1), np.float32)
    net.eval({"input": x}, {"out": 1})
    freed = net.params["g"].der
    net.conserve_memory = False
    net.eval({"input": x}, {"out": 1})
    assert np.array_equal(freed, net.params["g"].der)


def test_derivatives_of_a_shared_variable_and_a_shared_parameter_are_summed(rng):
    net = DagNN()
    net.add_layer("a", conv.Conv([1, 1, 2, 2], has_bias=False), "input", "ya", "f")
    net.add_layer("b", conv.Conv([1, 1, 2, 2], has_bias=False), "input", "yb", "f")
    net.add_layer("cat", concat.Concat(), ["ya", "yb"], "y")
    net.init_params(rng)
    x = rng.standard_normal((3, 3, 2, 2))
    f = net.params["f"].value = net.params["f"].value.astype(float)
    dy = rng.standard_normal((3, 3, 4, 2))
    net.eval({"input": x}, {"y": dy})
    da, db = (conv.backward(x, f, None, dy[:, :, c]) for c in (slice(0, 2), slice(2, 4)))
    np.testing.assert_allclose(net.vars["input"].der, da[0] + db[0], rtol=1e-12)
    np.testing.assert_allclose(net.params["f"].der, da[1] + db[1], rtol=1e-12)


def test_parameter_derivatives_accumulate_over_sub_batches_when_asked(rng):
    net, inputs = small_net(), batch(rng, 4)
    net.eval(inputs, {"objective": 1})
    whole = {p.name: p.der for p in net.params.values()}
    for s in (0, 1):
        net.accumulate_param_ders = s > 0
        net.eval({k: v[..., s::2] for k, v in inputs.items()}, {"objective": 1})
    for name, der in whole.items():
        np.testing.assert_allclose(net.params[name].der, der, rtol=2e-5, atol=1e-5)


def test_a_layer_that_lacks_an_input_is_skipped(rng):
    net = small_net()
    net.eval({"input": batch(rng)["input"]})
    assert net.vars["prediction"].value.shape == (6, 5, 3, 2) and net.vars["objective"].value is None


def test_what_an_earlier_call_left_behind_is_forgotten(rng):
    net = small_net()
    net.conserve_memory = False
    net.eval(batch(rng), {"objective": 1})
    larger = {"input": rng.standard_normal((8, 9, 2, 3), np.float32)}
    net.eval(larger)  # the labels of the call before, of another size, are no input of this one
    assert net.vars["prediction"].value.shape == (8, 9, 3, 3)
    assert net.vars["objective"].value is None and net.vars["label"].value is None
    with pytest.raises(ValueError, match="variable 'objective' has no value"):
        net.eval(larger, {"objective": 1})


def test_derivatives_start_from_those_that_this_call_names_alone(rng):
    net, inputs = small_net(), batch(rng)
    net.vars["objective"].precious = True
    net.eval(inputs, {"objective": 1})
    net.eval(inputs, {"prediction": 0})
    assert net.vars["objective"].der is None
    assert all(not param.der.any() for param in net.params.values())


def test_a_variable_in_the_middle_of_the_net_can_be_given(rng):
    net = small_net()
    x2 = rng.standard_normal((6, 5, 4, 2), np.float32)
    net.eval({"x2": x2})
    wanted = conv.forward(x2, net.params["conv2f"].value, net.params["conv2b"].value)
    assert np.array_equal(net.vars["prediction"].value, wanted)


def test_a_layers_other_outputs_are_made_from_then_on(rng):
    net = small_net()
    net.set_layer_outputs("relu1", "z")
    assert net.inputs == ["input", "x2", "label"] and net.outputs == ["objective", "z"]
    net.eval({"input": batch(rng)["input"]})
    assert net.vars["z"].value.min() == 0 and net.vars["prediction"].value is None
    with pytest.raises(ValueError, match="cycle"):
        net.set_layer_outputs("relu1", "input")
    assert net.layers["relu1"].outputs == ["z"] and net.outputs == ["objective", "z"]


def test_a_layers_other_params_are_used_from_then_on_and_those_that_nobody_uses_go(rng):
    net, inputs = small_net(), batch(rng)
    net.set_layer_params("conv2", ["conv2f", "shift"])
    assert list(net.params) == ["conv1f", "conv1b", "conv2f", "shift"] and net.params["shift"].fanout == 1
    net.params["shift"].value = np.float32([[1], [2], [3]])
    net.vars["prediction"].precious = True
    net.eval(inputs, {"objective": 1})
    shifted = net.vars["prediction"].value
    net.set_layer_params("conv2", "conv2f")
    net.eval(inputs, {"objective": 1})
    np.testing.assert_allclose(
        shifted - net.vars["prediction"].value, np.broadcast_to([[1], [2], [3]], (6, 5, 3, 2)), atol=1e-5
    )
    assert list(net.params) == ["conv1f", "conv1b", "conv2f"]


def test_the_inputs_derivative_is_left_out_where_nobody_asks(rng):
    net = small_net()
    net.input_ders = False
    net.eval(batch(rng), {"objective": 1})
    assert net.vars["input"].der is None and net.params["conv1f"].der is not None


def test_mode_reaches_the_blocks_and_other_words_are_refused():
    net = DagNN()
    net.mode = "test"
    net.add_layer("drop", dropout.DropOut(), "x", "y")
    assert net.layers["drop"].block.mode == "test"
    net.mode = "train"
    assert net.mode == net.layers["drop"].block.mode == "normal"
    with pytest.raises(ValueError, match="'normal' or 'test' is right"):
        net.mode = "eval"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda net: net.eval({}), "net.mode = 'test'"),
        (lambda net: net.eval({"input": [1, 2]}), "input 'input': it is a list"),
        (lambda net: net.eval({"input": np.zeros((3, 3, 2, 1), np.float32)}, {"objective": 1}), "was an input missing"),
        (lambda net: net.eval({"input": np.zeros((3, 3, 5, 1), np.float32)}), "x has 5 channels"),
        (lambda net: net.eval({"input": np.zeros((3, 3, 2, 1))}), "float64"),
        (lambda net: net.move("tpu"), "'cpu' or 'gpu' is right"),
    ],
)
def test_bad_input_gets_one_sentence(call, says):
    with pytest.raises(ValueError) as caught:
        call(small_net())
    assert says in str(caught.value)


def test_an_error_in_a_layer_names_the_layer_and_its_input():
    net = small_net()
    with pytest.raises(ValueError, match="conv") as caught:
        net.eval({"input": np.zeros((3, 3, 5, 1), np.float32)})
    assert caught.value.__notes__ == ["in layer 'conv1' (Conv), input 'input' (3, 3, 5, 1)"]


@pytest.mark.parametrize(
    ("layer", "what", "names", "says"),
    [
        ("relu1", "inputs", ["x1", "input"], "inputs: the layer names 2 (x1, input); its block has 1"),
        ("relu1", "outputs", ["x2", "y"], "outputs: the layer names 2 (x2, y); its block has 1"),
        ("relu1", "params", ["conv1b"], "params: the layer names 1 (conv1b); its block has 0"),
        ("conv2", "inputs", [], "inputs: the layer names 0 (); its block has 1"),
        (
            "conv2",
            "params",
            ["conv2f", "conv2b", "conv1b"],
            "params: the layer names 3 (conv2f, conv2b, conv1b); its block has 1 or 2",
        ),
    ],
)
def test_a_layer_with_too_many_or_too_few_names_is_refused_by_name(rng, layer, what, names, says):
    net = small_net()
    {"inputs": net.set_layer_inputs, "outputs": net.set_layer_outputs, "params": net.set_layer_params}[what](
        layer, names
    )
    with pytest.raises(ValueError) as caught:
        net.eval(batch(rng))
    assert str(caught.value) == says
    assert caught.value.__notes__[0].startswith(f"in layer '{layer}' (")


@pytest.mark.parametrize(
    ("ders", "says"), [(([], []), "inputs: .*its block has 0"), (([None], [1, 2]), "params: .*has 2")]
)
def test_a_block_that_returns_too_few_or_too_many_derivatives_is_named(ders, says):
    class Hasty(relu.ReLU):
        def backward(self, inputs, params, der_outputs):
            return ders

    net = DagNN()
    net.add_layer("hasty", Hasty(), "x", "y")
    with pytest.raises(ValueError, match=says) as caught:
        net.eval({"x": np.ones((1, 1, 1, 1))}, {"y": 1})
    assert caught.value.__notes__[0].startswith("in layer 'hasty' (Hasty)")


def test_a_parameter_without_value_is_named():
    net = small_net()
    net.params["conv2f"].value = None
    with pytest.raises(ValueError, match=r"layer 'conv2': its parameter 'conv2f' has no value"):
        net.eval({"input": np.zeros((3, 3, 2, 1), np.float32)})


def test_a_copy_is_independent_and_computes_the_same(rng):
    net, inputs = small_net(), batch(rng)
    net.params["conv1f"].learning_rate = 0.5
    net.vars["x2"].precious = True
    twin = net.copy()
    twin.params["conv2f"].value[...] = 0
    twin.layers["conv1"].block.pad = [0, 0, 0, 0]
    again = net.copy()
    for n in (net, again):
        n.eval(inputs)
    assert np.array_equal(net.vars["objective"].value, again.vars["objective"].value)
    assert again.params["conv1f"].learning_rate == 0.5 and again.vars["x2"].precious
    assert again.execution_order == net.execution_order


def test_reset_forgets_values_but_not_parameters(rng):
    net = small_net()
    net.eval(batch(rng), {"objective": 1})
    net.reset()
    assert all(v.value is None and v.der is None for v in net.vars.values())
    assert all(p.der is None and p.value is not None for p in net.params.values())
    assert net.layers["objective"].block.num_averaged == 0


def test_any_memory_order_gives_the_same_numbers(rng):
    net, inputs = small_net(), batch(rng)
    net.eval(inputs)
    first = net.vars["objective"].value
    net.eval({k: np.asfortranarray(v) for k, v in inputs.items()})
    assert np.array_equal(first, net.vars["objective"].value)


def test_sizes_are_those_that_eval_makes(rng):
    net, inputs = small_net(), batch(rng)
    sizes = net.get_var_sizes({"input": (6, 5, 2, 2), "label": (6, 5, 1, 2)})
    net.conserve_memory = False
    net.eval(inputs)
    for name, var in net.vars.items():
        if name != "objective":  # one number, of which MatConvNet's Loss says [1 1 1 N]
            assert sizes[name] == var.value.shape, name
    assert sizes["objective"] == (1, 1, 1, 2)


def test_an_input_too_small_for_a_layer_has_no_sizes_and_the_layer_is_named():
    net = DagNN()
    net.add_layer("pool", pool.Pooling(pool_size=[2, 2], stride=[2, 2]), "input", "x")
    net.add_layer("conv", conv.Conv([3, 3, 2, 4]), "x", "y", ["f", "b"])
    with pytest.raises(ValueError, match="its window covers 3 pixels and the padded input has 2") as caught:
        net.get_var_sizes({"input": (4, 8, 2, 1)})
    assert caught.value.__notes__ == ["in layer 'conv' (Conv), input 'x' (2, 4, 2, 1)"]
    assert all(np.isnan(net.get_var_sizes({})["y"][:2]))


def test_two_dropouts_of_a_net_draw_different_masks_and_the_same_net_made_again_the_same():
    def masks():
        net = DagNN()
        for name, source in (("drop1", "x"), ("drop2", "x"), ("seeded", "x")):
            block = dropout.DropOut()
            if name == "seeded":
                block.seed(7)
            net.add_layer(name, block, source, name)
        net.eval({"x": np.ones((20, 20, 3, 1))})
        return [net.layers[name].block.mask for name in net.layers]

    first, second, seeded = masks()
    assert (first != second).any()
    assert all(np.array_equal(a, b) for a, b in zip((first, second, seeded), masks(), strict=True))
    alone = dropout.DropOut()
    alone.seed(7)
    assert np.array_equal(alone.forward([np.ones((20, 20, 3, 1))], [])[0], seeded)


def test_a_receptive_field_is_where_the_derivative_is_not_zero(rng):
    net = DagNN()
    net.add_layer("a", conv.Conv([3, 2, 1, 1], stride=2, pad=[1, 0, 0, 1]), "input", "x", ["af", "ab"])
    net.add_layer("b", conv.Conv([2, 3, 1, 1], dilate=[2, 1]), "x", "y", ["bf", "bb"])
    net.init_params(rng)
    net.eval({"input": rng.standard_normal((30, 30, 1, 1), np.float32)})
    dy = np.zeros(net.vars["y"].value.shape, np.float32)
    dy[4, 5] = 1
    net.eval({"input": rng.standard_normal((30, 30, 1, 1), np.float32)}, {"y": dy})
    field = net.get_var_receptive_fields("input")["y"]
    rows, columns = np.nonzero(net.vars["input"].der[:, :, 0, 0])
    for axis, (pixels, at) in enumerate(((rows, 4), (columns, 5))):
        centre = field.offset[axis] + field.stride[axis] * at - 1  # counted from 0
        assert pixels.min() == centre - (field.size[axis] - 1) / 2
        assert pixels.max() == centre + (field.size[axis] - 1) / 2


def test_moving_to_the_gpu_and_back_changes_no_parameter(gpu, rng):
    net, inputs = small_net(), batch(rng)
    net.eval(inputs, {"objective": 1})
    before = {p.name: (p.value.copy(), p.der) for p in net.params.values()}
    net.move("gpu")
    net.eval({k: array.to_gpu(v) for k, v in inputs.items()}, {"objective": 1})
    ders = {p.name: array.to_numpy(p.der) for p in net.params.values()}
    net.move("cpu")
    for name, (value, der) in before.items():
        assert np.array_equal(net.params[name].value, value)
        np.testing.assert_allclose(ders[name], der, rtol=1e-4, atol=1e-5)


def test_the_derivative_to_start_from_may_lack_sizes_of_1_as_in_matlab_but_not_others(rng):
    net, inputs = small_net(), batch(rng, n=1)
    dy = rng.standard_normal((6, 5, 3), np.float32)
    net.eval(inputs, {"prediction": dy[..., None]})
    whole = net.params["conv1f"].der
    net.eval(inputs, {"prediction": dy})
    np.testing.assert_array_equal(net.params["conv1f"].der, whole)
    with pytest.raises(ValueError, match=r"'prediction' has shape \(6, 3\); a number or \(6, 5, 3, 1\) is right"):
        net.eval(inputs, {"prediction": dy[:, 0]})
    with pytest.raises(ValueError, match=r"'objective' has shape \(3, 3\); a number is right"):
        net.eval(inputs, {"objective": np.ones((3, 3))})


@pytest.mark.parametrize(("block", "came"), [(relu.ReLU, "ReLU"), ("relu", "a str")])
def test_what_is_no_block_is_refused_and_leaves_no_layer(block, came):
    net = DagNN()
    with pytest.raises(
        ValueError, match=rf"layer 'relu1': its block is {came}; a block, such as relu\.ReLU\(\), is right"
    ):
        net.add_layer("relu1", block, "x", "y")
    assert not net.layers
