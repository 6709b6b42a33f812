// What every .cu begins with. T is float or double; gpu/source.py defines it above this text.

#define INF (T)__int_as_float(0x7f800000)

// The number of this thread, and of all threads, along x: kernels go over their data in steps of THREADS.
#define THREAD ((long long)blockIdx.x * blockDim.x + threadIdx.x)
#define THREADS ((long long)gridDim.x * blockDim.x)

// N numbers that lie side by side. WIDE of them are read and written at once; these begin at a multiple of 16 bytes.
#define WIDE (16 / (int)sizeof(T))
template <int N> struct __align__(N * sizeof(T)) Pack {
    T of[N];
};

template <int N> __device__ __forceinline__ Pack<N> load(const T* __restrict__ x, long long at) {
    return *(const Pack<N>*)(x + at);
}

template <int N> __device__ __forceinline__ void store(T* __restrict__ y, long long at, Pack<N> values) {
    *(Pack<N>*)(y + at) = values;
}

// Where launch.plane puts a thread: its row (a pixel), and its place along that row (channels, N at a time).
#define ROW ((long long)blockIdx.x * blockDim.y + threadIdx.y)
#define PLACE (blockIdx.y * blockDim.x + threadIdx.x)

// The sum over the rows of threads of a block, of each column of threads, for the threads of row 0. All threads must come.
// `kept` is shared memory with room for each thread's values. The order of the additions is always the same.
template <int N> __device__ Pack<N> sum_over_rows(Pack<N> values, T* kept) {
    Pack<N>* all = (Pack<N>*)kept;
    int own = threadIdx.y * blockDim.x + threadIdx.x;
    all[own] = values;
    for (int half = blockDim.y / 2; half; half /= 2) {  // blockDim.y is a power of two
        __syncthreads();
        if (threadIdx.y < half) {
            Pack<N> other = all[own + half * blockDim.x];
#pragma unroll
            for (int k = 0; k < N; k++) all[own].of[k] += other.of[k];
        }
    }
    return all[own];
}
#define ROOM __shared__ __align__(16) T kept[256 * WIDE]  // for launch.BLOCK threads

// Lists that a kernel takes by value: launch.py makes them of Python's lists. 4 KB is the most that a kernel may take.
#define LIST 64
struct Arrays {
    T* at[LIST];
};
struct Counts {
    long long of[LIST];
};
struct Numbers {
    T of[LIST];
};
