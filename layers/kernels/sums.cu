// sums (blocks along x, C): the columns of x (rows, C), over the `each` rows of a block.

template <int N>
__device__ __forceinline__ void rows_of_block(const T* __restrict__ x, T* __restrict__ sums, int rows, int channels, int each,
                                              T* kept) {
    int c = PLACE * N, first = blockIdx.x * each, end = min(first + each, rows);
    Pack<N> sum = {};
    if (c < channels)
        for (int row = first + threadIdx.y; row < end; row += blockDim.y)
            sum += load<N>(x, (long long)row * channels + c);
    sum = sum_over_rows(sum, (Pack<N>*)kept);
    if (threadIdx.y == 0 && c < channels) store<N>(sums, (long long)blockIdx.x * channels + c, sum);
}

extern "C" __global__ void __launch_bounds__(256)
column_sums(const T* __restrict__ x, T* __restrict__ sums, int rows, int channels, int each, int step) {
    ROOM;
    if (step > 1)
        rows_of_block<WIDE>(x, sums, rows, channels, each, kept);
    else
        rows_of_block<1>(x, sums, rows, channels, each, kept);
}
