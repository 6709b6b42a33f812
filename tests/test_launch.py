"""dagnet.layers.kernels.gpu.launch, and the emulator that stands in for a GPU: what they refuse, what they catch."""

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import launch, source

from dagnet.layers import settings
from tests import emulator

PROBES = r"""
extern "C" __global__ void __launch_bounds__(64) twice(const T* __restrict__ x, T* __restrict__ y, int count) {
    if (THREAD < count) y[THREAD] = 2 * x[THREAD];
}
extern "C" __global__ void reversed(const T* x, T* y, int barrier) {  // of a block
    __shared__ T kept[64];
    kept[threadIdx.x] = x[threadIdx.x];
    if (barrier) __syncthreads();
    y[threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void rolled(T* x, int barrier) {  // in place: read, then write
    T next = x[(threadIdx.x + 1) % blockDim.x];
    if (barrier) __syncthreads();
    x[threadIdx.x] = next;
}
extern "C" __global__ void behind(const T* x, T* y, int read, int write) {
    T value = x[read];
    y[write] = value;
}
extern "C" __global__ void half_a_barrier(T* y) {
    if (threadIdx.x < 16) __syncthreads();
    y[threadIdx.x] = 1;
}
extern "C" __global__ void two_barriers(T* y) {
    if (threadIdx.x < 16)
        __syncthreads();
    else
        __syncthreads();
    y[threadIdx.x] = 1;
}
extern "C" __global__ void all_write_one(T* y) { y[0] = threadIdx.x; }
extern "C" __global__ void warp_sums(const T* x, T* y) {
    T sum = x[threadIdx.x];
    for (int by = 16; by; by /= 2) sum += __shfl_down_sync(0xffffffff, sum, by);
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = sum;
}
extern "C" __global__ void dynamic(const T* x, T* y) {
    extern __shared__ T kept[];
    kept[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void unfinished(T* y) {
    __shared__ T kept[8];
    y[0] = kept[0];
}
extern "C" __global__ void place(int* y) {
    y[(blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x] =
        1000 * blockIdx.y + 100 * blockIdx.x + 10 * threadIdx.y + threadIdx.x;
}
"""


@pytest.fixture
def probes(emulated, monkeypatch, tmp_path):
    """The kernels above, in place of those that ship."""
    (tmp_path / "probes.cu").write_text(PROBES)
    (tmp_path / "common.cuh").write_text((source.FOLDER / "common.cuh").read_text())
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    caches = (source.text, source.kernels, launch.kernel)
    for cache in caches:
        cache.cache_clear()
    yield lambda name, dtype=np.float32: launch.kernel("probes", name, dtype)
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_runs_on_numpy_arrays(probes, rng, dtype):
    x = rng.standard_normal(1000).astype(dtype)
    y = np.empty_like(x)
    probes("twice", dtype)(launch.blocks(x.size, 64), (64,), (x, y, x.size))
    assert (y == 2 * x).all()


def test_blocks_and_threads_have_three_dimensions(probes):
    y = np.empty((3, 2, 4, 5), np.int32)
    probes("place")((2, 3), (5, 4), (y,))
    i = np.indices(y.shape)
    assert (y == 1000 * i[0] + 100 * i[1] + 10 * i[2] + i[3]).all()


@pytest.mark.parametrize("count", [1, 33, 64])
def test_threads_meet_at_a_barrier(probes, rng, count):
    x = rng.standard_normal(count).astype(np.float32)
    y = np.empty_like(x)
    probes("reversed")((1,), (count,), (x, y, 1))
    assert (y == x[::-1]).all()


@pytest.mark.parametrize("kernel", ["reversed", "rolled"])
def test_a_missing_barrier_is_found(probes, rng, kernel):
    x = rng.standard_normal(64).astype(np.float32)
    arrays = (x, np.empty_like(x)) if kernel == "reversed" else (x,)
    with pytest.raises(emulator.KernelError, match="a barrier is missing"):
        probes(kernel)((1,), (64,), (*arrays, 0))


def test_two_threads_that_write_to_one_place_are_found(probes):
    with pytest.raises(emulator.KernelError, match="two threads write to one place"):
        probes("all_write_one")((1,), (2,), (np.empty(1, np.float32),))


@pytest.mark.parametrize(
    ("kernel", "what"), [("half_a_barrier", "never reach"), ("two_barriers", "different barriers")]
)
def test_a_barrier_that_not_all_threads_reach_is_found(probes, kernel, what):
    with pytest.raises(emulator.KernelError, match=what):
        probes(kernel)((1,), (32,), (np.empty(32, np.float32),))


@pytest.mark.parametrize(
    ("read", "write", "where"),
    [(8, 0, "outside x"), (0, 7, "outside y"), (0, -1, "outside y"), (1 << 19, 0, "outside x")],
)
def test_a_kernel_that_leaves_its_arrays_is_caught(probes, read, write, where):
    x, y = np.ones(5, np.float32), np.ones(7, np.float32)
    with pytest.raises(emulator.KernelError, match=where):
        probes("behind")((1,), (1,), (x, y, read, write))


def test_where_an_array_ends_at_sixteen_bytes_the_next_number_is_out_of_reach(probes):
    x, y = np.ones(4, np.float64), np.ones(4, np.float64)
    with pytest.raises(emulator.KernelError, match="outside x"):
        probes("behind", np.float64)((1,), (1,), (x, y, 4, 0))


def test_shared_memory_begins_as_nan(probes):
    y = np.zeros(1, np.float32)
    probes("unfinished")((1,), (1,), (y,))
    assert np.isnan(y[0])


def test_what_is_made_empty_begins_as_nan(emulated):
    assert np.isnan(np.empty((2, 3), np.float32)).all()


def test_warps_pass_numbers_on(probes, rng):
    x = rng.integers(0, 9, 96).astype(np.float64)
    y = np.empty(3)
    probes("warp_sums", np.float64)((1,), (96,), (x, y))
    assert (y == x.reshape(3, 32).sum(axis=1)).all()


def test_dynamic_shared_memory_is_as_large_as_asked(probes, rng):
    x = rng.standard_normal(64).astype(np.float32)
    y = np.empty_like(x)
    probes("dynamic")((1,), (64,), (x, y), shared=256)
    assert (y == x[::-1]).all()
    with pytest.raises(emulator.KernelError, match="outside its dynamic shared memory"):
        probes("dynamic")((1,), (64,), (x, y), shared=240)


def test_a_grid_without_blocks_does_nothing(probes):
    y = np.empty(0, np.float32)
    probes("twice")(launch.blocks(0), (64,), (y, y, 0))


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (7, 3), (1000, 64), (5, 300), (1, 256), (0, 5)])
def test_a_plane_has_a_thread_for_each_value_of_each_row(rows, width):
    grid, block = launch.plane(rows, width)
    assert block[0] * block[1] == launch.BLOCK[0]
    assert grid == (-(-rows // block[1]), -(-width // block[0]))
    assert block[0] >= min(width, launch.BLOCK[0]) > block[0] / 2


def test_arguments_that_the_signature_does_not_name_are_refused(probes):
    x, y = np.ones((4, 4), np.float32), np.ones((4, 4), np.float32)
    twice = probes("twice")
    with pytest.raises(ValueError, match="2 arguments came; it takes 3"):
        twice((1,), (64,), (x, y))
    with pytest.raises(ValueError, match="x is float64"):
        twice((1,), (64,), (x.astype(np.float64), y, 16))
    with pytest.raises(ValueError, match="C-contiguous"):
        twice((1,), (64,), (x.T, y, 16))
    with pytest.raises(TypeError):
        twice((1,), (64,), (x, y, 16.0))
    with pytest.raises(OverflowError):
        twice((1,), (64,), (x, y, 1 << 31))
    with pytest.raises(ValueError, match="no kernel 'thrice'"):
        probes("thrice")


def matrices(rng, dtype, m, k, n, layout):
    """a, b, out with some of them transposed views or parts of wider arrays."""

    def made(rows, columns, kind):
        wide = rng.standard_normal((rows + 2, columns + 3)).astype(dtype)
        return {"plain": wide[:rows, :columns].copy(), "part": wide[1:-1, 2:-1], "turned": wide.T.copy()[2:-1, 1:-1].T}[
            kind
        ]

    return [made(*size, kind) for size, kind in zip([(m, k), (k, n), (m, n)], layout, strict=True)]


@pytest.mark.parametrize(
    "layout", ["plain part turned", "turned turned plain", "part turned part", "turned plain turned"]
)
@pytest.mark.parametrize("size", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1)])
def test_products_take_views_of_any_order(emulated, rng, layout, size):
    for dtype, beta in ((np.float32, 0.0), (np.float64, 1.0), (np.float64, -0.5)):
        a, b, out = matrices(rng, dtype, *size, layout.split())
        expected = a.astype(float) @ b + beta * out
        if not beta:
            out[...] = np.nan
        assert launch.gemm(a, b, out, beta) is not None
        assert np.allclose(out, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_stacks_of_products_may_share_an_operand(emulated, rng):
    a, b = rng.standard_normal((6, 3, 4)), np.broadcast_to(rng.standard_normal((4, 5)), (6, 4, 5))
    out = np.empty((6, 5, 3)).transpose(0, 2, 1)
    launch.gemm_batched(a, b, out)
    assert np.allclose(out, a @ b)


def test_tf32_is_used_only_when_asked_for(emulated, rng):
    a, b, out = matrices(rng, np.float32, 8, 64, 8, ["plain"] * 3)
    exact = a.astype(float) @ b
    launch.gemm(a, b, out)
    assert abs(out - exact).max() < 1e-5
    with settings.using(precision="tf32"):
        launch.gemm(a, b, out)
    assert 1e-4 < abs(out - exact).max() < 1e-1


def test_products_of_matrices_that_do_not_fit_are_refused(emulated):
    a = np.ones((4, 6), np.float32)
    with pytest.raises(ValueError, match="are right"):
        launch.gemm(a, a, a)
    with pytest.raises(ValueError, match="must be dense"):
        launch.gemm(a[::2, ::2], np.ones((3, 2), np.float32), np.ones((2, 2), np.float32))
