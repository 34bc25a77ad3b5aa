/* 3 x 3 convolutions, stride 1, zeros around: what Python and the parts of the library agree on.

   Every field is eight bytes: Python packs them in order. */
#ifndef STYLENORM_CONV_H
#define STYLENORM_CONV_H

#include <stdint.h>

/* Features are float32 and channels last, (n, height, width, channels), but for the three-channel side of `first`
   and `first_backward`, whose strides are given. */
struct conv_arguments {
    const float *x;
    const float *gate;    /* null, or as large as x: x counts as 0 where this is not above 0 */
    const float *weights; /* packed: see frozen_conv.py */
    const float *bias;    /* (k), or null */
    float *y;
    int64_t n, height, width, c, k;
    int64_t relu, threads;
    int64_t stride_n, stride_c, stride_y, stride_x; /* of the three-channel side */
};

/* Each returns 0, or -1 where memory ran out. */
struct convs {
    int (*winograd)(const struct conv_arguments *);       /* c and k multiples of 8 */
    int (*first)(const struct conv_arguments *);          /* c = 3, k a multiple of 8 */
    int (*first_backward)(const struct conv_arguments *); /* gradient of first: x has c channels, y three */
};

#if defined(__x86_64__)
extern const struct convs sn_convs_avx2;
#endif

#endif
