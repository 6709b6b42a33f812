// The rectified linear unit, forward and back; its mask together with the sums that are a bias's derivative.
// layers/relu.py has the formulas.

template <int N>
__device__ __forceinline__ void rectified(const T* __restrict__ x, T* __restrict__ y, long long count, T leak) {
    long long at = THREAD * N;
    if (at >= count) return;
    Pack<N> v = load<N>(x, at);
#pragma unroll
    for (int k = 0; k < N; k++)
        if (v.of[k] <= 0) v.of[k] = leak == 0 ? 0 : leak * v.of[k];  // no product at leak 0: it makes NaN of -inf
    store<N>(y, at, v);
}

extern "C" __global__ void __launch_bounds__(256)
relu_forward(const T* __restrict__ x, T* __restrict__ y, long long count, T leak, int step) {
    if (step > 1)
        rectified<WIDE>(x, y, count, leak);
    else
        rectified<1>(x, y, count, leak);
}

template <int N>
__device__ __forceinline__ void sloped(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ dx, long long count,
                                       T leak) {
    long long at = THREAD * N;
    if (at >= count) return;
    Pack<N> v = load<N>(x, at), d = load<N>(dy, at);
#pragma unroll
    for (int k = 0; k < N; k++) d.of[k] *= v.of[k] > 0 ? 1 : leak;
    store<N>(dx, at, d);
}

extern "C" __global__ void __launch_bounds__(256)
relu_backward(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ dx, long long count, T leak, int step) {
    if (step > 1)
        sloped<WIDE>(x, dy, dx, count, leak);
    else
        sloped<1>(x, dy, dx, count, leak);
}

// dx (rows, K): dy where y is above 0; sums (blocks along x, K): dx over the `each` rows of a block.
template <int N>
__device__ __forceinline__ void masked_rows(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx,
                                            T* __restrict__ sums, int rows, int channels, int each, T* kept) {
    int c = PLACE * N, first = blockIdx.x * each, end = min(first + each, rows);
    Pack<N> sum = {};
    if (c < channels)
        for (int row = first + threadIdx.y; row < end; row += blockDim.y) {
            long long at = (long long)row * channels + c;
            Pack<N> v = load<N>(y, at), d = load<N>(dy, at);
#pragma unroll
            for (int k = 0; k < N; k++) {
                d.of[k] *= v.of[k] > 0;
                sum.of[k] += d.of[k];
            }
            store<N>(dx, at, d);
        }
    sum = sum_over_rows(sum, (Pack<N>*)kept);
    if (threadIdx.y == 0 && c < channels) store<N>(sums, (long long)blockIdx.x * channels + c, sum);
}

extern "C" __global__ void __launch_bounds__(256)
relu_masked(const T* __restrict__ dy, const T* __restrict__ y, T* __restrict__ dx, T* __restrict__ sums, int rows, int channels,
            int each, int step) {
    ROOM;
    if (step > 1)
        masked_rows<WIDE>(dy, y, dx, sums, rows, channels, each, kept);
    else
        masked_rows<1>(dy, y, dx, sums, rows, channels, each, kept);
}
