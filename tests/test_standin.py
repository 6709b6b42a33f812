"""The stand-in for CuPy: it refuses what CuPy refuses, does what CuPy does, goes without a trace, and catches what slips."""

import copy
import importlib.util
import inspect
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

from dagnet.layers import array, catalogue, kernels, relu, samples, settings, sigmoid, softmax, sum
from tests import little, standin
from tests.conftest import ROOT
from tests.standin import modules, replay
from tests.standin.arrays import FROZEN


@pytest.fixture
def cupy():
    with standin.installed() as module:
        yield module


@pytest.fixture
def x(cupy):
    """(4, 2, 3), in the memory order of a transposed (2, 3, 4)."""
    return cupy.asarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)).transpose(2, 0, 1)


# -- what is refused


REFUSED = """
np.asarray(x) | np.array(x) | np.add(x, x) | np.exp(x) | np.sum(x) | np.zeros_like(x) | np.isfinite(x) | np.maximum(x, 0)
np.add.reduce(x) | np.concatenate([x, x]) | np.stack([x]) | np.zeros(4)[x[0, 0, 0].astype(int)] | n @ x | n + x | n < x
x + n | x == n | x + [1, 2, 3] | x * np.array(2.0) | divmod(x, n) | x.dot(n) | x.take(n) | x[n > 0] | x[np.arange(2)]
cupy.add(x, n) | cupy.where(n > 0, x, x) | cupy.matmul(x, n) | cupy.concatenate([x, n]) | cupy.concatenate([[1.0], [2.0]])
cupy.stack([1, 2]) | cupy.maximum([1, 2], 3) | cupy.sum(n) | cupy.sum([1, 2]) | cupy.zeros_like(n) | cupy.ascontiguousarray(n)
x.sum(where=x > 0) | x.max(initial=0) | x.std(mean=0) | cupy.add(x, x, where=x > 0) | cupy.add(x, x, order='F')
cupy.sum(x, 0, None, None, False, 1) | cupy.clip(x, 0, 1, casting='unsafe') | cupy.bitwise_and(x, x)
cupy.add(x, x, out=n) | x.sum(axis=0, out=n[0]) | x.itemset | x.setflags | x.flags.aligned | range(x[0, 0, 0].astype(int))
cupy.no_such_name | cupy.longdouble | cupy.random.default_rng(0).permutation | cupy.zeros(2, object) | x.astype('U1')
cupy.asarray(['a']) | cupy.asarray([None]) | float(x) | bool(x) | hash(x) | len(x.sum()) | iter(x.sum())
"""
STATEMENTS = """
x += n | n += x | x[...] = n | n[...] = x | x[0, 0] = [1, 2, 3] | i += 1.5 | i += x[0, 0] | x.strides = (1, 1, 1) | x @= x
x[n > 0] = 1 | cupy.add(x, x, out=i) | cupy.add(x, x, out=x[0]) | cupy.multiply.at(x, i, 1)
"""


def each(texts):
    return pytest.mark.parametrize("text", [text.strip() for text in re.split("[|\n]", texts.strip())])


@each(REFUSED)
def test_what_cupy_refuses_or_can_only_be_a_slip_is_refused(cupy, x, text):
    n = np.ones((4, 2, 3), np.float32)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        eval(text, {"np": np, "cupy": cupy, "x": x, "n": n})


@each(STATEMENTS)
def test_statements_that_mix_or_lose_precision_are_refused(cupy, x, text):
    n, i = np.ones((4, 2, 3), np.float32), cupy.arange(3)
    with pytest.raises((TypeError, ValueError, AttributeError, NotImplementedError)):
        exec(text, {"cupy": cupy, "x": x, "n": n, "i": i})


@each("cupy.RawModule(code='') | cupy.ElementwiseKernel('', '', '') | cupy.trapz(x) | cupy.fft")
def test_what_cupy_has_and_the_stand_in_lacks_says_so(cupy, x, text):
    with pytest.raises(NotImplementedError, match="the stand-in for CuPy l"):
        eval(text)


def test_an_array_of_numpys_comes_in_by_asarray_and_out_by_get_alone(cupy):
    n = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    x = cupy.asarray(n)
    n[0, 0] = 9
    assert isinstance(x.get(), np.ndarray) and x.get()[0, 0] == 0 and cupy.asnumpy(x).flags.c_contiguous
    assert cupy.asarray(x) is x and cupy.array(x) is not x and cupy.asarray([1, 2]).dtype == int
    assert array.to_numpy(x).flags.f_contiguous and array.module_of(x) is cupy


# -- what is done as CuPy does it


@pytest.mark.parametrize(
    ("texts", "strides"),
    [
        ("x + x | -x | 2 * x | np.float32(2) * x | cupy.exp(x) | x.copy() | cupy.where(x > 0, x, x)", (24, 12, 4)),
        ("cupy.empty_like(x) | cupy.array(x) | x.astype('f') | cupy.nan_to_num(x)", (4, 48, 16)),
        ("x.sum(axis=2) | x.max(axis=2)", (8, 4)),
        ("x[:, 0]", (4, 16)),
        ("x.reshape(8, 3)", (12, 4)),
        ("x.reshape(8, 3, order='F')", (4, 32)),
        ("cupy.asarray(np.ones((3, 2, 4)).transpose(1, 0, 2))", (96, 32, 8)),
        ("cupy.asarray(np.ones((4, 3)).T)", (8, 24)),
        ("cupy.broadcast_to(x[0, 0], (5, 3))", (0, 16)),
    ],
)
def test_results_lie_in_memory_as_cupys_do(cupy, x, texts, strides):
    for text in texts.split("|"):
        assert eval(text.strip()).strides == strides, text


def test_reductions_and_items_are_arrays_on_the_device(cupy, x):
    for made in (x.sum(), x.mean(), x.max(), x[0, 0, 0], cupy.sqrt(2.0), cupy.allclose(x, x), cupy.count_nonzero(x)):
        assert type(made) is cupy.ndarray and made.shape == ()
    assert np.shape(x) == (4, 2, 3) and np.ndim(x) == 3 and np.size(x) == 24 and cupy.shape(x) == (4, 2, 3)


def test_numbers_keep_the_dtype_as_numpys_and_cupys_rules_have_it(cupy, x):
    assert (x * 2.0).dtype == (2 * x).dtype == (x * np.float32(2)).dtype == np.float32
    assert (np.float64(2) * x).dtype == (x * np.float64(2)).dtype == (x + x.astype(float)).dtype == np.float64


def test_its_own_functions_have_cupys_parameters():
    for own in (modules.array, modules.asarray, modules.ascontiguousarray, modules.asnumpy):
        names = list(inspect.signature(own).parameters)
        assert names == [text.rstrip("=") for text in FROZEN["functions"][own.__name__].split(", ") if text != "*"]


def test_operations_write_where_they_are_told(cupy, x):
    y = cupy.empty_like(x)
    assert cupy.add(x, 1, out=y) is y and (y == x + 1).all() and y.strides == x.strides
    view = x[0]
    view += 100
    x[x > 120] = 0
    assert float(x[0, 0, 0]) == 100 and int(x.max()) == 120
    cupy.add.at(y, (cupy.asarray([0, 0]), 0, 0), 1)
    assert float(y[0, 0, 0]) == 3


def test_copies_are_arrays_of_their_own(cupy, x):
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(twin) is cupy.ndarray and cupy.array_equal(twin, x) and not cupy.shares_memory(twin, x)


def test_sparse_products_come_in_fortrans_order(cupy):
    values, columns, starts = cupy.asarray([1.0, 2, 3]), cupy.asarray([0, 2, 2]), cupy.asarray([0, 2, 3])
    made = array.sparse(values, columns, starts, (2, 3)).dot(cupy.eye(3))
    assert made.tolist() == [[1, 0, 2], [0, 0, 3]] and made.flags.f_contiguous
    assert array.sparse(values, columns, starts, (2, 3)).T.dot(cupy.ones((2, 2))).shape == (3, 2)


def test_random_numbers_follow_from_the_seed(cupy):
    def draw(seed):
        return cupy.random.default_rng(seed).random((2, 3), np.float32)

    assert cupy.array_equal(draw(5), draw(5)) and not cupy.array_equal(draw(5), draw(6))
    assert draw(np.random.SeedSequence([1, 2])).dtype == np.float32


# -- what makes the host wait


@pytest.mark.parametrize(
    ("texts", "waits"),
    [
        ("x + x | x.sum() | x[0] | x[cupy.arange(2)] | cupy.add.at(x, 0, 1)", {}),
        ("bool(x.any())", {"bool": 1}),
        ("float(x.sum()) | np.float64(x.sum())", {"float": 1}),
        ("[float(v) for v in x[0, 0]]", {"float": 3}),
        ("x.get() | cupy.asnumpy(x) | array.to_numpy(x)", {"get": 1}),
        ("f'{x.sum():g}'", {"format": 1}),
        ("x[x > 0] | x.__setitem__(x > 0, 1)", {"mask": 1}),
        ("cupy.nonzero(x)", {"nonzero": 1}),
        ("cupy.where(x > 0)", {"where": 1}),
        ("cupy.bincount(cupy.arange(3))", {"bincount": 1}),
    ],
)
def test_what_makes_the_host_wait_is_counted(cupy, x, texts, waits):
    for text in texts.split("|"):
        standin.waits.clear()
        eval(text.strip())
        assert standin.waits == waits, text


# -- that it comes and goes


def test_it_is_there_inside_the_block_alone():
    before, serving = {name for name in sys.modules if name.startswith("cupy")}, kernels.serving
    with pytest.raises(KeyError), standin.installed() as module:
        import cupy
        from cupyx.scipy import sparse

        assert cupy is module and sparse.csr_matrix and array.cupy_module() is module
        assert kernels.serving("relu", module.ones((1, 1, 1, 1))) is None
        cupy.planted = 1
        raise KeyError
    assert {name for name in sys.modules if name.startswith("cupy")} == before and kernels.serving is serving
    with standin.installed() as module:
        assert not hasattr(module, "planted")


# -- that it catches what it is there for


@pytest.mark.parametrize("module", [relu, sigmoid, softmax, sum], ids=lambda module: module.__name__)
@pytest.mark.parametrize("good", [r"\bxp\.", r"array\.module_of\([^)]*\)"])
def test_an_np_that_is_planted_in_a_layer_is_caught_here_and_not_on_numpy(cupy, module, good):
    source, found = re.subn(good, "np." if good.endswith(r"\.") else "np", inspect.getsource(module))
    assert found
    slipped = {"__name__": module.__name__, "__package__": "dagnet.layers", "np": np}
    exec(compile("from __future__ import annotations\n" + source, "slipped", "exec"), slipped)
    values = np.random.default_rng(0).standard_normal((3, 4, 5, 2))
    given = (lambda x: [x, x]) if module is sum else (lambda x: x)
    with settings.using(fast=False):
        expected = module.forward(given(values))
        np.testing.assert_allclose(slipped["forward"](given(values)), expected)
    there = cupy.asarray(values)
    np.testing.assert_allclose(array.to_numpy(module.forward(given(there))), expected)
    with pytest.raises(TypeError):
        slipped["forward"](given(there))


BLOCKS = [(name, variant) for name in catalogue.known() for variant in samples.VARIANTS.get(name, [{}])]


def passes(name, variant, there, dtype=np.float64):
    """y and all derivatives of a block of the catalogue on its sample, which goes `there`; and back on the CPU."""
    sample = samples.make(name, variant, samples.SIZE, np.random.default_rng(1))
    inputs, params = ([there(a.astype(dtype)) for a in arrays] for arrays in (sample.inputs, sample.params))
    if getattr(sample.block, "mask", None) is not None:
        sample.block.mask = there(sample.block.mask.astype(dtype))
    outputs = sample.block.forward(inputs, params)
    ders = [xp.full_like(y, 0.5) for y in outputs for xp in [array.module_of(y)]]
    uses = inputs if sample.block.backward_uses == "inputs" else outputs
    der_inputs, der_params = sample.block.backward(uses, params, ders)
    return [None if a is None else array.to_numpy(a) for a in (*outputs, *der_inputs, *der_params)]


@pytest.mark.parametrize(("name", "variant"), BLOCKS)
def test_every_block_of_the_catalogue_computes_the_same_on_it(cupy, name, variant):
    on_cpu, there = passes(name, variant, lambda a: a), passes(name, variant, cupy.asarray)
    for ours, theirs in zip(there, on_cpu, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


# -- that it is CuPy's


def test_the_names_and_keywords_that_were_written_down_are_those_of_cupy_14():
    if not importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is not installed, to which cupy14.json is compared")
    script = "from tests.standin import freeze; assert freeze.taken() == freeze.frozen()"
    compared = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert compared.returncode == 0, compared.stderr


def test_cupy_itself_takes_every_call_of_blocks_and_training_and_lays_out_its_results_alike(cupy, tmp_path):
    if not importlib.util.find_spec("cupy_backends"):
        pytest.skip("CuPy is not installed, to which the stand-in's calls are given")
    with replay.writing(tmp_path / "calls.jsonl"):
        for name, variant in BLOCKS:
            for order in (
                cupy.asarray,
                lambda a: array.channels_last(cupy.asarray(a)) if a.ndim == 4 else cupy.asarray(a),
            ):
                passes(name, variant, order, np.float32)
        net = little.net()
        net.move("gpu")
        little.train(net, tmp_path)
    script = [sys.executable, "-m", "tests.standin.replay", tmp_path / "calls.jsonl"]
    replayed = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert (replayed.returncode, replayed.stdout) == (0, ""), replayed.stderr
