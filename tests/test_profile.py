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


@pytest.mark.parametrize(("name", "normalise", "times_n"), [("beta25", False, True), ("master", True, False)])
def test_a_profile_sets_losses_and_moments(name, normalise, times_n):
    net = net_with_losses()
    for other in profile.PROFILES:  # whichever was set before
        profile.apply(net, other)
        assert profile.apply(net, name).name == name
        assert [net.layers[n].block.normalise for n in ("objective", "error")] == [normalise] * 2
        assert net.layers["bn"].block.scale_moments_by_images is times_n


def test_beta25_divides_by_the_images_and_master_by_the_sub_batches():
    assert profile.find("beta25").divisor(5, 2) == 5
    assert profile.find("master").divisor(5, 2) == 2


def test_blocks_alone_behave_as_in_beta25():
    net, untouched = net_with_losses(), net_with_losses()
    profile.apply(net, "beta25")
    for name, record in net.layers.items():
        assert record.block == untouched.layers[name].block
    assert bnorm.BatchNorm.scale_moments_by_images is profile.find("beta25").moments_times_n


def test_an_unknown_profile_is_named_and_the_known_ones_are_listed():
    with pytest.raises(ValueError, match=r"'beta26' is not known; one of beta18, beta20, .* beta24 .*is right"):
        profile.apply(DagNN(), "beta26")
