"""Which MatConvNet a training follows: the one table of what its releases do differently.

Source    what was seen when each release's own cnn_train_dag was run; in its code vl_nnloss.m, +dagnn/Loss.m,
          +dagnn/BatchNorm.m and examples/cnn_train_dag.m (accumulateGradients). Master changed them in commit 23699180.
"""

from dataclasses import dataclass
from typing import Literal

from dagnet.dagnn import DagNN
from dagnet.layers import bnorm, loss


@dataclass(frozen=True)
class Profile:
    """A release's rules.

    normalise         the losses divide by N, the images of the (sub-)batch; their averages are then taken of N times the loss
    divide_by         by what a batch's gradient and moments are divided: "images", those it has; or "sub-batches", their
                      number, the empty ones of a short last batch counted too
    moments_times_n   BatchNorm hands out its moments times N
    """

    name: str
    normalise: bool
    divide_by: Literal["images", "sub-batches"]
    moments_times_n: bool

    def divisor(self, images: int, sub_batches: int) -> int:
        """What to divide the derivatives of a batch by."""
        return images if self.divide_by == "images" else sub_batches


PROFILES = {
    profile.name: profile
    for profile in [
        #       name      normalise  divide_by      moments_times_n
        Profile("beta25", False, "images", True),  # August 2017, the last release
        Profile("master", True, "sub-batches", False),  # July 2018, the last commit
    ]
}


def find(name: str) -> Profile:
    """The profile of that name. Raises ValueError for another, listing those known."""
    if name not in PROFILES:
        raise ValueError(f"profile: {name!r} is not known; one of {', '.join(PROFILES)} is right")
    return PROFILES[name]


def apply(net: DagNN, name: str) -> Profile:
    """Sets the net's blocks to a release's ways, and returns its profile. Raises ValueError for an unknown name."""
    profile = find(name)
    for record in net.layers.values():
        if isinstance(record.block, loss.Loss):
            record.block.normalise = profile.normalise
        elif isinstance(record.block, bnorm.BatchNorm):
            record.block.scale_moments_by_images = profile.moments_times_n
    return profile
