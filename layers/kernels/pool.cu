// Max and average pooling of x (N,H,W,C) to y (N,YH,YW,C), and back. layers/pool.py has the formulas.
//
// A row of threads has a pixel, of y forward and of x backward, a thread a channel of it, or WIDE channels. Backward
// gathers: each pixel of x looks into the windows that hold it, so that nothing is added by two threads.

struct Windows {
    int h, w, c, yh, yw, ph, pw, sv, sh, top, left;
};
#define WINDOWS {h, w, c, yh, yw, ph, pw, sv, sh, top, left}

#define NOWHERE 255  // the index where the maximum is NaN

// The indices of N channels.
template <int N> struct __align__(N) Bytes {
    unsigned char of[N];
};

struct Span {
    int first, end;
};

// The taps of the window at position i that lie within x.
__device__ __forceinline__ Span taps(int i, int stride, int before, int window, int size) {
    int start = i * stride - before;
    return {start < 0 ? -start : 0, start + window > size ? size - start : window};
}

// The positions whose windows hold pixel r.
__device__ __forceinline__ Span holders(int r, int stride, int before, int window, int positions) {
    int last = (r + before) / stride, reach = r + before - window;
    int first = reach < 0 ? 0 : reach / stride + 1;
    return {first, last < positions ? last + 1 : positions};
}

template <int N>
__device__ __forceinline__ void maxima(const T* __restrict__ x, T* __restrict__ y, unsigned char* __restrict__ index,
                                       int pixels, Windows s) {
    long long pixel = ROW;
    int c = PLACE * N;
    if (pixel >= pixels || c >= s.c) return;
    int j = (int)pixel % s.yw, i = (int)pixel / s.yw % s.yh, n = (int)pixel / s.yw / s.yh;
    Span down = taps(i, s.sv, s.top, s.ph, s.h), right = taps(j, s.sh, s.left, s.pw, s.w);
    const T* corner = x + (((long long)n * s.h + i * s.sv - s.top) * s.w + j * s.sh - s.left) * s.c;
    Pack<N> best;
    Bytes<N> place;
#pragma unroll 1
    for (int q = right.first; q < right.end; q++)
#pragma unroll 2
        for (int p = down.first; p < down.end; p++) {
            Pack<N> value = load<N>(corner, ((long long)p * s.w + q) * s.c + c);
            bool first = q == right.first && p == down.first;
#pragma unroll
            for (int k = 0; k < N; k++)
                if (first || value.of[k] > best.of[k] || value.of[k] != value.of[k]) {
                    best.of[k] = value.of[k];
                    place.of[k] = p + s.ph * q;
                }
        }
#pragma unroll
    for (int k = 0; k < N; k++)
        if (best.of[k] != best.of[k]) place.of[k] = NOWHERE;
    store<N>(y, pixel * s.c + c, best);
    *(Bytes<N>*)(index + pixel * s.c + c) = place;
}

extern "C" __global__ void __launch_bounds__(256, 4)
max_forward(const T* __restrict__ x, T* __restrict__ y, unsigned char* __restrict__ index, int pixels, int h, int w, int c,
            int yh, int yw, int ph, int pw, int sv, int sh, int top, int left, int step) {
    if (step > 1)
        maxima<WIDE>(x, y, index, pixels, WINDOWS);
    else
        maxima<1>(x, y, index, pixels, WINDOWS);
}

template <int N>
__device__ __forceinline__ void routed(const unsigned char* __restrict__ index, const T* __restrict__ dy, T* __restrict__ dx,
                                       int pixels, Windows s) {
    long long pixel = ROW;
    int c = PLACE * N;
    if (pixel >= pixels || c >= s.c) return;
    int column = (int)pixel % s.w, row = (int)pixel / s.w % s.h, n = (int)pixel / s.w / s.h;
    Span down = holders(row, s.sv, s.top, s.ph, s.yh), right = holders(column, s.sh, s.left, s.pw, s.yw);
    Pack<N> sum = {};
#pragma unroll 1
    for (int j = right.first; j < right.end; j++)
#pragma unroll 1
        for (int i = down.first; i < down.end; i++) {
            long long at = (long long)((n * s.yh + i) * s.yw + j) * s.c + c;
            int tap = row + s.top - i * s.sv + s.ph * (column + s.left - j * s.sh);
            Pack<N> value = load<N>(dy, at);
            Bytes<N> place = *(const Bytes<N>*)(index + at);
#pragma unroll
            for (int k = 0; k < N; k++)
                if (place.of[k] == tap) sum.of[k] += value.of[k];
        }
    store<N>(dx, pixel * s.c + c, sum);
}

extern "C" __global__ void __launch_bounds__(256)
max_backward(const unsigned char* __restrict__ index, const T* __restrict__ dy, T* __restrict__ dx, int pixels, int h, int w,
             int c, int yh, int yw, int ph, int pw, int sv, int sh, int top, int left, int step) {
    if (step > 1)
        routed<WIDE>(index, dy, dx, pixels, WINDOWS);
    else
        routed<1>(index, dy, dx, pixels, WINDOWS);
}

template <int N> __device__ __forceinline__ void means(const T* __restrict__ x, T* __restrict__ y, int pixels, Windows s) {
    long long pixel = ROW;
    int c = PLACE * N;
    if (pixel >= pixels || c >= s.c) return;
    int j = (int)pixel % s.yw, i = (int)pixel / s.yw % s.yh, n = (int)pixel / s.yw / s.yh;
    Span down = taps(i, s.sv, s.top, s.ph, s.h), right = taps(j, s.sh, s.left, s.pw, s.w);
    const T* corner = x + (((long long)n * s.h + i * s.sv - s.top) * s.w + j * s.sh - s.left) * s.c;
    T share = (T)1 / ((down.end - down.first) * (right.end - right.first));
    Pack<N> sum = {};
#pragma unroll 1
    for (int q = right.first; q < right.end; q++)
#pragma unroll 2
        for (int p = down.first; p < down.end; p++) sum += load<N>(corner, ((long long)p * s.w + q) * s.c + c);
#pragma unroll
    for (int k = 0; k < N; k++) sum.of[k] *= share;
    store<N>(y, pixel * s.c + c, sum);
}

extern "C" __global__ void __launch_bounds__(256, 4)
avg_forward(const T* __restrict__ x, T* __restrict__ y, int pixels, int h, int w, int c, int yh, int yw, int ph, int pw,
            int sv, int sh, int top, int left, int step) {
    if (step > 1)
        means<WIDE>(x, y, pixels, WINDOWS);
    else
        means<1>(x, y, pixels, WINDOWS);
}

template <int N> __device__ __forceinline__ void shares(const T* __restrict__ dy, T* __restrict__ dx, int pixels, Windows s) {
    long long pixel = ROW;
    int c = PLACE * N;
    if (pixel >= pixels || c >= s.c) return;
    int column = (int)pixel % s.w, row = (int)pixel / s.w % s.h, n = (int)pixel / s.w / s.h;
    Span down = holders(row, s.sv, s.top, s.ph, s.yh), right = holders(column, s.sh, s.left, s.pw, s.yw);
    Pack<N> sum = {};
#pragma unroll 1
    for (int j = right.first; j < right.end; j++)
#pragma unroll 1
        for (int i = down.first; i < down.end; i++) {
            Span p = taps(i, s.sv, s.top, s.ph, s.h), q = taps(j, s.sh, s.left, s.pw, s.w);
            T share = (T)1 / ((p.end - p.first) * (q.end - q.first));
            Pack<N> value = load<N>(dy, (long long)((n * s.yh + i) * s.yw + j) * s.c + c);
#pragma unroll
            for (int k = 0; k < N; k++) sum.of[k] += value.of[k] * share;
        }
    store<N>(dx, pixel * s.c + c, sum);
}

extern "C" __global__ void __launch_bounds__(256)
avg_backward(const T* __restrict__ dy, T* __restrict__ dx, int pixels, int h, int w, int c, int yh, int yw, int ph, int pw,
             int sv, int sh, int top, int left, int step) {
    if (step > 1)
        shares<WIDE>(dy, dx, pixels, WINDOWS);
    else
        shares<1>(dy, dx, pixels, WINDOWS);
}
