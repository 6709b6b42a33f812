// A step of stochastic gradient descent with momentum, of many parameters at once. dagnet/training/solvers.py has the formulas.
//
// w, m and d are up to LIST arrays of `size` numbers each. Parameter i is the business of the blocks from start[i] on, each of
// CHUNK numbers.

#define CHUNK 8192

__device__ __forceinline__ void step(T& w, T& m, T d, T scale, T decay, T rate, T momentum, int nesterov) {
    T g = d * scale + decay * w;
    m = momentum * m - g;
    w += rate * (nesterov ? momentum * m - g : m);
}

extern "C" __global__ void __launch_bounds__(256, 4)
sgd_step(Arrays w, Arrays m, const Arrays d, Counts size, Counts start, Numbers decay, Numbers rate, int count, T scale,
         T momentum, int nesterov) {
    int i = 0;
    for (int end = count; end - i > 1;) {  // the last that starts at or before this block
        int middle = (i + end) / 2;
        if (start.of[middle] <= blockIdx.x)
            i = middle;
        else
            end = middle;
    }
    T *wi = w.at[i], *mi = m.at[i], lambda = decay.of[i], eta = rate.of[i];
    const T* di = d.at[i];
    long long first = (blockIdx.x - start.of[i]) * CHUNK, end = min(first + CHUNK, size.of[i]);
    bool packed = ((size_t)wi | (size_t)mi | (size_t)di) % 16 == 0;
    for (long long at = first + threadIdx.x * WIDE; at < end; at += blockDim.x * WIDE) {
        if (packed && at + WIDE <= end) {
            Pack<WIDE> a = load<WIDE>(wi, at), b = load<WIDE>(mi, at), c = load<WIDE>(di, at);
#pragma unroll
            for (int k = 0; k < WIDE; k++) step(a.of[k], b.of[k], c.of[k], scale, lambda, eta, momentum, nesterov);
            store<WIDE>(wi, at, a);
            store<WIDE>(mi, at, b);
        } else {
            for (long long k = at; k < min(at + WIDE, end); k++)
                step(wi[k], mi[k], di[k], scale, lambda, eta, momentum, nesterov);
        }
    }
}
