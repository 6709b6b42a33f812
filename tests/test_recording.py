"""dagnet.layers.kernels.gpu.recording: what cuBLAS is called with while a graph is recorded, by a stand-in for its library."""

import ctypes
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import launch, recording

from tests.emulator import blas

# The declarations are those of cublas_api.h; the products are handed to Python.
STUB = r"""
#include <cstddef>
extern "C" {
typedef void (*Single)(long, int, int, int, int, int, long, long, int, int, long, int, int, long, long, int, int, int, int);
typedef void (*Batched)(long, int, int, int, int, int, long, long, int, int, long long, long, int, int, long long, long, long,
                        int, int, long long, int, int, int);
Single single;
Batched batched;
long said[5];
int cublasSetStream_v2(void* handle, void* stream) {
    said[0] = (long)handle;
    said[1] = (long)stream;
    return 0;
}
int cublasSetWorkspace_v2(void* handle, void* at, size_t bytes) {
    said[2] = (long)handle;
    said[3] = (long)at;
    said[4] = bytes;
    return bytes == 7 ? 13 : 0;
}
int cublasGemmEx(void* handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* A, int Atype,
                 int lda, const void* B, int Btype, int ldb, const void* beta, void* C, int Ctype, int ldc, int compute,
                 int algo) {
    single((long)handle, transa, transb, m, n, k, (long)alpha, (long)A, Atype, lda, (long)B, Btype, ldb, (long)beta, (long)C,
           Ctype, ldc, compute, algo);
    return 0;
}
int cublasGemmStridedBatchedEx(void* handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* A,
                               int Atype, int lda, long long strideA, const void* B, int Btype, int ldb, long long strideB,
                               const void* beta, void* C, int Ctype, int ldc, long long strideC, int count, int compute,
                               int algo) {
    batched((long)handle, transa, transb, m, n, k, (long)alpha, (long)A, Atype, lda, strideA, (long)B, Btype, ldb, strideB,
            (long)beta, (long)C, Ctype, ldc, strideC, count, compute, algo);
    return 0;
}
}
"""
LONG, INT, STRIDE = ctypes.c_long, ctypes.c_int, ctypes.c_longlong
SINGLE = [LONG, *[INT] * 5, LONG, LONG, INT, INT, LONG, INT, INT, LONG, LONG, INT, INT, INT, INT]
BATCHED = [LONG, *[INT] * 5, LONG, *[LONG, INT, INT, STRIDE] * 2, LONG, LONG, INT, INT, STRIDE, INT, INT, INT]


@pytest.fixture
def stub(emulated, monkeypatch, tmp_path):
    """A library with cuBLAS's functions in the place of CuPy's extension, as launch.gemm finds it while stream 5 records."""
    made = tmp_path / "stub.so"
    subprocess.run(
        [shutil.which("g++"), "-shared", "-fPIC", "-x", "c++", "-", "-o", made], input=STUB, text=True, check=True
    )
    cublas = SimpleNamespace(**{**vars(blas), "__file__": str(made)})
    library = recording.library(str(made))
    calls = [ctypes.CFUNCTYPE(None, *SINGLE)(blas.gemmEx), ctypes.CFUNCTYPE(None, *BATCHED)(blas.gemmStridedBatchedEx)]
    for name, call in zip(("single", "batched"), calls, strict=True):
        ctypes.c_void_p.in_dll(library, name).value = ctypes.cast(call, ctypes.c_void_p).value
    room = SimpleNamespace(data=SimpleNamespace(ptr=1 << 40), nbytes=recording.WORKSPACE)
    monkeypatch.setattr(recording, "workspace", {5: room}.__getitem__)
    monkeypatch.setattr(launch, "cublas", lambda: (recording.Cublas(cublas, 5), 1 << 41))
    yield SimpleNamespace(library=library, room=room, calls=calls)
    recording.library.cache_clear()


def test_products_are_handed_to_cublas_as_its_header_has_them(stub, rng):
    for dtype, beta in ((np.float32, 0.0), (np.float64, 0.5)):
        a, b, out = (rng.standard_normal(size).astype(dtype) for size in ((3, 4), (5, 4), (3, 5)))
        expected = a @ b.T + beta * out
        assert np.allclose(launch.gemm(a, b.T, out, beta), expected, 1e-5)
        stacks = [rng.standard_normal(size).astype(dtype) for size in ((6, 3, 4), (6, 4, 5), (6, 3, 5))]
        expected = stacks[0] @ stacks[1] + beta * stacks[2]
        assert np.allclose(launch.gemm_batched(*stacks, beta), expected, 1e-5)


def test_cublas_works_on_the_stream_that_records_in_memory_of_ours(stub):
    one = np.ones((1, 1))
    launch.gemm(one, one, np.empty((1, 1)))
    assert list((ctypes.c_long * 5).in_dll(stub.library, "said")) == [1 << 41, 5, 1 << 41, 1 << 40, recording.WORKSPACE]


def test_what_cublas_refuses_is_told(stub):
    stub.room.nbytes = 7
    one = np.ones((1, 1))
    with pytest.raises(RuntimeError, match="cublasSetWorkspace_v2: cuBLAS answers with status 13"):
        launch.gemm(one, one, np.empty((1, 1)))
