// 3x3 convolution in TF32 on tensor cores, from compute capability 8.0 on: matrix products one of whose operands, the windows
// of x, is never laid out in memory.
//
// Shapes    x (N, H, W, C)    w (9*C, K), a row for each tap and channel    b (K), or none    y, dy (N, YH, YW, K)
//           sums (shares, 9*C, K), which added up are dw    always float; C is a multiple of SLAB and K of 4, and arrays
//           begin at multiples of 16 bytes
// Blocks    make ROWS x COLUMNS numbers of y, of pixels and filters, or of dw. They go over the sum (the rows of w, or pixels)
//           in slabs of SLAB, of which STAGES are in shared memory: while one is multiplied the next ones are on their way.
// Warps     make 16*TILES rows and 32 columns of these, in products of 16x8 by 8x8 numbers
// Banks     between rows in shared memory there are 4 or 8 numbers more, with which a warp's reads meet all 32 banks
// Source    layers/conv.py; PTX ISA, mma.sync.m16n8k8 for .tf32 and cp.async
//
// Not yet run on a GPU. The emulator has no tensor cores: there plain twins stand for the five functions of the first part.

constexpr int WARP = 32, WARPS = 8, ROWS = 128, SLAB = 16, STAGES = 4;

#ifdef __CUDA_ARCH__
#if __CUDA_ARCH__ >= 800

// Four numbers to shared memory, some time before wait(); zeros where there are none.
__device__ __forceinline__ void copy_four(float* to, const float* from, bool any) {
    unsigned place = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(any ? 16 : 0) : "memory");
}

// Closes a group of copies.
__device__ __forceinline__ void close() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until this thread's groups of copies have arrived, the last STAGES - 2 aside.
__device__ __forceinline__ void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory"); }

// The nearest number of TF32, which has ten bits behind the point.
__device__ __forceinline__ unsigned rounded(float value) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
}

// d (16, 8) += a (16, 8) b (8, 8), spread over a warp. With g = lane / 4 and t = lane % 4 a thread has of a the places (g, t),
// (g + 8, t), (g, t + 4), (g + 8, t + 4), of b (t, g), (t + 4, g), of d (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
__device__ __forceinline__ void multiply(float* d, const unsigned* a, const unsigned* b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else  // older GPUs have none of this; gpu/tensorcore.py does not launch it there
__device__ void copy_four(float*, const float*, bool) { __trap(); }
__device__ void close() {}
__device__ void wait() {}
__device__ unsigned rounded(float) { return 0; }
__device__ void multiply(float*, const unsigned*, const unsigned*) {}
#endif
#else  // the emulator's plain twins

// The copies that each thread has under way, group by group; they are done when they are waited for, no sooner.
struct Copies {
    int count;
    float* to[8];
    const float* from[8];
};
static Copies under_way[WARPS * WARP][STAGES];
static unsigned closed[WARPS * WARP];

void copy_four(float* to, const float* from, bool any) {
    if ((size_t)to % 16 || (size_t)from % 16) __trap();
    Copies& group = under_way[threadIdx.x][closed[threadIdx.x] % STAGES];
    group.to[group.count] = to;
    group.from[group.count++] = any ? from : nullptr;
}

void close() { closed[threadIdx.x]++; }

void wait() {
    Copies& group = under_way[threadIdx.x][(closed[threadIdx.x] - (STAGES - 1)) % STAGES];
    for (int i = 0; i < group.count; i++)
        for (int j = 0; j < 4; j++) group.to[i][j] = group.from[i] ? group.from[i][j] : 0;
    group.count = 0;
}

unsigned rounded(float value) { return ((unsigned)__float_as_int(value) + 0x1000) & 0xffffe000; }

void multiply(float* d, const unsigned* a, const unsigned* b) {
    static float left[WARPS][16][8], right[WARPS][8][8];
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    for (int i = 0; i < 4; i++) left[warp][g + i % 2 * 8][t + i / 2 * 4] = __int_as_float(a[i]);
    for (int i = 0; i < 2; i++) right[warp][t + i * 4][g] = __int_as_float(b[i]);
    __syncwarp();
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 8; k++) d[i] += left[warp][g + i / 2 * 8][k] * right[warp][k][2 * t + i % 2];
    __syncwarp();
}

#endif

// The parts of a block: its warps across and down, the products of 16 rows that a warp makes, and where its own begin.
template <int COLUMNS>
struct Block {
    static constexpr int ACROSS = COLUMNS / 32, DOWN = WARPS / ACROSS, TILES = ROWS / DOWN / 16, STEP = COLUMNS + 8;
    int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    int down = threadIdx.x / WARP / ACROSS * TILES * 16 + g, across = threadIdx.x / WARP % ACROSS * 32;
    float sums[TILES][4][4] = {};

    // sums += a b of one slab: a[row * DOWN_STEP + place * ALONG_STEP], b[place * STEP + column].
    template <int DOWN_STEP, int ALONG_STEP>
    __device__ __forceinline__ void add_slab(const float* a, const float* b) {
        a += down * DOWN_STEP + t * ALONG_STEP;
        b += t * STEP + across + g;
        for (int l = 0; l < SLAB; l += 8) {
            unsigned left[TILES][4], right[4][2];
            for (int i = 0; i < TILES; i++)
                for (int j = 0; j < 4; j++)
                    left[i][j] = rounded(a[(16 * i + j % 2 * 8) * DOWN_STEP + (l + j / 2 * 4) * ALONG_STEP]);
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 2; j++) right[i][j] = rounded(b[(l + 4 * j) * STEP + 8 * i]);
            for (int i = 0; i < TILES; i++)
                for (int j = 0; j < 4; j++) multiply(sums[i][j], left[i], right[j]);
        }
    }

    // The sums to `out` (rows, columns), whose part begins at a row and a column, with b added and rectified if asked for.
    __device__ __forceinline__ void store(float* out, const float* b, int row, int rows, int column, int columns, int rectify) {
#pragma unroll  // else sums[] would lie in memory
        for (int i = 0; i < TILES * 2; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int r = row + down + 8 * i, s = column + across + 8 * j + 2 * t;
                if (r >= rows || s >= columns) continue;
                const float* found = sums[i / 2][j] + i % 2 * 2;
                float one = b ? found[0] + b[s] : found[0], two = b ? found[1] + b[s + 1] : found[1];
                if (rectify) one = one <= 0 ? 0 : one, two = two <= 0 ? 0 : two;  // NaN is passed on
                *(float2*)(out + (size_t)r * columns + s) = {one, two};
            }
    }
};

// Copies SLAB rows of a matrix (rows, columns) from one row and column on, zeros where it ends.
template <int COLUMNS>
__device__ __forceinline__ void copy_rows(float* to, const float* from, int row, int rows, int column, int columns) {
    for (int i = threadIdx.x; i < SLAB * COLUMNS / 4; i += WARP * WARPS) {
        int line = i / (COLUMNS / 4), along = i % (COLUMNS / 4) * 4;
        bool inside = row + line < rows && column + along < columns;
        const float* place = inside ? from + (size_t)(row + line) * columns + column + along : from;
        copy_four(to + line * Block<COLUMNS>::STEP + along, place, inside);
    }
}

// fetch(slab, stage) for all slabs, each STAGES - 1 slabs before add(stage).
template <int STAGE, typename Fetch, typename Add>
__device__ __forceinline__ void go_over(int slabs, float* stages, Fetch fetch, Add add) {
    for (int slab = 0; slab < STAGES - 1; slab++) {
        if (slab < slabs) fetch(slab, stages + slab * STAGE);
        close();
    }
    for (int slab = 0; slab < slabs; slab++) {
        wait();
        __syncthreads();  // all threads' copies are there, and all have done with the stage that is fetched into now
        int next = slab + STAGES - 1;
        if (next < slabs) fetch(next, stages + next % STAGES * STAGE);
        close();
        add(stages + slab % STAGES * STAGE);
    }
}

template <int COLUMNS>
__device__ __forceinline__ void correlate(const float* x, const float* w, const float* b, float* y, float* stages, int n, int h,
                                          int width, int c, int k, int yh, int yw, int top, int left, int rectify) {
    constexpr int STEP = SLAB + 4, SIZE = ROWS * STEP, STAGE = SIZE + SLAB * Block<COLUMNS>::STEP;
    constexpr int FOURS = SLAB / 4, LINES = WARP * WARPS / FOURS;  // a pixel's slab in copies of four; pixels at a time
    int blocks = (k + COLUMNS - 1) / COLUMNS, pixels = n * yh * yw;
    int first_pixel = blockIdx.x / blocks * ROWS, first_filter = blockIdx.x % blocks * COLUMNS;

    // What this thread copies of x: four channels at `part` of a slab, for some pixels.
    int part = threadIdx.x % FOURS * 4, line = threadIdx.x / FOURS, row[ROWS / LINES], column[ROWS / LINES];
    const float* image[ROWS / LINES];
    for (int i = 0; i < ROWS / LINES; i++) {
        int pixel = first_pixel + line + i * LINES;
        row[i] = pixel < pixels ? pixel / yw % yh - top : -3;  // there no tap lies inside
        column[i] = pixel % yw - left;
        image[i] = x + (size_t)(pixel / yw / yh) * h * width * c + part;
    }
    auto fetch = [&](int slab, float* to) {
        int tap = slab * SLAB / c, channel = slab * SLAB - tap * c, p = tap / 3, q = tap - 3 * p;
        for (int i = 0; i < ROWS / LINES; i++) {
            int r = row[i] + p, s = column[i] + q;
            bool inside = 0 <= r && r < h && 0 <= s && s < width;
            const float* from = inside ? image[i] + (size_t)(r * width + s) * c + channel : x;
            copy_four(to + (line + i * LINES) * STEP + part, from, inside);
        }
        copy_rows<COLUMNS>(to + SIZE, w, slab * SLAB, 9 * c, first_filter, k);
    };
    Block<COLUMNS> block;
    go_over<STAGE>(9 * c / SLAB, stages, fetch, [&](const float* at) { block.template add_slab<STEP, 1>(at, at + SIZE); });
    block.store(y, b, first_pixel, pixels, first_filter, k, rectify);
}

// Each share of blocks goes over `slabs` slabs of pixels.
template <int COLUMNS>
__device__ __forceinline__ void sum_pixels(const float* x, const float* dy, float* sums, float* stages, int n, int h, int width,
                                           int c, int k, int yh, int yw, int top, int left, int slabs) {
    constexpr int STEP = ROWS + 8, SIZE = SLAB * STEP, STAGE = SIZE + SLAB * Block<COLUMNS>::STEP;
    constexpr int LINES = WARP * WARPS / (ROWS / 4);  // pixels that are copied at a time
    int across = (k + COLUMNS - 1) / COLUMNS, down = (9 * c + ROWS - 1) / ROWS, share = blockIdx.x / across / down;
    int first_row = blockIdx.x / across % down * ROWS, first_filter = blockIdx.x % across * COLUMNS;
    int first = share * slabs * SLAB, pixels = n * yh * yw;

    // What this thread copies of x: four channels for one tap, of the windows of some pixels of each slab.
    int part = threadIdx.x % (ROWS / 4) * 4, line = threadIdx.x / (ROWS / 4);
    int tap = (first_row + part) / c, p = tap / 3 - top, q = tap % 3 - left, channel = first_row + part - tap * c;
    int image[SLAB / LINES], row[SLAB / LINES], column[SLAB / LINES];
    for (int i = 0; i < SLAB / LINES; i++) {
        int pixel = first + line + i * LINES;
        image[i] = pixel / yw / yh;
        row[i] = pixel / yw % yh;
        column[i] = pixel % yw;
    }
    auto fetch = [&](int slab, float* to) {
        for (int i = 0; i < SLAB / LINES; i++) {
            int r = row[i] + p, s = column[i] + q;
            bool inside = image[i] < n && 0 <= r && r < h && 0 <= s && s < width;
            const float* from = inside ? x + ((size_t)image[i] * h * width + r * width + s) * c + channel : x;
            copy_four(to + (line + i * LINES) * STEP + part, from, inside);
            for (column[i] += SLAB; column[i] >= yw; column[i] -= yw)
                if (++row[i] == yh) row[i] = 0, image[i]++;
        }
        copy_rows<COLUMNS>(to + SIZE, dy, first + slab * SLAB, pixels, first_filter, k);
    };
    Block<COLUMNS> block;
    go_over<STAGE>(slabs, stages, fetch, [&](const float* at) { block.template add_slab<1, STEP>(at, at + SIZE); });
    block.store(sums + (size_t)share * 9 * c * k, nullptr, first_row, 9 * c, first_filter, k, 0);
}

extern "C" __global__ void __launch_bounds__(256, 2)
correlate_64(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b, float* __restrict__ y,
             int n, int h, int width, int c, int k, int yh, int yw, int top, int left, int rectify) {
    extern __shared__ float stages[];
    correlate<64>(x, w, b, y, stages, n, h, width, c, k, yh, yw, top, left, rectify);
}

extern "C" __global__ void __launch_bounds__(256, 2)
correlate_128(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b, float* __restrict__ y,
              int n, int h, int width, int c, int k, int yh, int yw, int top, int left, int rectify) {
    extern __shared__ float stages[];
    correlate<128>(x, w, b, y, stages, n, h, width, c, k, yh, yw, top, left, rectify);
}

extern "C" __global__ void __launch_bounds__(256, 2)
sum_pixels_64(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ sums, int n, int h, int width,
              int c, int k, int yh, int yw, int top, int left, int slabs) {
    extern __shared__ float stages[];
    sum_pixels<64>(x, dy, sums, stages, n, h, width, c, k, yh, yw, top, left, slabs);
}

extern "C" __global__ void __launch_bounds__(256, 2)
sum_pixels_128(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ sums, int n, int h, int width,
               int c, int k, int yh, int yw, int top, int left, int slabs) {
    extern __shared__ float stages[];
    sum_pixels<128>(x, dy, sums, stages, n, h, width, c, k, yh, yw, top, left, slabs);
}
