// What every .cu begins with. T is float or double; gpu/source.py defines it above this text.

#define INF (T)__int_as_float(0x7f800000)

// The number of this thread along x.
#define THREAD ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// N numbers that lie side by side. WIDE of them are read and written at once; these begin at a multiple of 16 bytes.
#define WIDE (16 / (int)sizeof(T))
template <int N> struct __align__(N * sizeof(T)) Pack {
    T of[N];
    __device__ __forceinline__ void operator+=(const Pack& other) {
#pragma unroll
        for (int k = 0; k < N; k++) of[k] += other.of[k];
    }
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

// The sum of each column of threads of a block, for the thread of row 0. All threads of the block must come; `kept` is shared
// memory with room for a value of each. The order of the additions is always the same.
template <class V> __device__ V sum_over_rows(V value, V* kept) {
    int own = threadIdx.y * blockDim.x + threadIdx.x;
    kept[own] = value;
    for (int half = blockDim.y / 2; half; half /= 2) {  // blockDim.y is a power of two
        __syncthreads();
        if (threadIdx.y < half) kept[own] += kept[own + half * blockDim.x];
    }
    return kept[own];
}

// The sum of each row of threads of a block, or the largest (NaN is passed on), for every thread of the row. As above.
template <class V> __device__ V over_row(V value, V* kept, bool largest) {
    V* row = kept + threadIdx.y * blockDim.x;
    row[threadIdx.x] = value;
    for (int half = blockDim.x / 2; half; half /= 2) {  // blockDim.x is a power of two
        __syncthreads();
        if (threadIdx.x < half) {
            V own = row[threadIdx.x], other = row[threadIdx.x + half];
            row[threadIdx.x] = !largest ? own + other : own > other || own != own ? own : other;
        }
    }
    __syncthreads();
    value = row[0];
    __syncthreads();  // then `kept` may be used again
    return value;
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
