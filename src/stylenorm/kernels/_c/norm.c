/* Entry points, the choice of the instruction set, and threads borrowed from torch. */
#include "conv.h"
#include "noise.h"
#include "norm.h"
#include "paint.h"
#include "spatial.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* OpenMP's entry in libgomp, which LLVM's and Intel's runtimes have too. */
typedef void (*parallel_function)(void (*)(void *), void *, unsigned, unsigned);

static parallel_function parallel; /* null: everything runs in the calling thread */
static const struct kernels *chosen = &sn_baseline;
static const char *chosen_name = "baseline";
static int64_t cache_bytes = 32 << 20;

struct work {
    task_function function;
    void *context;
    int64_t tasks;
    _Atomic int64_t next;
};

static void work_on(void *data) {
    struct work *work = data;
    for (;;) {
        const int64_t task = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (task >= work->tasks) return;
        work->function(work->context, task);
    }
}

/* Which thread takes which task is left to chance; what a task computes does not depend on it. */
void sn_run(task_function function, void *context, int64_t tasks, int64_t threads) {
    if (threads > tasks) threads = tasks;
    const parallel_function run = parallel;
    if (threads <= 1 || !run) {
        for (int64_t task = 0; task < tasks; task++) function(context, task);
        return;
    }
    struct work work = {function, context, tasks, 0};
    run(work_on, &work, (unsigned)threads, 0);
}

int sn_streams(int64_t bytes) { return bytes > cache_bytes; }

/* New memory of this size comes from the system page by page as it is written; in large pages that costs a
   fraction. Only a hint, and only for memory that was allocated for this output. */
void sn_expect(void *memory, int64_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t huge = 2 << 20, start = ((uintptr_t)memory + huge - 1) & ~(huge - 1);
    const uintptr_t stop = ((uintptr_t)memory + (uintptr_t)bytes) & ~(huge - 1);
    if (stop > start && bytes >= 8 * (int64_t)huge) madvise((void *)start, stop - start, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

/* A child process has none of its parent's threads, and OpenMP's runtimes would wait for them forever. */
static void forget_threads(void) { parallel = NULL; }

static int use(const char *name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     __builtin_cpu_supports("f16c");
    if (avx2 && (!name || !strcmp(name, "avx2"))) {
        chosen = &sn_avx2, chosen_name = "avx2";
        return 0;
    }
#endif
    if (!name || !strcmp(name, "baseline")) {
        chosen = &sn_baseline, chosen_name = "baseline";
        return 0;
    }
    return -1;
}

EXPORT int sn_abi(void) { return ABI; }

/* Which sources this was built from. */
EXPORT const char *sn_sources(void) { return SOURCES; }

/* Call once: the runtime's GOMP_parallel, or null. Returns the instruction set's name. */
EXPORT const char *sn_start(void *gomp_parallel) {
    memcpy(&parallel, &gomp_parallel, sizeof parallel);
    use(NULL);
#ifdef _SC_LEVEL3_CACHE_SIZE
    const long level3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (level3 > 0 && level3 < cache_bytes) cache_bytes = level3;
#endif
    return pthread_atfork(NULL, NULL, forget_threads) ? NULL : chosen_name;
}

/* Another instruction set, by name, for tests and benchmarks. 0, or -1 where the machine has not got it. */
EXPORT int sn_use(const char *name) { return use(name); }

EXPORT const char *sn_instructions(void) { return chosen_name; }

EXPORT int sn_is_threaded(void) { return parallel != NULL; }

EXPORT int sn_forward(const struct arguments *a) { return chosen->forward[a->dtype](a); }

EXPORT int sn_backward(const struct arguments *a) { return chosen->backward[a->dtype](a); }

/* Convolutions of the instruction set in use; null where it has none. */
static const struct convs *convolutions(void) {
#if defined(__x86_64__)
    if (chosen == &sn_avx2) return &sn_convs_avx2;
#endif
    return NULL;
}

EXPORT int sn_has_conv(void) { return convolutions() != NULL; }

EXPORT int sn_conv(const struct conv_arguments *a) { return convolutions()->winograd(a); }

EXPORT int sn_conv_first(const struct conv_arguments *a) { return convolutions()->first(a); }

EXPORT int sn_conv_first_backward(const struct conv_arguments *a) { return convolutions()->first_backward(a); }

/* Whether two stretches of memory hold the same bytes. */
EXPORT int sn_same(const void *a, const void *b, int64_t bytes) { return !memcmp(a, b, (size_t)bytes); }

/* Those of converted networks, likewise. */
static const struct spatials *spatials(void) {
#if defined(__x86_64__)
    if (chosen == &sn_avx2) return &sn_spatials_avx2;
#endif
    return NULL;
}

EXPORT int sn_spatial(const struct spatial_arguments *a) { return spatials()->convolve(a); }

EXPORT int sn_spatial_pack(const struct spatial_filters *f) { return spatials()->pack(f); }

EXPORT int sn_spatial_gradient(const struct spatial_gradient *a) { return spatials()->differentiate(a); }

/* Without sn_start and in the calling thread; where sn_can_paint says so. */
EXPORT int sn_spatial_alone(const struct spatial_arguments *a) {
#if defined(__x86_64__)
    return sn_spatials_avx2.convolve(a);
#else
    (void)a;
    return -1;
#endif
}

/* Stylizer networks need neither sn_start nor torch. 0: not here; 2: with AVX-512, where others may be faster. */
EXPORT int sn_can_paint(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return avx2 && __builtin_cpu_supports("avx512f") ? 2 : avx2;
#else
    return 0;
#endif
}

EXPORT int sn_paint(const struct painting *p) {
#if defined(__x86_64__)
    return sn_paint_avx2(p);
#else
    (void)p;
    return -1;
#endif
}

/* Where sn_can_paint says so. */
EXPORT int sn_noise(const struct noise *a) {
#if defined(__x86_64__)
    return sn_noise_avx2(a);
#else
    (void)a;
    return -1;
#endif
}
