"""What the profiles set in a net, and what they divide by."""

import pytest

from dagnet import DagNN
from dagnet.layers import bnorm, loss, segmentation
from dagnet.training import profile


def net_with_losses():
    net = DagNN()
    net.add_layer("bn", bnorm.BatchNorm(2), "input", "prediction", ["g", "b", "x"])
    net.add_layer("objective", segmentation.SegmentationLoss(), ["prediction", "label"], "objective")
    net.add_layer("error", loss.Loss("classerror"), ["prediction", "label"], "error")
    return net


@pytest.mark.parametrize(
    ("name", "normalise", "over_images", "times_n"),
    [
        ("beta18", False, True, True),
        ("beta20", False, True, True),
        ("beta23", False, True, True),
        ("beta25", False, False, True),
        ("master", True, False, False),
    ],
)
def test_a_profile_sets_losses_and_moments(name, normalise, over_images, times_n):
    net = net_with_losses()
    for other in profile.PROFILES:  # whichever was set before
        profile.apply(net, other)
        assert profile.apply(net, name).name == name
        assert [net.layers[n].block.normalise for n in ("objective", "error")] == [normalise] * 2
        assert [net.layers[n].block.averages_over_images for n in ("objective", "error")] == [over_images] * 2
        assert net.layers["bn"].block.scale_moments_by_images is times_n


def test_a_segmentation_loss_averages_over_images_in_every_release(rng):
    for name in profile.PROFILES:
        net = net_with_losses()
        profile.apply(net, name)
        block = net.layers["objective"].block
        block.forward([rng.standard_normal((3, 4, 2, 5)), rng.integers(0, 3, (3, 4, 1, 5)).astype(float)], [])
        assert block.num_averaged == 5


def test_releases_divide_by_the_images_and_master_by_the_sub_batches():
    assert [rules.divisor(5, 2) for rules in profile.PROFILES.values()] == [5, 5, 5, 5, 2]


def test_beta24_is_beta25():
    assert profile.find("beta24") is profile.find("beta25")


@pytest.mark.parametrize(
    ("name", "epsilon", "rate"), [("beta18", 1e-3, 1.0), ("beta20", 1e-4, 0.01), ("beta25", 1e-5, 0.1)]
)
def test_a_new_batch_normalisation_is_the_releases(name, epsilon, rate):
    net = net_with_losses()
    profile.set_defaults(net, name)
    assert net.layers["bn"].block.epsilon == epsilon
    assert [net.params[p].learning_rate for p in "gbx"] == [1, 1, rate]


def test_what_a_net_has_of_its_own_stays():
    net = net_with_losses()
    net.layers["bn"].block.epsilon, net.params["x"].learning_rate = 0.5, 0.25
    for name in profile.PROFILES:
        profile.apply(net, name)
    assert net.layers["bn"].block.epsilon == 0.5 and net.params["x"].learning_rate == 0.25


def test_a_release_says_which_ones_can_do_what_it_cannot():
    for name in ("beta25", "master"):
        profile.find(name).check("any")
    profile.find("beta23").check("nesterov")
    with pytest.raises(ValueError, match="solver: beta23 had none; profile beta25 or master, or plain SGD, is right"):
        profile.find("beta23").check("any")
    with pytest.raises(ValueError, match="nesterov_update: beta18 had none; profile beta23 or beta25 or master"):
        profile.find("beta18").check("nesterov")


def test_blocks_alone_behave_as_in_beta25():
    net, untouched = net_with_losses(), net_with_losses()
    profile.apply(net, "beta25")
    for name, record in net.layers.items():
        assert record.block == untouched.layers[name].block
    rules, fresh = profile.find("beta25"), bnorm.BatchNorm(2)
    assert fresh.scale_moments_by_images is rules.moments_times_n and fresh.epsilon == rules.epsilon
    assert loss.Loss().averages_over_images is (rules.average_over == "images")
    assert net.params["x"].learning_rate == rules.moments_rate


def test_an_unknown_profile_is_named_and_the_known_ones_are_listed():
    with pytest.raises(
        ValueError, match=r"'beta26' is not known; one of beta18, beta20, beta23, beta24, beta25, master is right"
    ):
        profile.apply(DagNN(), "beta26")
