// What every .cu begins with. T is float or double; gpu/source.py defines it above this text.

#define INF (T)__int_as_float(0x7f800000)

// The number of this thread, and of all threads, along x: kernels go over their data in steps of THREADS.
#define THREAD ((long long)blockIdx.x * blockDim.x + threadIdx.x)
#define THREADS ((long long)gridDim.x * blockDim.x)

// Four numbers that are read and written at once; their address is a multiple of 16.
struct __align__(16) Four {
    T x, y, z, w;
};
