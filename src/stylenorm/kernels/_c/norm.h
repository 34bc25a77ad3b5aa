/* What Python and the parts of the library agree on. Every field is eight bytes: Python packs them in order. */
#ifndef STYLENORM_NORM_H
#define STYLENORM_NORM_H

#include <stdint.h>

#define ABI 5 /* raise when this struct or its meaning changes; c_library.py holds the same number */

enum { FLOAT32, FLOAT64, BFLOAT16, FLOAT16 };
enum { NONE, RELU, LEAKY, SILU, ELU }; /* prelu is LEAKY with a slope a channel */
enum { CONTIGUOUS, CHANNELS_LAST };
enum { MEASURE, GIVEN }; /* statistics: of the input, or handed in */

/* Features are (n, c, length), contiguous or channels last; statistics (n, c) in the computing type. */
struct arguments {
    const void *x, *grad, *residual; /* x: the input; in backward with `inverse`, the output */
    void *y, *grad_residual;         /* y: the output; in backward, the gradient of x */
    const void *weight, *bias, *slope; /* computing type, strides below; or null */
    void *pivot, *mean, *rstd;         /* statistics, written by forward unless GIVEN; may be null in forward */
    void *grad_weight, *grad_bias, *grad_slope; /* (n, c), computing type */
    int64_t n, c, length;
    int64_t weight_n, weight_c, bias_n, bias_c, slope_n, slope_c; /* strides in elements */
    int64_t dtype, layout, act, statistics, correction, inverse, threads, fresh;
    double eps, slope_value;
};

typedef void (*task_function)(void *context, int64_t task);

/* Runs tasks 0 .. tasks - 1 on up to `threads` threads of torch's own OpenMP runtime; in order on one. */
void sn_run(task_function function, void *context, int64_t tasks, int64_t threads);

/* Whether an output is too large to stay in the cache, so that it is better written past it. */
int sn_streams(int64_t bytes);

/* Ask the system for large pages behind a new output. */
void sn_expect(void *memory, int64_t bytes);

struct kernels {
    int (*forward[4])(const struct arguments *); /* by dtype; 0, or -1 where memory ran out */
    int (*backward[4])(const struct arguments *);
};

extern const struct kernels sn_baseline, sn_avx2;

#endif
