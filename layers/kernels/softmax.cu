// Softmax over the channels of pixels, and the loss of it. layers/softmax.py and layers/class_losses.py have the formulas.
//
// A row of threads has a pixel, and goes along its channels.

__device__ __forceinline__ T largest_of(const T* __restrict__ x, int channels, bool inside, T* kept) {
    T largest = -INF;
    if (inside)
        for (int c = threadIdx.x; c < channels; c += blockDim.x)
            if (x[c] > largest || x[c] != x[c]) largest = x[c];
    return over_row(largest, kept, true);
}

__device__ __forceinline__ T sum_of_exp(const T* __restrict__ x, T largest, int channels, bool inside, T* kept) {
    T sum = 0;
    if (inside)
        for (int c = threadIdx.x; c < channels; c += blockDim.x) sum += exp(x[c] - largest);
    return over_row(sum, kept, false);
}

extern "C" __global__ void __launch_bounds__(256)
softmax_forward(const T* __restrict__ x, T* __restrict__ y, int pixels, int channels) {
    __shared__ T kept[256];
    bool inside = ROW < pixels;
    x += ROW * channels, y += ROW * channels;
    T largest = largest_of(x, channels, inside, kept), sum = sum_of_exp(x, largest, channels, inside, kept);
    if (inside)
        for (int c = threadIdx.x; c < channels; c += blockDim.x) y[c] = exp(x[c] - largest) / sum;
}

extern "C" __global__ void __launch_bounds__(256)
softmax_backward(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ dx, int pixels, int channels) {
    __shared__ T kept[256];
    bool inside = ROW < pixels;
    x += ROW * channels, dy += ROW * channels, dx += ROW * channels;
    T largest = largest_of(x, channels, inside, kept), sum = sum_of_exp(x, largest, channels, inside, kept), product = 0;
    if (inside)
        for (int c = threadIdx.x; c < channels; c += blockDim.x) product += dy[c] * (exp(x[c] - largest) / sum);
    product = over_row(product, kept, false);
    if (inside)
        for (int c = threadIdx.x; c < channels; c += blockDim.x) dx[c] = exp(x[c] - largest) / sum * (dy[c] - product);
}

// label   a class 1..channels for each pixel, 0: ignored, anything else makes NaN; weight: of each pixel, or null
// dx      the derivative times weight and scale; sums: for each block, its pixels' losses times their weights
extern "C" __global__ void __launch_bounds__(256)
softmaxlog(const T* __restrict__ x, const T* __restrict__ label, const T* __restrict__ weight, T* __restrict__ dx,
           double* __restrict__ sums, int pixels, int channels, T scale) {
    __shared__ T kept[256];
    __shared__ double totals[256];
    bool inside = ROW < pixels;
    x += ROW * channels;
    T own = inside ? label[ROW] : 0, w = 0 <= own && own <= channels ? own >= 1 : INF - INF;
    if (inside && weight) w *= weight[ROW];
    int place = 1 <= own && own <= channels ? (int)own - 1 : 0;
    T largest = largest_of(x, channels, inside, kept), sum = sum_of_exp(x, largest, channels, inside, kept);
    if (inside && dx)
        for (int c = threadIdx.x; c < channels; c += blockDim.x)
            dx[ROW * channels + c] = w * scale * (exp(x[c] - largest) / sum - (c == place));
    bool counts = inside && threadIdx.x == 0 && w != 0;
    double total = counts ? (double)(w * (log(sum) + (largest - x[place]))) : 0;
    total = sum_over_rows(total, totals);
    if (threadIdx.y == 0 && threadIdx.x == 0) sums[blockIdx.x] = total;
}
