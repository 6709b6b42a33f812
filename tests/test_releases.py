"""What each release's loading knows, and where a network could not run there."""

import numpy as np
import pytest

from dagnet.files import fields, releases
from dagnet.layers import catalogue
from dagnet.training import profile


def test_every_profile_of_training_is_a_release_and_the_other_way_round():
    assert set(releases.RELEASES) == {*profile.PROFILES, *profile.ALIASES}


@pytest.mark.parametrize(
    ("release", "matlab_type", "kept"),
    [
        ("beta18", "dagnn.BatchNorm", ["numChannels"]),
        ("beta20", "dagnn.BatchNorm", ["numChannels", "epsilon"]),
        ("beta23", "dagnn.BatchNorm", ["numChannels", "epsilon", "opts"]),
        ("beta18", "Mine", ["numChannels", "epsilon", "opts"]),
    ],
)
def test_a_release_gets_the_properties_that_it_knows(release, matlab_type, kept):
    properties = {"numChannels": 4.0, "epsilon": np.array([[1e-3]]), "opts": np.empty((0, 0), object)}
    assert list(releases.known_to(release, matlab_type, properties, "bn")) == kept
    assert list(properties) == ["numChannels", "epsilon", "opts"]


def test_what_a_new_block_has_beyond_a_release_is_what_is_built_in_there():
    for matlab_type in catalogue.known():
        block = catalogue.find(matlab_type)()
        names = catalogue.matlab_fields(type(block))
        properties = {name: fields.to_matlab(getattr(block, field.name)) for name, field in names.items()}
        if matlab_type == "dagnn.BatchNorm":
            properties["epsilon"] = 1e-3
        for release in releases.RELEASES:
            releases.known_to(release, matlab_type, properties, "x")


@pytest.mark.parametrize(
    ("release", "matlab_type", "properties", "says"),
    [
        (
            "beta20",
            "dagnn.Conv",
            {"dilate": np.array([[2.0, 2.0]])},
            "x.dilate: beta20 .* works with [1, 1]; beta23 is right",
        ),
        (
            "beta23",
            "SegmentationLoss",
            {"ignoreAverage": True},
            "x.ignoreAverage: .* works with False; beta24 is right",
        ),
        (
            "beta25",
            "dagnn.Loss",
            {"normalise": np.array([[True]])},
            "x.normalise: .* works with False; master is right",
        ),
    ],
)
def test_what_a_release_would_run_otherwise_is_refused(release, matlab_type, properties, says):
    said = says.replace("[1, 1]", r"\[1, 1\]")
    with pytest.raises(ValueError, match=said):
        releases.known_to(release, matlab_type, properties, "x")
