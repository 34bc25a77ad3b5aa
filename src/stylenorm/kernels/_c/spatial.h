/* 3 x 3 and 3 x 3 x 3 convolutions of anybody's networks, stride 1: what Python and the library agree on.

   Features are float32 and channels last, (n, depth, height, width, channels); a picture has a depth of 1. Every
   field is eight bytes: Python packs them in order. */
#ifndef STYLENORM_SPATIAL_H
#define STYLENORM_SPATIAL_H

#include <stdint.h>

struct spatial_arguments {
    const float *x;
    const float *weights; /* packed */
    const float *bias;    /* (k), or null */
    float *y;
    int64_t n, depth, height, width, c, k; /* of x, and channels of y, both multiples of 8 */
    int64_t taps;                          /* of the filter along the depth: 1 or 3 */
    int64_t pad_z, pad_y, pad_x;           /* 0 to 2 */
    int64_t reflect, threads;              /* beyond height and width: mirrored, or zeros */
};

/* Filters (k, c, taps, 3, 3) with these strides, to (taps, 36 places, panels, c, PANEL). */
struct spatial_filters {
    const float *weights;
    float *packed;
    int64_t k, c, taps, stride_k, stride_c, stride_z, stride_y, stride_x, threads;
};

/* The gradient of the filters, (taps, 36 places, c, k) before it is brought back, and as the filters lie. */
struct spatial_gradient {
    const float *x, *gradient; /* the latter (n, out_depth, out_height, out_width, k) */
    float *filters;            /* (k, c, taps, 3, 3) */
    int64_t n, depth, height, width, c, k, taps, pad_z, pad_y, pad_x, threads;
};

/* Each returns 0, or -1 where memory ran out. */
struct spatials {
    int (*convolve)(const struct spatial_arguments *);
    int (*pack)(const struct spatial_filters *);
    int (*differentiate)(const struct spatial_gradient *);
};

#if defined(__x86_64__)
extern const struct spatials sn_spatials_avx2;
#endif

#endif
