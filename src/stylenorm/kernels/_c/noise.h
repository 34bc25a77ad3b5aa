/* The noise on a photo, as stylenorm/noise.py defines it: what Python and the library agree on. Every field is
   eight bytes: Python packs them in order. */
#ifndef STYLENORM_NOISE_H
#define STYLENORM_NOISE_H

#include <stdint.h>

/* A part of a photo (height, width, at least 3) with noise; strides are in numbers, not bytes. */
struct noise {
    const void *photo;
    void *out; /* (bottom - top, right - left, 3), contiguous, of the photo's type */
    int64_t wide, height, width, stride_y, stride_x, stride_c; /* wide: 16 bits a number, else 8 */
    int64_t top, left, bottom, right;
    int64_t origin_y, origin_x; /* of the photo's first pixel in the noise */
    double amplitude;           /* of a range of 0..1 */
};

/* 0, or -1 where memory ran out. */
#if defined(__x86_64__)
int sn_noise_avx2(const struct noise *);
#endif

#endif
