// Batch normalisation of x (rows, C). layers/bnorm.py has the formulas.
//
// Sums over rows are in double, and in two stages: blocks of PLACE's layout add `each` rows, others the `parts` results.
// They are of x - shift, where shift (C) is near each channel's mean, so that no digits are lost where that is large.

#define TOTALS __shared__ double kept[256]

// The block's sums of two values a thread go to its row of two arrays.
__device__ __forceinline__ void put(double a, double b, double* __restrict__ as, double* __restrict__ bs, int c, int channels,
                                    double* kept) {
    a = sum_over_rows(a, kept);
    __syncthreads();
    b = sum_over_rows(b, kept);
    if (threadIdx.y || c >= channels) return;
    as[(long long)blockIdx.x * channels + c] = a;
    bs[(long long)blockIdx.x * channels + c] = b;
}

extern "C" __global__ void __launch_bounds__(256)
bnorm_sums(const T* __restrict__ x, const T* __restrict__ shift, double* __restrict__ sums, double* __restrict__ squares,
           int rows, int channels, int each) {
    TOTALS;
    int c = PLACE, first = blockIdx.x * each, end = min(first + each, rows);
    double sum = 0, square = 0;
    if (c < channels)
        for (int row = first + threadIdx.y; row < end; row += blockDim.y) {
            double d = x[(long long)row * channels + c] - shift[c];
            sum += d;
            square += d * d;
        }
    put(sum, square, sums, squares, c, channels, kept);
}

// The sum of a channel's parts, for the threads of row 0.
__device__ __forceinline__ double added(const double* __restrict__ sums, int parts, int channels, int c, double* kept) {
    double sum = 0;
    if (c < channels)
        for (int part = threadIdx.y; part < parts; part += blockDim.y) sum += sums[(long long)part * channels + c];
    __syncthreads();
    return sum_over_rows(sum, kept);
}

// share: 1 / rows; moments (C, 2): mu and sigma; mean (C): of x - shift, which mu rounds away where x's mean is large.
extern "C" __global__ void __launch_bounds__(256)
bnorm_moments(const T* __restrict__ shift, const double* __restrict__ sums, const double* __restrict__ squares,
              T* __restrict__ moments, T* __restrict__ mean, double share, int parts, int channels, double epsilon) {
    TOTALS;
    int c = PLACE;
    double m = added(sums, parts, channels, c, kept) * share, square = added(squares, parts, channels, c, kept) * share;
    if (threadIdx.y || c >= channels) return;
    moments[2 * c] = shift[c] + m;
    moments[2 * c + 1] = sqrt(max(square - m * m, 0.0) + epsilon);
    mean[c] = m;
}

// shift and mean are null where the moments were given.
extern "C" __global__ void __launch_bounds__(256)
bnorm_forward(const T* __restrict__ x, const T* __restrict__ g, const T* __restrict__ b, const T* __restrict__ moments,
              const T* __restrict__ shift, const T* __restrict__ mean, T* __restrict__ y, int rows, int channels) {
    int c = PLACE;
    long long at = ROW * channels + c;
    if (ROW >= rows || c >= channels) return;
    T centred = mean ? x[at] - shift[c] - mean[c] : x[at] - moments[2 * c];
    y[at] = centred * (g[c] / moments[2 * c + 1]) + b[c];
}

// sums: of dy, products: of dy (x - mu)
extern "C" __global__ void __launch_bounds__(256)
bnorm_products(const T* __restrict__ x, const T* __restrict__ dy, const T* __restrict__ moments, double* __restrict__ sums,
               double* __restrict__ products, int rows, int channels, int each) {
    TOTALS;
    int c = PLACE, first = blockIdx.x * each, end = min(first + each, rows);
    double sum = 0, product = 0;
    if (c < channels)
        for (int row = first + threadIdx.y; row < end; row += blockDim.y) {
            long long at = (long long)row * channels + c;
            sum += dy[at];
            product += (double)dy[at] * (x[at] - moments[2 * c]);
        }
    put(sum, product, sums, products, c, channels, kept);
}

extern "C" __global__ void __launch_bounds__(256)
bnorm_derivatives(const double* __restrict__ sums, const double* __restrict__ products, const T* __restrict__ moments,
                  T* __restrict__ dg, T* __restrict__ db, int parts, int channels) {
    TOTALS;
    int c = PLACE;
    double sum = added(sums, parts, channels, c, kept), product = added(products, parts, channels, c, kept);
    if (threadIdx.y || c >= channels) return;
    db[c] = sum;
    dg[c] = product / moments[2 * c + 1];
}

extern "C" __global__ void __launch_bounds__(256)
bnorm_backward(const T* __restrict__ x, const T* __restrict__ dy, const T* __restrict__ g, const T* __restrict__ moments,
               const T* __restrict__ dg, const T* __restrict__ db, T* __restrict__ dx, int rows, int channels) {
    int c = PLACE;
    long long at = ROW * channels + c;
    if (ROW >= rows || c >= channels) return;
    T mu = moments[2 * c], sigma = moments[2 * c + 1];
    dx[at] = (dy[at] - (db[c] / rows + (x[at] - mu) * (dg[c] / (rows * sigma)))) * (g[c] / sigma);
}
