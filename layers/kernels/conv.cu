// Convolution around matrix products: the windows of x as rows (im2col) and back (col2im); bias and ReLU.
//
// Shapes    x, dx (N, H, W, C)    y (P, K) of P = N*YH*YW pixels, counted through
//           columns (G, count, FH, FW, C/G): for each group the windows of `count` pixels of y, from pixel `first` on
// Windows   the window of pixel (i, j) reads x at (i*sv - top + p*dv, j*sh - left + q*dh), and 0 where that lies outside
// Lanes     V is Four where channels and addresses allow it, else T; channels are counted in V
// Threads   x runs along what is contiguous (a window, or channels), y along pixels; blockIdx.y along groups, or channels
// Source    layers/conv.py

__device__ __forceinline__ T sum(T a, T b) { return a + b; }
__device__ __forceinline__ Four sum(Four a, Four b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }

__device__ __forceinline__ T rectified(T a) { return a <= 0 ? 0 : a; }  // NaN is passed on
__device__ __forceinline__ Four rectified(Four a) {
    return {rectified(a.x), rectified(a.y), rectified(a.z), rectified(a.w)};
}

template <typename V>
__device__ __forceinline__ void gather_windows(const V* x, V* columns, int h, int w, int c, int g, int yh, int yw, int fh,
                                               int fw, int sv, int sh, int dv, int dh, int top, int left, int first,
                                               int count) {
    int pixel = blockIdx.x * blockDim.y + threadIdx.y;
    if (pixel >= count) return;
    int j = (first + pixel) % yw, i = (first + pixel) / yw % yh, n = (first + pixel) / yw / yh;
    int fc = c / g, size = fh * fw * fc;
    const V* image = x + (size_t)n * h * w * c + blockIdx.y * fc;
    V* row = columns + ((size_t)blockIdx.y * count + pixel) * size;
    for (int v = threadIdx.x; v < size; v += blockDim.x) {
        int tap = v / fc, p = tap / fw, q = tap - p * fw;
        int r = i * sv - top + p * dv, s = j * sh - left + q * dh;
        V value = {};
        if (0 <= r && r < h && 0 <= s && s < w) value = image[(size_t)(r * w + s) * c + v - tap * fc];
        row[v] = value;
    }
}

extern "C" __global__ void __launch_bounds__(256)
im2col(const T* __restrict__ x, T* __restrict__ columns, int h, int w, int c, int g, int yh, int yw, int fh, int fw, int sv,
       int sh, int dv, int dh, int top, int left, int first, int count) {
    gather_windows(x, columns, h, w, c, g, yh, yw, fh, fw, sv, sh, dv, dh, top, left, first, count);
}

extern "C" __global__ void __launch_bounds__(256)
im2col_in_fours(const T* __restrict__ x, T* __restrict__ columns, int h, int w, int c, int g, int yh, int yw, int fh, int fw,
                int sv, int sh, int dv, int dh, int top, int left, int first, int count) {
    gather_windows((const Four*)x, (Four*)columns, h, w, c, g, yh, yw, fh, fw, sv, sh, dv, dh, top, left, first, count);
}

// Each of the `pixels` pixels of dx, from `start` on, sums what the windows in `columns` give back to it, in the order of
// the windows: always the same bits, and no two threads write to one place. With `more` it is added to what dx holds.
template <typename V>
__device__ __forceinline__ void sum_windows(const V* columns, V* dx, int h, int w, int c, int g, int yh, int yw, int fh,
                                            int fw, int sv, int sh, int dv, int dh, int top, int left, int first, int count,
                                            int start, int pixels, int more) {
    int pixel = blockIdx.x * blockDim.y + threadIdx.y, channel = blockIdx.y * blockDim.x + threadIdx.x;
    if (pixel >= pixels || channel >= c) return;
    pixel += start;
    int s = pixel % w + left, r = pixel / w % h + top, n = pixel / w / h;  // row and column in the padded image
    int fc = c / g, size = fh * fw * fc, group = channel / fc;
    const V* rows = columns + (size_t)group * count * size + channel - group * fc;
    V* goal = dx + (size_t)pixel * c + channel;
    V total = {};
    if (more) total = *goal;
    int above = r - (fh - 1) * dv, before = s - (fw - 1) * dh;  // no window that begins before this place reaches here
    for (int i = above > 0 ? (above + sv - 1) / sv : 0; i < yh && i * sv <= r; i++) {
        int p = (r - i * sv) / dv;
        if (p * dv != r - i * sv) continue;
        for (int j = before > 0 ? (before + sh - 1) / sh : 0; j < yw && j * sh <= s; j++) {
            int q = (s - j * sh) / dh, window = (n * yh + i) * yw + j - first;
            if (q * dh != s - j * sh || window < 0 || window >= count) continue;
            total = sum(total, rows[(size_t)window * size + (p * fw + q) * fc]);
        }
    }
    *goal = total;
}

extern "C" __global__ void __launch_bounds__(256)
col2im(const T* __restrict__ columns, T* __restrict__ dx, int h, int w, int c, int g, int yh, int yw, int fh, int fw, int sv,
       int sh, int dv, int dh, int top, int left, int first, int count, int start, int pixels, int more) {
    sum_windows(columns, dx, h, w, c, g, yh, yw, fh, fw, sv, sh, dv, dh, top, left, first, count, start, pixels, more);
}

extern "C" __global__ void __launch_bounds__(256)
col2im_in_fours(const T* __restrict__ columns, T* __restrict__ dx, int h, int w, int c, int g, int yh, int yw, int fh, int fw,
                int sv, int sh, int dv, int dh, int top, int left, int first, int count, int start, int pixels, int more) {
    sum_windows((const Four*)columns, (Four*)dx, h, w, c, g, yh, yw, fh, fw, sv, sh, dv, dh, top, left, first, count, start,
                pixels, more);
}

// y + b, and with `rectify` the larger of that and 0, in place.
template <typename V>
__device__ __forceinline__ void finish_pixels(V* y, const V* b, int pixels, int k, int rectify) {
    int pixel = blockIdx.x * blockDim.y + threadIdx.y, channel = blockIdx.y * blockDim.x + threadIdx.x;
    if (pixel >= pixels || channel >= k) return;
    V* goal = y + (size_t)pixel * k + channel;
    V value = sum(*goal, b[channel]);
    *goal = rectify ? rectified(value) : value;
}

extern "C" __global__ void __launch_bounds__(256) finish(T* y, const T* __restrict__ b, int pixels, int k, int rectify) {
    finish_pixels(y, b, pixels, k, rectify);
}

extern "C" __global__ void __launch_bounds__(256)
finish_in_fours(T* y, const T* __restrict__ b, int pixels, int k, int rectify) {
    finish_pixels((Four*)y, (const Four*)b, pixels, k, rectify);
}
