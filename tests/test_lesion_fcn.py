"""lesion_fcn as MatConvNet had it (golden/paper), and what its options promise. Its recorded runs: test_paper.py."""

import numpy as np
import pytest

from dagnet.layers import catalogue, segmentation
from dagnet.models import initial, lesion_fcn, vgg16
from tests import paper

SMALL = {"width": 1 / 32, "fc_width": 16}


@pytest.fixture(scope="module")
def recorded(data_dir):
    return paper.start("master_lr1e-4", data_dir)


# -- as MatConvNet has it


def test_layers_are_matconvnets(recorded):
    records = recorded.net.layers.values()
    ours = [(r.name, catalogue.name_of(r.block), r.inputs, r.outputs, r.params) for r in records]
    keys = ("name", "type", "inputs", "outputs", "params")
    assert ours == [tuple(layer[key] for key in keys) for layer in recorded.numbers["layers"]]


def test_layers_run_in_matconvnets_order(recorded):
    names = list(recorded.net.layers)
    wanted = [names[int(i) - 1] for i in recorded.numbers["executionOrder"].ravel()]
    assert recorded.net.execution_order == wanted


def test_parameters_and_variables_come_in_matconvnets_order(recorded):
    assert list(recorded.net.params) == recorded.numbers["paramNames"]
    assert list(recorded.net.vars) == recorded.numbers["varNames"]


def test_the_literal_recipe_has_the_recorded_multipliers(recorded):
    params = recorded.net.params.values()
    assert [p.learning_rate for p in params] == recorded.numbers["lrmult"].ravel().tolist()
    assert [p.weight_decay for p in params] == recorded.numbers["wdmult"].ravel().tolist()


def test_variables_have_the_recorded_sizes(recorded):
    sizes = recorded.net.get_var_sizes({"input": (96, 96, 3, 6), "label": (96, 96, 1, 6)})
    for name, size in zip(recorded.numbers["varNames"], recorded.numbers["var_sizes"], strict=True):
        if name != "objective":  # there the value's own size is recorded, one number; getVarSizes counts one an image
            assert sizes[name] == tuple(size.ravel()), name


def test_parameters_have_the_recorded_shapes(data_dir, recorded):
    vgg = vgg16.load(data_dir / "vgg16" / "imagenet-vgg-verydeep-16-conv.mat")
    net = lesion_fcn.lesion_fcn(vgg, recipe="literal", fc_width=64, dropout=0.0)
    for name, value in recorded.numbers["params0"].items():
        assert net.params[name].value.shape == value.shape, name
    for k in range(1, 7):
        np.testing.assert_array_equal(net.params[f"up{k}f"].value, recorded.numbers["params0"][f"up{k}f"])


# -- what the options promise


def test_the_stable_recipe_slows_the_scores_of_early_pools():
    vgg = vgg16.vgg16(31, width=1 / 32)
    vgg.init_params(np.random.default_rng(0))
    net = lesion_fcn.lesion_fcn(vgg, fc_width=16)
    rates = [net.params[f"score{k}f"].learning_rate for k in range(1, 7)]
    assert rates == list(lesion_fcn.steady_score_rates(16)) == [1e-3, 1e-4, 1e-4, 1e-3, 1, 1]
    assert lesion_fcn.steady_score_rates(4096)[5] == 1 / 8
    assert net.params["conv1_1b"].learning_rate == 2 * net.params["conv1_1f"].learning_rate
    assert not any(net.params[f"score{k}f"].value.any() for k in range(1, 7))
    np.testing.assert_array_equal(net.params["up3f"].value, initial.bilinear_identity([16, 16, 2, 2]))


def test_a_random_vgg16_needs_no_slower_scores():
    net = lesion_fcn.lesion_fcn(**SMALL)
    assert {net.params[f"score{k}f"].learning_rate for k in range(1, 7)} == {1}
    assert net.params["fc6f"].value.shape == (7, 7, 16, 16)
    assert lesion_fcn.lesion_fcn(width=1 / 64).params["fc7f"].value.shape == (1, 1, 64, 64)


def test_dropout_sits_after_fc6_and_fc7_unless_it_is_0():
    net = lesion_fcn.lesion_fcn(**SMALL, dropout=0.3)
    assert net.layers["dropout1"].block.rate == 0.3
    assert net.layers["fc7"].inputs == ["dropout1"]
    assert net.layers["score6"].inputs == ["dropout2"]
    without = lesion_fcn.lesion_fcn(**SMALL, dropout=0.0)
    assert "dropout1" not in without.layers
    assert without.layers["score6"].inputs == ["relu7"]


def test_the_two_dropouts_do_not_drop_the_same():
    net = lesion_fcn.lesion_fcn(**SMALL)
    x = np.ones((8, 8, 4, 1), np.float32)
    one, two = (net.layers[name].block.forward([x], [])[0] for name in ("dropout1", "dropout2"))
    assert (one != two).any()


@pytest.mark.parametrize("deconvolution", ["single", "chain"])
def test_every_branch_reaches_the_images_size(deconvolution):
    net = lesion_fcn.lesion_fcn(**SMALL, deconvolution=deconvolution)
    sizes = net.get_var_sizes({"input": (64, 96, 3, 2)})
    assert {sizes[f"up{k}"] for k in range(1, 7)} == {(64, 96, 2, 2)}
    assert sizes["fuse"] == (64, 96, 12, 2)
    assert sizes["prediction"] == (64, 96, 2, 2)


def test_a_chain_takes_steps_of_factor_2():
    net = lesion_fcn.lesion_fcn(**SMALL, deconvolution="chain")
    assert [name for name in net.layers if name.startswith("up3")] == ["up3_1", "up3_2", "up3"]
    assert net.layers["up3_2"].inputs == ["up3_1"]
    assert net.layers["up3"].params == ["up3f", "up3b"]
    assert {tuple(net.layers[n].block.size) for n in net.layers if n.startswith("up")} == {(4, 4, 2, 2)}
    assert sum(name.startswith("up") for name in net.layers) == 1 + 2 + 3 + 4 + 5 + 5


def test_the_loss_is_a_mean_over_an_images_pixels_unless_asked_otherwise():
    assert type(lesion_fcn.lesion_fcn(**SMALL).layers["objective"].block) is segmentation.SegmentationLoss
    summed = lesion_fcn.lesion_fcn(**SMALL, loss="Loss").layers["objective"].block
    assert catalogue.name_of(summed) == "dagnn.Loss"
    assert summed.loss == "softmaxlog"


@pytest.mark.parametrize(
    ("start", "deviation"), [("he", np.sqrt(2 / (2 * 2 * 2))), ("initParams", np.sqrt(2 / (64 * 64 * 2)))]
)
def test_random_deconvolutions_count_the_taps_they_are_said_to(start, deviation):
    net = lesion_fcn.lesion_fcn(**SMALL, up_start=start)
    assert net.params["up6f"].value.std() == pytest.approx(deviation, rel=0.05)


def test_the_same_seed_gives_the_same_net():
    one, same, other = (lesion_fcn.lesion_fcn(**SMALL, seed=seed) for seed in (4, 4, 5))
    assert all((one.params[p].value == same.params[p].value).all() for p in one.params)
    assert (one.params["fc6f"].value != other.params["fc6f"].value).any()


def test_a_vgg16_of_37_layers_loses_its_last_ones_and_is_left_alone():
    vgg = vgg16.vgg16(width=1 / 64)
    vgg.init_params(np.random.default_rng(0))
    kept = vgg.params["conv4_2f"].value.copy()
    net = lesion_fcn.lesion_fcn(vgg, fc_width=8)
    assert "fc8" not in net.layers
    assert "prob" not in net.layers
    assert net.params["fc6f"].value.shape == (7, 7, 8, 8)
    net.params["conv4_2f"].value += 1
    np.testing.assert_array_equal(vgg.params["conv4_2f"].value, kept)
    assert vgg.layers["prob"].outputs == ["prob"]


def test_a_small_net_learns_to_tell_dark_from_light(rng):
    net = lesion_fcn.lesion_fcn(**SMALL)
    net.vars["objective"].precious = True
    dark = np.zeros((64, 64, 1, 4), bool)
    for n in range(4):
        dark[16 * n % 40 : 16 * n % 40 + 24, 10 + 6 * n : 40 + 6 * n, 0, n] = True
    x = (np.where(dark, -80, 30) + 10 * rng.standard_normal((64, 64, 3, 4))).astype(np.float32)
    inputs = {"input": x, "label": np.where(dark, 2, 1).astype(np.float32)}
    momentum, losses = dict.fromkeys(net.params, 0.0), []
    for _ in range(60):
        net.eval(inputs, {"objective": 1})
        losses.append(float(net.vars["objective"].value) / 4)
        for name, p in net.params.items():
            momentum[name] = 0.9 * momentum[name] - p.der / 4
            p.value = p.value + np.float32(2e-2 * p.learning_rate) * momentum[name]
    assert losses[-1] < 0.15
    assert max(losses) < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "best"}, "recipe 'best' is not known; one of stable, literal is right"),
        ({"fcwidth": 5}, "option 'fcwidth' is not known; one of fc_width, dropout"),
        ({"deconvolution": "double"}, "deconvolution 'double' is not known; one of single, chain is right"),
        ({"loss": "mse"}, "loss 'mse' is not known; one of SegmentationLoss, Loss is right"),
        ({"fc_start": "xavier"}, "start 'xavier' is not known"),
        ({"score_rates": (1.0,)}, "six numbers are right"),
        ({"vgg": vgg16.vgg16(31), "width": 0.5}, "width is 0.5 and values of VGG-16 are given"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=f"lesion_fcn: .*{message}"):
        lesion_fcn.lesion_fcn(**{"fc_width": 4} | ({} if "vgg" in options else {"width": 1 / 64}) | options)


def test_another_net_than_vgg16_is_refused():
    net = vgg16.vgg16(31, width=1 / 64)
    net.remove_layer("pool5")
    with pytest.raises(ValueError, match="lesion_fcn: it has 30 layers; VGG-16's 37"):
        lesion_fcn.lesion_fcn(net)


def test_a_net_under_other_names_becomes_the_same_network():
    """MatConvNet's fromSimpleNN calls the input x0; a net may also come with variables of its owner's naming."""
    vgg = vgg16.vgg16(31, width=1 / 64)
    vgg.init_params(np.random.default_rng(0))
    other = vgg.copy()
    other.rename_var("input", "x0")
    other.rename_var("x5", "first_pool")
    one, two = (lesion_fcn.lesion_fcn(net, fc_width=8) for net in (vgg, other))
    assert two.inputs == one.inputs == ["input", "label"]
    assert {n: r.inputs for n, r in two.layers.items()} == {n: r.inputs for n, r in one.layers.items()}
    assert all((one.params[p].value == two.params[p].value).all() for p in one.params)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fc_width": 0}, "fc_width is 0; a whole number from 1 on is right"),
        ({"dropout": 1.0}, "dropout is 1.0; a rate from 0 to below 1 is right"),
        ({"width": float("nan")}, "vgg16: width is nan; a number above 0 is right"),
        ({"width": -1}, "vgg16: width is -1"),
    ],
)
def test_widths_and_rates_that_make_no_network_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        lesion_fcn.lesion_fcn(**(SMALL | options))
