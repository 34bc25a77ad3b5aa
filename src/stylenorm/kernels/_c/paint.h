/* A stylizer network as a list of convolutions: what Python and the library agree on.

   Every field is eight bytes: Python packs them in order. Features are float32 and channels last. */
#ifndef STYLENORM_PAINT_H
#define STYLENORM_PAINT_H

#include <stdint.h>

/* A 3 x 3 convolution of stride 1 with the nearest pixels around. In `mode` (winograd.h) it sees its input through
   the norm before it. Where `gamma` is given, its output is measured, and the norm's scale and shift are written. */
struct layer {
    const float *x, *other, *scale, *shift;
    float *keep, *y;
    const float *weights, *bias, *gamma, *beta; /* packed; (k) or null; of the norm after it, (channels) or null */
    float *scale_out, *shift_out;               /* (k) */
    double *told;                               /* mean and variance of that norm, (2, channels), or null */
    int64_t mode, n, c, k, height, width;       /* n pictures, measured as if they were one */
    int64_t border;   /* pixels around x that exist in memory */
    int64_t channels; /* k, or a fourth: the output is four phases of a grid of twice the size, row by row */
};

enum { UINT8, UINT16, FLOAT_PLANES };

/* Photos go into blocks of 4 x 4 x 3 with one block more on each side, through the layers, and come out of
   16 numbers for each 2 x 2 pixels, of which 12 count, through a sigmoid and the photo gate. */
struct painting {
    const void *photo; /* (n, height, width, 3) integers, or (n, 3, height, width) float32 */
    void *out;         /* likewise, or null: the layers alone */
    float *blocks;
    const float *last;
    const struct layer *layers;
    const int64_t *stop; /* not 0: give up */
    int64_t dtype, n, height, width, num_layers, threads;
    double gate;
};

/* 0, or -1 where memory ran out. */
#if defined(__x86_64__)
int sn_paint_avx2(const struct painting *);
#endif

#endif
