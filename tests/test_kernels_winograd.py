"""dagnet.layers.kernels.gpu.winograd: its transforms in double precision, its rounding, and where it is used."""

import functools

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import launch, winograd
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from dagnet.layers import array, conv, settings
from dagnet.models import lesion_fcn
from tests import oracles, test_conv
from tests.test_kernels_conv import plain


@pytest.fixture
def errors(on_gpu):
    """errors(x, w, b, dy, pad): of max(y, 0), dx and dw by Winograd, beside the plain code's in double precision."""
    return functools.partial(errors_of, on_gpu(winograd))


def errors_of(winograd, x, w, b, dy, pad):
    options = {"pad": pad}
    plan = conv.Plan.of(x.shape, w, b, 1, pad, 1)
    pixels, ders = array.base(x), array.base(dy)
    ours = [winograd.forward(plan, pixels, w, b, True), winograd.data_derivative(plan, ders, w)]
    ours = [a.transpose(1, 2, 3, 0) for a in ours] + [winograd.filter_derivative(plan, pixels, ders)]
    x, w, b, dy = (a.astype(float) for a in (x, w, b, dy))
    theirs = [plain(conv.forward, x, w, b, rectify=True, **options), *plain(conv.backward, x, w, b, dy, **options)[:2]]
    return [oracles.error(a, c) for a, c in zip(ours, theirs, strict=True)]


@given(
    st.tuples(*[st.integers(1, 14)] * 2, st.integers(1, 5), st.integers(1, 3)),
    st.integers(1, 5),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.sampled_from([1, 40_000, 1 << 28]),  # a tile at a time, several, all at once
)
@hypothesis(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_is_the_convolution_in_double_precision(errors, size, k, pad, scratch):
    rng = np.random.default_rng(sum(size))
    h, w, c, n = max(size[0], 3 - pad[0] - pad[1]), max(size[1], 3 - pad[2] - pad[3]), *size[2:]
    operands = test_conv.operands(rng, (h, w, c, n), (3, 3, c, k))
    dy = rng.standard_normal((h + pad[0] + pad[1] - 2, w + pad[2] + pad[3] - 2, k, n))
    with settings.using(scratch=scratch):
        assert max(errors(*operands, dy, pad)) < 1e-13


@pytest.mark.parametrize("scratch", [60_000, 500_000, 1 << 28])
def test_long_sums_of_dw_are_cut_and_added(errors, rng, scratch):
    x, dy = rng.standard_normal((33, 50, 2, 3)), rng.standard_normal((33, 50, 3, 3))
    assert winograd._shares(2, 3, 3 * 9 * 13, 8) == 2
    assert winograd._shares(512, 512, 10**6, 4) == 1  # large matrices need no more blocks
    w, b = rng.standard_normal((3, 3, 2, 3)), np.zeros(3)
    with settings.using(scratch=scratch):
        assert max(errors(x, w, b, dy, 1)) < 1e-13


@pytest.mark.parametrize("channels", [(32, 32), (64, 128), (512, 512)])
@pytest.mark.parametrize("tiles", [40, 3000, 60_000])
def test_tiles_and_filters_stay_within_the_scratch_and_fill_it(channels, tiles):
    scratch = 100_000_000
    with settings.using(scratch=scratch):
        shares = winograd._shares(*channels, tiles, 4)
        step = winograd._step(tiles, 4, *channels, shares)
    taken = 36 * 4 * (step * sum(channels) + shares * channels[0] * channels[1])
    assert step % shares == 0
    assert taken <= scratch + 36 * 4 * (shares - 1) * sum(channels)  # rounded up to equal shares
    assert step >= tiles or taken > scratch / 2


def test_its_rounding_is_a_few_units_in_single_precision(errors, rng):
    """On real images and VGG-16's filters: at most 2e-6 in y and dx, 6e-7 in dw (a matrix product: 6e-7)."""
    x, w, b = test_conv.operands(rng, (17, 18, 64, 2), (3, 3, 64, 48), np.float32)
    dy = rng.standard_normal((17, 18, 48, 2)).astype(np.float32)
    found = errors(np.maximum(x, 0), w, b, dy, 1)
    assert max(found) < 4e-6
    assert max(found) > 2e-7  # and it is Winograd's: the plain code in double precision was not compared with itself


def test_filters_in_any_memory_order_are_accepted(errors, rng):
    x, w, b = test_conv.operands(rng, (5, 6, 2, 1), (3, 3, 2, 3))
    dy = rng.standard_normal((5, 6, 3, 1))
    for filters in (np.asfortranarray(w), w[::-1, :, :, ::-1]):
        assert max(errors(x, filters, b, dy, 1)) < 1e-13


def test_nan_is_passed_on_to_its_tile(on_gpu, rng):
    x, w, b = test_conv.operands(rng, (4, 9, 2, 1), (3, 3, 2, 3))
    x[0, 0, 1] = np.nan
    y = on_gpu(winograd).forward(conv.Plan.of(x.shape, w, b, 1, 1, 1), array.base(x), w, b, True)
    assert np.isnan(y[0, :, :4]).all() and not np.isnan(y[0, :, 4:]).any()


@pytest.fixture
def launched(emulated, monkeypatch):
    """Which sources' kernels made the convolutions; those for biases aside."""
    files, kernel = set(), launch.kernel

    def noted(file, *rest):
        files.update({file} - {"sums"})
        return kernel(file, *rest)

    monkeypatch.setattr(launch, "kernel", noted)
    return files


def layer(rng, dtype=np.float32, size=(21, 22, 32, 1), filters=(3, 3, 32, 32), **options):
    """A convolution's forward and backward."""
    x, w, b = test_conv.operands(rng, size, filters, dtype)
    y = conv.forward(x, w, b, **{"pad": 1} | options)
    return [y, *conv.backward(x, w, b, y, **{"pad": 1} | options)]


def test_wide_layers_of_3x3_in_single_precision_take_it(rng, launched):
    layer(rng)
    assert launched == {"winograd"}


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": float},
        {"stride": 2},
        {"stride": [1, 2]},
        {"dilate": [2, 1]},
        {"filters": (3, 1, 32, 32)},
        {"filters": (3, 3, 16, 32)},  # two groups
        {"filters": (3, 3, 32, 31)},
        {"size": (21, 22, 31, 1), "filters": (3, 3, 31, 32)},
        {"size": (20, 20, 32, 1)},  # 25 tiles
        {"size": (21, 22, 32, 0)},
    ],
)
def test_others_are_done_by_matrix_products(rng, launched, options):
    layer(rng, **options)
    assert launched <= {"conv"}


@pytest.mark.parametrize("choice", [{"exact": True}, {"precision": "tf32"}, {"scratch": 294_911}])
def test_it_is_left_out_where_settings_say_so(rng, launched, choice):
    """exact wants the same bits always, TF32 has no digits to spare, and the filters must leave room in the scratch."""
    with settings.using(**choice):
        layer(rng)
    assert launched == {"conv"}


def test_exact_results_agree_with_it(emulated, rng):
    state = rng.bit_generator.state
    fast = layer(rng)
    rng.bit_generator.state = state
    with settings.using(exact=True):
        exact = layer(rng)
    assert max(oracles.error(a, c) for a, c in zip(fast, exact, strict=True)) < 1e-5
    assert any((a != c).any() for a, c in zip(fast, exact, strict=True))


def test_the_papers_network_runs_through_it(emulated, rng, monkeypatch):
    """All its parameters' derivatives, narrow and in double precision, where rounding turns no ReLU."""
    images = rng.standard_normal((32, 32, 3, 2)) * 50
    labels = rng.integers(1, 3, (32, 32, 1, 2)).astype(float)
    monkeypatch.setattr(winograd, "serves", lambda plan, dtype: plan.window == (3, 3))

    def derivatives():
        net = lesion_fcn.lesion_fcn(width=1 / 32, fc_width=8, dropout=0.0)
        for param in net.params.values():
            param.value = param.value.astype(float)
        net.eval({"input": images, "label": labels}, {"objective": 1})
        return {name: param.der for name, param in net.params.items()}

    ours, theirs = derivatives(), plain(derivatives)
    assert max(oracles.error(ours[name], der) for name, der in theirs.items()) < 1e-11
