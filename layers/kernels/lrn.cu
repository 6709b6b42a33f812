// Local response normalisation across the channels of x (pixels, C). layers/lrn.py has the formulas.
//
// A thread has a number. The window of channel k is k - (n-1)/2 .. k + n/2, the windows that hold q are those of q - n/2 .. .

__device__ __forceinline__ T size_at(const T* __restrict__ x, int k, int channels, int n, T kappa, T alpha) {
    T sum = 0;
    for (int q = max(k - (n - 1) / 2, 0); q <= min(k + n / 2, channels - 1); q++) sum += x[q] * x[q];
    return kappa + alpha * sum;
}

extern "C" __global__ void __launch_bounds__(256)
lrn_forward(const T* __restrict__ x, T* __restrict__ y, int pixels, int channels, int n, T kappa, T alpha, T beta) {
    int c = PLACE;
    if (ROW >= pixels || c >= channels) return;
    x += ROW * channels;
    y[ROW * channels + c] = x[c] * pow(size_at(x, c, channels, n, kappa, alpha), -beta);
}

// straight: dy L^-beta, which is dx but for what the other channels' L give; shares: straight * x / L
extern "C" __global__ void __launch_bounds__(256)
lrn_shares(const T* __restrict__ x, const T* __restrict__ dy, T* __restrict__ straight, T* __restrict__ shares, int pixels,
           int channels, int n, T kappa, T alpha, T beta) {
    int c = PLACE;
    if (ROW >= pixels || c >= channels) return;
    long long at = ROW * channels + c;
    T size = size_at(x + ROW * channels, c, channels, n, kappa, alpha), own = dy[at] * pow(size, -beta);
    straight[at] = own;
    shares[at] = own * x[at] / size;
}

extern "C" __global__ void __launch_bounds__(256)
lrn_backward(const T* __restrict__ x, const T* __restrict__ shares, T* __restrict__ dx, int pixels, int channels, int n,
             T factor) {
    int c = PLACE;
    if (ROW >= pixels || c >= channels) return;
    long long at = ROW * channels + c;
    T sum = 0;
    for (int k = max(c - n / 2, 0); k <= min(c + (n - 1) / 2, channels - 1); k++) sum += shares[ROW * channels + k];
    dx[at] -= factor * x[at] * sum;
}
