"""The rules of update, against their formulas element by element, against PyTorch, and what a solver is made of."""

import math

import numpy as np
import pytest

from dagnet.graph import Param
from dagnet.layers import parts
from dagnet.training import solvers

pytestmark = pytest.mark.usefixtures("tier")

MAKERS = {
    "sgd": lambda: solvers.SGD(0.8),
    "nesterov": lambda: solvers.SGD(0.8, nesterov=True),
    "adam": lambda: solvers.Adam(0.7, 0.9, 1e-3),
    "adagrad": lambda: solvers.AdaGrad(1e-3, 0.9),
    "adadelta": lambda: solvers.AdaDelta(1e-2, 0.3),
    "rmsprop": lambda: solvers.RMSProp(1e-3, 0.9),
}


@pytest.fixture(params=MAKERS)
def name(request):
    return request.param


@pytest.fixture
def solver(name):
    return MAKERS[name]()


def parameter(rng, shape=(3, 3, 4, 5), **settings):
    value, der = (rng.standard_normal(shape) for _ in range(2))
    return Param("p", value, der, fanout=1, **settings)


def bare_steps(name, x, gradients, rate, o):
    """One number x after a step with each of the gradients, and the two numbers a solver keeps; o: the solver's options."""
    a = b = 0.0
    for t, g in enumerate(gradients, 1):
        if name == "sgd":
            a = o.momentum * a - g
            x += rate * a
        elif name == "nesterov":
            a = o.momentum * a - g
            x += rate * (o.momentum * a - g)
        elif name == "adam":
            a = o.beta1 * a + (1 - o.beta1) * g
            b = o.beta2 * b + (1 - o.beta2) * g**2
            x -= rate * math.sqrt(1 - o.beta2**t) / (1 - o.beta1**t) * a / (math.sqrt(b) + o.eps)
        elif name == "adadelta":
            a = o.rho * a + (1 - o.rho) * g**2
            e = -math.sqrt((b + o.epsilon) / (a + o.epsilon)) * g
            b = o.rho * b + (1 - o.rho) * e**2
            x += e
        else:
            a = o.rho * a + (g**2 if name == "adagrad" else (1 - o.rho) * g**2)
            x -= rate * g / (math.sqrt(a) + o.epsilon)
    return x, a, b


def test_steps_are_the_formula(name, solver, rng):
    param = parameter(rng, (2, 3, 4), learning_rate=0.5, weight_decay=2.0)
    start, ders, state, gradients = param.value.copy(), rng.standard_normal((3, 2, 3, 4)), {}, []
    for der in ders:
        gradients.append(der / 3 + 0.01 * 2.0 * param.value)
        param.der = der
        solvers.update([param], solver, state, divisor=3, learning_rate=0.1, weight_decay=0.01)
    kept = state["p"] if isinstance(state["p"], dict) else {"": state["p"]}
    arrays = [value for value in kept.values() if np.ndim(value)]
    for place in np.ndindex(start.shape):
        x, *keeps = bare_steps(name, start[place], [g[place] for g in gradients], 0.05, solver)
        assert math.isclose(param.value[place], x, rel_tol=1e-12)
        assert np.allclose([a[place] for a in arrays], keeps[: len(arrays)], rtol=1e-12)
    assert kept.get("t", 3) == 3 and set(kept) == {"", *solver.arrays, *solver.numbers} - (
        {""} if solver.arrays else set()
    )


# In PyTorch adam's eps stands elsewhere: with one that small nobody sees it.
TORCH = {
    "sgd": (solvers.SGD(0.9), "SGD", {"momentum": 0.9}),
    "nesterov": (solvers.SGD(0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": (solvers.Adam(eps=1e-14), "Adam", {"eps": 1e-14}),
    "adagrad": (solvers.AdaGrad(), "Adagrad", {"eps": 1e-10}),
    "adadelta": (solvers.AdaDelta(), "Adadelta", {"rho": 0.9, "eps": 1e-6}),
    "rmsprop": (solvers.RMSProp(), "RMSprop", {"alpha": 0.99, "eps": 1e-8}),
}


def test_steps_are_pytorchs(name, rng):
    torch = pytest.importorskip("torch")
    ours, theirs, options = TORCH[name]
    param, rate = parameter(rng), 1.0 if name == "adadelta" else 0.1
    tensor = torch.tensor(param.value.copy(), requires_grad=True)
    optimiser = getattr(torch.optim, theirs)([tensor], lr=rate, weight_decay=0.01, **options)
    state = {}
    for _ in range(5):
        param.der = rng.standard_normal(param.value.shape)
        tensor.grad = torch.tensor(param.der)
        solvers.update([param], ours, state, divisor=1, learning_rate=rate, weight_decay=0.01)
        optimiser.step()
    assert np.allclose(param.value, tensor.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_pieces_make_no_difference(solver, rng, monkeypatch):
    whole = parameter(rng, (7, 50))
    pieces = Param("p", whole.value.copy(), whole.der.copy(), fanout=1)
    solvers.update([whole], solver, {}, divisor=1, learning_rate=0.1, weight_decay=0.1)

    monkeypatch.setattr(solvers, "PIECE", 99)
    monkeypatch.setattr(parts, "PART_BYTES", 99 * 8)
    solvers.update([pieces], solver, {}, divisor=1, learning_rate=0.1, weight_decay=0.1)
    assert np.array_equal(whole.value, pieces.value)


def test_an_array_of_more_than_one_piece_is_updated_to_its_end():
    n = 3 * 2**16 + 17
    param = Param("p", np.zeros(n, np.float32), np.ones(n, np.float32), fanout=1)
    solvers.update([param], solvers.SGD(), {}, divisor=2, learning_rate=1.0, weight_decay=0.0)
    assert (param.value == -0.5).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_values_change_in_place_and_keep_their_dtype(solver, rng, xp, order):
    value = xp.asarray(xp.asarray(rng.standard_normal((3, 4)), np.float32), order=order)
    param = Param("p", value, xp.ones((3, 4), np.float32), fanout=1)
    before, der = value.copy(), param.der.copy()
    state = {}
    for _ in range(2):
        solvers.update([param], solver, state, divisor=1, learning_rate=0.1, weight_decay=0.1)
    kept = state["p"].values() if isinstance(state["p"], dict) else [state["p"]]
    assert all(value.dtype == np.float32 for value in [param.value, *(k for k in kept if np.ndim(k))])
    assert (param.value != before).all() and (param.der == der).all()
    assert (param.value is value) == (order == "C")


def test_a_derivative_may_lie_in_any_order(solver, rng, tier):
    param, other = parameter(rng), parameter(rng)
    other.value, other.der = param.value.copy(), np.asfortranarray(param.der)
    for p in (param, other):
        solvers.update([p], solver, {}, divisor=2, learning_rate=0.1, weight_decay=0.1)
    assert (param.value == other.value).all()


@pytest.mark.parametrize("wrong", ["derivative", "momentum"])
def test_a_derivative_or_momentum_of_another_size_is_refused(rng, tier, wrong):
    param, state = parameter(rng), {}
    state[param.name] = np.zeros((3, 3, 4, 4) if wrong == "momentum" else param.value.shape, param.value.dtype)
    if wrong == "derivative":
        param.der = param.der[..., 1:]
    with pytest.raises(ValueError, match=r"it holds \(3, 3, 4, 4\), and the parameter is \(3, 3, 4, 5\)|broadcast"):
        solvers.update([param], solvers.SGD(), state, divisor=2, learning_rate=0.1, weight_decay=0.1)


def test_a_value_that_may_not_be_written_to_is_replaced(solver, rng, tier):
    param, free = parameter(rng), parameter(rng)
    free.value, free.der = param.value.copy(), param.der
    before, read_only = param.value.copy(), param.value
    read_only.flags.writeable = False
    for p in (param, free):
        solvers.update([p], solver, {}, divisor=2, learning_rate=0.1, weight_decay=0.1)
    assert (param.value == free.value).all() and (read_only == before).all()


def test_a_parameter_without_rate_and_decay_is_left_alone(rng):
    param = parameter(rng, learning_rate=0.0, weight_decay=0.0)
    before, state = param.value.copy(), {}
    solvers.update([param], solvers.SGD(), state, divisor=1, learning_rate=1, weight_decay=1)
    assert np.array_equal(param.value, before) and not state


def test_without_a_rate_but_with_decay_the_momentum_moves_and_the_value_does_not(rng):
    param = parameter(rng, learning_rate=0.0)
    before, state = param.value.copy(), {}
    solvers.update([param], solvers.SGD(), state, divisor=1, learning_rate=1, weight_decay=1)
    assert np.array_equal(param.value, before) and state["p"].any()


def test_a_parameter_without_a_derivative_stays(rng):
    param = parameter(rng)
    param.der, before = None, param.value.copy()
    solvers.update([param], solvers.SGD(), {}, divisor=1, learning_rate=1, weight_decay=1)
    assert np.array_equal(param.value, before)


def test_moments_are_averaged_over_layers_at_a_rate_of_their_own(rng):
    param = parameter(rng, train_method="average", learning_rate=0.1)
    param.fanout = 2
    w, d, state = param.value.copy(), param.der, {}
    solvers.update([param], solvers.SGD(), state, divisor=6, learning_rate=1e-9, weight_decay=1)
    assert np.allclose(param.value, 0.9 * w + 0.1 * d / 12, rtol=1e-14) and not state


def test_an_unknown_train_method_is_named(rng):
    param = parameter(rng, train_method="averge")
    with pytest.raises(
        ValueError, match="parameter 'p': its train_method is 'averge'; 'gradient' or 'average' is right"
    ):
        solvers.update([param], solvers.SGD(), {}, divisor=1, learning_rate=1, weight_decay=1)


def test_an_idle_parameters_momentum_moves_where_none_is_skipped(rng):
    param = parameter(rng, learning_rate=0.0, weight_decay=0.0)
    before, state = param.value.copy(), {}
    solvers.update([param], solvers.SGD(), state, divisor=1, learning_rate=1, weight_decay=1, skip_idle=False)
    assert np.array_equal(param.value, before) and np.array_equal(state["p"], -param.der)


# -- a function of the user's


def halving(w, kept, g, opts, rate):
    w -= rate * opts["share"] * g  # its own copy
    return w, kept + 1


def test_a_function_is_called_as_matconvnet_calls_one(rng):
    param, state = parameter(rng), {}
    w, held = param.value.copy(), param.value
    solver = solvers.make(halving, {"share": 0.5})
    for _ in range(2):
        expected = param.value - 0.1 * 0.5 * (param.der / 4 + 0.01 * param.value)
        solvers.update([param], solver, state, divisor=4, learning_rate=0.1, weight_decay=0.01)
        assert np.allclose(param.value, expected, rtol=1e-14)
    assert param.value is held and (held != w).all() and state == {"p": 2.0}


def test_what_a_function_is_given_does_not_change_afterwards(rng):
    param, state = parameter(rng), {}
    before = param.value.copy()
    solver = solvers.make(lambda w, kept, g, opts, rate: (w - rate * g, w))
    solvers.update([param], solver, state, divisor=1, learning_rate=0.1, weight_decay=0)
    assert (state["p"] == before).all() and (param.value != before).all()


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, "solver: the function gave back a NoneType; w and what it keeps are right"),
        (np.zeros((3, 3, 4, 5)), "solver: the function gave back a ndarray; w and what it keeps are right"),
        ((np.zeros((3, 3, 4, 5)), "text"), "solver: it keeps 'text'; a number, an array, or a dict of these is right"),
        ((np.zeros((3, 3, 4, 5)), {"a": None}), "solver: it keeps {'a': None}; a number, an array, or a dict of these"),
    ],
)
def test_what_a_function_must_not_give_back_is_named_before_it_is_kept(rng, returned, says):
    solver = solvers.make(lambda w, kept, g, opts, rate: returned)
    with pytest.raises(ValueError, match=says):
        solvers.update([parameter(rng)], solver, {}, divisor=1, learning_rate=1, weight_decay=0)


def test_a_function_that_changes_the_shape_is_refused(rng):
    solver = solvers.make(lambda w, kept, g, opts, rate: (w[:1], kept))
    with pytest.raises(
        ValueError, match=r"solver: it gave back a w of shape \(1, 3, 4, 5\); \(3, 3, 4, 5\), as it came"
    ):
        solvers.update([parameter(rng)], solver, {}, divisor=1, learning_rate=1, weight_decay=0)


# -- making one, and going on with one


def test_solvers_are_made_by_name_with_matconvnets_defaults():
    assert solvers.make(momentum=0.5, nesterov=True) == solvers.SGD(0.5, True)
    assert solvers.make("sgd") == solvers.SGD(0.9, False)
    assert solvers.make("sgd", nesterov=True).method == "nesterov"
    assert solvers.make("adam") == solvers.Adam(beta1=0.9, beta2=0.999, eps=1e-8)
    assert solvers.make("adagrad") == solvers.AdaGrad(epsilon=1e-10, rho=1.0)
    assert solvers.make("adadelta") == solvers.AdaDelta(epsilon=1e-6, rho=0.9)
    assert solvers.make("rmsprop", {"rho": 0.5}) == solvers.RMSProp(epsilon=1e-8, rho=0.5)
    mine = solvers.Adam()
    assert solvers.make(mine) is mine


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"solver": "adams"},
            "solver: 'adams' is not known; one of sgd, adam, adagrad, adadelta, rmsprop, a Solver or a function is right",
        ),
        ({"solver": solvers.Adam}, r"solver: <class '.*Adam'> is not known; one of sgd, adam"),
        ({"solver": ["adam"]}, r"solver: \['adam'\] is not known; one of sgd, adam"),
        ({"solver": "adam", "solver_opts": "eps"}, "solver_opts: it is 'eps'; a dict of options is right"),
        ({"momentum": None}, "momentum: it is None; a number from 0 on and below 1 is right"),
        ({"solver": "adam", "solver_opts": {"eps": np.inf}}, "eps: it is inf; a number from 0 on is right"),
        ({"solver": "adam", "solver_opts": {"rho": 1}}, "adam has no option 'rho'; it has beta1, beta2, eps"),
        ({"solver": "adam", "nesterov": True}, "nesterov_update: it is a way of SGD's, and the solver is 'adam'"),
        ({"momentum": 1.0}, "momentum: it is 1.0; a number from 0 on and below 1 is right"),
        ({"solver": "adam", "solver_opts": {"beta2": 1}}, "beta2: it is 1; a number from 0 on and below 1 is right"),
        ({"solver": "adagrad", "solver_opts": {"rho": 1.5}}, "rho: it is 1.5; a number from 0 to 1 is right"),
        ({"solver": "adam", "solver_opts": {"eps": "small"}}, "eps: it is small; a number from 0 on is right"),
        ({"solver": "rmsprop", "solver_opts": {"epsilon": -1}}, "epsilon: it is -1; a number from 0 on is right"),
        ({"solver": solvers.Adam(), "solver_opts": {"eps": 1}}, "which holds its options; none are right"),
    ],
)
def test_what_makes_no_solver_is_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        solvers.make(**arguments)


def test_what_was_kept_is_gone_on_with(solver, rng):
    straight = parameter(rng)
    resumed, state, again = Param("p", straight.value.copy(), straight.der, fanout=1), {}, {}
    options = {"divisor": 2, "learning_rate": 0.1, "weight_decay": 0.01}
    for _ in range(2):
        solvers.update([straight], solver, state, **options)
    solvers.update([resumed], solver, again, **options)
    kept = again["p"]
    read = {n: np.array([[v]]) if n == "t" else v.ravel() for n, v in kept.items()} if isinstance(kept, dict) else kept
    solvers.update([resumed], solver, {"p": solver.resumed(resumed.value, read)}, **options)
    assert np.array_equal(straight.value, resumed.value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_was_read_is_copied_into_the_parameters_order(order):
    w, read = np.zeros((2, 3)), np.asarray(np.arange(6.0).reshape(2, 3), order=order)
    state = {"p": solvers.SGD().resumed(w, read)}
    param = Param("p", w, np.ones((2, 3)), fanout=1)
    for _ in range(2):
        solvers.update([param], solvers.SGD(0.5), state, divisor=1, learning_rate=1, weight_decay=0)
    assert (state["p"] == [[-1.5, -1.25, -1], [-0.75, -0.5, -0.25]]).all()
    assert (read == [[0, 1, 2], [3, 4, 5]]).all()


def test_what_another_solver_kept_is_refused():
    w = np.zeros((2, 3))
    with pytest.raises(ValueError, match="it holds an array, and Adam keeps m, v"):
        solvers.Adam().resumed(w, w)
    with pytest.raises(ValueError, match="it holds m, v, t, and SGD keeps an array"):
        solvers.SGD().resumed(w, solvers.Adam().start(w))
    with pytest.raises(ValueError, match=r"it holds \(3, 3\), and the parameter is \(2, 3\)"):
        solvers.SGD().resumed(w, np.zeros((3, 3)))


def test_a_function_goes_on_with_what_it_kept():
    solver, w = solvers.make(halving), np.zeros((2, 3))
    assert solver.resumed(w, np.array([[7.0]])) == 7.0
    read = solver.resumed(w, {"s": np.arange(6.0), "n": np.array([[2.0]])})
    assert read["s"].shape == (2, 3) and read["n"] == 2.0
