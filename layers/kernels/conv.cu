// Convolution around matrix products: the windows of x as rows (im2col) and back (col2im); bias and ReLU.
// layers/conv.py has the formulas.
//
// x, dx (N, H, W, C); y (P, K) of P = N*YH*YW pixels, counted through; columns (G, count, FH, FW, C/G): for each group the
// windows of `count` pixels of y, from pixel `first` on. Outside x windows read 0. A thread takes WIDE channels where step
// says so, else one.

struct Windows {
    int h, w, c, g, yh, yw, fh, fw, sv, sh, dv, dh, top, left;
};
#define WINDOWS {h, w, c, g, yh, yw, fh, fw, sv, sh, dv, dh, top, left}

// A row of threads has a pixel of y, and goes over its window; blockIdx.y is the group.
template <int N>
__device__ __forceinline__ void gathered(const T* __restrict__ x, T* __restrict__ columns, Windows s, int first, int count) {
    int pixel = (int)ROW;
    if (pixel >= count) return;
    int j = (first + pixel) % s.yw, i = (first + pixel) / s.yw % s.yh, n = (first + pixel) / s.yw / s.yh;
    int fc = s.c / s.g, size = s.fh * s.fw * fc;
    const T* image = x + (long long)n * s.h * s.w * s.c + blockIdx.y * fc;
    T* row = columns + ((long long)blockIdx.y * count + pixel) * size;
    for (int at = threadIdx.x * N; at < size; at += blockDim.x * N) {
        int tap = at / fc, p = tap / s.fw, q = tap - p * s.fw;
        int r = i * s.sv - s.top + p * s.dv, c = j * s.sh - s.left + q * s.dh;
        bool inside = 0 <= r && r < s.h && 0 <= c && c < s.w;
        Pack<N> value = {};
        if (inside) value = load<N>(image, (long long)(r * s.w + c) * s.c + at - tap * fc);
        store<N>(row, at, value);
    }
}

extern "C" __global__ void __launch_bounds__(256)
im2col(const T* __restrict__ x, T* __restrict__ columns, int h, int w, int c, int g, int yh, int yw, int fh, int fw, int sv,
       int sh, int dv, int dh, int top, int left, int first, int count, int step) {
    if (step > 1)
        gathered<WIDE>(x, columns, WINDOWS, first, count);
    else
        gathered<1>(x, columns, WINDOWS, first, count);
}

// A row of threads has one of the `pixels` pixels of dx from `start` on. It sums what the windows in `columns` give back to it,
// in the order of the windows: the same bits always, and no two threads write to one place. With `more`, dx's own is added.
template <int N>
__device__ __forceinline__ void given_back(const T* __restrict__ columns, T* __restrict__ dx, Windows s, int first, int count,
                                           int start, int pixels, int more) {
    int pixel = (int)ROW, channel = PLACE * N;
    if (pixel >= pixels || channel >= s.c) return;
    pixel += start;
    int c = pixel % s.w + s.left, r = pixel / s.w % s.h + s.top, n = pixel / s.w / s.h;  // its place in the padded image
    int fc = s.c / s.g, size = s.fh * s.fw * fc, group = channel / fc;
    const T* rows = columns + (long long)group * count * size + channel - group * fc;
    long long goal = (long long)pixel * s.c + channel;
    Pack<N> sum = {};
    if (more) sum = load<N>(dx, goal);
    int above = r - (s.fh - 1) * s.dv, before = c - (s.fw - 1) * s.dh;  // windows that begin before these end before r, c
    for (int i = above > 0 ? (above + s.sv - 1) / s.sv : 0; i < s.yh && i * s.sv <= r; i++) {
        int p = (r - i * s.sv) / s.dv;
        if (p * s.dv != r - i * s.sv) continue;
        for (int j = before > 0 ? (before + s.sh - 1) / s.sh : 0; j < s.yw && j * s.sh <= c; j++) {
            int q = (c - j * s.sh) / s.dh, window = (n * s.yh + i) * s.yw + j - first;
            if (q * s.dh != c - j * s.sh || window < 0 || window >= count) continue;
            sum += load<N>(rows, (long long)window * size + (p * s.fw + q) * fc);
        }
    }
    store<N>(dx, goal, sum);
}

extern "C" __global__ void __launch_bounds__(256)
col2im(const T* __restrict__ columns, T* dx, int h, int w, int c, int g, int yh, int yw, int fh, int fw, int sv, int sh, int dv,
       int dh, int top, int left, int first, int count, int start, int pixels, int more, int step) {
    if (step > 1)
        given_back<WIDE>(columns, dx, WINDOWS, first, count, start, pixels, more);
    else
        given_back<1>(columns, dx, WINDOWS, first, count, start, pixels, more);
}

// y + b, where there is a b, and with `rectify` the larger of that and 0 (NaN is passed on), in place.
template <int N> __device__ __forceinline__ void finished(T* y, const T* __restrict__ b, int pixels, int k, int rectify) {
    long long pixel = ROW;
    int channel = PLACE * N;
    if (pixel >= pixels || channel >= k) return;
    Pack<N> value = load<N>(y, pixel * k + channel);
    if (b) value += load<N>(b, channel);
#pragma unroll
    for (int l = 0; l < N; l++)
        if (rectify && value.of[l] <= 0) value.of[l] = 0;
    store<N>(y, pixel * k + channel, value);
}

extern "C" __global__ void __launch_bounds__(256)
finish(T* y, const T* __restrict__ b, int pixels, int k, int rectify, int step) {
    if (step > 1)
        finished<WIDE>(y, b, pixels, k, rectify);
    else
        finished<1>(y, b, pixels, k, rectify);
}
