// Winograd's convolution F(4x4, 3x3) around matrix products: 36 multiplications where a 4x4 tile of y takes 144.
//
// Shapes    x (N, H, W, C)    w, dw (3, 3, C, K)    y, dy (N, YH, YW, K)
//           tiles of 4x4 pixels of y are counted through, TH*TW an image; v, z, m, u, sums (36, ...): one matrix for each of 36
//           products, as gpu/winograd.py takes them
// Forward   y tile = A' [sum_c (G w G') * (B' X B)] A        X: the 6x6 pixels of x that the tile reads; *: value by value
// Backward  dw     = G' [sum_tiles (B' X B) * (A dY A')] G   the adjoint; dx is the forward pass of dy with flipped filters
// Points    0, +-a, +-b and infinity, with a = sqrt(1/2) and b = sqrt(2). With the usual +-1 and +-2 the largest error in
//           float32 is five times as large: there the powers reach 8 and here, up and down, 2.8.
// Threads   x runs along channels, y along tiles; the 36 values of a channel's tile stay in registers
// Source    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016); with other points, by Toom and Cook's rule

constexpr T A = (T)0.70710678118654752440;
constexpr T B = (T)1.41421356237309504880;

// Each line works in place on values that lie `s` apart.

// B': the six values of x.
__device__ __forceinline__ void input_line(T* d, int s) {
    T even_a = d[4 * s] - 2 * d[2 * s], odd_a = A * (d[3 * s] - 2 * d[s]);
    T even_b = d[4 * s] - d[2 * s] / 2, odd_b = B * (d[3 * s] - d[s] / 2);
    d[0] = d[0] - (T)2.5 * d[2 * s] + d[4 * s];
    d[5 * s] = d[s] - (T)2.5 * d[3 * s] + d[5 * s];
    d[s] = even_a + odd_a;
    d[2 * s] = even_a - odd_a;
    d[3 * s] = even_b + odd_b;
    d[4 * s] = even_b - odd_b;
}

// G: three weights to six.
__device__ __forceinline__ void filter_line(T* w, int s) {
    const T third = (T)(1. / 3), sixth = (T)(1. / 6);
    T first = w[0], middle = w[s], last = w[2 * s];
    w[s] = -(2 * first + last + 2 * A * middle) * third;
    w[2 * s] = -(2 * first + last - 2 * A * middle) * third;
    w[3 * s] = (first + 2 * last + B * middle) * sixth;
    w[4 * s] = (first + 2 * last - B * middle) * sixth;
    w[5 * s] = last;
}

// G': six sums to three weights' derivatives.
__device__ __forceinline__ void weight_line(T* p, int s) {
    const T third = (T)(1. / 3), sixth = (T)(1. / 6);
    T even_a = p[s] + p[2 * s], odd_a = p[s] - p[2 * s], even_b = p[3 * s] + p[4 * s], odd_b = p[3 * s] - p[4 * s];
    p[0] = p[0] - 2 * third * even_a + sixth * even_b;
    p[s] = B * sixth * odd_b - 2 * A * third * odd_a;
    p[2 * s] = third * (even_b - even_a) + p[5 * s];
}

// A': six products to four pixels of y.
__device__ __forceinline__ void output_line(T* m, int s) {
    T even_a = m[s] + m[2 * s], odd_a = A * (m[s] - m[2 * s]);
    T even_b = m[3 * s] + m[4 * s], odd_b = B * (m[3 * s] - m[4 * s]);
    m[0] = m[0] + even_a + even_b;
    m[s] = odd_a + odd_b;
    m[2 * s] = even_a / 2 + 2 * even_b;
    m[3 * s] = odd_a / 2 + 2 * odd_b + m[5 * s];
}

// A: four pixels of dy to six.
__device__ __forceinline__ void gradient_line(T* d, int s) {
    T even_a = d[0] + d[2 * s] / 2, odd_a = A * (d[s] + d[3 * s] / 2);
    T even_b = d[0] + 2 * d[2 * s], odd_b = B * (d[s] + 2 * d[3 * s]);
    d[5 * s] = d[3 * s];
    d[s] = even_a + odd_a;
    d[2 * s] = even_a - odd_a;
    d[3 * s] = even_b + odd_b;
    d[4 * s] = even_b - odd_b;
}

// Where a tile lies: its image, and the first row and column of its 4x4 pixels.
struct Tile {
    int n, row, column;
    __device__ Tile(int tile, int th, int tw) : n(tile / tw / th), row(tile / tw % th * 4), column(tile % tw * 4) {}
};

// A tile's SIZE x SIZE values of one channel of an image (N, H, W, C) into a[6 * i + j]; 0 where there are none.
template <int SIZE>
__device__ __forceinline__ void read_tile(T* a, const T* image, int row, int column, int h, int w, int c, bool any) {
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            int r = row + i, s = column + j;
            bool inside = any && 0 <= r && r < h && 0 <= s && s < w;
            a[6 * i + j] = inside ? image[(size_t)(r * w + s) * c] : 0;
        }
}

// v (36, count, C) = B' X B for `count` tiles from `first` on; 0 for those beyond the last image.
extern "C" __global__ void __launch_bounds__(256)
transform_input(const T* __restrict__ x, T* __restrict__ v, int n, int h, int w, int c, int th, int tw, int top, int left,
                int first, int count) {
    int channel = blockIdx.y * blockDim.x + threadIdx.x, tile = blockIdx.x * blockDim.y + threadIdx.y;
    if (channel >= c || tile >= count) return;
    Tile at(first + tile, th, tw);
    T a[36];
    read_tile<6>(a, x + (size_t)at.n * h * w * c + channel, at.row - top, at.column - left, h, w, c, at.n < n);
    for (int j = 0; j < 6; j++) input_line(a + j, 6);
    for (int i = 0; i < 6; i++) input_line(a + 6 * i, 1);
    for (int k = 0; k < 36; k++) v[((size_t)k * count + tile) * c + channel] = a[k];
}

// z (36, count, K) = A dY A', alike.
extern "C" __global__ void __launch_bounds__(256)
transform_gradient(const T* __restrict__ dy, T* __restrict__ z, int n, int yh, int yw, int k, int th, int tw, int first,
                   int count) {
    int channel = blockIdx.y * blockDim.x + threadIdx.x, tile = blockIdx.x * blockDim.y + threadIdx.y;
    if (channel >= k || tile >= count) return;
    Tile at(first + tile, th, tw);
    T a[36];
    read_tile<4>(a, dy + (size_t)at.n * yh * yw * k + channel, at.row, at.column, yh, yw, k, at.n < n);
    for (int j = 0; j < 4; j++) gradient_line(a + j, 6);
    for (int i = 0; i < 6; i++) gradient_line(a + 6 * i, 1);
    for (int l = 0; l < 36; l++) z[((size_t)l * count + tile) * k + channel] = a[l];
}

// y = A' m A (+ b, where there is one) for `count` tiles from `first` on, and with `rectify` the larger of that and 0 (NaN is
// passed on).
extern "C" __global__ void __launch_bounds__(256)
transform_output(const T* __restrict__ m, const T* __restrict__ b, T* __restrict__ y, int yh, int yw, int k, int th, int tw,
                 int first, int count, int rectify) {
    int channel = blockIdx.y * blockDim.x + threadIdx.x, tile = blockIdx.x * blockDim.y + threadIdx.y;
    if (channel >= k || tile >= count) return;
    Tile at(first + tile, th, tw);
    T a[36];
    for (int l = 0; l < 36; l++) a[l] = m[((size_t)l * count + tile) * k + channel];
    for (int j = 0; j < 6; j++) output_line(a + j, 6);
    for (int i = 0; i < 4; i++) output_line(a + 6 * i, 1);
    T* image = y + (size_t)at.n * yh * yw * k + channel;
    T bias = b ? b[channel] : 0;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            int r = at.row + i, s = at.column + j;
            T sum = a[6 * i + j] + bias;
            if (r < yh && s < yw) image[(size_t)(r * yw + s) * k] = rectify && sum <= 0 ? 0 : sum;
        }
}

// u (36, C*K) = G w G', with `flipped` of the filters turned by half a turn.
extern "C" __global__ void __launch_bounds__(256)
transform_filters(const T* __restrict__ w, T* __restrict__ u, int size, int flipped) {
    int value = blockIdx.x * blockDim.x + threadIdx.x;
    if (value >= size) return;
    T a[36];
    for (int p = 0; p < 3; p++)
        for (int q = 0; q < 3; q++) {
            int tap = 3 * p + q;
            a[6 * p + q] = w[(size_t)(flipped ? 8 - tap : tap) * size + value];
        }
    for (int q = 0; q < 3; q++) filter_line(a + q, 6);
    for (int p = 0; p < 6; p++) filter_line(a + 6 * p, 1);
    for (int l = 0; l < 36; l++) u[(size_t)l * size + value] = a[l];
}

// dw (9, C*K) = G' (the sum of `shares` parts of sums (36, shares, C*K), in their order) G.
extern "C" __global__ void __launch_bounds__(256)
transform_sums(const T* __restrict__ sums, T* __restrict__ dw, int size, int shares) {
    int value = blockIdx.x * blockDim.x + threadIdx.x;
    if (value >= size) return;
    T a[36];
#pragma unroll  // with a loop inside, the compiler would keep a[] in memory
    for (int l = 0; l < 36; l++) {
        const T* share = sums + (size_t)l * shares * size + value;
        a[l] = *share;
        for (int i = 1; i < shares; i++) a[l] += share[(size_t)i * size];
    }
    for (int j = 0; j < 6; j++) weight_line(a + j, 6);
    for (int p = 0; p < 3; p++) weight_line(a + 6 * p, 1);
    for (int p = 0; p < 3; p++)
        for (int q = 0; q < 3; q++) dw[(size_t)(3 * p + q) * size + value] = a[6 * p + q];
}
