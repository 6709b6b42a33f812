// 3x3 convolution in TF32 on tensor cores, from compute capability 8.0 on: one matrix product whose left operand, the windows
// of x, is never laid out in memory; biases and ReLU at its end.
//
// Shapes    x (N, H, W, C)    w (9*C, K), a row for each tap and channel    b (K)    y (N, YH, YW, K)    always float
//           C is a multiple of SLAB and K of 4; arrays begin at multiples of 16 bytes
// Blocks    make ROWS pixels times COLUMNS filters of y. They go over the 9*C rows of w in slabs of SLAB, of which STAGES are
//           in shared memory: while the first is multiplied the next ones are on their way.
// Warps     make 16*TILES pixels times 32 filters, in products of 16x8 by 8x8 numbers
// Banks     X_STEP and W_STEP are the rows' lengths in shared memory; with 4 and 8 numbers between them a warp's reads meet all
//           32 banks
// Source    PTX ISA, mma.sync.m16n8k8 for .tf32 and cp.async
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

template <int COLUMNS>
__device__ __forceinline__ void correlate_tile(const float* x, const float* w, const float* b, float* y, float* stages,
                                               int n, int h, int width, int c, int k, int yh, int yw, int top, int left,
                                               int rectify) {
    constexpr int ACROSS = COLUMNS / 32, DOWN = WARPS / ACROSS, TILES = ROWS / DOWN / 16;  // warps, and products of 16 rows
    constexpr int X_STEP = SLAB + 4, W_STEP = COLUMNS + 8, X_SIZE = ROWS * X_STEP, STAGE = X_SIZE + SLAB * W_STEP;
    constexpr int FOURS = SLAB / 4, LINES = WARP * WARPS / FOURS;  // a slab's row in copies of four; rows copied at a time
    int thread = threadIdx.x, blocks = (k + COLUMNS - 1) / COLUMNS;
    int first_pixel = blockIdx.x / blocks * ROWS, first_filter = blockIdx.x % blocks * COLUMNS, pixels = n * yh * yw;

    // What this thread copies of x: four channels at `part` of the windows of some pixels.
    int part = thread % FOURS * 4, row[ROWS / LINES], column[ROWS / LINES];
    const float* image[ROWS / LINES];
    for (int i = 0; i < ROWS / LINES; i++) {
        int pixel = first_pixel + thread / FOURS + i * LINES;
        row[i] = pixel < pixels ? pixel / yw % yh - top : -3;  // there no tap lies inside
        column[i] = pixel % yw - left;
        image[i] = x + (size_t)(pixel / yw / yh) * h * width * c + part;
    }
    auto fetch = [&](int slab) {
        float* to = stages + slab % STAGES * STAGE;
        int tap = slab * SLAB / c, channel = slab * SLAB - tap * c, p = tap / 3, q = tap - 3 * p;
        for (int i = 0; i < ROWS / LINES; i++) {
            int r = row[i] + p, s = column[i] + q;
            bool inside = 0 <= r && r < h && 0 <= s && s < width;
            const float* from = inside ? image[i] + (size_t)(r * width + s) * c + channel : x;
            copy_four(to + (thread / FOURS + i * LINES) * X_STEP + part, from, inside);
        }
        to += X_SIZE;
        for (int i = thread; i < SLAB * COLUMNS / 4; i += WARP * WARPS) {
            int line = i / (COLUMNS / 4), filter = i % (COLUMNS / 4) * 4;
            bool inside = first_filter + filter < k;
            const float* from = inside ? w + (size_t)(slab * SLAB + line) * k + first_filter + filter : w;
            copy_four(to + line * W_STEP + filter, from, inside);
        }
    };

    int warp = thread / WARP, g = thread % WARP / 4, t = thread % 4;
    int down = warp / ACROSS * TILES * 16, across = warp % ACROSS * 32;  // where in the block this warp's part lies
    float sums[TILES][4][4] = {};
    int slabs = 9 * c / SLAB;
    for (int slab = 0; slab < STAGES - 1; slab++) {
        if (slab < slabs) fetch(slab);
        close();
    }
    for (int slab = 0; slab < slabs; slab++) {
        wait();
        __syncthreads();  // all threads' copies are there, and all have done with the stage that is fetched into now
        if (slab + STAGES - 1 < slabs) fetch(slab + STAGES - 1);
        close();
        const float* xs = stages + slab % STAGES * STAGE + (down + g) * X_STEP + t;
        const float* ws = stages + slab % STAGES * STAGE + X_SIZE + t * W_STEP + across + g;
        for (int l = 0; l < SLAB; l += 8) {
            unsigned a[TILES][4], f[4][2];
            for (int i = 0; i < TILES; i++)
                for (int j = 0; j < 4; j++) a[i][j] = rounded(xs[(16 * i + j % 2 * 8) * X_STEP + l + j / 2 * 4]);
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 2; j++) f[i][j] = rounded(ws[(l + 4 * j) * W_STEP + 8 * i]);
            for (int i = 0; i < TILES; i++)
                for (int j = 0; j < 4; j++) multiply(sums[i][j], a[i], f[j]);
        }
    }

#pragma unroll  // else sums[] would lie in memory
    for (int i = 0; i < TILES * 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int pixel = first_pixel + down + 8 * i + g, filter = first_filter + across + 8 * j + 2 * t;
            if (pixel >= pixels || filter >= k) continue;
            const float* found = sums[i / 2][j] + i % 2 * 2;
            float one = found[0] + b[filter], two = found[1] + b[filter + 1];
            if (rectify) one = one <= 0 ? 0 : one, two = two <= 0 ? 0 : two;  // NaN is passed on
            *(float2*)(y + (size_t)pixel * k + filter) = {one, two};
        }
}

extern "C" __global__ void __launch_bounds__(256, 2)
correlate_64(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b, float* __restrict__ y,
             int n, int h, int width, int c, int k, int yh, int yw, int top, int left, int rectify) {
    extern __shared__ float stages[];
    correlate_tile<64>(x, w, b, y, stages, n, h, width, c, k, yh, yw, top, left, rectify);
}

extern "C" __global__ void __launch_bounds__(256, 2)
correlate_128(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b, float* __restrict__ y,
              int n, int h, int width, int c, int k, int yh, int yw, int top, int left, int rectify) {
    extern __shared__ float stages[];
    correlate_tile<128>(x, w, b, y, stages, n, h, width, c, k, yh, yw, top, left, rectify);
}
