// What CUDA gives a kernel, on the CPU: threads are fibres that run one after another, in an order of the caller's choice.
//
// __syncthreads, __syncwarp and warp shuffles let the other threads run on. Shared memory holds NaN when a block begins.
// A launch returns 0, or what went wrong (Outcome). It is slow and single-threaded; it is for tests.
#pragma once
#include <csetjmp>
#include <csignal>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
#define __shared__ static __attribute__((section("emu_shared")))
#define __syncthreads() emu::wait(emu::AT_BLOCK, __LINE__)
#define __syncwarp(...) emu::wait(emu::AT_WARP, __LINE__)
#define __trap() emu::leave(emu::TRAPPED)

struct dim3 {
    unsigned x, y, z;
};
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }

static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

namespace emu {

// A place in a program to go on from: its stack pointer, above which lie the registers that a function must keep. (ucontext
// would know other processors too, but asks the system at every change, which takes ten times as long.)
typedef void* Context;
asm(R"(
emu_switch:
    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
    ret
)");
extern "C" void emu_switch(Context* from, const Context* to) __attribute__((visibility("hidden")));

static Context beginning(char* stack, size_t bytes, void (*function)()) {
    void** top = (void**)(stack + bytes) - 8;
    top[6] = (void*)function;
    return top;
}

enum Outcome { FINE, OUTSIDE, NEEDS_FIBRES, BARRIER_NOT_REACHED, DIFFERENT_BARRIERS, TRAPPED };
enum State { READY, AT_BLOCK, AT_WARP, DONE };
struct Fibre {
    Context context;
    State state;
    int line;
    double slot;  // what a warp shuffle passes on
};

static const int MOST = 1024;
static const size_t STACK = 64 << 10;
static Fibre fibres[MOST];
static char* stacks = nullptr;
static Context scheduler;
static sigjmp_buf way_out;
static bool with_fibres;
static int current;
static void (*body)(void**);
static void** arguments;
static void* fault;
static char* dynamic_shared;

static void leave(Outcome outcome) { siglongjmp(way_out, outcome); }

static void on_fault(int, siginfo_t* info, void*) {
    fault = info->si_addr;
    leave(OUTSIDE);
}

static void wait(State state, int line) {
    if (!with_fibres) leave(NEEDS_FIBRES);
    Fibre& own = fibres[current];
    own.state = state;
    own.line = line;
    emu_switch(&own.context, &scheduler);
}

static void start() {
    body(arguments);
    fibres[current].state = DONE;
    emu_switch(&fibres[current].context, &scheduler);
}

static void become(int thread) {
    current = thread;
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
}

// The i-th of count: forward, backward, or a shuffle (i times a number prime to count, and a shift).
static long long turn(long long i, long long count, int order) {
    if (order == 0) return i;
    if (order == 1) return count - 1 - i;
    static const long long primes[] = {7919, 104729, 1299709};
    long long step = 1;
    for (long long prime : primes)
        if (count % prime) { step = prime; break; }
    return (i * (step % count) + count / 3) % count;
}

static void release(int first, int end, State from) {
    int line = -1;
    for (int t = first; t < end; t++) {
        if (fibres[t].state != from) leave(BARRIER_NOT_REACHED);
        if (line >= 0 && fibres[t].line != line) leave(DIFFERENT_BARRIERS);
        line = fibres[t].line;
    }
    for (int t = first; t < end; t++) fibres[t].state = READY;
}

static void run_block(int threads, int order) {
    if (!with_fibres) {
        for (int i = 0; i < threads; i++) {
            become(turn(i, threads, order));
            body(arguments);
        }
        return;
    }
    if (!stacks)
        stacks = (char*)mmap(nullptr, MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int t = 0; t < threads; t++) {
        fibres[t].context = beginning(stacks + t * STACK, STACK, start);
        fibres[t].state = READY;
    }
    for (;;) {
        for (int i = 0; i < threads; i++) {
            int t = turn(i, threads, order);
            if (fibres[t].state != READY) continue;
            become(t);
            emu_switch(&scheduler, &fibres[t].context);
        }
        int done = 0;
        bool warps = false;
        for (int t = 0; t < threads; t++) {
            done += fibres[t].state == DONE;
            if (fibres[t].state == AT_WARP) {
                int first = t / warpSize * warpSize, end = first + warpSize < threads ? first + warpSize : threads;
                release(first, end, AT_WARP);
                warps = true;
            }
        }
        if (done == threads) return;
        if (!warps) release(0, threads, AT_BLOCK);
    }
}

extern "C" char __start_emu_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_emu_shared[] __attribute__((weak, visibility("hidden")));

static int launch(void (*kernel)(void**), void** args, const unsigned* grid, const unsigned* block, char* shared,
                  size_t shared_bytes, int order, int fibres_too, void** where) {
    struct sigaction action = {}, before_segv, before_bus;
    static char signal_stack[64 << 10];
    stack_t own = {}, before_stack;
    own.ss_sp = signal_stack;
    own.ss_size = sizeof signal_stack;
    sigaltstack(&own, &before_stack);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
    body = kernel;
    arguments = args;
    with_fibres = fibres_too;
    dynamic_shared = shared;
    fault = nullptr;
    int outcome = sigsetjmp(way_out, 1);
    if (!outcome) {
        gridDim = {grid[0], grid[1], grid[2]};
        blockDim = {block[0], block[1], block[2]};
        long long count = (long long)grid[0] * grid[1] * grid[2];
        for (long long i = 0; i < count; i++) {
            long long b = turn(i, count, order);
            blockIdx = {unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / ((long long)grid[0] * grid[1]))};
            if (__start_emu_shared) memset(__start_emu_shared, 0xff, __stop_emu_shared - __start_emu_shared);
            memset(shared, 0xff, shared_bytes);
            run_block(block[0] * block[1] * block[2], order);
        }
    }
    sigaction(SIGSEGV, &before_segv, nullptr);
    sigaction(SIGBUS, &before_bus, nullptr);
    sigaltstack(&before_stack, nullptr);
    *where = fault;
    return outcome;
}

template <class V> static V shuffle(V value, int from, int line) {
    static_assert(sizeof(V) <= sizeof(double), "a shuffle passes on up to 8 bytes");
    memcpy(&fibres[current].slot, &value, sizeof value);
    wait(AT_WARP, line);
    int first = current / warpSize * warpSize, threads = blockDim.x * blockDim.y * blockDim.z;
    if (from >= 0 && from < warpSize && first + from < threads) memcpy(&value, &fibres[first + from].slot, sizeof value);
    wait(AT_WARP, line);
    return value;
}

static int lane() { return current % warpSize; }

}  // namespace emu

static const size_t FENCE = 4 << 20;

// Memory whose end no kernel passes unseen: before and behind it lies a fence that nobody may touch, and what is left of its
// pages holds bytes of 0xff. Its address is `phase` beyond a multiple of 16.
extern "C" char* emu_allocate(size_t bytes, size_t phase, char** fence, size_t* length) {
    size_t page = sysconf(_SC_PAGESIZE), room = (bytes + 32 + page - 1) / page * page;
    *length = room + 2 * FENCE;
    *fence = (char*)mmap(nullptr, *length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mprotect(*fence + FENCE, room, PROT_READ | PROT_WRITE);
    memset(*fence + FENCE, 0xff, room);
    char* last = *fence + FENCE + room - bytes;
    return last - ((size_t)last - phase) % 16;
}

// Whether a kernel wrote beside its array.
extern "C" int emu_touched(const char* fence, size_t length, const char* array, size_t bytes) {
    for (const char* at = fence + FENCE; at < fence + length - FENCE; at++)
        if ((at < array || at >= array + bytes) && *at != (char)0xff) return 1;
    return 0;
}

extern "C" void emu_release(char* fence, size_t length) { munmap(fence, length); }

// ---------------------------------------------------------------- CUDA's functions

#define __shfl_sync(mask, value, from) emu::shuffle(value, from, __LINE__)
#define __shfl_down_sync(mask, value, by) emu::shuffle(value, emu::lane() + (by), __LINE__)
#define __shfl_up_sync(mask, value, by) emu::shuffle(value, emu::lane() - (by), __LINE__)
#define __shfl_xor_sync(mask, value, with) emu::shuffle(value, emu::lane() ^ (with), __LINE__)

using std::isnan;
using std::isinf;
static inline float exp(float x) { return expf(x); }
static inline float log(float x) { return logf(x); }
static inline float sqrt(float x) { return sqrtf(x); }
static inline float pow(float x, float y) { return powf(x, y); }
static inline float fabs(float x) { return fabsf(x); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
template <class A, class B> static inline auto max(A a, B b) -> decltype(a + b) { return a > b ? a : b; }
template <class A, class B> static inline auto min(A a, B b) -> decltype(a + b) { return a < b ? a : b; }
template <class V> static inline V __ldg(const V* at) { return *at; }
template <class V> static inline V atomicAdd(V* at, V value) { V before = *at; *at += value; return before; }
static inline int __float_as_int(float x) { int i; memcpy(&i, &x, 4); return i; }
static inline float __int_as_float(int i) { float x; memcpy(&x, &i, 4); return x; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline void __threadfence() {}
