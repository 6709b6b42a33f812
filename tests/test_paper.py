"""The paper's network, trained on real lesions from the real VGG-16, step by step as MatConvNet trained it (golden/paper).

How near two runs in single precision can come: where a value before a ReLU is within rounding of 0, the one may let it pass and
the other not. The scores hardly change by that, the derivatives of the convolutions before it do (FLIPS). At a learning rate of
1e-3 training enlarges such a difference two- or threefold with every step: there the whole run is held in double precision.
"""

import numpy as np
import pytest

from tests import paper, recorded
from tests.recorded import distance

SMOOTH = 2e-5  # derivatives after VGG-16's convolutions; 5e-6 is reached
GROWING = np.minimum(1e-15 * 3.0 ** np.arange(12), 1e-10)  # rounding grows two- or threefold with every step at 1e-3
FLIPS = 5e-4  # of the convolutions; 3e-5 is reached, and the one flip known of step 1 alone can make 5e-4


@pytest.fixture(scope="module")
def single(data_dir, exact):
    """Twelve steps at 1e-4 in single precision, and the scores of all images before and after them."""
    run = paper.start("master_lr1e-4", data_dir)
    before = run.predictions()
    replay = paper.Replay(run)
    replay.steps(12)
    return replay, before, run.predictions()


@pytest.fixture(scope="module")
def double(data_dir, exact):
    """Twelve steps at 1e-3 in double precision."""
    replay = paper.Replay(paper.start("master_lr1e-3", data_dir, np.float64))
    replay.steps(12)
    return replay


def params_of(replay):
    return {name: param.value for name, param in replay.run.net.params.items()}


def norm_misses(replay, ours, theirs):
    """By parameter, how far norms (steps, P, 3) are from the recorded (P, 3, steps), at the step where that is most.

    Measured by the parameter's largest norms of all steps: at single steps the derivatives of a bias nearly cancel. The sum
    of n numbers is measured by sqrt(n) times their root of the sum of squares, the most that it can be.
    """
    theirs = np.moveaxis(theirs, -1, 0)
    length, _, top = np.abs(theirs).max(axis=0).T
    sizes = np.array([param.value.size for param in replay.run.net.params.values()])
    scale = np.stack([length, np.sqrt(sizes) * length, top], axis=1)
    worst = (np.abs(np.array(ours) - theirs) / scale).max(axis=(0, 2))
    return dict(zip(replay.run.numbers["paramNames"], worst, strict=True))


def misses(ours, theirs):
    return {name: distance(ours[name], value) for name, value in theirs.items()}


def above(found, smooth=SMOOTH, flips=FLIPS):
    """Those of the misses that are larger than they may be."""
    return {name: miss for name, miss in found.items() if not miss <= (flips if name.startswith("conv") else smooth)}


# -- at a learning rate of 1e-4, in single precision


def test_twelve_losses_and_their_averages_are_matconvnets(single):
    replay, numbers = single[0], single[0].run.numbers
    np.testing.assert_allclose(replay.losses, numbers["loss"].ravel(), rtol=1e-6)  # 2e-7 is reached
    np.testing.assert_allclose(replay.averages, numbers["avg_objective"].ravel(), rtol=1e-6)


def test_scores_before_during_and_after_training_are_matconvnets(single):
    replay, before, after = single
    run, numbers = replay.run, replay.run.numbers
    first = run.images_of(0)
    assert distance(before[..., first], numbers["pred_before"]) < 5e-6  # 8e-7 is reached, in each of these
    assert distance(after[..., first], numbers["pred_after"]) < 5e-6
    theirs = numbers["pred_norms"]
    scale = theirs[:, [0, 0, 2]] * [1, np.sqrt(numbers["pred_before"].size), 1]
    assert (np.abs(np.array(replay.predictions) - theirs) / scale).max() < 5e-6


def test_derivatives_of_every_step_are_matconvnets(single):
    replay, numbers = single[0], single[0].run.numbers
    assert above(norm_misses(replay, replay.ders, numbers["der_norms"])) == {}
    assert above(misses(replay.ders1, numbers["der1"])) == {}
    last = {name: param.der for name, param in replay.run.net.params.items()}
    assert above(misses(last, numbers["der12"])) == {}


def test_parameters_after_every_step_are_matconvnets(single):
    replay, numbers = single[0], single[0].run.numbers
    found = norm_misses(replay, replay.params, numbers["param_norms"])
    assert above(found, 1e-5, 1e-5) == {}  # 2e-6 is reached, by biases, which started at 0
    assert above(misses(params_of(replay), numbers["params_last"]), 1e-5, 1e-5) == {}


def test_momentum_after_the_last_step_is_matconvnets(single):
    replay, numbers = single[0], single[0].run.numbers
    memory = replay.run.recipe.state
    ours = [[paper.norms(memory[name]) for name in numbers["paramNames"]]]
    assert above(norm_misses(replay, ours, numbers["momentum_norms"][..., None])) == {}
    assert above(misses(memory, numbers["momentum_last"])) == {}


def test_jaccard_indices_before_and_after_are_matconvnets(single):
    replay, before, after = single
    run = replay.run
    # before: two pixels of one image have their two scores but 2e-6 and 3e-6 apart, and rounding may decide there
    np.testing.assert_allclose(run.jaccard(before), run.numbers["ja_before"].ravel(), rtol=0, atol=4e-4)
    np.testing.assert_allclose(run.jaccard(after), run.numbers["ja_after"].ravel(), rtol=1e-12)


# -- at the paper's learning rate of 1e-3


def test_the_papers_rate_gives_matconvnets_losses_in_double_precision(double):
    wanted = double.run.numbers["double"]["steps"]["loss"].ravel()
    off = np.abs(double.losses - wanted) / np.abs(wanted)
    assert (off <= GROWING).all()  # 0, 3e-16, 6e-15, 7e-15, 6e-15, 8e-14, 1e-13, 1e-13, 5e-13, 4e-13, 9e-12, 2e-11


def test_the_papers_rate_gives_matconvnets_derivatives_and_parameters_in_double_precision(double):
    wanted = double.run.numbers["double"]["steps"]
    exact = {"smooth": 1e-10, "flips": 1e-10}  # 2e-11 is reached; no value is so near to 0 that a ReLU flips
    early = {"smooth": 1e-12, "flips": 1e-12}  # of the first four steps
    assert above(norm_misses(double, double.ders[:4], wanted["der_norms"][..., :4]), **early) == {}
    assert above(norm_misses(double, double.ders, wanted["der_norms"]), **exact) == {}
    assert above(norm_misses(double, double.params[-1:], wanted["param_norms"][..., None]), **exact) == {}
    assert above(misses(params_of(double), wanted["params_last"]), **exact) == {}
    theirs = wanted["pred_norms"]
    bound = np.minimum(20 * GROWING, 1e-10)[:, None]  # 1e-14 is reached at step 1, 1e-11 at the last
    assert (np.abs(double.predictions - theirs) <= bound * np.abs(theirs)).all()
    ours = double.run.jaccard(double.run.predictions())
    np.testing.assert_allclose(ours, wanted["ja_after"].ravel(), rtol=1e-12)


def test_beta25_sums_over_images_and_so_has_six_times_the_losses(data_dir):
    replay = paper.Replay(paper.start("beta25_lr1e-3", data_dir))
    replay.steps(4)
    numbers, master = replay.run.numbers, recorded.load("paper/master_lr1e-3.mat")
    np.testing.assert_array_equal(numbers["batches"], master["batches"])
    np.testing.assert_allclose(replay.losses, numbers["loss"].ravel()[:4], rtol=5e-6)  # 6e-7 is reached
    np.testing.assert_allclose(replay.losses, 6 * master["double"]["steps"]["loss"].ravel()[:4], rtol=5e-6)
    np.testing.assert_allclose(replay.averages, numbers["avg_objective"].ravel()[:4], rtol=5e-6)
    assert above(norm_misses(replay, replay.ders[:1], numbers["der_norms"][..., :1])) == {}
    assert above(misses(replay.ders1, numbers["der1"])) == {}


def test_beta25s_first_step_in_double_precision_is_exact_in_every_variable_and_derivative(data_dir):
    run = paper.start("beta25_lr1e-3", data_dir, np.float64)
    run.net.conserve_memory = False  # so that every variable is there to be compared
    replay = paper.Replay(run)
    replay.steps(1)
    wanted = run.numbers["double"]
    assert replay.losses[0] == pytest.approx(wanted["loss"].item(), rel=1e-13)
    assert distance(run.net.vars["prediction"].value, wanted["prediction"]) < 1e-13
    ours = np.array([paper.norms(run.net.vars[name].value) for name in run.numbers["varNames"]])
    sizes = np.array([size.prod() for size in run.numbers["var_sizes"]])
    length, _, top = wanted["var_norms"].T
    scale = np.stack([length, np.sqrt(sizes) * length, top], axis=1)
    assert (np.abs(ours - wanted["var_norms"]) / scale).max() < 1e-12  # MatConvNet adds millions of numbers one by one
    exact = {"smooth": 1e-12, "flips": 1e-12}
    assert above(norm_misses(replay, replay.ders, wanted["der_norms"][..., None]), **exact) == {}
    assert above(misses(replay.ders1, wanted["der1"]), **exact) == {}
    run.net.conserve_memory = True
    replay.steps(1)
    second = 6 * recorded.load("paper/master_lr1e-3.mat")["double"]["steps"]["loss"].ravel()[1]
    assert replay.losses[1] == pytest.approx(second, rel=1e-12)
