"""dagnet.layers.array: the memory order, and what is kept of it on the way between devices."""

import sys
import types

import numpy as np
import pytest

from dagnet.layers import array


def packed(rng):
    """The same values in C order (filters), in N,H,W,C order (data), in Fortran's (files); a matrix's transpose."""
    x = rng.standard_normal((3, 4, 5, 2)).astype(np.float32)
    return [x, array.channels_last(x), np.asfortranarray(x), x.reshape(12, 10).T]


def sparse(rng):
    """Arrays with gaps in memory, turned round, without dimensions, without values."""
    x = rng.standard_normal((3, 4, 5, 2)).astype(np.float32)
    return [x[:, :, :1].transpose(2, 0, 3, 1), x[::-1, :, ::2], np.array(3.0), x[:, :, :, :0]]


def test_channels_last_is_a_view_of_data_in_our_order_and_a_copy_of_other_data(xp, rng):
    x = xp.asarray(rng.standard_normal((3, 4, 5, 2)))
    y = array.channels_last(x)
    assert (y == x).all() and y.transpose(3, 0, 1, 2).flags.c_contiguous and not xp.shares_memory(x, y)
    assert xp.shares_memory(array.channels_last(y), y)


def test_a_move_that_makes_c_order_keeps_the_memory_order(rng):
    """CuPy's own moves make C order of all but C order; here np.array stands for them."""
    for x in packed(rng) + sparse(rng):
        y = array._in_memory_order(x, lambda values: np.array(values, order="C"))
        assert y.shape == x.shape and np.array_equal(x, y)
    for x in packed(rng):
        assert array._in_memory_order(x, lambda values: np.array(values, order="C")).strides == x.strides


def test_what_is_on_the_cpu_is_not_copied(rng):
    assert all(array.to_numpy(x) is x for x in packed(rng) + sparse(rng))


def test_to_the_gpu_and_back_neither_values_nor_memory_order_change(gpu, rng):
    for x in packed(rng) + sparse(rng):
        there = array.to_gpu(x)
        assert array.to_gpu(there) is there and np.array_equal(array.to_numpy(there), x)
    for x in packed(rng):
        assert array.to_gpu(x).strides == array.to_numpy(array.to_gpu(x)).strides == x.strides


@pytest.mark.parametrize("exponent", [0.25, 0.5, 0.75, 1, 1.5, 1.75, 2, -0.75, -0.5, -1, -1.75, 3, 0.3, 0, -2.5])
def test_power_is_the_power_whatever_the_exponent(xp, rng, exponent):
    x = xp.asarray(rng.uniform(0.01, 10, (5, 4)))
    for dtype, tolerance in ((np.float32, 5e-7), (np.float64, 1e-15)):
        y = array.power(x.astype(dtype), exponent)
        assert y.dtype == dtype
        assert xp.allclose(y, x.astype(dtype).astype(np.float64) ** exponent, rtol=tolerance, atol=0)


def test_what_may_be_repeated_has_the_size_or_1_in_places():
    for shape in [(), (3,), (3, 4), (1, 1, 5), (1, 4, 1, 2), (3, 4, 5, 2)]:
        array.check_repeats("it", np.ones(shape), (3, 4, 5, 2))
    for shape in [(2,), (3, 4, 5, 3), (1, 1, 1, 1, 1)]:
        with pytest.raises(
            ValueError, match=r"it has shape \(.*\); \(3, 4, 5, 2\), each of the sizes may be 1, is right"
        ):
            array.check_repeats("it", np.ones(shape), (3, 4, 5, 2))


def test_a_derivative_has_the_size_of_y_and_sizes_of_1_at_the_end_may_be_missing(xp):
    assert array.derivative("relu", xp.ones((3, 2)), (3, 2, 1, 1)).shape == (3, 2, 1, 1)
    assert array.derivative("loss", xp.ones(()), (1, 1, 1, 1)).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"relu: dy has shape \(3, 2, 1, 1\); y's shape \(3, 2, 4, 1\) is right"):
        array.derivative("relu", xp.ones((3, 2)), (3, 2, 4, 1))
    with pytest.raises(ValueError, match=r"loss: dy has shape \(2, 1, 1, 1\); one number is right"):
        array.derivative("loss", xp.ones(2), (1, 1, 1, 1))


@pytest.mark.parametrize("apart", [1, 20, array.COUNTED_APART])  # one row of counts, two, more than there are places
def test_counts_are_how_often_each_number_is_there(xp, rng, monkeypatch, apart):
    monkeypatch.setattr(array, "COUNTED_APART", apart)
    places = xp.asarray(rng.integers(0, 5, 40))
    assert array.counts(places, 7).tolist() == [int((places == i).sum()) for i in range(7)]


# -- what is missing for a GPU, and the remedy


@pytest.fixture
def cupy(monkeypatch):
    """A module cupy whose runtime says what a test lets it say."""

    class CUDARuntimeError(RuntimeError):
        pass

    runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, runtimeGetVersion=lambda: 13020)

    def machine(devices, driver):
        def count():
            if devices is None:
                raise CUDARuntimeError("cudaErrorSomething: of some kind")
            return devices

        runtime.getDeviceCount, runtime.driverGetVersion = count, lambda: driver

    fake = types.SimpleNamespace(
        cuda=types.SimpleNamespace(runtime=runtime), ndarray=type("ndarray", (), {}), machine=machine
    )
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def test_a_gpu_that_is_there_is_found(cupy):
    cupy.machine(1, 13020)
    assert array.cupy_module() is cupy


@pytest.mark.parametrize(
    ("devices", "driver", "says"),
    [
        (None, 0, "this machine has no NVIDIA driver; a machine with an NVIDIA GPU and its driver is right"),
        (
            None,
            12040,
            r"the NVIDIA driver serves CUDA 12\.4 and CuPy was made for CUDA 13\.2; a newer driver, or .*cuda12x",
        ),
        (None, 13020, r"CuPy finds no device that it can use \(cudaErrorSomething: of some kind\); nvidia-smi lists"),
        (0, 13020, "CuPy sees no NVIDIA device; nvidia-smi lists those there are"),
    ],
)
def test_a_gpu_that_is_missing_is_told_with_the_remedy(cupy, devices, driver, says):
    cupy.machine(devices, driver)
    with pytest.raises(RuntimeError, match=f"^GPU: {says}"):
        array.mover("gpu")


def test_cupy_that_is_missing_or_broken_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match=r"^GPU: CuPy is not installed; .*: pip install 'dagnet\[cuda13x\]'"):
        array.cupy_module()
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.setattr("builtins.__import__", failing(__import__))
    with pytest.raises(RuntimeError, match=r"^GPU: CuPy cannot be loaded \(libcudart\.so is missing\)"):
        array.cupy_module()


def failing(usual):
    def load(name, *rest):
        if name == "cupy":
            raise ImportError("libcudart.so is missing\nand much more")
        return usual(name, *rest)

    return load
