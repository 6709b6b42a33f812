import numpy as np
import pytest

from dagnet.files import netfile
from dagnet.models import fcn, initial, vgg16

WIDTH = 1 / 64


@pytest.fixture(scope="module")
def vgg():
    net = vgg16.vgg16(width=WIDTH)
    net.init_params(np.random.default_rng(1))
    return net


@pytest.fixture(scope="module")
def nets(vgg):
    net32 = fcn.fcn32s(vgg, 4)
    net16 = fcn.fcn16s(net32)
    return {"32s": net32, "16s": net16, "8s": fcn.fcn8s(net16)}


def wiring(net, first):
    layers = list(net.layers.values())
    start = list(net.layers).index(first)
    return [(r.name, r.inputs, r.outputs, r.params) for r in layers[start:]]


def test_32s_is_wired_as_matconvnet_fcn_wires_it(nets):
    assert wiring(nets["32s"], "pool5") == [
        ("pool5", ["x30"], ["x31"], []),
        ("fc6", ["x31"], ["x32"], ["fc6f", "fc6b"]),
        ("relu6", ["x32"], ["x33"], []),
        ("dropout1", ["x33"], ["x34"], []),
        ("fc7", ["x34"], ["x35"], ["fc7f", "fc7b"]),
        ("relu7", ["x35"], ["x36"], []),
        ("dropout2", ["x36"], ["x37"], []),
        ("fc8", ["x37"], ["x38"], ["fc8f", "fc8b"]),
        ("deconv32", ["x38"], ["prediction"], ["deconvf"]),
        ("objective", ["prediction", "label"], ["objective"], []),
        ("accuracy", ["prediction", "label"], ["accuracy"], []),
    ]


def test_16s_and_8s_are_wired_as_matconvnet_fcn_wires_them(nets):
    skip4 = [
        ("deconv2", ["x38"], ["x39"], ["deconv1f"]),
        ("skip4", ["x24"], ["x40"], ["skip4f", "skip4b"]),
        ("sum1", ["x39", "x40"], ["x41"], []),
    ]
    skip3 = [
        ("deconv2bis", ["x41"], ["x42"], ["deconv2f"]),
        ("skip3", ["x17"], ["x43"], ["skip3f", "skip3b"]),
        ("sum2", ["x42", "x43"], ["x44"], []),
    ]
    assert wiring(nets["16s"], "accuracy")[1:] == [*skip4, ("deconv16", ["x41"], ["prediction"], ["deconvf"])]
    assert wiring(nets["8s"], "accuracy")[1:] == [*skip4, *skip3, ("deconv8", ["x44"], ["prediction"], ["deconvf"])]


@pytest.mark.parametrize("kind", ["32s", "16s", "8s"])
def test_predictions_have_the_images_size(nets, kind):
    sizes = nets[kind].get_var_sizes({"input": (384, 96, 3, 2)})
    assert sizes["prediction"] == (384, 96, 4, 2)


def test_biases_learn_twice_as_fast_and_skips_more_slowly(nets):
    rates = {name: p.learning_rate for name, p in nets["8s"].params.items()}
    assert [rates[p] for p in ("conv1_1f", "conv1_1b", "fc6f", "fc6b", "fc8f", "fc8b")] == [1, 2, 1, 2, 1, 2]
    assert [rates[p] for p in ("skip4f", "skip4b", "skip3f", "skip3b")] == [0.1, 2, 0.01, 2]
    assert [rates[p] for p in ("deconv1f", "deconv2f", "deconvf")] == [0, 0, 0]
    assert {p.weight_decay for p in nets["8s"].params.values()} == {1}


def test_scores_start_at_zero_and_enlargements_are_bilinear(nets):
    params = nets["8s"].params
    assert not any(params[p].value.any() for p in ("fc8f", "fc8b", "skip4f", "skip4b", "skip3f", "skip3b"))
    np.testing.assert_array_equal(params["deconv1f"].value, initial.bilinear_u(4, 1, 4))
    np.testing.assert_array_equal(params["deconvf"].value, initial.bilinear_u(16, 4, 4))
    assert nets["8s"].layers["deconv8"].block.num_groups == 4


def test_pads_keep_the_sizes_that_caffe_has(nets):
    layers = nets["32s"].layers
    assert layers["fc6"].block.pad == [3, 3, 3, 3]
    assert {tuple(layers[f"pool{k}"].block.pad) for k in range(1, 6)} == {(0, 1, 0, 1)}


def test_vgg16s_values_are_kept_and_the_net_given_is_left_alone(vgg, nets):
    assert list(vgg.layers)[-2:] == ["fc8", "prob"]
    np.testing.assert_array_equal(nets["32s"].params["fc7f"].value, vgg.params["fc7f"].value)
    assert nets["32s"].params["fc7f"].value is not vgg.params["fc7f"].value
    assert "deconv32" in nets["32s"].layers
    assert nets["32s"].vars["prediction"].precious


def test_the_two_dropouts_do_not_drop_the_same(nets, rng):
    x = np.ones((8, 8, 4, 1), np.float32)
    one, two = (nets["32s"].layers[name].block.forward([x], [])[0] for name in ("dropout1", "dropout2"))
    assert (one != two).any()


def test_8s_learns_a_batch(nets, rng):
    net = nets["8s"].copy()
    net.vars["objective"].precious = True
    x = rng.standard_normal((64, 64, 3, 2)).astype(np.float32)
    labels = np.where(x[:, :, :1] > 0, 2, 1).astype(np.float32)
    losses = []
    for _ in range(30):
        net.eval({"input": x, "label": labels}, {"objective": 1})
        losses.append(float(net.vars["objective"].value))
        for p in net.params.values():
            p.value = p.value - np.float32(3e-2 * p.learning_rate) * p.der
    assert losses[0] == pytest.approx(2 * np.log(4) * 4096 / 4097, rel=1e-5)  # zero scores: all four classes are alike
    assert losses[-1] < 0.8 * losses[0]


def test_16s_goes_on_from_a_saved_32s(nets, tmp_path):
    path = tmp_path / "fcn32s.mat"
    netfile.save(nets["32s"], path)
    net = fcn.fcn16s(path)
    assert list(net.layers) == list(nets["16s"].layers)
    np.testing.assert_array_equal(net.params["conv5_3f"].value, nets["16s"].params["conv5_3f"].value)


def test_a_net_that_does_not_serve_is_refused(vgg, nets):
    with pytest.raises(
        ValueError, match=r"fcn32s: VGG-16 with fc6 \.\.\. prob is right, .* no layer fc6, relu6, fc7, relu7, fc8, prob"
    ):
        fcn.fcn32s(vgg16.vgg16(31, WIDTH))
    with pytest.raises(ValueError, match=r"fcn16s: FCN-32s is right, .* no layer deconv32, objective"):
        fcn.fcn16s(vgg)
    with pytest.raises(ValueError, match=r"fcn8s: FCN-16s is right, .* no layer skip4, deconv16"):
        fcn.fcn8s(nets["32s"])
