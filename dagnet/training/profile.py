"""Which MatConvNet a training follows: the one table of what its releases do differently.

Source    what was seen when each release's own cnn_train_dag was run, and matconvnet-fcn's SegmentationLoss on each; in its
          code vl_nnloss.m, vl_nnbnorm.m, +dagnn/Loss.m, +dagnn/BatchNorm.m and examples/cnn_train_dag.m (process_epoch,
          accumulateGradients, saveState). Master changed the loss in commit 23699180.

Not in the table, since an epoch's order and masks come from random_seed here: beta18 draws its orders from MATLAB's running
generator; later releases call rng(epoch + randomSeed) first. So a release's training is repeated from its recorded order.
SegmentationLoss averages over images in all of them, and on master reports 1/N of that: its code does not know that the loss
is divided already.
"""

from dataclasses import dataclass, replace
from typing import Literal

from dagnet.dagnn import DagNN
from dagnet.layers import bnorm, loss
from dagnet.simplenn import SimpleNN

from .solvers import Method

StateField = Literal["momentum", "solverState"]
METHODS: tuple[Method, ...] = ("sgd", "nesterov", "any")  # a release that can do one can do those before it


@dataclass(frozen=True)
class Profile:
    """A release's rules.

    normalise            the losses divide by N, the images of the (sub-)batch; their averages are taken of N times the loss
    divide_by            by what a batch's gradient and moments are divided: "images", those it has; or "sub-batches", their
                         number, the empty ones of a short last batch counted too
    moments_times_n      BatchNorm hands out its moments times N
    average_over         Loss.average divides by the "images" or the "pixels" (H*W*N) so far
    keeps_momentum       what the solver keeps lives on from epoch to epoch; else it starts at 0 in each
    state_field          where a checkpoint has what the solver keeps: state.momentum, state.solverState; None: nowhere
    skips_idle           a parameter whose learning rate and decay are both 0 is passed over; else its momentum moves
    statistics           taken "before" or "after" a batch's update, which a statistic of parameters would show
    time_last            a record of statistics ends with num and time, which else stand first
    epsilon              what a new dagnn.BatchNorm has;   bnorm_epsilon  what vl_nnbnorm takes where none is given
    moments_rate         the learning rate that BatchNorm's attach gives its moments
    methods              what it can train with: "sgd", "nesterov" too, or "any" solver
    """

    name: str
    normalise: bool
    divide_by: Literal["images", "sub-batches"]
    moments_times_n: bool
    average_over: Literal["images", "pixels"]
    keeps_momentum: bool
    state_field: StateField | None
    skips_idle: bool
    statistics: Literal["before", "after"]
    time_last: bool
    epsilon: float
    bnorm_epsilon: float
    moments_rate: float
    methods: Method

    def divisor(self, images: int, sub_batches: int) -> int:
        """What to divide the derivatives of a batch by."""
        return images if self.divide_by == "images" else sub_batches

    def check(self, method: Method) -> None:
        """Raises ValueError, naming the releases that can, where this one cannot train with the method."""
        able = [p.name for p in PROFILES.values() if METHODS.index(method) <= METHODS.index(p.methods)]
        if self.name not in able:
            asked = "nesterov_update" if method == "nesterov" else "solver"
            raise ValueError(f"{asked}: {self.name} had none; profile {' or '.join(able)}, or plain SGD, is right")


# A row for each rule, in the order of Profile's fields; a column for each release.
_RELEASES = ("beta18", "beta20", "beta23", "beta25", "master")
# fmt: off
_RULES = {
    "normalise":       (False,    False,    False,      False,         True),           # vl_nnloss.m, vl_nnsoftmaxloss.m
    "divide_by":       ("images", "images", "images",   "images",      "sub-batches"),  # accumulateGradients
    "moments_times_n": (True,     True,     True,       True,          False),          # BatchNorm.m, backward
    "average_over":    ("images", "images", "images",   "pixels",      "pixels"),       # Loss.m, forward
    "keeps_momentum":  (False,    False,    True,       True,          True),           # process_epoch
    "state_field":     (None,     None,     "momentum", "solverState", "solverState"),  # saveState
    "skips_idle":      (False,    False,    True,       True,          True),           # accumulateGradients
    "statistics":      ("before", "after",  "after",    "after",       "after"),        # process_epoch
    "time_last":       (True,     True,     False,      False,         False),          # process_epoch
    "epsilon":         (1e-3,     1e-4,     1e-5,       1e-5,          1e-5),           # BatchNorm.m; beta18: built in
    "bnorm_epsilon":   (1e-3,     1e-4,     1e-4,       1e-4,          1e-4),           # vl_nnbnorm.m
    "moments_rate":    (1.0,      0.01,     0.1,        0.1,           0.1),            # BatchNorm.m, attach
    "methods":         ("sgd",    "sgd",    "nesterov", "any",         "any"),          # cnn_train_dag.m, its options
}
# fmt: on

PROFILES = {
    name: Profile(name, **{rule: row[i] for rule, row in _RULES.items()})  # type: ignore[arg-type]  # columns are mixed
    for i, name in enumerate(_RELEASES)
}

# Releases whose recorded numbers are another's, all of them.
ALIASES = {"beta24": "beta25"}


def find(name: str) -> Profile:
    """The profile of that name. Raises ValueError for another, listing those known."""
    known = ALIASES.get(name, name)
    if known not in PROFILES:
        raise ValueError(f"profile: {name!r} is not known; one of {', '.join(sorted(PROFILES | ALIASES))} is right")
    return PROFILES[known]


def apply(net: DagNN | SimpleNN, name: str) -> Profile:
    """Sets the net's blocks to a release's ways, and returns its profile. Raises ValueError for an unknown name.

    What a block's own properties say (epsilon), and what is saved with a parameter (its learning rate), stays.
    A SimpleNN's statistics end with num and time in every release: cnn_train puts them there.
    """
    profile = find(name)
    if isinstance(net, SimpleNN):
        net.normalise, net.scale_moments_by_images = profile.normalise, profile.moments_times_n
        return replace(profile, time_last=True)
    for record in net.layers.values():
        if isinstance(record.block, loss.Loss):
            record.block.normalise = profile.normalise
            record.block.averages_over_images = profile.average_over == "images"
        elif isinstance(record.block, bnorm.BatchNorm):
            record.block.scale_moments_by_images = profile.moments_times_n
    return profile


def set_defaults(net: DagNN, name: str) -> Profile:
    """Gives every BatchNorm what a new one has in that release: its epsilon, and its moments' learning rate.

    For a net that was built here; one that was loaded has both from its file. Raises ValueError for an unknown name.
    """
    profile = find(name)
    for record in net.layers.values():
        if isinstance(record.block, bnorm.BatchNorm):
            record.block.epsilon = profile.epsilon
            net.params[record.params[2]].learning_rate = profile.moments_rate
    return profile
